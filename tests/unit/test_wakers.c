/* SPDX-License-Identifier: MIT */
#include "diag/wakers.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "diag_util.h"

/* As Linux 6.18 says it. */
static const char told[] =
    "name: sched_waking\nID: 375\nformat:\n"
    "\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"
    "\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n"
    "\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n"
    "\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n"
    "\tfield:char comm[16];\toffset:8;\tsize:16;\tsigned:0;\n"
    "\tfield:pid_t pid;\toffset:24;\tsize:4;\tsigned:1;\n"
    "\tfield:int prio;\toffset:28;\tsize:4;\tsigned:1;\n"
    "\tfield:int target_cpu;\toffset:32;\tsize:4;\tsigned:1;\n\n"
    "print fmt: \"comm=%s pid=%d\", REC->comm, REC->pid\n";

TEST(fields_are_where_the_kernel_says)
{
    struct wakers_format f = {0};

    CHECK_INT(wakers_parse_format(told, &f), 0);
    CHECK_INT(f.pid_at, 24);
    CHECK_INT(f.flags_at, 2);
}

TEST(a_format_without_them_is_refused)
{
    static const char *const bad[] = {
        "",
        "field:",
        "field:pid_t pid;",
        "\tfield:pid_t pid;\toffset:24;\tsize:4;\tsigned:1;\n",
        "\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n"
        "\tfield:pid_t pid;\toffset:24;\tsize:8;\tsigned:1;\n",
        "\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n"
        "\tfield:pid_t pid;\toffset:4000000;\tsize:4;\tsigned:1;\n",
        "\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n"
        "\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n"};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct wakers_format f = {.id = 1, .pid_at = 2};

        CHECK_INT(wakers_parse_format(bad[i], &f), -EBADMSG);
        CHECK_INT(f.pid_at, 2);
    }
    for (size_t n = 0; n < sizeof told; n++) { /* cut anywhere, it is read or refused */
        struct wakers_format f = {0};
        char *cut = strndup(told, n);

        (void)wakers_parse_format(cut, &f);
        free(cut);
    }
}

static void put(const char *root, const char *name, const char *text)
{
    char path[512];
    FILE *to;

    snprintf(path, sizeof path, "%s/%s", root, name);
    to = fopen(path, "w");
    CHECK(to != NULL);
    fputs(text, to);
    fclose(to);
}

TEST(it_is_found_where_tracefs_is)
{
    static const char *const folders[] = {"events", "events/sched", "events/sched/sched_waking"};
    char root[] = "/tmp/hob-wakers-XXXXXX", path[256];
    struct wakers_format f = {0};

    CHECK(mkdtemp(root) != NULL);
    CHECK_INT(wakers_find(root, &f), -ENOENT);
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", root, folders[i]);
        CHECK_INT(mkdir(path, 0700), 0);
    }
    put(path, "format", told);
    CHECK_INT(wakers_find(root, &f), -ENOENT);
    put(path, "id", "none\n");
    CHECK_INT(wakers_find(root, &f), -EBADMSG);
    put(path, "id", "375\n");
    CHECK_INT(wakers_find(root, &f), 0);
    CHECK_INT(f.id, 375);
    CHECK_INT(f.pid_at, 24);
    snprintf(path, sizeof path, "rm -r %s", root);
    CHECK_INT(system(path), 0);
}

TEST(what_is_kept_is_bounded_and_of_the_whole_run)
{
    struct recording r;
    struct wakers w = {0};
    const int64_t n = 5 * WAKES_MOST;

    rec_init(&r);
    for (int64_t i = 0; i < n; i++)
        wakers_add(&w, &r, &(struct rec_wake){.at = i});
    CHECK_INT(w.n, n);
    CHECK(r.n_wakes <= WAKES_MOST);
    CHECK(r.n_wakes >= WAKES_MOST / 2);
    CHECK_INT(w.every, 8);
    for (size_t i = 0; i < r.n_wakes; i++)
        CHECK_INT(r.wakes[i].at, (int64_t)i * w.every);
    wakers_finish(&w, &r);
    CHECK(strstr(r.notes, "one in 8 was kept"));
    rec_free(&r);
}

/* --- wakers_take.c ---------------------------------------------------------------------------- */

static void woke(struct recording *r, double at, uint32_t waker, uint32_t woken)
{
    rec_add_wake(r,
                 &(struct rec_wake){.at = (int64_t)(at * HOB_MS), .waker = waker, .woken = woken});
}

TEST(a_wait_belongs_to_who_ended_it)
{
    struct recording r;
    struct waker_table t;

    made_open(&r, 2);
    uint32_t a = made_thread(&r, 1, 1, 0, "/bin/a"), b = made_thread(&r, 1, 2, 0, "/bin/a");
    uint32_t c = made_thread(&r, 1, 3, 0, "/bin/a");
    made_wait(&r, a, 0, 10, REC_LOCK, NULL);
    made_run(&r, a, 10, 12);
    made_wait(&r, a, 12, 40, REC_LOCK, NULL);
    made_wait(&r, a, 40, 50, REC_NET, "tcp 10.0.0.1:80"); /* it has its own cause */
    made_wait(&r, a, 50, 55, REC_PIPE, NULL);             /* whose, nobody knows */
    made_wait(&r, c, 0, 5, REC_LOCK, NULL);
    woke(&r, 5, b, c);
    woke(&r, 10, b, a);
    woke(&r, 39, c, a); /* not the last one in this wait */
    woke(&r, 40, b, a);
    woke(&r, 50, b, a);
    CHECK_INT(wakers_take(&r, &t), 0);
    CHECK_INT(t.n_waits, 4);
    CHECK_INT(t.n_known, 3);
    CHECK_INT(t.n_rows, 1);
    CHECK_INT(t.row[0].kind, REC_LOCK);
    CHECK_INT(t.row[0].waker, b);
    CHECK_INT(t.row[0].woken, UINT32_MAX); /* a and c */
    CHECK_INT(t.row[0].n, 3);
    CHECK_NEAR(t.row[0].seconds, .043, 1e-9);
    rec_free(&r);
}

TEST(rows_come_by_time_and_no_more_than_fit)
{
    struct recording r;
    struct waker_table t;

    made_open(&r, 2);
    uint32_t a = made_thread(&r, 1, 1, 0, "/bin/a");
    for (int i = 0; i < 300; i++) {
        uint32_t by = made_thread(&r, 1, 2 + i, 0, "/bin/a");

        made_wait(&r, a, i * 2, i * 2 + .001 * (i + 1), REC_LOCK, NULL);
        woke(&r, i * 2 + .001 * (i + 1), by, a);
    }
    CHECK_INT(wakers_take(&r, &t), 0);
    CHECK_INT(t.n_known, 300);
    CHECK_INT(t.n_rows, WAKERS_ROWS);
    for (uint32_t i = 0; i < WAKERS_ROWS; i++) {
        CHECK_INT(t.row[i].waker, 300 - i);
        CHECK_INT(t.row[i].woken, a);
    }
    rec_free(&r);
}

TEST(nothing_comes_of_nothing)
{
    struct recording r;
    struct waker_table t;

    made_open(&r, 2);
    CHECK_INT(wakers_take(&r, &t), 0);
    CHECK_INT(t.n_rows + t.n_waits, 0);
    rec_free(&r);
}

TEST(births_may_cost_the_program_a_hundredth_of_its_time)
{
    CHECK(!wakers_dear(62, 4, 0)); /* 5 ms, of a program that starts a pool */
    CHECK(wakers_dear(64, 4, 0));
    CHECK(!wakers_dear(180, 4, HOB_SEC));
    CHECK(wakers_dear(190, 4, HOB_SEC));
    CHECK(!wakers_dear(1000, 4, 10 * HOB_SEC));
    CHECK(wakers_dear(1000, 64, 10 * HOB_SEC));
    CHECK(!wakers_dear(16, 1024, 0)); /* a shell and what it starts */
}

/* A thread closes it, when it comes to that. */
static void wait_closed(int fd)
{
    while (fcntl(fd, F_GETFD) >= 0)
        sched_yield();
}

TEST(what_was_let_go_can_be_had_again)
{
    struct wakers_format f = {0};
    int next;

    wakers_rest(); /* of nothing */
    if (!wakers_capable() || wakers_find(NULL, &f) < 0)
        t_skip("tracepoints may not be recorded here");
    for (int i = 0; i < 2; i++) {
        next = dup(STDERR_FILENO);
        close(next);
        if (wakers_hold(&f) < 0)
            t_skip("tracepoints may not be recorded here");
        CHECK_INT(wakers_hold(&f), 0);
        CHECK(fcntl(next, F_GETFD) >= 0);
        wakers_rest();
        wakers_rest();
        wait_closed(next);
    }
}

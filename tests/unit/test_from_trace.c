/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <hob/hob.h>

#include "diag/demo.h"
#include "diag/from_trace.h"
#include "diag/picture.h"
#include "lib/t.h"

static struct recording r;

static int nap(void *arg)
{
    (void)arg;
    return hob_sleep(2 * HOB_MS);
}

static int naps(void *arg)
{
    hob_group g;
    int e = hob_group_open(&g, HOB_GROUP_OPTS(.max_live = 5, .name = "naps"));

    (void)arg;
    hob_fiber_name("opener");
    for (int i = 0; i < 20 && e == 0; i++)
        e = hob_go(&g, nap, NULL);
    hob_trace_mark("all begun");
    return hob_group_join(&g, e);
}

/* What a program that naps twenty times, five at once, recorded of itself. */
static hob_trace *recorded(const char *path)
{
    hob_trace *t = NULL;

    CHECK_INT(hob_trace_start(HOB_TRACE_OPTS(.path = path)), 0);
    CHECK_INT(hob_run(NULL, naps, NULL), 0);
    CHECK_INT(hob_trace_stop(path ? NULL : &t), 0);
    return t;
}

static const struct rec_thread *thread_named(const char *name)
{
    for (size_t i = 0; i < r.n_threads; i++)
        if (strcmp(r.threads[i].name, name) == 0)
            return &r.threads[i];
    t_fail(__FILE__, __LINE__, "no thread %s", name);
}

static int64_t sum_of(const struct rec_thread *th, enum rec_state state, int kind)
{
    int64_t sum = 0;

    for (size_t i = 0; i < th->n_ivals; i++)
        if (th->ivals[i].state == state && (kind < 0 || th->ivals[i].kind == kind))
            sum += th->ivals[i].to - th->ivals[i].from;
    return sum;
}

TEST(tasks_are_as_many_rows_as_were_alive_at_once)
{
    hob_trace *t = recorded(NULL);
    int64_t slept = 0, ran = 0, loop = 0;
    size_t rows = 0;

    rec_init(&r);
    CHECK_INT(rec_from_trace(t, &r), 0);
    CHECK_INT(r.tier, REC_T0);
    CHECK_INT(r.wall, hob_trace_wall(t));
    for (size_t i = 0; i < r.n_threads; i++) {
        const struct rec_thread *th = &r.threads[i];
        rows += th->is_task;
        slept += sum_of(th, REC_WAIT, REC_SLEEP);
        *(th->is_task ? &ran : &loop) += sum_of(th, REC_RUN, -1);
    }
    CHECK(rows >= 6 && rows <= 8); /* five that nap, the opener, what the loop has itself */
    CHECK(slept >= 20 * 2 * HOB_MS);
    CHECK_INT(ran, loop); /* a task's time is some thread's */
    CHECK(strstr(r.notes, "all begun"));
    rec_free(&r);
    hob_trace_free(t);
}

TEST(a_file_of_either_kind_is_read)
{
    char path[] = "/tmp/test_from_trace.XXXXXX";
    int fd = mkstemp(path);

    CHECK(fd >= 0);
    recorded(path);
    CHECK_INT(rec_load_any(path, &r), 0);
    CHECK(thread_named("opener")->is_task);
    CHECK_INT(rec_save(&r, path), 0);
    size_t n = r.n_threads;
    rec_free(&r);
    CHECK_INT(rec_load_any(path, &r), 0);
    CHECK_INT(r.n_threads, n);
    rec_free(&r);
    CHECK_INT(ftruncate(fd, 5), 0);
    CHECK_INT(rec_load_any(path, &r), -EBADMSG);
    close(fd);
    unlink(path);
    CHECK_INT(rec_load_any(path, &r), -ENOENT);
}

TEST(the_demo_takes_turns_on_one_core_and_does_not_on_two)
{
    struct demo d;
    struct picture p;
    int64_t both = 0;

    CHECK_INT(demo_run(&d), 0);
    CHECK(d.n_runs == 1 || d.n_runs == 2);
    for (size_t k = 0; k < d.n_runs; k++) {
        CHECK_INT(
            picture_make(&d.rec,
                         &(struct picture_how){.from = d.window[k].from, .to = d.window[k].to}, &p),
            0);
        CHECK_INT(p.n_lanes, k + 1 + 2); /* as many cores as it says, and A and B */
        CHECK_STR(p.lanes[k + 1].name, "A");
        CHECK_STR(p.lanes[k + 2].name, "B");
        picture_free(&p);
    }
    /* On one core A and B never run at the same time, and each waits for the other. */
    const struct rec_thread *a = &d.rec.threads[0], *b = &d.rec.threads[1];
    for (size_t i = 0; i < a->n_ivals; i++)
        for (size_t k = 0; k < b->n_ivals; k++) {
            const struct rec_ival *x = &a->ivals[i], *y = &b->ivals[k];
            int64_t from = x->from > y->from ? x->from : y->from;
            int64_t to = x->to < y->to ? x->to : y->to;
            if (x->state != REC_RUN || y->state != REC_RUN || to <= from)
                continue;
            CHECK(x->core != y->core);
            both += to - from;
        }
    CHECK(sum_of(a, REC_READY, -1) + sum_of(b, REC_READY, -1) > 0);
    /* Where others have a core all the time, B may begin when A has ended; the picture says so. */
    CHECK(d.n_runs == 1 || both > 0 || d.others > .05);
    demo_free(&d);
}

static int reads(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++)
        if (hob_sleep(5 * HOB_MS) < 0)
            return -1;
    return 0;
}

/* As if recorded from outside: the thread waited for that in [from, to). */
static uint32_t seen_from_outside(int64_t from, int64_t to, struct rec_ival wait)
{
    rec_init(&r);
    r.tier = REC_T1;
    r.n_cores = r.n_cpus = 1;
    r.root = getpid();
    r.wall = 3600 * HOB_SEC;
    uint32_t at = rec_thread_of(&r, getpid(), gettid());
    wait.from = from;
    wait.to = to;
    wait.state = REC_WAIT;
    wait.core = REC_NO_CORE;
    rec_add(&r, at, &wait);
    return at;
}

/* The longest turn on the loop, or the time between the first two. */
static struct rec_ival turn_of(const hob_trace *t, hob_time base, bool between)
{
    struct rec_ival longest = {0};

    rec_init(&r);
    r.wall = 3600 * HOB_SEC;
    rec_proc_of(&r, getpid());
    CHECK_INT(rec_join_trace(t, &r, base), 0);
    const struct rec_thread *th = thread_named("loop 0");
    for (size_t i = 0; i < th->n_ivals; i++)
        if (th->ivals[i].to - th->ivals[i].from > longest.to - longest.from)
            longest = th->ivals[i];
    if (between) {
        CHECK(th->n_ivals >= 2);
        longest.from = th->ivals[0].to;
        longest.to = th->ivals[1].from;
    }
    rec_free(&r);
    return longest;
}

TEST(a_thread_between_turns_waits_for_nothing_once_joined)
{
    hob_time base = hob_now();
    hob_trace *t = NULL;

    CHECK_INT(hob_trace_start(NULL), 0);
    CHECK_INT(hob_run(NULL, reads, NULL), 0);
    CHECK_INT(hob_trace_stop(&t), 0);
    struct rec_ival v = turn_of(t, base, true);
    uint32_t at = seen_from_outside(v.from, v.to, (struct rec_ival){.kind = REC_LOCK});
    CHECK_INT(rec_join_trace(t, &r, base), 0);
    CHECK_INT(r.tier, REC_T0);
    CHECK_INT(r.own.n_traces, 1);
    CHECK_INT(r.own.n_loops, 1);
    CHECK_INT(r.own.blocked, 0);
    CHECK_INT(r.threads[at].ivals[0].kind, REC_IDLE);
    CHECK(sum_of(thread_named("main"), REC_WAIT, REC_SLEEP) >= 3 * 5 * HOB_MS);
    rec_free(&r);
    hob_trace_free(t);
}

static int blocks(void *arg)
{
    struct timespec t = {.tv_nsec = 20 * HOB_MS};

    (void)arg;
    nanosleep(&t, NULL); /* sleep: what a fiber must not do is what is looked for */
    return 0;
}

TEST(a_wait_within_a_turn_blocks_the_loop)
{
    hob_time base = hob_now();
    hob_trace *t = NULL;

    CHECK_INT(hob_trace_start(NULL), 0);
    CHECK_INT(hob_run(NULL, blocks, NULL), 0);
    CHECK_INT(hob_trace_stop(&t), 0);
    struct rec_ival v = turn_of(t, base, false);
    uint32_t at = seen_from_outside(v.from, v.to, (struct rec_ival){.kind = REC_SLEEP});
    CHECK_INT(rec_join_trace(t, &r, base), 0);
    CHECK_INT(r.own.blocked, v.to - v.from);
    CHECK(r.own.blocked >= 20 * HOB_MS);
    CHECK_INT(r.own.blocked_kind, REC_SLEEP);
    CHECK_STR(r.own.blocked_by, "main");
    CHECK_INT(r.threads[at].ivals[0].kind, REC_SLEEP);
    CHECK_INT(r.own.held, 0);
    /* Its row says so too, as a copy that is not counted again. */
    const struct rec_thread *main_row = thread_named("main");
    bool copied = false;
    for (size_t i = 0; i < main_row->n_ivals; i++)
        copied |= main_row->ivals[i].flags & REC_IVAL_COPY && main_row->ivals[i].kind == REC_SLEEP;
    CHECK(copied);
    rec_free(&r);
    hob_trace_free(t);
}

static int polls(void *arg)
{
    int p[2];

    (void)arg;
    if (pipe(p) < 0)
        return -1;
    int e = hob_fd_wait(p[0], EPOLLIN, hob_in(10 * HOB_MS));
    close(p[0]);
    close(p[1]);
    return e == -ETIMEDOUT ? 0 : -1;
}

/* What the loop's thread was seen to do before its first turn, and then while it polled. */
TEST(a_wait_for_the_network_gets_its_loops_peer_and_no_other)
{
    hob_time base = hob_now();
    hob_trace *t = NULL;

    CHECK_INT(hob_trace_start(NULL), 0);
    CHECK_INT(hob_run(NULL, polls, NULL), 0);
    CHECK_INT(hob_trace_stop(&t), 0);
    struct rec_ival v = turn_of(t, base, true);
    for (int with_peer = 0; with_peer <= 1; with_peer++) {
        uint32_t at = seen_from_outside(0, 1, (struct rec_ival){.kind = REC_DISK});
        r.threads[at].ivals[0].peer = rec_peer_of(&r, REC_DISK, "a file");
        if (with_peer)
            rec_add(&r, at,
                    &(struct rec_ival){.from = v.from,
                                       .to = v.to,
                                       .state = REC_WAIT,
                                       .kind = REC_DB,
                                       .flags = REC_IVAL_SET,
                                       .core = REC_NO_CORE,
                                       .peer = rec_peer_of(&r, REC_DB, "tcp 10.0.0.1:5432")});
        CHECK_INT(rec_join_trace(t, &r, base), 0);
        CHECK_INT(sum_of(thread_named("main"), REC_WAIT, REC_DISK), 0);
        CHECK(sum_of(thread_named("main"), REC_WAIT, with_peer ? REC_DB : REC_NET) > 0);
        rec_free(&r);
    }
    hob_trace_free(t);
}

TEST(a_trace_of_another_process_or_time_is_not_joined)
{
    hob_trace *t = recorded(NULL);

    rec_init(&r);
    r.wall = HOB_SEC;
    rec_proc_of(&r, getpid() + 1);
    CHECK_INT(rec_join_trace(t, &r, hob_trace_began(t)), -ENOENT);
    rec_proc_of(&r, getpid());
    CHECK_INT(rec_join_trace(t, &r, hob_trace_began(t) - 3600 * HOB_SEC), -ENOENT);
    CHECK_INT(rec_join_trace(t, &r, hob_trace_began(t) + HOB_MS), -ENOENT);
    CHECK_INT(rec_join_trace(t, &r, hob_trace_began(t)), 0);
    rec_free(&r);
    hob_trace_free(t);
}

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "diag/rec.h"
#include "lib/t.h"

static struct recording r;

static void add(uint32_t thread, int64_t from, int64_t to, enum rec_state state, enum rec_kind kind)
{
    struct rec_ival v = {.from = from,
                         .to = to,
                         .state = (uint8_t)state,
                         .kind = (uint8_t)kind,
                         .core = REC_NO_CORE,
                         .in_flight = kind == REC_NET};

    rec_add(&r, thread, &v);
}

TEST(entries_are_found_again)
{
    rec_init(&r);
    for (int i = 0; i < 2000; i++) {
        char name[32];

        snprintf(name, sizeof name, "tcp 10.0.0.%d:80", i);
        CHECK_INT(rec_proc_of(&r, 1000 + i), i);
        CHECK_INT(rec_thread_of(&r, 1000 + i, 5000 + i), i);
        CHECK_INT(rec_peer_of(&r, REC_NET, name), i + 1);
    }
    CHECK_INT(rec_proc_of(&r, 1999), 999);
    CHECK_INT(rec_thread_of(&r, 1999, 5999), 999);
    CHECK_INT(rec_peer_of(&r, REC_NET, "tcp 10.0.0.7:80"), 8);
    CHECK_INT(rec_peer_of(&r, REC_DB, "tcp 10.0.0.7:80"), 2001);
    CHECK(!r.failed);
    rec_free(&r);
}

TEST(a_tid_used_again_is_another_thread)
{
    rec_init(&r);
    CHECK_INT(rec_thread_of(&r, 10, 11), 0);
    CHECK_INT(rec_thread_new(&r, 10, 11), 1);
    CHECK_INT(rec_thread_of(&r, 10, 11), 1);
    CHECK_INT(rec_thread_of(&r, 20, 11), 2);
    rec_free(&r);
}

TEST(intervals_never_overlap_and_equal_ones_join)
{
    rec_init(&r);
    uint32_t t = rec_thread_of(&r, 1, 1);
    add(t, 0, 10, REC_RUN, REC_NO_KIND);
    add(t, 10, 20, REC_RUN, REC_NO_KIND); /* joins */
    add(t, 15, 30, REC_WAIT, REC_NET);    /* cut */
    add(t, 25, 30, REC_RUN, REC_NO_KIND); /* nothing left */
    add(t, 40, 50, REC_RUN, REC_NO_KIND); /* after a gap */
    CHECK_INT(r.threads[t].n_ivals, 3);
    CHECK_INT(r.threads[t].ivals[0].to, 20);
    CHECK_INT(r.threads[t].ivals[1].from, 20);
    CHECK_INT(r.threads[t].ivals[2].from, 40);
    CHECK_INT(r.n_ivals, 3);
    rec_free(&r);
}

/* Sums of a thread: on CPU, without a core, waiting. */
static void sums(const struct rec_thread *t, double ret[REC_N_STATES])
{
    ret[REC_RUN] = ret[REC_READY] = ret[REC_WAIT] = 0;
    for (size_t i = 0; i < t->n_ivals; i++) {
        const struct rec_ival *v = &t->ivals[i];
        double d = (double)(v->to - v->from);

        if (v->flags & REC_IVAL_FOLDED) {
            ret[REC_RUN] += d * v->run_ppm / 1e6;
            ret[REC_READY] += d * v->ready_ppm / 1e6;
            ret[REC_WAIT] += d * (1e6 - v->run_ppm - v->ready_ppm) / 1e6;
        } else {
            ret[v->state] += d;
        }
    }
}

TEST(folding_bounds_memory_and_keeps_the_sums)
{
    enum { ROUNDS = 20000 };
    double sum[REC_N_STATES];

    rec_init(&r);
    r.max_ivals = 1000;
    uint32_t a = rec_thread_of(&r, 1, 1), b = rec_thread_of(&r, 1, 2);
    for (int64_t i = 0, at = 0; i < ROUNDS; i++, at += 1000) {
        add(a, at, at + 200, REC_RUN, REC_NO_KIND);
        add(a, at + 200, at + 300, REC_READY, REC_NO_KIND);
        add(a, at + 300, at + 1000, REC_WAIT, REC_NET);
        add(b, at, at + 400, REC_WAIT, i % 2 ? REC_DISK : REC_LOCK);
        add(b, at + 400, at + 1000, REC_RUN, REC_NO_KIND);
        CHECK(r.n_ivals <= 1000);
    }
    sums(&r.threads[a], sum);
    CHECK(sum[REC_RUN] > 0.199 * ROUNDS * 1000 && sum[REC_RUN] < 0.201 * ROUNDS * 1000);
    CHECK(sum[REC_READY] > 0.099 * ROUNDS * 1000 && sum[REC_READY] < 0.101 * ROUNDS * 1000);
    CHECK(sum[REC_WAIT] > 0.699 * ROUNDS * 1000 && sum[REC_WAIT] < 0.701 * ROUNDS * 1000);
    sums(&r.threads[b], sum);
    CHECK(sum[REC_RUN] > 0.599 * ROUNDS * 1000 && sum[REC_RUN] < 0.601 * ROUNDS * 1000);
    CHECK(r.grain > 0);
    for (size_t i = 0; i < r.threads[a].n_ivals; i++)
        if (r.threads[a].ivals[i].flags & REC_IVAL_FOLDED)
            CHECK_INT(r.threads[a].ivals[i].in_flight, 1);
    rec_free(&r);
}

TEST(a_note_is_said_once)
{
    rec_init(&r);
    rec_note(&r, "lost %d", 3);
    rec_note(&r, "lost %d", 3);
    rec_note(&r, "and more");
    CHECK_STR(r.notes, "lost 3\nand more");
    rec_free(&r);
}

/* A recording with something of everything. */
static void fill(void)
{
    rec_init(&r);
    r.wall = 64000;
    r.n_cpus = r.n_cores = 4;
    rec_set_text(&r, &r.command, "cat file");
    rec_note(&r, "a note");
    for (int i = 0; i < 3; i++) {
        uint32_t t = rec_thread_of(&r, 10 + i, 10 + i), p = rec_proc_of(&r, 10 + i);

        rec_set_text(&r, &r.procs[p].exe, "/bin/cat");
        strcpy(r.threads[t].name, "cat");
        for (int64_t at = 0; at < 64000; at += 1000) {
            add(t, at, at + 300, REC_RUN, REC_NO_KIND);
            add(t, at + 300, at + 1000, REC_WAIT, REC_NET);
        }
    }
    rec_peer_of(&r, REC_NET, "tcp 127.0.0.1:80");
    rec_add_look(&r, &(struct rec_look){.at = 5, .thread = 1, .ready = true, .io_calls = 7});
    rec_add_count(&r, &(struct rec_count){.at = 6, .thread = 1, .in_flight = 9, .kind = REC_NET});
    rec_add_wake(&r, &(struct rec_wake){.at = 6, .waker = 0, .woken = 2});
}

/* The bytes of a saved recording; free() them. */
static unsigned char *bytes_of(size_t *ret_n)
{
    char path[] = "/tmp/hob-rec-XXXXXX";
    int fd = mkstemp(path);

    CHECK(fd >= 0);
    CHECK_INT(rec_save(&r, path), 0);
    *ret_n = (size_t)lseek(fd, 0, SEEK_END);
    unsigned char *p = malloc(*ret_n);
    CHECK(pread(fd, p, *ret_n, 0) == (ssize_t)*ret_n);
    close(fd);
    unlink(path);
    return p;
}

TEST(what_is_saved_is_read_back)
{
    struct recording back;
    size_t n;

    fill();
    unsigned char *p = bytes_of(&n);
    CHECK_INT(rec_parse(p, n, &back), 0);
    CHECK_STR(back.command, "cat file");
    CHECK_STR(back.notes, "a note");
    CHECK_INT(back.n_threads, 3);
    CHECK_INT(back.n_ivals, r.n_ivals);
    CHECK_STR(back.procs[back.threads[2].proc].exe, "/bin/cat");
    CHECK_STR(back.threads[2].name, "cat");
    CHECK_STR(back.peers[1].name, "tcp 127.0.0.1:80");
    CHECK_INT(back.n_looks, 1);
    CHECK_INT(back.looks[0].io_calls, 7);
    CHECK_INT(back.n_counts, 1);
    CHECK_INT(back.counts[0].in_flight, 9);
    CHECK_INT(back.n_wakes, 1);
    for (size_t i = 0; i < back.threads[1].n_ivals; i++)
        CHECK(memcmp(&back.threads[1].ivals[i], &r.threads[1].ivals[i], sizeof(struct rec_ival)) ==
              0);
    rec_free(&back);
    rec_free(&r);
    free(p);
}

TEST(a_file_cut_anywhere_is_read_up_to_the_cut)
{
    struct recording back;
    size_t n, n_read = 0, before = 0;

    fill();
    unsigned char *p = bytes_of(&n);
    for (size_t cut = 0; cut < n; cut++) {
        int e = rec_parse(p, cut, &back);

        if (e < 0) {
            CHECK_INT(e, -EBADMSG);
            CHECK_INT(n_read, 0); /* once the head is whole, it stays readable */
            continue;
        }
        n_read++;
        CHECK(strstr(back.notes, "cut"));
        CHECK(back.n_ivals >= before);
        before = back.n_ivals;
        if (back.n_ivals > r.n_ivals / 2) /* half of the time, of each thread */
            CHECK(back.threads[2].n_ivals > r.threads[2].n_ivals / 3);
        rec_free(&back);
    }
    CHECK(n_read > n / 2);
    CHECK_INT(before, r.n_ivals);
    rec_free(&r);
    free(p);
}

TEST(bytes_changed_are_never_trusted)
{
    struct recording back;
    size_t n;

    fill();
    unsigned char *p = bytes_of(&n);
    for (size_t i = 0; i < n; i++) {
        p[i] ^= 0xff;
        if (rec_parse(p, n, &back) == 0) {
            for (size_t t = 0; t < back.n_threads; t++)
                for (size_t k = 0; k < back.threads[t].n_ivals; k++)
                    CHECK(back.threads[t].ivals[k].peer < back.n_peers);
            for (size_t k = 0; k < back.n_counts; k++)
                CHECK(back.counts[k].thread < back.n_threads && back.counts[k].kind < REC_N_KINDS);
            rec_free(&back);
        }
        p[i] ^= 0xff;
    }
    rec_free(&r);
    free(p);
}

TEST(what_is_no_recording_is_refused)
{
    CHECK_INT(rec_load("/dev/null", &r), -EBADMSG);
    CHECK_INT(rec_load("/nonexistent/file", &r), -ENOENT);
    CHECK_INT(rec_load("/", &r), -EISDIR);
}

TEST(a_second_run_stands_behind_the_first)
{
    struct recording more;

    fill();
    more = r;
    fill();
    r.user = r.system = more.user = more.system = 5;
    size_t n = r.n_ivals;
    rec_append(&r, &more);
    CHECK_INT(r.wall, 128000);
    CHECK_INT(r.n_threads, 6);
    CHECK_INT(r.n_procs, 3); /* the kernel gave the same numbers again */
    CHECK_INT(r.n_ivals, 2 * n);
    CHECK_INT(r.threads[3].ivals[0].from, 64000);
    CHECK_STR(r.threads[5].name, "cat");
    CHECK_INT(r.n_looks, 2);
    CHECK_INT(r.looks[1].at, 64005);
    CHECK_INT(r.looks[1].thread, 4);
    CHECK_INT(r.n_counts, 2);
    CHECK_INT(r.counts[1].at, 64006);
    CHECK_INT(r.counts[1].thread, 4);
    CHECK_INT(r.user, 10);
    CHECK_STR(r.notes, "a note");
    rec_free(&r);
    rec_free(&more);
}

/* SPDX-License-Identifier: MIT */
#include "diag/live_window.h"

#include <string.h>

#include "diag/report.h"
#include "diag_util.h"

/* What a source says goes on. */
static struct {
    uint32_t thread;
    struct rec_ival iv;
} going[4];
static size_t n_going;

static void open_of(void *state, int64_t now, rec_open_fn *f, void *arg)
{
    (void)state;
    for (size_t i = 0; i < n_going; i++) {
        struct rec_ival v = going[i].iv;

        v.to = now;
        f(arg, going[i].thread, &v);
    }
}

static const struct rec_source source = {.open = open_of};
static struct recording r;

static void goes_on(uint32_t thread, double since, enum rec_state state, enum rec_kind kind)
{
    going[n_going].thread = thread;
    going[n_going++].iv = (struct rec_ival){.from = (int64_t)(since * HOB_MS),
                                            .state = (uint8_t)state,
                                            .kind = (uint8_t)kind,
                                            .core = REC_NO_CORE};
}

static const struct rec_ival *ival_of(const struct live_window *w, size_t thread, size_t i)
{
    CHECK(thread < w->rec.n_threads);
    CHECK(i < w->rec.threads[thread].n_ivals);
    return &w->rec.threads[thread].ivals[i];
}

TEST(the_last_seconds_begin_at_zero)
{
    struct live_window w;
    uint32_t old, t;

    made_open(&r, 2);
    old = made_thread(&r, 5, 5, 0, "/bin/old");
    t = made_thread(&r, 7, 8, 5, "/bin/x");
    made_run(&r, old, 0, 100);
    made_run(&r, t, 0, 100);
    made_wait(&r, t, 100, 300, REC_NET, "tcp 10.0.0.1:80");
    made_run(&r, t, 300, 400);
    goes_on(t, 400, REC_WAIT, REC_LOCK);
    live_window_init(&w, &r, 200 * HOB_MS, 1000);
    live_window_take(&w, &source, NULL, 500 * HOB_MS);

    CHECK_INT(w.rec.n_threads, 1); /* `old` has done nothing since */
    CHECK_INT(w.rec.n_procs, 1);
    CHECK_INT(w.rec.threads[0].tid, 8);
    CHECK_STR(w.rec.procs[0].exe, "/bin/x");
    CHECK_INT(w.rec.wall, 300 * HOB_MS);
    CHECK_INT(w.rec.threads[0].n_ivals, 3);
    CHECK_INT(ival_of(&w, 0, 0)->from, 0);
    CHECK_INT(ival_of(&w, 0, 0)->to, 100 * HOB_MS);
    CHECK_STR(w.rec.peers[ival_of(&w, 0, 0)->peer].name, "tcp 10.0.0.1:80");
    CHECK_INT(ival_of(&w, 0, 2)->kind, REC_LOCK);
    CHECK_INT(ival_of(&w, 0, 2)->to, 300 * HOB_MS);
    CHECK_INT(w.run, 100 * HOB_MS);
    CHECK(w.rec.attached); /* the start-up is not in it */
    live_window_free(&w);
    rec_free(&r);
}

TEST(a_copy_follows_what_is_recorded)
{
    struct live_window w;
    uint32_t t;

    made_open(&r, 2);
    t = made_thread(&r, 7, 7, 0, "/bin/sh");
    made_run(&r, t, 0, 10);
    goes_on(t, 10, REC_WAIT, REC_NET);
    live_window_init(&w, &r, 0, 1000);
    for (int64_t now = 20; now <= 100; now += 20)
        live_window_take(&w, &source, NULL, now * HOB_MS);
    CHECK_INT(w.rec.threads[0].n_ivals, 2); /* one wait, however often it was looked at */
    CHECK_INT(ival_of(&w, 0, 1)->to, 100 * HOB_MS);

    n_going = 0;
    made_wait(&r, t, 10, 110, REC_NET, NULL);
    made_run(&r, t, 110, 120);
    rec_set_text(&r, &r.procs[0].exe, "/bin/other");
    live_window_take(&w, &source, NULL, 120 * HOB_MS);
    CHECK_INT(w.run, 20 * HOB_MS);
    const struct rec_thread *row = &w.rec.threads[0];
    int64_t at = 0;
    for (size_t i = 0; i < row->n_ivals; i++) {
        CHECK_INT(row->ivals[i].from, at); /* nothing twice, nothing left out */
        at = row->ivals[i].to;
    }
    CHECK_INT(at, 120 * HOB_MS);
    CHECK_STR(w.rec.procs[0].exe, "/bin/other");
    live_window_free(&w);
    rec_free(&r);
}

TEST(a_number_that_comes_again_is_another_thread)
{
    struct live_window w;

    made_open(&r, 2);
    made_run(&r, made_thread(&r, 7, 7, 0, "/bin/a"), 0, 10);
    live_window_init(&w, &r, 0, 1000);
    live_window_take(&w, NULL, NULL, 10 * HOB_MS);
    made_run(&r, rec_thread_new(&r, 7, 7), 20, 30);
    live_window_take(&w, NULL, NULL, 30 * HOB_MS);
    CHECK_INT(w.rec.n_threads, 2);
    CHECK_INT(w.rec.threads[0].n_ivals, 1);
    CHECK_INT(w.rec.threads[1].n_ivals, 1);
    live_window_free(&w);
    rec_free(&r);
}

TEST(a_copy_is_bounded_and_its_sums_are_not)
{
    enum { MOST = 200, ROUNDS = 50 };
    struct live_window w;
    struct diagnosis d;
    uint32_t t;

    made_open(&r, 2);
    t = made_thread(&r, 7, 7, 0, "/bin/a");
    live_window_init(&w, &r, 0, MOST);
    for (int i = 0; i < ROUNDS * 100; i++) {
        made_run(&r, t, i, i + .25);
        made_wait(&r, t, i + .25, i + 1, REC_NET, "tcp 10.0.0.1:80");
        if (i % 100 == 99) {
            live_window_take(&w, NULL, NULL, (i + 1) * HOB_MS);
            CHECK(w.rec.n_ivals <= MOST);
        }
    }
    CHECK_INT(diagnose(&w.rec, &d), 0);
    CHECK_NEAR(d.measures.all.run, .25, .01);
    CHECK_NEAR(d.measures.all.io, .75, .01);
    live_window_free(&w);
    rec_free(&r);
}

TEST(what_the_recording_has_folded_meanwhile_is_not_lost)
{
    struct live_window w;
    uint32_t t;

    made_open(&r, 2);
    r.max_ivals = 64;
    t = made_thread(&r, 7, 7, 0, "/bin/a");
    live_window_init(&w, &r, 0, 10000);
    for (int i = 0; i < 1000; i++) {
        made_run(&r, t, i, i + .5);
        made_wait(&r, t, i + .5, i + 1, REC_NET, "tcp 10.0.0.1:80");
        if (i % 7 == 6)
            live_window_take(&w, NULL, NULL, (i + 1) * HOB_MS);
    }
    CHECK_NEAR((double)w.run / HOB_MS, 497, 10); /* the last six are not there yet */
    live_window_free(&w);
    rec_free(&r);
}

TEST(looks_and_counts_are_copied_once)
{
    struct live_window w;
    uint32_t t;

    made_open(&r, 2);
    t = made_thread(&r, 7, 7, 0, "/bin/a");
    made_run(&r, t, 0, 100);
    for (int i = 0; i < 10; i++) {
        rec_add_look(&r, &(struct rec_look){.at = i * 10 * HOB_MS, .thread = t, .ready = true});
        rec_add_count(&r, &(struct rec_count){.at = i * 10 * HOB_MS, .thread = t, .in_flight = 3});
    }
    live_window_init(&w, &r, 50 * HOB_MS, 1000);
    live_window_take(&w, NULL, NULL, 100 * HOB_MS);
    live_window_take(&w, NULL, NULL, 100 * HOB_MS);
    CHECK_INT(w.rec.n_looks, 5);
    CHECK_INT(w.rec.looks[0].at, 0);
    CHECK_INT(w.rec.looks[0].thread, 0);
    CHECK_INT(w.rec.n_counts, 5);
    CHECK_INT(w.rec.counts[0].at, 0);
    CHECK_INT(w.rec.counts[0].in_flight, 3);
    live_window_free(&w);
    rec_free(&r);
}

TEST(a_window_with_too_much_in_it_is_shorter)
{
    uint32_t t;

    made_open(&r, 2);
    t = made_thread(&r, 7, 7, 0, "/bin/a");
    for (int i = 0; i < 1000; i++) {
        made_run(&r, t, i, i + .5);
        made_wait(&r, t, i + .5, i + 1, REC_NET, "tcp 10.0.0.1:80");
    }
    CHECK_INT(live_window_since(&r, 0, 1000 * HOB_MS, 5000), 0);
    int64_t since = live_window_since(&r, 0, 1000 * HOB_MS, 600);
    CHECK_INT(since, 750 * HOB_MS);
    rec_free(&r);
}

/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include <hob/hob.h>

#include "lib/t.h"
#include "sched/fold.h"
#include "sched/park.h"
#include "trace/record.h"

enum { YIELDS = 20000 };

/* What the accounts of the fibers say, read by themselves at their end. */
static struct seen {
    int64_t began, ended;
    struct trace_task sums;
} seen[3];

/* No budget: whatever turn begins next is folded. */
static void poor(void)
{
    hob__loop->fold.credit = -HOB_MS;
}

/* Budget for thousands of turns. */
static void rich(void)
{
    hob__loop->fold.credit = HOB_SEC;
}

static int64_t life(const struct trace_task *t)
{
    int64_t sum = t->run_ns + t->ready_ns;

    for (int i = 0; i < HOB_N_CLASSES; i++)
        sum += t->wait_ns[i];
    return sum;
}

/* The account of the running fiber as it is now. */
static void look(struct seen *s)
{
    struct fiber *f = hob__self();

    hob_time now = hob__now();
    bool folded = hob__fold_break(f->loop, now);

    s->ended = f->trace.since;
    s->sums = f->trace;
    hob__fold_resume(f->loop, f, now, folded);
}

static int yielder(void *arg)
{
    struct seen *s = arg;

    s->began = hob__self()->trace.since;
    for (int i = 0; i < YIELDS; i++) {
        poor();
        hob_yield();
    }
    look(s);
    return 0;
}

static int sleeper(void *arg)
{
    struct seen *s = arg;

    s->began = hob__self()->trace.since;
    for (int i = 0; i < 5; i++) {
        poor();
        CHECK_INT(hob_sleep(2 * HOB_MS), 0);
    }
    look(s);
    return 0;
}

static int yielders(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.name = "yield"));

    (void)arg;
    for (int i = 0; i < 2 && r == 0; i++)
        r = hob_go(&g, yielder, &seen[i]);
    return hob_group_join(&g, r);
}

static int both(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, NULL);

    (void)arg;
    for (int i = 0; i < 2 && r == 0; i++)
        r = hob_go(&g, yielder, &seen[i]);
    if (r == 0)
        r = hob_go(&g, sleeper, &seen[2]);
    return hob_group_join(&g, r);
}

static hob_trace *record(hob_fn fn)
{
    hob_trace *t = NULL;

    CHECK_INT(hob_trace_start(NULL), 0);
    CHECK_INT(hob_run(HOB_OPTS(.loops = 1), fn, NULL), 0);
    CHECK_INT(hob_trace_stop(&t), 0);
    return t;
}

static size_t runs_in(const hob_trace *t)
{
    size_t n = 0;

    for (size_t i = 0; i < t->n_events; i++)
        n += t->events[i].kind == TRACE_EV_RUN;
    return n;
}

TEST(a_folded_fiber_s_sums_are_its_life)
{
    hob_trace *t = record(both);

    for (int i = 0; i < 3; i++)
        CHECK_INT(life(&seen[i].sums), seen[i].ended - seen[i].began);
    hob_trace_free(t);
}

TEST(folded_runs_are_counted_each)
{
    hob_trace *t = record(yielders);
    uint64_t n_runs = (uint64_t)seen[0].sums.n_runs + seen[1].sums.n_runs, n_folded;

    CHECK(n_runs >= 2 * YIELDS && n_runs <= 2 * YIELDS + 100);
    CHECK(hob_trace_folded(t, &n_folded) > 0);
    CHECK(hob_trace_folded(t, NULL) <= hob_trace_wall(t));
    CHECK(n_folded > 0 && n_folded <= 2 * YIELDS + 100);
    CHECK_INT(hob_trace_lost(t), 0);
    hob_trace_free(t);
}

/* Whoever reads the recording finds in it what the accounts say: the same time on CPU. */
TEST(a_recording_s_folded_runs_are_the_fibers_time)
{
    hob_trace *t = record(yielders);
    int64_t on_cpu = 0, runs_since = 0;
    uint64_t running = 0, yield_ids[2] = {seen[0].sums.id, seen[1].sums.id};

    for (size_t i = 0; i < t->n_events; i++) {
        const struct record_event *e = &t->events[i];

        if (e->task != yield_ids[0] && e->task != yield_ids[1])
            continue;
        if (running == e->task) {
            on_cpu += e->at - runs_since;
            running = 0;
        }
        if (e->kind == TRACE_EV_RUN) {
            CHECK_INT(running, 0); /* one at a time on a loop */
            running = e->task;
            runs_since = e->at;
        }
    }
    int64_t summed = seen[0].sums.run_ns + seen[1].sums.run_ns;
    CHECK(on_cpu >= summed); /* from the last look to the end is told too */
    CHECK(on_cpu - summed <=
          hob_trace_wall(t) - (seen[0].ended - seen[0].began) + (seen[1].ended - seen[0].ended));
    hob_trace_free(t);
}

static int rich_run(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++) {
        rich();
        hob_yield();
    }
    return 0;
}

TEST(with_budget_every_run_is_told)
{
    hob_trace *t = record(rich_run);
    uint64_t n_folded;

    CHECK_INT(hob_trace_folded(t, &n_folded), 0);
    CHECK_INT(n_folded, 0);
    CHECK_INT(runs_in(t), 1001);
    hob_trace_free(t);
}

static int ping(void *arg)
{
    hob_chan **c = arg;
    int v = 0;

    for (int i = 0; i < YIELDS; i++) {
        poor();
        if (hob_chan_send(c[0], &v, HOB_FOREVER) || hob_chan_recv(c[1], HOB_FOREVER, &v))
            return -EIO;
    }
    look(&seen[0]);
    return 0;
}

static int pong(void *arg)
{
    hob_chan **c = arg;
    int v = 0;

    for (int i = 0; i < YIELDS; i++)
        if (hob_chan_recv(c[0], HOB_FOREVER, &v) || hob_chan_send(c[1], &v, HOB_FOREVER))
            return -EIO;
    look(&seen[1]);
    return 0;
}

static int ping_pong(void *arg)
{
    hob_chan *c[2];
    hob_group g;
    int r = hob_group_open(&g, NULL);

    (void)arg;
    for (int i = 0; i < 2 && r == 0; i++)
        r = hob_chan_new(sizeof(int), NULL, &c[i]);
    if (r == 0)
        r = hob_go(&g, ping, c);
    if (r == 0)
        r = hob_go(&g, pong, c);
    r = hob_group_join(&g, r);
    hob_chan_free(c[0]);
    hob_chan_free(c[1]);
    return r;
}

TEST(fibers_that_park_and_wake_each_other_fold_too)
{
    hob_trace *t = record(ping_pong);
    uint64_t n_folded;

    (void)hob_trace_folded(t, &n_folded);
    CHECK(n_folded > 0);
    CHECK(runs_in(t) < n_folded);
    CHECK(seen[0].sums.run_ns > 0 && seen[1].sums.run_ns > 0);
    hob_trace_free(t);
}

/* Who watches later or stops in the middle finds the loop in order. */
static int in_the_middle(void *arg)
{
    hob_trace *t = NULL;
    uint64_t n_folded;

    for (int round = 0; round < 3; round++) {
        CHECK_INT(hob_trace_start(NULL), 0);
        CHECK_INT(yielders(arg), 0);
        poor();
        CHECK_INT(hob_trace_stop(&t), 0);
        CHECK_INT(hob__loop->stamp, 0);
        CHECK(hob_trace_folded(t, &n_folded) > 0);
        hob_trace_free(t);
        for (int i = 0; i < 1000; i++)
            hob_yield();
    }
    return 0;
}

TEST(a_recording_of_the_middle_of_a_run)
{
    CHECK_INT(hob_run(HOB_OPTS(.loops = 1), in_the_middle, NULL), 0);
}

static int named(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3000; i++) {
        poor();
        if (i % 100 == 0)
            hob_fiber_name(i % 200 ? "odd" : "even");
        hob_yield();
    }
    return 0;
}

static int many(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, NULL);

    (void)arg;
    for (int i = 0; i < 700 && r == 0; i++) /* more than a window notes */
        r = hob_go(&g, i % 7 ? rich_run : named, NULL);
    return hob_group_join(&g, r);
}

TEST(more_fibers_than_a_window_notes_with_names_that_change)
{
    hob_trace *t = record(many);

    CHECK_INT(hob_trace_lost(t), 0);
    CHECK(runs_in(t) > 700);
    hob_trace_free(t);
}

static int never_folded(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++) {
        poor();
        hob_yield();
        CHECK_INT(hob__loop->stamp, 0);
    }
    return 0;
}

/* A clock that counts how often it is read and goes on by a microsecond each time. */
static hob_time n_reads;

static hob_time clock_counted(void)
{
    return HOB_SEC + HOB_US * ++n_reads;
}

static struct hob_env counted;

static void clock_count(void)
{
    counted = *hob__env;
    counted.now = clock_counted;
    hob__env = &counted;
}

static int told_by_count(void *arg)
{
    int r = rich_run(arg); /* the first turns; from here on all is told */
    hob_time n_before = n_reads;
    uint64_t n_turns = hob__loop->n_turns;

    r = r ? r : rich_run(arg);
    /* A turn reads it when it begins, for the first that runs, and after its fibers. */
    CHECK(n_reads - n_before <= 1000 + 3 * (hob_time)(hob__loop->n_turns - n_turns + 1));
    CHECK(n_reads - n_before >= 1000);
    return r;
}

TEST(a_told_run_is_one_look_at_the_clock)
{
    clock_count();
    hob_trace *t = record(told_by_count);
    uint64_t n_folded;

    CHECK_INT(hob_trace_folded(t, &n_folded), 0);
    CHECK_INT(runs_in(t), 2001);
    hob_trace_free(t);
}

/* An open window is not asked about in each turn, but soon. */
static int rich_again(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10; i++) {
        hob_time rich_at;

        do {
            poor();
            hob_yield();
        } while (!hob__loop->stamp);
        rich();
        rich_at = n_reads;
        while (hob__loop->stamp)
            hob_yield();
        CHECK(n_reads - rich_at <= 2 * 200 + 10); /* us: until it looks, and a turn */
        CHECK(hob__loop->tells);
    }
    return 0;
}

TEST(budget_that_is_back_is_found_soon)
{
    clock_count();
    hob_trace_free(record(rich_again));
}

TEST(the_simulator_never_folds)
{
    CHECK_INT(setenv("HOB_SIM", "7", 1), 0);
    hob_trace_free(record(never_folded));
}

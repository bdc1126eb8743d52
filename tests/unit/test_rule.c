/* SPDX-License-Identifier: MIT
 *
 * test_rule.c - from figures to a reading: each branch, and how close it was
 */
#include "diag/rule.h"
#include "diag_util.h"

/* What an honest program has where nothing else is said: 2 cores, all time accounted for. */
static struct measures figures(double run, double io, double in_flight)
{
    static struct recording rec = {.n_cores = 2};
    struct measures m = {.rec = &rec,
                         .user = 1,
                         .in_flight = in_flight,
                         .n_ops = in_flight > 0 ? 100 : 0,
                         .io_procs = 1,
                         .io_threads = 1,
                         .io_kind = io > 0 ? REC_NET : REC_NO_KIND};

    m.main = (struct measure_span){.wall = 1, .cpu = run, .run = run, .io = io};
    m.main.blame[REC_NET] = io;
    m.all = m.main;
    m.cores = m.demand = 1;
    m.press = run;
    return m;
}

static struct ruling ruled(const struct measures *m)
{
    struct ruling r;

    rule_of(m, NULL, &r);
    return r;
}

#define CHECK_RULING(m, bound_word, advice_word, mismatch_or_null)                                 \
    do {                                                                                           \
        struct ruling t_r = ruled(m);                                                              \
        const char *t_m = mismatch_word(t_r.is.mismatch);                                          \
        CHECK_STR(hob_bound_word(t_r.is.bound), bound_word);                                       \
        CHECK_STR(hob_advice_word(t_r.is.advice), advice_word);                                    \
        CHECK_STR(t_m ? t_m : "null", mismatch_or_null ? mismatch_or_null : "null");               \
    } while (0)

static const char *const no_mismatch = NULL;

TEST(waiting_for_one_thing_wants_concurrency)
{
    struct measures m = figures(.1, .9, 1);

    CHECK_RULING(&m, "io", "concurrency", no_mismatch);
    CHECK_STR(pattern_word(ruled(&m).is.pattern), "one-by-one");
    m.has_loop = true;
    CHECK_STR(pattern_word(ruled(&m).is.pattern), "sequential-awaits");
}

TEST(waiting_for_many_is_concurrency_in_use)
{
    struct measures m = figures(.1, .9, 50);

    CHECK_RULING(&m, "io", "ok-concurrent", no_mismatch);
}

TEST(forked_workers_with_one_request_each_are_a_pool_doing_io)
{
    struct measures m = figures(.1, .9, 3.9);

    m.io_procs = 4;
    CHECK_RULING(&m, "io", "concurrency", no_mismatch);
    m.forked = true;
    CHECK_RULING(&m, "io", "concurrency", "pool-io");
    m.io_kind = REC_DISK;
    CHECK_RULING(&m, "io", "concurrency", no_mismatch);
}

TEST(computing_and_waiting_in_turn_wants_both)
{
    struct measures m = figures(.45, .5, 1);

    CHECK_RULING(&m, "mixed", "both", no_mismatch);
    m.in_flight = 20; /* phases: many at once, and then it computes alone */
    CHECK_RULING(&m, "mixed", "both", no_mismatch);
    m.behind = .9; /* overlapped, and there are cores to spare */
    CHECK_RULING(&m, "io", "ok-concurrent", no_mismatch);
    m.main.cpu = 1.5;
    CHECK_RULING(&m, "mixed", "both", no_mismatch);
}

TEST(the_kernels_time_for_io_is_part_of_the_io)
{
    struct measures m = figures(.45, .5, 1);

    m.user = .1;
    CHECK_RULING(&m, "io", "concurrency", no_mismatch);
    m.main.run = .55;
    m.main.io = .42; /* reads of 50 us: the kernel computes as long as they last */
    CHECK_RULING(&m, "io", "concurrency", no_mismatch);
}

TEST(a_commit_a_row_wants_batches)
{
    struct measures m = figures(.3, .6, 1);

    m.io_kind = REC_FSYNC;
    m.fsync = .9;
    CHECK_RULING(&m, "io", "batch", no_mismatch);
    CHECK_STR(pattern_word(ruled(&m).is.pattern), "commit-per-row");
    m.main.run = .65;
    m.main.io = .28; /* short ones: most of their time is the kernel's work for them */
    m.user = .1;
    CHECK_RULING(&m, "io", "batch", no_mismatch);
}

TEST(one_busy_core_wants_parallelism_and_all_of_them_nothing)
{
    struct measures m = figures(1, 0, 0);

    CHECK_RULING(&m, "cpu", "parallelism", no_mismatch);
    m.cores = m.demand = m.press = m.main.cpu = 2;
    CHECK_RULING(&m, "cpu", "ok-parallel", no_mismatch);
}

TEST(cores_that_its_threads_wanted_and_did_not_get_count_as_used)
{
    struct measures m = figures(1, 0, 0);

    m.cores = m.demand = 1.1;
    CHECK_RULING(&m, "cpu", "parallelism", no_mismatch);
    m.demand = 1.9; /* others had them, or the kernel put two threads on one */
    CHECK_RULING(&m, "cpu", "ok-parallel", no_mismatch);
}

TEST(what_a_hypervisor_took_is_no_computing)
{
    struct measures m = figures(.78, .17, 1); /* a disk of a virtual machine */

    m.user = 0;
    m.io_kind = REC_DISK;
    CHECK_RULING(&m, "cpu", "parallelism", no_mismatch);
    m.taken = .56;
    CHECK_RULING(&m, "io", "concurrency", no_mismatch);
    m = figures(1, 0, 0); /* one that computes and was kept from it is still one */
    m.taken = .5;
    CHECK_RULING(&m, "cpu", "parallelism", no_mismatch);
}

TEST(a_loop_that_stands_in_a_call_is_blocked)
{
    struct measures m = figures(.05, 0, 12);

    m.main.blame[REC_SLEEP] = .9;
    m.has_loop = true;
    m.loop_slept = .2 * m.all.wall;
    CHECK_RULING(&m, "sleep", "neither", no_mismatch);
    m.loop_slept = .8 * m.all.wall;
    CHECK_RULING(&m, "sleep", "neither", "loop-blocked");
    m = figures(.05, .9, 12);
    m.has_loop = true;
    m.loop_slept = .8 * m.all.wall; /* in a read of its own, and nobody reads the others */
    CHECK_RULING(&m, "io", "concurrency", "loop-blocked");
    m = figures(.9, .02, 12);
    m.has_loop = true;
    m.loop_slept = .8 * m.all.wall; /* until a child of its has computed */
    CHECK_RULING(&m, "cpu", "parallelism", "loop-blocked");
    m.main.cpu = 1.6; /* whose other children have all cores meanwhile */
    CHECK_RULING(&m, "cpu", "parallelism", no_mismatch);
}

TEST(a_lock_around_a_request_is_a_lock)
{
    struct measures m = figures(.05, .9, 1);

    m.holders = (struct measure_holders){.n = 4, .even = 4, .contended = 3};
    CHECK_RULING(&m, "io", "concurrency", "lock");
    m.holders.brought = .9; /* a pool that is given one thing at a time */
    CHECK_RULING(&m, "io", "concurrency", no_mismatch);
    m.holders.brought = 0;
    m.holders.contended = .2; /* nobody waits for it */
    CHECK_RULING(&m, "io", "concurrency", no_mismatch);
    m.holders.contended = 3;
    m.holders.overlap = .5;
    CHECK_RULING(&m, "io", "concurrency", no_mismatch);
}

TEST(a_workers_loop_with_nobody_outside_is_not_blocked)
{
    struct measures m = figures(.95, 0, 0);

    m.has_loop = true;
    m.loop_blocked = .8;
    m.loop_stretch = .12;
    m.n_ops = 0;
    CHECK_RULING(&m, "cpu", "parallelism", no_mismatch);
    m.server = true;
    CHECK_RULING(&m, "cpu", "parallelism", "loop-blocked");
}

TEST(many_threads_in_line_for_a_core_are_too_many)
{
    struct measures m = figures(1, 0, 0);

    m.cores = m.main.cpu = 2;
    m.main.ready = 14;
    m.demand = m.press = 16;
    CHECK_RULING(&m, "cpu", "ok-parallel", "oversub");
}

TEST(threads_that_take_turns_share_a_lock)
{
    struct measures m = figures(1, 0, 0);

    m.rivals =
        (struct measure_rivals){.n = 4, .even = 4, .overlap = .02, .contended = 2.8, .turn = .005};
    CHECK_RULING(&m, "cpu", "lock", "lock");
    m.language = LANG_PYTHON;
    CHECK_RULING(&m, "cpu", "parallelism", "gil");
    m.rivals.even = 1.2; /* a compiler thread beside the one that works */
    CHECK_RULING(&m, "cpu", "parallelism", no_mismatch);
    m.rivals.even = 4;
    m.rivals.turn = 1; /* phases one after the other */
    CHECK_RULING(&m, "cpu", "parallelism", no_mismatch);
    m.rivals.turn = .005;
    m.rivals.processes = true; /* no interpreter's lock is between processes */
    CHECK_RULING(&m, "cpu", "lock", "lock");
    m.rivals.overlap = .6; /* all cores busy, and more threads in line than cores */
    CHECK_RULING(&m, "cpu", "parallelism", no_mismatch);
}

TEST(a_loop_that_computes_while_events_wait_is_blocked)
{
    struct measures m = figures(.95, .03, 12);

    m.has_loop = true;
    m.loop_blocked = .8;
    m.loop_stretch = .12;
    CHECK_RULING(&m, "cpu", "parallelism", "loop-blocked");
    m.loop_stretch = .03;
    CHECK_RULING(&m, "cpu", "parallelism", no_mismatch);
    m.loop_line = .2; /* turns of 30 ms, and many stand in line */
    CHECK_RULING(&m, "cpu", "parallelism", "loop-blocked");
    m.loop_line = 0;
    m.loop_stretch = .12;
    m.cores = m.demand = 2; /* a loop in each of two workers: nowhere else to go */
    CHECK_RULING(&m, "cpu", "ok-parallel", no_mismatch);
}

TEST(the_clock_and_an_idle_server_want_nothing)
{
    struct measures m = figures(.05, 0, 0);

    m.main.blame[REC_SLEEP] = .95;
    CHECK_RULING(&m, "sleep", "neither", no_mismatch);
    m.main.blame[REC_SLEEP] = 0;
    m.main.blame[REC_ACCEPT] = .95;
    m.server = true;
    CHECK_RULING(&m, "idle", "neither", no_mismatch);
    CHECK_STR(pattern_word(ruled(&m).is.pattern), "no-load");
}

TEST(sleeps_that_an_option_keeps_apart_want_more_at_once)
{
    struct measures m = figures(.05, 0, 0);

    m.main.blame[REC_SLEEP] = .95;
    m.told = 2;
    CHECK_RULING(&m, "sleep", "concurrency", no_mismatch);
    m.has_loop = true;
    m.loop_slept = .9;
    CHECK_RULING(&m, "sleep", "neither", "loop-blocked");
}

TEST(what_could_not_be_read_has_no_verdict)
{
    struct measures m = figures(.02, 0, 0);
    struct ruling r;

    m.main.blame[REC_UNKNOWN] = .98;
    r = ruled(&m);
    CHECK_STR(reading_bound_word(&r.is), "unknown");
    CHECK(reading_advice_word(&r.is) == NULL);
    CHECK(mismatch_word(r.is.mismatch) == NULL);
    CHECK_INT(r.why[0], RULE_UNREAD);
    m.main.run = .42; /* most of the rest is no majority */
    m.main.blame[REC_UNKNOWN] = .45;
    m.main.blame[REC_PIPE] = .13;
    CHECK_STR(reading_bound_word(&(struct reading){.unread = ruled(&m).is.unread}), "unknown");
    m.main.run = .75;
    m.main.blame[REC_UNKNOWN] = .25;
    m.main.blame[REC_PIPE] = 0;
    CHECK_RULING(&m, "cpu", "parallelism", no_mismatch);
    CHECK(!ruled(&m).is.unread);
}

TEST(close_to_half_unread_both_are_said)
{
    struct measures m = figures(.03, .5, 1);

    m.main.blame[REC_UNKNOWN] = .47;
    struct ruling r = ruled(&m);
    CHECK(r.close && !r.is.unread && r.also.unread);
    CHECK_INT(r.nearest, RULE_UNREAD);
    m.main.blame[REC_UNKNOWN] = .05; /* too little to be asked for */
    r = ruled(&m);
    for (size_t i = 0; i < r.n_asked; i++)
        CHECK(r.asked[i] != RULE_UNREAD);
}

TEST(where_nothing_was_recorded_nothing_is_said)
{
    struct measures m = figures(0, 0, 0);

    m.main.wall = m.all.wall = 0;
    CHECK(ruled(&m).is.unread);
}

TEST(a_close_call_gives_both_readings_and_names_the_threshold)
{
    struct measures m = figures(.1, .9, 3.8);
    struct ruling r = ruled(&m);

    CHECK(r.close);
    CHECK_NEAR(r.margin, .05, 1e-9);
    CHECK_STR(hob_advice_word(r.is.advice), "concurrency");
    CHECK_STR(hob_advice_word(r.also.advice), "ok-concurrent");
    CHECK_INT(r.nearest, RULE_FLIGHT);
    m.in_flight = 2;
    r = ruled(&m);
    CHECK(!r.close);
    CHECK_NEAR(r.margin, .5, 1e-9);
    CHECK_STR(hob_advice_word(r.also.advice), "concurrency");
}

TEST(where_no_share_is_large_the_largest_is_named)
{
    struct measures m = figures(.3, .2, 1);

    m.main.blame[REC_IDLE] = .29;
    struct ruling r = ruled(&m);
    CHECK_STR(hob_bound_word(r.is.bound), "cpu");
    CHECK(r.close);
    CHECK_STR(hob_bound_word(r.also.bound), "idle");
}

/* SPDX-License-Identifier: MIT
 *
 * test_predict.c - predictions against the bounds worked out by hand
 */
#include "diag/predict.h"
#include "diag_util.h"

/* 100 requests of 9 ms with 1 ms of computing for each, one after the other. */
static struct measures one_by_one(struct recording *rec)
{
    *rec = (struct recording){.tier = REC_T1, .n_cores = 4};
    struct measures m = {.rec = rec,
                         .user = 1,
                         .in_flight = 1,
                         .wait = .9,
                         .one = .009,
                         .n_ops = 100,
                         .io_procs = 1,
                         .io_kind = REC_NET,
                         .language = LANG_PYTHON};

    m.all = (struct measure_span){.wall = 1, .cpu = .1, .run = .1, .io = .9};
    m.main = m.all;
    m.cores = m.demand = 1;
    return m;
}

static struct prediction predicted(const struct measures *m)
{
    struct ruling r;
    struct prediction p;

    rule_of(m, NULL, &r);
    predict(m, &r, &p);
    return p;
}

static void check_ordered(const struct predict_gain *g)
{
    CHECK(g->low <= g->value);
    CHECK(g->value <= g->high);
}

TEST(concurrency_gains_up_to_the_knee)
{
    struct recording rec;
    struct measures m = one_by_one(&rec);
    struct prediction p = predicted(&m);

    CHECK(!p.refused);
    CHECK_NEAR(p.knee, 10, 1e-9); /* (C + W) / C on one core */
    CHECK_NEAR(p.concurrency.in_flight, 10, 1e-9);
    check_ordered(&p.concurrency);
    /* Best: 1 / 10 s; worst is slower than that, and never slower than now. */
    CHECK(p.concurrency.value <= 10);
    CHECK(p.concurrency.value >= 5);
    CHECK(p.concurrency.low >= .9);
    CHECK_NEAR(p.advice.value, p.concurrency.value, 0);
    for (size_t i = 1; i < p.n_more; i++)
        CHECK(p.more[i].seconds <= p.more[i - 1].seconds + 1e-9);
}

TEST(one_at_a_time_is_as_it_is_now)
{
    struct recording rec;
    struct measures m = one_by_one(&rec);
    struct ruling r;

    rule_of(&m, NULL, &r);
    struct predict_gain g = predict_at(&m, &r, 1, 1);
    CHECK_NEAR(g.value, 1, .01);
    CHECK(g.low < 1 && g.high >= 1);
}

TEST(cores_do_not_help_what_waits)
{
    struct recording rec;
    struct measures m = one_by_one(&rec);
    struct prediction p = predicted(&m);

    CHECK(p.parallelism.value < 1.1);
}

TEST(no_more_is_advised_than_there_are_operations)
{
    struct recording rec;
    struct measures m = one_by_one(&rec);

    m.n_ops = 8;
    CHECK_NEAR(predicted(&m).concurrency.in_flight, 4, 1e-9);
}

TEST(computing_gains_as_many_times_as_there_are_cores_at_most)
{
    struct recording rec = {.n_cores = 4};
    struct measures m = {.rec = &rec, .user = 1, .cores = 1, .demand = 1};

    m.all = m.main = (struct measure_span){.wall = 10, .cpu = 10, .run = 1};
    struct prediction p = predicted(&m);
    CHECK(p.parallelism.high >= 4 && p.parallelism.high < 4.4); /* runs differ by some per cent */
    CHECK(p.parallelism.value < 4 && p.parallelism.value > 3);
    CHECK(p.parallelism.low > 2.5);
    CHECK_NEAR(p.knee, 0, 0);
    CHECK_INT(p.n_cores, 3);
    CHECK_NEAR(p.cores[0].value, 1, .01);
}

TEST(new_workers_cost_what_their_language_takes)
{
    struct recording rec = {.n_cores = 4};
    struct measures m = {.rec = &rec, .user = 1, .cores = 1, .demand = 1};

    m.all = m.main = (struct measure_span){.wall = .5, .cpu = .5, .run = 1};
    m.language = LANG_C;
    double cheap = predicted(&m).parallelism.value;
    m.language = LANG_NODE;
    CHECK(predicted(&m).parallelism.value < cheap - .2);
}

/* 30 requests of 100 ms, hardly any computing. */
static struct measures thirty(struct recording *rec)
{
    struct measures m = one_by_one(rec);

    m.wait = 3;
    m.one = .1;
    m.n_ops = 30;
    m.has_loop = true; /* so that the cure loads nothing */
    m.all = (struct measure_span){.wall = 3, .cpu = 1e-5, .io = 1};
    m.main = m.all;
    return m;
}

static double seconds_at(const struct measures *m, double n, uint32_t p)
{
    struct ruling r;

    rule_of(m, NULL, &r);
    return predict_at(m, &r, n, p).seconds;
}

TEST(the_last_round_is_a_whole_one)
{
    struct recording rec;
    struct measures m = thirty(&rec);

    /* Paced: 10 -> 3 rounds, 16 -> 2; random: half a wait more than 3 / n.  A third between. */
    CHECK_NEAR(seconds_at(&m, 10, 1), .3, .02);
    CHECK_NEAR(seconds_at(&m, 16, 1), .2, .02);
    CHECK_NEAR(seconds_at(&m, 15, 1), seconds_at(&m, 16, 1), .02);
}

TEST(beyond_as_many_as_there_are_nothing_is_gained)
{
    struct recording rec;
    struct measures m = thirty(&rec);

    CHECK_NEAR(seconds_at(&m, 30, 1), .1, .02);
    CHECK_NEAR(seconds_at(&m, 512, 1), .1, .02);
}

TEST(the_slots_start_one_after_the_other)
{
    struct recording rec;
    struct measures m = thirty(&rec);

    m.main.cpu = m.all.cpu = .15; /* 5 ms each */
    /* One round: the last of 30 is sent after 145 ms, and takes 105. */
    CHECK_NEAR(seconds_at(&m, 30, 1), .25, .03);
}

TEST(answers_that_come_together_are_the_slow_end)
{
    struct recording rec;
    struct measures m = thirty(&rec);
    struct ruling r;

    m.main.cpu = m.all.cpu = .3; /* as much as three rounds wait */
    rule_of(&m, NULL, &r);
    struct predict_gain g = predict_at(&m, &r, 10, 1);
    CHECK(3 / g.low > .3 + .3); /* one after the other: 15 % more CPU, and what runs differ by */
    CHECK(3 / g.low < 1.2 * (.3 + .3));
    CHECK(g.seconds > .4 && g.seconds < .5);
}

TEST(a_wake_up_that_is_no_more_costs_nothing)
{
    struct recording rec;
    struct measures m = thirty(&rec);

    m.main.cpu = m.all.cpu = .06;
    double as_it_is = seconds_at(&m, 10, 1);
    m.n_waits = 30; /* of .3 ms, nine in ten of them go */
    CHECK(seconds_at(&m, 10, 1) < as_it_is);
    m.io_kind = REC_DISK; /* threads are woken one by one */
    CHECK_NEAR(seconds_at(&m, 10, 1), as_it_is, 1e-9);
}

TEST(a_pool_that_goes_need_not_be_started)
{
    struct recording rec;
    struct measures m = thirty(&rec);

    m.startup = .1;
    double without = seconds_at(&m, 10, 1);
    m.forked = true;
    m.io_procs = 4;
    CHECK(seconds_at(&m, 10, 1) < without - .01);
    CHECK_NEAR(seconds_at(&m, 1, 1), 3.1, .01);
}

TEST(start_and_ending_stay_as_they_are)
{
    struct recording rec;
    struct measures m = thirty(&rec);
    double without = seconds_at(&m, 10, 1);

    m.startup = .2;
    m.ending = .1;
    m.ending_cpu = 0;
    CHECK_NEAR(seconds_at(&m, 10, 1), without + .3, 1e-6);
}

TEST(a_last_wait_that_no_sample_met_is_no_ending)
{
    struct recording rec;
    struct measures m = thirty(&rec);

    rec.tier = REC_T2;
    rec.tick = 5 * HOB_MS;
    double without = seconds_at(&m, 10, 1);
    m.ending = .11;
    m.ending_cpu = .01;
    m.ending_idle = .1;
    CHECK_NEAR(seconds_at(&m, 10, 1), without + .01, 1e-4);
    m.ending = .51;
    m.ending_idle = .5; /* five operations long: something else */
    CHECK_NEAR(seconds_at(&m, 10, 1), without + .51, 1e-4);
    rec.tier = REC_T1;
    without = seconds_at(&m, 10, 1);
    m.ending = .11;
    m.ending_idle = .1;
    CHECK_NEAR(seconds_at(&m, 10, 1), without - .4, 1e-4);
}

TEST(the_first_threads_of_a_program_load_their_library)
{
    struct recording rec;
    struct measures m = thirty(&rec);
    double without = seconds_at(&m, 10, 1);

    m.has_loop = false;
    CHECK(seconds_at(&m, 10, 1) > without + .01);
    m.io_threads = 4;
    CHECK_NEAR(seconds_at(&m, 10, 1), without, 1e-6);
}

TEST(each_further_session_starts_too)
{
    struct recording rec;
    struct measures m = thirty(&rec);
    double without = seconds_at(&m, 5, 2);

    m.language = LANG_SQL;
    m.startup_cpu = .05;
    CHECK_NEAR(seconds_at(&m, 5, 2), without + 4 * .05 / 2, 1e-6);
}

TEST(larger_batches_leave_what_each_row_computes)
{
    struct recording rec = {.n_cores = 2, .user = 300 * HOB_MS, .system = 100 * HOB_MS};
    struct measures m = {.rec = &rec, .wait = .7, .startup = .1, .startup_cpu = .1, .fsync = 1};

    m.all = (struct measure_span){.wall = 1.1, .cpu = .4, .run = .36, .io = .64};
    m.main = (struct measure_span){.wall = 1, .cpu = .3, .run = .3, .io = .7};
    m.main.blame[REC_FSYNC] = .7;
    m.in_flight = 1;
    m.io_kind = REC_FSYNC;
    struct prediction p = predicted(&m);
    /* 0.1 start-up, 0.2 s of its own for the rows, and a twentieth of the other 0.8 s. */
    CHECK_NEAR(p.advice.seconds, .34, 1e-6);
    check_ordered(&p.advice);
}

TEST(a_local_server_that_computes_all_the_time_is_the_limit)
{
    struct recording rec;
    struct measures m = thirty(&rec);
    struct rec_peer peers[] = {{.peer_cpu = -1}, {.peer_cpu = 10 * HOB_MS}};

    rec.peers = peers;
    rec.n_peers = 2;
    rec.n_cpus = 4;
    CHECK_INT(predicted(&m).limit, 0);
    double light = predicted(&m).advice.low;
    peers[1].peer_cpu = 2 * HOB_SEC;
    struct prediction p = predicted(&m);
    CHECK_INT(p.limit, 1);
    CHECK_NEAR(p.limit_seconds, 2, 1e-9);
    /* On one core 2 s at least, on four half a second. */
    CHECK(p.advice.low < 3. / 2 && p.advice.low < light);
    CHECK(p.advice.high <= 3 / .45);
    check_ordered(&p.advice);
}

TEST(samples_are_scaled_to_the_counted_cpu_time)
{
    struct recording rec = {.tier = REC_T2, .n_cores = 2, .user = 2 * HOB_SEC};
    struct measures m = {.rec = &rec, .user = 1, .cores = 1, .demand = 2};

    m.all = m.main = (struct measure_span){.wall = 1, .cpu = 1, .run = 1};
    /* Samples saw one core busy, the kernel counted two: nothing is left to gain. */
    CHECK_NEAR(predicted(&m).parallelism.value, 1, .02);
}

TEST(nothing_is_predicted_from_a_busy_machine_or_a_short_run)
{
    struct recording rec = {.n_cores = 4};
    struct measures m = {.rec = &rec, .user = 1, .cores = 1, .demand = 1};

    m.all = m.main = (struct measure_span){.wall = 1, .cpu = 1, .run = 1};
    m.foreign = .5;
    CHECK(predicted(&m).refused != NULL);
    m.foreign = .3;
    CHECK(predicted(&m).refused == NULL);
    m.all.wall = .1;
    CHECK(predicted(&m).refused != NULL);
}

TEST(nothing_is_predicted_from_a_recording_with_large_holes)
{
    struct recording rec;
    struct measures m = one_by_one(&rec);

    rec.n_switches = 1000;
    rec.n_lost = 100; /* of 1,100 */
    CHECK(predicted(&m).refused == NULL);
    rec.n_lost = 120;
    CHECK(predicted(&m).refused != NULL);
}

TEST(load_on_cores_that_the_cure_does_not_need_is_no_reason)
{
    struct recording rec;
    struct measures m = one_by_one(&rec);

    m.foreign = 2.5; /* of 4; one loop needs one */
    CHECK(predicted(&m).refused == NULL);
    m.foreign = 3.5;
    CHECK(predicted(&m).refused != NULL);
    m.foreign = 2.5;
    m.main.no_core = .2; /* but it was kept from running */
    CHECK(predicted(&m).refused != NULL);
}

/* Samples in which it always ran or could: the same mixture as before, and no ending. */
TEST(an_ending_that_computes_no_more_than_what_was_before_is_none)
{
    struct recording rec;
    struct measures m = thirty(&rec);

    rec.tier = REC_T2;
    rec.tick = 5 * HOB_MS;
    m.main.cpu = m.all.cpu = 1.2; /* two fifths of the time */
    double without = seconds_at(&m, 10, 4);
    m.ending = .5;
    m.ending_cpu = .2;
    CHECK_NEAR(seconds_at(&m, 10, 4), without, 1e-3);
    m.ending_cpu = .5; /* a serial end */
    CHECK(seconds_at(&m, 10, 4) > without + .3);
}

TEST(what_computes_varies_more_than_what_waits)
{
    struct recording rec;
    struct measures waits = thirty(&rec), computes = waits;

    computes.all.run = .9;
    struct predict_gain a = predicted(&waits).concurrency, b = predicted(&computes).concurrency;
    CHECK_NEAR(a.value, b.value, 1e-9);
    CHECK(b.low < a.low && b.high > a.high);
}

/* Samples of threads that take turns overlap, and leave gaps in which all seem to wait. */
TEST(threads_that_take_turns_have_one_core)
{
    struct recording rec = {.tier = REC_T2, .n_cores = 2, .user = 2 * HOB_SEC};
    struct measures m = {.rec = &rec, .user = 1, .cores = 1.3, .demand = 1.3};

    m.all = m.main = (struct measure_span){.wall = 2, .cpu = 2, .run = .8};
    m.all.blame[REC_LOCK] = m.main.blame[REC_LOCK] = .2;
    CHECK(predicted(&m).parallelism.value < 1.5);
    m.rivals =
        (struct measure_rivals){.n = 4, .even = 4, .overlap = .02, .contended = 2.8, .turn = .005};
    CHECK(predicted(&m).parallelism.value > 1.7);
}

/* `true` beside programs that have every core is there for long and hardly runs. */
TEST(what_was_without_a_core_was_not_seen)
{
    struct recording rec;
    struct measures m = one_by_one(&rec);

    CHECK(!predict_doubt(&m));
    m.all.no_core = .5;
    m.all.nothing = .2;
    CHECK(!predict_doubt(&m)); /* 0.3 s are left */
    m.all.no_core = .7;
    CHECK_STR(predict_doubt(&m), "too short");
    CHECK(strstr(predicted(&m).refused, "too short to see"));
}

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
    CHECK_NEAR(p.parallelism.high, 4 / .95, .01);
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

TEST(nothing_is_predicted_from_a_busy_machine_or_a_short_run)
{
    struct recording rec;
    struct measures m = one_by_one(&rec);

    m.foreign = .5;
    CHECK(predicted(&m).refused != NULL);
    m.foreign = .3;
    CHECK(predicted(&m).refused == NULL);
    m.all.wall = .1;
    CHECK(predicted(&m).refused != NULL);
}

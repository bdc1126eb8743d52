/* SPDX-License-Identifier: MIT
 *
 * test_track.c - samples that are given, and the intervals made of them
 */
#include <hob/base.h>

#include "diag/track.h"
#include "lib/t.h"

static struct recording rec;
static struct track track;

/* A thread that waits for the network at 0. */
static void begin_waiting(void)
{
    struct look net = {.kind = REC_NET, .in_flight = 1, .timeout = -1};

    rec_init(&rec);
    track_begin(&track, rec_thread_of(&rec, 1, 1), 0, &(struct procfs_sched){0}, &net);
}

static void begin_running(void)
{
    rec_init(&rec);
    track_begin(&track, rec_thread_of(&rec, 1, 1), 0, &(struct procfs_sched){0}, NULL);
}

static void wait_at(int64_t ms, double run_ms, double ready_ms, uint64_t turns, int kind)
{
    struct procfs_sched c = {(uint64_t)(run_ms * HOB_MS), (uint64_t)(ready_ms * HOB_MS), turns};
    struct look look = {.kind = (uint8_t)kind, .timeout = -1};

    if (!track_same(&track, &c))
        track_waits(&track, &rec, ms * HOB_MS, &c, &look);
}

static void flush_at(int64_t ms, double run_ms, double ready_ms, double *phase)
{
    struct procfs_sched c = {(uint64_t)(run_ms * HOB_MS), (uint64_t)(ready_ms * HOB_MS), 1};

    track_runs(&track, ms * HOB_MS, &c);
    track_flush(&track, &rec, ms * HOB_MS, &c, 0, phase);
}

/* us in a state, of that kind when it waits, until the end. */
static long total(int state, int kind)
{
    const struct rec_thread *t = &rec.threads[0];
    int64_t sum = 0, last = 0;

    for (size_t i = 0; i < t->n_ivals; i++) {
        const struct rec_ival *v = &t->ivals[i];
        CHECK(v->from == last); /* nothing is left out */
        last = v->to;
        if (v->state == state && (state != REC_WAIT || v->kind == kind))
            sum += v->to - v->from;
    }
    return (long)(sum / HOB_US);
}

TEST(one_wait_is_one_interval)
{
    begin_waiting();
    for (int i = 1; i < 100; i++)
        wait_at(i, 0, 0, 0, REC_NET);
    track_end(&track, &rec, 100 * HOB_MS, false);
    CHECK_INT(rec.threads[0].n_ivals, 1);
    CHECK_INT(total(REC_WAIT, REC_NET), 100000);
    rec_free(&rec);
}

TEST(counters_say_what_lay_between_two_waits)
{
    begin_waiting();
    wait_at(10, 2, 1, 3, REC_DISK);
    track_end(&track, &rec, 20 * HOB_MS, false);
    CHECK_INT(total(REC_RUN, 0), 2000);
    CHECK_INT(total(REC_READY, 0), 1000);
    CHECK_INT(total(REC_WAIT, REC_NET), 3500);
    CHECK_INT(total(REC_WAIT, REC_DISK), 13500);
    rec_free(&rec);
}

TEST(a_wait_lasted_at_least_until_the_last_sample_in_it)
{
    begin_waiting();
    track_still(&track, 98 * HOB_MS);
    wait_at(100, 1, 0, 1, REC_DISK);
    track_end(&track, &rec, 100 * HOB_MS, false);
    CHECK_INT(total(REC_RUN, 0), 1000);
    CHECK_INT(total(REC_WAIT, REC_NET), 98500);
    CHECK_INT(total(REC_WAIT, REC_DISK), 500);
    rec_free(&rec);
}

TEST(samples_in_which_it_ran_bound_the_waits)
{
    begin_waiting();
    track_runs(&track, 6 * HOB_MS, &(struct procfs_sched){0});
    track_runs(&track, 9 * HOB_MS, &(struct procfs_sched){0});
    wait_at(10, 4, 0, 2, REC_DISK);
    track_end(&track, &rec, 10 * HOB_MS, false);
    const struct rec_thread *t = &rec.threads[0];
    CHECK_INT(t->ivals[0].kind, REC_NET);
    CHECK(t->ivals[0].to <= 6 * HOB_MS);
    CHECK(t->ivals[t->n_ivals - 1].from >= 9 * HOB_MS);
    CHECK_INT(total(REC_RUN, 0), 4000);
    rec_free(&rec);
}

TEST(a_counter_that_lags_is_caught_up)
{
    double phase = 0;

    begin_running();
    flush_at(20, 16, 0, &phase); /* 4 ms behind */
    flush_at(40, 36, 0, &phase);
    wait_at(50, 45, 0, 2, REC_NET); /* 5 ms of the 50 were waits */
    track_end(&track, &rec, 50 * HOB_MS, false);
    CHECK_INT(total(REC_RUN, 0), 45000);
    CHECK_INT(track.added, 45 * HOB_MS);
    rec_free(&rec);
}

TEST(threads_that_share_a_core_take_turns)
{
    double phase = 0;
    int64_t ran[4] = {0};

    for (int i = 0; i < 4; i++) {
        begin_running();
        flush_at(20, 5, 15, &phase);
        CHECK_INT(total(REC_RUN, 0), 5000);
        CHECK_INT(total(REC_READY, 0), 15000);
        for (size_t k = 0; k < rec.threads[0].n_ivals; k++)
            if (rec.threads[0].ivals[k].state == REC_RUN)
                ran[i] = rec.threads[0].ivals[k].from;
        CHECK_INT(ran[i], i * 5 * HOB_MS);
        rec_free(&rec);
    }
}

TEST(what_ends_between_two_samples_ends_in_the_middle)
{
    begin_waiting();
    wait_at(10, 0, 0, 0, REC_NET);
    track.at = 10 * HOB_MS;
    track_end(&track, &rec, 12 * HOB_MS, true);
    CHECK_INT(total(REC_WAIT, REC_NET), 11000);
    rec_free(&rec);
}

TEST(a_set_on_which_another_thread_sends_is_in_flight_since_it_was_sent)
{
    struct look idle = {.kind = REC_IDLE, .flags = REC_IVAL_SET, .timeout = -1};
    struct look net = {.kind = REC_NET, .in_flight = 3, .timeout = -1, .sent_ago = 5 * HOB_MS};

    rec_init(&rec);
    track_begin(&track, rec_thread_of(&rec, 1, 1), 0, &(struct procfs_sched){0}, &idle);
    track_relook(&track, &rec, 15 * HOB_MS, &net);
    track_end(&track, &rec, 30 * HOB_MS, false);
    CHECK_INT(total(REC_WAIT, REC_IDLE), 10000);
    CHECK_INT(total(REC_WAIT, REC_NET), 20000);
    rec_free(&rec);
}

/* From 10 ms on it waits for 3, as far as is known; at 40 ms for 5, the last of them sent by `ago`
 */
static void relooked(int64_t ago, int64_t *ret_three, int64_t *ret_five)
{
    struct look three = {.kind = REC_NET, .in_flight = 3, .timeout = -1, .flags = REC_IVAL_SET};
    struct look five = three;

    five.in_flight = 5;
    five.sent_ago = five.newest_ago = ago;
    rec_init(&rec);
    track_begin(&track, rec_thread_of(&rec, 1, 1), 10 * HOB_MS, &(struct procfs_sched){0}, &three);
    track_relook(&track, &rec, 40 * HOB_MS, &five);
    track_end(&track, &rec, 50 * HOB_MS, false);
    *ret_three = *ret_five = 0;
    for (size_t i = 0; i < rec.threads[0].n_ivals; i++) {
        const struct rec_ival *iv = &rec.threads[0].ivals[i];
        *(iv->in_flight == 3 ? ret_three : ret_five) += (iv->to - iv->from) / HOB_MS;
    }
    rec_free(&rec);
}

TEST(a_better_count_of_what_was_sent_before_the_wait_is_of_all_of_it)
{
    int64_t three, five;

    relooked(35 * HOB_MS, &three, &five); /* before the wait */
    CHECK_INT(three, 0);
    CHECK_INT(five, 40);
    relooked(5 * HOB_MS, &three, &five); /* in it, by another thread */
    CHECK_INT(three, 30);
    CHECK_INT(five, 10);
    relooked(-1, &three, &five); /* nobody knows */
    CHECK_INT(three, 30);
    CHECK_INT(five, 10);
}

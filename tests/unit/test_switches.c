/* SPDX-License-Identifier: MIT
 *
 * test_switches.c - a recording from switch records, and what is asked beside them
 *
 * Length: one file as the files of switches share one state; its cases share one made world.
 */
#include "diag/switches.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "diag/wakers.h"

#include "lib/t.h"

/* No process has these numbers, so that nothing of a real one is read. */
enum { PID = 0x7ffffff0, TID2 = 0x7ffffff1, CHILD = 0x7ffffff2, TICK = 1000 * 1000 };

/* What the looker would say: of the thread asked for, from a table set by the test. */
static struct {
    int answer;
    struct look look;
    int looks, loops, flights, gone, stands;
    int stands_result;
    bool ready;
} eye = {.answer = -ESRCH};

int look_at(struct looker *l, int32_t pid, int32_t tid, struct look *ret)
{
    eye.looks++;
    if (eye.answer == LOOK_WAITS)
        *ret = eye.look;
    return eye.answer;
}

uint8_t look_kind_ended(const struct look *k, int64_t lasted)
{
    return k->timeout >= 0 && lasted >= k->timeout ? REC_SLEEP : k->kind;
}

int look_loop(struct looker *l, int32_t pid, int32_t tid, struct rec_look *ret)
{
    eye.loops++;
    ret->ready = eye.ready;
    ret->outside = eye.ready;
    ret->io_calls = 5;
    return 0;
}

int look_stands(struct looker *l, int32_t pid, int32_t tid, const struct look *waits,
                struct rec_look *ret)
{
    eye.stands++;
    if (eye.stands_result < 0)
        return eye.stands_result;
    ret->ready = eye.ready;
    ret->outside = eye.ready;
    ret->stands = true;
    return 0;
}

bool look_may_stand(const struct look *waits)
{
    return waits->kind == REC_CHILD;
}

void look_flight(struct looker *l, int32_t pid, uint32_t thread, int64_t at)
{
    eye.flights++;
}

void looker_gone(struct looker *l, int32_t pid)
{
    eye.gone++;
}

static struct recording rec;
static struct switches *s;

static void begin(void)
{
    rec_init(&rec);
    rec.n_cpus = 4;
    CHECK_INT(switches_new(&rec, NULL, &s), 0);
}

static void end(int64_t at)
{
    switches_finish(s, at);
    switches_free(s);
}

static void happens(uint8_t what, int32_t pid, int32_t tid, int64_t at)
{
    struct switch_event e = {.what = what, .pid = pid, .tid = tid, .cpu = 2, .parent = PID};

    snprintf(e.name, sizeof e.name, "name");
    switches_apply(s, &e, at);
}

static void waits_for(enum rec_kind kind, const char *peer)
{
    eye.answer = LOOK_WAITS;
    eye.look = (struct look){
        .kind = kind, .peer = rec_peer_of(&rec, kind, peer), .in_flight = 1, .timeout = -1};
}

/* Interval i of the thread's row, which must be this. */
static void is(size_t thread, size_t i, uint8_t state, uint8_t kind, int64_t from, int64_t to)
{
    CHECK(thread < rec.n_threads && i < rec.threads[thread].n_ivals);
    const struct rec_ival *v = &rec.threads[thread].ivals[i];
    CHECK_INT(v->state, state);
    CHECK_INT(v->kind, kind);
    CHECK_INT(v->from, from);
    CHECK_INT(v->to, to);
}

TEST(a_thread_runs_waits_and_is_looked_at)
{
    begin();
    happens(SWITCH_EXEC, PID, PID, 100);
    happens(SWITCH_OUT, PID, PID, 500);
    waits_for(REC_NET, "tcp 10.0.0.1:80");
    switches_look(s, TICK, TICK, true);
    CHECK_INT(eye.looks, 1);
    switches_look(s, 2 * TICK, TICK, true); /* an open wait does not change: once is enough */
    CHECK_INT(eye.looks, 1);
    happens(SWITCH_IN, PID, PID, 3 * TICK);
    happens(SWITCH_PREEMPTED, PID, PID, 4 * TICK);
    happens(SWITCH_IN, PID, PID, 5 * TICK);
    happens(SWITCH_EXIT, PID, PID, 6 * TICK);
    is(0, 0, REC_RUN, REC_NO_KIND, 100, 500);
    is(0, 1, REC_WAIT, REC_NET, 500, 3 * TICK);
    is(0, 2, REC_RUN, REC_NO_KIND, 3 * TICK, 4 * TICK);
    is(0, 3, REC_READY, REC_NO_KIND, 4 * TICK, 5 * TICK);
    is(0, 4, REC_RUN, REC_NO_KIND, 5 * TICK, 6 * TICK);
    CHECK_INT(rec.threads[0].n_ivals, 5);
    CHECK_INT(rec.threads[0].ivals[0].core, 2);
    CHECK_INT(rec.threads[0].died, 6 * TICK);
    CHECK_INT(rec.procs[0].died, 6 * TICK);
    CHECK_INT(rec.n_waits, 1);
    CHECK_INT(rec.n_looked, 1);
    CHECK_INT(switches_live(s), 0);
    CHECK(eye.gone > 0);
    end(7 * TICK);
    rec_free(&rec);
}

TEST(a_wait_found_over_is_a_wait_for_a_core)
{
    begin();
    happens(SWITCH_EXEC, PID, PID, 0);
    happens(SWITCH_OUT, PID, PID, 500);
    eye.answer = LOOK_RUNS;
    switches_look(s, TICK, TICK, true);
    happens(SWITCH_IN, PID, PID, 5 * TICK);
    is(0, 1, REC_WAIT, REC_UNKNOWN, 500, TICK);
    is(0, 2, REC_READY, REC_NO_KIND, TICK, 5 * TICK);
    end(6 * TICK);
    rec_free(&rec);
}

static void wakes(int32_t waker, int32_t woken, bool interrupt, int64_t at)
{
    struct switch_event e = {
        .what = SWITCH_WAKE, .pid = PID, .tid = waker, .woken = woken, .interrupt = interrupt};

    switches_apply(s, &e, at);
}

TEST(a_wake_ends_a_wait_and_says_who_did_it)
{
    begin();
    switches_wakes(s);
    happens(SWITCH_EXEC, PID, PID, 0);
    happens(SWITCH_FORK, PID, TID2, 100);
    happens(SWITCH_IN, PID, TID2, 200);
    wakes(PID, TID2, false, 300); /* it is on CPU: not asleep yet */
    happens(SWITCH_OUT, PID, TID2, 400);
    waits_for(REC_LOCK, "");
    switches_look(s, TICK, TICK, true);
    wakes(PID, TID2, false, 2 * TICK);
    wakes(PID, CHILD, false, 2 * TICK); /* of another program */
    eye.answer = LOOK_RUNS;
    switches_look(s, 3 * TICK, TICK, true);
    happens(SWITCH_IN, PID, TID2, 4 * TICK);
    is(1, 2, REC_WAIT, REC_LOCK, 400, 2 * TICK);
    is(1, 3, REC_READY, REC_NO_KIND, 2 * TICK, 4 * TICK);
    CHECK_INT(rec.n_wakes, 1);
    CHECK_INT(rec.wakes[0].waker, 0);
    CHECK_INT(rec.wakes[0].woken, 1);
    CHECK_INT(rec.wakes[0].at, 2 * TICK);
    CHECK_INT(switches_wakes_heard(s), 1);
    end(5 * TICK);
    rec_free(&rec);
}

TEST(an_interrupt_ends_a_wait_and_is_nobody)
{
    begin();
    switches_wakes(s);
    happens(SWITCH_EXEC, PID, PID, 0);
    happens(SWITCH_FORK, PID, TID2, 100);
    happens(SWITCH_IN, PID, TID2, 200);
    happens(SWITCH_OUT, PID, TID2, 400);
    wakes(PID, TID2, true, 1000);
    eye.answer = LOOK_RUNS;
    switches_look(s, TICK, TICK, true); /* a look found it over: later than it was */
    happens(SWITCH_IN, PID, TID2, 2 * TICK);
    is(1, 2, REC_WAIT, REC_UNKNOWN, 400, 1000);
    is(1, 3, REC_READY, REC_NO_KIND, 1000, 2 * TICK);
    CHECK_INT(rec.n_wakes, 0);
    end(5 * TICK);
    rec_free(&rec);
}

TEST(the_end_of_a_child_wakes_its_parent)
{
    for (int asked = 0; asked < 2; asked++) {
        begin();
        if (asked)
            switches_wakes(s);
        happens(SWITCH_EXEC, PID, PID, 0);
        happens(SWITCH_FORK, CHILD, CHILD, 100);
        happens(SWITCH_IN, CHILD, CHILD, 200);
        happens(SWITCH_OUT, PID, PID, 400);
        waits_for(REC_CHILD, "");
        switches_look(s, TICK, TICK, true);
        happens(SWITCH_EXIT, CHILD, CHILD, 2 * TICK);
        happens(SWITCH_IN, PID, PID, 3 * TICK);
        CHECK_INT(rec.n_wakes, asked);
        if (asked) {
            CHECK_INT(rec.wakes[0].waker, 1);
            CHECK_INT(rec.wakes[0].woken, 0);
        }
        end(4 * TICK);
        rec_free(&rec);
    }
}

TEST(a_timed_out_wait_for_a_lock_was_a_sleep)
{
    begin();
    happens(SWITCH_EXEC, PID, PID, 0);
    happens(SWITCH_OUT, PID, PID, 500);
    waits_for(REC_LOCK, "");
    eye.look.timeout = 2 * TICK;
    switches_look(s, TICK, TICK, true);
    happens(SWITCH_IN, PID, PID, 4 * TICK);
    is(0, 1, REC_WAIT, REC_SLEEP, 500, 4 * TICK);
    end(6 * TICK);
    rec_free(&rec);
}

/* 1,000 waits of 50 us, of which every tenth is looked at: 3 for a disk, 1 for a lock, in turn. */
TEST(waits_nobody_saw_get_the_kinds_of_those_seen)
{
    int64_t at = 0, sum[REC_N_KINDS] = {0}, all = 0;

    begin();
    happens(SWITCH_EXEC, PID, PID, 0);
    for (int i = 0; i < 1000; i++) {
        at += 1000;
        happens(SWITCH_OUT, PID, PID, at);
        waits_for(i / 10 % 4 == 3 ? REC_LOCK : REC_DISK, "x");
        if (i % 10 == 0)
            switches_look(s, at + 10, TICK, true);
        at += 50 * 1000;
        happens(SWITCH_IN, PID, PID, at);
    }
    end(at + 1000);
    for (size_t i = 0; i < rec.threads[0].n_ivals; i++) {
        const struct rec_ival *v = &rec.threads[0].ivals[i];

        if (v->state != REC_WAIT)
            continue;
        sum[v->kind] += v->to - v->from;
        all += v->to - v->from;
    }
    CHECK_INT(rec.n_waits, 1000);
    CHECK_INT(rec.n_looked, 100);
    CHECK_INT(sum[REC_UNKNOWN], 0);
    CHECK(sum[REC_LOCK] > all * 23 / 100 && sum[REC_LOCK] < all * 27 / 100);
    CHECK_INT(sum[REC_LOCK] + sum[REC_DISK], all);
    rec_free(&rec);
}

/* A long wait was certain to be seen: it says nothing of the short ones between its like. */
TEST(long_waits_do_not_stand_for_short_ones)
{
    int64_t at = 0, lock = 0, net = 0;

    begin();
    happens(SWITCH_EXEC, PID, PID, 0);
    for (int i = 0; i < 400; i++) {
        bool is_long = i % 20 == 19;

        happens(SWITCH_OUT, PID, PID, at += 1000);
        waits_for(is_long ? REC_NET : REC_LOCK, "x");
        if (is_long || i % 20 == 3)
            switches_look(s, at + 10, TICK, true);
        happens(SWITCH_IN, PID, PID, at += is_long ? 50 * TICK : 20 * 1000);
    }
    end(at + 1000);
    for (size_t i = 0; i < rec.threads[0].n_ivals; i++) {
        const struct rec_ival *v = &rec.threads[0].ivals[i];

        lock += v->kind == REC_LOCK && v->to - v->from < TICK ? v->to - v->from : 0;
        net += v->kind == REC_NET && v->to - v->from < TICK ? v->to - v->from : 0;
    }
    CHECK(net < (lock + net) / 20);
    rec_free(&rec);
}

TEST(processes_and_threads_come_and_go)
{
    begin();
    happens(SWITCH_EXEC, PID, PID, 0);
    rec_set_text(&rec, &rec.procs[0].exe, "/bin/tool");
    happens(SWITCH_FORK, PID, TID2, 10);
    happens(SWITCH_FORK, CHILD, CHILD, 20);
    CHECK_INT(switches_live(s), 3);
    CHECK_INT(rec.n_procs, 2);
    CHECK_INT(rec.procs[1].parent, PID);
    CHECK_STR(rec.procs[1].exe, "/bin/tool"); /* until its exec */
    happens(SWITCH_IN, CHILD, CHILD, 30);
    is(2, 0, REC_READY, REC_NO_KIND, 20, 30);
    happens(SWITCH_EXIT, PID, PID, 40); /* the first thread; the process has another */
    CHECK_INT(rec.procs[0].died, INT64_MAX);
    happens(SWITCH_EXIT, PID, TID2, 50);
    CHECK_INT(rec.procs[0].died, 50);
    happens(SWITCH_EXIT, CHILD, CHILD, 60);
    is(2, 1, REC_RUN, REC_NO_KIND, 30, 60);
    happens(SWITCH_FORK, CHILD, CHILD, 70); /* the number is used again */
    CHECK_INT(rec.n_threads, 4);
    CHECK_INT(switches_live(s), 1);
    end(80);
    CHECK_INT(rec.threads[3].died, INT64_MAX);
    rec_free(&rec);
}

TEST(an_exec_ends_the_other_threads)
{
    begin();
    happens(SWITCH_EXEC, PID, PID, 0);
    for (int i = 0; i < 600; i++)
        happens(SWITCH_FORK, PID, PID - 1 - i, 10);
    CHECK_INT(switches_live(s), 601);
    happens(SWITCH_EXEC, PID, PID, 20);
    CHECK_INT(switches_live(s), 1);
    CHECK_STR(rec.threads[0].name, "name");
    end(30);
    rec_free(&rec);
}

TEST(records_that_do_not_fit_add_nothing)
{
    begin();
    happens(SWITCH_OUT, PID, PID, 100); /* first heard of: since when it ran is not known */
    happens(SWITCH_IN, PID, PID, 200);
    happens(SWITCH_IN, PID, PID, 900); /* its going off was lost */
    happens(SWITCH_OUT, PID, PID, 1000);
    happens(SWITCH_OUT, PID, PID, 1900);
    happens(SWITCH_EXIT, TID2, TID2, 1950); /* never heard of */
    happens(SWITCH_IN, 0, 0, 1960);
    happens(SWITCH_IN, -1, -1, 1970);
    struct switch_event lost = {.what = SWITCH_LOST, .n_lost = 77};
    switches_apply(s, &lost, 1980);
    end(2000);
    is(0, 0, REC_WAIT, REC_UNKNOWN, 100, 200);
    is(0, 1, REC_RUN, REC_NO_KIND, 900, 1000);
    is(0, 2, REC_WAIT, REC_UNKNOWN, 1900, 2000);
    CHECK_INT(rec.threads[0].n_ivals, 3);
    CHECK_INT(rec.n_threads, 1);
    CHECK_INT(rec.n_lost, 77);
    rec_free(&rec);
}

TEST(a_thread_that_computes_is_asked_about_its_loop)
{
    begin();
    happens(SWITCH_EXEC, PID, PID, 0);
    eye.ready = true;
    for (int64_t at = TICK; at <= 50 * TICK; at += TICK)
        switches_look(s, at, TICK, true);
    CHECK(eye.loops >= 8 && eye.loops <= 10); /* from 10 ms on, each 5 */
    CHECK(switches_soon(s) > 50 * TICK && switches_soon(s) <= 55 * TICK); /* others wait */
    CHECK_INT(rec.n_looks, eye.loops);
    CHECK(eye.flights >= eye.loops); /* what is in flight, too */
    CHECK(rec.looks[0].ready && rec.looks[0].io_calls == 5 && rec.looks[0].at >= 10 * TICK);
    end(50 * TICK);
    rec_free(&rec);
}

/* 10 ms in which it computes 3 of 4 us and waits the fourth, and 90 of which nothing is known. */
TEST(a_thread_that_was_preempted_is_asked_about_its_loop)
{
    begin();
    happens(SWITCH_EXEC, PID, PID, 0);
    happens(SWITCH_IN, PID, PID, 0);
    for (int64_t at = TICK; at <= 50 * TICK; at += TICK) { /* our own wake takes its core */
        happens(SWITCH_PREEMPTED, PID, PID, at);
        switches_look(s, at, TICK, true);
        happens(SWITCH_IN, PID, PID, at + TICK / 10);
    }
    CHECK(eye.loops >= 8 && eye.loops <= 10);
    CHECK(switches_soon(s) == INT64_MAX); /* nobody waits */
    end(51 * TICK);
    rec_free(&rec);
}

TEST(however_often_it_waited_it_is_asked_once_in_a_wait_whether_it_is_a_loop)
{
    int64_t at = TICK;

    begin();
    happens(SWITCH_EXEC, PID, PID, 0);
    happens(SWITCH_IN, PID, PID, 0);
    eye.answer = LOOK_WAITS;
    eye.look = (struct look){.kind = REC_CHILD, .timeout = -1, .set_fd = -1};
    eye.stands_result = -ENOENT;
    for (int i = 0; i < 20; i++) { /* waits of 2 ms, each seen */
        happens(SWITCH_OUT, PID, PID, at);
        at += TICK;
        switches_look(s, at, TICK, true);
        at += TICK;
        happens(SWITCH_IN, PID, PID, at);
    }
    happens(SWITCH_OUT, PID, PID, at);
    for (int i = 0; i < 30; i++) {
        at += TICK;
        switches_look(s, at, TICK, true);
    }
    CHECK_INT(eye.stands, 1);
    end(at + TICK);
    rec_free(&rec);
}

TEST(a_thread_that_waits_as_no_loop_should_is_asked_whether_it_is_one)
{
    begin();
    happens(SWITCH_EXEC, PID, PID, 0);
    happens(SWITCH_IN, PID, PID, 0);
    happens(SWITCH_OUT, PID, PID, TICK);
    eye.answer = LOOK_WAITS;
    eye.look = (struct look){.kind = REC_CHILD, .timeout = -1, .set_fd = -1};
    eye.ready = true;
    for (int64_t at = 2 * TICK; at <= 31 * TICK; at += TICK)
        switches_look(s, at, TICK, true);
    CHECK(eye.stands >= 5 && eye.stands <= 6); /* from 5 ms on, each 5 */
    CHECK_INT(rec.n_looks, eye.stands);
    CHECK(rec.looks[0].stands && rec.looks[0].at >= 6 * TICK);
    happens(SWITCH_IN, PID, PID, 32 * TICK);
    switches_look(s, 40 * TICK, TICK, true);
    CHECK_INT(rec.n_looks, eye.stands); /* it runs again */
    end(41 * TICK);
    rec_free(&rec);
}

TEST(a_thread_that_is_no_loop_is_asked_once_a_wait)
{
    begin();
    happens(SWITCH_EXEC, PID, PID, 0);
    happens(SWITCH_IN, PID, PID, 0);
    eye.stands_result = -ENOENT;
    eye.look = (struct look){.kind = REC_CHILD, .timeout = -1, .set_fd = -1};
    for (int wait = 0; wait < 3; wait++) {
        int64_t from = (1 + 40 * wait) * TICK;

        eye.answer = LOOK_WAITS;
        happens(SWITCH_OUT, PID, PID, from);
        for (int64_t at = from + TICK; at <= from + 30 * TICK; at += TICK)
            switches_look(s, at, TICK, true);
        CHECK_INT(eye.stands, wait + 1);
        happens(SWITCH_IN, PID, PID, from + 31 * TICK);
    }
    CHECK_INT(rec.n_looks, 0);
    end(130 * TICK);
    rec_free(&rec);
}

TEST(a_set_on_which_another_thread_sends_is_in_flight_since_it_was_sent)
{
    begin();
    happens(SWITCH_EXEC, PID, PID, 0);
    happens(SWITCH_FORK, PID, TID2, 0);
    happens(SWITCH_OUT, PID, PID, TICK);
    eye.answer = LOOK_WAITS;
    eye.look = (struct look){.kind = REC_IDLE, .flags = REC_IVAL_SET, .timeout = -1};
    switches_look(s, 2 * TICK, TICK, true);
    eye.look = (struct look){.kind = REC_NET,
                             .flags = REC_IVAL_SET,
                             .peer = rec_peer_of(&rec, REC_NET, "tcp 10.0.0.1:80"),
                             .in_flight = 3,
                             .timeout = -1,
                             .sent_ago = 5 * TICK};
    switches_look(s, 15 * TICK, TICK, true);
    happens(SWITCH_IN, PID, PID, 30 * TICK);
    is(0, 1, REC_WAIT, REC_IDLE, TICK, 10 * TICK);
    is(0, 2, REC_WAIT, REC_NET, 10 * TICK, 30 * TICK);
    end(31 * TICK);
    rec_free(&rec);
}

TEST(a_gap_is_filled_with_what_was_before)
{
    int64_t at = 0;

    begin();
    happens(SWITCH_EXEC, getpid(), getpid(), 0);
    waits_for(REC_PIPE, "");
    while (at < 10 * TICK) {
        happens(SWITCH_OUT, getpid(), getpid(), at += 3000);
        if (at / 4000 % 16 == 0)
            switches_look(s, at, TICK, true);
        happens(SWITCH_IN, getpid(), getpid(), at += 1000);
    }
    size_t before = rec.threads[0].n_ivals;
    switches_pause(s, at);
    switches_resume(s, 100 * TICK);
    const struct rec_ival *v = &rec.threads[0].ivals[before];
    CHECK_INT(rec.threads[0].n_ivals, before + 1);
    CHECK_INT(v->from, at);
    CHECK_INT(v->to, 100 * TICK);
    CHECK_INT(v->flags, REC_IVAL_FOLDED | REC_IVAL_GUESSED);
    CHECK(v->run_ppm > 740000 && v->run_ppm < 760000);
    CHECK_INT(v->kind, REC_PIPE);
    end(101 * TICK);
    rec_free(&rec);
}

/* Many threads make a gap of seconds, and what there was before is over. */
TEST(a_long_gap_is_filled_with_what_the_kernel_counted)
{
    const int64_t at = TICK, to = at + 2 * HOB_SEC;
    const struct rec_ival *v;

    begin();
    waits_for(REC_SLEEP, "");
    happens(SWITCH_EXEC, getpid(), getpid(), 0); /* it computes all the time, as it seems */
    happens(SWITCH_FORK, PID, PID + 1, 0);       /* there is no such process */
    happens(SWITCH_IN, PID, PID + 1, TICK / 2);
    happens(SWITCH_OUT, PID, PID + 1, TICK / 2 + 1000);
    happens(SWITCH_FORK, PID, PID + 2, 0);
    happens(SWITCH_IN, PID, PID + 2, TICK / 2);
    switches_pause(s, at);
    switches_resume(s, to);
    v = &rec.threads[0].ivals[rec.threads[0].n_ivals - 1];
    CHECK(v->from == at && v->to == to);
    CHECK(v->state == REC_WAIT && v->run_ppm < 500000); /* this test took less than a second */
    v = &rec.threads[2].ivals[rec.threads[2].n_ivals - 1];
    CHECK(v->from == at && v->to == to);
    CHECK(v->run_ppm + v->ready_ppm == 0 && v->kind == REC_UNKNOWN);
    CHECK_INT(switches_live(s), 3);
    switches_look(s, to + TICK, TICK, true);
    end(to + 2 * TICK);
    v = &rec.threads[1].ivals[rec.threads[1].n_ivals - 1]; /* still in the wait it was in */
    CHECK(v->state == REC_WAIT && v->run_ppm == 0 && v->ready_ppm == 0);
    CHECK(v->from <= at && v->to == to + 2 * TICK);
    rec_free(&rec);
}

TEST(one_that_ended_in_a_gap_is_gone)
{
    begin();
    happens(SWITCH_EXEC, PID, PID, 0); /* there is no such process */
    happens(SWITCH_OUT, PID, PID, 100);
    switches_pause(s, 10 * TICK);
    switches_resume(s, 100 * TICK);
    switches_pause(s, 110 * TICK); /* it did nothing since: is it there? */
    switches_resume(s, 200 * TICK);
    CHECK_INT(switches_live(s), 0);
    CHECK_INT(rec.threads[0].died, 110 * TICK);
    end(201 * TICK);
    rec_free(&rec);
}

static size_t room(void)
{
    size_t n = 0;

    for (size_t i = 0; i < rec.n_threads; i++)
        n += rec.threads[i].cap_ivals;
    return n;
}

/* A thousand times what it may keep: two threads that wake each other, and processes that come and
 * go. */
TEST(a_run_of_any_length_stays_within_its_bounds)
{
    enum { IVALS = 2000, PAIRS = 500000, CHILDREN = 100 };
    int64_t at = 0;

    begin();
    switches_wakes(s);
    rec.max_ivals = IVALS;
    happens(SWITCH_EXEC, PID, PID, at);
    happens(SWITCH_FORK, PID, TID2, ++at);
    for (int i = 0; i < PAIRS; i++) {
        int32_t me = i % 2 ? PID : TID2, other = i % 2 ? TID2 : PID;

        happens(SWITCH_IN, PID, me, at += 1000);
        switches_apply(
            s, &(struct switch_event){.what = SWITCH_WAKE, .pid = PID, .tid = me, .woken = other},
            at += 500);
        happens(SWITCH_OUT, PID, me, at += 500);
        if (i % (PAIRS / CHILDREN) == 0) {
            happens(SWITCH_FORK, CHILD, CHILD, at);
            happens(SWITCH_IN, CHILD, CHILD, at += 1000);
            happens(SWITCH_EXIT, CHILD, CHILD, at += 1000);
        }
        if (i % 100 == 0)
            switches_look(s, at, TICK, true);
        CHECK(rec.n_ivals <= IVALS);
    }
    CHECK(room() <= 2 * IVALS + 8 * rec.n_threads);
    CHECK(rec.n_wakes > 0 && rec.n_wakes <= WAKES_MOST);
    CHECK_INT(switches_live(s), 2);
    CHECK_INT(rec.n_threads, 2 + CHILDREN);
    end(at);
    rec_free(&rec);
}

/* SPDX-License-Identifier: MIT
 *
 * test_measure.c - recordings made by hand, against figures worked out by hand
 *
 * Length: one call, measure_take, is tested; each case is a recording of its own.
 */
#include "diag/measure.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "diag_util.h"

static struct measures take(const struct recording *r)
{
    struct measures m;

    CHECK_INT(measure_take(r, &m), 0);
    return m;
}

static double shares_sum(const struct measure_span *s)
{
    double sum = s->run + s->no_core + s->nothing;

    for (int i = 0; i < REC_N_KINDS; i++)
        sum += s->blame[i];
    return sum;
}

TEST(an_empty_recording_has_no_time)
{
    struct recording r;

    made_open(&r, 2);
    struct measures m = take(&r);
    CHECK_NEAR(m.all.wall, 0, 0);
    CHECK_NEAR(m.in_flight, 0, 0);
    rec_free(&r);
}

TEST(one_request_after_the_other_is_one_in_flight)
{
    struct recording r;

    made_open(&r, 2);
    uint32_t t = made_thread(&r, 10, 10, 0, "/usr/bin/prog");
    for (int i = 0; i < 10; i++) { /* 1 ms of computing, 9 ms of waiting */
        made_run(&r, t, i * 10, i * 10 + 1);
        made_wait(&r, t, i * 10 + 1, i * 10 + 10, REC_NET, "tcp 10.0.0.1:80");
    }
    struct measures m = take(&r);
    CHECK_NEAR(m.all.wall, .1, 1e-9);
    CHECK_NEAR(m.all.run, .1, 1e-9);
    CHECK_NEAR(m.all.io, .9, 1e-9);
    CHECK_NEAR(m.all.blame[REC_NET], .9, 1e-9);
    CHECK_NEAR(shares_sum(&m.all), 1, 1e-9);
    CHECK_NEAR(m.in_flight, 1, 1e-9);
    CHECK_NEAR(m.wait, .09, 1e-9);
    CHECK_NEAR(m.one, .009, 1e-9);
    CHECK_NEAR(m.n_ops, 10, 1e-6);
    CHECK_NEAR(m.startup, .001, 1e-9);
    CHECK_NEAR(m.ending, 0, 1e-9);
    CHECK_INT(m.n_peers, 1);
    CHECK_STR(r.peers[m.peers[0].peer].name, "tcp 10.0.0.1:80");
    CHECK_NEAR(m.peers[0].blamed, .09, 1e-9);
    rec_free(&r);
}

TEST(what_comes_after_the_last_request_is_the_ending)
{
    struct recording r;

    made_open(&r, 2);
    uint32_t t = made_thread(&r, 10, 10, 0, "/usr/bin/prog");
    made_run(&r, t, 0, 10);
    made_wait(&r, t, 10, 60, REC_NET, "tcp 10.0.0.1:80");
    made_run(&r, t, 60, 80);
    made_wait(&r, t, 80, 85, REC_SLEEP, "");
    made_run(&r, t, 85, 95);
    struct measures m = take(&r);
    CHECK_NEAR(m.ending, .035, 1e-9);
    CHECK_NEAR(m.ending_cpu, .03, 1e-9);
    rec_free(&r);
}

TEST(fifty_in_flight_stay_so_while_the_loop_computes)
{
    struct recording r;

    made_open(&r, 2);
    uint32_t t = made_thread(&r, 10, 10, 0, "/usr/bin/prog");
    for (int i = 0; i < 20; i++) {
        made_set(&r, t, i * 10, i * 10 + 6, 50);
        made_run(&r, t, i * 10 + 6, i * 10 + 10);
    }
    struct measures m = take(&r);
    /* 50 until the end of the last wait, 196 ms */
    CHECK_NEAR(m.in_flight, 50, 1e-6);
    CHECK_NEAR(m.in_flight_max, 50, 1e-6);
    CHECK_NEAR(m.wait, 50 * .196, 1e-6);
    CHECK(m.has_loop);
    CHECK_NEAR(m.curve_flight[MEASURE_BUCKETS / 2], 50, .01);
    CHECK_NEAR(m.curve_cores[0], 0, .01);
    rec_free(&r);
}

TEST(a_poller_handed_from_thread_to_thread_is_one_set)
{
    struct recording r;

    made_open(&r, 2);
    uint32_t a = made_thread(&r, 10, 10, 0, "/usr/bin/prog");
    uint32_t b = made_thread(&r, 10, 11, 0, "/usr/bin/prog");
    for (int i = 0; i < 20; i++) {
        made_set(&r, a, i * 10, i * 10 + 4, 50);
        made_set(&r, b, i * 10 + 5, i * 10 + 9, 50);
    }
    CHECK_NEAR(take(&r).in_flight, 50, 1e-6);
    rec_free(&r);
}

TEST(two_loops_of_a_process_are_two_sets)
{
    struct recording r;

    made_open(&r, 2);
    uint32_t a = made_thread(&r, 10, 10, 0, "/usr/bin/prog");
    uint32_t b = made_thread(&r, 10, 11, 0, "/usr/bin/prog");
    for (int i = 0; i < 20; i++) {
        made_set(&r, a, i * 10, i * 10 + 8, 30);
        made_set(&r, b, i * 10 + 1, i * 10 + 9, 20);
    }
    struct measures m = take(&r);
    CHECK_NEAR(m.in_flight_max, 50, 1e-6);
    CHECK_NEAR(m.in_flight, 50, 1);
    rec_free(&r);
}

TEST(a_look_that_finds_nothing_in_flight_ends_the_count)
{
    struct recording r;

    made_open(&r, 2);
    uint32_t t = made_thread(&r, 10, 10, 0, "/usr/bin/prog");
    made_set(&r, t, 0, 10, 8);
    made_run(&r, t, 10, 20);
    made_ival(&r, t, 20, 100,
              (struct rec_ival){.state = REC_WAIT, .kind = REC_IDLE, .flags = REC_IVAL_SET});
    made_set(&r, t, 100, 110, 8);
    struct measures m = take(&r);
    CHECK_NEAR(m.wait, 8 * .030, 1e-9);
    rec_free(&r);
}

static void count_add(struct recording *r, uint32_t thread, double ms, uint32_t in_flight)
{
    rec_add_count(r, &(struct rec_count){.at = (int64_t)(ms * HOB_MS),
                                         .thread = thread,
                                         .in_flight = in_flight,
                                         .kind = REC_NET});
}

/* Connections are made for a second, and no wait says so. */
TEST(what_is_counted_while_a_loop_computes_is_in_flight)
{
    struct recording r;

    made_open(&r, 2);
    uint32_t t = made_thread(&r, 10, 10, 0, "/usr/bin/prog");
    made_run(&r, t, 0, 1000);
    for (int i = 1; i <= 10; i++)
        count_add(&r, t, i * 100 - 100, (uint32_t)i * 10);
    made_set(&r, t, 1000, 2000, 100);
    struct measures m = take(&r);
    CHECK_NEAR(m.wait, (10 + 20 + 30 + 40 + 50 + 60 + 70 + 80 + 90 + 100) * .1 + 100, 1e-6);
    CHECK_NEAR(m.in_flight, m.wait / 2, 1e-6);
    rec_free(&r);
}

TEST(a_count_holds_until_the_next_one_or_for_a_second)
{
    struct recording r;

    made_open(&r, 2);
    uint32_t t = made_thread(&r, 10, 10, 0, "/usr/bin/prog");
    made_run(&r, t, 0, 2000);
    count_add(&r, t, 100, 10);
    count_add(&r, t, 500, 20);
    count_add(&r, t, 600, 0);
    count_add(&r, t, 700, 5);
    CHECK_NEAR(take(&r).wait, 10 * .4 + 20 * .1 + 5 * 1, 1e-6);
    rec_free(&r);
}

/* The sum of a process's sets is no one loop's; nothing in flight is nothing in any. */
TEST(a_count_of_several_loops_is_nobody_s)
{
    struct recording r;

    made_open(&r, 2);
    uint32_t a = made_thread(&r, 10, 10, 0, "/usr/bin/prog");
    uint32_t b = made_thread(&r, 10, 11, 0, "/usr/bin/prog");
    made_set(&r, a, 0, 100, 30);
    made_set(&r, b, 0, 100, 20);
    made_run(&r, a, 100, 300);
    made_set(&r, b, 100, 300, 20);
    count_add(&r, a, 150, 50);
    count_add(&r, a, 200, 0);
    made_set(&r, a, 300, 301, 30);
    CHECK_NEAR(take(&r).wait, 20 * .301 + 30 * .2 + 30 * .001, 1e-6); /* b holds to the end */
    rec_free(&r);
}

/* Waits too short to look at say what their like had, long after. */
TEST(a_count_knows_better_than_a_guess)
{
    struct recording r;

    made_open(&r, 2);
    uint32_t t = made_thread(&r, 10, 10, 0, "/usr/bin/prog");
    struct rec_ival guess = {.state = REC_WAIT,
                             .kind = REC_NET,
                             .in_flight = 1000,
                             .flags = REC_IVAL_SET | REC_IVAL_GUESSED};
    guess.peer = rec_peer_of(&r, REC_NET, "tcp 10.0.0.1:80");
    made_ival(&r, t, 0, 1, guess); /* bounded by the count that comes next */
    made_run(&r, t, 1, 100);
    made_ival(&r, t, 100, 101, guess); /* as many as were counted before it */
    made_run(&r, t, 101, 150);
    made_set(&r, t, 150, 200, 30);
    count_add(&r, t, 50, 10);
    CHECK_NEAR(take(&r).wait, 10 * .150 + 30 * .05, 1e-6);
    rec_free(&r);
}

TEST(blame_goes_to_the_most_external_cause)
{
    struct recording r;

    made_open(&r, 2);
    uint32_t main_thread = made_thread(&r, 10, 10, 0, "/usr/bin/sh");
    uint32_t worker = made_thread(&r, 11, 11, 10, "/usr/bin/prog");
    uint32_t idle = made_thread(&r, 11, 12, 10, "/usr/bin/prog");
    made_wait(&r, main_thread, 0, 100, REC_CHILD, NULL);
    made_wait(&r, idle, 0, 100, REC_LOCK, NULL);
    made_wait(&r, worker, 0, 60, REC_DISK, "/var/lib/x");
    made_run(&r, worker, 60, 90);
    made_ready(&r, worker, 90, 100);
    struct measures m = take(&r);
    CHECK_NEAR(m.all.blame[REC_DISK], .6, 1e-9);
    CHECK_NEAR(m.all.blame[REC_CHILD], 0, 1e-9);
    CHECK_NEAR(m.all.blame[REC_LOCK], 0, 1e-9);
    CHECK_NEAR(m.all.run, .3, 1e-9);
    CHECK_NEAR(m.all.no_core, .1, 1e-9);
    CHECK_NEAR(m.all.busy[0], .7, 1e-9);
    CHECK_NEAR(m.all.busy[1], .3, 1e-9);
    rec_free(&r);
}

TEST(a_long_wait_of_nobody_but_for_threads_is_the_clock)
{
    struct recording r;

    made_open(&r, 2);
    uint32_t t = made_thread(&r, 10, 10, 0, "/usr/bin/java");
    uint32_t u = made_thread(&r, 10, 11, 0, "/usr/bin/java");
    made_run(&r, t, 0, 10);
    made_wait(&r, t, 10, 100, REC_LOCK, NULL); /* a lock with a time limit */
    made_wait(&r, u, 0, 100, REC_LOCK, NULL);
    uint32_t v = made_thread(&r, 10, 12, 0, "/usr/bin/java");
    for (int i = 10; i < 100; i++) /* wakes to look at the time, too briefly to be seen */
        made_wait(&r, v, i, i + .5, REC_LOCK, NULL);
    made_run(&r, t, 100, 110);
    made_wait(&r, t, 110, 111, REC_LOCK, NULL); /* a lock handed over */
    made_run(&r, u, 111, 120);
    struct measures m = take(&r);
    CHECK_NEAR(m.all.blame[REC_SLEEP], .75, 1e-9);
    CHECK_NEAR(m.all.blame[REC_LOCK], 1.0 / 120, 1e-9);
    rec_free(&r);
}

TEST(short_waits_for_a_lock_do_not_add_up_to_a_sleep)
{
    struct recording r;

    made_open(&r, 2);
    uint32_t t = made_thread(&r, 10, 10, 0, "/usr/bin/prog");
    for (int i = 0; i < 20; i++) {
        made_run(&r, t, i * 2, i * 2 + 1);
        made_wait(&r, t, i * 2 + 1, i * 2 + 2, REC_LOCK, NULL);
    }
    struct measures m = take(&r);
    CHECK_NEAR(m.all.blame[REC_LOCK], .5, 1e-9);
    CHECK_NEAR(m.all.blame[REC_SLEEP], 0, 1e-9);
    rec_free(&r);
}

TEST(another_program_behind_a_unix_socket_is_io_and_a_child_is_not)
{
    struct recording r;

    made_open(&r, 2);
    uint32_t t = made_thread(&r, 10, 10, 0, "/usr/bin/prog");
    made_thread(&r, 11, 11, 10, "/usr/bin/prog");
    uint32_t daemon = rec_peer_of(&r, REC_IPC, "unix /run/d");
    uint32_t child = rec_peer_of(&r, REC_IPC, "unix pair");
    r.peers[daemon].pid = 99;
    r.peers[child].pid = 11;
    made_wait(&r, t, 0, 60, REC_IPC, "unix /run/d");
    made_wait(&r, t, 60, 100, REC_IPC, "unix pair");
    struct measures m = take(&r);
    CHECK_NEAR(m.all.io, .6, 1e-9);
    CHECK_NEAR(m.all.blame[REC_IPC], 1, 1e-9);
    CHECK_NEAR(m.wait, .06, 1e-9);
    rec_free(&r);
}

TEST(folded_intervals_count_by_their_parts)
{
    struct recording r;

    made_open(&r, 2);
    uint32_t a = made_thread(&r, 10, 10, 0, "/usr/bin/prog");
    uint32_t b = made_thread(&r, 10, 11, 0, "/usr/bin/prog");
    struct rec_ival half = {.state = REC_WAIT,
                            .kind = REC_NET,
                            .flags = REC_IVAL_FOLDED,
                            .in_flight = 1,
                            .run_ppm = 500000};
    made_ival(&r, a, 0, 100, half);
    made_ival(&r, b, 0, 100, half);
    struct measures m = take(&r);
    CHECK_NEAR(m.all.cpu, .1, 1e-9);
    CHECK_NEAR(m.all.run, .75, 1e-5); /* 1 - .5 * .5 */
    CHECK_NEAR(m.all.io, .25, 1e-5);
    CHECK_NEAR(m.wait, .1, 1e-9);
    CHECK_NEAR(shares_sum(&m.all), 1, 1e-9);
    rec_free(&r);
}

TEST(more_threads_on_cpu_than_cores_stand_in_line)
{
    struct recording r;

    made_open(&r, 2);
    for (int i = 0; i < 4; i++)
        made_run(&r, made_thread(&r, 10, 10 + i, 0, "/usr/bin/prog"), 0, 100);
    struct measures m = take(&r);
    CHECK_NEAR(m.all.cpu, .2, 1e-9);
    CHECK_NEAR(m.all.ready, .2, 1e-9);
    CHECK_NEAR(m.cores, 2, 1e-9);
    CHECK_NEAR(m.press, 4, 1e-9);
    rec_free(&r);
}

TEST(threads_that_alternate_under_a_lock_are_rivals)
{
    struct recording r;

    made_open(&r, 2);
    uint32_t a = made_thread(&r, 10, 10, 0, "/usr/bin/prog");
    uint32_t b = made_thread(&r, 10, 11, 0, "/usr/bin/prog");
    for (int i = 0; i < 20; i++) {
        made_run(&r, i % 2 ? a : b, i * 5, i * 5 + 5);
        made_wait(&r, i % 2 ? b : a, i * 5, i * 5 + 5, REC_LOCK, NULL);
    }
    struct measures m = take(&r);
    CHECK_INT(m.rivals.n, 2);
    CHECK_NEAR(m.rivals.even, 2, 1e-9);
    CHECK_NEAR(m.rivals.overlap, 0, 1e-9);
    CHECK_NEAR(m.rivals.contended, 1, 1e-9);
    CHECK_NEAR(m.rivals.turn, .005, 1e-9);
    rec_free(&r);
}

/* Two threads of which one has a core at a time; the other was preempted.  When it has one again it
 * computes for `on` ms. */
static double overlap_of_preempted(double on)
{
    struct recording r;

    made_open(&r, 2);
    uint32_t a = made_thread(&r, 10, 10, 0, "/usr/bin/prog");
    uint32_t b = made_thread(&r, 10, 11, 0, "/usr/bin/prog");
    for (int i = 0; i < 20; i++) {
        uint32_t has = i % 2 ? a : b, other = i % 2 ? b : a;
        made_run(&r, has, i * 10, i * 10 + on);
        made_wait(&r, has, i * 10 + on, i * 10 + 5, REC_LOCK, NULL);
        made_run(&r, has, i * 10 + 5, i * 10 + 10);
        made_ready(&r, other, i * 10, i * 10 + 10);
    }
    double overlap = take(&r).rivals.overlap;
    rec_free(&r);
    return overlap;
}

/* Samples of two threads: one has a core, and the other could run for so many of 20 ms. */
static double overlap_of_crowd(double both)
{
    struct recording r;

    made_open(&r, 2);
    r.tier = REC_T2;
    uint32_t a = made_thread(&r, 10, 10, 0, "/usr/bin/prog");
    uint32_t b = made_thread(&r, 10, 11, 0, "/usr/bin/prog");
    for (int i = 0; i < 20; i++) {
        made_run(&r, i % 2 ? a : b, i * 20, i * 20 + 20);
        made_ready(&r, i % 2 ? b : a, i * 20, i * 20 + both);
        made_wait(&r, i % 2 ? b : a, i * 20 + both, i * 20 + 20, REC_LOCK, NULL);
    }
    double overlap = take(&r).rivals.overlap;
    rec_free(&r);
    return overlap;
}

TEST(samples_in_which_two_nearly_always_could_run_show_no_lock)
{
    CHECK(overlap_of_crowd(19) > .9); /* they have one core between them */
    CHECK(overlap_of_crowd(8) < .05); /* under a lock: woken, and waiting for a core */
}

TEST(a_thread_that_was_preempted_would_have_run)
{
    CHECK(overlap_of_preempted(5) > .8);    /* other programs have the second core */
    CHECK(overlap_of_preempted(.01) < .05); /* it had let go of a lock, and comes to wait for it */
}

/* A goroutine that fetches and computes in turn, each time on another thread; the rest is idle. */
TEST(threads_that_wait_while_nobody_computes_are_idle_and_not_in_line)
{
    struct recording r;
    uint32_t t[4];

    made_open(&r, 2);
    for (int i = 0; i < 4; i++)
        t[i] = made_thread(&r, 10, 10 + i, 0, "/usr/bin/prog");
    for (int i = 0; i < 40; i++)
        for (int k = 0; k < 4; k++) {
            if (k == i % 4)
                made_set(&r, t[k], i * 20, i * 20 + 10, 1);
            else
                made_wait(&r, t[k], i * 20, i * 20 + 10, REC_LOCK, NULL);
            if (k == i % 4)
                made_run(&r, t[k], i * 20 + 10, i * 20 + 20);
            else
                made_wait(&r, t[k], i * 20 + 10, i * 20 + 20, REC_LOCK, NULL);
        }
    struct measures m = take(&r);
    CHECK_INT(m.rivals.n, 4);
    CHECK_NEAR(m.rivals.contended, 0, 1e-9);
    rec_free(&r);
}

TEST(threads_that_come_and_go_are_rivals_when_none_does_much_more)
{
    struct recording r;

    made_open(&r, 2);
    for (int i = 0; i < 40; i++) { /* each does 2.5 % */
        uint32_t t = made_thread(&r, 10, 10 + i, 0, "/usr/bin/prog");
        made_wait(&r, t, i * 5 - (i > 0 ? 5 : 0), i * 5, REC_LOCK, NULL);
        made_run(&r, t, i * 5, i * 5 + 5);
    }
    struct measures m = take(&r);
    CHECK_INT(m.rivals.n, 40);
    CHECK_NEAR(m.rivals.overlap, 0, 1e-9);
    CHECK(m.rivals.contended > .9);
    rec_free(&r);
}

/* Three processes that wait for `kind` while another one works, by itself or by a child. */
static struct measures sharers(struct recording *r, enum rec_kind first, bool by_child)
{
    uint32_t t[3], child;

    made_open(r, 2);
    made_run(r, made_thread(r, 9, 9, 0, "/usr/bin/sh"), 0, 1);
    for (int i = 0; i < 3; i++)
        t[i] = made_thread(r, 10 + i, 10 + i, 9, "/usr/bin/prog");
    for (int turn = 0; turn < 12; turn++) {
        double from = 1 + turn * 10;
        for (int i = 0; i < 3; i++)
            if (i != turn % 3)
                made_wait(r, t[i], from, from + 10, i == (turn + 1) % 3 ? first : REC_LOCK, NULL);
        if (!by_child) {
            made_run(r, t[turn % 3], from, from + 10);
            continue;
        }
        child = made_thread(r, 100 + turn, 100 + turn, 10 + turn % 3, "/usr/bin/gzip");
        made_wait(r, t[turn % 3], from, from + 10, REC_CHILD, NULL);
        made_run(r, child, from, from + 10);
    }
    return take(r);
}

TEST(processes_that_alternate_under_a_lock_are_rivals)
{
    for (int by_child = 0; by_child < 2; by_child++) {
        struct recording r;
        struct measures m = sharers(&r, REC_LOCK, by_child);

        CHECK(m.rivals.processes);
        CHECK_INT(m.rivals.n, 3);
        CHECK_NEAR(m.rivals.even, 3, 1e-9);
        CHECK_NEAR(m.rivals.overlap, 0, 1e-9);
        CHECK_NEAR(m.rivals.contended, 2, 1e-9);
        CHECK_NEAR(m.rivals.turn, .010, 1e-9);
        rec_free(&r);
    }
}

TEST(processes_that_were_preempted_would_have_run)
{
    struct recording r;

    made_open(&r, 2);
    for (int k = 0; k < 3; k++) { /* each has a core for a third of the time */
        uint32_t t = made_thread(&r, 10 + k, 10 + k, 1, "/usr/bin/prog");
        made_wait(&r, t, 0, 10, REC_LOCK, NULL); /* for its first task */
        made_run(&r, t, 10, 11 + k);
        for (int i = 0; i < 10; i++) {
            made_ready(&r, t, 11 + k + i * 6, 15 + k + i * 6);
            made_run(&r, t, 15 + k + i * 6, 17 + k + i * 6);
        }
    }
    struct measures m = take(&r);
    CHECK(m.rivals.processes);
    CHECK(m.rivals.overlap > .9);
    rec_free(&r);
}

TEST(idle_workers_of_a_pool_are_no_rivals)
{
    struct recording r;
    struct measures m = sharers(&r, REC_PIPE, false); /* the first in line waits for work */

    CHECK(!m.rivals.processes);
    rec_free(&r);
}

TEST(cpu_time_nobody_was_charged_for_was_taken)
{
    struct recording r;

    made_open(&r, 2);
    r.wall = 100 * HOB_MS;
    made_run(&r, made_thread(&r, 10, 10, 0, "/usr/bin/prog"), 0, 100);
    r.user = 10 * HOB_MS;
    r.system = 30 * HOB_MS;
    CHECK_NEAR(take(&r).taken, .6, 1e-9);
    r.system = 88 * HOB_MS; /* as exact as clocks are */
    CHECK_NEAR(take(&r).taken, 0, 0);
    r.system = 30 * HOB_MS;
    r.tier = REC_T2; /* whose intervals are made of what was charged */
    CHECK_NEAR(take(&r).taken, 0, 0);
    rec_free(&r);
}

TEST(a_loop_stands_in_calls_that_keep_others_waiting)
{
    struct recording r;

    made_open(&r, 2);
    uint32_t t = made_thread(&r, 10, 10, 0, "/usr/bin/prog");
    made_set(&r, t, 0, 10, 12);
    made_wait(&r, t, 10, 110, REC_SLEEP, NULL); /* 12 wait */
    made_set(&r, t, 110, 120, 1);
    made_wait(&r, t, 120, 220, REC_SLEEP, NULL); /* nobody does */
    made_set(&r, t, 220, 230, 5);
    made_wait(&r, t, 230, 240, REC_SLEEP, NULL); /* hardly worth a word */
    made_wait(&r, t, 240, 300, REC_LOCK, NULL);  /* another thread has the loop */
    CHECK_NEAR(take(&r).loop_slept, .1, 1e-9);
    rec_free(&r);
}

TEST(a_blocked_loop_is_as_long_as_its_looks_say)
{
    struct recording r;

    made_open(&r, 2);
    uint32_t t = made_thread(&r, 10, 10, 0, "/usr/bin/prog");
    made_set(&r, t, 0, 10, 12);
    made_run(&r, t, 10, 200);
    for (int i = 0; i < 10; i++) /* 30, 40, ... 120 ms: ready, and it reads nothing */
        rec_add_look(&r,
                     &(struct rec_look){
                         .at = (30 + i * 10) * HOB_MS, .thread = t, .ready = true, .io_calls = 7});
    rec_add_look(
        &r, &(struct rec_look){.at = 130 * HOB_MS, .thread = t, .ready = false, .io_calls = 9});
    rec_add_look(&r,
                 &(struct rec_look){.at = 140 * HOB_MS, .thread = t, .ready = true, .io_calls = 9});
    struct measures m = take(&r);
    CHECK_NEAR(m.loop_stretch, .105, 1e-9); /* 10 ms before the first look, half of the rest */
    CHECK_NEAR(m.loop_blocked, .105, 1e-9);
    rec_free(&r);
}

TEST(a_set_that_threads_hand_to_each_other_is_no_loop_to_be_blocked)
{
    for (int handed = 0; handed < 2; handed++) {
        struct recording r;

        made_open(&r, 2);
        uint32_t t = made_thread(&r, 10, 10, 0, "/usr/bin/prog");
        uint32_t u = made_thread(&r, 10, 11, 0, "/usr/bin/prog");
        made_set(&r, t, 0, 50, 12);
        if (handed)
            made_set(&r, u, 50, 100, 12);
        made_run(&r, t, 100, 300);
        for (int i = 0; i < 10; i++)
            rec_add_look(
                &r, &(struct rec_look){
                        .at = (120 + i * 10) * HOB_MS, .thread = t, .ready = true, .io_calls = 7});
        CHECK_NEAR(take(&r).loop_blocked, handed ? 0 : .100, 1e-9);
        rec_free(&r);
    }
}

TEST(a_start_up_is_over_when_events_wait)
{
    for (int waited = 0; waited < 2; waited++) {
        struct recording r;

        made_open(&r, 2);
        uint32_t t = made_thread(&r, 10, 10, 0, "/usr/bin/prog");
        made_run(&r, t, 0, 500);
        made_set(&r, t, 500, 1000, 12);
        for (int i = 0; i < 3; i++)
            rec_add_look(&r, &(struct rec_look){.at = (100 + i * 10) * HOB_MS,
                                                .thread = t,
                                                .ready = waited,
                                                .io_calls = 7});
        CHECK_NEAR(take(&r).startup, waited ? .090 : .5, 1e-9);
        rec_free(&r);
    }
}

/* Looks at two threads take turns; `ms` between two of one. */
static double startup_of_two(bool handed, int ms)
{
    struct recording r;
    uint32_t t[2];

    made_open(&r, 2);
    for (int i = 0; i < 2; i++) {
        t[i] = made_thread(&r, 10, 10 + i, 0, "/usr/bin/prog");
        made_run(&r, t[i], 0, 1000);
    }
    made_set(&r, t[0], 1000, handed ? 1100 : 1200, 12);
    made_set(&r, t[1], handed ? 1100 : 1000, 1200, 12);
    for (int i = 0; i < 6; i++)
        rec_add_look(&r, &(struct rec_look){.at = (100 + i / 2 * ms + i % 2) * HOB_MS,
                                            .thread = t[i % 2],
                                            .ready = true,
                                            .io_calls = (uint64_t)(7 + i % 2)});
    double startup = take(&r).startup;
    rec_free(&r);
    return startup;
}

TEST(events_wait_for_two_loops_at_once)
{
    CHECK_NEAR(startup_of_two(false, 10), .090, 1e-9);
    CHECK_NEAR(startup_of_two(false, 250), 1, 1e-9); /* too far apart to be one stretch */
    CHECK_NEAR(startup_of_two(true, 10), 1, 1e-9);   /* whoever is free serves it */
}

TEST(computing_with_requests_in_flight_is_told_from_computing_after_them)
{
    for (int after = 0; after < 2; after++) {
        struct recording r;

        made_open(&r, 2);
        uint32_t t = made_thread(&r, 10, 10, 0, "/usr/bin/prog");
        uint32_t u = made_thread(&r, 10, 11, 0, "/usr/bin/prog");
        made_run(&r, t, 0, 100); /* before the first of them: not asked for */
        made_wait(&r, t, 100, 200, REC_NET, "tcp 10.0.0.1:80");
        made_run(&r, u, after ? 200 : 100, after ? 300 : 200);
        CHECK_NEAR(take(&r).behind, after ? 0 : 1, 1e-9);
        rec_free(&r);
    }
}

TEST(a_loop_that_reads_between_two_looks_is_busy_and_not_blocked)
{
    struct recording r;

    made_open(&r, 2);
    uint32_t t = made_thread(&r, 10, 10, 0, "/usr/bin/prog");
    made_set(&r, t, 0, 10, 12);
    made_run(&r, t, 10, 200);
    for (int i = 0; i < 10; i++)
        rec_add_look(&r, &(struct rec_look){.at = (30 + i * 10) * HOB_MS,
                                            .thread = t,
                                            .ready = true,
                                            .io_calls = 7 + (uint64_t)i});
    CHECK_NEAR(take(&r).loop_blocked, 0, 0);
    rec_free(&r);
}

/* A loop that computes for `turn` ms at a time and has `part` of a core, looked at each 5 ms. */
static struct measures turns_of(int turn, int part, bool outside)
{
    struct recording r;

    made_open(&r, 2);
    uint32_t t = made_thread(&r, 10, 10, 0, "/usr/bin/prog");
    made_set(&r, t, 0, 10, 12);
    for (int at = 10; at < 610; at += part)
        made_run(&r, t, at, at + 1); /* and is kept from its core for the rest */
    for (int at = 20; at < 600; at += 5)
        rec_add_look(&r, &(struct rec_look){.at = at * HOB_MS,
                                            .thread = t,
                                            .ready = true,
                                            .outside = outside,
                                            .io_calls = (uint64_t)(at / turn)});
    struct measures m = take(&r);
    m.rec = NULL;
    rec_free(&r);
    return m;
}

TEST(a_loop_whose_turns_are_long_keeps_all_waiting_all_the_time)
{
    struct measures m = turns_of(15, 1, true);

    CHECK_NEAR(m.loop_stretch, .0175, 1e-9); /* the first: 10 ms before its first look */
    CHECK_NEAR(m.loop_line, .575, 1e-9);
    CHECK(m.loop_blocked > .5);
    m = turns_of(5, 1, true); /* as many wait; but it serves them */
    CHECK_NEAR(m.loop_blocked, 0, 0);
    CHECK_NEAR(m.loop_line, 0, 0);
    m = turns_of(20, 10, true); /* of which it computes 2 ms: others have its core */
    CHECK_NEAR(m.loop_blocked, 0, 0);
}

TEST(a_loop_that_its_own_threads_wake_keeps_nobody_waiting)
{
    struct recording r;

    made_open(&r, 2);
    uint32_t t = made_thread(&r, 10, 10, 0, "/usr/bin/prog");
    made_set(&r, t, 0, 10, 12);
    made_run(&r, t, 10, 300);
    for (int at = 20; at < 290; at += 5)
        rec_add_look(&r, &(struct rec_look){.at = at * HOB_MS,
                                            .thread = t,
                                            .ready = true,
                                            .outside = at == 20, /* a client, once */
                                            .io_calls = 7});
    CHECK_NEAR(take(&r).loop_blocked, 0, 0);
    rec_free(&r);
}

static void made_stand(struct recording *r, uint32_t thread, int at, bool ready)
{
    rec_add_look(
        r,
        &(struct rec_look){
            .at = at * HOB_MS, .thread = thread, .ready = ready, .outside = ready, .stands = true});
}

TEST(a_loop_that_waits_for_a_child_with_events_waiting_stands)
{
    struct recording r;

    made_open(&r, 2);
    uint32_t t = made_thread(&r, 10, 10, 0, "/usr/bin/prog");
    made_wait(&r, t, 0, 100, REC_CHILD, NULL); /* nobody waits */
    made_stand(&r, t, 50, false);
    made_wait(&r, t, 100, 130, REC_PIPE, NULL);
    made_stand(&r, t, 105, true);
    made_stand(&r, t, 110, true);
    made_run(&r, t, 130, 131);
    made_wait(&r, t, 131, 231, REC_CHILD, NULL); /* somebody does after half of it */
    made_stand(&r, t, 140, false);
    made_stand(&r, t, 181, true);
    struct measures m = take(&r);
    CHECK_NEAR(m.loop_slept, .080, 1e-9);
    CHECK(!m.loop_looked); /* while it computed */
    rec_free(&r);
}

TEST(what_is_seen_of_a_loop_that_sleeps_outweighs_what_is_in_flight)
{
    struct recording r;

    made_open(&r, 2);
    uint32_t t = made_thread(&r, 10, 10, 0, "/usr/bin/prog");
    made_set(&r, t, 0, 10, 12);
    made_wait(&r, t, 10, 110, REC_SLEEP, NULL); /* all answers are read */
    made_stand(&r, t, 50, false);
    made_set(&r, t, 110, 120, 12);
    CHECK_NEAR(take(&r).loop_slept, 0, 1e-9);
    rec_free(&r);
}

TEST(who_follows_a_feed_does_not_sleep_by_another_threads_timer)
{
    for (int feed = 0; feed < 2; feed++) {
        struct recording r;

        made_open(&r, 2);
        uint32_t t = made_thread(&r, 10, 10, 0, "/usr/bin/prog");
        uint32_t timer = made_thread(&r, 10, 11, 0, "/usr/bin/prog");
        made_wait(&r, t, 0, 500, REC_IDLE, feed ? "tcp 10.0.0.1:80" : NULL);
        made_wait(&r, timer, 0, 500, REC_SLEEP, NULL);
        struct measures m = take(&r);
        CHECK_NEAR(m.all.blame[REC_IDLE], feed, 1e-9);
        CHECK_NEAR(m.all.blame[REC_SLEEP], !feed, 1e-9);
        rec_free(&r);
    }
}

/* Three threads ask in turn, 10 ms each; the others wait for a lock.  `by`: who runs in between. */
static struct measures asked_in_turn(bool by_main)
{
    struct recording r;

    made_open(&r, 2);
    uint32_t main = made_thread(&r, 10, 10, 0, "/usr/bin/prog"), t[3];
    for (int i = 0; i < 3; i++)
        t[i] = made_thread(&r, 10, 11 + i, 0, "/usr/bin/prog");
    for (int i = 0; i < 30; i++) {
        int at = 11 * i;

        for (int k = 0; k < 3; k++)
            made_wait(&r, t[k], at, at + 10, k == i % 3 ? REC_NET : REC_LOCK,
                      k == i % 3 ? "tcp 10.0.0.1:80" : NULL);
        made_run(&r, by_main ? main : t[i % 3], at + 10, at + 11);
    }
    struct measures m = take(&r);
    m.rec = NULL;
    rec_free(&r);
    return m;
}

TEST(threads_that_ask_one_after_the_other_under_a_lock_are_in_line)
{
    struct measures m = asked_in_turn(false);

    CHECK_INT(m.holders.n, 3);
    CHECK_NEAR(m.holders.even, 3, 1e-9);
    CHECK_NEAR(m.holders.overlap, 0, 1e-9);
    CHECK_NEAR(m.holders.contended, 2, 1e-9);
    CHECK_NEAR(m.holders.brought, 0, 1e-9);
}

TEST(a_pool_that_is_given_one_thing_at_a_time_is_not)
{
    CHECK_NEAR(asked_in_turn(true).holders.brought, 1, 1e-9);
}

TEST(workers_forked_from_their_own_program_are_told_from_a_shells_children)
{
    for (int forked = 0; forked < 2; forked++) {
        struct recording r;

        made_open(&r, 2);
        uint32_t p = made_thread(&r, 10, 10, 0, forked ? "/opt/prog" : "/bin/sh");
        made_wait(&r, p, 0, 100, REC_CHILD, NULL);
        for (int i = 0; i < 4; i++)
            made_wait(&r, made_thread(&r, 11 + i, 11 + i, 10, "/opt/prog"), 0, 100, REC_NET, "x");
        struct measures m = take(&r);
        CHECK_INT(m.io_procs, 4);
        CHECK_INT(m.forked, forked);
        CHECK_NEAR(m.in_flight, 4, 1e-9);
        rec_free(&r);
    }
}

TEST(what_stands_for_the_unseen_is_no_thread)
{
    struct recording r;

    made_open(&r, 2);
    r.tier = REC_T2;
    made_wait(&r, made_thread(&r, 10, 10, 0, "/opt/prog"), 0, 90, REC_SLEEP, NULL);
    made_run(&r, rec_thread_new(&r, 10, 0), 90, 100);
    struct measures m = take(&r);
    CHECK_INT(m.n_threads, 1);
    CHECK_NEAR(m.all.cpu, .01, 1e-9); /* its time counts */
    rec_free(&r);
}

/* A list of sleeps, `at_once` of them at a time, each a process of `ms`. */
static uint32_t told_of(const char *command, int n, int at_once, double ms, bool end)
{
    struct recording r;

    made_open(&r, 2);
    rec_set_text(&r, &r.command, command);
    uint32_t shell = made_thread(&r, 10, 10, 0, "/bin/sh");
    made_wait(&r, shell, 0, n * ms / at_once, REC_CHILD, NULL);
    for (int i = 0; i < n; i++) {
        uint32_t t = made_thread(&r, 11 + i, 11 + i, 10, "/bin/nap");
        double from = i / at_once * ms;

        made_wait(&r, t, from, from + ms, REC_SLEEP, NULL);
        r.procs[i + 1].born = (int64_t)(from * HOB_MS);
        if (end)
            r.procs[i + 1].died = (int64_t)((from + ms) * HOB_MS);
    }
    uint32_t told = take(&r).told;
    rec_free(&r);
    return told;
}

TEST(an_option_may_say_how_many_sleep_at_once)
{
    CHECK_INT(told_of("run list -P 2 nap", 8, 2, 50, true), 2);
    CHECK_INT(told_of("run list -j1 nap", 3, 1, 50, true), 1);
    CHECK_INT(told_of("run list nap", 8, 2, 50, true), 0);
    CHECK_INT(told_of("run list -P 2 nap", 3, 2, 50, true), 0);  /* no second round */
    CHECK_INT(told_of("serve --workers=2", 2, 2, 50, false), 0); /* they stay */
    CHECK_INT(told_of("serve --workers=2", 8, 8, 50, false), 0);
}

TEST(the_language_is_that_of_the_process_that_does_the_work)
{
    struct recording r;

    made_open(&r, 2);
    uint32_t shim = made_thread(&r, 10, 10, 0, "/usr/bin/bash");
    uint32_t work = made_thread(&r, 11, 11, 10, "/usr/local/bin/python3.11");
    made_run(&r, shim, 0, 10);
    made_wait(&r, shim, 10, 100, REC_CHILD, NULL);
    made_run(&r, work, 10, 100);
    struct measures m = take(&r);
    CHECK_STR(lang_word(m.language), "python");
    CHECK(m.script);
    rec_free(&r);
}

static const char *word_of(const char *exe)
{
    return lang_word(lang_of(&(struct rec_proc){.exe = (char *)(uintptr_t)exe}));
}

/* The marks are in this program, too, since it has what looks for them. */
TEST(what_looks_for_marks_has_none_itself)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    CHECK(n > 0);
    self[n] = '\0';
    CHECK(strcmp(word_of(self), "go") != 0);
    CHECK(strcmp(word_of(self), "rust") != 0);
}

TEST(a_mark_is_found_behind_half_of_one)
{
    char path[] = "/tmp/hob-marks-XXXXXX";
    static const char half[] = "\xff Go\xff Go", rest[] = " buildinf:";
    int fd = mkstemp(path);

    CHECK(fd >= 0);
    CHECK(write(fd, half, sizeof half - 1) > 0);
    CHECK_STR(word_of(path), "c");
    CHECK(write(fd, rest, sizeof rest - 1) > 0);
    CHECK_STR(word_of(path), "go");
    close(fd);
    unlink(path);
}

TEST(a_shell_with_many_small_programs_is_a_script)
{
    struct recording r;

    made_open(&r, 2);
    uint32_t shell = made_thread(&r, 10, 10, 0, "/usr/bin/dash");
    made_wait(&r, shell, 0, 100, REC_CHILD, NULL);
    for (int i = 0; i < 10; i++)
        made_run(&r, made_thread(&r, 11 + i, 11 + i, 10, "/nonexistent/tool"), i * 10, i * 10 + 10);
    CHECK_STR(lang_word(take(&r).language), "shell");
    rec_free(&r);
}

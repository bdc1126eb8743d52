/* SPDX-License-Identifier: MIT */
#include <pthread.h>

#include "lib/t.h"
#include "trace/account.h"

static int64_t task_total(const struct trace_task *t)
{
    int64_t sum = t->run_ns + t->ready_ns;

    for (int i = 0; i < HOB_N_CLASSES; i++)
        sum += t->wait_ns[i];
    return sum;
}

TEST(each_reason_has_a_text_a_name_and_a_class)
{
    for (int w = HOB_WAIT_NONE; w < HOB_N_WAITS; w++) {
        CHECK(hob__wait_text(w)[0]);
        CHECK(hob__wait_name(w)[0]);
        CHECK(hob__wait_class(w) < HOB_N_CLASSES);
    }
    CHECK_STR(hob__wait_name(HOB_WAIT_CHAN_SEND), "CHAN_SEND");
    CHECK_STR(hob__wait_text(HOB_WAIT_HTTP), "waiting for an HTTP response");
    CHECK_INT(hob__wait_class(HOB_WAIT_HTTP), HOB_CLASS_IO);
    CHECK_INT(hob__wait_class(HOB_WAIT_OFFLOAD), HOB_CLASS_CPU);
    CHECK_INT(hob__wait_class(HOB_WAIT_JOIN), HOB_CLASS_SYNC);
    CHECK_INT(hob__wait_class(HOB_WAIT_SLEEP), HOB_CLASS_TIME);
}

TEST(an_unknown_reason_is_an_unexplained_wait)
{
    CHECK_STR(hob__wait_text((enum hob_wait)HOB_N_WAITS), "waiting");
    CHECK_STR(hob__wait_name((enum hob_wait)200), "NONE");
    CHECK_INT(hob__wait_class((enum hob_wait)200), HOB_CLASS_SYNC);
}

TEST(a_task_is_accounted_when_it_has_a_stage_or_a_recording_is_on)
{
    struct trace_task t;
    struct trace_stage s;

    hob__stage_init(&s, "fetch");
    trace_task_init(&t, 1, NULL, NULL);
    CHECK(!trace_accounted(&t));
    trace_task_init(&t, 1, NULL, &s);
    CHECK(trace_accounted(&t));
}

TEST(each_interval_is_charged_to_the_state_that_ended)
{
    struct trace_task t;

    trace_task_init(&t, 1, "x", NULL);
    trace_ready(&t, 1000);
    trace_run(&t, 1003);
    trace_park(&t, HOB_WAIT_HTTP, 1010);
    trace_ready(&t, 1110);
    trace_run(&t, 1111);
    trace_park(&t, HOB_WAIT_SLEEP, 1113);
    trace_ready(&t, 1213);
    trace_run(&t, 1213);
    trace_park(&t, HOB_WAIT_OFFLOAD, 1214);
    trace_ready(&t, 1254);
    trace_run(&t, 1255);
    trace_park(&t, HOB_WAIT_JOIN, 1256);
    trace_ready(&t, 1256);
    trace_run(&t, 1256);
    trace_end(&t, 1300);

    CHECK_INT(t.ready_ns, 3 + 1 + 0 + 1 + 0);
    CHECK_INT(t.run_ns, 7 + 2 + 1 + 1 + 44);
    CHECK_INT(t.longest_run_ns, 44);
    CHECK_INT(t.n_runs, 5);
    CHECK_INT(t.wait_ns[HOB_CLASS_IO], 100);
    CHECK_INT(t.wait_ns[HOB_CLASS_TIME], 100);
    CHECK_INT(t.wait_ns[HOB_CLASS_CPU], 40);
    CHECK_INT(t.wait_ns[HOB_CLASS_SYNC], 0);
    CHECK_INT(task_total(&t), 300); /* (I1) */
    CHECK_INT(t.state, TRACE_ENDED);
}

TEST(being_put_back_without_a_park_is_time_without_a_core)
{
    struct trace_task t;

    trace_task_init(&t, 1, NULL, NULL);
    trace_ready(&t, 10);
    trace_run(&t, 10);
    trace_ready(&t, 15); /* its turn was over */
    trace_run(&t, 25);
    trace_end(&t, 26);
    CHECK_INT(t.run_ns, 6);
    CHECK_INT(t.ready_ns, 10);
    CHECK_INT(t.n_runs, 2);
}

TEST(a_clock_that_goes_backwards_charges_nothing)
{
    struct trace_task t;

    trace_task_init(&t, 1, NULL, NULL);
    trace_ready(&t, 100);
    trace_run(&t, 90);
    trace_park(&t, HOB_WAIT_FD, 95);
    trace_ready(&t, 105);
    trace_end(&t, 107);
    CHECK_INT(t.wait_ns[HOB_CLASS_IO], 5);
    CHECK_INT(t.run_ns, 0);
    CHECK_INT(task_total(&t), 107 - 100); /* (I1), (I2) */
}

TEST(time_may_start_below_zero)
{
    struct trace_task t;

    trace_task_init(&t, 1, NULL, NULL);
    trace_ready(&t, -50);
    trace_run(&t, -40);
    trace_end(&t, 2);
    CHECK_INT(t.ready_ns, 10);
    CHECK_INT(t.run_ns, 42);
}

TEST(a_stage_sums_its_tasks_and_knows_its_span)
{
    struct trace_stage s;
    struct trace_task t;

    hob__stage_init(&s, "fetch");
    CHECK(s.id != 0);
    for (int i = 1; i <= 3; i++) {
        trace_task_init(&t, (uint64_t)i, NULL, &s);
        trace_ready(&t, i * 100);
        trace_run(&t, i * 100 + 1);
        trace_park(&t, HOB_WAIT_HTTP, i * 100 + 1 + i);
        trace_ready(&t, i * 100 + 50);
        trace_run(&t, i * 100 + 51);
        trace_end(&t, i * 100 + 52);
    }
    CHECK_INT(s.n_tasks, 3);
    CHECK_INT(s.n_runs, 6);
    CHECK_INT(s.run_ns, (1 + 1) + (2 + 1) + (3 + 1));
    CHECK_INT(s.ready_ns, 6);
    CHECK_INT(s.wait_ns[HOB_CLASS_IO], 48 + 47 + 46);
    CHECK_INT(s.longest_run_ns, 3);
    CHECK_INT(s.first, 100);
    CHECK_INT(s.last, 352);
}

TEST(flushing_between_items_counts_nothing_twice)
{
    struct trace_stage s;
    struct trace_task t;

    hob__stage_init(&s, "store");
    trace_task_init(&t, 1, NULL, &s);
    trace_ready(&t, 100);
    trace_run(&t, 100);
    for (int i = 1; i <= 4; i++) {
        trace_park(&t, HOB_WAIT_FLOW_SOURCE, 100 + i * 10);
        trace_ready(&t, 103 + i * 10);
        trace_run(&t, 105 + i * 10);
        hob__task_flush(&t);
        CHECK_INT(s.n_tasks, 0);
    }
    trace_end(&t, 150);
    CHECK_INT(s.n_tasks, 1);
    CHECK_INT(s.run_ns, 10 + 5 * 4);
    CHECK_INT(s.wait_ns[HOB_CLASS_SYNC], 12);
    CHECK_INT(s.ready_ns, 8);
    CHECK_INT(s.first, 100);
    CHECK_INT(s.last, 150);
    CHECK_INT(s.n_runs, 5);
}

static void *stage_feed(void *arg)
{
    for (int i = 0; i < 1000; i++) {
        struct trace_task t;

        trace_task_init(&t, 1, NULL, arg);
        trace_ready(&t, 1 + i);
        trace_run(&t, 2 + i);
        trace_end(&t, 5 + i);
    }
    return NULL;
}

TEST(tasks_on_many_threads_feed_one_stage)
{
    struct trace_stage s;
    pthread_t th[4];

    hob__stage_init(&s, "parse");
    for (int i = 0; i < 4; i++)
        CHECK_INT(pthread_create(&th[i], NULL, stage_feed, &s), 0);
    for (int i = 0; i < 4; i++)
        CHECK_INT(pthread_join(th[i], NULL), 0);
    CHECK_INT(s.n_tasks, 4000);
    CHECK_INT(s.run_ns, 12000);
    CHECK_INT(s.ready_ns, 4000);
    CHECK_INT(s.first, 1);
    CHECK_INT(s.last, 1004);
}

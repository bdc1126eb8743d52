/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>

#include <hob/trace.h>

#include "lib/t.h"
#include "trace/account.h"

/* Times in ms, so that a case reads like a measurement. */
#define USAGE(...) HOB_USAGE(__VA_ARGS__)
#define WAITS(io, cpu, sync, time)                                                                 \
    {                                                                                              \
        (io) * HOB_MS, (cpu)*HOB_MS, (sync)*HOB_MS, (time)*HOB_MS                                  \
    }

static struct hob_verdict verdict(const struct hob_usage *u)
{
    struct hob_verdict v;

    memset(&v, 0xee, sizeof(v));
    v.size = sizeof(v);
    CHECK_INT(hob_verdict_of(u, &v), 0);
    CHECK(memchr(v.words, '\0', sizeof(v.words)) != NULL);
    CHECK(v.words[0] != '\0' && strchr(v.words, '\n') == NULL);
    CHECK(strstr(v.words, "nan") == NULL && strstr(v.words, "inf ") == NULL);
    return v;
}

TEST(nothing_ran_is_idle)
{
    struct hob_verdict v = verdict(USAGE(.wall = HOB_SEC, .n_cores = 4));

    CHECK_INT(v.bound, HOB_BOUND_IDLE);
    CHECK_INT(v.advice, HOB_ADVICE_NONE);
    CHECK_STR(v.words, "idle: nothing ran");
    v = verdict(USAGE(.wall = 0));
    CHECK_INT(v.bound, HOB_BOUND_IDLE);
}

TEST(one_request_after_another_wants_concurrency)
{
    struct hob_verdict v =
        verdict(USAGE(.wall = 1000 * HOB_MS, .on_cpu = 25 * HOB_MS, .ready = 5 * HOB_MS,
                      .waiting = WAITS(970, 0, 0, 0), .n_cores = 4, .items = 20));

    CHECK_INT(v.bound, HOB_BOUND_IO);
    CHECK_INT(v.advice, HOB_ADVICE_CONCURRENCY);
    CHECK_INT(v.also_bound, v.bound);
    CHECK(fabs(v.io - .97) < 1e-9 && fabs(v.cpu - .03) < 1e-9);
    CHECK(fabs(v.at_once - 1) < 1e-9);
    CHECK_STR(v.words, "waits: 97 % of a task's time is network or disk (1.0 tasks at once, 0.03 "
                       "of 4 cores busy); more tasks at once help, more cores do not");
}

TEST(fifty_in_flight_is_already_concurrent)
{
    struct hob_verdict v =
        verdict(USAGE(.wall = 1000 * HOB_MS, .on_cpu = 300 * HOB_MS, .ready = 700 * HOB_MS,
                      .waiting = WAITS(47000, 0, 0, 0), .n_cores = 4, .items = 400, .width = 50));

    CHECK_INT(v.bound, HOB_BOUND_IO);
    CHECK_INT(v.advice, HOB_ADVICE_CONCURRENT);
    CHECK(strstr(v.words, "up to its width of 50"));
    CHECK(strstr(v.words, "more cores do not"));
}

TEST(all_items_at_once_leaves_nothing_to_gain)
{
    struct hob_verdict v = verdict(
        USAGE(.wall = 100 * HOB_MS, .waiting = WAITS(295, 0, 0, 0), .on_cpu = HOB_MS, .items = 3));

    CHECK_INT(v.advice, HOB_ADVICE_CONCURRENT);
    CHECK(strstr(v.words, "all 3 items"));
    v = verdict(
        USAGE(.wall = 100 * HOB_MS, .waiting = WAITS(99, 0, 0, 0), .on_cpu = HOB_MS, .items = 1));
    CHECK_INT(v.advice, HOB_ADVICE_CONCURRENT);
}

TEST(one_core_busy_wants_parallelism)
{
    struct hob_verdict v =
        verdict(USAGE(.wall = 1000 * HOB_MS, .on_cpu = 960 * HOB_MS, .ready = 10 * HOB_MS,
                      .waiting = WAITS(30, 0, 0, 0), .n_cores = 4, .items = 1000));

    CHECK_INT(v.bound, HOB_BOUND_CPU);
    CHECK_INT(v.advice, HOB_ADVICE_PARALLELISM);
    CHECK_STR(v.words, "computes: 96 % of a task's time is on CPU (1.0 tasks at once, 0.96 of 4 "
                       "cores busy); more cores help, more tasks at once do not");
}

TEST(every_core_busy_is_already_parallel)
{
    struct hob_verdict v = verdict(USAGE(.wall = 1000 * HOB_MS, .on_cpu = 3900 * HOB_MS,
                                         .ready = 40000 * HOB_MS, .n_cores = 4));

    CHECK_INT(v.bound, HOB_BOUND_CPU);
    CHECK_INT(v.advice, HOB_ADVICE_PARALLEL);
    CHECK(strstr(v.words, "in line for a core"));
}

TEST(threads_in_line_for_cores_are_too_many_and_tasks_in_line_are_not)
{
    struct hob_usage u = *USAGE(.wall = 1000 * HOB_MS, .on_cpu = 2000 * HOB_MS,
                                .ready = 14000 * HOB_MS, .n_cores = 2, .n_threads = 16);

    CHECK_INT(verdict(&u).advice, HOB_ADVICE_FEWER_THREADS);
    u.n_threads = 0;
    CHECK_INT(verdict(&u).advice, HOB_ADVICE_PARALLEL);
    u.n_threads = 2;
    CHECK_INT(verdict(&u).advice, HOB_ADVICE_PARALLEL);
}

TEST(fetch_and_compute_in_a_row_wants_both)
{
    struct hob_verdict v = verdict(USAGE(.wall = 1000 * HOB_MS, .on_cpu = 400 * HOB_MS,
                                         .waiting = WAITS(600, 0, 0, 0), .n_cores = 4));

    CHECK_INT(v.bound, HOB_BOUND_MIXED);
    CHECK_INT(v.advice, HOB_ADVICE_BOTH);
    CHECK(strstr(v.words, "both: 60 % of a task's time is network or disk, 40 % is CPU"));
}

TEST(a_loop_that_computes_between_its_fetches_wants_cores_though_fifty_are_in_flight)
{
    /* Fifty at once on one loop: its one core is full and tasks stand in line for it. */
    struct hob_verdict v =
        verdict(USAGE(.wall = 1000 * HOB_MS, .on_cpu = 980 * HOB_MS, .ready = 24000 * HOB_MS,
                      .waiting = WAITS(25000, 0, 0, 0), .n_cores = 4, .width = 50));

    CHECK_INT(v.bound, HOB_BOUND_MIXED);
    CHECK_INT(v.advice, HOB_ADVICE_BOTH);
}

TEST(a_little_computing_beside_many_fetches_is_still_concurrent)
{
    struct hob_verdict v = verdict(USAGE(.wall = 1000 * HOB_MS, .on_cpu = 1900 * HOB_MS,
                                         .waiting = WAITS(5000, 0, 0, 0), .n_cores = 8));

    CHECK_INT(v.bound, HOB_BOUND_IO);
    CHECK_INT(v.advice, HOB_ADVICE_CONCURRENT);
}

TEST(waiting_for_the_pool_is_computing)
{
    struct hob_verdict v = verdict(USAGE(.wall = 1000 * HOB_MS, .on_cpu = 20 * HOB_MS,
                                         .waiting = WAITS(30, 950, 0, 0), .n_cores = 4));

    CHECK_INT(v.bound, HOB_BOUND_CPU);
    CHECK(fabs(v.cpu - .97) < 1e-9);
}

TEST(timers_and_others_are_neither)
{
    struct hob_verdict v =
        verdict(USAGE(.wall = 1000 * HOB_MS, .on_cpu = HOB_MS, .waiting = WAITS(0, 0, 0, 999)));

    CHECK_INT(v.bound, HOB_BOUND_SLEEP);
    CHECK_INT(v.advice, HOB_ADVICE_NONE);
    v = verdict(
        USAGE(.wall = 1000 * HOB_MS, .on_cpu = 100 * HOB_MS, .waiting = WAITS(100, 0, 800, 0)));
    CHECK_INT(v.bound, HOB_BOUND_LOCK);
    CHECK_INT(v.advice, HOB_ADVICE_ELSEWHERE);
}

TEST(half_the_time_asleep_or_behind_others_outweighs_the_rest)
{
    CHECK_INT(verdict(USAGE(.wall = 1000, .on_cpu = 250, .waiting = {250, 0, 0, 500})).bound,
              HOB_BOUND_SLEEP);
    CHECK_INT(verdict(USAGE(.wall = 1000, .on_cpu = 260, .waiting = {250, 0, 0, 490})).bound,
              HOB_BOUND_MIXED);
    CHECK_INT(verdict(USAGE(.wall = 1000, .on_cpu = 250, .waiting = {250, 0, 500, 0})).bound,
              HOB_BOUND_LOCK);
    CHECK_INT(verdict(USAGE(.wall = 1000, .on_cpu = 260, .waiting = {250, 0, 490, 0})).bound,
              HOB_BOUND_MIXED);
}

TEST(half_and_half_is_a_close_call)
{
    struct hob_verdict v = verdict(USAGE(.wall = 1000, .waiting = {480, 0, 0, 520}));

    CHECK_INT(v.bound, HOB_BOUND_SLEEP);
    CHECK_INT(v.also_bound, HOB_BOUND_IO);
    v = verdict(USAGE(.wall = 1000, .waiting = {520, 0, 480, 0}));
    CHECK_INT(v.bound, HOB_BOUND_IO);
    CHECK_INT(v.also_bound, HOB_BOUND_LOCK);
}

/* CPU share in thousandths, the rest network; one task on one of four cores. */
static struct hob_verdict split(int64_t cpu)
{
    return verdict(USAGE(.wall = HOB_SEC, .on_cpu = cpu * HOB_MS,
                         .waiting = {(1000 - cpu) * HOB_MS}, .n_cores = 4));
}

TEST(both_readings_within_a_tenth_of_a_threshold)
{
    struct hob_verdict v = split(240); /* below .25, by 4 % */

    CHECK_INT(v.bound, HOB_BOUND_IO);
    CHECK_INT(v.also_bound, HOB_BOUND_MIXED);
    CHECK(fabs(v.margin - .04) < 1e-9);
    CHECK(strstr(v.words, "a close call (CPU share 0.24, threshold 0.25), so also: both: 76 %"));
    v = split(250); /* on it */
    CHECK_INT(v.bound, HOB_BOUND_MIXED);
    CHECK_INT(v.also_bound, HOB_BOUND_IO);
    CHECK(v.margin == 0);
    v = split(280); /* above, by 12 % */
    CHECK_INT(v.bound, HOB_BOUND_MIXED);
    CHECK_INT(v.also_bound, HOB_BOUND_MIXED);
    CHECK(strstr(v.words, "close call") == NULL);
    v = split(745); /* network .255: both, or computes */
    CHECK_INT(v.bound, HOB_BOUND_MIXED);
    CHECK_INT(v.also_bound, HOB_BOUND_CPU);
    v = split(760);
    CHECK_INT(v.bound, HOB_BOUND_CPU);
    CHECK_INT(v.also_bound, HOB_BOUND_MIXED);
    CHECK_INT(split(900).also_bound, HOB_BOUND_CPU);
}

TEST(the_advice_alone_may_be_a_close_call)
{
    struct hob_verdict v =
        verdict(USAGE(.wall = HOB_SEC, .on_cpu = 10 * HOB_MS, .waiting = WAITS(3900, 0, 0, 0)));

    CHECK_INT(v.advice, HOB_ADVICE_CONCURRENCY);
    CHECK_INT(v.also_bound, HOB_BOUND_IO);
    CHECK_INT(v.also_advice, HOB_ADVICE_CONCURRENT);
    CHECK(strstr(v.words, "in flight 3.90, threshold 4.00"));
}

TEST(without_a_majority_the_largest_share_names_it_and_an_equal_one_is_told)
{
    struct hob_verdict v =
        verdict(USAGE(.wall = HOB_SEC, .on_cpu = 100 * HOB_MS, .waiting = WAITS(280, 0, 320, 300)));

    CHECK_INT(v.bound, HOB_BOUND_LOCK);
    CHECK_INT(v.also_bound, HOB_BOUND_SLEEP);
    CHECK(strstr(v.words, "two shares of about the same size"));
}

TEST(a_turn_that_held_its_loop_is_told)
{
    struct hob_verdict v = split(100);

    CHECK(strstr(v.words, "held its loop") == NULL);
    v = verdict(USAGE(.wall = HOB_SEC, .on_cpu = 900 * HOB_MS, .waiting = WAITS(100, 0, 0, 0),
                      .n_cores = 2, .longest_turn = 120 * HOB_MS));
    CHECK(strstr(v.words, "one turn held its loop for 120 ms"));
}

TEST(extreme_figures_give_words_and_no_overflow)
{
    const hob_dur huge = INT64_MAX;
    struct hob_verdict v = verdict(USAGE(.wall = huge, .on_cpu = huge, .ready = huge,
                                         .waiting = {huge, huge, huge, huge}, .longest_turn = huge,
                                         .items = UINT64_MAX, .n_cores = UINT32_MAX,
                                         .width = UINT32_MAX, .n_threads = UINT32_MAX));

    CHECK(fabs(v.cpu + v.io + v.sync + v.sleep - 1) < 1e-6);
    v = verdict(USAGE(.wall = 1, .on_cpu = huge, .waiting = {huge}, .n_cores = 1));
    CHECK_INT(v.bound, HOB_BOUND_MIXED);
    v = verdict(USAGE(.wall = -1, .on_cpu = -5, .ready = -7, .waiting = {-1, -1, -1, -1}));
    CHECK_INT(v.bound, HOB_BOUND_IDLE);
    v = verdict(USAGE(.wall = -1, .on_cpu = 5, .waiting = {-100}));
    CHECK_INT(v.bound, HOB_BOUND_CPU);
    CHECK(fabs(v.cpu - 1) < 1e-9);
    v = verdict(USAGE(.wall = 0, .on_cpu = 1));
    CHECK_INT(v.bound, HOB_BOUND_CPU);
}

TEST(every_split_has_a_reading_and_shares_that_add_up)
{
    for (int cpu = 0; cpu <= 20; cpu++)
        for (int io = 0; io + cpu <= 20; io++)
            for (int sync = 0; sync + io + cpu <= 20; sync++) {
                int sleep = 20 - cpu - io - sync;
                struct hob_verdict v =
                    verdict(USAGE(.wall = 20, .on_cpu = cpu, .waiting = {io, 0, sync, sleep},
                                  .n_cores = 2));

                CHECK(v.bound != HOB_BOUND_IDLE);
                CHECK(fabs(v.cpu + v.io + v.sync + v.sleep - 1) < 1e-9);
                CHECK(v.margin >= 0);
                if (cpu >= 15)
                    CHECK(v.bound == HOB_BOUND_CPU || (io >= 5 && v.bound == HOB_BOUND_MIXED));
                if (io >= 16)
                    CHECK_INT(v.bound, HOB_BOUND_IO);
            }
}

TEST(usage_of_no_size_or_of_the_future_is_refused)
{
    struct {
        struct hob_usage u;
        int newer;
    } future = {.u = {.size = sizeof(future)}, .newer = 1};
    struct hob_usage none = {.wall = 1};
    struct hob_verdict v = {.size = sizeof(v), .margin = 42};

    CHECK_INT(hob_verdict_of(NULL, &v), -EINVAL);
    CHECK_INT(hob_verdict_of(&none, &v), -EINVAL);
    struct hob_verdict unsized = {.margin = 42};
    CHECK_INT(hob_verdict_of(HOB_USAGE(.wall = 1), &unsized), -EINVAL);
    CHECK_INT(hob_stage_verdict(&(struct hob_stage_stats){.kind = "io"}, 1, &v), -EINVAL);
    CHECK_INT(hob_verdict_of(&future.u, &v), -E2BIG);
    CHECK(v.margin == 42);
}

TEST(a_stage_is_judged_by_its_sums)
{
    struct hob_stage_stats st = {.size = sizeof(st), .kind = "io", .width = 1};
    struct trace_stage s;
    struct trace_task t;
    struct hob_verdict v = {.size = sizeof(v)};

    hob__stage_init(&s, "fetch");
    trace_task_init(&t, 1, NULL, &s);
    trace_ready(&t, HOB_SEC);
    trace_run(&t, HOB_SEC);
    trace_park(&t, HOB_WAIT_HTTP, HOB_SEC + 60 * HOB_MS);
    trace_ready(&t, HOB_SEC + 960 * HOB_MS);
    trace_run(&t, HOB_SEC + 960 * HOB_MS);
    trace_end(&t, 2 * HOB_SEC);
    hob__stage_stats(&s, &st);
    CHECK_STR(st.name, "fetch");
    CHECK_INT(st.wall, HOB_SEC);
    CHECK_INT(st.on_cpu, 100 * HOB_MS);
    CHECK_INT(st.waiting[HOB_CLASS_IO], 900 * HOB_MS);
    CHECK(fabs(st.busy - 1) < 1e-9);
    CHECK_INT(hob_stage_verdict(&st, 4, &v), 0);
    CHECK_INT(v.bound, HOB_BOUND_IO);
    CHECK(strstr(v.words, "held its loop for 60 ms"));
    st.kind = "cpu";
    CHECK_INT(hob_stage_verdict(&st, 4, &v), 0);
    CHECK(strstr(v.words, "held its loop") == NULL);
}

/* A stage of a flow that ran for a second, all times in ms. */
static struct hob_verdict stage(const char *kind, int64_t on_cpu, int64_t ready, int64_t io)
{
    struct hob_stage_stats st = {.size = sizeof(st),
                                 .kind = kind,
                                 .width = 1,
                                 .items_in = 1000,
                                 .wall = (on_cpu + ready + io) * HOB_MS,
                                 .flow = HOB_SEC,
                                 .on_cpu = on_cpu * HOB_MS,
                                 .ready = ready * HOB_MS,
                                 .waiting = {io * HOB_MS}};
    struct hob_verdict v = {.size = sizeof(v)};

    CHECK_INT(hob_stage_verdict(&st, 4, &v), 0);
    return v;
}

TEST(a_stage_that_did_next_to_nothing_gets_no_advice)
{
    static const char *const kinds[] = {"io", "cpu", "lane"};

    for (int i = 0; i < 3; i++) {
        struct hob_verdict v = stage(kinds[i], 0, 3, 0);
        CHECK_STR(v.words, "hardly used (0.3 % of the time): not what holds it");
        CHECK_INT(v.bound, HOB_BOUND_IDLE);
        CHECK_INT(v.advice, HOB_ADVICE_NONE);
        CHECK_INT(stage(kinds[i], 4, 5, 0).bound, HOB_BOUND_IDLE);
        CHECK_INT(stage(kinds[i], 10, 0, 0).bound, HOB_BOUND_CPU); /* on the threshold */
    }
}

TEST(a_stage_that_asks_for_far_less_than_a_core_is_not_told_that_cores_help)
{
    struct hob_verdict v = stage("cpu", 70, 0, 0);

    CHECK_INT(v.bound, HOB_BOUND_CPU);
    CHECK_INT(v.advice, HOB_ADVICE_ELSEWHERE);
    CHECK(strstr(v.words, "0.07 of one core is all it asks for: not what holds the flow"));
    CHECK(strstr(v.words, "more cores") == NULL);
    v = stage("cpu", 300, 190, 0); /* in line for a core is asking for it too */
    CHECK_INT(v.advice, HOB_ADVICE_ELSEWHERE);
    v = stage("cpu", 300, 210, 0);
    CHECK_INT(v.advice, HOB_ADVICE_PARALLELISM);
    CHECK(strstr(v.words, "more cores help"));
    v = stage("cpu", 900, 50, 0);
    CHECK_INT(v.advice, HOB_ADVICE_PARALLELISM);
    v = stage("io", 100, 0, 120); /* both, but more of the waiting alone */
    CHECK(strstr(v.words, "the computing") == NULL);
}

TEST(usage_of_next_to_nothing_is_idle_too)
{
    struct hob_verdict v = verdict(USAGE(.wall = HOB_SEC, .ready = 2 * HOB_MS, .n_cores = 4));

    CHECK_INT(v.bound, HOB_BOUND_IDLE);
    CHECK_STR(v.words, "hardly used (0.2 % of the time): not what holds it");
}

TEST(a_lane_is_told_how_busy_its_thread_is)
{
    struct hob_verdict v = stage("lane", 50, 10, 420);

    CHECK_STR(v.words, "one thread, 42 % of its time the disk, 5 % computing, idle otherwise");
    CHECK_INT(v.bound, HOB_BOUND_IO);
    CHECK_INT(v.advice, HOB_ADVICE_NONE);
    v = stage("lane", 300, 100, 50);
    CHECK_STR(v.words, "one thread, 5 % of its time the disk, 30 % computing, 10 % other calls "
                       "before its own, idle otherwise");
    CHECK_INT(v.bound, HOB_BOUND_CPU);
}

TEST(a_lane_that_is_always_busy_is_the_bottleneck)
{
    struct hob_verdict v = stage("lane", 200, 20, 740);

    CHECK_STR(v.words, "one thread, 74 % of its time the disk, 20 % computing; is the "
                       "bottleneck: larger batches help");
    CHECK_INT(v.advice, HOB_ADVICE_BATCHES);
    CHECK_INT(stage("lane", 200, 0, 600).advice, HOB_ADVICE_BATCHES); /* on the threshold */
    CHECK_INT(stage("lane", 200, 0, 590).advice, HOB_ADVICE_NONE);
    CHECK_INT(stage("lane", 200, 250, 400).advice, HOB_ADVICE_BATCHES);
    CHECK(strstr(stage("cpu", 200, 20, 740).words, "bottleneck") == NULL);
}

TEST(each_bound_and_advice_has_a_word_for_programs)
{
    CHECK_STR(hob_bound_word(HOB_BOUND_IO), "io");
    CHECK_STR(hob_bound_word(HOB_BOUND_LOCK), "lock");
    CHECK_STR(hob_bound_word((enum hob_bound)99), "?");
    CHECK_STR(hob_advice_word(HOB_ADVICE_NONE), "neither");
    CHECK_STR(hob_advice_word(HOB_ADVICE_CONCURRENT), "ok-concurrent");
    CHECK_STR(hob_advice_word(HOB_ADVICE_LOCK), "lock");
    CHECK_STR(hob_advice_word((enum hob_advice)99), "?");
}

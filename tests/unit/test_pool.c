/* SPDX-License-Identifier: MIT */
#include "pool/pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/t.h"
#include "plat/cpu.h"
#include "pool/worker.h"

/* ThreadSanitizer would end a child that starts threads; what it then cannot see is only that
 * child's. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "die_after_fork=0";
}

static void cores(unsigned n)
{
    char text[16];

    snprintf(text, sizeof text, "%u", n);
    setenv("HOB_CORES", text, 1);
}

struct item {
    struct env_work work;
    atomic_uint runs;
    unsigned number;
};

static atomic_uint n_run;

static void item_run(struct env_work *w)
{
    struct item *it = container_of(w, struct item, work);

    atomic_fetch_add(&it->runs, 1);
    atomic_fetch_add(&n_run, 1);
}

/* The case's own time-out is the limit of every wait here. */
static void wait_until_run(unsigned n)
{
    while (atomic_load(&n_run) < n)
        sched_yield();
}

static void wait_until_asleep(unsigned n)
{
    struct pool_stats st;

    do {
        sched_yield();
        hob__pool_stats(&st);
    } while (st.n_asleep < n);
}

static void *submit_many(void *arg)
{
    struct item *it = arg;

    for (unsigned i = 0; i < 1000; i++) {
        it[i].work.run = item_run;
        CHECK_INT(hob__pool_submit(&it[i].work), 0);
    }
    return NULL;
}

/* Several threads submit at once; each work runs once. */
static void check_exactly_once(unsigned workers)
{
    enum { SUBMITTERS = 3 };
    static struct item items[SUBMITTERS * 1000];
    pthread_t t[SUBMITTERS];
    struct pool_stats st;

    cores(workers);
    for (int i = 0; i < SUBMITTERS; i++)
        CHECK(pthread_create(&t[i], NULL, submit_many, &items[i * 1000]) == 0);
    for (int i = 0; i < SUBMITTERS; i++)
        CHECK(pthread_join(t[i], NULL) == 0);
    wait_until_run(SUBMITTERS * 1000);
    CHECK_INT(hob__pool_workers(), workers);
    hob__pool_stop();
    for (int i = 0; i < SUBMITTERS * 1000; i++)
        CHECK_INT(items[i].runs, 1);
    hob__pool_stats(&st);
    CHECK_INT(st.jobs, SUBMITTERS * 1000);
}

TEST(each_work_runs_once_on_1_worker)
{
    check_exactly_once(1);
}

TEST(each_work_runs_once_on_2_workers)
{
    check_exactly_once(2);
}

TEST(each_work_runs_once_on_4_workers)
{
    check_exactly_once(4);
}

TEST(each_work_runs_once_on_8_workers)
{
    check_exactly_once(8);
}

static unsigned order[100];

static void order_run(struct env_work *w)
{
    order[atomic_fetch_add(&n_run, 1)] = container_of(w, struct item, work)->number;
}

TEST(one_worker_runs_in_the_order_submitted)
{
    static struct item items[100];

    cores(1);
    for (unsigned i = 0; i < 100; i++) {
        items[i] = (struct item){.work.run = order_run, .number = i};
        CHECK_INT(hob__pool_submit(&items[i].work), 0);
    }
    wait_until_run(100);
    hob__pool_stop();
    for (unsigned i = 0; i < 100; i++)
        CHECK_INT(order[i], i);
}

/* A lost wake-up shows as the case's time-out: the last sleeper is woken each round. */
TEST(every_single_submission_wakes_a_sleeper)
{
    struct item it = {.work.run = item_run};
    struct pool_stats st;

    cores(3);
    for (unsigned i = 1; i <= 300; i++) {
        if (i % 3 == 0)
            wait_until_asleep(3);
        CHECK_INT(hob__pool_submit(&it.work), 0);
        wait_until_run(i);
    }
    wait_until_asleep(3);
    hob__pool_stats(&st);
    CHECK(st.wakes >= 100);
    CHECK(st.sleeps >= 100);
    hob__pool_stop();
}

/* While one worker is held up, the others take what comes. */
static atomic_bool gate, gate_reached;

static void gate_run(struct env_work *w)
{
    (void)w;
    atomic_store(&gate_reached, true);
    while (!atomic_load(&gate))
        sched_yield();
    atomic_fetch_add(&n_run, 1);
}

TEST(work_behind_a_long_job_is_not_held_up)
{
    struct env_work held = {.run = gate_run};
    static struct item items[50];

    cores(2);
    CHECK_INT(hob__pool_submit(&held), 0);
    for (int i = 0; i < 50; i++) {
        items[i].work.run = item_run;
        CHECK_INT(hob__pool_submit(&items[i].work), 0);
    }
    wait_until_run(50);
    CHECK(!atomic_load(&gate));
    atomic_store(&gate, true);
    wait_until_run(51);
    hob__pool_stop();
}

TEST(idle_workers_are_asleep_and_stay_so)
{
    struct pool_stats before, after;
    struct timespec cpu[2];

    cores(4);
    CHECK_INT(hob__pool_start(), 0);
    CHECK_INT(hob__pool_start(), 0);
    wait_until_asleep(4);
    hob__pool_stats(&before);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu[0]);
    for (int i = 0; i < 20; i++) /* somebody else's turn, not a measure of time */
        sched_yield();
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu[1]);
    hob__pool_stats(&after);
    CHECK_INT(after.n_asleep, 4);
    CHECK_INT(after.sleeps, before.sleeps);
    CHECK_INT(after.wakes, before.wakes);
    hob__pool_stop();
    CHECK_INT(hob__pool_workers(), 0);
}

static bool was_on_worker;

static void ask_run(struct env_work *w)
{
    (void)w;
    was_on_worker = hob__pool_on_worker();
    atomic_fetch_add(&n_run, 1);
}

TEST(only_inside_a_job_is_on_worker)
{
    struct env_work w = {.run = ask_run};

    cores(1);
    CHECK(!hob__pool_on_worker());
    CHECK_INT(hob__pool_submit(&w), 0);
    wait_until_run(1);
    CHECK(was_on_worker);
    CHECK(!hob__pool_on_worker());
    hob__pool_stop();
}

TEST(stop_runs_what_was_submitted_and_start_comes_after)
{
    static struct item items[500];

    cores(2);
    for (int round = 1; round <= 3; round++) {
        for (int i = 0; i < 500; i++) {
            items[i].work.run = item_run;
            CHECK_INT(hob__pool_submit(&items[i].work), 0);
        }
        hob__pool_stop();
        CHECK_INT(n_run, 500 * round);
    }
    hob__pool_stop();
}

static struct item chained;

static void chain_run(struct env_work *w)
{
    (void)w;
    chained.work.run = item_run;
    CHECK_INT(hob__pool_submit(&chained.work), 0);
}

TEST(what_a_job_submits_while_the_pool_stops_runs_too)
{
    struct env_work w = {.run = chain_run};

    cores(2);
    CHECK_INT(hob__pool_submit(&w), 0);
    hob__pool_stop();
    CHECK_INT(n_run, 1);
}

TEST(a_forked_child_starts_its_own_workers)
{
    static struct item items[2];
    int status;

    cores(2);
    items[0].work.run = items[1].work.run = item_run;
    CHECK_INT(hob__pool_submit(&items[0].work), 0);
    wait_until_run(1);
    /* AddressSanitizer's allocator is not fork-safe: a thread being born may hold its lock. */
    wait_until_asleep(2);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK_INT(hob__pool_workers(), 0);
        CHECK_INT(hob__pool_submit(&items[1].work), 0);
        wait_until_run(2);
        CHECK_INT(hob__pool_workers(), 2);
        hob__pool_stop();
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK_INT(status, 0);
    CHECK_INT(hob__pool_submit(&items[1].work), 0);
    wait_until_run(2);
    hob__pool_stop();
}

TEST(what_the_parent_submitted_is_not_run_by_the_child)
{
    struct env_work held = {.run = gate_run};
    struct item it = {.work.run = item_run};
    int status;

    cores(1);
    CHECK_INT(hob__pool_submit(&held), 0);
    CHECK_INT(hob__pool_submit(&it.work), 0); /* waits behind it */
    /* A sanitizer's allocator is not fork-safe: a thread being born may hold its lock. */
    while (!atomic_load(&gate_reached))
        sched_yield();
    pid_t pid = fork();
    if (pid == 0) {
        CHECK_INT(hob__pool_start(), 0);
        hob__pool_stop();
        CHECK_INT(n_run, 0);
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK_INT(status, 0);
    atomic_store(&gate, true);
    hob__pool_stop();
    CHECK_INT(n_run, 2);
}

static int seen_nice;

static void nice_run(struct env_work *w)
{
    (void)w;
    seen_nice = getpriority(PRIO_PROCESS, (id_t)gettid());
    atomic_fetch_add(&n_run, 1);
}

static int nice_of_a_worker(unsigned n)
{
    struct env_work w = {.run = nice_run};

    CHECK_INT(hob__pool_submit(&w), 0);
    wait_until_run(n);
    return seen_nice;
}

TEST(nice_is_the_workers_and_not_the_programs)
{
    int own = getpriority(PRIO_PROCESS, 0);

    cores(1);
    CHECK_INT(nice_of_a_worker(1), own);
    CHECK_INT(hob__pool_set_nice(19), 0);
    CHECK_INT(nice_of_a_worker(2), 19);
    CHECK_INT(getpriority(PRIO_PROCESS, 0), own);
    hob__pool_stop();
    CHECK_INT(nice_of_a_worker(3), 19); /* later threads too */
    hob__pool_stop();
}

static hob_dur seen_slice;

static hob_dur slice_now(void)
{
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } a;

    CHECK(syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) == 0);
    return (hob_dur)a.runtime;
}

static void slice_run(struct env_work *w)
{
    (void)w;
    seen_slice = slice_now();
    atomic_fetch_add(&n_run, 1);
}

TEST(a_worker_does_not_inherit_a_loops_slice)
{
    struct env_work w = {.run = slice_run};
    hob_dur own = slice_now();

    if (hob__thread_slice(100 * HOB_US) != 100 * HOB_US)
        t_skip("this kernel grants no slice");
    cores(1);
    CHECK_INT(hob__pool_submit(&w), 0);
    wait_until_run(1);
    CHECK_INT(seen_slice, own);
    hob__pool_stop();
}

static void busy_run(struct env_work *w)
{
    (void)w;
    for (volatile int i = 0; i < 100000; i++)
        ;
    atomic_fetch_add(&n_run, 1);
}

TEST(busy_time_is_counted_only_while_tracing)
{
    struct env_work w = {.run = busy_run};
    struct pool_stats st;

    cores(1);
    CHECK_INT(hob__pool_submit(&w), 0);
    hob__pool_stop();
    hob__pool_stats(&st);
    CHECK_INT(st.busy_ns, 0);
    hob__pool_trace(true);
    CHECK_INT(hob__pool_submit(&w), 0);
    hob__pool_stop();
    hob__pool_stats(&st);
    CHECK(st.busy_ns > 0);
}

TEST(the_real_environment_submits_here)
{
    CHECK(hob__env_real.pool_submit == hob__pool_submit);
}

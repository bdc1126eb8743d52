/* SPDX-License-Identifier: MIT */
#include <hob/hob.h>

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/t.h"
#include "net/dns.h"

#define SHORT (100 * HOB_US) /* what a loop asks for */

/* struct sched_attr of <linux/sched/types.h>, which cannot be had beside <sched.h>. */
struct attr {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

static hob_dur slice_of(int tid)
{
    struct attr a = {.size = sizeof a};

    return syscall(SYS_sched_getattr, tid, &a, sizeof a, 0) == 0 ? (hob_dur)a.runtime : 0;
}

static void slice_set(hob_dur slice)
{
    struct attr a = {.size = sizeof a, .runtime = (uint64_t)slice};

    CHECK_INT(syscall(SYS_sched_setattr, 0, &a, 0), 0);
}

/* Threads of this process beside the calling one that have the short slice. */
static unsigned others_with_short_slice(void)
{
    DIR *d = opendir("/proc/self/task");
    struct dirent *e;
    unsigned n = 0;

    CHECK(d);
    while ((e = readdir(d)))
        if (atoi(e->d_name) != 0 && atoi(e->d_name) != gettid())
            n += slice_of(atoi(e->d_name)) == SHORT;
    closedir(d);
    return n;
}

static int own_nice(void *unused)
{
    (void)unused;
    return getpriority(PRIO_PROCESS, (id_t)gettid());
}

static int nothing(void *unused)
{
    (void)unused;
    return 0;
}

static void no_such_name(const char *name, struct dns_answer *ret)
{
    (void)name;
    ret->rc = -HOB_EDNS;
}

struct tuned {
    hob_dur loop_slice;
    int loop_nice, pool_nice, block_nice, lane_nice;
};

/* One thread of every sort that a loop starts. */
static int look(void *arg)
{
    struct tuned *t = arg;
    hob_lane *lane;
    hob_addr a;
    size_t n;

    CHECK_INT(hob_trace_start(NULL), 0);
    CHECK_INT(hob_lane_new("test", &lane), 0);
    t->loop_slice = slice_of(0);
    t->loop_nice = own_nice(NULL);
    t->pool_nice = hob_offload(own_nice, NULL, HOB_FOREVER);
    t->block_nice = hob_block(own_nice, NULL, HOB_FOREVER);
    t->lane_nice = hob_lane_call(lane, own_nice, NULL, HOB_FOREVER);
    CHECK_INT(hob_resolve("none.test", 1, 1, HOB_FOREVER, &a, &n), -HOB_EDNS);
    while (others_with_short_slice() > 0) /* until the last one has begun */
        if (hob_yield() < 0)
            return -ECANCELED;
    hob_lane_free(lane);
    return hob_trace_stop(NULL);
}

static void *no_work(void *unused)
{
    return unused;
}

/* ThreadSanitizer's own thread begins with the first of ours: it shall not be a loop's child. */
static void first_thread(void)
{
    pthread_t t;

    CHECK_INT(pthread_create(&t, NULL, no_work, NULL), 0);
    CHECK_INT(pthread_join(t, NULL), 0);
}

static void base_nice_zero(void)
{
    first_thread();
    if (own_nice(NULL) != 0)
        t_skip("the test itself runs at nice %d", own_nice(NULL));
}

TEST(the_loop_has_a_short_slice_and_nobody_else)
{
    struct tuned t;

    first_thread();
    hob__dns_lookup = no_such_name;
    hob_dur before = slice_of(0);
    if (before <= 0)
        t_skip("this kernel does not tell slices (before Linux 6.12)");
    CHECK_INT(hob_run(NULL, look, &t), 0);
    CHECK_INT(t.loop_slice, SHORT);
    CHECK_INT(slice_of(0), before);
    CHECK_INT(hob_run(HOB_OPTS(.no_slice = true), look, &t), 0);
    CHECK_INT(t.loop_slice, before);
    CHECK_INT(slice_of(0), before);
}

TEST(a_slice_the_caller_had_is_its_own_again)
{
    if (slice_of(0) <= 0)
        t_skip("this kernel does not tell slices (before Linux 6.12)");
    slice_set(700 * HOB_US);
    CHECK_INT(hob_run(NULL, nothing, NULL), 0);
    CHECK_INT(slice_of(0), 700 * HOB_US);
}

TEST(only_the_pool_is_nice_and_stays_so)
{
    struct tuned t;

    base_nice_zero();
    hob__dns_lookup = no_such_name;
    CHECK_INT(hob_run(NULL, look, &t), 0);
    CHECK_INT(t.pool_nice, 19);
    CHECK_INT(t.loop_nice, 0);
    CHECK_INT(t.block_nice, 0);
    CHECK_INT(t.lane_nice, 0);
    CHECK_INT(own_nice(NULL), 0);
    CHECK_INT(hob_run(HOB_OPTS(.no_pool_nice = true), look, &t), 0);
    CHECK_INT(t.pool_nice, 19);
}

TEST(the_pools_nice_value_can_be_chosen_and_left)
{
    struct tuned t;

    base_nice_zero();
    hob__dns_lookup = no_such_name;
    CHECK_INT(hob_run(HOB_OPTS(.no_pool_nice = true), look, &t), 0);
    CHECK_INT(t.pool_nice, 0);
    CHECK_INT(hob_run(HOB_OPTS(.pool_nice = 5), look, &t), 0);
    CHECK_INT(t.pool_nice, 5);
}

static int asks(void *arg)
{
    unsigned *loops = arg;

    *loops = hob_loops();
    return hob_simulated();
}

TEST(what_runs_can_be_asked_at_any_time)
{
    unsigned loops = 0;

    CHECK_INT(hob_loops(), 0);
    CHECK(!hob_simulated());
    CHECK_INT(hob_run(HOB_OPTS(.loops = 2), asks, &loops), 0);
    CHECK_INT(loops, 2);
    setenv("HOB_SIM", "1", 1);
    CHECK_INT(hob_run(HOB_OPTS(.loops = 3), asks, &loops), 1);
    CHECK_INT(loops, 3);
    CHECK_INT(hob_loops(), 0);
    CHECK(!hob_simulated());
}

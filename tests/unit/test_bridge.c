/* SPDX-License-Identifier: MIT */
#include <hob/hob.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/each.h"
#include "lib/t.h"
#include "sync/bridge.h"

static int square(void *arg)
{
    int v = *(int *)arg;

    return v * v;
}

static int all_three(void *arg)
{
    hob_lane *lane;
    int v = 7, r = hob_lane_new("test", &lane);

    (void)arg;
    CHECK_INT(r, 0);
    CHECK_INT(hob_offload(square, &v, HOB_FOREVER), 49);
    CHECK_INT(hob_block(square, &v, HOB_FOREVER), 49);
    CHECK_INT(hob_lane_call(lane, square, &v, HOB_FOREVER), 49);
    hob_lane_free(lane);
    hob_lane_free(NULL);
    return 0;
}

TEST(a_call_goes_over_and_its_result_comes_back)
{
    each_world_run(all_three, NULL, NULL, 0);
}

TEST(off_a_fiber_the_calls_run_here)
{
    CHECK_INT(all_three(NULL), 0);
}

static int count_it(void *arg)
{
    return ++*(int *)arg;
}

/* On a fiber all three would have to wait for another thread. */
static int at_once_or_not(void *arg)
{
    hob_lane *lane;
    int n = 0;

    (void)arg;
    CHECK_INT(hob_lane_new("test", &lane), 0);
    CHECK_INT(hob_offload(count_it, &n, 0), -ETIMEDOUT);
    CHECK_INT(hob_block(count_it, &n, 0), -ETIMEDOUT);
    CHECK_INT(hob_lane_call(lane, count_it, &n, 0), -ETIMEDOUT);
    CHECK_INT(hob_lane_call(lane, count_it, &n, HOB_FOREVER), 1);
    hob_lane_free(lane);
    return 0;
}

TEST(until_zero_begins_no_call_on_another_thread)
{
    hob_lane *lane;
    int n = 0;

    each_world_run(at_once_or_not, NULL, NULL, 0);
    CHECK_INT(hob_lane_new("test", &lane), 0);
    CHECK_INT(hob_lane_call(lane, count_it, &n, 0), -ETIMEDOUT);
    CHECK_INT(hob_offload(count_it, &n, 0), 1); /* right here */
    CHECK_INT(hob_block(count_it, &n, 0), 2);
    hob_lane_free(lane);
}

struct shared_lane {
    hob_lane *lane;
    int order[64], n;
    int inside;
};

struct lane_item {
    struct shared_lane *s;
    int id;
};

static int lane_work(void *arg)
{
    struct lane_item *it = arg;

    CHECK_INT(it->s->inside++, 0); /* one at a time */
    it->s->order[it->s->n++] = it->id;
    it->s->inside--;
    return 0;
}

static int lane_user(void *arg)
{
    struct lane_item *it = arg;

    return hob_lane_call(it->s->lane, lane_work, it, HOB_FOREVER);
}

static int lane_shared(void *arg)
{
    struct shared_lane s = {0};
    struct lane_item it[64];
    hob_group g;
    int r = hob_lane_new("a name longer than fifteen", &s.lane);

    (void)arg;
    CHECK_INT(r, 0);
    r = hob_group_open(&g, NULL);
    for (int i = 0; i < 64 && r == 0; i++) {
        it[i] = (struct lane_item){.s = &s, .id = i};
        r = hob_go(&g, lane_user, &it[i]);
    }
    r = hob_group_join(&g, r);
    hob_lane_free(s.lane);
    CHECK_INT(s.n, 64);
    uint64_t seen = 0;
    for (int i = 0; i < 64; i++)
        seen |= 1ull << s.order[i];
    CHECK(seen == UINT64_MAX);
    return r;
}

TEST(calls_on_a_lane_run_one_at_a_time)
{
    each_world_run(lane_shared, NULL, NULL, 0);
}

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t opened;
    bool open;
    _Atomic(int) entered, ran;
};

static int through_gate(void *arg)
{
    struct gate *g = arg;

    g->entered++;
    pthread_mutex_lock(&g->lock);
    while (!g->open)
        pthread_cond_wait(&g->opened, &g->lock);
    pthread_mutex_unlock(&g->lock);
    g->ran++;
    return 5;
}

static void gate_open(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->open = true;
    pthread_cond_broadcast(&g->opened);
    pthread_mutex_unlock(&g->lock);
}

static int count_ran(void *arg)
{
    ((struct gate *)arg)->ran++;
    return 0;
}

struct gated {
    struct gate *gate;
    hob_lane *lane;
};

static int first_in_lane(void *arg)
{
    struct gated *x = arg;
    int r = hob_lane_call(x->lane, through_gate, x->gate, HOB_FOREVER);

    return r == 5 ? 0 : -EPROTO; /* it had begun: it is waited for, whatever happens outside */
}

static int second_in_lane(void *arg)
{
    struct gated *x = arg;
    int r = hob_lane_call(x->lane, count_ran, x->gate, HOB_FOREVER);

    return r == -ECANCELED ? 0 : -EPROTO; /* it had not */
}

static int cancel_queued(void *arg)
{
    struct gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER};
    struct gated x = {.gate = &gate};
    hob_group g;
    int r = hob_lane_new("gated", &x.lane);

    (void)arg;
    CHECK_INT(r, 0);
    r = hob_group_open(&g, NULL);
    if (r == 0)
        r = hob_go(&g, first_in_lane, &x);
    while (r == 0 && gate.entered == 0)
        r = hob_yield();
    if (r == 0)
        r = hob_go(&g, second_in_lane, &x);
    CHECK_INT(hob_lane_call(x.lane, count_ran, &gate, hob_in(HOB_MS)), -ETIMEDOUT);
    hob_group_cancel(&g, 0);
    gate_open(&gate);
    r = hob_group_join(&g, r);
    hob_lane_free(x.lane); /* what was abandoned is passed over */
    CHECK_INT(gate.ran, 1);
    return r;
}

TEST(a_call_that_began_is_waited_for_one_that_did_not_is_taken_back)
{
    CHECK_INT(hob_run(NULL, cancel_queued, NULL), 0);
}

static int recv_on_a_job(void *arg)
{
    int v;

    return hob_chan_recv(arg, HOB_FOREVER, &v);
}

static int job_that_parks(void *arg)
{
    hob_chan *ch;
    int r = hob_chan_new(sizeof(int), NULL, &ch);

    (void)arg;
    CHECK_INT(r, 0);
    r = hob_offload(recv_on_a_job, ch, HOB_FOREVER);
    hob_chan_free(ch);
    return r;
}

static int sleep_on_a_job(void *arg)
{
    (void)arg;
    return hob_sleep(1);
}

static int job_that_sleeps(void *arg)
{
    return hob_offload(sleep_on_a_job, arg, HOB_FOREVER);
}

static void check_refused(hob_fn fn)
{
#ifdef NDEBUG
    CHECK_INT(hob_run(NULL, fn, NULL), -EDEADLK);
#else
    pid_t pid = fork(); /* debug builds abort */
    if (pid == 0) {
        (void)!hob_run(NULL, fn, NULL);
        _exit(0);
    }
    int status;
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
#endif
}

TEST(a_job_that_would_wait_is_refused)
{
    check_refused(job_that_parks);
    check_refused(job_that_sleeps);
}

static int sleep_off_a_simulated_fiber(void *arg)
{
    (void)arg;
    return hob_sleep(1);
}

static int simulated_block_sleeps(void *arg)
{
    return hob_block(sleep_off_a_simulated_fiber, arg, HOB_FOREVER);
}

TEST(simulated_time_does_not_pass_off_the_fibers)
{
    setenv("HOB_SIM", "1", 1);
    CHECK_INT(hob_run(NULL, simulated_block_sleeps, NULL), -EPERM);
}

static int sum_chunk(size_t begin, size_t end, void *arg)
{
    int64_t s = 0;

    for (size_t i = begin; i < end; i++)
        s += (int64_t)i;
    atomic_fetch_add((_Atomic(int64_t) *)arg, s);
    return 0;
}

static bool ticked;

static int ticker(void *arg)
{
    (void)arg;
    ticked = true;
    return 0;
}

static int for_on_a_fiber(void *arg)
{
    _Atomic(int64_t) sum = 0;
    hob_group g;
    int r = hob_group_open(&g, NULL);

    (void)arg;
    ticked = false;
    if (r == 0)
        r = hob_go(&g, ticker, NULL);
    if (r == 0)
        r = hob_for(0, 1000000, sum_chunk, &sum, NULL);
    CHECK(sum == 499999500000);
    CHECK(ticked || hob_simulated()); /* the loop went on meanwhile */
    return hob_group_join(&g, r);
}

TEST(a_parallel_loop_on_a_fiber_parks_it)
{
    each_world_run(for_on_a_fiber, NULL, NULL, 0);
}

static _Atomic(int) at_once, at_most;

static int block_a_while(void *arg)
{
    int n = ++at_once;
    (void)arg;
    if (n > at_most)
        at_most = n;
    sched_yield();
    at_once--;
    return 0;
}

static int block_user(void *arg)
{
    return hob_block(block_a_while, arg, HOB_FOREVER);
}

static int many_blocks(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, NULL);

    (void)arg;
    for (int i = 0; i < 500 && r == 0; i++)
        r = hob_go(&g, block_user, NULL);
    return hob_group_join(&g, r);
}

TEST(blocking_threads_are_bounded)
{
    CHECK_INT(hob_run(NULL, many_blocks, NULL), 0);
    CHECK(at_most <= 64);
}

static int blocks_once(void *arg)
{
    int r = block_user(arg);

    CHECK(hob__block_threads() >= 1); /* idle, for a while */
    return r;
}

/* They would sit idle for seconds, in whatever the program does next: a fork, a dlclose. */
TEST(no_blocking_thread_outlives_the_run)
{
    for (int i = 0; i < 3; i++) {
        CHECK_INT(hob_run(NULL, i == 1 ? many_blocks : blocks_once, NULL), 0);
        CHECK_INT(hob__block_threads(), 0);
    }
}

static int call_it(void *arg)
{
    int v = 3;

    return hob_lane_call(arg, square, &v, HOB_FOREVER) < 0 ? -ECANCELED : 0;
}

static int offload_it(void *arg)
{
    int v = 3;

    (void)arg;
    return hob_offload(square, &v, HOB_FOREVER) < 0 ? -ECANCELED : 0;
}

/* The lane is freed, and the run may end, while what was taken back is still queued. */
static int taken_back(void *arg)
{
    hob_lane *lane;
    hob_group g;
    int r = hob_lane_new("test", &lane);

    (void)arg;
    if (r < 0)
        return r;
    r = hob_group_open(&g, HOB_GROUP_OPTS(.until = hob_in(200 * HOB_US)));
    for (int i = 0; i < 4 && r == 0; i++)
        r = hob_go(&g, i % 2 ? call_it : offload_it, lane);
    if (r == 0)
        r = hob_yield();
    r = hob_group_join(&g, r);
    hob_lane_free(lane);
    return r == -ETIMEDOUT ? 0 : r;
}

TEST(a_lane_is_freed_whatever_was_taken_back_from_it)
{
    each_world_run(taken_back, NULL, NULL, 0);
}

static int on_a_lane_from_outside(void *arg)
{
    int v = 9;

    return hob_lane_call(arg, square, &v, HOB_FOREVER);
}

TEST(a_lane_made_before_the_run_works_in_it)
{
    hob_lane *lane;

    CHECK_INT(hob_lane_new("outer", &lane), 0);
    each_world_run(on_a_lane_from_outside, lane, NULL, 81);
    CHECK_INT(on_a_lane_from_outside(lane), 81);
    hob_lane_free(lane);
}

static int gate_user(void *arg)
{
    return hob_block(through_gate, arg, HOB_FOREVER) == 5 ? 0 : -EPROTO;
}

static int hundred_at_a_gate(void *arg)
{
    struct gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER};
    hob_group g;
    int r = hob_group_open(&g, NULL);

    (void)arg;
    for (int i = 0; i < 100 && r == 0; i++)
        r = hob_go(&g, gate_user, &gate);
    while (r == 0 && gate.entered < 64)
        r = hob_yield();
    if (r == 0)
        r = hob_sleep(20 * HOB_MS); /* sleep: for the 65th, which must not come */
    CHECK_INT(gate.entered, 64);
    gate_open(&gate);
    r = hob_group_join(&g, r);
    CHECK_INT(gate.ran, 100);
    return r;
}

TEST(the_bound_of_blocking_threads_is_reached_and_held)
{
    CHECK_INT(hob_run(NULL, hundred_at_a_gate, NULL), 0);
}

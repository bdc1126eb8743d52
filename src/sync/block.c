/* SPDX-License-Identifier: MIT
 *
 * block.c - threads that may block, and lanes
 *
 * WHAT        A bounded set of threads takes calls from one queue; threads are started when calls
 *             wait and none is idle, and end after ten idle seconds.  A lane is one thread and one
 *             queue: calls on it run one at a time, in order, on the same thread.
 *
 * INVARIANTS  (I1) a call waits only while every thread is busy and their number is at its bound
 *             (I2) stop joins every thread; a call that was queued has run or was abandoned
 *             (I3) simulated, a lane has one call at most with the simulator, the oldest: so order
 *                  on it stays what it is although the simulator runs work in any order.  The
 *                  record by which the simulator finds the lane may outlive it
 *
 * THREADS     A thread is started by the call that needs it, on the loop: 38 us at the median and
 *   100 us in 99 of 100 (of 640 starts), of the 200 us that a turn may take, and at most
 * THREADS_MAX times in ten seconds.  The turn's bound is looked at between fibers, so a burst of
 * calls is spread over turns.  A thread that starts threads would itself have to be woken each
 * time.
 *
 * LOCKING     One mutex a set, one a lane, held for a few instructions; never while a call runs.
 *             The pool has no part in it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <hob/fiber.h>

#include "base/assert.h"
#include "base/list.h"
#include "plat/cpu.h"
#include "plat/sigmask.h"
#include "plat/threads.h"
#include "pool/pool.h"
#include "sync/bridge.h"
#include "trace/ring.h"

enum { THREADS_MAX = 64, IDLE_SECONDS = 10 };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t work, ended;
    struct list queue; /* struct env_work */
    unsigned n_queued, n_threads, n_idle;
    bool stopping;
} set = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .work = PTHREAD_COND_INITIALIZER,
    .ended = PTHREAD_COND_INITIALIZER,
    .queue = {&set.queue, &set.queue},
};

/* Under the lock: the next call; NULL: the thread shall end. */
static struct env_work *set_next(void)
{
    while (list_empty(&set.queue)) {
        if (set.stopping)
            return NULL;
        time_t idle_until = (time_t)(hob__now() / HOB_SEC) + IDLE_SECONDS;
        set.n_idle++;
        int r = pthread_cond_clockwait(&set.work, &set.lock, CLOCK_MONOTONIC,
                                       &(struct timespec){.tv_sec = idle_until});
        set.n_idle--;
        if (r == ETIMEDOUT && list_empty(&set.queue))
            return NULL;
    }
    set.n_queued--;
    return list_entry(list_pop(&set.queue), struct env_work, node);
}

static void *set_thread(void *unused)
{
    struct env_work *w;

    (void)unused;
    threads_begin();
    (void)hob__thread_slice(0);
    (void)hob__lane_name(TRACE_LANE_BLOCK, "blocking calls");
    pthread_mutex_lock(&set.lock);
    while ((w = set_next())) {
        pthread_mutex_unlock(&set.lock);
        w->run(w);
        pthread_mutex_lock(&set.lock);
    }
    threads_end();
    set.n_threads--;
    pthread_cond_signal(&set.ended);
    pthread_mutex_unlock(&set.lock);
    return NULL;
}

/* A thread on which no signal of the process is handled. */
static int thread_start(pthread_t *ret, void *(*run)(void *arg), void *arg, bool detached)
{
    pthread_attr_t attr;
    sigset_t old;

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr,
                                detached ? PTHREAD_CREATE_DETACHED : PTHREAD_CREATE_JOINABLE);
    sigmask_block(&old);
    int r = -pthread_create(ret, &attr, run, arg);
    sigmask_restore(&old);
    pthread_attr_destroy(&attr);
    return r;
}

int hob__block_submit(struct env_work *w)
{
    pthread_t id;
    int r = 0;

    pthread_mutex_lock(&set.lock);
    if (set.n_queued >= set.n_idle && set.n_threads < THREADS_MAX) { /* (I1) */
        r = thread_start(&id, set_thread, NULL, true);
        if (r == 0)
            set.n_threads++;
        else if (set.n_threads > 0)
            r = 0; /* it will wait longer */
    }
    if (r == 0) {
        list_push(&set.queue, &w->node);
        set.n_queued++;
        pthread_cond_signal(&set.work);
    }
    pthread_mutex_unlock(&set.lock);
    return r;
}

void hob__block_stop(void)
{
    pthread_mutex_lock(&set.lock);
    set.stopping = true;
    pthread_cond_broadcast(&set.work);
    while (set.n_threads > 0) /* (I2) */
        pthread_cond_wait(&set.ended, &set.lock);
    set.stopping = false;
    pthread_mutex_unlock(&set.lock);
}

unsigned hob__block_threads(void)
{
    pthread_mutex_lock(&set.lock);
    unsigned n = set.n_threads;
    pthread_mutex_unlock(&set.lock);
    return n;
}

static int block_submit(void *unused, struct env_work *w)
{
    (void)unused;
    return hob__env->block_submit(w);
}

/* What a call that blocks does off the loops: nothing, 0; on a job it is a mistake. */
static int may_block(const char *call)
{
    (void)call; /* release */
    return hob__pool_on_worker()
               ? HOB_MISUSE_OF(call, -EDEADLK, "a job of the pool makes a blocking call")
               : 0;
}

int hob_block(hob_fn fn, void *arg, hob_time until)
{
    int r;

    if (!fn)
        return HOB_MISUSE(-EINVAL, "hob_block without a function");
    if (hob_on_fiber())
        return hob__call(block_submit, NULL, fn, arg, NULL, HOB_WAIT_BLOCK, until);
    return (r = may_block(__func__)) < 0 ? r : fn(arg);
}

struct hob_lane {
    pthread_mutex_t lock;
    pthread_cond_t work;
    pthread_t thread;
    struct list queue; /* struct env_work, oldest first */
    bool stopping;
    bool threadless; /* made in a simulation */
    char name[16];
    struct list sim_queue; /* the calls made in a simulation, oldest first */
    struct lane_turn *turn;
};

/* (I3): the lane's one piece of work with the simulator. */
struct lane_turn {
    struct env_work work; /* first */
    hob_lane *lane;       /* NULL: freed, while this was queued */
    bool queued;
};

static void *lane_thread(void *arg)
{
    hob_lane *lane = arg;
    struct list *n;

    threads_begin();
    (void)hob__thread_slice(0);
    pthread_setname_np(pthread_self(), lane->name);
    (void)hob__lane_name(TRACE_LANE_BLOCK, lane->name);
    pthread_mutex_lock(&lane->lock);
    for (;;) {
        while (!(n = list_pop(&lane->queue)) && !lane->stopping)
            pthread_cond_wait(&lane->work, &lane->lock);
        if (!n)
            break;
        pthread_mutex_unlock(&lane->lock);
        struct env_work *w = list_entry(n, struct env_work, node);
        w->run(w);
        pthread_mutex_lock(&lane->lock);
    }
    pthread_mutex_unlock(&lane->lock);
    threads_end();
    return NULL;
}

static void lane_queue_turn(hob_lane *lane)
{
    if (lane->turn->queued || list_empty(&lane->sim_queue))
        return;
    lane->turn->queued = true;
    int r = hob__env->block_submit(&lane->turn->work);
    HOB_ASSERT(r == 0); /* the simulator takes everything */
}

static void lane_turn_run(struct env_work *work)
{
    struct lane_turn *turn = container_of(work, struct lane_turn, work);
    hob_lane *lane = turn->lane;

    if (!lane) {
        free(turn);
        return;
    }
    struct env_work *w = list_entry(list_pop(&lane->sim_queue), struct env_work, node);
    turn->queued = false;
    w->run(w);
    lane_queue_turn(lane);
}

static int lane_submit_simulated(hob_lane *lane, struct env_work *w)
{
    if (!lane->turn && !(lane->turn = calloc(1, sizeof *lane->turn)))
        return -ENOMEM;
    lane->turn->work.run = lane_turn_run;
    lane->turn->lane = lane;
    list_push(&lane->sim_queue, &w->node);
    lane_queue_turn(lane);
    return 0;
}

/* What is left there was taken back by its caller, and frees itself. */
static void lane_free_simulated(hob_lane *lane)
{
    struct list *n;

    while ((n = list_pop(&lane->sim_queue))) {
        struct env_work *w = list_entry(n, struct env_work, node);
        w->run(w);
    }
    if (lane->turn && lane->turn->queued)
        lane->turn->lane = NULL;
    else
        free(lane->turn);
}

static int lane_submit(void *to, struct env_work *w)
{
    hob_lane *lane = to;

    if (hob__env->sim)
        return lane_submit_simulated(lane, w);
    pthread_mutex_lock(&lane->lock);
    list_push(&lane->queue, &w->node);
    pthread_cond_signal(&lane->work);
    pthread_mutex_unlock(&lane->lock);
    return 0;
}

int hob_lane_new(const char *name, hob_lane **ret)
{
    hob_lane *lane = calloc(1, sizeof *lane);
    int r = 0;

    if (!lane)
        return -ENOMEM;
    pthread_mutex_init(&lane->lock, NULL);
    pthread_cond_init(&lane->work, NULL);
    list_init(&lane->queue);
    snprintf(lane->name, sizeof lane->name, "%s", name ? name : "hob-lane");
    list_init(&lane->sim_queue);
    lane->threadless = hob__env->sim;
    if (!lane->threadless)
        r = thread_start(&lane->thread, lane_thread, lane, false);
    if (r < 0) {
        free(lane);
        return r;
    }
    *ret = lane;
    return 0;
}

int hob_lane_call(hob_lane *lane, hob_fn fn, void *arg, hob_time until)
{
    int r;

    if (!fn)
        return HOB_MISUSE(-EINVAL, "hob_lane_call without a function");
    if (!hob_on_fiber() && (r = may_block(__func__)) < 0)
        return r;
    /* In a simulation nobody else runs while this thread waits; after it there is no thread. */
    if (hob__env->sim ? !hob_on_fiber() : lane->threadless)
        return fn(arg);
    return hob__call(lane_submit, lane, fn, arg, NULL, HOB_WAIT_LANE, until);
}

void hob_lane_free(hob_lane *lane)
{
    if (!lane)
        return;
    lane_free_simulated(lane);
    if (!lane->threadless) {
        pthread_mutex_lock(&lane->lock);
        lane->stopping = true;
        pthread_cond_signal(&lane->work);
        pthread_mutex_unlock(&lane->lock);
        pthread_join(lane->thread, NULL);
    }
    HOB_ASSERT(list_empty(&lane->queue));
    pthread_cond_destroy(&lane->work);
    pthread_mutex_destroy(&lane->lock);
    free(lane);
}

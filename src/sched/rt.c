/* SPDX-License-Identifier: MIT
 *
 * rt.c - the runtime: loops on threads, the root group, signals
 *
 * WHAT        Loop 0 is the calling thread; the others are threads of their own, each of which
 *             makes its loop itself (an io_uring belongs to the thread that set it up).  The root
 *             group lives on loop 0 and has one direct child, the first fiber; when it has ended,
 *             everything has, and the loops stop.
 *
 * THREADS     A loop's structures are made and undone by its own thread; rt->loops is allocated
 *             before the first and freed after the last.
 */
#include "sched/rt.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "plat/cpu.h"
#include "plat/overflow.h"
#include "plat/sigmask.h"
#include "plat/threads.h"
#include "sched/debug.h"
#include "sched/life.h"
#include "sched/park.h"
#include "trace/ring.h"

#define LOOP_SLICE (100 * HOB_US)

/* Loops of the running runtime, 0: none; plus RT_SIM.  The runtime itself lies in a frame. */
static _Atomic(unsigned) rt_running;

enum { RT_SIM = 1 << 16 };

void (*hob__rt_hook)(struct rt *rt, bool on);

static struct loop *_Atomic signal_loop; /* loop 0 of a runtime that stops on signals */
static _Atomic(unsigned) in_handler;     /* threads in rt_on_signal */

struct loop_thread {
    pthread_t id;
    struct rt *rt;
    unsigned index;
    int rc; /* of hob__loop_init */
    sem_t made;
};

hob_time hob_now(void)
{
    return hob__now();
}

hob_time hob_in(hob_dur d)
{
    hob_time now = hob__now();

    if (d <= 0)
        return now;
    return d >= HOB_FOREVER - now ? HOB_FOREVER : now + d;
}

uint64_t hob_random(void)
{
    return hob__env->random();
}

unsigned hob_loops(void)
{
    return atomic_load_explicit(&rt_running, memory_order_relaxed) & ~(unsigned)RT_SIM;
}

bool hob_simulated(void)
{
    return atomic_load_explicit(&rt_running, memory_order_relaxed) & RT_SIM;
}

static void rt_on_signal(int sig)
{
    int kept = errno;

    atomic_fetch_add(&in_handler, 1);
    struct loop *l = signal_loop;

    if (l) {
        atomic_store_explicit(&l->rt->signal, sig, memory_order_relaxed);
        l->poller->ops->wake(l->poller);
    }
    atomic_fetch_sub(&in_handler, 1);
    errno = kept;
}

void hob__rt_signal_seen(struct rt *rt)
{
    atomic_store_explicit(&rt->signal, 0, memory_order_relaxed);
    hob__group_stop(&rt->root, CAUSE_REQUEST, -EINTR);
}

/* SA_RESETHAND: a second Ctrl-C ends a program whose cleanup hangs. */
static void signals_take(struct rt *rt, struct sigaction old[2])
{
    struct sigaction sa = {.sa_handler = rt_on_signal, .sa_flags = SA_RESETHAND | SA_ONSTACK};

    sigemptyset(&sa.sa_mask);
    signal_loop = &rt->loops[0];
    sigaction(SIGINT, &sa, &old[0]);
    sigaction(SIGTERM, &sa, &old[1]);
}

static void signals_give_back(struct sigaction old[2])
{
    sigaction(SIGINT, &old[0], NULL);
    sigaction(SIGTERM, &old[1], NULL);
    signal_loop = NULL;
    while (atomic_load(&in_handler))
        sched_yield();
}

static int loop_open(struct rt *rt, unsigned index)
{
    int r = hob__loop_init(&rt->loops[index], rt, index, rt->stack_size);

    if (r == 0 && !rt->no_slice && !hob__env->sim) {
        hob_dur granted = hob__thread_slice(LOOP_SLICE);

        rt->loops[index].slice = granted > 0 ? granted : 0; /* none: the pool's nice helps */
    }
    return r;
}

/* Of the running loop's stacks: whose guard it is.  In a signal handler. */
static const char *overflow_name(const void *addr, size_t *ret_bytes)
{
    struct loop *l = hob__loop;
    void *lo;

    if (!l || !hob__stack_guard_hit(&l->stacks, addr, &lo))
        return NULL;
    *ret_bytes = l->stacks.size;
    return hob__fiber_name_at(l, lo);
}

/* What a thread has while it runs loops, for diagnosis: without memory it runs without. */
static void thread_begin(struct overflow_thread *o, unsigned index)
{
    char name[TRACE_LANE_NAME_MAX];

    snprintf(name, sizeof name, "loop %u", index);
    (void)hob__lane_name(TRACE_LANE_LOOP, name);
    (void)hob__overflow_thread_start(o);
}

static void *loop_thread(void *arg)
{
    struct loop_thread *t = arg;
    struct loop *l = &t->rt->loops[t->index];
    struct overflow_thread overflow;
    threads_begin();
    int rc = loop_open(t->rt, t->index);
    thread_begin(&overflow, t->index);
    if (t->rt->watchdog)
        sigmask_open(WATCH_SIGNAL);
    t->rc = rc;
    sem_post(&t->made);
    if (rc == 0) {
        hob__loop = l;
        hob__life_begin(l);
        hob__loop_run(l);
        hob__life_end();
        hob__loop = NULL;
        hob__loop_fini(l);
    }
    hob__overflow_thread_stop(&overflow);
    threads_end();
    return NULL;
}

static void loop_stop(struct msg *m)
{
    container_of(m, struct loop, stop_msg)->stop = true;
}

static void threads_stop(struct loop_thread *threads, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct loop_thread *t = &threads[i];
        if (t->rc == 0) {
            struct loop *l = &t->rt->loops[t->index];
            l->stop_msg.run = loop_stop;
            hob__loop_post(l, &l->stop_msg);
        }
        pthread_join(t->id, NULL);
        sem_destroy(&t->made);
    }
}

/* Starts loops 1..n-1; on failure none is left. */
static int threads_start(struct rt *rt, struct loop_thread *threads)
{
    sigset_t old;
    unsigned n = 0;
    int r = 0;

    sigmask_block(&old);
    for (unsigned i = 1; i < rt->n_loops && r == 0; i++) {
        struct loop_thread *t = &threads[n];
        *t = (struct loop_thread){.rt = rt, .index = i};
        sem_init(&t->made, 0, 0);
        if ((r = -pthread_create(&t->id, NULL, loop_thread, t)) < 0) {
            sem_destroy(&t->made);
            break;
        }
        n++;
        while (sem_wait(&t->made) < 0)
            continue;
        r = t->rc;
    }
    sigmask_restore(&old);
    if (r < 0)
        threads_stop(threads, n);
    return r;
}

static int first_fiber(void *arg)
{
    struct rt *rt = arg;

    rt->rc = rt->fn(rt->arg);
    rt->ran = true;
    return 0;
}

/* Runs the first fiber and all that comes of it on loops that are there. */
static int rt_live(struct rt *rt)
{
    struct loop *l = &rt->loops[0];
    struct sigaction old[2];

    group_init(&rt->root, l, NULL, false);
    rt->root.name = "main";
    struct task *t = task_new(l, first_fiber, rt, &rt->root, NULL);
    if (!t)
        return -ENOMEM;
    rt->root.n_live = 1;
    runq_push(&l->ready, &t->run);
    if (rt->stop_on_signals)
        signals_take(rt, old);
    if (hob__rt_hook)
        hob__rt_hook(rt, true);
    hob__loop = l;
    hob__life_begin(l);
    if (hob__env->sim)
        hob__sim_run(rt);
    else
        hob__loop_run(l);
    hob__life_end();
    hob__loop = NULL;
    if (hob__rt_hook)
        hob__rt_hook(rt, false);
    if (rt->stop_on_signals)
        signals_give_back(old);
    return rt->ran ? 0 : hob__group_result(&rt->root); /* no stack for it, or a signal was first */
}

static int rt_loops(struct rt *rt)
{
    struct loop_thread threads[LOOPS_MAX];
    unsigned made = 0;
    int r = loop_open(rt, 0);

    if (r < 0)
        return r;
    if (hob__env->sim) {
        for (made = 1; r == 0 && made < rt->n_loops; made++)
            r = loop_open(rt, made);
        if (r < 0)
            made--;
    } else {
        r = threads_start(rt, threads);
    }
    if (r == 0) {
        r = rt_live(rt);
        if (!hob__env->sim)
            threads_stop(threads, rt->n_loops - 1);
    }
    for (unsigned i = 1; i < made; i++)
        hob__loop_fini(&rt->loops[i]);
    hob__loop_fini(&rt->loops[0]);
    return r;
}

static const char *fiber_name(void)
{
    struct fiber *f = hob__self();

    return f ? hob__fiber_name(f) : NULL;
}

int hob__rt_run(const struct rt_config *config, hob_fn fn, void *arg, int *ret_rc)
{
    struct rt rt = {.n_loops = config->n_loops,
                    .stack_size = config->stack_size,
                    .no_slice = config->no_slice,
                    .stop_on_signals = config->stop_on_signals,
                    .report = config->report,
                    .report_arg = config->report_arg,
                    .watchdog = config->watchdog,
                    .dump_signal = config->dump_signal,
                    .stuck.off = config->no_deadlock || config->stop_on_signals,
                    .fn = fn,
                    .arg = arg};
    struct overflow_thread overflow;
    int r;

    if (rt.n_loops > 1 && !config->sim && hob__cpu_usable() >= rt.n_loops)
        rt.n_searching_max = rt.n_loops / 2;
    rt.loops = calloc(rt.n_loops, sizeof *rt.loops);
    if (!rt.loops)
        return -ENOMEM;
    hob__barrier_init();
    hob__life_init();
    atomic_store_explicit(&hob__misuse_fiber, fiber_name, memory_order_relaxed);
    atomic_store(&rt_running, rt.n_loops | (config->sim ? RT_SIM : 0));
    threads_begin();
    thread_begin(&overflow, 0);
    (void)hob__overflow_install(overflow_name);
    if (config->sim)
        hob__sim_open(config->seed);
    hob_dur slice = hob__thread_slice_now();
    atomic_store_explicit(&hob__debug_rt, &rt, memory_order_relaxed);
    r = rt_loops(&rt);
    atomic_store_explicit(&hob__debug_rt, NULL, memory_order_relaxed);
    if (config->sim)
        hob__sim_close();
    else if (!config->no_slice)
        hob__thread_slice_restore(slice);
    hob__overflow_thread_stop(&overflow);
    threads_end();
    atomic_store(&rt_running, 0);
    free(rt.loops);
    if (r == 0)
        *ret_rc = hob__stuck_result(&rt, rt.rc);
    return r;
}

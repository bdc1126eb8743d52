/* SPDX-License-Identifier: MIT
 *
 * pool.c - the pool's life: start, stop, fork; submitted work; nice value; counters
 *
 * WHAT    One pool a process, in static memory: seats are never freed, so that a late look at one
 *         (a thief's, a waker's) is always at memory.  Pages of seats nobody uses stay
 *         untouched.
 *
 * HOW     Threads start with the first work.  They block every signal but those a fault raises, so
 *         that a program's handlers run on its own threads.  Fewer threads than wished is no
 *         error; without any, submitted work runs on the submitter and hob_for on the caller.
 *
 *   fork: a child has none of these threads.  It starts from a blank pool, and its first work
 *   starts new ones; what its parent had submitted is the parent's to run.  A child forked inside
 *   a job must not return from that job (it may exec or _exit): whoever waited for it is gone.
 *
 * LOCKING pool.lock guards start and stop and nothing else; no worker takes it.  A loop takes it
 *         only if its submission is the pool's first work.
 *
 * INVARIANTS  (P1) running is set after at least one thread was made, and cleared before the
 *                  threads are told to stop; a thread that sees the stop looks once more.  So
 *                  work in the inbox has somebody who will run it.
 *
 * REJECTED  One thread fewer than cores because the caller of hob_for works too: a runtime's
 *         caller is parked, and then a core would be idle.  hob_for limits its pieces instead.
 */
#include "pool/pool.h"

#include <errno.h>
#include <stdio.h>

#include "base/assert.h"
#include "plat/cpu.h"
#include "plat/sigmask.h"
#include "plat/threads.h"
#include "pool/worker.h"
#include "trace/advise.h"

struct pool hob__pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .nice = POOL_NICE_UNSET};

/* What was true in the parent is not in the child; the statistics go on. */
static void pool_after_fork(void)
{
    unsigned n_workers = atomic_load(&hob__pool.n_workers);

    pthread_mutex_init(&hob__pool.lock, NULL);
    atomic_store(&hob__pool.running, false);
    atomic_store(&hob__pool.stopping, false);
    atomic_store(&hob__pool.n_workers, 0);
    atomic_store(&hob__pool.n_joiners, 0);
    atomic_store(&hob__pool.idle.state, 0);
    atomic_store(&hob__pool.idle.tokens, 0);
    inject_init(&hob__pool.inject);
    if (hob__seat && hob__seat < &hob__pool.seats[POOL_WORKERS_MAX])
        hob__seat = NULL; /* forked by a worker, which this thread is not */
    for (unsigned i = 0; i < n_workers; i++) {
        atomic_store(&hob__pool.seats[i].tid, 0);
        atomic_store(&hob__pool.seats[i].permit, 0);
        deque_init(&hob__pool.seats[i].deque);
    }
    /* A guest that was in hob_for on another thread left its seat for ever; its own thread is
     * this one, or gone. */
    for (unsigned i = POOL_WORKERS_MAX, n = i + hob__pool.n_guest_seats; i < n; i++) {
        struct seat *s = &hob__pool.seats[i];

        atomic_store(&s->permit, 0);
        deque_init(&s->deque);
        s->serving = NULL;
        atomic_store(&s->taken, s == hob__seat);
    }
}

/* Before main: the table's entry must be there before a loop asks, and the handler only once. */
static __attribute__((constructor)) void pool_link(void)
{
    inject_init(&hob__pool.inject);
    hob__env_real.pool_submit = hob__pool_submit;
    hob__env_real.on_job = hob__pool_on_worker;
    pthread_atfork(NULL, NULL, pool_after_fork);
}

static void *pool_thread(void *arg)
{
    struct seat *me = arg;
    char name[16]; /* what the kernel keeps */

    threads_begin();
    snprintf(name, sizeof name, "hob-pool-%u", (unsigned)(me - hob__pool.seats) % 1000);
    pthread_setname_np(pthread_self(), name);
    atomic_store(&me->tid, gettid());
    int nice = atomic_load(&hob__pool.nice); /* the setter stores it first and then reads tids */
    if (nice != POOL_NICE_UNSET)
        (void)hob__thread_nice(0, nice);
    hob__worker_main(me);
    threads_end();
    return NULL;
}

/* Makes up to `wish` threads; returns how many. */
static unsigned pool_make_threads(unsigned wish)
{
    sigset_t before;
    unsigned n;

    sigmask_block(&before);
    for (n = 0; n < wish; n++) {
        struct seat *s = &hob__pool.seats[n];

        s->dice = n * 2654435761u;
        if (pthread_create(&s->thread, NULL, pool_thread, s) != 0)
            break;
    }
    sigmask_restore(&before);
    return n;
}

int hob__pool_start(void)
{
    int r = 0;

    if (atomic_load_explicit(&hob__pool.running, memory_order_acquire))
        return 0;
    pthread_mutex_lock(&hob__pool.lock);
    if (!atomic_load(&hob__pool.running)) {
        unsigned wish = hob__cpu_usable(), n;

        hob__trace_env();
        if (wish > POOL_WORKERS_MAX)
            wish = POOL_WORKERS_MAX;
        /* Counted before they exist: the first may push while the second is being made. */
        atomic_store(&hob__pool.n_workers, wish);
        atomic_fetch_add(&hob__pool.idle.state, wish);
        n = pool_make_threads(wish);
        atomic_fetch_sub(&hob__pool.idle.state, wish - n);
        atomic_store(&hob__pool.n_workers, n);
        atomic_store(&hob__pool.running, n > 0); /* (P1) */
        r = n > 0 ? 0 : -EAGAIN;
    }
    pthread_mutex_unlock(&hob__pool.lock);
    return r;
}

void hob__pool_stop(void)
{
    HOB_ASSERT(hob__job_depth == 0);
    pthread_mutex_lock(&hob__pool.lock);
    if (atomic_load(&hob__pool.running)) {
        unsigned n = atomic_load(&hob__pool.n_workers);

        atomic_store(&hob__pool.running, false); /* (P1) */
        atomic_store(&hob__pool.stopping, true);
        idle_notify_all(&hob__pool.idle);
        for (unsigned i = 0; i < n; i++) {
            pthread_join(hob__pool.seats[i].thread, NULL);
            atomic_store(&hob__pool.seats[i].tid, 0);
        }
        atomic_store(&hob__pool.n_workers, 0);
        atomic_store(&hob__pool.stopping, false);
    }
    pthread_mutex_unlock(&hob__pool.lock);
}

int hob__pool_submit(struct env_work *w)
{
    /* A worker needs no start, and must not ask for one while stop waits for it: it looks for
     * work again before it ends. */
    bool worker = hob__seat && hob__seat < &hob__pool.seats[POOL_WORKERS_MAX];

    if (worker || hob__pool_start() == 0) {
        inject_push(&hob__pool.inject, w);
        hob__pool_notify();
        return 0;
    }
    hob__job_depth++;
    w->run(w);
    hob__job_depth--;
    return 0;
}

unsigned hob__pool_workers(void)
{
    return atomic_load(&hob__pool.running) ? atomic_load(&hob__pool.n_workers) : 0;
}

bool hob__pool_on_worker(void)
{
    return hob__job_depth > 0;
}

int hob__pool_set_nice(int nice)
{
    int r = 0;

    atomic_store(&hob__pool.nice, nice);
    for (unsigned i = 0, n = atomic_load(&hob__pool.n_workers); i < n; i++) {
        int tid = atomic_load(&hob__pool.seats[i].tid);
        int one = tid ? hob__thread_nice(tid, nice) : 0;

        r = r ? r : one;
    }
    return r;
}

static uint64_t counter(_Atomic uint64_t *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

void hob__pool_stats(struct pool_stats *ret)
{
    struct pool_stats sum = {.wakes = counter(&hob__pool.n_wakes),
                             .n_asleep = idle_n_asleep(atomic_load(&hob__pool.idle.state))};

    for (unsigned i = 0; i < POOL_SEATS_MAX; i++) {
        struct seat *s = &hob__pool.seats[i];

        sum.jobs += counter(&s->jobs);
        sum.pieces += counter(&s->pieces);
        sum.sleeps += counter(&s->sleeps);
        sum.busy_ns += counter(&s->busy_ns);
    }
    *ret = sum;
}

void hob__pool_trace(bool on)
{
    atomic_store_explicit(&hob__pool.trace, on, memory_order_relaxed);
}

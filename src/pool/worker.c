/* SPDX-License-Identifier: MIT
 *
 * worker.c - what a worker thread does, and how jobs are pushed, stolen and waited for
 *
 * WHAT    A worker takes submitted work in order, else steals the oldest job of some seat, else
 *         searches for the time one wake costs, else sleeps.  Submitted work comes first: a
 *         hob_for goes on without help, a submitted work waits for a worker.
 *
 * HOW     Who waits for a job of its own that was stolen helps the thief: it steals back what
 *         the thief pushed since (leapfrogging, Wagner and Calder 1993).  It runs nothing else.
 *
 *             W: push(j) ... join(j) --- gone ---> steals from T only: j's descendants
 *             T:      steals j, runs it: push(k) ............^
 *
 * INVARIANTS  (W1) A thread that waits in join, or searches, has an empty deque: thieves take the
 *                  oldest job first, so when j is gone everything older is gone too, and what
 *                  was newer has been joined.
 *             (W2) Hence all that lies in T's deque while T serves j was pushed after T took j: a
 *                  descendant of j.  deque_steal looks that j is not done while the job it is
 *                  about to take is already there.
 *             (W3) So a waiting thread runs only descendants of what it waits for: no foreign job
 *                  lands on top of its stack, and a lock that a body holds over a nested
 *                  hob_for is asked for again only by the body's own pieces.
 *             (W4) Each move of a job out of PARKED posts exactly one permit to its owner, and
 *                  the owner consumes one for each PARKED that it did not take back itself.
 *             (W5) After a thief's exchange to DONE it does not touch the job: it lay in a frame
 *                  that may be gone.  Seats are never freed.
 *
 * ORDER   The job's fields are released by the push; its results by the exchange to DONE, which
 *         the owner's read acquires.  thief is stored (release) before the job runs.  Owner:
 *         state = PARKED, then looks at the thief's deque; thief: pushes, then looks at state; all
 *         sequentially consistent, so one sees the other.
 *
 * SEE     idle.h (sleeping), deque.h (stealing), docs/design/0003-pool.md.
 */
#include "pool/worker.h"

#include <stdio.h>

#include "base/assert.h"
#include "plat/cpu.h"
#include "pool/pool.h"
#include "trace/account.h"

__thread struct seat *hob__seat;
__thread unsigned hob__job_depth;

/* What a search brought: one of the two. */
struct found {
    struct env_work *work;
    struct job *job;
};

/* Never the simulator's clock: how long to spin does not change a result. */
static hob_time worker_now(void)
{
    return hob__env_real.now();
}

static void worker_pause(void)
{
    for (int i = 0; i < 16; i++)
        cpu_pause();
}

/* Counters have one writer: no read-modify-write. */
static void count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

unsigned hob__pool_hungry(bool *ret_awake)
{
    unsigned state = atomic_load_explicit(&hob__pool.idle.state, memory_order_relaxed);
    unsigned joiners = atomic_load_explicit(&hob__pool.n_joiners, memory_order_relaxed);

    *ret_awake = idle_n_searching(state) + joiners > 0;
    return idle_n_asleep(state) + idle_n_searching(state) + joiners;
}

void hob__pool_notify(void)
{
    if (idle_notify(&hob__pool.idle))
        atomic_fetch_add_explicit(&hob__pool.n_wakes, 1, memory_order_relaxed);
}

/* The seats that may hold jobs, as one look sees them: workers first, then guests. */
struct seats_seen {
    unsigned n_workers, n_all;
};

static struct seats_seen seats_look(void)
{
    unsigned n_workers = atomic_load(&hob__pool.n_workers);

    return (struct seats_seen){n_workers, n_workers + atomic_load(&hob__pool.n_guest_seats)};
}

static struct seat *seats_at(struct seats_seen seen, unsigned n)
{
    return &hob__pool.seats[n < seen.n_workers ? n : POOL_WORKERS_MAX + n - seen.n_workers];
}

struct seat *hob__seat_take(void)
{
    for (unsigned i = 0; i < POOL_GUESTS_MAX; i++) {
        struct seat *s = &hob__pool.seats[POOL_WORKERS_MAX + i];

        if (atomic_load_explicit(&s->taken, memory_order_relaxed) ||
            atomic_exchange(&s->taken, true))
            continue;
        unsigned n = atomic_load(&hob__pool.n_guest_seats);
        while (n < i + 1 && !atomic_compare_exchange_weak(&hob__pool.n_guest_seats, &n, i + 1))
            ;
        return s;
    }
    return NULL;
}

void hob__seat_give(struct seat *s)
{
    HOB_DEBUG_ASSERT(deque_size(&s->deque) == 0);
    atomic_store(&s->taken, false);
}

/* Whether there is anything for a worker to do. */
static bool work_visible(void)
{
    if (inject_any(&hob__pool.inject) || atomic_load(&hob__pool.stopping))
        return true;
    struct seats_seen seen = seats_look();
    for (unsigned i = 0; i < seen.n_all; i++)
        if (deque_size(&seats_at(seen, i)->deque) > 0)
            return true;
    return false;
}

static struct job *worker_steal(struct seat *me)
{
    struct seats_seen seen = seats_look();

    me->dice = me->dice * 1664525u + 1013904223u;
    for (unsigned i = 0, at = me->dice >> 8; i < seen.n_all; i++, at++) {
        struct seat *victim = seats_at(seen, at % seen.n_all);
        struct job *j = victim == me ? NULL : deque_steal(&victim->deque, NULL, 0);

        if (j)
            return j;
    }
    return NULL;
}

static bool worker_seek(struct seat *me, struct found *ret)
{
    ret->work = inject_pop(&hob__pool.inject);
    ret->job = ret->work ? NULL : worker_steal(me);
    return ret->work || ret->job;
}

static void seat_unpark(struct seat *s)
{
    atomic_store(&s->permit, 1); /* (W4) */
    futex_wake(&s->permit, 1);
}

/* Runs a job taken from another seat, and reports it done. */
static void job_run_stolen(struct seat *me, struct job *j)
{
    struct job *outer = me->serving;
    struct seat *owner = j->owner;

    HOB_DEBUG_ASSERT(deque_size(&me->deque) == 0); /* (W1) */
    me->serving = j;
    atomic_store_explicit(&j->thief, me, memory_order_release);
    j->run(j, me);
    me->serving = outer;
    count(&me->pieces, 1);
    if (atomic_exchange(&j->state, JOB_DONE) == JOB_PARKED)
        seat_unpark(owner); /* (W5) */
}

bool hob__job_push(struct seat *me, struct job *j)
{
    unsigned parked = JOB_PARKED;
    struct job *serving = me->serving;

    j->owner = me;
    atomic_store_explicit(&j->thief, NULL, memory_order_relaxed);
    atomic_store_explicit(&j->state, JOB_OPEN, memory_order_relaxed);
    if (!deque_push(&me->deque, j))
        return false;
    /* Who sleeps until our stolen job is done can do nothing but this: it comes first. */
    if (serving && atomic_load(&serving->state) == JOB_PARKED &&
        atomic_compare_exchange_strong(&serving->state, &parked, JOB_OPEN))
        seat_unpark(serving->owner);
    else
        hob__pool_notify();
    return true;
}

/* Steals back from the thief of j and runs it; false: there was nothing. */
static bool join_help(struct seat *me, struct job *j)
{
    struct seat *thief = atomic_load_explicit(&j->thief, memory_order_acquire);
    struct job *k = thief ? deque_steal(&thief->deque, &j->state, JOB_DONE) : NULL; /* (W2) */

    if (!k)
        return false;
    atomic_fetch_sub_explicit(&hob__pool.n_joiners, 1, memory_order_relaxed);
    job_run_stolen(me, k);
    atomic_fetch_add_explicit(&hob__pool.n_joiners, 1, memory_order_relaxed);
    return true;
}

/* Sleeps until j is done or its thief has pushed something. */
static void join_park(struct seat *me, struct job *j)
{
    unsigned open = JOB_OPEN, parked = JOB_PARKED;
    struct seat *thief;

    if (!atomic_compare_exchange_strong(&j->state, &open, JOB_PARKED))
        return; /* done */
    thief = atomic_load(&j->thief);
    if (thief && deque_size(&thief->deque) > 0 &&
        atomic_compare_exchange_strong(&j->state, &parked, JOB_OPEN))
        return; /* (W4) taken back */
    while (atomic_exchange(&me->permit, 0) == 0)
        futex_wait(&me->permit, 0);
}

bool hob__job_join(struct seat *me, struct job *j)
{
    struct job *popped = deque_pop(&me->deque);
    hob_time until = 0;

    if (popped) {
        HOB_ASSERT(popped == j); /* joined in the reverse order of the pushes */
        return true;
    }
    HOB_DEBUG_ASSERT(deque_size(&me->deque) == 0); /* (W1) */
    atomic_fetch_add_explicit(&hob__pool.n_joiners, 1, memory_order_relaxed);
    while (atomic_load_explicit(&j->state, memory_order_acquire) != JOB_DONE) {
        if (join_help(me, j)) {
            until = 0;
        } else if (until == 0) {
            until = worker_now() + POOL_SPIN;
        } else if (worker_now() > until) {
            join_park(me, j);
            until = 0;
        } else {
            worker_pause();
        }
    }
    atomic_fetch_sub_explicit(&hob__pool.n_joiners, 1, memory_order_relaxed);
    return false;
}

static void worker_run(struct seat *me, const struct found *f)
{
    bool timed = atomic_load_explicit(&hob__pool.trace, memory_order_relaxed);
    hob_time start = timed ? worker_now() : 0;

    if (f->work) {
        count(&me->jobs, 1); /* before it runs: who sees its end sees it counted */
        f->work->run(f->work);
    } else if (trace_watching()) {
        struct trace_task t;

        hob__job_begin(&t, "hob_for", 0);
        job_run_stolen(me, f->job);
        hob__job_end(&t);
    } else {
        job_run_stolen(me, f->job);
    }
    if (timed)
        count(&me->busy_ns, (uint64_t)(worker_now() - start));
}

/* Searches, and sleeps when that brings nothing; the caller is counted as a searcher and is not
 * one any more afterwards.  False: the pool stops and there is nothing left. */
static bool worker_search(struct seat *me, struct found *ret)
{
    bool found, stop = false;

    for (;;) {
        hob_time until = worker_now() + POOL_SPIN;

        while (!(found = worker_seek(me, ret)) && !(stop = atomic_load(&hob__pool.stopping)) &&
               worker_now() < until)
            worker_pause();
        if (!found && stop) /* (P1) what was submitted before the stop is visible after it */
            found = worker_seek(me, ret);
        if (found || stop)
            break;
        idle_announce(&hob__pool.idle);
        if (work_visible()) {
            idle_retract(&hob__pool.idle);
        } else {
            count(&me->sleeps, 1);
            idle_sleep(&hob__pool.idle);
        }
    }
    if (idle_search_end(&hob__pool.idle) && work_visible())
        hob__pool_notify();
    return found;
}

void hob__worker_main(struct seat *me)
{
    char name[TRACE_LANE_NAME_MAX];
    struct found f;

    hob__seat = me;
    hob__job_depth = 1;
    (void)hob__thread_slice(0); /* a loop's short slice is inherited by the threads it makes */
    snprintf(name, sizeof name, "pool %u", (unsigned)(me - hob__pool.seats));
    (void)hob__lane_name(TRACE_LANE_POOL, name); /* without memory it is traced without one */
    while (worker_search(me, &f)) {
        do
            worker_run(me, &f);
        while (worker_seek(me, &f));
        idle_search_begin(&hob__pool.idle);
    }
}

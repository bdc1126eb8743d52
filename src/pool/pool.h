/* SPDX-License-Identifier: MIT
 *
 * pool.h - the pool of worker threads, as the layers above see it
 *
 * One pool a process, a thread a usable core, started by the first work that needs it.  Work comes
 * in as `struct env_work` (any thread: the offload bridge, flow) or as a hob_for.
 */
#ifndef HOB_POOL_POOL_H
#define HOB_POOL_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include <hob/base.h>

#include "plat/env.h"

/*
 * Starts the worker threads; does nothing when they run.  0, or a negative errno when not one
 * thread could be made (with fewer than wished it carries on).  Any thread.  Work submitted starts
 * the pool by itself: a runtime calls this early only so that its loop need not make threads.
 */
int hob__pool_start(void);

/*
 * Runs what was submitted to its end and joins the threads.  Nobody may submit meanwhile, and it
 * is not callable from a job.  The pool may be started again.
 */
void hob__pool_stop(void);

/*
 * Runs w->run(w) once on a worker, in the order submitted.  Any thread, loops included: no lock,
 * at most one system call (a wake, when every worker sleeps).  Where no thread can be made it
 * runs w on the spot.  w is the pool's until run is called, and run's from then on.  Always 0.
 */
int hob__pool_submit(struct env_work *w);

/* Threads running now; 0 before the start. */
unsigned hob__pool_workers(void);

/* Whether this is inside a job (submitted work or the body of a hob_for): nothing may park here,
 * a call that would is -EDEADLK. */
bool hob__pool_on_worker(void);

/*
 * The nice value of all worker threads, now and of later ones.  0 or the first negative errno:
 * lowering needs a privilege.  A runtime calls it when its first loop starts.
 */
int hob__pool_set_nice(int nice);

/* Since the process started; each counter is exact once the pool is idle. */
struct pool_stats {
    uint64_t jobs;     /* submitted works run */
    uint64_t pieces;   /* pieces of hob_for run by another thread than the one that cut them */
    uint64_t sleeps;   /* times a worker went to sleep */
    uint64_t wakes;    /* times somebody woke a worker by a system call */
    uint64_t busy_ns;  /* spent in jobs and stolen pieces, while hob__pool_trace(true) */
    unsigned n_asleep; /* workers asleep now */
};

void hob__pool_stats(struct pool_stats *ret);

/* Whether busy_ns is counted: two clock reads a job. */
void hob__pool_trace(bool on);

/*
 * How sync/ makes hob_for park where it would hold a loop.  hob_for calls the hook first (unless
 * it is inside a job or simulated).  On a fiber the hook runs fn(arg) on the pool, parks the fiber
 * until fn has returned, stores its result (or the reason fn was never called) in *ret, and
 * returns true.  Elsewhere it returns false and hob_for works on the calling thread.  It must
 * not return before fn does: arg is on the fiber's stack.  Set once, before the first fiber.
 */
typedef bool pool_fiber_hook(hob_fn fn, void *arg, int *ret);

void hob__pool_set_fiber_hook(pool_fiber_hook *hook);

#endif

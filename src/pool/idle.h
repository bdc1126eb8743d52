/* SPDX-License-Identifier: MIT
 *
 * idle.h - workers that find nothing to do search for a while, then sleep; none sleeps beside work
 *
 * WHAT    Two numbers in one word - how many workers sleep, how many search - and a semaphore that
 *         the sleepers wait on.
 *
 * HOW     running --search_begin--> searching --announce--> (looks once more) --sleep--> asleep
 *            ^                        | ^  ^                     | retract                 |
 *            +--------- found --------+ |  +---------------------+                         |
 *                                       +------------------ a token of notify -------------+
 *
 *   Who publishes work calls idle_notify, which wakes one sleeper, and only if nobody searches:
 *   a searcher will find it.  The last searcher to find something looks whether there is
 *   more and wakes the next: a burst of work costs each publisher at most one wake, and a
 *   spinning worker saves them all.
 *
 * INVARIANTS  (I1) n_asleep counts workers that announced and were not yet given a token; the
 *                  counter moves from asleep to searching when the token is given, not when it
 *                  is taken: no second publisher wakes a worker that is already on its way.
 *             (I2) tokens given == tokens taken + workers on their way.  A worker that retracts
 *                  while n_asleep is 0 has been given a token, and takes it.
 *             (I3) no lost wake-up: if work is visible and nobody searches, nobody sleeps unless a
 *                  notify of that work is still to come.
 *
 * ORDER   All operations are sequentially consistent.  Publisher: makes work visible, then reads
 *         `state`.  Worker: changes `state` (announce, or found), then looks for work.  In the
 *         one order of all these, either the publisher's read comes after the worker's change,
 *         and it wakes or is right not to, or the worker's look comes after the publication.
 *         "Visible" must itself rest on a sequentially consistent operation: the count of
 *         inject.h, the bottom of deque.h, the pool's stop flag.
 *
 * REJECTED  A futex on a sequence number (eventcount): it cannot tell that a woken worker is on its
 *         way, so each publisher in those 30 us makes a system call for nothing.
 *
 * SEE     tests/model/explore_pool.c runs this text through every interleaving of small cases.
 */
#ifndef HOB_POOL_IDLE_H
#define HOB_POOL_IDLE_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/assert.h"
#include "plat/futex.h"

struct idle {
    _Alignas(64) atomic_uint state; /* n_asleep * IDLE_ASLEEP + n_searching */
    atomic_uint tokens;             /* the semaphore, and the futex */
};

#define IDLE_ASLEEP 0x10000u

static inline unsigned idle_n_asleep(unsigned state)
{
    return state / IDLE_ASLEEP;
}

static inline unsigned idle_n_searching(unsigned state)
{
    return state % IDLE_ASLEEP;
}

/* A worker that ran something begins to search. */
static inline void idle_search_begin(struct idle *i)
{
    atomic_fetch_add(&i->state, 1);
}

/* A searcher stops searching: found something, or ends.  True: it was the last, and somebody
 * sleeps; if more work is visible, the caller must notify. */
static inline bool idle_search_end(struct idle *i)
{
    unsigned was = atomic_fetch_sub(&i->state, 1);

    HOB_ASSERT(idle_n_searching(was) > 0);
    return idle_n_searching(was) == 1 && idle_n_asleep(was) > 0;
}

/* A searcher is about to sleep.  It must look for work once more, and then retract or sleep. */
static inline void idle_announce(struct idle *i)
{
    unsigned was = atomic_fetch_add(&i->state, IDLE_ASLEEP - 1);

    HOB_ASSERT(idle_n_searching(was) > 0);
}

/* After announce: returns when a token came; the worker is a searcher again. */
static inline void idle_sleep(struct idle *i)
{
    for (;;) {
        unsigned n = atomic_load(&i->tokens);

        if (n == 0)
            futex_wait(&i->tokens, 0);
        else if (atomic_compare_exchange_weak(&i->tokens, &n, n - 1))
            return; /* (I2) */
    }
}

/* After announce: the worker is a searcher again without having slept. */
static inline void idle_retract(struct idle *i)
{
    unsigned was = atomic_load(&i->state);

    while (idle_n_asleep(was) > 0)
        if (atomic_compare_exchange_weak(&i->state, &was, was - IDLE_ASLEEP + 1))
            return;
    idle_sleep(i); /* (I2): its token is given or about to be */
}

/* After publishing work.  Wakes one sleeper unless somebody searches; true: woke one. */
static inline bool idle_notify(struct idle *i)
{
    unsigned was = atomic_load(&i->state);

    do {
        if (idle_n_searching(was) > 0 || idle_n_asleep(was) == 0)
            return false;                                                            /* (I3) */
    } while (!atomic_compare_exchange_weak(&i->state, &was, was - IDLE_ASLEEP + 1)); /* (I1) */
    atomic_fetch_add(&i->tokens, 1);
    futex_wake(&i->tokens, 1);
    return true;
}

/* Every sleeper becomes a searcher: the pool stops. */
static inline void idle_notify_all(struct idle *i)
{
    unsigned was = atomic_load(&i->state);

    while (
        !atomic_compare_exchange_weak(&i->state, &was, idle_n_asleep(was) + idle_n_searching(was)))
        ;
    atomic_fetch_add(&i->tokens, idle_n_asleep(was));
    futex_wake(&i->tokens, INT_MAX);
}

#endif

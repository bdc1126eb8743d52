/* SPDX-License-Identifier: MIT
 *
 * deque.h - a worker's jobs: it pushes and pops at one end, thieves take the oldest at the other
 *
 * WHAT    The deque of Chase and Lev (2005), without growth: it holds DEQUE_SLOTS jobs, and a push
 *         that finds it full is refused (whoever forks then does the work itself).
 *
 * HOW              top                    bottom
 *                   v                       v
 *           ... | taken | oldest | ... | newest |  free ...        slot[i % DEQUE_SLOTS]
 *                         ^ thieves      ^ the owner
 *
 * INVARIANTS  (D1) top only grows, by one, by a compare-and-swap: a job is taken by who moved it
 *                  past the job, or by the owner's pop of a job that is not the last.
 *             (D2) bottom is written by the owner alone.
 *             (D3) while top == t, slot t does not change: a push there needs bottom - top to
 *                  reach DEQUE_SLOTS first, and a pop of the last job moves top.
 *
 * ORDER   Every read and write of top and bottom on which a decision rests is sequentially
 *         consistent, so the proof of 2005 holds as it stands: the owner writes bottom and then
 *         reads top, a thief reads top and then bottom, and one of the two sees the other.  Lê et
 *         al. (2013) do with fewer and with bare fences, which ThreadSanitizer does not know.
 *         A push's exchange of bottom releases the job to the thief's read of bottom, and is the
 *         publication that the protocol of idle.h rests on.
 *
 * REJECTED  A private part without atomics (Lace's split deque): the owner's push and pop cost
 *         two exchanges here, some 10 ns.  hob_for pushes only when somebody is hungry, so that
 *         nobody would notice; fork-join with a job a call will, and replaces this file.
 */
#ifndef HOB_POOL_DEQUE_H
#define HOB_POOL_DEQUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#ifndef DEQUE_SLOTS
#define DEQUE_SLOTS 128 /* a power of two; the model makes it 2, to see it full */
#endif

struct job;

struct deque {
    _Alignas(64) atomic_size_t top;    /* of the oldest job; thieves and owner */
    _Alignas(64) atomic_size_t bottom; /* one past the newest; the owner's */
    _Atomic(struct job *) slot[DEQUE_SLOTS];
};

/* Only while nobody else looks at it. */
static inline void deque_init(struct deque *d)
{
    atomic_store_explicit(&d->top, 0, memory_order_relaxed);
    atomic_store_explicit(&d->bottom, 0, memory_order_relaxed);
}

/* How many jobs somebody could steal.  From any thread: a guess unless it is the owner. */
static inline size_t deque_size(struct deque *d)
{
    size_t top = atomic_load(&d->top), bottom = atomic_load(&d->bottom);

    /* A pop holds bottom one below top for a moment. */
    return (ptrdiff_t)(bottom - top) > 0 ? bottom - top : 0;
}

/* The owner.  False: full. */
static inline bool deque_push(struct deque *d, struct job *j)
{
    size_t bottom = atomic_load_explicit(&d->bottom, memory_order_relaxed); /* (D2) */

    if (bottom - atomic_load(&d->top) >= DEQUE_SLOTS)
        return false;
    atomic_store_explicit(&d->slot[bottom % DEQUE_SLOTS], j, memory_order_relaxed); /* (D3) */
    atomic_exchange(&d->bottom, bottom + 1);
    return true;
}

/* The owner.  The newest job; NULL: all are gone. */
static inline struct job *deque_pop(struct deque *d)
{
    size_t bottom = atomic_load_explicit(&d->bottom, memory_order_relaxed) - 1;
    struct job *j;

    atomic_exchange(&d->bottom, bottom);
    size_t top = atomic_load(&d->top);
    if (bottom + 1 == top) { /* empty before */
        atomic_store(&d->bottom, top);
        return NULL;
    }
    j = atomic_load_explicit(&d->slot[bottom % DEQUE_SLOTS], memory_order_relaxed);
    if (bottom != top)
        return j;
    /* The last one: a thief may be at it. */
    if (!atomic_compare_exchange_strong(&d->top, &top, top + 1)) /* (D1) */
        j = NULL;
    atomic_store(&d->bottom, bottom + 1);
    return j;
}

/*
 * Any thread.  The oldest job; NULL: there is none, or *over has become `when`.  A job is taken
 * only if *over was not yet `when` while that job was already in the deque: between the look and
 * the swap nothing can take the job's place (D3).  over may be NULL.
 */
static inline struct job *deque_steal(struct deque *d, atomic_uint *over, unsigned when)
{
    for (;;) {
        size_t top = atomic_load(&d->top);
        size_t bottom = atomic_load(&d->bottom);
        struct job *j;

        if ((ptrdiff_t)(bottom - top) <= 0) /* empty, or a pop is under way */
            return NULL;
        j = atomic_load_explicit(&d->slot[top % DEQUE_SLOTS], memory_order_relaxed);
        if (over && atomic_load(over) == when)
            return NULL;
        if (atomic_compare_exchange_strong(&d->top, &top, top + 1)) /* (D1) */
            return j;
    }
}

#endif

/* SPDX-License-Identifier: MIT
 *
 * hold.h - who holds a lock, and what becomes of the lock of a fiber that ends
 *
 * WHAT        A holder is a number.  A fiber's address is another fiber's once it has ended; its
 *             number is not, if it ended with a lock: then the next fiber there draws a new one.
 *
 * HOW         Only a fiber that holds a lock is asked at its end, and without a question of its
 * own: hob__holds stands for its locks at the end of what it has deferred, which is looked at
 *             anyhow.
 *
 *                 f->deferred -> task -> task -> &hob__holds
 *
 * INVARIANTS  (I1) while a fiber holds a lock its `deferred` is not NULL
 *             (I2) a lock whose holder has ended has a number that no fiber has
 */
#ifndef HOB_SCHED_HOLD_H
#define HOB_SCHED_HOLD_H

#include <string.h>

#include "sched/loop.h"

/* A number's rest by this: the fiber's loop and 1; 0: a plain thread. */
enum { HOLDER_LOOPS = 128 };

extern struct runnable hob__holds;

/* A number never used before. */
uint64_t hob__holder_draw(struct fiber *f);
uint64_t hob__holder_thread(void);

/* The running fiber's, or the plain thread's; never 0. */
static inline uint64_t holder_self(void)
{
    struct fiber *f = hob__self();

    if (unlikely(!f))
        return hob__holder_thread();
    return likely(f->holder) ? f->holder : hob__holder_draw(f);
}

/* The caller has the lock now; a plain thread's are not counted. */
static inline void hold_taken(const void *lock, const char *name)
{
    struct fiber *f = hob__self();

    if (unlikely(!f))
        return;
    f->n_holds++;
    if (!f->deferred)
        f->deferred = &hob__holds; /* (I1) */
#ifdef NDEBUG
    (void)lock;
    (void)name;
#else
    f->held = lock;
    f->held_name[0] = '\0';
    if (name)
        (void)memccpy(f->held_name, name, '\0', sizeof f->held_name - 1);
#endif
}

/* And has given it up. */
static inline void hold_given(const void *lock)
{
    struct fiber *f = hob__self();

    if (unlikely(!f))
        return;
    if (--f->n_holds == 0 && f->deferred == &hob__holds)
        f->deferred = NULL;
    if (f->held == lock)
        f->held = NULL;
}

/* At the end of a fiber that holds locks: a debug build says so, and aborts.  (I2) */
void hob__holds_left(struct fiber *f);

#endif

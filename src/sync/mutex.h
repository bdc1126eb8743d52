/* SPDX-License-Identifier: MIT
 *
 * mutex.h - a mutex's inside, for the condition that unlocks and locks one
 */
#ifndef HOB_SYNC_MUTEX_H
#define HOB_SYNC_MUTEX_H

#include <hob/lock.h>

#include "sched/hold.h"
#include "sync/gate.h"

struct mutex {
    struct gate gate; /* first */
    uint64_t owner;   /* hold.h; 0: it is free */
    bool called;      /* a waiter was woken to try, and has not yet */
};

static inline struct mutex *mutex_of(hob_mutex *m)
{
    return (struct mutex *)(void *)m->opaque;
}

/* At home.  0; -EPERM: it is not `who`'s. */
int hob__mutex_unlock(struct mutex *m, uint64_t who);

/* At home: the number of who writes; 0: nobody.  rwlock.c */
uint64_t hob__rwlock_writer(const struct gate *g);

/* hob_mutex_lock that no cancel reaches, and that has no end but one. */
void hob__mutex_lock_shielded(struct mutex *m);

#endif

/* SPDX-License-Identifier: MIT
 *
 * mutex.h - a mutex's inside, for the condition that unlocks and locks one
 */
#ifndef HOB_SYNC_MUTEX_H
#define HOB_SYNC_MUTEX_H

#include <hob/lock.h>

#include "sync/gate.h"

struct mutex {
    struct gate gate; /* first */
    const void *owner;
    bool called; /* a waiter was woken to try, and has not yet */
};

static inline struct mutex *mutex_of(hob_mutex *m)
{
    return (struct mutex *)(void *)m->opaque;
}

/* At home.  0; -EPERM: it is not `who`'s. */
int hob__mutex_unlock(struct mutex *m, const void *who);

/* hob_mutex_lock that no cancel reaches, and that has no end but one. */
void hob__mutex_lock_shielded(struct mutex *m);

#endif

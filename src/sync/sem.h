/* SPDX-License-Identifier: MIT
 *
 * sem.h - a semaphore's inside, for the read-write lock that is one
 */
#ifndef HOB_SYNC_SEM_H
#define HOB_SYNC_SEM_H

#include "sync/gate.h"

struct sem {
    struct gate gate; /* first */
    uint64_t n_free;
};

struct sem_pass {
    struct pass pass; /* first */
    uint64_t n;
};

/* A gate's `try`: takes p->n units. */
int hob__sem_try(struct pass *p, bool first);

/* At home; there is room for them. */
static inline void sem_give(struct sem *s, uint64_t n)
{
    s->n_free += n;
    hob__gate_admit(&s->gate);
}

#endif

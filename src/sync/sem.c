/* SPDX-License-Identifier: MIT
 *
 * sem.c - counting semaphores
 *
 * INVARIANTS  (I1) units given out and n_free add up to what was put in: a wait that came to
 *                  nothing took nothing
 *             (I2) n_free <= INT64_MAX, so no sum of two overflows
 *
 * REJECTED    Letting a small request overtake a large one that waits: more of the units are in
 *             use, and under load the large one never gets its turn (Java's unfair semaphore).
 */
#include "sync/sem.h"

#include <errno.h>

#include <hob/sem.h>

#include "base/assert.h"

_Static_assert(sizeof(hob_sem) >= sizeof(struct sem), "hob_sem is storage for a semaphore");

static struct sem *sem_of(hob_sem *s)
{
    return (struct sem *)(void *)s->opaque;
}

int hob__sem_try(struct pass *p, bool first)
{
    struct sem *s = container_of(p->gate, struct sem, gate);
    uint64_t n = container_of(p, struct sem_pass, pass)->n;

    if (!first || s->n_free < n)
        return -EAGAIN;
    s->n_free -= n; /* (I1) */
    return 0;
}

int hob_sem_init(hob_sem *storage, uint64_t n, const char *name)
{
    struct sem *s = sem_of(storage);
    int r;

    s->gate.home = NULL;
    if (n > INT64_MAX)
        return HOB_MISUSE(-EINVAL, "a semaphore has at most INT64_MAX units");
    r = hob__gate_init(&s->gate, name);
    if (r == 0)
        s->n_free = n;
    return r;
}

int hob_sem_acquire(hob_sem *storage, uint64_t n, hob_time until)
{
    struct sem *s = sem_of(storage);
    struct sem_pass p = {.pass.try = hob__sem_try, .n = n};

    if (n == 0)
        return HOB_MISUSE(-EINVAL, "no units are asked for");
    return hob__gate_pass(&s->gate, &p.pass, HOB_WAIT_SEM, until);
}

static int sem_release(struct sem *s, uint64_t n)
{
    if (n > INT64_MAX - s->n_free) /* (I2) */
        return -EOVERFLOW;
    sem_give(s, n);
    return 0;
}

static void release_start(struct remote *r)
{
    struct change *c = container_of(r, struct change, remote);

    hob__remote_done(r, sem_release(c->object, (uint64_t)c->n));
}

int hob_sem_release(hob_sem *storage, uint64_t n)
{
    struct sem *s = sem_of(storage);
    struct change c = {.object = s, .n = (int64_t)n};

    int r = -EOVERFLOW;

    if (n <= INT64_MAX)
        r = gate_is_home(&s->gate) ? sem_release(s, n)
                                   : hob__gate_change(&s->gate, &c, release_start, __func__);
    return r == -EOVERFLOW ? HOB_MISUSE(-EOVERFLOW, "more units than a semaphore counts") : r;
}

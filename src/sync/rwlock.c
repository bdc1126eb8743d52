/* SPDX-License-Identifier: MIT
 *
 * rwlock.c - read-write locks: a semaphore of which a reader takes one unit and a writer all
 *
 * HOW         First come, first served is the semaphore's: readers that stand behind a writer wait
 *             for it, so neither side starves the other.
 *
 * INVARIANTS  (I1) writer is set exactly while one has all units
 */
#include <errno.h>

#include <hob/lock.h>

#include "base/assert.h"
#include "sched/hold.h"
#include "sync/mutex.h"
#include "sync/sem.h"

static const uint64_t ALL = INT64_MAX;

struct rwlock {
    struct sem sem;  /* first */
    uint64_t writer; /* hold.h; 0: nobody writes */
};

struct rw_pass {
    struct sem_pass sem; /* first */
    uint64_t who;
};

_Static_assert(sizeof(hob_rwlock) >= sizeof(struct rwlock), "hob_rwlock is storage for one");

static struct rwlock *rwlock_of(hob_rwlock *l)
{
    return (struct rwlock *)(void *)l->opaque;
}

uint64_t hob__rwlock_writer(const struct gate *g)
{
    return container_of(g, const struct rwlock, sem.gate)->writer;
}

static int rw_try(struct pass *p, bool first)
{
    struct rwlock *l = container_of(p->gate, struct rwlock, sem.gate);
    struct rw_pass *rp = container_of(p, struct rw_pass, sem.pass);
    int r;

    if (l->writer == rp->who)
        return -EDEADLK;
    r = hob__sem_try(p, first);
    if (r == 0 && rp->sem.n == ALL)
        l->writer = rp->who; /* (I1) */
    return r;
}

static int rw_lock(hob_rwlock *storage, uint64_t n, hob_time until)
{
    struct rwlock *l = rwlock_of(storage);
    struct rw_pass p = {.sem.pass.try = rw_try, .sem.n = n, .who = holder_self()};

    int r = hob__gate_pass(&l->sem.gate, &p.sem.pass, HOB_WAIT_RWLOCK, until);

    if (r == 0 && n == ALL)
        hold_taken(l, l->sem.gate.name);
    return r;
}

int hob_rwlock_init(hob_rwlock *storage, const char *name)
{
    struct rwlock *l = rwlock_of(storage);
    int r;

    l->sem.gate.home = NULL;
    r = hob__gate_init(&l->sem.gate, name);
    if (r == 0) {
        l->sem.n_free = ALL;
        l->writer = 0;
    }
    return r;
}

int hob_rwlock_read(hob_rwlock *storage, hob_time until)
{
    return rw_lock(storage, 1, until);
}

int hob_rwlock_write(hob_rwlock *storage, hob_time until)
{
    return rw_lock(storage, ALL, until);
}

enum { WROTE = 1 }; /* rw_unlock: the caller was the writer */

static int rw_unlock(struct rwlock *l, uint64_t who)
{
    if (l->writer == who) {
        l->writer = 0;
        sem_give(&l->sem, ALL);
        return WROTE;
    }
    if (l->writer || l->sem.n_free == ALL)
        return -EPERM;
    sem_give(&l->sem, 1);
    return 0;
}

static void unlock_start(struct remote *r)
{
    struct change *c = container_of(r, struct change, remote);

    hob__remote_done(r, rw_unlock(c->object, c->who));
}

int hob_rwlock_unlock(hob_rwlock *storage)
{
    struct rwlock *l = rwlock_of(storage);
    struct change c = {.object = l, .who = holder_self()};

    int r = gate_is_home(&l->sem.gate) ? rw_unlock(l, c.who)
                                       : hob__gate_change(&l->sem.gate, &c, unlock_start, __func__);

    if (r == WROTE)
        hold_given(l);
    if (r == -EPERM)
        return HOB_MISUSE(-EPERM, "a read-write lock that is not the caller's is unlocked");
    return r < 0 ? r : 0;
}

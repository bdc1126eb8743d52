/* SPDX-License-Identifier: MIT
 *
 * mutex.c - mutexes for fibers
 *
 * HOW         Unlocking wakes the first in the queue to try again; meanwhile whoever runs may take
 *             the mutex (barging), so an owner that locks it again at once does not switch to a
 *             waiter each time: a convoy costs a switch an operation.  A waiter that has waited
 *             for HAND_OFF is handed the mutex instead, so the wait is bounded (as Go's mutex does
 *             since 1.9).  Waiters from other loops are always handed it: their try would be a
 *             message.
 *
 * INVARIANTS  (I1) owner is whoever locked it and has not unlocked it: never two, and a wait that
 *                  came to nothing leaves none
 *             (I2) while it is free and somebody waits, one waiter has been called: it will run and
 *                  try, so no wake is lost to one that is cancelled or whose time is over
 *             (I3) who was called and came too late stands first again, with the time it has waited
 */
#include "sync/mutex.h"

#include <errno.h>

#include "base/assert.h"

#define HAND_OFF HOB_MS

_Static_assert(sizeof(hob_mutex) >= sizeof(struct mutex), "hob_mutex is storage for one");

enum { TRY_AGAIN = 1 }; /* what a called waiter is woken with */

struct mutex_pass {
    struct pass pass; /* first */
    uint64_t who;
    hob_time since;
};

static int mutex_try(struct pass *p, bool first)
{
    struct mutex *m = container_of(p->gate, struct mutex, gate);
    uint64_t who = container_of(p, struct mutex_pass, pass)->who;

    (void)first; /* barging */
    if (m->owner)
        return m->owner == who ? -EDEADLK : -EAGAIN;
    m->owner = who; /* (I1) */
    return 0;
}

int hob_mutex_init(hob_mutex *storage, const char *name)
{
    struct mutex *m = mutex_of(storage);

    m->gate.home = NULL;
    m->owner = 0;
    m->called = false;
    return hob__gate_init(&m->gate, name);
}

/* At home, on a fiber; the mutex is another's. */
static HOB_RARE int mutex_wait(struct mutex *m, struct mutex_pass *p, hob_time until)
{
    int r;

    p->since = hob__now();
    r = hob__gate_park(&m->gate, &p->pass, HOB_WAIT_MUTEX, until, false);
    while (r == TRY_AGAIN) {
        m->called = false;
        r = mutex_try(&p->pass, true);
        if (r == -EAGAIN && !p->pass.shielded)
            r = hob__check(p->pass.fiber) ? -ECANCELED : r;
        if (r == -EAGAIN)
            r = hob__gate_park(&m->gate, &p->pass, HOB_WAIT_MUTEX, until, true); /* (I3) */
    }
    return r;
}

static int mutex_pass(struct mutex *m, bool shielded, hob_time until)
{
    struct mutex_pass p = {.pass.try = mutex_try, .pass.shielded = shielded, .who = holder_self()};
    int r;

    if (!gate_is_home(&m->gate))
        return hob__gate_pass(&m->gate, &p.pass, HOB_WAIT_MUTEX, until);
    if (!shielded && (r = hob__check(hob__self())))
        return r;
    p.pass.gate = &m->gate;
    r = mutex_try(&p.pass, false);
    if (r != -EAGAIN)
        return r;
    return until == 0 ? -ETIMEDOUT : mutex_wait(m, &p, until);
}

static int mutex_lock(struct mutex *m, bool shielded, hob_time until)
{
    int r = mutex_pass(m, shielded, until);

    if (likely(r == 0))
        hold_taken(m, m->gate.name);
    return r;
}

int hob_mutex_lock(hob_mutex *storage, hob_time until)
{
    return mutex_lock(mutex_of(storage), false, until);
}

void hob__mutex_lock_shielded(struct mutex *m)
{
    int r = mutex_lock(m, true, HOB_FOREVER);

    HOB_ASSERT(r == 0);
}

int hob__mutex_unlock(struct mutex *m, uint64_t who)
{
    struct pass *p = gate_first(&m->gate);

    if (m->owner != who)
        return -EPERM;
    m->owner = 0;
    if (!p || m->called)
        return 0;
    if (!p->fiber || hob__now() - container_of(p, struct mutex_pass, pass)->since >= HAND_OFF) {
        hob__gate_admit(&m->gate);
    } else {
        m->called = true; /* (I2) */
        hob__gate_wake(p, TRY_AGAIN);
    }
    return 0;
}

static void unlock_start(struct remote *r)
{
    struct change *c = container_of(r, struct change, remote);

    hob__remote_done(r, hob__mutex_unlock(c->object, c->who));
}

int hob_mutex_unlock(hob_mutex *storage)
{
    struct mutex *m = mutex_of(storage);
    struct change c = {.object = m, .who = holder_self()};

    int r = gate_is_home(&m->gate) ? hob__mutex_unlock(m, c.who)
                                   : hob__gate_change(&m->gate, &c, unlock_start, __func__);

    if (likely(r == 0))
        hold_given(m);
    return r == -EPERM ? HOB_MISUSE(-EPERM, "a mutex that is not the caller's is unlocked") : r;
}

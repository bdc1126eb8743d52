/* SPDX-License-Identifier: MIT
 *
 * cond.c - conditions: wait for a signal with a mutex given up meanwhile
 *
 * INVARIANTS  (I1) the mutex is unlocked only once the waiter stands in the queue, and on their
 *                  common home nothing runs in between: a signal after the unlock finds it
 *             (I2) a waiter returns with the mutex locked, whatever ended its wait
 */
#include <errno.h>

#include "base/assert.h"
#include "sync/mutex.h"

struct cond {
    struct gate gate; /* first */
};

struct cond_pass {
    struct pass pass; /* first */
    struct mutex *mutex;
    uint64_t who;
    bool unlocked;
};

_Static_assert(sizeof(hob_cond) >= sizeof(struct cond), "hob_cond is storage for one");

static struct cond *cond_of(hob_cond *c)
{
    return (struct cond *)(void *)c->opaque;
}

/* Only a signal lets one pass. */
static int cond_try(struct pass *p, bool first)
{
    (void)first;
    (void)p;
    return -EAGAIN;
}

/* From elsewhere, at home. */
static void cond_queued(struct pass *p)
{
    struct cond_pass *cp = container_of(p, struct cond_pass, pass);

    if (cp->mutex->owner != cp->who)
        hob__gate_wake(p, -EPERM);
    else
        cp->unlocked = hob__mutex_unlock(cp->mutex, cp->who) == 0; /* (I1) */
}

int hob_cond_init(hob_cond *storage, const char *name)
{
    struct cond *c = cond_of(storage);

    c->gate.home = NULL;
    return hob__gate_init(&c->gate, name);
}

static int wait_at_home(struct cond *c, struct cond_pass *p, hob_time until)
{
    int r = hob__check(hob__self());

    if (r)
        return r;
    if (p->mutex->owner != p->who)
        return -EPERM;
    if (until == 0)
        return -ETIMEDOUT;
    (void)hob__mutex_unlock(p->mutex, p->who);
    hold_given(p->mutex);
    r = hob__gate_park(&c->gate, &p->pass, HOB_WAIT_COND, until, false); /* (I1) */
    hob__mutex_lock_shielded(p->mutex);                                  /* (I2) */
    return r;
}

static int wait_elsewhere(struct cond *c, struct cond_pass *p, hob_time until)
{
    int r;

    if (until == 0)
        return -ETIMEDOUT;
    r = hob__gate_pass(&c->gate, &p->pass, HOB_WAIT_COND, until);
    if (p->unlocked) {
        hold_given(p->mutex);
        hob__mutex_lock_shielded(p->mutex); /* (I2) */
    }
    return r;
}

int hob_cond_wait(hob_cond *storage, hob_mutex *mutex, hob_time until)
{
    struct cond *c = cond_of(storage);
    struct cond_pass p = {.pass.try = cond_try,
                          .pass.queued = cond_queued,
                          .mutex = mutex_of(mutex),
                          .who = holder_self()};

    if (!c->gate.home || p.mutex->gate.home != c->gate.home)
        return HOB_MISUSE(-EINVAL, "a condition and its mutex have one home");
    int r = gate_is_home(&c->gate) ? wait_at_home(c, &p, until) : wait_elsewhere(c, &p, until);
    return r == -EPERM ? HOB_MISUSE(-EPERM, "a condition with a mutex that is not the caller's")
                       : r;
}

static int cond_wake(struct cond *c, bool all)
{
    struct pass *p;

    while ((p = gate_first(&c->gate))) {
        hob__gate_wake(p, 0);
        if (!all)
            break;
    }
    return 0;
}

static void wake_start(struct remote *r)
{
    struct change *c = container_of(r, struct change, remote);

    hob__remote_done(r, cond_wake(c->object, c->n));
}

static int cond_put(hob_cond *storage, bool all)
{
    struct cond *c = cond_of(storage);
    struct change change = {.object = c, .n = all};

    return gate_is_home(&c->gate)
               ? cond_wake(c, all)
               : hob__gate_change(&c->gate, &change, wake_start,
                                  all ? "hob_cond_broadcast" : "hob_cond_signal");
}

int hob_cond_signal(hob_cond *c)
{
    return cond_put(c, false);
}

int hob_cond_broadcast(hob_cond *c)
{
    return cond_put(c, true);
}

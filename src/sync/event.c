/* SPDX-License-Identifier: MIT
 *
 * event.c - events, and what is done once
 *
 * INVARIANTS  (I1) nobody waits for an event that is set, nor an arm of a select that is not
 * decided (I2) of a once that is not done, at most one runs; when that one fails, the first of
 *                  those who wait is told to
 */
#include <errno.h>

#include <hob/event.h>

#include "base/assert.h"
#include "sched/hold.h"
#include "sync/gate.h"
#include "sync/select.h"

struct event {
    struct gate gate; /* first */
    bool set;
    struct list arms; /* struct arm, of selects */
};

_Static_assert(sizeof(hob_event) >= sizeof(struct event), "hob_event is storage for one");

static struct event *event_of(hob_event *e)
{
    return (struct event *)(void *)e->opaque;
}

static int event_try(struct pass *p, bool first)
{
    (void)first;
    return container_of(p->gate, struct event, gate)->set ? 0 : -EAGAIN;
}

int hob_event_init(hob_event *storage, const char *name)
{
    struct event *e = event_of(storage);

    e->gate.home = NULL;
    e->set = false;
    list_init(&e->arms);
    return hob__gate_init(&e->gate, name);
}

static void arms_admit(struct event *e)
{
    struct list *n;

    while ((n = list_pop(&e->arms))) {
        struct arm *a = list_entry(n, struct arm, node);
        if (claim_take(&a->sel->claim))
            hob__arm_won(a, 0);
    }
}

static int event_change(struct event *e, bool set)
{
    e->set = set;
    if (set) { /* (I1) */
        hob__gate_admit(&e->gate);
        arms_admit(e);
    }
    return 0;
}

static void event_start(struct remote *r)
{
    struct change *c = container_of(r, struct change, remote);

    hob__remote_done(r, event_change(c->object, c->n));
}

static int event_put(hob_event *storage, bool set)
{
    struct event *e = event_of(storage);
    struct change c = {.object = e, .n = set};

    return gate_is_home(&e->gate) ? event_change(e, set)
                                  : hob__gate_change(&e->gate, &c, event_start,
                                                     set ? "hob_event_set" : "hob_event_clear");
}

int hob_event_set(hob_event *e)
{
    return event_put(e, true);
}

int hob_event_clear(hob_event *e)
{
    return event_put(e, false);
}

int hob_event_wait(hob_event *storage, hob_time until)
{
    struct pass p = {.try = event_try};

    return hob__gate_pass(&event_of(storage)->gate, &p, HOB_WAIT_EVENT, until);
}

static struct loop *arm_home(const struct hob_arm *pub)
{
    return pub->event ? event_of(pub->event)->gate.home : NULL;
}

static int arm_try(struct arm *a)
{
    if (!event_of(arm_pub(a)->event)->set)
        return ARM_LATER;
    if (!claim_take(&a->sel->claim))
        return ARM_LOST;
    arm_pub(a)->rc = 0;
    return 0;
}

static void arm_wait(struct arm *a)
{
    list_push(&event_of(arm_pub(a)->event)->arms, &a->node);
}

static void arm_leave(struct arm *a)
{
    list_del(&a->node);
}

const struct arm_kind hob__arm_event = {
    .home = arm_home, .try = arm_try, .wait = arm_wait, .leave = arm_leave};

/* --- once ------------------------------------------------------------------------------------- */

enum once_state { ONCE_NEW, ONCE_RUNS, ONCE_DONE };

struct once {
    struct gate gate; /* first */
    enum once_state state;
    uint64_t runner; /* while it runs; else 0 */
};

struct once_pass {
    struct pass pass; /* first */
    uint64_t who;
};

enum { YOURS = 1 }; /* result of a pass: the caller is to run its fn */

_Static_assert(sizeof(hob_once) >= sizeof(struct once), "hob_once is storage for one");

static struct once *once_of(hob_once *o)
{
    return (struct once *)(void *)o->opaque;
}

static int once_try(struct pass *p, bool first)
{
    struct once *o = container_of(p->gate, struct once, gate);
    uint64_t who = container_of(p, struct once_pass, pass)->who;

    (void)first; /* who waits, waits for somebody's run */
    if (o->state == ONCE_DONE)
        return 0;
    if (o->state == ONCE_RUNS)
        return o->runner == who ? -EDEADLK : -EAGAIN;
    o->state = ONCE_RUNS; /* (I2) */
    o->runner = who;
    return YOURS;
}

int hob_once_init(hob_once *storage, const char *name)
{
    struct once *o = once_of(storage);

    o->gate.home = NULL;
    o->state = ONCE_NEW;
    o->runner = 0;
    return hob__gate_init(&o->gate, name);
}

static int once_ended(struct once *o, bool done)
{
    o->state = done ? ONCE_DONE : ONCE_NEW;
    o->runner = 0;
    hob__gate_admit(&o->gate); /* (I2) */
    return 0;
}

static void ended_start(struct remote *r)
{
    struct change *c = container_of(r, struct change, remote);

    hob__remote_done(r, once_ended(c->object, c->n));
}

int hob_once_do(hob_once *storage, hob_fn fn, void *arg, hob_time until)
{
    struct once *o = once_of(storage);
    struct once_pass p = {.pass.try = once_try, .who = holder_self()};
    struct change c = {.object = o};
    int r, ran;

    if (!fn)
        return HOB_MISUSE(-EINVAL, "nothing to do once");
    r = hob__gate_pass(&o->gate, &p.pass, HOB_WAIT_ONCE, until);
    if (r != YOURS)
        return r;
    ran = fn(arg);
    c.n = ran >= 0;
    r = gate_is_home(&o->gate) ? once_ended(o, c.n)
                               : hob__gate_change(&o->gate, &c, ended_start, __func__);
    return ran < 0 ? ran : r;
}

/* SPDX-License-Identifier: MIT
 *
 * gate.c - a condition and who waits for it: see gate.h
 */
#include "sync/gate.h"

#include <errno.h>

#include "base/assert.h"
#include "pool/pool.h"
#include "sched/life.h"

int hob__gate_init(struct gate *g, const char *name)
{
    struct fiber *f = hob__self();

    if (!f)
        return hob__off_fiber();
    g->home = f->loop;
    g->name = name;
    list_init(&g->queue);
    return 0;
}

void hob__gate_wake(struct pass *p, int rc)
{
    list_del(&p->node);
    if (likely(p->fiber)) {
        p->fiber->wait_node = NULL;
        hob__ready(p->fiber, rc);
    } else {
        hob__remote_done(&p->remote, rc);
    }
}

void hob__gate_admit(struct gate *g)
{
    struct pass *p;
    int r;

    while ((p = gate_first(g)) && (r = p->try(p, true)) != -EAGAIN)
        hob__gate_wake(p, r);
}

static int gate_try(struct gate *g, struct pass *p)
{
    p->gate = g;
    return p->try(p, list_empty(&g->queue)); /* (I1) */
}

static void pass_start(struct remote *r)
{
    struct pass *p = container_of(r, struct pass, remote);
    int rc = gate_try(p->gate, p);

    if (rc != -EAGAIN) {
        hob__remote_done(r, rc);
    } else if (!p->may_wait) {
        hob__remote_done(r, -ETIMEDOUT);
    } else {
        list_push(&p->gate->queue, &p->node);
        if (p->queued)
            p->queued(p);
    }
}

static void pass_cancel(struct remote *r)
{
    struct pass *p = container_of(r, struct pass, remote);

    if (p->shielded && r->fiber) /* a thread gives up only where there is nobody to wait for */
        return;
    list_del(&p->node);
    hob__remote_done(r, -ECANCELED);
    hob__gate_admit(p->gate); /* (I3) */
}

/* The public call that waits so. */
static inline HOB_UNUSED const char *pass_call(enum hob_wait why)
{
    switch ((int)why) {
    case HOB_WAIT_MUTEX:
        return "hob_mutex_lock";
    case HOB_WAIT_RWLOCK:
        return "hob_rwlock_read, _write";
    case HOB_WAIT_COND:
        return "hob_cond_wait";
    case HOB_WAIT_SEM:
        return "hob_sem_acquire";
    case HOB_WAIT_EVENT:
        return "hob_event_wait";
    default:
        return "hob_once_do";
    }
}

static HOB_RARE int pass_elsewhere(struct gate *g, struct pass *p, enum hob_wait why,
                                   hob_time until)
{
    struct fiber *f = hob__self();
    int r;

    if (!f && hob__pool_on_worker())
        return HOB_MISUSE_OF(pass_call(why), -EDEADLK, "a job of the pool waits");
    if (f && !p->shielded && (r = hob__check(f)))
        return r;
    p->fiber = NULL;
    p->gate = g;
    p->may_wait = until != 0;
    p->remote.start = pass_start;
    p->remote.cancel = pass_cancel;
    list_init(&p->node);
    remote_name(&p->remote, g->name);
    /* Not to wait is the home loop's to decide: its answer is waited for. */
    return hob__remote_call(&p->remote, g->home, why, until ? until : HOB_FOREVER);
}

int hob__gate_park(struct gate *g, struct pass *p, enum hob_wait why, hob_time until, bool first)
{
    struct fiber *f = hob__self();
    int r;

    p->fiber = f;
    p->gate = g;
    f->on = g;
    list_push(first ? g->queue.next : &g->queue, &p->node);
    if (p->shielded) {
        hob__park_shielded(f, why);
        return f->wake_rc;
    }
    f->wait_node = &p->node;
    r = hob__park(f, why, until);
    if (unlikely(r == -ECANCELED || r == -ETIMEDOUT))
        hob__gate_admit(g); /* (I3) */
    return r;
}

int hob__gate_pass(struct gate *g, struct pass *p, enum hob_wait why, hob_time until)
{
    struct fiber *f = hob__self();
    int r;

    if (unlikely(!g->home))
        return HOB_MISUSE_OF(pass_call(why), -EINVAL, "it was never initialised");
    if (unlikely(!f || f->loop != g->home))
        return pass_elsewhere(g, p, why, until);
    if (!p->shielded && unlikely((r = hob__check(f))))
        return r;
    r = gate_try(g, p);
    if (r != -EAGAIN)
        return r;
    return until == 0 ? -ETIMEDOUT : hob__gate_park(g, p, why, until, false);
}

static void change_cancel(struct remote *r)
{
    (void)r; /* it is done, or will be when its message has come */
}

int hob__gate_change(struct gate *g, struct change *c, void (*start)(struct remote *r),
                     const char *call)
{
    (void)call; /* release */
    if (unlikely(!g->home))
        return HOB_MISUSE_OF(call, -EINVAL, "it was never initialised");
    c->remote.start = start;
    c->remote.cancel = change_cancel;
    return hob__remote_call(&c->remote, g->home, HOB_WAIT_REMOTE, HOB_FOREVER);
}

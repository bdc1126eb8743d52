/* SPDX-License-Identifier: MIT
 *
 * poll_sim.c - the poller of the simulator: no descriptors, no waiting
 *
 * WHAT        Under HOB_SIM there is nothing real to wait for.  Every operation ends with
 *             -EOPNOTSUPP in the next wait(), watches are refused, and wait() never blocks: the
 *             driver of the simulation moves virtual time on when no loop has anything to do.
 *
 * INVARIANTS  As in poll.h; an operation is on `finished` from submit to done.
 *
 * REJECTED    Sockets in memory: what a simulated program talks to is a fake behind a table of
 *             operations (the HTTP client's), which knows more than bytes.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/assert.h"
#include "plat/poll.h"

/* poll_op.state */
enum { OP_IDLE, OP_FINISHED };

struct sim_poller {
    struct poller base;
    struct list finished;
    _Atomic int woken;
};

static struct sim_poller *sim_of(struct poller *p)
{
    return container_of(p, struct sim_poller, base);
}

static bool sim_can(const struct poller *base, enum poll_kind kind)
{
    (void)base, (void)kind;
    return false;
}

static void sim_submit(struct poller *base, struct poll_op *op)
{
    HOB_ASSERT(op->state == OP_IDLE); /* (P2) */
    op->state = OP_FINISHED;
    op->res = -EOPNOTSUPP;
    list_push(&sim_of(base)->finished, &op->node);
}

static void sim_cancel(struct poller *base, struct poll_op *op)
{
    (void)base, (void)op; /* it has its result already */
}

static int sim_watch(struct poller *base, struct poll_watch *w)
{
    (void)base, (void)w;
    return -EOPNOTSUPP;
}

static void sim_unwatch(struct poller *base, struct poll_watch *w)
{
    (void)base, (void)w;
}

static int sim_wait(struct poller *base, hob_time until)
{
    struct sim_poller *p = sim_of(base);
    struct list batch, *n;

    (void)until;
    atomic_exchange(&p->woken, 0);
    list_init(&batch);
    list_splice(&batch, &p->finished); /* what `done` submits belongs to the next wait */
    while ((n = list_pop(&batch))) {
        struct poll_op *op = list_entry(n, struct poll_op, node);
        op->state = OP_IDLE;
        op->done(op);
    }
    return 0;
}

static void sim_wake(struct poller *base)
{
    atomic_exchange(&sim_of(base)->woken, 1);
}

static bool sim_busy(const struct poller *base)
{
    const struct sim_poller *p = container_of(base, struct sim_poller, base);

    return !list_empty(&p->finished) || atomic_load(&p->woken);
}

static void sim_close(struct poller *base)
{
    HOB_ASSERT(list_empty(&sim_of(base)->finished));
    free(sim_of(base));
}

static int sim_open(struct poller **ret)
{
    struct sim_poller *p = calloc(1, sizeof *p);

    if (!p)
        return -ENOMEM;
    p->base.ops = &hob__poll_sim;
    list_init(&p->finished);
    *ret = &p->base;
    return 0;
}

/* Never said yes to: no end is asked for, and no piece comes back. */
static bool sim_feed(struct poller *base, struct poll_feed *f)
{
    (void)base, (void)f;
    return false;
}

const struct poll_ops hob__poll_sim = {
    .name = "sim",
    .open = sim_open,
    .close = sim_close,
    .can = sim_can,
    .submit = sim_submit,
    .cancel = sim_cancel,
    .watch = sim_watch,
    .unwatch = sim_unwatch,
    .feed = sim_feed,
    .wait = sim_wait,
    .wake = sim_wake,
    .busy = sim_busy,
};

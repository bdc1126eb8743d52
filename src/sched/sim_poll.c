/* SPDX-License-Identifier: MIT
 *
 * sim_poll.c - the poller of the simulator: it waits for sockets in memory, and never really
 *
 * WHAT        An operation is tried in the next wait().  If it has to wait it hangs on its socket,
 *             and is tried again after something of that has changed.  wait() never blocks: the
 *             driver of the simulation moves virtual time on when no loop has anything to do.
 *             Watches, which are for descriptors of other libraries, are refused.
 *
 * HOW         NEW --try--> done                 an op is on its poller's `due` list, except while
 *              '-> HANGS --changed--> AGAIN     it HANGS, when it is on its socket's
 *
 * INVARIANTS  As in poll.h.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/assert.h"
#include "plat/env.h"
#include "sched/loop.h"
#include "sched/sim_net.h"

/* poll_op.state */
enum { OP_IDLE, OP_NEW, OP_AGAIN, OP_HANGS, OP_ENDED };

struct sim_poller {
    struct poller base;
    struct list due;
    _Atomic int woken;
    uint32_t number;
};

/* By number, which an op keeps in `gen`. */
static struct sim_poller *pollers[LOOPS_MAX + 1];

static struct sim_poller *sim_of(struct poller *p)
{
    return container_of(p, struct sim_poller, base);
}

static bool sim_can(const struct poller *base, enum poll_kind kind)
{
    (void)base, (void)kind;
    return false;
}

static void op_due(struct poll_op *op, uint8_t state)
{
    op->state = state;
    list_push(&pollers[op->gen]->due, &op->node);
}

static void sim_submit(struct poller *base, struct poll_op *op)
{
    HOB_ASSERT(op->state == OP_IDLE); /* (P2) */
    op->gen = sim_of(base)->number;
    op_due(op, OP_NEW);
}

static void sim_cancel(struct poller *base, struct poll_op *op)
{
    (void)base;
    if (op->state == OP_ENDED)
        return;
    list_del(&op->node);
    op->res = -ECANCELED;
    op_due(op, OP_ENDED);
}

void hob__sim_changed(struct sim_sock *s)
{
    struct list *n;

    while ((n = list_pop(&s->waiting)))
        op_due(list_entry(n, struct poll_op, node), OP_AGAIN);
}

void hob__sim_abandon(struct sim_sock *s)
{
    struct list *n;

    while ((n = list_pop(&s->waiting))) {
        struct poll_op *op = list_entry(n, struct poll_op, node);
        op->res = -EBADF;
        op_due(op, OP_ENDED);
    }
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

static int32_t op_try(const struct poll_op *op)
{
    const struct sock_ops *sock = &hob__sock_sim;

    if (op->kind != POLL_CONNECT)
        return sock->try(op);
    return op->state == OP_NEW ? sock->connect(op) : sock->connected(op);
}

/* True: it has ended. */
static bool op_run(struct poll_op *op)
{
    int32_t r = op->state == OP_ENDED ? op->res : op_try(op);
    struct sim_sock *s = r == POLL_TRY_WAIT ? hob__sim_sock_of(op->fd) : NULL;

    if (s) {
        op->state = OP_HANGS;
        list_push(&s->waiting, &op->node);
        return false;
    }
    op->res = r;
    op->state = OP_IDLE;
    return true;
}

static int sim_wait(struct poller *base, hob_time until)
{
    struct sim_poller *p = sim_of(base);
    struct list batch, *n;

    (void)until;
    atomic_exchange(&p->woken, 0);
    list_init(&batch);
    list_splice(&batch, &p->due); /* what `done` submits belongs to the next wait */
    while ((n = list_pop(&batch))) {
        struct poll_op *op = list_entry(n, struct poll_op, node);
        if (op_run(op))
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

    return !list_empty(&p->due) || atomic_load(&p->woken);
}

static void sim_close(struct poller *base)
{
    struct sim_poller *p = sim_of(base);

    HOB_ASSERT(list_empty(&p->due));
    pollers[p->number] = NULL;
    free(p);
}

static int sim_open(struct poller **ret)
{
    struct sim_poller *p = calloc(1, sizeof *p);

    if (!p)
        return -ENOMEM;
    p->base.ops = &hob__poll_sim;
    list_init(&p->due);
    while (pollers[p->number])
        p->number++;
    HOB_ASSERT(p->number <= LOOPS_MAX);
    pollers[p->number] = p;
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

/* SPDX-License-Identifier: MIT
 *
 * select_fd.c - the arms of a select that wait for a descriptor: ready, accept
 *
 * WHAT        Their home is the caller's loop.  Both wait by an operation at its poller that only
 *             tells of readiness and takes nothing, so that an arm which loses has had no effect.
 *
 * INVARIANTS  (I1) an operation is in flight from `wait` to its `done`, and counted in n_out: the
 *                  select does not return before
 *             (I2) a connection is taken only while the claim is held, and is that arm's result
 *
 * REJECTED    The poller's own accept: cancelled too late it brings a connection that nobody wants.
 *             Taking the claim before the connection: another process may have taken that one, and
 *               a claim is not given back; so it is held (claim.h) while accept says.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "plat/env.h"
#include "sync/select.h"

static int arm_happens(struct arm *a, int rc)
{
    if (!claim_take(&a->sel->claim))
        return ARM_LOST;
    arm_pub(a)->rc = rc;
    return 0;
}

static int ready_try(struct arm *a)
{
    struct hob_arm *pub = arm_pub(a);
    struct poll_op op = {.kind = POLL_READY, .fd = pub->fd, .events = pub->events};
    int r = hob__env->sock->try(&op);

    return r == POLL_TRY_WAIT ? ARM_LATER : arm_happens(a, r);
}

/* (I2) */
static int accept_try(struct arm *a)
{
    struct poll_op op = {.kind = POLL_ACCEPT, .fd = arm_pub(a)->fd};
    int r;

    if (!claim_hold(&a->sel->claim))
        return ARM_LOST;
    r = hob__env->sock->try(&op);
    claim_end(&a->sel->claim, r != POLL_TRY_WAIT);
    if (r == POLL_TRY_WAIT)
        return ARM_LATER;
    if (r >= 0) /* as hob_tcp_accept does; of no effect where it is no TCP */
        (void)hob__env->sock->set(r, IPPROTO_TCP, TCP_NODELAY, 1);
    arm_pub(a)->rc = r;
    return 0;
}

static void arm_submit(struct arm *a)
{
    struct poller *p = a->sel->loop->poller;

    a->waits = true;
    a->sel->n_out++; /* (I1) */
    a->sel->loop->n_outside++;
    p->ops->submit(p, &a->op);
}

static void op_done(struct poll_op *op)
{
    struct arm *a = container_of(op, struct arm, op);
    struct select *s = a->sel;
    bool accepts = arm_pub(a)->kind != HOB_ARM_READY;

    HOB_ASSERT(s->n_out > 0); /* (I1) */
    a->waits = false;
    s->n_out--;
    s->loop->n_outside--;
    if (s->decided) {
        hob__sel_poke(s);
        return;
    }
    int r = accepts && op->res >= 0 ? accept_try(a) : arm_happens(a, op->res);
    if (r == 0)
        hob__sel_decide(s, a);
    else if (r == ARM_LATER)
        arm_submit(a); /* somebody else took it */
}

static void arm_wait(struct arm *a)
{
    struct hob_arm *pub = arm_pub(a);

    a->op = (struct poll_op){
        .kind = POLL_READY,
        .done = op_done,
        .fd = pub->fd,
        .events = pub->kind == HOB_ARM_READY ? pub->events : EPOLLIN,
    };
    arm_submit(a);
}

static void arm_leave(struct arm *a)
{
    struct poller *p = a->sel->loop->poller;

    p->ops->cancel(p, &a->op);
}

const struct arm_kind hob__arm_ready = {.try = ready_try, .wait = arm_wait, .leave = arm_leave};
const struct arm_kind hob__arm_accept = {.try = accept_try, .wait = arm_wait, .leave = arm_leave};

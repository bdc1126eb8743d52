/* SPDX-License-Identifier: MIT
 *
 * chan.c - bounded channels
 *
 * WHAT        A ring of `slots` values with a queue of parked fibers at each end.
 *
 * HOW         sendq                    ring                      recvq
 *             S2 -> S1  ==copy==>  | v3 | v2 | v1 |  ==copy==>   R1 <- R2
 *
 *   A sender that finds a parked receiver copies its value straight onto that receiver's stack and
 *   readies it: a rendezvous is one copy and no ring.  A receiver that frees a slot moves S1's
 *   value into it before it readies S1, so a woken sender has nothing left to do and cannot lose
 *   its place.
 *
 * INVARIANTS  (I1) nused <= slots
 *             (I2) a receiver is parked only on an empty ring with no sender parked
 *             (I3) a sender is parked only on a full ring
 *             (I4) a closed channel has nobody parked
 *             (I5) a waiter that was woken is on no queue: who is cancelled has transferred
 *                  nothing, who has transferred is not cancelled
 *             (I6) an arm of a select transfers only once its select is claimed for it, and is
 *                  claimed only to transfer at once: both ends' arms, or neither (claim.h)
 *
 *   "Parked" in (I2) to (I4) is who can still be had: an arm whose select is decided elsewhere may
 *   stand in a queue until its loop calls it off, and counts as not there.  Two arms of one select
 *   never meet each other.
 *
 * THREADS     Everything happens on the home loop, without a lock or an atomic.  An operation from
 *   elsewhere is a message to it (sched/remote.h), and stands in the same queues.
 *
 * REJECTED    A lock-free ring (Vyukov's MPMC queue): parking is what costs, not the ring, and the
 *   queues need an order anyway to keep (I2) and (I3).  Figures: bench/pingpong.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hob/chan.h>

#include "base/assert.h"
#include "base/list.h"
#include "base/opts.h"
#include "pool/pool.h"
#include "sched/life.h"
#include "sched/park.h"
#include "sched/remote.h"
#include "sync/dump.h"
#include "sync/select.h"

enum { VALUE_MAX = 4096 };

#define ALWAYS inline __attribute__((always_inline))

struct hob_chan {
    struct loop *home;
    struct list sendq, recvq;    /* struct chan_waiter, oldest first */
    uint32_t slots, nused, head; /* head: index of the oldest value */
    uint32_t value_size;
    bool closed;
    char *name;
    unsigned char ring[]; /* slots * value_size bytes */
};

enum chan_way { CHAN_SEND, CHAN_RECV };

static inline struct chan_waiter *waiter_first(struct list *queue)
{
    return list_entry(queue->next, struct chan_waiter, node);
}

static inline bool waiter_is_arm(const struct chan_waiter *w)
{
    return !w->fiber && !w->remote;
}

static inline struct arm *waiter_arm(struct chan_waiter *w)
{
    return container_of(w, struct arm, chan);
}

#ifdef NDEBUG
static inline void chan_check(hob_chan *ch)
{
    (void)ch;
}
#else
/* The first that is not decided elsewhere; NULL: none. */
static struct chan_waiter *waiter_parked(struct list *queue)
{
    list_each (n, queue) {
        struct chan_waiter *w = list_entry(n, struct chan_waiter, node);
        if (!waiter_is_arm(w) || claim_is_open(&waiter_arm(w)->sel->claim))
            return w;
    }
    return NULL;
}

static void chan_check(hob_chan *ch)
{
    struct chan_waiter *s = waiter_parked(&ch->sendq), *r = waiter_parked(&ch->recvq);
    bool one =
        s && r && waiter_is_arm(s) && waiter_is_arm(r) && waiter_arm(s)->sel == waiter_arm(r)->sel;

    HOB_ASSERT(ch->nused <= ch->slots);            /* (I1) */
    HOB_ASSERT(!r || (!ch->nused && (!s || one))); /* (I2) */
    HOB_ASSERT(!s || ch->nused == ch->slots);      /* (I3) */
    HOB_ASSERT(!ch->closed || (!s && !r));         /* (I4) */
}
#endif

/* Copied by one load and one store. */
static inline bool value_is_word(const hob_chan *ch)
{
    return ch->value_size == sizeof(uint64_t) || ch->value_size == sizeof(uint32_t);
}

static inline void value_copy_word(const hob_chan *ch, void *to, const void *from)
{
    if (likely(ch->value_size == sizeof(uint64_t)))
        memcpy(to, from, sizeof(uint64_t));
    else
        memcpy(to, from, sizeof(uint32_t));
}

static inline void value_copy(const hob_chan *ch, void *to, const void *from)
{
    if (likely(value_is_word(ch)))
        value_copy_word(ch, to, from);
    else
        memcpy(to, from, ch->value_size);
}

static inline void *ring_at(hob_chan *ch, uint32_t i)
{
    size_t at = (size_t)ch->head + i; /* the sum may not fit in 32 bits */

    if (at >= ch->slots)
        at -= ch->slots;
    return ch->ring + at * ch->value_size;
}

/* Takes it off its queue and ends its wait.  (I5) */
static ALWAYS void waiter_wake(struct chan_waiter *w, int rc, bool plain)
{
    if (plain || w->fiber) {
        hob__ready(w->fiber, rc);
        return;
    }
    list_del(&w->node);
    if (w->remote)
        hob__remote_done(w->remote, rc);
    else
        hob__arm_won(waiter_arm(w), rc);
}

/* Claims `w` if it is an arm, and `me` if there is one.  */
static enum claim_pair waiter_claim(struct chan_waiter *w, struct arm *me)
{
    if (!waiter_is_arm(w))
        return !me || claim_take(&me->sel->claim) ? CLAIM_BOTH : CLAIM_MINE_GONE;
    if (!me)
        return claim_take(&waiter_arm(w)->sel->claim) ? CLAIM_BOTH : CLAIM_OTHER_GONE;
    return claim_pair(&me->sel->claim, &waiter_arm(w)->sel->claim);
}

static HOB_RARE struct chan_waiter *waiter_search(struct list *queue, struct arm *me,
                                                  bool *ret_lost)
{
    list_each_safe (n, queue) {
        struct chan_waiter *w = list_entry(n, struct chan_waiter, node);
        if (me && waiter_is_arm(w) && waiter_arm(w)->sel == me->sel)
            continue;
        switch (waiter_claim(w, me)) { /* (I6) */
        case CLAIM_BOTH:
            return w;
        case CLAIM_MINE_GONE:
            *ret_lost = true;
            return NULL;
        case CLAIM_OTHER_GONE:
            list_del(n);
        }
    }
    return NULL;
}

/*
 * The oldest that can be had, claimed, as is `me`, the arm that wants it (NULL: none).  It is to be
 * served at once and woken.  NULL: there is none; *ret_lost: because `me` is decided elsewhere.
 */
static ALWAYS struct chan_waiter *waiter_get(struct list *queue, struct arm *me, bool plain,
                                             bool *ret_lost)
{
    if (list_empty(queue))
        return NULL;
    return plain ? waiter_first(queue) : waiter_search(queue, me, ret_lost);
}

/* Whether who comes first, if anybody, is a fiber that waits for this alone. */
static inline bool queue_is_plain(struct list *queue)
{
    return list_empty(queue) || waiter_first(queue)->fiber;
}

/* Whether `me`, for which nobody at the other end is needed, may do it. */
static inline bool arm_may(struct arm *me)
{
    return !me || claim_take(&me->sel->claim);
}

/*
 * ARM_LATER: the channel is full.  ARM_LOST: `me`, the arm that sends, may not.  Else it is done.
 * `plain`: there is no arm here, nor first in the queue; a constant in each caller, so that what
 * has no arms does not pay for them.
 */
static ALWAYS int chan_try_send(hob_chan *ch, const void *value, struct arm *me, bool plain)
{
    struct chan_waiter *w;
    bool lost = false;

    chan_check(ch);
    if (unlikely(ch->closed))
        return arm_may(me) ? -EPIPE : ARM_LOST;
    w = waiter_get(&ch->recvq, me, plain, &lost);
    if (w) {
        value_copy(ch, w->dst, value);
        waiter_wake(w, 0, plain);
        return 0;
    }
    if (lost)
        return ARM_LOST;
    if (ch->nused == ch->slots)
        return ARM_LATER;
    if (!arm_may(me))
        return ARM_LOST;
    value_copy(ch, ring_at(ch, ch->nused), value);
    ch->nused++;
    return 0;
}

/* The same for the other end: the channel is empty. */
static ALWAYS int chan_try_recv(hob_chan *ch, void *ret_value, struct arm *me, bool plain)
{
    struct chan_waiter *w;
    bool lost = false;

    chan_check(ch);
    if (ch->nused > 0) {
        if (!arm_may(me))
            return ARM_LOST;
        value_copy(ch, ret_value, ring_at(ch, 0));
        if (++ch->head == ch->slots)
            ch->head = 0;
        ch->nused--;
        w = waiter_get(&ch->sendq, NULL, plain, &lost);
        if (w) {
            value_copy(ch, ring_at(ch, ch->nused), w->src);
            ch->nused++;
            waiter_wake(w, 0, plain);
        }
        return 0;
    }
    w = waiter_get(&ch->sendq, me, plain, &lost);
    if (w) { /* a rendezvous: no slots */
        value_copy(ch, ret_value, w->src);
        waiter_wake(w, 0, plain);
        return 0;
    }
    if (lost)
        return ARM_LOST;
    if (!ch->closed)
        return ARM_LATER;
    return arm_may(me) ? -EPIPE : ARM_LOST;
}

/* Of whom an arm, or somebody elsewhere, is at one end or the other. */
static HOB_RARE int chan_try_any(hob_chan *ch, enum chan_way way, void *value, struct arm *me)
{
    return way == CHAN_SEND ? chan_try_send(ch, value, me, false)
                            : chan_try_recv(ch, value, me, false);
}

/* An operation from another loop or from a plain thread. */
struct chan_op {
    struct remote remote; /* first */
    struct chan_waiter waiter;
    hob_chan *ch;
    enum chan_way way;
    bool may_wait;
};

static void op_start(struct remote *r)
{
    struct chan_op *op = container_of(r, struct chan_op, remote);
    hob_chan *ch = op->ch;
    bool send = op->way == CHAN_SEND;
    int rc = chan_try_any(ch, op->way, op->waiter.dst, NULL);

    if (rc != ARM_LATER)
        hob__remote_done(r, rc);
    else if (!op->may_wait)
        hob__remote_done(r, -ETIMEDOUT);
    else
        list_push(send ? &ch->sendq : &ch->recvq, &op->waiter.node);
}

static void op_cancel(struct remote *r)
{
    list_del(&container_of(r, struct chan_op, remote)->waiter.node);
    hob__remote_done(r, -ECANCELED);
}

static __attribute__((noinline)) int chan_elsewhere(hob_chan *ch, enum chan_way way, void *value,
                                                    hob_time until)
{
    struct chan_op op = {.remote.start = op_start,
                         .remote.cancel = op_cancel,
                         .waiter.dst = value,
                         .ch = ch,
                         .way = way,
                         .may_wait = until != 0};
    struct fiber *f = hob__self();
    int r;

    if (!f && hob__pool_on_worker())
        return HOB_MISUSE_OF(way == CHAN_SEND ? "hob_chan_send" : "hob_chan_recv", -EDEADLK,
                             "a job of the pool waits for a channel");
    if (f && (r = hob__check(f)))
        return r;
    op.waiter.remote = &op.remote;
    list_init(&op.waiter.node);
    remote_name(&op.remote, ch->name);
    /* Not to wait is the home loop's to decide: its answer is waited for. */
    return hob__remote_call(&op.remote, ch->home,
                            way == CHAN_SEND ? HOB_WAIT_CHAN_SEND : HOB_WAIT_CHAN_RECV,
                            until ? until : HOB_FOREVER);
}

static ALWAYS int chan_park(hob_chan *ch, struct fiber *f, enum chan_way way, void *value,
                            hob_time until)
{
    if (until == 0)
        return -ETIMEDOUT;
    f->chan.dst = value;
    list_push(way == CHAN_SEND ? &ch->sendq : &ch->recvq, &f->chan.node);
    f->wait_node = &f->chan.node;
    f->on = ch;
    return hob__park(f, way == CHAN_SEND ? HOB_WAIT_CHAN_SEND : HOB_WAIT_CHAN_RECV, until);
}

/* A send or a receive at home that may meet somebody who is no plain waiter. */
static HOB_RARE int chan_any(struct fiber *f, hob_chan *ch, enum chan_way way, void *value,
                             hob_time until)
{
    int r = chan_try_any(ch, way, value, NULL);

    return r != ARM_LATER ? r : chan_park(ch, f, way, value, until);
}

/* With plain waiters only: through the ring, or values of a size of their own. */
static __attribute__((noinline)) int chan_send_plain(struct fiber *f, hob_chan *ch, void *value,
                                                     hob_time until)
{
    int r = chan_try_send(ch, value, NULL, true);

    return r != ARM_LATER ? r : chan_park(ch, f, CHAN_SEND, value, until);
}

static __attribute__((noinline)) int chan_recv_plain(struct fiber *f, hob_chan *ch, void *ret_value,
                                                     hob_time until)
{
    int r = chan_try_recv(ch, ret_value, NULL, true);

    return r != ARM_LATER ? r : chan_park(ch, f, CHAN_RECV, ret_value, until);
}

/* A plain one, on loop l, that was the first in its queue. */
static inline void waiter_served(struct loop *l, struct chan_waiter *w)
{
    list_cut(&w->node);
    fiber_wake(l, w->fiber, 0);
}

/*
 * A rendezvous: the one side finds the other parked and copies, the other parks.  Both are done
 * here without a frame and without a call that returns; all else is jumped to.
 */
int hob_chan_send(hob_chan *ch, const void *src, hob_time until)
{
    void *value = (void *)(uintptr_t)src;
    struct fiber *f = hob__self();
    struct chan_waiter *w;

    if (unlikely(!f || f->loop != ch->home))
        return chan_elsewhere(ch, CHAN_SEND, value, until);
    if (unlikely(f->scope->cancelled))
        return hob__cancel_seen(f); /* hob__check, from which there is no way on */
    if (unlikely(!queue_is_plain(&ch->recvq)))
        return chan_any(f, ch, CHAN_SEND, value, until);
    chan_check(ch);
    if (list_empty(&ch->recvq) && ch->nused == ch->slots && likely(!ch->closed))
        return chan_park(ch, f, CHAN_SEND, value, until);
    if (list_empty(&ch->recvq) || unlikely(!value_is_word(ch)))
        return chan_send_plain(f, ch, value, until);
    w = waiter_first(&ch->recvq); /* so it is open: (I4), and the ring is empty: (I2) */
    value_copy_word(ch, w->dst, value);
    waiter_served(f->loop, w);
    return 0;
}

int hob_chan_recv(hob_chan *ch, hob_time until, void *ret_value)
{
    struct fiber *f = hob__self();
    struct chan_waiter *w;

    if (unlikely(!f || f->loop != ch->home))
        return chan_elsewhere(ch, CHAN_RECV, ret_value, until);
    if (unlikely(f->scope->cancelled))
        return hob__cancel_seen(f); /* hob__check, from which there is no way on */
    if (unlikely(!queue_is_plain(&ch->sendq)))
        return chan_any(f, ch, CHAN_RECV, ret_value, until);
    chan_check(ch);
    if (list_empty(&ch->sendq) && ch->nused == 0 && likely(!ch->closed))
        return chan_park(ch, f, CHAN_RECV, ret_value, until);
    if (list_empty(&ch->sendq) || ch->nused > 0 || unlikely(!value_is_word(ch)))
        return chan_recv_plain(f, ch, ret_value, until);
    w = waiter_first(&ch->sendq); /* (I3): there are no slots */
    value_copy_word(ch, ret_value, w->src);
    waiter_served(f->loop, w);
    return 0;
}

static void queue_close(struct list *queue)
{
    struct chan_waiter *w;
    bool lost;

    while ((w = waiter_get(queue, NULL, false, &lost)))
        waiter_wake(w, -EPIPE, false);
}

static void chan_close_at_home(hob_chan *ch)
{
    ch->closed = true;
    queue_close(&ch->sendq);
    queue_close(&ch->recvq);
}

static void close_start(struct remote *r)
{
    chan_close_at_home(container_of(r, struct chan_op, remote)->ch);
    hob__remote_done(r, 0);
}

void hob_chan_close(hob_chan *ch)
{
    struct fiber *f = hob__self();
    struct chan_op op = {.remote.start = close_start, .remote.cancel = op_cancel, .ch = ch};

    if (f && f->loop == ch->home) {
        chan_close_at_home(ch);
        return;
    }
    /* No cancel comes of it: the message is only waited for, so that the channel is closed when
     * this returns. */
    list_init(&op.waiter.node);
    (void)hob__remote_call(&op.remote, ch->home, HOB_WAIT_REMOTE, HOB_FOREVER);
}

static char *name_copy(const char *name, const void *address)
{
    char *copy = NULL;

    if (name)
        return strdup(name);
    return asprintf(&copy, "channel %p", address) < 0 ? NULL : copy;
}

int hob_chan_new(size_t value_size, const struct hob_chan_opts *opts, hob_chan **ret)
{
    struct fiber *f = hob__self();
    struct hob_chan_opts o;
    hob_chan *ch;
    int r = hob__opts_copy(&o, sizeof o, opts);

    if (r < 0)
        return r;
    if (value_size == 0 || value_size > VALUE_MAX)
        return HOB_MISUSE(-EINVAL, "a channel's value is 1 to 4096 bytes");
    if (!f)
        return hob__off_fiber();
    ch = calloc(1, sizeof *ch + (size_t)o.slots * value_size);
    if (!ch)
        return -ENOMEM;
    ch->home = f->loop;
    ch->slots = o.slots;
    ch->value_size = (uint32_t)value_size;
    list_init(&ch->sendq);
    list_init(&ch->recvq);
    ch->name = name_copy(o.name, ch);
    if (!ch->name) {
        free(ch);
        return -ENOMEM;
    }
    *ret = ch;
    return 0;
}

const char *hob__chan_name(const hob_chan *ch)
{
    return ch->name;
}

void hob_chan_free(hob_chan *ch)
{
    if (!ch)
        return;
    HOB_ASSERT(list_empty(&ch->sendq) && list_empty(&ch->recvq));
    free(ch->name);
    free(ch);
}

/* --- arms of a select ------------------------------------------------------------------------- */

static struct loop *arm_home(const struct hob_arm *pub)
{
    return pub->chan ? pub->chan->home : NULL;
}

static int arm_tried(struct arm *a, int rc)
{
    if (rc == ARM_LATER || rc == ARM_LOST)
        return rc;
    arm_pub(a)->rc = rc;
    return 0;
}

static int arm_send(struct arm *a)
{
    struct hob_arm *pub = arm_pub(a);

    return arm_tried(a, chan_try_any(pub->chan, CHAN_SEND, pub->to, a));
}

static int arm_recv(struct arm *a)
{
    struct hob_arm *pub = arm_pub(a);

    return arm_tried(a, chan_try_any(pub->chan, CHAN_RECV, pub->to, a));
}

static void arm_stand(struct arm *a, struct list *queue)
{
    a->chan.fiber = NULL;
    a->chan.remote = NULL;
    list_push(queue, &a->chan.node);
}

static void arm_wait_send(struct arm *a)
{
    a->chan.src = arm_pub(a)->from;
    arm_stand(a, &arm_pub(a)->chan->sendq);
}

static void arm_wait_recv(struct arm *a)
{
    a->chan.dst = arm_pub(a)->to;
    arm_stand(a, &arm_pub(a)->chan->recvq);
}

static void arm_leave(struct arm *a)
{
    list_del(&a->chan.node);
}

const struct arm_kind hob__arm_send = {
    .home = arm_home, .try = arm_send, .wait = arm_wait_send, .leave = arm_leave};
const struct arm_kind hob__arm_recv = {
    .home = arm_home, .try = arm_recv, .wait = arm_wait_recv, .leave = arm_leave};

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
#include "sched/park.h"
#include "sched/remote.h"

enum { VALUE_MAX = 4096 };

struct hob_chan {
    struct loop *home;
    struct list sendq, recvq;    /* struct chan_waiter, oldest first */
    uint32_t slots, nused, head; /* head: index of the oldest value */
    uint32_t value_size;
    bool closed;
    char *name;
    unsigned char ring[]; /* slots * value_size bytes */
};

/* In the frame of a parked fiber, or in the operation of one elsewhere. */
struct chan_waiter {
    struct list node;
    struct fiber *fiber; /* NULL: remote */
    struct remote *remote;
    union {
        const void *src;
        void *dst;
    };
};

enum chan_way { CHAN_SEND, CHAN_RECV };

static inline void chan_check(const hob_chan *ch)
{
    HOB_DEBUG_ASSERT(ch->nused <= ch->slots);                                            /* (I1) */
    HOB_DEBUG_ASSERT(list_empty(&ch->recvq) || (!ch->nused && list_empty(&ch->sendq)));  /* (I2) */
    HOB_DEBUG_ASSERT(list_empty(&ch->sendq) || ch->nused == ch->slots);                  /* (I3) */
    HOB_DEBUG_ASSERT(!ch->closed || (list_empty(&ch->sendq) && list_empty(&ch->recvq))); /* (I4) */
}

static inline void value_copy(const hob_chan *ch, void *to, const void *from)
{
    if (likely(ch->value_size == sizeof(uint64_t)))
        memcpy(to, from, sizeof(uint64_t)); /* one load, one store */
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

static inline struct chan_waiter *waiter_first(struct list *queue)
{
    return list_entry(queue->next, struct chan_waiter, node);
}

/* Takes it off its queue and ends its wait.  (I5) */
static inline void waiter_wake(struct chan_waiter *w, int rc)
{
    if (likely(w->fiber)) {
        hob__ready(w->fiber, rc);
        return;
    }
    list_del(&w->node);
    hob__remote_done(w->remote, rc);
}

/* -EAGAIN: the channel is full. */
static inline int chan_try_send(hob_chan *ch, const void *value)
{
    chan_check(ch);
    if (unlikely(ch->closed))
        return -EPIPE;
    if (!list_empty(&ch->recvq)) {
        struct chan_waiter *w = waiter_first(&ch->recvq);
        value_copy(ch, w->dst, value);
        waiter_wake(w, 0);
        return 0;
    }
    if (ch->nused == ch->slots)
        return -EAGAIN;
    value_copy(ch, ring_at(ch, ch->nused), value);
    ch->nused++;
    return 0;
}

/* -EAGAIN: the channel is empty. */
static inline int chan_try_recv(hob_chan *ch, void *ret_value)
{
    struct chan_waiter *w = list_empty(&ch->sendq) ? NULL : waiter_first(&ch->sendq);

    chan_check(ch);
    if (ch->nused > 0) {
        value_copy(ch, ret_value, ring_at(ch, 0));
        if (++ch->head == ch->slots)
            ch->head = 0;
        ch->nused--;
        if (w) {
            value_copy(ch, ring_at(ch, ch->nused), w->src);
            ch->nused++;
            waiter_wake(w, 0);
        }
        return 0;
    }
    if (w) { /* a rendezvous: no slots */
        value_copy(ch, ret_value, w->src);
        waiter_wake(w, 0);
        return 0;
    }
    return ch->closed ? -EPIPE : -EAGAIN;
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
    int rc = send ? chan_try_send(ch, op->waiter.src) : chan_try_recv(ch, op->waiter.dst);

    if (rc != -EAGAIN)
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
        return HOB_MISUSE(-EDEADLK, "a job of the pool waits for a channel");
    if (f && (r = hob__check(f)))
        return r;
    op.waiter.remote = &op.remote;
    list_init(&op.waiter.node);
    /* Not to wait is the home loop's to decide: its answer is waited for. */
    return hob__remote_call(&op.remote, ch->home, HOB_WAIT_REMOTE, until ? until : HOB_FOREVER);
}

static int chan_park(struct fiber *f, struct list *queue, struct chan_waiter *w, enum hob_wait why,
                     hob_time until)
{
    if (until == 0)
        return -ETIMEDOUT;
    w->fiber = f;
    list_push(queue, &w->node);
    f->wait_node = &w->node;
    return hob__park(f, why, until);
}

int hob_chan_send(hob_chan *ch, const void *value, hob_time until)
{
    struct fiber *f = hob__self();
    struct chan_waiter w;
    int r;

    if (unlikely(!f || f->loop != ch->home))
        return chan_elsewhere(ch, CHAN_SEND, (void *)(uintptr_t)value, until);
    if (unlikely((r = hob__check(f))))
        return r;
    r = chan_try_send(ch, value);
    if (r != -EAGAIN)
        return r;
    w.src = value;
    return chan_park(f, &ch->sendq, &w, HOB_WAIT_CHAN_SEND, until);
}

int hob_chan_recv(hob_chan *ch, hob_time until, void *ret_value)
{
    struct fiber *f = hob__self();
    struct chan_waiter w;
    int r;

    if (unlikely(!f || f->loop != ch->home))
        return chan_elsewhere(ch, CHAN_RECV, ret_value, until);
    if (unlikely((r = hob__check(f))))
        return r;
    r = chan_try_recv(ch, ret_value);
    if (r != -EAGAIN)
        return r;
    w.dst = ret_value;
    return chan_park(f, &ch->recvq, &w, HOB_WAIT_CHAN_RECV, until);
}

static void chan_close_at_home(hob_chan *ch)
{
    ch->closed = true;
    while (!list_empty(&ch->sendq))
        waiter_wake(waiter_first(&ch->sendq), -EPIPE);
    while (!list_empty(&ch->recvq))
        waiter_wake(waiter_first(&ch->recvq), -EPIPE);
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
        return -EPERM;
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

void hob_chan_free(hob_chan *ch)
{
    if (!ch)
        return;
    HOB_ASSERT(list_empty(&ch->sendq) && list_empty(&ch->recvq));
    free(ch->name);
    free(ch);
}

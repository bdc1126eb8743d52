/* SPDX-License-Identifier: MIT
 *
 * gate.h - what mutex, semaphore, event and their like have in common: a condition and who waits
 *
 * WHAT        A gate has a home loop and a queue of waiters, oldest first.  To pass is to make
 *             `try` succeed; who cannot stands in the queue until somebody at home, who has
 *             changed what `try` looks at, calls hob__gate_admit.
 *
 * INVARIANTS  (I1) `try` is told whether somebody waits before; where it is first come, first
 *                  served, so that a request for much is not starved, a newcomer then waits too
 *             (I2) a waiter that was admitted is on no queue: who was cancelled has passed nothing,
 *                  who has passed was not cancelled
 *             (I3) no waiter whose `try` would succeed stands first in the queue while the loop
 *                  polls: whoever changes the condition or leaves the queue admits the next
 *
 * THREADS     Everything happens on the home loop, without a lock or an atomic.  From elsewhere it
 *             is a message to it (sched/remote.h), and waits in the same queue.
 */
#ifndef HOB_SYNC_GATE_H
#define HOB_SYNC_GATE_H

#include "base/list.h"
#include "sched/park.h"
#include "sched/remote.h"

struct gate {
    struct loop *home; /* NULL: was never made */
    struct list queue; /* struct pass */
    const char *name;
};

/* One attempt to pass, in the frame of who makes it. */
struct pass {
    struct list node;
    struct fiber *fiber; /* NULL: from elsewhere */
    struct remote remote;
    struct gate *gate;
    /* At home.  -EAGAIN: not now; else it has passed, with this as the result.  First: nobody
     * stands before it. */
    int (*try)(struct pass *p, bool first);
    /* At home, from elsewhere only, once it stands in the queue; or NULL. */
    void (*queued)(struct pass *p);
    bool may_wait, shielded;
};

/* 0; -EPERM: not on a fiber. */
int hob__gate_init(struct gate *g, const char *name);

/*
 * Passes, or waits for it until `until`.  From a fiber or a plain thread.  p->try, p->queued and
 * p->shielded are the caller's, all else is set here.  Returns what `try` did; -ETIMEDOUT,
 * -ECANCELED, -EDEADLK (from a pool job).  Shielded: no cancel is seen, and it has no time.
 */
int hob__gate_pass(struct gate *g, struct pass *p, enum hob_wait why, hob_time until);

/* At home: stands in the queue at once, at its end or first, and parks; no `try` before. */
int hob__gate_park(struct gate *g, struct pass *p, enum hob_wait why, hob_time until, bool first);

/* At home: lets pass who now can.  (I3) */
void hob__gate_admit(struct gate *g);

/* At home: ends the wait of one that stands in the queue.  (I2) */
void hob__gate_wake(struct pass *p, int rc);

static inline bool gate_is_home(const struct gate *g)
{
    struct loop *l = hob__loop;

    return likely(l && l == g->home && l->current);
}

static inline struct pass *gate_first(struct gate *g)
{
    return list_empty(&g->queue) ? NULL : list_entry(g->queue.next, struct pass, node);
}

/* A change made at home, for which somebody elsewhere waits; no cancel stops it. */
struct change {
    struct remote remote; /* first */
    void *object;
    int64_t n;
    uint64_t who; /* hold.h */
};

/*
 * Runs `start` at g's home and returns what it gives hob__remote_done.  For callers elsewhere: it
 * parks, or blocks the thread, until home has answered, whatever is cancelled.  `call`: the public
 * one, by name.
 */
int hob__gate_change(struct gate *g, struct change *c, void (*start)(struct remote *r),
                     const char *call);

#endif

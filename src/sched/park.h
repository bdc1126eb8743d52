/* SPDX-License-Identifier: MIT
 *
 * park.h - how everything that waits parks and is woken
 *
 * WHAT        A primitive (channel, timer, group, socket) puts the fiber's wait_node on a queue of
 *             its own, if it has one, and parks it with a reason.  Whoever ends the wait calls
 *             hob__ready with the result; a cancel or the end of the time does so too.
 *
 * INVARIANTS  (I1) a parked fiber is woken exactly once: hob__ready takes it off its queue and
 *                  stops its timer before anything else can find it there.  So result and cancel
 *                  never meet, and no token is needed: all of it happens on one loop.
 *             (I2) a call that parks checks for a cancel on entry, even if it would not wait
 *             (I3) with PARK_HOOK the fiber's frame holds an operation that somebody else is
 *                  working on: it wakes only when that has ended
 */
#ifndef HOB_SCHED_PARK_H
#define HOB_SCHED_PARK_H

#include <errno.h>

#include "sched/loop.h"
#include "trace/wait.h"

/* Slow path of hob__check: notes that the cancel was seen.  Returns -ECANCELED. */
int hob__cancel_seen(struct fiber *f);

/* (I2): 0, or -ECANCELED while the fiber's scope is cancelled. */
static inline int hob__check(struct fiber *f)
{
    return unlikely(f->scope->cancelled) ? hob__cancel_seen(f) : 0;
}

/*
 * What a dump says it waits for.  Whoever parks with one of these reasons has set before
 *
 *     f->on      CHAN_SEND, CHAN_RECV: the channel; MUTEX, RWLOCK, COND, SEM, EVENT, ONCE: the
 *                struct gate; GROUP_FULL, GROUP_NEXT: the struct group; SELECT: the struct select
 *                or NULL, and f->abort_arg a struct remote: what it waits for is elsewhere
 *     f->on_fd   any reason: the descriptor; it is -1 again when the park has returned
 */

/* Parks the running fiber.  Returns what hob__ready was given; -ETIMEDOUT, -ECANCELED. */
int hob__park(struct fiber *f, enum hob_wait why, hob_time until);

/* The same for a wait that no cancel ends and that stands in no queue: PARK_SHIELD. */
void hob__park_shielded(struct fiber *f, enum hob_wait why);

/* That of a join of `g`: what the fiber started since it began to run goes ahead of others
 * (ahead.h).  It returns when the last child has ended, or before; g->joining was set. */
void hob__park_join(struct fiber *f, struct group *g);

/*
 * The same for an operation in flight: on a cancel or at `until`, abort(f) asks for its end, with
 * f->abort_rc set; the fiber parks on until hob__ready.
 */
int hob__park_hook(struct fiber *f, enum hob_wait why, hob_time until,
                   void (*abort)(struct fiber *f));

/* On the fiber's loop, while it is parked: it will run with `rc` as the result of its park. */
void hob__ready(struct fiber *f, int rc);

/* Whether somebody wants to know that it is ready. */
static inline bool fiber_is_watched(const struct loop *l, const struct fiber *f)
{
#ifdef HOB_UNTRACED /* bench/: what the question alone costs */
    return false;
#else
    return f->trace.stamp != l->stamp;
#endif
}

/* With a timer to stop, or accounted. */
void hob__ready_slow(struct loop *l, struct fiber *f);

/* hob__ready of one that stands in no queue any more. */
static inline void fiber_wake(struct loop *l, struct fiber *f, int rc)
{
    HOB_DEBUG_ASSERT(l == hob__loop && f->run.state == RUN_PARKED);
    f->wake_rc = rc;
    f->wait_node = NULL;
    if (unlikely(f->timer.set || fiber_is_watched(l, f))) {
        hob__ready_slow(l, f);
        return;
    }
    f->run.state = RUN_READY;
    runq_push(&l->ready, &f->run);
}

/* A cancel or a time-out reaches a fiber, whatever its state. */
void hob__interrupt(struct fiber *f, int rc);

/* Accounts the running fiber's time to a stage from now on; NULL: to none. */
void hob__fiber_stage(struct fiber *f, struct trace_stage *stage);

/* What it is called in traces: by itself, or by its group; never NULL. */
const char *hob__fiber_name(const struct fiber *f);

/*
 * Called at every suspension point, on the fiber that is about to leave, from now on: at once on
 * the calling loop, on another one at the latest from its next turn on.  NULL: no longer.  While
 * nobody watches it costs nothing, as a loop that tells each switch (fold.h) does not.
 */
void hob__leave_watch(void (*hook)(void));
extern void (*_Atomic hob__leave_hook)(void);

static inline bool leave_watched(void)
{
    return unlikely(atomic_load_explicit(&hob__leave_hook, memory_order_relaxed) != NULL);
}

/* Called whenever a call that parks is refused, or its wait ended, by a cancel.  NULL: nobody. */
extern void (*_Atomic hob__refused_hook)(const struct fiber *f);

#endif

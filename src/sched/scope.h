/* SPDX-License-Identifier: MIT
 *
 * scope.h - what cancels together: the machinery under groups
 */
#ifndef HOB_SCHED_SCOPE_H
#define HOB_SCHED_SCOPE_H

#include "sched/loop.h"

/*
 * opener NULL: the root of loop `home`.  Touches only *g and the opener's scope chain.  Shielded:
 * cancels from outside do not reach it.
 */
void hob__group_init(struct group *g, struct loop *home, struct fiber *opener, bool shielded);

/* Out of the opener's scope chain; every child has ended. */
void hob__group_fini(struct group *g);

/* On the home loop.  The first cause wins; returns whether it was this one. */
bool hob__group_stop(struct group *g, enum group_cause kind, int cause);

/* A child ended, on the home loop: gives its place to the next, wakes the joiner after the last. */
void hob__group_child_ended(struct group *g, int rc);

/* A place was taken for a child that never came to be. */
void hob__group_place_back(struct group *g);

/* A message to another loop, or from one, that the join waits for is through. */
void hob__group_ack(struct group *g);

/* Parks the opener until nothing of the group is alive or under way. */
void hob__group_await(struct group *g);

/* Somebody inside was told -ECANCELED: it is now a cause, of every cancelled scope around too. */
void hob__scope_seen(struct scope *s);

/* What a join returns, once nothing is alive. */
int hob__group_result(const struct group *g);

/* The scope a fiber started on `l` belongs to. */
static inline struct scope *group_scope_on(struct group *g, struct loop *l)
{
    return likely(g->home == l) ? &g->scope : &g->parts[l->index].scope;
}

/* Whether a task of this group that has not started shall never start. */
static inline bool group_stopped_on(struct group *g, struct loop *l)
{
    if (likely(g->home == l))
        return g->scope.cancelled;
    return g->parts[l->index].scope.cancelled ||
           atomic_load_explicit(&g->stop, memory_order_acquire);
}

#endif

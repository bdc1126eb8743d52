/* SPDX-License-Identifier: MIT
 *
 * scope.h - what cancels together: the machinery under groups
 */
#ifndef HOB_SCHED_SCOPE_H
#define HOB_SCHED_SCOPE_H

#include <string.h>

#include "sched/park.h"

/* On the home loop.  The first cause wins; returns whether it was this one. */
bool hob__group_stop(struct group *g, enum group_cause kind, int cause);

/* A child's end that is more than a number: an error, or an unusual group's.  ends.c. */
void hob__group_child_told(struct group *g, struct task *t, int rc);

/* The last one alive ended and nobody is parked in the join. */
void hob__group_emptied(struct group *g);

/* Out of its opener's chain although it is not the innermost one. */
void hob__group_unchain(struct group *g);

/* The group's time is over. */
void hob__group_deadline(struct timer *t);

/* A place was taken for a child that never came to be. */
void hob__group_place_back(struct group *g);

/* A message to another loop, or from one, that the join waits for is through. */
void hob__group_ack(struct group *g);

/* Somebody inside was told -ECANCELED: it is now a cause, of every cancelled scope around too. */
void hob__scope_seen(struct scope *s);

/* What a join returns, once nothing is alive. */
int hob__group_result(const struct group *g);

/* Its shield, with no parent until then, lets a cancel from outside in after `ns`. */
void hob__group_shield(struct group *g, hob_dur ns);

/* A cancel from outside has come to a shielded group. */
void hob__shield_reached(struct group *g);

/* What is unusual about a group that ends: its shield's timer and the ends nobody took. */
void hob__group_fini_rare(struct group *g);

/* The earliest deadline of a scope of loop `l` and those around it; HOB_FOREVER: none. */
hob_time hob__scope_until(const struct scope *s, const struct loop *l);

/*
 * fn of a task whose end is wanted in the opener's frame: t->ask says where, and what to run.  Who
 * refuses such a task writes there why.
 */
int hob__task_reply(void *arg);

/* What was asked to be run, until it ended. */
static inline hob_fn task_fn(const struct task *t)
{
    return unlikely(t->fn == hob__task_reply) ? t->ask.fn : t->fn;
}

/* Debug: a fiber that was told of its group's cancel ends with rc. */
void hob__cancel_swallowed(struct fiber *f, int rc);

/* Calls what was deferred, the newest first, behind a shield.  Returns rc, or if that is not
 * negative the first negative of theirs. */
int hob__deferred_run(struct fiber *f, struct runnable **deferred, int rc);

/* The same of a fiber whose function has returned; and what becomes of its locks (hold.h). */
int hob__fiber_deferred(struct fiber *f, int rc);

static inline void scope_init(struct scope *s, struct group *g, struct scope *parent)
{
    s->parent = parent;
    s->group = g;
    list_init(&s->members);
    s->cancelled = parent && parent->cancelled; /* (I1) */
}

/*
 * opener NULL: the root of loop `home`.  Touches only *g and the opener's chain.  Shielded:
 * cancels from outside do not reach it.  What most groups never use is set when it is used: the
 * deadline's function, the message of a cancel, and what enum group_flag speaks of.
 */
static inline void group_init(struct group *g, struct loop *home, struct fiber *opener,
                              bool shielded)
{
    struct scope *outer = opener ? opener->scope : NULL;

    scope_init(&g->scope, g, shielded ? NULL : outer);
    if (opener)
        opener->scope = &g->scope;
    __atomic_store_n(&g->home, home, __ATOMIC_RELAXED);
    g->opener = opener;
    g->outer = outer;
    g->max_live = UINT32_MAX;
    memset(&g->n_live, 0,
           offsetof(struct group, name) + sizeof g->name - offsetof(struct group, n_live));
    g->deadline.set = false;
    door_open(&g->door, ++home->n_groups);
    if (unlikely(g->scope.cancelled)) {
        g->cause_kind = CAUSE_OUTSIDE;
        atomic_init(&g->stop, true);
    }
}

/* Out of the opener's chain; every child has ended. */
static inline void group_fini(struct group *g)
{
    struct fiber *opener = g->opener;

    HOB_ASSERT((g->n_live | g->n_acks) == 0 && list_empty(&g->scope.members)); /* (I5) */
    timer_stop(&g->home->timers, &g->deadline);
    if (unlikely(g->flags & GROUP_RARE))
        hob__group_fini_rare(g);
    if (likely(opener && opener->scope == &g->scope))
        opener->scope = g->outer;
    else
        hob__group_unchain(g);
}

/* A child ended, on the home loop, which has its task back.  True: the opener, parked in its join,
 * shall be woken. */
static inline bool group_child_ended(struct group *g, struct task *t, int rc)
{
    if (unlikely(rc < 0 || (g->flags & GROUP_TOLD))) {
        hob__group_child_told(g, t, rc);
    } else {
        task_free(g->home, t);
        g->n_live--;
    }
    if (likely(g->n_live != 0))
        return false;
    if (likely(g->joining && g->n_acks == 0)) {
        g->joining = false;
        return true;
    }
    hob__group_emptied(g);
    return false;
}

/* Parks the opener until nothing of the group is alive or under way. */
static inline void group_await(struct group *g, struct fiber *opener)
{
    /* Again: a cancel from outside may have sent messages between the wake and this. */
    while (g->n_live | g->n_acks) {
        g->joining = true;
        hob__park_join(opener, g);
    }
}

/* The scope a fiber started on `l`, not the group's home, belongs to. */
static inline struct scope *group_scope_away(struct group *g, struct loop *l)
{
    return &g->parts[l->index].scope;
}

/* Whether a task of this group that has not started shall never start. */
static inline bool group_stopped_on(struct group *g, struct loop *l)
{
    if (likely(g->home == l))
        return g->scope.cancelled;
    return group_scope_away(g, l)->cancelled ||
           atomic_load_explicit(&g->stop, memory_order_acquire);
}

#endif

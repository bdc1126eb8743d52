/* SPDX-License-Identifier: MIT
 *
 * scope.c - scopes: what cancels together
 *
 * WHAT        Every fiber has an innermost scope; scopes form a tree.  Cancelling one cancels all
 *             below it, and every fiber in one of those is woken, or told at its next parking
 *             call: a level, not an event.
 *
 * HOW         root -- main fiber opens A -- member of A opens B -- members of B
 *
 *   The tree is not written down: a scope has a list of its members, and each fiber a chain of the
 *   scopes it has opened, from the innermost (f->scope, then ->group->outer) out to the one it is a
 *   member of.  What is inside a scope is what its opener opened after it, what its members opened,
 *   and so on.  Opening and joining a group is a step in and out of one chain.
 *
 *   A fiber's check is one load: f->scope->cancelled.  The level is copied down when a scope is
 *   cancelled, not looked up at every check.  A spread group has a scope on each loop; the one at
 *   home is in the tree, the others hang on the group and are cancelled by a message.
 *
 * INVARIANTS  (I1) a cancelled scope's children are cancelled
 *             (I2) a group has at most one cause, the first
 *             (I5) the group's memory is touched by no loop after n_live and n_acks are 0
 *             (I6) what members on another loop saw is known at home before the join: whoever saw
 *                  it is a task of the group there, or inside one, and comes home after it
 *             (I7) a shield's time begins when the first cancel from outside comes to it, or when
 *                  it is opened in a cancelled scope; at its end the group is cancelled from
 *                  outside
 *
 * (I3) and (I4) are ends.c's.  (I2), (I5) and (I6) are checked in every interleaving of loops and
 * threads: tests/model/explore_group.c.
 *
 * A shielded group's scope has no parent: a cancel stops before it, and fibers inside it are not
 * interrupted although they are members of a cancelled scope further out.  When its time is up it
 * gets its parent back, and is as if it had never been shielded.  Of shields inside each other each
 * takes its time in turn, from the outside in: at every moment one bounded wait is running.
 *
 * REJECTED    Recursion down the tree: its depth is the program's, the stack is a fiber's.
 *             A shield's time from its opening: a cleanup that had begun well before the cancel
 *             would get none, and one that nobody cancels needs no limit.
 */
#include "sched/scope.h"

#include <errno.h>

#include "sched/park.h"

void hob__group_deadline(struct timer *t)
{
    hob__group_stop(container_of(t, struct group, deadline), CAUSE_DEADLINE, -ETIMEDOUT);
}

static void shield_ended(struct timer *t)
{
    struct group *g = container_of(t, struct group, shield);

    g->scope.parent = g->outer;
    hob__group_stop(g, CAUSE_OUTSIDE, -ECANCELED);
}

void hob__shield_reached(struct group *g)
{
    if ((g->flags & GROUP_SHIELD) && !g->shield.set && !g->scope.cancelled)
        hob__timer_set(&g->home->timers, &g->shield, hob_in(g->shield_ns));
}

void hob__group_shield(struct group *g, hob_dur ns)
{
    g->flags |= GROUP_SHIELD;
    g->shield_ns = ns;
    g->shield.set = false;
    g->shield.fire = shield_ended;
    if (g->outer->cancelled)
        hob__shield_reached(g); /* (I7) */
}

hob_time hob__scope_until(const struct scope *s, const struct loop *l)
{
    /* Of a group with another home only what never changes may be read here. */
    for (; s; s = s->group->outer)
        if (s->group->home != l || (s->group->flags & GROUP_UNTIL))
            return s->group->until;
    return HOB_FOREVER;
}

/* Groups that the opener opened later and has not joined yet move up one. */
void hob__group_unchain(struct group *g)
{
    struct scope *s;

    if (!g->opener)
        return; /* the root */
    for (s = g->opener->scope; s->group->outer != &g->scope; s = s->group->outer)
        continue;
    s->group->outer = g->outer;
    if (s->parent)
        s->parent = g->outer;
}

static void scope_wake(struct scope *s)
{
    list_each_safe (n, &s->members)
        hob__interrupt(list_entry(n, struct fiber, member), -ECANCELED);
    if (s->group->opener && &s->group->scope == s)
        hob__interrupt(s->group->opener, -ECANCELED);
}

/* Appends to the work list, and cancels, what fiber f opened inside s and no shield covers. */
static struct scope **chain_cancel(const struct fiber *f, const struct scope *s,
                                   struct scope **tail)
{
    struct scope *x, *inner = f->scope;
    struct group *shield = NULL;

    for (x = inner; x != s; x = x->group->outer)
        if (!x->parent) {
            shield = x->group;
            inner = shield->outer;
        }
    if (shield)
        hob__shield_reached(shield); /* (I7) */
    for (x = inner; x != s; x = x->group->outer) {
        if (x->cancelled)
            continue;
        x->cancelled = true; /* (I1) */
        *tail = x;
        tail = &x->next_cancel;
        *tail = NULL;
        hob__group_stop(x->group, CAUSE_OUTSIDE, -ECANCELED);
    }
    return tail;
}

/*
 * Cancels a scope and all below it on this loop.  First every level is set, then everybody is
 * woken: who is woken finds its whole chain of scopes cancelled.
 */
static void scope_cancel(struct scope *s)
{
    struct scope **tail = &s->next_cancel;

    if (s->cancelled)
        return;
    s->cancelled = true;
    s->next_cancel = NULL;
    if (s->group->opener && &s->group->scope == s)
        tail = chain_cancel(s->group->opener, s, tail);
    for (struct scope *x = s; x; x = x->next_cancel)
        list_each (n, &x->members)
            tail = chain_cancel(list_entry(n, struct fiber, member), x, tail);
    for (struct scope *x = s; x; x = x->next_cancel)
        scope_wake(x);
}

static void part_cancel_back(struct msg *m)
{
    struct group_part *p = container_of(m, struct group_part, cancel);
    hob__group_ack(p->scope.group);
}

static void part_cancel(struct msg *m)
{
    struct group_part *p = container_of(m, struct group_part, cancel);

    scope_cancel(&p->scope);
    m->run = part_cancel_back;
    hob__loop_post(p->scope.group->home, m);
}

static void parts_cancel(struct group *g)
{
    if (!g->parts)
        return;
    for (unsigned i = 0; i < hob_loops(); i++) {
        struct group_part *p = &g->parts[i];
        if (p->loop == g->home || p->sent)
            continue;
        p->sent = true;
        p->cancel.run = part_cancel;
        g->n_acks++;
        hob__loop_post(p->loop, &p->cancel);
    }
}

bool hob__group_stop(struct group *g, enum group_cause kind, int cause)
{
    if (g->cause_kind != CAUSE_NONE)
        return false; /* (I2) */
    g->cause_kind = (uint8_t)kind;
    g->cause = cause;
    atomic_store_explicit(&g->stop, true, memory_order_release);
    timer_stop(&g->home->timers, &g->deadline);
    scope_cancel(&g->scope);
    parts_cancel(g);
    return true;
}

void hob__scope_seen(struct scope *s)
{
    for (; s && s->cancelled; s = s->parent) {
        if (s == &s->group->scope)
            s->group->seen = true;
        else /* home is another loop: it learns it when a task comes home (I6) */
            container_of(s, struct group_part, scope)->seen = true;
    }
}

#ifndef NDEBUG
/* Whether a cancel that reached the fiber came to the scope it is a member of, not only to one of
 * its own: it cannot make it good itself. */
static inline HOB_UNUSED bool cancel_is_its_groups(const struct fiber *f)
{
    const struct scope *s = f->scope;

    while (s && s->cancelled && s != f->own_scope)
        s = s->parent;
    return s && s->cancelled;
}
#endif

void (*_Atomic hob__refused_hook)(const struct fiber *f);

int hob__cancel_seen(struct fiber *f)
{
    void (*hook)(const struct fiber *f) =
        atomic_load_explicit(&hob__refused_hook, memory_order_relaxed);

    if (unlikely(hook != NULL))
        hook(f);
    hob__scope_seen(f->scope);
#ifndef NDEBUG
    f->told |= cancel_is_its_groups(f);
#endif
    return -ECANCELED;
}

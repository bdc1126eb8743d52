/* SPDX-License-Identifier: MIT
 *
 * go.c - hob_go: a child of a group, from any loop, at once or when there is a place
 *
 * HOW         The usual way is group_go's last lines; whatever is unusual goes by
 *             group_go_any, which looks at one thing after the other.
 *
 *   A full group that fills itself: each place is held by a member, and none of them will end
 *   before it gets another place.  A member holds on so when it stands in `full` itself, or is
 *   parked in the join of a group of its own whose only living child does.  Who comes last closes
 *   the circle, and is told -EDEADLK instead of being parked.
 *
 * INVARIANTS  (I1) fn never runs inside these calls
 *             (I2) who is told that a start failed: fn will not run; else it runs, unless the group
 *                  is cancelled first or there is no memory for its stack
 *             (I3) who waits in `full` and is inside the group is counted in n_inside until it has
 *                  left the queue, or longer: fewer than n_live - 1 means no circle
 *             (I4) no fiber is marked `counted` between two calls
 *
 * A circle that is reported is one; not every one is found.  It is looked for when somebody is
 * about to wait, not when a member comes to the join after its child has come to wait.  A wait that
 * a deadline inside the group will end is part of none, nor is one whose siblings still run: they
 * may end it by an error.  Of a member on another loop only its own wait is seen: how its groups
 * are getting on is not for this loop to read.
 */
#include "sync/group.h"

#include <errno.h>

#include "base/assert.h"
#include "sched/life.h"
#include "sched/remote.h"

static int start_failed(struct group *g)
{
    int r = g->scope.cancelled ? -ECANCELED : -ENOMEM;

    if (g->scope.cancelled)
        hob__scope_seen(&g->scope);
    hob__group_place_back(g);
    return r;
}

/* What a child shall be. */
struct go {
    hob_fn fn;
    void *arg;
    int *ret; /* or NULL */
    const void *site;
};

/* On the home loop, with a place taken. */
static int group_start(struct group *g, const struct go *go)
{
    struct loop *l = g->home;
    hob_fn fn = go->ret ? hob__task_reply : go->fn;
    struct task *t;

    if (g->scope.cancelled || !(t = task_new(l, fn, go->arg, g, go->site)))
        return start_failed(g);
    if (go->ret)
        t->ask = (struct task_reply){.to = go->ret, .fn = go->fn};
    if (g->spread)
        hob__spread_push(l, t);
    else
        runq_push(&l->ready, &t->run);
    return 0;
}

/*
 * The member of g that the parked fiber f is or is inside of; NULL: none, or a deadline in between
 * will end the wait, or it is not for this loop to say.  Stuck: only one whose place will not be
 * free before f goes on.
 */
static struct fiber *place_holder(const struct group *g, struct fiber *f, bool stuck)
{
    const struct scope *s = f->scope;

    if (f->loop != g->home)
        return s == f->own_scope && s->group == g ? f : NULL;
    while (s != f->own_scope || s->group != g) {
        const struct group *h = s->group;
        if (h->home != g->home || !h->opener || h->deadline.set)
            return NULL;
        if (s == f->own_scope) {
            if (stuck && !(h->joining && h->n_live == 1))
                return NULL;
            f = h->opener;
        }
        s = h->outer;
    }
    return f;
}

/* Counts, or clears the marks of, the members that wait in `full` for what they hold themselves. */
static uint32_t full_walk(struct group *g, bool mark)
{
    uint32_t n = 0;

    list_each (node, &g->full) {
        struct fiber *f = list_entry(node, struct group_waiter, node)->fiber;
        if ((f = place_holder(g, f, true)) && f->counted != mark) {
            f->counted = mark;
            n++;
        }
    }
    return n;
}

/* Whether fiber f, which is about to wait, makes it all places that are held by who waits. */
static bool group_fills_itself(struct group *g, struct fiber *f)
{
    struct fiber *holder;
    uint32_t n;

    if (g->n_inside + 1 < g->n_live) /* the usual answer, without a walk */
        return false;
    if (!(holder = place_holder(g, f, true)))
        return false;
    holder->counted = true;
    n = 1 + full_walk(g, true);
    full_walk(g, false);
    holder->counted = false;
    return n == g->n_live;
}

/* Into the queue; -EDEADLK: it would wait for itself.  *ret_inside: it is inside a member. */
static int place_queue(struct group *g, struct group_waiter *w, bool *ret_inside)
{
    bool inside;

    if (!(g->flags & GROUP_FULL)) {
        g->flags |= GROUP_FULL;
        g->n_inside = 0;
        list_init(&g->full);
    }
    inside = place_holder(g, w->fiber, false) != NULL;
    if (inside && group_fills_itself(g, w->fiber))
        return -EDEADLK;
    g->n_inside += inside; /* (I3) */
    list_push(&g->full, &w->node);
    *ret_inside = inside;
    return 0;
}

static void place_granted(struct group_waiter *w)
{
    hob__ready(w->fiber, 0);
}

static int place_wait(struct group *g, struct fiber *f)
{
    struct group_waiter w = {.granted = place_granted, .fiber = f};
    bool inside;
    int r = place_queue(g, &w, &inside);

    if (r < 0)
        return r;
    f->wait_node = &w.node;
    f->on = g;
    r = hob__park(f, HOB_WAIT_GROUP_FULL, HOB_FOREVER);
    if (inside) /* so the group is still there */
        g->n_inside--;
    return r;
}

/* A hob_go that came from another loop. */
struct remote_go {
    struct remote remote; /* first */
    struct group_waiter waiter;
    struct group *group;
    struct go go;
    bool park;
    bool inside; /* it waits, and holds a place itself */
};

static void remote_granted(struct group_waiter *w)
{
    struct remote_go *rg = container_of(w, struct remote_go, waiter);

    if (rg->inside)
        rg->group->n_inside--;
    hob__remote_done(&rg->remote, group_start(rg->group, &rg->go));
}

static void remote_go_start(struct remote *r)
{
    struct remote_go *rg = container_of(r, struct remote_go, remote);
    struct group *g = rg->group;
    int rc;

    if (g->scope.cancelled) {
        hob__scope_seen(&g->scope);
        hob__remote_done(r, -ECANCELED);
    } else if (g->n_live < g->max_live) {
        g->n_live++;
        remote_granted(&rg->waiter);
    } else if (!rg->park) {
        hob__remote_done(r, -EAGAIN);
    } else {
        rg->waiter.granted = remote_granted;
        rg->waiter.fiber = r->fiber;
        if ((rc = place_queue(g, &rg->waiter, &rg->inside)) < 0)
            hob__remote_done(r, rc);
    }
}

static void remote_go_cancel(struct remote *r)
{
    struct remote_go *rg = container_of(r, struct remote_go, remote);

    list_del(&rg->waiter.node);
    if (rg->inside)
        rg->group->n_inside--;
    hob__remote_done(r, -ECANCELED);
}

static int go_remote(struct group *g, const struct go *go, bool park)
{
    struct remote_go rg = {.remote.start = remote_go_start,
                           .remote.cancel = remote_go_cancel,
                           .group = g,
                           .go = *go,
                           .park = park};

    list_init(&rg.waiter.node);
    return hob__remote_call(&rg.remote, g->home, HOB_WAIT_REMOTE, HOB_FOREVER);
}

/* Whatever is unusual about it; in this order. */
static int group_go_any(struct group *g, const struct go *go, bool park)
{
    struct fiber *f = hob__self();
    int r;

    if (!f)
        return hob__off_fiber();
    if (!g->home || !go->fn)
        return HOB_MISUSE_OF("hob_go", -EINVAL, "a group that is not open, or without a function");
    if ((r = hob__check(f)))
        return r;
    if (g->home != f->loop)
        return go_remote(g, go, park);
    if (g->n_live < g->max_live)
        g->n_live++;
    else if (!park)
        return -EAGAIN;
    else if ((r = place_wait(g, f)) < 0)
        return r;
    return group_start(g, go);
}

/* The same from the usual way, which then needs no frame for it. */
static HOB_RARE int group_go_slow(struct group *g, hob_fn fn, void *arg, bool park,
                                  const void *site)
{
    return group_go_any(g, &(struct go){.fn = fn, .arg = arg, .site = site}, park);
}

/* The usual case is told by one look at each thing, and calls nothing. */
static inline int group_go(struct group *g, hob_fn fn, void *arg, bool park, const void *site)
{
    struct loop *l = hob__loop;

    if (unlikely(!l || g->home != l || !l->current || !fn || l->current->scope->cancelled ||
                 g->scope.cancelled || g->n_live >= g->max_live || g->spread || !l->free_tasks))
        return group_go_slow(g, fn, arg, park, site);
    g->n_live++;
    if (!l->fresh)
        l->fresh = l->ready.tail;
    runq_push(&l->ready, &task_new(l, fn, arg, g, site)->run);
    return 0;
}

int hob_go(hob_group *g, hob_fn fn, void *arg)
{
    return group_go(group_of(g), fn, arg, true, __builtin_return_address(0));
}

int hob_try_go(hob_group *g, hob_fn fn, void *arg)
{
    return group_go(group_of(g), fn, arg, false, __builtin_return_address(0));
}

int hob_go_ret(hob_group *storage, hob_fn fn, void *arg, int *ret)
{
    struct group *g = group_of(storage);
    struct go go = {.fn = fn, .arg = arg, .ret = ret, .site = __builtin_return_address(0)};
    struct fiber *f = hob__self();

    if (!ret)
        return HOB_MISUSE(-EINVAL, "hob_go_ret without a place for what the child returns");
    if (f && g->home && g->opener != f && (char *)ret >= (char *)f->stack &&
        (char *)ret < (char *)f)
        return HOB_MISUSE(-EINVAL, "the result would lie on a stack that ends before the group");
    return group_go_any(g, &go, true);
}

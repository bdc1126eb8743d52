/* SPDX-License-Identifier: MIT
 *
 * group.c - groups as the user sees them: open, go, join, cancel
 *
 * WHAT        The machinery (who is cancelled with whom, who waits for a place, what a join
 *             returns) is sched/scope.c's, because a fiber's end needs it.  Here are the calls,
 *             from the home loop, from other loops, and from other threads.
 *
 * INVARIANTS  (I1) the group's memory is the opener's frame: after the join has returned no
 *                  message, timer or fiber knows it
 *             (I2) a cancel from another thread is one message embedded in the group: the first
 *                  sends it, later ones find it sent; the join closes the door (sched/door.h)
 *                  before it returns
 *
 * The usual way through open, go and join is what a spawn costs.  It has no locked instruction,
 * sets only what most groups use (group_init), and leaves everything else to calls that are rare.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <hob/group.h>

#include "base/assert.h"
#include "base/opts.h"
#include "sched/park.h"
#include "sched/remote.h"
#include "sched/rt.h"
#include "sched/scope.h"
#include "sync/shield.h"

_Static_assert(sizeof(hob_group) >= sizeof(struct group), "hob_group is storage for a group");
_Static_assert(_Alignof(hob_group) >= _Alignof(struct group), "and aligned for one");

static struct group *group_of(hob_group *g)
{
    return (struct group *)(void *)g->opaque;
}

/* A scope on each of the other loops. */
static int group_spread(struct group *g)
{
    unsigned n = hob_loops();

    g->parts = calloc(n, sizeof *g->parts);
    if (!g->parts)
        return -ENOMEM;
    for (unsigned i = 0; i < n; i++) {
        struct group_part *p = &g->parts[i];
        p->loop = &g->home->rt->loops[i];
        p->scope.group = g;
        list_init(&p->scope.members);
    }
    g->spread = true;
    return 0;
}

static HOB_RARE int group_open(struct group *g, struct fiber *f, const struct hob_group_opts *opts)
{
    struct hob_group_opts o;
    int r = hob__opts_copy(&o, sizeof o, opts);

    if (r < 0)
        return r;
    if (!f)
        return -EPERM;
    if (o.until < 0)
        return HOB_MISUSE(-EINVAL, "a deadline before the beginning of time");
    group_init(g, f->loop, f, false);
    g->name = o.name;
    if (o.max_live)
        g->max_live = o.max_live;
    if (o.spread && hob_loops() > 1 && (r = group_spread(g)) < 0) {
        group_fini(g);
        __atomic_store_n(&g->home, NULL, __ATOMIC_RELAXED);
        return r;
    }
    if (o.until && o.until != HOB_FOREVER && !g->scope.cancelled) {
        g->deadline.fire = hob__group_deadline;
        hob__timer_set(&f->loop->timers, &g->deadline, o.until);
    }
    return 0;
}

int hob_group_open(hob_group *storage, const struct hob_group_opts *opts)
{
    struct group *g = group_of(storage);
    struct fiber *f = hob__self();

    if (likely(f && !opts)) {
        group_init(g, f->loop, f, false);
        return 0;
    }
    __atomic_store_n(&g->home, NULL, __ATOMIC_RELAXED); /* not open */
    return group_open(g, f, opts);
}

int hob__group_open_shielded(hob_group *storage, const char *name)
{
    struct group *g = group_of(storage);
    struct fiber *f = hob__self();

    __atomic_store_n(&g->home, NULL, __ATOMIC_RELAXED);
    if (!f)
        return -EPERM;
    group_init(g, f->loop, f, true);
    g->name = name;
    return 0;
}

static int start_failed(struct group *g)
{
    int r = g->scope.cancelled ? -ECANCELED : -ENOMEM;

    if (g->scope.cancelled)
        hob__scope_seen(&g->scope);
    hob__group_place_back(g);
    return r;
}

/* On the home loop, with a place taken. */
static int group_start(struct group *g, hob_fn fn, void *arg)
{
    struct loop *l = g->home;
    struct task *t;

    if (g->scope.cancelled || !(t = task_new(l, fn, arg, g)))
        return start_failed(g);
    if (g->spread)
        hob__spread_push(l, t);
    else
        runq_push(&l->ready, &t->run);
    return 0;
}

struct place_of_fiber {
    struct place_waiter waiter; /* first */
    struct fiber *fiber;
};

static void place_granted(struct place_waiter *w)
{
    hob__ready(container_of(w, struct place_of_fiber, waiter)->fiber, 0);
}

static void place_queue(struct group *g, struct place_waiter *w)
{
    if (!g->full.next)
        list_init(&g->full);
    list_push(&g->full, &w->node);
}

static int place_wait(struct group *g, struct fiber *f)
{
    struct place_of_fiber p = {.waiter.granted = place_granted, .fiber = f};

    place_queue(g, &p.waiter);
    f->wait_node = &p.waiter.node;
    return hob__park(f, HOB_WAIT_GROUP_FULL, HOB_FOREVER);
}

/* A hob_go that came from another loop. */
struct remote_go {
    struct remote remote; /* first */
    struct place_waiter waiter;
    struct group *group;
    hob_fn fn;
    void *arg;
    bool park;
};

static void remote_granted(struct place_waiter *w)
{
    struct remote_go *rg = container_of(w, struct remote_go, waiter);

    hob__remote_done(&rg->remote, group_start(rg->group, rg->fn, rg->arg));
}

static void remote_go_start(struct remote *r)
{
    struct remote_go *rg = container_of(r, struct remote_go, remote);
    struct group *g = rg->group;

    if (g->scope.cancelled) {
        hob__scope_seen(&g->scope);
        hob__remote_done(r, -ECANCELED);
    } else if (g->n_live < g->max_live) {
        g->n_live++;
        remote_granted(&rg->waiter);
    } else if (rg->park) {
        rg->waiter.granted = remote_granted;
        place_queue(g, &rg->waiter);
    } else {
        hob__remote_done(r, -EAGAIN);
    }
}

static void remote_go_cancel(struct remote *r)
{
    list_del(&container_of(r, struct remote_go, remote)->waiter.node);
    hob__remote_done(r, -ECANCELED);
}

static int go_remote(struct group *g, hob_fn fn, void *arg, bool park)
{
    struct remote_go rg = {.remote.start = remote_go_start,
                           .remote.cancel = remote_go_cancel,
                           .group = g,
                           .fn = fn,
                           .arg = arg,
                           .park = park};

    list_init(&rg.waiter.node);
    return hob__remote_call(&rg.remote, g->home, HOB_WAIT_REMOTE, HOB_FOREVER);
}

/* Whatever is unusual about it; in this order. */
static HOB_RARE int group_go_slow(struct group *g, hob_fn fn, void *arg, bool park)
{
    struct fiber *f = hob__self();
    int r;

    if (!f)
        return -EPERM;
    if (!g->home || !fn)
        return HOB_MISUSE(-EINVAL, "hob_go on a group that is not open, or without a function");
    if ((r = hob__check(f)))
        return r;
    if (g->home != f->loop)
        return go_remote(g, fn, arg, park);
    if (g->n_live < g->max_live)
        g->n_live++;
    else if (!park)
        return -EAGAIN;
    else if ((r = place_wait(g, f)) < 0)
        return r;
    return group_start(g, fn, arg);
}

/* The usual case is told by one look at each thing, and calls nothing. */
static inline int group_go(struct group *g, hob_fn fn, void *arg, bool park)
{
    struct loop *l = hob__loop;

    if (unlikely(!l || g->home != l || !l->current || !fn || l->current->scope->cancelled ||
                 g->scope.cancelled || g->n_live >= g->max_live || g->spread || !l->free_tasks))
        return group_go_slow(g, fn, arg, park);
    g->n_live++;
    runq_push(&l->ready, &task_new(l, fn, arg, g)->run);
    return 0;
}

int hob_go(hob_group *g, hob_fn fn, void *arg)
{
    return group_go(group_of(g), fn, arg, true);
}

int hob_try_go(hob_group *g, hob_fn fn, void *arg)
{
    return group_go(group_of(g), fn, arg, false);
}

static void request_run(struct msg *m)
{
    struct group *g = container_of(m, struct group, request_msg);

    hob__group_stop(g, CAUSE_REQUEST, g->request_reason);
    door_entered(&g->door);
    if (g->closing)
        hob__group_ack(g);
}

/* A cancel from another thread was under way when the door was closed.  (I2) */
static HOB_RARE void request_await(struct group *g)
{
    g->closing = true;
    g->n_acks++;
    group_await(g, g->opener);
}

/* The opener's own part came to nothing. */
static HOB_RARE void join_failed(struct group *g, int r)
{
    if (r == -ECANCELED && g->cause_kind != CAUSE_NONE)
        hob__scope_seen(&g->scope); /* what the opener was told, whoever told it */
    else
        hob__group_stop(g, CAUSE_ERROR, r);
}

int hob_group_join(hob_group *storage, int r)
{
    struct group *g = group_of(storage);
    struct fiber *f = hob__self();

    if (unlikely(!g->home))
        return r;
    if (unlikely(!f || g->opener != f))
        return HOB_MISUSE(-EINVAL, "a group is joined by the fiber that opened it");
    if (unlikely(r < 0))
        join_failed(g, r);
    group_await(g, f);
    if (unlikely(!door_close(&g->door)))
        request_await(g);
    group_fini(g);
    r = likely(g->cause_kind == CAUSE_NONE) ? 0 : hob__group_result(g);
    if (unlikely(g->parts))
        free(g->parts);
    __atomic_store_n(&g->home, NULL, __ATOMIC_RELAXED); /* (I1) */
    return r;
}

void hob_group_cancel(hob_group *storage, int reason)
{
    struct group *g = group_of(storage);
    struct loop *home = __atomic_load_n(&g->home, __ATOMIC_RELAXED); /* a join may clear it */

    if (!home || reason > 0)
        return;
    if (hob__loop == home) {
        hob__group_stop(g, CAUSE_REQUEST, reason);
    } else if (door_enter(&g->door)) {
        g->request_reason = reason;
        g->request_msg.run = request_run;
        /* Another group may have been opened in this storage since: now it cannot end. */
        hob__loop_post(__atomic_load_n(&g->home, __ATOMIC_RELAXED), &g->request_msg);
    }
}

uint32_t hob_group_live(const hob_group *storage)
{
    const struct group *g = (const struct group *)(const void *)storage->opaque;

    return g->home ? g->n_live : 0;
}

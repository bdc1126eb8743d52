/* SPDX-License-Identifier: MIT
 *
 * group.c - groups as the user sees them: open, join, cancel
 *
 * WHAT        The machinery (who is cancelled with whom, what an end means, what a join returns)
 *             is sched/scope.c's and sched/ends.c's, because a fiber's end needs it.  Here are the
 *             calls, from the home loop and from other threads; go.c has hob_go, policy.c the ends
 *             one by one and the other ways to join.
 *
 * INVARIANTS  (I1) the group's memory is the opener's frame: after the join has returned no
 *                  message, timer or fiber knows it
 *             (I2) a cancel from another thread is one message embedded in the group: the first
 *                  sends it, later ones find it sent; the join closes the door (sched/door.h)
 *                  before it returns
 *             (I3) what was deferred runs when the group is gone: it may open another in its place,
 *                  and a cancel of this one comes too late
 *
 * The usual way through open, go and join is what a spawn costs.  It has no locked instruction,
 * sets only what most groups use (group_init), and leaves everything else to calls that are rare.
 */
#include "sync/group.h"

#include <errno.h>
#include <stdlib.h>

#include "base/opts.h"
#include "sched/life.h"
#include "sched/rt.h"
#include "sync/select.h"
#include "sync/shield.h"

_Static_assert(sizeof(hob_group) >= sizeof(struct group), "hob_group is storage for a group");
_Static_assert(_Alignof(hob_group) >= _Alignof(struct group), "and aligned for one");

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
    g->flags |= GROUP_PARTS;
    return 0;
}

/* How long what is inside may take at most, as far as it is known when it is opened. */
static void group_until(struct group *g, const struct hob_group_opts *o)
{
    hob_time now, until = hob__scope_until(g->outer, g->home);

    if (o->shield_ns == HOB_FOREVER) {
        until = HOB_FOREVER;
    } else if (o->shield_ns && until != HOB_FOREVER) {
        now = hob__now();
        until = until > now ? until : now;
        until = until < HOB_FOREVER - o->shield_ns ? until + o->shield_ns : HOB_FOREVER;
    }
    if (o->until && o->until < until)
        until = o->until;
    g->until = until;
    g->flags |= GROUP_UNTIL;
}

static void group_ends(struct group *g, const struct hob_group_opts *o)
{
    if (o->supervise)
        g->flags |= GROUP_SUPERVISE;
    if (o->supervise || o->report) {
        g->flags |= GROUP_COUNT;
        memset(&g->count, 0, sizeof g->count);
        g->report = o->report;
    }
    if (o->collect) {
        g->flags |= GROUP_COLLECT;
        g->n_kept = 0;
        runq_init(&g->kept);
        list_init(&g->enders);
    }
}

static HOB_RARE int group_open(struct group *g, struct fiber *f, const struct hob_group_opts *opts)
{
    struct hob_group_opts o;
    int r = hob__opts_copy(&o, sizeof o, opts);

    if (r < 0)
        return r;
    if (!f)
        return hob__off_fiber();
    if (o.until < 0)
        return HOB_MISUSE_OF("hob_group_open", -EINVAL, "a deadline before the beginning of time");
    if (o.shield_ns < 0)
        return HOB_MISUSE_OF("hob_group_open", -EINVAL, "a shield shorter than no time");
    group_init(g, f->loop, f, o.shield_ns != 0);
    g->name = o.name;
    group_ends(g, &o);
    group_until(g, &o);
    if (o.max_live)
        g->max_live = o.max_live;
    if (o.spread && hob_loops() > 1 && (r = group_spread(g)) < 0) {
        group_fini(g);
        __atomic_store_n(&g->home, NULL, __ATOMIC_RELAXED);
        return r;
    }
    if (o.shield_ns && o.shield_ns != HOB_FOREVER)
        hob__group_shield(g, o.shield_ns);
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

#ifndef NDEBUG
    for (struct scope *s = f ? f->scope : NULL; s; s = s->parent)
        if (s == &g->scope)
            return HOB_MISUSE(-EINVAL, "a group is still open in this storage: join that one");
#endif
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
        return hob__off_fiber();
    group_init(g, f->loop, f, true);
    g->name = name;
    return 0;
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

/* Of a group whose opening failed, or of one that was joined before. */
static HOB_RARE int join_closed(int r)
{
    if (r < 0)
        return r;
    return HOB_MISUSE_OF("hob_group_join", -EINVAL, "a group that is not open: joined already?");
}

/* The opener's own part came to nothing. */
static HOB_RARE void join_failed(struct group *g, int r)
{
    if (r == -ECANCELED && g->cause_kind != CAUSE_NONE)
        hob__scope_seen(&g->scope); /* what the opener was told, whoever told it */
    else
        hob__group_stop(g, CAUSE_ERROR, r);
}

/* The result so far, and what was asked for besides.  The group is closed.  (I3) */
static HOB_RARE int join_rare(struct group *g, struct fiber *f, int r)
{
    unsigned flags = g->flags;
    struct runnable *deferred = flags & GROUP_DEFER ? g->deferred : NULL;

    if (flags & GROUP_PARTS)
        free(g->parts);
    if ((flags & GROUP_COUNT) && g->report)
        *g->report = g->count;
    if ((flags & GROUP_ALL) && r == 0)
        r = g->count.failure[0];
    __atomic_store_n(&g->home, NULL, __ATOMIC_RELAXED); /* (I1) */
    return deferred ? hob__deferred_run(f, &deferred, r) : r;
}

int hob_group_join(hob_group *storage, int r)
{
    struct group *g = group_of(storage);
    struct fiber *f = hob__self();

    if (unlikely(!g->home))
        return join_closed(r);
    if (unlikely(!f || g->opener != f))
        return HOB_MISUSE(-EINVAL, "a group is joined by the fiber that opened it");
    if (unlikely(r < 0))
        join_failed(g, r);
    group_await(g, f);
    if (unlikely(!door_close(&g->door)))
        request_await(g);
    group_fini(g);
    r = likely(g->cause_kind == CAUSE_NONE) ? 0 : hob__group_result(g);
    if (unlikely(g->flags & GROUP_RARE))
        return join_rare(g, f, r);
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

int hob_group_defer(hob_group *storage, hob_fn fn, void *arg)
{
    struct group *g = group_of(storage);
    struct task *t;

    if (!fn || !g->home || g->opener != hob__self())
        return HOB_MISUSE(-EINVAL, "the opener of a group defers a function");
    if (!(t = task_new(g->home, fn, arg, g, NULL)))
        return -ENOMEM;
    t->run.next = g->flags & GROUP_DEFER ? g->deferred : NULL;
    g->deferred = &t->run;
    g->flags |= GROUP_DEFER;
    return 0;
}

/* --- an arm of a select: no child is alive ---------------------------------------------------- */

/* Of the opener alone: nobody else knows that the group is still there. */
static struct loop *arm_home(const struct hob_arm *pub)
{
    struct group *g = pub->group ? group_of(pub->group) : NULL;

    return g && g->home && g->opener == hob__self() ? g->home : NULL;
}

static int arm_try(struct arm *a)
{
    if (group_of(arm_pub(a)->group)->n_live > 0)
        return ARM_LATER;
    if (!claim_take(&a->sel->claim))
        return ARM_LOST;
    arm_pub(a)->rc = 0;
    return 0;
}

static void arm_idle(struct idle_waiter *w)
{
    struct arm *a = container_of(w, struct arm, idle);

    if (claim_take(&a->sel->claim))
        hob__arm_won(a, 0);
}

static void arm_wait(struct arm *a)
{
    struct group *g = group_of(arm_pub(a)->group);

    if (!(g->flags & GROUP_IDLE))
        list_init(&g->idle);
    g->flags |= GROUP_IDLE;
    a->idle.idle = arm_idle;
    list_push(&g->idle, &a->idle.node);
}

static void arm_leave(struct arm *a)
{
    list_del(&a->idle.node);
}

const struct arm_kind hob__arm_idle = {
    .home = arm_home, .try = arm_try, .wait = arm_wait, .leave = arm_leave};

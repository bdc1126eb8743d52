/* SPDX-License-Identifier: MIT
 *
 * ends.c - what a child's end means to its group
 *
 * WHAT        The usual end is a number less (scope.h).  Here is every other: an error, a place
 * that somebody waits for, an end that is counted or kept, and what the opener finds when all have
 * ended.
 *
 * HOW         An end is kept in the record that the child was started with, the task, which by then
 *             has no other use: keeping it allocates nothing and cannot fail.
 *
 *                 hob_go -> task -> fiber -> its end -> task, kept -> hob_group_next or the join
 *
 *   Whoever waits for ends stands in `enders` and is woken by each: it looks itself whether there
 *   is one for it.
 *
 * INVARIANTS  (I3) n_live counts every task and fiber of the group that has not ended, wherever
 *                  it is, and every place reserved for a fiber in hob_go; n_live <= max_live
 *             (I4) fibers wait in `full` only while n_live == max_live
 *             (I8) an end is counted once, kept once, and handed out at most once; a group that is
 *                  gone has kept none
 *             (I9) a reply is written before its end is: who knows of the end may read it
 *             (I10) what was deferred runs exactly once, whatever its fiber or group came to, after
 *                  all that was to be over by then; while it runs a cancel from outside is held off
 *
 * (I1), (I2) and (I5) to (I7) are scope.c's.
 *
 * REJECTED    Ends in a channel of the opener's: a full one would park children that have nothing
 *             left to do, and hold their stacks.
 */
#include <errno.h>
#include <stdatomic.h>

#include <hob/group.h>

#include "sched/blame.h"
#include "sched/hold.h"
#include "sched/life.h"
#include "sched/park.h"
#include "sched/scope.h"

static void group_maybe_joined(struct group *g)
{
    if (g->n_live == 0 && g->n_acks == 0 && g->joining) {
        g->joining = false;
        hob__ready(g->opener, 0);
    }
}

/* Hands the place on, or back. */
static void group_place_free(struct group *g)
{
    struct list *n;

    HOB_ASSERT(g->n_live > 0 && g->n_live <= g->max_live); /* (I3) */
    g->n_live--;
    if ((g->flags & GROUP_FULL) && (n = list_pop(&g->full))) {
        struct group_waiter *w = list_entry(n, struct group_waiter, node);
        HOB_ASSERT(g->n_live + 1 == g->max_live); /* (I4) */
        g->n_live++;
        w->granted(w); /* the place is its own now */
    }
}

static void enders_wake(struct group *g)
{
    struct list *n;

    while ((g->flags & GROUP_COLLECT) && (n = list_pop(&g->enders))) {
        struct group_waiter *w = list_entry(n, struct group_waiter, node);
        w->granted(w);
    }
}

void hob__group_ack(struct group *g)
{
    g->n_acks--;
    group_maybe_joined(g);
}

static void group_idle(struct group *g)
{
    struct list *n;

    while ((g->flags & GROUP_IDLE) && (n = list_pop(&g->idle))) {
        struct idle_waiter *w = list_entry(n, struct idle_waiter, node);
        w->idle(w);
    }
}

void hob__group_place_back(struct group *g)
{
    group_place_free(g); /* who waits for ends needs no word: a member asked, and will end */
    if (g->n_live == 0)
        group_idle(g);
    group_maybe_joined(g);
}

static void end_count(struct hob_group_report *c, int rc, bool cancelled)
{
    if (cancelled) {
        c->n_cancelled++;
    } else if (rc >= 0) {
        c->n_ok++;
    } else {
        if (c->n_failed < sizeof c->failure / sizeof c->failure[0])
            c->failure[c->n_failed] = rc;
        c->n_failed++;
    }
}

static void end_keep(struct group *g, struct task *t, int rc)
{
    t->run.rc = rc;
    runq_push(&g->kept, &t->run); /* (I8) */
    g->n_kept++;
}

void hob__group_child_told(struct group *g, struct task *t, int rc)
{
    bool cancelled = rc == -ECANCELED && g->cause_kind != CAUSE_NONE;

    if (cancelled)
        g->seen = true;
    else if (rc < 0 && !(g->flags & GROUP_SUPERVISE))
        hob__group_stop(g, CAUSE_ERROR, rc);
    if (g->flags & GROUP_COUNT)
        end_count(&g->count, rc, cancelled);
    if (g->flags & GROUP_COLLECT)
        end_keep(g, t, rc);
    else
        task_free(g->home, t);
    group_place_free(g);
    enders_wake(g);
}

void hob__group_emptied(struct group *g)
{
    if (!g->opener)
        g->home->stop = true; /* the root */
    group_idle(g);
}

void hob__group_fini_rare(struct group *g)
{
    struct runnable *r;

    if (g->flags & GROUP_SHIELD)
        timer_stop(&g->home->timers, &g->shield);
    while ((g->flags & GROUP_COLLECT) && (r = runq_pop(&g->kept)))
        task_free(g->home, container_of(r, struct task, run)); /* (I8) */
}

int hob__group_result(const struct group *g)
{
    switch ((enum group_cause)g->cause_kind) {
    case CAUSE_NONE:
        return 0;
    case CAUSE_ERROR:
    case CAUSE_REQUEST:
        return g->cause;
    case CAUSE_DEADLINE:
        return g->seen ? -ETIMEDOUT : 0;
    case CAUSE_OUTSIDE:
        return g->seen ? -ECANCELED : 0;
    }
    return 0;
}

int hob__task_reply(void *arg)
{
    struct fiber *f = hob__self();
    struct task_reply *ask = &f->task->ask;
    int rc = ask->fn(arg);

    if (unlikely(f->deferred))
        rc = hob__fiber_deferred(f, rc);
    *ask->to = rc; /* (I9) */
    return rc;
}

int hob__deferred_run(struct fiber *f, struct runnable **deferred, int rc)
{
    struct loop *l = f->loop;
    struct group shield;
    struct runnable *first;
    int r;

    group_init(&shield, l, f, true);
    hob__group_shield(&shield, HOB_DEFER_TIME);
    while ((first = *deferred) && first != &hob__holds) { /* one of them may defer another */
        struct task *t = container_of(first, struct task, run);
        hob_fn fn = t->fn;
        void *arg = t->arg;
        *deferred = first->next; /* (I10) */
        task_free(l, t);
        r = fn(arg);
        if (r < 0 && rc >= 0)
            rc = r;
    }
    group_fini(&shield);
    return rc;
}

int hob__fiber_deferred(struct fiber *f, int rc)
{
    if (f->scope != f->own_scope)
        hob__left_open(f); /* before its frame is taken for one that lives */
    if (f->deferred != &hob__holds)
        rc = hob__deferred_run(f, &f->deferred, rc);
    f->deferred = NULL;
    if (f->n_holds)
        hob__holds_left(f);
    return rc;
}

int hob_defer(hob_fn fn, void *arg)
{
    struct fiber *f = hob__self();
    struct task *t;

    if (!f)
        return hob__off_fiber();
    if (!fn)
        return HOB_MISUSE(-EINVAL, "hob_defer without a function");
    if (!(t = task_new(f->loop, fn, arg, NULL, NULL)))
        return -ENOMEM;
    t->run.next = f->deferred;
    f->deferred = &t->run;
    return 0;
}

static _Atomic(int64_t) swallowed;

void hob__cancel_swallowed(struct fiber *f, int rc)
{
    f->told = false;
    if (rc >= 0)
        atomic_fetch_add_explicit(&swallowed, 1, memory_order_relaxed);
}

int64_t hob_cancels_swallowed(void)
{
#ifdef NDEBUG
    return -ENOTSUP;
#else
    return atomic_load_explicit(&swallowed, memory_order_relaxed);
#endif
}

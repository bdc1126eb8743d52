/* SPDX-License-Identifier: MIT
 *
 * policy.c - a group's ends one by one, and the ways to join that are made of them
 *
 * WHAT        hob_group_next gives the opener of a collecting group its children in the order of
 *             their ends.  A policy is a loop over it that ends in a join: there is no other way
 * out of a group, so each policy leaves nothing behind whatever it came to.
 *
 * INVARIANTS  (I1) an end that was handed out is a result, though a cancel come the moment after;
 *                  a cancel that came before is told instead of an end: never both
 *             (I2) a policy that was decided cancels with reason 0, as the group's first cause: an
 *                  outer cancel or deadline after that does not change its result
 *
 * REJECTED    Policies as options of the group: what "enough" means would be decided on each
 *             child's end, inside the scheduler, and no two programs mean the same.
 */
#include "sync/group.h"

#include <errno.h>

#include "base/assert.h"

static void end_came(struct group_waiter *w)
{
    hob__ready(w->fiber, 0);
}

static int end_wait(struct group *g, struct fiber *f, hob_time until)
{
    struct group_waiter w = {.granted = end_came, .fiber = f};

    list_push(&g->enders, &w.node);
    f->wait_node = &w.node;
    f->on = g;
    return hob__park(f, HOB_WAIT_GROUP_NEXT, until);
}

/* g is the opener's, f, and collects. */
static int group_next(struct group *g, struct fiber *f, hob_time until, struct hob_done *ret)
{
    struct runnable *run;
    int r = hob__check(f);

    while (r == 0 && !(run = runq_pop(&g->kept))) {
        if (g->n_live == 0)
            return -ENOENT;
        r = until == 0 ? -ETIMEDOUT : end_wait(g, f, until);
    }
    if (r < 0)
        return r;
    struct task *t = container_of(run, struct task, run);
    *ret = (struct hob_done){.arg = t->arg, .rc = t->run.rc}; /* (I1) */
    g->n_kept--;
    task_free(g->home, t);
    return 0;
}

static bool group_may(const struct group *g, unsigned flags)
{
    return g->home && g->opener == hob__self() && (g->flags & flags) == flags;
}

int hob_group_next(hob_group *storage, hob_time until, struct hob_done *ret)
{
    struct group *g = group_of(storage);

    if (!group_may(g, GROUP_COLLECT))
        return HOB_MISUSE(-EINVAL, "the opener of a group with .collect takes its ends");
    return group_next(g, g->opener, until, ret);
}

/* Whether there is anything to decide: r of a join.  Else there is only to be joined with it. */
static int policy_begin(struct group *g, int r)
{
    if (r < 0 || !g->home)
        return r < 0 ? r : -EINVAL;
    if (!group_may(g, GROUP_SUPERVISE | GROUP_COLLECT))
        return HOB_MISUSE_OF("hob_group_join_first, _quorum", -EINVAL,
                             "a policy needs a group with .supervise and .collect");
    return 0;
}

/* 0 once `need` have succeeded; else why they will not. */
static int policy_wait(struct group *g, uint32_t need, struct hob_done *ret_last)
{
    struct hob_done d;
    uint32_t n_ok = 0, n_failed = 0;
    int r, why = -ENOENT;

    while (n_ok < need) {
        if ((uint64_t)n_ok + g->n_kept + g->n_live < need)
            return why;
        if ((r = group_next(g, g->opener, HOB_FOREVER, &d)) < 0)
            return r == -ENOENT ? why : r;
        if (d.rc >= 0) {
            n_ok++;
            *ret_last = d;
        } else if (n_failed++ == 0) {
            why = d.rc;
        }
    }
    return 0;
}

static int policy_join(hob_group *storage, int r, uint32_t need, struct hob_done *ret)
{
    struct group *g = group_of(storage);
    struct hob_done last = {0};
    bool decided;

    r = policy_begin(g, r);
    if (r == 0)
        r = policy_wait(g, need, &last);
    decided = r == 0;
    if (decided)
        hob__group_stop(g, CAUSE_REQUEST, 0); /* (I2) */
    r = hob_group_join(storage, r);
    if (r == 0 && !decided)
        return -ECANCELED; /* somebody else said "enough" */
    if (r == 0 && ret)
        *ret = last;
    return r;
}

int hob_group_join_first(hob_group *storage, int r, struct hob_done *ret)
{
    return policy_join(storage, r, 1, ret);
}

int hob_group_join_quorum(hob_group *storage, int r, uint32_t n)
{
    return policy_join(storage, r, n, NULL);
}

int hob_group_join_all(hob_group *storage, int r)
{
    struct group *g = group_of(storage);

    if (g->home && g->opener == hob__self()) {
        if (!(g->flags & GROUP_SUPERVISE))
            return hob_group_join(storage, r);
        g->flags |= GROUP_ALL;
    }
    return hob_group_join(storage, r);
}

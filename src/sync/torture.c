/* SPDX-License-Identifier: MIT
 *
 * torture.c - hob_torture_cancel: a function is cancelled at each of its suspension points in turn
 *
 * WHAT        The function runs as the only child of a group; run n cancels the group at the n-th
 *             time that a fiber inside it parks or yields.  The first run cancels nothing, and the
 *             one that has no n-th suspension is the last.
 *
 * HOW         The scheduler tells of every suspension while somebody asks it to (hob__leave_watch),
 *             and of every call that was refused for a cancel.  Those are counted because there is
 *             one mistake that would otherwise hold the loop for ever: to go on asking, which under
 *             a level-triggered cancel never waits.
 *
 * INVARIANTS  (I1) only fibers inside the group count, on whatever loop; so what else the program
 *                  does at the same time moves no suspension point of the function
 *             (I2) one torture at a time: there is one hook
 *
 * REJECTED    Points told apart by their place in the source: the same line is another point when
 *             something else is half done.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <hob/fiber.h>
#include <hob/group.h>
#include <hob/sim.h>

#include "sched/life.h"
#include "sched/park.h"

enum { REFUSED_MOST = 1 << 20 };

static struct {
    atomic_flag taken; /* (I2) */
    hob_group *_Atomic g;
    const struct fiber *_Atomic opener;
    _Atomic(unsigned) points, refused;
    unsigned at; /* the point to cancel at; 0: none */
} torture = {.taken = ATOMIC_FLAG_INIT};

struct torture_run {
    hob_fn fn;
    void *arg;
    int rc;
};

static bool torture_holds(const struct fiber *f, const hob_group *g) /* (I1) */
{
    if (!g || f == atomic_load_explicit(&torture.opener, memory_order_relaxed))
        return false;
    for (const struct scope *s = f->scope; s; s = s->group->outer)
        if ((const void *)s->group == (const void *)g)
            return true;
    return false;
}

static void torture_left(void)
{
    hob_group *g = atomic_load_explicit(&torture.g, memory_order_relaxed);

    if (torture_holds(hob__self(), g) && atomic_fetch_add(&torture.points, 1) + 1 == torture.at)
        hob_group_cancel(g, 0);
}

static void torture_refused(const struct fiber *f)
{
    hob_group *g = atomic_load_explicit(&torture.g, memory_order_relaxed);

    if (!torture_holds(f, g) || atomic_fetch_add(&torture.refused, 1) < REFUSED_MOST)
        return;
    fprintf(stderr,
            "hob: torture: cancelled at its suspension %u, it goes on, told so %d times: a loop "
            "that ignores -ECANCELED\n",
            torture.at, REFUSED_MOST);
    abort();
}

static int torture_child(void *arg)
{
    struct torture_run *run = arg;

    run->rc = run->fn(run->arg);
    return 0;
}

/* Once, cancelled at point `at`.  What fn returned; or why it did not run. */
static int torture_once(hob_fn fn, void *arg, unsigned at)
{
    struct torture_run run = {.fn = fn, .arg = arg, .rc = -ECANCELED};
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.name = "torture"));

    if (r < 0)
        return r;
    torture.at = at;
    atomic_store(&torture.points, 0);
    atomic_store(&torture.refused, 0);
    atomic_store_explicit(&torture.opener, hob__self(), memory_order_relaxed);
    atomic_store_explicit(&torture.g, &g, memory_order_relaxed);
    hob__leave_watch(torture_left);
    atomic_store_explicit(&hob__refused_hook, torture_refused, memory_order_relaxed);
    r = hob_go(&g, torture_child, &run);
    r = hob_group_join(&g, r);
    atomic_store_explicit(&hob__refused_hook, NULL, memory_order_relaxed);
    hob__leave_watch(NULL);
    atomic_store_explicit(&torture.g, NULL, memory_order_relaxed);
    return r < 0 ? r : run.rc;
}

static int torture_all(hob_fn fn, void *arg)
{
    int n = 0, r = torture_once(fn, arg, 0);

    while (r >= 0) {
        r = torture_once(fn, arg, (unsigned)++n);
        if (atomic_load(&torture.points) < (unsigned)n) /* it had no such point */
            return r < 0 ? r : n - 1;
        if (hob_check() < 0)
            return -ECANCELED;
        if (r < 0 && r != -ECANCELED) {
            fprintf(stderr, "hob: torture: cancelled at its suspension %d, it returns %d, %s\n", n,
                    r, hob_strerror(r));
            return r;
        }
        r = 0;
    }
    return r;
}

int hob_torture_cancel(hob_fn fn, void *arg)
{
    int r;

    if (!fn)
        return -EINVAL;
    if (!hob__self())
        return hob__off_fiber();
    if (atomic_flag_test_and_set(&torture.taken))
        return -EBUSY;
    r = torture_all(fn, arg);
    atomic_flag_clear(&torture.taken);
    return r;
}

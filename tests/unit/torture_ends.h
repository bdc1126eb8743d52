/* SPDX-License-Identifier: MIT
 *
 * torture_ends.h - the scene of a group's ends: taken, decided on, counted, deferred, shielded
 *
 * A scene as those of torture_scenes.h.  Its books: what was deferred ran, once; every start that
 * succeeded has ended in the report; what a child was to leave is there, or says that it never ran.
 */
#ifndef TORTURE_ENDS_H
#define TORTURE_ENDS_H

#include <hob/hob.h>

#include <errno.h>
#include <stdatomic.h>

#include "lib/t.h"

enum { ENDS_CHILDREN = 6 };

static _Atomic(int) ends_deferred, ends_ran, ends_started;

static int ends_cleans_up(void *arg)
{
    int r = hob_sleep(10 * HOB_US); /* no cancel: it is behind a shield */

    (void)arg;
    CHECK_INT(r, 0);
    ends_ran++;
    return 0;
}

static int ends_child(void *arg)
{
    int id = *(int *)arg, r = hob_defer(ends_cleans_up, NULL);

    if (r < 0)
        return r;
    ends_deferred++;
    r = hob_sleep(id * 10 * HOB_US);
    return r < 0 ? r : id % 2 ? -EDOM : id;
}

static int ends_take(hob_group *g)
{
    struct hob_done d;
    int n = 0, r;

    while ((r = hob_group_next(g, hob_in(3600 * HOB_SEC), &d)) == 0) {
        int id = *(int *)d.arg;
        CHECK(d.rc == (id % 2 ? -EDOM : id) || d.rc == -ENOMEM || d.rc == -ECANCELED);
        n++;
    }
    CHECK(r == -ECANCELED || (r == -ENOENT && n == ENDS_CHILDREN));
    return r == -ENOENT ? 0 : r;
}

/* 0: takes all; 1: the first; 2: a quorum; 3: all, and the first error. */
static int ends_of(int how, bool spread)
{
    int id[ENDS_CHILDREN], out[ENDS_CHILDREN], n = 0;
    struct hob_group_report rep = {0};
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.supervise = true, .collect = true, .report = &rep,
                                              .spread = spread, .max_live = 2,
                                              .shield_ns = how % 2 ? 50 * HOB_US : 0));

    if (r < 0)
        return r;
    if ((r = hob_group_defer(&g, ends_cleans_up, NULL)) == 0)
        ends_deferred++;
    for (int i = 0; i < ENDS_CHILDREN && r == 0; i++) {
        id[i] = i;
        if ((r = hob_go_ret(&g, ends_child, &id[i], &out[i])) == 0)
            n++;
    }
    if (r == 0 && how == 0)
        r = ends_take(&g);
    r = how == 1   ? hob_group_join_first(&g, r, NULL)
        : how == 2 ? hob_group_join_quorum(&g, r, 3)
        : how == 3 ? hob_group_join_all(&g, r)
                   : hob_group_join(&g, r);
    CHECK_INT(rep.n_ok + rep.n_failed + rep.n_cancelled, n);
    for (int i = 0; i < n; i++)
        CHECK(out[i] == (i % 2 ? -EDOM : i) || out[i] == -ECANCELED || out[i] == -ENOMEM);
    return r != -EDOM ? r : how == 3 ? 0 : -ENOMEM; /* some that would have done had no stack */
}

static int scene_ends(void *arg)
{
    int r = 0;

    (void)arg;
    ends_deferred = ends_ran = 0;
    for (int i = 0; i < 8 && r == 0; i++)
        r = ends_of(i / 2, i % 2);
    CHECK_INT(ends_ran, ends_deferred);
    return r;
}

/* A child that wants a place where it is the one that holds it. */
static int ends_wants_more(void *arg)
{
    int r = ends_started++ < 10 ? hob_go(arg, ends_wants_more, arg) : 0;

    return r == -EDEADLK ? 0 : r;
}

static int scene_circle(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.max_live = 3, .spread = true));

    (void)arg;
    ends_started = 0;
    for (int i = 0; i < 3 && r == 0; i++)
        r = hob_go(&g, ends_wants_more, &g);
    return hob_group_join(&g, r);
}

#endif

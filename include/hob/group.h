/* SPDX-License-Identifier: MIT */
#ifndef HOB_GROUP_H
#define HOB_GROUP_H

#include <stdbool.h>

#include <hob/base.h>

HOB_BEGIN_DECLS

/*
 * Groups: structured concurrency
 * ==============================
 *
 * Every fiber belongs to a group, every group to the scope that opened it.  A group is opened and
 * joined by one fiber, in whose frame it lives; while it is open it is that fiber's innermost
 * scope, so a deadline or a cancel of the group reaches its opener too.  Nothing outlives a join,
 * so children may write straight into the opener's variables.
 *
 *     hob_group g;
 *     int r = hob_group_open(&g, HOB_GROUP_OPTS(.max_live = 50));
 *     for (size_t i = 0; r == 0 && i < n; i++)
 *         r = hob_go(&g, fetch_one, &page[i]);
 *     return hob_group_join(&g, r);
 *
 * A child's negative return means "the group cannot go on": it becomes the group's cause and
 * cancels the others.  Something that merely did not work is a result, written where the opener
 * finds it.  The first cause wins; later ones are dropped.
 */
/* Never grows: what a group needs beyond it, it allocates. */
typedef struct hob_group {
    void *opaque[48];
} hob_group;

struct hob_group_opts {
    size_t size;       /* sizeof(struct hob_group_opts); HOB_GROUP_OPTS fills it */
    uint32_t max_live; /* children alive at once; hob_go parks at it; 0: no limit */
    hob_time until;    /* deadline, absolute; cancels with -ETIMEDOUT as the cause; 0: none */
    bool spread;      /* idle loops may take children that have not started: write them race-free */
    const char *name; /* the children's name in traces and dumps; must outlive the group */
};

#define HOB_GROUP_OPTS(...)                                                                        \
    (&(struct hob_group_opts){.size = sizeof(struct hob_group_opts), __VA_ARGS__})

/**
 * hob_group_open - open a group in the caller's frame
 * @g:    storage; not moved while open
 * @opts: NULL for all defaults
 *
 * Return: 0; -EINVAL, -E2BIG (an option newer than this library), -ENOMEM (.spread only),
 * -EPERM (not on a fiber).  On failure there is nothing to join, and hob_group_join of it is
 * harmless: it returns the error it was given.
 */
HOB_API HOB_MUST_CHECK int hob_group_open(hob_group *g, const struct hob_group_opts *opts);

/**
 * hob_go - start fn(arg) as a fiber of the group; parks while the group is full
 *
 * The child starts later, never inside this call.  The opener, or any fiber inside the group, may
 * call it, from any loop; the wait ends at the group's own deadline.
 *
 * Return: 0; or, fn will not run: -ECANCELED (the group or the caller's scope is cancelled),
 * -ENOMEM, -EPERM (not on a fiber), -EINVAL (no fn, or the group is not open).
 */
HOB_API HOB_MUST_CHECK HOB_PARKS int hob_go(hob_group *g, hob_fn fn, void *arg);

/** hob_try_go - hob_go that returns -EAGAIN instead of parking when the group is full. */
HOB_API HOB_MUST_CHECK int hob_try_go(hob_group *g, hob_fn fn, void *arg);

/**
 * hob_group_join - wait until every child has ended, and close the group
 * @r: what the opener's own part came to; negative cancels the group with it as the cause
 *
 * Always joins; a cancel from outside hastens it and never cuts it short.  Called by the fiber
 * that opened the group, exactly once.
 *
 * Return: 0; or the first cause: a child's or the opener's error, -ETIMEDOUT (the group's own
 * deadline), the reason given to hob_group_cancel, -ECANCELED (a scope outside was cancelled).
 * A deadline, or a cancel of a scope outside, that came after the work was done and that no member
 * was told of, is not a cause: the result is 0.  -EINVAL: not the opener; nothing was joined.
 */
HOB_API HOB_PARKS int hob_group_join(hob_group *g, int r);

/**
 * hob_group_cancel - cancel every member; never parks; from any thread, more than once too
 *
 * One that comes when the join is through does nothing.  From another thread, the caller sees to
 * it that the group's storage is there until this has returned.
 *
 * @reason: what hob_group_join shall return unless there was a cause before: negative, or 0 for
 *          "enough": the members see -ECANCELED and the join returns 0
 */
HOB_API HOB_ANY_THREAD void hob_group_cancel(hob_group *g, int reason);

/** hob_group_live - children that have not ended; home loop only, as a number for progress. */
HOB_API uint32_t hob_group_live(const hob_group *g);

HOB_END_DECLS
#endif

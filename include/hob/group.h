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
 * finds it.  The first cause wins; later ones are in the report, if one was asked for.
 *
 * Three options change what a child's end means.  `supervise`: an error ends only the child that
 * had it.  `collect`: the opener takes the ends one by one, first come first (hob_group_next), and
 * may join by another rule than "all": the first that succeeds, a quorum.  `report`: how many ended
 * how, and the first errors.
 *
 * Cleaning up is itself work that waits, so a scope that was cancelled is the wrong place for it.
 * hob_group_defer and hob_defer run it at the end of the group or the fiber, behind a shield that
 * holds a cancel off for HOB_DEFER_TIME; `shield_ns` makes such a group for any other purpose.
 */
/* Never grows: what a group needs beyond it, it allocates. */
typedef struct hob_group {
    void *opaque[48];
} hob_group;

/* How the children of a group ended.  Never grows. */
struct hob_group_report {
    uint32_t n_ok;        /* with 0 or more */
    uint32_t n_failed;    /* with an error */
    uint32_t n_cancelled; /* with -ECANCELED because the group was cancelled, or were not started */
    int failure[4];       /* the first errors, oldest first; 0: there were fewer */
};

struct hob_group_opts {
    size_t size;       /* sizeof(struct hob_group_opts); HOB_GROUP_OPTS fills it */
    uint32_t max_live; /* children alive at once; hob_go parks at it; 0: no limit */
    hob_time until;    /* deadline, absolute; cancels with -ETIMEDOUT as the cause; 0: none */
    bool spread;      /* idle loops may take children that have not started: write them race-free */
    const char *name; /* the children's name in traces and dumps; must outlive the group */
    bool supervise;   /* a child's error does not cancel the others, nor is it the join's result */
    bool collect;     /* a child's end is kept, in the record it was started with, until
                       * hob_group_next takes it or the join drops it */
    hob_dur shield_ns; /* a cancel from outside gets in so much later; HOB_FOREVER: never; 0: at
                        * once.  `until` and the group's own errors cancel as ever */
    struct hob_group_report *report; /* the join leaves it here, in the opener's frame */
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
 * call it, from any loop; the wait ends at the group's own deadline.  A place is taken from
 * before the start until the end, also by a child that waits for one: when every place is held by
 * a member that waits here, or in the join of a group of its own whose last child does, none will
 * ever be free, and who comes last is told so.
 *
 * Return: 0; or, fn will not run: -ECANCELED (the group or the caller's scope is cancelled),
 * -EDEADLK (the group is full of those who wait for a place in it), -ENOMEM, -EPERM (not on a
 * fiber), -EINVAL (no fn, or the group is not open).
 */
HOB_API HOB_MUST_CHECK HOB_PARKS int hob_go(hob_group *g, hob_fn fn, void *arg);

/** hob_try_go - hob_go that returns -EAGAIN instead of parking when the group is full. */
HOB_API HOB_MUST_CHECK int hob_try_go(hob_group *g, hob_fn fn, void *arg);

/**
 * hob_go_ret - hob_go, and what fn returned lies in *ret once the join has returned
 * @ret: in the opener's frame, or what else outlives the group; untouched on failure
 *
 * A child that never ran comes to -ECANCELED, or to -ENOMEM: there was no stack for it.  Before the
 * join *ret may be read of a child that hob_group_next has handed out.
 *
 * Return: as hob_go; -EINVAL also: *ret is on the stack of a caller that is not the opener, and
 * would be gone before the group is.
 */
HOB_API HOB_MUST_CHECK HOB_PARKS int hob_go_ret(hob_group *g, hob_fn fn, void *arg, int *ret);

/**
 * HOB_CHILD(fn, T) - for `int fn(T *arg)`: fn_go(g, T *arg) and fn_go_ret(g, T *arg, int *ret)
 *
 * hob_go and hob_go_ret with a type that the compiler checks.  At file scope, after fn; no
 * semicolon.  What T points to lies in the opener's frame, and what fn writes there is to be read
 * once the join has returned.
 */
#define HOB_CHILD(fn, T)                                                                           \
    HOB_UNUSED static int fn##_child(void *hob_arg)                                                \
    {                                                                                              \
        return fn((T *)hob_arg);                                                                   \
    }                                                                                              \
    HOB_UNUSED HOB_MUST_CHECK static int fn##_go(hob_group *hob_g, T *hob_arg)                     \
    {                                                                                              \
        return hob_go(hob_g, fn##_child, (void *)hob_arg);                                         \
    }                                                                                              \
    HOB_UNUSED HOB_MUST_CHECK static int fn##_go_ret(hob_group *hob_g, T *hob_arg, int *hob_ret)   \
    {                                                                                              \
        return hob_go_ret(hob_g, fn##_child, (void *)hob_arg, hob_ret);                            \
    }

/* A child that has ended.  Never grows. */
struct hob_done {
    void *arg; /* the one it was started with: which child it is */
    int rc;    /* what it returned; of one that never ran -ECANCELED, or -ENOMEM: no stack */
};

/**
 * hob_group_next - the next child that has ended, in the order of the ends; parks until one has
 * @until: absolute time; 0 never parks, HOB_FOREVER has no limit
 * @ret:   the child; untouched on failure
 *
 * For the opener of a group with `collect`.  An end is handed out once.  Children of other loops
 * end when their end has come home.
 *
 * Return: 0; -ENOENT (no child is left: none lives, none is kept), -ETIMEDOUT, -ECANCELED (the
 * group or a scope outside was cancelled), -EINVAL (not the opener, or not such a group).
 */
HOB_API HOB_MUST_CHECK HOB_PARKS int hob_group_next(hob_group *g, hob_time until,
                                                    struct hob_done *ret);

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
 * was told of, is not a cause: the result is 0.  -EINVAL: not the opener, or not open and r not
 * negative (joined twice): a mistake, nothing was joined.
 */
HOB_API HOB_PARKS int hob_group_join(hob_group *g, int r);

/**
 * hob_group_join_all - hob_group_join whose result is also an error that cancelled nobody
 *
 * For a group with `supervise`: every child runs to its end, whatever the others come to.
 *
 * Return: as hob_group_join; where that is 0, the first child's error, or 0.
 */
HOB_API HOB_PARKS int hob_group_join_all(hob_group *g, int r);

/**
 * hob_group_join_first - join with the first child that succeeds; the others are cancelled
 * @r:   as hob_group_join's
 * @ret: that child; untouched on failure; NULL: which one does not matter
 *
 * For a group with `supervise` and `collect`.  Ends that were taken before do not count.
 *
 * Return: 0: *ret says who; the first child's error when all failed, -ENOENT when there was none;
 * -ECANCELED when somebody cancelled the group with reason 0 before; else as hob_group_join.
 * -EINVAL for a group without these options, which is joined.
 */
HOB_API HOB_PARKS int hob_group_join_first(hob_group *g, int r, struct hob_done *ret);

/**
 * hob_group_join_quorum - join once n children have succeeded; the others are cancelled
 * @r: as hob_group_join's
 * @n: how many; 0 is reached at once
 *
 * As hob_group_join_first.  It gives up, and cancels too, as soon as fewer than n have succeeded or
 * live.
 *
 * Return: 0: n have succeeded; else as hob_group_join_first, -ENOENT when none failed and there
 * were fewer than n.
 */
HOB_API HOB_PARKS int hob_group_join_quorum(hob_group *g, int r, uint32_t n);

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

/** How long a cancel from outside is held off what was deferred. */
#define HOB_DEFER_TIME (5 * HOB_SEC)

/**
 * hob_group_defer - have the join call fn(arg), once the last child has ended
 *
 * What was deferred last is called first, on the opener, whatever the group came to.  The calls may
 * park: they share a shield of HOB_DEFER_TIME.  The first negative return is the join's result if
 * that would be 0.  For the opener.
 *
 * Return: 0; -ENOMEM, -EINVAL (no fn, not the opener): fn will not be called.
 */
HOB_API HOB_MUST_CHECK int hob_group_defer(hob_group *g, hob_fn fn, void *arg);

/**
 * hob_defer - have fn(arg) called when the running fiber's function has returned
 *
 * As hob_group_defer, at the fiber's end and before its group learns of it.  The function's frame
 * is gone by then: arg points elsewhere.
 *
 * Return: 0; -ENOMEM, -EPERM (not on a fiber), -EINVAL (no fn): fn will not be called.
 */
HOB_API HOB_MUST_CHECK int hob_defer(hob_fn fn, void *arg);

/**
 * hob_deadline - when the earliest deadline around the running fiber is, HOB_FOREVER if there is
 * none or the caller is no fiber
 *
 * For what takes a limit of its own: a library's time-out, a request's header.  Behind a shield it
 * is that of the scopes outside plus the shield's time.
 */
HOB_API HOB_ANY_THREAD hob_time hob_deadline(void);

/**
 * hob_cancels_swallowed - how many fibers were told that their scope is cancelled, and ended with
 * 0 or more all the same
 *
 * Since the process began.  One that ended well because it had what it was asked for is counted
 * too, so it is for tests, where the answer is known: who ignores -ECANCELED goes on with half a
 * result.
 *
 * Return: the number; -ENOTSUP: a release build, which does not count.
 */
HOB_API HOB_ANY_THREAD int64_t hob_cancels_swallowed(void);

HOB_END_DECLS
#endif

/* SPDX-License-Identifier: MIT
 *
 * explore_group.c - what ends a group, from several loops and threads at once (sched/scope.c,
 * ends.c)
 *
 * WHAT    cause    a child's error, another thread's cancel and the deadline come at any moment
 *         parts    a child on another loop is told of an error or of the deadline, or ends first
 *         told     the same, where the child says nothing of what it was told: the join knows
 *
 *   What must hold: the first cause is the one that the join returns, and that everybody saw
 *   (scope.c I2); who is told is known at home before the join returns (I6), which waits for every
 *   child and every message (I5): the storage of the group is filled after the join and must stay
 *   so.  n_live never passes below zero or beyond max_live (ends.c I3): the sources look.
 */
#include "loops.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sync/group.h"

enum { FILL = 0x5a };

static hob_group storage;
static bool opened, cancelled, started, release;
static int joined;
static bool told, told_of_other, refused;
static int seen_cause;

/* Somebody inside was told: the cause is there, and no other will be. */
static void look(void)
{
    const struct group *g = group_of(&storage);

    if (g->cause_kind == CAUSE_NONE)
        explore_fail("told of a cancel that has no cause");
    if (told && g->cause != seen_cause)
        told_of_other = true;
    told = true;
    seen_cause = g->cause;
}

static int waits(void *unused)
{
    int r = hob_sleep_until(HOB_FOREVER);

    (void)unused;
    if (r != -ECANCELED)
        explore_fail("a sleep without end ended with %d", r);
    look();
    return r;
}

static int fails(void *unused)
{
    (void)unused;
    int r = hob_yield();

    if (r == -ECANCELED)
        look();
    return r < 0 ? r : -EIO;
}

static void group_is_gone(int r)
{
    joined = r;
    opened = false;
    if (!cancelled)
        memset(&storage, FILL, sizeof storage);
}

static bool storage_is_filled(void)
{
    const unsigned char *at = (const unsigned char *)&storage;

    for (size_t i = 0; i < sizeof storage; i++)
        if (at[i] != FILL)
            return false;
    return true;
}

static void reset(hob_fn fn, unsigned loops)
{
    loops_reset(loops, fn);
    opened = cancelled = started = release = told = told_of_other = refused = false;
    joined = seen_cause = 1;
}

/* --- cause --- */

static int cause_fiber(void *unused)
{
    int r = hob_group_open(&storage, HOB_GROUP_OPTS(.until = loops_soon));

    (void)unused;
    cancelled = true; /* the thread may still look at the storage: its own */
    opened = r == 0;
    if (r == 0)
        r = hob_go(&storage, waits, NULL);
    if (r == 0)
        r = hob_go(&storage, fails, NULL);
    group_is_gone(hob_group_join(&storage, r));
    return 0;
}

static void cause_reset(void)
{
    reset(cause_fiber, 1);
}

static bool is_open(void *unused)
{
    (void)unused;
    return opened;
}

static bool is_open_or_over(void *unused)
{
    return joined != 1 || is_open(unused);
}

static void canceller(void)
{
    explore_wait(is_open_or_over, NULL);
    hob_group_cancel(&storage, -EINTR);
}

static void check_cause(void)
{
    if (loops_result() != 0)
        explore_fail("the first fiber was not run to its end");
    if (joined != -EIO && joined != -EINTR && joined != -ETIMEDOUT)
        explore_fail("the join returned %d", joined);
    if (told_of_other || (told && joined != seen_cause))
        explore_fail("told of %d, and the join returned %d", seen_cause, joined); /* (I2) */
}

/* --- parts: loop 0's child goes on once the other has begun, on loop 1 --- */

static bool has_started(void *unused)
{
    (void)unused;
    return started;
}

static int away_waits(void *quiet)
{
    started = true;
    if (hob_loop_index() != 1)
        explore_fail("it was to run on the other loop");
    int r = hob_sleep_until(HOB_FOREVER);
    told = true;
    return quiet ? 0 : r;
}

static int away_ends(void *unused)
{
    (void)unused;
    started = true;
    return hob_check() == -ECANCELED ? -ECANCELED : 0;
}

static int away(hob_fn child, void *arg, int own)
{
    int r = hob_group_open(&storage, HOB_GROUP_OPTS(.spread = true, .until = loops_soon));

    if (r == 0)
        r = hob_go(&storage, child, arg);
    refused = r < 0;
    if (r == 0)
        explore_wait(has_started, NULL); /* loop 0 computes until the other has taken it */
    group_is_gone(hob_group_join(&storage, r < 0 ? r : own));
    return 0;
}

static int parts_fiber(void *unused)
{
    (void)unused;
    return away(away_ends, NULL, -EIO);
}

static void parts_reset(void)
{
    reset(parts_fiber, 2);
}

static void check_parts(void)
{
    if (loops_result() != 0)
        explore_fail("the first fiber was not run to its end");
    if (joined != -EIO && joined != -ETIMEDOUT)
        explore_fail("the join returned %d", joined);
    if (!storage_is_filled())
        explore_fail("somebody wrote to the group after its join"); /* (I5) */
}

static int told_fiber(void *unused)
{
    (void)unused;
    return away(away_waits, &storage, 0); /* the deadline is what ends it */
}

static void told_reset(void)
{
    reset(told_fiber, 2);
}

static void check_told(void)
{
    if (loops_result() != 0)
        explore_fail("the first fiber was not run to its end");
    if (!told && !refused)
        explore_fail("nobody was told");
    if (joined != -ETIMEDOUT)
        explore_fail("somebody was told, and the join returned %d", joined); /* (I6) */
    if (!storage_is_filled())
        explore_fail("somebody wrote to the group after its join"); /* (I5) */
}

int main(void)
{
    struct explore_case cases[] = {
        {"cause", cause_reset, {loops_0, canceller, loops_clock}, check_cause, 3},
        {"parts", parts_reset, {loops_0, loops_1, loops_clock}, check_parts, 2},
        {"told", told_reset, {loops_0, loops_1, loops_clock}, check_told, 2},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cases[i].switched = loops_switched;
        printf("%s: %lu schedules\n", cases[i].name, explore(&cases[i]));
        fflush(stdout);
    }
    return 0;
}

/* SPDX-License-Identifier: MIT
 *
 * explore_door.c - a group's door (sched/door.h) through every schedule, late stores included
 *
 * WHAT    join     one fiber's thread closes the door, another one's cancel comes
 *         two      two cancels come: one at most goes through
 *         again    the same, while the storage becomes a second group's, elsewhere
 *
 *   What must hold: a message is posted only if the join waits for it (I2), and by one sender (I3).
 *
 * HOW     The explorer is sequentially consistent, and the door rests on what is not: the join's
 *         store may be seen late, until a heavy barrier of another thread.  So that store goes into
 *         a buffer here, which a virtual thread of its own empties whenever it likes, and the
 *         heavy barrier at once.
 *
 *   `explore_door planted` leaves the heavy barrier out, `explore_door early` posts to the home
 *   that was read before the door, and both must fail: the check checks.
 */
#include "explore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOB_PLAT_BARRIER_H /* not the real one */

static bool buffered, planted, planted_early;
static _Atomic(bool) *buffered_at;

static void buffer_empty(void)
{
    if (buffered)
        *buffered_at = true;
    buffered = false;
}

static void barrier_heavy(void)
{
    explore_step();
    if (!planted)
        buffer_empty();
}

static void barrier_light_store(_Atomic(bool) *p)
{
    explore_step();
    buffered_at = p;
    buffered = true;
}

/* What the home thread stores to the same place later, comes later. */
#undef atomic_store_explicit
#define atomic_store_explicit(p, v, mo)                                                            \
    (explore_step(), buffered = buffered && (void *)(p) != (void *)buffered_at, *(p) = (v))

#include "../../src/sched/door.h"

static struct door door;
static unsigned n_posted, n_knocks;
static bool closed, waits, message;
static int home;
static unsigned n_posted_before;

static void reset(void)
{
    memset(&door, 0, sizeof door);
    n_posted = n_knocks = n_posted_before = 0;
    buffered = closed = waits = message = false;
}

static bool message_is_there(void *unused)
{
    (void)unused;
    return message;
}

/* The home thread: the messages that came, then the join. */
static void join(void)
{
    explore_step();
    if (message) {
        message = false;
        door_entered(&door);
    }
    waits = !door_close(&door);
    closed = !waits;
    if (!waits)
        return;
    explore_wait(message_is_there, NULL); /* for ever, if nobody posts: a deadlock */
    message = false;
    door_entered(&door);
    closed = true;
}

static void cancel(void)
{
    n_knocks++;
    if (!door_enter(&door))
        return;
    explore_step();
    if (closed)
        explore_fail("a message is posted to a group that is gone"); /* (I2) */
    n_posted++;
    message = true;
}

static void store_buffer(void)
{
    explore_step();
    buffer_empty();
}

static void check(void)
{
    if (n_posted > 1)
        explore_fail("%u messages in one storage", n_posted); /* (I3) */
    if (!closed)
        explore_fail("the join did not end");
}

/* The storage again for a group with another home, while a cancel of the first is under way. */
static void join_twice(void)
{
    home = 1;
    join();
    closed = false;
    n_posted_before = n_posted;
    home = 2;
    explore_step();
    door_open(&door, 1);
    join();
}

static void cancel_where(void)
{
    int at = home;

    explore_step();
    if (!door_enter(&door))
        return;
    explore_step();
    if (!planted_early)
        at = home;
    if (closed || at != home)
        explore_fail("a message is posted to where the group was");
    n_posted++;
    message = true;
}

static void check_twice(void)
{
    if (n_posted - n_posted_before > 1)
        explore_fail("%u messages in one storage", n_posted);
    if (!closed)
        explore_fail("the join did not end");
}

int main(int argc, char **argv)
{
    struct explore_case again = {
        "again", reset, {join_twice, cancel_where, cancel_where, store_buffer}, check_twice, 4};
    struct explore_case one = {"join", reset, {join, cancel, store_buffer}, check, 6};
    struct explore_case two = {"two", reset, {join, cancel, cancel, store_buffer}, check, 4};

    planted = argc > 1 && strcmp(argv[1], "planted") == 0;
    planted_early = argc > 1 && strcmp(argv[1], "early") == 0;
    printf("join: %lu schedules\n", explore(&one));
    printf("two: %lu schedules\n", explore(&two));
    printf("again: %lu schedules\n", explore(&again));
    return 0;
}

/* SPDX-License-Identifier: MIT
 *
 * explore_spread.c - tasks that any loop may take, and loops that watch and sleep (sched/spread.c)
 *
 * WHAT    both     a child does not end before its sibling has run: the loop that is left must take
 *                  that one, be it about to sleep, asleep or awake
 *         search   the same, where a loop watches before it sleeps, and is not woken while it does
 *         three    of three such children each of three loops must have one
 *         one      there is one task, and who has started it computes until it has run
 *         called   the same, of three loops: what one waited for at its poller while it searched
 *                  has come, and makes it compute: it must wake the one that sleeps
 *         told     it has come by a message: then the loop takes the task first
 *         nested   the child that was taken starts more, from where it is
 *         busy     loop 0 always has something to run and loop 1 computes: the task runs all the
 *                  same, on loop 0
 *
 *   What must hold: each runs once (I1); no task waits while a loop sleeps, which would be a
 *   deadlock (I2); nor for a loop that goes on for ever, which would be too many steps (I3).
 */
#include "loops.h"

#include <stdio.h>
#include <string.h>

#include "sched/park.h"

enum { CHILDREN = 3 };

static unsigned n_ran[CHILDREN], n_all, n_wanted;
static unsigned n_children;

static bool all_ran(void *unused)
{
    (void)unused;
    return n_all >= n_wanted;
}

static int child(void *arg)
{
    n_ran[(unsigned *)arg - n_ran]++;
    n_all++;
    explore_wait(all_ran, NULL); /* its loop does nothing else meanwhile */
    return 0;
}

static int start_and_join(hob_fn fn, unsigned n)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true));

    for (unsigned i = 0; r == 0 && i < n; i++)
        r = hob_go(&g, fn, &n_ran[i]);
    return hob_group_join(&g, r);
}

static int all_at_once(void *unused)
{
    (void)unused;
    return start_and_join(child, n_children);
}

static void reset(unsigned loops, unsigned children, unsigned searching)
{
    loops_tick = searching ? WATCH_TIME / 2 : 0;
    loops_searching_max = searching;
    loops_reset(loops, all_at_once);
    memset(n_ran, 0, sizeof n_ran);
    n_all = 0;
    n_children = n_wanted = children;
}

static void both_reset(void)
{
    reset(2, 2, 0);
}

static void search_reset(void)
{
    reset(2, 2, 1);
}

static void three_reset(void)
{
    reset(3, 3, 0);
}

/* one */
static int one(void *unused)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true));

    (void)unused;
    if (r == 0)
        r = hob_go(&g, child, &n_ran[0]);
    if (r == 0)
        explore_wait(all_ran, NULL);
    return hob_group_join(&g, r);
}

static void one_reset(void)
{
    reset(2, 1, 0);
    loops_rt.fn = one;
}

/* called */
static struct fiber *waits;
static struct msg call;
static bool by_message;

static bool somebody_waits(void *unused)
{
    (void)unused;
    return waits && waits->run.state == RUN_PARKED;
}

static int waits_for_call(void *unused)
{
    (void)unused;
    waits = hob__self();
    hob__park_shielded(waits, HOB_WAIT_REMOTE);
    explore_wait(all_ran, NULL);
    return 0;
}

static void call_done(void)
{
    hob__ready(waits, 0);
}

static void call_run(struct msg *m)
{
    (void)m;
    call_done();
}

static int calls(void *unused)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true));

    (void)unused;
    if (r == 0)
        r = hob_go(&g, waits_for_call, NULL);
    if (r == 0) {
        explore_wait(somebody_waits, NULL);
        call.run = call_run;
        if (by_message)
            hob__loop_post(waits->loop, &call);
        else
            loops_complete(waits->loop, call_done);
        r = hob_go(&g, child, &n_ran[0]);
    }
    if (r == 0)
        explore_wait(all_ran, NULL);
    return hob_group_join(&g, r);
}

static void called_reset(void)
{
    reset(3, 1, 1);
    loops_rt.fn = calls;
    waits = NULL;
    by_message = false;
}

static void told_reset(void)
{
    called_reset();
    by_message = true;
}

/* nested: the group's home is one loop, who starts children may be on the other. */
static hob_group *open_group;

static int nested_child(void *arg)
{
    unsigned *mine = arg;
    int r = 0;

    ++*mine;
    n_all++;
    if (mine == &n_ran[0])
        r = hob_go(open_group, nested_child, &n_ran[1]);
    return r;
}

static int nested(void *unused)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true));

    (void)unused;
    open_group = &g;
    if (r == 0)
        r = hob_go(&g, nested_child, &n_ran[0]);
    return hob_group_join(&g, r);
}

static void nested_reset(void)
{
    reset(2, 2, 0);
    loops_rt.fn = nested;
}

/* busy */
static int yields_until_it_ran(void *unused)
{
    int r = 0;

    (void)unused;
    while (r == 0 && n_ran[0] == 0)
        r = hob_yield();
    return r;
}

static int counts(void *arg)
{
    ++*(unsigned *)arg;
    n_all++;
    return 0;
}

static int busy(void *unused)
{
    hob_group g, other;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true));

    (void)unused;
    if (r == 0)
        r = hob_go(&g, counts, &n_ran[0]);
    if (r == 0 && (r = hob_group_open(&other, NULL)) == 0) {
        r = hob_go(&other, yields_until_it_ran, NULL);
        r = hob_group_join(&other, r);
    }
    return hob_group_join(&g, r);
}

static void busy_reset(void)
{
    reset(2, 1, 0);
    loops_rt.fn = busy;
}

/* It computes until the task has run. */
static void loop_1_computes(void)
{
    explore_wait(all_ran, NULL);
    loops_1();
}

static void check(void)
{
    int r = loops_result();

    if (r != 0)
        explore_fail("the join returned %d", r);
    for (unsigned i = 0; i < n_children; i++)
        if (n_ran[i] != 1)
            explore_fail("child %u ran %u times", i, n_ran[i]);
    for (unsigned i = 0; i < loops_rt.n_loops; i++)
        if (loops_rt.loops[i].spread.n != 0 || loops_rt.loops[i].spread.queue.head)
            explore_fail("loop %u has tasks left", i);
}

int main(void)
{
    struct explore_case cases[] = {
        {"both", both_reset, {loops_0, loops_1}, check, 3},
        {"search", search_reset, {loops_0, loops_1}, check, 3},
        {"three", three_reset, {loops_0, loops_1, loops_2}, check, 2},
        {"one", one_reset, {loops_0, loops_1}, check, 3},
        {"called", called_reset, {loops_0, loops_1, loops_2}, check, 2},
        {"told", told_reset, {loops_0, loops_1, loops_2}, check, 2},
        {"nested", nested_reset, {loops_0, loops_1}, check, 3},
        {"busy", busy_reset, {loops_0, loop_1_computes}, check, 3},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cases[i].switched = loops_switched;
        printf("%s: %lu schedules\n", cases[i].name, explore(&cases[i]));
        fflush(stdout);
    }
    return 0;
}

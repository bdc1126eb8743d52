/* SPDX-License-Identifier: MIT */
#include <hob/hob.h>

#include <sched.h>
#include <stdatomic.h>

#include "lib/each.h"
#include "lib/t.h"

enum { COMPUTERS = 4 };

static atomic_int started;

/* Computes until all of them do: on fewer loops than children it would never end. */
static int computes(void *arg)
{
    (void)arg;
    started++;
    while (started < COMPUTERS)
        sched_yield();
    return 0;
}

static int open_computers(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true));

    (void)arg;
    for (int i = 0; i < COMPUTERS && r == 0; i++)
        r = hob_go(&g, computes, NULL);
    return hob_group_join(&g, r);
}

TEST(few_children_that_compute_get_a_loop_each)
{
    for (int i = 0; i < 20; i++) {
        started = 0;
        CHECK_INT(hob_run(HOB_OPTS(.loops = COMPUTERS), open_computers, NULL), 0);
    }
}

/* Sees the cancel and calls it a result, as a page that was not fetched is one. */
static int shrugs(void *arg)
{
    (void)arg;
    return hob_sleep(3600 * HOB_SEC) == -ECANCELED ? 0 : -EPROTO;
}

static int shrugged_off(void *arg)
{
    bool spread = *(bool *)arg;
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.until = hob_in(3 * HOB_MS), .spread = spread));

    for (int i = 0; i < 2 && r == 0; i++)
        r = hob_go(&g, shrugs, NULL);
    return hob_group_join(&g, r);
}

TEST(a_deadline_that_only_members_elsewhere_saw_is_a_time_out)
{
    bool spread[] = {false, true};

    each_world_run(shrugged_off, &spread[0], NULL, -ETIMEDOUT);
    each_world_run(shrugged_off, &spread[1], NULL, -ETIMEDOUT);
}

static _Atomic(int) ran_on[3];

static int notes_its_loop(void *arg)
{
    (void)arg;
    ran_on[hob_loop_index()]++;
    return 0;
}

static int spread_wide(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true));

    (void)arg;
    for (int i = 0; i < 8 && r == 0; i++)
        r = hob_go(&g, notes_its_loop, NULL);
    return hob_group_join(&g, r);
}

TEST(simulated_loops_take_each_others_tasks)
{
    setenv("HOB_LOOPS", "3", 1);
    for (int seed = 0; seed < 50; seed++) {
        char text[16];
        snprintf(text, sizeof text, "%d", seed);
        setenv("HOB_SIM", text, 1);
        CHECK_INT(hob_run(NULL, spread_wide, NULL), 0);
    }
    CHECK(ran_on[0] > 20 && ran_on[1] > 20 && ran_on[2] > 20);
}

static _Atomic(bool) spinning, may_end;

static void spin_reset(void *arg)
{
    (void)arg;
    spinning = may_end = false;
}

static int spins(void *arg)
{
    int r = 0;

    (void)arg;
    spinning = true;
    while (r == 0 && !may_end)
        r = hob_yield();
    return r;
}

static int ends_it(void *arg)
{
    (void)arg;
    may_end = true;
    return 0;
}

/* With two loops both are busy for ever, unless one starts the task that ends it. */
static int all_loops_busy(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true));

    (void)arg;
    if (r == 0)
        r = hob_go(&g, spins, NULL);
    while (r == 0 && !spinning)
        r = hob_yield();
    if (r == 0)
        r = hob_go(&g, ends_it, NULL);
    while (r == 0 && !may_end)
        r = hob_yield();
    return hob_group_join(&g, r);
}

TEST(a_task_starts_although_every_loop_is_busy)
{
    each_world_run(all_loops_busy, NULL, spin_reset, 0);
}

static _Atomic(bool) taken;

static int is_taken(void *arg)
{
    (void)arg;
    taken = true;
    return 0;
}

/* The loop that made it is held, so only the one that sleeps can start it. */
static int held_loop(void *arg)
{
    hob_group g;
    int r = hob_sleep(5 * HOB_MS); /* sleep: the other loop goes to sleep meanwhile */

    (void)arg;
    taken = false;
    if (r == 0)
        r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true));
    if (r == 0)
        r = hob_go(&g, is_taken, NULL);
    while (!taken)
        sched_yield();
    return hob_group_join(&g, r);
}

TEST(a_sleeping_loop_is_woken_for_a_task)
{
    for (int i = 0; i < 10; i++)
        CHECK_INT(hob_run(HOB_OPTS(.loops = 2), held_loop, NULL), 0);
}

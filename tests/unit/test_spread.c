/* SPDX-License-Identifier: MIT */
#include <hob/hob.h>

#include <sched.h>
#include <stdatomic.h>

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

/* SPDX-License-Identifier: MIT
 *
 * slab.c - where a loop's tasks come from
 *
 * WHAT        A task lives from hob_go to the end of what it runs.  A loop takes them from slabs of
 *             its own, keeps them in a list when they have ended, and gives the slabs back at the
 *             end of the run: tasks that run elsewhere come home by message first (fiber.c).
 */
#include <stdlib.h>

#include "sched/loop.h"

enum { TASKS_A_SLAB = 63 };

struct task_slab {
    struct task_slab *next;
    struct task task[TASKS_A_SLAB];
};

bool hob__task_refill(struct loop *l)
{
    struct task_slab *s = malloc(sizeof *s);

    if (!s)
        return false;
    s->next = l->slabs;
    l->slabs = s;
    for (int i = TASKS_A_SLAB - 1; i >= 0; i--)
        task_free(l, &s->task[i]);
    return true;
}

void hob__task_slabs_free(struct loop *l)
{
    struct task_slab *s, *next;

    for (s = l->slabs; s; s = next) {
        next = s->next;
        free(s);
    }
    l->slabs = NULL;
    l->free_tasks = NULL;
}

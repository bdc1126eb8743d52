/* SPDX-License-Identifier: MIT
 *
 * look.c - what a loop has at this moment, fiber by fiber
 *
 * HOW         No list of all fibers is kept, which every spawn would pay for: a loop's stacks lie
 *             in slabs that know which are taken, and a fiber's struct lies at the top of its
 *             stack.  So all fibers of a loop are found from its stacks alone; a debugger does the
 *             same in a core file (tools/gdb/hob.py).
 *
 * INVARIANTS  (I1) a taken stack holds a fiber that was begun or is to begin: between taking a
 *                  stack and filling its struct nothing else runs on the loop
 *             (I2) the way from a member up to the root passes groups that cannot end meanwhile:
 *                  a group's join waits for its members.  What is read of each (name, opener) was
 *                  set before the first member began, so the way may lead over other loops.
 */
#include "sched/look.h"

#include <string.h>

#include "sched/rt.h"
#include "sched/scope.h"

struct walk {
    const struct loop *loop;
    void (*fn)(void *arg, const struct fiber *f);
    void *arg;
};

static void walk_stack(void *arg, void *lo)
{
    const struct walk *w = arg;
    const struct fiber *f = fiber_at(&w->loop->stacks, lo); /* (I1) */

    if (f->run.state != RUN_DEAD)
        w->fn(w->arg, f);
}

void hob__look_fibers(const struct loop *l, void (*fn)(void *arg, const struct fiber *f), void *arg)
{
    struct walk w = {.loop = l, .fn = fn, .arg = arg};

    hob__stack_each(&l->stacks, walk_stack, &w);
}

static bool tasks_alike(const struct task *a, const struct task *b)
{
    return task_fn(a) == task_fn(b) && a->site == b->site && a->group == b->group;
}

static void queue_tasks(const struct runq *q, const struct runnable *mark,
                        void (*fn)(void *arg, const struct task *t, uint64_t n), void *arg)
{
    const struct task *first = NULL;
    uint64_t n = 0;

    for (const struct runnable *r = q->head; r; r = r->next) {
        if (r->state != RUN_NEW || r == mark)
            continue;
        const struct task *t = container_of(r, struct task, run);
        if (first && tasks_alike(first, t)) {
            n++;
            continue;
        }
        if (first)
            fn(arg, first, n);
        first = t;
        n = 1;
    }
    if (first)
        fn(arg, first, n);
}

void hob__look_tasks(struct loop *l, void (*fn)(void *arg, const struct task *t, uint64_t n),
                     void *arg)
{
    queue_tasks(&l->ready, &l->mark, fn, arg);
    queue_tasks(&l->ahead, NULL, fn, arg);
    queue_tasks(&l->aged, NULL, fn, arg);
    hob__spread_hold(l);
    queue_tasks(&l->spread.queue, NULL, fn, arg);
    hob__spread_let(l);
}

size_t hob__look_depth(const struct fiber *f)
{
    const char *sp = (const char *)((uintptr_t)f->ctx.sp & ~(uintptr_t)1);

    if (f->run.state == RUN_RUNNING)
        sp = f == hob__self() ? __builtin_frame_address(0) : NULL;
    return sp && sp > (const char *)f->stack && sp < (const char *)f
               ? (size_t)((const char *)f - sp)
               : 0;
}

/* Written from the end, because the innermost group is at hand. */
void hob__look_path(const struct group *g, char ret_path[LOOK_PATH_MAX])
{
    size_t at = LOOK_PATH_MAX - 1;

    ret_path[at] = '\0';
    for (; g; g = g->opener ? g->opener->own_scope->group : NULL) { /* (I2) */
        const char *name = g->name ? g->name : "(no name)";
        size_t n = strlen(name);

        if (n + 5 > at) { /* "/" here and ".../" before it */
            memcpy(ret_path + at - 4, ".../", 4);
            at -= 4;
            break;
        }
        if (ret_path[at])
            ret_path[--at] = '/';
        memcpy(ret_path + (at -= n), name, n);
    }
    memmove(ret_path, ret_path + at, LOOK_PATH_MAX - at);
}

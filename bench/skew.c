/* SPDX-License-Identifier: MIT
 *
 * skew.c - how late tasks are done when most of them are born on one loop
 *
 * WHAT   Every PERIOD two fibers, one on each of two loops, start tasks that compute for TASK:
 *        four fifths of them on one loop, as many as that two cores are busy for half of the time,
 *        and the loop they are born on alone would be for four fifths of it.  Late is from the
 *        period's begin to a task's end; skew is the 99th percentile.
 *        The peers: goroutines; Tokio tasks on the multi-thread runtime; two cores each.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <hob/fiber.h>
#include <hob/group.h>
#include <hob/rt.h>

#include "bench.h"

#define TASK   (20 * HOB_US)
#define PERIOD (2 * HOB_MS)
enum { PERIODS = 500, FEW = 20, MANY = 4 * FEW, TASKS = PERIODS * (FEW + MANY) };

struct task {
    hob_time born;
    hob_dur late;
};

struct source {
    struct task *tasks;
    unsigned n; /* a period */
    hob_time start;
    atomic_uint *n_begun;
};

static int compute(void *arg)
{
    struct task *t = arg;
    hob_time end = hob_now() + TASK;

    while (hob_now() < end)
        continue;
    t->late = hob_now() - t->born;
    return 0;
}

static int source_run(void *arg)
{
    struct source *s = arg;
    hob_group g;
    int r;

    atomic_fetch_add(s->n_begun, 1);
    while (atomic_load(s->n_begun) < 2)
        continue; /* holds its loop, so that the other source gets one of its own */
    r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true));
    for (unsigned p = 0; p < PERIODS && r == 0; p++) {
        hob_time born = s->start + p * PERIOD;

        r = hob_sleep_until(born);
        for (unsigned i = 0; i < s->n && r == 0; i++) {
            struct task *t = &s->tasks[p * s->n + i];

            t->born = born;
            r = hob_go(&g, compute, t);
        }
    }
    return hob_group_join(&g, r);
}

static int compare(const void *a, const void *b)
{
    hob_dur x = ((const struct task *)a)->late, y = ((const struct task *)b)->late;

    return (x > y) - (x < y);
}

static int run(void *arg)
{
    struct task *tasks = calloc(TASKS, sizeof *tasks);
    atomic_uint n_begun = 0;
    struct source many = {tasks, MANY, hob_in(20 * HOB_MS), &n_begun}, few = many;
    hob_group g;
    int r = tasks ? hob_group_open(&g, HOB_GROUP_OPTS(.spread = true)) : -ENOMEM;

    if (r < 0)
        goto out;
    few.tasks += PERIODS * MANY;
    few.n = FEW;
    r = hob_go(&g, source_run, &many);
    if (r == 0)
        r = hob_go(&g, source_run, &few);
    r = hob_group_join(&g, r);
    if (r < 0)
        goto out;
    qsort(tasks, TASKS, sizeof *tasks, compare);
    printf("skew_p50 %.1f us\n", (double)tasks[TASKS / 2].late / 1e3);
    printf("skew %.1f us\n", (double)tasks[TASKS / 100 * 99].late / 1e3);
out:
    free(tasks);
    return r;
}

int main(void)
{
    return bench_exit("skew", hob_run(HOB_OPTS(.loops = 2), run, NULL));
}

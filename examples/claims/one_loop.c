/* SPDX-License-Identifier: MIT
 *
 * one_loop.c - one loop is concurrent and not parallel; two are both
 *
 * Forty tasks compute in slices and give way after each.  On one loop all of them are in progress
 * and one core is busy.  The same fibers on two loops keep two cores busy, as Go's goroutines do
 * with GOMAXPROCS=2.
 */
#include <stdatomic.h>
#include <stdio.h>

#include "claim.h"

enum { TASKS = 40, SLICES = 3, SLICE_MS = 2 };

static atomic_int in_progress, most;

static int task(void *unused)
{
    int now = atomic_fetch_add(&in_progress, 1) + 1, seen = atomic_load(&most), r = 0;

    while (now > seen && !atomic_compare_exchange_weak(&most, &seen, now))
        ;
    for (int i = 0; r == 0 && i < SLICES; i++) {
        claim_compute(SLICE_MS);
        r = hob_yield();
    }
    atomic_fetch_sub(&in_progress, 1);
    return r;
}

static int run(void *unused)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true)); /* on one loop it changes nothing */

    for (int i = 0; r == 0 && i < TASKS; i++)
        r = hob_go(&g, task, NULL);
    return hob_group_join(&g, r);
}

static double timed(unsigned loops, double first)
{
    double cpu = claim_cpu_ms(), ms;
    hob_time begin = hob_now();

    atomic_store(&most, 0);
    claim_run(HOB_OPTS(.loops = loops), run, NULL);
    ms = claim_ms(begin);
    cpu = claim_cpu_ms() - cpu;
    printf("%u loop%s %2d tasks in progress at once, %.1f cores busy, %4.0f ms", loops,
           loops == 1 ? ": " : "s:", atomic_load(&most), cpu / ms, ms);
    printf(first > 0 ? ", %.1fx\n" : "\n", first / ms);
    return ms;
}

int main(void)
{
    double first = timed(1, 0);

    timed(2, first);
    return 0;
}

/* SPDX-License-Identifier: MIT
 *
 * async_is_not_parallel.c - four computations "at once" on one loop take the time of four
 *
 * Starting them as fibers changes nothing: they compute one after the other, and while one does
 * the loop does nothing else (a fiber that ticks each millisecond tells).  Handed to the pool they
 * run in parallel, and the loop stays awake.
 */
#include <stdio.h>

#include "claim.h"

enum { TASKS = 4, TASK_MS = 50 };

static int compute(void *unused)
{
    return claim_compute(TASK_MS);
}

static int compute_on_pool(void *unused)
{
    return hob_offload(compute, NULL, HOB_FOREVER);
}

/* How long the loop kept somebody waiting at worst. */
static int tick(void *arg)
{
    hob_dur *worst = arg;
    int r = 0;

    while (r == 0) {
        hob_time due = hob_in(HOB_MS);
        r = hob_sleep_until(due);
        if (hob_now() - due > *worst)
            *worst = hob_now() - due;
    }
    return r;
}

struct load {
    hob_fn fn;
    uint32_t max_live;
    hob_dur worst;
    double ms;
};

static int run(void *arg)
{
    struct load *l = arg;
    hob_time begin = hob_now();
    hob_group ticker, tasks;
    int r = hob_group_open(&ticker, NULL);

    if (r == 0)
        r = hob_go(&ticker, tick, &l->worst);
    if (r == 0)
        r = hob_sleep(2 * HOB_MS); /* the ticker is under way */
    if (r == 0 && (r = hob_group_open(&tasks, HOB_GROUP_OPTS(.max_live = l->max_live))) == 0) {
        begin = hob_now();
        for (int i = 0; r == 0 && i < TASKS; i++)
            r = hob_go(&tasks, l->fn, NULL);
        r = hob_group_join(&tasks, r);
        l->ms = claim_ms(begin);
    }
    if (r == 0)
        r = hob_sleep(2 * HOB_MS); /* the ticker sees what it missed */
    hob_group_cancel(&ticker, 0);
    return hob_group_join(&ticker, r);
}

static double timed(const char *how, hob_fn fn, uint32_t max_live, double first)
{
    struct load l = {.fn = fn, .max_live = max_live};

    claim_run(NULL, run, &l);
    printf("%-31s %5.0f ms", how, l.ms);
    if (first > 0)
        printf(", %.1fx", first / l.ms);
    printf("; the loop's longest delay %.1f ms\n", (double)l.worst / (double)HOB_MS);
    return l.ms;
}

int main(void)
{
    double first = timed("one after another:", compute, 1, 0);

    timed("four fibers at once (async):", compute, 0, first);
    timed("four fibers, hob_offload:", compute_on_pool, 0, first);
    return 0;
}

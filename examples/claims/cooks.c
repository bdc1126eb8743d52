/* SPDX-License-Identifier: MIT
 *
 * cooks.c - one cook and four pots, four cooks and a dish each: what decides is the work
 *
 * The same four dishes, three ways: one after another; all in progress at once on one loop (one
 * cook, concurrent); the same fibers spread over four loops (four cooks, parallel).  Once the
 * dishes simmer, which is waiting, and once they are chopped, which is computing.
 */
#include <stdio.h>

#include "claim.h"

enum { DISHES = 4, DISH_MS = 60 };

static int simmer(void *unused)
{
    return hob_sleep(DISH_MS * HOB_MS);
}

static int chop(void *unused)
{
    return claim_compute(DISH_MS);
}

struct kitchen {
    hob_fn dish;
    uint32_t max_live; /* dishes in progress at once; 0: all */
    double ms;
};

static int cook(void *arg)
{
    struct kitchen *k = arg;
    hob_time begin = hob_now();
    hob_group dishes;
    int r =
        hob_group_open(&dishes, HOB_GROUP_OPTS(.max_live = k->max_live, .spread = hob_loops() > 1));

    for (int i = 0; r == 0 && i < DISHES; i++)
        r = hob_go(&dishes, k->dish, NULL);
    r = hob_group_join(&dishes, r);
    k->ms = claim_ms(begin);
    return r;
}

static double timed(hob_fn dish, uint32_t max_live, uint32_t cooks)
{
    struct kitchen k = {.dish = dish, .max_live = max_live};

    claim_run(HOB_OPTS(.loops = cooks), cook, &k);
    return k.ms;
}

int main(void)
{
    double wait = timed(simmer, 1, 1), work = timed(chop, 1, 1), a, b;

    printf("%d dishes of %d ms, %u usable cores      simmering (waits)   chopping (computes)\n",
           DISHES, DISH_MS, hob_cores());
    printf("one after another                      %7.0f ms            %7.0f ms\n", wait, work);
    a = timed(simmer, 0, 1), b = timed(chop, 0, 1);
    printf("one cook, all in progress: concurrent  %7.0f ms %5.1fx     %7.0f ms %5.1fx\n", a,
           wait / a, b, work / b);
    a = timed(simmer, 0, DISHES), b = timed(chop, 0, DISHES);
    printf("four cooks, a dish each: parallel      %7.0f ms %5.1fx     %7.0f ms %5.1fx\n", a,
           wait / a, b, work / b);
    return 0;
}

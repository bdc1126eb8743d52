/* SPDX-License-Identifier: MIT
 *
 * worker.c - a worker thread: heavy computing moved off the loop, which stays awake
 *
 * The loop here has something else to do: it ticks every 10 ms, as a server would answer requests.
 * hob_offload hands the function to the pool and parks the fiber until the result is there.  Called
 * as prime_count(&limit) instead, the same function would hold the loop and no tick would come.
 */
#include <stdio.h>
#include <stdlib.h>

#include <hob/hob.h>

/* What computes: an ordinary function.  Primes below *arg, the slow way. */
static int prime_count(void *arg)
{
    int limit = *(int *)arg, n = 0;

    for (int i = 2; i < limit; i++) {
        int d = 2;
        while (d * d <= i && i % d != 0)
            d++;
        n += d * d > i;
    }
    return n;
}

static int tick(void *arg)
{
    int *ticks = arg, r;

    while ((r = hob_sleep(10 * HOB_MS)) == 0)
        ++*ticks;
    return r;
}

static int run(void *arg)
{
    int ticks = 0, n = -1;
    hob_group g;
    int r = hob_group_open(&g, NULL);

    if (r == 0)
        r = hob_go(&g, tick, &ticks);
    if (r == 0)
        r = n = hob_offload(prime_count, arg, HOB_FOREVER); /* parks; the ticks go on */
    if (r >= 0)
        hob_group_cancel(&g, 0); /* 0: enough, nothing is wrong */
    r = hob_group_join(&g, r < 0 ? r : 0);
    if (r == 0)
        printf("%d primes below %d; the loop ticked %d times meanwhile\n", n, *(int *)arg, ticks);
    return r;
}

int main(int argc, char **argv)
{
    int limit = argc > 1 ? atoi(argv[1]) : 2 * 1000 * 1000;

    return hob_run(NULL, run, &limit) < 0;
}

/* SPDX-License-Identifier: MIT
 *
 * yield.c - what it costs to go from one ready fiber to the next
 *
 * WHAT   Two fibers on one loop that do nothing but yield to each other.
 *        The peers: two goroutines in runtime.Gosched, two Tokio tasks in yield_now.
 */
#include <hob/fiber.h>
#include <hob/group.h>
#include <hob/rt.h>

#include "bench.h"

enum { FIBERS = 2, YIELDS = 20 * 1000 * 1000 };

static int yielder(void *arg)
{
    int r = 0;

    for (int i = 0; i < YIELDS && r == 0; i++)
        r = hob_yield();
    return r;
}

static int run(void *arg)
{
    hob_group g;
    hob_time begin = bench_begin();
    int r = hob_group_open(&g, NULL);

    for (int i = 0; i < FIBERS && r == 0; i++)
        r = hob_go(&g, yielder, NULL);
    r = hob_group_join(&g, r);
    if (r == 0)
        bench_end("yield", begin, (size_t)FIBERS * YIELDS, "ns/switch");
    return r;
}

int main(void)
{
    return bench_exit("yield", hob_run(HOB_OPTS(.loops = 1), run, NULL));
}

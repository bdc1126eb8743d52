/* SPDX-License-Identifier: MIT
 *
 * hello.c - two fibers that wait at the same time
 *
 * Both sleep 10 ms, and the program takes 10 ms: a sleeping fiber holds no thread.
 */
#include <hob/hob.h>
#include <stdio.h>

static int greet(void *name) /* a fiber: reads like blocking code */
{
    int r = hob_sleep(10 * HOB_MS); /* parks this fiber, not the thread */
    return r < 0 ? r : printf("hello, %s\n", (char *)name);
}

static int both(void *unused)
{
    char pots[] = "pots", cooks[] = "cooks"; /* children may use it: they end before the join */
    hob_group g;
    int r = hob_group_open(&g, NULL);

    if (r == 0)
        r = hob_go(&g, greet, pots);
    if (r == 0)
        r = hob_go(&g, greet, cooks);
    return hob_group_join(&g, r); /* waits for both; the first cause, or 0 */
}

int main(void)
{
    return hob_run(NULL, both, NULL) < 0;
}

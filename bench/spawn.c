/* SPDX-License-Identifier: MIT
 *
 * spawn.c - what it costs to start an empty fiber and to wait for its end
 *
 * WHAT   spawn: one fiber after the other, each in a group of its own and joined before the next.
 *        The peers: `go` and a WaitGroup or a channel; tokio::spawn(..).await.
 *        spawn_batch: a thousand in one group, joined together; the peers likewise.
 *        Both sides start and await the same number of tasks in the same order; Go's WaitGroup is
 *        made once for all, hob's group once for each.
 */
#include <hob/group.h>
#include <hob/rt.h>

#include "bench.h"

enum { TASKS = 10 * 1000 * 1000, BATCH = 1000 };

static int nothing(void *arg)
{
    return 0;
}

static int spawn(int ntask)
{
    hob_group g;
    int r = hob_group_open(&g, NULL);

    for (int i = 0; i < ntask && r == 0; i++)
        r = hob_go(&g, nothing, NULL);
    return hob_group_join(&g, r);
}

static int run(void *arg)
{
    static const struct {
        const char *metric;
        int ntask;
    } parts[] = {{"spawn", 1}, {"spawn_batch", BATCH}};
    int r = 0;

    for (size_t p = 0; p < sizeof parts / sizeof parts[0] && r == 0; p++) {
        hob_time begin = bench_begin();

        for (int i = 0; i < TASKS && r == 0; i += parts[p].ntask)
            r = spawn(parts[p].ntask);
        if (r == 0)
            bench_end(parts[p].metric, begin, TASKS, "ns/task");
    }
    return r;
}

int main(void)
{
    return bench_exit("spawn", hob_run(HOB_OPTS(.loops = 1), run, NULL));
}

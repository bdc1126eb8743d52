/* SPDX-License-Identifier: MIT
 *
 * parked.c - a million fibers that wait: memory, to create them, to end them
 *
 * WHAT   Each fiber sleeps for an hour, on a guarded stack of the default size, under the
 *        system's own vm.max_map_count.  parked_create: until the last of them is parked;
 *        parked_rss: resident memory they take; parked_end: cancel, and join.
 *        The peers: goroutines in a select of a timer and a channel that is closed; Tokio tasks in
 *        sleep, aborted and joined.
 */
#include <errno.h>
#include <unistd.h>

#include <hob/fiber.h>
#include <hob/group.h>
#include <hob/rt.h>

#include "bench.h"

enum { FIBERS = 1000 * 1000 };

struct lot {
    size_t n_parked;
};

/* Resident bytes of the process; 0: unknown. */
static size_t resident(void)
{
    FILE *f = fopen("/proc/self/statm", "re");
    unsigned long pages = 0;

    if (f && fscanf(f, "%*u %lu", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static int sleeper(void *arg)
{
    struct lot *lot = arg;
    int r;

    lot->n_parked++;
    r = hob_sleep(3600 * HOB_SEC);
    lot->n_parked--;
    return r == -ECANCELED ? 0 : -EPROTO;
}

static int run(void *arg)
{
    struct lot lot = {0};
    hob_group g;
    size_t before = resident();
    hob_time begin = bench_begin();
    int r = hob_group_open(&g, NULL);

    for (int i = 0; i < FIBERS && r == 0; i++)
        r = hob_go(&g, sleeper, &lot);
    while (r == 0 && lot.n_parked < FIBERS)
        r = hob_yield();
    if (r < 0)
        return hob_group_join(&g, r);
    bench_end("parked_create", begin, FIBERS, "ns/task");
    printf("parked_rss %.1f B/task\n", (double)(resident() - before) / FIBERS);
    begin = bench_begin();
    hob_group_cancel(&g, 0);
    r = hob_group_join(&g, 0);
    bench_end("parked_end", begin, FIBERS, "ns/task");
    return r == 0 && lot.n_parked ? -EPROTO : r;
}

int main(void)
{
    return bench_exit("parked", hob_run(HOB_OPTS(.loops = 1), run, NULL));
}

/* SPDX-License-Identifier: MIT
 *
 * timers.c - a million timers set, and cancelled
 *
 * WHAT   The timers under every deadline: each is set for a moment one second to a minute away,
 *        then each is stopped, in the order they were set.  hob has no timer of its own in its
 *        API, so this uses what its deadlines use, src/sched/timer.h.
 *        The peers: Go's time.AfterFunc and Stop; Tokio's sleep, polled once and dropped.
 *        All of them include the memory of the timers.
 */
#include <stdlib.h>

#include "sched/timer.h"

#include "bench.h"

enum { TIMERS = 1000 * 1000 };

static void never(struct timer *t)
{
    abort();
}

int main(void)
{
    static struct wheel w;
    uint64_t x = 88172645463325252;
    hob_time begin = bench_begin(), set;
    struct timer *all = malloc(TIMERS * sizeof *all);

    if (!all)
        return 1;
    hob__wheel_init(&w, begin);
    for (size_t i = 0; i < TIMERS; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        all[i].set = false;
        all[i].fire = never;
        hob__timer_set(&w, &all[i], begin + HOB_SEC + (hob_dur)(x % (60 * (uint64_t)HOB_SEC)));
    }
    set = hob_now();
    for (size_t i = 0; i < TIMERS; i++)
        timer_stop(&w, &all[i]);
    printf("timers_set %.3f ns/timer\n", (double)(set - begin) / TIMERS);
    printf("timers_cancel %.3f ns/timer\n", (double)(hob_now() - set) / TIMERS);
    bench_end("timers", begin, TIMERS, "ns/timer");
    free(all);
    return 0;
}

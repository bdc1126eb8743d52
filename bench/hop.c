/* SPDX-License-Identifier: MIT
 *
 * hop.c - how long a fiber of another loop takes to run, once a value was sent to it
 *
 * WHAT   The receiver, on loop 1, waits on a channel whose home is its own loop; a fiber of loop 0
 *        sends it the time.  wake_awake: one value after the other, so the receiver's loop has
 *        just been at work.  wake_asleep: a millisecond between values.  Both are medians, one way.
 *        The peer: a thread that sleeps on an eventfd, which is what the kernel gives anybody.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <hob/chan.h>
#include <hob/fiber.h>
#include <hob/group.h>
#include <hob/rt.h>

#include "bench.h"

enum { AWAKE = 100 * 1000, ASLEEP = 1000 };

struct hop {
    hob_chan *_Atomic chan; /* made by the receiver, on its loop */
    hob_dur *late;
};

static int receiver(void *arg)
{
    struct hop *h = arg;
    hob_chan *chan;
    int r;

    if (hob_loop_index() == 0)
        return -EAGAIN; /* the opener's loop: nobody else took it */
    if ((r = hob_chan_new(sizeof(hob_time), NULL, &chan)) < 0)
        return r;
    atomic_store(&h->chan, chan);
    for (int i = 0; i < AWAKE + ASLEEP && r == 0; i++) {
        hob_time sent;

        if ((r = hob_chan_recv(chan, HOB_FOREVER, &sent)) == 0)
            h->late[i] = hob_now() - sent;
    }
    return r;
}

static int compare(const void *a, const void *b)
{
    hob_dur x = *(const hob_dur *)a, y = *(const hob_dur *)b;

    return (x > y) - (x < y);
}

static void report(const char *metric, hob_dur *late, size_t n)
{
    qsort(late, n, sizeof *late, compare);
    printf("%s %lld ns\n", metric, (long long)late[n / 2]);
}

static int send_all(hob_chan *chan)
{
    int r = 0;

    for (int i = 0; i < AWAKE + ASLEEP && r == 0; i++) {
        hob_time now;

        if (i >= AWAKE && (r = hob_sleep(HOB_MS)) < 0)
            return r;
        now = hob_now();
        r = hob_chan_send(chan, &now, HOB_FOREVER);
    }
    return r;
}

static int run(void *arg)
{
    struct hop h = {.late = malloc((AWAKE + ASLEEP) * sizeof(hob_dur))};
    hob_group g;
    int r = h.late ? hob_group_open(&g, HOB_GROUP_OPTS(.spread = true)) : -ENOMEM;

    if (r < 0)
        goto out;
    r = hob_go(&g, receiver, &h);
    while (r == 0 && !atomic_load(&h.chan))
        continue; /* this loop stays busy, so that the other one takes it */
    if (r == 0)
        r = send_all(h.chan);
    r = hob_group_join(&g, r);
    if (r == 0) {
        report("wake_awake", h.late, AWAKE);
        report("wake_asleep", h.late + AWAKE, ASLEEP);
    }
    hob_chan_free(h.chan);
out:
    free(h.late);
    return r;
}

int main(void)
{
    return bench_exit("hop", hob_run(HOB_OPTS(.loops = 2), run, NULL));
}

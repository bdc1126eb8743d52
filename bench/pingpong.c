/* SPDX-License-Identifier: MIT
 *
 * pingpong.c - what it costs to hand one value to another fiber of the same loop
 *
 * WHAT   Two rendezvous channels, a value there and back; a round trip is two messages.
 *        The peers: Go's unbuffered channels; Tokio has no rendezvous, so its channels of
 *        capacity 1, a weaker contract.
 */
#include <errno.h>

#include <hob/chan.h>
#include <hob/group.h>
#include <hob/rt.h>

#include "bench.h"

enum { ROUNDS = 5 * 1000 * 1000 };

struct table {
    hob_chan *there, *back;
};

static int echo(void *arg)
{
    struct table *t = arg;
    int value, r = 0;

    while (r == 0) {
        r = hob_chan_recv(t->there, HOB_FOREVER, &value);
        if (r == 0)
            r = hob_chan_send(t->back, &value, HOB_FOREVER);
    }
    return r == -EPIPE ? 0 : r;
}

static int serve(struct table *t)
{
    hob_time begin = bench_begin();
    int r = 0;

    for (int i = 0; i < ROUNDS && r == 0; i++) {
        int value = i;

        r = hob_chan_send(t->there, &i, HOB_FOREVER);
        if (r == 0)
            r = hob_chan_recv(t->back, HOB_FOREVER, &value);
        if (r == 0 && value != i)
            r = -EPROTO;
    }
    if (r == 0)
        bench_end("pingpong", begin, 2 * (size_t)ROUNDS, "ns/message");
    return r;
}

static int run(void *arg)
{
    struct table t = {NULL, NULL};
    hob_group g;
    int r = hob_chan_new(sizeof(int), NULL, &t.there);

    if (r == 0)
        r = hob_chan_new(sizeof(int), NULL, &t.back);
    if (r < 0)
        goto out;
    r = hob_group_open(&g, NULL);
    if (r < 0)
        goto out;
    r = hob_go(&g, echo, &t);
    if (r == 0)
        r = serve(&t);
    hob_chan_close(t.there);
    r = hob_group_join(&g, r);
out:
    hob_chan_free(t.back);
    hob_chan_free(t.there);
    return r;
}

int main(void)
{
    return bench_exit("pingpong", hob_run(HOB_OPTS(.loops = 1), run, NULL));
}

/* SPDX-License-Identifier: MIT
 *
 * select.c - one fiber that takes work from two channels, the urgent ones first, until both end
 *
 *     urgent --.
 *               >-- worker, which gives up when there is nothing to do for a second
 *     other  --'
 *
 * Exactly one arm happens at each call: what was not taken is still in its channel.  A channel that
 * was closed and is empty is news too, -EPIPE, and then its arm is taken out.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <hob/hob.h>

enum { URGENT, OTHER, TOO_LONG, N_ARMS };

struct office {
    uint64_t n, done[2], sum;
    hob_chan *urgent, *other;
};

static int send_all(hob_chan *ch, uint64_t n)
{
    int r = 0;

    for (uint64_t i = 1; r == 0 && i <= n; i++)
        r = hob_chan_send(ch, &i, HOB_FOREVER);
    hob_chan_close(ch);
    return r;
}

static int send_urgent(void *arg)
{
    struct office *o = arg;

    return send_all(o->urgent, o->n);
}

static int send_other(void *arg)
{
    struct office *o = arg;

    return send_all(o->other, o->n);
}

static int worker(void *arg)
{
    struct office *o = arg;
    uint64_t job;
    struct hob_arm arms[N_ARMS] = {
        [URGENT] = HOB_ON_RECV(o->urgent, &job),
        [OTHER] = HOB_ON_RECV(o->other, &job),
        [TOO_LONG] = HOB_ON_TIME(hob_in(HOB_SEC)),
    };
    int i, open = 2;

    while (open > 0) {
        i = hob_select_ordered(arms, N_ARMS, HOB_FOREVER);
        if (i < 0)
            return i;
        if (i == TOO_LONG)
            return -ETIME;
        if (arms[i].rc == -EPIPE) {
            arms[i].kind = HOB_ARM_NONE;
            open--;
            continue;
        }
        o->done[i]++;
        o->sum += job;
        arms[TOO_LONG].time = hob_in(HOB_SEC);
    }
    return 0;
}

static int run(void *arg)
{
    struct office *o = arg;
    hob_group g;
    int r = hob_chan_new(sizeof(uint64_t), NULL, &o->urgent);

    if (r == 0)
        r = hob_chan_new(sizeof(uint64_t), HOB_CHAN_OPTS(.slots = 8), &o->other);
    if (r == 0 && (r = hob_group_open(&g, NULL)) == 0) {
        r = hob_go(&g, worker, o);
        if (r == 0)
            r = hob_go(&g, send_other, o);
        if (r == 0)
            r = hob_go(&g, send_urgent, o);
        r = hob_group_join(&g, r);
    }
    hob_chan_free(o->other);
    hob_chan_free(o->urgent);
    return r;
}

int main(int argc, char **argv)
{
    struct office o = {.n = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000};
    int r = hob_run(NULL, run, &o);

    if (r < 0) {
        fprintf(stderr, "select: %s\n", hob_strerror(r));
        return 1;
    }
    printf("%" PRIu64 " urgent and %" PRIu64 " other jobs add up to %" PRIu64 "\n", o.done[URGENT],
           o.done[OTHER], o.sum);
    return 0;
}

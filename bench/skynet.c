/* SPDX-License-Identifier: MIT
 *
 * skynet.c - a million fibers in a tree of tens: start, wait, hand the sum up
 *
 * WHAT   Each node starts ten children and returns the sum of what they return; a leaf returns its
 *        number.  The result goes into the parent's frame and the parent waits for the group.
 *        The peers: Go by unbuffered channels, as the benchmark was first written, and by a
 *        WaitGroup; Tokio by its join handles, which carry the result, by oneshot channels, and by
 *        mpsc channels of capacity 1.
 *
 * On more loops than one the groups of the upper levels are spread: a subtree of at least SPREAD
 * leaves may move to another loop before it starts, smaller ones stay where their parent is.
 * Go and Tokio move any task they like.
 */
#include <errno.h>
#include <hob/group.h>
#include <hob/rt.h>

#include "bench.h"

enum { WIDTH = 10, LEAVES = 1000 * 1000, SPREAD = 10 * 1000, PASSES = 3 };

struct node {
    uint64_t first, n, sum;
};

static int node_run(void *arg)
{
    struct node *me = arg, child[WIDTH];
    hob_group g;
    int r;

    if (me->n == 1) {
        me->sum = me->first;
        return 0;
    }
    r = hob_group_open(
        &g, me->n / WIDTH >= SPREAD && hob_loops() > 1 ? HOB_GROUP_OPTS(.spread = true) : NULL);
    for (unsigned i = 0; i < WIDTH && r == 0; i++) {
        child[i].n = me->n / WIDTH;
        child[i].first = me->first + i * child[i].n;
        r = hob_go(&g, node_run, &child[i]);
    }
    r = hob_group_join(&g, r);
    me->sum = 0;
    for (unsigned i = 0; i < WIDTH; i++)
        me->sum += child[i].sum;
    return r;
}

/* The best of a few passes, as for the peers: Go's first pass is a third slower. */
static int run(void *arg)
{
    hob_dur best = HOB_FOREVER;
    int r = 0;

    for (int i = 0; i < PASSES && r == 0; i++) {
        struct node root = {.first = 0, .n = LEAVES};
        hob_time begin = bench_begin();

        r = node_run(&root);
        if (r == 0 && root.sum != (uint64_t)LEAVES * (LEAVES - 1) / 2)
            r = -EPROTO;
        if (hob_now() - begin < best)
            best = hob_now() - begin;
    }
    if (r == 0)
        printf("skynet %.2f ms\n", (double)best / 1e6);
    return r;
}

int main(void)
{
    return bench_exit("skynet", hob_run(NULL, run, NULL));
}

/* SPDX-License-Identifier: MIT
 *
 * pipeline.c - three fibers in a row, joined by channels: count, square, add up
 *
 *     count --numbers--> square --squares--> add_up
 *
 * A channel with no slots is a rendezvous: its sender parks until the receiver is there.  So the
 * first stage is never more than a step ahead of the last one, and nothing needs a lock: fibers of
 * one loop never run at the same instant.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <hob/hob.h>

struct pipeline {
    uint64_t n, sum;
    hob_chan *numbers, *squares;
};

static int count(void *arg)
{
    struct pipeline *p = arg;
    int r = 0;

    for (uint64_t i = 1; r == 0 && i <= p->n; i++)
        r = hob_chan_send(p->numbers, &i, HOB_FOREVER);
    hob_chan_close(p->numbers); /* "no more": the receiver gets -EPIPE once it has taken all */
    return r;
}

static int square(void *arg)
{
    struct pipeline *p = arg;
    uint64_t x;
    int r;

    while ((r = hob_chan_recv(p->numbers, HOB_FOREVER, &x)) == 0) {
        x *= x;
        if ((r = hob_chan_send(p->squares, &x, HOB_FOREVER)) < 0)
            break;
    }
    hob_chan_close(p->squares);
    return r == -EPIPE ? 0 : r;
}

static int add_up(void *arg)
{
    struct pipeline *p = arg;
    uint64_t x;
    int r;

    while ((r = hob_chan_recv(p->squares, HOB_FOREVER, &x)) == 0)
        p->sum += x;
    return r == -EPIPE ? 0 : r;
}

static int run(void *arg)
{
    struct pipeline *p = arg;
    hob_group g;
    int r = hob_chan_new(sizeof(uint64_t), NULL, &p->numbers);

    if (r == 0)
        r = hob_chan_new(sizeof(uint64_t), HOB_CHAN_OPTS(.slots = 8), &p->squares);
    if (r == 0 && (r = hob_group_open(&g, NULL)) == 0) {
        r = hob_go(&g, count, p);
        if (r == 0)
            r = hob_go(&g, square, p);
        if (r == 0)
            r = hob_go(&g, add_up, p);
        r = hob_group_join(&g, r); /* after it no fiber can reach the channels */
    }
    hob_chan_free(p->squares);
    hob_chan_free(p->numbers);
    return r;
}

int main(int argc, char **argv)
{
    struct pipeline p = {.n = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000};
    int r = hob_run(NULL, run, &p);

    if (r < 0) {
        fprintf(stderr, "pipeline: %s\n", hob_strerror(r));
        return 1;
    }
    printf("the squares of 1 to %" PRIu64 " add up to %" PRIu64 "\n", p.n, p.sum);
    return 0;
}

/* SPDX-License-Identifier: MIT
 *
 * stage.c - stages at work: a fiber an item, a job an item, batches on a lane
 *
 * WHAT        A stage is fed by one fiber, or by `width` of them where each hands over one item at
 *             a time (HOB_CPU).  They live in the flow's shielded scope; only a HOB_IO stage's
 *             items are in a group that a stop cancels.
 *
 * INVARIANTS  (I1) a stage takes from its queue until that is closed and empty, then closes the
 *                  next one's queue: so the end runs down the stages in order
 *             (I2) an item of a HOB_IO stage that was cancelled before its fiber began leaves
 *                  as cancelled, like one whose run saw the cancel
 *             (I3) an item's time is accounted from its start in the stage to its end there: on
 *                  CPU, ready, or waiting by class
 *             (I4) a stage that could not start a fiber stops the flow: its items leave as
 *                  cancelled, and the flow's result says why
 *
 * On-CPU time of a job is its thread's own CPU clock, so what the kernel gave to others does not
 * count as computing.  On a lane the rest of a batch's time is waiting for the disk.
 */
#include <errno.h>
#include <stdlib.h>

#include <hob/fiber.h>
#include <hob/rt.h>

#include "base/assert.h"
#include "flow/flow.h"
#include "plat/env.h"
#include "sched/park.h"
#include "sync/bridge.h"
#include "sync/shield.h"

/*
 * Passes an item on, or out of the flow.  From any fiber of the flow: what an item came to is
 * passed on although its own scope may be cancelled by now.
 */
static void item_on(struct stage *st, void *item, int rc)
{
    hob_flow *flow = st->flow;
    hob_group shield;

    if (rc == 0 && st->index + 1 < flow->n_stages) {
        rc = hob__group_open_shielded(&shield, NULL);
        if (rc == 0)
            rc = hob_chan_send(flow->stage[st->index + 1].queue, &item, HOB_FOREVER);
        (void)hob_group_join(&shield, 0);
        if (rc == 0) {
            st->n_out++;
            return;
        }
        rc = -ECANCELED; /* the next stage is closed: it could not be started */
    }
    hob__flow_left(flow, st, item, rc > 0 ? -EINVAL : rc);
}

/* The next item; false: there will be none (or, in a cancelled scope, no more here). */
static bool item_take(struct stage *st, hob_time until, void **ret_item, int *ret_rc)
{
    *ret_rc = hob_chan_recv(st->queue, until, ret_item);
    if (*ret_rc == 0)
        st->n_in++;
    return *ret_rc == 0;
}

/* Everything that still comes leaves as cancelled. */
static void items_drain(struct stage *st)
{
    void *item;
    int r;

    while (item_take(st, HOB_FOREVER, &item, &r))
        hob__flow_left(st->flow, st, item, -ECANCELED);
}

/* (I4): what the group of a stage's fibers came to.  -ECANCELED: the error is another's. */
static void stage_joined(struct stage *st, int r)
{
    if (r < 0)
        hob_flow_stop(st->flow, r == -ECANCELED ? 0 : r);
}

struct io_item {
    struct list node; /* in the stage's list until its fiber has begun */
    struct stage *stage;
    void *item;
};

static int io_fiber(void *arg)
{
    struct io_item *it = arg;
    struct stage *st = it->stage;
    void *item = it->item;
    struct fiber *f = hob__self();
    int rc;

    list_del(&it->node);
    free(it);
    hob__fiber_stage(f, &st->sums); /* (I3) */
    rc = st->def.run(st->flow->opts.ctx, item);
    hob__fiber_stage(f, NULL);
    item_on(st, item, rc);
    return 0;
}

static int io_start(struct stage *st, struct list *not_begun, void *item)
{
    struct io_item *it = malloc(sizeof *it);
    int r;

    if (!it)
        return -ENOMEM;
    *it = (struct io_item){.stage = st, .item = item};
    list_push(not_begun, &it->node);
    r = hob_go(&st->items, io_fiber, it);
    if (r < 0) {
        list_del(&it->node);
        free(it);
    }
    return r;
}

static void io_run(struct stage *st)
{
    struct list not_begun, *n;
    void *item;
    int r, rc;

    list_init(&not_begun);
    r = hob_group_open(&st->items, HOB_GROUP_OPTS(.max_live = st->def.width, .name = st->def.name));
    st->items_open = r == 0;
    if (r == 0 && st->flow->stopping)
        hob_group_cancel(&st->items, 0);
    while (st->items_open && item_take(st, HOB_FOREVER, &item, &rc))
        if ((rc = io_start(st, &not_begun, item)) < 0)
            hob__flow_left(st->flow, st, item, rc);
    r = hob_group_join(&st->items, r < 0 ? r : 0);
    st->items_open = false;
    stage_joined(st, r);
    while ((n = list_pop(&not_begun))) { /* (I2) */
        struct io_item *it = list_entry(n, struct io_item, node);
        hob__flow_left(st->flow, st, it->item, -ECANCELED);
        free(it);
    }
    items_drain(st); /* after a stop; nothing otherwise */
}

/* What runs off the loop, and how long it took there. */
struct call_off {
    struct stage *stage;
    void **items;
    size_t n;
    struct trace_task task;
    hob_dur off_cpu; /* of its run: not on the CPU */
};

static _Atomic(uint64_t) call_ids;

static void call_off_begin(struct call_off *c, struct stage *st, void **items, size_t n)
{
    /* Fibers count from 1; these ids are told apart by their top bit. */
    uint64_t id = (1ull << 63) | atomic_fetch_add_explicit(&call_ids, 1, memory_order_relaxed);

    *c = (struct call_off){.stage = st, .items = items, .n = n};
    trace_task_init(&c->task, id, st->def.name, &st->sums);
    trace_ready(&c->task, hob__now());
}

/* On the pool or on the lane. */
static int call_off_run(void *arg)
{
    struct call_off *c = arg;
    struct stage *st = c->stage;
    void *ctx = st->flow->opts.ctx;
    hob_dur cpu = hob__thread_cpu();
    hob_time began = hob__now();
    int rc;

    trace_run(&c->task, began);
    rc = st->def.kind == HOB_CPU ? st->def.run(ctx, c->items[0])
                                 : st->def.run_batch(ctx, c->items, c->n);
    hob_time ended = hob__now();
    c->off_cpu = ended - began - (hob__thread_cpu() - cpu);
    if (c->off_cpu < 0)
        c->off_cpu = 0;
    trace_ready(&c->task, ended);
    /* What the thread did not have of the CPU: a job was made to stand aside, a lane waited for
     * its disk. */
    c->task.run_ns -= c->off_cpu;
    if (st->def.kind == HOB_CPU)
        c->task.ready_ns += c->off_cpu;
    else
        c->task.wait_ns[HOB_CLASS_IO] += c->off_cpu;
    trace_end(&c->task, ended);
    return rc;
}

/* One of a HOB_CPU stage's fibers: hands one item at a time to the pool. */
static int cpu_fiber(void *arg)
{
    struct stage *st = arg;
    struct call_off c;
    void *item;
    int r;

    while (item_take(st, HOB_FOREVER, &item, &r)) {
        call_off_begin(&c, st, &item, 1);
        r = hob__offload_untold(call_off_run, &c, HOB_FOREVER);
        item_on(st, item, r);
    }
    return 0;
}

static void cpu_run(struct stage *st)
{
    hob_group g;
    uint32_t n = 0;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.name = st->def.name));

    for (; r == 0 && n < st->def.width; n++)
        r = hob_go(&g, cpu_fiber, st);
    r = hob_group_join(&g, r);
    stage_joined(st, r);
    items_drain(st);
}

/* Up to a batch: as much as is there, and what comes while the first may wait. */
static size_t batch_take(struct stage *st, void **items)
{
    hob_time until = 0;
    size_t n = 0;
    int r;

    while (n < st->def.batch && item_take(st, n ? until : HOB_FOREVER, &items[n], &r))
        if (n++ == 0 && st->def.batch_ms)
            until = hob_in(st->def.batch_ms * HOB_MS);
    return n;
}

static void lane_run(struct stage *st)
{
    void **items = calloc(st->def.batch, sizeof *items);
    struct call_off c;
    size_t n;
    int r = items ? 0 : -ENOMEM;

    while (r == 0 && (n = batch_take(st, items)) > 0) {
        call_off_begin(&c, st, items, n);
        r = hob_lane_call(st->def.lane, call_off_run, &c, HOB_FOREVER);
        if (r > 0)
            r = -EINVAL; /* no result has this meaning */
        for (size_t i = 0; i < n; i++)
            item_on(st, items[i], r < 0 ? -ECANCELED : 0);
    }
    free(items);
    if (r < 0)
        hob_flow_stop(st->flow, r);
    items_drain(st);
}

int hob__stage_run(void *arg)
{
    struct stage *st = arg;
    hob_flow *flow = st->flow;

    switch (st->def.kind) {
    case HOB_IO:
        io_run(st);
        break;
    case HOB_CPU:
        cpu_run(st);
        break;
    case HOB_LANE:
        lane_run(st);
        break;
    }
    if (st->index + 1 < flow->n_stages)
        hob_chan_close(flow->stage[st->index + 1].queue); /* (I1) */
    return 0;
}

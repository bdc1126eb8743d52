/* SPDX-License-Identifier: MIT
 *
 * flow.c - the life of a flow: source, end, orderly stop
 *
 * WHAT        One fiber asks the source, one feeds each stage; they are joined by channels, and
 *             back-pressure is the channel's.  The source's fiber decides the end.
 *
 * HOW         source --> [queue 0] --> stage 0 --> [queue 1] --> stage 1 ... --> leave
 *                ^                                                                |
 *                '----------- "something left": ask again ------------------------'
 *
 *   The end: the source says "none now" and nothing is in flight.  Items in flight can still make
 *   the source speak again (a page stored with new links), items that left cannot; so this is the
 *   one moment at which it is true for good.  Then queue 0 is closed, each stage drains, closes
 *   the next, and ends.
 *
 * INVARIANTS  (I1) n_in_flight = items the source gave - items that left
 *             (I2) every item leaves once: through hob__flow_left
 *             (I3) the stages' fibers are in a scope that no outer cancel reaches: a stop closes
 *                  the flow from its source on, and what has passed the HOB_IO stages is worked
 *                  off.  Who is in the outer scope is a watcher, which turns a cancel into a stop.
 *             (I4) after a stop every wait in the flow ends: HOB_IO items are cancelled, jobs and
 *                  batches end by themselves
 *
 * REJECTED    A counter of pending work in the source, as crawlers have it: two places that know
 *   whether it is over, and stuck crawls when they disagree (scrapy 6206, crawlee-python 1207).
 */
#include "flow/flow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <hob/fiber.h>
#include <hob/pool.h>
#include <hob/rt.h>

#include "base/assert.h"
#include "base/opts.h"
#include "sync/shield.h"
#include "trace/advise.h"

static const char *const kind_text[] = {[HOB_IO] = "io", [HOB_CPU] = "cpu", [HOB_LANE] = "lane"};

static bool stage_fine(const struct hob_stage *def)
{
    if (def->kind < HOB_IO || def->kind > HOB_LANE || !def->name)
        return false;
    return def->kind == HOB_LANE ? def->run_batch && def->lane && def->width <= 1
                                 : def->run && !def->batch;
}

static int stage_init(struct stage *st, hob_flow *flow, unsigned i, const struct hob_stage *stages)
{
    struct hob_stage *def = &st->def;
    int r = hob__opts_copy_nth(def, sizeof *def, stages, i);

    if (r < 0)
        return r;
    if (!stage_fine(def))
        return -EINVAL;
    if (!(st->name = strdup(def->name)))
        return -ENOMEM;
    bool lane = def->kind == HOB_LANE;
    def->name = st->name;
    st->flow = flow;
    st->index = i;
    if (!st->def.width)
        st->def.width = def->kind == HOB_CPU ? hob_cores() : 1;
    if (!st->def.batch)
        st->def.batch = 1;
    if (!st->def.queue)
        st->def.queue = lane ? st->def.batch : st->def.width;
    hob__stage_init(&st->sums, st->name);
    return 0;
}

int hob_flow_new(const struct hob_stage *stages, size_t n, const struct hob_flow_opts *opts,
                 hob_flow **ret)
{
    struct hob_flow_opts o;
    hob_flow *flow;
    int r = hob__opts_copy(&o, sizeof o, opts);

    if (r < 0)
        return r;
    if (n == 0 || n > HOB_FLOW_STAGES_MAX || !o.next)
        return -EINVAL;
    flow = calloc(1, sizeof *flow);
    if (!flow)
        return -ENOMEM;
    flow->opts = o;
    flow->n_stages = (unsigned)n;
    for (unsigned i = 0; i < n; i++) {
        if ((r = stage_init(&flow->stage[i], flow, i, stages)) < 0) {
            hob_flow_free(flow);
            return r;
        }
    }
    *ret = flow;
    return 0;
}

void hob_flow_free(hob_flow *flow)
{
    if (!flow)
        return;
    for (unsigned i = 0; i < flow->n_stages; i++) {
        hob__advise_merge(&flow->stage[i].sums);
        free(flow->stage[i].name);
    }
    free(flow);
}

uint64_t hob_flow_in_flight(const hob_flow *flow)
{
    return flow->n_in_flight;
}

int hob_flow_stats(const hob_flow *flow, unsigned i, struct hob_stage_stats *ret)
{
    struct hob_stage_stats s = {0};
    const struct stage *st;

    if (i >= flow->n_stages)
        return -EINVAL;
    st = &flow->stage[i];
    hob__stage_stats(&st->sums, &s);
    s.flow = flow->ran ? (flow->ended ? flow->ended : hob_now()) - flow->began : 0;
    s.name = st->name;
    s.kind = kind_text[st->def.kind];
    s.width = st->def.kind == HOB_LANE ? 1 : st->def.width;
    s.items_in = st->n_in;
    s.items_out = st->n_out;
    s.items_failed = st->n_failed;
    s.items_cancelled = st->n_cancelled;
    return hob__result_copy(ret, &s, sizeof s);
}

void hob__flow_left(hob_flow *flow, struct stage *st, void *item, int rc)
{
    if (rc == 0)
        st->n_out++;
    else if (rc == -ECANCELED)
        st->n_cancelled++;
    else
        st->n_failed++;
    HOB_ASSERT(flow->n_in_flight > 0);
    flow->n_in_flight--; /* (I1) */
    if (flow->opts.leave)
        flow->opts.leave(flow->opts.ctx, item, st->index, rc); /* (I2) */
    hob_flow_wake(flow);
}

void hob_flow_wake(hob_flow *flow)
{
    char news = 1;

    /* -ETIMEDOUT: full, the news is there already.  -ECANCELED: the flow is being stopped, and
     * with it the source. */
    int r = flow->wake ? hob_chan_send(flow->wake, &news, 0) : 0;
    HOB_ASSERT(r == 0 || r == -ETIMEDOUT || r == -ECANCELED);
}

void hob_flow_stop(hob_flow *flow, int rc)
{
    if (flow->stopping)
        return;
    flow->stopping = true;
    if (flow->rc == 0)
        flow->rc = rc;
    if (flow->source_open)
        hob_group_cancel(&flow->source, 0);
    for (unsigned i = 0; i < flow->n_stages; i++) /* (I4) */
        if (flow->stage[i].items_open)
            hob_group_cancel(&flow->stage[i].items, 0);
}

/* Gives one item to the first stage. */
static int source_emit(hob_flow *flow, void *item)
{
    struct stage *first = &flow->stage[0];
    int r;

    flow->n_in_flight++;
    r = hob_chan_send(first->queue, &item, HOB_FOREVER);
    if (r < 0) {
        first->n_in++;
        hob__flow_left(flow, first, item, -ECANCELED);
    }
    return r;
}

/* Until the source has nothing more and nothing is in flight; or until it is cancelled. */
static int source_fiber(void *arg)
{
    hob_flow *flow = arg;
    bool ended = false;
    int r = 0;

    while (r == 0) {
        void *item = NULL;
        hob_time again = HOB_FOREVER;
        char news;
        int got = ended ? 0 : flow->opts.next(flow->opts.ctx, &item, &again);
        if (got > 0) {
            r = source_emit(flow, item);
            continue;
        }
        if (got < 0 && got != -ENOENT) {
            r = got;
            break;
        }
        ended = ended || got == -ENOENT;
        if (flow->n_in_flight == 0 && again == HOB_FOREVER)
            break; /* the end */
        r = hob_chan_recv(flow->wake, again, &news);
        if (r == -ETIMEDOUT)
            r = 0;
    }
    return r;
}

/* The source's fiber in a group of its own; then the stages drain, one after another. */
static int source_run(void *arg)
{
    hob_flow *flow = arg;
    int r = hob_group_open(&flow->source, HOB_GROUP_OPTS(.name = "source"));

    flow->source_open = r == 0;
    if (r == 0 && flow->stopping)
        hob_group_cancel(&flow->source, 0);
    if (r == 0)
        r = hob_go(&flow->source, source_fiber, flow);
    if (r == -ECANCELED)
        r = 0; /* a stop is not this fiber's error */
    r = hob_group_join(&flow->source, r);
    flow->source_open = false;
    if (r < 0 && r != -ECANCELED)
        hob_flow_stop(flow, r);
    hob_chan_close(flow->stage[0].queue);
    return 0;
}

/* (I3): lives in the caller's scope, and only there a cancel is seen. */
static int watcher(void *arg)
{
    hob_flow *flow = arg;

    flow->watched = true;
    int r = hob_sleep_until(HOB_FOREVER);
    if (r == -ECANCELED)
        hob_flow_stop(flow, -ECANCELED);
    return r;
}

static void channels_free(hob_flow *flow)
{
    for (unsigned i = 0; i < flow->n_stages; i++) {
        hob_chan_free(flow->stage[i].queue);
        flow->stage[i].queue = NULL;
    }
    hob_chan_free(flow->wake);
    flow->wake = NULL;
}

static int channels_new(hob_flow *flow)
{
    int r = hob_chan_new(1, HOB_CHAN_OPTS(.slots = 1, .name = "flow news"), &flow->wake);

    for (unsigned i = 0; r == 0 && i < flow->n_stages; i++) {
        struct stage *st = &flow->stage[i];
        r = hob_chan_new(sizeof(void *),
                         HOB_CHAN_OPTS(.slots = st->def.queue, .name = st->def.name), &st->queue);
    }
    if (r < 0)
        channels_free(flow);
    return r;
}

/* Source and stages, shielded from the caller's scope. */
static int flow_live(hob_flow *flow)
{
    hob_group g;
    int r = hob__group_open_shielded(&g, "flow");

    /* Stages first: they park on their queues and are there whatever the source does. */
    for (unsigned i = 0; r == 0 && i < flow->n_stages; i++)
        r = hob_go(&g, hob__stage_run, &flow->stage[i]);
    if (r == 0)
        r = hob_go(&g, source_run, flow);
    if (r < 0) /* no memory for a fiber: nothing was taken from the source */
        for (unsigned i = 0; i < flow->n_stages; i++)
            hob_chan_close(flow->stage[i].queue);
    return hob_group_join(&g, r);
}

/* A watcher that could not be started has cancelled the group: then that is why. */
static int outer_joined(hob_group *outer, int r)
{
    int why = hob_group_join(outer, 0);

    return r == -ECANCELED && why < 0 ? why : r;
}

int hob_flow_run(hob_flow *flow)
{
    hob_group outer;
    int r = hob_check();

    if (r < 0)
        return r;
    if (flow->ran)
        return HOB_MISUSE(-EINVAL, "a flow runs once");
    flow->ran = true;
    flow->began = hob_now();
    if ((r = channels_new(flow)) < 0)
        return r;
    r = hob_group_open(&outer, HOB_GROUP_OPTS(.name = "flow"));
    if (r == 0)
        r = hob_go(&outer, watcher, flow);
    while (r == 0 && !flow->watched) /* one that was cancelled before it began would see nothing */
        r = hob_yield();
    if (r == 0)
        r = flow_live(flow);
    flow->stopping = true; /* it is over: what the watcher sees now is no stop */
    hob_group_cancel(&outer, 0);
    r = outer_joined(&outer, r);
    flow->ended = hob_now();
    HOB_ASSERT(flow->n_in_flight == 0);
    channels_free(flow);
    return flow->rc < 0 ? flow->rc : r;
}

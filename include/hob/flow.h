/* SPDX-License-Identifier: MIT */
#ifndef HOB_FLOW_H
#define HOB_FLOW_H

#include <stdbool.h>

#include <hob/base.h>
#include <hob/bridge.h>
#include <hob/trace.h>

HOB_BEGIN_DECLS

/*
 * Flows: pipelines, each stage in its own model
 * =============================================
 *
 * A flow takes items from a source and passes each through its stages in order.  A stage that
 * waits (HOB_IO) runs each item on a fiber of its own, `width` at once; one that computes
 * (HOB_CPU) runs each as a job on the pool; one that must have a single thread (HOB_LANE) runs
 * batches on a lane.  Between stages are bounded queues: a slow stage holds back those before it,
 * and nothing is dropped.  Items do not keep their order.
 *
 *     struct hob_stage stages[] = {
 *         HOB_STAGE(.name = "fetch", .kind = HOB_IO, .run = fetch, .width = 200),
 *         HOB_STAGE(.name = "parse", .kind = HOB_CPU, .run = parse),
 *         HOB_STAGE(.name = "store", .kind = HOB_LANE, .run_batch = store, .lane = lane),
 *     };
 *
 * The graph has no cycle.  Where work makes new work (a crawl's links) the last stage puts it
 * where the source finds it.  The flow ends when the source has nothing more and no item is in
 * flight: that is decided in one place, by the flow.
 *
 * An item's failure is its own: it leaves the flow with its code, and the others go on.  Every
 * item that the source gave leaves exactly once, by a call of `leave`.
 */
typedef struct hob_flow hob_flow;

enum hob_stage_kind { HOB_IO = 1, HOB_CPU, HOB_LANE };

struct hob_stage {
    size_t size;      /* sizeof(struct hob_stage), of each; HOB_STAGE fills it */
    const char *name; /* for statistics, verdicts and traces; copied */
    enum hob_stage_kind kind;

    /*
     * HOB_IO, HOB_CPU: works on one item.  0: on to the next stage.  Negative: the item failed
     * and leaves with that code; above 0 has no meaning and becomes -EINVAL.  A HOB_IO stage's run
     * is a fiber and may park; it is cancelled when the flow stops.  A HOB_CPU stage's run is a
     * job: it must not park.
     */
    int (*run)(void *ctx, void *item);

    /*
     * HOB_LANE: works on 1..batch items, on the lane's thread.  0: all of them go on.  Negative:
     * the flow cannot go on; the items leave as cancelled and hob_flow_run returns the code.
     * Above 0 becomes -EINVAL.
     */
    int (*run_batch)(void *ctx, void **items, size_t n);

    hob_lane *lane; /* HOB_LANE: where to run; borrowed */
    uint32_t width; /* items at once; 0: 1 for HOB_IO, the usable cores for HOB_CPU; 1 for a lane */
    uint32_t queue; /* items that may wait before this stage; 0: as many as width or batch */
    uint32_t batch; /* HOB_LANE: items a call at most; 0: 1 */
    uint32_t batch_ms; /* HOB_LANE: a batch waits this long to fill, from its first item */
};

/* An initializer. */
#define HOB_STAGE(...)                                                                             \
    {                                                                                              \
        .size = sizeof(struct hob_stage), __VA_ARGS__                                              \
    }

enum { HOB_FLOW_STAGES_MAX = 16 };

struct hob_flow_opts {
    size_t size; /* sizeof(struct hob_flow_opts); HOB_FLOW_OPTS fills it */
    void *ctx;   /* given to every callback */

    /*
     * The next item.  1: *ret_item is one.  0: none now; asked again when an item has left, and
     * when *ret_again (an absolute time, HOB_FOREVER when the call begins) has come.  -ENOENT:
     * none, ever.  Any other negative: the flow cannot go on.  A fiber of the flow: may park, and
     * is cancelled when the flow stops.  Required.
     */
    int (*next)(void *ctx, void **ret_item, hob_time *ret_again);

    /*
     * An item has left: rc 0 through the last stage; negative: the code it failed with, in stage
     * number `stage`; -ECANCELED: the flow was stopped before it was through.  On the flow's loop;
     * must not park.  NULL: nothing to do.
     */
    void (*leave)(void *ctx, void *item, unsigned stage, int rc);
};

#define HOB_FLOW_OPTS(...)                                                                         \
    (&(struct hob_flow_opts){.size = sizeof(struct hob_flow_opts), __VA_ARGS__})

/**
 * hob_flow_new - describe a flow
 * @stages: copied
 * @n:      1..HOB_FLOW_STAGES_MAX
 * @opts:   copied
 * @ret:    owned by the caller; untouched on failure
 *
 * Return: 0, -EINVAL (a stage without what its kind needs, or without its size), -E2BIG, -ENOMEM.
 */
HOB_API HOB_MUST_CHECK HOB_ANY_THREAD int hob_flow_new(const struct hob_stage *stages, size_t n,
                                                       const struct hob_flow_opts *opts,
                                                       hob_flow **ret);

/** hob_flow_free - NULL is a no-op; not while it runs. */
HOB_API HOB_ANY_THREAD void hob_flow_free(hob_flow *flow);

/**
 * hob_flow_run - run the flow to its end; once
 *
 * A cancel of the caller's scope stops it in order: the source is not asked any more, items in
 * HOB_IO stages are cancelled, what has reached a later stage is worked off, and only then the
 * call returns.
 *
 * Return: 0: the source was empty and every item has left; the code given to hob_flow_stop; the
 * negative code of next or run_batch; -ECANCELED; -ENOMEM; -EPERM (not on a fiber).
 */
HOB_API HOB_MUST_CHECK HOB_PARKS int hob_flow_run(hob_flow *flow);

/** hob_flow_stop - stop it in order; from the flow's own loop; `rc` as with hob_flow_run, or 0. */
HOB_API void hob_flow_stop(hob_flow *flow, int rc);

/** hob_flow_wake - ask the source again: what it waited for has come; from the flow's own loop. */
HOB_API void hob_flow_wake(hob_flow *flow);

/**
 * hob_flow_stats - what stage number i has done so far, in figures that do not tear on the loop
 * @ret: its size set; its name is good until hob_flow_free
 *
 * Return: 0, -EINVAL (no such stage, or no size).
 */
HOB_API HOB_MUST_CHECK int hob_flow_stats(const hob_flow *flow, unsigned i,
                                          struct hob_stage_stats *ret);

/** hob_flow_in_flight - items that the source gave and that have not left. */
HOB_API uint64_t hob_flow_in_flight(const hob_flow *flow);

HOB_END_DECLS
#endif

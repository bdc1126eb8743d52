/* SPDX-License-Identifier: MIT
 *
 * flow.h - a flow's structures, shared by flow.c (its life) and stage.c (its stages at work)
 */
#ifndef HOB_FLOW_FLOW_H
#define HOB_FLOW_FLOW_H

#include <hob/chan.h>
#include <hob/flow.h>
#include <hob/group.h>

#include "trace/account.h"

struct stage {
    struct hob_stage def;
    char *name; /* def's */
    hob_flow *flow;
    unsigned index;
    hob_chan *queue; /* void *: items that wait for this stage */
    struct trace_stage sums;
    uint64_t n_in, n_out, n_failed, n_cancelled; /* the flow's loop only */
    hob_group items;                             /* HOB_IO: a fiber an item */
    bool items_open;
};

struct hob_flow {
    struct hob_flow_opts opts;
    unsigned n_stages;
    struct stage stage[HOB_FLOW_STAGES_MAX];
    uint64_t n_in_flight;
    hob_chan *wake;   /* char, one slot: an item has left, the source may have news */
    hob_group source; /* the source's fiber, so that it can be cancelled alone */
    bool source_open;
    bool ran, stopping, watched;
    hob_time began, ended; /* hob_flow_run; ended 0: not yet */
    int rc;
};

/* A fiber each: feeds a stage from its queue until that is closed and drained; then closes the
 * next one's. */
int hob__stage_run(void *stage);

/* An item has left the flow, from this stage. */
void hob__flow_left(hob_flow *flow, struct stage *st, void *item, int rc);

#endif

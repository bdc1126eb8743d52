/* SPDX-License-Identifier: MIT
 *
 * timeline.h - a recording as sums per slice of time, ready to be drawn
 *
 * The plot of one recording is n_slices wide.  Whatever its events are, the model holds for each
 * thread, each row of tasks and the whole: how much of each slice was spent in which state.  So
 * the picture's size depends on its width, not on how long the program ran.
 */
#ifndef HOB_TRACE_TIMELINE_H
#define HOB_TRACE_TIMELINE_H

#include "trace/record.h"

/* What a task does at an instant: the colours of the picture, the most telling first. */
enum tl_state {
    TL_CPU,   /* on CPU */
    TL_POOL,  /* waits for computing elsewhere */
    TL_READY, /* able to run, without a core */
    TL_IO,
    TL_SYNC,
    TL_SLEEP,
    TL_N_STATES
};

enum { TL_MAX_ROWS = 64 };

/* A thread. */
struct tl_lane {
    uint32_t lane; /* index into the recording's lanes */
    float *own[2]; /* [n_slices]; share of the slice, by odd and even task */
    int64_t busy, longest;
    uint64_t n_runs;
    uint64_t task; /* now on it; 0: none */
    uint64_t last_task;
    int64_t since;
    int shade;
};

/* Tasks drawn one after the other on one line: the item that ends gives its place to the next. */
struct tl_row {
    float *state[TL_N_STATES]; /* [n_slices] */
    bool *begins;              /* [n_slices]; a task began in it */
};

/* The tasks of one stage. */
struct tl_group {
    uint32_t stage; /* its id; 0: tasks of no stage */
    struct tl_row row[TL_MAX_ROWS];
    uint32_t n_rows;
    uint64_t used; /* rows taken now: bit i is row i */
    uint32_t live, peak;
    uint64_t n_tasks;
};

/* An interval long enough to be pointed at. */
struct tl_span {
    int64_t from, to;
    uint64_t task;
    uint16_t group, row;
    uint8_t state; /* enum tl_state */
    uint8_t wait;  /* enum hob_wait, of a wait */
};

struct timeline {
    const struct hob_trace *trace;
    uint32_t n_slices;
    double slice_ns;
    struct tl_lane *lanes; /* loops, pool, blocking, others */
    size_t n_lanes;
    struct tl_group *groups; /* by first appearance */
    size_t n_groups;
    float *at_once[TL_N_STATES]; /* [n_slices]; tasks in that state, mean over the slice */
    uint32_t live, peak;         /* tasks at once, exactly */
    struct tl_span *spans;       /* the longest */
    size_t n_spans, max_spans;
};

/* max_rows: of a group, at most TL_MAX_ROWS.  -ENOMEM. */
int hob__timeline_build(const struct hob_trace *trace, uint32_t n_slices, uint32_t max_rows,
                        size_t max_spans, struct timeline *ret);
void hob__timeline_free(struct timeline *tl);

#endif

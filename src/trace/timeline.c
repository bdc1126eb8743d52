/* SPDX-License-Identifier: MIT
 *
 * timeline.c - sums a recording up per slice of time
 *
 * WHAT        One pass over the events, by time.  Each task is a small state machine; leaving a
 *             state adds the interval to its row, to "tasks at once", and, after running, to the
 *             thread it ran on.
 *
 * HOW         Rows: a task takes the lowest free row of its stage's group when it begins and
 *   gives it back when it ends.  So a stage of width 50 shows 50 rows, whatever the number of
 *   items; tasks that find no row are in the sums only.
 *
 *   Where any task has a stage, those without one (the fiber that waits for all others) are left
 *   out of rows and of "at once": they would draw one long wait that says nothing.
 *
 *   Events may be missing (gaps, a recording that began late): a task is whatever its next event
 *   says, and a thread that starts a task has ended the one before.
 */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "trace/timeline.h"
#include "trace/wait.h"

enum { NO_ROW = UINT16_MAX, STATE_NONE = TL_N_STATES };

struct tl_task {
    uint64_t id; /* 0: the place is free */
    int64_t since;
    uint16_t group, row;
    uint8_t state; /* enum tl_state or STATE_NONE */
    uint8_t wait;
};

struct builder {
    struct timeline *tl;
    struct tl_task *tasks; /* hash table, open addressing */
    size_t n_tasks, cap;   /* cap: a power of two */
    uint32_t max_rows;
    bool staged; /* only tasks with a stage are shown */
};

static struct tl_task *task_place(struct tl_task *tasks, size_t cap, uint64_t id)
{
    size_t i = (size_t)((id * 0x9e3779b97f4a7c15u) >> 20) & (cap - 1);

    while (tasks[i].id && tasks[i].id != id)
        i = (i + 1) & (cap - 1);
    return &tasks[i];
}

static int tasks_grow(struct builder *b)
{
    size_t cap = b->cap ? b->cap * 2 : 1024;
    struct tl_task *bigger = calloc(cap, sizeof(*bigger));

    if (!bigger)
        return -ENOMEM;
    for (size_t i = 0; i < b->cap; i++)
        if (b->tasks[i].id)
            *task_place(bigger, cap, b->tasks[i].id) = b->tasks[i];
    free(b->tasks);
    b->tasks = bigger;
    b->cap = cap;
    return 0;
}

/* NULL without memory.  A task nobody has heard of is in no state and in no group. */
static struct tl_task *task_get(struct builder *b, uint64_t id)
{
    struct tl_task *t;

    if (2 * b->n_tasks >= b->cap && tasks_grow(b) < 0)
        return NULL;
    t = task_place(b->tasks, b->cap, id);
    if (!t->id) {
        *t = (struct tl_task){.id = id, .group = NO_ROW, .row = NO_ROW, .state = STATE_NONE};
        b->n_tasks++;
    }
    return t;
}

/* Adds to each slice the part of it that [from, to) covers. */
static void slices_add(const struct timeline *tl, float *slices, int64_t from, int64_t to)
{
    double a = (double)(from - tl->trace->start) / tl->slice_ns;
    double z = (double)(to - tl->trace->start) / tl->slice_ns;
    uint32_t i, last;

    a = a > 0 ? a : 0;
    z = z < tl->n_slices ? z : tl->n_slices;
    if (!(z > a))
        return;
    i = (uint32_t)a;
    last = (uint32_t)z < tl->n_slices ? (uint32_t)z : tl->n_slices - 1;
    if (i == last) {
        slices[i] += (float)(z - a);
        return;
    }
    slices[i] += (float)(i + 1 - a);
    for (i++; i < last; i++)
        slices[i] += 1;
    slices[last] += (float)(z - last);
}

static float *slices_new(const struct timeline *tl)
{
    return calloc(tl->n_slices, sizeof(float));
}

static int row_init(const struct timeline *tl, struct tl_row *row)
{
    row->begins = calloc(tl->n_slices, sizeof(bool));
    if (!row->begins)
        return -ENOMEM;
    for (int i = 0; i < TL_N_STATES; i++) {
        row->state[i] = slices_new(tl);
        if (!row->state[i])
            return -ENOMEM;
    }
    return 0;
}

/* The group's index, or -ENOMEM. */
static int group_get(struct timeline *tl, uint32_t stage)
{
    struct tl_group *bigger;

    for (size_t i = 0; i < tl->n_groups; i++)
        if (tl->groups[i].stage == stage)
            return (int)i;
    if (tl->n_groups >= NO_ROW)
        return -ENOMEM;
    bigger = reallocarray(tl->groups, tl->n_groups + 1, sizeof(*bigger));
    if (!bigger)
        return -ENOMEM;
    tl->groups = bigger;
    tl->groups[tl->n_groups] = (struct tl_group){.stage = stage};
    return (int)tl->n_groups++;
}

/* A place for the task in its stage's group, if there is one free. */
static int task_begin(struct builder *b, struct tl_task *t, uint32_t stage, int64_t at)
{
    struct timeline *tl = b->tl;
    uint32_t row = 0, slice;
    struct tl_group *g;
    int i;

    if ((b->staged && !stage) || t->group != NO_ROW)
        return 0;
    i = group_get(tl, stage);
    if (i < 0)
        return i;
    g = &tl->groups[i];
    t->group = (uint16_t)i;
    g->n_tasks++;
    if (++g->live > g->peak)
        g->peak = g->live;
    if (++tl->live > tl->peak)
        tl->peak = tl->live;
    while (row < b->max_rows && g->used >> row & 1)
        row++;
    if (row == b->max_rows)
        return 0;
    if (row == g->n_rows) {
        g->n_rows++; /* before: what is half built is freed with the rest */
        if (row_init(tl, &g->row[row]) < 0)
            return -ENOMEM;
    }
    g->used |= UINT64_C(1) << row;
    t->row = (uint16_t)row;
    slice = (uint32_t)((double)(at - tl->trace->start) / tl->slice_ns);
    g->row[row].begins[slice < tl->n_slices ? slice : tl->n_slices - 1] = true;
    return 0;
}

static void task_end(struct builder *b, struct tl_task *t)
{
    struct tl_group *g;

    if (t->group == NO_ROW)
        return;
    g = &b->tl->groups[t->group];
    g->live--;
    b->tl->live--;
    if (t->row != NO_ROW)
        g->used &= ~(UINT64_C(1) << t->row);
    t->group = t->row = NO_ROW;
}

/* Keeps the longest; the shortest kept gives way. */
static void span_keep(struct timeline *tl, const struct tl_span *span)
{
    size_t least = 0;

    if (tl->n_spans < tl->max_spans) {
        tl->spans[tl->n_spans++] = *span;
        return;
    }
    for (size_t i = 1; i < tl->n_spans; i++)
        if (tl->spans[i].to - tl->spans[i].from < tl->spans[least].to - tl->spans[least].from)
            least = i;
    if (tl->n_spans && span->to - span->from > tl->spans[least].to - tl->spans[least].from)
        tl->spans[least] = *span;
}

/* The task was in its state until now. */
static void task_close(struct builder *b, struct tl_task *t, int64_t now)
{
    struct timeline *tl = b->tl;
    struct tl_span span;

    if (t->state == STATE_NONE || t->group == NO_ROW || now <= t->since)
        return;
    slices_add(tl, tl->at_once[t->state], t->since, now);
    if (t->row == NO_ROW)
        return;
    slices_add(tl, tl->groups[t->group].row[t->row].state[t->state], t->since, now);
    span = (struct tl_span){t->since, now, t->id, t->group, t->row, t->state, t->wait};
    if ((double)(now - t->since) > 3 * tl->slice_ns)
        span_keep(tl, &span);
}

static void lane_stop(struct builder *b, struct tl_lane *l, int64_t now)
{
    if (!l->task)
        return;
    slices_add(b->tl, l->own[l->shade], l->since, now);
    l->busy += now - l->since;
    if (now - l->since > l->longest)
        l->longest = now - l->since;
    l->last_task = l->task;
    l->task = 0;
}

static void lane_start(struct builder *b, struct tl_lane *l, uint64_t task, int64_t now)
{
    lane_stop(b, l, now);
    if (task != l->last_task)
        l->shade = !l->shade;
    l->task = task;
    l->since = now;
    l->n_runs++;
}

static uint8_t state_of_wait(unsigned wait)
{
    static const uint8_t state[HOB_N_CLASSES] = {[HOB_CLASS_IO] = TL_IO,
                                                 [HOB_CLASS_CPU] = TL_POOL,
                                                 [HOB_CLASS_SYNC] = TL_SYNC,
                                                 [HOB_CLASS_TIME] = TL_SLEEP};

    return state[hob__wait_class((enum hob_wait)wait)];
}

static int builder_event(struct builder *b, const struct record_event *e)
{
    struct tl_lane *l = &b->tl->lanes[e->lane];
    struct tl_task *t;
    int r = 0;

    if (!e->task)
        return 0;
    t = task_get(b, e->task);
    if (!t)
        return -ENOMEM;
    task_close(b, t, e->at);
    t->since = e->at;
    t->wait = 0;
    if (e->kind != TRACE_EV_RUN && l->task == e->task)
        lane_stop(b, l, e->at);
    if (e->kind != TRACE_EV_END && t->group == NO_ROW)
        r = task_begin(b, t, e->kind == TRACE_EV_BEGIN ? e->arg : 0, e->at);
    switch (e->kind) {
    case TRACE_EV_BEGIN:
    case TRACE_EV_READY:
        t->state = TL_READY;
        break;
    case TRACE_EV_RUN:
        /* What runs on a blocking thread waits for the disk there, whatever the thread does. */
        t->state = b->tl->trace->lanes[e->lane].kind == TRACE_LANE_BLOCK ? TL_IO : TL_CPU;
        lane_start(b, l, e->task, e->at);
        break;
    case TRACE_EV_PARK:
        t->state = state_of_wait(e->wait);
        t->wait = e->wait;
        break;
    case TRACE_EV_END:
        task_end(b, t);
        t->state = STATE_NONE;
        break;
    default:
        break;
    }
    return r;
}

static int lane_order(const void *a, const void *b, void *arg)
{
    const struct trace_lane_info *info = arg;
    const struct trace_lane_info *x = &info[((const struct tl_lane *)a)->lane];
    const struct trace_lane_info *y = &info[((const struct tl_lane *)b)->lane];

    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static int timeline_init(struct timeline *tl, size_t max_spans)
{
    const struct hob_trace *t = tl->trace;

    tl->n_lanes = t->n_lanes;
    tl->lanes = calloc(t->n_lanes + 1, sizeof(*tl->lanes));
    tl->spans = calloc(max_spans + 1, sizeof(*tl->spans));
    tl->max_spans = max_spans;
    if (!tl->lanes || !tl->spans)
        return -ENOMEM;
    for (size_t i = 0; i < t->n_lanes; i++) {
        tl->lanes[i].lane = (uint32_t)i;
        for (int k = 0; k < 2; k++) {
            tl->lanes[i].own[k] = slices_new(tl);
            if (!tl->lanes[i].own[k])
                return -ENOMEM;
        }
    }
    for (int i = 0; i < TL_N_STATES; i++) {
        tl->at_once[i] = slices_new(tl);
        if (!tl->at_once[i])
            return -ENOMEM;
    }
    return 0;
}

int hob__timeline_build(const struct hob_trace *trace, uint32_t n_slices, uint32_t max_rows,
                        size_t max_spans, struct timeline *ret)
{
    struct timeline tl = {.trace = trace, .n_slices = n_slices ? n_slices : 1};
    struct builder b = {.tl = &tl, .max_rows = max_rows < TL_MAX_ROWS ? max_rows : TL_MAX_ROWS};
    int64_t wall = trace->stop - trace->start;
    int r;

    tl.slice_ns = (double)(wall > 0 ? wall : 1) / tl.n_slices;
    r = timeline_init(&tl, max_spans);
    for (size_t i = 0; i < trace->n_events && !b.staged; i++)
        b.staged = trace->events[i].kind == TRACE_EV_BEGIN && trace->events[i].arg;
    for (size_t i = 0; r == 0 && i < trace->n_events; i++)
        r = builder_event(&b, &trace->events[i]);
    for (size_t i = 0; r == 0 && i < tl.n_lanes; i++)
        lane_stop(&b, &tl.lanes[i], trace->stop);
    for (size_t i = 0; r == 0 && i < b.cap; i++)
        if (b.tasks[i].id)
            task_close(&b, &b.tasks[i], trace->stop);
    free(b.tasks);
    if (r < 0) {
        hob__timeline_free(&tl);
        return r;
    }
    if (tl.n_lanes)
        qsort_r(tl.lanes, tl.n_lanes, sizeof(*tl.lanes), lane_order, trace->lanes);
    *ret = tl;
    return 0;
}

void hob__timeline_free(struct timeline *tl)
{
    for (size_t i = 0; tl->lanes && i < tl->n_lanes; i++) {
        free(tl->lanes[i].own[0]);
        free(tl->lanes[i].own[1]);
    }
    for (size_t i = 0; i < tl->n_groups; i++)
        for (uint32_t k = 0; k < tl->groups[i].n_rows; k++) {
            for (int s = 0; s < TL_N_STATES; s++)
                free(tl->groups[i].row[k].state[s]);
            free(tl->groups[i].row[k].begins);
        }
    for (int i = 0; i < TL_N_STATES; i++)
        free(tl->at_once[i]);
    free(tl->groups);
    free(tl->lanes);
    free(tl->spans);
    *tl = (struct timeline){0};
}

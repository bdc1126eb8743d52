/* SPDX-License-Identifier: MIT
 *
 * each.c - hands a recording's events out, for whoever draws or measures it in a way of his own
 *
 * HOW         Events and marks are two rows, each by time; they are merged as they go.
 */
#include <string.h>

#include "trace/record.h"
#include "trace/wait.h"

static const enum hob_trace_what what_of[TRACE_N_KINDS] = {
    [TRACE_EV_BEGIN] = HOB_TRACE_BEGIN, [TRACE_EV_READY] = HOB_TRACE_READY,
    [TRACE_EV_RUN] = HOB_TRACE_RUN,     [TRACE_EV_PARK] = HOB_TRACE_PARK,
    [TRACE_EV_END] = HOB_TRACE_END,     [TRACE_EV_GAP] = HOB_TRACE_GAP,
};

static const enum hob_trace_place place_of[TRACE_N_LANE_KINDS] = {
    [TRACE_LANE_LOOP] = HOB_TRACE_ON_LOOP,
    [TRACE_LANE_POOL] = HOB_TRACE_ON_POOL,
    [TRACE_LANE_BLOCK] = HOB_TRACE_ON_BLOCK,
    [TRACE_LANE_THREAD] = HOB_TRACE_ON_THREAD,
};

static struct hob_trace_event event_on(const struct hob_trace *t, uint16_t lane, int64_t at)
{
    return (struct hob_trace_event){.size = sizeof(struct hob_trace_event),
                                    .at = at - t->start,
                                    .thread = lane,
                                    .place = place_of[t->lanes[lane].kind],
                                    .thread_name = t->lanes[lane].name,
                                    .thread_id = t->lanes[lane].tid};
}

static int event_give(const struct hob_trace *t, const struct record_event *e, hob_trace_each_fn fn,
                      void *arg)
{
    struct hob_trace_event ev = event_on(t, e->lane, e->at);

    ev.task = e->task;
    ev.what = what_of[e->kind];
    if (e->kind == TRACE_EV_BEGIN) {
        ev.name = hob__record_text(t, TRACE_EV_NAME, e->task);
        ev.stage = e->arg ? hob__record_text(t, TRACE_EV_STAGE, e->arg) : NULL;
    } else if (e->kind == TRACE_EV_PARK) {
        ev.wait = hob__wait_name((enum hob_wait)e->wait);
        ev.wait_text = hob__wait_text((enum hob_wait)e->wait);
        ev.wait_class = hob__wait_class((enum hob_wait)e->wait);
    } else if (e->kind == TRACE_EV_GAP) {
        ev.n_lost = e->arg;
    }
    return fn(arg, &ev);
}

static int mark_give(const struct hob_trace *t, const struct record_text *x, hob_trace_each_fn fn,
                     void *arg)
{
    struct hob_trace_event ev = event_on(t, x->lane, x->at);

    ev.what = HOB_TRACE_MARK;
    ev.name = x->text;
    return fn(arg, &ev);
}

int hob_trace_each(const hob_trace *t, hob_trace_each_fn fn, void *arg)
{
    size_t mark = 0, e = 0;
    int r = 0;

    /* Texts lie by kind, and marks, which all have the same id, by time. */
    while (mark < t->n_texts && t->texts[mark].kind != TRACE_EV_MARK)
        mark++;
    while (r == 0) {
        bool marks = mark < t->n_texts && t->texts[mark].kind == TRACE_EV_MARK;

        if (marks && (e == t->n_events || t->texts[mark].at <= t->events[e].at))
            r = mark_give(t, &t->texts[mark++], fn, arg);
        else if (e < t->n_events)
            r = event_give(t, &t->events[e++], fn, arg);
        else
            break;
    }
    return r;
}

/* SPDX-License-Identifier: MIT
 *
 * from_trace.c - what a program that uses hob recorded of itself, as a recording
 *
 * HOW         Each task is a small state machine; leaving a state adds the interval to its row,
 *             and after running to the thread it ran on.  Events may be missing: a task is
 *             whatever its next event says, and a thread that runs a task has ended the one before.
 *
 *   Joined with what was seen from outside, the threads are there already: then nothing is added
 *   to them, and what ran on each is handed to own_turns.c.  A wait for a call on another thread
 *   is delegated, since that thread's own wait says more; a wait for the network gets the peer
 *   that its loop was seen to wait for.
 */
#include "diag/from_trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "diag/from_trace_impl.h"

enum { MARKS_MOST = 20 };

/* Waits with a kind of their own, whatever their class: alone, and when the thread that does it was
 * seen from outside, where its own waits tell. */
static const struct {
    const char *wait;
    enum rec_kind kind, joined;
    enum trace_gauge_of gauge;
} special[] = {
    {"FILE", REC_DISK, REC_DISK, GAUGE_NONE},       {"BLOCK", REC_DISK, REC_CHILD, GAUGE_NONE},
    {"LANE", REC_DISK, REC_CHILD, GAUGE_LANE},      {"DNS", REC_DNS, REC_CHILD, GAUGE_NONE},
    {"ACCEPT", REC_ACCEPT, REC_ACCEPT, GAUGE_NONE}, {"CHAN_SEND", REC_LOCK, REC_LOCK, GAUGE_SEND},
    {"CHAN_RECV", REC_LOCK, REC_LOCK, GAUGE_RECV},  {"MUTEX", REC_LOCK, REC_LOCK, GAUGE_LOCK},
    {"RWLOCK", REC_LOCK, REC_LOCK, GAUGE_LOCK},     {"PROCESS", REC_CHILD, REC_CHILD, GAUGE_NONE},
};

/* What a wait of hob's is for, in the words of a recording. */
static enum rec_kind kind_of(const struct trace_convert *c, const struct hob_trace_event *e,
                             uint8_t *gauge)
{
    *gauge = GAUGE_NONE;
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        if (strcmp(e->wait, special[i].wait) == 0) {
            *gauge = (uint8_t)special[i].gauge;
            return c->joins ? special[i].joined : special[i].kind;
        }
    switch (e->wait_class) {
    case HOB_CLASS_IO:
        return REC_NET;
    case HOB_CLASS_TIME:
        return REC_SLEEP;
    case HOB_CLASS_CPU:
        return REC_CHILD; /* somebody else computes for it */
    case HOB_CLASS_SYNC:
    default:
        return REC_LOCK;
    }
}

/* The part that is within the recording; false: none is. */
static bool clip(const struct trace_convert *c, int64_t *from, int64_t *to)
{
    *from = *from > 0 ? *from : 0;
    if (c->joins && *to > c->rec->wall)
        *to = c->rec->wall;
    return *to > *from;
}

static void gauge_move(struct trace_gauge *g, int64_t now, bool up)
{
    int64_t d = now > g->since ? now - g->since : 0;

    g->any += g->n > 0 ? d : 0;
    g->sum += g->n * d;
    g->since = now > g->since ? now : g->since;
    g->n += up ? 1u : g->n > 0 ? -1u : 0;
}

static void task_counts(struct trace_convert *c, struct trace_task *t, int64_t now, bool up)
{
    struct trace_runner *home = t->home < c->n_runners ? &c->runners[t->home] : NULL;

    if (t->gauge)
        gauge_move(&c->gauge[t->gauge], now, up);
    if (t->awaits && home)
        home->n_others += up ? 1u : home->n_others > 0 ? -1u : 0;
}

/* What the loop's thread was seen to wait for, last before `now`: who the tasks talk to. */
static void peer_from_outside(const struct trace_convert *c, const struct trace_task *t,
                              int64_t now, struct rec_ival *iv)
{
    enum { BACK = 64 };
    const struct rec_thread *th = &c->rec->threads[c->runners[t->home].thread];
    size_t low = 0, high = th->n_ivals;

    while (low < high) {
        size_t mid = (low + high) / 2;

        if (th->ivals[mid].from < now)
            low = mid + 1;
        else
            high = mid;
    }
    for (size_t i = low; i > 0 && low - i < BACK; i--) {
        const struct rec_ival *v = &th->ivals[i - 1];

        if (v->state == REC_WAIT && v->peer &&
            (v->kind == REC_NET || v->kind == REC_DB || v->kind == REC_IPC)) {
            iv->kind = v->kind;
            iv->peer = v->peer;
            return;
        }
    }
}

/* A turn on a thread that was seen from outside: on CPU but for what its thread did meanwhile. */
static void turn_from_outside(struct trace_convert *c, uint32_t row, const struct rec_thread *on,
                              struct rec_ival *iv)
{
    size_t low = 0, high = on->n_ivals;
    int64_t to = iv->to;

    while (low < high) {
        size_t mid = (low + high) / 2;

        if (on->ivals[mid].to <= iv->from)
            low = mid + 1;
        else
            high = mid;
    }
    for (size_t i = low; i < on->n_ivals && on->ivals[i].from < to; i++) {
        struct rec_ival v = on->ivals[i];

        if (v.state == REC_RUN || (v.flags & REC_IVAL_FOLDED && v.run_ppm > 500000))
            continue;
        v.from = v.from > iv->from ? v.from : iv->from;
        v.to = v.to < to ? v.to : to;
        v.flags |= REC_IVAL_COPY;
        iv->to = v.from;
        rec_add(c->rec, row, iv);
        rec_add(c->rec, row, &v);
        iv->from = v.to;
    }
    iv->to = to;
    rec_add(c->rec, row, iv);
}

/* The task was in its state until now. */
static void task_close(struct trace_convert *c, struct trace_task *t, int64_t now)
{
    struct rec_ival iv = t->now;

    if (!t->known)
        return;
    task_counts(c, t, now, false);
    iv.from = t->since;
    iv.to = now;
    if (!clip(c, &iv.from, &iv.to))
        return;
    struct trace_name *name = &c->names[t->group];
    int64_t d = iv.to - iv.from;
    name->life += d;
    name->run += iv.state == REC_RUN ? d : 0;
    name->chan += t->gauge == GAUGE_SEND || t->gauge == GAUGE_RECV ? d : 0;
    name->io += iv.state == REC_WAIT && rec_kind_class(iv.kind) == HOB_CLASS_IO ? d : 0;
    if (c->joins && iv.kind == REC_NET && t->home < c->n_runners && c->runners[t->home].outside)
        peer_from_outside(c, t, now, &iv);
    if (t->row == NO_ROW)
        return;
    uint32_t row = c->groups[t->group].thread[t->row];
    const struct trace_runner *home = t->home < c->n_runners ? &c->runners[t->home] : NULL;
    if (iv.state == REC_RUN && home && home->outside)
        turn_from_outside(c, row, &c->rec->threads[home->thread], &iv);
    else
        rec_add(c->rec, row, &iv);
}

static int turn_add(struct trace_runner *w, const struct trace_turn *turn)
{
    if (w->n_turns == w->cap_turns) {
        size_t cap = w->cap_turns ? 2 * w->cap_turns : 64;
        struct trace_turn *bigger = reallocarray(w->turns, cap, sizeof *bigger);

        if (!bigger)
            return -ENOMEM;
        w->turns = bigger;
        w->cap_turns = cap;
    }
    w->turns[w->n_turns++] = *turn;
    return 0;
}

static int runner_stop(struct trace_convert *c, struct trace_runner *w, int64_t now)
{
    struct rec_ival iv = {.from = w->since, .to = now, .core = REC_NO_CORE};
    bool some = w->task && clip(c, &iv.from, &iv.to);

    w->task = 0;
    if (!some)
        return 0;
    if (w->place == HOB_TRACE_ON_BLOCK && !c->joins) {
        iv.state = REC_WAIT;
        iv.kind = REC_DISK;
        iv.peer = rec_peer_of(c->rec, REC_DISK, "a call that blocks");
    }
    if (!w->outside)
        rec_add(c->rec, w->thread, &iv);
    return c->joins ? turn_add(w, &(struct trace_turn){.from = iv.from,
                                                       .to = iv.to,
                                                       .name = w->name,
                                                       .others = w->n_others > 0})
                    : 0;
}

static int runner_find(struct trace_convert *c, const struct hob_trace_event *e,
                       struct trace_runner *w)
{
    static const char *const words[] = {"loop", "pool", "blocking", "thread"};
    struct rec_thread *th;

    w->thread = c->joins && e->thread_id ? rec_thread_of(c->rec, c->pid, e->thread_id)
                                         : rec_thread_new(c->rec, c->pid, --c->next_tid);
    if (c->rec->failed)
        return -ENOMEM;
    th = &c->rec->threads[w->thread];
    w->outside = c->joins && th->n_ivals > 0;
    if (!w->outside)
        snprintf(th->name, sizeof th->name, "%s",
                 e->thread_name[0] ? e->thread_name : words[e->place]);
    w->place = e->place;
    w->known = true;
    return 0;
}

static int runner_get(struct trace_convert *c, const struct hob_trace_event *e,
                      struct trace_runner **ret)
{
    if (e->thread >= c->n_runners) {
        size_t n = (size_t)e->thread + 64;
        struct trace_runner *bigger = reallocarray(c->runners, n, sizeof *bigger);

        if (!bigger)
            return -ENOMEM;
        memset(bigger + c->n_runners, 0, (n - c->n_runners) * sizeof *bigger);
        c->runners = bigger;
        c->n_runners = n;
    }
    *ret = &c->runners[e->thread];
    return (*ret)->known ? 0 : runner_find(c, e, *ret);
}

/* The state that begins with this event. */
static void task_state(struct trace_convert *c, struct trace_task *t, const struct trace_runner *w,
                       const struct hob_trace_event *e, int64_t now)
{
    bool blocks = w->place == HOB_TRACE_ON_BLOCK && !c->joins;

    if (e->what == HOB_TRACE_RUN || !t->known)
        t->home = e->thread;
    t->since = now;
    t->known = true;
    t->now = (struct rec_ival){.state = REC_READY, .core = REC_NO_CORE};
    t->gauge = GAUGE_NONE;
    t->awaits = e->what != HOB_TRACE_RUN;
    if (e->what == HOB_TRACE_RUN) {
        t->now.state = blocks ? REC_WAIT : REC_RUN;
        if (blocks) {
            t->now.kind = REC_DISK;
            t->now.in_flight = 1;
            t->now.peer = rec_peer_of(c->rec, REC_DISK, "a call that blocks");
        }
    } else if (e->what == HOB_TRACE_PARK) {
        enum rec_kind kind = kind_of(c, e, &t->gauge);
        t->now.state = REC_WAIT;
        t->now.kind = (uint8_t)kind;
        t->now.in_flight = 1;
        t->now.peer = rec_peer_of(c->rec, kind, e->wait_text);
        t->awaits = e->wait_class == HOB_CLASS_IO || e->wait_class == HOB_CLASS_TIME;
    }
    task_counts(c, t, now, true);
}

static int convert_event(void *arg, const struct hob_trace_event *e)
{
    struct trace_convert *c = arg;
    int64_t now = e->at + c->after;
    struct trace_runner *w;
    struct trace_task *t;
    int r;

    if (e->what == HOB_TRACE_MARK && c->n_marks++ < MARKS_MOST)
        rec_note(c->rec, "mark at %lld us: %s", (long long)(now / 1000), e->name);
    if (!e->task)
        return 0;
    r = runner_get(c, e, &w);
    if (r < 0)
        return r;
    t = trace_task_get(c, e->task);
    if (!t)
        return -ENOMEM;
    task_close(c, t, now);
    if (e->what != HOB_TRACE_RUN && w->task == e->task && (r = runner_stop(c, w, now)) < 0)
        return r;
    if (e->what == HOB_TRACE_END) {
        trace_task_end(c, t);
        return 0;
    }
    r = trace_task_begin(c, t, e);
    if (r < 0)
        return r;
    task_state(c, t, w, e, now);
    if (e->what == HOB_TRACE_RUN) {
        r = runner_stop(c, w, now);
        w->task = e->task;
        w->name = t->group;
        w->since = now;
    }
    return r;
}

void trace_convert_free(struct trace_convert *c)
{
    for (size_t i = 0; i < c->n_groups; i++) {
        free(c->names[i].text);
        free(c->groups[i].thread);
        free(c->groups[i].used);
    }
    for (size_t i = 0; i < c->n_runners; i++)
        free(c->runners[i].turns);
    free(c->groups);
    free(c->names);
    free(c->tasks);
    free(c->runners);
}

/* All events; what still goes on then goes on until `end`. */
int trace_convert_all(struct trace_convert *c, const hob_trace *trace, int64_t end)
{
    int r = hob_trace_each(trace, convert_event, c);

    for (size_t i = 0; r == 0 && i < c->cap; i++)
        if (c->tasks[i].id)
            task_close(c, &c->tasks[i], end);
    for (size_t i = 0; r == 0 && i < c->n_runners; i++)
        r = runner_stop(c, &c->runners[i], end);
    return r == 0 && c->rec->failed ? -ENOMEM : r;
}

int rec_from_trace(const hob_trace *trace, struct recording *ret)
{
    struct trace_convert c = {.rec = ret, .pid = ret->root};
    int r;

    ret->tier = REC_T0;
    ret->wall = hob_trace_wall(trace);
    ret->n_lost = hob_trace_lost(trace);
    rec_proc_of(ret, ret->root);
    r = trace_convert_all(&c, trace, ret->wall);
    trace_convert_free(&c);
    return r;
}

int rec_load_any(const char *path, struct recording *ret)
{
    hob_trace *trace;
    int r = rec_load(path, ret);

    if (r != -EBADMSG)
        return r;
    r = hob_trace_load(path, &trace);
    if (r < 0)
        return r;
    rec_init(ret);
    r = rec_from_trace(trace, ret);
    hob_trace_free(trace);
    if (r < 0)
        rec_free(ret);
    return r;
}

/* SPDX-License-Identifier: MIT
 *
 * from_trace.c - what a program that uses hob recorded of itself, as a recording
 *
 * HOW         Each task is a small state machine; leaving a state adds the interval to its row,
 *             and after running to the thread it ran on.  Events may be missing: a task is
 *             whatever its next event says, and a thread that runs a task has ended the one before.
 *
 *   Rows rather than tasks: ten thousand items of a stage of width 50 are 50 rows, and as many
 *   are in flight at once.
 */
#include "diag/from_trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NO_ROW = UINT32_MAX, ROWS_MOST = 20000, GROUPS_MOST = 256, MARKS_MOST = 20 };

struct task {
    uint64_t id; /* 0: the place is free */
    int64_t since;
    uint32_t group, row;
    struct rec_ival now; /* state, kind, peer */
    bool known;          /* in a state */
};

/* The tasks of a stage, or of a name. */
struct group {
    char *name;
    uint32_t *thread; /* [n_rows] of the recording */
    bool *used;
    uint32_t n_rows, cap, lowest; /* below lowest all are used */
};

struct runner {
    uint32_t thread; /* of the recording */
    bool named;
    uint64_t task; /* now on it; 0: none */
    int64_t since;
    bool waits; /* a thread for calls that block */
};

struct convert {
    struct recording *rec;
    struct task *tasks; /* hash table, open addressing */
    size_t n_tasks, cap;
    struct group *groups;
    size_t n_groups;
    struct runner *runners; /* by the trace's number of the thread */
    size_t n_runners;
    uint32_t n_marks;
    int32_t next_tid; /* rows have negative ones */
};

/* --- tables ----------------------------------------------------------------------------------- */

static struct task *task_place(struct task *tasks, size_t cap, uint64_t id)
{
    size_t i = (size_t)((id * 0x9e3779b97f4a7c15u) >> 20) & (cap - 1);

    while (tasks[i].id && tasks[i].id != id)
        i = (i + 1) & (cap - 1);
    return &tasks[i];
}

static struct task *task_get(struct convert *c, uint64_t id)
{
    struct task *t;

    if (2 * c->n_tasks >= c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 1024;
        struct task *bigger = calloc(cap, sizeof *bigger);

        if (!bigger)
            return NULL;
        for (size_t i = 0; i < c->cap; i++)
            if (c->tasks[i].id)
                *task_place(bigger, cap, c->tasks[i].id) = c->tasks[i];
        free(c->tasks);
        c->tasks = bigger;
        c->cap = cap;
    }
    t = task_place(c->tasks, c->cap, id);
    if (!t->id) {
        *t = (struct task){.id = id, .row = NO_ROW};
        c->n_tasks++;
    }
    return t;
}

static int group_get(struct convert *c, const char *name, uint32_t *ret)
{
    struct group *bigger;

    for (size_t i = 0; i < c->n_groups; i++)
        if (strcmp(c->groups[i].name, name) == 0) {
            *ret = (uint32_t)i;
            return 0;
        }
    if (c->n_groups == GROUPS_MOST) { /* each has a name of its own: the last is for all others */
        *ret = GROUPS_MOST - 1;
        return 0;
    }
    if (c->n_groups == GROUPS_MOST - 1)
        name = "other tasks";
    bigger = reallocarray(c->groups, c->n_groups + 1, sizeof *bigger);
    if (!bigger)
        return -ENOMEM;
    c->groups = bigger;
    c->groups[c->n_groups] = (struct group){.name = strdup(name)};
    if (!c->groups[c->n_groups].name)
        return -ENOMEM;
    *ret = (uint32_t)c->n_groups++;
    return 0;
}

static int row_new(struct convert *c, struct group *g)
{
    struct rec_thread *th;

    if (g->n_rows == g->cap) {
        uint32_t cap = g->cap ? 2 * g->cap : 16;
        uint32_t *thread = reallocarray(g->thread, cap, sizeof *thread);
        if (thread)
            g->thread = thread;
        bool *used = reallocarray(g->used, cap, sizeof *used);
        if (used)
            g->used = used;
        if (!thread || !used)
            return -ENOMEM;
        g->cap = cap;
    }
    g->thread[g->n_rows] = rec_thread_new(c->rec, c->rec->root, --c->next_tid);
    if (c->rec->failed)
        return -ENOMEM;
    th = &c->rec->threads[g->thread[g->n_rows]];
    th->is_task = true;
    snprintf(th->name, sizeof th->name, "%.*s", (int)sizeof th->name - 1, g->name);
    g->used[g->n_rows++] = false;
    return 0;
}

/* The lowest free row of its group. */
static int task_begin(struct convert *c, struct task *t, const struct hob_trace_event *e)
{
    const char *name = e->stage ? e->stage : e->name ? e->name : "task";
    struct group *g;
    int r;

    if (t->row != NO_ROW)
        return 0;
    r = group_get(c, name, &t->group);
    if (r < 0)
        return r;
    g = &c->groups[t->group];
    while (g->lowest < g->n_rows && g->used[g->lowest])
        g->lowest++;
    if (g->lowest == g->n_rows) {
        if (g->n_rows == ROWS_MOST) {
            rec_note(c->rec, "of stage %s only %d tasks at once are shown", g->name, ROWS_MOST);
            return 0;
        }
        if ((r = row_new(c, g)) < 0)
            return r;
    }
    t->row = g->lowest;
    g->used[t->row] = true;
    return 0;
}

static void task_end(struct convert *c, struct task *t)
{
    struct group *g;

    if (t->row == NO_ROW)
        return;
    g = &c->groups[t->group];
    g->used[t->row] = false;
    if (t->row < g->lowest)
        g->lowest = t->row;
    t->row = NO_ROW;
    t->known = false;
}

/* --- intervals -------------------------------------------------------------------------------- */

/* What a wait of hob's is for, in the words of a recording. */
static enum rec_kind kind_of(const struct hob_trace_event *e)
{
    static const struct {
        const char *wait;
        enum rec_kind kind;
    } special[] = {{"FILE", REC_DISK},
                   {"BLOCK", REC_DISK},
                   {"LANE", REC_DISK},
                   {"DNS", REC_DNS},
                   {"ACCEPT", REC_ACCEPT}};

    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        if (strcmp(e->wait, special[i].wait) == 0)
            return special[i].kind;
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

/* The task was in its state until now. */
static void task_close(struct convert *c, struct task *t, int64_t now)
{
    struct rec_ival iv = t->now;

    if (t->row == NO_ROW || !t->known || now <= t->since)
        return;
    iv.from = t->since;
    iv.to = now;
    rec_add(c->rec, c->groups[t->group].thread[t->row], &iv);
}

static void runner_stop(struct convert *c, struct runner *w, int64_t now)
{
    struct rec_ival iv = {.from = w->since, .to = now, .core = REC_NO_CORE};

    if (!w->task)
        return;
    if (w->waits) {
        iv.state = REC_WAIT;
        iv.kind = REC_DISK;
        iv.peer = rec_peer_of(c->rec, REC_DISK, "a call that blocks");
    }
    if (now > w->since)
        rec_add(c->rec, w->thread, &iv);
    w->task = 0;
}

static int runner_get(struct convert *c, const struct hob_trace_event *e, struct runner **ret)
{
    static const char *const words[] = {"loop", "pool", "blocking", "thread"};
    struct runner *w;

    if (e->thread >= c->n_runners) {
        size_t n = (size_t)e->thread + 64;
        struct runner *bigger = reallocarray(c->runners, n, sizeof *bigger);
        if (!bigger)
            return -ENOMEM;
        memset(bigger + c->n_runners, 0, (n - c->n_runners) * sizeof *bigger);
        c->runners = bigger;
        c->n_runners = n;
    }
    w = &c->runners[e->thread];
    if (!w->named) {
        struct rec_thread *th;

        w->thread = rec_thread_new(c->rec, c->rec->root, --c->next_tid);
        if (c->rec->failed)
            return -ENOMEM;
        th = &c->rec->threads[w->thread];
        if (e->thread_name[0])
            snprintf(th->name, sizeof th->name, "%s", e->thread_name);
        else
            snprintf(th->name, sizeof th->name, "%s", words[e->place]);
        w->waits = e->place == HOB_TRACE_ON_BLOCK;
        w->named = true;
    }
    *ret = w;
    return 0;
}

/* The state that begins with this event. */
static void task_state(struct convert *c, struct task *t, const struct runner *w,
                       const struct hob_trace_event *e)
{
    t->since = e->at;
    t->known = true;
    t->now = (struct rec_ival){.state = REC_READY, .core = REC_NO_CORE};
    if (e->what == HOB_TRACE_RUN) {
        t->now.state = w->waits ? REC_WAIT : REC_RUN;
        if (w->waits) {
            t->now.kind = REC_DISK;
            t->now.in_flight = 1;
            t->now.peer = rec_peer_of(c->rec, REC_DISK, "a call that blocks");
        }
    } else if (e->what == HOB_TRACE_PARK) {
        enum rec_kind kind = kind_of(e);
        t->now.state = REC_WAIT;
        t->now.kind = (uint8_t)kind;
        t->now.in_flight = 1;
        t->now.peer = rec_peer_of(c->rec, kind, e->wait_text);
    }
}

static int convert_event(void *arg, const struct hob_trace_event *e)
{
    struct convert *c = arg;
    struct runner *w;
    struct task *t;
    int r;

    if (e->what == HOB_TRACE_MARK && c->n_marks++ < MARKS_MOST)
        rec_note(c->rec, "mark at %lld us: %s", (long long)(e->at / 1000), e->name);
    if (!e->task)
        return 0;
    r = runner_get(c, e, &w);
    if (r < 0)
        return r;
    t = task_get(c, e->task);
    if (!t)
        return -ENOMEM;
    task_close(c, t, e->at);
    if (e->what != HOB_TRACE_RUN && w->task == e->task)
        runner_stop(c, w, e->at);
    if (e->what == HOB_TRACE_END) {
        task_end(c, t);
        return 0;
    }
    r = task_begin(c, t, e);
    if (r < 0)
        return r;
    task_state(c, t, w, e);
    if (e->what == HOB_TRACE_RUN) {
        runner_stop(c, w, e->at);
        w->task = e->task;
        w->since = e->at;
    }
    return 0;
}

static void convert_free(struct convert *c)
{
    for (size_t i = 0; i < c->n_groups; i++) {
        free(c->groups[i].name);
        free(c->groups[i].thread);
        free(c->groups[i].used);
    }
    free(c->groups);
    free(c->tasks);
    free(c->runners);
}

int rec_from_trace(const hob_trace *trace, struct recording *ret)
{
    struct convert c = {.rec = ret};
    int r;

    ret->tier = REC_T0;
    ret->wall = hob_trace_wall(trace);
    ret->n_lost = hob_trace_lost(trace);
    rec_proc_of(ret, ret->root);
    r = hob_trace_each(trace, convert_event, &c);
    for (size_t i = 0; r == 0 && i < c.cap; i++)
        if (c.tasks[i].id)
            task_close(&c, &c.tasks[i], ret->wall);
    for (size_t i = 0; r == 0 && i < c.n_runners; i++)
        runner_stop(&c, &c.runners[i], ret->wall);
    convert_free(&c);
    return r == 0 && ret->failed ? -ENOMEM : r;
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

/* SPDX-License-Identifier: MIT
 *
 * trace_rows.c - the tasks of a trace, and the rows that they share
 *
 * HOW         Rows rather than tasks: ten thousand items of a stage of width 50 are 50 rows, and
 *             as many are in flight at once.  A task that ends gives its row to the next of its
 *             name.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "diag/from_trace_impl.h"

enum { ROWS_MOST = 20000, GROUPS_MOST = 256 };

static struct trace_task *task_place(struct trace_task *tasks, size_t cap, uint64_t id)
{
    size_t i = (size_t)((id * 0x9e3779b97f4a7c15u) >> 20) & (cap - 1);

    while (tasks[i].id && tasks[i].id != id)
        i = (i + 1) & (cap - 1);
    return &tasks[i];
}

struct trace_task *trace_task_get(struct trace_convert *c, uint64_t id)
{
    struct trace_task *t;

    if (2 * c->n_tasks >= c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 1024;
        struct trace_task *bigger = calloc(cap, sizeof *bigger);

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
        *t = (struct trace_task){.id = id, .row = NO_ROW};
        c->n_tasks++;
    }
    return t;
}

static int group_get(struct trace_convert *c, const char *text, bool stage, uint32_t *ret)
{
    for (size_t i = 0; i < c->n_groups; i++)
        if (strcmp(c->names[i].text, text) == 0) {
            *ret = (uint32_t)i;
            c->names[i].stage |= stage;
            return 0;
        }
    if (c->n_groups == GROUPS_MOST) { /* each has a name of its own: the last is for all others */
        *ret = GROUPS_MOST - 1;
        return 0;
    }
    if (c->n_groups == GROUPS_MOST - 1)
        text = "other tasks";
    struct trace_group *groups = reallocarray(c->groups, c->n_groups + 1, sizeof *groups);
    if (groups)
        c->groups = groups;
    struct trace_name *names = reallocarray(c->names, c->n_groups + 1, sizeof *names);
    if (names)
        c->names = names;
    if (!groups || !names)
        return -ENOMEM;
    c->groups[c->n_groups] = (struct trace_group){0};
    c->names[c->n_groups] = (struct trace_name){.text = strdup(text), .stage = stage};
    if (!c->names[c->n_groups].text)
        return -ENOMEM;
    *ret = (uint32_t)c->n_groups++;
    return 0;
}

static int row_new(struct trace_convert *c, struct trace_group *g, const char *name)
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
    g->thread[g->n_rows] = rec_thread_new(c->rec, c->pid, --c->next_tid);
    if (c->rec->failed)
        return -ENOMEM;
    th = &c->rec->threads[g->thread[g->n_rows]];
    th->is_task = true;
    snprintf(th->name, sizeof th->name, "%.*s", (int)sizeof th->name - 1, name);
    g->used[g->n_rows++] = false;
    return 0;
}

/* The lowest free row of its group. */
int trace_task_begin(struct trace_convert *c, struct trace_task *t, const struct hob_trace_event *e)
{
    const char *name = e->stage ? e->stage : e->name ? e->name : "task";
    struct trace_group *g;
    int r;

    if (t->row != NO_ROW)
        return 0;
    r = group_get(c, name, e->stage != NULL, &t->group);
    if (r < 0)
        return r;
    g = &c->groups[t->group];
    while (g->lowest < g->n_rows && g->used[g->lowest])
        g->lowest++;
    if (g->lowest == g->n_rows) {
        if (g->n_rows == ROWS_MOST) {
            rec_note(c->rec, "of stage %s only %d tasks at once are shown", name, ROWS_MOST);
            return 0;
        }
        if ((r = row_new(c, g, name)) < 0)
            return r;
    }
    t->row = g->lowest;
    g->used[t->row] = true;
    return 0;
}

void trace_task_end(struct trace_convert *c, struct trace_task *t)
{
    struct trace_group *g;

    if (t->row == NO_ROW)
        return;
    g = &c->groups[t->group];
    g->used[t->row] = false;
    if (t->row < g->lowest)
        g->lowest = t->row;
    t->row = NO_ROW;
    t->known = false;
}

/* SPDX-License-Identifier: MIT
 *
 * switches_unseen.c - processes that the kernel does not let us record any more
 *
 * WHAT        A program that gains rights (setuid: sudo, su) takes the events off itself, with a
 *             record as if it had ended, and what it starts has none.  Its CPU time can still be
 *             read by everybody: such processes and their children are sampled, as intervals that
 *             say how much of them was spent on CPU, and no reason for the rest.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hob/base.h>

#include "diag/procfs.h"
#include "diag/switches_impl.h"

enum { UNSEEN_MOST = 256, PF_EXITING = 4 /* the kernel's */ };

#define UNSEEN_EVERY (20 * HOB_MS)

/* One that is on its way out (PF_EXITING) does not live, though it may take a while. */
static bool alive(int32_t pid, struct procfs_stat *st)
{
    char text[1024];
    unsigned flags;

    if (procfs_read(text, sizeof text, "/proc/%d/stat", pid) <= 0 ||
        procfs_parse_stat(text, st) < 0 || st->state == 'Z' || st->state == 'X')
        return false;
    const char *behind_name = strrchr(text, ')');
    return behind_name && sscanf(behind_name, ") %*c %*d %*d %*d %*d %*d %u", &flags) == 1 &&
           !(flags & PF_EXITING);
}

static bool times_read(int32_t pid, struct procfs_sched *ret)
{
    char text[128];

    return procfs_read(text, sizeof text, "/proc/%d/schedstat", pid) > 0 &&
           procfs_parse_sched(text, ret) == 0;
}

void switches_left(struct switches *s, int32_t pid, uint32_t row, int64_t at)
{
    if (s->n_left < LEFT_MOST)
        s->left[s->n_left++] = (struct unseen){.pid = pid, .row = row, .since = at};
}

static void watch(struct switches *s, struct unseen u)
{
    struct rec_proc *proc = &s->rec->procs[s->rec->threads[u.row].proc];
    struct procfs_sched t = {0};

    if (!s->unseen)
        s->unseen = calloc(UNSEEN_MOST, sizeof *s->unseen);
    if (!s->unseen || s->n_unseen == UNSEEN_MOST)
        return;
    times_read(u.pid, &t);
    u.run = t.run;
    u.delay = t.delay;
    proc->opaque = true;
    proc->died = s->rec->threads[u.row].died = INT64_MAX;
    rec_note(s->rec,
             "process %d (%s) has rights of its own: of it and what it starts only the CPU "
             "time is seen",
             u.pid, s->rec->threads[u.row].name);
    s->unseen[s->n_unseen++] = u;
}

/* Those said to have ended that have not. */
static void left_look(struct switches *s)
{
    struct procfs_stat st;

    for (size_t i = 0; i < s->n_left; i++)
        if (!threads_proc(&s->threads, s->left[i].pid) && alive(s->left[i].pid, &st))
            watch(s, s->left[i]);
    s->n_left = 0;
}

static void children_watch(struct switches *s, int32_t pid, int64_t now)
{
    char text[4096];
    const char *at = text;
    int32_t child;

    if (procfs_read(text, sizeof text, "/proc/%d/task/%d/children", pid, pid) <= 0)
        return;
    while ((child = procfs_next_pid(&at)) > 0) {
        bool known = threads_proc(&s->threads, child) != NULL;
        struct procfs_stat st;

        for (size_t i = 0; !known && i < s->n_unseen; i++)
            known = s->unseen[i].pid == child;
        if (known || s->n_unseen == UNSEEN_MOST || !alive(child, &st))
            continue;
        uint32_t row = rec_thread_new(s->rec, child, child);
        struct rec_thread *t = &s->rec->threads[row];
        t->born = s->rec->procs[t->proc].born = now;
        s->rec->procs[t->proc].parent = pid;
        memcpy(t->name, st.name, sizeof st.name);
        pids_add(s, &s->unnamed, child);
        watch(s, (struct unseen){.pid = child, .row = row, .since = now});
    }
}

/* What it did since the last time. */
static void unseen_put(struct switches *s, struct unseen *u, int64_t now)
{
    struct procfs_sched t;
    double all = (double)(now - u->since);

    if (now <= u->since || !times_read(u->pid, &t) || t.run < u->run || t.delay < u->delay)
        return;
    double run = (double)(t.run - u->run) / all, ready = (double)(t.delay - u->delay) / all;
    run = run < 1 ? run : 1;
    ready = ready < 1 - run ? ready : 1 - run;
    struct rec_ival v = {.from = u->since,
                         .to = now,
                         .state = REC_WAIT,
                         .kind = REC_UNKNOWN,
                         .core = REC_NO_CORE,
                         .flags = REC_IVAL_FOLDED,
                         .run_ppm = (uint32_t)(run * 1e6),
                         .ready_ppm = (uint32_t)(ready * 1e6)};
    rec_add(s->rec, u->row, &v);
    u->since = now;
    u->run = t.run;
    u->delay = t.delay;
}

void switches_unseen_look(struct switches *s, int64_t now)
{
    struct procfs_stat st;
    size_t n = 0;

    left_look(s);
    if (s->n_unseen == 0 || now - s->unseen_at < UNSEEN_EVERY)
        return;
    s->unseen_at = now;
    for (size_t i = 0; i < s->n_unseen; i++)
        children_watch(s, s->unseen[i].pid, now);
    for (size_t i = 0; i < s->n_unseen; i++) {
        struct unseen u = s->unseen[i];

        if (!alive(u.pid, &st)) {
            s->rec->threads[u.row].died = s->rec->procs[s->rec->threads[u.row].proc].died = now;
            continue;
        }
        unseen_put(s, &u, now);
        s->unseen[n++] = u;
    }
    s->n_unseen = n;
}

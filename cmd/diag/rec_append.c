/* SPDX-License-Identifier: MIT
 *
 * rec_append.c - one run's recording behind another's, and sums of what programs say of themselves
 */
#include <stdlib.h>
#include <string.h>

#include "diag/rec.h"

/* map: what each thread of `more` is called in r; NULL: no memory. */
static void append_wakes(struct recording *r, const struct recording *more, const uint32_t *map,
                         int64_t after)
{
    for (size_t i = 0; map && i < more->n_wakes; i++) {
        struct rec_wake w = more->wakes[i];

        w.at += after;
        w.waker = map[w.waker];
        w.woken = map[w.woken];
        rec_add_wake(r, &w);
    }
}

static void append_counts(struct recording *r, const struct recording *more, const uint32_t *map,
                          int64_t after)
{
    for (size_t i = 0; map && i < more->n_counts; i++) {
        struct rec_count c = more->counts[i];

        c.at += after;
        c.thread = map[c.thread];
        rec_add_count(r, &c);
    }
}

static void append_threads(struct recording *r, const struct recording *more, int64_t after)
{
    uint32_t *map = calloc(more->n_threads + 1, sizeof *map);

    r->failed |= !map;
    for (size_t i = 0; i < more->n_threads; i++) {
        const struct rec_thread *from = &more->threads[i];
        const struct rec_proc *proc = &more->procs[from->proc];
        uint32_t at = rec_thread_new(r, proc->pid, from->tid);

        if (map)
            map[i] = at;
        memcpy(r->threads[at].name, from->name, sizeof from->name);
        r->threads[at].born = from->born + after;
        r->threads[at].died = from->died == INT64_MAX ? INT64_MAX : from->died + after;
        r->threads[at].is_task = from->is_task;
        for (size_t k = 0; k < from->n_ivals; k++) {
            struct rec_ival v = from->ivals[k];
            const struct rec_peer *peer = &more->peers[v.peer];

            v.from += after;
            v.to += after;
            v.peer = v.peer ? rec_peer_of(r, (enum rec_kind)peer->kind, peer->name) : 0;
            rec_add(r, at, &v);
        }
        for (size_t k = 0; k < more->n_looks; k++) {
            struct rec_look look = more->looks[k];

            if (look.thread != i)
                continue;
            look.at += after;
            look.thread = at;
            rec_add_look(r, &look);
        }
    }
    append_counts(r, more, map, after);
    append_wakes(r, more, map, after);
    free(map);
}

/* The name goes with the larger figure. */
static void own_name(char to[32], int64_t mine, const char from[32], int64_t theirs)
{
    if (theirs > mine)
        memcpy(to, from, 32);
}

void rec_own_add(struct rec_own *to, const struct rec_own *more)
{
    struct rec_own sum = *to;

    own_name(sum.held_by, to->held, more->held_by, more->held);
    own_name(sum.blocked_by, to->blocked, more->blocked_by, more->blocked);
    own_name(sum.job_by, to->job_waits, more->job_by, more->job_waits);
    own_name(sum.io_by, to->io_sum, more->io_by, more->io_sum);
    own_name(sum.cpu_by, to->cpu_sum, more->cpu_by, more->cpu_sum);
    sum.blocked_kind = more->blocked > to->blocked ? more->blocked_kind : to->blocked_kind;
    sum.job_kind = more->job_waits > to->job_waits ? more->job_kind : to->job_kind;
    sum.io_stage = more->io_sum > to->io_sum ? more->io_stage : to->io_stage;
    sum.cpu_stage = more->cpu_sum > to->cpu_sum ? more->cpu_stage : to->cpu_stage;
    sum.n_traces += more->n_traces;
    sum.n_loops += more->n_loops;
    sum.loop_cpu += more->loop_cpu;
    sum.long_cpu += more->long_cpu;
    sum.job_cpu += more->job_cpu;
    sum.held += more->held;
    sum.blocked += more->blocked;
    sum.job_waits += more->job_waits;
    sum.job_locks += more->job_locks;
    sum.io_sum += more->io_sum;
    sum.cpu_sum += more->cpu_sum;
    sum.send_any += more->send_any;
    sum.recv_any += more->recv_any;
    sum.lane_any += more->lane_any;
    sum.lane_sum += more->lane_sum;
    sum.lock_any += more->lock_any;
    sum.lock_sum += more->lock_sum;
    if (more->held_longest > sum.held_longest)
        sum.held_longest = more->held_longest;
    if (more->blocked_longest > sum.blocked_longest)
        sum.blocked_longest = more->blocked_longest;
    if (to->n_traces == 0 || more->chan_least < sum.chan_least)
        sum.chan_least = more->chan_least;
    *to = sum;
}

void rec_append(struct recording *r, const struct recording *more)
{
    int64_t after = r->wall;

    for (size_t i = 0; i < more->n_procs; i++) {
        const struct rec_proc *from = &more->procs[i];
        uint32_t at = rec_proc_of(r, from->pid);

        r->procs[at].parent = from->parent;
        r->procs[at].listens |= from->listens;
        r->procs[at].opaque |= from->opaque;
        rec_set_text(r, &r->procs[at].exe, from->exe);
        rec_set_text(r, &r->procs[at].command, from->command);
    }
    append_threads(r, more, after);
    if (more->own.n_traces > 0)
        rec_own_add(&r->own, &more->own);
    if (more->tier == REC_T0)
        r->tier = REC_T0;
    r->wall += more->wall;
    r->user = r->user < 0 || more->user < 0 ? -1 : r->user + more->user;
    r->system = r->system < 0 || more->system < 0 ? -1 : r->system + more->system;
    r->recorder_cpu += more->recorder_cpu;
    r->n_switches += more->n_switches;
    r->n_lost += more->n_lost;
    r->n_looked += more->n_looked;
    r->n_waits += more->n_waits;
    if (r->wall > 0)
        r->foreign += (more->foreign - r->foreign) * (double)more->wall / (double)r->wall;
    r->exit_status = more->exit_status;
    if (more->notes)
        rec_note(r, "%s", more->notes);
    r->failed |= more->failed;
}

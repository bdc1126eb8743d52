/* SPDX-License-Identifier: MIT
 *
 * own_turns.c - what hob's threads did, seen from outside, by whose turn it was
 *
 * HOW         A thread that waits cannot switch tasks, so each of its waits lies within one turn
 *             of a task or between two:
 *
 *     between two turns   it has nothing to do; what its tasks wait for is in their own rows
 *     within a turn       the task made it wait: a blocking call, a lock, a page of a file
 *
 *   and that is what a fiber should not do to a loop, nor a job to the pool.  A folded interval,
 *   and a sample, may hang over: it counts where its waiting part must mostly lie.
 *
 *   A turn is long by its time on CPU: what other programs took of it is not the fiber's doing.
 */
#include <string.h>

#include <hob/trace.h>

#include "diag/from_trace_impl.h"

static const int64_t held_min = 10 * HOB_MS; /* as HOB_ADVISE has it */

struct walk {
    struct recording *rec;
    const struct trace_runner *w;
    const struct trace_name *names;
    struct rec_own *own;
    int64_t kinds[REC_N_KINDS];   /* blocked, or a job's waits, by kind */
    int64_t held_most, wait_most; /* of one turn */
    int64_t turn_cpu, turn_wait;  /* of the turn that is being walked over */
    size_t turn;                  /* its index */
};

static bool waits_for_others(enum rec_kind kind)
{
    return rec_kind_class(kind) == HOB_CLASS_IO || kind == REC_SLEEP || kind == REC_PIPE ||
           kind == REC_IPC || kind == REC_CHILD;
}

/* The turn that was walked over is told. */
static void turn_end(struct walk *k)
{
    struct rec_own *o = k->own;
    const struct trace_turn *t = &k->w->turns[k->turn];
    const char *name = k->names[t->name].text;

    if (k->w->place == HOB_TRACE_ON_LOOP) {
        o->loop_cpu += k->turn_cpu;
        o->long_cpu += k->turn_cpu >= held_min ? k->turn_cpu : 0;
        o->blocked += k->turn_wait;
        if (k->turn_cpu >= held_min && t->others) {
            o->held += k->turn_cpu;
            if (k->turn_cpu > o->held_longest)
                o->held_longest = k->turn_cpu;
            if (k->turn_cpu > k->held_most)
                snprintf(o->held_by, sizeof o->held_by, "%.31s", name);
            k->held_most = k->turn_cpu > k->held_most ? k->turn_cpu : k->held_most;
        }
        if (k->turn_wait > o->blocked_longest) {
            o->blocked_longest = k->turn_wait;
            snprintf(o->blocked_by, sizeof o->blocked_by, "%.31s", name);
        }
    } else if (k->w->place == HOB_TRACE_ON_POOL || k->w->place == HOB_TRACE_ON_THREAD) {
        o->job_cpu += k->turn_cpu;
        o->job_waits += k->turn_wait;
        if (k->turn_wait > k->wait_most) {
            k->wait_most = k->turn_wait;
            snprintf(o->job_by, sizeof o->job_by, "%.31s", name);
        }
    }
    k->turn_cpu = k->turn_wait = 0;
}

/* On to the interval's end; each turn's part is charged `cpu` and `wait` of it. */
static void turns_charge(struct walk *k, const struct rec_ival *v, double cpu, double wait)
{
    const struct trace_turn *t = k->w->turns;

    for (; k->turn < k->w->n_turns && t[k->turn].from < v->to; k->turn++) {
        int64_t from = t[k->turn].from > v->from ? t[k->turn].from : v->from;
        int64_t to = t[k->turn].to < v->to ? t[k->turn].to : v->to;
        double d = to > from ? (double)(to - from) : 0;

        k->turn_cpu += (int64_t)(cpu * d);
        k->turn_wait += (int64_t)(wait * d);
        if (t[k->turn].to > v->to)
            return; /* it goes on in the next interval */
        turn_end(k);
    }
}

/* Whether a wait outside of all turns is a thread's of hob's with nothing to do.  A loop's thread
 * may do something else before and after, any other thread between as well. */
static bool is_idle(const struct trace_runner *w, const struct rec_ival *v)
{
    if (w->place == HOB_TRACE_ON_LOOP)
        return v->flags & REC_IVAL_SET || (w->n_turns > 0 && v->from >= w->turns[0].from &&
                                           v->to <= w->turns[w->n_turns - 1].to);
    return w->place != HOB_TRACE_ON_THREAD;
}

static int64_t in_turns(const struct trace_runner *w, size_t i, const struct rec_ival *v)
{
    int64_t sum = 0;

    for (; i < w->n_turns && w->turns[i].from < v->to; i++) {
        int64_t from = w->turns[i].from > v->from ? w->turns[i].from : v->from;
        int64_t to = w->turns[i].to < v->to ? w->turns[i].to : v->to;
        sum += to > from ? to - from : 0;
    }
    return sum;
}

static void walk_ival(struct walk *k, struct rec_ival *v)
{
    double d = (double)(v->to - v->from), covered, cpu, wait;
    bool folded = v->flags & REC_IVAL_FOLDED;
    double run = folded ? v->run_ppm * 1e-6 : v->state == REC_RUN;
    double ready = folded ? v->ready_ppm * 1e-6 : v->state == REC_READY;
    double waits = 1 - run - ready;

    covered = (double)in_turns(k->w, k->turn, v) / d;
    wait = covered - run - ready; /* of the interval: it waited within a turn */
    bool within = waits > 0 && wait > waits / 2;
    bool counts = within && waits_for_others((enum rec_kind)v->kind);
    cpu = covered > 0 ? (run < covered ? run / covered : 1) : 0;
    turns_charge(k, v, cpu, counts ? waits / covered : 0);
    if (within && v->kind == REC_LOCK && k->w->place != HOB_TRACE_ON_LOOP)
        k->own->job_locks += (int64_t)(waits * d);
    if (counts)
        k->kinds[v->kind] += (int64_t)(waits * d);
    if (waits > 0 && !within && is_idle(k->w, v)) {
        v->kind = REC_IDLE;
        v->peer = 0;
        v->in_flight = 0;
        v->flags &= (uint8_t)~REC_IVAL_GUESSED;
        if (k->w->place == HOB_TRACE_ON_LOOP)
            v->flags |= REC_IVAL_SET;
    }
}

static uint8_t largest(const int64_t kinds[REC_N_KINDS])
{
    int most = 0;

    for (int i = 1; i < REC_N_KINDS; i++)
        if (kinds[i] > kinds[most])
            most = i;
    return (uint8_t)most;
}

static void runner_apply(struct walk *k, int64_t until)
{
    struct rec_thread *th = &k->rec->threads[k->w->thread];

    for (size_t i = 0; i < th->n_ivals && th->ivals[i].from < until; i++)
        walk_ival(k, &th->ivals[i]);
    while (k->turn < k->w->n_turns) {
        turn_end(k);
        k->turn++;
    }
}

void own_turns_apply(struct recording *rec, const struct trace_runner *runners, size_t n,
                     const struct trace_name *names, int64_t until, struct rec_own *ret)
{
    struct walk loops = {.rec = rec, .names = names, .own = ret}, jobs = loops;

    for (size_t i = 0; i < n; i++) {
        struct walk *k = runners[i].place == HOB_TRACE_ON_LOOP ? &loops : &jobs;

        if (!runners[i].known)
            continue;
        ret->n_loops += runners[i].place == HOB_TRACE_ON_LOOP;
        k->w = &runners[i];
        k->turn = 0;
        runner_apply(k, until);
    }
    ret->blocked_kind = largest(loops.kinds);
    ret->job_kind = largest(jobs.kinds);
}

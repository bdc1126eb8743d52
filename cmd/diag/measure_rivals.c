/* SPDX-License-Identifier: MIT
 *
 * measure_rivals.c - do the threads of a process take turns where they could run at once?
 *
 * HOW         Threads that share a lock (an interpreter's, or one of their own) have three marks:
 *   several of them do a like part of the work; two hardly ever run at the same moment; and while
 *   one runs, others wait for a lock.  Helpers (a compiler or collector thread) do a small part,
 *   idle pool threads none, and two phases one after the other have turns as long as a phase.
 */
#include <errno.h>
#include <stdlib.h>

#include "diag/edges.h"
#include "diag/measure_impl.h"

static const double rival_part = .08; /* of the process's CPU time; less is a helper, */
static const double like_part = .2; /* unless no thread does much more: one for each request, say */

struct turns {
    const struct recording *rec;
    const bool *is_rival; /* by thread */
    uint32_t n_run, n_ready, n_lock;
    double one, more;         /* s */
    double active, contended; /* s: one of them runs or could; threads in wait meanwhile, summed */
    uint64_t n_turns;
    uint32_t last; /* whose turn it was */
    int64_t now;
};

static void turns_edge(struct turns *t, const struct edge *e)
{
    double d = measure_s(e->at - t->now);
    uint32_t one = e->opens ? 1u : -1u;

    if (!t->is_rival[e->thread])
        return;
    if (t->n_run >= 2)
        t->more += d;
    else if (t->n_run == 1)
        t->one += d;
    if (t->n_run + t->n_ready > 0) {
        t->active += d;
        t->contended += t->n_lock * d;
    }
    t->now = e->at;
    if (e->ival->flags & REC_IVAL_FOLDED)
        return;
    if (e->ival->state == REC_WAIT && e->ival->kind == REC_LOCK) {
        t->n_lock += one;
    } else if (e->ival->state == REC_READY) {
        t->n_ready += one;
    } else if (e->ival->state == REC_RUN) {
        t->n_run += one;
        if (e->opens && t->last != e->thread) {
            t->last = e->thread;
            t->n_turns++;
        }
    }
}

static void rivals_count(const struct recording *r, uint32_t proc, const double *cpu,
                         bool *is_rival, struct measure_rivals *ret)
{
    double total = 0, squares = 0, sum = 0, most = 0;

    for (size_t i = 0; i < r->n_threads; i++)
        if (r->threads[i].proc == proc) {
            total += cpu[i];
            most = cpu[i] > most ? cpu[i] : most;
        }
    double least = like_part * most < rival_part * total ? like_part * most : rival_part * total;
    for (size_t i = 0; i < r->n_threads; i++) {
        is_rival[i] = r->threads[i].proc == proc && cpu[i] > least;
        if (!is_rival[i])
            continue;
        ret->n++;
        sum += cpu[i];
        squares += cpu[i] * cpu[i];
    }
    ret->even = squares > 0 ? sum * sum / squares : 0;
}

int measure_rivals(const struct measure_frame *f, uint32_t proc, const double *cpu_of_thread,
                   struct measure_rivals *ret)
{
    struct turns t = {.rec = f->rec, .last = UINT32_MAX};
    bool *is_rival = calloc(f->rec->n_threads + 1, sizeof(*is_rival));
    struct edges edges;
    struct edge e;
    int err = is_rival ? 0 : -ENOMEM;

    if (err < 0)
        return err;
    rivals_count(f->rec, proc, cpu_of_thread, is_rival, ret);
    t.is_rival = is_rival;
    if (ret->n >= 2)
        err = edges_open(&edges, f->rec, proc);
    if (ret->n >= 2 && err == 0) {
        while (edges_next(&edges, &e))
            turns_edge(&t, &e);
        edges_close(&edges);
        ret->overlap = t.one + t.more > 0 ? t.more / (t.one + t.more) : 0;
        ret->contended = t.active > 0 ? t.contended / t.active : 0;
        ret->turn = t.n_turns > 0 ? (t.one + t.more) / (double)t.n_turns : 0;
    }
    free(is_rival);
    return err;
}

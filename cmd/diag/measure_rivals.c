/* SPDX-License-Identifier: MIT
 *
 * measure_rivals.c - do the threads of a process take turns where they could run at once?
 *
 * HOW         Threads that share a lock (an interpreter's, or one of their own) have three marks:
 *   several of them do a like part of the work; two hardly ever run at the same moment; and while
 *   one runs, others wait for a lock.  Helpers (a compiler or collector thread) do a small part,
 *   idle pool threads none, and two phases one after the other have turns as long as a phase.
 *
 *   A thread that was preempted and computes on when it has a core again would have run: it is one
 *   of two at once, whoever had its core.
 *
 *   The threads of a pool wait for a lock, too, while they have nothing to do.  A lock that nobody
 *   holds is taken at once; so those that wait while no rival runs or could, and the process waits
 *   for something outside, are idle, and as many are taken from those in line.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "diag/edges.h"
#include "diag/measure_impl.h"

static const double rival_part = .08; /* of the process's CPU time; less is a helper, */
static const double like_part = .2; /* unless no thread does much more: one for each request, say */

static const double on_least = .001;    /* s */
static const double still_least = .001; /* s */
static const double still_part = .02;   /* of the time with one of them: less says nothing */

struct turns {
    const struct recording *rec;
    const bool *is_rival; /* by thread */
    uint32_t n_run, n_ready, n_lock;
    uint32_t n_off;           /* of n_ready: would have run */
    uint32_t n_outside;       /* threads of the process that wait for I/O */
    double one, more, crowd;  /* s; crowd: two or more run or could */
    double active, contended; /* s: one of them runs or could; threads in wait meanwhile, summed */
    double still, in_still;   /* s: none does, and the process waits for I/O; the same sum */
    double rest, in_rest;     /* of the stretch that lasts */
    uint64_t n_turns;
    uint32_t last; /* whose turn it was */
    int64_t now;
};

/* Handing a lock over takes less. */
static void still_end(struct turns *t)
{
    if (t->rest >= still_least) {
        t->still += t->rest;
        t->in_still += t->in_rest;
    }
    t->rest = t->in_rest = 0;
}

static void turns_advance(struct turns *t, int64_t at)
{
    double d = measure_s(at - t->now);

    if (t->n_run > 0)
        *(t->n_run + t->n_off > 1 ? &t->more : &t->one) += d;
    if (t->n_run + t->n_ready > 0) {
        t->active += d;
        t->crowd += t->n_run + t->n_ready > 1 ? d : 0;
        t->contended += t->n_lock * d;
        still_end(t);
    } else if (t->n_outside > 0) {
        t->rest += d;
        t->in_rest += t->n_lock * d;
    }
    t->now = at;
}

bool measure_would_run(const struct recording *r, uint32_t thread, const struct rec_ival *iv)
{
    const struct rec_thread *t = &r->threads[thread];
    size_t i = (size_t)(iv - t->ivals);

    return r->tier != REC_T2 && i > 0 && i + 1 < t->n_ivals && iv[-1].state == REC_RUN &&
           iv[1].state == REC_RUN && measure_s(iv[1].to - iv[1].from) >= on_least;
}

static void turns_edge(struct turns *t, const struct measure_frame *f, const struct edge *e)
{
    uint32_t one = e->opens ? 1u : -1u;

    turns_advance(t, e->at);
    if (e->ival->flags & REC_IVAL_FOLDED)
        return;
    if (e->ival->state == REC_WAIT && measure_is_io(f, e->ival))
        t->n_outside += one;
    if (!t->is_rival[e->thread])
        return;
    if (e->ival->state == REC_WAIT && e->ival->kind == REC_LOCK) {
        t->n_lock += one;
    } else if (e->ival->state == REC_READY) {
        t->n_ready += one;
        t->n_off += measure_would_run(t->rec, e->thread, e->ival) ? one : 0;
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
            turns_edge(&t, f, &e);
        edges_close(&edges);
        ret->overlap = t.one + t.more > 0 ? t.more / (t.one + t.more) : 0;
        still_end(&t);
        ret->contended = t.active > 0 ? t.contended / t.active : 0;
        if (t.still > still_part * t.active)
            ret->contended = fmax(0, ret->contended - t.in_still / t.still);
        if (t.active > 0)
            ret->overlap = measure_overlap(f->rec, ret->overlap, t.crowd / t.active);
        ret->turn = t.n_turns > 0 ? (t.one + t.more) / (double)t.n_turns : 0;
    }
    free(is_rival);
    return err;
}

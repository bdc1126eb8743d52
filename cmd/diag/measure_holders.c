/* SPDX-License-Identifier: MIT
 *
 * measure_holders.c - do threads wait for answers one after the other, under a lock?
 *
 * HOW         Several threads of a process wait for answers, each for a like part of the time; two
 *   hardly ever do so at once; and while one does, others wait for a lock.  So it is with one
 *   connection that all share, and a mutex around each exchange.
 *
 *   The threads of a pool that is given one thing at a time do the same: the idle ones wait for a
 *   lock, too.  But there somebody else brings each piece of work: between one thread's answer and
 *   the next one's question another thread of the process has run, neither of the two.  Where a
 * lock is handed on nobody else has to.
 *
 * LIMITS      A chain of steps that each end by giving the next one to the pool looks like a lock.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "diag/edges.h"
#include "diag/measure_impl.h"

static const double holder_part = .2; /* of who waits most; less is a helper */
static const double waits_most = .75; /* of an interval */

enum { OTHERS_MAX = 64 }; /* of a process; the first of them is its main thread */

/* A thread of the process that does not wait for answers. */
struct other {
    uint32_t thread, n_open;
    int64_t ran;                 /* when it ran last */
    uint64_t n_brought, in_turn; /* turns that it began; the last of them */
};

struct holding {
    const struct measure_frame *f;
    const bool *is_holder; /* by thread */
    struct other others[OTHERS_MAX];
    size_t n_others;
    uint32_t n_io, n_lock;
    double active, more, contended; /* s */
    uint64_t n_turns;
    uint32_t last;      /* who waited for an answer last */
    int64_t now, ended; /* when it had it */
    int64_t slack;      /* samples do not know when exactly it was */
    int64_t began;      /* the turn; 0: it does not count */
};

static bool is_direct(const struct measure_frame *f, const struct rec_ival *iv)
{
    return !(iv->flags & (REC_IVAL_SET | REC_IVAL_COPY)) && measure_is_io(f, iv) &&
           measure_parts_of(iv).wait >= waits_most;
}

/* The process whose threads wait most for answers by themselves. */
static int holders_find(const struct measure_frame *f, double *io, uint32_t *ret_proc)
{
    const struct recording *r = f->rec;
    double *sum = calloc(r->n_procs + 1, sizeof(*sum));

    if (!sum)
        return -ENOMEM;
    *ret_proc = 0;
    for (size_t i = 0; i < r->n_threads; i++) {
        const struct rec_thread *t = &r->threads[i];

        for (size_t k = 0; k < t->n_ivals && !t->is_task; k++)
            if (is_direct(f, &t->ivals[k]))
                io[i] += measure_s(t->ivals[k].to - t->ivals[k].from);
        sum[t->proc] += io[i];
        if (sum[t->proc] > sum[*ret_proc])
            *ret_proc = t->proc;
    }
    free(sum);
    return 0;
}

static void holders_count(const struct recording *r, uint32_t proc, const double *io,
                          bool *is_holder, struct measure_holders *ret)
{
    double most = 0, sum = 0, squares = 0;

    for (size_t i = 0; i < r->n_threads; i++)
        if (r->threads[i].proc == proc)
            most = fmax(most, io[i]);
    for (size_t i = 0; i < r->n_threads; i++) {
        is_holder[i] = r->threads[i].proc == proc && io[i] > 0 && io[i] >= holder_part * most;
        if (!is_holder[i])
            continue;
        ret->n++;
        sum += io[i];
        squares += io[i] * io[i];
    }
    ret->even = squares > 0 ? sum * sum / squares : 0;
}

static void holding_advance(struct holding *h, int64_t at)
{
    double d = measure_s(at - h->now);

    if (h->n_io > 0) {
        h->active += d;
        h->more += h->n_io > 1 ? d : 0;
        h->contended += h->n_lock * d;
    }
    h->now = at;
}

/* Is the thread at its end?  Then whoever waits for that runs, and brings nothing. */
static bool has_ended(const struct recording *r, uint32_t thread, int64_t at)
{
    const struct rec_thread *t = &r->threads[thread];
    const int64_t soon = 5 * HOB_MS;

    return t->n_ivals > 0 && t->ivals[t->n_ivals - 1].to <= at + soon;
}

static void brings(struct holding *h, struct other *o)
{
    o->n_brought += o->in_turn != h->n_turns;
    o->in_turn = h->n_turns;
}

static void turn_begin(struct holding *h, uint32_t thread, int64_t at)
{
    bool next = h->last != UINT32_MAX && h->last != thread && h->n_io == 0;

    h->began = 0;
    if (next && !has_ended(h->f->rec, h->last, at)) {
        h->n_turns++;
        h->began = at;
        for (size_t i = 0; i < h->n_others; i++)
            if (h->others[i].n_open > 0 || h->others[i].ran >= h->ended - h->slack)
                brings(h, &h->others[i]);
    }
    h->last = thread;
}

static void other_edge(struct holding *h, const struct edge *e)
{
    size_t i = 0;

    while (i < h->n_others && h->others[i].thread != e->thread)
        i++;
    if (e->ival->state == REC_WAIT || i == OTHERS_MAX)
        return;
    struct other *o = &h->others[i];
    if (i == h->n_others) {
        *o = (struct other){.thread = e->thread};
        h->n_others++;
    }
    o->n_open += e->opens ? 1u : -1u;
    o->ran = e->at;
    if (e->opens && h->began > 0 && e->at <= h->began + h->slack)
        brings(h, o);
}

static void holding_edge(struct holding *h, const struct edge *e)
{
    uint32_t one = e->opens ? 1u : -1u;

    holding_advance(h, e->at);
    if (!h->is_holder[e->thread]) {
        other_edge(h, e);
    } else if (e->ival->state == REC_WAIT && e->ival->kind == REC_LOCK) {
        h->n_lock += one;
    } else if (e->ival->state == REC_WAIT && is_direct(h->f, e->ival)) {
        if (e->opens)
            turn_begin(h, e->thread, e->at);
        else
            h->ended = e->at;
        h->n_io += one;
    }
}

int measure_holders(const struct measure_frame *f, struct measure_holders *ret)
{
    struct holding h = {
        .f = f, .last = UINT32_MAX, .slack = f->rec->tier == REC_T2 ? f->rec->tick : 0};
    bool *is_holder = calloc(f->rec->n_threads + 1, sizeof(*is_holder));
    double *io = calloc(f->rec->n_threads + 1, sizeof(*io));
    struct edges edges;
    struct edge e;
    uint32_t proc;
    int err = is_holder && io ? holders_find(f, io, &proc) : -ENOMEM;

    if (err < 0)
        goto out;
    holders_count(f->rec, proc, io, is_holder, ret);
    h.is_holder = is_holder;
    if (ret->n >= 2)
        err = edges_open(&edges, f->rec, proc);
    if (ret->n < 2 || err < 0)
        goto out;
    while (edges_next(&edges, &e))
        holding_edge(&h, &e);
    edges_close(&edges);
    ret->overlap = h.active > 0 ? h.more / h.active : 0;
    ret->contended = h.active > 0 ? h.contended / h.active : 0;
    for (size_t i = 0; i < h.n_others; i++)
        ret->brought =
            fmax(ret->brought, (double)h.others[i].n_brought / fmax(1, (double)h.n_turns));
out:
    free(is_holder);
    free(io);
    return err;
}

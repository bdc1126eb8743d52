/* SPDX-License-Identifier: MIT
 *
 * measure_looks.c - how long event loops computed while events waited for them
 *
 * HOW         A look is made at a thread that has been on CPU for LEAD or more since its last
 *   wait: is its epoll set ready, and how many reads and writes has it made?  Looks in a row that
 *   find the set ready and the count unchanged are one stretch: it computed, and did not serve.
 *
 *   A loop that sleeps, or stands in a call that blocks, is blocked as well; there is nothing to
 *   look at, its waits say so.
 *
 *   A runtime that hands one set from thread to thread has no loop that could be blocked: whoever
 * is free serves it.
 *
 *   Without looks (it was never on CPU for long without being interrupted) there is only a guess:
 *   how long threads that wait for several operations at once ran between two waits.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "diag/edges.h"
#include "diag/measure_impl.h"

static const double lead = .02;      /* s on CPU before the first look */
static const double apart = .2;      /* s; looks further apart are not of one stretch */
static const double two_looks = .01; /* s; a stretch has at least two looks */
static const double pause = 300e-6;  /* s; samples that show a shorter wait show it by chance */
static const double guess_min = .05; /* s; shorter turns of a loop are not counted */

/* A process's waits for sets that are I/O. */
struct sets {
    uint32_t n_open;
    double any, sum; /* s with one or more; of all */
    double most;     /* s of the thread that waits most */
    int64_t at;
};

static const double handed_most = .9; /* of the waits by one thread: then the set is its own */
static const double handed_sum = 1.1; /* waits at the same time are for sets of their own */

static void sets_edge(struct sets *s, const struct edge *e)
{
    double d = measure_s(e->at - s->at);

    s->sum += s->n_open * d;
    s->any += s->n_open > 0 ? d : 0;
    s->n_open += e->opens ? 1u : -1u;
    s->at = e->at;
}

static bool is_set_io(const struct measure_frame *f, const struct rec_ival *iv)
{
    return iv->flags & REC_IVAL_SET && iv->state == REC_WAIT && measure_is_io(f, iv);
}

int measure_handed(struct measure_frame *f)
{
    const struct recording *r = f->rec;
    struct sets *sets = calloc(r->n_procs + 1, sizeof(*sets));
    bool *handed = calloc(r->n_procs + 1, sizeof(*handed));
    struct edges edges;
    struct edge e;
    int err = sets && handed ? edges_open(&edges, r, EDGES_ALL) : -ENOMEM;

    if (err < 0)
        goto out;
    while (edges_next(&edges, &e))
        if (is_set_io(f, e.ival))
            sets_edge(&sets[r->threads[e.thread].proc], &e);
    edges_close(&edges);
    for (size_t i = 0; i < r->n_threads; i++) {
        double own = 0;
        for (size_t k = 0; k < r->threads[i].n_ivals; k++)
            if (is_set_io(f, &r->threads[i].ivals[k]))
                own += measure_s(r->threads[i].ivals[k].to - r->threads[i].ivals[k].from);
        sets[r->threads[i].proc].most = fmax(sets[r->threads[i].proc].most, own);
    }
    for (size_t i = 0; i < r->n_procs; i++)
        handed[i] =
            sets[i].most < handed_most * sets[i].sum && sets[i].sum < handed_sum * sets[i].any;
    f->handed = handed;
    handed = NULL;
out:
    free(sets);
    free(handed);
    return err;
}

static void stretch_end(struct measures *m, double length, double least, double before)
{
    if (length < least)
        return;
    m->loop_blocked += length + before;
    if (length + before > m->loop_stretch)
        m->loop_stretch = length + before;
}

static bool is_handed(const struct measure_frame *f, const struct rec_look *k)
{
    return f->handed[f->rec->threads[k->thread].proc];
}

/* Of one thread's looks, two in a row. */
static bool one_stretch(const struct rec_look *a, const struct rec_look *b)
{
    return a->ready && b->ready && a->io_calls == b->io_calls && measure_s(b->at - a->at) < apart;
}

/* The looks of one thread, from `first` on. */
static void looks_of(const struct recording *r, size_t first, struct measures *m)
{
    const struct rec_look *began = NULL, *last = NULL;

    for (size_t i = first; i < r->n_looks; i++) {
        const struct rec_look *k = &r->looks[i];

        if (k->thread != r->looks[first].thread)
            continue;
        if (began && one_stretch(last, k)) {
            last = k;
            continue;
        }
        if (began)
            stretch_end(m, measure_s(last->at - began->at), two_looks, lead);
        began = last = k->ready ? k : NULL;
    }
    if (began)
        stretch_end(m, measure_s(last->at - began->at), two_looks, lead);
}

int measure_events_waited(const struct measure_frame *f, double *ret)
{
    const struct recording *r = f->rec;
    const struct rec_look **last = calloc(r->n_threads + 1, sizeof(*last)); /* by thread */
    double first = INFINITY;

    if (!last)
        return -ENOMEM;
    for (size_t i = 0; i < r->n_looks; i++) {
        const struct rec_look *b = &r->looks[i], *a = last[b->thread];

        if (a && one_stretch(a, b) && !is_handed(f, b))
            first = fmin(first, measure_s(a->at) - lead);
        last[b->thread] = b;
    }
    free(last);
    *ret = fmax(0, first);
    return 0;
}

static void guess_of(const struct measure_frame *f, const struct rec_thread *t, struct measures *m)
{
    double turn = 0, least = f->rec->tier == REC_T2 ? pause : 0;
    bool loop = false;

    for (size_t i = 0; i < t->n_ivals; i++)
        loop |= t->ivals[i].flags & REC_IVAL_SET && t->ivals[i].in_flight >= 2 &&
                measure_is_io(f, &t->ivals[i]);
    for (size_t i = 0; loop && i < t->n_ivals; i++) {
        double d = measure_s(t->ivals[i].to - t->ivals[i].from);
        struct measure_parts p = measure_parts_of(&t->ivals[i]);

        turn += p.run * d;
        if (p.wait * d > least) {
            stretch_end(m, turn, guess_min, 0);
            turn = 0;
        }
    }
    stretch_end(m, turn, guess_min, 0);
}

/* A call that keeps its thread: a loop has no business in one. */
static bool blocks(const struct rec_ival *iv)
{
    switch (iv->kind) {
    case REC_SLEEP:
    case REC_CHILD:
    case REC_DISK:
    case REC_FSYNC:
    case REC_NET:
    case REC_DB:
    case REC_DNS:
        return !(iv->flags & (REC_IVAL_SET | REC_IVAL_FOLDED));
    default:
        return false;
    }
}

/* Of a thread that waits for several operations at once: how long it stood in one call between two
 * such waits.  What was in flight at the one before is what waited for it. */
static void slept_of(const struct measure_frame *f, const struct rec_thread *t, struct measures *m)
{
    uint32_t in_flight = 0;

    for (size_t i = 0; i < t->n_ivals; i++) {
        const struct rec_ival *iv = &t->ivals[i];
        double d = measure_s(iv->to - iv->from);

        if (iv->flags & REC_IVAL_SET && measure_is_io(f, iv))
            in_flight = iv->in_flight;
        else if (in_flight >= 2 && iv->state == REC_WAIT && d >= guess_min && blocks(iv))
            m->loop_slept += d;
    }
}

int measure_looks(const struct measure_frame *f, struct measures *m)
{
    const struct recording *r = f->rec;

    m->loop_looked = r->n_looks > 0;
    m->has_loop |= m->loop_looked;
    for (size_t i = 0; i < r->n_threads; i++) {
        if (f->handed[r->threads[i].proc])
            continue;
        slept_of(f, &r->threads[i], m);
        if (!m->loop_looked)
            guess_of(f, &r->threads[i], m);
    }
    for (size_t i = 0; i < r->n_looks; i++) {
        m->loop_outside |= r->looks[i].outside;
        bool seen = is_handed(f, &r->looks[i]);
        for (size_t k = 0; k < i && !seen; k++)
            seen = r->looks[k].thread == r->looks[i].thread;
        if (!seen)
            looks_of(r, i, m);
    }
    return 0;
}

/* SPDX-License-Identifier: MIT
 *
 * measure_looks.c - how long event loops computed while events waited for them
 *
 * HOW         A look is made at a thread that has been on CPU for LEAD or more since its last
 *   wait: does anybody wait for it in its epoll set, and what has it read and written?  Looks in a
 *   row that find somebody and the same count are one turn: it computed, and did not serve.  Turns
 *   shorter than two looks are a loop at work, however many wait.
 *
 *   How long somebody waits is another question: with many connections one does all the time, and
 *   each for as many turns as stand before its own.  Looks in a row that find somebody are one
 *   line, if long turns are a real part of it.
 *
 *   Time on CPU is what counts: who was preempted in a short turn did not compute for long.
 *
 *   A loop that sleeps, or stands in a call that blocks, is blocked as well.  Looks are made at
 *   such waits too; where there are none its waits alone say so.
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

static const double lead = .01;       /* s on CPU before the first look */
static const double apart = .2;       /* s; looks further apart are not of one stretch */
static const double two_looks = .004; /* s; a turn has more than two looks */
static const double line_part = .25;  /* of a line that is long turns */
static const double pause = 300e-6;   /* s; samples that show a shorter wait show it by chance */
static const double guess_min = .05;  /* s; shorter turns of a loop are not counted */

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

static void stretch_end(struct measures *m, double length, double least)
{
    if (length < least)
        return;
    m->loop_blocked += length;
    m->loop_stretch = fmax(m->loop_stretch, length);
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

/* The last interval that begins at a time or before it; NULL: none does. */
static const struct rec_ival *ival_at(const struct rec_thread *t, int64_t at)
{
    size_t low = 0, high = t->n_ivals;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (t->ivals[mid].from <= at)
            low = mid + 1;
        else
            high = mid;
    }
    return low > 0 ? &t->ivals[low - 1] : NULL;
}

/* s on CPU between two times. */
static double ran(const struct rec_thread *t, int64_t from, int64_t to)
{
    const struct rec_ival *iv = ival_at(t, from), *end = t->ivals + t->n_ivals;
    double sum = 0;

    for (iv = iv ? iv : t->ivals; iv < end && iv->from < to; iv++) {
        int64_t a = iv->from > from ? iv->from : from, b = iv->to < to ? iv->to : to;
        if (b > a)
            sum += measure_parts_of(iv).run * measure_s(b - a);
    }
    return sum;
}

/* What is known between two looks of a thread. */
struct walk {
    struct measures *m;
    const struct rec_look *last;
    double turn, before;   /* s on CPU in this turn; before its first look */
    double line, in_turns; /* s on CPU in this line; in long turns of it */
};

/* Of a program that anybody else waits for, its own messages are no events. */
static bool waited_for(const struct measures *m, const struct rec_look *k)
{
    return k->ready && (k->outside || !m->loop_outside);
}

static void turn_end(struct walk *w, double after)
{
    if (w->turn >= two_looks) {
        stretch_end(w->m, w->before + w->turn + after, 0);
        w->in_turns += w->turn;
    }
    w->turn = 0;
}

static void line_end(struct walk *w)
{
    if (w->in_turns > 0 && w->in_turns >= w->line * line_part)
        w->m->loop_line = fmax(w->m->loop_line, w->line);
    w->line = w->in_turns = 0;
}

static void walk_on(struct walk *w, const struct rec_thread *t, const struct rec_look *k)
{
    const struct rec_look *a = w->last;
    bool near = a && measure_s(k->at - a->at) < apart;
    bool still = near && waited_for(w->m, a) && waited_for(w->m, k);
    double d = near ? ran(t, a->at, k->at) : 0;

    if (still && a->io_calls == k->io_calls) {
        w->turn += d;
    } else {
        turn_end(w, d / 2);
        w->before = near ? d / 2 : ran(t, k->at - (int64_t)(lead * 1e9), k->at);
    }
    if (!still)
        line_end(w);
    w->line += d;
    w->last = k;
}

/* The looks of one thread while it computed, from `first` on. */
static void looks_of(const struct recording *r, size_t first, struct measures *m)
{
    const struct rec_thread *t = &r->threads[r->looks[first].thread];
    struct walk w = {.m = m};

    for (size_t i = first; i < r->n_looks; i++)
        if (r->looks[i].thread == r->looks[first].thread && !r->looks[i].stands)
            walk_on(&w, t, &r->looks[i]);
    turn_end(&w, 0);
    line_end(&w);
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
            stretch_end(m, turn, guess_min);
            turn = 0;
        }
    }
    stretch_end(m, turn, guess_min);
}

/* One that also stood in line for a core was folded for that. */
static bool waits_most(const struct rec_ival *iv)
{
    const double most = .75;

    return measure_parts_of(iv).wait >= most;
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
        return !(iv->flags & REC_IVAL_SET) && waits_most(iv);
    default:
        return false;
    }
}

/* Of a thread that waits for several operations at once: how long it stood in one call between two
 * such waits.  What was in flight at the one before is what waited for it. */
static double slept_of(const struct measure_frame *f, const struct rec_thread *t)
{
    uint32_t in_flight = 0;
    double sum = 0;

    for (size_t i = 0; i < t->n_ivals; i++) {
        const struct rec_ival *iv = &t->ivals[i];
        double d = measure_s(iv->to - iv->from);

        if (iv->flags & REC_IVAL_SET && measure_is_io(f, iv))
            in_flight = iv->in_flight;
        else if (in_flight >= 2 && iv->state == REC_WAIT && d >= guess_min && blocks(iv))
            sum += d;
    }
    return sum;
}

/* The looks of one thread while it waited, from `first` on: s that it stood with events waiting. */
static double stood_of(const struct recording *r, size_t first, const struct measures *m)
{
    const struct rec_thread *t = &r->threads[r->looks[first].thread];
    const struct rec_ival *seen = NULL, *counted = NULL;
    double stood = 0;

    for (size_t i = first; i < r->n_looks; i++) {
        const struct rec_look *k = &r->looks[i];
        const struct rec_ival *iv;

        if (k->thread != r->looks[first].thread || !k->stands)
            continue;
        iv = ival_at(t, k->at);
        if (!iv || iv->to <= k->at || iv->state != REC_WAIT || !waits_most(iv))
            continue;
        if (waited_for(m, k) && iv != counted) {
            stood += measure_s(iv->to - (iv == seen ? k->at : iv->from));
            counted = iv;
        }
        seen = iv;
    }
    return seen ? stood : -1;
}

static bool is_first(const struct recording *r, size_t look)
{
    for (size_t k = 0; k < look; k++)
        if (r->looks[k].thread == r->looks[look].thread)
            return false;
    return true;
}

int measure_looks(const struct measure_frame *f, struct measures *m)
{
    const struct recording *r = f->rec;
    double *stood = calloc(r->n_threads + 1, sizeof(*stood));

    if (!stood)
        return -ENOMEM;
    for (size_t i = 0; i < r->n_threads; i++)
        stood[i] = -1; /* no look was made */
    m->has_loop |= r->n_looks > 0;
    for (size_t i = 0; i < r->n_looks; i++) {
        m->loop_looked |= !r->looks[i].stands;
        m->loop_outside |= r->looks[i].outside;
    }
    for (size_t i = 0; i < r->n_looks; i++) {
        if (is_handed(f, &r->looks[i]) || !is_first(r, i))
            continue;
        looks_of(r, i, m);
        stood[r->looks[i].thread] = stood_of(r, i, m);
    }
    for (size_t i = 0; i < r->n_threads; i++) {
        if (f->handed[r->threads[i].proc])
            continue;
        m->loop_slept += stood[i] < 0 ? slept_of(f, &r->threads[i]) : stood[i];
        if (!m->loop_looked)
            guess_of(f, &r->threads[i], m);
    }
    free(stood);
    return 0;
}

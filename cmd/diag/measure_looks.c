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
 *   Without looks (it was never on CPU for long without being interrupted) there is only a guess:
 *   how long threads that wait for several operations at once ran between two waits.
 */
#include "diag/measure_impl.h"

static const double lead = .02;      /* s on CPU before the first look */
static const double apart = .2;      /* s; looks further apart are not of one stretch */
static const double two_looks = .01; /* s; a stretch has at least two looks */
static const double pause = 300e-6;  /* s; samples that show a shorter wait show it by chance */
static const double guess_min = .05; /* s; shorter turns of a loop are not counted */

static void stretch_end(struct measures *m, double length, double least, double before)
{
    if (length < least)
        return;
    m->loop_blocked += length + before;
    if (length + before > m->loop_stretch)
        m->loop_stretch = length + before;
}

/* The looks of one thread, from `first` on. */
static void looks_of(const struct recording *r, size_t first, struct measures *m)
{
    const struct rec_look *began = NULL, *last = NULL;

    for (size_t i = first; i < r->n_looks; i++) {
        const struct rec_look *k = &r->looks[i];

        if (k->thread != r->looks[first].thread)
            continue;
        if (began && k->ready && k->io_calls == began->io_calls &&
            measure_s(k->at - last->at) < apart) {
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

    for (size_t i = 0; i < r->n_threads; i++)
        slept_of(f, &r->threads[i], m);
    m->loop_looked = r->n_looks > 0;
    m->has_loop |= m->loop_looked;
    if (!m->loop_looked) {
        for (size_t i = 0; i < r->n_threads; i++)
            guess_of(f, &r->threads[i], m);
        return 0;
    }
    for (size_t i = 0; i < r->n_looks; i++) {
        bool seen = false;
        for (size_t k = 0; k < i && !seen; k++)
            seen = r->looks[k].thread == r->looks[i].thread;
        if (!seen)
            looks_of(r, i, m);
    }
    return 0;
}

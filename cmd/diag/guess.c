/* SPDX-License-Identifier: MIT
 *
 * guess.c - what the waits were for that nobody looked at
 *
 * REJECTED    Weights of tick/d for every wait seen: one wait of 100 ms for a server would claim
 *   the thousand short ones for a lock between its like.  It was certain to be seen, so it stands
 *   for none that was not.
 */
#include <string.h>

#include "diag/guess.h"

enum { LOOKS_MOST = 64 }; /* then the old ones count half: programs have phases */

static struct guess *slot_of(struct guesses *g, uint8_t kind, uint32_t peer)
{
    struct guess *least = &g->slot[0];

    for (unsigned i = 0; i < g->n; i++) {
        if (g->slot[i].kind == kind && g->slot[i].peer == peer)
            return &g->slot[i];
        if (g->slot[i].weight < least->weight)
            least = &g->slot[i];
    }
    if (g->n < GUESSES)
        least = &g->slot[g->n++];
    *least = (struct guess){.kind = kind, .peer = peer};
    return least;
}

static void guesses_age(struct guesses *g)
{
    for (unsigned i = 0; i < g->n; i++) {
        g->slot[i].weight /= 2;
        g->slot[i].given /= 2;
    }
    g->looks /= 2;
}

void guesses_weigh(struct guesses *g, uint8_t kind, const struct look *look, double weight)
{
    struct guess *s = slot_of(g, kind, look->peer);

    s->flags = look->flags & REC_IVAL_SET;
    s->in_flight = look->in_flight;
    s->weight += weight;
}

void guesses_saw(struct guesses *g, uint8_t kind, const struct look *look, int64_t lasted,
                 int64_t tick)
{
    int64_t stands_for = tick - lasted, least = tick / 1000; /* better than knowing nothing */

    guesses_weigh(g, kind, look, (double)(stands_for > least ? stands_for : least));
    if (++g->looks >= LOOKS_MOST)
        guesses_age(g);
}

void guesses_sampled(struct guesses *g, uint8_t kind, const struct look *look, int64_t lasted)
{
    guesses_weigh(g, kind, look, (double)lasted);
    if (++g->looks >= LOOKS_MOST)
        guesses_age(g);
}

void guesses_merge(struct guesses *g, const struct guesses *from)
{
    for (unsigned i = 0; i < from->n; i++) {
        const struct guess *f = &from->slot[i];
        struct guess *s = slot_of(g, f->kind, f->peer);

        s->flags = f->flags;
        s->in_flight = f->in_flight;
        s->weight += f->weight;
    }
    g->looks += from->looks;
    while (g->looks >= LOOKS_MOST)
        guesses_age(g);
}

bool guesses_give(struct guesses *g, struct rec_ival *wait)
{
    double d = (double)(wait->to - wait->from) * (1e6 - wait->run_ppm - wait->ready_ppm) / 1e6;
    double weight = 0, given = d, behind = 0;
    struct guess *best = NULL;

    for (unsigned i = 0; i < g->n; i++) {
        weight += g->slot[i].weight;
        given += g->slot[i].given;
    }
    for (unsigned i = 0; i < g->n; i++) {
        double due = g->slot[i].weight / weight * given - g->slot[i].given;

        if (!best || due > behind) {
            best = &g->slot[i];
            behind = due;
        }
    }
    if (!best)
        return false;
    best->given += d;
    wait->kind = best->kind;
    wait->peer = best->peer;
    wait->in_flight = best->in_flight;
    wait->flags |= best->flags | REC_IVAL_GUESSED;
    return true;
}

/* Backwards: of a set, the next wait that was looked at says how many were in flight. */
void guesses_give_row(struct guesses *g, struct rec_thread *row)
{
    const struct rec_ival *seen = NULL;

    for (size_t i = row->n_ivals; i > 0; i--) {
        struct rec_ival *v = &row->ivals[i - 1];

        if (v->flags & REC_IVAL_SET && !(v->flags & REC_IVAL_GUESSED))
            seen = v;
        if (!(v->flags & REC_IVAL_GUESSED) || v->kind != REC_UNKNOWN)
            continue;
        if (guesses_give(g, v) && seen && v->flags & REC_IVAL_SET && v->peer == seen->peer)
            v->in_flight = seen->in_flight;
    }
}

/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_GUESS_H
#define HOB_DIAG_GUESS_H

#include "diag/look.h"
#include "diag/rec.h"

/*
 * What the waits were for that nobody looked at
 * =============================================
 *
 * A look comes at ticks, so a wait of length d is looked at with probability d/tick: each one that
 * was looked at stands for tick/d - 1 others of its length that were not, tick - d of waiting
 * together.  Waits are given to the kinds seen in that proportion, each to the kind that is
 * furthest behind its share, so that the sums come right and the same recording comes out the same.
 */
enum { GUESSES = 8 };

struct guesses {
    struct guess {
        uint8_t kind, flags;
        uint32_t peer, in_flight;
        double weight, given; /* ns of unseen waiting it stands for, and got */
    } slot[GUESSES];
    unsigned n, looks;
};

/** guesses_saw - a wait that was looked at has ended. */
void guesses_saw(struct guesses *g, uint8_t kind, const struct look *look, int64_t lasted,
                 int64_t tick);

/** guesses_weigh - waiting of a kind that stands for `weight` ns of it. */
void guesses_weigh(struct guesses *g, uint8_t kind, const struct look *look, double weight);

/** guesses_sampled - the same from a look at a random moment; old ones count less and less. */
void guesses_sampled(struct guesses *g, uint8_t kind, const struct look *look, int64_t lasted);

/** guesses_merge - what `from` saw, added to g. */
void guesses_merge(struct guesses *g, const struct guesses *from);

/** guesses_give - fills kind, peer, in_flight and flags of a wait; false: nothing was ever seen. */
bool guesses_give(struct guesses *g, struct rec_ival *wait);

/** guesses_give_row - guesses_give for all waits of a thread that have none yet. */
void guesses_give_row(struct guesses *g, struct rec_thread *row);

#endif

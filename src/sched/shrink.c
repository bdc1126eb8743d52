/* SPDX-License-Identifier: MIT
 *
 * shrink.c - a failing schedule made simple: fewer choices that are not the dull one
 *
 * HOW         First without half of them, then without each quarter, and so on down to one at a
 *             time, and again one at a time until a whole pass leaves all of them in place
 *             (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002).
 *             What failed is replaced by what that run made of it: a run in which less happens
 *             asks for fewer choices, and those it did not ask for are gone at once.
 *
 * INVARIANTS  (I1) best has failed, and has no more choices that are not 0 than the one before it
 *             (I2) it ends: a pass makes best lighter or chunk smaller, and runs are bounded
 *
 * The bounds count runs and choices, not time: the same search shrinks to the same schedule on
 * every machine.
 */
#include "sched/shrink.h"

#include <stdlib.h>
#include <string.h>

enum { RUNS_MOST = 2000, CHOICES_RUN_MOST = 50 * 1000 * 1000 };

int hob__shrink_begin(struct shrink *s, const struct schedule *failing)
{
    int r;

    *s = (struct shrink){0};
    if ((r = hob__schedule_copy(failing, &s->best)) < 0)
        return r;
    hob__schedule_trim(&s->best);
    if ((r = hob__schedule_copy(&s->best, &s->next)) < 0) {
        hob__schedule_free(&s->best);
        return r;
    }
    s->chunk = hob__schedule_weight(&s->best);
    return 0;
}

/* best without those from `at` on; false: there are none. */
static bool next_make(struct shrink *s)
{
    uint32_t seen = 0;

    s->next.n = s->best.n;
    memcpy(s->next.of, s->best.of, s->best.n * sizeof *s->best.of);
    for (uint32_t i = 0; i < s->next.n; i++) {
        if (choice_value(s->next.of[i]) == 0)
            continue;
        if (seen >= s->at && seen - s->at < s->chunk)
            s->next.of[i] = choice_pack(choice_what(s->next.of[i]), 0);
        seen++;
    }
    return seen > s->at;
}

bool hob__shrink_next(struct shrink *s)
{
    while (s->chunk == 0 || !next_make(s)) { /* the pass is over */
        if (s->chunk <= 1 && !s->better)
            return false;
        if (s->chunk > 1)
            s->chunk = (s->chunk + 1) / 2;
        s->at = 0;
        s->better = false;
    }
    s->bounded = s->n_runs >= RUNS_MOST || s->n_choices >= CHOICES_RUN_MOST;
    if (s->bounded) /* (I2) */
        return false;
    s->n_runs++;
    return true;
}

void hob__shrink_told(struct shrink *s, const struct schedule *ran, bool failed)
{
    struct schedule r = *ran;

    hob__schedule_trim(&r);
    s->n_choices += ran->n;
    if (!failed || r.n > s->best.max ||
        hob__schedule_weight(&r) >= hob__schedule_weight(&s->best)) { /* (I1) */
        s->at += s->chunk;
        return;
    }
    memcpy(s->best.of, r.of, r.n * sizeof *r.of);
    s->best.n = r.n;
    s->better = true;
}

void hob__shrink_end(struct shrink *s)
{
    hob__schedule_free(&s->best);
    hob__schedule_free(&s->next);
}

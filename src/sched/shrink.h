/* SPDX-License-Identifier: MIT
 *
 * shrink.h - a failing schedule made simple
 *
 * Asks for one run after the other of a simpler schedule, and is told whether it still fails:
 *
 *     hob__shrink_begin(&s, &failing);
 *     while (hob__shrink_next(&s))        // s.next is to be run
 *         hob__shrink_told(&s, &what_the_run_made_of_it, whether_it_failed);
 *     // s.best
 *     hob__shrink_end(&s);
 */
#ifndef HOB_SCHED_SHRINK_H
#define HOB_SCHED_SHRINK_H

#include "sched/schedule.h"

struct shrink {
    struct schedule best; /* the simplest known to fail */
    struct schedule next; /* the one to run */
    uint32_t chunk, at;   /* next is best without the `chunk` choices that are not 0 from `at` on */
    bool better;          /* in this pass over best */
    unsigned n_runs;
    uint64_t n_choices; /* of all runs */
    bool bounded;       /* the bounds on these two ended it: best may be simpler still */
};

/* 0 or -ENOMEM. */
int hob__shrink_begin(struct shrink *s, const struct schedule *failing);
bool hob__shrink_next(struct shrink *s);
void hob__shrink_told(struct shrink *s, const struct schedule *ran, bool failed);
void hob__shrink_end(struct shrink *s);

#endif

/* SPDX-License-Identifier: MIT
 *
 * measure_told.c - sleeps whose number at once somebody chose on the command line
 *
 * WHAT        A program that sleeps goes at the pace it was told.  But where each of many processes
 *   sleeps and ends, a few at a time because an option says so, that option is the pace.
 *
 * HOW         The processes that slept for most of their lives and ended are counted.  Where they
 * are at least two rounds of what an option says, they followed one another under it; workers that
 *   stay are as many as it says, and more of them would sleep as they do.
 */
#include <stdlib.h>

#include "diag/measure_impl.h"
#include "diag/verify_knob.h"

static int64_t slept(const struct rec_thread *t)
{
    int64_t ns = 0;

    for (size_t i = 0; i < t->n_ivals; i++)
        if (t->ivals[i].kind == REC_SLEEP && measure_parts_of(&t->ivals[i]).wait > .5)
            ns += t->ivals[i].to - t->ivals[i].from;
    return ns;
}

/* Of a process with several threads the last one that sleeps for most of its life tells. */
static size_t sleepers(const struct recording *r, bool *sleeps)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n_threads; i++) {
        const struct rec_thread *t = &r->threads[i];
        const struct rec_proc *p = &r->procs[t->proc];

        if (p->died == INT64_MAX || sleeps[t->proc] || 2 * slept(t) < p->died - p->born)
            continue;
        sleeps[t->proc] = true;
        n++;
    }
    return n;
}

uint32_t measure_told(const struct recording *r)
{
    const uint32_t rounds = 2;
    struct knob_facts facts = {.n_cores = r->n_cores, .at_once = knob_at_once(r)};
    struct knob k;

    if (!r->command || !knob_in_text(&facts, r->command, &k) || *k.name != '-' || k.now == 0)
        return 0;
    bool *sleeps = calloc(r->n_procs + 1, sizeof *sleeps);
    size_t n = sleeps ? sleepers(r, sleeps) : 0;
    free(sleeps);
    return n >= (size_t)rounds * k.now ? k.now : 0;
}

/* SPDX-License-Identifier: MIT
 *
 * verify_plan.c - which runs are worth their time
 *
 * HOW         The command as given comes first, because everything is compared with it; then for
 *   the first knob the ends, then what lies between; then the other knobs.  A level whose expected
 *   time does not fit into what is left of the budget is left out, and a shorter one may take its
 *   place.  What is left when all have run once is spent on further rounds (verify.c).
 */
#include <math.h>
#include <string.h>

#include "diag/verify_impl.h"

static size_t level_add(uint32_t *levels, size_t n, double level)
{
    uint32_t l = level < 1 ? 1 : level > KNOB_MOST ? KNOB_MOST : (uint32_t)level;

    for (size_t i = 0; i < n; i++)
        if (levels[i] == l)
            return n;
    if (n < VERIFY_LEVELS)
        levels[n++] = l;
    return n;
}

size_t verify_levels(const struct knob *k, uint32_t n_cores, double in_flight,
                     uint32_t ret[VERIFY_LEVELS])
{
    double top = k->now > n_cores || k->kind == KNOB_CORES ? k->now : n_cores;
    double root = exp2(floor(log2(fmax(top, 1)) / 2));
    size_t n = level_add(ret, 0, k->now);

    if (k->workers) {
        if (in_flight > k->now)
            n = level_add(ret, n, floor(in_flight));
        else
            n = level_add(ret, n, k->now < n_cores ? n_cores : 1);
        n = level_add(ret, n, k->now == 1 ? 2 : 1);
        n = level_add(ret, n, 2.0 * k->now);
        n = level_add(ret, n, k->now > 3 ? k->now / 2 : 2.0 * n_cores);
        return level_add(ret, n, in_flight > k->now ? sqrt(in_flight * k->now) : 2.0 * n_cores);
    }
    n = level_add(ret, n, top);
    n = level_add(ret, n, 1);
    n = level_add(ret, n, root);
    n = level_add(ret, n, top / 2);
    return level_add(ret, n, 2 <= top ? 2 : 1);
}

static struct verify_row *row_add(struct verify_knob *vk, uint32_t level)
{
    size_t at = vk->n++;

    while (at > 0 && vk->row[at - 1].level > level) {
        vk->row[at] = vk->row[at - 1];
        at--;
    }
    vk->row[at] = (struct verify_row){.level = level};
    return &vk->row[at];
}

/* What more in flight is worth trying: what the advice means. */
static double tried_in_flight(const struct diagnosis *d)
{
    bool waits = d->ruling.is.bound == HOB_BOUND_IO || d->ruling.is.bound == HOB_BOUND_MIXED;

    return waits ? d->prediction.concurrency.in_flight : 0;
}

/* The levels of a knob that fit; what they are expected to take is taken from the budget. */
static void rows_plan(struct verify_knob *vk, const struct diagnosis *d, unsigned *runs,
                      double *budget)
{
    uint32_t levels[VERIFY_LEVELS];
    uint32_t n_cores = d->rec->n_cores ? d->rec->n_cores : 1;
    size_t n = verify_levels(&vk->knob, n_cores, tried_in_flight(d), levels);

    for (size_t i = 0; i < n; i++) {
        bool given = levels[i] == vk->knob.now;
        struct verify_time t;

        verify_predict(&d->measures, &d->ruling, &vk->knob, levels[i], &t);
        if (!given && (*runs == 0 || t.value > *budget))
            continue;
        row_add(vk, levels[i])->predicted = t;
        if (!given) {
            *budget -= t.value;
            --*runs;
        }
    }
}

size_t verify_plan(struct verify *v, const struct diagnosis *d, unsigned runs, double budget,
                   struct verify_point ret[VERIFY_POINTS])
{
    double wall = d->measures.all.wall;
    bool given = false;
    size_t n = 0;

    runs -= runs > 0;
    budget -= wall;
    for (size_t i = 0; i < v->n_knobs; i++)
        rows_plan(&v->knob[i], d, &runs, &budget);
    for (size_t i = 0; i < v->n_knobs; i++)
        for (size_t k = 0; k < v->knob[i].n; k++) {
            const struct verify_row *row = &v->knob[i].row[k];
            bool is_given = row->level == v->knob[i].knob.now;

            if (is_given && given)
                continue;
            ret[n] = (struct verify_point){(uint8_t)i, (uint8_t)k, row->predicted.value};
            if (is_given) { /* first, so that a run that is cut short has it */
                struct verify_point p = ret[n];
                memmove(ret + 1, ret, n * sizeof *ret);
                ret[0] = p;
                given = true;
            }
            n++;
        }
    return n;
}

/* SPDX-License-Identifier: MIT
 *
 * verify_predict.c - what the first run says about the command at another level of a knob
 *
 * HOW         Not what a changed program would gain (predict.c), but what this one would do.
 *
 *   Cores: the run had k of them busy for a share busy[k] of its time; on p < k that share takes
 *   s(k)/s(p) times as long, where a further core is worth between 0.8 and 1 of the first: two may
 *   be threads of one.  More cores than it was allowed: at best what it computed is spread over
 *   them, at worst nothing.
 *
 *   Workers: a closed network of n customers, a station of P cores with C seconds of work, and W
 *   operation-seconds of waiting that do not hinder each other.
 *
 *     best    max(C / P, (C + W) / n)            nobody stands in line
 *     worst   mean value analysis of it where n > P, the P cores as one fast core and a delay
 *             (Seidmann's approximation); or, if that is longer, Amdahl's law with the time in
 *             which only one core was busy as what cannot be spread
 *
 *   and start-up and the time in which nothing was to be done stay as they are.  All three are
 *   scaled so that they give the first run's time at the first run's level.
 */
#include <math.h>

#include "diag/verify_impl.h"

static const double core_worth[] = {1, .97, .8}; /* of the first: at most, likely, at least */
static const double leans = .35;                 /* value: this part of the way to the worst */
static const double unsure = .05;                /* two runs of one program differ by so much */

/* --- cores ------------------------------------------------------------------------------------ */

static double speed(double cores, double worth)
{
    return 1 + (fmax(cores, 1) - 1) * worth;
}

static double fewer_cores(const struct measures *m, uint32_t level, double worth)
{
    double time = 0;

    for (int k = 0; k <= MEASURE_CORES; k++)
        time += m->all.busy[k] * fmax(1, speed(k, worth) / speed(level, worth));
    return time * m->all.wall;
}

static void predict_cores(const struct measures *m, const struct ruling *r, const struct knob *k,
                          uint32_t level, struct verify_time *ret)
{
    if (level > k->now) {
        uint32_t usable = m->rec->n_cores ? m->rec->n_cores : 1;
        struct predict_gain g = predict_at(m, r, 0, level < usable ? level : usable);

        ret->best = g.high > 0 ? m->all.wall / g.high : m->all.wall;
        ret->value = fmin(g.seconds, m->all.wall);
        ret->worst = m->all.wall;
        return;
    }
    ret->worst = fewer_cores(m, level, core_worth[0]);
    ret->value = fewer_cores(m, level, core_worth[1]);
    ret->best = fewer_cores(m, level, core_worth[2]);
}

/* --- workers ---------------------------------------------------------------------------------- */

struct network {
    double fixed;  /* s that no worker shortens */
    double cpu;    /* C */
    double wait;   /* W */
    double serial; /* of C: one core was busy although there were workers for more */
    double cores;  /* P */
    double jobs;   /* no more workers than that have work; 0: not known */
};

static struct network network_of(const struct measures *m, const struct knob *k)
{
    const struct measure_span *s = &m->main;
    double slept = s->blame[REC_SLEEP] * s->wall;
    double rest = s->wall * (1 - s->run - s->no_core - s->io) - slept;

    return (struct network){.fixed = m->startup + fmax(rest, 0),
                            .cpu = fmax(s->cpu, 1e-6),
                            .wait = m->wait + slept * k->now,
                            .serial = k->now > 1 ? fmin(s->busy[1] * s->wall, s->cpu) : 0,
                            .cores = m->rec->n_cores ? m->rec->n_cores : 1,
                            .jobs = m->n_procs > k->now + 1 ? m->n_procs : 0};
}

static double usable_workers(const struct network *q, uint32_t level)
{
    return q->jobs > 0 ? fmin(level, q->jobs) : level;
}

static double best_time(const struct network *q, uint32_t level)
{
    return q->fixed + fmax(q->cpu / q->cores, (q->cpu + q->wait) / usable_workers(q, level));
}

static double worst_time(const struct network *q, uint32_t level)
{
    double n = usable_workers(q, level), demand = q->cpu / q->cores, queue = 0, x = 1;
    double delay = q->wait + q->cpu * (q->cores - 1) / q->cores;
    double amdahl = q->serial + (q->cpu - q->serial) / fmin(n, q->cores);

    for (int i = 1; i <= (int)n; i++) {
        double response = demand * (1 + queue);

        x = i / (response + delay);
        queue = x * response;
    }
    double alone = (q->cpu + q->wait) / fmin(n, q->cores); /* a core for each: none in line */
    double network = n <= q->cores ? alone : fmin(1 / x, alone);
    return q->fixed + fmax(network, amdahl);
}

static void predict_workers(const struct measures *m, const struct knob *k, uint32_t level,
                            struct verify_time *ret)
{
    struct network q = network_of(m, k);
    double wall = m->all.wall;
    double a = wall * best_time(&q, level) / best_time(&q, k->now);
    double b = wall * worst_time(&q, level) / worst_time(&q, k->now);

    ret->best = fmin(a, b);
    ret->worst = fmax(a, b);
    ret->value = ret->best + leans * (ret->worst - ret->best);
}

void verify_predict(const struct measures *m, const struct ruling *r, const struct knob *k,
                    uint32_t level, struct verify_time *ret)
{
    struct verify_time t = {.best = m->all.wall, .value = m->all.wall, .worst = m->all.wall};

    if (k->workers && level != k->now)
        predict_workers(m, k, level, &t);
    else if (level != k->now)
        predict_cores(m, r, k, level, &t);
    t.low = t.best * (1 - unsure);
    t.high = t.worst * (1 + unsure);
    *ret = t;
}

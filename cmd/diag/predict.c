/* SPDX-License-Identifier: MIT
 *
 * predict.c - from what was measured to what would be
 *
 * HOW         The program is a closed network with one station: its cores.  After start-up S it
 *   needs C seconds of CPU and W operation-seconds of waiting.  With n operations at once on p
 *   cores the time is
 *
 *     at best   S + k + max(C / p, (C + W) / n, C / p + w)     no queueing; w: one operation
 *     at worst  S + k + C/p and W by exact mean value analysis: operations arrive at random
 *
 *   and k is what new workers cost to start.  The value between them leans to the better end:
 *   semaphores and pools pace the operations.  The knee, n = (C + W) p / C, is where the two
 *   bounds meet: beyond it the cores are busy all the time.
 *
 *   How much CPU an operation costs changes with the cure: fewer wake-ups and switches when many
 *   answers are handled in a turn, more for the bookkeeping of tasks.  The ends of the interval
 *   take it 45 % lower and 15 % higher.
 *
 *   Computing on p cores is taken as divisible but for what was seen to be serial: the start-up.
 *   Two cores of a virtual machine are often one core's two threads; hence the low end.
 *
 *   It is refused where it would be a guess: another program took the cores while it was measured,
 *   or the run was too short to see anything.
 */
#include <math.h>
#include <stddef.h>

#include "diag/predict.h"

static const double foreign_max = .1;                /* of the cores */
static const double wall_min = .2;                   /* s */
static const double cpu_less = .55, cpu_more = 1.15; /* CPU an operation costs after the cure */
static const double core_worth_low = .8;             /* of a core that a further one adds */
static const double unsure = .05;                    /* two runs of one program differ by so much */
static const double leans = .35; /* value: this part of the way from best to worst */
static const double batch = 20;  /* rows in a transaction */
static const double batch_low = 8, batch_high = 60;

struct model {
    double start; /* S */
    double cpu;   /* C */
    double wait;  /* W */
    double one;   /* w */
};

static struct model model_of(const struct measures *m)
{
    double work = m->main.cpu;

    /* Samples join waits that follow each other: how long one was is not known. */
    return (struct model){m->startup, work > 1e-6 ? work : 1e-6, m->wait,
                          m->rec->tier == REC_T2 ? 0 : m->one};
}

static double best_time(const struct model *q, double n, double p)
{
    return q->start + fmax(fmax(q->cpu / p, (q->cpu + q->wait) / n),
                           q->wait > 0 ? q->cpu / p / fmax(n, 1) + q->one : 0);
}

/* Exact mean value analysis: one queueing station, n customers; between two sizes, a line. */
static double worst_time(const struct model *q, double n, double p)
{
    double demand = q->cpu / p, queue = 0, x = 0, before = 0;
    int whole = (int)ceil(n);

    for (int k = 1; k <= whole; k++) {
        double response = demand * (1 + queue);

        before = x;
        x = k / (response + q->wait);
        queue = x * response;
    }
    x = before + (x - before) * (n - (whole - 1));
    return q->start + 1 / x;
}

static uint32_t cores_of_loop(const struct measures *m)
{
    uint32_t all = m->rec->n_cores ? m->rec->n_cores : 1;

    return lang_one_core(m->language) ? 1 : all;
}

static struct predict_gain gain(const struct measures *m, double best, double value, double worst,
                                double n, uint32_t p)
{
    double now = m->all.wall;

    best *= 1 - unsure;
    worst *= 1 + unsure;
    return (struct predict_gain){.low = now / worst,
                                 .value = now / value,
                                 .high = now / best,
                                 .seconds = value,
                                 .in_flight = n,
                                 .cores = p};
}

static struct predict_gain gain_concurrent(const struct measures *m, double n, uint32_t p)
{
    struct model q = model_of(m), less = q, more = q;
    double best, worst, value;

    less.cpu *= cpu_less;
    more.cpu *= cpu_more;
    best = best_time(&q, n, p);
    worst = worst_time(&q, n, p);
    value = best + leans * (worst - best);
    return gain(m, best_time(&less, n, p), value, worst_time(&more, n, p), n, p);
}

/* The time when what it computes is spread over p cores, each further one worth that much. */
static double spread_time(const struct measures *m, double p, double worth)
{
    const struct measure_span *s = &m->main;
    double wait = s->wall * (1 - s->run - s->no_core), now = fmin(fmax(m->cores, 1), p);

    return m->startup + wait + s->cpu / fmax(now, 1 + (p - 1) * worth);
}

static struct predict_gain gain_parallel(const struct measures *m, uint32_t p)
{
    double k = p > 1 ? lang_worker_cost(m->language) : 0;

    return gain(m, spread_time(m, p, 1), k + spread_time(m, p, (1 + core_worth_low) / 2),
                2 * k + spread_time(m, p, core_worth_low), m->in_flight, p);
}

static struct predict_gain gain_both(const struct measures *m, double n, uint32_t p)
{
    struct model q = model_of(m), more = q;
    double k = lang_worker_cost(m->language), usable = 1 + (p - 1) * core_worth_low;

    more.cpu *= cpu_more;
    double best = best_time(&q, n, p), worst = worst_time(&more, n, usable) + 2 * k;
    return gain(m, best, k + best + leans * (worst - best), worst, n, p);
}

static struct predict_gain gain_batch(const struct measures *m)
{
    double rest = m->all.wall - m->startup;

    return gain(m, m->startup + rest / batch_high, m->startup + rest / batch,
                m->startup + rest / batch_low, m->in_flight, 1);
}

static const struct predict_gain none = {.low = 1, .value = 1, .high = 1};

/* How many at once to advise: a round number, enough and not rude to the other side. */
static double advised(const struct measures *m, double knee)
{
    double n = m->in_flight >= 4 ? 4 * m->in_flight : 20;

    if (m->io_kind == REC_DISK || m->io_kind == REC_FAULT)
        n = 16;
    if (m->rec->tier != REC_T2 && m->n_ops > 1 && n > m->n_ops / 2)
        n = m->n_ops / 2;
    if (knee > 1 && n > knee)
        n = knee;
    return fmax(2, floor(n));
}

struct predict_gain predict_at(const struct measures *m, const struct ruling *r, double n,
                               uint32_t p)
{
    uint32_t cores = p ? p : cores_of_loop(m);

    if (n <= 0)
        return gain_parallel(m, cores);
    if (r->is.bound == HOB_BOUND_MIXED && p > 1)
        return gain_both(m, n, p);
    return gain_concurrent(m, n, cores);
}

static struct predict_gain gain_of_advice(const struct measures *m, const struct ruling *r,
                                          const struct prediction *p)
{
    switch (r->is.advice) {
    case HOB_ADVICE_CONCURRENCY:
        return p->concurrency;
    case HOB_ADVICE_PARALLELISM:
    case HOB_ADVICE_LOCK:
        return p->parallelism;
    case HOB_ADVICE_BOTH:
        return gain_both(m, p->concurrency.in_flight, p->parallelism.cores);
    case HOB_ADVICE_BATCHES:
        return gain_batch(m);
    default:
        return none;
    }
}

static const char *refusal(const struct measures *m)
{
    if (m->all.wall < wall_min)
        return "the run was shorter than 0.2 s: too short to see; repeat it (--repeat)";
    if (m->rec->n_cores && m->foreign > foreign_max * m->rec->n_cores)
        return "other programs used more than 10 % of the cores meanwhile: run it on a quiet "
               "machine";
    return NULL;
}

void predict(const struct measures *m, const struct ruling *r, struct prediction *ret)
{
    uint32_t all = m->rec->n_cores ? m->rec->n_cores : 1, p = cores_of_loop(m);
    struct model q = model_of(m);
    bool waits = m->wait > .05 * m->all.wall;

    *ret = (struct prediction){.advice = none, .concurrency = none, .parallelism = none};
    ret->refused = refusal(m);
    if (m->all.wall <= 0)
        return;
    if (waits) {
        ret->knee = (q.cpu + q.wait) * p / q.cpu;
        ret->concurrency = gain_concurrent(m, advised(m, ret->knee), p);
        for (double n = 4; ret->n_more < 5; n *= 2)
            ret->more[ret->n_more++] = gain_concurrent(m, n, p);
    }
    ret->parallelism = gain_parallel(m, all);
    for (uint32_t n = 1; n <= all && ret->n_cores < PREDICT_STEPS; n *= 2)
        ret->cores[ret->n_cores++] = gain_parallel(m, n);
    ret->advice = gain_of_advice(m, r, ret);
}

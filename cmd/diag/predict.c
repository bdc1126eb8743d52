/* SPDX-License-Identifier: MIT
 *
 * predict.c - from what was measured to what would be
 *
 * HOW         The program is a closed network with one station: its cores.  Between its start-up S
 *   and its ending E, which stay as they are, it needs C seconds of CPU and W operation-seconds of
 *   waiting, for m operations.  With n of them at once on p cores each of n slots does m / n, one
 *   after the other, and the last slot starts when n - 1 operations have been sent:
 *
 *     paced    S + E + k + (C + W) / n + (n - 1) C / m p      never less than C / p + one wait
 *     random   S + E + k + W and C by exact mean value analysis, and half a wait at the end, when
 *              slots run dry one by one
 *     bursts   S + E + k + W / n + C / p      answers come together: waiting, then computing
 *
 *   k is what the cure costs to begin with: workers that start, libraries that are loaded.  Where
 *   m is small against n a slot does whole operations: 30 of them 16 at once take two rounds.
 *   The slower of the last two is the slow end.  The value lies nearer to the paced time:
 * semaphores and pools pace the operations.  The knee, n = (C + W) p / C, is where the cores are
 * all busy.
 *
 *   How much CPU an operation costs changes with the cure: fewer wake-ups, each of which finds cold
 *   caches; more for the bookkeeping of tasks.  The value leaves out the wake-ups that are no more,
 *   the ends of the interval take it lower and higher.
 *
 *   A local process at the other end works for the faster program as long as for the slow one.
 *   Nobody knows on how many cores it can: on one at the low end, on all at the high end.
 *
 *   Computing on p cores is taken as divisible but for what was seen to be serial: the start-up.
 *   Two cores of a virtual machine are often one core's two threads; hence the low end.  Runs
 * differ in what they compute (vary: as runs of 20 programs did, each five times) more than in
 * waiting.
 *
 *   Fewer commits save waiting and the kernel's work; what it computes for each row stays.
 *
 *   It is refused where it would be a guess: other programs took cores, the run was too short, or
 *   most of it could not be read.
 */
#include <math.h>
#include <stddef.h>

#include "diag/predict.h"

static const double foreign_max = .1;                /* of the cores that the cure needs */
static const double kept_max = .1;                   /* of the time: it could run, nothing did */
static const double wall_min = .2;                   /* s */
static const double lost_max = .1;                   /* of the kernel's records */
static const double cpu_less = .55, cpu_more = 1.15; /* CPU an operation costs after the cure */
static const double core_worth_low = .8;             /* of a core that a further one adds */
static const double unsure = .06;   /* two runs of one program differ by so much, */
static const double unsure_s = .01; /* and by that; */
static const double vary = .09;     /* what they compute, each for itself, by that more */
static const double wake = .3e-3;   /* CPU that a wake-up costs beside the work, where caches are */
static const double cold = 2e-3;    /* cold: after waits of that length */
static const double wake_most = .5; /* of all CPU time */
static const double leans = .35;    /* value: this part of the way from paced to random */
static const double loads = .35;    /* of a worker's cost: what the first thread or loop loads */
static const double rounds_min = 10; /* more than that: whole or not makes no difference */
static const double rounds_off = .1; /* how far off the number of operations may be */
static const double batch = 20;      /* rows in a transaction */
static const double lane_syncs = .5; /* of the waiting: less is no commit a row */
static const double batch_low = 8, batch_high = 60;

/* Seconds; of the fixed program, where it differs. */
struct model {
    double fixed; /* S + E */
    double fixed_cpu;
    double cure;   /* k, with more at once than now */
    double now;    /* in flight */
    double wakes;  /* CPU that its wake-ups cost */
    double cpu;    /* C */
    double wait;   /* W */
    double ops;    /* m; 0: not known */
    double one;    /* a long one */
    bool whole;    /* m is known well enough to count rounds */
    double worker; /* CPU that each further session computes before its first operation */
    double peer;   /* CPU time of the busiest local process at the other end */
    double peer_cores;
};

/* The tree's CPU time is known exactly; of samples only how it is distributed. */
static double sampled_cpu(const struct measures *m)
{
    const struct recording *r = m->rec;
    double counted = (double)(r->user + r->system) * 1e-9;

    if (r->tier != REC_T2 || counted <= 0 || m->all.cpu <= 0)
        return 1;
    return fmin(fmax(counted / m->all.cpu, .5), 2);
}

static uint32_t busiest_peer(const struct recording *r)
{
    uint32_t best = 0;

    for (size_t i = 1; i < r->n_peers; i++)
        if (r->peers[i].peer_cpu > (best ? r->peers[best].peer_cpu : 0))
            best = (uint32_t)i;
    return best;
}

/* What the first thread or event loop of a program loads; nothing where it has one.  A pool of
 * processes that only waited goes, and with it what it cost to start. */
static double cure_cost(const struct measures *m)
{
    double worker = lang_worker_cost(m->language);

    if (m->forked && m->io_procs > 1)
        return (loads - 1) * worker;
    return m->has_loop || m->io_threads > 1 ? 0 : loads * worker;
}

/* What answers that come together save; those of a disk are waited for one by one, by threads. */
static double wakes_cost(const struct measures *m, double cpu)
{
    bool disk = m->io_kind == REC_DISK || m->io_kind == REC_FAULT || m->io_kind == REC_FSYNC;

    return disk || m->one < cold ? 0 : fmin(wake * m->n_waits, wake_most * cpu);
}

/* After the last operation, and its CPU time. */
struct ending {
    double s, cpu;
};

/* Of samples the last operations may be missing.  Then a short wait at the end was one of them, and
 * the rest is in part a mixture as before, with as much computing; what it computes beyond that is
 * the end. */
static struct ending ending_of(const struct measures *m)
{
    double before = m->main.wall - m->ending;

    if (m->rec->tier != REC_T2 || before <= 0 || m->ending <= 0)
        return (struct ending){m->ending, m->ending_cpu};
    double rate = fmin(fmax(0, (m->main.cpu - m->ending_cpu) / before), .95);
    double idle = m->ending_idle < 2 * m->one ? 0 : m->ending_idle;
    double rest = m->ending - m->ending_idle;
    double end = fmin(fmax(0, (m->ending_cpu - rate * rest) / (1 - rate)), rest);

    return (struct ending){idle + end, fmin(end, m->ending_cpu)};
}

static struct model model_of(const struct measures *m)
{
    const struct recording *r = m->rec;
    uint32_t peer = busiest_peer(r);
    struct ending end = ending_of(m);
    double cpu = fmax(m->main.cpu - end.cpu, 1e-6) * sampled_cpu(m);
    struct model q = {.fixed = m->startup + end.s,
                      .fixed_cpu = fmin(m->startup, m->startup_cpu) + end.cpu,
                      .cure = cure_cost(m),
                      .now = fmax(1, m->in_flight),
                      .cpu = cpu,
                      .wakes = wakes_cost(m, cpu),
                      .wait = m->wait,
                      .ops = m->n_ops,
                      .one = m->one,
                      .whole = true};

    /* Samples join waits that follow each other: how long one was is not known, nor how many. */
    if (r->tier == REC_T2) {
        q.one = 0;
        q.whole = false;
        if (m->one < 4 * (double)r->tick * 1e-9)
            q.ops = 0;
    }
    if (m->language == LANG_SQL)
        q.worker = m->startup_cpu;
    q.peer = peer ? (double)r->peers[peer].peer_cpu * 1e-9 : 0;
    q.peer_cores = 1;
    return q;
}

/* What the rounds of n operations take longer than m / n of them would. */
static double whole_rounds(const struct model *q, double n)
{
    double rounds = q->ops / n;

    if (!q->whole || rounds <= 0 || rounds > rounds_min)
        return 1;
    return fmax(1, ceil(rounds * (1 - rounds_off)) / rounds);
}

/* What is not overlapped with anything. */
static double fixed_time(const struct model *q, double n, double p)
{
    return q->fixed + (n > q->now ? q->cure : 0) + q->worker * (n - 1) / p;
}

static double paced_time(const struct model *q, double n, double p)
{
    double each = q->ops > 0 ? q->cpu / q->ops : 0, time;

    if (q->ops > 1)
        n = fmin(n, q->ops);
    time = whole_rounds(q, n) * q->wait / n + q->cpu / n + (n - 1) * each / p;
    if (q->wait > 0)
        time = fmax(time, q->cpu / p / fmax(n, 1) + q->one);
    if (n > 1 && q->ops > 1)
        time = fmax(time, q->cpu / p + q->wait / q->ops);
    time = fmax(time, fmax(q->cpu / p, q->peer / q->peer_cores));
    return fixed_time(q, n, p) + time;
}

/* Exact mean value analysis: one queueing station, n customers; between two sizes, a line. */
static double random_time(const struct model *q, double n, double p)
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
    double dry = q->ops > 1 ? .5 * q->wait / q->ops * fmin(1, n - 1) : 0;
    return fixed_time(q, n, p) + fmax(1 / x, q->peer / q->peer_cores) + dry;
}

static double slow_time(const struct model *q, double n, double p)
{
    double at_once = q->ops > 1 ? fmin(n, q->ops) : n;
    double burst = whole_rounds(q, at_once) * q->wait / at_once + q->cpu / p;

    return fmax(random_time(q, n, p), n > 1 ? fixed_time(q, n, p) + burst : 0);
}

static uint32_t cores_usable(const struct measures *m)
{
    return m->rec->n_cores ? m->rec->n_cores : 1;
}

static uint32_t cores_of_loop(const struct measures *m)
{
    return lang_one_core(m->language) ? 1 : cores_usable(m);
}

/* For how much the gain differs from run to run: by what either program computes. */
static double differs(const struct measures *m, double cpu, double time)
{
    double now = m->all.run, then = time > 0 ? fmin(1, cpu / time) : 1;

    return sqrt(unsure * unsure + vary * vary * (now * now + then * then));
}

static struct predict_gain gain(const struct measures *m, double best, double value, double worst,
                                double cpu, double n, uint32_t p)
{
    double now = m->all.wall, off = differs(m, cpu, value);

    best = fmin(best, value) * (1 - off) - unsure_s;
    worst = fmax(worst, value) * (1 + off) + unsure_s;
    return (struct predict_gain){.low = now / worst,
                                 .value = now / value,
                                 .high = now / fmax(best, .001),
                                 .seconds = value,
                                 .in_flight = n,
                                 .cores = p};
}

/* Seconds of computing that nothing is overlapped with. */
static double cpu_of(const struct model *q, double n, double p)
{
    return q->fixed_cpu + (n > q->now ? q->cure : 0) + q->worker * (n - 1) / p + q->cpu / p;
}

static struct predict_gain gain_concurrent(const struct measures *m, double n, uint32_t p)
{
    struct model q = model_of(m), less = q, more = q;
    double paced, slow;

    less.cpu *= cpu_less;
    less.cure = fmin(0, less.cure);
    /* Nobody knows how much of its ending is that of a pool which goes: none, half, all of it. */
    if (m->forked && m->io_procs > 1) {
        q.cure -= ending_of(m).s / 2;
        less.cure -= ending_of(m).s;
    }
    less.peer_cores = q.peer_cores = m->rec->n_cpus ? m->rec->n_cpus : 1;
    q.peer_cores = sqrt(q.peer_cores);
    if (n > q.now)
        q.cpu -= q.wakes * (1 - q.now / n);
    more.cpu *= cpu_more;
    more.cure = fmax(0, 2 * more.cure);
    paced = paced_time(&q, n, p);
    slow = slow_time(&q, n, p);
    return gain(m, paced_time(&less, n, p), paced + leans * fmax(0, slow - paced),
                slow_time(&more, n, p), cpu_of(&q, n, p), n, p);
}

static bool takes_turns(const struct ruling *r)
{
    return r->is.mismatch == MISMATCH_GIL || r->is.mismatch == MISMATCH_LOCK;
}

/* What its computing could not be spread over.  Threads that take turns wait for each other. */
static double wait_beside(const struct measures *m, const struct ruling *r)
{
    const struct measure_span *s = &m->main;
    double lock = takes_turns(r) ? s->blame[REC_LOCK] : 0;

    return s->wall * fmax(0, 1 - s->run - s->no_core - lock);
}

/* The time when what it computes is spread over p cores, each further one worth that much.  Threads
 * that take turns have had one; where samples show more, it is how coarse they are. */
static double spread_time(const struct measures *m, const struct ruling *r, double p, double worth)
{
    const struct measure_span *s = &m->main;
    double wait = wait_beside(m, r), sampled = sampled_cpu(m);
    double now = takes_turns(r) ? 1 : fmin(fmax(m->cores * sampled, 1), p);

    return m->startup + wait + s->cpu * sampled / fmax(now, 1 + (p - 1) * worth);
}

static struct predict_gain gain_parallel(const struct measures *m, const struct ruling *r,
                                         uint32_t p)
{
    double k = p > 1 ? lang_worker_cost(m->language) : 0;

    double value = k + spread_time(m, r, p, (1 + core_worth_low) / 2);
    struct predict_gain g =
        gain(m, spread_time(m, r, p, 1), value, 2 * k + spread_time(m, r, p, core_worth_low),
             fmax(0, value - wait_beside(m, r)), m->in_flight, p);

    /* At the better end all of each core is its own: it varies no further. */
    double best = spread_time(m, r, p, 1) * (1 - unsure) - unsure_s;
    g.high = fmin(g.high, m->all.wall / fmax(best, .001));
    return g;
}

static struct predict_gain gain_both(const struct measures *m, double n, uint32_t p)
{
    struct model q = model_of(m), more = q;
    double k = lang_worker_cost(m->language), usable = 1 + (p - 1) * core_worth_low;

    more.cpu *= cpu_more;
    double best = paced_time(&q, n, p), worst = slow_time(&more, n, usable);
    return gain(m, best, k + best + leans * fmax(0, worst - best), worst + 2 * k,
                k + cpu_of(&q, n, p), n, p);
}

/* What it computes itself, between start-up and ending. */
static double own_of(const struct measures *m)
{
    struct ending end = ending_of(m);
    double own = fmax(0, (double)m->rec->user * 1e-9 - m->startup_cpu - end.cpu);

    return m->rec->user < 0 ? 0 : fmin(own, fmax(0, m->main.wall - end.s));
}

static double batched_time(const struct measures *m, double rows)
{
    double end = ending_of(m).s, own = own_of(m), rest = fmax(0, m->main.wall - end);

    return m->startup + end + own + (rest - own) / rows;
}

static struct predict_gain gain_batch(const struct measures *m)
{
    return gain(m, batched_time(m, batch_high), batched_time(m, batch), batched_time(m, batch_low),
                model_of(m).fixed_cpu + own_of(m), m->in_flight, 1);
}

/* With room between them neither end waits while the other can go on: at best. */
static struct predict_gain gain_channel(const struct measures *m)
{
    const struct rec_own *o = &m->rec->own;
    double both = fmin((double)o->send_any, (double)o->recv_any) * 1e-9;
    double best = fmax(m->all.wall - both, .1 * m->all.wall);

    return gain(m, best, (best + m->all.wall) / 2, m->all.wall, m->all.run * best, m->in_flight, 1);
}

static const struct predict_gain none = {.low = 1, .value = 1, .high = 1};

/* How many at once to advise: a round number, enough and not rude to the other side. */
static double advised(const struct measures *m, double knee)
{
    double ops = model_of(m).ops, n = m->in_flight >= 4 ? 4 * m->in_flight : 20;

    if (m->io_kind == REC_DISK || m->io_kind == REC_FAULT)
        n = 16;
    if (ops > 1 && n > ops / 2)
        n = ops / 2;
    if (knee > 1 && n > knee)
        n = knee;
    return fmax(2, floor(n));
}

struct predict_gain predict_at(const struct measures *m, const struct ruling *r, double n,
                               uint32_t p)
{
    uint32_t cores = p ? p : cores_of_loop(m);

    if (n <= 0)
        return gain_parallel(m, r, cores);
    if (r->is.bound == HOB_BOUND_MIXED && p > 1)
        return gain_both(m, n, p);
    return gain_concurrent(m, n, cores);
}

static struct predict_gain gain_of_advice(const struct measures *m, const struct ruling *r,
                                          const struct prediction *p)
{
    if (r->is.mismatch == MISMATCH_CHANNEL)
        return gain_channel(m);
    if (r->is.mismatch == MISMATCH_LOCK && m->rec->own.lock_any > 0) /* all in line at once */
        return gain_concurrent(m, m->in_flight + r->value[RULE_FIBER_LINE], cores_of_loop(m));
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

/* Cores that what is advised would keep busy, rounded up. */
static double cores_needed(const struct measures *m, const struct ruling *r,
                           const struct prediction *p)
{
    double all = cores_usable(m);

    if (r->is.advice != HOB_ADVICE_CONCURRENCY && r->is.advice != HOB_ADVICE_BATCHES)
        return all;
    return fmin(all, 1 + floor(m->main.cpu / p->advice.seconds));
}

static bool too_many_lost(const struct measures *m)
{
    return (double)m->rec->n_lost > lost_max * (double)(m->rec->n_switches + m->rec->n_lost);
}

/* s of it in which the program did something or waited for something of its own. */
static double seen(const struct measures *m)
{
    return m->all.wall * (1 - m->all.no_core - m->all.nothing);
}

const char *predict_doubt(const struct measures *m)
{
    if (too_many_lost(m))
        return "too many of the kernel's records were lost";
    return seen(m) < wall_min ? "too short" : NULL;
}

static const char *refusal(const struct measures *m, const struct ruling *r,
                           const struct prediction *p)
{
    double need = cores_needed(m, r, p), spare = cores_usable(m) - need;

    if (r->is.unread)
        return m->main.wall > 0 ? "most of its time could not be read"
                                : "nothing of it was recorded";
    if (r->is.bound == HOB_BOUND_SLEEP && r->is.advice == HOB_ADVICE_CONCURRENCY)
        return "what sleeps was not counted as operations; --verify tries it";
    if (r->is.mismatch == MISMATCH_LANE && m->fsync < lane_syncs)
        return "what one larger call on the lane would cost was not seen";
    if (too_many_lost(m))
        return "too many of the kernel's records were lost: what the shares say is a guess";
    if (seen(m) < wall_min)
        return "it ran or waited for less than 0.2 s: too short to see; repeat it (--repeat)";
    if (m->foreign - spare > foreign_max * need ||
        (m->rec->tier != REC_T2 && m->foreign > foreign_max && m->main.no_core > kept_max))
        return "other programs used more than 10 % of the cores meanwhile: run it on a quiet "
               "machine";
    return NULL;
}

/* Whether what is advised would keep the other end's process computing all the time, on one core.
 */
static void limit_find(const struct measures *m, struct prediction *p)
{
    struct model q = model_of(m);
    double seconds = p->concurrency.seconds - fixed_time(&q, p->concurrency.in_flight, 1);

    if (q.peer > 0 && q.peer >= seconds) {
        p->limit = busiest_peer(m->rec);
        p->limit_seconds = q.peer;
    }
}

void predict(const struct measures *m, const struct ruling *r, struct prediction *ret)
{
    uint32_t all = cores_usable(m), p = cores_of_loop(m);
    struct model q = model_of(m);
    bool waits = m->wait > .05 * m->all.wall;

    *ret = (struct prediction){.advice = none, .concurrency = none, .parallelism = none};
    if (m->all.wall > 0 && waits) {
        ret->knee = (q.cpu + q.wait) * p / q.cpu;
        ret->concurrency = gain_concurrent(m, advised(m, ret->knee), p);
        for (double n = 4; ret->n_more < 5; n *= 2)
            ret->more[ret->n_more++] = gain_concurrent(m, n, p);
        limit_find(m, ret);
    }
    if (m->all.wall > 0) {
        ret->parallelism = gain_parallel(m, r, all);
        for (uint32_t n = 1; n <= all && ret->n_cores < PREDICT_STEPS; n *= 2)
            ret->cores[ret->n_cores++] = gain_parallel(m, r, n);
        ret->advice = gain_of_advice(m, r, ret);
    }
    ret->refused = refusal(m, r, ret);
}

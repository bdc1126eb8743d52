/* SPDX-License-Identifier: MIT
 *
 * verdict.c - does it wait or does it compute, and what would make it faster
 *
 * WHAT        One rule for everybody who asks: a stage's summary, a whole program's.
 *
 * HOW         The sums become six measures (shares of a task's time, tasks and cores at once).
 *   Tests compare a measure with a threshold; the rule sees which passed, and which share is the
 *   largest.  First match:
 *
 *     sleep >= .5                       sleeps
 *     sync >= .5                        waits for others
 *     cpu >= .25 and io >= .25          both; but in flight >= 4 and demand < .7 of the cores:
 *                                       waits, concurrency in use
 *     else the largest share:  io       in flight >= 4: concurrency in use, else more of it
 *                              cpu      cores >= .8 of all: in use; too many threads; else more
 *                              sync, sleep
 *
 *   What was alive for less than 1 % of the time holds nothing up, whatever its shares are: idle.
 *   A stage that asks for less than half of one core gets no advice about cores: its flow would not
 *   end sooner.  A lane is one thread, so only how busy it is counts: from .8 on, in its items and
 * in calls they stand behind, it is the bottleneck.
 *
 *   A close call is found by flipping one test at a time: where the reading changes, the distance
 *   of the measure to its threshold is how close it was; or the second largest share is about as
 *   large as the first.  Within 10 % both readings are given.
 *
 *   The thresholds were found on 25 programs and checked on 20 others, seen from outside
 *   (docs/design/0006-trace.md).  "cpu" counts standing in line for a core: of 200 tasks on one
 *   busy loop each is on CPU for 0.5 % of its life, and still the work computes.  For the same
 *   reason "demand" is cores used plus cores stood in line for.
 */
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include <hob/trace.h>

#include "base/opts.h"

static const double hardly_used = .01, lane_busy = .8, light_load = .5;

enum measure { M_CPU, M_IO, M_SYNC, M_SLEEP, M_FLIGHT, M_DEMAND, M_CORES, M_QUEUE, N_MEASURES };

static const char *const measure_name[N_MEASURES] = {
    "CPU share", "network and disk share",       "sync share",   "sleep share",
    "in flight", "share of the cores asked for", "cores in use", "threads for each core",
};

enum test { T_SLEEP, T_SYNC, T_MIX_CPU, T_MIX_IO, T_FLIGHT, T_DEMAND, T_CORES, T_QUEUE, N_TESTS };

static const struct {
    enum measure measure;
    double threshold;
} tests[N_TESTS] = {
    [T_SLEEP] = {M_SLEEP, .5}, [T_SYNC] = {M_SYNC, .5},    [T_MIX_CPU] = {M_CPU, .25},
    [T_MIX_IO] = {M_IO, .25},  [T_FLIGHT] = {M_FLIGHT, 4}, [T_DEMAND] = {M_DEMAND, .7},
    [T_CORES] = {M_CORES, .8}, [T_QUEUE] = {M_QUEUE, 3.0},
};

struct facts {
    double m[N_MEASURES];
    bool pass[N_TESTS];
    double on_cpu, in_line; /* the two parts of M_CPU */
    double at_once, cores;
    double used; /* at_once over the whole time, of which wall may be a part */
    uint32_t n_cores, width;
    uint64_t items;
    bool all_at_once; /* no item waits for its turn */
    double core;      /* of one core, over the time of the flow: what it asks for; 0: no flow */
    hob_dur longest_turn;
};

struct reading {
    enum hob_bound bound;
    enum hob_advice advice;
};

static double positive(hob_dur d)
{
    return d > 0 ? (double)d : 0;
}

/* `whole`: the time that wall is a part of; 0: not known.  False: nothing ran. */
static bool facts_gather(struct facts *f, const struct hob_usage *u, hob_dur whole)
{
    const double *m = f->m;
    double wait[HOB_N_CLASSES], life, wall = positive(u->wall);
    double run = positive(u->on_cpu), ready = positive(u->ready);

    *f = (struct facts){.n_cores = u->n_cores ? u->n_cores : 1,
                        .width = u->width,
                        .items = u->items,
                        .longest_turn = u->longest_turn};
    life = run + ready;
    for (int i = 0; i < HOB_N_CLASSES; i++)
        life += wait[i] = positive(u->waiting[i]);
    if (life <= 0)
        return false;
    if (wall <= 0)
        wall = life; /* one task after the other */
    f->on_cpu = run / life;
    f->in_line = (ready + wait[HOB_CLASS_CPU]) / life;
    f->at_once = life / wall;
    f->used = life / (positive(whole) > wall ? positive(whole) : wall);
    f->all_at_once = f->items && f->at_once >= .8 * (double)f->items;
    f->cores = run / wall;
    f->core = whole > 0 ? f->used * (f->on_cpu + f->in_line) : 0;
    f->m[M_CPU] = f->on_cpu + f->in_line;
    f->m[M_IO] = wait[HOB_CLASS_IO] / life;
    f->m[M_SYNC] = wait[HOB_CLASS_SYNC] / life;
    f->m[M_SLEEP] = wait[HOB_CLASS_TIME] / life;
    f->m[M_FLIGHT] = wait[HOB_CLASS_IO] / wall;
    f->m[M_DEMAND] = f->m[M_CPU] * f->at_once / f->n_cores;
    f->m[M_CORES] = f->cores / f->n_cores;
    /* Tasks in line are no harm; threads in line are, and only who counts threads can tell. */
    f->m[M_QUEUE] =
        u->n_threads > f->n_cores && ready > run ? (run + ready) / wall / f->n_cores : 0;
    for (int i = 0; i < N_TESTS; i++)
        f->pass[i] = m[tests[i].measure] >= tests[i].threshold;
    return true;
}

/* A stage for which not even one core is what holds it. */
static bool light(const struct facts *f)
{
    return f->core > 0 && f->core < light_load;
}

static enum hob_advice advice_cpu(const struct facts *f)
{
    if (f->pass[T_QUEUE])
        return HOB_ADVICE_FEWER_THREADS;
    if (light(f))
        return HOB_ADVICE_ELSEWHERE;
    return f->pass[T_CORES] ? HOB_ADVICE_PARALLEL : HOB_ADVICE_PARALLELISM;
}

static struct reading reading_of(enum hob_bound bound, const struct facts *f)
{
    switch (bound) {
    case HOB_BOUND_IO:
        if (f->pass[T_FLIGHT] || f->all_at_once)
            return (struct reading){bound, HOB_ADVICE_CONCURRENT};
        return (struct reading){bound, HOB_ADVICE_CONCURRENCY};
    case HOB_BOUND_CPU:
        return (struct reading){bound, advice_cpu(f)};
    case HOB_BOUND_MIXED:
        return (struct reading){bound, light(f) ? HOB_ADVICE_CONCURRENCY : HOB_ADVICE_BOTH};
    case HOB_BOUND_LOCK:
        return (struct reading){bound, HOB_ADVICE_ELSEWHERE};
    case HOB_BOUND_SLEEP:
    case HOB_BOUND_IDLE:
        break;
    }
    return (struct reading){bound, HOB_ADVICE_NONE};
}

static const struct {
    enum measure measure;
    enum hob_bound bound;
} shares[] = {{M_CPU, HOB_BOUND_CPU},
              {M_IO, HOB_BOUND_IO},
              {M_SYNC, HOB_BOUND_LOCK},
              {M_SLEEP, HOB_BOUND_SLEEP}};
enum { N_SHARES = sizeof(shares) / sizeof(shares[0]) };

/* The largest share but one; `but` < 0 for the largest of all. */
static int share_largest(const double *m, int but)
{
    int best = but == 0;

    for (int i = 0; i < N_SHARES; i++)
        if (i != but && m[shares[i].measure] > m[shares[best].measure])
            best = i;
    return best;
}

static struct reading rule(const struct facts *f)
{
    const bool *pass = f->pass;

    if (pass[T_SLEEP])
        return reading_of(HOB_BOUND_SLEEP, f);
    if (pass[T_SYNC])
        return reading_of(HOB_BOUND_LOCK, f);
    if (pass[T_MIX_CPU] && pass[T_MIX_IO])
        return reading_of(pass[T_FLIGHT] && !pass[T_DEMAND] ? HOB_BOUND_IO : HOB_BOUND_MIXED, f);
    return reading_of(shares[share_largest(f->m, -1)].bound, f);
}

struct close_call {
    struct reading other;
    double margin;
    enum measure measure; /* N_MEASURES: two shares of about the same size */
    double threshold;
};

static struct close_call closest(struct facts *f, struct reading r)
{
    struct close_call c = {.other = r, .margin = INFINITY, .measure = N_MEASURES};
    int first = share_largest(f->m, -1), second = share_largest(f->m, first);

    if (r.bound == shares[first].bound) {
        c.margin = 1 - f->m[shares[second].measure] / f->m[shares[first].measure];
        c.other = reading_of(shares[second].bound, f);
    }
    for (int i = 0; i < N_TESTS; i++) {
        double t = tests[i].threshold, margin = fabs(f->m[tests[i].measure] / t - 1);
        struct reading other;

        f->pass[i] = !f->pass[i];
        other = rule(f);
        f->pass[i] = !f->pass[i];
        if ((other.bound != r.bound || other.advice != r.advice) && margin < c.margin)
            c = (struct close_call){other, margin, tests[i].measure, t};
    }
    return c;
}

/* Appends to a line of HOB_VERDICT_WORDS bytes; what does not fit is cut off. */
static HOB_PRINTF(3, 4) void say(char *words, size_t *at, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(words + *at, HOB_VERDICT_WORDS - *at, format, args);
    va_end(args);
    if (n > 0)
        *at = *at + (size_t)n < HOB_VERDICT_WORDS ? *at + (size_t)n : HOB_VERDICT_WORDS - 1;
}

static void say_bound(char *words, size_t *at, const struct facts *f, enum hob_bound bound)
{
    switch (bound) {
    case HOB_BOUND_IO:
        say(words, at, "waits: %.0f %% of a task's time is network or disk", f->m[M_IO] * 100);
        break;
    case HOB_BOUND_CPU:
        say(words, at, "computes: %.0f %% of a task's time is on CPU", f->on_cpu * 100);
        if (f->in_line >= .05)
            say(words, at, " and %.0f %% in line for a core", f->in_line * 100);
        break;
    case HOB_BOUND_MIXED:
        say(words, at, "both: %.0f %% of a task's time is network or disk, %.0f %% is CPU",
            f->m[M_IO] * 100, f->m[M_CPU] * 100);
        break;
    case HOB_BOUND_SLEEP:
        say(words, at, "sleeps: %.0f %% of a task's time is timers or a rate limit",
            f->m[M_SLEEP] * 100);
        break;
    case HOB_BOUND_LOCK:
        say(words, at, "waits for others: %.0f %% of a task's time is another task, stage or lock",
            f->m[M_SYNC] * 100);
        break;
    case HOB_BOUND_IDLE:
        say(words, at, "idle: nothing ran");
        break;
    }
}

static void say_concurrent(char *words, size_t *at, const struct facts *f)
{
    if (f->all_at_once)
        say(words, at, "all %llu items are under way at once; nothing more to gain",
            (unsigned long long)f->items);
    else if (f->width && f->at_once >= .7 * f->width)
        say(words, at,
            "concurrency is in use, up to its width of %u; a larger width may help, more cores do "
            "not",
            f->width);
    else
        say(words, at, "concurrency is in use; more cores do not help");
}

static void say_elsewhere(char *words, size_t *at, const struct facts *f, enum hob_bound bound)
{
    if (bound == HOB_BOUND_CPU)
        say(words, at, "%.2f of one core is all it asks for: not what holds the flow", f->core);
    else
        say(words, at, "look at what it waits for, this is not the bottleneck");
}

static void say_advice(char *words, size_t *at, const struct facts *f, struct reading r)
{
    switch (r.advice) {
    case HOB_ADVICE_CONCURRENCY:
        say(words, at, "more tasks at once help, more cores do not");
        break;
    case HOB_ADVICE_PARALLELISM:
        say(words, at, "more cores help, more tasks at once do not");
        break;
    case HOB_ADVICE_BOTH:
        say(words, at, "more tasks at once help the waiting, more cores the computing");
        break;
    case HOB_ADVICE_CONCURRENT:
        say_concurrent(words, at, f);
        break;
    case HOB_ADVICE_PARALLEL:
        say(words, at, "every core is busy: only more cores or less work help");
        break;
    case HOB_ADVICE_FEWER_THREADS:
        say(words, at, "more threads than cores: use %u", f->n_cores);
        break;
    case HOB_ADVICE_ELSEWHERE:
        say_elsewhere(words, at, f, r.bound);
        break;
    case HOB_ADVICE_BATCHES:
        say(words, at, "is the bottleneck: larger batches help");
        break;
    case HOB_ADVICE_LOCK:
        say(words, at, "hold the lock for less, or split it");
        break;
    case HOB_ADVICE_NONE:
        say(words, at, "it goes at the pace it was told");
        break;
    }
}

static void say_verdict(char *words, const struct facts *f, struct reading r,
                        const struct close_call *c)
{
    const hob_dur held = 50 * HOB_MS;
    size_t at = 0;

    say_bound(words, &at, f, r.bound);
    say(words, &at, " (%.1f tasks at once, %.2f of %u core%s busy); ", f->at_once, f->cores,
        f->n_cores, f->n_cores == 1 ? "" : "s");
    say_advice(words, &at, f, r);
    if (f->longest_turn >= held)
        say(words, &at, "; one turn held its loop for %.0f ms: such work belongs on the pool",
            (double)f->longest_turn / HOB_MS);
    if (c->margin > .1)
        return;
    if (c->measure < N_MEASURES)
        say(words, &at,
            "; a close call (%s %.2f, threshold %.2f), so also: ", measure_name[c->measure],
            f->m[c->measure], c->threshold);
    else
        say(words, &at, "; a close call (two shares of about the same size), so also: ");
    if (c->other.bound != r.bound) {
        say_bound(words, &at, f, c->other.bound);
        say(words, &at, "; ");
    }
    say_advice(words, &at, f, c->other);
}

static void verdict_measures(const struct facts *f, struct hob_verdict *v)
{
    v->cpu = f->m[M_CPU];
    v->io = f->m[M_IO];
    v->sync = f->m[M_SYNC];
    v->sleep = f->m[M_SLEEP];
    v->at_once = f->at_once;
    v->cores = f->cores;
}

/* True: it did too little for its shares to mean anything. */
static bool verdict_idle(const struct facts *f, bool ran, struct hob_verdict *v)
{
    size_t at = 0;

    if (ran && f->used >= hardly_used)
        return false;
    if (ran)
        say(v->words, &at, "hardly used (%.1f %% of the time): not what holds it", f->used * 100);
    else
        say_bound(v->words, &at, f, HOB_BOUND_IDLE);
    v->bound = v->also_bound = HOB_BOUND_IDLE;
    v->advice = v->also_advice = HOB_ADVICE_NONE;
    v->margin = ran ? 1 - f->used / hardly_used : INFINITY;
    return true;
}

static void verdict_rule(struct facts *f, struct hob_verdict *v)
{
    struct reading r = rule(f);
    struct close_call c = closest(f, r);

    v->bound = r.bound;
    v->advice = r.advice;
    v->also_bound = c.margin <= .1 ? c.other.bound : r.bound;
    v->also_advice = c.margin <= .1 ? c.other.advice : r.advice;
    v->margin = c.margin;
    say_verdict(v->words, f, r, &c);
}

static void verdict_lane(const struct facts *f, struct hob_verdict *v)
{
    double disk = f->used * f->m[M_IO], cpu = f->used * f->on_cpu;
    double behind = f->used * f->in_line; /* other calls have the thread */
    double busy = disk + cpu + behind;
    size_t at = 0;

    v->bound = v->also_bound = disk >= cpu ? HOB_BOUND_IO : HOB_BOUND_CPU;
    v->advice = v->also_advice = busy >= lane_busy ? HOB_ADVICE_BATCHES : HOB_ADVICE_NONE;
    v->margin = fabs(busy / lane_busy - 1);
    say(v->words, &at, "one thread, %.0f %% of its time the disk, %.0f %% computing", disk * 100,
        cpu * 100);
    if (behind >= .05)
        say(v->words, &at, ", %.0f %% other calls before its own", behind * 100);
    if (v->advice == HOB_ADVICE_BATCHES) {
        say(v->words, &at, "; ");
        say_advice(v->words, &at, f, (struct reading){v->bound, v->advice});
    } else {
        say(v->words, &at, ", idle otherwise");
    }
}

const char *hob_bound_word(enum hob_bound bound)
{
    static const char *const words[] = {
        [HOB_BOUND_IDLE] = "idle",   [HOB_BOUND_IO] = "io",       [HOB_BOUND_CPU] = "cpu",
        [HOB_BOUND_MIXED] = "mixed", [HOB_BOUND_SLEEP] = "sleep", [HOB_BOUND_LOCK] = "lock",
    };

    return (size_t)bound < sizeof(words) / sizeof(words[0]) ? words[bound] : "?";
}

const char *hob_advice_word(enum hob_advice advice)
{
    static const char *const words[] = {
        [HOB_ADVICE_NONE] = "neither",
        [HOB_ADVICE_CONCURRENCY] = "concurrency",
        [HOB_ADVICE_PARALLELISM] = "parallelism",
        [HOB_ADVICE_BOTH] = "both",
        [HOB_ADVICE_CONCURRENT] = "ok-concurrent",
        [HOB_ADVICE_PARALLEL] = "ok-parallel",
        [HOB_ADVICE_FEWER_THREADS] = "fewer-threads",
        [HOB_ADVICE_ELSEWHERE] = "elsewhere",
        [HOB_ADVICE_BATCHES] = "batch",
        [HOB_ADVICE_LOCK] = "lock",
    };

    return (size_t)advice < sizeof(words) / sizeof(words[0]) ? words[advice] : "?";
}

int hob_verdict_of(const struct hob_usage *usage, struct hob_verdict *ret)
{
    struct hob_verdict v = {0};
    struct hob_usage u;
    struct facts f;
    int err = usage ? hob__opts_copy(&u, sizeof(u), usage) : -EINVAL;

    if (err < 0)
        return err;
    bool ran = facts_gather(&f, &u, 0);
    verdict_measures(&f, &v);
    if (!verdict_idle(&f, ran, &v))
        verdict_rule(&f, &v);
    return hob__result_copy(ret, &v, sizeof(v));
}

int hob_stage_verdict(const struct hob_stage_stats *stage, uint32_t n_cores,
                      struct hob_verdict *ret)
{
    struct hob_stage_stats st;
    struct hob_verdict v = {0};
    struct facts f;
    int err = stage ? hob__opts_copy(&st, sizeof(st), stage) : -EINVAL;

    if (err < 0)
        return err;
    const char *kind = st.kind ? st.kind : "";
    struct hob_usage u = {.size = sizeof(u),
                          .wall = st.wall,
                          .on_cpu = st.on_cpu,
                          .ready = st.ready,
                          .longest_turn = strcmp(kind, "io") == 0 ? st.longest_turn : 0,
                          .items = st.items_in,
                          .n_cores = n_cores,
                          .width = st.width};
    for (int i = 0; i < HOB_N_CLASSES; i++)
        u.waiting[i] = st.waiting[i];
    bool ran = facts_gather(&f, &u, st.flow);
    verdict_measures(&f, &v);
    if (!verdict_idle(&f, ran, &v)) {
        if (strcmp(kind, "lane") == 0)
            verdict_lane(&f, &v);
        else
            verdict_rule(&f, &v);
    }
    return hob__result_copy(ret, &v, sizeof(v));
}

/* SPDX-License-Identifier: MIT
 *
 * rule.c - the rule: bound, advice, mismatch
 *
 * HOW         First match, on shares of the time after start-up:
 *
 *     unread >= .5                       nothing is said
 *     sleep >= .5, io < .3               sleeps
 *     most I/O is disk sync, one writer  waits; batches
 *     cpu (user's part) and io >= .25    both; but in flight >= 4, also while it computes, and
 *                                        cores to spare: waits, concurrency in use
 *     io >= .5                           waits: a pool of processes with one operation each; in
 *                                        flight >= 4: concurrency in use; threads that ask one
 *                                        after the other under a lock; else more of it
 *     cpu >= .7                          computes: a loop that is blocked, by its own computing
 *                                        or by its children's; threads that take
 *                                        turns under a lock; too many threads; all cores in use;
 *                                        else more cores
 *     else the largest share; that of what could not be read is one of them
 *
 *   Of a program that uses hob the loop is not guessed at: its own trace says which fiber held it
 *   and which made it wait, and what jobs, lanes and channels wait for.
 *
 *   The rule records each test it asks.  A close call is found by flipping one test at a time:
 *   where the reading changes, the distance of the figure to the threshold is how close it was.
 *
 *   The thresholds were tuned on 25 programs; docs/design/0013-diagnose-rule.md has how they do
 *   without each of them in turn, and docs/diagnosed.md on programs that nobody here wrote.
 */
#include <math.h>
#include <string.h>

#include "diag/rule.h"

#define RULE_TEST_ROW(name, threshold, text) {threshold, text},
static const struct {
    double threshold;
    const char *text;
} tests[N_RULE_TESTS] = {RULE_TEST_MAP(RULE_TEST_ROW)};
#undef RULE_TEST_ROW

static const double close_call = .1;
/* Samples widen short turns, so that they seem to overlap; but who waits for a lock cannot run. */
static const double in_wait_most = 1.5;
static const double foreign_min = .1; /* of the cores; less than that is taken as none */
static const double unread_min = .1;  /* of the time: less is not worth a question */

struct facts {
    const struct measures *m;
    bool pass[N_RULE_TESTS];
    enum rule_test asked[N_RULE_TESTS];
    size_t n_asked;
};

static bool ask(struct facts *f, enum rule_test t)
{
    bool known = false;

    for (size_t i = 0; i < f->n_asked; i++)
        known |= f->asked[i] == t;
    if (!known)
        f->asked[f->n_asked++] = t;
    return f->pass[t];
}

/* The cores that other programs took count as in use: without them these threads had run there. */
static double cores_wanted(const struct measures *m)
{
    return fmax(m->cores, fmin(m->demand, m->rec->n_cores));
}

/* The part of the time that would be left without other programs and other machines.  What could
 * run and had no core while nothing of its own ran was kept from it by them, if they used any to
 * speak of. */
static double without_others(const struct measures *m)
{
    double n_cores = m->rec->n_cores ? m->rec->n_cores : 1;
    double theirs = m->main.run * m->taken;

    if (m->foreign > foreign_min * n_cores)
        theirs += m->main.no_core;
    return theirs < 1 ? 1 - theirs : 1;
}

/* Waiting for I/O, and what the kernel computes to do it: who does more at once does more of both
 * at once.  A program that hardly waits uses the kernel for something else. */
static double io_with_kernel(const struct measures *m, double part)
{
    const double waits = .2;
    double io = m->main.io / part, kernel = m->main.run * (1 - m->taken) * (1 - m->user) / part;

    return io >= waits ? io + kernel : io;
}

static void facts_gather(const struct measures *m, double *value)
{
    const struct measure_span *s = &m->main;
    double n_cores = m->rec->n_cores ? m->rec->n_cores : 1;
    double cpu = s->cpu > 0 ? s->cpu : 1e-9;
    double part = without_others(m);

    value[RULE_UNREAD] = s->blame[REC_UNKNOWN] / part;
    value[RULE_SLEEP] = s->blame[REC_SLEEP] / part;
    value[RULE_SLEEP_IO] = value[RULE_MIX_IO] = s->io / part;
    value[RULE_IO] = value[RULE_FSYNC_IO] = io_with_kernel(m, part);
    value[RULE_FSYNC] = m->fsync;
    value[RULE_FSYNC_FLIGHT] = value[RULE_FLIGHT] = m->in_flight;
    value[RULE_MIX_CPU] = s->run * (1 - m->taken) * m->user / part;
    value[RULE_DEMAND] = s->wall > 0 ? s->cpu * (1 - m->taken) / (s->wall * part) / n_cores : 0;
    value[RULE_CPU] = 1 - (1 - s->run - s->no_core) / part;
    value[RULE_BEHIND] = m->behind;
    value[RULE_POOL_EACH] = m->in_flight / (m->io_procs ? m->io_procs : 1);
    value[RULE_LOOP_SHARE] = m->loop_blocked / cpu;
    value[RULE_LOOP_STRETCH] = fmax(m->loop_stretch, m->loop_line);
    value[RULE_LOOP_SLEPT] = m->all.wall > 0 ? m->loop_slept / m->all.wall : 0;
    value[RULE_EVEN] = m->rivals.even;
    value[RULE_OVERLAP] = m->rivals.overlap / fmin(fmax(1, m->rivals.contended), in_wait_most);
    value[RULE_CONTENDED] = m->rivals.contended;
    value[RULE_TURN] = m->rivals.turn;
    value[RULE_HOLD_EVEN] = m->holders.even;
    value[RULE_HOLD_OVERLAP] = m->holders.overlap;
    value[RULE_HOLD_LINE] = m->holders.contended;
    value[RULE_HOLD_BROUGHT] = m->holders.brought;
    value[RULE_PRESS] = m->press / n_cores;
    value[RULE_CORES] = cores_wanted(m) / n_cores;
    value[RULE_LINE] = s->ready / cpu;
}

static void facts_of_own(const struct measures *m, double *value)
{
    const struct rec_own *o = &m->rec->own;
    double ns = m->all.wall > 0 ? m->all.wall * 1e9 : 1;
    double jobs = (double)(o->job_waits + o->job_cpu);
    double had_core = m->all.no_core < 1 ? 1 - m->all.no_core : 1;

    value[RULE_HELD] = (double)o->held / ns / had_core;
    value[RULE_BLOCKED] = (double)o->blocked / ns;
    value[RULE_JOB_WAITS] = jobs > 0 ? (double)o->job_waits / jobs : 0;
    jobs += (double)o->job_locks;
    value[RULE_JOB_LOCKS] = jobs > 0 ? (double)o->job_locks / jobs : 0;
    value[RULE_JOB_THREADS] = (double)o->job_waits / ns;
    value[RULE_LANE] = (double)o->lane_any / ns;
    value[RULE_LANE_LINE] = o->lane_any > 0 ? (double)o->lane_sum / (double)o->lane_any : 0;
    value[RULE_FIBER_LOCK] = (double)o->lock_any / ns;
    value[RULE_FIBER_LINE] = o->lock_any > 0 ? (double)o->lock_sum / (double)o->lock_any : 0;
    value[RULE_CHAN_SEND] = (double)o->send_any / ns;
    value[RULE_CHAN_RECV] = (double)o->recv_any / ns;
    value[RULE_CHAN_LEAST] = o->chan_least <= 1000000 ? o->chan_least * 1e-6 : 0;
}

/* Events from outside: a worker's loop has messages of its own program to wait for. */
static bool serves(const struct measures *m)
{
    return m->server || m->n_ops > 0 || m->loop_outside;
}

static bool loop_is_blocked(struct facts *f)
{
    if (f->m->rec->own.n_traces > 0)
        return ask(f, RULE_HELD) && !ask(f, RULE_CORES);
    /* Where every core is in use its work has nowhere else to go. */
    return f->m->has_loop && serves(f->m) && ask(f, RULE_LOOP_SHARE) && ask(f, RULE_LOOP_STRETCH) &&
           !ask(f, RULE_CORES);
}

static bool jobs_wait_for_each_other(struct facts *f)
{
    return f->m->rec->own.n_traces > 0 && ask(f, RULE_JOB_LOCKS);
}

static bool loop_stands(struct facts *f)
{
    return f->m->has_loop && ask(f, RULE_LOOP_SLEPT);
}

static bool threads_take_turns(struct facts *f)
{
    return f->m->rivals.n >= 2 && ask(f, RULE_EVEN) && !ask(f, RULE_OVERLAP) &&
           (ask(f, RULE_CONTENDED) || jobs_wait_for_each_other(f)) && !ask(f, RULE_TURN);
}

static bool threads_ask_in_line(struct facts *f)
{
    return f->m->holders.n >= 2 && ask(f, RULE_HOLD_EVEN) && !ask(f, RULE_HOLD_OVERLAP) &&
           ask(f, RULE_HOLD_LINE) && !ask(f, RULE_HOLD_BROUGHT);
}

static bool is_network(enum rec_kind kind)
{
    return kind == REC_NET || kind == REC_DB || kind == REC_DNS || kind == REC_IPC;
}

static struct reading reading_io(struct facts *f)
{
    const struct measures *m = f->m;
    struct reading r = {.bound = HOB_BOUND_IO, .advice = HOB_ADVICE_CONCURRENCY};

    if (loop_stands(f)) {
        r.mismatch = MISMATCH_LOOP_BLOCKED;
        return r;
    }
    if (m->forked && m->io_procs >= 2 && is_network(m->io_kind) && !ask(f, RULE_POOL_EACH)) {
        r.mismatch = MISMATCH_POOL_IO;
        return r;
    }
    if (ask(f, RULE_FLIGHT))
        r.advice = HOB_ADVICE_CONCURRENT;
    else if (is_network(m->io_kind) && threads_ask_in_line(f))
        r.mismatch = MISMATCH_LOCK;
    else if (m->in_flight < 1.5)
        r.pattern =
            m->has_loop && is_network(m->io_kind) ? PATTERN_SEQUENTIAL_AWAITS : PATTERN_ONE_BY_ONE;
    return r;
}

static struct reading reading_cpu(struct facts *f)
{
    struct reading r = {.bound = HOB_BOUND_CPU, .advice = HOB_ADVICE_PARALLELISM};

    if (loop_is_blocked(f) || (loop_stands(f) && !ask(f, RULE_DEMAND))) {
        r.mismatch = MISMATCH_LOOP_BLOCKED;
        return r;
    }
    if (threads_take_turns(f)) {
        bool gil = !f->m->rivals.processes && lang_has_gil(f->m->language);
        r.mismatch = gil ? MISMATCH_GIL : MISMATCH_LOCK;
        r.advice = gil ? HOB_ADVICE_PARALLELISM : HOB_ADVICE_LOCK;
        return r;
    }
    if (f->m->main.ready > f->m->main.cpu && ask(f, RULE_PRESS)) {
        r.mismatch = MISMATCH_OVERSUB;
        r.advice = HOB_ADVICE_PARALLEL;
    } else if (ask(f, RULE_CORES)) {
        r.advice = HOB_ADVICE_PARALLEL;
    }
    return r;
}

static struct reading reading_mixed(struct facts *f)
{
    struct reading r = {.bound = HOB_BOUND_MIXED, .advice = HOB_ADVICE_BOTH};

    if (loop_is_blocked(f) || loop_stands(f))
        r.mismatch = MISMATCH_LOOP_BLOCKED;
    else if (ask(f, RULE_FLIGHT) && ask(f, RULE_BEHIND) && !ask(f, RULE_DEMAND))
        return reading_io(f);
    return r;
}

/* What the program's own trace adds.  Where work waits for a loop, the pool or a lane, more of it
 * at once needs another place first. */
static struct reading reading_own(struct facts *f, struct reading r)
{
    if (f->m->rec->own.n_traces == 0 || r.mismatch != MISMATCH_NONE)
        return r;
    if (ask(f, RULE_BLOCKED)) {
        r.mismatch = MISMATCH_LOOP_BLOCKED;
        r.advice = HOB_ADVICE_CONCURRENCY;
    } else if (ask(f, RULE_JOB_WAITS) && ask(f, RULE_JOB_THREADS)) {
        r.mismatch = MISMATCH_POOL_IO;
        r.advice = HOB_ADVICE_CONCURRENCY;
    } else if (ask(f, RULE_FIBER_LOCK) && ask(f, RULE_FIBER_LINE) && !ask(f, RULE_FLIGHT)) {
        r.mismatch = MISMATCH_LOCK;
        r.advice = HOB_ADVICE_LOCK;
    } else if (ask(f, RULE_LANE) && ask(f, RULE_LANE_LINE) && !ask(f, RULE_FLIGHT)) {
        r.mismatch = MISMATCH_LANE;
        if (r.bound == HOB_BOUND_IO)
            r.advice = HOB_ADVICE_BATCHES;
    } else if (ask(f, RULE_CHAN_SEND) && ask(f, RULE_CHAN_RECV) && ask(f, RULE_CHAN_LEAST)) {
        r.mismatch = MISMATCH_CHANNEL;
        r.advice = HOB_ADVICE_CONCURRENCY;
    }
    if (r.mismatch != MISMATCH_NONE)
        r.pattern = PATTERN_NONE;
    return r;
}

static struct reading reading_of_bound(struct facts *f, enum hob_bound bound)
{
    switch (bound) {
    case HOB_BOUND_IO:
        return reading_io(f);
    case HOB_BOUND_CPU:
        return reading_cpu(f);
    case HOB_BOUND_MIXED:
        return reading_mixed(f);
    case HOB_BOUND_IDLE:
        return (struct reading){.bound = bound,
                                .pattern = f->m->server ? PATTERN_NO_LOAD : PATTERN_NONE};
    case HOB_BOUND_SLEEP:
        if (loop_stands(f))
            return (struct reading){.bound = bound, .mismatch = MISMATCH_LOOP_BLOCKED};
        return (struct reading){.bound = bound,
                                .advice = f->m->told ? HOB_ADVICE_CONCURRENCY : HOB_ADVICE_NONE};
    case HOB_BOUND_LOCK:
        break;
    }
    return (struct reading){.bound = bound};
}

static struct reading reading_of(struct facts *f, enum hob_bound bound)
{
    return reading_own(f, reading_of_bound(f, bound));
}

enum { N_SHARES = 6 };

struct share {
    double of; /* the time */
    enum hob_bound bound;
    bool unread;
};

/* The bounds by their share of the time, the largest first. */
static void shares_rank(const struct measures *m, struct share ret[N_SHARES])
{
    const double *b = m->main.blame;
    const struct share all[N_SHARES] = {
        {m->main.io, HOB_BOUND_IO, false},
        {m->main.run + m->main.no_core, HOB_BOUND_CPU, false},
        {b[REC_SLEEP], HOB_BOUND_SLEEP, false},
        {b[REC_LOCK], HOB_BOUND_LOCK, false},
        {b[REC_ACCEPT] + b[REC_IDLE] + b[REC_TTY] + b[REC_SIGNAL] + b[REC_PIPE] + b[REC_CHILD],
         HOB_BOUND_IDLE, false},
        {b[REC_UNKNOWN], HOB_BOUND_IDLE, true},
    };

    for (size_t i = 0; i < N_SHARES; i++) {
        size_t at = i;

        for (; at > 0 && ret[at - 1].of < all[i].of; at--)
            ret[at] = ret[at - 1];
        ret[at] = all[i];
    }
}

static struct reading reading_unread(void)
{
    return (struct reading){.bound = HOB_BOUND_IDLE, .unread = true};
}

static struct reading reading_of_share(struct facts *f, const struct share *s)
{
    struct reading r = s->unread ? reading_unread() : reading_of(f, s->bound);

    r.by_size = true;
    return r;
}

static bool could_not_be_read(struct facts *f)
{
    const struct measure_span *s = &f->m->main;

    return s->wall <= 0 || (s->blame[REC_UNKNOWN] >= unread_min && ask(f, RULE_UNREAD));
}

static struct reading rule(struct facts *f)
{
    struct share share[N_SHARES];

    f->n_asked = 0;
    if (could_not_be_read(f))
        return reading_unread();
    if (ask(f, RULE_SLEEP) && !ask(f, RULE_SLEEP_IO))
        return reading_of(f, HOB_BOUND_SLEEP);
    if (ask(f, RULE_FSYNC) && ask(f, RULE_FSYNC_IO) && !ask(f, RULE_FSYNC_FLIGHT))
        return (struct reading){
            .bound = HOB_BOUND_IO, .advice = HOB_ADVICE_BATCHES, .pattern = PATTERN_COMMIT_PER_ROW};
    if (ask(f, RULE_MIX_CPU) && ask(f, RULE_MIX_IO))
        return reading_of(f, HOB_BOUND_MIXED);
    if (ask(f, RULE_IO))
        return reading_of(f, HOB_BOUND_IO);
    if (ask(f, RULE_CPU))
        return reading_of(f, HOB_BOUND_CPU);
    shares_rank(f->m, share);
    return reading_of_share(f, &share[0]);
}

static bool same_reading(const struct reading *a, const struct reading *b)
{
    return a->bound == b->bound && a->advice == b->advice && a->mismatch == b->mismatch &&
           a->unread == b->unread;
}

/* The tests that it hung on: flipped, they change it; then the others.  The last asked come first:
 * the early ones only said what it is not. */
static void why_gather(struct facts *f, struct ruling *ret)
{
    struct facts other = *f;
    bool decides[N_RULE_TESTS] = {false};

    ret->margin = INFINITY;
    ret->nearest = N_RULE_TESTS;
    for (int t = 0; t < N_RULE_TESTS; t++) {
        double distance = fabs(ret->value[t] / ret->limit[t] - 1);

        other.pass[t] = !other.pass[t];
        struct reading r = rule(&other);
        other.pass[t] = !other.pass[t];
        decides[t] = !same_reading(&r, &ret->is);
        if (decides[t] && distance < ret->margin) {
            ret->margin = distance;
            ret->nearest = (enum rule_test)t;
            ret->also = r;
        }
    }
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = f->n_asked; i-- > 0 && ret->n_why < RULE_WHY;)
            if (decides[f->asked[i]] == (pass == 0))
                ret->why[ret->n_why++] = f->asked[i];
}

void rule_of(const struct measures *m, const double *limits, struct ruling *ret)
{
    struct facts f = {.m = m};

    *ret = (struct ruling){0};
    facts_gather(m, ret->value);
    facts_of_own(m, ret->value);
    for (int t = 0; t < N_RULE_TESTS; t++) {
        ret->limit[t] = limits ? limits[t] : tests[t].threshold;
        f.pass[t] = ret->value[t] >= ret->limit[t];
    }
    ret->is = ret->also = rule(&f);
    memcpy(ret->asked, f.asked, sizeof(ret->asked));
    ret->n_asked = f.n_asked;
    why_gather(&f, ret);
    if (ret->is.by_size) {
        struct share share[N_SHARES];

        shares_rank(m, share);
        double distance = share[0].of > 0 ? 1 - share[1].of / share[0].of : 0;
        if (distance < ret->margin) {
            ret->margin = distance;
            ret->nearest = N_RULE_TESTS;
            ret->also = reading_of_share(&f, &share[1]);
        }
    }
    ret->close = ret->margin <= close_call;
    if (!ret->close)
        ret->also = ret->is;
}

bool rule_loop_stands(const struct measures *m, const struct ruling *r)
{
    return r->is.bound == HOB_BOUND_SLEEP || r->is.bound == HOB_BOUND_IO ||
           m->loop_slept > m->loop_blocked;
}

double rule_threshold(enum rule_test t)
{
    return tests[t].threshold;
}

const char *rule_text(enum rule_test t)
{
    return tests[t].text;
}

const char *reading_bound_word(const struct reading *r)
{
    return r->unread ? "unknown" : hob_bound_word(r->bound);
}

const char *reading_advice_word(const struct reading *r)
{
    return r->unread ? NULL : hob_advice_word(r->advice);
}

#define WORD(name, word) word,
const char *mismatch_word(enum mismatch m)
{
    static const char *const words[] = {MISMATCH_MAP(WORD)};

    return *words[m] ? words[m] : NULL;
}

const char *pattern_word(enum pattern p)
{
    static const char *const words[] = {PATTERN_MAP(WORD)};

    return *words[p] ? words[p] : NULL;
}
#undef WORD

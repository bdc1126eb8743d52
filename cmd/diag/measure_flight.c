/* SPDX-License-Identifier: MIT
 *
 * measure_flight.c - how many operations are in flight, by Little's law
 *
 * HOW         A thread that waits in read(2) for a connection is one operation for as long as it
 *   waits.  A wait for a poll set is as many as were sent and not answered when it was looked at,
 *   and they stay in flight while the loop computes between two waits: the count of a set holds
 *   until its next wait, at most 200 ms.  A loop that computes for longer is counted meanwhile
 *   (rec_count): ten thousand connections may be made before the first wait for any.  Such a count
 *   holds until the next one, or the next wait, at most a second.
 *
 *   Sets have no name in a recording.  A runtime may hand its one poller from thread to thread
 *   (Go), a program may have several loops in a process (workers).  What tells them apart: two
 *   threads hardly ever wait for the same poller at the same time.  Where the waits of a process's
 *   threads overlap, each thread has a set of its own; else the process has one.
 *
 *   Start-up ends where the first hundredth of the waiting for the dominant kind is done; what
 * comes after the last of it is the ending.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "diag/edges.h"
#include "diag/measure_impl.h"

static const int64_t hold_max = 200 * HOB_MS, count_hold = HOB_SEC, count_near = HOB_SEC;
static const double startup_part = .01; /* of the waits of the dominant kind */
/* A start-up is short, and there must be something after it; else it is a phase of its own. */
static const double startup_max = 1.5, startup_io_min = .2;

static const double several = 1.5;     /* in flight */
static const double overlap_min = 1.1; /* sum of the waits for sets / time with any of them */

struct set {
    uint32_t owner; /* thread or process, see proc_sets */
    bool open;
    bool counted;  /* n is by a count, and not by a look at a wait */
    int64_t until; /* not open: its count holds until then */
    double n;
    uint8_t kind;
};

/* The waits for sets of a process. */
struct proc_sets {
    uint32_t n_open;
    int64_t since, last; /* last: when its last one ends */
    int64_t sum, any;
};

struct flight {
    const struct measure_frame *frame;
    struct measures *m;
    struct set *sets; /* open, or their count still holds */
    size_t n_sets, cap_sets;
    struct proc_sets *procs;
    size_t n_counts; /* of the recording's, that were taken */
    int64_t now;
    double n;                    /* in flight now */
    double by_kind[REC_N_KINDS]; /* now */
    double total[REC_N_KINDS];   /* operation-seconds */
    double time;                 /* s with one or more */
    uint32_t n_run;              /* threads on CPU now */
    double ran, ran_behind; /* s with one or more, since the first operation; of it in flight */
    double waits, squares, cubes; /* s, s^2, s^3 of the waits for I/O */
};

static void flight_count(struct flight *f, uint8_t kind, double n)
{
    f->n += n;
    f->by_kind[kind] += n;
}

static void flight_curve(struct flight *f, int64_t to)
{
    double width = (double)f->frame->end / MEASURE_BUCKETS;
    double a = (double)f->now / width, b = (double)to / width;

    for (int i = (int)a; i < MEASURE_BUCKETS && i < b; i++) {
        double low = a > i ? a : i, high = b < i + 1 ? b : i + 1;
        f->m->curve_flight[i] += (float)(f->n * (high - low));
    }
}

static void flight_step(struct flight *f, int64_t to)
{
    const double none = 1e-9; /* what counting up and down in doubles leaves */
    double d = measure_s(to - f->now);

    if (d <= 0)
        return;
    if (f->n_run > 0 && f->m->n_waits > 0) {
        f->ran += d;
        f->ran_behind += f->n > none ? d : 0;
    }
    if (f->n > none) {
        f->time += d;
        for (int k = 0; k < REC_N_KINDS; k++)
            f->total[k] += f->by_kind[k] * d;
        if (f->n > f->m->in_flight_max)
            f->m->in_flight_max = f->n;
        flight_curve(f, to);
    }
    f->now = to;
}

static void set_drop(struct flight *f, size_t i)
{
    flight_count(f, f->sets[i].kind, -f->sets[i].n);
    f->sets[i] = f->sets[--f->n_sets];
}

/* On to `at`, through the ends of all counts that hold no longer. */
static void flight_advance(struct flight *f, int64_t at)
{
    for (;;) {
        size_t first = f->n_sets;

        for (size_t i = 0; i < f->n_sets; i++)
            if (!f->sets[i].open && f->sets[i].until <= at &&
                (first == f->n_sets || f->sets[i].until < f->sets[first].until))
                first = i;
        if (first == f->n_sets)
            break;
        flight_step(f, f->sets[first].until);
        set_drop(f, first);
    }
    flight_step(f, at);
}

static uint32_t set_owner(const struct flight *f, uint32_t thread)
{
    uint32_t proc = f->frame->rec->threads[thread].proc;
    const struct proc_sets *p = &f->procs[proc];
    bool shared = (double)p->sum <= overlap_min * (double)p->any;

    return shared ? (uint32_t)f->frame->rec->n_threads + proc : thread;
}

static size_t set_find(const struct flight *f, uint32_t owner)
{
    size_t i = 0;

    while (i < f->n_sets && f->sets[i].owner != owner)
        i++;
    return i;
}

/* In the place of what was known of its owner. */
static int set_put(struct flight *f, struct set set)
{
    size_t i = set_find(f, set.owner);

    if (i < f->n_sets) {
        flight_count(f, f->sets[i].kind, -f->sets[i].n);
    } else {
        if (f->n_sets == f->cap_sets) {
            size_t cap = f->cap_sets ? 2 * f->cap_sets : 64;
            struct set *more = realloc(f->sets, cap * sizeof(*more));
            if (!more)
                return -ENOMEM;
            f->sets = more;
            f->cap_sets = cap;
        }
        f->n_sets++;
    }
    f->sets[i] = set;
    flight_count(f, set.kind, set.n);
    return 0;
}

/* What a wait too short to look at has in flight is that of its like, whenever they were: a count
 * soon after it bounds it. */
static double guess_bound(const struct flight *f, const struct edge *e, double n)
{
    const struct recording *r = f->frame->rec;
    const struct rec_count *next = f->n_counts < r->n_counts ? &r->counts[f->n_counts] : NULL;
    bool near = next && next->thread == e->thread && next->at - e->at < count_near;

    return near ? fmin(n, next->in_flight) : n;
}

static int set_open(struct flight *f, const struct edge *e, double part)
{
    struct set set = {.owner = set_owner(f, e->thread), .open = true, .kind = e->ival->kind};
    double n = e->ival->in_flight ? e->ival->in_flight : 1;
    size_t i = set_find(f, set.owner);

    if (!(e->ival->flags & REC_IVAL_GUESSED)) {
        set.n = n * part;
    } else if (i < f->n_sets && f->sets[i].counted) {
        set.n = f->sets[i].n; /* a count before it knows better still */
        set.counted = true;
    } else {
        set.n = guess_bound(f, e, n) * part;
    }
    return set_put(f, set);
}

static void set_close(struct flight *f, const struct edge *e)
{
    const struct proc_sets *p = &f->procs[f->frame->rec->threads[e->thread].proc];
    size_t i = set_find(f, set_owner(f, e->thread));

    if (i == f->n_sets)
        return;
    f->sets[i].open = false;
    f->sets[i].until = p->last > e->at ? e->at + hold_max : e->at;
    if (f->sets[i].until == e->at)
        set_drop(f, i);
}

/* A look at the set showed that nothing is in flight any more. */
static void set_empty(struct flight *f, const struct edge *e)
{
    flight_advance(f, e->at);
    size_t i = set_find(f, set_owner(f, e->thread));
    if (i < f->n_sets && !f->sets[i].open)
        set_drop(f, i);
}

static int flight_edge(struct flight *f, const struct edge *e)
{
    const struct rec_ival *iv = e->ival;
    struct measure_parts p = measure_parts_of(iv);
    double n = (iv->in_flight ? iv->in_flight : 1) * p.wait;
    double length = measure_s(iv->to - iv->from) * p.wait;

    if (iv->state == REC_RUN && !(iv->flags & REC_IVAL_FOLDED) &&
        !f->frame->rec->threads[e->thread].is_task) {
        flight_advance(f, e->at);
        f->n_run += e->opens ? 1u : -1u;
    }
    if (p.wait <= 0 || iv->flags & REC_IVAL_COPY)
        return 0;
    if (!measure_is_io(f->frame, iv)) {
        if (iv->flags & REC_IVAL_SET && e->opens)
            set_empty(f, e);
        return 0;
    }
    flight_advance(f, e->at);
    if (e->opens) {
        f->waits += length;
        f->squares += length * length;
        f->cubes += length * length * length;
        f->m->n_waits++;
    }
    if (iv->flags & REC_IVAL_SET) {
        if (e->opens)
            return set_open(f, e, p.wait);
        set_close(f, e);
    } else {
        flight_count(f, iv->kind, e->opens ? n : -n);
    }
    return 0;
}

static int count_take(struct flight *f, const struct rec_count *c)
{
    const struct rec_thread *t = &f->frame->rec->threads[c->thread];
    struct set set = {.owner = set_owner(f, c->thread),
                      .counted = true,
                      .until = c->at + count_hold < t->died ? c->at + count_hold : t->died,
                      .n = c->in_flight,
                      .kind = c->kind};

    flight_advance(f, c->at);
    size_t i = set_find(f, set.owner);
    if (c->in_flight == 0) {
        if (i < f->n_sets && !f->sets[i].open)
            set_drop(f, i);
        return 0;
    }
    if (set.owner == c->thread || (i < f->n_sets && f->sets[i].open))
        return 0; /* of several sets of a process it is the sum; one that is waited for is known */
    return set_put(f, set);
}

static int counts_until(struct flight *f, int64_t at)
{
    const struct recording *r = f->frame->rec;
    int err = 0;

    while (err == 0 && f->n_counts < r->n_counts && r->counts[f->n_counts].at <= at)
        err = count_take(f, &r->counts[f->n_counts++]);
    return err;
}

static int procs_gather(struct flight *f)
{
    struct edges edges;
    struct edge e;

    if (edges_open(&edges, f->frame->rec, EDGES_ALL) < 0)
        return -ENOMEM;
    while (edges_next(&edges, &e)) {
        struct proc_sets *p = &f->procs[f->frame->rec->threads[e.thread].proc];

        if (!(e.ival->flags & REC_IVAL_SET) || !measure_is_io(f->frame, e.ival))
            continue;
        if (p->n_open > 0) {
            p->sum += p->n_open * (e.at - p->since);
            p->any += e.at - p->since;
        }
        p->n_open += e.opens ? 1u : -1u;
        p->since = p->last = e.at;
    }
    edges_close(&edges);
    return 0;
}

static void flight_sums(struct flight *f)
{
    struct measures *m = f->m;
    enum rec_kind top = REC_NO_KIND;

    for (int k = 0; k < REC_N_KINDS; k++) {
        m->wait += f->total[k];
        if (f->total[k] > (top ? f->total[top] : 0))
            top = (enum rec_kind)k;
    }
    m->io_kind = top;
    m->fsync = m->wait > 0 ? f->total[REC_FSYNC] / m->wait : 0;
    m->in_flight = f->time > 0 ? m->wait / f->time : 0;
    m->behind = f->ran > 0 ? f->ran_behind / f->ran : 0;
    /* A wait for several ends with the first answer: only the longest are as long as one takes. */
    if (f->squares > 0)
        m->one = m->in_flight < several ? f->squares / f->waits : f->cubes / f->squares;
    m->n_ops = m->one > 0 ? f->waits / m->one * fmax(1, m->wait / f->waits) : 0;
}

/* When the first hundredth of the dominant waits is done; the second pass. */
static int startup_find(const struct measure_frame *f, struct measures *m)
{
    double total = 0, seen = 0;
    struct edges edges;
    struct edge e;

    for (int pass = 0; pass < 2; pass++) {
        if (edges_open(&edges, f->rec, EDGES_ALL) < 0)
            return -ENOMEM;
        while (edges_next(&edges, &e)) {
            double d = measure_s(e.ival->to - e.ival->from) * measure_parts_of(e.ival).wait;
            if (!e.opens || e.ival->flags & REC_IVAL_COPY || e.ival->kind != m->io_kind ||
                !measure_is_io(f, e.ival))
                continue;
            *(pass ? &seen : &total) += d;
            if (pass && seen >= startup_part * total) {
                m->startup = measure_s(e.at);
                break;
            }
        }
        edges_close(&edges);
    }
    return 0;
}

/* From when the last of the dominant waits is done. */
static void ending_find(const struct measure_frame *f, struct measures *m)
{
    int64_t last = 0;

    for (size_t i = 0; i < f->rec->n_threads; i++)
        for (size_t k = 0; k < f->rec->threads[i].n_ivals; k++) {
            const struct rec_ival *iv = &f->rec->threads[i].ivals[k];

            if (iv->kind == m->io_kind && iv->to > last && measure_parts_of(iv).wait > 0 &&
                measure_is_io(f, iv))
                last = iv->to;
        }
    m->ending = measure_s(f->end - last);
}

int measure_flight(const struct measure_frame *frame, struct measures *m)
{
    struct flight f = {.frame = frame, .m = m};
    struct edges edges = {0};
    struct edge e;
    int err = -ENOMEM;

    f.procs = calloc(frame->rec->n_procs + 1, sizeof(*f.procs));
    if (!f.procs)
        goto out;
    err = procs_gather(&f);
    if (err == 0)
        err = edges_open(&edges, frame->rec, EDGES_ALL);
    while (err == 0 && edges_next(&edges, &e)) {
        err = counts_until(&f, e.at);
        if (err == 0)
            err = flight_edge(&f, &e);
    }
    if (err == 0)
        err = counts_until(&f, frame->end);
    if (err < 0)
        goto out;
    flight_advance(&f, frame->end);
    flight_sums(&f);
    if (m->wait >= startup_io_min * measure_s(frame->end) && !frame->rec->attached) {
        err = startup_find(frame, m);
        ending_find(frame, m);
    }
    if (m->startup > startup_max)
        m->startup = 0;
out:
    edges_close(&edges);
    free(f.sets);
    free(f.procs);
    return err;
}

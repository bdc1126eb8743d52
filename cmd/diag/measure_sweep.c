/* SPDX-License-Identifier: MIT
 *
 * measure_sweep.c - at each moment: who runs, and if nobody does, what is to blame
 *
 * HOW         One pass over the edges of all intervals with a count for each state and each rank
 *   of waits.  Between two edges nothing changes, so that piece of time has one cause:
 *
 *     something runs     run
 *     something could    no_core
 *     else               the wait of the lowest rank: the most external one
 *
 *   A folded interval runs for a part of its length, nobody knows which; parts of several are
 *   taken as independent, so that nothing runs with probability (1 - a)(1 - b)...
 *
 *   A peer's blame is read off a potential: each rank's rises by d / n while it is blamed for d
 *   and n of its waits are on.  A wait is charged what its rank's rose while it was on.
 *
 *   Samples of /proc cannot tell "runs" from "could run": what runs beyond the number of cores is
 *   in line for one.
 *
 *   Nothing runs, nothing could, and all there is are waits for other threads: then it is the
 *   clock that ends it, a lock with a time limit.  Handing a lock over takes microseconds; longer
 *   stretches are called sleep.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "diag/edges.h"
#include "diag/measure_impl.h"

/* The order of blame.  In-tree kinds come last: whoever they wait for has a reason of its own. */
enum rank {
    RANK_DISK,
    RANK_FSYNC,
    RANK_FAULT,
    RANK_DNS,
    RANK_DB,
    RANK_NET,
    RANK_OTHER_PROGRAM, /* a Unix socket to a process outside of the tree */
    RANK_ACCEPT,
    RANK_FEED, /* idle, until a peer that is known has something to tell */
    RANK_SLEEP,
    RANK_IPC,
    RANK_PIPE,
    RANK_TTY,
    RANK_UNKNOWN,
    RANK_SIGNAL,
    RANK_IDLE,
    RANK_LOCK,
    RANK_CHILD,
    N_RANKS
};

static const struct {
    uint8_t kind;
    bool io;
} ranks[N_RANKS] = {
    [RANK_DISK] = {REC_DISK, true},
    [RANK_FSYNC] = {REC_FSYNC, true},
    [RANK_FAULT] = {REC_FAULT, true},
    [RANK_DNS] = {REC_DNS, true},
    [RANK_DB] = {REC_DB, true},
    [RANK_NET] = {REC_NET, true},
    [RANK_OTHER_PROGRAM] = {REC_IPC, true},
    [RANK_ACCEPT] = {REC_ACCEPT, false},
    [RANK_FEED] = {REC_IDLE, false},
    [RANK_SLEEP] = {REC_SLEEP, false},
    [RANK_IPC] = {REC_IPC, false},
    [RANK_PIPE] = {REC_PIPE, false},
    [RANK_TTY] = {REC_TTY, false},
    [RANK_UNKNOWN] = {REC_UNKNOWN, false},
    [RANK_SIGNAL] = {REC_SIGNAL, false},
    [RANK_IDLE] = {REC_IDLE, false},
    [RANK_LOCK] = {REC_LOCK, false},
    [RANK_CHILD] = {REC_CHILD, false},
};

static const int64_t handover_max = 4 * HOB_MS;   /* and more than one look, */
static const int64_t handover_seen = 20 * HOB_MS; /* but no longer, however rare they are */

struct sweep {
    const struct measure_frame *frame;
    const struct recording *rec;
    struct measure_span *span;
    struct measures *all; /* NULL: sums only */
    int64_t from, to, now;
    uint32_t n_run, n_ready, n_wait[N_RANKS];
    uint32_t n_folded;           /* that run or are ready for a part of their length */
    double run_part, ready_part; /* of them, sums, */
    double run_none, ready_none; /* and logarithms of the chance that none does */
    double potential[N_RANKS];
    double *started;  /* by thread: its rank's potential when its wait began */
    double *blamed;   /* by peer */
    double lock_time; /* ns blamed on locks since then */
};

static enum rank rank_of(const struct measure_frame *f, const struct rec_ival *iv)
{
    if (iv->kind == REC_IPC)
        return measure_is_io(f, iv) ? RANK_OTHER_PROGRAM : RANK_IPC;
    if (iv->kind == REC_IDLE)
        return iv->peer ? RANK_FEED : RANK_IDLE;
    for (int i = 0; i < N_RANKS; i++)
        if (ranks[i].kind == iv->kind)
            return (enum rank)i;
    return RANK_UNKNOWN;
}

static void lock_stretch_end(struct sweep *s)
{
    double looks = fmin(1.5 * (double)s->rec->tick, (double)handover_seen);
    double limit = fmax(looks, (double)handover_max);

    if (s->lock_time >= limit) {
        s->span->blame[REC_LOCK] -= s->lock_time;
        s->span->blame[REC_SLEEP] += s->lock_time;
    }
    s->lock_time = 0;
}

/* Adds to a curve's buckets what was so from s->now on for d. */
static void curve_add(struct sweep *s, float *curve, int64_t d, double height)
{
    double width = (double)(s->to - s->from) / MEASURE_BUCKETS;
    double a = (double)(s->now - s->from) / width, b = a + (double)d / width;

    for (int i = (int)a; i < MEASURE_BUCKETS && i < b; i++) {
        double low = a > i ? a : i, high = b < i + 1 ? b : i + 1;
        curve[i] += (float)(height * (high - low));
    }
}

static void busy_add(struct measure_span *span, double cores, double d)
{
    double whole = floor(cores), part = cores - whole;
    int k = whole < MEASURE_CORES ? (int)whole : MEASURE_CORES;

    span->busy[k] += d * (1 - part);
    span->busy[k < MEASURE_CORES ? k + 1 : k] += d * part;
}

/* Nothing changed until `at`. */
static void sweep_advance(struct sweep *s, int64_t at)
{
    struct measure_span *span = s->span;
    double d = (double)(at - s->now), idle, run = 1, ready, busy;
    int k = 0;

    if (at <= s->now)
        return;
    if (s->n_run == 0)
        run = s->n_folded ? 1 - exp(s->run_none) : 0;
    ready = 1 - run;
    if (s->n_ready == 0)
        ready *= s->n_folded ? 1 - exp(s->ready_none) : 0;
    idle = 1 - run - ready;
    while (k < N_RANKS && s->n_wait[k] == 0)
        k++;
    if (k != RANK_LOCK || run + ready >= .5)
        lock_stretch_end(s);
    span->run += run * d;
    span->no_core += ready * d;
    if (k == N_RANKS) {
        span->nothing += idle * d;
    } else {
        span->blame[ranks[k].kind] += idle * d;
        span->io += ranks[k].io ? idle * d : 0;
        s->potential[k] += idle * d / s->n_wait[k];
        if (k == RANK_LOCK)
            s->lock_time += idle * d;
    }
    busy = fmin(s->n_run + s->run_part, s->rec->n_cores ? s->rec->n_cores : UINT32_MAX);
    span->cpu += busy * d;
    span->ready += (s->n_run + s->run_part - busy + s->n_ready + s->ready_part) * d;
    busy_add(span, busy, d);
    if (s->all)
        curve_add(s, s->all->curve_cores, at - s->now, busy);
    s->now = at;
}

static void sweep_folded(struct sweep *s, const struct measure_parts *p, bool opens)
{
    const double nearly = 1 - 1e-6; /* log(0) could not be taken away again */
    double sign = opens ? 1 : -1;

    s->n_folded += opens ? 1u : -1u;
    s->run_part += sign * p->run;
    s->ready_part += sign * p->ready;
    s->run_none += sign * log1p(-fmin(p->run, nearly));
    s->ready_none += sign * log1p(-fmin(p->ready / fmax(1 - p->run, 1e-6), nearly));
    if (s->n_folded == 0)
        s->run_part = s->ready_part = s->run_none = s->ready_none = 0;
}

static void sweep_wait(struct sweep *s, const struct edge *e)
{
    enum rank k = rank_of(s->frame, e->ival);

    s->n_wait[k] += e->opens ? 1u : -1u;
    if (!s->all)
        return;
    if (e->opens)
        s->started[e->thread] = s->potential[k];
    else
        s->blamed[e->ival->peer] += s->potential[k] - s->started[e->thread];
}

static void sweep_edge(struct sweep *s, const struct edge *e)
{
    bool task = s->rec->threads[e->thread].is_task; /* runs on some thread's time */
    uint32_t one = e->opens ? 1u : -1u;

    if (e->ival->flags & REC_IVAL_COPY)
        return;
    if (e->ival->flags & REC_IVAL_FOLDED) {
        struct measure_parts p = measure_parts_of(e->ival);
        if (!task)
            sweep_folded(s, &p, e->opens);
        if (p.wait > 0)
            sweep_wait(s, e);
    } else if (e->ival->state == REC_WAIT) {
        sweep_wait(s, e);
    } else if (!task && e->ival->state == REC_RUN) {
        s->n_run += one;
    } else if (!task && e->ival->state == REC_READY) {
        s->n_ready += one;
    }
}

static void peers_rank(const struct sweep *s)
{
    struct measures *m = s->all;

    for (size_t i = 0; i < s->rec->n_peers; i++) {
        struct measure_peer p = {(uint32_t)i, s->rec->peers[i].kind, s->blamed[i] * 1e-9};
        size_t at = m->n_peers;

        while (at > 0 && m->peers[at - 1].blamed < p.blamed)
            at--;
        if (at >= MEASURE_PEERS || p.blamed <= 0 || i == 0)
            continue;
        if (m->n_peers < MEASURE_PEERS)
            m->n_peers++;
        for (size_t k = m->n_peers - 1; k > at; k--)
            m->peers[k] = m->peers[k - 1];
        m->peers[at] = p;
    }
}

/* From ns to seconds and shares. */
static void span_scale(struct measure_span *span, int64_t wall)
{
    double to_share = wall > 0 ? 1 / (double)wall : 0;

    span->wall = measure_s(wall);
    span->cpu *= 1e-9;
    span->ready *= 1e-9;
    span->run *= to_share;
    span->no_core *= to_share;
    span->nothing *= to_share;
    span->io *= to_share;
    for (int i = 0; i < REC_N_KINDS; i++)
        span->blame[i] *= to_share;
    for (int i = 0; i <= MEASURE_CORES; i++)
        span->busy[i] *= to_share;
}

int measure_sweep(const struct measure_frame *f, int64_t from, int64_t to, struct measure_span *ret,
                  struct measures *all)
{
    const struct recording *r = f->rec;
    struct sweep s = {
        .frame = f, .rec = r, .span = ret, .all = all, .from = from, .to = to, .now = from};
    struct edges edges = {0};
    struct edge e;
    int err = -ENOMEM;

    *ret = (struct measure_span){0};
    s.started = calloc(r->n_threads + 1, sizeof(*s.started));
    s.blamed = calloc(r->n_peers + 1, sizeof(*s.blamed));
    if (!s.started || !s.blamed)
        goto out;
    err = edges_open(&edges, r, EDGES_ALL);
    if (err < 0)
        goto out;
    while (edges_next(&edges, &e)) {
        sweep_advance(&s, e.at < to ? e.at : to);
        sweep_edge(&s, &e);
    }
    sweep_advance(&s, to);
    lock_stretch_end(&s);
    if (all)
        peers_rank(&s);
    span_scale(ret, to - from);
out:
    edges_close(&edges);
    free(s.started);
    free(s.blamed);
    return err;
}

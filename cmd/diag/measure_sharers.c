/* SPDX-License-Identifier: MIT
 *
 * measure_sharers.c - do processes take turns under a lock that they share?
 *
 * HOW         A process with one thread that waits for a lock waits for another process: a
 *   semaphore or mutex in shared memory, or a locked file.  What such a process computes, itself or
 *   by the programs it starts while it holds the lock, is its work.  The marks are those of
 *   threads (measure_rivals.c), and one more: while one works the others wait for nothing but the
 *   lock.  The workers of a pool that has nothing to do stand in line too, but for work, and the
 *   first of them waits for whoever brings it.
 *
 * REJECTED    Asking which futex or file they wait for: a wait that is over before anybody looked
 *   has no name, and short turns are those that matter.
 */
#include <errno.h>
#include <stdlib.h>

#include "diag/edges.h"
#include "diag/measure_impl.h"

static const double waits_min = .005; /* s for a lock; less is no waiting */
static const double work_part = .02;  /* of all CPU time; less is a helper */
static const double work_most = .5;   /* that all of them do at least */
static const double elsewhere_max = .25;

struct sharer {
    double lock, work; /* s */
    uint32_t n_threads;
    bool is;
};

struct shared {
    const struct recording *rec;
    struct sharer *procs;
    uint32_t *owner; /* by process: the sharer whose work it does; or n_procs */
    uint32_t n_run, n_off, n_busy, n_lock, n_else;         /* off: would run and has no core */
    double one, more, crowd, active, contended, elsewhere; /* s */
    uint64_t n_turns;
    uint32_t last;
    int64_t now;
};

static void waits_sum(struct shared *s)
{
    const struct recording *r = s->rec;

    for (size_t i = 0; i < r->n_threads; i++) {
        const struct rec_thread *t = &r->threads[i];
        struct sharer *p = &s->procs[t->proc];

        p->n_threads += t->tid > 0;
        for (size_t k = 0; k < t->n_ivals; k++)
            if (t->ivals[k].kind == REC_LOCK)
                p->lock += measure_parts_of(&t->ivals[k]).wait *
                           measure_s(t->ivals[k].to - t->ivals[k].from);
    }
    for (size_t i = 0; i < r->n_procs; i++)
        s->procs[i].is = s->procs[i].n_threads == 1 && s->procs[i].lock >= waits_min;
}

/* Whose work each process does, and how much they do; false: they are not most of it. */
static bool work_sum(struct shared *s, const struct measure_proc *sums, struct measure_rivals *ret)
{
    const struct recording *r = s->rec;
    double total = 0, sum = 0, squares = 0;

    for (size_t i = 0; i < r->n_procs; i++) {
        int64_t up = (int64_t)i;

        while (up >= 0 && !s->procs[up].is)
            up = sums[up].parent;
        s->owner[i] = up >= 0 ? (uint32_t)up : (uint32_t)r->n_procs;
        total += sums[i].cpu;
        if (up >= 0)
            s->procs[up].work += sums[i].cpu;
    }
    for (size_t i = 0; i < r->n_procs; i++) {
        s->procs[i].is = s->procs[i].is && s->procs[i].work >= work_part * total;
        if (!s->procs[i].is)
            continue;
        ret->n++;
        sum += s->procs[i].work;
        squares += s->procs[i].work * s->procs[i].work;
    }
    ret->even = squares > 0 ? sum * sum / squares : 0;
    return ret->n >= 2 && sum >= work_most * total;
}

/* Its own wait: for the lock, for a program it started (it holds the lock), or for anything else.
 */
static void own_wait(struct shared *s, const struct rec_ival *iv, uint32_t one)
{
    if (iv->kind == REC_LOCK)
        s->n_lock += one;
    else if (iv->kind != REC_CHILD)
        s->n_else += one;
}

static void shared_edge(struct shared *s, const struct edge *e)
{
    uint32_t proc = s->rec->threads[e->thread].proc, owner = s->owner[proc];
    uint32_t one = e->opens ? 1u : -1u;
    double d = measure_s(e->at - s->now);

    if (owner == s->rec->n_procs || !s->procs[owner].is || e->ival->flags & REC_IVAL_FOLDED)
        return;
    if (s->n_run > 0)
        *(s->n_run + s->n_off > 1 ? &s->more : &s->one) += d;
    if (s->n_busy > 0) {
        s->active += d;
        s->crowd += s->n_busy > 1 ? d : 0;
        s->contended += s->n_lock * d;
        s->elsewhere += s->n_else * d;
    }
    s->now = e->at;
    if (e->ival->state == REC_WAIT) {
        if (owner == proc)
            own_wait(s, e->ival, one);
        return;
    }
    s->n_busy += one;
    if (e->ival->state != REC_RUN) {
        s->n_off += measure_would_run(s->rec, e->thread, e->ival) ? one : 0;
        return;
    }
    s->n_run += one;
    if (e->opens && s->last != owner) {
        s->last = owner;
        s->n_turns++;
    }
}

static int shared_sweep(struct shared *s, struct measure_rivals *ret)
{
    struct edges edges;
    struct edge e;
    int err = edges_open(&edges, s->rec, EDGES_ALL);

    if (err < 0)
        return err;
    while (edges_next(&edges, &e))
        shared_edge(s, &e);
    edges_close(&edges);
    ret->overlap = s->one + s->more > 0 ? s->more / (s->one + s->more) : 0;
    ret->contended = s->active > 0 ? s->contended / s->active : 0;
    if (s->active > 0)
        ret->overlap = measure_overlap(s->rec, ret->overlap, s->crowd / s->active);
    ret->turn = s->n_turns > 0 ? (s->one + s->more) / (double)s->n_turns : 0;
    if (s->active <= 0 || s->elsewhere > elsewhere_max * s->active)
        ret->n = 0;
    return 0;
}

int measure_sharers(const struct measure_frame *f, const struct measure_proc *sums,
                    struct measure_rivals *ret)
{
    struct shared s = {.rec = f->rec, .last = UINT32_MAX};
    struct measure_rivals rivals = {.processes = true};
    int err = -ENOMEM;

    s.procs = calloc(f->rec->n_procs + 1, sizeof(*s.procs));
    s.owner = calloc(f->rec->n_procs + 1, sizeof(*s.owner));
    if (!s.procs || !s.owner)
        goto out;
    err = 0;
    waits_sum(&s);
    if (work_sum(&s, sums, &rivals))
        err = shared_sweep(&s, &rivals);
    else
        rivals.n = 0;
    if (err == 0 && rivals.n >= 2)
        *ret = rivals;
out:
    free(s.procs);
    free(s.owner);
    return err;
}

/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_MEASURE_IMPL_H
#define HOB_DIAG_MEASURE_IMPL_H

#include <hob/trace.h>

#include "diag/measure.h"

/* What all parts look at. */
struct measure_frame {
    const struct recording *rec;
    bool *outside; /* by peer: a local process that is no part of the tree */
    bool *handed;  /* by process: its threads hand a set to each other */
    int64_t end;   /* of the last interval */
};

/*
 * The parts of measure_take; each fills its fields and returns 0 or -ENOMEM.
 */

/** measure_flight - operations in flight, and how long the start-up was */
int measure_flight(const struct measure_frame *f, struct measures *m);

/** measure_sweep - who is to blame between two times; `all` gets peers and curves unless NULL */
int measure_sweep(const struct measure_frame *f, int64_t from, int64_t to, struct measure_span *ret,
                  struct measures *all);

/** measure_threads - threads and processes one by one */
int measure_threads(const struct measure_frame *f, struct measures *m);

/** measure_rivals - whether the threads of the busiest process take turns */
int measure_rivals(const struct measure_frame *f, uint32_t proc, const double *cpu_of_thread,
                   struct measure_rivals *ret);

/* A process: its own time on CPU and in waits for I/O, and the index of its parent. */
struct measure_proc {
    double cpu, io; /* s */
    int64_t parent; /* -1: none in the tree */
};

/** measure_holders - whether threads wait for answers under a lock */
int measure_holders(const struct measure_frame *f, struct measure_holders *ret);

/** measure_sharers - whether processes take turns: then they replace *ret, else it stays */
int measure_sharers(const struct measure_frame *f, const struct measure_proc *sums,
                    struct measure_rivals *ret);

/**
 * measure_would_run - of an interval without a core: was it preempted while it computed, to go on?
 *
 * One that had just let go of a lock, when it woke who waits for it, has a core again only to wait.
 * Of samples it is never known: their order is made up.
 */
bool measure_would_run(const struct recording *r, uint32_t thread, const struct rec_ival *iv);

/**
 * measure_overlap - of turns in samples: where two run or could nearly all the time, neither waits
 * for the other, and what kept them apart was a core
 * @overlap: part of the time with one on CPU that two are
 * @crowd:   part of the time with one that runs or could with two such
 */
static inline double measure_overlap(const struct recording *r, double overlap, double crowd)
{
    const double nearly = .75;

    return r->tier == REC_T2 && crowd > nearly && crowd > overlap ? crowd : overlap;
}

/** measure_told - whether an option says how many processes sleep at once */
uint32_t measure_told(const struct recording *r);

/** measure_looks - how long loops computed while events waited */
int measure_looks(const struct measure_frame *f, struct measures *m);

/** measure_handed - finds whose threads hand a set to each other: fills f->handed */
int measure_handed(struct measure_frame *f);

/** measure_events_waited - s, when events first waited for a loop that computed; or INFINITY */
int measure_events_waited(const struct measure_frame *f, double *ret);

/** measure_is_io - a wait whose cause lies outside of the tree, and of which more at once help */
static inline bool measure_is_io(const struct measure_frame *f, const struct rec_ival *iv)
{
    return iv->kind == REC_IPC ? f->outside[iv->peer] : rec_kind_class(iv->kind) == HOB_CLASS_IO;
}

/* The part of an interval that is on CPU, without a core, waiting. */
struct measure_parts {
    double run, ready, wait;
};

static inline struct measure_parts measure_parts_of(const struct rec_ival *iv)
{
    if (iv->flags & REC_IVAL_FOLDED) {
        double run = iv->run_ppm * 1e-6, ready = iv->ready_ppm * 1e-6;
        return (struct measure_parts){run, ready, run + ready < 1 ? 1 - run - ready : 0};
    }
    return (struct measure_parts){iv->state == REC_RUN, iv->state == REC_READY,
                                  iv->state == REC_WAIT};
}

static inline double measure_s(int64_t ns)
{
    return (double)ns * 1e-9;
}

#endif

/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_MEASURE_H
#define HOB_DIAG_MEASURE_H

#include <stdbool.h>
#include <stdint.h>

#include "diag/lang.h"
#include "diag/rec.h"

/*
 * What a recording says in numbers
 * ================================
 *
 * Seconds and shares, from which rule.h reads a verdict and predict.h a gain.  Blame goes by
 * delegation: a wait counts only while nothing in the tree is on CPU or could be, and then the
 * most external of the waits is the cause.  So a thread that joins others, a pool that idles and
 * a shell that waits for its child blame nobody.
 */

enum {
    MEASURE_BUCKETS = 120, /* of the curves */
    MEASURE_CORES = 64,    /* more cores than that busy at once count as that many */
    MEASURE_PEERS = 6
};

/* Over a stretch of the recording.  run, no_core, blame[] and nothing add up to 1. */
struct measure_span {
    double wall;                    /* s */
    double cpu;                     /* s on CPU, of all threads */
    double ready;                   /* s that threads could have run and had no core */
    double run;                     /* share of wall: something ran */
    double no_core;                 /* ... nothing ran and something could have */
    double blame[REC_N_KINDS];      /* ... neither, and this was the cause */
    double nothing;                 /* ... no thread is known */
    double io;                      /* the blame of network and disk, and of other local programs */
    double busy[MEASURE_CORES + 1]; /* share of wall with 0, 1, 2, ... cores busy */
};

struct measure_peer {
    uint32_t peer; /* index into the recording's peers */
    enum rec_kind kind;
    double blamed; /* s */
};

/* Threads of the busiest process, or processes, that take turns instead of running at once. */
struct measure_rivals {
    uint32_t n;       /* those with a real part of the CPU time */
    bool processes;   /* that is what they are */
    double even;      /* 1: one does all of it; n: all do the same */
    double overlap;   /* of the time that any of them runs: two or more do */
    double contended; /* threads of them that wait for a lock while another runs or could */
    double turn;      /* s from one's turn to the next one's */
};

/* Threads of a process that wait for answers one after the other instead of at once. */
struct measure_holders {
    uint32_t n;       /* those with a real part of the waiting */
    double even;      /* 1: one does all of it; n: all do the same */
    double overlap;   /* of the time that any of them waits: two or more do */
    double contended; /* threads of them that wait for a lock meanwhile */
    double brought;   /* of the turns: another thread of the process ran before it */
};

struct measures {
    const struct recording *rec;
    struct measure_span all;  /* the whole recording */
    struct measure_span main; /* without the start-up */
    double startup;           /* s; interpreters and imports are neither kind of work */
    double startup_cpu;       /* s */
    double ending;            /* s; after the last wait of the dominant kind: a serial end */
    double ending_cpu;        /* s */
    double ending_idle;       /* s of it in which something else was waited for */
    double user;              /* share of the CPU time that is not the kernel's */
    double taken;             /* share of what looks like CPU time that nobody was charged for: a
                               * hypervisor or an interrupt had the core */
    double cores;             /* busy, mean while something runs */
    double demand;            /* threads that run or could, mean while there is any */
    double ready_known; /* s that threads could have run, of those that lived for long enough */
    double press;       /* cores and threads in line, mean over the wall time */

    /* operations sent and not answered */
    double in_flight; /* mean while at least one is */
    double in_flight_max;
    double behind;         /* share of the time in which it computes, with an operation in flight */
    double wait;           /* operation-seconds: Little's L times the time */
    double one;            /* s that one operation takes: long ones weigh more */
    double n_ops;          /* how many there were, about */
    double n_waits;        /* waits for I/O: each ends in a wake-up */
    enum rec_kind io_kind; /* of most of them; REC_NO_KIND: there were none */
    double fsync;          /* share of them that waits for a file to be safe */

    struct measure_rivals rivals;
    struct measure_holders holders;
    double loop_blocked; /* s: a loop computed while events waited for it */
    double loop_stretch; /* s: the longest time without a look at them */
    double loop_line;    /* s: the longest time in which some waited, behind such turns */
    double loop_slept;   /* s: a loop slept or blocked in one call, with operations in flight */
    bool loop_outside;   /* ... and some of the events were of other programs */
    bool loop_looked;    /* such looks were made; without them both are guesses */
    bool has_loop;       /* some thread waits for a set of descriptors */

    uint32_t n_procs, n_threads;
    uint32_t io_procs, io_threads; /* that do a real part of the waiting for I/O */
    bool forked;                   /* those processes are copies of one program, made by it */
    bool server;                   /* a process listens, and waits for clients */
    uint32_t told;  /* processes that sleep, end, and follow one another, so many at once as an
                     * option of the command line says; 0: they are not, or it does not */
    uint32_t worst; /* index of the process that burns or waits most */
    enum language language; /* its language */
    bool script;            /* a shell started it, among others */
    bool installed;         /* its program's file is where packages put theirs */
    double foreign;         /* cores that other programs kept busy, mean */

    struct measure_peer peers[MEASURE_PEERS]; /* by blame, largest first */
    size_t n_peers;
    float curve_cores[MEASURE_BUCKETS]; /* busy, mean over a bucket of all.wall */
    float curve_flight[MEASURE_BUCKETS];
};

/**
 * measure_take - all of it
 *
 * The recording must stay as it is while the measures are used.
 *
 * Return: 0 or -ENOMEM.
 */
HOB_MUST_CHECK int measure_take(const struct recording *r, struct measures *ret);

#endif

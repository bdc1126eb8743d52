/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_THREADS_H
#define HOB_DIAG_THREADS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "diag/look.h"
#include "diag/rec.h"

/*
 * The threads that live now, by tid, and their processes, by pid
 */

struct proc {
    struct proc *next;
    int32_t pid;
    uint32_t row; /* in the recording's procs */
    size_t n_threads;
    struct guesses *guesses; /* of its threads that have ended; freed with it */
};

struct thread {
    struct thread *next;
    struct proc *proc;
    int32_t tid;
    uint32_t row;  /* in the recording's threads */
    uint8_t state; /* enum rec_state, or REC_N_STATES: not known */
    bool looked, pending;
    uint16_t core;
    int64_t since;
    int64_t awake_at; /* of a wait: a look found it over; 0: none did */
    int64_t looked_at;
    int64_t ran_since, loop_at; /* its last wait's end; the next time to ask about its loop */
    int64_t stand_at;           /* the same while it waits */
    bool listed;                /* among those that may stand */
    bool keeps;                 /* others waiting, when it was asked last */
    int64_t delay_before, delay_known; /* without a core: before the recording, and recorded */
    bool delay_based;
    bool forked;      /* its birth was heard of: what the kernel counts began with it */
    int64_t delay_at; /* when the kernel was asked last */
    struct look look;
    struct guesses *guesses; /* freed with it */
    /* since the last switches_resume */
    int64_t sum[REC_N_STATES];
    struct look main_wait; /* the longest */
    int64_t main_wait_lasted;
    struct guesses *kinds; /* of its waits, by how long they were; freed with it */
    bool changed;
    bool counted; /* in a gap: the next two are as it began */
    /* at the last look of a rest */
    uint64_t rest_run, rest_delay, rest_turns; /* as the kernel counts them */
    uint32_t rest_run_ppm, rest_ready_ppm;     /* of the time before it */
    bool rest_idle;                            /* it was not on a core in that time */
};

struct threads {
    struct thread **thread;
    struct proc **proc;
    size_t n, n_buckets; /* threads; one number of buckets for both */
};

int threads_init(struct threads *ts);

/** threads_fini - with all that are still in it. */
void threads_fini(struct threads *ts);

struct thread *threads_find(const struct threads *ts, int32_t tid);
struct proc *threads_proc(const struct threads *ts, int32_t pid);

/** threads_add - one that is not there; its process too, if need be.  NULL: no memory. */
struct thread *threads_add(struct threads *ts, int32_t pid, int32_t tid, int64_t at);

/** threads_remove - and its process with its last thread. */
void threads_remove(struct threads *ts, struct thread *t);

/** threads_each - f may remove the thread it is called for, and no other. */
void threads_each(struct threads *ts, void (*f)(void *arg, struct thread *t, int64_t at), void *arg,
                  int64_t at);

#endif

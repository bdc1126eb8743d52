/* SPDX-License-Identifier: MIT
 *
 * switches_impl.h - what the files of switches share
 */
#ifndef HOB_DIAG_SWITCHES_IMPL_H
#define HOB_DIAG_SWITCHES_IMPL_H

#include "diag/guess.h"
#include "diag/procfs.h"
#include "diag/switches.h"
#include "diag/threads.h"
#include "diag/wakers.h"

enum { NO_STATE = REC_N_STATES, LEFT_MOST = 256 };

struct pids {
    int32_t *pid;
    size_t n, cap;
};

/* A process without events: see switches_unseen.c. */
struct unseen {
    int32_t pid;
    uint32_t row; /* of its thread */
    int64_t since;
    uint64_t run, delay; /* as the kernel counted them then */
};

struct switches {
    struct recording *rec;
    struct looker *looker;
    struct threads threads;
    struct pids pending; /* tids of waits not looked at yet */
    struct pids sets;    /* tids that wait for a poll set */
    struct pids stands;  /* tids that wait in a way that would keep a loop from its events */
    struct pids woken;   /* tids that may have been without a core after their wait */
    struct pids unnamed; /* pids */
    int32_t *on_core;    /* the tid last seen there */
    size_t n_cores;
    int64_t tick;
    struct guesses all;
    struct unseen left[LEFT_MOST]; /* processes that have ended since the last look, as it seems */
    struct unseen *unseen;
    size_t n_left, n_unseen;
    int64_t unseen_at;
    bool quiet;
    int64_t soon; /* the next question about a loop that keeps others waiting */
    bool has_wakes;
    struct wakers wakers;
    bool gaps; /* there was a pause: what the kernel counts covers more than what was recorded */
    int64_t rest_at; /* when the kernel's counts were read last */
    size_t rest_kin; /* and how many threads and children there were then */
};

void pids_add(struct switches *s, struct pids *a, int32_t pid);

/** switches_put - the next interval of a thread. */
void switches_put(struct switches *s, struct thread *t, const struct rec_ival *iv);

/** switches_close - the state a thread was in until `at` becomes an interval. */
void switches_close(struct switches *s, struct thread *t, int64_t at);

/** switches_gone - the thread has ended, at < 0: the recording has. */
void switches_gone(struct switches *s, struct thread *t, int64_t at);

/** switches_wait_begins - what it is for is not known yet. */
void switches_wait_begins(struct switches *s, struct thread *t);

/** switches_turn_begins - what it does from now on is what the next gap is filled with. */
void switches_turn_begins(struct thread *t);

/** switches_counts - what the kernel counts of a thread; -ESRCH and the like: it is gone */
int switches_counts(const struct thread *t, struct procfs_sched *ret);

/** switches_woke - a thread that has a core again after a wait (at the time `at`). */
void switches_woke(struct switches *s, struct thread *t, int64_t at);

/** switches_renamed - has it another name now, and perhaps another program? */
void switches_renamed(struct switches *s, struct thread *t);

/** switches_name_look - what the processes are called that have none yet, or run another program */
void switches_name_look(struct switches *s);

/** switches_left - the last thread of a process is said to have ended: has the process? */
void switches_left(struct switches *s, int32_t pid, uint32_t row, int64_t at);
void switches_unseen_look(struct switches *s, int64_t now);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_TRACK_H
#define HOB_DIAG_TRACK_H

#include "diag/look.h"
#include "diag/procfs.h"
#include "diag/rec.h"

/*
 * From samples of a thread to its intervals
 * =========================================
 *
 * A sample says what the scheduler has counted for the thread, and whether it waits or runs.  The
 * counters of a thread that waits are exact, so time on CPU and without a core is exact from one
 * wait to the next; only where in between it lies is estimated.  Of a thread that runs they are up
 * to a scheduler tick old (4 ms at 250 Hz), so its state is trusted and the difference carried on.
 */
struct track {
    uint32_t row;            /* in the recording's threads */
    int64_t from;            /* what follows has not been added yet */
    int64_t sure;            /* of the last sample in the wait that `from` begins */
    int64_t at;              /* of the last sample */
    int64_t ran_from;        /* first and last sample in which it ran, of what follows; */
    int64_t ran_to;          /* -1: none */
    int64_t run_over;        /* ns on CPU added beyond what the counter said, */
    int64_t ready_over;      /* and without a core; negative: still to be added */
    int64_t added;           /* all ns on CPU added */
    struct procfs_sched was; /* the counters at `from`, */
    struct procfs_sched is;  /* and in the last sample */
    struct look look;        /* what it waited for there */
    int64_t looked_at;
    bool waits; /* it did */
};

/** track_begin - seen for the first time; waits: look says what for, NULL: it runs. */
void track_begin(struct track *t, uint32_t row, int64_t now, const struct procfs_sched *c,
                 const struct look *look);

/** track_same - is it still in the wait it was in? */
bool track_same(const struct track *t, const struct procfs_sched *c);

/** track_still - a sample in the same wait. */
void track_still(struct track *t, int64_t now);

/** track_waits - a sample in which it waits, for something else than before. */
void track_waits(struct track *t, struct recording *rec, int64_t now, const struct procfs_sched *c,
                 const struct look *look);

/** track_relook - the same wait, looked at again: in_flight may have changed. */
void track_relook(struct track *t, struct recording *rec, int64_t now, const struct look *look);

/** track_runs - a sample in which it is on CPU or runnable. */
void track_runs(struct track *t, int64_t now, const struct procfs_sched *c);

/**
 * track_flush - add what a running thread has done
 * @core:  where it was last; REC_NO_CORE
 * @phase: part of the time at which its turn begins, 0 to 1; moved on, so that threads which share
 *         a core do not seem to run at once
 */
void track_flush(struct track *t, struct recording *rec, int64_t now, const struct procfs_sched *c,
                 uint16_t core, double *phase);

/** track_end - it has ended between the last sample and now (gone), or the recording does. */
void track_end(struct track *t, struct recording *rec, int64_t now, bool gone);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_SOURCE_H
#define HOB_DIAG_SOURCE_H

#include "diag/rec.h"

/*
 * Where a recording comes from
 * ============================
 *
 * A source watches a process tree from outside and fills a recording.  run.c owns the process, the
 * clock and the loop; it calls, always from one thread:
 *
 *     start   before the command's exec (it is stopped until start has returned), or on a program
 *             that runs already (attached)
 *     tick    first when the command has exec'd, then when the time that the last call asked for
 *             has passed, or when fd is readable
 *     open    between ticks: what goes on and is no interval yet
 *     stop    once, after everything: one more look, the open intervals closed at `now`, the state
 *             freed
 *
 * Times handed in are those of the recording: ns since it began, base being CLOCK_MONOTONIC then.
 */

/* Outlives the source, which reads base when it needs it: time 0 is set anew when everything is
 * ready and the command is let go. */
struct rec_begin {
    struct recording *rec;
    int64_t base;  /* hob_now() at the recording's time 0 */
    int32_t root;  /* pid of the command */
    bool attached; /* it runs already, and so may its children and threads */
    int64_t aside; /* CPU time of this process that is no part of the source's: it has a budget */
};

/* A thread of the recording and what it has been doing until now. */
typedef void rec_open_fn(void *arg, uint32_t thread, const struct rec_ival *iv);

struct rec_source {
    enum rec_tier tier;
    /* 0, or a negative errno with *why (static text) saying what the system refused; -EACCES,
     * -EPERM, -ENOSYS, -ENOENT: another source may do. */
    int (*start)(const struct rec_begin *begin, void **ret, const char **why);
    /* Returns ns until the next call. */
    int64_t (*tick)(void *state, int64_t now);
    /* A descriptor that is readable when a tick is due early; -1, or no function: none. */
    int (*fd)(void *state);
    void (*open)(void *state, int64_t now, rec_open_fn *f, void *arg);
    void (*stop)(void *state, int64_t now);
};

extern const struct rec_source rec_source_perf;   /* perf.c: T1 */
extern const struct rec_source rec_source_sample; /* sample.c: T2 */

#endif

/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_PREDICT_H
#define HOB_DIAG_PREDICT_H

#include <stdbool.h>

#include "diag/rule.h"

/*
 * How much faster it would be
 * ===========================
 *
 * Concurrency (more operations at once) and parallelism (more cores) are predicted apart, each as
 * an interval.  All figures are of the program's wall time; a speed-up of 2 is half the time.
 */

struct predict_gain {
    double low, value, high; /* speed-up; 1: none */
    double seconds;          /* the time at `value` */
    double in_flight;        /* with so many operations at once */
    uint32_t cores;          /* and so many cores */
};

enum { PREDICT_STEPS = 8 };

struct prediction {
    const char *refused;        /* why there is none; NULL: there is one */
    struct predict_gain advice; /* what following the advice would give */
    struct predict_gain concurrency, parallelism;
    double knee; /* more in flight than that gain nothing; 0: nothing waits */
    struct predict_gain more[PREDICT_STEPS]; /* in flight: 4, 8, 16, ... */
    size_t n_more;
    struct predict_gain cores[PREDICT_STEPS]; /* cores: 1, 2, 4, ... */
    size_t n_cores;
    /* A local process at the other end computed for so long that, on one core, it is the limit. */
    uint32_t limit;       /* index into the recording's peers; 0: none */
    double limit_seconds; /* its CPU time */
};

/** predict - from measures and the verdict on them */
void predict(const struct measures *m, const struct ruling *ruling, struct prediction *ret);

/**
 * predict_doubt - why not even the verdict is sure: a run of milliseconds, or one that hardly had a
 * core, records that were lost
 *
 * Return: words that go on "... to be sure", or NULL.
 */
const char *predict_doubt(const struct measures *m);

/** predict_at - the speed-up with n operations in flight on p cores; 0 of either: as it is now */
struct predict_gain predict_at(const struct measures *m, const struct ruling *ruling, double n,
                               uint32_t p);

#endif

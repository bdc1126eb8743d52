/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_REPORT_H
#define HOB_DIAG_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "diag/advice.h"

/*
 * The verdict for people: what it is, what to do, what that gains, and why
 * ========================================================================
 */

struct verify;

/* One program, diagnosed. */
struct diagnosis {
    const struct recording *rec;
    struct measures measures;
    struct ruling ruling;
    struct prediction prediction;
    struct advice advice;
    const struct verify *verified; /* run again under other settings; NULL: it was not */
};

/** diagnose - all of it; the recording must stay while the result is used.  0 or -ENOMEM */
HOB_MUST_CHECK int diagnose(const struct recording *rec, struct diagnosis *ret);

struct report_how {
    uint32_t width; /* columns; 0: 80 */
    bool colours;
    bool ascii;
    bool explain; /* the rule step by step */
    /* Draws the timeline between the shares and the what-if table; NULL: none. */
    void (*lanes)(FILE *to, void *arg);
    void *arg;
};

/** report - the whole page; a failed write is seen by ferror(to) */
void report(const struct diagnosis *d, const struct report_how *how, FILE *to);

/** report_line - the verdict in one line, as `--compare` and logs want it */
void report_line(const struct diagnosis *d, const struct report_how *how, FILE *to);

/** report_tier - "T1: exact switches" */
const char *report_tier(enum rec_tier tier);

#endif

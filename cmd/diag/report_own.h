/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_REPORT_OWN_H
#define HOB_DIAG_REPORT_OWN_H

#include "diag/report.h"
#include "lib/buf.h"
#include "lib/out.h"

/*
 * What is said differently of a program that uses hob, from its own trace.  Each returns false, and
 * writes nothing, where it has nothing of its own to say.
 */

/** report_own_model - "fibers on 1 loop, 39.6 in flight" */
bool report_own_model(struct buf *b, const struct measures *m);

/** report_own_mismatch - with the names of who does it */
bool report_own_mismatch(struct buf *b, const struct measures *m, const struct ruling *r);

/** report_own_json - "own": the figures, or null */
void report_own_json(struct buf *b, const struct rec_own *o);

#endif

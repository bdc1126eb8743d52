/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_FROM_TRACE_H
#define HOB_DIAG_FROM_TRACE_H

#include <hob/trace.h>

#include "diag/rec.h"

/**
 * rec_from_trace - what a program that uses hob recorded of itself, as a recording (REC_T0)
 * @ret: made by rec_init or rec_load before; filled
 *
 * Loops, pool threads and the others are threads.  Tasks are rows: of a stage (or of a name) as
 * many as were alive at once, and a task that ends gives its row to the next.
 *
 * Return: 0 or -ENOMEM.
 */
int rec_from_trace(const hob_trace *trace, struct recording *ret);

/**
 * rec_join_trace - put it together with what was seen of the same process from outside
 * @rec:  of the run; becomes REC_T0
 * @base: when that recording began, on hob_now()'s clock
 *
 * When a thread had a core, and what it waited for within a task's turn, is from outside; what
 * tasks waited for, and when a thread of hob's had nothing to do, is from the trace.  rec->own
 * gets what neither shows by itself.
 *
 * Return: 0, -ENOMEM, -ENOENT (the trace is of another process, or of another time or clock).
 */
int rec_join_trace(const hob_trace *trace, struct recording *rec, int64_t base);

/** rec_load_any - rec_load, or a file of hob_trace_start; -EBADMSG when it is neither */
int rec_load_any(const char *path, struct recording *ret);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_DRAW_TRACE_H
#define HOB_DIAG_DRAW_TRACE_H

#include <stdio.h>

#include "diag/rec.h"

/*
 * A recording for the viewers of others: every interval, not a picture
 * =====================================================================
 *
 * Tracks for cores, threads and tasks, counters for what is in flight, in all and by peer.  Both
 * write as they go; memory does not depend on the recording's length.
 */

/** draw_perfetto - protobuf, as ui.perfetto.dev reads it; -ENOMEM, or why out failed */
int draw_perfetto(const struct recording *rec, FILE *out);

/** draw_chrome - JSON trace events, as chrome://tracing and Perfetto read them; likewise */
int draw_chrome(const struct recording *rec, FILE *out);

#endif

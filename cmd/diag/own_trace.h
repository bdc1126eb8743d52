/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_OWN_TRACE_H
#define HOB_DIAG_OWN_TRACE_H

#include "diag/rec.h"

/*
 * The traces that programs write of themselves while they are recorded
 * ====================================================================
 *
 * Any program that uses hob records what its tasks do when HOB_TRACE says where.  A command is
 * given a folder of its own for that, one file a process, unless its user set HOB_TRACE: then
 * those files are read and left.  A program that does not use hob notices nothing.
 */
struct own_trace {
    char *folder; /* ours, with all that is in it; NULL: none */
    char *env;    /* HOB_TRACE of the command; NULL: leave it */
    char *theirs; /* what the user set; NULL: nothing */
};

/** own_trace_open - for a command that is about to start; without a folder there is none */
void own_trace_open(struct own_trace *o);

/** own_trace_of - for a process that runs: what its environment says */
void own_trace_of(struct own_trace *o, pid_t pid, struct recording *rec);

/**
 * own_trace_join - all traces of the recording's processes into it
 * @base: when it began, on hob_now()'s clock
 *
 * A trace that cannot be read is told in the notes, and is no reason to fail.
 */
void own_trace_join(const struct own_trace *o, struct recording *rec, int64_t base);

/** own_trace_close - removes the folder; {0} and a second call are no-ops. */
void own_trace_close(struct own_trace *o);

#endif

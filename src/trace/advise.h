/* SPDX-License-Identifier: MIT
 *
 * advise.h - what the environment asks to be told: HOB_TRACE=FILE, HOB_ADVISE=1, HOB_TOP=1
 */
#ifndef HOB_TRACE_ADVISE_H
#define HOB_TRACE_ADVISE_H

#include <stdio.h>

#include "trace/account.h"

enum advise_kind { ADVISE_FIBER, ADVISE_JOB, ADVISE_STAGE, ADVISE_OTHERS };

/* Reads the environment, once a process; before the first loop or the first thread of the pool. */
void hob__trace_env(void);

/* Where the times of the tasks of that name are summed; NULL: nobody asked.  The name is copied,
 * NULL is "(no name)". */
struct trace_stage *hob__advise_stage(const char *name, enum advise_kind kind);

/* Where the tasks of that name are counted; NULL: nobody looks. */
struct trace_live *hob__live_of(const char *name, enum advise_kind kind);

/* Calls told() for each name there is. */
typedef void advise_told(void *arg, enum advise_kind kind, const struct trace_stage *sums,
                         const struct trace_live *live);
void hob__advise_each(advise_told *told, void *arg);

/* Whether it is one of hob__advise_stage's. */
bool hob__advise_owns(const struct trace_stage *s);

/* A flow's stage ends: its sums are told too. */
void hob__advise_merge(const struct trace_stage *s);

/* What would be printed now, into `out`. */
void hob__advise_print(FILE *out);

#endif

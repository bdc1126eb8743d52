/* SPDX-License-Identifier: MIT
 *
 * search.h - HOB_SIM: one simulated run by its seed, one by its schedule, or a search over many
 */
#ifndef HOB_SCHED_SEARCH_H
#define HOB_SCHED_SEARCH_H

#include "sched/schedule.h"

struct rt_config;

/* What a simulation does beside following its seed. */
struct sim_steer {
    const struct schedule *replay; /* the picks; NULL: the seed's */
    uint32_t at;                   /* the next of them, over all runs of the process */
    bool strict;                   /* say where the schedule does not fit */
    bool record;                   /* tell hob__search_chose */
    bool used;                     /* a simulation has run in this process */
    unsigned faults;               /* so many of a thousand calls fail */
};

extern struct sim_steer hob__sim_steer;

enum failed {
    FAILED_NOT,
    FAILED_ALWAYS,   /* hob_always(false, name) */
    FAILED_DEADLOCK, /* nothing could run any more */
    FAILED_ENDLESS,  /* more choices than a run may make */
    FAILED_SIGNAL,   /* ended by one: an abort, a crash */
    FAILED_RESULT,   /* hob_run did not return 0 */
    FAILED_EXIT,     /* the program's exit status was not 0 */
};

/* sim_env.c.  Understands HOB_SIM: 0 and config->sim, ->seed, ->search, and with a schedule
 * ->n_loops set; or -EINVAL, or why the schedule's file cannot be read. */
int hob__search_env(struct rt_config *config);

/*
 * With config->search: makes a process for each seed, in which this returns 0 with the
 * configuration of that one run.  In the calling process it ends the program, or returns a
 * negative errno when there is no memory or process for a search.
 */
int hob__search(struct rt_config *config);

/* The run's own process: a choice was made; hob_run returns; the run has failed. */
void hob__search_chose(enum choice what, uint32_t k);
void hob__search_ran(int rc);
void hob__search_note(enum failed how, const char *name);

/* hob_sometimes(cond, name) in a search; nothing outside one. */
void hob__search_sometimes(bool cond, const char *name);

#endif

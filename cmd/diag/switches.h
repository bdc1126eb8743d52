/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_SWITCHES_H
#define HOB_DIAG_SWITCHES_H

#include "diag/look.h"
#include "diag/rec.h"
#include "diag/records.h"
#include "diag/source.h"

/*
 * From switch records to intervals
 * ================================
 *
 * Keeps the state of each living thread and puts an interval into the recording whenever one ends.
 * Times are the recording's.  In each tick: all records in order of time, then one switches_look.
 */
struct switches;

int switches_new(struct recording *rec, struct looker *looker, struct switches **ret);
void switches_free(struct switches *s);

/** switches_apply - one record, at its time; records of one thread come in order. */
void switches_apply(struct switches *s, const struct switch_event *e, int64_t at);

/** switches_wakes - wakes will come too (T1+); switches_wakes_heard: so many have. */
void switches_wakes(struct switches *s);
uint64_t switches_wakes_heard(const struct switches *s);

/** switches_found - a thread that began while nobody listened; one that it knows may have a new
 * name. */
void switches_found(struct switches *s, int32_t pid, int32_t tid, int64_t at);

/**
 * switches_look - look at the waits that are still open, and at loops that do not wait
 * @tick:  ns since the last one
 * @spare: the recorder has computed less than it may: more may be looked at
 */
void switches_look(struct switches *s, int64_t now, int64_t tick, bool spare);

/**
 * switches_pause, switches_resume - between them there are no records
 *
 * The gap is filled with what each thread did between the last resume and the pause.
 */
void switches_pause(struct switches *s, int64_t now);
void switches_resume(struct switches *s, int64_t now);

/**
 * switches_rest - after switches_pause: this gap will be a long one, filled with the kernel's
 * counts
 *
 * Return: false: the kernel does not count for us; it is a gap like any other.
 */
bool switches_rest(struct switches *s, int64_t now);

/** switches_rest_look - fill it up to now; costs some microseconds a thread. */
struct switches_rested {
    int64_t lasted; /* since the last look, */
    uint64_t turns; /* how often a thread was put on a core in this time */
    bool more;      /* there are threads or processes that were not there before */
};
void switches_rest_look(struct switches *s, int64_t now, struct switches_rested *ret);

/** switches_rest_sample - what do its threads wait for?  It stands for the last `lasted` ns; costs
 * some microseconds a thread that is not still in the wait it was in. */
void switches_rest_sample(struct switches *s, int64_t now, int64_t lasted);

/** switches_rest_end - and there are records again; or, the last time, the recording ends. */
void switches_rest_end(struct switches *s, int64_t now, bool last);

/** switches_open - calls f for each thread whose state is known; waits not looked at are left out
 */
void switches_open(struct switches *s, int64_t now, rec_open_fn *f, void *arg);

/** switches_finish - the open intervals end; waits nobody looked at get a kind. */
void switches_finish(struct switches *s, int64_t now);

/** switches_know - is this one of its living threads? */
bool switches_know(const struct switches *s, int32_t tid);

/** switches_pids - f is called for the process of each living thread, some more than once. */
void switches_pids(struct switches *s, void (*f)(void *arg, int32_t pid), void *arg);

/** switches_soon - when a loop that keeps others waiting is to be asked again; INT64_MAX: none. */
int64_t switches_soon(const struct switches *s);

/** switches_live - threads that live now; switches_quiet: none has done anything since the last
 * look but run or be kept from it. */
size_t switches_live(const struct switches *s);
bool switches_quiet(const struct switches *s);

#endif

/* SPDX-License-Identifier: MIT
 *
 * loops.h - a whole runtime on the explorer's virtual threads
 *
 * WHAT    The sources of src/sched and src/sync as they are, compiled with the explorer's atomics:
 *         loops, fibers, messages, groups, channels.  A virtual thread runs a loop, or is a plain
 *         thread.  The poller is a model's: it sleeps until somebody wakes it or its time comes.
 *         Time stands still unless a virtual thread lets it pass, at any moment of the schedule.
 *
 * HOW     case:    reset = loops_reset and what the case has of its own
 *                  thread = loops_0, loops_1, plain threads, loops_clock
 *                  check = loops_check and more;  switched, over: the two below
 *
 * A run that ends well has closed its loops and freed what they had: hob__loop_fini looks.
 */
#ifndef LOOPS_H
#define LOOPS_H

#include "explore.h"

#include <hob/hob.h>

#include "sched/rt.h"

/* n loops, of which loop 0 begins with a fiber that runs fn. */
void loops_reset(unsigned n, hob_fn fn);

/* Virtual threads: the first n of a case. */
void loops_0(void);
void loops_1(void);
void loops_2(void);

/* Another one: time passes beyond loops_soon, and goes on from then on. */
void loops_clock(void);
extern const hob_time loops_soon; /* after the start of the run */

/* What each look at the clock adds; loops that watch need some. */
extern hob_dur loops_tick;
/* How many loops may search for tasks before they sleep. */
extern unsigned loops_searching_max;

extern struct rt loops_rt;

/* An operation of the loop's poller ends: what its `done` does. */
void loops_complete(struct loop *l, void (*done)(void));

/* For struct explore_case. */
void loops_switched(unsigned from, unsigned to);
bool loops_over(long long until);

/* After a run: every loop ended, and what the first fiber returned. */
int loops_result(void);

#endif

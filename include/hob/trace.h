/* SPDX-License-Identifier: MIT */
#ifndef HOB_TRACE_H
#define HOB_TRACE_H

#include <hob/base.h>

/*
 * Where the time went
 * ===================
 *
 * A task (a fiber, or a job of the pool) is at any moment in one of three
 * states: on CPU, ready but without a core, or waiting.  What it waits for
 * belongs to one of four classes.
 */

HOB_BEGIN_DECLS

/** What a wait is for; the colours of a timeline and the words of a verdict go by it. */
enum hob_wait_class {
    HOB_CLASS_IO,   /* network, disk, or a call that blocks a thread of its own */
    HOB_CLASS_CPU,  /* somebody else's computing: a job on the pool, a turn on this loop */
    HOB_CLASS_SYNC, /* another task: a channel, a join, a lock, a full group */
    HOB_CLASS_TIME, /* the clock: sleep, a rate limit, politeness */
    HOB_N_CLASSES
};

HOB_END_DECLS
#endif

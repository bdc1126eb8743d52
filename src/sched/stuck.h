/* SPDX-License-Identifier: MIT
 *
 * stuck.h - finds out that nothing can ever run again
 */
#ifndef HOB_SCHED_STUCK_H
#define HOB_SCHED_STUCK_H

#include "sched/loop.h"

struct rt;

/* Of a runtime; all of it loop 0's but for the token, which is that loop's it is on. */
struct stuck {
    bool off;        /* not looked for */
    unsigned n_told; /* 0, 1: cancelled, 2: and stuck again */
    uint64_t seen;   /* loop 0's activity when its idle time began */
    hob_dur pause;   /* until the next look */
    hob_time at;     /* the next look */
    bool out;        /* the token is on its way */
    struct msg token;
    unsigned round;      /* of the token: 0, 1 */
    bool moved;          /* some loop is not stuck, or did something between the rounds */
    uint64_t active[64]; /* LOOPS_MAX: what each had done when the token came */
};

/*
 * Loop 0 is about to sleep and has no timer: until when it may.  It has declared a deadlock if
 * fibers are ready after it.
 */
hob_time hob__stuck_sleep(struct loop *l, hob_time now);

/* Reports it and cancels the root; the second time only reports.  On loop 0. */
void hob__stuck_declare(struct rt *rt);

/* What hob_run returns for a first fiber that returned rc. */
int hob__stuck_result(const struct rt *rt, int rc);

/* Told of a deadlock before anything is cancelled; all loops are at rest. */
extern void (*hob__stuck_hook)(struct rt *rt, bool again);

#endif

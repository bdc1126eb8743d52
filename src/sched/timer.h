/* SPDX-License-Identifier: MIT
 *
 * timer.h - a loop's timers: a hierarchical wheel, O(1) to set and to stop
 */
#ifndef HOB_SCHED_TIMER_H
#define HOB_SCHED_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include <hob/base.h>

#include "base/list.h"

enum {
    WHEEL_TICK_BITS = 16, /* a tick is 65,536 ns */
    WHEEL_BITS = 6,       /* 64 slots a level */
    WHEEL_SLOTS = 1 << WHEEL_BITS,
    WHEEL_LEVELS = 8, /* 2^48 ticks: longer than int64_t nanoseconds last */
};

struct timer {
    struct list node; /* in a slot of the wheel, while set */
    uint64_t tick;    /* when it is due */
    uint8_t level, slot;
    bool set;
    void (*fire)(struct timer *t); /* the timer is no longer set when this runs */
};

struct wheel {
    uint64_t tick;               /* everything due at or before it has fired */
    uint64_t used[WHEEL_LEVELS]; /* a bit a slot that is not empty */
    struct list slot[WHEEL_LEVELS][WHEEL_SLOTS];
};

void hob__wheel_init(struct wheel *w, hob_time now);

/* t->fire must be set and t->set false.  Due at the first tick not before `until`. */
void hob__timer_set(struct wheel *w, struct timer *t, hob_time until);
void hob__timer_unset(struct wheel *w, struct timer *t);

/* Fires what is due at `now`; returns how many. */
unsigned hob__wheel_advance(struct wheel *w, hob_time now);

/* No timer is due before this; HOB_FOREVER when none is set.  May be earlier than the next one. */
hob_time hob__wheel_next(const struct wheel *w);

/* When the next one fires, exactly; looks at each timer of a slot.  For the simulator, whose leaps
 * of time would otherwise end half-way to a timer that is far away. */
hob_time hob__wheel_due(const struct wheel *w);

static inline void timer_stop(struct wheel *w, struct timer *t)
{
    if (t->set)
        hob__timer_unset(w, t);
}

#endif

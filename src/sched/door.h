/* SPDX-License-Identifier: MIT
 *
 * door.h - how a group's join keeps cancels from other threads out
 *
 * WHAT        Another thread's cancel of a group is a message embedded in the group, whose memory
 *             is a frame: once the join has returned, none may be under way.  So each group has a
 *             door.  One sender, the first, may go through it; the join shuts it.
 *
 * HOW         sender:  OPEN -> KNOCKED, heavy barrier, closed? no: KNOCKED -> SENT, posts
 *             join:    closed = true, light barrier, OPEN? yes: through, nobody comes any more
 *                      no: KNOCKED -> SHUT: the sender will find it so; or SENT: waits for it
 *
 *   The join's side is what every spawn pays for, and a cancel from another thread is rare: so
 *   the barrier is the sender's (plat/barrier.h) and the join has no locked instruction.
 *
 * INVARIANTS  (I1) the join finds KNOCKED or later, or the sender finds closed, or both
 *             (I2) a message is posted only after KNOCKED -> SENT, and then the join waits
 *             (I3) the first sender alone goes through
 *
 * Checked in every interleaving, stores that are late included: tests/model/explore_door.c.
 *
 * A sender that found it closed leaves KNOCKED behind: nobody looks at it any more.  The caller of
 * the cancel keeps the storage until that has returned; a group that is opened in it meanwhile may
 * be the one that is cancelled, as if the call had come a moment later.
 */
#ifndef HOB_SCHED_DOOR_H
#define HOB_SCHED_DOOR_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/assert.h"
#include "plat/barrier.h"

enum door_state { DOOR_OPEN, DOOR_KNOCKED, DOOR_SENT, DOOR_DONE, DOOR_SHUT };

/* All zero: open. */
struct door {
    _Atomic(unsigned char) state; /* enum door_state */
    _Atomic(bool) closed;
};

static inline bool door_step(struct door *d, unsigned char from, unsigned char to)
{
    return atomic_compare_exchange_strong(&d->state, &from, to);
}

/* Any other thread: whether the caller shall post the message. */
static inline bool door_enter(struct door *d)
{
    if (!door_step(d, DOOR_OPEN, DOOR_KNOCKED)) /* (I3) */
        return false;
    barrier_heavy();
    if (atomic_load(&d->closed)) /* (I1) */
        return false;
    return door_step(d, DOOR_KNOCKED, DOOR_SENT); /* (I2) */
}

/* At home: the message has run. */
static inline void door_entered(struct door *d)
{
    atomic_store_explicit(&d->state, DOOR_DONE, memory_order_relaxed);
}

/* At home, once: whether nobody comes any more; else a message is on its way. */
static inline bool door_close(struct door *d)
{
    barrier_light_store(&d->closed);
    unsigned char state = atomic_load(&d->state);
    if (likely(state == DOOR_OPEN)) /* (I1) */
        return true;
    return door_step(d, DOOR_KNOCKED, DOOR_SHUT) || atomic_load(&d->state) == DOOR_DONE; /* (I2) */
}

#endif

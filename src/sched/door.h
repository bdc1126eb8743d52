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
 *             (I4) no two openings in the life of the process have the same number
 *
 * Checked in every interleaving, stores that are late included: tests/model/explore_door.c.
 *
 * A sender that found it closed leaves KNOCKED behind: nobody looks at it any more.  The caller of
 * the cancel keeps the storage until that has returned, but a group may be opened in it meanwhile,
 * on another loop.  So each opening has a number of its own, and a sender whose door is gone is
 * refused by the next one; and what it read of the group before it was through, it reads again.
 */
#ifndef HOB_SCHED_DOOR_H
#define HOB_SCHED_DOOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "plat/barrier.h"

enum door_state { DOOR_OPEN, DOOR_KNOCKED, DOOR_SENT, DOOR_DONE, DOOR_SHUT, DOOR_STATES = 8 };

struct door {
    _Atomic(uint64_t) state; /* the opening's number times DOOR_STATES, and enum door_state */
    _Atomic(bool) closed;
};

/* At home, with a number never used before; what a sender reads of the group once it is through
 * was stored before this.  In this order: a sender of the opening before, who sees that nothing is
 * closed, must find its own opening gone. */
static inline void door_open(struct door *d, uint64_t number)
{
    atomic_store_explicit(&d->state, number * DOOR_STATES + DOOR_SHUT, memory_order_relaxed);
    atomic_store_explicit(&d->closed, false, memory_order_release);
    atomic_store_explicit(&d->state, number * DOOR_STATES + DOOR_OPEN, memory_order_release);
}

/* From `from` to another state of the same opening. */
static inline bool door_step(struct door *d, uint64_t from, enum door_state to)
{
    return atomic_compare_exchange_strong(&d->state, &from, from / DOOR_STATES * DOOR_STATES + to);
}

/* Any other thread: whether the caller shall post the message. */
static inline bool door_enter(struct door *d)
{
    uint64_t open = atomic_load(&d->state);

    if (open % DOOR_STATES != DOOR_OPEN || !door_step(d, open, DOOR_KNOCKED)) /* (I3) */
        return false;
    barrier_heavy();
    if (atomic_load(&d->closed)) /* (I1) */
        return false;
    return door_step(d, open + DOOR_KNOCKED, DOOR_SENT); /* (I2) */
}

/* At home: the message has run. */
static inline void door_entered(struct door *d)
{
    uint64_t state = atomic_load_explicit(&d->state, memory_order_relaxed);

    atomic_store_explicit(&d->state, state / DOOR_STATES * DOOR_STATES + DOOR_DONE,
                          memory_order_relaxed);
}

/* At home, once: whether nobody comes any more; else a message is on its way. */
static inline bool door_close(struct door *d)
{
    barrier_light_store(&d->closed);
    uint64_t state = atomic_load(&d->state);
    if (likely(state % DOOR_STATES == DOOR_OPEN)) /* (I1) */
        return true;
    if (state % DOOR_STATES == DOOR_KNOCKED && door_step(d, state, DOOR_SHUT)) /* (I2) */
        return true;
    return atomic_load(&d->state) % DOOR_STATES == DOOR_DONE;
}

#endif

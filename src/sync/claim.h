/* SPDX-License-Identifier: MIT
 *
 * claim.h - who decides a select: one word that the first comer takes
 *
 * WHAT        The arms of a select may have their homes on several loops, where each can happen at
 *             any moment.  Who would let one happen claims the select first, and does nothing if
 *             somebody else has.  A cancel and a time-out claim it too.
 *
 * HOW         OPEN ----------------> TAKEN    the usual way: one compare-and-swap
 *             OPEN -> HELD -> OPEN or TAKEN   a second thing must succeed as well: another select's
 *                                             claim, or a connection that may be gone
 *
 *   Two selects that meet in one channel must both be claimed, or neither.  The one at the lower
 *   address is held while the other is taken.
 *
 * INVARIANTS  (I1) TAKEN is for good, and one comer alone is told that it took it
 *             (I2) of two that meet, both are taken or neither
 *             (I3) who holds one waits for nobody but the holder of one at a higher address, so
 *                  that waits end
 *             (I4) HELD is for a bounded number of instructions, or one system call that does not
 *                  block; the holder runs no fiber meanwhile
 *
 * ORDER       What an arm writes reaches the select's fiber by a message, not by this word.  Taking
 *             is acquire and release all the same, so that what one claimer did before it failed
 *             or let go is done for the next.
 *
 * THREADS     A select whose arms all have their home on its own loop is not `shared`: then the
 *             word is read and written like any other.
 *
 * Checked in every interleaving: tests/model/explore_claim.c.
 */
#ifndef HOB_SYNC_CLAIM_H
#define HOB_SYNC_CLAIM_H

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "plat/cpu.h"

enum claim_state { CLAIM_OPEN, CLAIM_HELD, CLAIM_TAKEN };

struct claim {
    _Atomic(uint32_t) state; /* enum claim_state */
    bool shared;             /* set before anybody else knows the claim */
};

enum claim_pair { CLAIM_BOTH, CLAIM_MINE_GONE, CLAIM_OTHER_GONE };

#ifndef claim_relax
enum { CLAIM_SPINS = 100 };

/* The n-th look at a claim that somebody holds: its thread may have lost its core. */
static inline void claim_relax(struct claim *c, unsigned n)
{
    (void)c;
    if (n >= CLAIM_SPINS) {
        sched_yield();
        return;
    }
    cpu_pause();
}
#endif

static inline void claim_init(struct claim *c, bool shared)
{
    atomic_init(&c->state, CLAIM_OPEN);
    c->shared = shared;
}

/* Whether somebody may still take it; of a shared one, as of some moment just past. */
static inline bool claim_is_open(struct claim *c)
{
    return atomic_load_explicit(&c->state, memory_order_relaxed) != CLAIM_TAKEN;
}

/* From OPEN to HELD or TAKEN; false: it is taken.  (I1) */
static inline bool claim_step(struct claim *c, uint32_t to)
{
    uint32_t seen = atomic_load_explicit(&c->state, memory_order_relaxed);

    if (likely(!c->shared)) {
        if (seen != CLAIM_OPEN)
            return false;
        atomic_store_explicit(&c->state, to, memory_order_relaxed);
        return true;
    }
    for (unsigned n = 0; seen != CLAIM_TAKEN; n++) {
        seen = CLAIM_OPEN;
        if (atomic_compare_exchange_strong_explicit(&c->state, &seen, to, memory_order_acq_rel,
                                                    memory_order_acquire))
            return true;
        if (seen == CLAIM_HELD)
            claim_relax(c, n);
    }
    return false;
}

/* For good; false: somebody else has it. */
static inline bool claim_take(struct claim *c)
{
    return claim_step(c, CLAIM_TAKEN);
}

/* Until claim_end; false: somebody else has it.  (I4) */
static inline bool claim_hold(struct claim *c)
{
    return claim_step(c, CLAIM_HELD);
}

/* Of one that the caller holds. */
static inline void claim_end(struct claim *c, bool taken)
{
    atomic_store_explicit(&c->state, taken ? CLAIM_TAKEN : CLAIM_OPEN, memory_order_release);
}

/* Both, or neither: then which one is gone.  They are two. */
static inline enum claim_pair claim_pair(struct claim *mine, struct claim *other)
{
    bool mine_first = (uintptr_t)mine < (uintptr_t)other; /* (I3) */
    struct claim *first = mine_first ? mine : other, *second = mine_first ? other : mine;

    HOB_ASSERT(mine != other); /* it would wait for itself */
    if (!claim_hold(first))
        return mine_first ? CLAIM_MINE_GONE : CLAIM_OTHER_GONE;
    bool both = claim_take(second);
    claim_end(first, both); /* (I2) */
    if (both)
        return CLAIM_BOTH;
    return mine_first ? CLAIM_OTHER_GONE : CLAIM_MINE_GONE;
}

#endif

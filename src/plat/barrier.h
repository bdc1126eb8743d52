/* SPDX-License-Identifier: MIT
 *
 * barrier.h - an order between a store and a later load that only the rare side pays for
 *
 * WHAT        Two threads each write one variable and then read the other's, and at least one must
 *             see what the other wrote.  That takes a barrier between the write and the read on
 *             both sides.  Here one side's is next to nothing, and the other's a system call
 *             (membarrier) that makes every running thread of the process pass one.
 *
 *                 often:   barrier_light_store(&mine);   read theirs
 *                 rarely:  write theirs (seq_cst);       barrier_heavy();   read mine (seq_cst)
 *
 * Where the kernel refuses (a filter), and under TSan, which knows nothing of the call, the light
 * store is an exchange and the heavy barrier nothing: both are in the one order of seq_cst.
 */
#ifndef HOB_PLAT_BARRIER_H
#define HOB_PLAT_BARRIER_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/assert.h"

/* Decided by hob__barrier_init, before there are two threads that use it. */
extern bool hob__barrier_is_heavy;

/* Asks the kernel; from then on the other two may be called.  More than once, too. */
void hob__barrier_init(void);

void hob__barrier_heavy(void);

static inline void barrier_heavy(void)
{
    if (hob__barrier_is_heavy)
        hob__barrier_heavy();
}

/* *p = true, before every later load of the caller. */
static inline void barrier_light_store(_Atomic(bool) *p)
{
    if (likely(hob__barrier_is_heavy)) {
        atomic_store_explicit(p, true, memory_order_relaxed);
        atomic_signal_fence(memory_order_seq_cst); /* the compiler keeps the order as well */
    } else {
        atomic_exchange(p, true);
    }
}

#endif

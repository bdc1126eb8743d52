/* SPDX-License-Identifier: MIT
 *
 * hold.c - who holds a lock: see hold.h
 */
#include "sched/hold.h"

#include <stdatomic.h>

#include "sched/blame.h"

struct runnable hob__holds;

static _Atomic(uint64_t) n_drawn;

static uint64_t draw(unsigned rest)
{
    return (atomic_fetch_add_explicit(&n_drawn, 1, memory_order_relaxed) + 1) * HOLDER_LOOPS + rest;
}

uint64_t hob__holder_draw(struct fiber *f)
{
    return f->holder = draw(f->loop->index + 1);
}

uint64_t hob__holder_thread(void)
{
    static __thread uint64_t mine;

    return mine ? mine : (mine = draw(0));
}

void hob__holds_left(struct fiber *f)
{
#ifndef NDEBUG
    hob__left_locked(f, f->held && *f->held_name ? f->held_name : NULL);
#endif
    f->holder = 0; /* (I2) */
    f->n_holds = 0;
}

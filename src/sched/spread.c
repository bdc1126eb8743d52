/* SPDX-License-Identifier: MIT
 *
 * spread.c - tasks of spread groups, and the loops that take them
 *
 * WHAT        Each loop has a queue of tasks that any loop may take: not started, without a stack.
 *             Its own loop takes some when nothing else is ready, and one a turn when something
 *             is; a loop that has nothing to run takes some of another's.  "Some" is one loop's
 *             share of what is there: what has been taken nobody else can take, and of four tasks
 *             that compute each of four loops shall have one.
 *
 * INVARIANTS  (I1) a task is in one queue, under that queue's lock
 *             (I2) no task waits while a loop sleeps: who pushes looks for a sleeper after the
 *                  push, who sleeps looks for tasks after it has said so.  Both are
 *                  read-modify-writes of rt->idle, so one of them sees the other.
 *             (I3) a task waits for at most as many turns of its own loop as tasks are before it,
 *                  however busy every loop is
 *
 * REJECTED    A lock-free deque: a steal here costs a wake of 33 us when it matters, and the lock
 *             is held for a handful of instructions.
 */
#include "sched/loop.h"

#include <sched.h>

#include "plat/cpu.h"

#include "sched/rt.h"

enum { TAKE_OWN = 16, STEAL_MOST = 64 };

void hob__spread_hold(struct loop *l)
{
    unsigned tries = 0;

    while (atomic_flag_test_and_set_explicit(&l->spread.lock, memory_order_acquire)) {
        if (++tries % 256 == 0)
            sched_yield(); /* its holder may be off the CPU */
        else
            cpu_pause();
    }
}

void hob__spread_let(struct loop *l)
{
    atomic_flag_clear_explicit(&l->spread.lock, memory_order_release);
}

/* Wakes one sleeping loop, if there is one, and takes it off the sleepers. */
static void wake_one(struct rt *rt)
{
    uint64_t idle = atomic_fetch_or(&rt->idle, 0); /* a read-modify-write: (I2) */

    while (idle) {
        unsigned i = (unsigned)__builtin_ctzll(idle);
        idle = atomic_fetch_and(&rt->idle, ~(1ull << i));
        if (idle & (1ull << i)) {
            hob__loop_wake(&rt->loops[i]);
            return;
        }
    }
}

void hob__spread_push(struct loop *l, struct task *t)
{
    hob__spread_hold(l);
    runq_push(&l->spread.queue, &t->run);
    atomic_fetch_add_explicit(&l->spread.n, 1, memory_order_relaxed);
    hob__spread_let(l);
    wake_one(l->rt);
}

/* Moves l's share, up to `most` and at least one of any, from victim to l's ready queue. */
static bool spread_move(struct loop *l, struct loop *victim, uint32_t most)
{
    struct runnable *r;
    uint32_t n, share, moved;

    if (atomic_load_explicit(&victim->spread.n, memory_order_relaxed) == 0)
        return false;
    hob__spread_hold(victim);
    n = atomic_load_explicit(&victim->spread.n, memory_order_relaxed);
    share = n / l->rt->n_loops;
    if (share > most)
        share = most;
    if (share == 0 && n > 0)
        share = 1;
    for (moved = 0; moved < share; moved++) {
        r = runq_pop(&victim->spread.queue);
        runq_push(&l->ready, r);
    }
    atomic_fetch_sub_explicit(&victim->spread.n, moved, memory_order_relaxed);
    hob__spread_let(victim);
    return moved > 0;
}

static bool spread_steal(struct loop *l)
{
    struct rt *rt = l->rt;
    unsigned first = (unsigned)(l->n_turns % rt->n_loops);

    for (unsigned i = 0; i < rt->n_loops; i++) {
        struct loop *victim = &rt->loops[(first + i) % rt->n_loops];
        if (victim == l || !spread_move(l, victim, STEAL_MOST))
            continue;
        /* Where there was more than our share there may be enough for another sleeper. */
        if (atomic_load_explicit(&victim->spread.n, memory_order_relaxed) > 0)
            wake_one(rt);
        return true;
    }
    return false;
}

void hob__spread_turn(struct loop *l)
{
    if (loop_has_ready(l))
        spread_move(l, l, 1); /* (I3) */
    else if (!spread_move(l, l, TAKE_OWN))
        spread_steal(l);
}

bool hob__rt_idle(struct rt *rt, struct loop *l)
{
    if (rt->n_loops == 1)
        return false;
    atomic_fetch_or(&rt->idle, 1ull << l->index);
    for (unsigned i = 0; i < rt->n_loops; i++)
        if (atomic_load(&rt->loops[i].spread.n) > 0)
            return true; /* (I2) */
    return false;
}

void hob__rt_busy(struct rt *rt, struct loop *l)
{
    if (rt->n_loops > 1)
        atomic_fetch_and(&rt->idle, ~(1ull << l->index));
}

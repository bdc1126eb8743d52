/* SPDX-License-Identifier: MIT
 *
 * spread.c - tasks of spread groups, and the loops that take them
 *
 * WHAT        Each loop has a queue of tasks that any loop may take: not started, without a stack.
 *             Its own loop takes a share of it when nothing else is ready, one of n_loops parts,
 *             and one a turn when something is.  A loop that has nothing to run takes half of
 *             another's into its own queue, where others find it again: of four tasks that compute
 *             each of four loops shall have one.
 *
 * HOW         Whose: the longer of two queues taken by chance, so that thieves don't meet at one
 *             and nobody has to look at all.  Before it sleeps a loop watches for WATCH_TIME what
 *             would wake it: its inbox, its poller, and, at most half of the loops at a time, the
 *             queues; while one searches these, nobody is woken for tasks.  None watches where
 *             there are fewer cores than loops.  One that watched in vain sleeps at once the next
 *             1, 3, 7, ... 63 times, or until a sleep was so short that it had better watched; so
 *             a loop that only waits for timers costs nothing.
 *
 * INVARIANTS  (I1) a task is in one queue, under that queue's lock, or in the hands of one loop,
 *                  which looks for a sleeper after it has put them down
 *             (I2) no task waits while a loop sleeps: who pushes looks for a sleeper after the
 *                  push, who sleeps looks for tasks after it has said so.  Both are
 *                  read-modify-writes of rt->idle, so one of them sees the other.  Who does not
 *                  sleep and has other things to run wakes the next.
 *             (I3) a task waits for at most as many turns of its own loop as tasks are before it,
 *                  however busy every loop is
 *
 * REJECTED    Placing a new task on the loop that has less: a lock and perhaps a wake for each,
 *             although most are taken by the loop they were born on.
 *             A lock-free deque: a steal here costs a wake of 33 us when it matters, and the lock
 *             is held for a handful of instructions.
 *
 * Checked in every interleaving: tests/model/explore_spread.c.
 */
#include "sched/loop.h"

#include <sched.h>

#include "plat/cpu.h"
#include "sched/rt.h"

#ifndef WATCH_LOOKS /* tests/model has less patience */
#define WATCH_LOOKS 32
#endif

enum { TAKE_OWN = 16, STEAL_MOST = 64, WATCH_ALONE = 8, WATCH_VAIN_MAX = 6 };

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

/* Takes loop i off the sleepers and wakes it; false: it was not among them.  (I3) of loop.c:
 * counted first, for once it is off them it may come to its end. */
static bool wake_sleeper(struct rt *rt, unsigned i, uint64_t *idle)
{
    struct loop *l = &rt->loops[i];

    atomic_fetch_add_explicit(&l->n_posters, 1, memory_order_relaxed);
    *idle = atomic_fetch_and(&rt->idle, ~(1ull << i));
    bool asleep = *idle & (1ull << i);
    if (asleep)
        l->poller->ops->wake(l->poller);
    atomic_fetch_sub_explicit(&l->n_posters, 1, memory_order_release);
    return asleep;
}

/*
 * Wakes one sleeping loop, if there is one, and takes it off the sleepers.  Not while another
 * searches: that one looks at all queues once more after it has said that it sleeps.  (I2)
 */
static void wake_one(struct rt *rt)
{
    uint64_t idle = atomic_fetch_or(&rt->idle, 0); /* a read-modify-write: (I2) */

    if (atomic_load_explicit(&rt->n_searching, memory_order_relaxed) > 0)
        return;
    while (idle)
        if (wake_sleeper(rt, (unsigned)__builtin_ctzll(idle), &idle))
            return;
}

static uint32_t spread_length(const struct loop *l)
{
    return atomic_load_explicit(&l->spread.n, memory_order_relaxed);
}

/* To the end of l's queue; anybody's lock but l's may not be held. */
static void spread_append(struct loop *l, struct runq *q, uint32_t n)
{
    hob__spread_hold(l);
    *l->spread.queue.tail = q->head;
    l->spread.queue.tail = q->tail;
    atomic_fetch_add_explicit(&l->spread.n, n, memory_order_relaxed);
    hob__spread_let(l);
}

void hob__spread_push(struct loop *l, struct task *t)
{
    struct runq one;

    runq_init(&one);
    runq_push(&one, &t->run);
    spread_append(l, &one, 1);
    wake_one(l->rt);
}

/* Takes the first tasks of l's queue, one in `part` and at least one of any, to the end of `to`. */
static uint32_t spread_take(struct loop *l, uint32_t part, uint32_t most, struct runq *to)
{
    uint32_t n, share, moved;

    if (spread_length(l) == 0)
        return 0;
    hob__spread_hold(l);
    n = spread_length(l);
    share = (n + part - 1) / part;
    if (share > most)
        share = most;
    for (moved = 0; moved < share; moved++)
        runq_push(to, runq_pop(&l->spread.queue));
    atomic_fetch_sub_explicit(&l->spread.n, moved, memory_order_relaxed);
    hob__spread_let(l);
    return moved;
}

/* The longer queue of two taken by chance, or the first that is not empty; NULL: all are. */
static struct loop *spread_victim(struct loop *l)
{
    struct rt *rt = l->rt;
    uint32_t x = l->spread.draw = l->spread.draw * 1664525u + 1013904223u;
    struct loop *a = &rt->loops[(x >> 8) % rt->n_loops];
    struct loop *b = &rt->loops[(x >> 20) % rt->n_loops];
    struct loop *longer = spread_length(a) >= spread_length(b) ? a : b;

    if (longer != l && spread_length(longer) > 0)
        return longer;
    for (unsigned i = 1; i < rt->n_loops; i++) {
        struct loop *other = &rt->loops[(l->index + i) % rt->n_loops];
        if (spread_length(other) > 0)
            return other;
    }
    return NULL;
}

/* Half of another's queue becomes l's, where it can be taken again; l runs its share of it. */
static void spread_steal(struct loop *l)
{
    struct loop *victim = spread_victim(l);
    struct runq taken;
    uint32_t n;

    if (!victim)
        return;
    runq_init(&taken);
    n = spread_take(victim, 2, STEAL_MOST, &taken);
    if (n == 0)
        return;
    spread_append(l, &taken, n);
    atomic_store_explicit(&l->n_stolen, l->n_stolen + n, memory_order_relaxed);
    spread_take(l, l->rt->n_loops, TAKE_OWN, &l->ready);
    if (spread_length(l) > 0 || spread_length(victim) > 0)
        wake_one(l->rt); /* there may be enough for another sleeper */
}

void hob__spread_turn(struct loop *l)
{
    if (loop_has_ready(l))
        spread_take(l, 1, 1, &l->ready); /* (I3) */
    else if (!spread_take(l, l->rt->n_loops, TAKE_OWN, &l->ready))
        spread_steal(l);
}

static bool spread_any(const struct rt *rt)
{
    for (unsigned i = 0; i < rt->n_loops; i++)
        if (atomic_load(&rt->loops[i].spread.n) > 0)
            return true;
    return false;
}

/* A few looks at what would wake it; who searches looks for tasks too. */
static bool watch_found(struct loop *l, bool searches)
{
    for (int i = 0; i < WATCH_LOOKS; i++) {
        if (!inbox_empty(&l->inbox))
            return true;
        cpu_pause();
    }
    return l->poller->ops->busy(l->poller) || (searches && spread_any(l->rt));
}

/* Counted as a searcher, unless there are enough. */
static bool search_begin(struct rt *rt)
{
    uint32_t n = atomic_load_explicit(&rt->n_searching, memory_order_relaxed);

    return n < rt->n_searching_max && atomic_compare_exchange_strong(&rt->n_searching, &n, n + 1);
}

/* Who was not woken meanwhile, because somebody searched, is woken now.  (I2) */
static void search_end(struct rt *rt, bool found)
{
    atomic_fetch_sub(&rt->n_searching, 1);
    if (found) {
        atomic_fetch_or(&rt->idle, 0); /* who pushes goes by this word, before or after us */
        if (spread_any(rt))
            wake_one(rt);
    }
}

static bool watch(struct rt *rt, struct loop *l, hob_time end)
{
    bool searches = search_begin(rt), found;

    for (int n = 0; !(found = watch_found(l, searches)) && hob__now() < end; n++)
        if (n >= WATCH_ALONE)
            sched_yield(); /* who is to wake it may wait for this very core */
    if (searches)
        search_end(rt, found);
    return found;
}

bool hob__rt_watch(struct rt *rt, struct loop *l, hob_time now, hob_time until)
{
    bool found;

    if (l->watch.skip > 0) {
        l->watch.skip--;
        return false;
    }
    if (now + WATCH_TIME > until)
        return false; /* a timer comes before it would sleep */
    found = watch(rt, l, hob__now() + WATCH_TIME);
    if (found)
        l->watch.n_vain = 0;
    else if (l->watch.n_vain < WATCH_VAIN_MAX)
        l->watch.n_vain++;
    l->watch.skip = (1u << l->watch.n_vain) - 1;
    return found;
}

bool hob__rt_idle(struct rt *rt, struct loop *l)
{
    if (rt->n_loops == 1)
        return false;
    atomic_fetch_or(&rt->idle, 1ull << l->index);
    return spread_any(rt); /* (I2) */
}

void hob__rt_busy(struct rt *rt, struct loop *l)
{
    if (rt->n_loops == 1)
        return;
    atomic_fetch_and(&rt->idle, ~(1ull << l->index));
    /* It may be the one that was woken for a task, and will not take it: another shall.  (I2) */
    if (loop_has_ready(l) && spread_any(rt))
        wake_one(rt);
}

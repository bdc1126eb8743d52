/* SPDX-License-Identifier: MIT
 *
 * timer.c - the timer wheel
 *
 * WHAT        Hashed hierarchical timing wheels (Varghese and Lauck, SOSP 1987, scheme 7): eight
 *             levels of 64 slots, each slot a list.  Setting and stopping a timer are two list
 *             operations and a bit; nothing is sorted, nothing allocated.
 *
 * HOW         A timer lies on the level of the highest 6-bit digit in which its tick differs from
 *             the wheel's, in the slot of that digit.  Advancing goes to the next slot that is in
 *             use; on level 0 its timers are due, on a higher level they come down by being set
 *             anew, each at most seven times in its life.
 *
 *                 wheel 0x000041   timer 0x000043 -> level 0, slot 3
 *                                  timer 0x000103 -> level 1, slot 4, later level 0, slot 3
 *
 * INVARIANTS  (I1) a timer that is set is due after the wheel's tick, or at it and in the slot
 *                  being emptied
 *             (I2) bit s of used[l] is 1 if and only if slot[l][s] is not empty
 *             (I3) no timer fires before its time: ticks round up, the wheel's tick rounds down
 *
 * REJECTED    A binary or pairing heap: O(log n), and most timers are stopped, not fired (a
 *             deadline a request); a sorted deadline is paid for and never used.  A finer tick:
 *             the sleep of a loop is no more precise than the 50 us of the kernel's timer slack.
 */
#include "sched/timer.h"

#include "base/assert.h"

static uint64_t tick_up(hob_time t)
{
    uint64_t grain = (1u << WHEEL_TICK_BITS) - 1;

    return t <= 0 ? 0 : ((uint64_t)t + grain) >> WHEEL_TICK_BITS;
}

static uint64_t tick_down(hob_time t)
{
    return t <= 0 ? 0 : (uint64_t)t >> WHEEL_TICK_BITS;
}

void hob__wheel_init(struct wheel *w, hob_time now)
{
    w->tick = tick_down(now);
    for (int l = 0; l < WHEEL_LEVELS; l++) {
        w->used[l] = 0;
        for (int s = 0; s < WHEEL_SLOTS; s++)
            list_init(&w->slot[l][s]);
    }
}

static void wheel_place(struct wheel *w, struct timer *t)
{
    uint64_t differ = (t->tick ^ w->tick) | 1;
    unsigned level = (63 - (unsigned)__builtin_clzll(differ)) / WHEEL_BITS;
    unsigned slot = (t->tick >> (level * WHEEL_BITS)) & (WHEEL_SLOTS - 1);

    HOB_DEBUG_ASSERT(level < WHEEL_LEVELS);
    t->level = (uint8_t)level;
    t->slot = (uint8_t)slot;
    list_push(&w->slot[level][slot], &t->node);
    w->used[level] |= 1ull << slot; /* (I2) */
}

void hob__timer_set(struct wheel *w, struct timer *t, hob_time until)
{
    HOB_DEBUG_ASSERT(!t->set && t->fire);
    t->tick = tick_up(until);
    if (t->tick <= w->tick)
        t->tick = w->tick + 1; /* (I1): in the past means at the next tick */
    t->set = true;
    wheel_place(w, t);
}

void hob__timer_unset(struct wheel *w, struct timer *t)
{
    HOB_DEBUG_ASSERT(t->set);
    t->set = false;
    list_del(&t->node);
    if (list_empty(&w->slot[t->level][t->slot]))
        w->used[t->level] &= ~(1ull << t->slot); /* (I2) */
}

/*
 * The first slot in use and the tick at which the wheel reaches it.  Digits above a slot's level
 * equal the wheel's, and its own digit is greater, so the first level in use has the next one.
 */
static bool wheel_first(const struct wheel *w, unsigned *ret_level, unsigned *ret_slot,
                        uint64_t *ret_tick)
{
    for (unsigned l = 0; l < WHEEL_LEVELS; l++) {
        if (!w->used[l])
            continue;
        unsigned shift = l * WHEEL_BITS, slot = (unsigned)__builtin_ctzll(w->used[l]);
        uint64_t above = w->tick >> shift >> WHEEL_BITS;
        *ret_level = l;
        *ret_slot = slot;
        *ret_tick = ((above << WHEEL_BITS) | slot) << shift;
        return true;
    }
    return false;
}

unsigned hob__wheel_advance(struct wheel *w, hob_time now)
{
    uint64_t to = tick_down(now), at;
    unsigned level, slot, fired = 0;

    while (wheel_first(w, &level, &slot, &at) && at <= to) {
        struct list due;
        struct list *n;

        list_init(&due);
        list_splice(&due, &w->slot[level][slot]);
        w->used[level] &= ~(1ull << slot);
        if (at > w->tick)
            w->tick = at;
        while ((n = list_pop(&due))) {
            struct timer *t = list_entry(n, struct timer, node);
            if (t->tick > w->tick) {
                wheel_place(w, t);
                continue;
            }
            t->set = false; /* (I3) */
            t->fire(t);
            fired++;
        }
    }
    if (to > w->tick)
        w->tick = to;
    return fired;
}

static hob_time tick_time(uint64_t tick)
{
    if (tick > (uint64_t)HOB_FOREVER >> WHEEL_TICK_BITS)
        return HOB_FOREVER - 1;
    return (hob_time)(tick << WHEEL_TICK_BITS);
}

hob_time hob__wheel_due(const struct wheel *w)
{
    unsigned level, slot;
    uint64_t at, first = UINT64_MAX;

    if (!wheel_first(w, &level, &slot, &at))
        return HOB_FOREVER;
    list_each (n, &w->slot[level][slot]) {
        const struct timer *t = list_entry(n, struct timer, node);
        first = t->tick < first ? t->tick : first;
    }
    return tick_time(first);
}

hob_time hob__wheel_next(const struct wheel *w)
{
    unsigned level, slot;
    uint64_t at;

    if (!wheel_first(w, &level, &slot, &at))
        return HOB_FOREVER;
    return tick_time(at);
}

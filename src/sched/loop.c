/* SPDX-License-Identifier: MIT
 *
 * loop.c - one turn of a loop, messages, sleep
 *
 * WHAT        A loop is one thread with a ready queue, an inbox, timers and a poller.  A turn is
 *
 *                 1. tasks      of spread groups, from its own queue or another loop's
 *                 2. fibers     at most 128 switches or 200 us, whichever comes first
 *                 3. messages   all that came from other threads
 *                 4. timers     all that are due
 *                 5. poller     what completed; asleep in it if nothing is ready
 *
 * INVARIANTS  (I1) steps 3 to 5 come after every step 2, however many fibers are ready: two that
 *                  ping-pong for ever delay a socket by one turn
 *             (I2) a loop sleeps only after its inbox has accepted ASLEEP (msg.h)
 *             (I3) who wakes a loop has counted itself in n_posters before the loop could see why,
 *                  and the loop's poller is closed only when nobody is counted: a wake may come
 *                  after the end of what it was for
 *             (I4) the poller is asked without sleeping only when it says it could have news: a
 *                  loop whose fibers only talk to each other makes no system call
 *             (I5) a turn ends within 200 us and one run of its start; where the runs before were
 *                  short, the first TURN_CHECK long ones, at most twice as many, may all be in one
 *                  turn, once
 *             (I6) what a burst left of free stacks goes back, 64 a turn, before the loop sleeps,
 *                  and where it never does, 64 every TRIM_PACE
 *
 * A turn runs fibers that became ready during it, up to its bound, and not only those ready at its
 * start: with two fibers a turn of two switches would cost more than the switches.  The bound is
 * the same.  Figures: docs/design/0007-scheduler.md.
 */
#include "sched/loop.h"

#include <sched.h>
#include <unistd.h>

#include "sched/ahead.h"
#include "sched/fold.h"
#include "sched/park.h"
#include "sched/rt.h"
#include "sched/stuck.h"

/* *l is zeroed memory. */
int hob__loop_init(struct loop *l, struct rt *rt, unsigned index, size_t stack_size)
{
    static _Atomic(uint64_t) n_loops;

    l->rt = rt;
    l->index = index;
    l->n_groups = atomic_fetch_add(&n_loops, 1) << 36; /* of 61 bits */
    l->turn_switches = TURN_SWITCHES;
    l->spread.draw = index;
    hob__fold_init(l);
    runq_init(&l->ready);
    runq_init(&l->ahead);
    runq_init(&l->aged);
    runq_init(&l->spread.queue);
    inbox_init(&l->inbox);
    list_init(&l->parts);
    hob__wheel_init(&l->timers, hob__now());
    san_thread(&l->san);
    int r = hob__env->poll_open(&l->poller);
    if (r < 0)
        return r;
    hob__stacks_init(&l->stacks, stack_size, STACK_GUARD_AUTO);
    return 0;
}

void hob__loop_fini(struct loop *l)
{
    HOB_ASSERT(!loop_has_ready(l)); /* nor is a fiber alive: hob__stacks_fini looks */
    while (atomic_load_explicit(&l->n_posters, memory_order_acquire)) /* (I3) */
        sched_yield();
    for (struct list *n; (n = list_pop(&l->parts));) {
        struct loop_part *p = list_entry(n, struct loop_part, node);
        p->close(p);
    }
    hob__fibers_free(l);
    hob__stacks_fini(&l->stacks);
    l->poller->ops->close(l->poller);
    hob__task_slabs_free(l);
    san_free(&l->san);
}

void hob__loop_post(struct loop *l, struct msg *m)
{
    atomic_fetch_add_explicit(&l->n_posters, 1, memory_order_relaxed);
    if (inbox_push(&l->inbox, m))
        l->poller->ops->wake(l->poller);
    atomic_fetch_sub_explicit(&l->n_posters, 1, memory_order_release);
}

static void loop_fibers(struct loop *l)
{
    if (!l->turn_start)
        l->turn_start = hob__now();
    uint32_t n_past = loop_turn_runs(l);
    l->fold.n_past += n_past;
    l->n_run = l->chunk = 0;
    l->left = 1; /* none of this turn has run */
    if (unlikely(l->n_accounted) && l->turn_start >= l->fold.look)
        hob__fold_turn(l, n_past);
    l->chunk = l->slow || l->tells || leave_watched() ? 1 : TURN_CHECK;
    if (l->chunk > l->turn_switches)
        l->chunk = l->turn_switches;
    l->left = l->chunk + 1; /* counted at the next one: so many run before the first look */
    ahead_turn(l);
    hob__loop_fibers(l);
    ahead_end(l);
    __atomic_store_n(&l->n_turns, l->n_turns + 1, __ATOMIC_RELAXED);
}

/* What this turn's runs were like is what the next one's are expected to be.  (I5) */
static void loop_learn(struct loop *l, hob_time now)
{
    atomic_store_explicit(&l->busy_ns, l->busy_ns + (now - l->turn_start), memory_order_relaxed);
    l->slow = now - l->turn_start > RUN_LONG * loop_turn_runs(l);
}

static void loop_messages(struct loop *l)
{
    struct msg *m, *next;

    for (m = inbox_take(&l->inbox); m; m = next) {
        next = m->next;
        l->n_active++;
        m->run(m);
    }
}

static void loop_poll(struct loop *l, hob_time until)
{
    int r = l->poller->ops->wait(l->poller, until);

    HOB_ASSERT(r == 0); /* a poller that broke under us cannot be lived without */
    l->turn_start = 0;
}

/* More free stacks than a loop keeps.  (I6) */
static __attribute__((noinline)) void loop_trim(struct loop *l, hob_time now)
{
    if (loop_has_ready(l) && now - l->trimmed < TRIM_PACE)
        return;
    hob__stacks_trim(&l->stacks);
    l->trimmed = now;
}

/* Nothing is ready here. */
static void loop_sleep(struct loop *l, hob_time now)
{
    hob_time until = hob__wheel_next(&l->timers);

    if (until == HOB_FOREVER && l->index == 0)
        until = hob__stuck_sleep(l, now);
    if (unlikely(l->n_accounted))
        hob__fold_sleep(l, now);
    if (l->rt->n_searching_max && hob__rt_watch(l->rt, l, now, until)) {
        l->turn_start = 0;
        if (l->poller->ops->busy(l->poller)) /* (I4): only this call ends that */
            loop_poll(l, 0);
        return;
    }
    if (!inbox_sleep(&l->inbox)) /* (I2) */
        until = 0;
    else if (hob__rt_idle(l->rt, l))
        until = 0; /* work appeared on another loop's spread queue meanwhile */
    loop_poll(l, until);
    hob__rt_busy(l->rt, l);
    inbox_awake(&l->inbox);
    if (l->watch.skip > 0 && hob__now() - now < WATCH_TIME)
        l->watch.n_vain = l->watch.skip = 0; /* to watch would have been better */
}

bool hob__loop_turn(struct loop *l, bool may_sleep)
{
    if (l->rt->n_loops > 1)
        hob__spread_turn(l);
    bool ran = loop_has_ready(l);
    if (ran)
        loop_fibers(l);
    hob_time now = hob__now();
    if (ran) {
        loop_learn(l, now);
        l->n_active++;
    }
    __atomic_store_n(&l->n_rounds, l->n_rounds + 1, __ATOMIC_RELAXED);
    l->turn_start = now; /* of the next one, unless the poller takes time */
    hob__rt_signals(l->rt, l);
    loop_messages(l);
    hob__wheel_advance(&l->timers, now);
    if (l->stop)
        return false;
    if (unlikely(hob__stacks_spare(&l->stacks)))
        loop_trim(l, now);
    if (!loop_has_ready(l) && may_sleep && !hob__stacks_spare(&l->stacks))
        loop_sleep(l, now);
    else if (l->poller->ops->busy(l->poller)) /* (I4) */
        loop_poll(l, 0);
    return loop_has_ready(l);
}

void hob__loop_run(struct loop *l)
{
    atomic_store_explicit(&l->tid, gettid(), memory_order_relaxed);
    while (!l->stop)
        hob__loop_turn(l, true);
}

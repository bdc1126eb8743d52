/* SPDX-License-Identifier: MIT
 *
 * stuck.c - finds out that nothing can ever run again
 *
 * WHAT        A program is stuck when every fiber waits for another one.  Then the root is
 *             cancelled with -EDEADLK, after a report that names every fiber, and hob_run returns.
 *
 * HOW         A loop is still when it has nothing ready, no message, no timer, no spread task, and
 *             no fiber whose wait something outside the loops ends (the kernel, the pool, a
 *             blocking thread: class IO or CPU).  Loop 0, still for STUCK_PAUSE, looks further:
 *
 *                 threads   none that hob did not make: such a one may set an event tomorrow
 *                 fibers    each waits in class SYNC; hob_sleep(HOB_FOREVER) is meant so
 *                 loops     with several, a token goes round twice, loop 0 -> 1 -> .. -> 0
 *
 *             After a look in vain it waits twice as long, up to a minute.  So a program that
 *             waits for its network is asked nothing, and one without a timer whose threads feed
 *             it wakes once a minute.
 *
 * INVARIANTS  (I1) If every loop was still at both visits of the token and did nothing between
 *                  them, all were still at once when the first round ended, with no message on its
 *                  way: one posted before that lay in its inbox before the second token, and so was
 *                  counted before its visit.
 *             (I2) a fiber woken from outside is counted in n_outside, or its wait's class says so;
 *                  a select that a descriptor can end is counted, as its class does not
 *             (I3) the token is in one inbox at a time, and its own coming counts as nothing
 *
 * Not looked for: under .no_deadlock; with .stop_on_signals, where Ctrl-C will go on; in a process
 * with threads of its own.  The simulator knows at once (sim.c): nothing is outside there.
 *
 * REJECTED    Counting messages under way: an atomic for each.
 *             Looking at once, at every sleep: reading the list of threads costs 20 us.
 */
#include "sched/stuck.h"

#include <errno.h>

#include "plat/threads.h"
#include "sched/look.h"
#include "sched/rt.h"

#define STUCK_PAUSE     (100 * HOB_MS)
#define STUCK_PAUSE_MAX (60 * HOB_SEC)

_Static_assert(sizeof((struct stuck *)0)->active / sizeof(uint64_t) == LOOPS_MAX, "one a loop");

void (*hob__stuck_hook)(struct rt *rt, bool again);

static void fiber_outside(void *arg, const struct fiber *f)
{
    bool *outside = arg;

    if (f->run.state != RUN_PARKED || hob__wait_class((enum hob_wait)f->wait) != HOB_CLASS_SYNC)
        *outside = true;
}

/* On the loop's thread. */
static bool loop_is_still(struct loop *l)
{
    bool outside = false;

    if (loop_has_ready(l) || l->n_outside || hob__wheel_next(&l->timers) != HOB_FOREVER ||
        atomic_load(&l->spread.n) > 0)
        return false;
    hob__look_fibers(l, fiber_outside, &outside); /* (I2) */
    return !outside;
}

void hob__stuck_declare(struct rt *rt)
{
    bool again = rt->stuck.n_told > 0;

    if (rt->stuck.n_told == 2)
        return;
    rt->stuck.n_told++;
    if (hob__stuck_hook)
        hob__stuck_hook(rt, again);
    if (!again)
        hob__group_stop(&rt->root, CAUSE_REQUEST, -EDEADLK);
}

/* Loop 0 is still, and the rest of the process says nothing against it. */
static void all_still(struct rt *rt)
{
    if (atomic_load(&rt->signal) == 0 && hob__threads_foreign() == 0)
        hob__stuck_declare(rt);
}

static void token_step(struct msg *m);

static void token_pass(struct rt *rt, unsigned from)
{
    rt->stuck.token.run = token_step;
    hob__loop_post(&rt->loops[(from + 1) % rt->n_loops], &rt->stuck.token);
}

/* Notes what the loop has done so far; the second time it must be the same.  (I1) */
static void token_note(struct stuck *s, struct loop *l)
{
    if (!loop_is_still(l) || (s->round == 1 && s->active[l->index] != l->n_active))
        s->moved = true;
    s->active[l->index] = l->n_active;
}

static void token_step(struct msg *m)
{
    struct stuck *s = container_of(m, struct stuck, token);
    struct rt *rt = container_of(s, struct rt, stuck);
    struct loop *l = hob__loop;

    l->n_active--; /* (I3) */
    token_note(s, l);
    if (l->index != 0 && !s->moved) {
        token_pass(rt, l->index);
    } else if (l->index != 0) {
        token_pass(rt, rt->n_loops - 1); /* home at once */
    } else if (!s->moved && s->round == 0) {
        s->round = 1;
        token_pass(rt, 0);
    } else {
        s->out = false;
        if (!s->moved)
            all_still(rt);
    }
}

static void stuck_look(struct rt *rt)
{
    struct stuck *s = &rt->stuck;
    struct loop *l = &rt->loops[0];

    if (hob__threads_foreign() > 0 || !loop_is_still(l))
        return;
    if (rt->n_loops == 1) {
        all_still(rt);
        return;
    }
    s->out = true;
    s->moved = false;
    s->round = 0;
    s->active[0] = l->n_active;
    token_pass(rt, 0);
}

hob_time hob__stuck_sleep(struct loop *l, hob_time now)
{
    struct stuck *s = &l->rt->stuck;

    if (s->off || l->n_outside || s->n_told == 2)
        return HOB_FOREVER;
    if (l->n_active != s->seen || !s->pause) {
        s->seen = l->n_active;
        s->pause = STUCK_PAUSE;
        s->at = now + s->pause;
    } else if (now >= s->at) {
        if (!s->out)
            stuck_look(l->rt);
        if (loop_has_ready(l))
            return 0;
        s->pause = s->pause < STUCK_PAUSE_MAX / 2 ? 2 * s->pause : STUCK_PAUSE_MAX;
        s->at = now + s->pause;
    }
    return s->at;
}

int hob__stuck_result(const struct rt *rt, int rc)
{
    return rc == -ECANCELED && rt->stuck.n_told ? -EDEADLK : rc;
}

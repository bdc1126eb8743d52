/* SPDX-License-Identifier: MIT
 *
 * select.c - hob_select: whichever of several things can happen first
 *
 * WHAT        A select has arms, each with a home loop where it can happen.  The fiber looks at
 *             them, lets them stand in their queues, and parks.  Whoever lets one happen claims
 *             the select for it first (claim.h); all others then come too late.
 *
 * HOW         arms of this loop        look; stand in their queues; are taken off by the winner
 *             arms of another (away)   a message there that looks and stands in the queue, and
 *                                      comes back when the arm has happened or is called off
 *             descriptors              look; an operation at the poller; cancelled
 *             times                    look; the end of the park
 *
 *                 fiber   look, post, stand, park . . . . . . . . decided, call off, all back
 *                 home 2          `- look, stand . . claim, do it -'            |
 *                 home 3          `- look, stand . . . . . . . . . . . . . off -'
 *
 *   Fair: the arms are shuffled.  If one of this loop comes first, all of this loop are looked at,
 *   and no message is sent when one can happen.  If one that is away comes first, all that are away
 *   are asked first, together.  So each arm that can happen is as likely as any other, and there is
 *   at most one round of messages.  Ordered: one after another, each answer waited for.
 *
 *   Everything lies in the caller's frame: nothing is allocated, nothing can fail half-way.
 *
 * INVARIANTS  (I1) exactly one of these happens: one arm; or the end by a cancel, by `until`, or by
 *                  nothing being ready.  Who took the claim does it, in the same breath
 *             (I2) an arm that lost has had no effect, and is in no queue when the call returns
 *             (I3) no call returns while a message, another loop or the poller knows an arm:
 *                  n_out counts them
 *             (I4) the fiber is woken once for each park: waits_for says for what, and is cleared
 *                  by who wakes it
 *             (I5) a cancel takes the claim or is too late.  Too late it is seen by the next call
 *                  that parks; level: it is looked at before every park
 *             (I6) an arm of this loop stands in its queue only if nothing has run since it said
 *                  that it cannot happen: no wake-up is lost between looking and standing
 *
 * THREADS     A select is its loop's own, but for its claim, and for arms that are away: those are
 *             their home's between post and the message's return.
 *
 * REJECTED    Waiting for "may be ready" and then trying (select and epoll do): the place in the
 *               queue is lost, and two selects that meet in a rendezvous wait for each other.
 *             A lock for each channel, taken in order (Go): every send would pay for it.
 *             A fiber for each arm, the first cancels the others: two arms can happen.
 *             Starting at a random arm and going round: who comes after an arm that never happens
 *               gets that one's share too.
 *
 * SEE         docs/design/0015-select.md
 */
#include "sync/select.h"

#include <limits.h>

#include "base/assert.h"
#include "pool/pool.h"
#include "sched/life.h"
#include "sched/loop.h"

static struct arm *arm_nth(struct select *s, uint32_t i)
{
    return arm_of(&s->arms[i]);
}

/* The i-th in the order in which they are looked at. */
static struct arm *arm_ordered(struct select *s, uint32_t i)
{
    return arm_nth(s, arm_nth(s, i)->order);
}

/* --- waking ----------------------------------------------------------------------------------- */

static bool sel_has(const struct select *s, enum sel_wait what)
{
    switch (what) {
    case SEL_NOTHING:
        break;
    case SEL_ANSWERED:
        return s->decided || s->n_unanswered == 0;
    case SEL_DECIDED:
        return s->decided;
    case SEL_BACK:
        return s->n_out == 0;
    }
    return false;
}

void hob__sel_poke(struct select *s)
{
    if (!sel_has(s, s->waits_for))
        return;
    s->waits_for = SEL_NOTHING; /* (I4) */
    hob__ready(s->fiber, s->decided && !s->won ? s->rc : 0);
}

void hob__sel_decide(struct select *s, struct arm *won)
{
    HOB_ASSERT(!s->decided && !claim_is_open(&s->claim)); /* (I1) */
    s->decided = true;
    s->won = won;
    for (uint32_t i = 0; i < s->n; i++) {
        struct arm *a = arm_nth(s, i);
        if (a->kind && !a->away && a->waits) {
            a->waits = false;
            a->kind->leave(a); /* (I2) */
        }
    }
    hob__sel_poke(s);
}

void hob__arm_won(struct arm *a, int rc)
{
    arm_pub(a)->rc = rc;
    if (!a->away) {
        hob__sel_decide(a->sel, a);
        return;
    }
    a->kind->leave(a);
    a->won = true;
    hob__away_done(a);
}

/* --- parking ---------------------------------------------------------------------------------- */

/* No arm happens, unless one has: then false.  (I5) */
static bool sel_give_up(struct select *s, int rc)
{
    if (!claim_take(&s->claim))
        return false;
    s->rc = rc;
    hob__sel_decide(s, NULL);
    return true;
}

/* A cancel, or the end of the time, of the parked fiber. */
static void sel_abort(struct fiber *f)
{
    struct select *s = f->abort_arg;

    if (f->abort_rc != -ETIMEDOUT || !s->alarm) {
        (void)sel_give_up(s, f->abort_rc);
    } else if (claim_take(&s->claim)) {
        arm_pub(s->alarm)->rc = 0;
        hob__sel_decide(s, s->alarm);
    }
}

static void sel_park(struct select *s, enum sel_wait what)
{
    struct fiber *f = s->fiber;

    while (!sel_has(s, what)) {
        if (f->scope->cancelled && sel_give_up(s, -ECANCELED)) {
            (void)hob__cancel_seen(f);
            return;
        }
        s->waits_for = (uint8_t)what;
        f->abort_arg = s;
        f->on = s;
        (void)hob__park_hook(f, HOB_WAIT_SELECT, s->until, sel_abort);
    }
}

/* (I3) */
static void sel_call_off(struct select *s)
{
    for (uint32_t i = 0; i < s->n && s->n_away > 0; i++) {
        struct arm *a = arm_nth(s, i);
        if (a->posted && !a->back)
            hob__away_recall(a);
    }
    while (s->n_out > 0) {
        s->waits_for = SEL_BACK;
        hob__park_shielded(s->fiber, s->n_away > 0 ? HOB_WAIT_REMOTE : HOB_WAIT_CANCEL);
    }
}

/* --- looking ---------------------------------------------------------------------------------- */

/* An arm of this loop.  True: look no further. */
static bool sel_look_at(struct select *s, struct arm *a)
{
    int r = a->kind->try(a);

    if (r == 0)
        hob__sel_decide(s, a);
    return r != ARM_LATER;
}

static bool sel_look(struct select *s)
{
    for (uint32_t i = 0; i < s->n; i++) {
        struct arm *a = arm_ordered(s, i);
        if (a->kind && !a->away && sel_look_at(s, a))
            return true;
    }
    return false;
}

/* Those of this loop; all were looked at, and nothing has run since.  (I6) */
static void sel_stand(struct select *s)
{
    for (uint32_t i = 0; i < s->n; i++) {
        struct arm *a = arm_nth(s, i);
        if (a->kind && !a->away && a->kind->wait) {
            a->waits = true;
            a->kind->wait(a);
        }
    }
}

static void sel_ask_away(struct select *s)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (arm_nth(s, i)->away)
            hob__away_post(arm_nth(s, i));
}

/* True: one has happened, or will have when it is decided. */
static bool sel_fair(struct select *s)
{
    bool away_first = false;

    for (uint32_t i = 0; i < s->n; i++)
        if (arm_ordered(s, i)->kind) {
            away_first = arm_ordered(s, i)->away;
            break;
        }
    if (!away_first && sel_look(s))
        return true;
    if (s->n_away == 0)
        return false;
    s->ask = away_first || !s->may_wait;
    sel_ask_away(s);
    if (!s->ask)
        return false;
    sel_park(s, SEL_ANSWERED);
    return s->decided || (away_first && sel_look(s));
}

static bool sel_ordered(struct select *s)
{
    s->ask = true;
    for (uint32_t i = 0; i < s->n; i++) {
        struct arm *a = arm_nth(s, i);
        if (a->away) {
            hob__away_post(a);
            sel_park(s, SEL_ANSWERED);
        } else if (a->kind && sel_look_at(s, a)) {
            return true;
        }
        if (s->decided)
            return true;
    }
    return s->n_away > 0 && s->may_wait && sel_look(s); /* (I6): others have run */
}

static void sel_run(struct select *s, bool ordered)
{
    if (ordered ? sel_ordered(s) : sel_fair(s)) {
        sel_park(s, SEL_DECIDED);
    } else if (s->may_wait) {
        sel_stand(s);
        sel_park(s, SEL_DECIDED);
    } else if (!sel_give_up(s, -ETIMEDOUT)) {
        sel_park(s, SEL_DECIDED); /* one that is away was faster */
    }
    sel_call_off(s);
}

/* --- the arms --------------------------------------------------------------------------------- */

static int time_try(struct arm *a)
{
    if (arm_pub(a)->time > hob__now())
        return ARM_LATER;
    if (!claim_take(&a->sel->claim))
        return ARM_LOST;
    arm_pub(a)->rc = 0;
    return 0;
}

/* It waits by the end of the park. */
static const struct arm_kind arm_time = {.try = time_try};

static const struct arm_kind *const arm_kinds[] = {
    [HOB_ARM_NONE] = NULL,
    [HOB_ARM_DEFAULT] = NULL,
    [HOB_ARM_RECV] = &hob__arm_recv,
    [HOB_ARM_SEND] = &hob__arm_send,
    [HOB_ARM_TIME] = &arm_time,
    [HOB_ARM_EVENT] = &hob__arm_event,
    [HOB_ARM_IDLE] = &hob__arm_idle,
    [HOB_ARM_READY] = &hob__arm_ready,
    [HOB_ARM_ACCEPT] = &hob__arm_accept,
};

static const struct arm_kind *arm_kind_of(const struct hob_arm *pub)
{
    return pub->kind == HOB_ARM_LISTENER
               ? ((const struct arm_source *)(const void *)pub->listener)->kind
               : arm_kinds[pub->kind];
}

static int arm_init(struct select *s, uint32_t i)
{
    struct hob_arm *pub = &s->arms[i];
    struct arm *a = arm_of(pub);

    if ((unsigned)pub->kind > HOB_ARM_LISTENER)
        return HOB_MISUSE_OF("hob_select", -EINVAL, "an arm of a kind that there is not");
    if (pub->kind == HOB_ARM_LISTENER && !pub->listener) /* which has the kind */
        return HOB_MISUSE_OF("hob_select", -EINVAL, "an arm waits for no listener");
    a->sel = s;
    a->kind = arm_kind_of(pub);
    a->order = i;
    a->home = a->kind && a->kind->home ? a->kind->home(pub) : s->loop;
    if (!a->home)
        return HOB_MISUSE_OF("hob_select", -EINVAL,
                             "an arm waits for what is not there, or not the caller's");
    a->away = a->home != s->loop;
    a->posted = a->back = a->answered = a->waits = a->won = a->done = false;
    s->n_away += a->away;
    if (pub->kind == HOB_ARM_DEFAULT && !s->fallback)
        s->fallback = a;
    if (pub->kind == HOB_ARM_TIME && pub->time <= s->until &&
        (!s->alarm || pub->time < arm_pub(s->alarm)->time))
        s->alarm = a;
    return 0;
}

/* Every order is equally likely. */
static void sel_shuffle(struct select *s)
{
    if (unlikely(s->loop->pick == 0))
        s->loop->pick = (uint32_t)hob__env->random() | 1;
    for (uint32_t i = 1; i < s->n; i++) {
        s->loop->pick = s->loop->pick * 1664525 + 1013904223;
        uint32_t j = (uint32_t)(((uint64_t)s->loop->pick * (i + 1)) >> 32);
        arm_nth(s, i)->order = arm_nth(s, j)->order;
        arm_nth(s, j)->order = i;
    }
}

static int sel_init(struct select *s, bool ordered)
{
    for (uint32_t i = 0; i < s->n; i++) {
        int r = arm_init(s, i);
        if (r < 0)
            return r;
    }
    claim_init(&s->claim, s->n_away > 0);
    if (!ordered)
        sel_shuffle(s);
    s->may_wait = s->until != 0 && !s->fallback;
    if (!s->may_wait)
        s->until = HOB_FOREVER; /* the answers of other loops are waited for */
    else if (s->alarm)
        s->until = arm_pub(s->alarm)->time;
    return 0;
}

static int sel_call(struct hob_arm *arms, size_t n, hob_time until, bool ordered)
{
    struct fiber *f = hob__self();
    struct select s = {.fiber = f, .arms = arms, .n = (uint32_t)n, .until = until};
    int r;

    if (unlikely(!f))
        return hob__pool_on_worker()
                   ? HOB_MISUSE_OF("hob_select", -EDEADLK, "a job of the pool waits")
                   : hob__off_fiber();
    if (unlikely(n > INT_MAX))
        return HOB_MISUSE_OF("hob_select", -EINVAL, "more arms than an int counts");
    if (unlikely(n > 0 && !arms))
        return HOB_MISUSE_OF("hob_select", -EINVAL, "no arms are where they should be");
    if (unlikely((r = hob__check(f))))
        return r;
    s.loop = f->loop;
    if ((r = sel_init(&s, ordered)) < 0)
        return r;
    sel_run(&s, ordered);
    if (!s.won && s.rc == -ETIMEDOUT && s.fallback) {
        s.won = s.fallback;
        arm_pub(s.won)->rc = 0;
    }
    return s.won ? (int)(arm_pub(s.won) - arms) : s.rc;
}

int hob_select(struct hob_arm *arms, size_t n, hob_time until)
{
    return sel_call(arms, n, until, false);
}

int hob_select_ordered(struct hob_arm *arms, size_t n, hob_time until)
{
    return sel_call(arms, n, until, true);
}

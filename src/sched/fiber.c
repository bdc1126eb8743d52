/* SPDX-License-Identifier: MIT
 *
 * fiber.c - tasks become fibers, fibers run, park, wake and end
 *
 * WHAT        The hot path: a fiber that parks or yields takes the next runnable off the ready
 *             queue and switches straight to it; the loop's own context is entered only when the
 *             turn is over or nothing is ready.
 *
 * HOW         A task is a small record.  Only when its turn comes does it get a stack:
 *
 *                 low                                        high
 *                 | guard | ... frames grow down ... | struct fiber |
 *
 *   The fiber's struct is at the top, so a parked fiber is one page.  A fiber that ends and finds
 *   a task next in the queue runs it on its own stack, without a switch: a burst of short tasks
 *   costs one stack.  One that ends and was the last its joiner waited for goes straight to it, if
 *   nobody is before it in the queue, or if a tree of tasks has the turn (ahead.h).  The last few
 *   that ended keep their stacks and what does not change of their structs, and begin again as they
 *   are.  A joiner that waits for one child, which is next, calls it: on the child's stack, with
 *   all that a fiber has, but without a switch there and back.
 *
 * INVARIANTS  (I1) l->current is the fiber whose stack the thread is on, NULL on the loop's own
 *             (I2) a stack is given back, or to another task, only after the switch away from it:
 *                  l->dead holds it until another fiber ends or the turn does; between a fiber's
 *                  going among the idle ones and the switch nobody takes one
 *             (I3) a fiber ends with no group of its own open
 *             (I4) no clock is read, nothing allocated, no indirect call or atomic made between
 *                  two fibers of one loop, except for fibers whose time is accounted
 *             (I5) a fiber that begins stands in no queue, has no timer set, nothing deferred and
 *                  is not accounted: it ended so, and need not be made so
 *             (I6) while l->current is RUN_RUNNING its task and scope live and are its own: a
 *                  signal's handler reads them (watch.c)
 *             (I7) a joiner that has called a child is made ready by nobody: its group has a child
 *                  alive until hob__ctx_call returns
 *
 * REJECTED    Running the child at once in hob_go (Go, Cilk): the parent's next lines would run
 *             after the child's first part, and "never inside this call" is what people expect.
 *             Running it on the joiner's own stack, in the join: the child's stack would be what
 *             its parents have left of theirs.
 *
 * Length: whoever parks, yields, joins or ends has the switch, and what it asks of the queue, in
 * its own body: a jump there and no frame (docs/design/0007).  What is not on that path is in
 * self.c, traced.c, slab.c and ends.c.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include <hob/fiber.h>

#include "base/assert.h"
#include "sched/ahead.h"
#include "sched/blame.h"
#include "sched/fold.h"
#include "sched/life.h"
#include "sched/park.h"
#include "sched/scope.h"

__thread struct loop *hob__loop __attribute__((tls_model("initial-exec")));

enum {
#ifdef HOB_ASAN
    FIBERS_IDLE = 1, /* others go, and what points to their frames is found out */
#else
    FIBERS_IDLE = 16,
#endif
};

/* It may run; it is not in the queue yet. */
static inline void fiber_set_ready(struct loop *l, struct fiber *f)
{
    f->run.state = RUN_READY;
    if (unlikely(fiber_is_watched(l, f)))
        hob__fold_woken(l, f);
}

static inline void fiber_set_running(struct loop *l, struct fiber *f)
{
    bool tell = unlikely(f->run.state == RUN_TELL);

    f->run.state = RUN_RUNNING;
    if (tell)
        hob__fold_ran(l, f);
}

/* A fiber that stands in no queue and has no timer. */
static inline void fiber_ready(struct loop *l, struct fiber *f)
{
    fiber_set_ready(l, f);
    runq_push(&l->ready, &f->run);
}

/* On the group's home: the end of a task that ended on another loop. */
static void task_came_home(struct msg *m)
{
    struct task *t = container_of(m, struct task, msg);
    struct group *g = t->group;
    int rc = t->run.rc;

    if (unlikely(t->run.seen))
        hob__scope_seen(&g->scope);
    if (group_child_ended(g, t, rc))
        fiber_ready(g->home, g->opener);
}

/* On another loop than the group's. */
static HOB_RARE void task_ended_away(struct loop *l, struct task *t, int rc)
{
    struct group *g = t->group;

    t->run.rc = rc;
    t->run.seen = g->parts[l->index].seen;
    t->msg.run = task_came_home;
    hob__loop_post(g->home, &t->msg);
}

/* Returns the fiber that has waited for this end; it is not ready yet.  NULL: none. */
static inline struct fiber *task_ended(struct loop *l, struct task *t, int rc)
{
    struct group *g = t->group;

    if (unlikely(g->home != l)) {
        task_ended_away(l, t, rc);
        return NULL;
    }
    return group_child_ended(g, t, rc) ? g->opener : NULL;
}

/* A task that never began. */
static HOB_RARE void task_refused(struct loop *l, struct task *t, int rc)
{
    struct fiber *joiner;

    if (t->fn == hob__task_reply)
        *t->ask.to = rc;
    joiner = task_ended(l, t, rc);
    if (joiner)
        fiber_ready(l, joiner);
}

static void fiber_timeout(struct timer *t)
{
    hob__interrupt(container_of(t, struct fiber, timer), -ETIMEDOUT);
}

/* Gives a fiber's struct and stack to a task of scope s.  Everything else is as (I5) says. */
static inline void fiber_begin_in(struct loop *l, struct fiber *f, struct task *t, struct scope *s)
{
    f->scope = f->own_scope = s;
    f->task = t;
    list_push(&s->members, &f->member);
    f->trace.name = NULL;
    atomic_signal_fence(memory_order_release); /* (I6) */
    f->run.state = RUN_RUNNING;
    if (trace_watching())
        hob__traced_begin(l, f);
}

static inline void fiber_begin(struct loop *l, struct fiber *f, struct task *t)
{
    struct group *g = t->group;

    fiber_begin_in(l, f, t, likely(g->home == l) ? &g->scope : group_scope_away(g, l));
}

/* Returns who has waited for it, or NULL. */
static inline struct fiber *fiber_end(struct loop *l, struct fiber *f, int rc)
{
    if (unlikely(f->scope != f->own_scope)) /* (I3) */
        hob__left_open(f);
    if (unlikely(trace_accounted(&f->trace)))
        hob__traced_end(l, f);
    list_cut(&f->member);
#ifndef NDEBUG
    if (unlikely(f->told))
        hob__cancel_swallowed(f, rc);
#endif
    f->run.state = RUN_DEAD;
    atomic_signal_fence(memory_order_seq_cst); /* (I6) */
    return task_ended(l, f->task, rc);
}

/* Not the one that runs. */
static void fiber_free(struct loop *l, struct fiber *f)
{
    san_free(&f->san);
    hob__stack_give(&l->stacks, f->stack);
}

void hob__fibers_free(struct loop *l)
{
    struct runnable *r;

    for (r = l->idle; r; r = l->idle) {
        l->idle = r->next;
        fiber_free(l, container_of(r, struct fiber, run));
    }
    l->n_idle = 0;
}

/* To be used again. */
static inline void fiber_idle(struct loop *l, struct fiber *f)
{
    f->run.next = l->idle;
    l->idle = &f->run;
    l->n_idle++;
}

/* Whoever ended last and is not used again is off its stack.  (I2) */
static inline void loop_bury(struct loop *l)
{
    struct fiber *dead = l->dead;

    if (unlikely(dead)) {
        l->dead = NULL;
        fiber_free(l, dead);
    }
}

void (*_Atomic hob__leave_hook)(void);

void hob__leave_watch(void (*hook)(void))
{
    struct loop *l = hob__loop;

    atomic_store_explicit(&hob__leave_hook, hook, memory_order_relaxed);
    if (hook && l && l->left > 1) { /* its next switch goes by turn_goes_on */
        l->chunk -= l->left - 1;
        l->left = 1;
    }
}

/* The fiber that parks or yields, if one does: one that has ended does not. */
static HOB_RARE void leave_tell(struct loop *l)
{
    void (*hook)(void) = atomic_load_explicit(&hob__leave_hook, memory_order_relaxed);

    if (hook && l->current && l->current->run.state != RUN_DEAD)
        hook();
}

/* After TURN_CHECK short runs, then twice as many, or after each long one: may the turn go on? */
static __attribute__((noinline)) bool turn_goes_on(struct loop *l)
{
    hob_time now = 0;
    hob_dur used;
    uint32_t n;

    if (unlikely(hob__life_forked))
        hob__life_run_on();
    if (unlikely(l->tells))
        hob__fold_left(l, now = hob__now());
    if (leave_watched())
        leave_tell(l);
    l->n_run += l->chunk;
    n = l->n_run < l->turn_switches ? l->turn_switches - l->n_run : 0;
    if (n == 0 || (used = (now ? now : hob__now()) - l->turn_start) >= TURN_TIME) {
        l->chunk = 0;
        l->left = 1;
        return false;
    }
    if (l->tells || leave_watched() || used > RUN_LONG * l->n_run)
        n = 1;
    else if (n > 2 * TURN_CHECK)
        n = 2 * TURN_CHECK;
    l->left = l->chunk = n;
    return true;
}

/* The next to run in this turn; NULL: the turn is over, or nothing is ready. */
static inline struct runnable *loop_next(struct loop *l)
{
    struct runnable *r;

    l->fresh = NULL;
    for (;;) {
        if (unlikely(--l->left == 0) && !turn_goes_on(l))
            return NULL;
        while (unlikely(!(r = runq_pop(&l->ready))))
            if (!ahead_more(l))
                return NULL;
        if (likely(r->state != RUN_NEW))
            return r;
        if (unlikely(r == &l->mark)) {
            ahead_over(l);
            l->left++;
            continue;
        }
        struct task *t = container_of(r, struct task, run);
        if (likely(!group_stopped_on(t->group, l)))
            return r;
        task_refused(l, t, -ECANCELED);
    }
}

static void fiber_main(void *arg);

/* A fiber with a stack that nobody has used for one; NULL when there is no memory for it. */
static __attribute__((noinline)) struct fiber *fiber_make(struct loop *l)
{
    char *lo = hob__stack_take(&l->stacks);

    if (unlikely(!lo))
        return NULL;
    size_t usable = hob__stack_usable(&l->stacks);
    struct fiber *f = fiber_at(&l->stacks, lo);
    f->loop = l;
    f->stack = lo;
    f->chan.fiber = f;
    f->chan.remote = NULL;
    f->wait_node = NULL; /* (I5), for a start */
    f->deferred = NULL;
    f->counted = f->told = false;
    f->on_fd = -1;
    f->holder = f->n_holds = 0;
    f->held = NULL;
    memset(f->held_name, 0, sizeof f->held_name);
    f->timer.set = false;
    f->timer.fire = fiber_timeout;
    f->trace.flags = 0;
    f->trace.stamp = f->fold_window = 0;
    san_new(&f->san, lo, usable);
    hob__ctx_make(&f->begin, lo, (size_t)((char *)f - lo), fiber_main, f);
    return f;
}

/* One that has ended, on the stack it has. */
static inline struct fiber *fiber_again(struct loop *l)
{
    struct fiber *f = container_of(l->idle, struct fiber, run);

    l->idle = f->run.next;
    l->n_idle--;
    san_free(&f->san);
    san_stack_take(f->stack, (size_t)((char *)f - (char *)f->stack));
    san_new(&f->san, f->stack, hob__stack_usable(&l->stacks));
    return f;
}

/* A fiber for the task, at its beginning; NULL when there is no memory. */
static inline struct fiber *fiber_new(struct loop *l, struct task *t)
{
    struct fiber *f = likely(l->idle) ? fiber_again(l) : fiber_make(l);

    if (unlikely(!f))
        return NULL;
    fiber_begin(l, f, t);
    f->ctx = f->begin;
    return f;
}

/* The fiber to switch to for `r`; NULL if it was a task that could not get a stack and ended. */
static inline struct fiber *runnable_fiber(struct loop *l, struct runnable *r)
{
    if (likely(r->state != RUN_NEW)) {
        struct fiber *f = container_of(r, struct fiber, run);
        fiber_set_running(l, f);
        return f;
    }
    struct task *t = container_of(r, struct task, run);
    struct fiber *f = fiber_new(l, t);
    if (unlikely(!f))
        task_refused(l, t, -ENOMEM);
    return f;
}

/*
 * NULL: the loop's own context.  Returns what `from` is woken with when somebody switches back.
 * Without sanitizers nothing comes after the switch: it is a jump in its callers, which have no
 * frame then, and returns to who called them.  Figures: docs/design/0007-scheduler.md.
 */
static inline __attribute__((always_inline)) int fiber_switch(struct loop *l, struct fiber *from,
                                                              struct fiber *to)
{
    struct ctx *from_ctx = from ? &from->ctx : &l->ctx, *to_ctx = to ? &to->ctx : &l->ctx;
    struct san *from_san = from ? &from->san : &l->san, *to_san = to ? &to->san : &l->san;
    int rc = to ? to->wake_rc : 0;

    l->current = to; /* (I1) */
    san_leave(from_san, to_san, false);
    rc = hob__ctx_switch(from_ctx, to_ctx, rc);
    san_enter(from_san);
    return rc;
}

/* Away from `f` for good, to a fiber that has begun or to the loop.  Its stack is still in use. */
static inline __attribute__((always_inline, noreturn)) void
fiber_exit(struct loop *l, struct fiber *f, struct fiber *to)
{
    if (likely(l->n_idle < FIBERS_IDLE)) {
        fiber_idle(l, f); /* (I2): only a switch comes before somebody can take it */
    } else {
        loop_bury(l);
        l->dead = f;
    }
    l->current = to; /* (I1) */
    san_leave(&f->san, to ? &to->san : &l->san, true);
    ctx_leave(to ? &to->ctx : &l->ctx, to ? to->wake_rc : 0);
}

static void fiber_main(void *arg)
{
    struct fiber *f = arg;
    struct loop *l = f->loop;

    san_enter(&f->san);
    for (;;) {
        int rc = f->task->fn(f->task->arg);
        if (unlikely(f->deferred))
            rc = hob__fiber_deferred(f, rc);
        struct fiber *joiner = fiber_end(l, f, rc);
        if (joiner) {
            fiber_set_ready(l, joiner);
            /* It would be next, or goes ahead of the others (ahead.h): no queue. */
            if (likely((!l->ready.head || l->ahead_on) && l->left > 1)) {
                l->left--;
                fiber_set_running(l, joiner);
                fiber_exit(l, f, joiner);
            }
            runq_push(&l->ready, &joiner->run);
        }
        struct runnable *r = loop_next(l);
        if (!r || r->state != RUN_NEW)
            fiber_exit(l, f, r ? runnable_fiber(l, r) : NULL);
        fiber_begin(l, f, container_of(r, struct task, run));
    }
}

static __attribute__((noinline)) int fiber_leave_slow(struct loop *l, struct fiber *f)
{
    struct runnable *r;
    struct fiber *next;

    do {
        r = loop_next(l);
        next = r ? runnable_fiber(l, r) : NULL;
    } while (unlikely(r && !next));
    return next == f ? f->wake_rc : fiber_switch(l, f, next);
}

/* `r`, the first in the queue, another fiber that is ready, is next to run; who comes after it
 * there is the caller's affair.  False: it is not for the short way to say who is. */
static inline __attribute__((always_inline)) bool leave_to(struct loop *l, struct runnable *r)
{
    if (unlikely(!r || r->state != RUN_READY || l->left <= 1))
        return false;
    if (l->fresh) /* a look is cheaper than a store */
        l->fresh = NULL;
    l->left--;
    r->state = RUN_RUNNING;
    return true;
}

/* f is parked: runs others until it is f's turn.  Returns what it is woken with. */
static inline __attribute__((always_inline)) int fiber_leave(struct loop *l, struct fiber *f)
{
    struct runnable *r = l->ready.head;

    if (unlikely(!leave_to(l, r)))
        return fiber_leave_slow(l, f);
    runq_pop(&l->ready);
    return fiber_switch(l, f, container_of(r, struct fiber, run));
}

void hob__loop_fibers(struct loop *l)
{
    struct runnable *r;
    struct fiber *next;

    do {
        r = loop_next(l);
        next = r ? runnable_fiber(l, r) : NULL;
    } while (unlikely(r && !next));
    if (next)
        fiber_switch(l, NULL, next);
    loop_bury(l);
}

static inline __attribute__((always_inline)) void fiber_parked(struct fiber *f, enum hob_wait why,
                                                               enum park_kind kind)
{
    HOB_DEBUG_ASSERT(f->loop->current == f);
    f->run.state = RUN_PARKED;
    f->park_kind = (uint8_t)kind;
    f->wait = (uint8_t)why;
    f->since = f->loop->turn_start;
}

static inline __attribute__((always_inline)) int fiber_park(struct fiber *f, enum hob_wait why,
                                                            enum park_kind kind)
{
    fiber_parked(f, why, kind);
    return fiber_leave(f->loop, f);
}

static __attribute__((noinline)) int park_until(struct fiber *f, enum hob_wait why, hob_time until)
{
    hob__timer_set(&f->loop->timers, &f->timer, until);
    return fiber_park(f, why, PARK_PLAIN);
}

int hob__park(struct fiber *f, enum hob_wait why, hob_time until)
{
    if (until != HOB_FOREVER)
        return park_until(f, why, until);
    return fiber_park(f, why, PARK_PLAIN);
}

void hob__park_shielded(struct fiber *f, enum hob_wait why)
{
    fiber_park(f, why, PARK_SHIELD);
}

#ifdef HOB_CTX_CALLS
/* On the called fiber's stack: its task, or what that deferred. */
static int called_task(void *arg)
{
    struct fiber *f = arg;

    san_enter(&f->san);
    return f->task->fn(f->task->arg);
}

static int called_deferred(void *arg)
{
    struct fiber *f = arg;

    san_enter(&f->san);
    return hob__fiber_deferred(f, f->wake_rc);
}

static inline int fiber_call(struct loop *l, struct fiber *from, struct fiber *f,
                             int (*entry)(void *arg), void *arg)
{
    int rc;

    l->fresh = NULL;
    l->current = f; /* (I1) */
    san_leave(&from->san, &f->san, false);
    rc = hob__ctx_call(&from->ctx, &f->begin, entry, arg);
    san_leave(&f->san, &from->san, true); /* only now: a sanitizer counts the frames of either */
    san_enter(&from->san);
    return rc;
}

/* Whether `r`, the first in the queue, is the one child of g that is alive, and may begin now. */
static inline bool join_may_call(const struct loop *l, struct group *g, struct runnable *r)
{
    return r && r->state == RUN_NEW && r != &l->mark &&
           container_of(r, struct task, run)->group == g && g->n_live == 1 && l->left > 1 &&
           l->idle && !g->scope.cancelled;
}

/* A called child has ended, but the joiner's turn has not come. */
static HOB_RARE void join_queue(struct loop *l, struct fiber *f, const struct group *g)
{
    if (!g->joining) { /* else there are others by now: it stays parked */
        fiber_set_ready(l, f);
        runq_push(&l->ready, &f->run);
    }
    fiber_leave_slow(l, f);
}

/*
 * Its joiner calls a child, on the child's own stack: one switch less in and one less out, and
 * every return is predicted.  Should the child park, it is a fiber as any other; nobody makes the
 * joiner ready, which waits for this child too, and the call returns at the child's end.  (I7)
 */
static inline void join_call(struct loop *l, struct fiber *f, struct group *g, struct task *t)
{
    struct fiber *child = fiber_again(l);
    int rc;

    l->left--;
    runq_pop(&l->ready);
    fiber_begin_in(l, child, t, &g->scope);
    rc = SAN_FIBERS ? fiber_call(l, f, child, called_task, child)
                    : fiber_call(l, f, child, t->fn, t->arg);
    if (unlikely(child->deferred)) {
        child->wake_rc = rc;
        rc = fiber_call(l, f, child, called_deferred, child);
    }
    bool mine = fiber_end(l, child, rc) != NULL;
    l->fresh = NULL;
    l->current = f;
    if (likely(l->n_idle < FIBERS_IDLE))
        fiber_idle(l, child);
    else
        fiber_free(l, child);
    if (unlikely(!mine || (l->ready.head && !l->ahead_on) || l->left <= 1 ||
                 fiber_is_watched(l, f))) {
        join_queue(l, f, g);
    } else {
        l->left--; /* the way back counts when it is gone, which may be many turns later */
        f->run.state = RUN_RUNNING;
    }
}
#endif

void hob__park_join(struct fiber *f, struct group *g)
{
    struct loop *l = f->loop;

    if (unlikely(l->fresh && l->fresh != &l->ready.head)) /* else nobody is before them */
        ahead_join(l);
    fiber_parked(f, HOB_WAIT_JOIN, PARK_SHIELD);
#ifdef HOB_CTX_CALLS
    struct runnable *r = l->ready.head;
    if (likely(join_may_call(l, g, r))) {
        join_call(l, f, g, container_of(r, struct task, run));
        return;
    }
#endif
    fiber_leave_slow(l, f);
}

int hob__park_hook(struct fiber *f, enum hob_wait why, hob_time until,
                   void (*abort_op)(struct fiber *f))
{
    bool outside = hob__wait_class(why) != HOB_CLASS_SYNC;
    int rc;

    f->abort = abort_op;
    f->abort_rc = 0;
    f->loop->n_outside += outside;
    if (until != HOB_FOREVER)
        hob__timer_set(&f->loop->timers, &f->timer, until);
    rc = fiber_park(f, why, PARK_HOOK);
    f->loop->n_outside -= outside;
    if (rc == -ECANCELED && f->abort_rc) {
        rc = f->abort_rc;
        if (rc == -ECANCELED)
            hob__cancel_seen(f);
    }
    return rc;
}

void hob__ready_slow(struct loop *l, struct fiber *f)
{
    timer_stop(&l->timers, &f->timer);
    fiber_ready(l, f);
}

void hob__ready(struct fiber *f, int rc)
{
    if (f->wait_node)
        list_del(f->wait_node);
    fiber_wake(f->loop, f, rc);
}

void hob__interrupt(struct fiber *f, int rc)
{
    if (f->run.state != RUN_PARKED || f->park_kind == PARK_SHIELD)
        return;
    if (rc == -ECANCELED && !f->scope->cancelled)
        return; /* it is inside a shielded group */
    if (f->park_kind == PARK_HOOK) {
        if (f->abort_rc == 0) {
            f->abort_rc = rc;
            f->abort(f);
        }
        return;
    }
    if (rc == -ECANCELED)
        hob__cancel_seen(f);
    hob__ready(f, rc);
}

/* Nobody else is ready, or it is the turn's end, or the next to run is to be told or made. */
static __attribute__((noinline)) int yield_slow(struct loop *l, struct fiber *f)
{
    runq_push(&l->ready, &f->run);
    return fiber_leave_slow(l, f);
}

static inline int fiber_yield(struct loop *l, struct fiber *f)
{
    struct runnable *r = l->ready.head;

    f->run.state = RUN_READY; /* RUN_TELL too, where that is wanted: the next to run sees to it */
    f->wake_rc = 0;
    if (unlikely(!leave_to(l, r)))
        return yield_slow(l, f);
    runq_rotate(&l->ready, &f->run);
    return fiber_switch(l, f, container_of(r, struct fiber, run));
}

int hob_yield(void)
{
    struct loop *l = hob__loop;
    struct fiber *f = l ? l->current : NULL;

    if (unlikely(!f))
        return hob__off_fiber();
    if (unlikely(f->scope->cancelled))
        return hob__cancel_seen(f);
    return fiber_yield(l, f);
}

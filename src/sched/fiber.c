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
 *   costs one stack.
 *
 * INVARIANTS  (I1) l->current is the fiber whose stack the thread is on, NULL on the loop's own
 *             (I2) a stack is given back only after the switch away from it: l->dead holds it
 *                  until whoever runs next has landed
 *             (I3) a fiber ends with no group of its own open
 *             (I4) no clock is read, nothing allocated, no indirect call or atomic made between
 *                  two fibers of one loop, except for fibers whose time is accounted
 *
 * REJECTED    Running the child at once in hob_go (Go, Cilk): the parent's next lines would run
 *             after the child's first part, and "never inside this call" is what people expect.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <hob/fiber.h>

#include "base/assert.h"
#include "sched/park.h"
#include "sched/scope.h"

__thread struct loop *hob__loop __attribute__((tls_model("initial-exec")));

enum { TASKS_A_SLAB = 63 };

struct task_slab {
    struct task_slab *next;
    struct task task[TASKS_A_SLAB];
};

static _Atomic(uint64_t) fiber_ids;

static bool task_refill(struct loop *l)
{
    struct task_slab *s = malloc(sizeof *s);

    if (!s)
        return false;
    s->next = l->slabs;
    l->slabs = s;
    for (int i = TASKS_A_SLAB - 1; i >= 0; i--)
        hob__task_free(l, &s->task[i]);
    return true;
}

struct task *hob__task_new(struct loop *l, hob_fn fn, void *arg, struct group *g)
{
    struct task *t;

    if (unlikely(!l->free_tasks) && !task_refill(l))
        return NULL;
    t = container_of(l->free_tasks, struct task, run);
    l->free_tasks = t->run.next;
    t->run.state = RUN_NEW;
    t->fn = fn;
    t->arg = arg;
    t->group = g;
    return t;
}

/* On any loop: tasks that moved are freed where they are, the slabs stay with who made them. */
void hob__task_free(struct loop *l, struct task *t)
{
    t->run.next = l->free_tasks;
    l->free_tasks = &t->run;
}

void hob__task_slabs_free(struct loop *l)
{
    struct task_slab *s, *next;

    for (s = l->slabs; s; s = next) {
        next = s->next;
        free(s);
    }
    l->slabs = NULL;
    l->free_tasks = NULL;
}

/* On the group's home: the end of a task that ended on another loop. */
static void task_came_home(struct msg *m)
{
    struct task *t = container_of(m, struct task, msg);
    struct group *g = t->group;
    int rc = t->rc;

    if (unlikely(t->seen))
        hob__scope_seen(&g->scope);
    hob__task_free(hob__loop, t);
    hob__group_child_ended(g, rc);
}

static void task_ended(struct loop *l, struct task *t, int rc)
{
    struct group *g = t->group;

    if (likely(g->home == l)) {
        hob__task_free(l, t);
        hob__group_child_ended(g, rc);
        return;
    }
    t->rc = rc;
    t->seen = g->parts[l->index].seen;
    t->msg.run = task_came_home;
    hob__loop_post(g->home, &t->msg);
}

static void fiber_timeout(struct timer *t)
{
    hob__interrupt(container_of(t, struct fiber, timer), -ETIMEDOUT);
}

/* Gives a fiber's struct and stack to a task. */
static void fiber_begin(struct loop *l, struct fiber *f, struct task *t)
{
    struct scope *s = group_scope_on(t->group, l);

    f->run.state = RUN_RUNNING;
    f->scope = f->own_scope = s;
    f->task = t;
    f->abort_rc = 0;
    list_push(&s->members, &f->member);
    f->wait_node = NULL;
    f->timer.set = false;
    f->trace.flags = 0;
    f->trace.name = NULL;
    if (trace_recording()) {
        trace_task_init(&f->trace,
                        atomic_fetch_add_explicit(&fiber_ids, 1, memory_order_relaxed) + 1,
                        t->group->name, NULL);
        hob_time now = hob__now();
        trace_ready(&f->trace, now); /* says its name */
        trace_run(&f->trace, now);
    }
}

static void fiber_end(struct loop *l, struct fiber *f, int rc)
{
    HOB_ASSERT(f->scope == f->own_scope); /* (I3) */
    if (unlikely(trace_accounted(&f->trace)))
        trace_end(&f->trace, hob__now());
    list_del(&f->member);
    f->run.state = RUN_DEAD;
    task_ended(l, f->task, rc);
}

/* First thing after every switch, on the context switched to.  (I2) */
static inline void loop_landed(struct loop *l)
{
    struct fiber *dead = l->dead;

    if (unlikely(dead)) {
        l->dead = NULL;
        l->n_fibers--;
        san_free(&dead->san);
        hob__stack_give(&l->stacks, dead->stack);
    }
}

/* After TURN_CHECK short runs, then twice as many, or after each long one: may the turn go on? */
static bool __attribute__((noinline)) turn_goes_on(struct loop *l)
{
    hob_dur used;
    uint32_t n;

    l->n_run += l->chunk;
    n = l->n_run < l->turn_switches ? l->turn_switches - l->n_run : 0;
    if (n == 0 || (used = hob__now() - l->turn_start) >= TURN_TIME) {
        l->chunk = 0;
        l->left = 1;
        return false;
    }
    if (used > RUN_LONG * l->n_run)
        n = 1;
    else if (n > 2 * TURN_CHECK)
        n = 2 * TURN_CHECK;
    l->left = l->chunk = n;
    return true;
}

/* The next to run in this turn; NULL: the turn is over, or nothing is ready. */
struct runnable *hob__loop_next(struct loop *l)
{
    struct runnable *r;

    for (;;) {
        if (unlikely(--l->left == 0) && !turn_goes_on(l))
            return NULL;
        r = runq_pop(&l->ready);
        if (!r || likely(r->state != RUN_NEW))
            return r;
        struct task *t = container_of(r, struct task, run);
        if (likely(!group_stopped_on(t->group, l)))
            return r;
        task_ended(l, t, -ECANCELED);
    }
}

static void fiber_main(void *arg);

/* A fiber with a stack of its own for the task; NULL when there is no memory for one. */
static struct fiber *fiber_new(struct loop *l, struct task *t)
{
    char *lo = hob__stack_take(&l->stacks);

    if (unlikely(!lo))
        return NULL;
    size_t usable = hob__stack_usable(&l->stacks);
    struct fiber *f = (struct fiber *)((uintptr_t)(lo + usable - sizeof *f) & ~(uintptr_t)63);
    f->loop = l;
    f->stack = lo;
    f->timer.fire = fiber_timeout;
    l->n_fibers++;
    fiber_begin(l, f, t);
    san_new(&f->san, lo, usable);
    hob__ctx_make(&f->ctx, lo, (size_t)((char *)f - lo), fiber_main, f);
    return f;
}

/* The fiber to switch to for `r`; NULL if it was a task that could not get a stack and ended. */
static inline struct fiber *runnable_fiber(struct loop *l, struct runnable *r)
{
    if (likely(r->state == RUN_READY)) {
        struct fiber *f = container_of(r, struct fiber, run);
        r->state = RUN_RUNNING;
        if (unlikely(trace_accounted(&f->trace)))
            trace_run(&f->trace, hob__now());
        return f;
    }
    struct task *t = container_of(r, struct task, run);
    struct fiber *f = fiber_new(l, t);
    if (unlikely(!f))
        task_ended(l, t, -ENOMEM);
    return f;
}

/*
 * The one place that switches.  NULL: the loop's own context.  Every return from here on is
 * predicted if there is one call of hob__ctx_switch and a fiber comes to it by jumps alone: hence
 * the tail calls, and no second place.  Figures: docs/design/0007-scheduler.md.
 */
static __attribute__((noinline)) void fiber_switch(struct loop *l, struct fiber *from,
                                                   struct fiber *to)
{
    struct ctx *from_ctx = from ? &from->ctx : &l->ctx, *to_ctx = to ? &to->ctx : &l->ctx;
    struct san *from_san = from ? &from->san : &l->san, *to_san = to ? &to->san : &l->san;

    l->n_switches++;
    l->current = to; /* (I1) */
    san_leave(from_san, to_san, l->dead != NULL);
    hob__ctx_switch(from_ctx, to_ctx);
    san_enter(from_san);
    loop_landed(l);
}

/* Away from `f` for good. */
static void fiber_exit(struct loop *l, struct fiber *f, struct runnable *r)
{
    struct fiber *next = NULL;

    while (r && !(next = runnable_fiber(l, r)))
        r = hob__loop_next(l);
    l->dead = f;
    fiber_switch(l, f, next); /* nobody switches to a dead fiber: it does not return */
}

static void fiber_main(void *arg)
{
    struct fiber *f = arg;
    struct loop *l = f->loop;

    san_enter(&f->san);
    loop_landed(l);
    for (;;) {
        struct task *t = f->task;
        fiber_end(l, f, t->fn(t->arg));
        struct runnable *r = hob__loop_next(l);
        if (!r || r->state != RUN_NEW) {
            fiber_exit(l, f, r);
            return;
        }
        fiber_begin(l, f, container_of(r, struct task, run));
    }
}

#ifndef NDEBUG
void (*hob__leave_hook)(void);
#endif

void hob__fiber_leave(struct loop *l, struct fiber *f)
{
    struct runnable *r;
    struct fiber *next;

#ifndef NDEBUG
    if (hob__leave_hook)
        hob__leave_hook();
#endif
    do {
        r = hob__loop_next(l);
        next = r ? runnable_fiber(l, r) : NULL;
    } while (unlikely(r && !next));
    if (next != f)
        fiber_switch(l, f, next);
}

void hob__fiber_enter(struct loop *l, struct runnable *r)
{
    struct fiber *next = NULL;

    while (r && !(next = runnable_fiber(l, r)))
        r = hob__loop_next(l);
    if (next)
        fiber_switch(l, NULL, next);
}

static inline int fiber_park(struct fiber *f, enum hob_wait why, enum park_kind kind)
{
    struct loop *l = f->loop;

    HOB_DEBUG_ASSERT(l->current == f);
    f->run.state = RUN_PARKED;
    f->park_kind = (uint8_t)kind;
    f->wait = (uint8_t)why;
    if (unlikely(trace_accounted(&f->trace)))
        trace_park(&f->trace, why, hob__now());
    hob__fiber_leave(l, f);
    return f->wake_rc;
}

int hob__park(struct fiber *f, enum hob_wait why, hob_time until)
{
    if (until != HOB_FOREVER)
        hob__timer_set(&f->loop->timers, &f->timer, until);
    return fiber_park(f, why, PARK_PLAIN);
}

int hob__park_shielded(struct fiber *f, enum hob_wait why)
{
    return fiber_park(f, why, PARK_SHIELD);
}

int hob__park_hook(struct fiber *f, enum hob_wait why, hob_time until,
                   void (*abort_op)(struct fiber *f))
{
    int rc;

    f->abort = abort_op;
    f->abort_rc = 0;
    if (until != HOB_FOREVER)
        hob__timer_set(&f->loop->timers, &f->timer, until);
    rc = fiber_park(f, why, PARK_HOOK);
    if (rc == -ECANCELED && f->abort_rc) {
        rc = f->abort_rc;
        if (rc == -ECANCELED)
            hob__cancel_seen(f);
    }
    return rc;
}

void hob__ready(struct fiber *f, int rc)
{
    struct loop *l = f->loop;

    HOB_DEBUG_ASSERT(l == hob__loop && f->run.state == RUN_PARKED);
    f->run.state = RUN_READY;
    f->wake_rc = rc;
    if (f->wait_node) {
        list_del(f->wait_node);
        f->wait_node = NULL;
    }
    timer_stop(&l->timers, &f->timer);
    if (unlikely(trace_accounted(&f->trace)))
        trace_ready(&f->trace, hob__now());
    runq_push(&l->ready, &f->run);
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

void hob__fiber_stage(struct fiber *f, struct trace_stage *stage)
{
    hob_time now = hob__now();

    if (trace_accounted(&f->trace))
        trace_end(&f->trace, now);
    trace_task_init(&f->trace, atomic_fetch_add_explicit(&fiber_ids, 1, memory_order_relaxed) + 1,
                    stage ? stage->name : f->own_scope->group->name, stage);
    if (trace_accounted(&f->trace)) {
        trace_ready(&f->trace, now);
        trace_run(&f->trace, now);
    }
}

int hob_yield(void)
{
    struct fiber *f = hob__self();
    int r;

    if (unlikely(!f))
        return -EPERM;
    if (unlikely((r = hob__check(f))))
        return r;
    f->run.state = RUN_READY;
    if (unlikely(trace_accounted(&f->trace)))
        trace_ready(&f->trace, hob__now());
    runq_push(&f->loop->ready, &f->run);
    hob__fiber_leave(f->loop, f);
    return 0;
}

int hob_sleep_until(hob_time until)
{
    struct fiber *f = hob__self();
    int r;

    if (unlikely(!f))
        return hob__thread_sleep(until);
    if (unlikely((r = hob__check(f))))
        return r;
    if (until <= hob__now())
        return hob_yield();
    r = hob__park(f, HOB_WAIT_SLEEP, until);
    return r == -ETIMEDOUT ? 0 : r;
}

int hob_sleep(hob_dur d)
{
    return hob_sleep_until(hob_in(d));
}

int hob_check(void)
{
    struct fiber *f = hob__self();

    return f ? hob__check(f) : -EPERM;
}

bool hob_on_fiber(void)
{
    return hob__self() != NULL;
}

int hob_loop_index(void)
{
    return hob__loop ? (int)hob__loop->index : -1;
}

const char *hob__fiber_name_at(const struct loop *l, const void *lo)
{
    const struct fiber *f = l->current;

    if (!f || f->stack != lo) /* nobody's: a wild pointer hit it */
        return "?";
    if (f->trace.name)
        return f->trace.name;
    return f->task->group->name ? f->task->group->name : "(no name)";
}

void hob_fiber_name(const char *name)
{
    struct fiber *f = hob__self();

    if (f)
        f->trace.name = name;
}

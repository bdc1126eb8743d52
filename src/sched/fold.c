/* SPDX-License-Identifier: MIT
 *
 * fold.c - many short runs are told together, so that a trace costs a loop a few per cent
 *
 * WHAT        A budget in time: a sixtieth of what the loop's turns take.  A turn whose switches it
 * can pay for is told exactly.  Else a window opens, in which a fiber is noted once and no clock is
 * read; it closes when there is budget for a turn again.
 *
 * HOW         turns   | exact |      folded: one window       | exact |    folded   ...
 *                             ^ start                         ^ close
 *   In the window it is only known who ran.  At its end each of those n is charged as if it had
 *   run once, for one n-th of the window:
 *
 *                     start                                   now
 *         A           |--run--|          then as it is now: ready, or parked for this or that
 *         B           |  as it was  |--run--|
 *         C           |  as it was          |--run--|
 *
 *   So nothing is lost: a task's sums are its life, the loop's are the window, the runs are as many
 *   as there were.  What is not known within a window is who of those n had more of it and what
 *   each of its short waits was for.  A window is a millisecond or two, or one run if that is
 * longer: after it there is budget for thousands of exact switches, so that a fiber that holds its
 * loop again and again is seen by name.  The recording gets the n parts as runs, and one event more
 *   that says how many runs they stand for.
 *
 *   A fiber that begins, ends or changes its name closes the window before: those are told when
 *   they happen, always.  So does a loop that goes to sleep: long waits are exact.
 *
 * INVARIANTS  (I1) while no window is open, every accounted fiber's trace state is its run state,
 * and RUN_TELL if it is ready; in a window all that have not run in it (I2) a fiber in the list has
 * not ended (I3) the simulator is always exact: its clock has nothing to do with cost
 *
 * REJECTED    Reading the time stamp counter at each switch: with the read alone a yield takes
 * twice as long.  Telling one turn in so many and nothing else: a task that ends between two such
 * turns would have no time at all, and sums would be estimates everywhere. Stamps from a timer
 * signal: they interrupt the program's system calls.
 *
 * SEE         account.h, docs/design/0006-trace.md (figures).
 */
#include "sched/fold.h"

enum { BUDGET_PART = 64, NOTED_MAX = 512 /* so that closing never takes long */ };
#define CREDIT_MAX HOB_MS /* a loop's first ms of telling is free: short programs are exact */
#define LOOK_MAX   (200 * HOB_US) /* an open window is asked about once in so long, not each turn */

void hob__fold_init(struct loop *l)
{
    l->fold.credit = CREDIT_MAX;
}

static hob_dur fold_switch(void)
{
    return trace_recording() ? FOLD_RECORDED : FOLD_SWITCH;
}

static uint64_t fold_runs(const struct loop *l)
{
    return l->fold.n_past + loop_turn_runs(l);
}

static void fold_credit(struct fold *w, hob_dur more)
{
    w->credit += more;
    if (w->credit > CREDIT_MAX)
        w->credit = CREDIT_MAX;
    if (w->credit < -CREDIT_MAX)
        w->credit = -CREDIT_MAX;
}

static void fold_open(struct loop *l, hob_time now)
{
    struct fold *w = &l->fold;

    w->first = NULL;
    w->last = &w->first;
    w->n_noted = w->n_ran = 0;
    w->start = now;
    w->n_before = fold_runs(l);
    w->look = now + LOOK_MAX;
    l->stamp = ++w->window + 1;
}

/* It ran in the window, or was made ready in it. */
static void fold_note(struct loop *l, struct fiber *f, bool ran)
{
    struct fold *w = &l->fold;

    if (f->trace.stamp == l->stamp)
        return;
    if (f->fold_window != l->stamp) {
        f->fold_window = l->stamp;
        f->fold_next = NULL;
        *w->last = f;
        w->last = &f->fold_next;
        w->n_noted++;
    }
    if (ran) {
        f->trace.stamp = l->stamp;
        w->n_ran++;
    }
}

/* Its state is told; ready, it is to be told when it runs. */
static void fold_state(struct fiber *f, hob_time now)
{
    switch ((enum run_state)f->run.state) {
    case RUN_READY:
    case RUN_TELL:
        f->run.state = RUN_TELL; /* (I1) */
        trace_ready(&f->trace, now);
        break;
    case RUN_PARKED:
        trace_park(&f->trace, (enum hob_wait)f->wait, now);
        break;
    case RUN_RUNNING:
        trace_run(&f->trace, now);
        break;
    case RUN_NEW:
    case RUN_DEAD:
        HOB_ASSERT(!"a fiber that has not begun or has ended"); /* (I2) */
    }
}

void hob__fold_woken(struct loop *l, struct fiber *f)
{
    if (!trace_accounted(&f->trace)) {
        f->trace.stamp = l->stamp;
    } else if (!l->stamp) {
        fold_state(f, hob__now());
    } else {
        f->run.state = RUN_TELL;
        fold_note(l, f, false);
    }
}

void hob__fold_left(struct loop *l, hob_time now)
{
    struct fiber *f = l->current;

    if (f && trace_accounted(&f->trace) && f->trace.state == TRACE_RUNNING)
        fold_state(f, now);
    l->fold.left = now;
}

/* The part of the window that is a fiber's which ran in it. */
struct fold_part {
    hob_time start;
    hob_dur len;     /* of the window */
    uint64_t n_runs; /* in it, by all */
    uint32_t k, n;   /* the k-th of n parts */
};

static hob_time part_edge(const struct fold_part *p, uint32_t k)
{
    return p->start + p->len * k / p->n;
}

static void part_charge(struct fold_part *p, struct fiber *f)
{
    uint64_t n_runs = p->n_runs * (p->k + 1) / p->n - p->n_runs * p->k / p->n;
    hob_time end = part_edge(p, p->k + 1);

    hob__task_ran(&f->trace, part_edge(p, p->k), end, (uint32_t)n_runs);
    p->k++;
    if (f->run.state != RUN_RUNNING)
        fold_state(f, end);
}

static void fold_close(struct loop *l, hob_time now)
{
    struct fold *w = &l->fold;
    struct fold_part p = {.start = w->start,
                          .len = now > w->start ? now - w->start : 0,
                          .n_runs = fold_runs(l) - w->n_before,
                          .n = w->n_ran};
    struct fiber *running = NULL;

    if (p.n_runs < p.n)
        p.n_runs = p.n;
    for (struct fiber *f = w->first; f; f = f->fold_next) {
        if (f->trace.stamp != l->stamp)
            fold_state(f, p.start + p.len / 2); /* it was only made ready */
        else if (f->run.state == RUN_RUNNING)
            running = f; /* and goes on: last */
        else
            part_charge(&p, f);
    }
    if (running)
        part_charge(&p, running);
    if (p.n && trace_recording())
        hob__trace_emit(TRACE_EV_FOLD, now, (uint64_t)p.len, 0,
                        p.n_runs < UINT32_MAX ? (uint32_t)p.n_runs : UINT32_MAX);
    fold_credit(w, -fold_switch() * w->n_noted);
    w->look = 0;
    l->stamp = 0; /* (I1) */
}

/* From here on each switch of this turn is told. */
static void fold_exact(struct loop *l)
{
    l->tells = true;
    l->fold.left = 0;
    l->n_run = loop_turn_runs(l) - 1;
    l->chunk = l->left = 1;
}

bool hob__fold_break(struct loop *l, hob_time now)
{
    bool folded = l->stamp;

    if (folded)
        fold_close(l, now);
    return folded;
}

void hob__fold_resume(struct loop *l, struct fiber *f, hob_time now, bool folded)
{
    fold_credit(&l->fold, -fold_switch());
    if (l->n_accounted == 0) {
        l->tells = false;
    } else if (folded) {
        fold_open(l, now);
        if (f && trace_accounted(&f->trace))
            fold_note(l, f, true);
    } else if (!l->tells) {
        fold_exact(l);
    }
}

void hob__fold_ran(struct loop *l, struct fiber *f)
{
    if (!l->stamp) {
        trace_run(&f->trace, l->fold.left ? l->fold.left : hob__now());
        l->fold.left = 0;
        return;
    }
    fold_note(l, f, true);
    if (l->fold.n_noted >= NOTED_MAX) {
        hob_time now = hob__now();

        fold_close(l, now);
        hob__fold_resume(l, f, now, true);
    }
}

void hob__fold_turn(struct loop *l, uint32_t n_runs)
{
    struct fold *w = &l->fold;
    hob_time now = l->turn_start;
    hob_dur cost = n_runs * fold_switch(); /* of a turn like the last */

    /* A loop that slept has made system calls, which cost far more than one switch. */
    fold_credit(w,
                (w->seen ? (now - w->seen) / BUDGET_PART : fold_switch()) - (l->tells ? cost : 0));
    w->seen = now;
    w->left = 0;
    w->look = now + LOOK_MAX;
    l->tells = w->credit >= cost || hob__env->sim; /* (I3) */
    if (l->tells && l->stamp)
        fold_close(l, now);
    else if (!l->tells && !l->stamp)
        fold_open(l, now);
    if (l->tells)
        w->look = 0;
}

void hob__fold_sleep(struct loop *l, hob_time now)
{
    struct fold *w = &l->fold;

    if (l->stamp)
        fold_close(l, now);
    if (w->seen)
        fold_credit(w, (now - w->seen) / BUDGET_PART);
    w->seen = 0;
}

/* For hob_trace_stop on a fiber: what is in the window belongs to the recording. */
static void fold_settle(void)
{
    struct loop *l = hob__loop;

    if (l && l->stamp) {
        fold_close(l, hob__now());
        fold_exact(l);
    }
}

/* Before main, and so before anybody asks. */
static __attribute__((constructor)) void fold_link(void)
{
    hob__trace_settle = fold_settle;
}

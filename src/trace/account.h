/* SPDX-License-Identifier: MIT
 *
 * account.h - where the time of one task went, and of all tasks of one stage
 *
 * WHAT        A record that fibers and jobs embed.  This file knows neither: whoever schedules
 *             the task says when it runs, parks, is ready and ends, and what time it is.
 *
 * HOW         init -> ready -> run -> park -> ready -> run -> end
 *                       '----<- preempted: ready <-----'
 *   Each call closes the interval since the last one and charges it to the state the task was
 *   in: run_ns, ready_ns, or wait_ns of the reason's class.  So at any moment
 *
 * INVARIANTS  (I1) run_ns + ready_ns + sum of wait_ns = since - time of the first call
 *             (I2) a clock that goes backwards (another core's, a new simulation) charges 0
 *
 * THREADS     A task's record belongs to the thread that runs the task, or that takes it off a
 *   queue: the scheduler's own hand-over orders the accesses.  A stage's sums are added to by
 *   any thread, with relaxed atomics, once a task (trace_flush), never once a switch.
 *
 * While a recording is on (ring.h), each call also writes one event to the thread's queue.
 *
 * The scheduler tests trace_accounted() and calls nothing else when it is false: a clock read
 * costs as much as several switches.
 */
#ifndef HOB_TRACE_ACCOUNT_H
#define HOB_TRACE_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "trace/ring.h"
#include "trace/wait.h"

enum trace_state { TRACE_NEW, TRACE_READY, TRACE_RUNNING, TRACE_PARKED, TRACE_ENDED };

enum trace_flags {
    TRACE_ACCOUNTED = 1, /* its time is measured */
};

/* The sums of every task of one stage.  All fields below `id` are relaxed atomics. */
struct trace_stage {
    const char *name; /* outlives the stage's tasks */
    uint32_t id;      /* not 0; what events call it by */
    uint32_t told;    /* the recording that knows its name */
    uint64_t n_tasks; /* tasks that ended */
    uint64_t n_runs;
    int64_t run_ns, ready_ns, wait_ns[HOB_N_CLASSES];
    int64_t longest_run_ns;
    int64_t first, last; /* hob_time of the first charge's start and the last one's end; 0: none */
};

struct trace_task {
    uint64_t id;               /* unique in the process; 0 is nobody */
    const char *name;          /* NULL, or outlives the task */
    struct trace_stage *stage; /* NULL: its time is nobody's sum */
    int64_t since;             /* hob_time of the last change of state */
    int64_t run_ns, ready_ns, wait_ns[HOB_N_CLASSES];
    int64_t longest_run_ns;
    uint32_t n_runs;
    uint8_t flags; /* enum trace_flags */
    uint8_t state; /* enum trace_state */
    uint8_t wait;  /* enum hob_wait, while parked */
};

void hob__stage_init(struct trace_stage *s, const char *name);

/* Adds what the task gathered to its stage and starts it again from zero: after each item of a
 * task that lives for many.  Without a stage, nothing. */
void hob__task_flush(struct trace_task *t);

/* The times of a stage so far; leaves kind, width and the items to the caller. */
void hob__stage_stats(const struct trace_stage *s, struct hob_stage_stats *ret);

/* Whether a recording is on, and which; sink.c sets both. */
extern bool hob__trace_on;
extern uint32_t hob__trace_session;

/* Tells the recording of a task that is new to it: its stage and name.  Only while recording. */
void hob__task_tell(struct trace_task *t, int64_t now);

static inline bool trace_recording(void)
{
    return unlikely(__atomic_load_n(&hob__trace_on, __ATOMIC_RELAXED));
}

/* No clock read.  Accounted when it has a stage or when a recording is on. */
static inline void trace_task_init(struct trace_task *t, uint64_t id, const char *name,
                                   struct trace_stage *stage)
{
    *t = (struct trace_task){.id = id, .name = name, .stage = stage};
    if (stage || trace_recording())
        t->flags = TRACE_ACCOUNTED;
}

static inline bool trace_accounted(const struct trace_task *t)
{
    return t->flags & TRACE_ACCOUNTED;
}

/* Charges the time since the last change to the state that ends now. */
static inline void trace_charge(struct trace_task *t, int64_t now)
{
    int64_t d = now > t->since ? now - t->since : 0; /* (I2) */

    switch ((enum trace_state)t->state) {
    case TRACE_RUNNING:
        t->run_ns += d;
        if (d > t->longest_run_ns)
            t->longest_run_ns = d;
        break;
    case TRACE_READY:
        t->ready_ns += d;
        break;
    case TRACE_PARKED:
        t->wait_ns[hob__wait_class((enum hob_wait)t->wait)] += d;
        break;
    case TRACE_NEW:
    case TRACE_ENDED:
        break;
    }
    if (d > 0 || t->state == TRACE_NEW)
        t->since = now;
}

/* It may run now: spawned, woken, or put back by a turn that was over. */
static inline void trace_ready(struct trace_task *t, int64_t now)
{
    if (trace_recording()) {
        if (t->state == TRACE_NEW)
            hob__task_tell(t, now);
        hob__trace_emit(TRACE_EV_READY, now, t->id, 0, 0);
    }
    trace_charge(t, now);
    t->state = TRACE_READY;
}

/* It runs now, on the calling thread. */
static inline void trace_run(struct trace_task *t, int64_t now)
{
    if (trace_recording())
        hob__trace_emit(TRACE_EV_RUN, now, t->id, 0, 0);
    trace_charge(t, now);
    t->state = TRACE_RUNNING;
    t->n_runs++;
}

/* It stops running until something happens.  Called by the thread that ran it. */
static inline void trace_park(struct trace_task *t, enum hob_wait wait, int64_t now)
{
    if (trace_recording())
        hob__trace_emit(TRACE_EV_PARK, now, t->id, wait, 0);
    trace_charge(t, now);
    t->state = TRACE_PARKED;
    t->wait = (uint8_t)wait;
}

/* It will not run again; its stage has its sums. */
static inline void trace_end(struct trace_task *t, int64_t now)
{
    if (trace_recording())
        hob__trace_emit(TRACE_EV_END, now, t->id, 0, 0);
    trace_charge(t, now);
    t->state = TRACE_ENDED;
    hob__task_flush(t);
}

#endif

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

/* What the process has on: bits of hob__trace_on. */
enum trace_modes {
    TRACE_RECORD = 1, /* events go to a recording */
    TRACE_ADVISE = 2, /* times are summed by name, for what is printed at exit (advise.h) */
    TRACE_TOP = 4,    /* tasks are counted by name and state, for who looks from outside */
    TRACE_STACKS = 8, /* how deep stacks get is measured: sched/marks.h */
};

/* A run this long holds up everybody else on its loop. */
#define TRACE_LONG (10 * HOB_MS)

/* How many tasks of one name are in which state now; relaxed atomics. */
struct trace_live {
    int32_t ready, running;
    int32_t parked[HOB_N_WAITS];
};

/* The sums of every task of one stage.  All fields below `id` are relaxed atomics. */
struct trace_stage {
    const char *name;        /* outlives the stage's tasks */
    uint32_t id;             /* not 0; what events call it by */
    uint32_t told;           /* the recording that knows its name */
    struct trace_live *live; /* NULL unless TRACE_TOP */
    uint64_t n_tasks;        /* tasks that ended */
    uint64_t n_runs;
    int64_t run_ns, ready_ns, wait_ns[HOB_N_CLASSES];
    int64_t longest_run_ns;
    int64_t join_ns, offload_ns; /* of wait_ns: for tasks that are accounted themselves */
    uint64_t n_long;             /* runs of TRACE_LONG and more */
    int64_t first, last; /* hob_time of the first charge's start and the last one's end; 0: none */
};

struct trace_task {
    uint64_t id;               /* unique in the process; 0 is nobody */
    const char *name;          /* NULL, or outlives the task */
    struct trace_stage *stage; /* NULL: its time is nobody's sum */
    int64_t since;             /* hob_time of the last change of state */
    int64_t run_ns, ready_ns, wait_ns[HOB_N_CLASSES];
    int64_t longest_run_ns;
    int64_t join_ns, offload_ns;
    uint32_t n_runs, n_long;
    uint8_t flags;  /* enum trace_flags */
    uint8_t state;  /* enum trace_state */
    uint8_t wait;   /* enum hob_wait, while parked */
    uint64_t stamp; /* whoever schedules it: sched/fold.h; 0: not accounted, 1 at first if it is */
};

void hob__stage_init(struct trace_stage *s, const char *name);

/* Adds what the task gathered to its stage and starts it again from zero: after each item of a
 * task that lives for many.  Without a stage, nothing. */
void hob__task_flush(struct trace_task *t);

/* The times of a stage so far; leaves kind, width and the items to the caller. */
void hob__stage_stats(const struct trace_stage *s, struct hob_stage_stats *ret);

/* enum trace_modes, and the number of the recording. */
extern unsigned hob__trace_on;
extern uint32_t hob__trace_session;

/* A job of the pool that belongs to no flow: a task for as long as it runs.  Only while
 * trace_watching(); 0 as ready_at: it did not stand in line. */
void hob__job_begin(struct trace_task *t, const char *name, int64_t ready_at);
void hob__job_end(struct trace_task *t);

/* A running task has another name from now on; what it did under the old one is summed there. */
void hob__task_renamed(struct trace_task *t, int64_t now);

/* Tells the recording of a task that is new to it: its stage and name.  Only while recording. */
void hob__task_tell(struct trace_task *t, int64_t now);

/* Whether new tasks are accounted, for a recording or for advice. */
static inline bool trace_watching(void)
{
    return unlikely(__atomic_load_n(&hob__trace_on, __ATOMIC_RELAXED) != 0);
}

static inline bool trace_recording(void)
{
    return unlikely(__atomic_load_n(&hob__trace_on, __ATOMIC_RELAXED) & TRACE_RECORD);
}

/*
 * Many short runs told as one: it was as it is until `from`, and ran from there to `to`.  It is
 * running then.  Neither its longest run nor its long ones are known of such a time.
 */
void hob__task_ran(struct trace_task *t, int64_t from, int64_t to, uint32_t n_runs);

/* Whoever tells many runs together has those of the calling thread told now; NULL: nobody does. */
extern void (*hob__trace_settle)(void);

/* No clock read.  Accounted when it has a stage or when anybody watches. */
static inline void trace_task_init(struct trace_task *t, uint64_t id, const char *name,
                                   struct trace_stage *stage)
{
    *t = (struct trace_task){.id = id, .name = name, .stage = stage};
    if (stage || trace_watching()) {
        t->flags = TRACE_ACCOUNTED;
        t->stamp = 1;
    }
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
        t->n_long += d >= TRACE_LONG;
        break;
    case TRACE_READY:
        t->ready_ns += d;
        break;
    case TRACE_PARKED:
        t->wait_ns[hob__wait_class((enum hob_wait)t->wait)] += d;
        if (t->wait == HOB_WAIT_JOIN || t->wait == HOB_WAIT_GROUP_FULL ||
            t->wait == HOB_WAIT_GROUP_NEXT)
            t->join_ns += d;
        else if (t->wait == HOB_WAIT_OFFLOAD)
            t->offload_ns += d;
        break;
    case TRACE_NEW:
    case TRACE_ENDED:
        break;
    }
    if (d > 0 || t->state == TRACE_NEW)
        t->since = now;
}

/* TRACE_TOP: leaves the state it is in for another. */
void hob__task_moved(const struct trace_task *t, enum trace_state to, unsigned wait);

static inline void trace_move(struct trace_task *t, enum trace_state to, unsigned wait)
{
    if (unlikely(t->stage && t->stage->live))
        hob__task_moved(t, to, wait);
    t->state = (uint8_t)to;
    t->wait = (uint8_t)wait;
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
    trace_move(t, TRACE_READY, 0);
}

/* It runs now, on the calling thread. */
static inline void trace_run(struct trace_task *t, int64_t now)
{
    if (trace_recording())
        hob__trace_emit(TRACE_EV_RUN, now, t->id, 0, 0);
    trace_charge(t, now);
    trace_move(t, TRACE_RUNNING, 0);
    t->n_runs++;
}

/* It stops running until something happens.  Called by the thread that ran it. */
static inline void trace_park(struct trace_task *t, enum hob_wait wait, int64_t now)
{
    if (trace_recording())
        hob__trace_emit(TRACE_EV_PARK, now, t->id, wait, 0);
    trace_charge(t, now);
    trace_move(t, TRACE_PARKED, wait);
}

/* It will not run again; its stage has its sums. */
static inline void trace_end(struct trace_task *t, int64_t now)
{
    if (trace_recording())
        hob__trace_emit(TRACE_EV_END, now, t->id, 0, 0);
    trace_charge(t, now);
    trace_move(t, TRACE_ENDED, 0);
    hob__task_flush(t);
}

#endif

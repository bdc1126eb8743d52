/* SPDX-License-Identifier: MIT
 *
 * account.c - words for wait reasons, and the sums of a stage
 */
#include <stddef.h>

#include "plat/env.h"
#include "trace/account.h"
#include "trace/advise.h"

unsigned hob__trace_on;
uint32_t hob__trace_session;
void (*hob__trace_settle)(void);

const char *hob__wait_text(enum hob_wait w)
{
#define WAIT_TEXT(name, class, text) [name] = text,
    static const char *const text_of[HOB_N_WAITS] = {[HOB_WAIT_NONE] = "waiting",
                                                     HOB_WAIT_MAP(WAIT_TEXT)};
#undef WAIT_TEXT
    return (unsigned)w < HOB_N_WAITS ? text_of[w] : "waiting";
}

const char *hob__wait_name(enum hob_wait w)
{
#define WAIT_NAME(name, class, text) [name] = #name,
    static const char *const name_of[HOB_N_WAITS] = {[HOB_WAIT_NONE] = "HOB_WAIT_NONE",
                                                     HOB_WAIT_MAP(WAIT_NAME)};
#undef WAIT_NAME
    const size_t prefix = sizeof("HOB_WAIT_") - 1;
    return name_of[(unsigned)w < HOB_N_WAITS ? w : HOB_WAIT_NONE] + prefix;
}

static uint32_t stage_last_id;

void hob__stage_init(struct trace_stage *s, const char *name)
{
    *s = (struct trace_stage){.name = name, .live = hob__live_of(name, ADVISE_STAGE)};
    s->id = __atomic_add_fetch(&stage_last_id, 1, __ATOMIC_RELAXED);
}

void hob__task_tell(struct trace_task *t, int64_t now)
{
    struct trace_stage *s = t->stage;
    uint32_t session = __atomic_load_n(&hob__trace_session, __ATOMIC_RELAXED);

    /* Two threads may both tell: the recording takes the name twice and keeps one. */
    if (s && __atomic_load_n(&s->told, __ATOMIC_RELAXED) != session) {
        __atomic_store_n(&s->told, session, __ATOMIC_RELAXED);
        hob__trace_emit_text(TRACE_EV_STAGE, now, 0, s->id, s->name);
    }
    hob__trace_emit(TRACE_EV_BEGIN, now, t->id, 0, s ? s->id : 0);
    if (t->name)
        hob__trace_emit_text(TRACE_EV_NAME, now, t->id, 0, t->name);
}

static void live_add(struct trace_live *l, enum trace_state state, unsigned wait, int32_t n)
{
    if (state == TRACE_READY)
        __atomic_add_fetch(&l->ready, n, __ATOMIC_RELAXED);
    else if (state == TRACE_RUNNING)
        __atomic_add_fetch(&l->running, n, __ATOMIC_RELAXED);
    else if (state == TRACE_PARKED && wait < HOB_N_WAITS)
        __atomic_add_fetch(&l->parked[wait], n, __ATOMIC_RELAXED);
}

void hob__task_moved(const struct trace_task *t, enum trace_state to, unsigned wait)
{
    struct trace_live *l = t->stage->live;

    live_add(l, (enum trace_state)t->state, t->wait, -1);
    live_add(l, to, wait, 1);
}

static void stage_add(int64_t *sum, int64_t d)
{
    if (d)
        __atomic_add_fetch(sum, d, __ATOMIC_RELAXED);
}

static void stage_max(int64_t *max, int64_t v)
{
    int64_t old = __atomic_load_n(max, __ATOMIC_RELAXED);

    while (v > old &&
           !__atomic_compare_exchange_n(max, &old, v, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

/* 0 means "none yet", so that a zeroed stage needs no start value. */
static void stage_min(int64_t *min, int64_t v)
{
    int64_t old = __atomic_load_n(min, __ATOMIC_RELAXED);

    while ((old == 0 || v < old) &&
           !__atomic_compare_exchange_n(min, &old, v, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

void hob__task_flush(struct trace_task *t)
{
    struct trace_stage *s = t->stage;
    int64_t life = t->run_ns + t->ready_ns;

    if (!s)
        return;
    for (int i = 0; i < HOB_N_CLASSES; i++) {
        stage_add(&s->wait_ns[i], t->wait_ns[i]);
        life += t->wait_ns[i];
        t->wait_ns[i] = 0;
    }
    stage_add(&s->run_ns, t->run_ns);
    stage_add(&s->join_ns, t->join_ns);
    stage_add(&s->offload_ns, t->offload_ns);
    if (t->n_long)
        __atomic_add_fetch(&s->n_long, t->n_long, __ATOMIC_RELAXED);
    stage_add(&s->ready_ns, t->ready_ns);
    stage_max(&s->longest_run_ns, t->longest_run_ns);
    stage_min(&s->first, t->since - life); /* (I1) */
    stage_max(&s->last, t->since);
    __atomic_add_fetch(&s->n_runs, t->n_runs, __ATOMIC_RELAXED);
    if (t->state == TRACE_ENDED)
        __atomic_add_fetch(&s->n_tasks, 1, __ATOMIC_RELAXED);
    t->run_ns = t->ready_ns = t->longest_run_ns = t->join_ns = t->offload_ns = 0;
    t->n_runs = t->n_long = 0;
}

void hob__task_ran(struct trace_task *t, int64_t from, int64_t to, uint32_t n_runs)
{
    if (t->state == TRACE_PARKED)
        trace_ready(t, from);
    if (trace_recording())
        hob__trace_emit(TRACE_EV_RUN, from, t->id, 0, 0);
    trace_charge(t, from);
    trace_move(t, TRACE_RUNNING, 0);
    if (to > t->since) {
        t->run_ns += to - t->since;
        t->since = to;
    }
    t->n_runs += n_runs;
}

void hob__task_renamed(struct trace_task *t, int64_t now)
{
    struct trace_stage *s = t->stage;

    if (trace_recording() && t->name)
        hob__trace_emit_text(TRACE_EV_NAME, now, t->id, 0, t->name);
    if (s && !hob__advise_owns(s))
        return; /* a flow's: its stage has the name */
    enum trace_state state = (enum trace_state)t->state;

    trace_charge(t, now);
    trace_move(t, TRACE_NEW, 0);
    hob__task_flush(t);
    t->stage = hob__advise_stage(t->name, ADVISE_FIBER);
    trace_move(t, state, 0);
}

void hob__job_begin(struct trace_task *t, const char *name, int64_t ready_at)
{
    static uint64_t last_id;
    /* Fibers count from 1, a flow's calls from 2^63. */
    uint64_t id = (3ull << 62) | __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
    int64_t now = hob__now();

    trace_task_init(t, id, name, hob__advise_stage(name, ADVISE_JOB));
    trace_ready(t, ready_at ? ready_at : now);
    trace_run(t, now);
}

void hob__job_end(struct trace_task *t)
{
    trace_end(t, hob__now());
}

void hob__stage_stats(const struct trace_stage *s, struct hob_stage_stats *ret)
{
    int64_t first = __atomic_load_n(&s->first, __ATOMIC_RELAXED);
    int64_t last = __atomic_load_n(&s->last, __ATOMIC_RELAXED);
    int64_t life = 0;

    ret->name = s->name;
    ret->wall = last > first ? last - first : 0;
    ret->on_cpu = __atomic_load_n(&s->run_ns, __ATOMIC_RELAXED);
    ret->ready = __atomic_load_n(&s->ready_ns, __ATOMIC_RELAXED);
    ret->longest_turn = __atomic_load_n(&s->longest_run_ns, __ATOMIC_RELAXED);
    for (int i = 0; i < HOB_N_CLASSES; i++) {
        ret->waiting[i] = __atomic_load_n(&s->wait_ns[i], __ATOMIC_RELAXED);
        life += ret->waiting[i];
    }
    life += ret->on_cpu + ret->ready;
    ret->busy = ret->wall ? (double)life / (double)ret->wall : 0;
}

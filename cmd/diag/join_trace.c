/* SPDX-License-Identifier: MIT
 *
 * join_trace.c - a program's own trace and what was seen of it from outside, as one recording
 *
 * HOW         Each side says what the other cannot.  The kernel knows when a thread had a core, and
 *             what a call within a task waits for; the trace knows whose turn it was, and what the
 *             tasks that have no thread wait for.  They share a clock and the numbers of threads.
 *
 *   So no operation is counted twice: a thread that has nothing to do waits for nothing
 * (own_turns.c), a task that waits for a call on another thread leaves it to that thread, and what
 * its own thread did in its turn is a copy in its row (REC_IVAL_COPY).
 */
#include <errno.h>
#include <string.h>

#include "diag/from_trace_impl.h"

static void name_copy(char to[32], const char *text)
{
    snprintf(to, 32, "%.31s", text);
}

/* Of the names: who waits, who computes, and whether anybody who uses channels is busy.  The
 * channels of a flow are left out: their room is its width, and that they hold back is their use.
 */
static void own_names(const struct trace_convert *c, struct rec_own *o)
{
    const double part = .2;
    bool flow = false;

    o->chan_least = UINT32_MAX;
    for (size_t i = 0; i < c->n_groups; i++) {
        const struct trace_name *n = &c->names[i];

        if (n->io > o->io_sum) {
            o->io_sum = n->io;
            o->io_stage = n->stage;
            name_copy(o->io_by, n->text);
        }
        if (n->run > o->cpu_sum) {
            o->cpu_sum = n->run;
            o->cpu_stage = n->stage;
            name_copy(o->cpu_by, n->text);
        }
        if (n->chan > 0 && (double)n->life > part * (double)c->rec->wall) {
            uint32_t ppm = (uint32_t)((double)n->chan / (double)n->life * 1e6);
            o->chan_least = ppm < o->chan_least ? ppm : o->chan_least;
        }
        flow |= n->stage;
    }
    if (flow)
        o->chan_least = UINT32_MAX;
}

static bool anything_happened(const struct trace_convert *c)
{
    int64_t life = 0;

    for (size_t i = 0; i < c->n_groups; i++)
        life += c->names[i].life;
    return life > 0;
}

static bool process_is_there(const struct recording *r, int32_t pid)
{
    for (size_t i = 0; i < r->n_procs; i++)
        if (r->procs[i].pid == pid)
            return true;
    return false;
}

/* The trace's own thread is the recorder's, not the program's. */
static void sink_leave_out(struct recording *rec, int32_t pid)
{
    for (size_t i = 0; i < rec->n_threads; i++) {
        struct rec_thread *th = &rec->threads[i];

        if (rec->procs[th->proc].pid == pid && strcmp(th->name, "hob-trace") == 0) {
            rec->n_ivals -= th->n_ivals;
            th->n_ivals = 0;
        }
    }
}

int rec_join_trace(const hob_trace *trace, struct recording *rec, int64_t base)
{
    struct trace_convert c = {.rec = rec, .joins = true, .pid = hob_trace_pid(trace)};
    struct rec_own own = {.n_traces = 1};
    int r;

    c.after = hob_trace_began(trace) - base;
    c.next_tid = -(int32_t)rec->n_threads;
    int64_t until = c.after + hob_trace_wall(trace);
    if (!process_is_there(rec, c.pid) || until <= 0 || c.after > rec->wall ||
        (c.after < 0 && !rec->attached))
        return -ENOENT;
    r = trace_convert_all(&c, trace, until);
    if (r == 0 && !anything_happened(&c)) {
        r = -ENOENT;
    } else if (r == 0) {
        rec->tier = REC_T0;
        rec->n_lost += hob_trace_lost(trace);
        sink_leave_out(rec, c.pid);
        own.send_any = c.gauge[GAUGE_SEND].any;
        own.recv_any = c.gauge[GAUGE_RECV].any;
        own.lane_any = c.gauge[GAUGE_LANE].any;
        own.lane_sum = c.gauge[GAUGE_LANE].sum;
        own.lock_any = c.gauge[GAUGE_LOCK].any;
        own.lock_sum = c.gauge[GAUGE_LOCK].sum;
        own_names(&c, &own);
        own_turns_apply(rec, c.runners, c.n_runners, c.names, until, &own);
        rec_own_add(&rec->own, &own);
    }
    trace_convert_free(&c);
    return r;
}

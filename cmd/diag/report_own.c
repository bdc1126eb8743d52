/* SPDX-License-Identifier: MIT
 *
 * report_own.c - a program that uses hob, in the words of its own trace
 */
#include "diag/report_own.h"

static double s_of(int64_t ns)
{
    return (double)ns * 1e-9;
}

static double ms_of(int64_t ns)
{
    return (double)ns * 1e-6;
}

bool report_own_model(struct buf *b, const struct measures *m)
{
    const struct rec_own *o = &m->rec->own;

    if (o->n_traces == 0)
        return false;
    if (o->n_traces > 1)
        buf_printf(b, "%u processes; ", o->n_traces);
    if (o->n_loops > 0)
        buf_printf(b, "fibers on %u loop%s", o->n_loops, o->n_loops == 1 ? "" : "s");
    if (o->job_cpu + o->job_waits > 0)
        buf_printf(b, "%sjobs on the pool", o->n_loops > 0 ? ", " : "");
    if (m->wait > 0)
        buf_printf(b, ", %.1f in flight", m->in_flight);
    buf_printf(b, ", %.2f of %u cores busy", m->main.wall > 0 ? m->main.cpu / m->main.wall : 0,
               m->rec->n_cores);
    return true;
}

static void loop_blocked(struct buf *b, const struct rec_own *o)
{
    if (o->blocked > o->held)
        buf_printf(b,
                   "fiber `%s` makes its loop wait: %.2f s in calls that block (%s), up to %.0f ms "
                   "in one turn; all other fibers stand still",
                   o->blocked_by, s_of(o->blocked), rec_kind_word((enum rec_kind)o->blocked_kind),
                   ms_of(o->blocked_longest));
    else
        buf_printf(b,
                   "fiber `%s` holds its loop: %.2f s in turns of 10 ms and more while others wait "
                   "for it, up to %.0f ms without parking",
                   o->held_by, s_of(o->held), ms_of(o->held_longest));
}

bool report_own_mismatch(struct buf *b, const struct measures *m, const struct ruling *r)
{
    const struct rec_own *o = &m->rec->own;

    if (o->n_traces == 0)
        return false;
    switch (r->is.mismatch) {
    case MISMATCH_LOOP_BLOCKED:
        loop_blocked(b, o);
        return true;
    case MISMATCH_POOL_IO:
        buf_printf(b, "the pool is doing I/O: jobs like `%s` wait for %.0f %% of their time (%s)",
                   o->job_by, r->value[RULE_JOB_WAITS] * 100,
                   rec_kind_word((enum rec_kind)o->job_kind));
        return true;
    case MISMATCH_LOCK:
        if (o->lock_any == 0)
            return false;
        buf_printf(b, "fibers hold a mutex while others wait for it: %.1f in line for %.2f s",
                   r->value[RULE_FIBER_LINE], s_of(o->lock_any));
        return true;
    case MISMATCH_LANE:
        buf_printf(b, "a lane is always at work, and %.1f calls are on it or in line for it",
                   r->value[RULE_LANE_LINE]);
        return true;
    case MISMATCH_CHANNEL:
        buf_printf(b,
                   "a channel has too little room: senders wait for it for %.2f s, receivers for "
                   "%.2f s, and neither end is always busy",
                   s_of(o->send_any), s_of(o->recv_any));
        return true;
    default:
        return false;
    }
}

void report_own_json(struct buf *b, const struct rec_own *o)
{
    if (o->n_traces == 0) {
        out_null(b, "own");
        return;
    }
    out_object(b, "own");
    out_int(b, "processes", o->n_traces);
    out_int(b, "loops", o->n_loops);
    out_number(b, "fibers_cpu", s_of(o->loop_cpu), 4);
    out_number(b, "jobs_cpu", s_of(o->job_cpu), 4);
    out_number(b, "held", s_of(o->held), 4);
    out_number(b, "held_longest", s_of(o->held_longest), 4);
    out_text(b, "held_by", *o->held_by ? o->held_by : NULL);
    out_number(b, "blocked", s_of(o->blocked), 4);
    out_number(b, "blocked_longest", s_of(o->blocked_longest), 4);
    out_text(b, "blocked_by", *o->blocked_by ? o->blocked_by : NULL);
    out_number(b, "jobs_wait", s_of(o->job_waits), 4);
    out_text(b, "jobs_wait_by", *o->job_by ? o->job_by : NULL);
    out_number(b, "jobs_lock", s_of(o->job_locks), 4);
    out_number(b, "send", s_of(o->send_any), 4);
    out_number(b, "recv", s_of(o->recv_any), 4);
    out_number(b, "lane", s_of(o->lane_any), 4);
    out_number(b, "lane_calls", o->lane_any ? (double)o->lane_sum / (double)o->lane_any : 0, 2);
    out_number(b, "lock", s_of(o->lock_any), 4);
    out_text(b, "io_by", *o->io_by ? o->io_by : NULL);
    out_text(b, "cpu_by", *o->cpu_by ? o->cpu_by : NULL);
    out_object_end(b);
}

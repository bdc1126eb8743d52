/* SPDX-License-Identifier: MIT
 *
 * advice_own.c - what to do about a program that uses hob: which call, and where
 *
 * HOW         Its trace says which fiber, job or stage it is about, so the line names it and the
 *   call that it should make instead.
 */
#include "diag/advice_own.h"

#include <stdarg.h>
#include <stdio.h>

struct own {
    const struct rec_own *o;
    double n;   /* operations at once to advise */
    uint32_t p; /* cores */
    struct advice *ret;
};

static void HOB_PRINTF(2, 3) what(const struct own *a, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(a->ret->what, sizeof a->ret->what, format, ap);
    va_end(ap);
}

static void HOB_PRINTF(2, 3) code(const struct own *a, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(a->ret->code, sizeof a->ret->code, format, ap);
    va_end(ap);
}

static void loop_blocked(const struct own *a)
{
    const struct rec_own *o = a->o;

    if (o->blocked > o->held) {
        what(a, "take the blocking call of fiber `%s` off the loop", o->blocked_by);
        code(a, o->blocked_kind == REC_SLEEP ? "hob_sleep(d): the fiber parks, the loop goes on"
                                             : "hob_block(call, arg, HOB_FOREVER), or the call of "
                                               "<hob/net.h> that parks");
    } else {
        what(a, "move the computing of fiber `%s` to the pool", o->held_by);
        code(a, "hob_offload(work, item, HOB_FOREVER): the fiber parks, the pool computes");
    }
}

static void pool_waits(const struct own *a)
{
    what(a, "wait on fibers, not on the pool: %.0f at once on one loop", a->n);
    code(a,
         "hob_go(&g, fn, item) in a group with .max_live = %.0f; hob_block for what can only "
         "block",
         a->n);
}

static void more_at_once(const struct own *a)
{
    if (a->o->io_stage) {
        what(a, "more items at once in stage `%s`", a->o->io_by);
        code(a, "HOB_STAGE(.name = \"%s\", .kind = HOB_IO, .width = %.0f, ...)", a->o->io_by, a->n);
    } else {
        what(a, "more fibers like `%s` at once, on the loop there is", a->o->io_by);
        code(a, "hob_group_open(&g, HOB_GROUP_OPTS(.max_live = %.0f)); hob_go(&g, fn, item)", a->n);
    }
}

static void more_cores(const struct own *a)
{
    const struct rec_own *o = a->o;

    if (o->cpu_stage) {
        what(a, "let stage `%s` compute on %u cores", o->cpu_by, a->p);
        code(a, "HOB_STAGE(.name = \"%s\", .kind = HOB_CPU, ...): a job an item", o->cpu_by);
    } else if (o->job_cpu >= o->loop_cpu) {
        what(a, "cut the work of `%s` into more pieces, for %u cores", o->cpu_by, a->p);
        code(a, "hob_for(0, n, body, arg, HOB_FOR_OPTS(.grain = ...)): smaller chunks");
    } else if (2 * o->long_cpu >= o->loop_cpu) {
        what(a, "compute on the pool, not in fiber `%s`", o->cpu_by);
        code(a, "hob_for(0, n, body, arg, NULL) over the items, or hob_offload for each");
    } else {
        what(a, "run fibers like `%s` on %u loops", o->cpu_by, a->p);
        code(a, "HOB_LOOPS=%u and HOB_GROUP_OPTS(.spread = true); or hob_offload for what computes",
             a->p);
    }
}

static void both(const struct own *a)
{
    what(a, "wait for %.0f at once, and compute on %u cores: a stage for each", a->n, a->p);
    code(a, "a flow: {.kind = HOB_IO, .width = %.0f} for `%s`, {.kind = HOB_CPU} behind it", a->n,
         a->o->io_by);
}

static bool by_mismatch(const struct own *a, const struct ruling *r)
{
    switch (r->is.mismatch) {
    case MISMATCH_LOOP_BLOCKED:
        loop_blocked(a);
        return true;
    case MISMATCH_POOL_IO:
        pool_waits(a);
        return true;
    case MISMATCH_LOCK:
        if (a->o->lock_any == 0)
            return false; /* libc's, between threads */
        what(a, "do not hold the mutex while waiting, or split it (one for each shard)");
        code(a, "hob_mutex_lock only once the answer is there; what is waited for lies outside");
        return true;
    case MISMATCH_LANE:
        what(a, "more in each call on the lane, or a lane for each part of the data");
        code(a, "HOB_STAGE(.kind = HOB_LANE, .batch = 256, .batch_ms = 50, ...)");
        return true;
    case MISMATCH_CHANNEL:
        what(a, "room in the channel, for what comes in bursts");
        code(a, "hob_chan_new(size, HOB_CHAN_OPTS(.slots = 64), &ch)");
        return true;
    default:
        return false;
    }
}

bool advice_own(const struct measures *m, const struct ruling *r, const struct prediction *p,
                struct advice *ret)
{
    struct own a = {.o = &m->rec->own,
                    .n = p->concurrency.in_flight > 0 ? p->concurrency.in_flight : 20,
                    .p = m->rec->n_cores ? m->rec->n_cores : 1,
                    .ret = ret};

    if (a.o->n_traces == 0)
        return false;
    if (by_mismatch(&a, r))
        return true;
    switch (r->is.advice) {
    case HOB_ADVICE_CONCURRENCY:
        more_at_once(&a);
        return true;
    case HOB_ADVICE_PARALLELISM:
        more_cores(&a);
        return true;
    case HOB_ADVICE_BOTH:
        both(&a);
        return true;
    default:
        return false; /* the lock, the batch, or nothing: as for any program */
    }
}

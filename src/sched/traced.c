/* SPDX-License-Identifier: MIT
 *
 * traced.c - what a fiber whose time is accounted, or that leaves a mark, costs at its ends
 *
 * WHAT        Out of the way of the fibers that nobody asked about (fiber.c).  The account of a
 *             loop's fibers is kept folded, many runs in one entry (fold.h); whoever changes an
 *             account unfolds first and folds on afterwards.
 */
#include <stdatomic.h>

#include "sched/fold.h"
#include "sched/marks.h"
#include "sched/park.h"
#include "sched/scope.h"
#include "trace/advise.h"

static _Atomic(uint64_t) fiber_ids;

void hob__traced_begin(struct loop *l, struct fiber *f)
{
    hob_time now = hob__now();
    bool folded = hob__fold_break(l, now);

    if (marks_wanted())
        hob__marks_begin(l, f);
    trace_task_init(&f->trace, atomic_fetch_add_explicit(&fiber_ids, 1, memory_order_relaxed) + 1,
                    f->task->group->name, hob__advise_stage(f->task->group->name, ADVISE_FIBER));
    trace_ready(&f->trace, now); /* says its name */
    trace_run(&f->trace, now);
    l->n_accounted++;
    hob__fold_resume(l, f, now, folded);
}

void hob__traced_end(struct loop *l, struct fiber *f)
{
    hob_time now = hob__now();
    bool folded = hob__fold_break(l, now);

    if (marks_wanted())
        hob__marks_end(f);
    trace_end(&f->trace, now);
    f->trace.flags = 0; /* (I5) */
    f->trace.stamp = 0;
    l->n_accounted--;
    hob__fold_resume(l, NULL, now, folded);
}

void hob__fiber_stage(struct fiber *f, struct trace_stage *stage)
{
    struct loop *l = f->loop;
    hob_time now = hob__now();
    bool folded = hob__fold_break(l, now);

    if (trace_accounted(&f->trace)) {
        trace_end(&f->trace, now);
        l->n_accounted--;
    }
    const char *name = stage ? stage->name : f->own_scope->group->name;
    trace_task_init(&f->trace, atomic_fetch_add_explicit(&fiber_ids, 1, memory_order_relaxed) + 1,
                    name, stage ? stage : hob__advise_stage(name, ADVISE_FIBER));
    if (trace_accounted(&f->trace)) {
        trace_ready(&f->trace, now);
        trace_run(&f->trace, now);
        l->n_accounted++;
    }
    hob__fold_resume(l, f, now, folded);
}

/* SPDX-License-Identifier: MIT
 *
 * self.c - what the running fiber may ask of itself, but for hob_yield (fiber.c)
 */
#include <errno.h>

#include <hob/fiber.h>
#include <hob/group.h>

#include "sched/fold.h"
#include "sched/life.h"
#include "sched/park.h"
#include "sched/scope.h"

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

hob_time hob_deadline(void)
{
    struct fiber *f = hob__self();

    return f ? hob__scope_until(f->scope, f->loop) : HOB_FOREVER;
}

int hob_check(void)
{
    struct fiber *f = hob__self();

    return f ? hob__check(f) : hob__off_fiber();
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
    return hob__fiber_name(f);
}

const char *hob__fiber_name(const struct fiber *f)
{
    if (f->trace.name)
        return f->trace.name;
    return f->task->group->name ? f->task->group->name : "(no name)";
}

void hob_fiber_name(const char *name)
{
    struct fiber *f = hob__self();

    if (!f)
        return;
    if (unlikely(trace_accounted(&f->trace))) {
        hob_time now = hob__now();
        bool folded = hob__fold_break(f->loop, now);

        f->trace.name = name;
        hob__task_renamed(&f->trace, now);
        hob__fold_resume(f->loop, f, now, folded);
    } else {
        f->trace.name = name;
    }
}

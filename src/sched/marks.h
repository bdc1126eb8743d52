/* SPDX-License-Identifier: MIT
 *
 * marks.h - how deep the stacks of fibers got, by what they ran and where they were started
 */
#ifndef HOB_SCHED_MARKS_H
#define HOB_SCHED_MARKS_H

#include "sched/loop.h"

struct stack_mark {
    const void *fn, *site; /* NULL, NULL: of those there was no place for */
    uint64_t n;            /* fibers that ended */
    size_t deepest;        /* bytes */
};

/* With HOB_STACKS: around a fiber's life, on its loop. */
void hob__marks_begin(const struct loop *l, struct fiber *f);
void hob__marks_end(struct fiber *f);

/* Every mark so far, deepest first, on any thread. */
void hob__marks_each(void (*fn)(void *arg, const struct stack_mark *m), void *arg);

static inline bool marks_wanted(void)
{
    return unlikely(__atomic_load_n(&hob__trace_on, __ATOMIC_RELAXED) & TRACE_STACKS);
}

#endif

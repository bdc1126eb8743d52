/* SPDX-License-Identifier: MIT
 *
 * marks.c - how deep the stacks of fibers got, by what they ran and where they were started
 *
 * WHAT        HOB_STACKS=1 in the environment: the figures a .stack_size is chosen by.
 *
 * HOW         What is free of a fiber's stack is painted before the fiber begins; when it ends, the
 *             paint that is left tells how far down it wrote.  That touches every page of every
 *             stack and costs some microseconds a fiber, and so it is on only where it was
 *             asked for.
 *
 *             A fiber that takes over the stack of the one before (fiber.c) begins on it: the
 *             paint ends below the frame that paints.
 *
 * Not seen: a frame that was made and not written to; a guard would still have been hit.
 *
 * THREADS     The table is under a lock, taken once a fiber.
 *
 * REJECTED    Asking the kernel which pages are in memory (mincore): a stack is used again and
 *               again, by others too, and four KiB are the size of the answers.
 */
#include "sched/marks.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "sched/scope.h"

#define PAINT ((uintptr_t)0x5afe5afe5afe5afeu)

enum {
    SITES = 256,
    OWN_FRAME = 1024 /* under the frame that paints: what it calls, and the red zone */
};

static struct {
    pthread_mutex_t lock;
    struct stack_mark site[SITES]; /* the last one: of those there was no place for */
} marks = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Memory that no variable lies in: a sanitizer would object to either. */
#define UNCHECKED __attribute__((noinline, no_sanitize("address", "thread", "undefined")))

static UNCHECKED void paint(volatile uintptr_t *from, const volatile uintptr_t *to)
{
    while (from < to)
        *from++ = PAINT;
}

static UNCHECKED const volatile uintptr_t *unpainted(const volatile uintptr_t *from,
                                                     const volatile uintptr_t *to)
{
    while (from < to && *from == PAINT)
        from++;
    return from;
}

void hob__marks_begin(const struct loop *l, struct fiber *f)
{
    char *to = (char *)((uintptr_t)((char *)f - hob__ctx_begin_size) & ~(uintptr_t)15);

    if (f == l->current)
        to = (char *)((uintptr_t)__builtin_frame_address(0) & ~(uintptr_t)15) - OWN_FRAME;
    paint(f->stack, (uintptr_t *)(void *)to);
}

static struct stack_mark *mark_of(const void *fn, const void *site)
{
    unsigned i = 0;

    while (i < SITES - 1 && marks.site[i].n &&
           (marks.site[i].fn != fn || marks.site[i].site != site))
        i++;
    if (i < SITES - 1) {
        marks.site[i].fn = fn;
        marks.site[i].site = site;
    }
    return &marks.site[i];
}

void hob__marks_end(struct fiber *f)
{
    const volatile uintptr_t *low = unpainted(f->stack, (uintptr_t *)(void *)f);
    size_t depth = (size_t)((const char *)f - (const char *)(uintptr_t)low);

    pthread_mutex_lock(&marks.lock);
    struct stack_mark *m = mark_of((const void *)(uintptr_t)task_fn(f->task), f->task->site);
    m->n++;
    if (depth > m->deepest)
        m->deepest = depth;
    pthread_mutex_unlock(&marks.lock);
}

static int deeper_first(const void *a, const void *b)
{
    const struct stack_mark *x = a, *y = b;

    return x->deepest < y->deepest ? 1 : x->deepest > y->deepest ? -1 : 0;
}

void hob__marks_each(void (*fn)(void *arg, const struct stack_mark *m), void *arg)
{
    struct stack_mark sorted[SITES];

    pthread_mutex_lock(&marks.lock);
    memcpy(sorted, marks.site, sizeof sorted);
    pthread_mutex_unlock(&marks.lock);
    qsort(sorted, SITES, sizeof sorted[0], deeper_first);
    for (unsigned i = 0; i < SITES && sorted[i].n; i++)
        fn(arg, &sorted[i]);
}

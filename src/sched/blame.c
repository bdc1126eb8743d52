/* SPDX-License-Identifier: MIT
 *
 * blame.c - a mistake of a fiber's that no error code can tell of: a line that says whose, and
 * abort
 *
 * INVARIANTS  (I1) of a group that was left open nothing is read: it lay in a frame that is gone
 */
#include "sched/blame.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "plat/place.h"
#include "sched/park.h"
#include "sched/scope.h"

/* Where the fiber comes from, as a dump says it. */
static void put_origin(struct text *t, const struct fiber *f)
{
    char place[PLACE_TEXT_MAX];

    hob__place_text((const void *)(uintptr_t)task_fn(f->task), false, place);
    hob__text_put(t, "; runs %s", place);
    if (f->task->site) {
        hob__place_text(f->task->site, true, place);
        hob__text_put(t, ", started at %s", place);
    }
}

static void put_who(struct text *t, const struct fiber *f)
{
    hob__text_put(t, "hob: fiber \"");
    hob__text_put_name(t, hob__fiber_name(f));
    hob__text_put(t, "\" ");
}

static __attribute__((noreturn, cold)) void say(const struct text *t)
{
    fprintf(stderr, "%s\n", t->p ? t->p : "hob: a fiber's mistake, and no memory to say which");
    abort();
}

void hob__left_open(const struct fiber *f)
{
    struct text t = {0};

    put_who(&t, f);
    hob__text_put(&t, "returned with a group of its own still open: each hob_group_open needs its "
                      "hob_group_join before every return"); /* (I1) */
    put_origin(&t, f);
    say(&t);
}

void hob__left_locked(const struct fiber *f, const char *lock)
{
    struct text t = {0};

    put_who(&t, f);
    hob__text_put(&t, "ended while it holds ");
    if (lock) {
        hob__text_put(&t, "the lock \"");
        hob__text_put_name(&t, lock);
        hob__text_put(&t, "\"");
    } else {
        hob__text_put(&t, "a lock");
    }
    hob__text_put(&t, ": unlock it before every return");
    put_origin(&t, f);
    say(&t);
}

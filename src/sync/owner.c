/* SPDX-License-Identifier: MIT
 *
 * owner.c - for dumps: a lock that somebody waits for, and who holds it
 *
 * HOW         A lock has its holder's number only (sched/hold.h), so those who hold any are looked
 *             for once a dump, among all fibers, and there are few.  Who was given a lock while it
 *             waited is its holder before it runs and counts it.
 */
#include "sync/owner.h"

#include "sched/hold.h"
#include "sched/look.h"
#include "sync/mutex.h"

/* Parked all the same: on another loop's lock. */
static bool is_given_one(const struct fiber *f)
{
    return f->wait == HOB_WAIT_MUTEX || f->wait == HOB_WAIT_RWLOCK || f->wait == HOB_WAIT_COND;
}

static void add(void *arg, const struct fiber *f)
{
    struct owners *o = arg;

    if (f->holder == 0 || (f->n_holds == 0 && f->run.state == RUN_PARKED && !is_given_one(f)))
        return;
    if (o->n < OWNERS_MAX)
        o->fiber[o->n++] = f;
    else
        o->more = true;
}

void hob__owners_add(struct owners *o, const struct loop *l)
{
    hob__look_fibers(l, add, o);
}

/* ", held by main 0x7f...", or nothing; the lock is there. */
static void put_owner(struct text *t, const struct owners *o, const struct gate *g,
                      enum hob_wait why)
{
    uint64_t who = why == HOB_WAIT_MUTEX    ? container_of(g, const struct mutex, gate)->owner
                   : why == HOB_WAIT_RWLOCK ? hob__rwlock_writer(g)
                                            : 0;
    unsigned loop = who % HOLDER_LOOPS;

    if (who == 0) /* such a wait, or who reads */
        return;
    for (unsigned i = 0; i < o->n; i++)
        if (o->fiber[i]->holder == who) {
            hob__text_put(t, ", held by ");
            hob__text_put_name(t, hob__fiber_name(o->fiber[i]));
            hob__text_put(t, " %p", (const void *)o->fiber[i]);
            return;
        }
    if (loop == 0)
        hob__text_put(t, ", held by a thread");
    else if (o->more || (o->loop && o->loop->index != loop - 1))
        hob__text_put(t, ", held by a fiber of loop %u", loop - 1);
    else
        hob__text_put(t, ", held by a fiber that has ended");
}

void hob__gate_put(struct text *t, const struct owners *o, const struct fiber *f)
{
    const struct remote *r = f->on ? NULL : f->abort_arg;
    const struct gate *g = f->on;
    const char *name = r ? r->name : g->name;

    /* What is elsewhere may have let it pass, and be gone: unless no loop runs, and it has not. */
    if (r && !o->loop && !r->done)
        g = container_of(r, const struct pass, remote)->gate;
    hob__text_put(t, " (");
    hob__text_put_name(t, name && *name ? name : "no name");
    if (g)
        put_owner(t, o, g, (enum hob_wait)f->wait);
    hob__text_put(t, ")");
}

/* SPDX-License-Identifier: MIT
 *
 * bridge.c - a call that leaves the loop and comes back
 *
 * WHAT        The fiber makes a record on the heap, hands it over, and parks.  Whoever runs it
 *             posts it back as a message; the loop readies the fiber.
 *
 * HOW         QUEUED --worker--> RUNNING --> message --> fiber runs on, frees the record
 *                '----fiber, cancelled---> ABANDONED --> the worker finds it so and frees it
 *
 * INVARIANTS  (I1) one compare-and-swap on `state` decides between worker and cancel: fn runs if
 *                  and only if the caller waits for its end
 *             (I2) an abandoned record is touched by the worker alone, and reaches no loop: it may
 *                  still be queued when the runtime has ended
 *
 * REJECTED    The record in the fiber's frame: a cancelled fiber would have to wait until a busy
 *             pool comes round to the record, to be told that it need not run it.
 */
#include "sync/bridge.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "base/assert.h"
#include "plat/futex.h"
#include "pool/pool.h"
#include "sched/park.h"
#include "trace/account.h"

static void call_back(struct msg *m)
{
    hob__ready(container_of(m, struct call, back)->fiber, 0);
}

void hob__call_run(struct env_work *w)
{
    struct call *c = container_of(w, struct call, work);
    int queued = CALL_QUEUED;

    if (!atomic_compare_exchange_strong(&c->state, &queued, CALL_RUNNING)) {
        free(c); /* (I2) */
        return;
    }
    struct trace_task t;
    bool watched = c->ready_at != 0; /* began under a watch: told whole */
    if (watched)
        hob__job_begin(&t, c->name, c->ready_at);
    c->rc = c->fn(c->arg);
    if (watched)
        hob__job_end(&t);
    if (c->fiber) {
        c->back.run = call_back;
        hob__loop_post(c->loop, &c->back);
        return;
    }
    atomic_store(&c->ended, 1);
    futex_wake(&c->ended, INT_MAX);
}

/* True: fn will not run, and the record is the worker's to free.  (I1) */
static bool call_abandon(struct call *c)
{
    int queued = CALL_QUEUED;

    return atomic_compare_exchange_strong(&c->state, &queued, CALL_ABANDONED);
}

static void fiber_abort(struct fiber *f)
{
    if (call_abandon(f->abort_arg))
        hob__ready(f, -ECANCELED);
}

static int fiber_wait(struct fiber *f, struct call *c, enum hob_wait why, hob_time until)
{
    f->abort_arg = c;
    int r = hob__park_hook(f, why, until, fiber_abort);
    if (r < 0)
        return r;
    r = c->rc;
    free(c);
    return r;
}

static int thread_wait(struct call *c, hob_time until)
{
    while (!atomic_load(&c->ended)) {
        if (until != HOB_FOREVER && hob__now() >= until) {
            if (call_abandon(c))
                return -ETIMEDOUT;
            until = HOB_FOREVER;
        }
        futex_wait_until(&c->ended, 0, until);
    }
    int r = c->rc;
    free(c);
    return r;
}

int hob__call(int (*submit)(void *to, struct env_work *w), void *to, hob_fn fn, void *arg,
              const char *name, enum hob_wait why, hob_time until)
{
    struct fiber *f = hob__self();
    struct call *c;
    int r;

    if (f && (r = hob__check(f)))
        return r;
    if (until == 0)
        return -ETIMEDOUT; /* another thread would have to be waited for */
    c = malloc(sizeof *c);
    if (!c)
        return -ENOMEM;
    *c = (struct call){
        .work.run = hob__call_run, .fiber = f, .loop = f ? f->loop : NULL, .fn = fn, .arg = arg};
    if (name && trace_watching()) {
        c->name = name;
        c->ready_at = hob__now();
    }
    if ((r = submit(to, &c->work)) < 0) {
        free(c);
        return r;
    }
    return f ? fiber_wait(f, c, why, until) : thread_wait(c, until);
}

static int offload_submit(void *unused, struct env_work *w)
{
    (void)unused;
    return hob__env->pool_submit(w);
}

int hob_offload(hob_fn fn, void *arg, hob_time until)
{
    if (!fn)
        return HOB_MISUSE(-EINVAL, "hob_offload without a function");
    if (!hob__self())
        return fn(arg);
    return hob__call(offload_submit, NULL, fn, arg, hob__fiber_name(hob__self()), HOB_WAIT_OFFLOAD,
                     until);
}

int hob__offload_untold(hob_fn fn, void *arg, hob_time until)
{
    return hob__call(offload_submit, NULL, fn, arg, NULL, HOB_WAIT_OFFLOAD, until);
}

/* hob_for on a fiber: the whole of it becomes a job, and the fiber parks. */
static bool for_on_fiber(hob_fn fn, void *arg, int *ret)
{
    if (!hob__self())
        return false;
    *ret = hob__call(offload_submit, NULL, fn, arg, "hob_for", HOB_WAIT_OFFLOAD, HOB_FOREVER);
    return true;
}

void hob__bridge_open(void)
{
    hob__pool_set_fiber_hook(for_on_fiber);
    hob__env_real.pool_submit = hob__pool_submit;
    hob__env_real.block_submit = hob__block_submit;
}

void hob__bridge_close(void)
{
    hob__block_stop();
}

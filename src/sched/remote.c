/* SPDX-License-Identifier: MIT
 *
 * remote.c - an operation on something whose home is another loop: see remote.h
 */
#include "sched/remote.h"

#include <errno.h>
#include <limits.h>

#include "plat/futex.h"
#include "sched/life.h"
#include "sched/park.h"

static void came_back(struct remote *r)
{
    if (--r->n_out == 0)
        hob__ready(r->fiber, r->rc);
}

static void msg_back(struct msg *m)
{
    came_back(container_of(m, struct remote, msg));
}

static void cancel_back(struct msg *m)
{
    came_back(container_of(m, struct remote, cancel_msg));
}

/* At home: one of r's messages is through. */
static void send_back(struct remote *r, struct msg *m, void (*run)(struct msg *m))
{
    if (r->fiber) {
        m->run = run;
        hob__loop_post(r->fiber->loop, m);
        return;
    }
    /* The thread may return as soon as the count is up; the wake then hits nobody. */
    _Atomic(uint32_t) *back = &r->back;
    atomic_fetch_add(back, 1);
    futex_wake(back, INT_MAX);
}

void hob__remote_done(struct remote *r, int rc)
{
    HOB_ASSERT(!r->done); /* (I2) */
    r->done = true;
    r->rc = rc;
    send_back(r, &r->msg, msg_back);
}

static void run_start(struct msg *m)
{
    struct remote *r = container_of(m, struct remote, msg);

    r->start(r);
}

static void run_cancel(struct msg *m)
{
    struct remote *r = container_of(m, struct remote, cancel_msg);

    if (!r->done)
        r->cancel(r);
    send_back(r, m, cancel_back);
}

static void fiber_abort(struct fiber *f)
{
    struct remote *r = f->abort_arg;

    r->n_out++;
    r->cancel_msg.run = run_cancel;
    hob__loop_post(r->home, &r->cancel_msg);
}

static int call_from_fiber(struct remote *r, enum hob_wait why, hob_time until)
{
    r->n_out = 1;
    r->fiber->abort_arg = r;
    r->fiber->on = NULL; /* it is elsewhere: r says its name */
    hob__loop_post(r->home, &r->msg);
    return hob__park_hook(r->fiber, why, until, fiber_abort);
}

/* Waits until n messages are back; false: `until` came first. */
static bool thread_wait(struct remote *r, uint32_t n, hob_time until)
{
    uint32_t back;

    while ((back = atomic_load(&r->back)) < n) {
        if (until != HOB_FOREVER && hob__now() >= until)
            return false;
        futex_wait_until(&r->back, back, until);
    }
    return true;
}

static int call_from_thread(struct remote *r, hob_time until)
{
    bool in_time;

    hob__loop_post(r->home, &r->msg);
    in_time = thread_wait(r, 1, until);
    if (in_time)
        return r->rc;
    r->cancel_msg.run = run_cancel;
    hob__loop_post(r->home, &r->cancel_msg);
    thread_wait(r, 2, HOB_FOREVER); /* (I1) */
    return r->rc == -ECANCELED ? -ETIMEDOUT : r->rc;
}

/* Simulated, the home loop shares this thread: nobody else would run the messages. */
static int call_in_simulation(struct remote *r)
{
    struct loop *kept = hob__loop;

    hob__loop = r->home;
    r->start(r);
    if (!r->done)
        r->cancel(r);
    hob__loop = kept;
    return r->rc == -ECANCELED ? -EDEADLK : r->rc;
}

int hob__remote_call(struct remote *r, struct loop *home, enum hob_wait why, hob_time until)
{
    if (unlikely(hob__life_forked))
        return hob__off_fiber();
    r->home = home;
    r->fiber = hob__self();
    r->done = false;
    r->msg.run = run_start;
    atomic_init(&r->back, 0);
    if (r->fiber)
        return call_from_fiber(r, why, until);
    if (hob__env->sim)
        return call_in_simulation(r);
    return call_from_thread(r, until);
}

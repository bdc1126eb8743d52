/* SPDX-License-Identifier: MIT
 *
 * remote.h - an operation on something whose home is another loop
 *
 * WHAT        Channels and groups have a home loop and no lock.  A fiber of another loop, or a
 *             plain thread, sends its operation there as a message and waits until it comes back.
 *
 * HOW         caller:  hob__remote_call(r, home, ...)     posts r, parks (a thread: futex)
 *             home:    r->start(r)       does it, or puts it on a queue; in the end, once,
 *                      hob__remote_done(r, rc)            posts it back
 *             caller's cancel or time-out:
 *             home:    r->cancel(r)      if it is not done: takes it off its queue, and done
 *
 * INVARIANTS  (I1) the caller returns only when every message it sent has come back: r lies in its
 *                  frame
 *             (I2) done is called once; start or cancel, both at home, so "result or cancel" needs
 *                  no atomic
 *
 * Checked in every interleaving, of channels: tests/model/explore_chan.c.
 */
#ifndef HOB_SCHED_REMOTE_H
#define HOB_SCHED_REMOTE_H

#include <string.h>

#include "sched/loop.h"
#include "trace/wait.h"

enum { REMOTE_NAME_MAX = 32 };

struct remote {
    void (*start)(struct remote *r);
    void (*cancel)(struct remote *r);
    struct msg msg, cancel_msg;
    struct loop *home;
    struct fiber *fiber;        /* NULL: a plain thread waits on `back` */
    char name[REMOTE_NAME_MAX]; /* of what it waits for, which a dump may find gone; or empty */
    int rc;
    bool done;              /* home's */
    uint32_t n_out;         /* a fiber's: messages that have not come back */
    _Atomic(uint32_t) back; /* a thread's: messages that have come back */
};

/*
 * Sends r to `home` and waits for its end.  From a fiber of another loop or from a plain thread.
 * Of r, start, cancel and name are the caller's; name is all zero, or remote_name's.
 * Returns what hob__remote_done was given; -ECANCELED, -ETIMEDOUT: r->cancel was in time.
 */
int hob__remote_call(struct remote *r, struct loop *home, enum hob_wait why, hob_time until);

/* Before the call: of what is there as long as the call has not begun.  Long names lose their end;
 * NULL: none. */
static inline void remote_name(struct remote *r, const char *name)
{
    if (name)
        (void)memccpy(r->name, name, '\0', sizeof r->name - 1);
}

/* At home, once: the operation ended with rc. */
void hob__remote_done(struct remote *r, int rc);

#endif

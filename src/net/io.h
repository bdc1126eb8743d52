/* SPDX-License-Identifier: MIT
 *
 * io.h - one operation of the running fiber at its loop's poller
 */
#ifndef HOB_NET_IO_H
#define HOB_NET_IO_H

#include "plat/poll.h"
#include "sched/park.h"

struct io {
    struct poll_op op; /* first */
    struct fiber *fiber;
};

/*
 * Submits io->op, whose kind and arguments are set, for the running fiber and parks until it has
 * ended.  Returns the op's result; -ETIMEDOUT, -ECANCELED: it was taken back.  With `until` 0 it
 * takes what is there and does not park.
 */
int hob__io_run(struct io *io, enum hob_wait why, hob_time until);

/*
 * Whether a call may wait here.  *ret_fiber: the running fiber, NULL on a plain thread.  0;
 * -ECANCELED, -EDEADLK (a pool job).
 */
int hob__io_begin(struct fiber **ret_fiber);

/* The same for what only the machine has: under the simulator -EOPNOTSUPP. */
int hob__io_begin_real(struct fiber **ret_fiber);

/*
 * Tries io->op, which moves bytes or a message, at once, and then waits: `f` at its poller, a plain
 * thread (NULL) by poll().  Returns as hob__io_run.
 */
int hob__io_try(struct fiber *f, struct io *io, enum hob_wait why, hob_time until);

/*
 * A pause before another attempt at what nothing tells the end of: *nap, which is doubled, but not
 * past `until`.  0; -ETIMEDOUT, -ECANCELED: no further attempt.
 */
int hob__io_nap(struct fiber *f, enum hob_wait why, hob_time until, hob_dur *nap);

/* A plain thread's wait: the events that are ready, -ETIMEDOUT, -EOPNOTSUPP (simulated), or a
 * negative errno. */
int hob__thread_poll(int fd, uint32_t events, hob_time until);

#endif

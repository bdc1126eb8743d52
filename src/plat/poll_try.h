/* SPDX-License-Identifier: MIT
 *
 * poll_try.h - one attempt at an operation by an ordinary system call that does not block
 */
#ifndef HOB_PLAT_POLL_TRY_H
#define HOB_PLAT_POLL_TRY_H

#include <errno.h>

#include "plat/poll.h"

/*
 * A result of an attempt beside the operation's own: it has to wait for its descriptor.  Not
 * -EAGAIN, which connect() on a Unix socket returns for a full backlog, and nothing tells when it
 * no longer is.
 */
#define POLL_TRY_WAIT (-EINPROGRESS)

/* What of `events` is ready on fd now; 0: nothing; a negative errno. */
int hob__poll_ready(int fd, uint32_t events);

/*
 * POLL_READY, RECV, SEND, RECVMSG, SENDMSG, ACCEPT: the operation's result, or POLL_TRY_WAIT.  Does
 * not block and raises no SIGPIPE, whether or not the descriptor is O_NONBLOCK.
 */
int32_t hob__poll_try(const struct poll_op *op);

/* POLL_CONNECT: begins; POLL_TRY_WAIT: ask hob__poll_connected when the descriptor is writable. */
int32_t hob__poll_connect(const struct poll_op *op);
int32_t hob__poll_connected(const struct poll_op *op);

#endif

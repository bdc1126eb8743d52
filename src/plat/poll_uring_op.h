/* SPDX-License-Identifier: MIT
 *
 * poll_uring_op.h - the life of one operation on the ring: which SQE it needs next
 *
 * HOW
 *   An operation has at most one SQE in the kernel.  Some need several in turn: RECV on what is
 *   no socket becomes READ; SEND on what is no socket waits for POLLOUT and then writes by hand,
 *   because a ring's write to a pipe without a reader raises SIGPIPE; where a kernel answers
 *   -EAGAIN for an O_NONBLOCK descriptor, a poll goes before the next attempt.
 *
 *   queued -> KERNEL -> done
 *      ^        |
 *      |        v                 the CQE said: not yet, or not this way
 *      '---- POLLING
 */
#ifndef HOB_PLAT_POLL_URING_OP_H
#define HOB_PLAT_POLL_URING_OP_H

#include <liburing.h>

#include "plat/poll.h"

/* poll_op.state */
enum {
    OP_IDLE,
    OP_QUEUED,   /* on `queue` */
    OP_KERNEL,   /* its SQE does the work */
    OP_POLLING,  /* its SQE waits until the work is worth another attempt */
    OP_FINISHED, /* on `finished` */
    OP_PHASE = 0x0f,
    OP_BY_HAND = 0x20,   /* no socket: READ for RECV, poll and write for SEND */
    OP_POLL_NEXT = 0x40, /* queued for the poll, not for the work */
    OP_CANCEL = 0x80,    /* asked to end */
};

/* user_data that is no operation; all below the lowest address a process can map. */
enum { UD_NONE, UD_WAKE, UD_WATCH, UD_OPS = 4096 };

/* A bit no operation's address has: a feed's. */
#define UD_FEED      1u
#define UD_GEN_SHIFT 48
#define UD_GEN_MASK  0xffffu

static inline uint64_t uring_op_user_data(const struct poll_op *op)
{
    return (uint64_t)op->gen << UD_GEN_SHIFT | (uintptr_t)op;
}

static inline struct poll_op *uring_op_of(uint64_t user_data)
{
    return (struct poll_op *)(uintptr_t)(user_data & ((1ull << UD_GEN_SHIFT) - 1));
}

/* Fills the SQE of an operation taken off the queue; sets its state. */
void hob__uring_op_prep(struct poll_op *op, struct io_uring_sqe *sqe);

/*
 * After the CQE of an operation that was not asked to end: whether it needs another SQE.  Then its
 * state is a queued one; else *res, in and out, is its result.
 */
bool hob__uring_op_goes_on(struct poll_op *op, int32_t *res);

#endif

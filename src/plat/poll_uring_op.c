/* SPDX-License-Identifier: MIT
 *
 * poll_uring_op.c - the life of one operation on the ring: see poll_uring_op.h
 */
#include "plat/poll_uring_op.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "plat/poll_try.h"

enum { URING_LEN_MAX = 1 << 30 }; /* one transfer; the rest is another operation */

static uint32_t uring_op_events(const struct poll_op *op)
{
    if (op->kind == POLL_READY)
        return op->events;
    if (op->kind == POLL_SEND || op->kind == POLL_SENDMSG || op->kind == POLL_CONNECT)
        return EPOLLOUT;
    return EPOLLIN | EPOLLRDHUP;
}

static void uring_op_prep_path(const struct poll_op *op, struct io_uring_sqe *sqe)
{
    switch (op->kind) {
    case POLL_OPEN:
        io_uring_prep_openat(sqe, AT_FDCWD, op->path, (int)op->flags | O_CLOEXEC, op->mode);
        break;
    case POLL_STAT:
        io_uring_prep_statx(sqe, op->fd, op->path, (int)op->flags, STATX_BASIC_STATS, op->stat);
        break;
    case POLL_RENAME:
        io_uring_prep_renameat(sqe, AT_FDCWD, op->path, AT_FDCWD, op->to, op->flags);
        break;
    case POLL_UNLINK:
        io_uring_prep_unlinkat(sqe, AT_FDCWD, op->path, (int)op->flags);
        break;
    default:
        io_uring_prep_mkdirat(sqe, AT_FDCWD, op->path, op->mode);
        break;
    }
}

static void uring_op_prep_work(const struct poll_op *op, struct io_uring_sqe *sqe)
{
    unsigned len = op->len < URING_LEN_MAX ? (unsigned)op->len : URING_LEN_MAX;

    switch (op->kind) {
    case POLL_RECV:
        if (op->state & OP_BY_HAND)
            io_uring_prep_read(sqe, op->fd, op->buf, len, (uint64_t)-1);
        else
            io_uring_prep_recv(sqe, op->fd, op->buf, len, 0);
        break;
    case POLL_SEND:
        io_uring_prep_send(sqe, op->fd, op->cbuf, len, MSG_NOSIGNAL);
        break;
    case POLL_RECVMSG:
        io_uring_prep_recvmsg(sqe, op->fd, op->msg, op->flags);
        break;
    case POLL_SENDMSG:
        io_uring_prep_sendmsg(sqe, op->fd, op->msg, MSG_NOSIGNAL);
        break;
    case POLL_ACCEPT:
        io_uring_prep_accept(sqe, op->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        break;
    case POLL_CONNECT:
        io_uring_prep_connect(sqe, op->fd, op->addr, op->addr_len);
        break;
    case POLL_PREAD:
        io_uring_prep_read(sqe, op->fd, op->buf, len, (uint64_t)op->offset);
        break;
    case POLL_PWRITE:
        io_uring_prep_write(sqe, op->fd, op->cbuf, len, (uint64_t)op->offset);
        break;
    case POLL_PREADV:
        io_uring_prep_readv(sqe, op->fd, op->iov, (unsigned)op->len, (uint64_t)op->offset);
        break;
    case POLL_PWRITEV:
        io_uring_prep_writev(sqe, op->fd, op->iov, (unsigned)op->len, (uint64_t)op->offset);
        break;
    case POLL_FSYNC:
        io_uring_prep_fsync(sqe, op->fd, op->flags);
        break;
    case POLL_READY:
        io_uring_prep_poll_add(sqe, op->fd, uring_op_events(op));
        break;
    default:
        uring_op_prep_path(op, sqe);
        break;
    }
}

void hob__uring_op_prep(struct poll_op *op, struct io_uring_sqe *sqe)
{
    uint8_t by_hand = op->state & OP_BY_HAND;

    if (op->state & OP_POLL_NEXT) {
        io_uring_prep_poll_add(sqe, op->fd, uring_op_events(op));
        op->state = OP_POLLING | by_hand;
    } else {
        uring_op_prep_work(op, sqe);
        op->state = OP_KERNEL | by_hand;
    }
    sqe->user_data = uring_op_user_data(op);
}

bool hob__uring_op_goes_on(struct poll_op *op, int32_t *res)
{
    bool stream = op->kind == POLL_RECV || op->kind == POLL_SEND;
    bool polled = (op->state & OP_PHASE) == OP_POLLING;
    bool no_socket = stream && *res == -ENOTSOCK;
    uint8_t by_hand = no_socket ? OP_BY_HAND : op->state & OP_BY_HAND;

    if (op->kind == POLL_SEND && by_hand && (no_socket || (polled && *res >= 0))) {
        *res = hob__poll_try(op);
        if (*res != POLL_TRY_WAIT)
            return false;
        op->state = OP_QUEUED | OP_POLL_NEXT | by_hand;
        return true;
    }
    if (*res == -EINTR || no_socket || (polled && *res >= 0)) {
        op->state = OP_QUEUED | by_hand;
        return true;
    }
    /* By their order: whatever moves bytes, or accepts. */
    if (*res == -EAGAIN && op->kind >= POLL_RECV && op->kind <= POLL_ACCEPT) {
        op->state = OP_QUEUED | OP_POLL_NEXT | by_hand;
        return true;
    }
    return false;
}

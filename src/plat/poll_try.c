/* SPDX-License-Identifier: MIT
 *
 * poll_try.c - one attempt at an operation by an ordinary system call that does not block
 *
 * WHAT        The whole of the epoll poller's input and output, and the part of the io_uring
 *             poller's that the ring cannot do quietly (writing to a pipe raises SIGPIPE).
 *
 * HOW         Sockets take MSG_DONTWAIT, so their O_NONBLOCK flag does not matter.  Pipes and
 *             terminals have no such flag.  preadv2 and pwritev2 with RWF_NOWAIT do it where the
 *             file supports it (pipes since Linux 6.4); elsewhere poll() is asked first, and a
 *             write is cut to PIPE_BUF bytes, for which a pipe that polls writable has room.
 *
 *             A write to a pipe that nobody reads raises SIGPIPE in the thread that writes, and
 *             the library must not change the disposition that belongs to the program: sigpipe.h.
 *
 * REJECTED    Setting O_NONBLOCK on the caller's descriptor: the flag belongs to the open file,
 *             which other processes may share (a terminal, a pipe inherited as standard input).
 *             connect() is the exception, for it has no other way; the flag is put back at once.
 *             RWF_NOSIGNAL: Linux 6.18 only; the masked write is needed all the same.
 */
#include "plat/poll_try.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "plat/sigpipe.h"

int hob__poll_ready(int fd, uint32_t events)
{
    struct pollfd pfd = {.fd = fd, .events = (short)events};

    for (;;) {
        int n = poll(&pfd, 1, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (pfd.revents & POLLNVAL)
            return -EBADF;
        return pfd.revents;
    }
}

/* RWF_NOWAIT is not known here, or it would have waited: for data, or only for a disk? */
static bool try_says_little(int err)
{
    return err == EOPNOTSUPP || err == ENOSYS || err == EAGAIN;
}

static ssize_t try_read(int fd, void *buf, size_t len)
{
    struct iovec iov = {.iov_base = buf, .iov_len = len};
    ssize_t n = preadv2(fd, &iov, 1, -1, RWF_NOWAIT);

    if (n >= 0 || !try_says_little(errno))
        return n;
    int ready = hob__poll_ready(fd, POLLIN);
    if (ready > 0)
        return read(fd, buf, len);
    errno = ready < 0 ? -ready : EAGAIN;
    return -1;
}

static ssize_t try_write_masked(int fd, const void *buf, size_t len)
{
    struct iovec iov = {.iov_base = (void *)buf, .iov_len = len};
    ssize_t n = pwritev2(fd, &iov, 1, -1, RWF_NOWAIT);

    if (n >= 0 || !try_says_little(errno))
        return n;
    int ready = hob__poll_ready(fd, POLLOUT);
    if (ready > 0)
        return write(fd, buf, len < PIPE_BUF ? len : PIPE_BUF);
    errno = ready < 0 ? -ready : EAGAIN;
    return -1;
}

static ssize_t try_write(int fd, const void *buf, size_t len)
{
    struct sigpipe_hold hold;

    sigpipe_hold(&hold);
    ssize_t n = try_write_masked(fd, buf, len);
    sigpipe_release(&hold, n < 0 && errno == EPIPE);
    return n;
}

/* A listener that blocks would block us where another process took the connection: ask first. */
static int try_accept(int fd)
{
    int ready = hob__poll_ready(fd, POLLIN), listens = 1;
    socklen_t len = sizeof listens;

    if (ready > 0)
        return accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    /* For what is no listener nobody ever comes. */
    if (ready == 0 && getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0)
        return -1;
    errno = ready < 0 ? -ready : listens ? EAGAIN : EINVAL;
    return -1;
}

static ssize_t try_once(const struct poll_op *op)
{
    ssize_t n;

    switch (op->kind) {
    case POLL_RECV:
        n = recv(op->fd, op->buf, op->len, MSG_DONTWAIT);
        return n < 0 && errno == ENOTSOCK ? try_read(op->fd, op->buf, op->len) : n;
    case POLL_SEND:
        n = send(op->fd, op->cbuf, op->len, MSG_DONTWAIT | MSG_NOSIGNAL);
        return n < 0 && errno == ENOTSOCK ? try_write(op->fd, op->cbuf, op->len) : n;
    case POLL_RECVMSG:
        return recvmsg(op->fd, op->msg, (int)op->flags | MSG_DONTWAIT);
    case POLL_SENDMSG:
        return sendmsg(op->fd, op->msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    case POLL_ACCEPT:
        return try_accept(op->fd);
    default:
        errno = EOPNOTSUPP;
        return -1;
    }
}

int32_t hob__poll_try(const struct poll_op *op)
{
    ssize_t n;

    if (op->kind == POLL_READY) {
        int ready = hob__poll_ready(op->fd, op->events);
        return ready ? ready : POLL_TRY_WAIT;
    }
    do
        n = try_once(op);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return n < INT32_MAX ? (int32_t)n : INT32_MAX;
    return errno == EAGAIN ? POLL_TRY_WAIT : -errno;
}

int32_t hob__poll_connect(const struct poll_op *op)
{
    int flags = fcntl(op->fd, F_GETFL);

    if (flags < 0)
        return -errno;
    if (!(flags & O_NONBLOCK))
        fcntl(op->fd, F_SETFL, flags | O_NONBLOCK);
    int r = connect(op->fd, op->addr, op->addr_len) < 0 ? -errno : 0;
    if (!(flags & O_NONBLOCK))
        fcntl(op->fd, F_SETFL, flags);
    return r == -EINTR ? POLL_TRY_WAIT : r; /* interrupted, it goes on by itself */
}

int32_t hob__poll_connected(const struct poll_op *op)
{
    int err = 0;
    socklen_t len = sizeof err;
    int ready = hob__poll_ready(op->fd, POLLOUT);

    if (ready <= 0)
        return ready ? ready : POLL_TRY_WAIT;
    if (getsockopt(op->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
        return -errno;
    return -err;
}

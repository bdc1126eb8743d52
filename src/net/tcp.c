/* SPDX-License-Identifier: MIT
 *
 * tcp.c - listen, accept, dial
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>

#include <hob/net.h>

#include "net/io.h"

enum { BACKLOG_DEFAULT = 1024 };

int hob_tcp_listen(const hob_addr *a, int backlog)
{
    const struct sock_ops *sock = hob__env->sock;
    int fd = sock->open(a->sa.any.sa_family, SOCK_STREAM), r;

    if (fd < 0)
        return fd;
    (void)sock->set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    r = sock->bind(fd, &a->sa.any, a->len);
    if (r == 0)
        r = sock->listen(fd, backlog > 0 ? backlog : BACKLOG_DEFAULT);
    if (r < 0) {
        sock->close(fd);
        return r;
    }
    return fd;
}

/* Small messages go out at once: a fiber writes whole messages, and waits for the answer. */
static int tcp_tuned(int fd)
{
    if (fd >= 0)
        (void)hob__env->sock->set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    return fd;
}

int hob_tcp_accept(int fd, hob_time until)
{
    struct io io = {.op = {.kind = POLL_ACCEPT, .fd = fd}};
    struct fiber *f;
    int r = hob__io_begin(&f);

    if (r < 0)
        return r;
    /* Tried at once: a busy listener has the next one waiting. */
    return tcp_tuned(hob__io_try(f, &io, HOB_WAIT_ACCEPT, until));
}

static int dial(struct fiber *f, struct io *io, hob_time until)
{
    int r;

    if (f)
        return hob__io_run(io, HOB_WAIT_CONNECT, until);
    r = hob__env->sock->connect(&io->op);
    if (r != POLL_TRY_WAIT)
        return r;
    r = hob__thread_poll(io->op.fd, EPOLLOUT, until);
    return r < 0 ? r : hob__env->sock->connected(&io->op);
}

int hob_tcp_dial(const hob_addr *a, hob_time until)
{
    struct io io = {.op = {.kind = POLL_CONNECT, .addr = &a->sa.any, .addr_len = a->len}};
    struct fiber *f;
    int fd, r = hob__io_begin(&f);

    if (r < 0)
        return r;
    if (until == 0)
        return -ETIMEDOUT; /* a connection is never there at once */
    if ((fd = hob__env->sock->open(a->sa.any.sa_family, SOCK_STREAM)) < 0)
        return fd;
    io.op.fd = fd;
    r = dial(f, &io, until);
    if (r < 0) {
        hob_close(fd);
        return r;
    }
    return tcp_tuned(fd);
}

int hob_sock_addr(int fd, hob_addr *ret)
{
    hob_addr a = {.len = sizeof a.sa};
    int r = hob__env->sock->addr(fd, &a.sa.any, &a.len);

    if (r == 0)
        *ret = a;
    return r;
}

int hob_sock_shutdown(int fd, int how)
{
    return how == SHUT_RD || how == SHUT_WR || how == SHUT_RDWR ? hob__env->sock->shut(fd, how)
                                                                : -EINVAL;
}

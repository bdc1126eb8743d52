/* SPDX-License-Identifier: MIT
 *
 * tcp.c - listen, accept, dial
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <hob/net.h>

#include "net/io.h"
#include "plat/poll_try.h"

enum { BACKLOG_DEFAULT = 1024 };

static int sock_new(const hob_addr *a)
{
    int fd = socket(a->sa.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    return fd < 0 ? -errno : fd;
}

int hob_tcp_listen(const hob_addr *a, int backlog)
{
    int one = 1, fd;

    if (hob__env->sim)
        return -EOPNOTSUPP;
    if ((fd = sock_new(a)) < 0)
        return fd;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, &a->sa.any, a->len) < 0 ||
        listen(fd, backlog > 0 ? backlog : BACKLOG_DEFAULT) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    return fd;
}

/* Small messages go out at once: a fiber writes whole messages, and waits for the answer. */
static int tcp_tuned(int fd)
{
    int one = 1;

    if (fd >= 0)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
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
    r = hob__poll_connect(&io->op);
    if (r != POLL_TRY_WAIT)
        return r;
    r = hob__thread_poll(io->op.fd, EPOLLOUT, until);
    return r < 0 ? r : hob__poll_connected(&io->op);
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
    if ((fd = sock_new(a)) < 0)
        return fd;
    io.op.fd = fd;
    r = dial(f, &io, until);
    if (r < 0) {
        close(fd);
        return r;
    }
    return tcp_tuned(fd);
}

int hob_sock_addr(int fd, hob_addr *ret)
{
    hob_addr a = {.len = sizeof a.sa};

    if (getsockname(fd, &a.sa.any, &a.len) < 0)
        return -errno;
    *ret = a;
    return 0;
}

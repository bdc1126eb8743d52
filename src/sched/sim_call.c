/* SPDX-License-Identifier: MIT
 *
 * sim_call.c - the simulator's table of calls for sockets and pipes (plat/sock.h)
 *
 * An attempt at what a descriptor of the kernel's would be asked is -EOPNOTSUPP, and told once.
 * Writing to standard output and standard error is the exception: it decides nothing.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "sched/sim_file.h"
#include "sched/sim_net.h"

/* ---- options ---- */

static int sim_set(int fd, int level, int name, int value)
{
    struct sim_sock *s;
    int r = hob__sim_socket(fd, &s);

    if (r < 0)
        return r;
    if (level == SOL_SOCKET && name == SO_REUSEPORT)
        s->shares_port = value != 0;
    if (level == SOL_SOCKET && name == SO_RCVBUF && value > 0)
        s->mail_room = (size_t)value;
    return 0;
}

static int sim_get(int fd, int level, int name, void *ret, socklen_t *len)
{
    struct ucred self = {.pid = getpid(), .uid = getuid(), .gid = getgid()};
    struct sim_sock *s;
    int r = hob__sim_socket(fd, &s);

    if (r < 0)
        return r;
    if (level == SOL_SOCKET && name == SO_TYPE && *len == sizeof s->type) {
        memcpy(ret, &s->type, sizeof s->type);
        return 0;
    }
    if (level == SOL_SOCKET && name == SO_PEERCRED && *len == sizeof self) {
        if (s->family != AF_UNIX || s->state != SOCK_STREAMS)
            self = (struct ucred){.uid = (uid_t)-1, .gid = (gid_t)-1};
        memcpy(ret, &self, sizeof self);
        return 0;
    }
    return -ENOPROTOOPT;
}

static int sim_mode(int fd, mode_t mode)
{
    (void)mode; /* there is one user */
    return hob__sim_sock_of(fd) ? 0 : hob__sim_not_ours(fd);
}

static int sim_shut(int fd, int how)
{
    struct sim_sock *s;
    int r = hob__sim_socket(fd, &s);

    if (r < 0)
        return r;
    return s->type == SOCK_STREAM ? hob__sim_stream_shut(s, how) : -ENOTCONN;
}

/* ---- making them ---- */

static int sim_open(int family, int type)
{
    struct sim_sock *s;
    int r;

    if (!hob__sim_here())
        return -EOPNOTSUPP;
    if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
        return -EAFNOSUPPORT;
    if (!(s = hob__sim_sock_new(family, type)))
        return -ENOMEM;
    if ((r = hob__sim_sock_install(s)) < 0)
        hob__sim_sock_free(s);
    return r;
}

static void sim_close(int fd)
{
    struct sim_sock *s = hob__sim_sock_of(fd);

    if (s)
        hob__sim_sock_free(s);
    close(fd);
}

static int sim_listen(int fd, int backlog)
{
    struct sim_sock *s;
    int r = hob__sim_socket(fd, &s);

    if (r < 0)
        return r;
    if (s->type != SOCK_STREAM)
        return -EOPNOTSUPP;
    if (s->state != SOCK_NEW)
        return -EINVAL;
    hob__sim_sock_autoname(s);
    s->state = SOCK_LISTENS;
    s->backlog = backlog > 0 ? backlog : 1;
    return 0;
}

static int both_install(struct sim_sock *const both[2], int ret[2])
{
    int one = hob__sim_sock_install(both[0]), two;

    if (one < 0)
        return one;
    if ((two = hob__sim_sock_install(both[1])) < 0) {
        hob__sim_sock_uninstall(both[0]);
        return two;
    }
    ret[0] = one;
    ret[1] = two;
    return 0;
}

static int pair_make(bool pipe, uint32_t room, int ret[2])
{
    struct sim_sock *both[2] = {NULL, NULL};
    int r;

    if (!hob__sim_here())
        return -EOPNOTSUPP;
    both[0] = hob__sim_sock_new(AF_UNIX, SOCK_STREAM);
    both[1] = hob__sim_sock_new(AF_UNIX, SOCK_STREAM);
    r = both[0] && both[1] ? hob__sim_stream_join(both[0], both[1], room, room) : -ENOMEM;
    if (r == 0) {
        both[0]->pipe = both[1]->pipe = pipe;
        both[0]->out_shut = both[1]->in_shut = pipe;
        r = both_install(both, ret);
    }
    for (int i = 0; i < 2 && r < 0; i++)
        if (both[i])
            hob__sim_sock_free(both[i]);
    return r;
}

static int sim_pair(int ret[2])
{
    return pair_make(false, hob__sim_stream_room(), ret);
}

static int sim_pipe(int bytes, unsigned flags, int ret[2])
{
    uint32_t room = PIPE_BUF;

    if (flags)
        return -EOPNOTSUPP; /* an end for somebody outside hob: there is nobody */
    if (bytes > 1 << 20)
        return -EPERM; /* as for who may not go past pipe-max-size */
    while (room < (uint32_t)(bytes > 0 ? bytes : 64 << 10))
        room *= 2;
    return pair_make(true, room, ret);
}

static int32_t sim_connect(const struct poll_op *op)
{
    struct sim_sock *s;
    hob_addr to;
    int r = hob__sim_socket(op->fd, &s);

    if (r < 0 || (r = hob__sim_addr_copy(op->addr, op->addr_len, s->family, &to)) < 0)
        return r;
    if (s->type == SOCK_STREAM)
        return hob__sim_stream_connect(s, &to);
    hob__sim_sock_autoname(s);
    s->peer_name = to;
    return 0;
}

static int32_t sim_connected(const struct poll_op *op)
{
    struct sim_sock *s;
    int r = hob__sim_socket(op->fd, &s);

    if (r < 0)
        return r;
    return s->state == SOCK_CONNECTING ? POLL_TRY_WAIT : hob__sim_sock_err(s);
}

/* ---- attempts ---- */

static int sim_ready(int fd, uint32_t events)
{
    const struct sim_sock *s = hob__sim_sock_of(fd);
    uint32_t is;

    if (!s)
        return hob__sim_not_ours(fd);
    if (s->file)
        is = EPOLLIN | EPOLLOUT;
    else
        is = s->type == SOCK_STREAM ? hob__sim_stream_ready(s) : hob__sim_dgram_ready(s);
    return (int)(is & (events | EPOLLERR | EPOLLHUP));
}

static int sim_accept(struct sim_sock *l)
{
    static const int errs[] = {EMFILE, ECONNABORTED};
    struct sim_sock *s;
    int r;

    if (l->type != SOCK_STREAM || l->state != SOCK_LISTENS)
        return -EINVAL;
    if (!list_empty(&l->queue) && (r = hob__sim_fault_err("accept", errs, 2)) < 0)
        return r;
    if ((r = hob__sim_stream_accept(l, &s)) < 0)
        return r;
    if ((r = hob__sim_sock_install(s)) < 0) { /* it waits on, as the kernel's would */
        list_push_front(&l->queue, &s->queued);
        l->n_queue++;
    }
    return r;
}

/* The text is out before the call returns; who reads it decides nothing. */
static int text_out(int fd, const void *buf, size_t n)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    ssize_t r;

    while ((r = write(fd, buf, n)) < 0 && (errno == EINTR || errno == EAGAIN))
        poll(&p, 1, -1);
    return r < 0 ? -errno : (int)r;
}

static int msg_send(struct sim_sock *s, const struct msghdr *msg)
{
    hob_addr to = {.len = 0};
    int r;

    if (msg->msg_controllen > 0) {
        hob__sim_tell(SIM_TELL_FDS, "descriptors are not passed through simulated sockets");
        return -EOPNOTSUPP;
    }
    if (s->type == SOCK_STREAM)
        return hob__sim_stream_send(s, msg->msg_iov->iov_base, msg->msg_iov->iov_len);
    if (msg->msg_namelen &&
        (r = hob__sim_addr_copy(msg->msg_name, msg->msg_namelen, s->family, &to)) < 0)
        return r;
    return hob__sim_dgram_send(s, msg->msg_iov, msg->msg_iovlen, &to);
}

static int msg_recv(struct sim_sock *s, struct msghdr *msg, int flags)
{
    msg->msg_controllen = 0;
    msg->msg_flags = 0;
    if (s->type != SOCK_STREAM)
        return hob__sim_dgram_recv(s, msg, flags);
    msg->msg_namelen = 0;
    return hob__sim_stream_recv(s, msg->msg_iov->iov_base, msg->msg_iov->iov_len);
}

/* At the descriptor's own place, which moves on. */
static int file_try(struct sim_sock *s, const struct iovec *iov, bool in)
{
    int r =
        in ? hob__sim_file_read(s, iov, 1, s->file_at) : hob__sim_file_write(s, iov, 1, s->file_at);

    if (r > 0)
        s->file_at += (uint64_t)r;
    return r;
}

static int move_try(struct sim_sock *s, const struct poll_op *op)
{
    struct iovec iov = {.iov_base = op->buf, .iov_len = op->len};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    hob_addr none = {.len = 0};

    if (s->file)
        return file_try(s, &iov, op->kind == POLL_RECV);
    if (op->kind == POLL_RECV)
        return s->type == SOCK_STREAM ? hob__sim_stream_recv(s, op->buf, op->len)
                                      : hob__sim_dgram_recv(s, &msg, 0);
    return s->type == SOCK_STREAM ? hob__sim_stream_send(s, op->cbuf, op->len)
                                  : hob__sim_dgram_send(s, &iov, 1, &none);
}

static int32_t sim_try(const struct poll_op *op)
{
    struct sim_sock *s = hob__sim_sock_of(op->fd);
    int r;

    if (!s)
        return op->kind == POLL_SEND && (op->fd == STDOUT_FILENO || op->fd == STDERR_FILENO)
                   ? text_out(op->fd, op->cbuf, op->len)
                   : hob__sim_not_ours(op->fd);
    switch (op->kind) {
    case POLL_READY:
        r = sim_ready(op->fd, op->events);
        return r ? r : POLL_TRY_WAIT;
    case POLL_RECV:
    case POLL_SEND:
        return move_try(s, op);
    case POLL_RECVMSG:
        return s->pipe || s->file ? -ENOTSOCK : msg_recv(s, op->msg, (int)op->flags);
    case POLL_SENDMSG:
        return s->pipe || s->file ? -ENOTSOCK : msg_send(s, op->msg);
    case POLL_ACCEPT:
        return s->pipe || s->file ? -ENOTSOCK : sim_accept(s);
    default:
        return -EOPNOTSUPP;
    }
}

const struct sock_ops hob__sock_sim = {
    .open = sim_open,
    .bind = hob__sim_bind,
    .listen = sim_listen,
    .pair = sim_pair,
    .pipe = sim_pipe,
    .set = sim_set,
    .get = sim_get,
    .mode = sim_mode,
    .addr = hob__sim_addr,
    .shut = sim_shut,
    .close = sim_close,
    .ready = sim_ready,
    .try = sim_try,
    .connect = sim_connect,
    .connected = sim_connected,
};

/* SPDX-License-Identifier: MIT
 *
 * sim_sock.c - the simulator's descriptors, names, and table of calls
 *
 * WHAT        Sockets and pipes in memory behind the calls of plat/sock.h.  A descriptor of theirs
 *             is a number that the kernel knows as one that can do nothing (O_PATH): what goes past
 *             hob to it, a write(2) or a poll(2), is EBADF, and no other file has the number.
 *
 * HOW         socks[fd] ---> struct sim_sock ---> peer, name, what has arrived
 *             wheel     ---> what is under way: bytes, datagrams, connections
 *
 *   An attempt at what a descriptor of the kernel's would be asked is -EOPNOTSUPP, and told once.
 *   Writing to standard output and standard error is the exception: it decides nothing.
 *
 * INVARIANTS  (I1) all calls are made on the one thread of the simulation; on another, and for a
 *                  descriptor of the kernel's, they find no socket
 *             (I2) nothing here depends on the number of a descriptor: the kernel gave it
 *
 * REJECTED    Numbers above any the kernel gives: programs have tables by descriptor.
 *             An eventfd each: a write(2) past hob would succeed, and go nowhere.
 *             Paths in the file system for Unix names: a run would find what the one before left.
 *               So a name is free again when its socket is closed, as Linux' abstract ones are.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/un.h>
#include <unistd.h>

#include "plat/env.h"
#include "sched/sim_net.h"

enum { PORT_FIRST = 32768, PORT_LAST = 60999, MAIL_ROOM = 212992 };

static struct {
    pthread_t thread;
    struct sim_sock **socks; /* by descriptor; n_socks of them */
    int n_socks;
    int nothing; /* the descriptor that all are copies of; -1 */
    struct list named;
    uint16_t port; /* given last */
    unsigned abstract;
    struct wheel wheel;
} net;

/* ---- the wheel ---- */

hob_time hob__sim_net_next(void)
{
    return hob__wheel_due(&net.wheel);
}

void hob__sim_net_advance(hob_time now)
{
    hob__wheel_advance(&net.wheel, now);
}

void hob__sim_timer_set(struct timer *t, hob_time at)
{
    timer_stop(&net.wheel, t);
    hob__timer_set(&net.wheel, t, at);
}

void hob__sim_timer_stop(struct timer *t)
{
    timer_stop(&net.wheel, t);
}

/* ---- descriptors ---- */

void hob__sim_net_open(void)
{
    net.thread = pthread_self();
    net.nothing = -1;
    net.port = PORT_FIRST - 1;
    net.abstract = 0;
    list_init(&net.named);
    hob__wheel_init(&net.wheel, hob__now());
    hob__sim_tell_again();
}

/* What the program has not closed stays open as the kernel sees it: its leak is seen as always. */
void hob__sim_net_close(void)
{
    for (int fd = 0; fd < net.n_socks; fd++)
        if (net.socks[fd])
            hob__sim_sock_free(net.socks[fd]);
    free(net.socks);
    net.socks = NULL;
    net.n_socks = 0;
    if (net.nothing >= 0)
        close(net.nothing);
    net.nothing = -1;
}

static bool here(void)
{
    return pthread_equal(net.thread, pthread_self());
}

struct sim_sock *hob__sim_sock_of(int fd)
{
    return fd >= 0 && fd < net.n_socks && here() ? net.socks[fd] : NULL; /* (I1) */
}

/* The error for a descriptor that is none of ours. */
static int not_ours(int fd)
{
    if (fd < 0 || fcntl(fd, F_GETFD) < 0)
        return -EBADF;
    hob__sim_tell(SIM_TELL_FD,
                  "descriptor %d was not opened in this hob_run: what it does is not simulated "
                  "(hob_sim(3))",
                  fd);
    return -EOPNOTSUPP;
}

static int socks_grow(int fd)
{
    int n = fd < 64 ? 128 : 2 * fd;
    struct sim_sock **more = realloc(net.socks, (size_t)n * sizeof *more);

    if (!more)
        return -ENOMEM;
    memset(more + net.n_socks, 0, (size_t)(n - net.n_socks) * sizeof *more);
    net.socks = more;
    net.n_socks = n;
    return 0;
}

static int fd_take(void)
{
    int fd;

    if (net.nothing < 0 && (net.nothing = open("/", O_PATH | O_CLOEXEC)) < 0)
        return -errno;
    fd = fcntl(net.nothing, F_DUPFD_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

int hob__sim_sock_install(struct sim_sock *s)
{
    int fd = fd_take();

    if (fd < 0)
        return fd;
    if (fd >= net.n_socks && socks_grow(fd) < 0) {
        close(fd);
        return -ENOMEM;
    }
    if (net.socks[fd]) { /* the kernel would not have given the number twice */
        hob__sim_tell(SIM_TELL_CLOSED, "descriptor %d was closed past hob: use hob_close", fd);
        hob__sim_sock_free(net.socks[fd]);
    }
    net.socks[fd] = s;
    return s->fd = fd;
}

struct sim_sock *hob__sim_sock_new(int family, int type)
{
    struct sim_sock *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->fd = -1;
    s->family = family;
    s->type = type;
    s->local = family == AF_UNIX;
    s->mail_room = MAIL_ROOM;
    list_init(&s->named);
    list_init(&s->waiting);
    list_init(&s->queue);
    list_init(&s->knocking);
    list_init(&s->queued);
    list_init(&s->mail);
    return s;
}

void hob__sim_sock_free(struct sim_sock *s)
{
    hob__sim_timer_stop(&s->timer);
    if (s->type == SOCK_STREAM)
        hob__sim_stream_close(s);
    else
        hob__sim_dgram_close(s);
    hob__sim_abandon(s);
    list_del(&s->named);
    list_del(&s->queued);
    if (s->fd >= 0)
        net.socks[s->fd] = NULL;
    free(s->in.ring);
    free(s);
}

int hob__sim_sock_err(struct sim_sock *s)
{
    int err = s->err;

    s->err = 0;
    return err;
}

static int sim_open(int family, int type)
{
    static const int errs[] = {EMFILE};
    struct sim_sock *s;
    int r;

    if (!here())
        return -EOPNOTSUPP;
    if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
        return -EAFNOSUPPORT;
    if ((r = hob__sim_fault_err("socket", errs, 1)) < 0)
        return r;
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

/* ---- names ---- */

static uint16_t *port_of(hob_addr *a)
{
    return &((struct sockaddr_in *)(void *)&a->sa.room)->sin_port; /* of both families */
}

static uint16_t port_get(const hob_addr *a)
{
    return ((const struct sockaddr_in *)(const void *)&a->sa.room)->sin_port;
}

static bool is_any(const hob_addr *a)
{
    if (a->sa.any.sa_family == AF_INET)
        return ((const struct sockaddr_in *)(const void *)&a->sa.room)->sin_addr.s_addr == 0;
    return a->sa.any.sa_family == AF_INET6 &&
           IN6_IS_ADDR_UNSPECIFIED(
               &((const struct sockaddr_in6 *)(const void *)&a->sa.room)->sin6_addr);
}

static bool host_same(const hob_addr *a, const hob_addr *b)
{
    if (a->sa.any.sa_family != b->sa.any.sa_family)
        return false;
    if (a->sa.any.sa_family == AF_INET)
        return ((const struct sockaddr_in *)(const void *)&a->sa.room)->sin_addr.s_addr ==
               ((const struct sockaddr_in *)(const void *)&b->sa.room)->sin_addr.s_addr;
    return IN6_ARE_ADDR_EQUAL(&((const struct sockaddr_in6 *)(const void *)&a->sa.room)->sin6_addr,
                              &((const struct sockaddr_in6 *)(const void *)&b->sa.room)->sin6_addr);
}

/* Whether what is sent to `to` comes to a socket of that name. */
static bool name_takes(const hob_addr *name, const hob_addr *to)
{
    if (name->sa.any.sa_family == AF_UNIX || to->sa.any.sa_family == AF_UNIX)
        return name->len == to->len && memcmp(&name->sa, &to->sa, to->len) == 0;
    if (port_get(name) != port_get(to))
        return false;
    if (is_any(name)) /* that of IPv6 takes IPv4 too */
        return name->sa.any.sa_family == AF_INET6 || to->sa.any.sa_family == AF_INET;
    return host_same(name, to);
}

struct sim_sock *hob__sim_sock_at(const hob_addr *a, int type)
{
    struct sim_sock *wide = NULL;

    list_each (n, &net.named) {
        struct sim_sock *s = list_entry(n, struct sim_sock, named);
        if (s->type != type || (type == SOCK_STREAM && s->state != SOCK_LISTENS) ||
            !name_takes(&s->name, a))
            continue;
        if (!is_any(&s->name))
            return s;
        wide = s;
    }
    return wide;
}

static bool name_free(const struct sim_sock *s, const hob_addr *a)
{
    list_each (n, &net.named) {
        const struct sim_sock *o = list_entry(n, struct sim_sock, named);
        if (o->type == s->type && (name_takes(&o->name, a) || name_takes(a, &o->name)) &&
            !(o->shares_port && s->shares_port))
            return false;
    }
    return true;
}

/* A port that nobody has; all taken: -EADDRINUSE. */
static int port_give(const struct sim_sock *s, hob_addr *a)
{
    for (int i = PORT_FIRST; i <= PORT_LAST; i++) {
        net.port = net.port < PORT_LAST ? net.port + 1 : PORT_FIRST;
        *port_of(a) = htons(net.port);
        if (name_free(s, a))
            return 0;
    }
    return -EADDRINUSE;
}

static int addr_copy(const struct sockaddr *a, socklen_t len, int family, hob_addr *ret)
{
    if (len < sizeof(sa_family_t) || len > sizeof ret->sa)
        return -EINVAL;
    if (a->sa_family != family)
        return -EAFNOSUPPORT;
    if ((family == AF_INET && len < sizeof(struct sockaddr_in)) ||
        (family == AF_INET6 && len < sizeof(struct sockaddr_in6)))
        return -EINVAL;
    *ret = (hob_addr){.len = len};
    memcpy(&ret->sa, a, len);
    return 0;
}

static int sim_bind(int fd, const struct sockaddr *a, socklen_t len)
{
    struct sim_sock *s = hob__sim_sock_of(fd);
    hob_addr name;
    int r;

    if (!s)
        return not_ours(fd);
    if ((r = addr_copy(a, len, s->family, &name)) < 0)
        return r;
    if (s->pipe || s->name.len)
        return -EINVAL;
    if (s->family != AF_UNIX && port_get(&name) == 0)
        r = port_give(s, &name);
    else if (!name_free(s, &name))
        r = -EADDRINUSE;
    if (r < 0)
        return r;
    s->name = name;
    list_push(&net.named, &s->named);
    return 0;
}

/* As connect(2) and sendto(2) do: the host is this one, whichever that is. */
void hob__sim_sock_autoname(struct sim_sock *s)
{
    hob_addr a = {.len = 0};

    if (s->name.len)
        return;
    a.sa.any.sa_family = (sa_family_t)s->family;
    if (s->family == AF_UNIX)
        return; /* has none */
    a.len = s->family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    if (s->family == AF_INET)
        ((struct sockaddr_in *)(void *)&a.sa.room)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else
        ((struct sockaddr_in6 *)(void *)&a.sa.room)->sin6_addr = in6addr_loopback;
    if (port_give(s, &a) < 0)
        return; /* none left: then it has none */
    s->name = a;
    list_push(&net.named, &s->named);
}

static int sim_addr(int fd, struct sockaddr *ret, socklen_t *len)
{
    const struct sim_sock *s = hob__sim_sock_of(fd);
    hob_addr a = {.len = 0};

    if (!s)
        return not_ours(fd);
    if (s->pipe)
        return -ENOTSOCK;
    a = s->name;
    if (a.len == 0) {
        a.sa.any.sa_family = (sa_family_t)s->family;
        a.len = s->family == AF_INET    ? sizeof(struct sockaddr_in)
                : s->family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                        : sizeof(sa_family_t);
    }
    memcpy(ret, &a.sa, *len < a.len ? *len : a.len);
    *len = a.len;
    return 0;
}

/* ---- options ---- */

static int sim_set(int fd, int level, int name, int value)
{
    struct sim_sock *s = hob__sim_sock_of(fd);

    if (!s)
        return not_ours(fd);
    if (level == SOL_SOCKET && name == SO_REUSEPORT)
        s->shares_port = value != 0;
    if (level == SOL_SOCKET && name == SO_RCVBUF && value > 0)
        s->mail_room = (size_t)value;
    return 0;
}

static int sim_get(int fd, int level, int name, void *ret, socklen_t *len)
{
    const struct sim_sock *s = hob__sim_sock_of(fd);
    struct ucred self = {.pid = getpid(), .uid = getuid(), .gid = getgid()};

    if (!s)
        return not_ours(fd);
    if (s->pipe)
        return -ENOTSOCK;
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
    return hob__sim_sock_of(fd) ? 0 : not_ours(fd);
}

static int sim_shut(int fd, int how)
{
    struct sim_sock *s = hob__sim_sock_of(fd);

    if (!s)
        return not_ours(fd);
    return s->type == SOCK_STREAM && !s->pipe ? hob__sim_stream_shut(s, how)
                                              : -(s->pipe ? ENOTSOCK : ENOTCONN);
}

/* ---- making them ---- */

static int sim_listen(int fd, int backlog)
{
    struct sim_sock *s = hob__sim_sock_of(fd);

    if (!s)
        return not_ours(fd);
    if (s->type != SOCK_STREAM || s->pipe)
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
        both[0]->fd = -1;
        net.socks[one] = NULL;
        close(one);
        return two;
    }
    ret[0] = one;
    ret[1] = two;
    return 0;
}

static int pair_make(bool pipe, uint32_t room, int ret[2])
{
    static const int errs[] = {EMFILE};
    struct sim_sock *both[2] = {NULL, NULL};
    int r;

    if (!here())
        return -EOPNOTSUPP;
    if ((r = hob__sim_fault_err(pipe ? "pipe" : "socketpair", errs, 1)) < 0)
        return r;
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
    struct sim_sock *s = hob__sim_sock_of(op->fd);
    hob_addr to;
    int r;

    if (!s)
        return not_ours(op->fd);
    if ((r = addr_copy(op->addr, op->addr_len, s->family, &to)) < 0)
        return r;
    if (s->type == SOCK_STREAM)
        return hob__sim_stream_connect(s, &to);
    hob__sim_sock_autoname(s);
    s->peer_name = to;
    return 0;
}

static int32_t sim_connected(const struct poll_op *op)
{
    struct sim_sock *s = hob__sim_sock_of(op->fd);

    if (!s)
        return not_ours(op->fd);
    return s->state == SOCK_CONNECTING ? POLL_TRY_WAIT : hob__sim_sock_err(s);
}

/* ---- attempts ---- */

static int sim_ready(int fd, uint32_t events)
{
    const struct sim_sock *s = hob__sim_sock_of(fd);
    uint32_t is;

    if (!s)
        return not_ours(fd);
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
        (r = addr_copy(msg->msg_name, msg->msg_namelen, s->family, &to)) < 0)
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

static int move_try(struct sim_sock *s, const struct poll_op *op)
{
    struct iovec iov = {.iov_base = op->buf, .iov_len = op->len};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    hob_addr none = {.len = 0};

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
                   : not_ours(op->fd);
    switch (op->kind) {
    case POLL_READY:
        r = sim_ready(op->fd, op->events);
        return r ? r : POLL_TRY_WAIT;
    case POLL_RECV:
    case POLL_SEND:
        return move_try(s, op);
    case POLL_RECVMSG:
        return s->pipe ? -ENOTSOCK : msg_recv(s, op->msg, (int)op->flags);
    case POLL_SENDMSG:
        return s->pipe ? -ENOTSOCK : msg_send(s, op->msg);
    case POLL_ACCEPT:
        return sim_accept(s);
    default:
        return -EOPNOTSUPP;
    }
}

const struct sock_ops hob__sock_sim = {
    .open = sim_open,
    .bind = sim_bind,
    .listen = sim_listen,
    .pair = sim_pair,
    .pipe = sim_pipe,
    .set = sim_set,
    .get = sim_get,
    .mode = sim_mode,
    .addr = sim_addr,
    .shut = sim_shut,
    .close = sim_close,
    .ready = sim_ready,
    .try = sim_try,
    .connect = sim_connect,
    .connected = sim_connected,
};

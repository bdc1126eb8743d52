/* SPDX-License-Identifier: MIT
 *
 * dgram.c - UDP sockets, and datagrams of any kind
 *
 * WHAT        One datagram a call.  The kernel is asked for its whole length (MSG_TRUNC), so that
 *             one that was cut is told from one that fits.
 *
 * HOW         Sends are tried at once; receives go to the poller (io.c says why).  A datagram for
 *   a Unix socket whose queue is full is tried again after a pause: where the sender is not
 *   connected, nothing wakes it when others' datagrams are taken off that queue.
 *
 * INVARIANTS  (I1) a datagram that was taken is reported: whole, or as cut
 *
 * REJECTED    -EMSGSIZE alone: a caller that wants the beginning only would have to peek first.
 *             MSG_PEEK and a second call: two readers of one socket would see each other's.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include <hob/dgram.h>

#include "base/assert.h"
#include "base/opts.h"
#include "net/io.h"

enum { NAP_FIRST = 200 * 1000 }; /* ns */

static int udp_set(int fd, const struct hob_udp_opts *o)
{
    const struct sock_ops *sock = hob__env->sock;
    int r = 0;

    if (o->reuse_port)
        r = sock->set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (r == 0 && o->broadcast)
        r = sock->set(fd, SOL_SOCKET, SO_BROADCAST, 1);
    if (r == 0 && o->recv_bytes > 0)
        r = sock->set(fd, SOL_SOCKET, SO_RCVBUF, o->recv_bytes);
    return r;
}

static int udp_new(const hob_addr *a, const struct hob_udp_opts *opts,
                   int (*attach)(int fd, const hob_addr *a))
{
    struct hob_udp_opts o;
    int fd, r = hob__opts_copy(&o, sizeof o, opts);

    if (r < 0)
        return r;
    if (a->sa.any.sa_family != AF_INET && a->sa.any.sa_family != AF_INET6)
        return -EAFNOSUPPORT;
    if ((fd = hob__env->sock->open(a->sa.any.sa_family, SOCK_DGRAM)) < 0)
        return fd;
    r = udp_set(fd, &o);
    if (r == 0)
        r = attach(fd, a);
    if (r < 0) {
        hob_close(fd);
        return r;
    }
    return fd;
}

static int attach_bind(int fd, const hob_addr *a)
{
    return hob__env->sock->bind(fd, &a->sa.any, a->len);
}

/* Of a datagram socket it sets the peer, and never waits. */
static int attach_connect(int fd, const hob_addr *a)
{
    struct poll_op op = {.kind = POLL_CONNECT, .fd = fd, .addr = &a->sa.any, .addr_len = a->len};

    return hob__env->sock->connect(&op);
}

int hob_udp_bind(const hob_addr *a, const struct hob_udp_opts *opts)
{
    return udp_new(a, opts, attach_bind);
}

int hob_udp_dial(const hob_addr *a, const struct hob_udp_opts *opts)
{
    return udp_new(a, opts, attach_connect);
}

/* Nothing tells when the receiver's queue has room. */
static int send_to_unix(struct fiber *f, struct io *io, hob_time until)
{
    hob_dur nap = NAP_FIRST;
    int r;

    while ((r = hob__env->sock->try(&io->op)) == POLL_TRY_WAIT)
        if ((r = hob__io_nap(f, HOB_WAIT_SEND, until, &nap)) < 0)
            return r;
    return r;
}

ssize_t hob_dgram_send(int fd, const void *buf, size_t n, const hob_addr *to, hob_time until)
{
    struct iovec iov = {.iov_base = (void *)buf, .iov_len = n};
    struct msghdr msg = {.msg_name = to ? (void *)&to->sa : NULL,
                         .msg_namelen = to ? to->len : 0,
                         .msg_iov = &iov,
                         .msg_iovlen = 1};
    struct io io = {.op = {.kind = POLL_SENDMSG, .fd = fd, .msg = &msg, .len = n}};
    struct fiber *f;
    int r = hob__io_begin(&f);

    if (r < 0)
        return r;
    if (to && to->sa.any.sa_family == AF_UNIX)
        return send_to_unix(f, &io, until);
    return hob__io_try(f, &io, HOB_WAIT_SEND, until);
}

/* Of a stream MSG_TRUNC drops bytes instead of telling their number.  Only such a socket, and a
 * Unix one whose sender has no name, gives no address. */
static bool is_stream(int fd)
{
    int type = 0;
    socklen_t len = sizeof type;

    return hob__env->sock->get(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

ssize_t hob_dgram_recv(int fd, void *buf, size_t n, hob_time until, hob_addr *ret_from,
                       size_t *ret_whole)
{
    hob_addr from = {.len = 0};
    struct iovec iov = {.iov_base = buf, .iov_len = n};
    struct msghdr msg = {
        .msg_name = &from.sa, .msg_namelen = sizeof from.sa, .msg_iov = &iov, .msg_iovlen = 1};
    struct io io = {
        .op = {.kind = POLL_RECVMSG, .fd = fd, .msg = &msg, .len = n, .flags = MSG_TRUNC}};
    struct fiber *f;
    int r = hob__io_begin(&f);

    if (r < 0)
        return r;
    r = f ? hob__io_run(&io, HOB_WAIT_RECV, until) : hob__io_try(f, &io, HOB_WAIT_RECV, until);
    if (r < 0)
        return r;
    if (msg.msg_namelen == 0 && is_stream(fd))
        return HOB_MISUSE(-EPROTOTYPE, "hob_dgram_recv of a stream socket");
    if ((size_t)r > n && !ret_whole)
        return -EMSGSIZE; /* (I1) */
    from.len = msg.msg_namelen;
    if (ret_from)
        *ret_from = from;
    if (ret_whole)
        *ret_whole = (size_t)r;
    return (size_t)r < n ? r : (ssize_t)n;
}

/* SPDX-License-Identifier: MIT
 *
 * unix.c - Unix sockets: names, streams, datagrams, descriptors in messages
 *
 * WHAT        Beside what all sockets have: names that are paths, a peer whose credentials the
 *             kernel vouches for, and messages that carry descriptors.
 *
 * HOW         A full backlog is -EAGAIN from connect(), and no event tells when it no longer is.
 *   The connection is tried again after a pause that doubles up to 50 ms.  io_uring, too,
 *   only says so of a descriptor that is non-blocking.
 *
 *   A receive always has room for as many descriptors as a message may carry.  So if the kernel
 *   says that some were cut, this process had no room for them; and those that the caller did not
 *   expect are closed here, by the one who knows their numbers.
 *
 * INVARIANTS  (I1) every descriptor that came is returned or closed
 *             (I2) descriptors are sent once, with the first byte
 *
 * REJECTED    Giving a caller the first `max` of too many descriptors: a peer that sends what was
 *               not agreed on is not to be believed in the rest either.
 *             chmod after bind: in between anybody may connect.  fchmod of the socket before bind
 *               gives the path its mode from the start (Linux).
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <hob/unix.h>

#include "base/opts.h"
#include "net/io.h"

enum { BACKLOG_DEFAULT = 1024, NAP_FIRST = 200 * 1000 /* ns */ };

/* Room for the descriptors of one message, aligned as the kernel wants it, and for the credentials
 * that come along where the program asked for them (SO_PASSCRED). */
union fds_room {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(HOB_UNIX_FDS_MAX * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
};

int hob_unix_addr(const char *name, hob_addr *ret)
{
    hob_addr a = {.len = 0};
    struct sockaddr_un *un = (struct sockaddr_un *)(void *)&a.sa.room;
    size_t n = strlen(name);
    bool abstract = name[0] == '@';

    if (n == 0 || (abstract && n == 1))
        return -EINVAL;
    if (n > sizeof un->sun_path - !abstract) /* a path has its NUL */
        return -ENAMETOOLONG;
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, name, n);
    if (abstract)
        un->sun_path[0] = '\0';
    a.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + !abstract);
    *ret = a;
    return 0;
}

static int sock_new(int type)
{
    return hob__env->sock->open(AF_UNIX, type);
}

/* ---- names ---- */

/* Whether the path is a socket that was left behind. */
static bool is_stale(const char *path, const hob_addr *a, int type)
{
    struct stat st;
    int fd, r;

    if (path[0] == '@' || lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return false;
    if ((fd = sock_new(type)) < 0)
        return false;
    struct poll_op op = {.kind = POLL_CONNECT, .fd = fd, .addr = &a->sa.any, .addr_len = a->len};
    r = hob__env->sock->connect(&op);
    hob_close(fd);
    return r == -ECONNREFUSED;
}

static int sock_bind(int fd, int type, const char *name, const hob_addr *a,
                     const struct hob_unix_opts *o)
{
    const struct sock_ops *sock = hob__env->sock;
    int r = o->mode && name[0] != '@' ? sock->mode(fd, o->mode) : 0;

    if (r < 0)
        return r;
    r = sock->bind(fd, &a->sa.any, a->len);
    if (r != -EADDRINUSE || !o->replace || !is_stale(name, a, type))
        return r;
    unlink(name); /* if somebody else was faster, bind says so */
    return sock->bind(fd, &a->sa.any, a->len);
}

static int sock_named(int type, const char *name, const struct hob_unix_opts *opts)
{
    struct hob_unix_opts o;
    hob_addr a;
    int fd, r = hob__opts_copy(&o, sizeof o, opts);

    if (r < 0 || (name && (r = hob_unix_addr(name, &a)) < 0))
        return r;
    if ((fd = sock_new(type)) < 0)
        return fd;
    if (name)
        r = sock_bind(fd, type, name, &a, &o);
    if (r == 0 && type == SOCK_STREAM)
        r = hob__env->sock->listen(fd, o.backlog > 0 ? o.backlog : BACKLOG_DEFAULT);
    if (r < 0) {
        hob_close(fd);
        return r;
    }
    return fd;
}

int hob_unix_listen(const char *name, const struct hob_unix_opts *opts)
{
    return name ? sock_named(SOCK_STREAM, name, opts) : -EINVAL;
}

int hob_unix_bind(const char *name, const struct hob_unix_opts *opts)
{
    return sock_named(SOCK_DGRAM, name, opts);
}

/* ---- connections ---- */

int hob_unix_accept(int fd, hob_time until)
{
    struct io io = {.op = {.kind = POLL_ACCEPT, .fd = fd}};
    struct fiber *f;
    int r = hob__io_begin(&f);

    return r < 0 ? r : hob__io_try(f, &io, HOB_WAIT_ACCEPT, until);
}

static int dial(struct fiber *f, struct io *io, hob_time until)
{
    hob_dur nap = NAP_FIRST;
    int r;

    while ((r = hob__env->sock->connect(&io->op)) == -EAGAIN) {
        if (until == 0)
            return -ETIMEDOUT;
        if ((r = hob__io_nap(f, HOB_WAIT_CONNECT, until, &nap)) < 0)
            return r;
    }
    return r;
}

int hob_unix_dial(const char *name, hob_time until)
{
    hob_addr a;
    struct fiber *f;
    int fd, r = hob_unix_addr(name, &a);

    if (r < 0 || (r = hob__io_begin(&f)) < 0)
        return r;
    if ((fd = sock_new(SOCK_STREAM)) < 0)
        return fd;
    struct io io = {.op = {.kind = POLL_CONNECT, .fd = fd, .addr = &a.sa.any, .addr_len = a.len}};
    r = dial(f, &io, until);
    if (r < 0) {
        hob_close(fd);
        return r;
    }
    return fd;
}

int hob_unix_pair(int ret[2])
{
    return hob__env->sock->pair(ret);
}

int hob_unix_peer_get(int fd, hob_unix_peer *ret)
{
    struct ucred cred;
    socklen_t len = sizeof cred;

    int r = hob__env->sock->get(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);

    if (r < 0)
        return r;
    if (len != sizeof cred || cred.uid == (uid_t)-1) /* not a Unix socket's, or not connected */
        return -ENOTCONN;
    *ret = (hob_unix_peer){.pid = cred.pid, .uid = cred.uid, .gid = cred.gid};
    return 0;
}

/* ---- descriptors ---- */

static int sock_is_stream(int fd, bool *ret)
{
    int type;
    socklen_t len = sizeof type;

    int r = hob__env->sock->get(fd, SOL_SOCKET, SO_TYPE, &type, &len);

    if (r < 0)
        return r;
    *ret = type == SOCK_STREAM;
    return 0;
}

static void room_fill(union fds_room *room, const int *fds, size_t n, struct msghdr *msg)
{
    if (n == 0)
        return;
    msg->msg_control = room;
    msg->msg_controllen = CMSG_SPACE(n * sizeof *fds);
    struct cmsghdr *c = CMSG_FIRSTHDR(msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(n * sizeof *fds);
    memcpy(CMSG_DATA(c), fds, n * sizeof *fds);
}

ssize_t hob_unix_send_fds(int fd, const void *buf, size_t n, const int *fds, size_t n_fds,
                          hob_time until)
{
    union fds_room room = {.bytes = {0}};
    struct iovec iov = {.iov_base = (void *)buf, .iov_len = n};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    struct io io = {.op = {.kind = POLL_SENDMSG, .fd = fd, .msg = &msg, .len = n}};
    struct fiber *f;
    bool stream = false;
    ssize_t r = hob__io_begin(&f), rest;

    if (r < 0 || (r = sock_is_stream(fd, &stream)) < 0)
        return r;
    if (n_fds > HOB_UNIX_FDS_MAX || (stream && n == 0))
        return -EINVAL;
    room_fill(&room, fds, n_fds, &msg);
    r = hob__io_try(f, &io, HOB_WAIT_SEND, until);
    if (r < 0 || (size_t)r == n)
        return r;
    rest = hob_write(fd, (const char *)buf + r, n - (size_t)r, until); /* (I2) */
    return rest > 0 ? r + rest : r;
}

/* The descriptors that came: their number; they lie in `fds`. */
static size_t room_take(struct msghdr *msg, int fds[HOB_UNIX_FDS_MAX])
{
    size_t n = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue; /* such as credentials, where the program asked for them */
        size_t k = (c->cmsg_len - CMSG_LEN(0)) / sizeof *fds;
        memcpy(fds + n, CMSG_DATA(c), k * sizeof *fds); /* one such header a message, by its room */
        n += k;
    }
    return n;
}

ssize_t hob_unix_recv_fds(int fd, void *buf, size_t n, size_t max, hob_time until, int *ret_fds,
                          size_t *ret_n)
{
    union fds_room room;
    int fds[HOB_UNIX_FDS_MAX];
    struct iovec iov = {.iov_base = buf, .iov_len = n};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &room, .msg_controllen = sizeof room};
    struct io io = {
        .op = {.kind = POLL_RECVMSG, .fd = fd, .msg = &msg, .len = n, .flags = MSG_CMSG_CLOEXEC}};
    struct fiber *f;
    int r = hob__io_begin(&f), why = 0;

    if (r < 0)
        return r;
    r = f ? hob__io_run(&io, HOB_WAIT_RECV, until) : hob__io_try(f, &io, HOB_WAIT_RECV, until);
    if (r < 0)
        return r;
    size_t got = room_take(&msg, fds);
    if (msg.msg_flags & MSG_CTRUNC)
        why = -EMFILE;
    else if (got > max || (msg.msg_flags & MSG_TRUNC))
        why = -EMSGSIZE;
    if (why < 0) {
        for (size_t i = 0; i < got; i++) /* (I1) */
            hob_close(fds[i]);
        return why;
    }
    memcpy(ret_fds, fds, got * sizeof *fds);
    *ret_n = got;
    return r;
}

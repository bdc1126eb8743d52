/* SPDX-License-Identifier: MIT
 *
 * sock.c - the kernel's sockets and pipes
 */
#include "plat/sock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int real_open(int family, int type)
{
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    return fd < 0 ? -errno : fd;
}

static int real_bind(int fd, const struct sockaddr *a, socklen_t len)
{
    return bind(fd, a, len) < 0 ? -errno : 0;
}

static int real_listen(int fd, int backlog)
{
    return listen(fd, backlog) < 0 ? -errno : 0;
}

static int real_pair(int ret[2])
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    ret[0] = pair[0];
    ret[1] = pair[1];
    return 0;
}

static int real_pipe(int bytes, unsigned flags, int ret[2])
{
    int pair[2];

    if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    if ((bytes > 0 && fcntl(pair[1], F_SETPIPE_SZ, bytes) < 0) ||
        ((flags & SOCK_PIPE_BLOCKS_READ) && fcntl(pair[0], F_SETFL, 0) < 0) ||
        ((flags & SOCK_PIPE_BLOCKS_WRITE) && fcntl(pair[1], F_SETFL, 0) < 0)) {
        int r = -errno;
        close(pair[0]);
        close(pair[1]);
        return r;
    }
    ret[0] = pair[0];
    ret[1] = pair[1];
    return 0;
}

static int real_set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

static int real_get(int fd, int level, int name, void *ret, socklen_t *len)
{
    return getsockopt(fd, level, name, ret, len) < 0 ? -errno : 0;
}

static int real_mode(int fd, mode_t mode)
{
    return fchmod(fd, mode) < 0 ? -errno : 0;
}

static int real_addr(int fd, struct sockaddr *ret, socklen_t *len)
{
    return getsockname(fd, ret, len) < 0 ? -errno : 0;
}

static int real_shut(int fd, int how)
{
    return shutdown(fd, how) < 0 ? -errno : 0;
}

static void real_close(int fd)
{
    close(fd);
}

const struct sock_ops hob__sock_real = {
    .open = real_open,
    .bind = real_bind,
    .listen = real_listen,
    .pair = real_pair,
    .pipe = real_pipe,
    .set = real_set,
    .get = real_get,
    .mode = real_mode,
    .addr = real_addr,
    .shut = real_shut,
    .close = real_close,
    .ready = hob__poll_ready,
    .try = hob__poll_try,
    .connect = hob__poll_connect,
    .connected = hob__poll_connected,
};

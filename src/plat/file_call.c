/* SPDX-License-Identifier: MIT
 *
 * file_call.c - files by the machine's ordinary system calls
 */
#include "plat/file_call.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FSYNC_DATA = 1 }; /* IORING_FSYNC_DATASYNC */

/* Those that name a file by its path, or are about a file as a whole. */
static int whole_call(const struct poll_op *op)
{
    switch (op->kind) {
    case POLL_OPEN:
        return open(op->path, (int)op->flags, op->mode);
    case POLL_STAT:
        return statx(op->fd, op->path, (int)op->flags, STATX_BASIC_STATS, op->stat);
    case POLL_RENAME:
        return renameat2(AT_FDCWD, op->path, AT_FDCWD, op->to, op->flags);
    case POLL_UNLINK:
        return unlinkat(AT_FDCWD, op->path, (int)op->flags);
    case POLL_MKDIR:
        return mkdirat(AT_FDCWD, op->path, op->mode);
    default:
        return op->flags & FSYNC_DATA ? fdatasync(op->fd) : fsync(op->fd);
    }
}

static ssize_t call_once(const struct poll_op *op)
{
    switch (op->kind) {
    case POLL_PREAD:
        return pread(op->fd, op->buf, op->len, op->offset);
    case POLL_PWRITE:
        return pwrite(op->fd, op->cbuf, op->len, op->offset);
    case POLL_PREADV:
        return preadv(op->fd, op->iov, (int)op->len, op->offset);
    case POLL_PWRITEV:
        return pwritev(op->fd, op->iov, (int)op->len, op->offset);
    default:
        return whole_call(op);
    }
}

static int real_call(const struct poll_op *op)
{
    ssize_t r;

    do
        r = call_once(op);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : (int)r;
}

static int real_entries(int fd, void *buf, size_t n)
{
    ssize_t r;

    do
        r = getdents64(fd, buf, n);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : (int)r;
}

const struct file_ops hob__file_real = {.call = real_call, .entries = real_entries};

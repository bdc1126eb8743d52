/* SPDX-License-Identifier: MIT
 *
 * file.c - files: on the ring where there is one, else on a thread that may block
 *
 * WHAT        Every call is one poll_op.  Where the loop's poller can do it, it goes there; else
 *             the same op is run by the environment's call on a blocking thread.
 *
 * INVARIANTS  (I1) a write that was done in part says how much, whatever ended it
 */
#include "net/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/uio.h>

#include <hob/bridge.h>
#include <hob/file.h>

enum {
    PIECE_MAX = 0x40000000, /* the kernel moves at most 2 GiB less a page a call; an int holds it */
    FSYNC_DATA = 1,         /* IORING_FSYNC_DATASYNC */
};

/* hob_fn: on a thread that may block. */
static int file_call(void *arg)
{
    return hob__env->file->call(arg);
}

int hob__file_run(struct io *io, hob_time until)
{
    struct fiber *f;
    struct poller *p;
    int r = hob__io_begin(&f);

    if (r < 0)
        return r;
    if (!f)
        return file_call(&io->op);
    p = f->loop->poller;
    if (p->ops->can(p, (enum poll_kind)io->op.kind))
        return hob__io_run(io, HOB_WAIT_FILE, until);
    return hob_block(file_call, &io->op, until);
}

int hob_file_open(const char *path, int flags, mode_t mode, hob_time until)
{
    struct io io = {.op = {.kind = POLL_OPEN,
                           .path = path,
                           .flags = (uint32_t)(flags | O_CLOEXEC),
                           .mode = (uint16_t)mode}};

    return hob__file_run(&io, until);
}

/* One piece.  To the ring a negative offset would be the descriptor's own position. */
static int piece(enum poll_kind kind, int fd, const void *buf, size_t n, off_t offset,
                 hob_time until)
{
    struct io io = {.op = {.kind = (uint8_t)kind,
                           .fd = fd,
                           .cbuf = buf,
                           .len = n < PIECE_MAX ? n : PIECE_MAX,
                           .offset = offset}};

    return offset < 0 ? -EINVAL : hob__file_run(&io, until);
}

ssize_t hob_file_read(int fd, void *buf, size_t n, off_t offset, hob_time until)
{
    return piece(POLL_PREAD, fd, buf, n, offset, until);
}

ssize_t hob_file_write(int fd, const void *buf, size_t n, off_t offset, hob_time until)
{
    size_t done = 0;
    int r;

    do {
        r = piece(POLL_PWRITE, fd, (const char *)buf + done, n - done, offset + (off_t)done, until);
        if (r > 0)
            done += (size_t)r;
    } while (r > 0 && done < n);
    return done > 0 ? (ssize_t)done : r; /* (I1) */
}

ssize_t hob_file_readv(int fd, const struct iovec *iov, int n, off_t offset, hob_time until)
{
    if (n < 0 || n > IOV_MAX)
        return -EINVAL;
    return piece(POLL_PREADV, fd, iov, (size_t)n, offset, until);
}

/* What of iov[at] is left after `part` bytes of it; then the next one is due. */
static ssize_t finish_one(int fd, const struct iovec *iov, size_t part, off_t offset,
                          hob_time until)
{
    return hob_file_write(fd, (const char *)iov->iov_base + part, iov->iov_len - part, offset,
                          until);
}

ssize_t hob_file_writev(int fd, const struct iovec *iov, int n, off_t offset, hob_time until)
{
    ssize_t r = 0, done = 0;
    int at = 0;

    if (n < 0 || n > IOV_MAX)
        return -EINVAL;
    while (at < n) {
        r = piece(POLL_PWRITEV, fd, iov + at, (size_t)(n - at), offset + done, until);
        if (r <= 0)
            break;
        done += r;
        for (; at < n && (size_t)r >= iov[at].iov_len; at++)
            r -= (ssize_t)iov[at].iov_len;
        if (r == 0)
            continue;
        size_t left = iov[at].iov_len - (size_t)r;
        r = finish_one(fd, &iov[at++], (size_t)r, offset + done, until);
        done += r > 0 ? r : 0;
        if (r < (ssize_t)left)
            break;
    }
    return done > 0 ? done : r; /* (I1) */
}

static int sync_of(int fd, uint32_t flags, hob_time until)
{
    struct io io = {.op = {.kind = POLL_FSYNC, .fd = fd, .flags = flags}};

    return hob__file_run(&io, until);
}

int hob_file_sync(int fd, hob_time until)
{
    return sync_of(fd, FSYNC_DATA, until);
}

int hob_file_sync_all(int fd, hob_time until)
{
    return sync_of(fd, 0, until);
}

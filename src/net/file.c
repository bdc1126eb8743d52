/* SPDX-License-Identifier: MIT
 *
 * file.c - files: on the ring where there is one, else on a thread that may block
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <hob/bridge.h>
#include <hob/file.h>

#include "net/io.h"

/* One call by ordinary system calls: what a blocking thread runs. */
static int file_call(void *arg)
{
    struct poll_op *op = arg;
    ssize_t r;

    do {
        switch (op->kind) {
        case POLL_OPEN:
            r = open(op->path, (int)op->flags, op->mode);
            break;
        case POLL_PREAD:
            r = pread(op->fd, op->buf, op->len, op->offset);
            break;
        case POLL_PWRITE:
            r = pwrite(op->fd, op->cbuf, op->len, op->offset);
            break;
        default:
            r = fdatasync(op->fd);
            break;
        }
    } while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : (int)r;
}

static int file_run(struct io *io, hob_time until)
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

    return file_run(&io, until);
}

/* The kernel moves at most 2 GiB less a page a call; an int holds that. */
enum { PIECE_MAX = 0x40000000 };

ssize_t hob_file_read(int fd, void *buf, size_t n, off_t offset, hob_time until)
{
    struct io io = {.op = {.kind = POLL_PREAD,
                           .fd = fd,
                           .buf = buf,
                           .len = n < PIECE_MAX ? n : PIECE_MAX,
                           .offset = offset}};

    return file_run(&io, until);
}

ssize_t hob_file_write(int fd, const void *buf, size_t n, off_t offset, hob_time until)
{
    size_t done = 0;
    int r;

    do {
        size_t left = n - done;
        struct io io = {.op = {.kind = POLL_PWRITE,
                               .fd = fd,
                               .cbuf = (const char *)buf + done,
                               .len = left < PIECE_MAX ? left : PIECE_MAX,
                               .offset = offset + (off_t)done}};
        r = file_run(&io, until);
        if (r > 0)
            done += (size_t)r;
    } while (r > 0 && done < n);
    return done > 0 ? (ssize_t)done : r;
}

int hob_file_sync(int fd, hob_time until)
{
    struct io io = {.op = {.kind = POLL_FSYNC, .fd = fd, .flags = 1 /* IORING_FSYNC_DATASYNC */}};

    return file_run(&io, until);
}

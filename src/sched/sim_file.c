/* SPDX-License-Identifier: MIT
 *
 * sim_file.c - calls on the simulator's files
 *
 * WHAT        Each operation of plat/file_call.h on what sim_tree.c keeps.  A descriptor of a file
 * is one of sim_sock.c's: the kernel can do nothing with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plat/env.h"
#include "sched/sim_file.h"

static int open_at(const char *path, int flags, mode_t mode, struct sim_file **ret)
{
    int r = hob__sim_file_get(path, ret);

    if (r == -ENOENT && (flags & O_CREAT)) {
        r = hob__sim_place_get(path, ret);
        return r < 0 ? r : hob__sim_file_make(path, SIM_FILE, mode & 07777, ret);
    }
    if (r < 0)
        return r;
    if ((flags & O_CREAT) && (flags & O_EXCL))
        return -EEXIST;
    if ((flags & O_DIRECTORY) && (*ret)->kind != SIM_DIR)
        return -ENOTDIR;
    if ((*ret)->kind == SIM_DIR && (flags & O_ACCMODE) != O_RDONLY)
        return -EISDIR;
    if (flags & O_TRUNC)
        (*ret)->size = 0;
    return 0;
}

static int call_open(const struct poll_op *op)
{
    char path[PATH_MAX];
    struct sim_file *f;
    struct sim_sock *s;
    int r = hob__sim_path_make(op->path, path);

    if (r < 0 || (r = open_at(path, (int)op->flags, op->mode, &f)) < 0)
        return r;
    if (!(s = hob__sim_sock_new(0, 0)))
        return -ENOMEM;
    s->file = f;
    s->file_flags = (int)op->flags;
    f->n_open++;
    if ((r = hob__sim_sock_install(s)) < 0)
        hob__sim_sock_free(s);
    return r;
}

static size_t bytes_get(const struct sim_file *f, void *to, size_t n, uint64_t at)
{
    size_t left = at < f->size ? f->size - at : 0;

    n = n < left ? n : left;
    if (n)
        memcpy(to, f->bytes + at, n);
    return n;
}

int hob__sim_file_read(const struct sim_sock *s, const struct iovec *iov, size_t n_iov, uint64_t at)
{
    static const int errs[] = {EIO};
    size_t done = 0;
    int r;

    if ((s->file_flags & O_ACCMODE) == O_WRONLY)
        return -EBADF;
    if (s->file->kind == SIM_DIR)
        return -EISDIR;
    if ((r = hob__sim_fault_err("reading a file", errs, 1)) < 0)
        return r;
    for (size_t i = 0; i < n_iov; i++)
        done += bytes_get(s->file, iov[i].iov_base, iov[i].iov_len, at + done);
    return (int)done;
}

int hob__sim_file_write(const struct sim_sock *s, const struct iovec *iov, size_t n_iov,
                        uint64_t at)
{
    static const char *const faults[] = {"No space left on device", "Input/output error",
                                         "the rest does not fit"};
    struct sim_file *f = s->file;
    size_t done = 0;
    int r, k;

    if ((s->file_flags & O_ACCMODE) == O_RDONLY)
        return -EBADF;
    if (s->file_flags & O_APPEND)
        at = f->size;
    if ((k = hob__sim_fault("writing a file", faults, 3)) == 1 || k == 2)
        return k == 1 ? -ENOSPC : -EIO;
    for (size_t i = 0; i < n_iov; i++) {
        size_t n = k == 3 && i == 0 ? (iov[i].iov_len + 1) / 2 : iov[i].iov_len;
        if ((r = hob__sim_file_grow(f, at + done, n)) < 0)
            return done > 0 ? (int)done : r;
        if (n)
            memcpy(f->bytes + at + done, iov[i].iov_base, n);
        done += n;
        if (at + done > f->size)
            f->size = at + done;
        if (k == 3)
            break;
    }
    f->changed = hob__now();
    return (int)done;
}

static void stat_fill(const struct sim_file *f, struct statx *ret)
{
    struct statx_timestamp t = {.tv_sec = f->changed / HOB_SEC,
                                .tv_nsec = (uint32_t)(f->changed % HOB_SEC)};

    *ret = (struct statx){
        .stx_mask = STATX_BASIC_STATS,
        .stx_blksize = 4096,
        .stx_nlink = list_empty(&f->node) ? 0 : 1,
        .stx_uid = getuid(),
        .stx_gid = getgid(),
        .stx_mode = (uint16_t)(f->mode | (f->kind == SIM_DIR ? S_IFDIR : S_IFREG)),
        .stx_ino = f->inode,
        .stx_size = f->size,
        .stx_blocks = (f->size + 511) / 512,
        .stx_atime = t,
        .stx_mtime = t,
        .stx_ctime = t,
    };
}

/* What no call has touched is as the disk has it. */
static int call_stat(const struct poll_op *op)
{
    const struct sim_sock *s = hob__sim_sock_of(op->fd);
    char path[PATH_MAX];
    const struct sim_file *f;
    int r;

    if (op->flags & AT_EMPTY_PATH) {
        if (!s || !s->file)
            return s ? -EOPNOTSUPP : hob__sim_not_ours(op->fd);
        stat_fill(s->file, op->stat);
        return 0;
    }
    if ((r = hob__sim_path_make(op->path, path)) < 0)
        return r;
    if (!(f = hob__sim_file_find(path)))
        return statx(AT_FDCWD, path, (int)op->flags, STATX_BASIC_STATS, op->stat) < 0 ? -errno : 0;
    if (f->kind == SIM_GONE)
        return -ENOENT;
    stat_fill(f, op->stat);
    return 0;
}

static int call_rename(const struct poll_op *op)
{
    char from[PATH_MAX], to[PATH_MAX];
    struct sim_file *f, *old = NULL;
    char *path;
    int r = hob__sim_path_make(op->path, from);

    if (r < 0 || (r = hob__sim_path_make(op->to, to)) < 0 || (r = hob__sim_file_get(from, &f)) < 0)
        return r;
    if (f->kind == SIM_DIR || (op->flags & ~1u)) /* RENAME_NOREPLACE */
        return -EOPNOTSUPP;
    if (strcmp(from, to) == 0)
        return 0;
    r = hob__sim_place_get(to, &old);
    if (r < 0 && (r != -EEXIST || (op->flags & 1)))
        return r;
    if (old && r == -EEXIST && old->kind == SIM_DIR)
        return -EISDIR;
    if (!(path = strdup(to)))
        return -ENOMEM;
    if ((r = hob__sim_path_leave(f)) < 0) {
        free(path);
        return r;
    }
    hob__sim_path_take(f, path);
    return 0;
}

static int call_unlink(const struct poll_op *op)
{
    bool dir = op->flags & AT_REMOVEDIR;
    char path[PATH_MAX];
    struct sim_file *f;
    int r = hob__sim_path_make(op->path, path);

    if (r < 0 || (r = hob__sim_file_get(path, &f)) < 0)
        return r;
    if (dir != (f->kind == SIM_DIR))
        return dir ? -ENOTDIR : -EISDIR;
    if (dir && hob__sim_dir_has(f))
        return -ENOTEMPTY;
    f->n_open++; /* it goes with the last that has it open */
    r = hob__sim_path_leave(f);
    hob__sim_file_release(f);
    return r;
}

static int call_mkdir(const struct poll_op *op)
{
    char path[PATH_MAX];
    struct sim_file *f;
    int r = hob__sim_path_make(op->path, path);

    if (r == 0)
        r = hob__sim_place_get(path, &f);
    return r < 0 ? r : hob__sim_file_make(path, SIM_DIR, op->mode & 07777, &f);
}

static int call_fsync(const struct sim_sock *s)
{
    static const int errs[] = {EIO, ENOSPC};

    (void)s;
    return hob__sim_fault_err("fsync", errs, 2);
}

/* Those that name an open file. */
static int call_fd(const struct poll_op *op)
{
    struct iovec one = {.iov_base = op->buf, .iov_len = op->len};
    bool vector = op->kind == POLL_PREADV || op->kind == POLL_PWRITEV;
    const struct iovec *iov = vector ? op->iov : &one;
    size_t n = vector ? op->len : 1;
    const struct sim_sock *s = hob__sim_sock_of(op->fd);

    if (!s)
        return hob__sim_not_ours(op->fd);
    if (!s->file)
        return op->kind == POLL_FSYNC ? -EINVAL : -ESPIPE;
    if (op->kind == POLL_FSYNC)
        return call_fsync(s);
    return op->kind == POLL_PREAD || op->kind == POLL_PREADV
               ? hob__sim_file_read(s, iov, n, (uint64_t)op->offset)
               : hob__sim_file_write(s, iov, n, (uint64_t)op->offset);
}

static int sim_call(const struct poll_op *op)
{
    if (!hob__sim_here())
        return -EOPNOTSUPP;
    switch (op->kind) {
    case POLL_OPEN:
        return call_open(op);
    case POLL_STAT:
        return call_stat(op);
    case POLL_RENAME:
        return call_rename(op);
    case POLL_UNLINK:
        return call_unlink(op);
    case POLL_MKDIR:
        return call_mkdir(op);
    default:
        return call_fd(op);
    }
}

const struct file_ops hob__file_sim = {.call = sim_call, .entries = hob__sim_dir_entries};

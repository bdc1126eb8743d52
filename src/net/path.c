/* SPDX-License-Identifier: MIT
 *
 * path.c - what is done to files by their names, and directories
 *
 * WHAT        stat, rename, unlink, mkdir and rmdir are operations like those of file.c.  Reading a
 *             directory is not: no ring can do it, so its entries are fetched a buffer at a time on
 *             a blocking thread, and given out from there.
 *
 * INVARIANTS  (I1) the buffer is filled only when all that was in it was given out, and only its
 *                  success changes what is known: a failed or cancelled call loses no entry
 *
 * REJECTED    readdir(3) on a blocking thread: a thread hop an entry.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <hob/bridge.h>
#include <hob/file.h>
#include <hob/net.h>

#include "net/file.h"

static void stat_from(const struct statx *x, struct stat *ret)
{
    *ret = (struct stat){
        .st_dev = makedev(x->stx_dev_major, x->stx_dev_minor),
        .st_ino = x->stx_ino,
        .st_mode = x->stx_mode,
        .st_nlink = x->stx_nlink,
        .st_uid = x->stx_uid,
        .st_gid = x->stx_gid,
        .st_rdev = makedev(x->stx_rdev_major, x->stx_rdev_minor),
        .st_size = (off_t)x->stx_size,
        .st_blksize = x->stx_blksize,
        .st_blocks = (blkcnt_t)x->stx_blocks,
        .st_atim = {.tv_sec = x->stx_atime.tv_sec, .tv_nsec = x->stx_atime.tv_nsec},
        .st_mtim = {.tv_sec = x->stx_mtime.tv_sec, .tv_nsec = x->stx_mtime.tv_nsec},
        .st_ctim = {.tv_sec = x->stx_ctime.tv_sec, .tv_nsec = x->stx_ctime.tv_nsec},
    };
}

static int stat_at(int fd, const char *path, int flags, hob_time until, struct stat *ret)
{
    struct statx x;
    struct io io = {
        .op = {.kind = POLL_STAT, .fd = fd, .path = path, .flags = (uint32_t)flags, .stat = &x}};
    int r = hob__file_run(&io, until);

    if (r == 0)
        stat_from(&x, ret);
    return r;
}

int hob_file_stat(const char *path, hob_time until, struct stat *ret)
{
    return stat_at(AT_FDCWD, path, 0, until, ret);
}

int hob_file_lstat(const char *path, hob_time until, struct stat *ret)
{
    return stat_at(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, until, ret);
}

int hob_file_fstat(int fd, hob_time until, struct stat *ret)
{
    /* Negative ones are names for directories: AT_FDCWD. */
    return fd < 0 ? -EBADF : stat_at(fd, "", AT_EMPTY_PATH, until, ret);
}

int hob_file_rename(const char *from, const char *to, unsigned flags, hob_time until)
{
    struct io io = {.op = {.kind = POLL_RENAME, .path = from, .to = to, .flags = flags}};

    return hob__file_run(&io, until);
}

static int unlink_at(const char *path, uint32_t flags, hob_time until)
{
    struct io io = {.op = {.kind = POLL_UNLINK, .path = path, .flags = flags}};

    return hob__file_run(&io, until);
}

int hob_file_unlink(const char *path, hob_time until)
{
    return unlink_at(path, 0, until);
}

int hob_dir_remove(const char *path, hob_time until)
{
    return unlink_at(path, AT_REMOVEDIR, until);
}

int hob_dir_make(const char *path, mode_t mode, hob_time until)
{
    struct io io = {.op = {.kind = POLL_MKDIR, .path = path, .mode = (uint16_t)mode}};

    return hob__file_run(&io, until);
}

/* ---- reading a directory ---- */

enum { DIR_BYTES = 32 * 1024 };

struct hob_dir {
    int fd;
    int res; /* of the last fetch; apart from what hob_block says of itself */
    size_t at, n;
    _Alignas(struct dirent64) char buf[DIR_BYTES];
};

int hob_dir_open(const char *path, hob_time until, hob_dir **ret)
{
    int fd = hob_file_open(path, O_RDONLY | O_DIRECTORY, 0, until);

    if (fd < 0)
        return fd;
    hob_dir *d = malloc(sizeof *d);
    if (!d) {
        hob_close(fd);
        return -ENOMEM;
    }
    d->fd = fd;
    d->at = d->n = 0;
    *ret = d;
    return 0;
}

/* hob_fn: on a thread that may block. */
static int dir_fetch(void *arg)
{
    hob_dir *d = arg;

    d->res = hob__env->file->entries(d->fd, d->buf, sizeof d->buf);
    return 0;
}

static int dir_fill(hob_dir *d, hob_time until)
{
    int r = hob_block(dir_fetch, d, until);

    if (r < 0 || d->res <= 0)
        return r < 0 ? r : d->res;
    d->at = 0; /* (I1) */
    d->n = (size_t)d->res;
    return 1;
}

int hob_dir_read(hob_dir *d, hob_time until, hob_dir_entry *ret)
{
    struct fiber *f;
    int r = hob__io_begin(&f);

    if (r < 0)
        return r;
    for (;;) {
        if (d->at == d->n && (r = dir_fill(d, until)) <= 0)
            return r;
        const struct dirent64 *e = (const void *)(d->buf + d->at);
        d->at += e->d_reclen;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        *ret = (hob_dir_entry){.name = e->d_name, .inode = e->d_ino, .type = e->d_type};
        return 1;
    }
}

void hob_dir_close(hob_dir *d)
{
    if (!d)
        return;
    hob_close(d->fd);
    free(d);
}

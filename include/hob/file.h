/* SPDX-License-Identifier: MIT */
#ifndef HOB_FILE_H
#define HOB_FILE_H

#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <hob/base.h>

HOB_BEGIN_DECLS

/*
 * Files
 * =====
 *
 * Regular files are always "ready", so readiness is of no use: on io_uring the calls go to the
 * ring, elsewhere to a thread that may block.  Either way the fiber parks.  Close with hob_close;
 * hob_fd_splice of pipe.h sends a file to a socket.
 *
 * A cancel or `until` takes back a call that has not begun; one that has begun on a disk is
 * waited for.  So on a fiber `until` 0 is -ETIMEDOUT and nothing is begun.  From a plain thread the
 * calls block that thread; from a pool job they are -EDEADLK.  Under HOB_SIM what a run writes
 * stays in memory, over what the disk has (hob_sim(3)).
 *
 * Each call may return, beside what its comment says, the system call's errors and -ETIMEDOUT,
 * -ECANCELED, -EDEADLK, -EOPNOTSUPP (simulated: no regular file); and without io_uring -ENOMEM,
 * -EAGAIN (no thread could be started).  A file that is no regular one may keep such a thread for
 * as long as it likes: open a FIFO with O_NONBLOCK.
 */

/**
 * hob_file_open - open(2)
 * @flags: O_*; O_CLOEXEC is added
 * @mode:  permissions when O_CREAT makes the file
 *
 * Return: a descriptor; -ETIMEDOUT, -ECANCELED, or open's error.
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_file_open(const char *path, int flags,
                                                                  mode_t mode, hob_time until);

/** hob_file_read - pread(2): bytes read at `offset`, 0 at the end, or a negative errno. */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD ssize_t hob_file_read(int fd, void *buf, size_t n,
                                                                      off_t offset, hob_time until);

/**
 * hob_file_write - write all n bytes at `offset`
 *
 * Return: n; fewer if an error or a cancel came after a part; a negative errno (-ENOSPC, ...): no
 * byte was written.
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD ssize_t hob_file_write(int fd, const void *buf,
                                                                       size_t n, off_t offset,
                                                                       hob_time until);

/** hob_file_readv - preadv(2): hob_file_read into n pieces, one after the other; n at most 1024. */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD ssize_t hob_file_readv(int fd,
                                                                       const struct iovec *iov,
                                                                       int n, off_t offset,
                                                                       hob_time until);

/** hob_file_writev - hob_file_write of n pieces, one after the other; n at most 1024. */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD ssize_t hob_file_writev(int fd,
                                                                        const struct iovec *iov,
                                                                        int n, off_t offset,
                                                                        hob_time until);

/** hob_file_sync - fdatasync(2): 0 once the file's bytes are on the disk, or a negative errno. */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_file_sync(int fd, hob_time until);

/**
 * hob_file_sync_all - fsync(2): its times and the like too; of a directory its names
 *
 * A file that was renamed is there after a crash once its directory was synced.
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_file_sync_all(int fd, hob_time until);

/** hob_file_stat - stat(2): 0, or -ENOENT, -EACCES, ... */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_file_stat(const char *path, hob_time until,
                                                                  struct stat *ret);

/** hob_file_lstat - lstat(2): of a symbolic link itself. */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_file_lstat(const char *path, hob_time until,
                                                                   struct stat *ret);

/** hob_file_fstat - fstat(2) */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_file_fstat(int fd, hob_time until,
                                                                   struct stat *ret);

/**
 * hob_file_rename - renameat2(2): `to` is replaced in one step
 * @flags: RENAME_NOREPLACE, RENAME_EXCHANGE of <stdio.h>, or 0
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int
hob_file_rename(const char *from, const char *to, unsigned flags, hob_time until);

/** hob_file_unlink - unlink(2) */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_file_unlink(const char *path,
                                                                    hob_time until);

/** hob_dir_make - mkdir(2) */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_dir_make(const char *path, mode_t mode,
                                                                 hob_time until);

/** hob_dir_remove - rmdir(2) */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_dir_remove(const char *path,
                                                                   hob_time until);

/** A directory being read, by one fiber at a time. */
typedef struct hob_dir hob_dir;

/** An entry.  Never grows: more is hob_file_lstat's to tell. */
typedef struct hob_dir_entry {
    const char *name; /* until the next call on the directory */
    uint64_t inode;
    int type; /* DT_REG, DT_DIR, ... of <dirent.h>; DT_UNKNOWN: this file system does not tell */
} hob_dir_entry;

/**
 * hob_dir_open - begin to read a directory
 * @ret: owned by the caller; untouched on failure
 *
 * Return: 0; -ENOENT, -ENOTDIR, -ENOMEM, ...
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_dir_open(const char *path, hob_time until,
                                                                 hob_dir **ret);

/**
 * hob_dir_read - the next entry, in no order, without "." and ".."
 *
 * They are fetched by the hundred, so that most calls do not park.  What fails or is cancelled can
 * be called again, and no entry is lost by it.
 *
 * Return: 1: an entry; 0: the end; a negative errno.
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_dir_read(hob_dir *dir, hob_time until,
                                                                 hob_dir_entry *ret);

/** hob_dir_close - NULL is a no-op; never parks. */
HOB_API HOB_ANY_THREAD void hob_dir_close(hob_dir *dir);

HOB_END_DECLS
#endif

/* SPDX-License-Identifier: MIT */
#ifndef HOB_FILE_H
#define HOB_FILE_H

#include <sys/types.h>

#include <hob/base.h>

HOB_BEGIN_DECLS

/*
 * Files
 * =====
 *
 * Regular files are always "ready", so readiness is of no use: on io_uring the calls go to the
 * ring, elsewhere to a thread that may block.  Either way the fiber parks.  Close with hob_close.
 *
 * A cancel or `until` takes back a call that has not begun; one that has begun on a disk is
 * waited for.  So on a fiber `until` 0 is -ETIMEDOUT and nothing is begun.  From a plain thread the
 * calls block that thread; from a pool job they are -EDEADLK.  Under HOB_SIM they are -EOPNOTSUPP.
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

/** hob_file_sync - fdatasync(2): 0 once the file's bytes are on the disk, or a negative errno. */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_file_sync(int fd, hob_time until);

HOB_END_DECLS
#endif

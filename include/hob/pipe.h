/* SPDX-License-Identifier: MIT */
#ifndef HOB_PIPE_H
#define HOB_PIPE_H

#include <stdbool.h>
#include <sys/types.h>

#include <hob/base.h>

HOB_BEGIN_DECLS

/*
 * Pipes, and bytes that go from one descriptor to another inside the kernel
 * =========================================================================
 *
 * Pipes are read and written with hob_read and hob_write of net.h, which also take descriptors
 * that others made: standard input and output, a terminal, an inherited pipe.  Nothing needs to be
 * wrapped, and the O_NONBLOCK flag of such a descriptor, which other processes may share, is left
 * as it is.  A write to a pipe that nobody reads is -EPIPE, never a signal.
 *
 * Under HOB_SIM pipes are in memory, as sockets are; for an end that blocks, and for hob_fd_splice,
 * there is nobody outside: -EOPNOTSUPP.
 */

/** Zero is the default of every field. */
struct hob_pipe_opts {
    size_t size;
    int bytes;           /* how many it holds, rounded up by the kernel; 0: 64 KiB */
    bool blocking_read;  /* the end is for somebody who reads with plain read(2): a child */
    bool blocking_write; /* likewise */
};

#define HOB_PIPE_OPTS(...)                                                                         \
    (&(struct hob_pipe_opts){.size = sizeof(struct hob_pipe_opts), __VA_ARGS__})

/**
 * hob_pipe_open - a pipe
 * @ret: the end to read, the end to write; both close-on-exec; close with hob_close
 *
 * Return: 0; -EMFILE, -ENFILE; -EPERM: larger than /proc/sys/fs/pipe-max-size; -E2BIG, -EINVAL
 * (options); -EOPNOTSUPP (simulated: an end that blocks).
 */
HOB_API HOB_MUST_CHECK HOB_ANY_THREAD int hob_pipe_open(const struct hob_pipe_opts *opts,
                                                        int ret[2]);

/**
 * hob_fd_splice - move bytes from one descriptor to another; they do not pass through the program
 * @from_at: of a regular file: where to read; -1: at its own position, which moves on; of what is
 *           no regular file: -1
 * @to_at:   likewise
 * @n:       at most so many; SIZE_MAX: until `from` ends
 *
 * From a file to anything (sendfile), from a file to a file (copy_file_range), else one of the two
 * must be a pipe.  Between two sockets put a pipe of your own: what was taken from the one and not
 * yet given to the other must lie somewhere.  What is neither pipe nor regular file must be
 * non-blocking, as all that hob opens is.
 *
 * A piece of a file moves on a thread that may block; a cancel or `until` waits for the piece.
 * From a plain thread the call blocks that thread.
 *
 * Return: n; fewer if `from` ended, or if an error, a cancel or `until` came after a part (the next
 * call says which); 0: ended at once; -EINVAL: no such combination, or a descriptor that blocks;
 * -EXDEV: two file systems that do not copy to each other: read and write; -EPIPE (never a
 * signal), -ETIMEDOUT, -ECANCELED, -EBADF, -ENOSPC, -EDEADLK (from a pool job), ...: nothing moved.
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD ssize_t hob_fd_splice(int from, off_t from_at,
                                                                      int to, off_t to_at, size_t n,
                                                                      hob_time until);

HOB_END_DECLS
#endif

/* SPDX-License-Identifier: MIT
 *
 * leave.c - a descriptor whose close takes long, left to a child
 *
 * HOW         Whoever closes it last pays.  The child waits at a pipe until this process has closed
 *   its own.  All else that it inherited it closes at once: who reads our output to its end must
 *   not wait for the child.
 *
 * REJECTED    A thread: a process has ended when its last thread has.  A child made at the start:
 *   until the end it would be one that the recorder waits for, and among the command's in rusage.
 */
#include "diag/leave.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A seccomp filter may not know the call: then what is not closed is closed a little later. */
static void close_all_but(unsigned a, unsigned b)
{
    unsigned low = a < b ? a : b, high = a < b ? b : a;

    if (low > 0)
        syscall(SYS_close_range, 0, low - 1, 0);
    if (high - low > 1)
        syscall(SYS_close_range, low + 1, high - 1, 0);
    syscall(SYS_close_range, high + 1, ~0U, 0);
}

static void child_keep(int fd, const int ends[2])
{
    char byte;

    close(ends[1]); /* or it would wait for itself */
    close_all_but((unsigned)fd, (unsigned)ends[0]);
    while (read(ends[0], &byte, 1) < 0 && errno == EINTR)
        ;
    close(fd); /* as it does elsewhere: at the end of a process some closes do not wait */
    _exit(0);
}

void leave_descriptor(int fd)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0) {
        close(fd);
        return;
    }
    if (fork() == 0)
        child_keep(fd, ends);
    close(fd);
    close(ends[1]);
    close(ends[0]);
}

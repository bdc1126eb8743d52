/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_CALLS_H
#define HOB_DIAG_CALLS_H

#include <stdbool.h>
#include <stdint.h>

#include "diag/procfs.h"

/* What a system call that blocks waits for, as far as its number and arguments say. */
enum call_how {
    CALL_OTHER,   /* not known to wait */
    CALL_FD,      /* a file or connection: fd */
    CALL_WRITE,   /* the same, and it writes to it */
    CALL_TWO_FDS, /* one of two: fd and to */
    CALL_CONNECT, /* fd, to the address of n bytes at addr */
    CALL_ACCEPT,  /* fd */
    CALL_FSYNC,   /* fd, -1: all files */
    CALL_META,    /* a directory: names, sizes */
    CALL_EPOLL,   /* fd: the set */
    CALL_POLL,    /* array of n pollfds at addr */
    CALL_SELECT,  /* n bits at addr (to read) and addr2 (to write), addr3 (exceptions) */
    CALL_FUTEX,   /* addr: the word */
    CALL_SLEEP,   /* the clock */
    CALL_CHILD,   /* a process */
    CALL_SIGNAL,  /* a signal */
    CALL_FLOCK,   /* fd: a lock of a file */
    CALL_IPC,     /* a System V or POSIX queue or semaphore */
    CALL_URING,   /* fd: the ring */
    CALL_AIO,     /* operations on files given to io_submit */
    CALL_FAULT    /* no call: a page */
};

/* How its time limit is given. */
enum call_limit {
    CALL_NO_LIMIT,
    CALL_MS,        /* limit is milliseconds; negative: none */
    CALL_SPEC,      /* limit is the address of a timespec, from now */
    CALL_TIMEVAL,   /* of a timeval, from now */
    CALL_MONOTONIC, /* of a timespec on CLOCK_MONOTONIC */
    CALL_REALTIME   /* of one on CLOCK_REALTIME */
};

struct call {
    enum call_how how;
    enum call_limit limit_how;
    int fd, to;
    bool safe; /* of a write: asked to end when what is written is safe on disk */
    uint64_t addr, addr2, addr3, n;
    uint64_t limit;
};

/** call_of - sort one out; parked is not running and not dead. */
struct call call_of(const struct procfs_call *parked);

/** call_of_wchan - by the kernel function a thread sleeps in, for who may not see its call:
 * an enum call_how, CALL_OTHER when the name says nothing. */
enum call_how call_of_wchan(const char *name);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_PROCFS_H
#define HOB_DIAG_PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The texts of /proc
 * ==================
 *
 * Each procfs_parse_ function takes a whole text that ends in a NUL and trusts nothing in it: the
 * kernel wrote it, but a program chooses its own name, and kernels differ.  They return 0 and fill
 * *ret, or -EBADMSG and leave it alone.
 */

/* /proc/P/task/T/syscall: where the thread stands. */
struct procfs_call {
    bool runs; /* on CPU or runnable; nothing else is known */
    bool dead; /* has no stack any more */
    long nr;   /* -1: off CPU outside a system call */
    uint64_t arg[6];
};
int procfs_parse_call(const char *text, struct procfs_call *ret);

/* /proc/P/task/T/schedstat.  run is brought up to date when the thread leaves its core and at each
 * tick of the scheduler; delay and turns when it gets one. */
struct procfs_sched {
    uint64_t run, delay; /* ns on CPU, and runnable without a core */
    uint64_t turns;      /* times it was put on a core */
};
int procfs_parse_sched(const char *text, struct procfs_sched *ret);

/* /proc/P/task/T/stat */
struct procfs_stat {
    char name[16];
    char state;
    int32_t parent;
    uint32_t core;        /* it was last on */
    uint64_t major;       /* page faults that read a disk */
    uint64_t user, sys;   /* clock ticks */
    uint64_t cuser, csys; /* of children that have ended and been waited for */
    uint64_t started;     /* clock ticks since boot */
};
int procfs_parse_stat(const char *text, struct procfs_stat *ret);

/* /proc/T/status: the process a thread belongs to, and that one's parent. */
int procfs_parse_status(const char *text, int32_t *ret_pid, int32_t *ret_parent);

/* /proc/P/task/T/io: calls that read and that wrote. */
int procfs_parse_io(const char *text, uint64_t *ret_calls);

/* /proc/P/fdinfo/N of any descriptor: the flags it was opened with. */
int procfs_parse_flags(const char *text, uint32_t *ret);

/* /proc/P/fdinfo/N of an epoll set. */
struct procfs_member {
    int fd;
    uint32_t events;
    uint64_t ino; /* 0: an old kernel */
};
/* The members, at most max of them; the return is how many there are. */
size_t procfs_parse_epoll(const char *text, struct procfs_member *ret, size_t max);

/* /proc/P/fdinfo/N of an io_uring. */
struct procfs_ring {
    uint32_t submitted, completed; /* taken from the one queue, put into the other; both wrap */
    uint32_t unread;               /* completions the program has not looked at */
    uint32_t polls;                /* operations that wait for a file to become ready */
};
int procfs_parse_ring(const char *text, struct procfs_ring *ret);

/* /proc/P/fdinfo/N of a process descriptor, and of a timer: its pid, -1 if it has ended. */
int procfs_parse_pidfd(const char *text, int32_t *ret);

/* /proc/net/tcp and tcp6: what is listened on.  The kernel lists these first; *more is false when
 * the text holds a row of another kind, so that the rest need not be read.  Returns how many were
 * put into ret, at most max. */
struct procfs_listener {
    uint64_t ino; /* of its socket */
    uint16_t port;
};
size_t procfs_parse_listen(const char *text, struct procfs_listener *ret, size_t max, bool *more);

/* /proc/P/task/T/children, a list of pids: the next one, or 0 at the end; *text moves on. */
int32_t procfs_next_pid(const char **text);

/**
 * procfs_read - a file of /proc into buf, with a NUL behind it, in one read
 *
 * Return: its length, at most n - 1, or a negative errno.
 */
int procfs_read(char *buf, size_t n, const char *format, ...) __attribute__((format(printf, 3, 4)));

/** procfs_link - what a link of /proc points to, likewise. */
int procfs_link(char *buf, size_t n, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif

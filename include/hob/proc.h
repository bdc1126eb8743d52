/* SPDX-License-Identifier: MIT */
#ifndef HOB_PROC_H
#define HOB_PROC_H

#include <stdbool.h>
#include <sys/types.h>

#include <hob/base.h>

HOB_BEGIN_DECLS

/*
 * Child processes
 * ===============
 *
 *     const char *argv[] = {"sort", "-u", NULL};
 *     hob_proc *p;
 *     int r = hob_proc_spawn(argv, HOB_PROC_OPTS(.in = HOB_PROC_PIPE, .out = HOB_PROC_PIPE),
 *                            HOB_FOREVER, &p);
 *
 * A child is known by a pidfd, never by its number alone, so no signal reaches a stranger that got
 * the number later.  It starts with no descriptor but 0, 1 and 2, no signal blocked or ignored.
 * Its pipes are read and written like sockets: hob_read, hob_write; a fiber for each pipe, or a
 * child that fills one while you wait on another stands still.
 *
 * Whoever spawned it stops it: hob_proc_stop ends what still runs and reaps it, also in a scope
 * that was cancelled, so a child never outlives its hob_proc and no zombie stays behind.  A wait
 * that is cancelled leaves the child alone.
 *
 * A program that ignores SIGCHLD, or waits for any child (wait, waitpid(-1)), takes away how a
 * child ended: -ECHILD.  All calls may come from any loop and from a plain thread, which they
 * block; from a pool job those that park are -EDEADLK.  Under HOB_SIM hob_proc_spawn is
 * -EOPNOTSUPP.
 */
typedef struct hob_proc hob_proc;

/** What a child gets as descriptor 0, 1 or 2. */
enum hob_proc_io {
    HOB_PROC_INHERIT, /* what this process has there */
    HOB_PROC_NULL,    /* /dev/null */
    HOB_PROC_PIPE,    /* one end of a pipe; the other is hob_proc_fd's */
    HOB_PROC_FD,      /* a descriptor of this process, which keeps its own */
    HOB_PROC_STDOUT,  /* err only: the same as its standard output */
};

struct hob_proc_opts {
    size_t size;            /* sizeof(struct hob_proc_opts); HOB_PROC_OPTS fills it */
    const char *file;       /* the program; NULL: argv[0].  Without a slash: looked for in PATH */
    const char *const *env; /* "NAME=value" strings, NULL at the end; NULL: this process's */
    const char *cwd;        /* its directory; NULL: this process's */
    enum hob_proc_io in;    /* its standard input, */
    enum hob_proc_io out;   /* output */
    enum hob_proc_io err;   /* and error */
    int in_fd, out_fd, err_fd; /* with HOB_PROC_FD */
    hob_dur grace_ns;          /* from SIGTERM to SIGKILL in hob_proc_stop; 0: 2 s */
    bool new_group;            /* a process group of its own; signals go to all of it */
    bool die_with_parent; /* killed by the kernel when the thread that spawned it ends: with this
                             process at the latest, with the runtime on loops but the first */
};

#define HOB_PROC_OPTS(...)                                                                         \
    (&(struct hob_proc_opts){.size = sizeof(struct hob_proc_opts), __VA_ARGS__})

/** How a process ended.  Never grows. */
struct hob_proc_end {
    int code;   /* what it returned, 0 to 255; -1: a signal ended it */
    int signal; /* which one; 0: none */
    bool core;  /* and it left a core file */
};

/**
 * hob_proc_spawn - start another program
 * @argv:  its arguments, the name first, NULL at the end
 * @opts:  NULL for all defaults
 * @until: absolute; a spawn that has begun is waited for, and takes about a millisecond
 * @ret:   the child, to be stopped; untouched on failure
 *
 * It has returned 0 when the other program runs; what execve said otherwise is what is returned.
 * The search in PATH is execvp's, but that a file that is no program is -ENOEXEC.  A thread that
 * may block does it; with die_with_parent it is the loop's own, which stands still meanwhile.
 *
 * Return: 0; -ENOENT (no such file or directory), -EACCES, -ENOEXEC, ... (execve's, chdir's);
 * -EMFILE, -ENFILE, -EAGAIN (too many processes), -ENOMEM, -EINVAL (no argument, an option out of
 * range), -E2BIG (an option newer than this library; or arguments too long), -EBADF (an in_fd or
 * its like), -ETIMEDOUT, -ECANCELED, -EDEADLK, -EOPNOTSUPP.
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_proc_spawn(const char *const argv[],
                                                                   const struct hob_proc_opts *opts,
                                                                   hob_time until, hob_proc **ret);

/**
 * hob_proc_wait - park until the child has ended
 *
 * Any number may wait, and as often as they like.  On failure the child is left alone.
 *
 * Return: 0; -ETIMEDOUT, -ECANCELED, -ECHILD (something else took its end), -ENOMEM, -EDEADLK.
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_proc_wait(hob_proc *p, hob_time until,
                                                                  struct hob_proc_end *ret);

/**
 * hob_proc_kill - send it a signal; with new_group, all of its group
 *
 * Return: 0 (also while it has ended and nobody has waited for it); -ESRCH (it was waited for),
 * -EPERM, -EINVAL (no such signal).
 */
HOB_API HOB_MUST_CHECK HOB_ANY_THREAD int hob_proc_kill(hob_proc *p, int sig);

/**
 * hob_proc_stop - end it and free it, NULL is a no-op
 *
 * Its pipes are closed.  If it still runs it gets SIGTERM, and after `grace_ns` SIGKILL; then its
 * end is waited for, whatever was cancelled, and it is reaped.  No other call on it may be under
 * way.  In a group of its own the others get the same signals as long as the first runs.
 */
HOB_API HOB_PARKS HOB_ANY_THREAD void hob_proc_stop(hob_proc *p);

/** hob_proc_fd - our end of the pipe to its descriptor n (0, 1, 2); -EBADF: there is none. */
HOB_API HOB_ANY_THREAD int hob_proc_fd(const hob_proc *p, int n);

/**
 * hob_proc_take_fd - the same, and it is the caller's from now on
 *
 * hob_close(hob_proc_take_fd(p, 0)) is the end of its input.
 */
HOB_API HOB_ANY_THREAD int hob_proc_take_fd(hob_proc *p, int n);

/** hob_proc_pid - its number, for people to read; another process's some time after its end. */
HOB_API HOB_ANY_THREAD pid_t hob_proc_pid(const hob_proc *p);

HOB_END_DECLS
#endif

/* SPDX-License-Identifier: MIT
 *
 * spawn.c - clone, then exec, and whatever lies between
 *
 * WHAT        A child that shares this process's memory until it has become the other program, so
 *             that nothing of it is copied, however large it is.  The calling thread stands still
 *             meanwhile (CLONE_VFORK); the others run on.
 *
 * HOW         parent  all signals blocked; a pipe; clone
 *             child   dispositions, process group, death signal, directory, 0 1 2, everything else
 *                     closed, mask emptied, execve
 *             parent  reads the pipe: its end, which exec brings about, or why there was no exec
 *
 * Between clone and exec there is no malloc, no lock, no libc beyond syscall(2): another thread may
 * have held any lock at the clone, and this memory is the parent's.  syscall() also goes past the
 * sanitizers, which would note the child's descriptors and dispositions as the parent's.
 *
 * INVARIANTS  (I1) no signal is handled in the child before exec: it would run a handler of the
 *                  parent on the parent's memory.  So all are blocked before the clone, and
 *                  unblocked when no disposition is a handler any more
 *             (I2) the child has descriptors 0, 1, 2 and the close-on-exec end of the pipe, no
 *                  other: also not those that another thread made a moment ago without O_CLOEXEC
 *             (I3) a child that could not exec is reaped here
 *
 * REJECTED    fork: copies the page tables of the whole process; 100 ms with many gigabytes.
 *             posix_spawn: tells exec's failure, but has no death signal, no pidfd (glibc 2.36; a
 *             pid may be another process's once its own was reaped by somebody's wait), no way to
 *             close all but a few descriptors, and sets dispositions only as told one by one.
 *             The error through shared memory instead of the pipe, which is posix_spawn's way:
 *             where vfork is a fork (valgrind, qemu-user) it is lost, and a program that was never
 *             found is reported as running.
 *             A clone without CLONE_VFORK, so that nobody stands still: parent and child would
 *             have one thread's errno and stack protector between them.
 */
#include "plat/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plat/san.h"

enum {
    STACK_SIZE = 32 * 1024,
    FDS_FIRST = 3, /* after the standard ones */
    SIGSET_SIZE = _NSIG / 8,
};

/* What the child reads; it writes only to its own stack. */
struct child {
    const struct spawn *spawn;
    const char *path; /* directories, when the file has to be looked for; else NULL */
    const char *const *env;
    int error_fd;
    pid_t parent;
    rlim_t fds_max;
};

/* The kernel's struct sigaction: handler, flags, restorer, mask. */
struct kernel_sigaction {
    unsigned long word[3];
    uint64_t mask;
};

/* ---- in the child ---- */

SAN_UNSEEN static int child_signals(void)
{
    struct kernel_sigaction dfl = {.mask = 0};

    for (int sig = 1; sig < _NSIG; sig++)
        if (sig != SIGKILL && sig != SIGSTOP)
            syscall(SYS_rt_sigaction, sig, &dfl, NULL, SIGSET_SIZE);
    return 0;
}

SAN_UNSEEN static int child_place(const struct child *c)
{
    const struct spawn *s = c->spawn;

    if (s->new_group && syscall(SYS_setpgid, 0, 0) < 0)
        return -errno;
    if (s->die_with_parent) {
        if (syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
            return -errno;
        if (syscall(SYS_getppid) != c->parent) /* it died before the line above */
            return -ESRCH;
    }
    if (s->cwd && syscall(SYS_chdir, s->cwd) < 0)
        return -errno;
    return 0;
}

/* Every descriptor from `first` on. */
SAN_UNSEEN static void child_close_from(unsigned first, rlim_t fds_max)
{
    if (syscall(SYS_close_range, first, ~0U, 0) == 0)
        return;
    for (rlim_t fd = first; fd < fds_max; fd++) /* a seccomp filter older than the call */
        syscall(SYS_close, (int)fd);
}

/*
 * *error_fd is where the pipe lies, before and after.  All that is to become 0, 1 or 2 is first
 * moved above them: one of them may stand where another is to go.
 */
SAN_UNSEEN static int child_fds(const struct child *c, int *error_fd)
{
    int from[3], fd;

    if ((*error_fd = (int)syscall(SYS_fcntl, c->error_fd, F_DUPFD_CLOEXEC, FDS_FIRST)) < 0)
        return -errno;
    for (int i = 0; i < 3; i++) {
        from[i] = c->spawn->std[i];
        if (from[i] < 0)
            continue;
        if ((from[i] = (int)syscall(SYS_fcntl, from[i], F_DUPFD_CLOEXEC, FDS_FIRST)) < 0)
            return -errno;
    }
    for (int i = 0; i < 3; i++) {
        fd = from[i] == SPAWN_STDOUT ? STDOUT_FILENO : from[i];
        if (fd >= 0 && syscall(SYS_dup3, fd, i, 0) < 0)
            return -errno;
    }
    if (*error_fd != FDS_FIRST) {
        if (syscall(SYS_dup3, *error_fd, FDS_FIRST, O_CLOEXEC) < 0)
            return -errno;
        *error_fd = FDS_FIRST;
    }
    child_close_from(FDS_FIRST + 1, c->fds_max); /* (I2) */
    return 0;
}

/* Errors that say: not in this directory. */
SAN_UNSEEN static bool look_on(int err)
{
    return err == ENOENT || err == ENOTDIR || err == ESTALE || err == ENODEV || err == ETIMEDOUT ||
           err == EACCES;
}

/* Returns only if it could not.  As execvp, but that a file without an interpreter is an error. */
SAN_UNSEEN static int child_exec(const struct child *c)
{
    const char *file = c->spawn->file, *dir = c->path, *end;
    char full[PATH_MAX];
    size_t n_file = 0, n;
    int r = -ENOENT;

    if (!dir) {
        syscall(SYS_execve, file, c->spawn->argv, c->env);
        return -errno;
    }
    while (file[n_file])
        n_file++;
    for (;; dir = end + 1) {
        for (end = dir; *end && *end != ':'; end++)
            continue;
        n = (size_t)(end - dir);
        if (n + n_file + 2 <= sizeof full) {
            for (size_t i = 0; i < n; i++)
                full[i] = dir[i];
            if (n > 0)
                full[n++] = '/'; /* none at all: here */
            for (size_t i = 0; i <= n_file; i++)
                full[n + i] = file[i];
            syscall(SYS_execve, full, c->spawn->argv, c->env);
            if (!look_on(errno))
                return -errno;
            if (errno == EACCES)
                r = -EACCES; /* it was there: that is what will be said */
        }
        if (!*end)
            return r;
    }
}

SAN_UNSEEN static int child_main(void *arg)
{
    const struct child *c = arg;
    uint64_t none = 0;
    int error_fd = c->error_fd, r;

    child_signals();
    r = child_place(c);
    if (r == 0)
        r = child_fds(c, &error_fd);
    if (r == 0) {
        syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, SIGSET_SIZE); /* (I1) */
        r = child_exec(c);
    }
    syscall(SYS_write, error_fd, &r, sizeof r);
    syscall(SYS_exit_group, 127);
    return 0;
}

/* ---- in the parent ---- */

/* clone(2) by the name that TSan does not know: to it a clone is a fork, whose child has a copy of
 * its books, and both would enter this fork into the same ones. */
int __clone(int (*fn)(void *arg), void *stack, int flags, void *arg, ...);

/* All of them, libc's own two as well.  (I1) */
static int clone_quietly(struct child *c, char *stack, int *ret_pidfd)
{
    uint64_t all = UINT64_MAX, old;
    int flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD;

    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old, SIGSET_SIZE);
    int pid = __clone(child_main, stack + STACK_SIZE, flags, c, ret_pidfd, NULL, NULL);
    int r = pid < 0 ? -errno : pid;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, SIGSET_SIZE);
    return r;
}

/* 0: exec has closed the pipe. */
static int read_error(int fd)
{
    int r = 0;
    ssize_t n;

    do
        n = read(fd, &r, sizeof r);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof r ? r : 0;
}

/* (I3) */
static void reap_failed(int pidfd)
{
    siginfo_t info;

    while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0 && errno == EINTR)
        continue;
    close(pidfd);
}

static int spawn_with(struct child *c, char *stack, pid_t *ret_pid, int *ret_pidfd)
{
    int pipe_fd[2], pidfd = -1, pid, r;

    if (pipe2(pipe_fd, O_CLOEXEC) < 0)
        return -errno;
    c->error_fd = pipe_fd[1];
    pid = clone_quietly(c, stack, &pidfd);
    close(pipe_fd[1]);
    r = pid < 0 ? pid : read_error(pipe_fd[0]);
    close(pipe_fd[0]);
    if (r < 0) {
        if (pid > 0)
            reap_failed(pidfd);
        return r;
    }
    *ret_pid = pid;
    *ret_pidfd = pidfd;
    return 0;
}

int hob__spawn(const struct spawn *s, pid_t *ret_pid, int *ret_pidfd)
{
    struct child c = {
        .spawn = s, .env = s->env ? s->env : (const char *const *)environ, .parent = getpid()};
    struct rlimit fds = {.rlim_cur = 0};
    char *stack;

    if (!*s->file)
        return -ENOENT;
    if (!strchr(s->file, '/')) {
        const char *path = getenv("PATH");
        c.path = path ? path : "/bin:/usr/bin";
    }
    getrlimit(RLIMIT_NOFILE, &fds);
    c.fds_max = fds.rlim_cur < INT_MAX ? fds.rlim_cur : INT_MAX;
    if (!(stack = malloc(STACK_SIZE)))
        return -ENOMEM;
    int r = spawn_with(&c, stack, ret_pid, ret_pidfd);
    free(stack);
    return r;
}

int hob__spawn_reap(int pidfd, int *ret_word)
{
    siginfo_t info = {.si_pid = 0};

    while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG) < 0)
        if (errno != EINTR)
            return -errno;
    if (info.si_pid == 0)
        return 0;
    if (info.si_code == CLD_EXITED)
        *ret_word = (info.si_status & 0xff) << 8;
    else
        *ret_word = info.si_status | (info.si_code == CLD_DUMPED ? WCOREFLAG : 0);
    return 1;
}

int hob__pidfd_kill(int pidfd, int sig)
{
    return syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0) < 0 ? -errno : 0;
}

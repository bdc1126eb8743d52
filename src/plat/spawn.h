/* SPDX-License-Identifier: MIT
 *
 * spawn.h - a new process that runs another program, and its pidfd
 */
#ifndef HOB_PLAT_SPAWN_H
#define HOB_PLAT_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

enum {
    SPAWN_INHERIT = -1, /* what this process has there */
    SPAWN_STDOUT = -2,  /* of descriptor 2: what descriptor 1 becomes */
};

struct spawn {
    const char *file; /* without a slash it is looked for in PATH */
    const char *const *argv;
    const char *const *env; /* NULL: this process's */
    const char *cwd;        /* NULL: this process's */
    int std[3];             /* what becomes descriptor 0, 1, 2: SPAWN_*, or one of ours */
    bool new_group;
    bool die_with_parent; /* with the calling thread: PR_SET_PDEATHSIG */
};

/*
 * Blocks until the program runs or cannot.  0 with *ret_pid and *ret_pidfd (close-on-exec); else
 * nothing is left behind: a negative errno of clone, of what was asked for before the program (a
 * directory that is not there), or of execve.
 */
int hob__spawn(const struct spawn *s, pid_t *ret_pid, int *ret_pidfd);

/* waitid of a pidfd without waiting: 1: it is reaped and *ret is the word of wait(2); 0: it still
 * runs; -ECHILD: somebody else has reaped it. */
int hob__spawn_reap(int pidfd, int *ret_word);

int hob__pidfd_kill(int pidfd, int sig);

#endif

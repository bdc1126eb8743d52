/* SPDX-License-Identifier: MIT
 *
 * sigmask.h - a thread on which no signal of the process is handled
 *
 * A thread inherits the mask of the one that makes it.  Faults stay open: a blocked one ends the
 * process without a word from anybody, neither the stack overflow's line nor a sanitizer's report
 * nor the program's own crash reporter.
 */
#ifndef HOB_PLAT_SIGMASK_H
#define HOB_PLAT_SIGMASK_H

#include <pthread.h>
#include <signal.h>

/* Blocks all but faults on the calling thread; *ret_old for sigmask_restore. */
static inline void sigmask_block(sigset_t *ret_old)
{
    sigset_t block;

    sigfillset(&block);
    sigdelset(&block, SIGSEGV);
    sigdelset(&block, SIGBUS);
    sigdelset(&block, SIGFPE);
    sigdelset(&block, SIGILL);
    sigdelset(&block, SIGTRAP);
    sigdelset(&block, SIGSYS);
    pthread_sigmask(SIG_SETMASK, &block, ret_old);
}

static inline void sigmask_open(int sig)
{
    sigset_t open;

    sigemptyset(&open);
    sigaddset(&open, sig);
    pthread_sigmask(SIG_UNBLOCK, &open, NULL);
}

static inline void sigmask_restore(const sigset_t *old)
{
    pthread_sigmask(SIG_SETMASK, old, NULL);
}

#endif

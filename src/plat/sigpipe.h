/* SPDX-License-Identifier: MIT
 *
 * sigpipe.h - writes that raise no SIGPIPE, where no flag of the call says so
 *
 * The disposition belongs to the program.  So the signal is blocked for the call, and one that the
 * call raised is taken away again.
 */
#ifndef HOB_PLAT_SIGPIPE_H
#define HOB_PLAT_SIGPIPE_H

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>

struct sigpipe_hold {
    sigset_t old;
    bool pending; /* one was there before: it stays */
};

static inline void sigpipe_set(sigset_t *s)
{
    sigemptyset(s);
    sigaddset(s, SIGPIPE);
}

static inline void sigpipe_hold(struct sigpipe_hold *h)
{
    sigset_t set, pending;

    sigpipe_set(&set);
    sigpending(&pending);
    h->pending = sigismember(&pending, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, &h->old);
}

/* After the call, which failed with EPIPE or not; leaves errno alone. */
static inline void sigpipe_release(const struct sigpipe_hold *h, bool raised)
{
    static const struct timespec now = {0};
    sigset_t set;
    int err = errno;

    sigpipe_set(&set);
    if (raised && !h->pending)
        while (sigtimedwait(&set, NULL, &now) < 0 && errno == EINTR)
            continue;
    pthread_sigmask(SIG_SETMASK, &h->old, NULL);
    errno = err;
}

#endif

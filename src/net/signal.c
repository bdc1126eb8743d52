/* SPDX-License-Identifier: MIT
 *
 * signal.c - sets of signals that fibers wait for, by signalfd
 *
 * WHAT        A set blocks its signals on the one thread of hob's that has any open, the first
 *             loop's, and has a signalfd that does not block.  To wait is to read it, and while it
 *             is empty to park until it is readable: on any loop, for it is a descriptor.
 *
 * INVARIANTS  (I1) a signal is in at most one open set: one word of bits, changed by
 *                  compare-and-swap
 *             (I2) closing unblocks what opening has blocked, on the same thread, and nothing that
 *                  was blocked before
 *             (I3) what was taken from the signalfd is reported; a wait that fails has taken
 *                  nothing
 *
 * THREADS     The mask is a thread's own, so it is changed there: here if this is that thread, else
 *   by a message to the first loop.  All other threads of hob's start with all signals blocked
 *   (plat/sigmask.h).
 *
 * REJECTED    A handler that writes to an eventfd (libuv, Go): reaches threads of strangers too,
 *             but loses who sent it and what came twice, and interrupts system calls of code that
 *             has never heard of EINTR.
 *             One signalfd for all sets: a read takes whatever comes first, and would have to hand
 *             it to another set's waiters, on other loops.
 */
#include <hob/signal.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <hob/net.h>

#include "net/io.h"
#include "sched/remote.h"
#include "sched/rt.h"

struct hob_signals {
    sigset_t set;     /* what it waits for, */
    sigset_t blocked; /* and what of it was not blocked before it was opened (I2) */
    uint64_t bits;    /* the same as `set` */
    pid_t tid;        /* the thread whose mask was changed */
    int fd;
};

/* A change of the first loop's mask, for a fiber of another loop. */
struct mask_call {
    struct remote remote; /* first */
    void (*change)(hob_signals *s);
    hob_signals *s;
};

static _Atomic(uint64_t) owned; /* (I1): bit n-1: signal n is in a set */

static bool may_wait_for(int sig)
{
    static const int never[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};

    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        if (sig == never[i])
            return false;
    return sig > 0 && sig <= SIGRTMAX && (sig < __SIGRTMIN || sig >= SIGRTMIN); /* libc's two */
}

static int set_fill(hob_signals *s, const int *list, size_t n)
{
    sigemptyset(&s->set);
    for (size_t i = 0; i < n; i++) {
        if (!may_wait_for(list[i]))
            return -EINVAL;
        sigaddset(&s->set, list[i]);
        s->bits |= (uint64_t)1 << (list[i] - 1);
    }
    return n > 0 ? 0 : -EINVAL;
}

static bool owned_take(uint64_t bits)
{
    uint64_t old = atomic_load(&owned);

    do {
        if (old & bits)
            return false;
    } while (!atomic_compare_exchange_weak(&owned, &old, old | bits));
    return true;
}

/* ---- the mask, on its thread ---- */

static void mask_block(hob_signals *s)
{
    sigset_t old;

    s->tid = gettid();
    pthread_sigmask(SIG_BLOCK, &s->set, &old);
    sigemptyset(&s->blocked);
    for (int sig = 1; sig <= SIGRTMAX; sig++)
        if (sigismember(&s->set, sig) == 1 && sigismember(&old, sig) == 0)
            sigaddset(&s->blocked, sig);
}

static void mask_unblock(hob_signals *s)
{
    pthread_sigmask(SIG_UNBLOCK, &s->blocked, NULL);
}

static void mask_start(struct remote *r)
{
    struct mask_call *c = container_of(r, struct mask_call, remote);

    c->change(c->s);
    hob__remote_done(r, 0);
}

static void mask_cancel(struct remote *r)
{
    (void)r; /* it ends soon by itself */
}

/* On the first loop's thread if this is a loop, else on this one. */
static void mask_change(hob_signals *s, void (*change)(hob_signals *s))
{
    struct mask_call c = {
        .remote = {.start = mask_start, .cancel = mask_cancel}, .change = change, .s = s};
    struct loop *l = hob__loop;

    if (l && l->index != 0)
        hob__remote_call(&c.remote, &l->rt->loops[0], HOB_WAIT_REMOTE, HOB_FOREVER);
    else
        change(s);
}

/* ---- the calls ---- */

static int set_open(hob_signals *s, const int *list, size_t n)
{
    int r = set_fill(s, list, n);

    if (r < 0)
        return r;
    s->fd = signalfd(-1, &s->set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (s->fd < 0)
        return -errno;
    if (!owned_take(s->bits)) {
        close(s->fd);
        return -EBUSY;
    }
    mask_change(s, mask_block);
    return 0;
}

int hob_signals_open(const int *list, size_t n, hob_signals **ret)
{
    hob_signals *s;
    struct fiber *f;
    int r = hob__io_begin_real(&f);

    if (r < 0)
        return r;
    if (!(s = calloc(1, sizeof *s)))
        return -ENOMEM;
    if ((r = set_open(s, list, n)) < 0)
        free(s);
    else
        *ret = s;
    return r;
}

/* 0; -EAGAIN: none is there. */
static int signal_take(hob_signals *s, struct hob_signal_info *ret)
{
    struct signalfd_siginfo info;
    ssize_t n;

    do
        n = read(s->fd, &info, sizeof info);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    HOB_ASSERT(n == (ssize_t)sizeof info);
    if (ret)
        *ret = (struct hob_signal_info){.signal = (int)info.ssi_signo,
                                        .code = info.ssi_code,
                                        .pid = (pid_t)info.ssi_pid,
                                        .uid = info.ssi_uid,
                                        .value = info.ssi_signo == SIGCHLD ? info.ssi_status
                                                                           : info.ssi_int};
    return 0; /* (I3) */
}

int hob_signals_wait(hob_signals *s, hob_time until, struct hob_signal_info *ret)
{
    struct fiber *f;
    int r = hob__io_begin_real(&f);

    while (r >= 0 && (r = signal_take(s, ret)) == -EAGAIN) {
        struct io io = {.op = {.kind = POLL_READY, .fd = s->fd, .events = EPOLLIN}};

        r = f ? hob__io_run(&io, HOB_WAIT_SIGNAL, until) : hob__thread_poll(s->fd, EPOLLIN, until);
        if (r < 0)
            return r;
    }
    return r;
}

void hob_signals_close(hob_signals *s)
{
    struct loop *l = hob__loop;

    if (!s)
        return;
    pid_t tid = l ? atomic_load_explicit(&l->rt->loops[0].tid, memory_order_relaxed) : gettid();
    close(s->fd);
    atomic_fetch_and(&owned, ~s->bits);
    if (tid == s->tid)
        mask_change(s, mask_unblock);
    else
        (void)HOB_MISUSE(-EINVAL, "signals are given back on a thread that did not take them");
    free(s);
}

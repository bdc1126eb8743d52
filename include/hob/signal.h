/* SPDX-License-Identifier: MIT */
#ifndef HOB_SIGNAL_H
#define HOB_SIGNAL_H

#include <sys/types.h>

#include <hob/base.h>

HOB_BEGIN_DECLS

/*
 * Signals as something to wait for
 * ================================
 *
 * A set of signals that is open reaches nobody but those who wait on it: no handler runs and no
 * default ends the program.  Ctrl-C turned orderly is a fiber of the group that is to end:
 *
 *     static int until_ctrl_c(void *set)
 *     {
 *         int r = hob_signals_wait(set, HOB_FOREVER, NULL);
 *         return r < 0 ? r : -EINTR;       // the group cannot go on: it is cancelled and joined
 *     }
 *
 * A signal belongs to one open set at most.  Each that comes is told to one of those who wait, on
 * whatever loop; while nobody waits it is kept.  As everywhere in Unix, a second one of the same
 * kind that comes before the first was told is the same one, but for real-time signals.
 *
 * Opening blocks the signals on the first loop's thread; hob's other threads never take any.  A
 * thread that you started yourself before that must have them blocked, or may get them in the old
 * way: so open the set on the main thread, before hob_run and before you start any.
 */
typedef struct hob_signals hob_signals;

/** What is known of a signal that came.  Never grows. */
struct hob_signal_info {
    int signal;
    int code;  /* SI_USER, CLD_EXITED, ...: sigaction(2) */
    pid_t pid; /* who sent it, */
    uid_t uid; /* and as whom; 0 both: the kernel */
    int value; /* sigqueue's; of SIGCHLD: the child's status */
};

/**
 * hob_signals_open - take signals for the waiters of a new set
 * @list: n of them: SIGINT, SIGTERM, SIGHUP, ...; copied
 * @ret:  the set; untouched on failure
 *
 * They are then not seen by hob_run's stop_on_signals.  From a fiber of another loop than the first
 * it parks for a moment.
 *
 * Return: 0; -EINVAL (none, no signal's number, or one that cannot wait: SIGKILL, SIGSTOP, faults),
 * -EBUSY (one belongs to another set), -EMFILE, -ENFILE, -ENOMEM, -ECANCELED, -EDEADLK (from a pool
 * job), -EOPNOTSUPP (simulated).
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_signals_open(const int *list, size_t n,
                                                                     hob_signals **ret);

/**
 * hob_signals_wait - park until one of the set comes
 * @ret: which, and whose; NULL: no matter
 *
 * Return: 0; -ETIMEDOUT, -ECANCELED: none was taken; -ENOMEM, -EDEADLK.
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_signals_wait(hob_signals *s, hob_time until,
                                                                     struct hob_signal_info *ret);

/**
 * hob_signals_close - give the signals back; NULL is a no-op
 *
 * What came and was told to nobody now does what it would have done: a SIGINT ends the program.
 * On the thread that opened it, or on a fiber of the runtime whose first loop that thread is.
 * Nobody may be waiting.  Parks as opening does, whatever was cancelled.
 */
HOB_API HOB_PARKS HOB_ANY_THREAD void hob_signals_close(hob_signals *s);

HOB_END_DECLS
#endif

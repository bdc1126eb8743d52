/* SPDX-License-Identifier: MIT
 *
 * futex.h - a thread sleeps until a word changes
 *
 * All calls are private to the process.  A wait may return for no reason: call it in a loop that
 * looks at the word.  A wake of an address where nobody sleeps, or which is not mapped any more,
 * does nothing: the waker may be late without harm.
 */
#ifndef HOB_PLAT_FUTEX_H
#define HOB_PLAT_FUTEX_H

#include <linux/futex.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <hob/base.h>

/* Sleeps if *word is still `seen`; the kernel looks and sleeps in one step. */
static inline void futex_wait(atomic_uint *word, unsigned seen)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

/* The same, at most until a point of CLOCK_MONOTONIC; HOB_FOREVER: no limit. */
static inline void futex_wait_until(atomic_uint *word, unsigned seen, hob_time until)
{
    struct timespec t = {.tv_sec = (time_t)(until / HOB_SEC), .tv_nsec = (long)(until % HOB_SEC)};

    syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, seen, until == HOB_FOREVER ? NULL : &t,
            NULL, FUTEX_BITSET_MATCH_ANY);
}

static inline void futex_wake(atomic_uint *word, int n_max)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n_max, NULL, NULL, 0);
}

#endif

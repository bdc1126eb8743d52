/* SPDX-License-Identifier: MIT
 *
 * threads.h - which threads of the process are not hob's
 */
#ifndef HOB_PLAT_THREADS_H
#define HOB_PLAT_THREADS_H

#include <stdatomic.h>

extern _Atomic(int) hob__threads_own;

/* First and last thing on every thread that hob makes, and around a loop on a caller's. */
static inline void threads_begin(void)
{
    atomic_fetch_add_explicit(&hob__threads_own, 1, memory_order_relaxed);
}

static inline void threads_end(void)
{
    atomic_fetch_sub_explicit(&hob__threads_own, 1, memory_order_relaxed);
}

/*
 * How many threads the process has that are not hob's nor the kernel's for io_uring.  Never too
 * few; too many while a thread begins or ends, under ThreadSanitizer, which has threads of its own,
 * and where /proc is missing.
 */
unsigned hob__threads_foreign(void);

#endif

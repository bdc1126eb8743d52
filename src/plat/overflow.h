/* SPDX-License-Identifier: MIT
 *
 * overflow.h - says which fiber ran off its stack, before the process dies of it
 */
#ifndef HOB_PLAT_OVERFLOW_H
#define HOB_PLAT_OVERFLOW_H

#include <stddef.h>

/*
 * Asked in a signal handler, on the thread that faulted: when addr lies in a stack's guard, the
 * name of the fiber whose stack it is (or "?") and the stack's bytes; else NULL, bytes untouched.
 * Takes no lock, allocates nothing, may run on any thread, also one that has no loop.
 */
typedef const char *(*overflow_describe)(const void *addr, size_t *ret_bytes);

/* A thread's alternate signal stack: a handler cannot run on the stack that is full. */
struct overflow_thread {
    void *mapping; /* NULL: the thread had an alternate stack already, and keeps it */
    size_t size;
};

/*
 * Takes SIGSEGV and SIGBUS over, once a process; every later call only sets `describe`.  Faults
 * that are not ours go to whoever had the signal before.  0 or a negative errno.
 */
int hob__overflow_install(overflow_describe describe);

/* Before the thread's first fiber and after its last one.  0, -ENOMEM. */
int hob__overflow_thread_start(struct overflow_thread *t);
void hob__overflow_thread_stop(struct overflow_thread *t);

#endif

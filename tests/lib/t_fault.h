/* SPDX-License-Identifier: MIT
 *
 * t_fault.h - t.c's side of t_fault.c, which is linked into the programs that are called fault_*
 */
#ifndef T_FAULT_H
#define T_FAULT_H

#include "lib/t.h"

/* How a process of a case ended that some fault was planned in. */
enum {
    T_EXIT_GOOD = 0,
    T_EXIT_FAIL = 1, /* a CHECK failed: the test was told of the fault */
    T_EXIT_LEAK = 3,
    T_EXIT_SKIP = 77,
};

/*
 * Runs the case again and again, each time in a new process by run(c) and with another thing that
 * fails.  The wait status of the first run that ended as none may, else of the one without a fault;
 * `reason`, of `size` bytes, says what was failing, or how many runs there were.
 */
__attribute__((weak)) int t_fault_each(const struct t_case *c, int (*run)(const struct t_case *c),
                                       char *reason, size_t size);

/*
 * "I/K": from now on not a part of what may fail but every one, shared by K programs of which this
 * is number I, from 1: each n for which n % K is I % K.
 */
__attribute__((weak)) void t_fault_shard(const char *text);

/* Whether, after all cases of a program, some of everything that may fail came by: else the program
 * was linked past this file, and has tested nothing.  It says what did not. */
__attribute__((weak)) bool t_fault_came_by(void);

#endif

/* SPDX-License-Identifier: MIT
 *
 * life.h - what the rest of a process does to loops that run: fork, and the end of their thread
 */
#ifndef HOB_SCHED_LIFE_H
#define HOB_SCHED_LIFE_H

#include <stdbool.h>

struct loop;

/* Before the first loop of a runtime; once a process. */
void hob__life_init(void);

/* On a loop's thread, around its running. */
void hob__life_begin(struct loop *l);
void hob__life_end(void);

/* In the child of a fork made while loops ran, for ever.  Plain: it has one thread. */
extern bool hob__life_forked;

/*
 * What a call that needs a fiber returns where there is none: -EPERM.  In such a child it is a
 * mistake: a debug build says so, and aborts.
 */
int hob__off_fiber(void);

/* A fiber of such a child has come to its end, or would let others run: says so, and aborts. */
__attribute__((noreturn)) void hob__life_run_on(void);

#endif

/* SPDX-License-Identifier: MIT
 *
 * look.h - what a loop has at this moment, fiber by fiber: for dumps and reports
 */
#ifndef HOB_SCHED_LOOK_H
#define HOB_SCHED_LOOK_H

#include "sched/loop.h"

enum { LOOK_PATH_MAX = 256 };

/* Everything alive with a stack, in the order of the stacks.  Nothing may run meanwhile: on the
 * loop's thread, or while the loop is known to be asleep. */
void hob__look_fibers(const struct loop *l, void (*fn)(void *arg, const struct fiber *f),
                      void *arg);

/* The same of what has not started; `n` neighbours in the queue that are alike count as one. */
void hob__look_tasks(struct loop *l, void (*fn)(void *arg, const struct task *t, uint64_t n),
                     void *arg);

/* Bytes of stack under the frames of a fiber; of the running one only on its own thread. */
size_t hob__look_depth(const struct fiber *f);

/*
 * "main/crawl/page": the groups a member is in, outermost first; long ones lose their beginning.
 * On the member's loop, or as above.  Safe in a signal handler.
 */
void hob__look_path(const struct group *g, char ret_path[LOOK_PATH_MAX]);

#endif

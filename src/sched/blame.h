/* SPDX-License-Identifier: MIT
 *
 * blame.h - a mistake of a fiber's that no error code can tell of
 */
#ifndef HOB_SCHED_BLAME_H
#define HOB_SCHED_BLAME_H

struct fiber;

/* Its function has returned, and a group that it opened is still open: says so, and aborts. */
__attribute__((noreturn, cold)) void hob__left_open(const struct fiber *f);

/* It holds a lock, of this name or NULL: the same. */
__attribute__((noreturn, cold)) void hob__left_locked(const struct fiber *f, const char *lock);

#endif

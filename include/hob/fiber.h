/* SPDX-License-Identifier: MIT */
#ifndef HOB_FIBER_H
#define HOB_FIBER_H

#include <stdbool.h>

#include <hob/base.h>

HOB_BEGIN_DECLS

/*
 * The running fiber
 * =================
 *
 * A fiber is a function with its own small stack that parks while it waits.  It stays on the
 * loop it started on.  Where a call parks, other fibers of the loop run: thread-local values
 * (errno, strtok's, OpenSSL's error queue) are void after it.
 *
 * Cancellation is a level, not an event: once the scope a fiber is in is cancelled, every call
 * that parks returns -ECANCELED, even one that would not have waited.
 */

/**
 * hob_yield - let the other ready fibers of this loop run first
 *
 * Return: 0, -ECANCELED; -EPERM off a fiber.
 */
HOB_API HOB_PARKS int hob_yield(void);

/**
 * hob_sleep_until - park until a point in time; with one that has passed it is hob_yield
 *
 * Never early.  Late by the timer's grain (65.5 us) and by what else the loop has to do.  From a
 * plain thread it blocks that thread.
 *
 * Return: 0, -ECANCELED; off a fiber also -EDEADLK (from a pool job), -EPERM (in a simulation,
 * where only the loops' time passes).
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_sleep_until(hob_time until);

/** hob_sleep - hob_sleep_until(hob_in(d)) */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_sleep(hob_dur d);

/**
 * hob_check - whether this fiber's scope is cancelled: for long work without a parking call
 *
 * Return: 0, -ECANCELED; -EPERM off a fiber.
 */
HOB_API HOB_MUST_CHECK int hob_check(void);

/** hob_on_fiber - whether the caller runs on a fiber. */
HOB_API HOB_ANY_THREAD bool hob_on_fiber(void);

/** hob_loop_index - the loop the caller runs on, from 0; -1 off the loops. */
HOB_API HOB_ANY_THREAD int hob_loop_index(void);

/**
 * hob_fiber_name - name the running fiber, for traces and dumps; `name` must outlive it
 *
 * Off a fiber it does nothing.
 */
HOB_API HOB_ANY_THREAD void hob_fiber_name(const char *name);

HOB_END_DECLS
#endif

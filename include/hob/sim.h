/* SPDX-License-Identifier: MIT */
#ifndef HOB_SIM_H
#define HOB_SIM_H

#include <stdbool.h>

#include <hob/base.h>

HOB_BEGIN_DECLS

/*
 * Simulation: what a program is asked in many orders of events
 * ============================================================
 *
 * A program that waits only through hob runs unchanged in a simulation: one thread, virtual time,
 * sockets and files in memory, and an order of events that a seed decides.
 *
 *     HOB_SIM=42 ./program              in that order; again, and it is the same run
 *     HOB_SIM=search:1000 ./program     in the orders of seeds 1 to 1000, until one fails
 *     HOB_SIM=@FILE ./program           in the order that a search has written down
 *     HOB_SIM=42,faults=10 ./program    and of a thousand calls 10 fail; also of a search's
 *
 * A run fails that crashes or aborts, for which hob_run does not return 0, that ends with another
 * exit status than 0, in which nothing can run any more, or that makes more than 16 million
 * choices, which is taken for one without end.  What else is wrong the program says itself, by
 * hob_always and hob_sometimes.  What a simulation cannot see: hob_sim(3).
 */

/**
 * hob_always - say what is so in every order of events
 * @name: what it is about, in words; for the report
 *
 * False in a simulation, the run has failed: it says `name` and aborts, in every build.  Outside
 * one, debug builds of the library do the same, and others do nothing.
 */
HOB_API HOB_ANY_THREAD void hob_always(bool cond, const char *name);

/**
 * hob_sometimes - say what shall be so at least once in a search
 * @name: tells it from others; its first 95 bytes count, and 256 names
 *
 * A search in which no seed fails still fails if this was asked and never true: that state was not
 * tried.  What was not even asked it does not know.  Outside a search nothing happens.
 */
HOB_API HOB_ANY_THREAD void hob_sometimes(bool cond, const char *name);

/**
 * hob_torture_cancel - run fn(arg) again and again, cancelled at each suspension point in turn
 *
 * Once as it is; then with its first wait cancelled, its second, and so on, until it ends before
 * it comes to that.  A wait is whatever parks or yields, in fn or in a fiber that it started.  Each
 * time fn starts anew, so it sets up what it needs itself, and its own checks say whether it left
 * that in order.  In a simulation or out of one, in every build; one at a time.  A loop that goes
 * on although each call tells it of the cancel is found, and aborts.
 *
 * Return: how many suspension points it was cancelled at; what fn returned when nobody cancelled
 * it, if negative; what it returned when cancelled, if that is negative and not -ECANCELED (the
 * point is said on standard error); -ECANCELED (the caller's scope is cancelled), -EBUSY (another
 * one is under way), -EPERM (not on a fiber), -EINVAL (no fn), -ENOMEM.
 */
HOB_API HOB_MUST_CHECK HOB_PARKS int hob_torture_cancel(hob_fn fn, void *arg);

HOB_END_DECLS
#endif

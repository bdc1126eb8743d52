/* SPDX-License-Identifier: MIT */
#ifndef HOB_EVENT_H
#define HOB_EVENT_H

#include <stdbool.h>

#include <hob/base.h>

HOB_BEGIN_DECLS

/*
 * Events, and what is done once
 * =============================
 *
 * An event is a door that is shut at first.  hob_event_set opens it for all who wait and all who
 * come later, until hob_event_clear shuts it.  hob_once_do runs a function the first time anybody
 * asks; who asks meanwhile waits for that one run.
 *
 * Both live where their user puts them, belong to the loop of the fiber that initialised them,
 * where they cost no atomic, and hold nothing to be freed.  Fibers of other loops and plain threads
 * may use them too, by a message to that loop.
 */
/* Never grows: what is new will have a name of its own. */
typedef struct hob_event {
    void *opaque[8];
} hob_event;

/* Never grows. */
typedef struct hob_once {
    void *opaque[8];
} hob_once;

/**
 * hob_event_init - an event that is not set, whose home is the calling fiber's loop
 * @name: shown in dumps; not copied; NULL: none
 *
 * Return: 0; -EPERM (not on a fiber).
 */
HOB_API HOB_MUST_CHECK int hob_event_init(hob_event *e, const char *name);

/**
 * hob_event_set - from now on nobody waits; idempotent
 *
 * On the event's own loop it does not park; from elsewhere it waits, whatever is cancelled, until
 * it is done.  What the caller wrote before is seen by whoever waited.
 *
 * Return: 0; -EINVAL (never initialised).
 */
HOB_API HOB_PARKS HOB_ANY_THREAD int hob_event_set(hob_event *e);

/** hob_event_clear - from now on they wait again; as hob_event_set otherwise. */
HOB_API HOB_PARKS HOB_ANY_THREAD int hob_event_clear(hob_event *e);

/**
 * hob_event_wait - park until the event is set
 * @until: absolute time; 0 never parks, HOB_FOREVER has no limit
 *
 * Return: 0: it was set, and may have been cleared since; -ETIMEDOUT, -ECANCELED (this fiber's
 * scope was cancelled), -EDEADLK (from a pool job), -EINVAL (never initialised).
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_event_wait(hob_event *e, hob_time until);

/**
 * hob_once_init - something that has not been done, whose home is the calling fiber's loop
 *
 * Return: 0; -EPERM (not on a fiber).
 */
HOB_API HOB_MUST_CHECK int hob_once_init(hob_once *o, const char *name);

/**
 * hob_once_do - run fn(arg) unless it has been run, or wait for the run under way
 * @fn:    runs on the caller, and may park; a negative return means that it is not done: one of
 *         those who wait runs its own fn next
 * @until: absolute; how long to wait for somebody else's run; 0 never parks for it
 *
 * Return: 0: it is done, by whoever; what fn returned, if this call ran it and it failed;
 * -ETIMEDOUT, -ECANCELED (this fiber's scope was cancelled), -EDEADLK (from inside its own fn, or
 * from a pool job), -EINVAL (never initialised, or no fn).
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_once_do(hob_once *o, hob_fn fn, void *arg,
                                                                hob_time until);

HOB_END_DECLS
#endif

/* SPDX-License-Identifier: MIT */
#ifndef HOB_SEM_H
#define HOB_SEM_H

#include <hob/base.h>

HOB_BEGIN_DECLS

/*
 * Semaphores: so many at once
 * ===========================
 *
 * A semaphore counts units: places in a rate limit, connections of a database, megabytes that may
 * be in memory.  Who wants more than there are parks.  Units are given out strictly in the order
 * of asking: a request for much is not overtaken by requests for little.
 *
 * It lives where its user puts it, belongs to the loop of the fiber that initialised it, where it
 * costs no atomic, and holds nothing to be freed.  Fibers of other loops and plain threads may use
 * it too, by a message to that loop.
 */
/* Never grows: what is new will have a name of its own. */
typedef struct hob_sem {
    void *opaque[8];
} hob_sem;

/**
 * hob_sem_init - a semaphore with n units, whose home is the calling fiber's loop
 * @n:    units at first; 0 is fine
 * @name: shown in dumps; not copied; NULL: none
 *
 * Return: 0; -EINVAL (n beyond INT64_MAX), -EPERM (not on a fiber).
 */
HOB_API HOB_MUST_CHECK int hob_sem_init(hob_sem *s, uint64_t n, const char *name);

/**
 * hob_sem_acquire - take n units, parking until that many are there and it is the caller's turn
 * @n:     units, at least 1
 * @until: absolute time; 0 never parks, HOB_FOREVER has no limit
 *
 * Return: 0: they are the caller's to release.  On failure nothing was taken: -ETIMEDOUT,
 * -ECANCELED (this fiber's scope was cancelled), -EDEADLK (from a pool job), -EINVAL (no units, or
 * never initialised).
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_sem_acquire(hob_sem *s, uint64_t n,
                                                                    hob_time until);

/**
 * hob_sem_release - give n units back, or add them: whoever waited first goes on
 *
 * On the semaphore's own loop it does not park; from elsewhere it waits, whatever is cancelled,
 * until it is done.
 *
 * Return: 0; -EOVERFLOW (more than INT64_MAX units: a mistake, debug builds abort), -EINVAL (never
 * initialised).
 */
HOB_API HOB_PARKS HOB_ANY_THREAD int hob_sem_release(hob_sem *s, uint64_t n);

HOB_END_DECLS
#endif

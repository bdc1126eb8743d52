/* SPDX-License-Identifier: MIT */
#ifndef HOB_LOCK_H
#define HOB_LOCK_H

#include <hob/base.h>

HOB_BEGIN_DECLS

/*
 * Locks: mutex, condition, read-write lock
 * ========================================
 *
 * Fibers of one loop never run at the same instant: what they change without parking in between
 * needs no lock.  A lock is for what must stay as it is while its holder parks, or for what fibers
 * of several loops share.
 *
 * A lock lives where its user puts it, belongs to the loop of the fiber that initialised it, where
 * it costs no atomic, and holds nothing to be freed.  Fibers of other loops and plain threads may
 * use it too, by a message to that loop; a lock that many loops fight for is better a fiber with a
 * channel.
 *
 * Who locks unlocks: a fiber that ends with a mutex, or as a rwlock's writer, is a mistake.  A
 * debug build aborts, with the lock's name; in a release build the lock stays locked.
 */
/* Never grows: what is new will have a name of its own. */
typedef struct hob_mutex {
    void *opaque[12];
} hob_mutex;

/* Never grows. */
typedef struct hob_cond {
    void *opaque[8];
} hob_cond;

/* Never grows. */
typedef struct hob_rwlock {
    void *opaque[12];
} hob_rwlock;

/**
 * hob_mutex_init - a free mutex, whose home is the calling fiber's loop
 * @name: shown in dumps; not copied; NULL: none
 *
 * Return: 0; -EPERM (not on a fiber).
 */
HOB_API HOB_MUST_CHECK int hob_mutex_init(hob_mutex *m, const char *name);

/**
 * hob_mutex_lock - own the mutex, parking while another does
 * @until: absolute time; 0 never parks, HOB_FOREVER has no limit
 *
 * Whoever finds it free takes it, before those who wait: an owner that locks again and again does
 * not switch each time.  But who has waited for 1 ms is handed it by the next unlock.
 *
 * Return: 0: it is the caller's to unlock.  On failure it is not: -EDEADLK (the caller has it
 * already, or is a pool job), -ETIMEDOUT, -ECANCELED (this fiber's scope was cancelled), -EINVAL
 * (never initialised).
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_mutex_lock(hob_mutex *m, hob_time until);

/**
 * hob_mutex_unlock - give it up; on the mutex's own loop it does not park
 *
 * From elsewhere it waits, whatever is cancelled, until it is done.  Only the owner unlocks.
 *
 * Return: 0; -EPERM (it is not the caller's: a mistake, debug builds abort), -EINVAL (never
 * initialised).
 */
HOB_API HOB_PARKS HOB_ANY_THREAD int hob_mutex_unlock(hob_mutex *m);

/**
 * hob_cond_init - a condition nobody waits for, whose home is the calling fiber's loop
 *
 * Return: 0; -EPERM (not on a fiber).
 */
HOB_API HOB_MUST_CHECK int hob_cond_init(hob_cond *c, const char *name);

/**
 * hob_cond_wait - unlock m, park until signalled, lock m again
 * @m:     the caller's, and of the same home as the condition
 * @until: absolute time; 0 never parks; HOB_FOREVER has no limit
 *
 * However it ends, the caller owns m again, even after a cancel: that wait for m cannot be
 * cancelled.  What was waited for may have gone again: look in a loop.
 *
 * Return: 0: signalled; -ETIMEDOUT, -ECANCELED (this fiber's scope was cancelled): not signalled,
 * no signal was used up; -EPERM (m is not the caller's), -EDEADLK (from a pool job), -EINVAL (homes
 * differ, or never initialised).
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_cond_wait(hob_cond *c, hob_mutex *m,
                                                                  hob_time until);

/**
 * hob_cond_signal - wake who has waited longest, if anybody waits
 *
 * On the condition's own loop it does not park; from elsewhere it waits, whatever is cancelled,
 * until it is done.
 *
 * Return: 0; -EINVAL (never initialised).
 */
HOB_API HOB_PARKS HOB_ANY_THREAD int hob_cond_signal(hob_cond *c);

/** hob_cond_broadcast - wake all who wait; as hob_cond_signal otherwise. */
HOB_API HOB_PARKS HOB_ANY_THREAD int hob_cond_broadcast(hob_cond *c);

/**
 * hob_rwlock_init - a free read-write lock, whose home is the calling fiber's loop
 * @name: shown in dumps; not copied; NULL: none
 *
 * Return: 0; -EPERM (not on a fiber).
 */
HOB_API HOB_MUST_CHECK int hob_rwlock_init(hob_rwlock *l, const char *name);

/**
 * hob_rwlock_read - share it with other readers, parking while somebody writes or waits before
 * @until: absolute time; 0 never parks, HOB_FOREVER has no limit
 *
 * Strictly in the order of asking: a reader does not overtake a writer that waits.  So a reader
 * must not ask again for what it has: a writer in between would wait for ever, and it too.
 *
 * Return: 0: it is the caller's to unlock.  On failure it is not: -EDEADLK (the caller writes, or
 * is a pool job), -ETIMEDOUT, -ECANCELED (this fiber's scope was cancelled), -EINVAL (never
 * initialised).
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_rwlock_read(hob_rwlock *l, hob_time until);

/** hob_rwlock_write - have it alone, parking while anybody has it; as hob_rwlock_read otherwise. */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_rwlock_write(hob_rwlock *l, hob_time until);

/**
 * hob_rwlock_unlock - give up what hob_rwlock_read or hob_rwlock_write gave
 *
 * On the lock's own loop it does not park; from elsewhere it waits, whatever is cancelled, until
 * it is done.
 *
 * Return: 0; -EPERM (nobody reads, and the caller does not write: a mistake, debug builds abort),
 * -EINVAL (never initialised).
 */
HOB_API HOB_PARKS HOB_ANY_THREAD int hob_rwlock_unlock(hob_rwlock *l);

HOB_END_DECLS
#endif

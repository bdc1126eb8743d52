/* SPDX-License-Identifier: MIT */
#ifndef HOB_POOL_H
#define HOB_POOL_H

#include <hob/base.h>

HOB_BEGIN_DECLS

/*
 * Work for all cores
 * ==================
 *
 * The pool is the half of hob for what computes: one thread a usable core, started by the first
 * call that needs it, asleep when there is nothing to do.  Usable cores are those this process
 * may really use - its affinity mask and every cgroup's quota - and not those the machine has.
 *
 * A body runs to its end on the thread that took it.  It may call hob_for itself.  It must not
 * wait for anything a loop does: calls that would are -EDEADLK inside it.  It may hold a
 * lock over a nested hob_for: a thread that waits there runs only pieces of that very call.
 *
 * A child of fork() sees no threads and starts its own with its first call.  A child forked
 * inside a body must not return from it.
 */

/**
 * What hob_for calls for each chunk: the work of indexes begin to end - 1.
 * Below 0 is an error and ends the call early; 0 and above are good.
 */
typedef int (*hob_for_body)(size_t begin, size_t end, void *arg);

struct hob_for_opts {
    size_t size;          /* sizeof(struct hob_for_opts); HOB_FOR_OPTS fills it */
    size_t grain;         /* chunks are [begin + k * grain, + grain); 0: the pool chooses */
    unsigned max_workers; /* threads at it at once, the caller included; 0: as many as cores */
};

#define HOB_FOR_OPTS(...) (&(struct hob_for_opts){.size = sizeof(struct hob_for_opts), __VA_ARGS__})

/**
 * hob_for - run a body over a range on all cores
 * @begin, @end: the range; empty when equal
 * @body:        called for chunks that together are the range, each index once, in no order, on
 *               several threads at once
 * @arg:         handed to body
 * @opts:        NULL for all defaults
 *
 * The caller works too.  The range is cut only when some thread has nothing to do, so that small
 * ranges and nested calls cost little more than the loop; chunks that the pool chooses grow to
 * some 20 us of work.  From a fiber the call moves to the pool and the fiber parks.
 *
 * An error stops the chunks after it, and not those before it: the call returns the error with
 * the lowest index, the one that a plain loop would have met first.  Chunks of higher indexes may
 * have run.
 *
 * Return: 0; -EINVAL (begin > end, no body), -E2BIG (an option newer than this library), or the
 * body's error.  On a fiber also -ECANCELED, -ENOMEM: no chunk has run.
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int
hob_for(size_t begin, size_t end, hob_for_body body, void *arg, const struct hob_for_opts *opts);

/**
 * hob_cores - how many cores this process may use
 *
 * The smaller of the affinity mask and the CPU quotas of all cgroups above the process, rounded
 * up; HOB_CORES in the environment overrides it.  Asked anew on each call (tens of microseconds).
 *
 * Return: at least 1.
 */
HOB_API HOB_ANY_THREAD unsigned hob_cores(void);

HOB_END_DECLS
#endif

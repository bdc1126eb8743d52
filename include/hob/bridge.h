/* SPDX-License-Identifier: MIT */
#ifndef HOB_BRIDGE_H
#define HOB_BRIDGE_H

#include <hob/base.h>

HOB_BEGIN_DECLS

/*
 * The two bridges: off the loop and back
 * ======================================
 *
 * A fiber never computes for long and never blocks its thread.  What computes goes to the pool
 * with hob_offload; what blocks (a library that knows only blocking calls) goes to a thread that
 * may block with hob_block, or to a lane: one such thread with a queue of its own, on which calls
 * run one at a time, in order.  An SQLite connection lives on a lane.
 *
 * The fiber parks meanwhile.  A cancel or `until` takes back a call that has not started; one that
 * has started is waited for, because it uses the fiber's memory.  With `until` 0 a call that
 * another thread would have to run is not begun: -ETIMEDOUT at once.
 */

/**
 * hob_offload - run fn(arg) on the pool and park until it has ended
 * @until: absolute; the latest moment to start waiting for a free worker to be given up
 *
 * Off a fiber fn runs right here: a plain thread and a job may compute.
 *
 * Return: what fn returned; or, fn not run: -ECANCELED, -ETIMEDOUT, -ENOMEM, -EINVAL (no fn).
 */
HOB_API HOB_PARKS HOB_ANY_THREAD int hob_offload(hob_fn fn, void *arg, hob_time until);

/**
 * hob_block - run fn(arg), which blocks, on a thread that may, and park until it has ended
 * @until: absolute; as with hob_offload
 *
 * At most 64 such threads live at once; further calls wait for one, oldest first.  From a plain
 * thread fn runs right here.
 *
 * Return: what fn returned; or, fn not run: -ECANCELED, -ETIMEDOUT, -ENOMEM, -EAGAIN (no thread
 * could be started), -EDEADLK (from a pool job), -EINVAL (no fn).
 */
HOB_API HOB_PARKS HOB_ANY_THREAD int hob_block(hob_fn fn, void *arg, hob_time until);

/** One blocking thread with a queue of its own. */
typedef struct hob_lane hob_lane;

/**
 * hob_lane_new - start a lane
 * @name: the thread's name, cut after 15 bytes; copied
 * @ret:  the lane, owned by the caller; untouched on failure
 *
 * Return: 0, -ENOMEM, -EAGAIN (no thread could be started).
 */
HOB_API HOB_MUST_CHECK HOB_ANY_THREAD int hob_lane_new(const char *name, hob_lane **ret);

/**
 * hob_lane_call - run fn(arg) on the lane after the calls made before, and park until it has ended
 * @until: absolute; as with hob_offload
 *
 * From a plain thread it blocks that thread.
 *
 * Return: what fn returned; or, fn not run: -ECANCELED, -ETIMEDOUT, -ENOMEM, -EDEADLK (from a
 * pool job), -EINVAL (no fn).
 */
HOB_API HOB_PARKS HOB_ANY_THREAD int hob_lane_call(hob_lane *lane, hob_fn fn, void *arg,
                                                   hob_time until);

/** hob_lane_free - end the lane's thread; no call may be under way; NULL is a no-op. */
HOB_API HOB_ANY_THREAD void hob_lane_free(hob_lane *lane);

HOB_END_DECLS
#endif

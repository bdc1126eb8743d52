/* SPDX-License-Identifier: MIT
 *
 * chan.h - who stands in a channel's queues
 */
#ifndef HOB_SYNC_CHAN_H
#define HOB_SYNC_CHAN_H

#include "base/list.h"

struct fiber;
struct remote;

/* In the frame of a parked fiber, in the operation of one elsewhere, or in an arm of a select. */
struct chan_waiter {
    struct list node;
    struct fiber *fiber;   /* parked for this alone; NULL: it is not */
    struct remote *remote; /* from elsewhere; both NULL: an arm */
    union {
        const void *src;
        void *dst;
    };
};

#endif

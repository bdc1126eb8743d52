/* SPDX-License-Identifier: MIT
 *
 * poll_uring_feed.h - feeds on a ring: multishot receives into memory lent to the kernel, and
 * multishot accepts
 */
#ifndef HOB_PLAT_POLL_URING_FEED_H
#define HOB_PLAT_POLL_URING_FEED_H

#include <liburing.h>

#include "plat/poll.h"

/* Part of a poller on a ring. */
struct uring_feeds {
    struct io_uring_buf_ring *ring; /* NULL before the first feed */
    char *bytes;
    struct poll_piece *pieces;
    uint32_t n_pieces, n_free; /* free: neither held nor known to be filled */
    bool off;                  /* this kernel has them not */
    bool accepts;              /* nor loses a connection when completions wait in line */
    uint32_t gen;
    size_t n_kernel;
    struct list queue;   /* to be started */
    struct list cancels; /* in the kernel, and to be ended */
    struct list ended;   /* without the kernel */
};

void hob__uring_feeds_init(struct uring_feeds *s, uint32_t n_pieces);
void hob__uring_feeds_fini(struct uring_feeds *s); /* after the ring */

bool hob__uring_feed(struct uring_feeds *s, struct io_uring *ring, struct poll_feed *f);
void hob__uring_unfeed(struct uring_feeds *s, struct poll_feed *f);
void hob__uring_give(struct uring_feeds *s, struct poll_piece *piece);

/* From the lists to the submission queue; false: it is full and something is left. */
bool hob__uring_feeds_fill(struct uring_feeds *s, struct io_uring *ring);
void hob__uring_feed_cqe(struct uring_feeds *s, uint64_t user_data, int32_t res, uint32_t flags);
void hob__uring_feeds_deliver(struct uring_feeds *s); /* the ends on `ended` */

static inline bool uring_feeds_asked(const struct uring_feeds *s)
{
    return !list_empty(&s->queue) || !list_empty(&s->cancels);
}

#endif

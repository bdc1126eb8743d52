/* SPDX-License-Identifier: MIT
 *
 * poll_uring_feed.c - feeds on a ring: multishot receives into memory lent to the kernel, and
 * multishot accepts
 *
 * WHAT        One SQE a feed, which stays in the kernel and sends a CQE for each arrival: bytes,
 *             for which the kernel takes the memory from a ring of buffers that it shares with us,
 *             or of a listener a connection.
 *
 * HOW         IDLE -> QUEUED -> KERNEL -----CQE without MORE----> IDLE
 *                        |        '--> KERNEL | STOPPING --^
 *                        '-----------> ENDED --------------^      (never reached the kernel)
 *
 *   Buffers are mapped when the first feed starts, all feeds of a loop share them, and a page is
 *   resident once the kernel has used it.  A buffer is in one of three places: in the shared ring;
 *   behind a CQE; with a holder.  Only the last is slow to come back, so a feed is refused while
 *   most are out, and a kernel that finds none ends the feed (-ENOBUFS).
 *
 *   A multishot accept whose CQE finds the completion queue full must end with that connection as
 *   its last.  Kernels before 6.8 lose it, and name a descriptor that is none (195: the poll's
 *   mask).  6.10 is the first that can be told by a feature; before it listeners have no feeds.
 *
 * INVARIANTS  (I1) a feed in KERNEL has one CQE without MORE to come; n_kernel counts them
 *             (I2) a buffer that the kernel named is its holder's until hob__uring_give: it is in
 *                  the shared ring at most once
 *             (I3) a cancel's SQE comes after its target's
 *             (I4) a connection that a CQE names is told, with the last CQE too
 *
 * REJECTED    Buffers of 64 KiB, or the kernel's incremental use of large ones (6.12): whoever
 *               reads much at once reads into its own memory (net/intake.c), without a copy.
 *             More buffers when they run out: the bound is the point.
 */
#include "plat/poll_uring_feed.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "plat/poll_uring_op.h"

enum {
    PIECES = 256, /* with POLL_PIECE_BYTES: 512 KiB a loop */
    GROUP = 0,
};

/* poll_feed.state */
enum { FEED_IDLE, FEED_QUEUED, FEED_KERNEL, FEED_ENDED, FEED_PHASE = 0x0f, FEED_STOPPING = 0x80 };

static uint64_t feed_user_data(const struct poll_feed *f)
{
    return (uint64_t)f->gen << UD_GEN_SHIFT | (uintptr_t)f | UD_FEED;
}

static size_t feeds_ring_bytes(const struct uring_feeds *s)
{
    return (s->n_pieces * sizeof(struct io_uring_buf) + 4095) & ~(size_t)4095;
}

static size_t feeds_bytes(const struct uring_feeds *s)
{
    return feeds_ring_bytes(s) + (size_t)s->n_pieces * POLL_PIECE_BYTES;
}

void hob__uring_feeds_init(struct uring_feeds *s, uint32_t n_pieces)
{
    *s = (struct uring_feeds){.n_pieces = n_pieces ? n_pieces : PIECES};
    list_init(&s->queue);
    list_init(&s->cancels);
    list_init(&s->ended);
}

static void feeds_unmap(struct uring_feeds *s)
{
    if (s->ring)
        munmap(s->ring, feeds_bytes(s));
    free(s->pieces);
    s->ring = NULL;
    s->pieces = NULL;
}

void hob__uring_feeds_fini(struct uring_feeds *s)
{
    HOB_ASSERT(s->n_kernel == 0); /* (I1) */
    HOB_ASSERT(!uring_feeds_asked(s) && list_empty(&s->ended));
    feeds_unmap(s);
}

static void feeds_lend(struct uring_feeds *s, uint32_t i)
{
    io_uring_buf_ring_add(s->ring, s->bytes + (size_t)i * POLL_PIECE_BYTES, POLL_PIECE_BYTES,
                          (unsigned short)i, io_uring_buf_ring_mask(s->n_pieces), 0);
    io_uring_buf_ring_advance(s->ring, 1);
    s->n_free++;
}

/* Shares memory with the kernel; false: it does not want to, now or ever. */
static bool feeds_open(struct uring_feeds *s, struct io_uring *ring)
{
    void *map =
        mmap(NULL, feeds_bytes(s), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED)
        return false;
    s->ring = map;
    s->bytes = (char *)map + feeds_ring_bytes(s);
    s->pieces = calloc(s->n_pieces, sizeof *s->pieces);
    struct io_uring_buf_reg reg = {
        .ring_addr = (uintptr_t)map, .ring_entries = s->n_pieces, .bgid = GROUP};
    int r = s->pieces ? io_uring_register_buf_ring(ring, &reg, 0) : -ENOMEM;
    if (r < 0) {
        s->off = r != -ENOMEM;
        feeds_unmap(s);
        return false;
    }
    /* As the rings: a forked child must not keep it. */
    (void)madvise(map, feeds_bytes(s), MADV_DONTFORK);
    for (uint32_t i = 0; i < s->n_pieces; i++)
        feeds_lend(s, i);
    return true;
}

static bool feeds_have_room(struct uring_feeds *s, struct io_uring *ring)
{
    return !s->off && (s->ring || feeds_open(s, ring)) && s->n_free > s->n_pieces / 4;
}

bool hob__uring_feed(struct uring_feeds *s, struct io_uring *ring, struct poll_feed *f)
{
    HOB_ASSERT(f->state == FEED_IDLE); /* (P6) */
    if (f->accepted ? !s->accepts : !feeds_have_room(s, ring))
        return false;
    f->state = FEED_QUEUED;
    list_push(&s->queue, &f->node);
    return true;
}

void hob__uring_unfeed(struct uring_feeds *s, struct poll_feed *f)
{
    if (f->state == FEED_QUEUED) {
        list_del(&f->node);
        f->state = FEED_ENDED;
        list_push(&s->ended, &f->node);
    } else if (f->state == FEED_KERNEL) {
        f->state |= FEED_STOPPING;
        list_push(&s->cancels, &f->node);
    }
}

void hob__uring_give(struct uring_feeds *s, struct poll_piece *piece)
{
    feeds_lend(s, (uint32_t)(piece - s->pieces)); /* (I2) */
}

static void feed_prep(struct poll_feed *f, struct io_uring_sqe *sqe)
{
    if (f->accepted) {
        io_uring_prep_multishot_accept(sqe, f->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } else {
        io_uring_prep_recv_multishot(sqe, f->fd, NULL, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = GROUP;
    }
    sqe->user_data = feed_user_data(f);
}

bool hob__uring_feeds_fill(struct uring_feeds *s, struct io_uring *ring)
{
    struct io_uring_sqe *sqe;

    while (!list_empty(&s->cancels)) { /* (I3): the target's SQE was placed in an earlier turn */
        if (!(sqe = io_uring_get_sqe(ring)))
            return false;
        struct poll_feed *f = list_entry(list_pop(&s->cancels), struct poll_feed, node);
        io_uring_prep_cancel64(sqe, feed_user_data(f), 0);
        sqe->user_data = UD_NONE;
    }
    while (!list_empty(&s->queue)) {
        if (!(sqe = io_uring_get_sqe(ring)))
            return false;
        struct poll_feed *f = list_entry(list_pop(&s->queue), struct poll_feed, node);
        f->gen = ++s->gen & UD_GEN_MASK;
        feed_prep(f, sqe);
        f->state = FEED_KERNEL;
        s->n_kernel++; /* (I1) */
    }
    return true;
}

static void feed_piece(struct uring_feeds *s, struct poll_feed *f, uint32_t i, int32_t res)
{
    struct poll_piece *piece = &s->pieces[i];

    HOB_ASSERT(i < s->n_pieces && s->n_free > 0); /* (I2) */
    s->n_free--;
    if (res <= 0) { /* named, and not used */
        feeds_lend(s, i);
        return;
    }
    *piece = (struct poll_piece){.at = s->bytes + (size_t)i * POLL_PIECE_BYTES, .n = (uint32_t)res};
    f->came(f, piece, 0);
}

void hob__uring_feed_cqe(struct uring_feeds *s, uint64_t user_data, int32_t res, uint32_t flags)
{
    struct poll_feed *f = (struct poll_feed *)uring_op_of(user_data & ~(uint64_t)UD_FEED);
    bool connection = f->accepted && res >= 0;

    HOB_ASSERT((f->state & FEED_PHASE) == FEED_KERNEL && feed_user_data(f) == user_data);
    if (flags & IORING_CQE_F_BUFFER)
        feed_piece(s, f, flags >> IORING_CQE_BUFFER_SHIFT, res);
    if (connection)
        f->accepted(f, res); /* (I4) */
    if (flags & IORING_CQE_F_MORE)
        return;
    s->n_kernel--;
    if (f->state & FEED_STOPPING)
        list_del(&f->node); /* the SQE of the cancel may not have been placed yet */
    f->state = FEED_IDLE;
    if (res == -EINVAL && !f->accepted) /* before 6.0 */
        s->off = true;
    f->came(f, NULL, connection || res > 0 || res == -EINTR ? -EAGAIN : res);
}

void hob__uring_feeds_deliver(struct uring_feeds *s)
{
    struct list batch, *n;

    list_init(&batch);
    list_splice(&batch, &s->ended);
    while ((n = list_pop(&batch))) {
        struct poll_feed *f = list_entry(n, struct poll_feed, node);
        f->state = FEED_IDLE;
        f->came(f, NULL, -ECANCELED);
    }
}

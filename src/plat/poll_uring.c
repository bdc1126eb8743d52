/* SPDX-License-Identifier: MIT
 *
 * poll_uring.c - the poller on io_uring
 *
 * WHAT        One ring a loop.  Operations queue up during a turn and enter the kernel together
 *             in wait(): one system call submits, runs the kernel's deferred work, and sleeps.
 *
 * HOW         submit -> queue -> SQE -> kernel -> CQE -> done
 *                         |                        ^
 *               cancel    '--------> finished -----'      (never reached the kernel)
 *
 *   An operation has at most one SQE in the kernel; some need several in turn (poll_uring_op.h).
 *
 *   A CQE finds its operation by user_data: the address, with 16 bits of a number given to each
 *   activation above it.  A cancel names both, so it can only hit the activation it was meant
 *   for, and the storage may be used again as soon as `done` was called.
 *
 *   Watches live in one epoll set, and a one-shot poll of that set in the ring, armed again each
 *   time it fired: the set is level-triggered, and only a fresh poll looks at what is left.
 *
 *   Flags, best first; the first ring the kernel accepts is taken:
 *       SINGLE_ISSUER | DEFER_TASKRUN | TASKRUN_FLAG    6.1
 *       SINGLE_ISSUER | COOP_TASKRUN | TASKRUN_FLAG     6.0
 *       COOP_TASKRUN | TASKRUN_FLAG                     5.19
 *       none                                            5.13 (multishot poll)
 *   Registering the ring's own descriptor (5.18) is tried and its failure ignored.
 *
 * INVARIANTS  (I1) an operation in state KERNEL or POLLING has exactly one CQE to come
 *             (I2) `done` is called only while wait() runs
 *             (I3) n_kernel counts the operations of (I1); the ring closes only at 0
 *             (I4) a cancel's SQE comes after its target's in the submission queue
 *
 * THREADS     wake() from any thread and from signal handlers; all else, open and close too, on
 *             the loop's thread: SINGLE_ISSUER binds the ring to the thread that made it.
 *
 * ORDER       `woken` as in poll_epoll.c.
 *
 * REJECTED    MSG_RING to wake: the waker needs a ring, and a signal handler has none; an
 *               eventfd that is never read, under a multishot poll, is one write a wake.
 *             SQPOLL: a kernel thread that spins; idle loops must cost nothing.
 *             A reserved SQE for cancels: cancels are placed first, and a full submission queue
 *               is handed to the kernel and filled again, so there is always room.
 *             liburing's submit_and_wait family: may enter twice a call, or not at all when
 *               deferred work is due; here it must be known to be one.
 */
#include "plat/poll_uring.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "plat/env.h"
#include "plat/poll_uring_feed.h"
#include "plat/poll_uring_op.h"

enum {
    URING_BATCH = 256, /* completions, and events of watches, delivered per wait() */
    URING_SQ_ENTRIES = 256,
    URING_CQ_ENTRIES = 2048,
    FEAT_RECVSEND_BUNDLE = 1 << 14, /* 6.10 */
};

/* A multishot request never puts more into the queue of completions than it has room for.  When a
 * feed is asked to end, that may be full, and have room again for one delivery before the kernel
 * is told. */
_Static_assert(POLL_LATE_MOST >= URING_CQ_ENTRIES + 2 * URING_BATCH, "(P7)");

struct uring_poller {
    struct poller base;
    struct io_uring ring;
    bool ring_open, ring_registered;
    bool in_wait;
    bool wake_armed;
    bool watch_armed, watch_fired;
    int wake_fd;
    int watch_fd; /* the epoll set of the watches; -1 before the first */
    _Atomic int woken;
    uint32_t lacks; /* kinds that this kernel's ring cannot do: 1 << poll_kind */
    int (*enter)(unsigned, unsigned, unsigned, unsigned, sigset_t *, size_t);
    uint32_t gen; /* of the newest activation */
    size_t n_kernel, n_watches;
    struct list queue;    /* to be given to the kernel, oldest first */
    struct list cancels;  /* in the kernel, and asked to end by a later SQE */
    struct list finished; /* ended without the kernel */
    struct uring_feeds feeds;
    int n_batch; /* events of watches not yet delivered */
    struct epoll_event batch[URING_BATCH];
};

static struct uring_poller *uring_of(struct poller *p)
{
    return container_of(p, struct uring_poller, base);
}

/* ---- operations, up to the submission queue ---- */

static bool uring_can(const struct poller *base, enum poll_kind kind)
{
    return kind < POLL_KINDS &&
           !(container_of(base, const struct uring_poller, base)->lacks & 1u << kind);
}

static void uring_finish(struct uring_poller *p, struct poll_op *op, int32_t res)
{
    op->res = res;
    op->state = OP_FINISHED;
    list_push(&p->finished, &op->node);
}

static void uring_submit(struct poller *base, struct poll_op *op)
{
    struct uring_poller *p = uring_of(base);

    HOB_ASSERT(op->state == OP_IDLE); /* (P2) */
    if (!uring_can(base, op->kind)) {
        uring_finish(p, op, -EOPNOTSUPP);
        return;
    }
    op->state = OP_QUEUED;
    list_push(&p->queue, &op->node);
}

static void uring_cancel(struct poller *base, struct poll_op *op)
{
    struct uring_poller *p = uring_of(base);

    switch (op->state & OP_PHASE) {
    case OP_QUEUED:
        list_del(&op->node);
        uring_finish(p, op, -ECANCELED);
        break;
    case OP_KERNEL:
    case OP_POLLING:
        if (!(op->state & OP_CANCEL))
            list_push(&p->cancels, &op->node);
        op->state |= OP_CANCEL;
        break;
    default:
        break; /* ended already: its result counts */
    }
}

/* Our own polls: they too end now and then, and are armed again here. */
static bool uring_fill_own(struct uring_poller *p)
{
    struct io_uring_sqe *sqe;

    if (!p->wake_armed) {
        if (!(sqe = io_uring_get_sqe(&p->ring)))
            return false;
        io_uring_prep_poll_multishot(sqe, p->wake_fd, EPOLLIN);
        sqe->user_data = UD_WAKE;
        p->wake_armed = true;
    }
    if (p->n_watches && !p->watch_armed) {
        if (!(sqe = io_uring_get_sqe(&p->ring)))
            return false;
        io_uring_prep_poll_add(sqe, p->watch_fd, EPOLLIN);
        sqe->user_data = UD_WATCH;
        p->watch_armed = true;
    }
    return true;
}

/* From the lists to the submission queue; false: it is full and something is left. */
static bool uring_fill(struct uring_poller *p)
{
    struct io_uring_sqe *sqe;

    if (!uring_fill_own(p))
        return false;
    while (!list_empty(&p->cancels)) { /* (I4): the target's SQE was placed in an earlier turn */
        if (!(sqe = io_uring_get_sqe(&p->ring)))
            return false;
        struct poll_op *op = list_entry(list_pop(&p->cancels), struct poll_op, node);
        io_uring_prep_cancel64(sqe, uring_op_user_data(op), 0);
        sqe->user_data = UD_NONE;
    }
    while (!list_empty(&p->queue)) {
        if (!(sqe = io_uring_get_sqe(&p->ring)))
            return false;
        struct poll_op *op = list_entry(list_pop(&p->queue), struct poll_op, node);
        op->gen = ++p->gen & UD_GEN_MASK;
        hob__uring_op_prep(op, sqe);
        p->n_kernel++; /* (I3) */
    }
    return hob__uring_feeds_fill(&p->feeds, &p->ring);
}

/* ---- the kernel ---- */

/* Makes the SQEs filled so far visible to the kernel; how many it has not taken yet. */
static unsigned uring_flush(struct io_uring *ring)
{
    struct io_uring_sq *sq = &ring->sq;

    if (sq->sqe_head != sq->sqe_tail) {
        sq->sqe_head = sq->sqe_tail;
        io_uring_smp_store_release(sq->ktail, sq->sqe_tail);
    }
    return sq->sqe_tail - io_uring_smp_load_acquire(sq->khead);
}

/* Whether completions wait inside the kernel for us to enter it. */
static bool uring_due(const struct uring_poller *p)
{
    return IO_URING_READ_ONCE(*p->ring.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

/* One io_uring_enter: submits, and sleeps until a completion or `until`. */
static int uring_enter(struct uring_poller *p, hob_time until)
{
    unsigned n = uring_flush(&p->ring);
    unsigned flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
    bool sleep = until != 0 && io_uring_cq_ready(&p->ring) == 0;
    struct __kernel_timespec ts = {0};
    struct io_uring_getevents_arg arg = {0};

    if (sleep && until != HOB_FOREVER) {
        hob_dur left = until - hob__now();
        sleep = left > 0;
        ts.tv_sec = left / HOB_SEC;
        ts.tv_nsec = left % HOB_SEC;
        arg.ts = (uint64_t)(uintptr_t)&ts;
    }
    if (!sleep && n == 0 && !uring_due(p))
        return 0;
    if (p->ring_registered)
        flags |= IORING_ENTER_REGISTERED_RING;
    int r =
        p->enter((unsigned)p->ring.enter_ring_fd, n, sleep, flags, (sigset_t *)&arg, sizeof arg);

    /* Too early, interrupted, or out of room (delivering what is there makes some): all good. */
    if (r >= 0 || r == -ETIME || r == -EINTR || r == -EAGAIN || r == -EBUSY)
        return r < 0 ? 0 : r;
    return r;
}

/* ---- completions ---- */

static void uring_done(struct uring_poller *p, struct poll_op *op, int32_t res)
{
    HOB_ASSERT(p->in_wait); /* (I2), (P1) */
    p->base.n_ended++;
    op->res = res;
    op->state = OP_IDLE; /* done may submit it again */
    op->done(op);
}

static void uring_op_cqe(struct uring_poller *p, uint64_t user_data, int32_t res)
{
    struct poll_op *op = uring_op_of(user_data);
    uint8_t phase = op->state & OP_PHASE;

    HOB_ASSERT(phase == OP_KERNEL || phase == OP_POLLING);
    HOB_ASSERT(uring_op_user_data(op) == user_data); /* (I1) */
    p->n_kernel--;
    if (op->state & OP_CANCEL) {
        list_del(&op->node); /* the SQE of the cancel may not have been placed yet */
        /* Whatever would have gone on has done nothing yet. */
        bool nothing = res == -EINTR || res == -EAGAIN || res == -ENOTSOCK || phase == OP_POLLING;
        uring_done(p, op, nothing ? -ECANCELED : res);
    } else if (hob__uring_op_goes_on(op, &res)) {
        list_push(&p->queue, &op->node);
    } else {
        uring_done(p, op, res);
    }
}

static void uring_cqe(struct uring_poller *p, uint64_t user_data, int32_t res, uint32_t flags)
{
    switch (user_data) {
    case UD_NONE: /* a cancel's: its target says what became of it */
        break;
    case UD_WAKE:
        p->wake_armed = flags & IORING_CQE_F_MORE;
        atomic_exchange(&p->woken, 0);
        break;
    case UD_WATCH:
        p->watch_armed = false;
        p->watch_fired = true;
        break;
    default:
        if (user_data & UD_FEED) {
            p->base.n_ended++;
            hob__uring_feed_cqe(&p->feeds, user_data, res, flags);
        } else {
            uring_op_cqe(p, user_data, res);
        }
        break;
    }
}

static void uring_reap(struct uring_poller *p)
{
    struct io_uring_cqe *cqe;
    unsigned head;
    int n = 0;

    io_uring_for_each_cqe(&p->ring, head, cqe)
    {
        uint64_t user_data = cqe->user_data;
        int32_t res = cqe->res;
        uint32_t flags = cqe->flags;
        io_uring_cq_advance(&p->ring, 1);
        uring_cqe(p, user_data, res, flags);
        if (++n == URING_BATCH)
            break;
    }
}

static void uring_deliver_finished(struct uring_poller *p)
{
    struct list *n;

    for (int i = 0; i < URING_BATCH && (n = list_pop(&p->finished)); i++) {
        struct poll_op *op = list_entry(n, struct poll_op, node);
        uring_done(p, op, op->res);
    }
}

/* ---- watches ---- */

static int uring_watch(struct poller *base, struct poll_watch *w)
{
    struct uring_poller *p = uring_of(base);
    struct epoll_event ev = {.events = w->events, .data.ptr = w};
    bool added = w->node.next != NULL;

    if (p->watch_fd < 0) {
        p->watch_fd = epoll_create1(EPOLL_CLOEXEC);
        if (p->watch_fd < 0)
            return -errno;
    }
    if (epoll_ctl(p->watch_fd, added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, w->fd, &ev) < 0)
        return -errno;
    if (!added) {
        list_init(&w->node);
        p->n_watches++;
    }
    return 0;
}

static void uring_unwatch(struct poller *base, struct poll_watch *w)
{
    struct uring_poller *p = uring_of(base);

    if (!w->node.next)
        return;
    w->node = (struct list){NULL, NULL};
    p->n_watches--;
    (void)epoll_ctl(p->watch_fd, EPOLL_CTL_DEL, w->fd, NULL); /* it may be closed already */
    for (int i = 0; i < p->n_batch; i++)
        if (p->batch[i].data.ptr == w)
            p->batch[i].data.ptr = NULL; /* (P5) */
}

static void uring_deliver_watches(struct uring_poller *p)
{
    p->watch_fired = false;
    int n = epoll_wait(p->watch_fd, p->batch, URING_BATCH, 0);

    p->n_batch = n > 0 ? n : 0;
    for (int i = 0; i < p->n_batch; i++) {
        struct poll_watch *w = p->batch[i].data.ptr;
        if (w)
            w->ready(w, p->batch[i].events);
    }
    p->n_batch = 0;
}

/* ---- feeds ---- */

static bool uring_feed(struct poller *base, struct poll_feed *f)
{
    struct uring_poller *p = uring_of(base);

    return hob__uring_feed(&p->feeds, &p->ring, f);
}

static void uring_unfeed(struct poller *base, struct poll_feed *f)
{
    hob__uring_unfeed(&uring_of(base)->feeds, f);
}

static void uring_give(struct poller *base, struct poll_piece *piece)
{
    hob__uring_give(&uring_of(base)->feeds, piece);
}

/* ---- waiting ---- */

/* Something ended without the kernel and waits to be told. */
static bool uring_ended(const struct uring_poller *p)
{
    return !list_empty(&p->finished) || !list_empty(&p->feeds.ended);
}

static int uring_wait(struct poller *base, hob_time until)
{
    struct uring_poller *p = uring_of(base);
    int r = 0;

    HOB_ASSERT(!p->in_wait);
    p->in_wait = true;
    p->base.n_ended = 0;
    bool woken = atomic_load(&p->woken) && atomic_exchange(&p->woken, 0);
    bool filled;
    while (!(filled = uring_fill(p)) && (r = uring_enter(p, 0)) > 0)
        continue;
    if (r >= 0)
        r = uring_enter(p, woken || !filled || uring_ended(p) ? 0 : until);
    uring_reap(p);
    if (p->watch_fired)
        uring_deliver_watches(p);
    uring_deliver_finished(p);
    hob__uring_feeds_deliver(&p->feeds);
    p->in_wait = false;
    return r < 0 ? r : 0;
}

static void uring_wake(struct poller *base)
{
    struct uring_poller *p = uring_of(base);
    int err = errno; /* a signal handler must not change it */

    if (atomic_exchange(&p->woken, 1) == 0)
        (void)!write(p->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
    errno = err;
}

static bool uring_busy(const struct poller *base)
{
    const struct uring_poller *p = container_of(base, struct uring_poller, base);

    return !list_empty(&p->queue) || !list_empty(&p->cancels) || uring_ended(p) ||
           uring_feeds_asked(&p->feeds) || io_uring_cq_ready(&p->ring) || uring_due(p) ||
           io_uring_sq_ready(&p->ring) || !p->wake_armed || (p->n_watches && !p->watch_armed) ||
           atomic_load(&p->woken);
}

/* ---- life ---- */

static void uring_close(struct poller *base)
{
    struct uring_poller *p = uring_of(base);

    HOB_ASSERT(p->n_kernel == 0); /* (I3) */
    HOB_ASSERT(list_empty(&p->queue) && list_empty(&p->finished));
    if (p->ring_open)
        io_uring_queue_exit(&p->ring);
    hob__uring_feeds_fini(&p->feeds);
    if (p->wake_fd >= 0)
        close(p->wake_fd);
    if (p->watch_fd >= 0)
        close(p->watch_fd);
    free(p);
}

/* Whether this kernel has what the poller is built on. */
static int uring_probe(struct uring_poller *p)
{
    static const uint8_t needed[] = {
        IORING_OP_POLL_ADD, IORING_OP_RECV,         IORING_OP_SEND,    IORING_OP_ACCEPT,
        IORING_OP_CONNECT,  IORING_OP_OPENAT,       IORING_OP_READ,    IORING_OP_WRITE,
        IORING_OP_FSYNC,    IORING_OP_ASYNC_CANCEL, IORING_OP_RECVMSG, IORING_OP_SENDMSG,
    };
    static const uint8_t optional[POLL_KINDS] = {
        [POLL_STAT] = IORING_OP_STATX,
        [POLL_RENAME] = IORING_OP_RENAMEAT,
        [POLL_UNLINK] = IORING_OP_UNLINKAT,
        [POLL_MKDIR] = IORING_OP_MKDIRAT, /* 5.15 */
    };
    const unsigned features = IORING_FEAT_NODROP | IORING_FEAT_FAST_POLL | IORING_FEAT_EXT_ARG |
                              IORING_FEAT_RW_CUR_POS | IORING_FEAT_RSRC_TAGS;

    if ((p->ring.features & features) != features)
        return -ENOSYS;
    struct io_uring_probe *probe = io_uring_get_probe_ring(&p->ring);
    /* Asking may be forbidden by itself (seccomp); a ring with this flag is of 6.1 or later. */
    if (!probe)
        return p->ring.flags & IORING_SETUP_DEFER_TASKRUN ? 0 : -ENOSYS;
    int r = 0;
    for (size_t i = 0; i < sizeof needed; i++)
        if (!io_uring_opcode_supported(probe, needed[i]))
            r = -ENOSYS;
    for (size_t i = 0; i < POLL_KINDS; i++)
        if (optional[i] && !io_uring_opcode_supported(probe, optional[i]))
            p->lacks |= 1u << i;
    io_uring_free_probe(probe);
    return r;
}

static int uring_open_ring(struct uring_poller *p, const struct uring_opts *opts)
{
    struct io_uring_params params = {
        .flags = opts->setup | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
        .cq_entries = opts->cq_entries ? opts->cq_entries : URING_CQ_ENTRIES,
    };
    int r = io_uring_queue_init_params(opts->sq_entries ? opts->sq_entries : URING_SQ_ENTRIES,
                                       &p->ring, &params);

    if (r < 0)
        return r;
    p->ring_open = true;
    p->ring.features &= ~opts->without;
    p->feeds.accepts = p->ring.features & FEAT_RECVSEND_BUNDLE;
    r = uring_probe(p);
    if (r < 0)
        return r;
    p->ring_registered = io_uring_register_ring_fd(&p->ring) == 1;
    /* A forked child must neither share the rings nor keep their memory. */
    (void)io_uring_ring_dontfork(&p->ring);
    /* The first enter, here: a filter that allows io_uring_setup alone must be found out now. */
    uring_fill_own(p);
    r = uring_enter(p, 0);
    return r < 0 ? r : 0;
}

int hob__poll_uring_open(const struct uring_opts *opts, struct poller **ret)
{
    struct uring_poller *p = calloc(1, sizeof *p);

    if (!p)
        return -ENOMEM;
    p->base.ops = &hob__poll_uring;
    list_init(&p->queue);
    list_init(&p->cancels);
    list_init(&p->finished);
    hob__uring_feeds_init(&p->feeds, opts->pieces);
    p->enter = opts->enter ? opts->enter : io_uring_enter2;
    p->watch_fd = -1;
    p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int r = p->wake_fd < 0 ? -errno : uring_open_ring(p, opts);
    if (r < 0) {
        uring_close(&p->base);
        return r;
    }
    *ret = &p->base;
    return 0;
}

static int uring_open(struct poller **ret)
{
    static const uint32_t setups[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        0,
    };
    int r = -EINVAL;

    for (size_t i = 0; r == -EINVAL && i < sizeof setups / sizeof *setups; i++)
        r = hob__poll_uring_open(&(struct uring_opts){.setup = setups[i]}, ret);
    return r;
}

const struct poll_ops hob__poll_uring = {
    .name = "uring",
    .open = uring_open,
    .close = uring_close,
    .can = uring_can,
    .submit = uring_submit,
    .cancel = uring_cancel,
    .watch = uring_watch,
    .unwatch = uring_unwatch,
    .feed = uring_feed,
    .unfeed = uring_unfeed,
    .give = uring_give,
    .wait = uring_wait,
    .wake = uring_wake,
    .busy = uring_busy,
};

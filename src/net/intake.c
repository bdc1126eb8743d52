/* SPDX-License-Identifier: MIT
 *
 * intake.c - a stream socket whose bytes its loop takes as they come
 *
 * WHAT        The half of a reader with .ahead that stands between hob_reader_read and the
 *             poller: a queue of pieces that came, and the fiber that waits for the next one.
 *
 * HOW         OFF --a read that must wait--> ON --its end--> OFF
 *                                             '--unfeed--> STOPPING --its end--> OFF
 *
 *   While it is OFF a read is hob_read: into the caller's memory, without a copy.  So nobody ever
 *   waits for memory that others hold: an intake that the poller refuses, or that it ends because
 *   no memory is left, goes on as a plain socket until there is some.  Who sends much at a time is
 *   read that way too: from FULL_MOST full pieces in a row until a read gets less than it could.
 *
 *   An intake is on one loop, in the list of a part of it.  When that loop ends it lets go of its
 *   intakes: what they hold is copied, and read by whoever has the reader then.
 *
 * INVARIANTS  (I1) bytes are given out in the order they came: nothing is read from the socket
 *                  itself while the intake is not OFF or a piece is held
 *             (I2) a cancel or a time-out takes no byte: what came meanwhile is the next read's
 *             (I3) it holds HELD_MOST pieces and what one batch brings, not more: then it stops
 *                  until they are read, and the peer meets a full window, as ever
 *             (I4) its memory goes only when it is OFF: an orphan's with its end
 *             (I5) an end is told once, after the last piece; a read after that asks the kernel
 *
 * THREADS     All on the loop; `orphan` alone is set by a thread that must not (a mistake of the
 *             caller's), and read when the loop ends.
 *
 * REJECTED    Taking ahead for every socket that hob_read is used on: descriptors are the
 *               program's, and one that it closes, gives to another process or library, or reads
 *               by itself would lose bytes, hide its end from the peer, or give those of an earlier
 *               socket with the same number.  A reader is an object, takes more than was asked for
 *               anyway, and says how much it has.
 *             Waiting for memory when there is none: two servers that wait for each other.
 *             Lending the pieces to the caller: 64 bytes are copied faster than a piece comes back.
 */
#include "net/intake.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <hob/net.h>

#include "base/assert.h"
#include "sched/park.h"

enum {
    HELD_MOST = 16, /* pieces */
    FULL_MOST = 4,
    OPEN = 1, /* no end: those are 0 and negative */
};

enum intake_phase { OFF, ON, STOPPING };

/* A loop's intakes. */
struct intakes {
    struct loop_part part;
    struct loop *loop;
    struct poller *poller;
    struct list all;
    uint32_t n_out; /* not OFF */
};

/* What each arrival touches comes first. */
struct intake {
    struct poll_feed poll;
    struct intakes *at;   /* its loop's; NULL: on none */
    struct fiber *waiter; /* in a read or a stop; parked while its wait_node is `wait` */
    struct list wait;     /* the waiter's wait_node, until it is woken; in no list */
    struct poll_piece *head, **tail;
    size_t n_bytes;
    uint32_t n_held;
    uint8_t phase;
    uint8_t n_full;         /* full pieces, the last ones without another between */
    bool direct;            /* much comes at a time */
    bool never;             /* no such thing for this descriptor, or stopped for good */
    int end;                /* OPEN, or what the next read says */
    struct list node;       /* in at->all */
    struct poll_piece *own; /* the piece that is memory of ours: of a loop that was left */
    _Atomic(bool) orphan;
};

/* ---- pieces ---- */

static void piece_drop(struct intake *d)
{
    struct poll_piece *piece = d->head;

    d->head = piece->next;
    if (!d->head)
        d->tail = &d->head;
    d->n_held--;
    if (piece == d->own) {
        free(d->own);
        d->own = NULL;
    } else {
        d->at->poller->ops->give(d->at->poller, piece);
    }
}

static size_t pieces_take(struct intake *d, char *buf, size_t n)
{
    size_t done = 0;

    while (d->head && done < n) {
        struct poll_piece *piece = d->head;
        size_t k = n - done < piece->n ? n - done : piece->n;
        memcpy(buf + done, piece->at, k);
        piece->at += k;
        piece->n -= (uint32_t)k;
        done += k;
        if (piece->n == 0)
            piece_drop(d);
    }
    d->n_bytes -= done;
    return done;
}

static void pieces_free(struct intake *d)
{
    while (d->head)
        piece_drop(d);
    d->n_bytes = 0;
}

/* Into memory of ours. */
static int pieces_keep(struct intake *d)
{
    struct poll_piece *own;
    size_t n = d->n_bytes;

    if (n == 0 || d->head == d->own)
        return 0;
    if (!(own = malloc(sizeof *own + n)))
        return -ENOMEM;
    pieces_take(d, (char *)(own + 1), n);
    *own = (struct poll_piece){.at = (char *)(own + 1), .n = (uint32_t)n};
    d->head = d->own = own;
    d->tail = &own->next;
    d->n_held = 1;
    d->n_bytes = n;
    return 0;
}

/* ---- what comes ---- */

static void intake_wake(struct intake *d)
{
    if (d->waiter && d->waiter->wait_node == &d->wait)
        hob__ready(d->waiter, 0);
}

static void intake_unfeed(struct intake *d)
{
    if (d->phase != ON)
        return;
    d->phase = STOPPING;
    d->at->poller->ops->unfeed(d->at->poller, &d->poll);
}

static void intake_piece(struct intake *d, struct poll_piece *piece)
{
    d->n_full = piece->n == POLL_PIECE_BYTES ? d->n_full + 1 : 0;
    piece->next = NULL;
    *d->tail = piece;
    d->tail = &piece->next;
    d->n_held++;
    d->n_bytes += piece->n;
    if (d->n_full >= FULL_MOST) {
        d->n_full = 0;
        d->direct = true;
        intake_unfeed(d);
    } else if (d->n_held >= HELD_MOST) {
        intake_unfeed(d); /* (I3) */
    }
}

/* Off its loop, to which nothing of it belongs any more. */
static void intake_leave(struct intake *d)
{
    HOB_ASSERT(d->phase == OFF && (!d->head || d->head == d->own)); /* (I4) */
    list_del(&d->node);
    d->at = NULL;
}

static void intake_delete(struct intake *d)
{
    pieces_free(d);
    if (d->at)
        intake_leave(d);
    free(d);
}

static void intake_came(struct poll_feed *pf, struct poll_piece *piece, int32_t end)
{
    struct intake *d = container_of(pf, struct intake, poll);

    if (piece) {
        intake_piece(d, piece);
    } else {
        d->phase = OFF;
        d->at->n_out--;
        if (end == -EINVAL || end == -ENOTSOCK || end == -EOPNOTSUPP)
            d->never = true;
        else if (end != -ENOBUFS && end != -EAGAIN && end != -ECANCELED)
            d->end = end;
        if (atomic_load_explicit(&d->orphan, memory_order_relaxed)) {
            intake_delete(d); /* (I4) */
            return;
        }
    }
    intake_wake(d);
}

/* ---- its loop ---- */

/* The loop ends: nobody is parked, and what is in the kernel comes back by the poller. */
static void intakes_close(struct loop_part *part)
{
    struct intakes *s = container_of(part, struct intakes, part);

    list_each (it, &s->all)
        intake_unfeed(list_entry(it, struct intake, node));
    while (s->n_out > 0) {
        int r = s->poller->ops->wait(s->poller, HOB_FOREVER);
        HOB_ASSERT(r == 0);
    }
    list_each_safe (it, &s->all) {
        struct intake *d = list_entry(it, struct intake, node);
        if (atomic_load(&d->orphan)) {
            intake_delete(d);
            continue;
        }
        if (pieces_keep(d) < 0) {
            pieces_free(d);
            d->end = -ENOMEM;
        }
        intake_leave(d);
    }
    free(s);
}

static struct intakes *intakes_of(struct loop *l)
{
    struct intakes *s;

    list_each (it, &l->parts) {
        struct loop_part *part = list_entry(it, struct loop_part, node);
        if (part->close == intakes_close)
            return container_of(part, struct intakes, part);
    }
    if (!(s = malloc(sizeof *s)))
        return NULL;
    *s = (struct intakes){.part.close = intakes_close, .loop = l, .poller = l->poller};
    list_init(&s->all);
    list_push(&l->parts, &s->part.node);
    return s;
}

/* Whether what comes next will come by `came`. */
static bool intake_on(struct intake *d, struct fiber *f, hob_time until)
{
    if (d->phase != OFF)
        return true; /* (I1) */
    if (d->never || d->direct || !f || until == 0)
        return false;
    if (!d->at) {
        if (!(d->at = intakes_of(f->loop)))
            return false;
        list_push(&d->at->all, &d->node);
    }
    if (!d->at->poller->ops->feed(d->at->poller, &d->poll))
        return false;
    d->phase = ON;
    d->at->n_out++;
    return true;
}

/* ---- reading ---- */

int hob__intake_new(int fd, struct intake **ret)
{
    struct intake *d = calloc(1, sizeof *d);

    if (!d)
        return -ENOMEM;
    d->poll.fd = fd;
    d->poll.came = intake_came;
    d->end = OPEN;
    d->tail = &d->head;
    list_init(&d->node);
    list_init(&d->wait);
    *ret = d;
    return 0;
}

size_t hob__intake_pending(const struct intake *d)
{
    return d->n_bytes;
}

/* Until something came. */
static int intake_park(struct intake *d, struct fiber *f, hob_time until)
{
    d->waiter = f;
    f->wait_node = &d->wait; /* hob__ready clears it, whoever calls that first */
    f->on_fd = d->poll.fd;
    f->loop->n_outside++; /* the kernel may end it: no deadlock, and not to be looked for */
    int r = hob__park(f, HOB_WAIT_RECV, until);
    f->loop->n_outside--;
    f->on_fd = -1;
    d->waiter = NULL;
    return r; /* (I2) */
}

static ssize_t intake_direct(struct intake *d, void *buf, size_t n, hob_time until)
{
    ssize_t r = hob_read(d->poll.fd, buf, n, until);

    if (r >= 0 && r < (ssize_t)(n < POLL_PIECE_BYTES ? n : POLL_PIECE_BYTES))
        d->direct = false;
    return r;
}

ssize_t hob__intake_read(struct intake *d, void *buf, size_t n, hob_time until)
{
    struct fiber *f = hob__self();
    int r;

    if (d->at && (!f || f->loop != d->at->loop))
        return HOB_MISUSE(-EBUSY, "a reader that takes ahead is read on another loop");
    while (!d->head && d->end == OPEN) {
        if (!intake_on(d, f, until))
            return intake_direct(d, buf, n, until);
        if (f && (r = hob__check(f)) < 0) /* it may have been ready when the cancel came */
            return r;
        if (until == 0)
            return -ETIMEDOUT;
        if ((r = intake_park(d, f, until)) < 0)
            return r;
    }
    if (d->head)
        return (ssize_t)pieces_take(d, buf, n);
    r = d->end; /* (I5) */
    d->end = OPEN;
    return r;
}

/* ---- the end ---- */

int hob__intake_stop(struct intake *d)
{
    struct fiber *f = hob__self();
    int r;

    if (d->at && (!f || f->loop != d->at->loop))
        return HOB_MISUSE_OF("hob_reader_stop", -EBUSY,
                             "a reader that takes ahead is stopped on another loop");
    d->never = true;
    if (!d->at)
        return 0;
    intake_unfeed(d);
    while (d->phase != OFF) {
        d->waiter = f;
        f->wait_node = &d->wait;
        hob__park_shielded(f, HOB_WAIT_RECV);
        d->waiter = NULL;
    }
    if ((r = pieces_keep(d)) == 0)
        intake_leave(d);
    return r;
}

void hob__intake_free(struct intake *d)
{
    if (d->at && d->at->loop != hob__loop) {
        atomic_store(&d->orphan, true);
        (void)HOB_MISUSE_OF("hob_reader_free", 0,
                            "a reader that takes ahead is freed on another loop");
        return;
    }
    if (d->phase == OFF) {
        intake_delete(d);
        return;
    }
    atomic_store_explicit(&d->orphan, true, memory_order_relaxed);
    pieces_free(d);
    intake_unfeed(d); /* (I4) */
}

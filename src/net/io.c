/* SPDX-License-Identifier: MIT
 *
 * io.c - reading, writing and waiting on descriptors
 *
 * WHAT        A fiber's operation lies in its frame while the poller works on it.  The fiber parks
 *             with a hook: a cancel asks the poller for the operation's end, and the fiber runs on
 *             only when that has come, so the buffer is its own again.
 *
 * INVARIANTS  (I1) no call returns while the poller knows its operation
 *             (I2) result or cancel, never both: bytes that were moved are reported
 *
 * Receives go to the poller: the bytes are rarely there before they were asked for.  Sends are
 * tried at once, for a socket is nearly always writable, but where a ring has just ended a batch:
 * what its fibers send goes into the kernel by one call, with a fiber switch each in place of a
 * system call.  Only short ones, for whoever sends several waits for the end of a turn with the
 * first.  Figures: docs/design/0002-pollers.md.
 */
#include "net/io.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <hob/net.h>

#include "pool/pool.h"

static void io_done(struct poll_op *op)
{
    struct io *io = container_of(op, struct io, op);

    hob__ready(io->fiber, op->res);
}

static void io_abort(struct fiber *f)
{
    struct io *io = f->abort_arg;
    struct poller *p = f->loop->poller;

    p->ops->cancel(p, &io->op);
}

/* What can be had without waiting. */
static int io_now(const struct poll_op *op)
{
    int r = op->kind <= POLL_ACCEPT ? hob__env->sock->try(op) : POLL_TRY_WAIT;

    return r == POLL_TRY_WAIT ? -ETIMEDOUT : r;
}

/* What a dump names: some operations are on a path alone. */
static int io_fd(const struct poll_op *op)
{
    return op->kind == POLL_OPEN || op->kind > POLL_STAT ? -1 : op->fd;
}

enum {
    GATHER_ENDED = 8,         /* so many ends in one wait are a batch */
    GATHER_BYTES = 16 * 1024, /* of a longer one the copy costs more than the call */
};

/* Whether a send costs less with those of the fibers that run after this one. */
static bool io_gathers(const struct fiber *f, const struct poll_op *op, hob_time until)
{
    bool sends =
        op->kind == POLL_SEND || (op->kind == POLL_SENDMSG && op->msg->msg_controllen == 0);

    return f->loop->poller->n_ended >= GATHER_ENDED && sends && until != 0 &&
           op->len <= GATHER_BYTES;
}

int hob__io_run(struct io *io, enum hob_wait why, hob_time until)
{
    struct fiber *f = io->fiber = hob__self();
    struct poller *p = f->loop->poller;
    int r;

    if (until == 0)
        return io_now(&io->op);
    if ((r = hob__check(f)) < 0) /* since the call began it may have parked before */
        return r;
    io->op.done = io_done;
    io->op.state = 0;
    f->abort_arg = io;
    p->ops->submit(p, &io->op);
    f->on_fd = io_fd(&io->op);
    r = hob__park_hook(f, why, until, io_abort); /* (I1) */
    f->on_fd = -1;
    return r;
}

int hob__io_begin(struct fiber **ret_fiber)
{
    struct fiber *f = hob__self();

    if (!f && hob__pool_on_worker())
        return HOB_MISUSE_OF("a call on a descriptor", -EDEADLK,
                             "a job of the pool waits for a descriptor");
    int r = f ? hob__check(f) : 0;
    if (r == 0)
        *ret_fiber = f;
    return r;
}

int hob__io_begin_real(struct fiber **ret_fiber)
{
    struct fiber *f;
    int r = hob__io_begin(&f);

    if (r == 0 && hob__env->sim)
        r = -EOPNOTSUPP;
    if (r == 0)
        *ret_fiber = f;
    return r;
}

int hob__thread_poll(int fd, uint32_t events, hob_time until)
{
    struct pollfd p = {.fd = fd, .events = (short)events}; /* EPOLL* are POLL* on Linux */

    if (hob__env->sim) /* the one thread that there is would wait for itself */
        return -EOPNOTSUPP;
    for (;;) {
        hob_dur left = until == HOB_FOREVER ? 0 : until - hob__now();
        struct timespec t = {.tv_sec = left > 0 ? (time_t)(left / HOB_SEC) : 0,
                             .tv_nsec = left > 0 ? (long)(left % HOB_SEC) : 0};
        int r = ppoll(&p, 1, until == HOB_FOREVER ? NULL : &t, NULL);
        if (r > 0)
            return p.revents;
        if (r == 0)
            return -ETIMEDOUT;
        if (errno != EINTR)
            return -errno;
    }
}

int hob_fd_wait(int fd, uint32_t events, hob_time until)
{
    struct io io = {.op = {.kind = POLL_READY, .fd = fd, .events = events}};
    struct fiber *f;
    int r = hob__io_begin(&f);

    if (r < 0)
        return r;
    return f ? hob__io_run(&io, HOB_WAIT_FD, until) : hob__thread_poll(fd, events, until);
}

/* A plain thread: tries, and waits for the descriptor between tries. */
static int thread_move(struct poll_op *op, hob_time until)
{
    bool out = op->kind == POLL_SEND || op->kind == POLL_SENDMSG;
    uint32_t events = out ? EPOLLOUT : EPOLLIN;
    int r;

    while ((r = hob__env->sock->try(op)) == POLL_TRY_WAIT)
        if ((r = hob__thread_poll(op->fd, events, until)) < 0)
            return r;
    return r;
}

ssize_t hob_read(int fd, void *buf, size_t n, hob_time until)
{
    struct io io = {.op = {.kind = POLL_RECV, .fd = fd, .buf = buf, .len = n}};
    struct fiber *f;
    int r = hob__io_begin(&f);

    if (r < 0)
        return r;
    return f ? hob__io_run(&io, HOB_WAIT_RECV, until) : thread_move(&io.op, until);
}

int hob__io_try(struct fiber *f, struct io *io, enum hob_wait why, hob_time until)
{
    if (f && io_gathers(f, &io->op, until))
        return hob__io_run(io, why, until);
    int r = hob__env->sock->try(&io->op);
    if (r != POLL_TRY_WAIT)
        return r;
    return f ? hob__io_run(io, why, until) : thread_move(&io->op, until);
}

enum { NAP_MOST = 50 * 1000 * 1000 }; /* ns */

int hob__io_nap(struct fiber *f, enum hob_wait why, hob_time until, hob_dur *nap)
{
    hob_time now = hob__now(), end = now + *nap;
    int r;

    if (f && (r = hob__check(f)) < 0)
        return r;
    if (until <= now)
        return -ETIMEDOUT;
    if (until < end)
        end = until;
    *nap = 2 * *nap < NAP_MOST ? 2 * *nap : NAP_MOST;
    r = f ? hob__park(f, why, end) : hob__thread_sleep(end);
    return r == -ETIMEDOUT ? 0 : r;
}

ssize_t hob_write(int fd, const void *buf, size_t n, hob_time until)
{
    struct fiber *f = NULL;
    size_t done = 0;
    ssize_t r = hob__io_begin(&f);

    if (r < 0 || n == 0)
        return r;
    do {
        struct io io = {
            .op = {.kind = POLL_SEND, .fd = fd, .cbuf = (const char *)buf + done, .len = n - done}};
        if (f && (r = hob__check(f)) < 0)
            break;
        r = hob__io_try(f, &io, HOB_WAIT_SEND, until);
        if (r > 0)
            done += (size_t)r;
    } while (r >= 0 && done < n);
    return done > 0 ? (ssize_t)done : r; /* (I2) */
}

void hob_close(int fd)
{
    if (fd >= 0)
        hob__env->sock->close(fd);
}

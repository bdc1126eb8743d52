/* SPDX-License-Identifier: MIT
 *
 * pipe.c - pipes, and bytes moved between descriptors without passing through the program
 *
 * WHAT        hob_fd_splice is three system calls behind one: copy_file_range between files,
 *             sendfile from a file, splice where one side is a pipe.
 *
 * HOW         A piece is tried without waiting for either side; what would wait says so with
 *   EAGAIN, and the fiber parks on the side that is not ready.  Where a side is a regular file the
 *   attempt may wait for a disk, which no flag prevents, so it is made on a blocking thread.
 *
 * INVARIANTS  (I1) a piece that was moved is counted, whatever comes after it
 *             (I2) no call that may wait for a peer is made on a loop: pipes take
 *                  SPLICE_F_NONBLOCK, all other streams must be O_NONBLOCK
 *             (I3) between two pieces others get their turn
 *
 * REJECTED    IORING_OP_SPLICE: the kernel runs each on a thread of its own, waits there for the
 *               pipe, and raises SIGPIPE.  A blocking thread of ours does the same for files, and
 *               between streams no thread is needed at all.
 *             Setting O_NONBLOCK for the call: poll_try.c says whose flag that is.
 *             Trying sendfile on the loop when the pages are cached: only asking for each page
 *               would tell, and one that is missing holds every fiber of the loop.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <hob/bridge.h>
#include <hob/fiber.h>
#include <hob/pipe.h>

#include "base/opts.h"
#include "net/io.h"
#include "plat/poll_try.h"
#include "plat/sigpipe.h"

enum { PIECE_MOST = 16 << 20 }; /* of a file: a cancel waits for one */

enum end_kind { END_PIPE, END_FILE, END_STREAM };

/* One side of a move. */
struct end {
    int fd;
    enum end_kind kind;
    off_t at;
};

struct move {
    struct end from, to;
    size_t n; /* of the next piece */
    int res;  /* of an attempt; apart from what hob_block says of itself */
};

int hob_pipe_open(const struct hob_pipe_opts *opts, int ret[2])
{
    struct hob_pipe_opts o;
    unsigned flags = 0;
    int r = hob__opts_copy(&o, sizeof o, opts);

    if (r < 0)
        return r;
    if (o.blocking_read)
        flags |= SOCK_PIPE_BLOCKS_READ;
    if (o.blocking_write)
        flags |= SOCK_PIPE_BLOCKS_WRITE;
    return hob__env->sock->pipe(o.bytes, flags, ret);
}

/* ---- what is to be moved ---- */

static int end_know(struct end *e)
{
    struct stat st;
    int flags;

    if (fstat(e->fd, &st) < 0 || (flags = fcntl(e->fd, F_GETFL)) < 0)
        return -errno;
    e->kind = S_ISFIFO(st.st_mode) ? END_PIPE : S_ISREG(st.st_mode) ? END_FILE : END_STREAM;
    if (e->kind == END_STREAM && !(flags & O_NONBLOCK))
        return -EINVAL; /* (I2) */
    return e->at == -1 || (e->kind == END_FILE && e->at >= 0) ? 0 : -EINVAL;
}

static int move_know(struct move *m)
{
    int r = end_know(&m->from);

    if (r < 0 || (r = end_know(&m->to)) < 0)
        return r;
    bool can = m->from.kind != END_STREAM || m->to.kind == END_PIPE;
    return can ? 0 : -EINVAL;
}

static bool move_may_block(const struct move *m)
{
    return m->from.kind == END_FILE || m->to.kind == END_FILE;
}

/* ---- one piece ---- */

static ssize_t move_call(const struct move *m)
{
    loff_t from_at = m->from.at, to_at = m->to.at;
    loff_t *in = from_at >= 0 ? &from_at : NULL, *out = to_at >= 0 ? &to_at : NULL;

    if (m->from.kind == END_FILE && m->to.kind == END_FILE)
        return copy_file_range(m->from.fd, in, m->to.fd, out, m->n, 0);
    if (m->from.kind == END_FILE && m->to.kind == END_STREAM)
        return sendfile(m->to.fd, m->from.fd, in, m->n);
    return splice(m->from.fd, in, m->to.fd, out, m->n, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
}

/* hob_fn: one attempt; m->res is bytes, -EAGAIN, or another negative errno. */
static int move_try(void *arg)
{
    struct move *m = arg;
    struct sigpipe_hold hold;
    ssize_t r;

    sigpipe_hold(&hold);
    do
        r = move_call(m);
    while (r < 0 && errno == EINTR);
    sigpipe_release(&hold, r < 0 && errno == EPIPE);
    m->res = r < 0 ? -errno : (int)r;
    return 0;
}

/* Until the side is ready that was not. */
static int move_wait(struct fiber *f, const struct move *m, hob_time until)
{
    bool empty = m->from.kind != END_FILE && hob__poll_ready(m->from.fd, EPOLLIN) == 0;
    struct io io = {.op = {.kind = POLL_READY,
                           .fd = empty ? m->from.fd : m->to.fd,
                           .events = empty ? EPOLLIN : EPOLLOUT}};
    int r;

    if (f)
        r = hob__io_run(&io, empty ? HOB_WAIT_RECV : HOB_WAIT_SEND, until);
    else
        r = hob__thread_poll(io.op.fd, io.op.events, until);
    return r < 0 ? r : 0;
}

static int move_piece(struct fiber *f, struct move *m, hob_time until)
{
    int r;

    for (;;) {
        r = move_may_block(m) ? hob_block(move_try, m, until) : move_try(m);
        if (r < 0 || m->res != -EAGAIN)
            return r < 0 ? r : m->res;
        if ((r = move_wait(f, m, until)) < 0)
            return r;
    }
}

ssize_t hob_fd_splice(int from, off_t from_at, int to, off_t to_at, size_t n, hob_time until)
{
    struct move m = {.from = {.fd = from, .at = from_at}, .to = {.fd = to, .at = to_at}};
    struct fiber *f;
    size_t done = 0;
    int r = hob__io_begin_real(&f);

    if (r < 0 || (r = move_know(&m)) < 0)
        return r;
    n = n < SSIZE_MAX ? n : SSIZE_MAX;
    while (done < n) {
        m.n = n - done < PIECE_MOST ? n - done : PIECE_MOST;
        if ((r = move_piece(f, &m, until)) <= 0)
            break;
        done += (size_t)r; /* (I1) */
        m.from.at += m.from.at >= 0 ? r : 0;
        m.to.at += m.to.at >= 0 ? r : 0;
        if (f && done < n && (r = hob_yield()) < 0) /* (I3) */
            break;
    }
    return done > 0 ? (ssize_t)done : r;
}

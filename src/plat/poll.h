/* SPDX-License-Identifier: MIT
 *
 * poll.h - one contract for io_uring, epoll and the simulator
 *
 * WHAT    A poller belongs to one loop.  The loop submits operations, waits, and gets each
 *         operation's end by a call of its `done`; it watches descriptors that belong to a
 *         library (libcurl) and gets calls of `ready`.  A poller has never heard of a fiber.
 *
 * RULES   (P1) `done` is called exactly once an accepted operation, only from inside wait(), on
 *              the loop's thread.  It may submit, cancel, watch and unwatch.
 *         (P2) Between submit and done the poller owns the op, its buffer and its descriptor
 *              number: the caller leaves all three alone.  cancel() asks for an early end; done
 *              still comes, with -ECANCELED or, if the work was done first, its result.
 *              "Result or cancel, never both."
 *         (P3) wake() is callable from any thread and from a signal handler; one wake before
 *              wait() makes that wait() return at once.  Wakes coalesce.
 *         (P4) wait() submits what was queued, never blocks past `until`, and delivers what is
 *              there, at most a few hundred completions a call.  until == 0: never block.
 *         (P5) An unwatched descriptor gets no `ready` any more, not even from the batch being
 *              delivered.  Watches are level-triggered.
 *         (P6) A feed that was started brings pieces in the order of their bytes and then one end,
 *              all by calls of `came` from inside wait().  Until the end it holds the socket open,
 *              so that to close the descriptor tells the peer nothing.  Every piece is given back.
 *         (P7) A listener's feed brings connections by `accepted` and then one end by `came`.  At
 *              most POLL_LATE_MOST come after unfeed() was called.
 */
#ifndef HOB_PLAT_POLL_H
#define HOB_PLAT_POLL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <hob/base.h>

#include "base/list.h"

enum poll_kind {
    POLL_READY,   /* fd, events: one-shot; res = the events that are ready (EPOLLIN, ...) */
    POLL_RECV,    /* fd, buf, len: a socket, pipe or terminal; res = bytes, 0 at the end */
    POLL_SEND,    /* fd, buf, len: res = bytes taken, at least 1; no SIGPIPE */
    POLL_RECVMSG, /* fd, msg, flags: one message of a socket; res = recvmsg's */
    POLL_SENDMSG, /* fd, msg: res = sendmsg's; no SIGPIPE */
    POLL_ACCEPT,  /* fd: res = a new descriptor, non-blocking and close-on-exec */
    POLL_CONNECT, /* fd, addr, addr_len: res = 0 */
    /* A regular file: only where poll_can() says so (io_uring); else use a blocking thread. */
    POLL_OPEN,   /* path, flags, mode: res = a descriptor, close-on-exec */
    POLL_PREAD,  /* fd, buf, len, offset: res = bytes, 0 at the end */
    POLL_PWRITE, /* fd, buf, len, offset: res = bytes */
    POLL_PREADV, /* fd, iov, len (how many), offset: res = bytes, 0 at the end */
    POLL_PWRITEV,
    POLL_FSYNC,  /* fd, flags (IORING_FSYNC_DATASYNC) */
    POLL_STAT,   /* fd (of the directory, or AT_FDCWD), path, flags (AT_*), stat: res = 0 */
    POLL_RENAME, /* path, to, flags (RENAME_*): res = 0 */
    POLL_UNLINK, /* path, flags (AT_REMOVEDIR): res = 0 */
    POLL_MKDIR,  /* path, mode: res = 0 */
    POLL_KINDS
};

struct statx;
struct iovec;

struct poll_op {
    struct list node; /* the poller's, between submit and done */
    void (*done)(struct poll_op *op);
    uint8_t kind;
    uint8_t state; /* the poller's; 0 before the first submit */
    uint16_t mode;
    int32_t res; /* valid in done and after: >= 0, or a negative errno */
    int fd;
    uint32_t events; /* EPOLLIN | EPOLLOUT | EPOLLRDHUP */
    uint32_t flags;
    socklen_t addr_len;
    uint32_t gen; /* the poller's */
    union {
        void *buf;
        const void *cbuf;
        const struct iovec *iov;
        const char *path;
        const struct sockaddr *addr;
        struct msghdr *msg; /* its parts are the poller's too */
    };
    size_t len;
    union {
        int64_t offset;
        const char *to;
        struct statx *stat;
    };
};

struct poll_watch {
    struct list node; /* the poller's; zero before the first watch() */
    int fd;
    uint32_t events;
    void (*ready)(struct poll_watch *w, uint32_t revents);
};

enum { POLL_PIECE_BYTES = 2048 }; /* at most */

/* Some of what a feed brought: its holder's from `came` to give(), in memory of the poller's. */
struct poll_piece {
    struct poll_piece *next; /* the holder's */
    const char *at;
    uint32_t n;
};

enum { POLL_LATE_MOST = 4096 };

/* Takes what comes for a stream socket, or a listener, without being asked for each piece of it. */
struct poll_feed {
    struct list node; /* the poller's, between feed() and its end */
    int fd;
    uint32_t gen;  /* the poller's */
    uint8_t state; /* the poller's; 0 before the first feed() and after each end */
    /*
     * A piece; or NULL and why the feed ended: 0, the end of the stream; -ENOBUFS, no memory that
     * is not held; -EAGAIN, for no reason that would not go away; -ECANCELED; or another errno.
     * With a piece it must not start the feed again, with an end it may, or free it.
     */
    void (*came)(struct poll_feed *f, struct poll_piece *piece, int32_t end);
    /*
     * Of a listener, else NULL: a connection, non-blocking and close-on-exec, the callee's from now
     * on.  It must not start the feed again, and may ask for its end.
     */
    void (*accepted)(struct poll_feed *f, int fd);
};

struct poller;

struct poll_ops {
    const char *name; /* "uring", "epoll", "sim" */
    /* -ENOSYS, -EPERM, ...: this kind of poller does not work here; the caller tries the next. */
    int (*open)(struct poller **ret);
    /* No operation may be in flight. */
    void (*close)(struct poller *p);
    bool (*can)(const struct poller *p, enum poll_kind kind);
    void (*submit)(struct poller *p, struct poll_op *op);
    void (*cancel)(struct poller *p, struct poll_op *op);
    /* Adds, or changes the events of a watch already added.  0 or a negative errno. */
    int (*watch)(struct poller *p, struct poll_watch *w);
    void (*unwatch)(struct poller *p, struct poll_watch *w);
    /* Starts it.  False, and nothing was done: not here, or too much memory is held; POLL_RECV or
     * POLL_ACCEPT do the same. */
    bool (*feed)(struct poller *p, struct poll_feed *f);
    /* Asks for its end, which comes by `came` in a later wait(). */
    void (*unfeed)(struct poller *p, struct poll_feed *f);
    void (*give)(struct poller *p, struct poll_piece *piece);
    /* 0, or a negative errno when the poller itself is broken (never -EINTR). */
    int (*wait)(struct poller *p, hob_time until);
    void (*wake)(struct poller *p);
    /* Whether wait(until = 0) could bring anything: false lets an idle turn skip the call. */
    bool (*busy)(const struct poller *p);
};

/* Every poller begins with this; the rest is its own. */
struct poller {
    const struct poll_ops *ops;
    /* Operations that the last wait() ended, where submissions enter the kernel together; else 0.
     */
    uint32_t n_ended;
};

extern const struct poll_ops hob__poll_epoll;
extern const struct poll_ops hob__poll_uring;

/*
 * Opens the best poller that works here: io_uring, else epoll.  HOB_POLL=epoll|uring forces one,
 * and then its failure is returned.
 */
int hob__poll_open(struct poller **ret);

#endif

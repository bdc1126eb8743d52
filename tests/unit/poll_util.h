/* SPDX-License-Identifier: MIT
 *
 * poll_util.h - runs one test body over every kind of poller
 *
 *     ON_EVERY_POLLER(name_of_a_behaviour)
 *     {
 *         ... uses struct poller *p ...
 *     }
 */
#ifndef POLL_UTIL_H
#define POLL_UTIL_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "lib/t.h"
#include "plat/env.h"
#include "plat/poll.h"
#include "plat/poll_uring.h"

#define URING_BEST                                                                                 \
    (IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG)
#define URING_SINGLE                                                                               \
    (IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG)
#define URING_COOP (IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG)

static inline struct poller *poller_epoll(void)
{
    struct poller *p;

    CHECK_INT(hob__poll_epoll.open(&p), 0);
    return p;
}

static inline struct poller *poller_uring(uint32_t setup, uint32_t sq_entries, uint32_t cq_entries)
{
    struct uring_opts opts = {.setup = setup, .sq_entries = sq_entries, .cq_entries = cq_entries};
    struct poller *p;
    int r = hob__poll_uring_open(&opts, &p);

    if (r < 0)
        t_skip("no such io_uring here: %s", hob_strerror(r));
    return p;
}

static inline void poller_run(struct poller *p, void (*body)(struct poller *p))
{
    body(p);
    p->ops->close(p);
}

#define ON_EVERY_POLLER(name)                                                                      \
    static void body_##name(struct poller *p);                                                     \
    TEST(epoll_##name)                                                                             \
    {                                                                                              \
        poller_run(poller_epoll(), body_##name);                                                   \
    }                                                                                              \
    ON_EVERY_URING(name)

#define ON_EVERY_URING(name)                                                                       \
    static void body_##name(struct poller *p);                                                     \
    TEST(uring_##name)                                                                             \
    {                                                                                              \
        poller_run(poller_uring(URING_BEST, 0, 0), body_##name);                                   \
    }                                                                                              \
    TEST(uring_single_##name)                                                                      \
    {                                                                                              \
        poller_run(poller_uring(URING_SINGLE, 0, 0), body_##name);                                 \
    }                                                                                              \
    TEST(uring_coop_##name)                                                                        \
    {                                                                                              \
        poller_run(poller_uring(URING_COOP, 0, 0), body_##name);                                   \
    }                                                                                              \
    TEST(uring_minimal_##name)                                                                     \
    {                                                                                              \
        poller_run(poller_uring(0, 0, 0), body_##name);                                            \
    }                                                                                              \
    TEST(uring_tiny_##name)                                                                        \
    {                                                                                              \
        poller_run(poller_uring(URING_BEST, 2, 4), body_##name);                                   \
    }                                                                                              \
    static void body_##name(struct poller *p)

/* An operation that counts how often it was reported done. */
struct job {
    struct poll_op op;
    int n_done;
};

static inline void job_done(struct poll_op *op)
{
    container_of(op, struct job, op)->n_done++;
}

static inline struct job job_of(enum poll_kind kind, int fd)
{
    return (struct job){.op = {.done = job_done, .kind = (uint8_t)kind, .fd = fd}};
}

static inline struct job job_io(enum poll_kind kind, int fd, const void *buf, size_t len)
{
    struct job j = job_of(kind, fd);

    j.op.cbuf = buf;
    j.op.len = len;
    return j;
}

static inline struct job job_ready(int fd, uint32_t events)
{
    struct job j = job_of(POLL_READY, fd);

    j.op.events = events;
    return j;
}

static inline void job_start(struct poller *p, struct job *j)
{
    p->ops->submit(p, &j->op);
}

/* Waits for one more end of the job; its result. */
static inline int job_end(struct poller *p, struct job *j)
{
    int before = j->n_done;

    while (j->n_done == before)
        CHECK_INT(p->ops->wait(p, HOB_FOREVER), 0);
    CHECK_INT(j->n_done, before + 1);
    return j->op.res;
}

static inline int job_run(struct poller *p, struct job *j)
{
    job_start(p, j);
    return job_end(p, j);
}

/* A few turns that do not block: whatever is due without outside help has come. */
static inline void turns(struct poller *p)
{
    for (int i = 0; i < 4; i++)
        CHECK_INT(p->ops->wait(p, 0), 0);
}

static inline void pair_open(int type, int s[2])
{
    CHECK_INT(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, s), 0);
}

static inline void pair_close(int s[2])
{
    close(s[0]);
    close(s[1]);
}

static inline int listener(int backlog, struct sockaddr_in *ret_addr)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0);
    CHECK_INT(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    CHECK_INT(listen(fd, backlog), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *ret_addr = a;
    return fd;
}

static inline int tcp_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0);
    return fd;
}

static inline struct job job_connect(int fd, const struct sockaddr_in *addr)
{
    struct job j = job_of(POLL_CONNECT, fd);

    j.op.addr = (const struct sockaddr *)addr;
    j.op.addr_len = sizeof *addr;
    return j;
}

/* Both ends of a TCP connection. */
static inline void tcp_pair(int s[2])
{
    struct sockaddr_in a;
    int l = listener(8, &a);

    s[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(connect(s[0], (struct sockaddr *)&a, sizeof a), 0);
    s[1] = accept4(l, NULL, NULL, SOCK_CLOEXEC);
    CHECK(s[1] >= 0);
    close(l);
}

/* Writes until nothing more goes in; the descriptor's O_NONBLOCK flag is as before. */
static inline size_t fill(int fd)
{
    static char junk[4096];
    int flags = fcntl(fd, F_GETFL);
    size_t n = 0;
    ssize_t r;

    fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    while ((r = write(fd, junk, sizeof junk)) > 0)
        n += (size_t)r;
    while ((r = write(fd, junk, 1)) > 0)
        n += (size_t)r;
    fcntl(fd, F_SETFL, flags);
    return n;
}

static inline void drain(int fd, size_t n)
{
    char junk[4096];

    while (n) {
        ssize_t r = read(fd, junk, n < sizeof junk ? n : sizeof junk);
        CHECK(r > 0);
        n -= (size_t)r;
    }
}

static inline void raise_fd_limit(rlim_t want)
{
    struct rlimit lim;

    getrlimit(RLIMIT_NOFILE, &lim);
    if (lim.rlim_cur >= want)
        return;
    lim.rlim_cur = want < lim.rlim_max ? want : lim.rlim_max;
    setrlimit(RLIMIT_NOFILE, &lim);
    if (lim.rlim_cur < want)
        t_skip("only %llu descriptors allowed", (unsigned long long)lim.rlim_max);
}

#endif

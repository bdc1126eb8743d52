/* SPDX-License-Identifier: MIT
 *
 * echo_uring.c - a hand-written echo server on io_uring: what any server on it has to pay
 *
 * usage: echo_uring   prints "port N" when it listens
 *
 * One thread, SINGLE_ISSUER | DEFER_TASKRUN, registered ring, multishot accept, multishot recv
 * into a provided buffer ring, one enter for all that is due.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <liburing.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPT, RECV, SEND, CLOSE, BUFS = 4096, BUF_BYTES = 256 };

static struct io_uring ring;
static struct io_uring_buf_ring *bufs;
static char *pool;
static int listener, n_back;

static struct io_uring_sqe *sqe(int op, int fd, unsigned buf)
{
    struct io_uring_sqe *s;

    while (!(s = io_uring_get_sqe(&ring)))
        io_uring_submit(&ring);
    switch (op) {
    case ACCEPT:
        io_uring_prep_multishot_accept(s, fd, NULL, NULL, 0);
        break;
    case RECV:
        io_uring_prep_recv(s, fd, NULL, 0, 0);
        s->ioprio |= IORING_RECV_MULTISHOT;
        s->flags |= IOSQE_BUFFER_SELECT;
        break;
    case SEND:
        io_uring_prep_send(s, fd, pool + buf * BUF_BYTES, 0, MSG_NOSIGNAL);
        break;
    default:
        io_uring_prep_close(s, fd);
    }
    io_uring_sqe_set_data64(s, (uint64_t)fd << 32 | buf << 2 | (unsigned)op);
    return s;
}

static int listen_any(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 4096) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) < 0)
        return -1;
    printf("port %u\n", ntohs(a.sin_port));
    fflush(stdout);
    return fd;
}

static int ring_open(void)
{
    struct io_uring_params p = {.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER |
                                         IORING_SETUP_DEFER_TASKRUN,
                                .cq_entries = 8192};
    struct io_uring_buf_reg reg = {.ring_entries = BUFS};
    int r = io_uring_queue_init_params(2048, &ring, &p);

    if (r < 0)
        return r;
    io_uring_register_ring_fd(&ring);
    pool = malloc((size_t)BUFS * BUF_BYTES);
    if (!pool || posix_memalign((void **)&bufs, 4096, BUFS * sizeof(struct io_uring_buf)))
        return -ENOMEM;
    reg.ring_addr = (uintptr_t)bufs;
    r = io_uring_register_buf_ring(&ring, &reg, 0);
    io_uring_buf_ring_init(bufs);
    for (int i = 0; i < BUFS; i++)
        io_uring_buf_ring_add(bufs, pool + i * BUF_BYTES, BUF_BYTES, (unsigned short)i, BUFS - 1,
                              i);
    io_uring_buf_ring_advance(bufs, BUFS);
    return r;
}

static void received(int fd, const struct io_uring_cqe *c)
{
    if (c->res == -ENOBUFS) {
        sqe(RECV, fd, 0);
    } else if (c->res <= 0) {
        sqe(CLOSE, fd, 0);
    } else {
        sqe(SEND, fd, c->flags >> IORING_CQE_BUFFER_SHIFT)->len = (unsigned)c->res;
        if (!(c->flags & IORING_CQE_F_MORE))
            sqe(RECV, fd, 0);
    }
}

static void completed(const struct io_uring_cqe *c)
{
    int fd = (int)(c->user_data >> 32), one = 1;
    unsigned buf = (uint32_t)c->user_data >> 2;

    switch (c->user_data & 3) {
    case ACCEPT:
        if (c->res >= 0) {
            setsockopt(c->res, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            sqe(RECV, c->res, 0);
        }
        if (!(c->flags & IORING_CQE_F_MORE))
            sqe(ACCEPT, listener, 0);
        break;
    case RECV:
        received(fd, c);
        break;
    case SEND:
        io_uring_buf_ring_add(bufs, pool + buf * BUF_BYTES, BUF_BYTES, (unsigned short)buf,
                              BUFS - 1, n_back++);
    }
}

int main(void)
{
    listener = listen_any();
    if (listener < 0 || ring_open() < 0)
        return 1;
    sqe(ACCEPT, listener, 0);
    for (;;) {
        struct io_uring_cqe *c;
        unsigned head, n = 0;

        io_uring_submit_and_wait(&ring, 1);
        n_back = 0;
        io_uring_for_each_cqe(&ring, head, c)
        {
            completed(c);
            n++;
        }
        io_uring_buf_ring_advance(bufs, n_back);
        io_uring_cq_advance(&ring, n);
    }
}

/* SPDX-License-Identifier: MIT
 *
 * echo.c - a TCP server that sends back what it gets, a fiber a connection
 *
 * usage: echo [PORT [plain]]   prints "port N" when it listens; HOB_POLL chooses the poller
 *
 * plain: each read is an operation of its own; else readers whose loop takes ahead (buf.h).
 *
 * WHAT   The server side of the bench "echo"; echo_load.c is its client.
 *        The peers: peers/c/echo_epoll.c and echo_uring.c, which are what the kernel allows, and
 *        servers of the same shape in Go and Tokio.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <hob/buf.h>
#include <hob/group.h>
#include <hob/net.h>
#include <hob/rt.h>

#include "bench.h"

static bool plain;

static int serve(void *arg)
{
    int fd = (int)(intptr_t)arg, one = 1;
    hob_reader *in = NULL;
    char buf[512];
    ssize_t n = hob_reader_new(fd, HOB_READER_OPTS(.ahead = !plain), &in);

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    while (n >= 0) {
        n = plain ? hob_read(fd, buf, sizeof buf, HOB_FOREVER)
                  : hob_reader_read(in, buf, sizeof buf, HOB_FOREVER);
        if (n <= 0 || hob_write(fd, buf, (size_t)n, HOB_FOREVER) != n)
            break;
    }
    hob_reader_free(in);
    hob_close(fd);
    return 0;
}

static int run(void *arg)
{
    hob_group g;
    hob_addr a;
    int fd, r = hob_addr_parse("127.0.0.1", *(uint16_t *)arg, &a);

    if (r < 0)
        return r;
    if ((fd = hob_tcp_listen(&a, 4096)) < 0)
        return fd;
    r = hob_group_open(&g, NULL);
    if (r == 0)
        r = hob_sock_addr(fd, &a);
    if (r == 0) {
        printf("port %u\n", hob_addr_port(&a));
        fflush(stdout);
    }
    while (r >= 0)
        if ((r = hob_tcp_accept(fd, HOB_FOREVER)) >= 0)
            r = hob_go(&g, serve, (void *)(intptr_t)r);
    r = hob_group_join(&g, r);
    hob_close(fd);
    return r;
}

int main(int argc, char **argv)
{
    uint16_t port = argc > 1 ? (uint16_t)atoi(argv[1]) : 0;

    plain = argc > 2 && strcmp(argv[2], "plain") == 0;
    return bench_exit("echo", hob_run(HOB_OPTS(.loops = 1), run, &port));
}

/* SPDX-License-Identifier: MIT
 *
 * echo_epoll.c - a hand-written echo server on epoll: what any server on epoll has to pay
 *
 * usage: echo_epoll   prints "port N" when it listens
 *
 * One thread, level-triggered, one wait for up to 1024 connections, one recv and one send each.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 1024 };

static int listen_any(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 4096) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) < 0)
        return -1;
    printf("port %u\n", ntohs(a.sin_port));
    fflush(stdout);
    return fd;
}

static void conn_accept(int ep, int listener)
{
    int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};

    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
}

static void conn_echo(int fd)
{
    char buf[4096];
    ssize_t n = recv(fd, buf, sizeof buf, 0);

    if (n <= 0 || send(fd, buf, (size_t)n, MSG_NOSIGNAL) < 0)
        close(fd);
}

int main(void)
{
    struct epoll_event ev[EVENTS], e = {.events = EPOLLIN};
    int listener = listen_any(), ep = epoll_create1(0);

    if (listener < 0 || ep < 0)
        return 1;
    e.data.fd = listener;
    epoll_ctl(ep, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        int n = epoll_wait(ep, ev, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (ev[i].data.fd == listener)
                conn_accept(ep, listener);
            else
                conn_echo(ev[i].data.fd);
        }
    }
}

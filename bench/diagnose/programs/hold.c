/* SPDX-License-Identifier: MIT
 *
 * hold.c - N connections of one epoll loop, each with one late page after the other: N MS PAGES
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static char request[128];

static void ask(int fd)
{
    if (write(fd, request, strlen(request)) < 0)
        abort();
}

int main(int argc, char *argv[])
{
    int set = epoll_create1(0);
    const char *port = getenv("LATE_PORT");

    if (argc < 4 || !port)
        return 2;
    int n = atoi(argv[1]), pages = atoi(argv[3]);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(port)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int *left = calloc((size_t)n + 1000, sizeof *left);
    snprintf(request, sizeof request, "GET /?ms=%s HTTP/1.1\r\nHost: x\r\n\r\n", argv[2]);
    for (int i = 0; i < n; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (!left || fd < 0 || fd >= n + 1000 || connect(fd, (void *)&to, sizeof to) < 0)
            abort();
        left[fd] = pages;
        epoll_ctl(set, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.fd = fd});
        ask(fd);
    }
    for (int live = n; live > 0;) {
        struct epoll_event ev[256];
        int got = epoll_wait(set, ev, 256, -1);
        for (int i = 0; i < got; i++) {
            char answer[4096];
            int fd = ev[i].data.fd;
            ssize_t r = read(fd, answer, sizeof answer);
            if (r <= 0)
                abort();
            if (answer[r - 1] != 'x')
                continue;
            if (--left[fd] > 0) {
                ask(fd);
                continue;
            }
            close(fd);
            live--;
        }
    }
    free(left);
    return 0;
}

/* SPDX-License-Identifier: MIT
 *
 * echo.c - a TCP server: one fiber a client, all on one thread
 *
 *     build/examples/echo 7777 &          # port 0: any free one
 *     nc 127.0.0.1 7777
 *
 * Each client's fiber reads as if it were alone; while it waits, the others run.  Ctrl-C cancels
 * the first fiber's scope, and with it the group: every fiber returns from where it waits, closes
 * its connection, and the program ends in order.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <hob/hob.h>

static int echo(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buf[4096];
    ssize_t n;

    while ((n = hob_read(fd, buf, sizeof(buf), HOB_FOREVER)) > 0)
        if (hob_write(fd, buf, (size_t)n, HOB_FOREVER) != n)
            break;
    hob_close(fd);
    return 0; /* a client that went away is no reason to stop serving the others */
}

/* Takes clients until the first thing that is worth stopping for. */
static int accept_all(hob_group *clients, int listener)
{
    for (;;) {
        int fd = hob_tcp_accept(listener, HOB_FOREVER), r;
        if (fd < 0)
            return fd;
        if ((r = hob_go(clients, echo, (void *)(intptr_t)fd)) < 0) {
            hob_close(fd);
            return r;
        }
    }
}

static int serve(void *arg)
{
    uint16_t *port = arg;
    char text[HOB_ADDR_TEXT_MAX];
    hob_addr at;
    hob_group clients;
    int listener = -1, r = hob_addr_parse("127.0.0.1", *port, &at);

    if (r == 0)
        r = listener = hob_tcp_listen(&at, 0);
    if (r >= 0)
        r = hob_sock_addr(listener, &at);
    if (r == 0) {
        printf("listening on %s\n", hob_addr_text(&at, text));
        fflush(stdout);
        /* At most 1000 clients: the others wait in the listener's backlog. */
        r = hob_group_open(&clients, HOB_GROUP_OPTS(.max_live = 1000));
        if (r == 0)
            r = hob_group_join(&clients, accept_all(&clients, listener));
    }
    hob_close(listener);
    return r;
}

int main(int argc, char **argv)
{
    uint16_t port = argc > 1 ? (uint16_t)strtoul(argv[1], NULL, 10) : 7777;
    int r = hob_run(HOB_OPTS(.stop_on_signals = true), serve, &port);

    if (r < 0 && r != -EINTR && r != -ECANCELED)
        fprintf(stderr, "echo: %s\n", hob_strerror(r));
    return r < 0 && r != -EINTR && r != -ECANCELED;
}

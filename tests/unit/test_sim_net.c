/* SPDX-License-Identifier: MIT
 *
 * test_sim_net.c - sockets and pipes of the simulator
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <hob/hob.h>

#include "lib/t.h"

/* ---- an echo server with many clients ---- */

enum { CLIENTS = 100, MESSAGE = 200 };

static int listener;
static hob_addr at;
static char report[1 << 16]; /* what happened, in order */
static size_t n_report;

static void note(const char *what, long n)
{
    n_report += (size_t)snprintf(report + n_report, sizeof report - n_report, "%s %ld %lld\n", what,
                                 n, (long long)hob_now());
    if (n_report > sizeof report - 100)
        n_report = 0;
}

static int echo(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buf[64];
    ssize_t n;

    while ((n = hob_read(fd, buf, sizeof buf, HOB_FOREVER)) > 0) {
        note("echo", n);
        CHECK_INT(hob_write(fd, buf, (size_t)n, HOB_FOREVER), n);
    }
    CHECK_INT(n, 0);
    hob_close(fd);
    return 0;
}

static int serve(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, NULL);

    (void)arg;
    for (int i = 0; i < CLIENTS && r >= 0; i++)
        if ((r = hob_tcp_accept(listener, HOB_FOREVER)) >= 0)
            r = hob_go(&g, echo, (void *)(intptr_t)r);
    return hob_group_join(&g, r);
}

static int client(void *arg)
{
    unsigned char out[MESSAGE], in[MESSAGE];
    size_t n = 0;
    int fd = hob_tcp_dial(&at, HOB_FOREVER);

    CHECK(fd >= 0);
    for (int i = 0; i < MESSAGE; i++)
        out[i] = (unsigned char)(i * 7 + (intptr_t)arg);
    CHECK_INT(hob_write(fd, out, MESSAGE, HOB_FOREVER), MESSAGE);
    while (n < MESSAGE) {
        ssize_t k = hob_read(fd, in + n, MESSAGE - n, HOB_FOREVER);
        CHECK(k > 0);
        note("answer", k);
        n += (size_t)k;
    }
    CHECK(memcmp(in, out, MESSAGE) == 0);
    hob_close(fd);
    return 0;
}

static int echo_program(void *arg)
{
    hob_group g;
    int r;

    (void)arg;
    n_report = 0;
    CHECK_INT(hob_addr_parse("127.0.0.1", 0, &at), 0);
    listener = hob_tcp_listen(&at, 16);
    CHECK(listener >= 0);
    CHECK_INT(hob_sock_addr(listener, &at), 0);
    r = hob_group_open(&g, NULL);
    if (r == 0)
        r = hob_go(&g, serve, NULL);
    for (intptr_t i = 0; i < CLIENTS && r == 0; i++)
        r = hob_go(&g, client, (void *)i);
    r = hob_group_join(&g, r);
    hob_close(listener);
    return r;
}

static void sim_is(unsigned seed)
{
    char text[16];

    snprintf(text, sizeof text, "%u", seed);
    setenv("HOB_SIM", text, 1);
}

TEST(an_echo_server_serves_100_clients_over_1000_seeds)
{
    t_timeout(300);
    for (unsigned seed = 1; seed <= 1000; seed++) {
        sim_is(seed);
        CHECK_INT(hob_run(NULL, echo_program, NULL), 0);
    }
}

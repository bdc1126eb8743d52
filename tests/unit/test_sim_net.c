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

static int in_sim(const char *sim, hob_fn fn, void *arg)
{
    setenv("HOB_SIM", sim, 1);
    return hob_run(NULL, fn, arg);
}

static void in_sims(unsigned seeds, hob_fn fn, void *arg)
{
    char text[16];

    for (unsigned seed = 1; seed <= seeds; seed++) {
        snprintf(text, sizeof text, "%u", seed);
        int r = in_sim(text, fn, arg);
        if (r != 0)
            t_fail(__FILE__, __LINE__, "seed %u: %d", seed, r);
    }
}

TEST(an_echo_server_serves_100_clients_over_1000_seeds)
{
    t_timeout(300);
    in_sims(1000, echo_program, NULL);
}

TEST(a_seed_is_the_same_run_byte_for_byte)
{
    static char first[sizeof report], other[sizeof report];

    CHECK_INT(in_sim("7", echo_program, NULL), 0);
    memcpy(first, report, sizeof report);
    CHECK_INT(in_sim("8", echo_program, NULL), 0);
    memcpy(other, report, sizeof report);
    CHECK(strcmp(first, other) != 0);
    int low = open("/dev/null", O_RDONLY | O_CLOEXEC); /* descriptors have other numbers now */
    CHECK_INT(in_sim("7", echo_program, NULL), 0);
    CHECK_STR(report, first);
    CHECK(n_report > 10 * CLIENTS);
    close(low);
}

TEST(loops_talk_to_each_other)
{
    setenv("HOB_LOOPS", "3", 1);
    in_sims(50, echo_program, NULL);
}

/* ---- connections ---- */

struct link {
    int listener, here, there;
};

static hob_addr addr(const char *host, uint16_t port)
{
    hob_addr a;

    CHECK_INT(hob_addr_parse(host, port, &a), 0);
    return a;
}

static int accept_there(void *arg)
{
    struct link *l = arg;

    l->there = hob_tcp_accept(l->listener, HOB_FOREVER);
    return l->there < 0 ? l->there : 0;
}

static struct link link_tcp(void)
{
    struct link l;
    hob_addr a = addr("192.0.2.1", 0);
    hob_group g;

    CHECK((l.listener = hob_tcp_listen(&a, 0)) >= 0);
    CHECK_INT(hob_sock_addr(l.listener, &a), 0);
    CHECK(hob_addr_port(&a) > 0);
    CHECK_INT(hob_group_open(&g, NULL), 0);
    CHECK_INT(hob_go(&g, accept_there, &l), 0);
    CHECK((l.here = hob_tcp_dial(&a, HOB_FOREVER)) >= 0);
    CHECK_INT(hob_group_join(&g, 0), 0);
    hob_close(l.listener);
    return l;
}

static void link_close(struct link *l)
{
    hob_close(l->here);
    hob_close(l->there);
}

static ssize_t read_all(int fd, char *to, size_t n)
{
    size_t done = 0;
    ssize_t r;

    while (done < n && (r = hob_read(fd, to + done, n - done, HOB_FOREVER)) != 0) {
        if (r < 0)
            return r;
        done += (size_t)r;
    }
    return (ssize_t)done;
}

static int refused(void *arg)
{
    hob_addr a = addr("127.0.0.1", 80), any = addr("::", 80);
    int fd, other, late;

    (void)arg;
    CHECK_INT(hob_tcp_dial(&a, HOB_FOREVER), -ECONNREFUSED);
    CHECK_INT(hob_tcp_dial(&a, 0), -ETIMEDOUT);
    CHECK((fd = hob_tcp_listen(&any, 0)) >= 0);
    CHECK_INT(hob_tcp_listen(&a, 0), -EADDRINUSE);
    CHECK((other = hob_tcp_dial(&a, HOB_FOREVER)) >= 0); /* before anybody accepts it */
    CHECK_INT(hob_write(other, "x", 1, HOB_FOREVER), 1);
    CHECK((late = hob_tcp_accept(fd, HOB_FOREVER)) >= 0);
    CHECK_INT(hob_tcp_accept(fd, 0), -ETIMEDOUT);
    CHECK_INT(hob_tcp_accept(late, 0), -EINVAL);
    hob_close(late);
    hob_close(other);
    CHECK((other = hob_tcp_dial(&a, HOB_FOREVER)) >= 0); /* and nobody ever does */
    hob_close(fd);
    CHECK_INT(hob_read(other, &(char){0}, 1, HOB_FOREVER), -ECONNRESET);
    hob_close(other);
    CHECK_INT(hob_tcp_dial(&a, HOB_FOREVER), -ECONNREFUSED);
    return 0;
}

TEST(a_connection_needs_a_listener)
{
    in_sims(50, refused, NULL);
}

static int dial_it(void *arg)
{
    const struct link *l = arg;
    hob_addr a;
    int fd;

    CHECK_INT(hob_sock_addr(l->listener, &a), 0);
    CHECK((fd = hob_tcp_dial(&a, HOB_FOREVER)) >= 0);
    hob_close(fd);
    return 0;
}

static int knocks(void *arg)
{
    hob_addr a = addr("127.0.0.1", 0);
    struct link l;
    hob_group g;

    (void)arg;
    CHECK((l.listener = hob_tcp_listen(&a, 2)) >= 0);
    CHECK_INT(hob_group_open(&g, NULL), 0);
    for (int i = 0; i < 5; i++)
        CHECK_INT(hob_go(&g, dial_it, &l), 0);
    CHECK_INT(hob_sleep(HOB_SEC), 0);
    CHECK_INT(hob_sock_addr(l.listener, &a), 0);
    CHECK_INT(hob_tcp_dial(&a, hob_in(HOB_SEC)), -ETIMEDOUT); /* the queue is full */
    for (int i = 0; i < 5; i++) {
        CHECK((l.there = hob_tcp_accept(l.listener, hob_in(HOB_SEC))) >= 0);
        hob_close(l.there);
    }
    CHECK_INT(hob_group_join(&g, 0), 0);
    CHECK_INT(hob_tcp_accept(l.listener, hob_in(HOB_SEC)), -ETIMEDOUT); /* the sixth has gone */
    hob_close(l.listener);
    return 0;
}

TEST(who_finds_a_full_queue_waits_for_an_accept)
{
    in_sims(50, knocks, NULL);
}

static int halves(void *arg)
{
    struct link l = link_tcp();
    char text[8];

    (void)arg;
    CHECK_INT(hob_write(l.here, "abc", 3, HOB_FOREVER), 3);
    CHECK_INT(hob_sock_shutdown(l.here, SHUT_WR), 0);
    CHECK_INT(hob_write(l.here, "d", 1, HOB_FOREVER), -EPIPE);
    CHECK_INT(read_all(l.there, text, sizeof text), 3); /* and then the end */
    CHECK_INT(hob_write(l.there, "yes", 3, HOB_FOREVER), 3);
    hob_close(l.there);
    CHECK_INT(read_all(l.here, text, sizeof text), 3);
    CHECK(memcmp(text, "yes", 3) == 0);
    CHECK_INT(hob_read(l.here, text, 1, HOB_FOREVER), 0);
    hob_close(l.here);
    return 0;
}

TEST(one_half_of_a_connection_ends)
{
    in_sims(50, halves, NULL);
}

static int resets(void *arg)
{
    struct link l = link_tcp();
    char text[8];

    (void)arg;
    /* Bytes that nobody reads. */
    CHECK_INT(hob_write(l.here, "abc", 3, HOB_FOREVER), 3);
    CHECK_INT(hob_write(l.there, "z", 1, HOB_FOREVER), 1);
    hob_close(l.there);
    CHECK_INT(hob_read(l.here, text, sizeof text, HOB_FOREVER), 1); /* came before the reset */
    CHECK_INT(hob_read(l.here, text, sizeof text, HOB_FOREVER), -ECONNRESET);
    CHECK_INT(hob_read(l.here, text, sizeof text, HOB_FOREVER), 0);
    CHECK_INT(hob_write(l.here, "d", 1, HOB_FOREVER), -EPIPE);
    hob_close(l.here);

    /* Nobody is there any more; TCP learns that by the answer to what it sends. */
    l = link_tcp();
    hob_close(l.there);
    CHECK_INT(hob_read(l.here, text, 1, HOB_FOREVER), 0);
    CHECK_INT(hob_write(l.here, "d", 1, HOB_FOREVER), 1);
    CHECK_INT(hob_sleep(HOB_SEC), 0);
    CHECK_INT(hob_write(l.here, "d", 1, HOB_FOREVER), -ECONNRESET);
    CHECK_INT(hob_write(l.here, "d", 1, HOB_FOREVER), -EPIPE);
    hob_close(l.here);
    return 0;
}

TEST(a_connection_is_reset)
{
    in_sims(50, resets, NULL);
}

/* What is not read makes the writer wait; and it is there, in order, when it is read. */
static int presses_back(void *arg)
{
    struct link l = link_tcp();
    static unsigned char out[1 << 18], in[1 << 18];
    ssize_t n;

    (void)arg;
    for (size_t i = 0; i < sizeof out; i++)
        out[i] = (unsigned char)(i * 31 + i / 256);
    n = hob_write(l.here, out, sizeof out, hob_in(HOB_SEC));
    CHECK(n >= 1024 && n <= 65536);
    CHECK_INT(hob_write(l.here, out, 1, hob_in(HOB_SEC)), -ETIMEDOUT);
    CHECK_INT(hob_fd_wait(l.here, EPOLLOUT, hob_in(HOB_SEC)), -ETIMEDOUT);
    CHECK_INT(read_all(l.there, (char *)in, (size_t)n), n);
    CHECK(memcmp(in, out, (size_t)n) == 0);
    CHECK_INT(hob_read(l.there, in, 1, hob_in(HOB_SEC)), -ETIMEDOUT);
    CHECK_INT(hob_fd_wait(l.here, EPOLLIN | EPOLLOUT, HOB_FOREVER), EPOLLOUT);
    link_close(&l);
    return 0;
}

TEST(a_connection_holds_only_so_much)
{
    in_sims(50, presses_back, NULL);
}

static bool cut_at[8], joined;

static int pieces(void *arg)
{
    struct link l = link_tcp();
    char text[16];
    ssize_t n;

    (void)arg;
    CHECK_INT(hob_write(l.here, "12345678", 8, HOB_FOREVER), 8);
    CHECK_INT(hob_write(l.here, "abcdefgh", 8, HOB_FOREVER), 8);
    n = hob_read(l.there, text, sizeof text, HOB_FOREVER);
    CHECK(n > 0);
    if (n < 8)
        cut_at[n] = true;
    joined |= n > 8;
    CHECK_INT(read_all(l.there, text + n, (size_t)(16 - n)), 16 - n);
    CHECK(memcmp(text, "12345678abcdefgh", 16) == 0);
    link_close(&l);
    return 0;
}

TEST(a_stream_is_cut_at_every_byte_and_joined)
{
    in_sims(500, pieces, NULL);
    for (int i = 1; i < 8; i++)
        CHECK(cut_at[i]);
    CHECK(joined);
}

/* ---- Unix sockets and pipes ---- */

static int unix_names(void *arg)
{
    int fd, here, there, pair[2];
    hob_unix_peer peer;
    char text[8];

    (void)arg;
    CHECK_INT(hob_unix_dial("/no/such", HOB_FOREVER), -ENOENT);
    CHECK_INT(hob_unix_dial("@no", HOB_FOREVER), -ECONNREFUSED);
    fd = hob_unix_listen("/tmp/hob-simulated", HOB_UNIX_OPTS(.backlog = 1, .mode = 0600));
    CHECK(fd >= 0 && access("/tmp/hob-simulated", F_OK) < 0);
    CHECK_INT(hob_unix_listen("/tmp/hob-simulated", NULL), -EADDRINUSE);
    CHECK((here = hob_unix_dial("/tmp/hob-simulated", 0)) >= 0);
    CHECK_INT(hob_unix_dial("/tmp/hob-simulated", 0), -ETIMEDOUT);
    CHECK((there = hob_unix_accept(fd, HOB_FOREVER)) >= 0);
    CHECK_INT(hob_unix_peer_get(here, &peer), 0);
    CHECK_INT(peer.pid, getpid());
    CHECK_INT(hob_unix_peer_get(fd, &peer), -ENOTCONN);
    CHECK_INT(hob_unix_send_fds(here, "ab", 2, NULL, 0, HOB_FOREVER), 2);
    CHECK_INT(hob_unix_send_fds(here, "ab", 2, &fd, 1, HOB_FOREVER), -EOPNOTSUPP);
    CHECK_INT(read_all(there, text, 2), 2);
    hob_close(there);
    CHECK_INT(hob_write(here, "x", 1, HOB_FOREVER), -EPIPE);
    hob_close(here);
    hob_close(fd);
    CHECK((fd = hob_unix_listen("/tmp/hob-simulated", NULL)) >= 0); /* it is free again */
    hob_close(fd);
    CHECK_INT(hob_unix_pair(pair), 0);
    CHECK_INT(hob_write(pair[1], "x", 1, HOB_FOREVER), 1);
    hob_close(pair[0]);
    CHECK_INT(hob_read(pair[1], text, 1, HOB_FOREVER), -ECONNRESET); /* as Linux does */
    hob_close(pair[1]);
    return 0;
}

TEST(unix_sockets_have_names_of_the_simulations_own)
{
    in_sims(20, unix_names, NULL);
}

static int pipes(void *arg)
{
    static char out[8192], in[8192];
    int p[2];

    (void)arg;
    CHECK_INT(hob_pipe_open(HOB_PIPE_OPTS(.bytes = 5000), p), 0);
    CHECK_INT(hob_read(p[1], in, 1, HOB_FOREVER), -EBADF);
    CHECK_INT(hob_write(p[0], out, 1, HOB_FOREVER), -EBADF);
    CHECK_INT(hob_sock_shutdown(p[0], SHUT_RD), -ENOTSOCK);
    CHECK_INT(hob_write(p[1], out, sizeof out, 0), 8192);
    CHECK_INT(hob_write(p[1], out, 1, 0), -ETIMEDOUT);
    CHECK_INT(read_all(p[0], in, 4000), 4000);
    CHECK_INT(hob_write(p[1], out, 4096, 0), -ETIMEDOUT); /* whole or not at all */
    CHECK_INT(hob_write(p[1], out, 4000, 0), 4000);
    CHECK_INT(read_all(p[0], in, 8192), 8192);
    CHECK_INT(hob_fd_wait(p[0], EPOLLIN, 0), -ETIMEDOUT);
    hob_close(p[1]);
    CHECK_INT(hob_fd_wait(p[0], EPOLLIN, 0), EPOLLHUP | EPOLLIN);
    CHECK_INT(hob_read(p[0], in, 1, HOB_FOREVER), 0);
    hob_close(p[0]);
    CHECK_INT(hob_pipe_open(NULL, p), 0);
    hob_close(p[0]);
    CHECK_INT(hob_write(p[1], out, 1, HOB_FOREVER), -EPIPE);
    hob_close(p[1]);
    CHECK_INT(hob_pipe_open(HOB_PIPE_OPTS(.blocking_write = true), p), -EOPNOTSUPP);
    return 0;
}

TEST(a_pipe_holds_what_it_says)
{
    in_sims(20, pipes, NULL);
}

/* ---- datagrams ---- */

struct post {
    int from, to;
    hob_addr at;
};

static struct post post_open(void)
{
    struct post p;
    hob_addr a = addr("127.0.0.1", 0);

    CHECK((p.to = hob_udp_bind(&a, NULL)) >= 0);
    CHECK_INT(hob_sock_addr(p.to, &p.at), 0);
    CHECK((p.from = hob_udp_dial(&p.at, NULL)) >= 0);
    return p;
}

static int datagrams(void *arg)
{
    struct post p = post_open();
    hob_addr from, nobody = addr("127.0.0.1", 9);
    char text[8];
    size_t whole;
    int fd;

    (void)arg;
    for (int i = 0; i < 10; i++)
        CHECK_INT(hob_dgram_send(p.from, &(char){(char)i}, 1, NULL, HOB_FOREVER), 1);
    for (int i = 0; i < 10; i++) {
        CHECK_INT(hob_dgram_recv(p.to, text, sizeof text, HOB_FOREVER, &from, NULL), 1);
        CHECK_INT(text[0], i);
    }
    CHECK_INT(hob_dgram_send(p.to, "abc", 3, &from, HOB_FOREVER), 3);
    CHECK_INT(hob_dgram_recv(p.from, text, 2, HOB_FOREVER, NULL, &whole), 2);
    CHECK_INT(whole, 3);
    CHECK_INT(hob_dgram_send(p.to, "", 0, &from, HOB_FOREVER), 0);
    CHECK_INT(hob_dgram_recv(p.from, text, 2, HOB_FOREVER, NULL, NULL), 0);
    CHECK_INT(hob_dgram_recv(p.to, text, 1, hob_in(HOB_SEC), NULL, NULL), -ETIMEDOUT);
    CHECK_INT(hob_dgram_send(p.to, "x", 1, NULL, HOB_FOREVER), -EDESTADDRREQ);
    CHECK_INT(hob_udp_bind(&p.at, NULL), -EADDRINUSE);
    CHECK((fd = hob_udp_dial(&nobody, NULL)) >= 0);
    CHECK_INT(hob_write(fd, "x", 1, HOB_FOREVER), 1);
    CHECK_INT(hob_read(fd, text, 1, HOB_FOREVER), -ECONNREFUSED);
    hob_close(fd);
    CHECK((fd = hob_unix_bind("@post", NULL)) >= 0);
    CHECK_INT(hob_unix_addr("@post", &from), 0);
    CHECK_INT(hob_dgram_send(fd, "self", 4, &from, HOB_FOREVER), 4);
    CHECK_INT(hob_dgram_recv(fd, text, 8, HOB_FOREVER, &from, NULL), 4);
    for (int i = 0; i < 10; i++)
        CHECK_INT(hob_dgram_send(fd, "", 0, &from, HOB_FOREVER), 0);
    CHECK_INT(hob_dgram_send(fd, "", 0, &from, hob_in(HOB_SEC)), -ETIMEDOUT);
    hob_close(fd);
    hob_close(p.from);
    hob_close(p.to);
    return 0;
}

TEST(datagrams_come_whole_and_in_order)
{
    in_sims(50, datagrams, NULL);
}

static int n_lost, n_doubled, n_overtaken;

static int bad_post(void *arg)
{
    struct post p = post_open();
    int last = -1, n = 0;
    char c;

    (void)arg;
    for (int i = 0; i < 10; i++)
        CHECK_INT(hob_dgram_send(p.from, &(char){(char)i}, 1, NULL, HOB_FOREVER), 1);
    for (; hob_dgram_recv(p.to, &c, 1, hob_in(30 * HOB_SEC), NULL, NULL) == 1; n++) {
        n_doubled += c == last;
        n_overtaken += c < last;
        last = c;
    }
    n_lost += n < 10;
    hob_close(p.from);
    hob_close(p.to);
    return 0;
}

TEST(with_faults_datagrams_are_lost_doubled_and_overtaken)
{
    char text[32];

    for (int seed = 1; seed <= 30; seed++) {
        snprintf(text, sizeof text, "%d,faults=100", seed);
        CHECK_INT(in_sim(text, bad_post, NULL), 0);
    }
    CHECK(n_lost > 0 && n_doubled > 0 && n_overtaken > 0);
    n_lost = n_doubled = n_overtaken = 0;
    in_sims(30, bad_post, NULL);
    CHECK_INT(n_lost + n_doubled + n_overtaken, 0);
}

/* ---- faults of connections ---- */

static int n_failed[200]; /* by errno */

static int bad_line(void *arg)
{
    hob_addr a = addr("127.0.0.1", 0);
    hob_time before;
    int fd, here, there = -1, r = 0;
    char c;

    (void)arg;
    CHECK((fd = hob_tcp_listen(&a, 0)) >= 0);
    CHECK_INT(hob_sock_addr(fd, &a), 0);
    before = hob_now();
    here = hob_tcp_dial(&a, HOB_FOREVER);
    if (here == -ETIMEDOUT)
        CHECK(hob_now() - before > 60 * HOB_SEC);
    if (here >= 0)
        r = there = hob_tcp_accept(fd, HOB_FOREVER);
    if (there >= 0)
        r = (int)hob_write(here, "x", 1, HOB_FOREVER);
    if (r == 1)
        r = (int)hob_read(there, &c, 1, HOB_FOREVER);
    n_failed[here < 0 ? -here : r < 0 ? -r : 0]++;
    if (there >= 0 && r < 0) /* the other end is told too */
        CHECK(hob_read(there, &c, 1, HOB_FOREVER) <= 0);
    hob_close(there);
    hob_close(here);
    hob_close(fd);
    return 0;
}

TEST(with_faults_connections_fail_in_each_way)
{
    static const int errs[] = {0,      ECONNREFUSED, EHOSTUNREACH, ETIMEDOUT,
                               EMFILE, ECONNABORTED, ECONNRESET};
    char text[32];

    for (int seed = 1; seed <= 200; seed++) {
        snprintf(text, sizeof text, "%d,faults=200", seed);
        CHECK_INT(in_sim(text, bad_line, NULL), 0);
    }
    for (size_t i = 0; i < sizeof errs / sizeof errs[0]; i++)
        if (n_failed[errs[i]] == 0)
            t_fail(__FILE__, __LINE__, "never %d", errs[i]);
}

/* ---- waiting ---- */

static int cancels(void *arg)
{
    struct link l = link_tcp();
    char c;

    (void)arg;
    CHECK_INT(hob_read(l.here, &c, 1, hob_in(HOB_MS)), -ETIMEDOUT);
    CHECK_INT(hob_write(l.there, "x", 1, HOB_FOREVER), 1);
    CHECK_INT(hob_read(l.here, &c, 1, HOB_FOREVER), 1);
    link_close(&l);
    return 0;
}

static int echo_once(void *arg)
{
    struct link l = {.here = -1, .there = -1};
    hob_addr a = addr("127.0.0.1", 0);
    char c = 0;
    hob_group g;
    int r;

    (void)arg;
    CHECK((l.listener = hob_tcp_listen(&a, 0)) >= 0);
    CHECK_INT(hob_sock_addr(l.listener, &a), 0);
    r = hob_group_open(&g, NULL);
    if (r == 0) {
        r = hob_go(&g, accept_there, &l);
        if (r == 0)
            r = l.here = hob_tcp_dial(&a, HOB_FOREVER);
        r = hob_group_join(&g, r < 0 ? r : 0);
    }
    if (r == 0)
        r = (int)hob_write(l.here, "x", 1, HOB_FOREVER);
    if (r == 1)
        r = (int)hob_read(l.there, &c, 1, HOB_FOREVER);
    CHECK(r < 0 || c == 'x');
    hob_close(l.listener);
    link_close(&l);
    return r < 0 ? r : 0;
}

static int tortured(void *arg)
{
    int n = hob_torture_cancel(echo_once, arg);

    if (n < 2)
        t_fail(__FILE__, __LINE__, "cancelled at %d waits", n);
    return n < 0 ? n : 0;
}

TEST(every_wait_for_a_connection_is_cancelled)
{
    in_sims(20, cancels, NULL);
    in_sims(100, tortured, NULL);
}

static int picks(void *arg)
{
    struct link l = link_tcp();
    struct hob_arm arms[] = {HOB_ON_READY(l.there, EPOLLIN), HOB_ON_TIME(hob_in(HOB_SEC))};

    (void)arg;
    CHECK_INT(hob_select(arms, 2, HOB_FOREVER), 1);
    arms[1] = (struct hob_arm)HOB_ON_TIME(HOB_FOREVER);
    CHECK_INT(hob_write(l.here, "x", 1, HOB_FOREVER), 1);
    CHECK_INT(hob_select(arms, 2, HOB_FOREVER), 0);
    CHECK_INT(arms[0].rc, EPOLLIN);
    link_close(&l);
    return 0;
}

TEST(a_select_waits_for_simulated_descriptors)
{
    in_sims(50, picks, NULL);
}

static int waits_for_strangers(void *arg)
{
    hob_addr a = addr("127.0.0.1", 0);
    int fd = hob_tcp_listen(&a, 0), r;

    (void)arg;
    CHECK(fd >= 0);
    r = hob_tcp_accept(fd, HOB_FOREVER);
    hob_close(fd);
    return r;
}

TEST(who_waits_for_somebody_outside_waits_for_ever)
{
    CHECK_INT(in_sim("1", waits_for_strangers, NULL), -EDEADLK);
}

/* ---- what goes past the simulation ---- */

static int past_hob(void *arg)
{
    struct link l = link_tcp();
    int pair[2][2];
    char c;

    (void)arg;
    CHECK(write(l.here, "x", 1) < 0 && errno == EBADF);
    CHECK(read(l.here, &c, 1) < 0 && errno == EBADF);
    CHECK_INT(hob_write(STDERR_FILENO, "to be read\n", 11, HOB_FOREVER), 11);
    CHECK_INT(hob_read(-1, &c, 1, HOB_FOREVER), -EBADF);
    CHECK_INT(hob_read(900, &c, 1, HOB_FOREVER), -EBADF);
    close(l.here); /* not by hob_close: the next to have the number finds out */
    for (int i = 0; i < 2; i++)
        CHECK_INT(hob_unix_pair(pair[i]), 0);
    CHECK(pair[0][0] == l.here || pair[0][1] == l.here || pair[1][0] == l.here);
    for (int i = 0; i < 4; i++)
        hob_close(pair[i / 2][i % 2]);
    CHECK_INT(hob_read(l.there, &c, 1, HOB_FOREVER), 0);
    hob_close(l.there);
    return 0;
}

TEST(a_simulated_descriptor_can_do_nothing_in_the_kernel)
{
    in_sims(10, past_hob, NULL);
}

static int leaves_open(void *arg)
{
    struct link l = link_tcp();

    *(struct link *)arg = l;
    return 0;
}

TEST(what_is_left_open_is_closed_by_whoever_closes_it)
{
    struct link l;

    in_sims(1, leaves_open, &l);
    hob_close(l.here);
    hob_close(l.there);
}

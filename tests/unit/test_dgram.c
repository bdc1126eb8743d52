/* SPDX-License-Identifier: MIT */
#include <hob/hob.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/t.h"
#include "net_util.h"

static int bound(hob_addr *ret_addr)
{
    hob_addr a;

    CHECK_INT(hob_addr_parse("127.0.0.1", 0, &a), 0);
    int fd = hob_udp_bind(&a, NULL);
    CHECK(fd >= 0);
    CHECK_INT(hob_sock_addr(fd, ret_addr), 0);
    return fd;
}

static int round_trip(void *arg)
{
    hob_addr server_addr, from;
    int server = bound(&server_addr), client = hob_udp_dial(&server_addr, NULL);
    char buf[100];
    size_t whole;

    (void)arg;
    CHECK(client >= 0);
    CHECK_INT(hob_dgram_send(client, "ping", 4, NULL, HOB_FOREVER), 4);
    CHECK_INT(hob_dgram_recv(server, buf, sizeof buf, HOB_FOREVER, &from, &whole), 4);
    CHECK_INT(whole, 4);
    CHECK(memcmp(buf, "ping", 4) == 0);
    CHECK_INT(hob_dgram_send(server, "pong!", 5, &from, HOB_FOREVER), 5);
    CHECK_INT(hob_dgram_recv(client, buf, sizeof buf, HOB_FOREVER, NULL, NULL), 5);
    CHECK(memcmp(buf, "pong!", 5) == 0);
    CHECK_INT(hob_write(client, "as a stream", 11, HOB_FOREVER), 11);
    CHECK_INT(hob_read(server, buf, sizeof buf, HOB_FOREVER), 11);
    CHECK_INT(hob_dgram_send(server, "?", 1, NULL, HOB_FOREVER), -EDESTADDRREQ);
    hob_close(client);
    hob_close(server);
    return 0;
}

TEST(datagrams_go_there_and_back)
{
    on_pollers(round_trip, NULL, 0);
    CHECK_INT(round_trip(NULL), 0); /* and from a plain thread */
}

static int cut(void *arg)
{
    hob_addr addr;
    int server = bound(&addr), client = hob_udp_dial(&addr, NULL);
    char buf[5] = "....";
    size_t whole = 77;

    (void)arg;
    for (int i = 0; i < 2; i++)
        CHECK_INT(hob_dgram_send(client, "0123456789", 10, NULL, HOB_FOREVER), 10);
    CHECK_INT(hob_dgram_send(client, "", 0, NULL, HOB_FOREVER), 0);
    CHECK_INT(hob_dgram_send(client, "abcd", 4, NULL, HOB_FOREVER), 4);
    CHECK_INT(hob_dgram_recv(server, buf, 4, HOB_FOREVER, NULL, &whole), 4);
    CHECK_INT(whole, 10);
    CHECK_STR(buf, "0123");
    whole = 77;
    CHECK_INT(hob_dgram_recv(server, buf, 4, HOB_FOREVER, NULL, NULL), -EMSGSIZE);
    CHECK_INT(hob_dgram_recv(server, buf, 4, HOB_FOREVER, NULL, &whole), 0);
    CHECK_INT(whole, 0);
    CHECK_INT(hob_dgram_recv(server, buf, 4, HOB_FOREVER, NULL, &whole), 4);
    CHECK_INT(whole, 4);
    CHECK_STR(buf, "abcd");
    hob_close(client);
    hob_close(server);
    return 0;
}

TEST(a_cut_datagram_is_told_and_an_empty_one_is_one)
{
    on_pollers(cut, NULL, 0);
    CHECK_INT(cut(NULL), 0);
}

static int errors(void *arg)
{
    static char big[70000];
    hob_addr addr, before, after = {.len = 3};
    int server = bound(&addr), client = hob_udp_dial(&addr, NULL);
    size_t whole = 77;

    (void)arg;
    before = after;
    CHECK_INT(hob_udp_bind(&addr, NULL), -EADDRINUSE);
    CHECK_INT(hob_dgram_send(client, big, sizeof big, NULL, HOB_FOREVER), -EMSGSIZE);
    CHECK_INT(hob_dgram_recv(server, big, 1, hob_in(HOB_MS), &after, &whole), -ETIMEDOUT);
    CHECK_INT(hob_dgram_recv(server, big, 1, 0, &after, &whole), -ETIMEDOUT);
    CHECK(memcmp(&before, &after, sizeof after) == 0 && whole == 77);
    hob_close(server);
    CHECK_INT(hob_dgram_send(client, "x", 1, NULL, HOB_FOREVER), 1);
    CHECK_INT(hob_dgram_recv(client, big, 1, HOB_FOREVER, &after, &whole), -ECONNREFUSED);
    hob_close(client);
    CHECK_INT(hob_dgram_send(-1, "x", 1, NULL, HOB_FOREVER), -EBADF);
    CHECK_INT(hob_dgram_recv(-1, big, 1, HOB_FOREVER, NULL, NULL), -EBADF);
    CHECK_INT(hob_dgram_recv(0, big, 1, HOB_FOREVER, NULL, NULL), -ENOTSOCK);
    return 0;
}

TEST(errors_say_what_is_wrong_and_leave_results_alone)
{
    int null[2]; /* whatever the runner gave us: 0 shall be no socket */

    CHECK_INT(pipe(null), 0);
    CHECK_INT(dup2(null[0], 0), 0);
    on_pollers(errors, NULL, 0);
    CHECK_INT(errors(NULL), 0);
    close(null[0]);
    close(null[1]);
}

TEST(options_are_taken_and_unknown_ones_refused)
{
    struct {
        struct hob_udp_opts known;
        char more[16];
    } newer = {.known = {.size = sizeof newer}};
    hob_addr addr, same;
    int one = 0, fds[2];
    socklen_t len = sizeof one;

    CHECK_INT(hob_addr_parse("::1", 0, &addr), 0);
    newer.more[3] = 1;
    CHECK_INT(hob_udp_bind(&addr, &newer.known), -E2BIG);
    CHECK_INT(hob_udp_bind(&addr, &(struct hob_udp_opts){.size = 0}), -EINVAL);
    CHECK_INT(hob_addr_parse("127.0.0.1", 0, &addr), 0);
    fds[0] = hob_udp_bind(
        &addr, HOB_UDP_OPTS(.reuse_port = true, .broadcast = true, .recv_bytes = 100000));
    CHECK(fds[0] >= 0);
    CHECK_INT(hob_sock_addr(fds[0], &same), 0);
    fds[1] = hob_udp_bind(&same, HOB_UDP_OPTS(.reuse_port = true));
    CHECK(fds[1] >= 0);
    CHECK_INT(getsockopt(fds[0], SOL_SOCKET, SO_BROADCAST, &one, &len), 0);
    CHECK_INT(one, 1);
    CHECK_INT(getsockopt(fds[0], SOL_SOCKET, SO_RCVBUF, &one, &len), 0);
    CHECK(one >= 100000);
    hob_close(fds[0]);
    hob_close(fds[1]);
}

struct inbox {
    int fd;
    int got[64];
};

static int takes(void *arg)
{
    struct inbox *in = arg;
    unsigned char c;
    ssize_t r;

    while ((r = hob_dgram_recv(in->fd, &c, 1, HOB_FOREVER, NULL, NULL)) == 1 && c != 255)
        in->got[c]++;
    return r < 0 ? (int)r : 0;
}

/* Unix: what is sent is there, and in order. */
static int shared(void *arg)
{
    struct inbox in = {0};
    hob_group g;
    int pair[2], r = hob_group_open(&g, NULL);
    unsigned char stop = 255;

    (void)arg;
    CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    in.fd = pair[0];
    for (int i = 0; i < 3 && r == 0; i++)
        r = hob_go(&g, takes, &in);
    for (unsigned char c = 0; c < 64 && r == 0; c++)
        r = hob_dgram_send(pair[1], &c, 1, NULL, HOB_FOREVER) == 1 ? 0 : -EPROTO;
    for (int i = 0; i < 3 && r == 0; i++)
        r = hob_dgram_send(pair[1], &stop, 1, NULL, HOB_FOREVER) == 1 ? 0 : -EPROTO;
    r = hob_group_join(&g, r);
    for (int i = 0; i < 64; i++)
        CHECK_INT(in.got[i], 1);
    hob_close(pair[0]);
    hob_close(pair[1]);
    return r;
}

TEST(receivers_of_one_socket_share_its_datagrams)
{
    on_pollers(shared, NULL, 0);
}

static int receives_for_ever(void *arg)
{
    char c = 7;
    ssize_t r = hob_dgram_recv(*(int *)arg, &c, 1, HOB_FOREVER, NULL, NULL);

    CHECK_INT(c, 7);
    return (int)r;
}

static int cancelled(void *arg)
{
    hob_addr addr;
    hob_group g;
    int server = bound(&addr), client = hob_udp_dial(&addr, NULL), r = hob_group_open(&g, NULL);
    char c = 0;

    (void)arg;
    if (r == 0)
        r = hob_go(&g, receives_for_ever, &server);
    if (r == 0)
        r = hob_yield();
    hob_group_cancel(&g, -ECANCELED);
    r = hob_group_join(&g, r);
    CHECK_INT(hob_dgram_send(client, "y", 1, NULL, HOB_FOREVER), 1);
    CHECK_INT(hob_dgram_recv(server, &c, 1, HOB_FOREVER, NULL, NULL), 1);
    CHECK_INT(c, 'y');
    hob_close(client);
    hob_close(server);
    return r;
}

TEST(a_cancel_takes_a_receive_back)
{
    on_pollers(cancelled, NULL, -ECANCELED);
}

struct full {
    int to, from;
    hob_addr addr;
};

static int sends_one_more(void *arg)
{
    struct full *f = arg;
    ssize_t r = hob_dgram_send(f->from, "z", 1, &f->addr, HOB_FOREVER);

    return r == 1 ? 0 : (int)r;
}

/* Another sender has filled the queue: the sender's own descriptor tells nothing of it. */
static int full_queue(void *arg)
{
    struct full f;
    hob_group g;
    char c, name[64];
    int filler, n = 0, r;

    (void)arg;
    snprintf(name, sizeof name, "@hob-test-dgram-%d", (int)getpid());
    CHECK_INT(hob_unix_addr(name, &f.addr), 0);
    CHECK((f.to = hob_unix_bind(name, NULL)) >= 0);
    CHECK((filler = hob_unix_bind(NULL, NULL)) >= 0);
    CHECK((f.from = hob_unix_bind(NULL, NULL)) >= 0);
    while ((r = (int)hob_dgram_send(filler, "f", 1, &f.addr, 0)) == 1)
        n++;
    CHECK_INT(r, -ETIMEDOUT);
    CHECK_INT(hob_dgram_send(f.from, "z", 1, &f.addr, hob_in(HOB_MS)), -ETIMEDOUT);
    r = hob_group_open(&g, NULL);
    if (r == 0)
        r = hob_go(&g, sends_one_more, &f);
    if (r == 0)
        r = hob_sleep(HOB_MS);
    for (int i = 0; i <= n; i++) {
        CHECK_INT(hob_dgram_recv(f.to, &c, 1, HOB_FOREVER, NULL, NULL), 1);
        CHECK_INT(c, i < n ? 'f' : 'z');
    }
    r = hob_group_join(&g, r);
    hob_close(f.to);
    CHECK_INT(hob_dgram_send(f.from, "z", 1, &f.addr, HOB_FOREVER), -ECONNREFUSED);
    hob_close(f.from);
    hob_close(filler);
    return r;
}

TEST(a_full_queue_of_a_unix_socket_is_waited_for)
{
    on_pollers(full_queue, NULL, 0);
}

#ifdef NDEBUG
TEST(a_stream_is_refused)
{
    int pair[2];
    char c;

    CHECK_INT(hob_unix_pair(pair), 0);
    CHECK_INT(write(pair[1], "ab", 2), 2);
    CHECK_INT(hob_dgram_recv(pair[0], &c, 1, HOB_FOREVER, NULL, NULL), -EPROTOTYPE);
    close(pair[0]);
    close(pair[1]);
}
#endif

static int simulated(void *arg)
{
    hob_addr a;
    char c;

    (void)arg;
    CHECK_INT(hob_addr_parse("127.0.0.1", 1, &a), 0);
    CHECK_INT(hob_dgram_send(0, "x", 1, &a, HOB_FOREVER), -EOPNOTSUPP);
    CHECK_INT(hob_dgram_recv(0, &c, 1, HOB_FOREVER, NULL, NULL), -EOPNOTSUPP);
    return 0;
}

TEST(the_simulator_has_none_of_the_kernels_descriptors)
{
    setenv("HOB_SIM", "1", 1);
    CHECK_INT(hob_run(NULL, simulated, NULL), 0);
}

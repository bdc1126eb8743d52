/* SPDX-License-Identifier: MIT */
#include <hob/hob.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/t.h"
#include "net_util.h"

static int listen_any(hob_addr *ret_addr)
{
    hob_addr a;
    int fd;

    CHECK_INT(hob_addr_parse("127.0.0.1", 0, &a), 0);
    fd = hob_tcp_listen(&a, 0);
    if (fd >= 0)
        CHECK_INT(hob_sock_addr(fd, ret_addr), 0);
    return fd;
}

struct echo {
    int listener;
    hob_addr addr;
    int n_clients, n_rounds;
};

static int echo_conn(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buf[100];
    ssize_t n;

    while ((n = hob_read(fd, buf, sizeof buf, HOB_FOREVER)) > 0)
        if (hob_write(fd, buf, (size_t)n, HOB_FOREVER) != n)
            break;
    hob_close(fd);
    return (int)n;
}

static int echo_server(void *arg)
{
    struct echo *e = arg;
    hob_group g;
    int r = hob_group_open(&g, NULL);

    for (int i = 0; i < e->n_clients && r == 0; i++) {
        int fd = hob_tcp_accept(e->listener, HOB_FOREVER);
        r = fd < 0 ? fd : hob_go(&g, echo_conn, (void *)(intptr_t)fd);
    }
    return hob_group_join(&g, r);
}

static int echo_client(void *arg)
{
    struct echo *e = arg;
    int fd = hob_tcp_dial(&e->addr, hob_in(10 * HOB_SEC));
    char out[64], in[64];

    if (fd < 0)
        return fd;
    for (int i = 0; i < e->n_rounds; i++) {
        size_t got = 0;
        memset(out, 'a' + i % 26, sizeof out);
        if (hob_write(fd, out, sizeof out, HOB_FOREVER) != sizeof out)
            return -EPROTO;
        while (got < sizeof in) {
            ssize_t n = hob_read(fd, in + got, sizeof in - got, HOB_FOREVER);
            if (n <= 0)
                return -EPROTO;
            got += (size_t)n;
        }
        if (memcmp(in, out, sizeof in) != 0)
            return -EPROTO;
    }
    hob_close(fd);
    return 0;
}

static int echo_run(void *arg)
{
    struct echo *e = arg;
    hob_group g;
    int r = hob_group_open(&g, NULL);

    e->listener = listen_any(&e->addr);
    if (r == 0)
        r = hob_go(&g, echo_server, e);
    for (int i = 0; i < e->n_clients && r == 0; i++)
        r = hob_go(&g, echo_client, e);
    r = hob_group_join(&g, r);
    hob_close(e->listener);
    return r;
}

TEST(clients_are_echoed)
{
    struct echo e = {.n_clients = t_times(50, 5), .n_rounds = t_times(20, 3)};

    on_pollers(echo_run, &e, 0);
}

static int waits_in_vain(void *arg)
{
    hob_addr addr;
    int fd = listen_any(&addr), pair[2];
    char c = 7;

    (void)arg;
    CHECK(fd >= 0);
    CHECK_INT(hob_tcp_accept(fd, hob_in(HOB_MS)), -ETIMEDOUT);
    CHECK_INT(hob_tcp_accept(fd, 0), -ETIMEDOUT);
    CHECK_INT(hob_fd_wait(fd, EPOLLIN, hob_in(HOB_MS)), -ETIMEDOUT);
    CHECK_INT(pipe2(pair, O_NONBLOCK | O_CLOEXEC), 0);
    CHECK_INT(hob_read(pair[0], &c, 1, hob_in(HOB_MS)), -ETIMEDOUT);
    CHECK_INT(c, 7);
    CHECK_INT(hob_write(pair[1], "x", 1, 0), 1);
    CHECK_INT(hob_fd_wait(pair[0], EPOLLIN, HOB_FOREVER), EPOLLIN);
    CHECK_INT(hob_read(pair[0], &c, 1, HOB_FOREVER), 1);
    CHECK_INT(c, 'x');
    hob_close(pair[1]);
    CHECK_INT(hob_read(pair[0], &c, 1, HOB_FOREVER), 0);
    hob_close(pair[0]);
    hob_close(fd);
    hob_close(-1);
    return 0;
}

TEST(a_time_out_takes_the_operation_back)
{
    on_pollers(waits_in_vain, NULL, 0);
}

static int reads_for_ever(void *arg)
{
    char c;
    int r = (int)hob_read(*(int *)arg, &c, 1, HOB_FOREVER);

    return r;
}

static int accepts_for_ever(void *arg)
{
    return hob_tcp_accept(*(int *)arg, HOB_FOREVER);
}

static int cancels_io(void *arg)
{
    hob_addr addr;
    hob_group g;
    int fd = listen_any(&addr), pair[2], r = hob_group_open(&g, NULL);

    (void)arg;
    CHECK_INT(pipe2(pair, O_NONBLOCK | O_CLOEXEC), 0);
    if (r == 0)
        r = hob_go(&g, accepts_for_ever, &fd);
    if (r == 0)
        r = hob_go(&g, reads_for_ever, &pair[0]);
    if (r == 0)
        r = hob_sleep(HOB_MS);
    hob_group_cancel(&g, -ECANCELED);
    r = hob_group_join(&g, r);
    /* Nothing is left in the kernel: what comes now is nobody's. */
    CHECK_INT(hob_write(pair[1], "y", 1, HOB_FOREVER), 1);
    char c = 0;
    CHECK_INT(hob_read(pair[0], &c, 1, HOB_FOREVER), 1);
    CHECK_INT(c, 'y');
    hob_close(pair[0]);
    hob_close(pair[1]);
    hob_close(fd);
    return r;
}

TEST(a_cancel_reaches_io_in_flight)
{
    on_pollers(cancels_io, NULL, -ECANCELED);
}

static int refused(void *arg)
{
    hob_addr addr;
    int fd = listen_any(&addr), r;

    (void)arg;
    hob_close(fd);
    r = hob_tcp_dial(&addr, HOB_FOREVER);
    return r;
}

TEST(a_refused_connection_says_so)
{
    on_pollers(refused, NULL, -ECONNREFUSED);
}

static int fills_up(void *arg)
{
    static char big[4 << 20];
    hob_addr addr;
    int l = listen_any(&addr), a = hob_tcp_dial(&addr, HOB_FOREVER), b;
    ssize_t n = 0, k;
    bool part = false;

    (void)arg;
    CHECK(a >= 0);
    CHECK((b = hob_tcp_accept(l, HOB_FOREVER)) >= 0);
    do { /* full once nothing goes in: an acknowledgement may come late and make room */
        k = hob_write(a, big, sizeof big, hob_in(10 * HOB_MS));
        CHECK(k > 0 || k == -ETIMEDOUT);
        part = part || (k > 0 && k < (ssize_t)sizeof big); /* what was taken before the time-out */
        n += k > 0 ? k : 0;
    } while (k > 0 || n == 0);
    CHECK(part);
    for (ssize_t got = 0; got < n; got += k) {
        k = hob_read(b, big, sizeof big, HOB_FOREVER);
        CHECK(k > 0);
    }
    hob_close(b);
    ssize_t r = 0;
    while (r >= 0) /* a reset takes one round trip to be known */
        r = hob_write(a, big, 1000, HOB_FOREVER);
    CHECK(r == -EPIPE || r == -ECONNRESET);
    hob_close(a);
    hob_close(l);
    return 0;
}

TEST(a_full_socket_takes_a_part_and_a_closed_one_is_no_signal)
{
    on_pollers(fills_up, NULL, 0);
}

struct pingpong {
    hob_chan *there, *back;
    bool served;
    int rounds;
};

static int ping(void *arg)
{
    struct pingpong *p = arg;
    int v = 0, r = 0;

    while (r == 0 && !p->served) {
        r = hob_chan_send(p->there, &v, HOB_FOREVER);
        if (r == 0)
            r = hob_chan_recv(p->back, HOB_FOREVER, &v);
        p->rounds++;
    }
    hob_chan_close(p->there);
    return r;
}

static int pong(void *arg)
{
    struct pingpong *p = arg;
    int v, r;

    while ((r = hob_chan_recv(p->there, HOB_FOREVER, &v)) == 0)
        if ((r = hob_chan_send(p->back, &v, HOB_FOREVER)) < 0)
            break;
    return r == -EPIPE ? 0 : r;
}

/* The bytes are there before anything runs: the poller must be asked within one turn, which is at
 * most 128 switches, however busy the two others are. */
static int served_meanwhile(void *arg)
{
    struct pingpong p = {0};
    hob_group g;
    int pair[2], r = hob_chan_new(sizeof(int), NULL, &p.there);
    char c;

    (void)arg;
    CHECK_INT(r, 0);
    CHECK_INT(hob_chan_new(sizeof(int), NULL, &p.back), 0);
    CHECK_INT(pipe2(pair, O_NONBLOCK | O_CLOEXEC), 0);
    r = hob_group_open(&g, NULL);
    if (r == 0)
        r = hob_go(&g, ping, &p);
    if (r == 0)
        r = hob_go(&g, pong, &p);
    CHECK_INT(hob_yield(), 0);
    CHECK_INT(write(pair[1], "z", 1), 1);
    int before = p.rounds;
    CHECK_INT(hob_fd_wait(pair[0], EPOLLIN, HOB_FOREVER), EPOLLIN);
    CHECK_INT(read(pair[0], &c, 1), 1);
    CHECK(p.rounds - before <= 3 * 128);
    p.served = true;
    r = hob_group_join(&g, r);
    hob_chan_free(p.there);
    hob_chan_free(p.back);
    hob_close(pair[0]);
    hob_close(pair[1]);
    return r;
}

TEST(two_that_ping_pong_for_ever_do_not_starve_a_socket)
{
    on_pollers(served_meanwhile, NULL, 0);
}

static int files(void *arg)
{
    char path[] = "/tmp/hob-test-XXXXXX", buf[16] = {0};
    int fd = mkstemp(path);

    (void)arg;
    CHECK(fd >= 0);
    hob_close(fd);
    fd = hob_file_open(path, O_RDWR, 0, HOB_FOREVER);
    CHECK(fd >= 0);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK_INT(hob_file_write(fd, "hello", 5, 3, HOB_FOREVER), 5);
    CHECK_INT(hob_file_sync(fd, HOB_FOREVER), 0);
    CHECK_INT(hob_file_read(fd, buf, sizeof buf, 0, HOB_FOREVER), 8);
    CHECK(memcmp(buf, "\0\0\0hello", 8) == 0);
    CHECK_INT(hob_file_read(fd, buf, sizeof buf, 8, HOB_FOREVER), 0);
    hob_close(fd);
    unlink(path);
    CHECK_INT(hob_file_open(path, O_RDONLY, 0, HOB_FOREVER), -ENOENT);
    CHECK_INT(hob_file_read(-1, buf, 1, 0, HOB_FOREVER), -EBADF);
    return 0;
}

TEST(files_are_read_and_written)
{
    on_pollers(files, NULL, 0);
    CHECK_INT(files(NULL), 0); /* and from a plain thread */
}

TEST(what_is_not_public_is_known)
{
    static const char *const not_public[] = {"127.0.0.1",
                                             "10.1.2.3",
                                             "192.168.1.1",
                                             "172.16.0.1",
                                             "172.31.255.255",
                                             "169.254.169.254",
                                             "100.64.0.1",
                                             "0.0.0.0",
                                             "224.0.0.1",
                                             "255.255.255.255",
                                             "198.18.0.1",
                                             "192.0.2.5",
                                             "::",
                                             "::1",
                                             "::ffff:10.0.0.1",
                                             "::ffff:127.0.0.1",
                                             "::10.0.0.1",
                                             "64:ff9b::10.0.0.1",
                                             "2002:a00:1::",
                                             "2002:7f00:1::",
                                             "fe80::1",
                                             "fc00::1",
                                             "fd12::1",
                                             "ff02::1",
                                             "2001:db8::1",
                                             "64:ff9b:1::1",
                                             "[::1]"};
    static const char *const public[] = {"1.1.1.1",        "8.8.8.8",          "172.32.0.1",
                                         "100.128.0.1",    "192.0.1.1",        "2606:4700::1111",
                                         "::ffff:1.1.1.1", "64:ff9b::1.1.1.1", "2002:101:101::1"};
    hob_addr a;

    for (unsigned i = 0; i < sizeof not_public / sizeof not_public[0]; i++) {
        CHECK_INT(hob_addr_parse(not_public[i], 80, &a), 0);
        if (hob_addr_public(&a))
            t_fail(__FILE__, __LINE__, "%s counts as public", not_public[i]);
    }
    for (unsigned i = 0; i < sizeof public / sizeof public[0]; i++) {
        CHECK_INT(hob_addr_parse(public[i], 80, &a), 0);
        if (!hob_addr_public(&a))
            t_fail(__FILE__, __LINE__, "%s counts as not public", public[i]);
    }
    CHECK_INT(hob_addr_parse("example.org", 80, &a), -EINVAL);
    CHECK_INT(hob_addr_parse("1.2.3", 80, &a), -EINVAL);
    CHECK_INT(hob_addr_parse("", 80, &a), -EINVAL);
}

static int simulated(void *arg)
{
    int fd = *(int *)arg;
    char c;

    CHECK_INT(hob_read(fd, &c, 1, HOB_FOREVER), -EOPNOTSUPP);
    CHECK_INT(hob_write(fd, "x", 1, 0), -EOPNOTSUPP);
    CHECK_INT(hob_fd_wait(fd, EPOLLIN, HOB_FOREVER), -EOPNOTSUPP);
    CHECK_INT(hob_tcp_accept(fd, HOB_FOREVER), -EOPNOTSUPP);
    CHECK_INT(hob_sock_shutdown(fd, SHUT_WR), -EOPNOTSUPP);
    CHECK_INT(hob_file_open("/dev/null", O_RDONLY, 0, HOB_FOREVER), -EOPNOTSUPP);
    CHECK_INT(hob_file_open("/dev/null", O_RDONLY, 0, 0), -ETIMEDOUT);
    return 0;
}

TEST(the_simulator_has_none_of_the_kernels_descriptors)
{
    int pair[2];

    CHECK_INT(hob_unix_pair(pair), 0);
    setenv("HOB_SIM", "1", 1);
    CHECK_INT(hob_run(NULL, simulated, &pair[0]), 0);
    hob_close(pair[0]);
    hob_close(pair[1]);
}

static int shut_down(void *arg)
{
    int pair[2];
    char c;

    (void)arg;
    CHECK_INT(hob_unix_pair(pair), 0);
    CHECK_INT(hob_sock_shutdown(pair[0], 7), -EINVAL);
    CHECK_INT(hob_sock_shutdown(pair[0], SHUT_WR), 0);
    CHECK_INT(hob_read(pair[1], &c, 1, HOB_FOREVER), 0);
    CHECK_INT(hob_write(pair[1], "x", 1, HOB_FOREVER), 1);
    CHECK_INT(hob_read(pair[0], &c, 1, HOB_FOREVER), 1);
    CHECK_INT(hob_write(pair[0], "x", 1, HOB_FOREVER), -EPIPE);
    hob_close(pair[0]);
    hob_close(pair[1]);
    CHECK_INT(hob_sock_shutdown(-1, SHUT_WR), -EBADF);
    return 0;
}

TEST(one_direction_is_ended_and_the_other_goes_on)
{
    on_pollers(shut_down, NULL, 0);
    setenv("HOB_SIM", "1", 1);
    CHECK_INT(hob_run(NULL, shut_down, NULL), 0);
}

static int signal_self(void *arg)
{
    (void)arg;
    kill(getpid(), SIGINT);
    return hob_sleep(100 * HOB_SEC);
}

TEST(a_signal_cancels_the_first_fiber)
{
    setenv("HOB_POLL", "epoll", 1);
    CHECK_INT(hob_run(HOB_OPTS(.stop_on_signals = true), signal_self, NULL), -ECANCELED);
    unsetenv("HOB_POLL");
    CHECK_INT(hob_run(HOB_OPTS(.stop_on_signals = true), signal_self, NULL), -ECANCELED);
}

/* What is there is taken, the rest is not waited for: the same from a fiber and a thread. */
static int never_waits(void *arg)
{
    hob_addr addr;
    int l = listen_any(&addr), pair[2];
    char c = 7;

    (void)arg;
    CHECK_INT(pipe2(pair, O_NONBLOCK | O_CLOEXEC), 0);
    CHECK_INT(hob_read(pair[0], &c, 1, 0), -ETIMEDOUT);
    CHECK_INT(hob_fd_wait(pair[0], EPOLLIN, 0), -ETIMEDOUT);
    CHECK_INT(hob_write(pair[1], "x", 1, 0), 1);
    CHECK_INT(hob_fd_wait(pair[0], EPOLLIN, 0), EPOLLIN);
    CHECK_INT(hob_read(pair[0], &c, 1, 0), 1);
    CHECK_INT(c, 'x');
    CHECK_INT(hob_tcp_accept(l, 0), -ETIMEDOUT);
    CHECK_INT(hob_tcp_dial(&addr, 0), -ETIMEDOUT);
    CHECK_INT(hob_fd_wait(l, EPOLLIN, 0), -ETIMEDOUT); /* nothing was begun */
    int a = hob_tcp_dial(&addr, HOB_FOREVER), b = hob_tcp_accept(l, 0);
    CHECK(a >= 0 && b >= 0);
    CHECK_INT(hob_read(b, &c, 1, 0), -ETIMEDOUT);
    hob_close(a);
    hob_close(b);
    hob_close(l);
    hob_close(pair[0]);
    hob_close(pair[1]);
    return 0;
}

TEST(until_zero_takes_what_is_there)
{
    on_pollers(never_waits, NULL, 0);
    CHECK_INT(never_waits(NULL), 0);
}

/* A file is never there at once.  Off a fiber a file call is the system's own. */
static int begins_no_file_call(void *arg)
{
    bool fiber = hob_on_fiber();
    char path[] = "/tmp/hob-test-XXXXXX", c = 0;
    int fd = mkstemp(path);
    struct stat st;

    (void)arg;
    CHECK(fd >= 0);
    CHECK_INT(hob_file_write(fd, "x", 1, 0, 0), fiber ? -ETIMEDOUT : 1);
    CHECK_INT(fstat(fd, &st), 0);
    CHECK_INT(st.st_size, fiber ? 0 : 1);
    CHECK_INT(hob_file_read(fd, &c, 1, 0, 0), fiber ? -ETIMEDOUT : 1);
    CHECK_INT(hob_file_sync(fd, 0), fiber ? -ETIMEDOUT : 0);
    hob_close(fd);
    fd = hob_file_open(path, O_RDONLY, 0, 0);
    CHECK(fiber ? fd == -ETIMEDOUT : fd >= 0);
    hob_close(fd);
    unlink(path);
    return 0;
}

TEST(until_zero_begins_no_file_call)
{
    on_pollers(begins_no_file_call, NULL, 0);
    CHECK_INT(begins_no_file_call(NULL), 0);
}

static int accepts_of_a_stream(void *arg)
{
    int s[2];

    (void)arg;
    CHECK_INT(hob_unix_pair(s), 0);
    int r = hob_tcp_accept(s[0], hob_in(10 * HOB_SEC));
    hob_close(s[0]);
    hob_close(s[1]);
    return r;
}

TEST(what_does_not_listen_accepts_nobody)
{
    CHECK_INT(hob_run(NULL, accepts_of_a_stream, NULL), -EINVAL);
    setenv("HOB_POLL", "epoll", 1);
    CHECK_INT(hob_run(NULL, accepts_of_a_stream, NULL), -EINVAL);
    CHECK_INT(accepts_of_a_stream(NULL), -EINVAL);
}

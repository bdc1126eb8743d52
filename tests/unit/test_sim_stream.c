/* SPDX-License-Identifier: MIT
 *
 * test_sim_stream.c - connections and pipes of the simulator
 */
#include "sim_util.h"

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

static int writes_much(void *arg)
{
    static unsigned char out[1 << 17];
    int fd = *(int *)arg;

    CHECK_INT(hob_write(fd, out, sizeof out, HOB_FOREVER), sizeof out);
    CHECK_INT(hob_sock_shutdown(fd, SHUT_WR), 0);
    return 0;
}

static int drains(void *arg)
{
    struct link l = link_tcp();
    static char in[1 << 17];
    hob_group g;

    (void)arg;
    CHECK_INT(hob_group_open(&g, NULL), 0);
    CHECK_INT(hob_go(&g, writes_much, &l.here), 0);
    CHECK_INT(hob_sleep(HOB_SEC), 0); /* it waits by now */
    CHECK_INT(read_all(l.there, in, sizeof in), sizeof in);
    CHECK_INT(hob_read(l.there, in, 1, HOB_FOREVER), 0);
    CHECK_INT(hob_group_join(&g, 0), 0);
    link_close(&l);
    return 0;
}

TEST(who_waits_for_room_goes_on_when_there_is_some)
{
    in_sims(50, drains, NULL);
}

TEST(a_connection_holds_only_so_much)
{
    in_sims(50, presses_back, NULL);
}

static bool cut_at[8], joined, late;

static int pieces(void *arg)
{
    struct link l = link_tcp();
    char text[16];
    ssize_t n;

    (void)arg;
    CHECK_INT(hob_write(l.here, "12345678", 8, HOB_FOREVER), 8);
    CHECK_INT(hob_write(l.here, "abcdefgh", 8, HOB_FOREVER), 8);
    hob_time before = hob_now();
    n = hob_read(l.there, text, sizeof text, HOB_FOREVER);
    late |= hob_now() - before > HOB_MS;
    CHECK(n > 0);
    if (n < 8)
        cut_at[n] = true;
    joined |= n > 8;
    CHECK_INT(read_all(l.there, text + n, (size_t)(16 - n)), 16 - n);
    CHECK(memcmp(text, "12345678abcdefgh", 16) == 0);
    link_close(&l);
    return 0;
}

TEST(a_stream_is_cut_at_every_byte_and_joined_and_late)
{
    in_sims(500, pieces, NULL);
    for (int i = 1; i < 8; i++)
        CHECK(cut_at[i]);
    CHECK(joined && late);
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

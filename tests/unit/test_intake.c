/* SPDX-License-Identifier: MIT
 *
 * test_intake.c - readers whose loop takes ahead: the same bytes, ends and errors as plain reads
 *
 * The bodies run on io_uring, on epoll and on a ring without buffers to select from, where .ahead
 * must make no difference.
 *
 * Length: each way a stream goes on or ends is a scene of its own, on three kinds of poller.
 */
#include <hob/hob.h>

#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "feed_util.h"
#include "net_util.h"
#include "sched/loop.h"

/* Both ends of a TCP connection, non-blocking. */
static void tcp_pair(int s[2])
{
    hob_addr a;

    CHECK_INT(hob_addr_parse("127.0.0.1", 0, &a), 0);
    int l = hob_tcp_listen(&a, 8);
    CHECK(l >= 0);
    CHECK_INT(hob_sock_addr(l, &a), 0);
    CHECK((s[0] = hob_tcp_dial(&a, HOB_FOREVER)) >= 0);
    CHECK((s[1] = hob_tcp_accept(l, HOB_FOREVER)) >= 0);
    hob_close(l);
}

static hob_reader *ahead_of(int fd)
{
    hob_reader *r;

    CHECK_INT(hob_reader_new(fd, HOB_READER_OPTS(.ahead = true), &r), 0);
    return r;
}

static void send_stream(int fd, size_t at, size_t n)
{
    char buf[8192];

    CHECK_INT(hob_write(fd, stream(buf, at, n), n, HOB_FOREVER), n);
}

/* The reader waits for something, so that its loop takes ahead if it can, and gets it. */
static void warm(hob_reader *r, int peer)
{
    char c = 0;

    CHECK_INT(hob_write(peer, "w", 1, HOB_FOREVER), 1);
    CHECK_INT(hob_reader_read(r, &c, 1, HOB_FOREVER), 1);
    CHECK_INT(c, 'w');
}

/* Turns of the loop: what is under way arrives. */
static int yields(int n)
{
    int r = 0;

    for (int i = 0; r == 0 && i < n; i++)
        r = hob_sleep(HOB_US);
    return r;
}

/* On both pollers, and then on a ring that has no feeds. */
static void everywhere(hob_fn fn, void *arg, int want)
{
    on_pollers(fn, arg, want);
    buffers_are_refused();
    on_pollers(fn, arg, want);
}

/* ---- many at once ---- */

enum { CLIENTS = 40, ROUNDS = 30 };

struct pair {
    int s[2];
    unsigned seed;
};

static size_t next_size(unsigned *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 16 & 15 ? *seed >> 20 & 127 : *seed >> 20 & 8191;
}

static int echoes(void *arg)
{
    struct pair *c = arg;
    hob_reader *in = ahead_of(c->s[1]);
    char buf[3000];
    ssize_t n;

    while ((n = hob_reader_read(in, buf, sizeof buf, HOB_FOREVER)) > 0)
        if ((n = hob_write(c->s[1], buf, (size_t)n, HOB_FOREVER)) < 0)
            break;
    hob_reader_free(in);
    hob_close(c->s[1]);
    return (int)n;
}

static int asks(void *arg)
{
    struct pair *c = arg;
    hob_reader *in = ahead_of(c->s[0]);
    char buf[8192];
    size_t at = 0;

    for (int i = 0; i < ROUNDS; i++) {
        size_t n = 1 + next_size(&c->seed);
        send_stream(c->s[0], at, n);
        CHECK_INT(hob_reader_read_exact(in, buf, n, HOB_FOREVER), n);
        check_stream(buf, at, n);
        at += n;
    }
    CHECK_INT(shutdown(c->s[0], SHUT_WR), 0);
    for (int i = 0; i < 2; i++)
        CHECK_INT(hob_reader_read(in, buf, sizeof buf, HOB_FOREVER), 0);
    hob_reader_free(in);
    hob_close(c->s[0]);
    return 0;
}

static int many(void *arg)
{
    static struct pair pairs[CLIENTS];
    hob_group g;
    int r = hob_group_open(&g, NULL);

    (void)arg;
    for (unsigned i = 0; r == 0 && i < CLIENTS; i++) {
        tcp_pair(pairs[i].s);
        pairs[i].seed = i;
        r = hob_go(&g, echoes, &pairs[i]);
        if (r == 0)
            r = hob_go(&g, asks, &pairs[i]);
    }
    return hob_group_join(&g, r);
}

TEST(what_many_send_comes_back_in_order)
{
    everywhere(many, NULL, 0);
}

/* ---- cancels and time-outs ---- */

static int impatient(void *arg)
{
    int s[2];
    char buf[64];
    size_t at = 0;

    (void)arg;
    tcp_pair(s);
    hob_reader *in = ahead_of(s[0]);
    for (int i = 0; i < 300; i++) {
        send_stream(s[1], (size_t)i * 3, 3);
        while (at < (size_t)i * 3) { /* one behind: there is always something under way */
            ssize_t n = hob_reader_read(in, buf, sizeof buf, hob_now() + i % 5 * 1000);
            if (n == -ETIMEDOUT)
                continue;
            CHECK(n > 0);
            check_stream(buf, at, (size_t)n);
            at += (size_t)n;
        }
    }
    CHECK_INT(hob_reader_read_exact(in, buf, 900 - at, HOB_FOREVER), 900 - at);
    check_stream(buf, at, 900 - at);
    hob_reader_free(in);
    hob_close(s[0]);
    hob_close(s[1]);
    return 0;
}

TEST(a_time_out_takes_no_byte)
{
    everywhere(impatient, NULL, 0);
}

struct shared {
    hob_reader *in;
    size_t at;
    hob_time until;
};

static int reads_until(void *arg)
{
    struct shared *sh = arg;
    char c = 0;
    ssize_t n = hob_reader_read(sh->in, &c, 1, sh->until);

    CHECK(n == -ETIMEDOUT || n == 1);
    if (n < 0)
        CHECK_INT(hob_reader_read(sh->in, &c, 1, HOB_FOREVER), 1);
    CHECK_INT(c, 'x');
    return 0;
}

/* The time is over before the byte is sent, and the loop learns of both in one turn. */
static int too_late(void *arg)
{
    struct shared sh = {0};
    hob_group g;
    char c;
    int s[2];

    (void)arg;
    tcp_pair(s);
    sh.in = ahead_of(s[0]);
    CHECK_INT(hob_reader_read(sh.in, &c, 1, hob_now() + HOB_US), -ETIMEDOUT);
    for (int i = 0; i < 10; i++) {
        int r = hob_group_open(&g, NULL);
        sh.until = hob_in(10 * HOB_MS);
        if (r == 0)
            r = hob_go(&g, reads_until, &sh);
        if (r == 0)
            r = yields(1);
        while (hob_in(0) <= sh.until + HOB_MS)
            continue;
        CHECK_INT(write(s[1], "x", 1), 1);
        CHECK_INT(hob_group_join(&g, r), 0);
    }
    hob_reader_free(sh.in);
    hob_close(s[0]);
    hob_close(s[1]);
    return 0;
}

TEST(a_byte_that_came_with_the_time_out_is_the_next_reads)
{
    everywhere(too_late, NULL, 0);
}

static int reads_on(void *arg)
{
    struct shared *sh = arg;
    char buf[64];
    ssize_t n;

    while ((n = hob_reader_read(sh->in, buf, sizeof buf, HOB_FOREVER)) > 0) {
        check_stream(buf, sh->at, (size_t)n);
        sh->at += (size_t)n;
    }
    return (int)n;
}

static int cancelled(void *arg)
{
    struct shared sh = {0};
    char buf[1024];
    size_t sent = 0;
    int s[2];

    (void)arg;
    tcp_pair(s);
    sh.in = ahead_of(s[0]);
    for (int i = 0; i < 60; i++) {
        hob_group g;
        int r = hob_group_open(&g, NULL);
        if (r == 0)
            r = hob_go(&g, reads_on, &sh);
        if (r == 0)
            r = yields(i % 3);
        send_stream(s[1], sent, 5);
        sent += 5;
        if (r == 0)
            r = yields(i % 2);
        hob_group_cancel(&g, -EINTR);
        CHECK_INT(hob_group_join(&g, r), -EINTR);
    }
    CHECK(sh.at <= sent);
    CHECK_INT(hob_reader_read_exact(sh.in, buf, sent - sh.at, HOB_FOREVER), sent - sh.at);
    check_stream(buf, sh.at, sent - sh.at);
    hob_reader_free(sh.in);
    hob_close(s[0]);
    hob_close(s[1]);
    return 0;
}

TEST(a_cancel_takes_no_byte)
{
    everywhere(cancelled, NULL, 0);
}

static int reads_a_line(void *arg)
{
    const char *line;
    size_t n;

    return hob_reader_read_line(((struct shared *)arg)->in, HOB_FOREVER, &line, &n);
}

/* The cancel comes when the fiber is ready, by half a line, and has not run. */
static int cancelled_when_ready(void *arg)
{
    struct shared sh = {0};
    hob_group g;
    char c;
    int s[2], r;

    (void)arg;
    tcp_pair(s);
    sh.in = ahead_of(s[0]);
    warm(sh.in, s[1]);
    CHECK_INT(hob_reader_read(sh.in, &c, 1, hob_now() + HOB_US), -ETIMEDOUT); /* it is on */
    r = hob_group_open(&g, NULL);
    if (r == 0)
        r = hob_go(&g, reads_a_line, &sh);
    if (r == 0)
        r = yields(1);
    CHECK_INT(hob__loop->n_outside, 1); /* a wait for the kernel */
    CHECK_INT(write(s[1], "half", 4), 4);
    while (r == 0 && hob_reader_pending(sh.in) == 0)
        r = hob_yield(); /* before the other one in the queue, whenever that is made ready */
    hob_group_cancel(&g, -EINTR);
    CHECK_INT(hob_group_join(&g, r), -EINTR);
    CHECK_INT(hob__loop->n_outside, 0);
    CHECK_INT(hob_reader_pending(sh.in), 4);
    hob_reader_free(sh.in);
    hob_close(s[0]);
    hob_close(s[1]);
    return 0;
}

TEST(a_cancel_beside_half_a_line_is_not_lost)
{
    everywhere(cancelled_when_ready, NULL, 0);
}

/* ---- the end ---- */

static int closes(void *arg)
{
    int s[2];
    char c;

    (void)arg;
    tcp_pair(s);
    hob_reader *in = ahead_of(s[0]);
    warm(in, s[1]);
    CHECK_INT(hob_reader_read(in, &c, 1, hob_now() + HOB_US), -ETIMEDOUT); /* it is on */
    hob_reader_free(in);
    hob_close(s[0]);
    CHECK_INT(hob_read(s[1], &c, 1, HOB_FOREVER), 0); /* the peer is told */
    hob_close(s[1]);
    return 0;
}

TEST(a_socket_that_is_closed_tells_its_peer)
{
    everywhere(closes, NULL, 0);
}

static int half_closes(void *arg)
{
    int s[2];
    char buf[8];

    (void)arg;
    tcp_pair(s);
    hob_reader *in = ahead_of(s[0]);
    warm(in, s[1]);
    CHECK_INT(hob_write(s[1], "last", 4, HOB_FOREVER), 4);
    CHECK_INT(shutdown(s[1], SHUT_WR), 0);
    CHECK_INT(yields(3), 0);
    CHECK_INT(hob_reader_read(in, buf, 3, HOB_FOREVER), 3);
    CHECK_INT(hob_reader_pending(in) <= 1, 1);
    CHECK_INT(hob_reader_read(in, buf, 3, HOB_FOREVER), 1);
    for (int i = 0; i < 3; i++)
        CHECK_INT(hob_reader_read(in, buf, 3, HOB_FOREVER), 0);
    CHECK_INT(hob_write(s[0], "answer", 6, HOB_FOREVER), 6);
    CHECK_INT(hob_read(s[1], buf, sizeof buf, HOB_FOREVER), 6);
    hob_reader_free(in);
    hob_close(s[0]);
    hob_close(s[1]);
    return 0;
}

TEST(a_half_closed_connection_ends_after_its_last_byte)
{
    everywhere(half_closes, NULL, 0);
}

static int resets(void *arg)
{
    struct linger now = {.l_onoff = 1};
    int s[2];
    char c;

    (void)arg;
    tcp_pair(s);
    hob_reader *in = ahead_of(s[0]);
    warm(in, s[1]);
    CHECK_INT(hob_reader_read(in, &c, 1, hob_now() + HOB_US), -ETIMEDOUT);
    setsockopt(s[1], SOL_SOCKET, SO_LINGER, &now, sizeof now);
    hob_close(s[1]);
    CHECK_INT(hob_reader_read(in, &c, 1, HOB_FOREVER), -ECONNRESET);
    CHECK_INT(hob_reader_read(in, &c, 1, HOB_FOREVER), 0); /* as a plain read after it */
    hob_reader_free(in);
    hob_close(s[0]);
    return 0;
}

TEST(a_reset_is_told_once)
{
    everywhere(resets, NULL, 0);
}

static int of_a_pipe(void *arg)
{
    int s[2];
    char c;

    (void)arg;
    CHECK_INT(hob_pipe_open(NULL, s), 0);
    hob_reader *in = ahead_of(s[0]);
    for (int i = 0; i < 3; i++)
        warm(in, s[1]);
    hob_close(s[1]);
    CHECK_INT(hob_reader_read(in, &c, 1, HOB_FOREVER), 0);
    hob_reader_free(in);
    hob_close(s[0]);
    return 0;
}

TEST(what_is_no_socket_is_read_plainly)
{
    everywhere(of_a_pipe, NULL, 0);
}

/* ---- handing over ---- */

static int reads_by_others(void *arg)
{
    struct shared *sh = arg;
    char buf[64];
    size_t n = hob_reader_pending(sh->in);

    if (n > 0)
        CHECK_INT(hob_reader_read_exact(sh->in, buf, n, HOB_FOREVER), n);
    check_stream(buf, 0, n);
    sh->at = n;
    return 0;
}

/* On another loop, if there is one. */
static int hands_over(void *arg)
{
    struct shared sh = {0};
    char buf[64] = {0};
    int s[2];

    (void)arg;
    tcp_pair(s);
    sh.in = ahead_of(s[0]);
    for (int i = 0; i < 2; i++) {
        warm(sh.in, s[1]);
        CHECK_INT(hob_reader_read(sh.in, buf, 1, hob_now() + HOB_US), -ETIMEDOUT);
    }
    send_stream(s[1], 0, 20);
    CHECK_INT(yields(2), 0);
    send_stream(s[1], 20, 20);
    CHECK_INT(hob_reader_stop(sh.in), 0);
    CHECK_INT(hob_reader_stop(sh.in), 0);
    send_stream(s[1], 40, 20);
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true));
    if (r == 0)
        r = hob_go(&g, reads_by_others, &sh);
    CHECK_INT(hob_group_join(&g, r), 0);
    while (sh.at < 60) { /* the rest by other code */
        ssize_t n = recv(s[0], buf, sizeof buf, 0);
        if (n < 0 && errno == EAGAIN) {
            CHECK_INT(hob_fd_wait(s[0], EPOLLIN, HOB_FOREVER) & EPOLLIN, EPOLLIN);
            continue;
        }
        CHECK(n > 0);
        check_stream(buf, sh.at, (size_t)n);
        sh.at += (size_t)n;
    }
    CHECK_INT(hob_reader_pending(sh.in), 0);
    warm(sh.in, s[1]); /* it reads on, plainly */
    hob_reader_free(sh.in);
    hob_close(s[0]);
    hob_close(s[1]);
    return 0;
}

TEST(a_stopped_reader_gives_the_socket_back)
{
    for (unsigned loops = 1; loops <= 2; loops++) {
        setenv("HOB_LOOPS", loops == 1 ? "1" : "2", 1);
        on_pollers(hands_over, NULL, 0);
    }
    everywhere(hands_over, NULL, 0);
}

static int stops_when_cancelled(void *arg)
{
    struct shared *sh = arg;
    char c;

    CHECK_INT(hob_reader_read(sh->in, &c, 1, HOB_FOREVER), -ECANCELED);
    CHECK_INT(hob_reader_stop(sh->in), 0);
    return -ECANCELED;
}

static int stops(void *arg)
{
    struct shared sh = {0};
    hob_group g;
    int s[2], r;

    (void)arg;
    tcp_pair(s);
    sh.in = ahead_of(s[0]);
    warm(sh.in, s[1]);
    r = hob_group_open(&g, NULL);
    if (r == 0)
        r = hob_go(&g, stops_when_cancelled, &sh);
    if (r == 0)
        r = yields(2);
    hob_group_cancel(&g, -EINTR);
    CHECK_INT(hob_group_join(&g, r), -EINTR);
    warm(sh.in, s[1]);
    hob_reader_free(sh.in);
    hob_close(s[0]);
    hob_close(s[1]);
    return 0;
}

TEST(a_cancelled_fiber_can_stop_its_reader)
{
    everywhere(stops, NULL, 0);
}

static struct {
    hob_reader *in;
    int s[2];
} kept;

static int leaves(void *arg)
{
    char c;

    (void)arg;
    tcp_pair(kept.s);
    kept.in = ahead_of(kept.s[0]);
    warm(kept.in, kept.s[1]);
    CHECK_INT(hob_reader_read(kept.in, &c, 1, hob_now() + HOB_US), -ETIMEDOUT);
    send_stream(kept.s[1], 0, 5000);
    return yields(2);
}

TEST(a_reader_outlives_its_loop_with_what_it_has)
{
    static const char *const pollers[] = {"uring", "epoll"};
    char buf[5000];

    for (int p = 0; p < 2; p++) {
        setenv("HOB_POLL", pollers[p], 1);
        int r = hob_run(NULL, leaves, NULL);
        if (p == 0 && (r == -ENOSYS || r == -EPERM))
            continue;
        CHECK_INT(r, 0);
        CHECK_INT(hob_reader_read_exact(kept.in, buf, 5000, HOB_FOREVER), 5000);
        check_stream(buf, 0, 5000);
        hob_reader_free(kept.in);
        hob_close(kept.s[0]);
        hob_close(kept.s[1]);
    }
}

/* ---- bounds ---- */

/* A reader that is not read takes 16 pieces, of 2 KiB at most, and what one batch brings. */
enum { PENDING_MOST = 128 * 1024, SMALL = 10, SMALL_MOST = 32 * SMALL };

/* As much as goes in while nobody reads, from byte n of the stream. */
static size_t fill_up(int fd, size_t n)
{
    char buf[4096];

    for (int vain = 0; vain < 20;) {
        ssize_t r = hob_write(fd, stream(buf, n, sizeof buf), sizeof buf, 0);
        if (r > 0)
            n += (size_t)r;
        else
            vain++;
        CHECK_INT(yields(1), 0);
    }
    return n;
}

static int slow_reader(void *arg)
{
    int s[2], t[2];
    char buf[8192];
    size_t at = 0;
    ssize_t n;

    (void)arg;
    tcp_pair(s);
    tcp_pair(t);
    hob_reader *slow = ahead_of(s[0]), *fast = ahead_of(t[0]);
    warm(slow, s[1]);
    CHECK_INT(hob_reader_read(slow, buf, 1, hob_now() + HOB_US), -ETIMEDOUT);
    size_t sent = 0;
    for (; sent < 100 * SMALL; sent += SMALL) {
        send_stream(s[1], sent, SMALL);
        CHECK_INT(yields(1), 0);
    }
    CHECK(hob_reader_pending(slow) <= SMALL_MOST);
    sent = fill_up(s[1], sent);
    CHECK(hob_reader_pending(slow) <= PENDING_MOST && sent > PENDING_MOST);
    for (int i = 0; i < 300; i++)
        warm(fast, t[1]); /* nobody waits for the memory that the other one holds */
    CHECK_INT(shutdown(s[1], SHUT_WR), 0);
    while ((n = hob_reader_read(slow, buf, 1 + at % sizeof buf, HOB_FOREVER)) > 0) {
        check_stream(buf, at, (size_t)n);
        at += (size_t)n;
    }
    CHECK_INT(n, 0);
    CHECK_INT(at, sent);
    hob_reader_free(slow);
    hob_reader_free(fast);
    for (int i = 0; i < 2; i++) {
        hob_close(s[i]);
        hob_close(t[i]);
    }
    return 0;
}

TEST(one_that_is_not_read_holds_little_and_keeps_nobody_waiting)
{
    everywhere(slow_reader, NULL, 0);
}

enum { HOARDERS = 40 };

/* More of them than there is memory for. */
static int hoarders(void *arg)
{
    static int s[HOARDERS][2];
    static hob_reader *in[HOARDERS];
    char buf[64];

    (void)arg;
    for (int i = 0; i < HOARDERS; i++) {
        tcp_pair(s[i]);
        in[i] = ahead_of(s[i][0]);
        warm(in[i], s[i][1]);
        CHECK_INT(hob_reader_read(in[i], buf, 1, hob_now() + HOB_US), -ETIMEDOUT);
    }
    for (size_t at = 0; at < 40; at += 2)
        for (int i = 0; i < HOARDERS; i++) {
            send_stream(s[i][1], at, 2);
            CHECK_INT(yields(1), 0);
        }
    for (int i = 0; i < HOARDERS; i++) {
        CHECK_INT(hob_reader_read_exact(in[i], buf, 40, HOB_FOREVER), 40);
        check_stream(buf, 0, 40);
        warm(in[i], s[i][1]);
        hob_reader_free(in[i]);
        hob_close(s[i][0]);
        hob_close(s[i][1]);
    }
    return 0;
}

TEST(where_memory_is_out_bytes_wait_in_their_sockets)
{
    everywhere(hoarders, NULL, 0);
}

/* ---- the simulator ---- */

static int simulated(void *arg)
{
    hob_reader *in = ahead_of(0);
    char c;

    (void)arg;
    CHECK_INT(hob_reader_read(in, &c, 1, HOB_FOREVER), -EOPNOTSUPP);
    CHECK_INT(hob_reader_stop(in), 0);
    hob_reader_free(in);
    return 0;
}

TEST(the_simulator_has_no_sockets)
{
    setenv("HOB_SIM", "1", 1);
    CHECK_INT(hob_run(NULL, simulated, NULL), 0);
}

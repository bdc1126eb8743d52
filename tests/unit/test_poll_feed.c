/* SPDX-License-Identifier: MIT
 *
 * test_poll_feed.c - feeds: what comes is taken without being asked for
 */
#include "poll_util.h"

#include "feed_util.h"
#include "sched/sim_net.h"

/* A feed whose bytes are copied and whose pieces are given back, or held. */
struct feeder {
    struct poll_feed f;
    struct poller *p;
    bool hold;
    bool once; /* a piece, and no more */
    struct poll_piece *held;
    int n_held, n_ends, end;
    size_t n;
    char got[64 * 1024];
};

static void feeder_came(struct poll_feed *f, struct poll_piece *piece, int32_t end)
{
    struct feeder *d = container_of(f, struct feeder, f);

    if (!piece) {
        d->n_ends++;
        d->end = end;
        return;
    }
    CHECK_INT(d->n_ends, 0);
    CHECK(piece->n > 0 && piece->n <= POLL_PIECE_BYTES && d->n + piece->n <= sizeof d->got);
    if (d->once)
        d->p->ops->unfeed(d->p, f);
    memcpy(d->got + d->n, piece->at, piece->n);
    d->n += piece->n;
    if (d->hold) {
        piece->next = d->held;
        d->held = piece;
        d->n_held++;
    } else {
        d->p->ops->give(d->p, piece);
    }
}

static void feeder_init(struct feeder *d, struct poller *p, int fd)
{
    d->f = (struct poll_feed){.fd = fd, .came = feeder_came};
    d->p = p;
    d->hold = d->once = false;
    d->held = NULL;
    d->n_held = d->n_ends = 0;
    d->n = 0;
}

static void feeder_start(struct feeder *d)
{
    d->n_ends = 0;
    if (!d->p->ops->feed(d->p, &d->f))
        t_skip("this kernel's rings have no buffers to select from");
}

static void feeder_give(struct feeder *d)
{
    while (d->held) {
        struct poll_piece *piece = d->held;
        d->held = piece->next;
        d->n_held--;
        d->p->ops->give(d->p, piece);
    }
}

/* Until n bytes have come; a full completion queue may have ended it meanwhile. */
static void feeder_wait(struct feeder *d, size_t n)
{
    while (d->n < n) {
        if (d->n_ends && d->end == -EAGAIN)
            feeder_start(d);
        CHECK_INT(d->n_ends, 0);
        CHECK_INT(d->p->ops->wait(d->p, HOB_FOREVER), 0);
    }
    CHECK_INT(d->n, n);
}

static int feeder_end(struct feeder *d)
{
    while (!d->n_ends) {
        CHECK_INT(d->p->ops->wait(d->p, HOB_FOREVER), 0);
        if (d->n_ends && d->end == -EAGAIN)
            feeder_start(d);
    }
    CHECK_INT(d->n_ends, 1);
    return d->end;
}

static void send_stream(int fd, size_t at, size_t n)
{
    char buf[8192];

    CHECK_INT(write(fd, stream(buf, at, n), n), n);
}

static struct feeder one, other;

ON_EVERY_URING(a_feed_brings_what_comes_and_then_the_end)
{
    int s[2];
    size_t n = 0;

    tcp_pair(s);
    feeder_init(&one, p, s[0]);
    feeder_start(&one);
    turns(p);
    CHECK_INT(one.n, 0);
    for (size_t k = 1; k <= 5000; n += k, k = 3 * k + 1) {
        send_stream(s[1], n, k);
        feeder_wait(&one, n + k);
    }
    CHECK_INT(shutdown(s[1], SHUT_WR), 0);
    CHECK_INT(feeder_end(&one), 0);
    check_stream(one.got, 0, n);
    CHECK_INT(write(s[0], "x", 1), 1); /* the other half */
    pair_close(s);
}

ON_EVERY_URING(a_feed_reports_a_reset)
{
    struct linger now = {.l_onoff = 1};
    int s[2];

    tcp_pair(s);
    feeder_init(&one, p, s[0]);
    feeder_start(&one);
    turns(p);
    setsockopt(s[1], SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(s[1]);
    CHECK_INT(feeder_end(&one), -ECONNRESET);
    close(s[0]);
}

ON_EVERY_URING(a_feed_that_never_began_ends_too)
{
    int s[2];

    pair_open(SOCK_STREAM, s);
    feeder_init(&one, p, s[0]);
    for (int i = 0; i < 3; i++) {
        feeder_start(&one);
        CHECK(p->ops->busy(p));
        p->ops->unfeed(p, &one.f);
        p->ops->unfeed(p, &one.f);
        CHECK_INT(one.n_ends, 0);
        CHECK_INT(feeder_end(&one), -ECANCELED);
    }
    CHECK_INT(write(s[1], "x", 1), 1);
    turns(p);
    CHECK_INT(one.n, 0);
    pair_close(s);
}

/* What it did not bring is still in the socket, whenever the request comes. */
ON_EVERY_URING(nothing_is_lost_when_a_feed_is_ended)
{
    int s[2];

    tcp_pair(s);
    feeder_init(&one, p, s[0]);
    for (int when = 0; when < 4; when++) {
        one.n = 0;
        feeder_start(&one);
        turns(p);
        send_stream(s[1], 0, 700);
        if (when == 1)
            turns(p);
        p->ops->unfeed(p, &one.f);
        if (when == 2)
            p->ops->unfeed(p, &one.f);
        send_stream(s[1], 700, 300);
        int end = feeder_end(&one);
        CHECK(end == -ECANCELED);
        while (one.n < 1000) {
            ssize_t r = read(s[0], one.got + one.n, 1000 - one.n);
            CHECK(r > 0);
            one.n += (size_t)r;
        }
        check_stream(one.got, 0, 1000);
    }
    pair_close(s);
}

TEST(memory_that_is_held_ends_a_feed_and_nothing_is_lost)
{
    struct poller *p;
    struct uring_opts opts = {.setup = URING_BEST, .pieces = 4};
    int s[2], r = hob__poll_uring_open(&opts, &p);
    size_t sent = 0;

    if (r < 0)
        t_skip("no such io_uring here: %s", hob_strerror(r));
    tcp_pair(s);
    feeder_init(&one, p, s[0]);
    one.hold = true;
    feeder_start(&one);
    for (int i = 0; i < 10; i++, sent += 10) {
        send_stream(s[1], sent, 10);
        turns(p);
    }
    CHECK_INT(one.n_ends, 1);
    CHECK_INT(one.end, -ENOBUFS);
    CHECK_INT(one.n, 40);
    CHECK_INT(one.n_held, 4);
    CHECK(!p->ops->feed(p, &one.f));
    feeder_give(&one);
    one.hold = false;
    for (int i = 0; i < 100; i++, sent += 10) {
        if (i == 0)
            feeder_start(&one);
        send_stream(s[1], sent, 10);
        feeder_wait(&one, sent + 10);
    }
    check_stream(one.got, 0, sent);
    p->ops->unfeed(p, &one.f);
    CHECK_INT(feeder_end(&one), -ECANCELED);
    p->ops->close(p);
    pair_close(s);
}

/* Its end is there already when it is asked for: nothing of the request stays behind. */
ON_EVERY_URING(a_feed_may_end_while_it_is_asked_to)
{
    struct feeder *gone = malloc(sizeof *gone);
    int s[2];

    CHECK(gone != NULL);
    tcp_pair(s);
    send_stream(s[1], 0, 100);
    CHECK_INT(shutdown(s[1], SHUT_WR), 0);
    feeder_init(gone, p, s[0]);
    gone->once = true;
    feeder_start(gone);
    int end = feeder_end(gone);
    CHECK(end == 0 || end == -ECANCELED);
    CHECK_INT(gone->n, 100);
    free(gone);
    turns(p);
    pair_close(s);
}

ON_EVERY_URING(every_piece_comes_back)
{
    int s[2];
    size_t n = 0;

    pair_open(SOCK_STREAM, s);
    feeder_init(&one, p, s[0]);
    feeder_start(&one);
    for (int i = 0; i < 1000; i++, n += 7) { /* more often than there are pieces */
        send_stream(s[1], n, 7);
        feeder_wait(&one, n + 7);
    }
    check_stream(one.got, 0, n);
    p->ops->unfeed(p, &one.f);
    CHECK_INT(feeder_end(&one), -ECANCELED);
    pair_close(s);
}

ON_EVERY_URING(two_feeds_and_an_operation_do_not_meet)
{
    int a[2], b[2], c[2];
    char in[8];

    tcp_pair(a);
    tcp_pair(b);
    pair_open(SOCK_STREAM, c);
    feeder_init(&one, p, a[0]);
    feeder_init(&other, p, b[0]);
    feeder_start(&one);
    feeder_start(&other);
    struct job r = job_io(POLL_RECV, c[0], in, sizeof in);
    job_start(p, &r);
    send_stream(a[1], 0, 100);
    send_stream(b[1], 0, 3000);
    feeder_wait(&one, 100);
    feeder_wait(&other, 3000);
    CHECK_INT(r.n_done, 0);
    p->ops->unfeed(p, &one.f);
    p->ops->cancel(p, &r.op);
    CHECK_INT(feeder_end(&one), -ECANCELED);
    if (!r.n_done)
        job_end(p, &r);
    CHECK_INT(r.op.res, -ECANCELED);
    send_stream(b[1], 3000, 5);
    feeder_wait(&other, 3005);
    check_stream(other.got, 0, 3005);
    CHECK_INT(shutdown(b[1], SHUT_WR), 0);
    CHECK_INT(feeder_end(&other), 0);
    pair_close(a);
    pair_close(b);
    pair_close(c);
}

ON_EVERY_URING(what_is_no_socket_is_told)
{
    int s[2];

    CHECK_INT(pipe2(s, O_CLOEXEC), 0);
    CHECK_INT(write(s[1], "x", 1), 1);
    feeder_init(&one, p, s[0]);
    feeder_start(&one);
    CHECK_INT(feeder_end(&one), -ENOTSOCK);
    struct job r = job_io(POLL_RECV, s[0], one.got, 1);
    CHECK_INT(job_run(p, &r), 1);
    pair_close(s);
}

TEST(other_pollers_have_no_feeds)
{
    struct poller *p = poller_epoll();

    feeder_init(&one, p, 0);
    CHECK(!p->ops->feed(p, &one.f));
    p->ops->close(p);
    CHECK_INT(hob__poll_sim.open(&p), 0);
    CHECK(!p->ops->feed(p, &one.f));
    p->ops->close(p);
}

TEST(a_kernel_without_them_says_so_and_receives)
{
    struct poller *p = poller_uring(URING_BEST, 0, 0);
    int s[2];

    buffers_are_refused();
    pair_open(SOCK_STREAM, s);
    feeder_init(&one, p, s[0]);
    for (int i = 0; i < 3; i++)
        CHECK(!p->ops->feed(p, &one.f));
    struct job r = job_io(POLL_RECV, s[0], one.got, 8);
    CHECK_INT(write(s[1], "abc", 3), 3);
    CHECK_INT(job_run(p, &r), 3);
    pair_close(s);
    p->ops->close(p);
}

static void no_connection(struct poll_feed *f, int fd)
{
    (void)f;
    t_fail(__FILE__, __LINE__, "descriptor %d came", fd);
}

ON_EVERY_URING(what_is_no_listener_is_told)
{
    int s[2];

    tcp_pair(s);
    feeder_init(&one, p, s[0]);
    one.f.accepted = no_connection;
    feeder_start(&one);
    CHECK_INT(feeder_end(&one), -EINVAL);
    feeder_init(&one, p, s[0]); /* and is no reason to receive nothing */
    feeder_start(&one);
    send_stream(s[1], 0, 10);
    feeder_wait(&one, 10);
    p->ops->unfeed(p, &one.f);
    CHECK_INT(feeder_end(&one), -ECANCELED);
    pair_close(s);
}

/* SPDX-License-Identifier: MIT
 *
 * test_poll_listener.c - feeds of listeners: connections are accepted without being asked for each
 */
#include "poll_util.h"

enum { DIALLED = 60 };

/* A listener's feed, and the connections it brought. */
struct taker {
    struct poll_feed f;
    struct poller *p;
    int stop_at; /* so many; then it is asked to end */
    int fd[DIALLED], n, n_ends, end;
};

static void taker_accepted(struct poll_feed *f, int fd)
{
    struct taker *t = container_of(f, struct taker, f);

    CHECK_INT(t->n_ends, 0);
    CHECK(t->n < DIALLED && (fcntl(fd, F_GETFL) & O_NONBLOCK) && fcntl(fd, F_GETFD) == FD_CLOEXEC);
    t->fd[t->n++] = fd;
    if (t->n == t->stop_at)
        t->p->ops->unfeed(t->p, f);
}

static void taker_came(struct poll_feed *f, struct poll_piece *piece, int32_t end)
{
    struct taker *t = container_of(f, struct taker, f);

    CHECK(!piece);
    t->n_ends++;
    t->end = end;
}

static void taker_init(struct taker *t, struct poller *p, int listener)
{
    *t = (struct taker){.f = {.fd = listener, .came = taker_came, .accepted = taker_accepted},
                        .p = p};
}

static void taker_start(struct taker *t)
{
    t->n_ends = 0;
    if (!t->p->ops->feed(t->p, &t->f))
        t_skip("this kernel's multishot accepts may lose a connection");
}

static void taker_wait(struct taker *t, int n)
{
    while (t->n < n) {
        if (t->n_ends && t->end == -EAGAIN) /* the queue of completions was full */
            taker_start(t);
        CHECK_INT(t->n_ends, 0);
        CHECK_INT(t->p->ops->wait(t->p, HOB_FOREVER), 0);
    }
    CHECK_INT(t->n, n);
}

static int taker_end(struct taker *t)
{
    while (!t->n_ends)
        CHECK_INT(t->p->ops->wait(t->p, HOB_FOREVER), 0);
    CHECK_INT(t->n_ends, 1);
    return t->end;
}

static void dial_all(const struct sockaddr_in *at, int peers[], int n)
{
    for (int i = 0; i < n; i++) {
        peers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK_INT(connect(peers[i], (const struct sockaddr *)at, sizeof *at), 0);
    }
}

static void close_all(const int fds[], int n)
{
    for (int i = 0; i < n; i++)
        CHECK_INT(close(fds[i]), 0); /* else the kernel named one that is none */
}

/* In a batch of more than a small ring has room for, and one by one. */
ON_EVERY_URING(a_listeners_feed_brings_every_connection)
{
    struct sockaddr_in at;
    struct taker t;
    int l = listener(DIALLED, &at), peers[DIALLED];

    taker_init(&t, p, l);
    dial_all(&at, peers, DIALLED / 2);
    taker_start(&t);
    taker_wait(&t, DIALLED / 2);
    for (int i = DIALLED / 2; i < DIALLED; i++) {
        dial_all(&at, peers + i, 1);
        taker_wait(&t, i + 1);
    }
    if (!t.n_ends) {
        p->ops->unfeed(p, &t.f);
        CHECK_INT(taker_end(&t), -ECANCELED);
    }
    close_all(t.fd, DIALLED);
    close_all(peers, DIALLED);
    close(l);
}

/* What it did not bring is still in the backlog. */
ON_EVERY_URING(a_listeners_feed_that_is_ended_leaves_the_rest)
{
    struct sockaddr_in at;
    struct taker t;
    int l = listener(DIALLED, &at), peers[DIALLED], fd;

    taker_init(&t, p, l);
    taker_start(&t);
    p->ops->unfeed(p, &t.f);
    CHECK_INT(taker_end(&t), -ECANCELED);
    t.stop_at = 3;
    dial_all(&at, peers, DIALLED / 2);
    taker_start(&t);
    int end = taker_end(&t);
    CHECK(end == -ECANCELED || end == -EAGAIN);
    turns(p);
    dial_all(&at, peers + DIALLED / 2, DIALLED / 2);
    turns(p);
    CHECK_INT(t.n_ends, 1);
    CHECK(t.n <= DIALLED / 2);
    while (t.n < DIALLED) {
        CHECK((fd = accept4(l, NULL, NULL, SOCK_CLOEXEC)) >= 0);
        t.fd[t.n++] = fd;
    }
    CHECK(accept4(l, NULL, NULL, SOCK_CLOEXEC) < 0);
    close_all(t.fd, DIALLED);
    close_all(peers, DIALLED);
    close(l);
}

TEST(a_kernel_that_may_lose_connections_has_no_feeds_of_listeners)
{
    enum { SINCE_6_10 = 1 << 14 };
    struct uring_opts opts = {.setup = URING_BEST, .without = SINCE_6_10};
    struct poller *p;
    struct taker t;
    int r = hob__poll_uring_open(&opts, &p);

    if (r < 0)
        t_skip("no such io_uring here: %s", hob_strerror(r));
    taker_init(&t, p, 0);
    CHECK(!p->ops->feed(p, &t.f));
    p->ops->close(p);
}

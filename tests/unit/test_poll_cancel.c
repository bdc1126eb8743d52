/* SPDX-License-Identifier: MIT
 *
 * test_poll_cancel.c - result or cancel, never both; done exactly once
 */
#include "poll_util.h"

#include <sys/un.h>

static void cancelled(struct poller *p, struct job *j)
{
    job_start(p, j);
    turns(p);
    CHECK_INT(j->n_done, 0);
    p->ops->cancel(p, &j->op);
    p->ops->cancel(p, &j->op);
    CHECK_INT(j->n_done, 0); /* only wait() reports */
    CHECK_INT(job_end(p, j), -ECANCELED);
    p->ops->cancel(p, &j->op); /* after the end: nothing */
    turns(p);
    CHECK_INT(j->n_done, 1);
}

ON_EVERY_POLLER(cancel_ends_a_recv)
{
    int s[2];
    char in[8];

    pair_open(SOCK_STREAM, s);
    struct job j = job_io(POLL_RECV, s[0], in, sizeof in);
    cancelled(p, &j);
    CHECK_INT(write(s[1], "abc", 3), 3); /* what comes later is there for the next one */
    CHECK_INT(job_run(p, &j), 3);
    pair_close(s);
}

ON_EVERY_POLLER(cancel_ends_a_recv_of_a_pipe)
{
    int s[2];
    char in[8];

    CHECK_INT(pipe2(s, O_CLOEXEC), 0);
    struct job j = job_io(POLL_RECV, s[0], in, sizeof in);
    cancelled(p, &j);
    CHECK_INT(write(s[1], "abc", 3), 3);
    CHECK_INT(job_run(p, &j), 3);
    pair_close(s);
}

ON_EVERY_POLLER(cancel_ends_a_send)
{
    int s[2], q[2];

    tcp_pair(s);
    fill(s[0]);
    struct job j = job_io(POLL_SEND, s[0], "x", 1);
    cancelled(p, &j);
    pair_close(s);
    CHECK_INT(pipe2(q, O_CLOEXEC), 0);
    fill(q[1]);
    j = job_io(POLL_SEND, q[1], "x", 1);
    cancelled(p, &j);
    pair_close(q);
}

ON_EVERY_POLLER(cancel_ends_an_accept)
{
    struct sockaddr_in a;
    int l = listener(8, &a);
    struct job j = job_of(POLL_ACCEPT, l);

    cancelled(p, &j);
    close(l);
}

ON_EVERY_POLLER(cancel_ends_a_connect)
{
    struct sockaddr_in a;
    int l = listener(0, &a), c[3];

    /* A queue that is full leaves the next SYN unanswered. */
    for (int i = 0; i < 3; i++)
        c[i] = tcp_socket();
    for (int i = 0; i < 2; i++)
        (void)connect(c[i], (struct sockaddr *)&a, sizeof a);
    struct job j = job_connect(c[2], &a);
    cancelled(p, &j);
    for (int i = 0; i < 3; i++)
        close(c[i]);
    close(l);
}

/* A full backlog: on epoll nothing could tell when it has room, so that is the result; the ring
 * waits, in a thread of the kernel's. */
ON_EVERY_POLLER(cancel_ends_a_connect_to_a_full_unix_socket)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    socklen_t len = sizeof(sa_family_t);
    int l = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), c[4], n = 0;

    CHECK_INT(bind(l, (struct sockaddr *)&a, len), 0);
    CHECK_INT(listen(l, 0), 0);
    len = sizeof a;
    CHECK_INT(getsockname(l, (struct sockaddr *)&a, &len), 0);
    do {
        CHECK(n < 4);
        c[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    } while (connect(c[n++], (struct sockaddr *)&a, len) == 0);
    struct job j = job_of(POLL_CONNECT, c[n - 1]);
    j.op.addr = (struct sockaddr *)&a;
    j.op.addr_len = len;
    job_start(p, &j);
    turns(p);
    p->ops->cancel(p, &j.op);
    int r = j.n_done ? j.op.res : job_end(p, &j);
    CHECK(r == -ECANCELED || r == -EAGAIN);
    while (n--)
        close(c[n]);
    close(l);
}

ON_EVERY_POLLER(cancel_ends_a_ready)
{
    int fd = eventfd(0, EFD_CLOEXEC);
    struct job j = job_ready(fd, EPOLLIN);

    cancelled(p, &j);
    close(fd);
}

ON_EVERY_POLLER(cancel_before_the_first_wait_does_nothing_of_it)
{
    int s[2];
    char in[8];

    pair_open(SOCK_STREAM, s);
    CHECK_INT(write(s[1], "abc", 3), 3);
    struct job j = job_io(POLL_RECV, s[0], in, sizeof in);
    job_start(p, &j);
    p->ops->cancel(p, &j.op);
    int r = job_end(p, &j);
    CHECK(r == 3 || r == -ECANCELED);
    if (r == -ECANCELED)
        CHECK_INT(read(s[0], in, sizeof in), 3);
    pair_close(s);
}

ON_EVERY_POLLER(cancel_racing_data_loses_none_of_it)
{
    int s[2], n_result = 0;
    char in[8];

    tcp_pair(s);
    for (int i = 0; i < 500; i++) {
        struct job j = job_io(POLL_RECV, s[0], in, sizeof in);
        job_start(p, &j);
        if (i % 3)
            turns(p);
        if (i % 2)
            CHECK_INT(write(s[1], "ab", 2), 2);
        p->ops->cancel(p, &j.op);
        if (i % 2 == 0)
            CHECK_INT(write(s[1], "ab", 2), 2);
        int r = job_end(p, &j);
        turns(p);
        CHECK_INT(j.n_done, 1);
        if (r == -ECANCELED)
            CHECK_INT(read(s[0], in, sizeof in), 2);
        else
            CHECK_INT(r, 2);
        n_result += r == 2;
    }
    CHECK(n_result < 500);
    pair_close(s);
}

struct killer {
    struct job job;
    struct poller *p;
    struct poll_op *victim;
};

static void killer_done(struct poll_op *op)
{
    struct killer *k = container_of(op, struct killer, job.op);

    k->job.n_done++;
    k->p->ops->cancel(k->p, k->victim);
}

/* The victim's end may be in the same batch, not in it yet, or long past. */
ON_EVERY_POLLER(done_may_cancel_another_operation_of_its_batch)
{
    int fd = eventfd(0, EFD_CLOEXEC);
    struct job *victim = malloc(sizeof *victim);
    struct killer a = {.job = job_ready(fd, EPOLLIN), .p = p, .victim = &victim->op};
    struct killer b = a;

    a.job.op.done = b.job.op.done = killer_done;
    *victim = job_ready(fd, EPOLLIN);
    job_start(p, &a.job);
    job_start(p, victim);
    job_start(p, &b.job);
    turns(p);
    CHECK_INT(eventfd_write(fd, 1), 0);
    while (!victim->n_done || !a.job.n_done || !b.job.n_done)
        CHECK_INT(p->ops->wait(p, HOB_FOREVER), 0);
    CHECK_INT(victim->n_done, 1);
    CHECK(victim->op.res == EPOLLIN || victim->op.res == -ECANCELED);
    free(victim); /* the poller must have forgotten it */
    turns(p);
    CHECK_INT(a.job.n_done + b.job.n_done, 2);
    close(fd);
}

/* The cancel of one activation must not end the next one in the same storage. */
ON_EVERY_POLLER(a_late_cancel_does_not_hit_the_next_use_of_the_storage)
{
    int s[2], idle = eventfd(0, EFD_CLOEXEC);
    char in[8];
    struct job j;

    pair_open(SOCK_STREAM, s);
    for (int i = 0; i < 300; i++) {
        j = job_io(POLL_RECV, s[0], in, 1);
        job_start(p, &j);
        if (i % 2)
            turns(p);
        CHECK_INT(write(s[1], "a", 1), 1);
        if (i % 3 == 0)
            turns(p);
        p->ops->cancel(p, &j.op);
        if (!j.n_done)
            job_end(p, &j);
        if (j.op.res == -ECANCELED)
            drain(s[0], 1);
        else
            CHECK_INT(j.op.res, 1);
        j = job_ready(idle, EPOLLIN);
        job_start(p, &j);
        turns(p);
        CHECK_INT(j.n_done, 0);
        CHECK_INT(eventfd_write(idle, 1), 0);
        CHECK_INT(job_end(p, &j), EPOLLIN);
        drain(idle, 8);
    }
    pair_close(s);
    close(idle);
}

/* More cancels at once than the submission queue holds. */
ON_EVERY_POLLER(a_storm_of_cancels_ends_every_operation_once)
{
    enum { N = 3000 };
    struct job *j = calloc(N, sizeof *j);
    int fd = eventfd(0, EFD_CLOEXEC), n_cancelled = 0;

    for (int i = 0; i < N; i++) {
        j[i] = job_ready(fd, EPOLLIN);
        job_start(p, &j[i]);
        if (i == N / 2)
            turns(p);
    }
    for (int i = 0; i < N; i++) {
        if (i == N / 4)
            CHECK_INT(eventfd_write(fd, 1), 0);
        p->ops->cancel(p, &j[i].op);
    }
    for (int i = 0; i < N; i++)
        while (!j[i].n_done)
            CHECK_INT(p->ops->wait(p, HOB_FOREVER), 0);
    turns(p);
    for (int i = 0; i < N; i++) {
        CHECK_INT(j[i].n_done, 1);
        CHECK(j[i].op.res == -ECANCELED || j[i].op.res == EPOLLIN);
        n_cancelled += j[i].op.res == -ECANCELED;
    }
    CHECK(n_cancelled > 0);
    close(fd);
    free(j);
}

/* Once cancelled and reported, the descriptor is the caller's again. */
ON_EVERY_POLLER(a_descriptor_may_be_closed_after_its_cancel)
{
    int s[2];
    char in[8];

    for (int i = 0; i < 50; i++) {
        tcp_pair(s);
        struct job j = job_io(POLL_RECV, s[0], in, sizeof in);
        job_start(p, &j);
        if (i % 2)
            turns(p);
        p->ops->cancel(p, &j.op);
        CHECK_INT(job_end(p, &j), -ECANCELED);
        close(s[0]);
        CHECK_INT(read(s[1], in, sizeof in), 0); /* the peer sees the end at once */
        close(s[1]);
    }
}

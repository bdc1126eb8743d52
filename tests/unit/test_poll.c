/* SPDX-License-Identifier: MIT
 *
 * test_poll.c - each kind of operation on each kind of poller
 */
#include "poll_util.h"

#include <signal.h>
#include <sys/un.h>

ON_EVERY_POLLER(recv_waits_for_data)
{
    int s[2];
    char in[8];

    pair_open(SOCK_STREAM, s);
    struct job r = job_io(POLL_RECV, s[0], in, sizeof in);
    job_start(p, &r);
    turns(p);
    CHECK_INT(r.n_done, 0);
    struct job w = job_io(POLL_SEND, s[1], "abc", 3);
    CHECK_INT(job_run(p, &w), 3);
    if (!r.n_done)
        job_end(p, &r);
    CHECK_INT(r.op.res, 3);
    CHECK(memcmp(in, "abc", 3) == 0);
    pair_close(s);
}

ON_EVERY_POLLER(recv_takes_what_is_there_already)
{
    int s[2];
    char in[2];

    pair_open(SOCK_STREAM, s);
    CHECK_INT(write(s[1], "abc", 3), 3);
    struct job r = job_io(POLL_RECV, s[0], in, sizeof in);
    CHECK_INT(job_run(p, &r), 2);
    CHECK_INT(job_run(p, &r), 1);
    CHECK_INT(in[0], 'c');
    pair_close(s);
}

ON_EVERY_POLLER(recv_at_the_end_is_0)
{
    int s[2];
    char in[8];

    tcp_pair(s);
    struct job r = job_io(POLL_RECV, s[0], in, sizeof in);
    job_start(p, &r);
    turns(p);
    CHECK_INT(write(s[1], "x", 1), 1);
    CHECK_INT(shutdown(s[1], SHUT_WR), 0);
    CHECK_INT(job_end(p, &r), 1);
    CHECK_INT(job_run(p, &r), 0);
    CHECK_INT(job_run(p, &r), 0);
    pair_close(s);
}

ON_EVERY_POLLER(recv_reports_a_reset)
{
    struct linger now = {.l_onoff = 1};
    int s[2];
    char in[8];

    tcp_pair(s);
    struct job r = job_io(POLL_RECV, s[0], in, sizeof in);
    job_start(p, &r);
    turns(p);
    setsockopt(s[1], SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(s[1]);
    CHECK_INT(job_end(p, &r), -ECONNRESET);
    close(s[0]);
}

ON_EVERY_POLLER(datagrams_queued_together_are_all_received)
{
    int s[2];
    char in[64];

    pair_open(SOCK_DGRAM, s);
    struct job r = job_io(POLL_RECV, s[0], in, sizeof in);
    job_start(p, &r);
    turns(p);
    for (int i = 1; i <= 3; i++)
        CHECK_INT(send(s[1], in, (size_t)i, 0), i);
    CHECK_INT(job_end(p, &r), 1);
    CHECK_INT(job_run(p, &r), 2);
    CHECK_INT(job_run(p, &r), 3);
    pair_close(s);
}

ON_EVERY_POLLER(a_blocking_pipe_is_read_without_blocking)
{
    int s[2];
    char in[8];

    CHECK_INT(pipe2(s, O_CLOEXEC), 0);
    struct job r = job_io(POLL_RECV, s[0], in, sizeof in);
    job_start(p, &r);
    turns(p);
    CHECK_INT(r.n_done, 0);
    CHECK_INT(write(s[1], "abcd", 4), 4);
    CHECK_INT(job_end(p, &r), 4);
    job_start(p, &r);
    turns(p);
    close(s[1]);
    CHECK_INT(job_end(p, &r), 0);
    close(s[0]);
}

static void pipe_takes_more_when_read(struct poller *p, int flags)
{
    char *big = calloc(1, 1 << 20);
    int s[2];

    CHECK_INT(pipe2(s, O_CLOEXEC | flags), 0);
    size_t full = fill(s[1]);
    struct job w = job_io(POLL_SEND, s[1], big, 1 << 20);
    job_start(p, &w);
    turns(p);
    CHECK_INT(w.n_done, 0);
    drain(s[0], full);
    int n = job_end(p, &w);
    CHECK(n >= 1 && n < 1 << 20);
    pair_close(s);
    free(big);
}

ON_EVERY_POLLER(a_full_blocking_pipe_takes_more_when_read)
{
    pipe_takes_more_when_read(p, 0);
}

ON_EVERY_POLLER(a_full_non_blocking_pipe_takes_more_when_read)
{
    pipe_takes_more_when_read(p, O_NONBLOCK);
}

ON_EVERY_POLLER(send_takes_a_part_then_waits_for_room)
{
    size_t len = 8 << 20;
    char *big = calloc(1, len);
    int s[2];

    tcp_pair(s);
    struct job w = job_io(POLL_SEND, s[0], big, len);
    int n = job_run(p, &w);
    CHECK(n >= 1 && (size_t)n < len);
    size_t sent = (size_t)n;
    for (;;) { /* until it has to wait */
        job_start(p, &w);
        turns(p);
        if (w.op.state)
            break;
        sent += (size_t)w.op.res;
    }
    int before = w.n_done;
    drain(s[1], sent);
    CHECK(job_end(p, &w) >= 1);
    CHECK_INT(w.n_done, before + 1);
    pair_close(s);
    free(big);
}

static bool pipe_signal_pending(void)
{
    sigset_t set;

    sigpending(&set);
    return sigismember(&set, SIGPIPE);
}

ON_EVERY_POLLER(send_to_nobody_is_epipe_without_a_signal)
{
    int s[2], q[2];

    pair_open(SOCK_STREAM, s);
    CHECK_INT(pipe2(q, O_CLOEXEC), 0);
    close(s[1]);
    close(q[0]);
    struct job to_socket = job_io(POLL_SEND, s[0], "x", 1);
    CHECK_INT(job_run(p, &to_socket), -EPIPE);
    struct job to_pipe = job_io(POLL_SEND, q[1], "x", 1);
    CHECK_INT(job_run(p, &to_pipe), -EPIPE);
    CHECK(!pipe_signal_pending());
    close(s[0]);
    close(q[1]);
}

ON_EVERY_POLLER(a_pipe_that_loses_its_reader_ends_the_send)
{
    int s[2];

    CHECK_INT(pipe2(s, O_CLOEXEC), 0);
    fill(s[1]);
    struct job w = job_io(POLL_SEND, s[1], "x", 1);
    job_start(p, &w);
    turns(p);
    close(s[0]);
    CHECK_INT(job_end(p, &w), -EPIPE);
    CHECK(!pipe_signal_pending());
    close(s[1]);
}

ON_EVERY_POLLER(accept_gives_a_non_blocking_close_on_exec_descriptor)
{
    struct sockaddr_in a;
    int l = listener(8, &a);
    struct job j = job_of(POLL_ACCEPT, l);

    job_start(p, &j);
    turns(p);
    CHECK_INT(j.n_done, 0);
    for (int i = 0; i < 3; i++) {
        int c = tcp_socket();
        struct job connect = job_connect(c, &a);
        CHECK_INT(job_run(p, &connect), 0);
        if (j.op.state)
            job_end(p, &j);
        CHECK(j.op.res >= 0);
        CHECK(fcntl(j.op.res, F_GETFL) & O_NONBLOCK);
        CHECK(fcntl(j.op.res, F_GETFD) & FD_CLOEXEC);
        close(j.op.res);
        close(c);
        job_start(p, &j);
    }
    p->ops->cancel(p, &j.op);
    CHECK_INT(job_end(p, &j), -ECANCELED);
    close(l);
}

ON_EVERY_POLLER(connections_that_came_together_are_all_accepted)
{
    struct sockaddr_in a;
    int l = listener(8, &a), c[4];
    struct job j = job_of(POLL_ACCEPT, l);

    for (int i = 0; i < 4; i++) {
        c[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK_INT(connect(c[i], (struct sockaddr *)&a, sizeof a), 0);
    }
    for (int i = 0; i < 4; i++) {
        int fd = job_run(p, &j);
        CHECK(fd >= 0);
        close(fd);
        close(c[i]);
    }
    close(l);
}

ON_EVERY_POLLER(connect_to_a_closed_port_is_refused)
{
    struct sockaddr_in a;
    int l = listener(8, &a), c = tcp_socket();
    struct job j = job_connect(c, &a);

    close(l);
    CHECK_INT(job_run(p, &j), -ECONNREFUSED);
    close(c);
}

ON_EVERY_POLLER(connect_leaves_a_blocking_socket_blocking)
{
    struct sockaddr_in a;
    int l = listener(8, &a), c = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct job j = job_connect(c, &a);

    CHECK_INT(job_run(p, &j), 0);
    CHECK(!(fcntl(c, F_GETFL) & O_NONBLOCK));
    close(c);
    close(l);
}

ON_EVERY_POLLER(connect_reaches_a_unix_socket)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    socklen_t len = sizeof(sa_family_t);
    int l = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int c = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    CHECK_INT(bind(l, (struct sockaddr *)&a, len), 0); /* an abstract name of the kernel's choice */
    CHECK_INT(listen(l, 4), 0);
    len = sizeof a;
    CHECK_INT(getsockname(l, (struct sockaddr *)&a, &len), 0);
    struct job j = job_of(POLL_CONNECT, c);
    j.op.addr = (struct sockaddr *)&a;
    j.op.addr_len = len;
    CHECK_INT(job_run(p, &j), 0);
    close(c);
    close(l);
}

ON_EVERY_POLLER(ready_reports_the_events_there_are)
{
    int s[2];

    CHECK_INT(pipe2(s, O_CLOEXEC), 0); /* blocking */
    struct job in = job_ready(s[0], EPOLLIN), out = job_ready(s[1], EPOLLOUT);
    CHECK_INT(job_run(p, &out), EPOLLOUT);
    job_start(p, &in);
    turns(p);
    CHECK_INT(in.n_done, 0);
    CHECK_INT(write(s[1], "x", 1), 1);
    CHECK_INT(job_end(p, &in), EPOLLIN);
    CHECK_INT(job_run(p, &in), EPOLLIN); /* still */
    drain(s[0], 1);
    job_start(p, &in);
    turns(p);
    CHECK_INT(in.n_done, 2);
    close(s[1]);
    CHECK(job_end(p, &in) & EPOLLHUP);
    close(s[0]);
}

ON_EVERY_POLLER(ready_tells_a_half_close_from_data)
{
    int s[2];

    pair_open(SOCK_STREAM, s);
    struct job j = job_ready(s[0], EPOLLRDHUP);
    job_start(p, &j);
    CHECK_INT(write(s[1], "x", 1), 1);
    turns(p);
    CHECK_INT(j.n_done, 0);
    CHECK_INT(shutdown(s[1], SHUT_WR), 0);
    CHECK(job_end(p, &j) & EPOLLRDHUP);
    pair_close(s);
}

ON_EVERY_POLLER(a_regular_file_is_always_ready)
{
    char path[] = "/tmp/hob-poll-XXXXXX", in[8];
    int fd = mkstemp(path);

    CHECK(fd >= 0);
    unlink(path);
    struct job j = job_ready(fd, EPOLLIN | EPOLLOUT);
    CHECK_INT(job_run(p, &j), EPOLLIN | EPOLLOUT);
    struct job w = job_io(POLL_SEND, fd, "abc", 3), r = job_io(POLL_RECV, fd, in, sizeof in);
    CHECK_INT(job_run(p, &w), 3);
    CHECK_INT(lseek(fd, 1, SEEK_SET), 1);
    CHECK_INT(job_run(p, &r), 2);
    CHECK_INT(in[0], 'b');
    CHECK_INT(job_run(p, &r), 0);
    close(fd);
}

ON_EVERY_POLLER(a_bad_descriptor_is_ebadf)
{
    static const uint8_t kinds[] = {POLL_READY, POLL_RECV, POLL_SEND, POLL_ACCEPT, POLL_CONNECT};
    struct sockaddr_in a = {.sin_family = AF_INET};
    char buf[8];

    for (size_t i = 0; i < sizeof kinds; i++)
        for (int fd = -1; fd < 2000; fd += 2000) {
            struct job j = job_connect(fd, &a);
            j.op.kind = kinds[i];
            j.op.events = EPOLLIN;
            if (kinds[i] != POLL_CONNECT)
                j.op.buf = buf;
            j.op.len = sizeof buf;
            CHECK_INT(job_run(p, &j), -EBADF);
        }
}

ON_EVERY_POLLER(reader_and_writer_wait_on_one_descriptor)
{
    int s[2];
    char in[8];

    tcp_pair(s);
    size_t full = fill(s[0]);
    struct job r = job_io(POLL_RECV, s[0], in, sizeof in), w = job_io(POLL_SEND, s[0], "x", 1);
    struct job hup = job_ready(s[0], EPOLLRDHUP);
    job_start(p, &r);
    job_start(p, &w);
    job_start(p, &hup);
    turns(p);
    CHECK_INT(r.n_done + w.n_done + hup.n_done, 0);
    CHECK_INT(write(s[1], "ab", 2), 2);
    CHECK_INT(job_end(p, &r), 2);
    CHECK_INT(w.n_done, 0);
    drain(s[1], full);
    CHECK_INT(job_end(p, &w), 1);
    close(s[1]);
    CHECK(job_end(p, &hup) & EPOLLRDHUP);
    close(s[0]);
}

ON_EVERY_POLLER(several_readers_each_get_their_share)
{
    int s[2];
    char in[3];
    struct job r[3];

    pair_open(SOCK_STREAM, s);
    for (int i = 0; i < 3; i++) {
        r[i] = job_io(POLL_RECV, s[0], in + i, 1);
        job_start(p, &r[i]);
    }
    turns(p);
    CHECK_INT(write(s[1], "abc", 3), 3);
    for (int i = 0; i < 3; i++) {
        if (!r[i].n_done)
            job_end(p, &r[i]);
        CHECK_INT(r[i].op.res, 1);
    }
    CHECK_INT(in[0] + in[1] + in[2], 'a' + 'b' + 'c');
    pair_close(s);
}

ON_EVERY_POLLER(a_number_closed_and_used_again_is_met_afresh)
{
    char in[8];
    int s[2], keep;

    for (int round = 0; round < 6; round++) {
        pair_open(SOCK_STREAM, s);
        /* Every other time the old file lives on under another number, and its registration. */
        keep = round % 2 ? dup(s[0]) : -1;
        struct job r = job_io(POLL_RECV, s[0], in, sizeof in);
        job_start(p, &r);
        turns(p);
        CHECK_INT(r.n_done, 0);
        CHECK_INT(write(s[1], "ab", 2), 2);
        CHECK_INT(job_end(p, &r), 2);
        close(s[0]);
        if (keep >= 0) {
            CHECK_INT(write(s[1], "stale", 5), 5);
            struct job none = job_ready(keep, EPOLLIN);
            CHECK_INT(job_run(p, &none), EPOLLIN);
            close(keep);
        }
        close(s[1]);
    }
}

ON_EVERY_POLLER(file_operations_work_or_are_refused)
{
    char dir[] = "/tmp/hob-poll-XXXXXX", path[64], in[8] = "";

    CHECK(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/f", dir);
    struct job open = job_of(POLL_OPEN, -1);
    open.op.path = path;
    open.op.flags = O_RDWR;
    open.op.mode = 0600;
    CHECK_INT(job_run(p, &open), p->ops->can(p, POLL_OPEN) ? -ENOENT : -EOPNOTSUPP);
    if (p->ops->can(p, POLL_OPEN)) {
        open.op.flags |= O_CREAT;
        int fd = job_run(p, &open);
        CHECK(fd >= 0);
        CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        struct job w = job_io(POLL_PWRITE, fd, "abc", 3), r = job_io(POLL_PREAD, fd, in, 8);
        struct job sync = job_of(POLL_FSYNC, fd);
        w.op.offset = r.op.offset = 5;
        CHECK_INT(job_run(p, &w), 3);
        CHECK_INT(job_run(p, &sync), 0);
        sync.op.flags = IORING_FSYNC_DATASYNC;
        CHECK_INT(job_run(p, &sync), 0);
        CHECK_INT(job_run(p, &r), 3);
        CHECK_STR(in, "abc");
        r.op.offset = 8;
        CHECK_INT(job_run(p, &r), 0);
        close(fd);
        unlink(path);
    }
    rmdir(dir);
}

struct ping {
    struct poll_op op;
    struct poller *p;
    int left;
};

static void ping_done(struct poll_op *op)
{
    struct ping *ping = container_of(op, struct ping, op);

    CHECK_INT(op->res, 1);
    op->kind = op->kind == POLL_SEND ? POLL_RECV : POLL_SEND;
    if (--ping->left)
        ping->p->ops->submit(ping->p, op);
}

ON_EVERY_POLLER(done_may_submit_the_same_operation_again)
{
    int s[2];
    char byte[2] = {1, 2};

    pair_open(SOCK_STREAM, s);
    struct ping a = {.op = job_io(POLL_SEND, s[0], &byte[0], 1).op, .p = p, .left = 2000};
    struct ping b = {.op = job_io(POLL_RECV, s[1], &byte[1], 1).op, .p = p, .left = 2000};
    a.op.done = b.op.done = ping_done;
    p->ops->submit(p, &a.op);
    p->ops->submit(p, &b.op);
    while (a.left || b.left)
        CHECK_INT(p->ops->wait(p, HOB_FOREVER), 0);
    CHECK_INT(byte[1], 1);
    pair_close(s);
}

/* Far more completions at one instant than any of the rings holds. */
ON_EVERY_POLLER(a_flood_of_completions_loses_none)
{
    enum { N = 5000 };
    struct job *j = calloc(N, sizeof *j);
    int fd = eventfd(0, EFD_CLOEXEC);

    for (int i = 0; i < N; i++) {
        j[i] = job_ready(fd, EPOLLIN);
        job_start(p, &j[i]);
    }
    turns(p);
    CHECK_INT(eventfd_write(fd, 1), 0);
    for (int i = 0; i < N; i++) {
        while (!j[i].n_done)
            CHECK_INT(p->ops->wait(p, HOB_FOREVER), 0);
        CHECK_INT(j[i].op.res, EPOLLIN);
    }
    turns(p);
    for (int i = 0; i < N; i++)
        CHECK_INT(j[i].n_done, 1);
    close(fd);
    free(j);
}

ON_EVERY_POLLER(many_connections_work_at_once)
{
    enum { N = 400 };
    static struct job r[N], w[N];
    static char in[N];
    static int s[N][2];

    raise_fd_limit(2 * N + 64);
    for (int i = 0; i < N; i++) {
        pair_open(SOCK_STREAM, s[i]);
        r[i] = job_io(POLL_RECV, s[i][0], &in[i], 1);
        job_start(p, &r[i]);
    }
    turns(p);
    for (int i = N - 1; i >= 0; i--) {
        w[i] = job_io(POLL_SEND, s[i][1], &"ab"[i % 2], 1);
        job_start(p, &w[i]);
    }
    for (int i = 0; i < N; i++) {
        while (!r[i].n_done || !w[i].n_done)
            CHECK_INT(p->ops->wait(p, HOB_FOREVER), 0);
        CHECK_INT(in[i], "ab"[i % 2]);
        pair_close(s[i]);
    }
}

/* A belief about a file that is gone is corrected even if the loop never gets to sleep. */
TEST(epoll_meets_a_number_afresh_without_ever_sleeping)
{
    struct poller *p = poller_epoll();
    char in[8];

    for (int round = 0; round < 3; round++) {
        int s[2];
        pair_open(SOCK_STREAM, s);
        struct job r = job_io(POLL_RECV, s[0], in, sizeof in);
        job_start(p, &r);
        CHECK_INT(write(s[1], "x", 1), 1);
        for (int i = 0; i < 64 && !r.n_done; i++)
            CHECK_INT(p->ops->wait(p, 0), 0);
        CHECK_INT(r.n_done, 1);
        CHECK_INT(r.op.res, 1);
        pair_close(s);
    }
    p->ops->close(p);
}

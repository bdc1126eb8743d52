/* SPDX-License-Identifier: MIT */
#include <hob/hob.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/t.h"
#include "net_util.h"

enum { BIG = 3 << 20 };

static char out[BIG], in[BIG];

static void out_fill(void)
{
    for (size_t i = 0; i < BIG; i++)
        out[i] = (char)(i * 7 + i / 4096);
    memset(in, 0, sizeof in);
}

/* A file with `out` in it, that has no name. */
static int file_of(size_t n)
{
    char path[] = "/tmp/hob-test-pipe-XXXXXX";
    int fd = mkstemp(path);

    CHECK(fd >= 0);
    unlink(path);
    CHECK_INT(write(fd, out, n), n);
    return fd;
}

static int pipes(void *arg)
{
    int p[2], q[2];
    char c;

    (void)arg;
    CHECK_INT(hob_pipe_open(NULL, p), 0);
    CHECK(fcntl(p[0], F_GETFL) & O_NONBLOCK && fcntl(p[1], F_GETFL) & O_NONBLOCK);
    CHECK(fcntl(p[0], F_GETFD) & FD_CLOEXEC);
    CHECK_INT(hob_write(p[1], "x", 1, HOB_FOREVER), 1);
    CHECK_INT(hob_read(p[0], &c, 1, HOB_FOREVER), 1);
    CHECK_INT(hob_read(p[0], &c, 1, hob_in(HOB_MS)), -ETIMEDOUT);
    CHECK_INT(hob_pipe_open(HOB_PIPE_OPTS(.bytes = 4096, .blocking_read = true), q), 0);
    CHECK(!(fcntl(q[0], F_GETFL) & O_NONBLOCK) && fcntl(q[1], F_GETFL) & O_NONBLOCK);
    CHECK_INT(hob_write(q[1], out, 5000, 0), 4096); /* what there is room for */
    CHECK_INT(hob_write(q[1], out, 1, hob_in(HOB_MS)), -ETIMEDOUT);
    hob_close(q[0]);
    CHECK_INT(hob_write(q[1], out, 1, HOB_FOREVER), -EPIPE); /* and we live */
    hob_close(q[1]);
    hob_close(p[1]);
    CHECK_INT(hob_read(p[0], &c, 1, HOB_FOREVER), 0);
    hob_close(p[0]);
    return 0;
}

TEST(a_pipe_has_two_ends)
{
    on_pollers(pipes, NULL, 0);
    CHECK_INT(pipes(NULL), 0);
    CHECK_INT(hob_pipe_open(&(struct hob_pipe_opts){.size = 1}, NULL), -EINVAL);
}

/* Descriptors that others made, blocking, shared: as standard streams are. */
static int inherited(void *arg)
{
    char path[] = "/tmp/hob-test-pipe-XXXXXX", buf[8] = "";
    int p[2], file = mkstemp(path), null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int pty = posix_openpt(O_RDWR | O_NOCTTY), tty;

    (void)arg;
    CHECK_INT(pipe(p), 0);
    CHECK_INT(hob_write(p[1], "ab", 2, HOB_FOREVER), 2);
    CHECK_INT(hob_read(p[0], buf, sizeof buf, HOB_FOREVER), 2);
    CHECK_INT(hob_read(p[0], buf, sizeof buf, 0), -ETIMEDOUT);
    CHECK(!(fcntl(p[0], F_GETFL) & O_NONBLOCK) && !(fcntl(p[1], F_GETFL) & O_NONBLOCK));
    unlink(path);
    CHECK_INT(hob_write(file, "hello", 5, HOB_FOREVER), 5);
    CHECK_INT(lseek(file, 0, SEEK_SET), 0);
    CHECK_INT(hob_read(file, buf, sizeof buf, HOB_FOREVER), 5);
    CHECK_INT(hob_read(file, buf, sizeof buf, HOB_FOREVER), 0);
    CHECK_INT(hob_write(null, "hello", 5, HOB_FOREVER), 5);
    CHECK_INT(hob_read(null, buf, sizeof buf, HOB_FOREVER), 0);
    CHECK_INT(unlockpt(pty), 0);
    CHECK((tty = open(ptsname(pty), O_RDWR | O_NOCTTY)) >= 0);
    CHECK_INT(hob_write(pty, "line\n", 5, HOB_FOREVER), 5);
    CHECK_INT(hob_read(tty, buf, sizeof buf, HOB_FOREVER), 5);
    CHECK(memcmp(buf, "line\n", 5) == 0);
    close(tty);
    close(pty);
    close(null);
    close(file);
    close(p[0]);
    close(p[1]);
    return 0;
}

TEST(descriptors_of_others_need_no_wrapping)
{
    on_pollers(inherited, NULL, 0);
}

struct pump {
    int from, to;
    off_t from_at;
    size_t n;
    ssize_t moved;
};

static int pumps(void *arg)
{
    struct pump *p = arg;

    p->moved = hob_fd_splice(p->from, p->from_at, p->to, -1, p->n, HOB_FOREVER);
    hob_close(p->to);
    return p->moved < 0 ? (int)p->moved : 0;
}

static int reads_all(void *arg)
{
    int fd = *(int *)arg;
    size_t got = 0;
    ssize_t n;

    while ((n = hob_read(fd, in + got, sizeof in - got, HOB_FOREVER)) > 0)
        got += (size_t)n;
    hob_close(fd);
    CHECK(got == sizeof in && memcmp(in, out, sizeof in) == 0);
    return (int)n;
}

static int writes_all(void *arg)
{
    int fd = *(int *)arg;

    CHECK_INT(hob_write(fd, out, sizeof out, HOB_FOREVER), sizeof out);
    hob_close(fd);
    return 0;
}

/* socket -> pipe -> socket -> ..., and file -> socket, all at once: more than any of them holds. */
static int chain(void *arg)
{
    int a[2], b[2], p[2];
    hob_group g;

    (void)arg;
    out_fill();
    CHECK_INT(hob_unix_pair(a), 0);
    CHECK_INT(hob_unix_pair(b), 0);
    CHECK_INT(hob_pipe_open(NULL, p), 0);
    struct pump first = {.from = a[1], .from_at = -1, .to = p[1], .n = SIZE_MAX};
    struct pump second = {.from = p[0], .from_at = -1, .to = b[0], .n = SIZE_MAX};
    CHECK_INT(hob_group_open(&g, NULL), 0);
    CHECK_INT(hob_go(&g, writes_all, &a[0]), 0);
    CHECK_INT(hob_go(&g, pumps, &first), 0);
    CHECK_INT(hob_go(&g, pumps, &second), 0);
    CHECK_INT(hob_go(&g, reads_all, &b[1]), 0);
    CHECK_INT(hob_group_join(&g, 0), 0);
    CHECK_INT(first.moved, BIG);
    CHECK_INT(second.moved, BIG);
    hob_close(a[1]);
    hob_close(p[0]);
    return 0;
}

TEST(a_chain_of_splices_moves_everything)
{
    on_pollers(chain, NULL, 0);
}

static int from_file(void *arg)
{
    bool to_pipe = *(bool *)arg;
    int ends[2], file;
    hob_group g;

    out_fill();
    file = file_of(BIG);
    CHECK_INT(to_pipe ? hob_pipe_open(NULL, ends) : hob_unix_pair(ends), 0);
    struct pump p = {.from = file, .to = ends[1], .n = SIZE_MAX};
    CHECK_INT(hob_group_open(&g, NULL), 0);
    CHECK_INT(hob_go(&g, pumps, &p), 0);
    CHECK_INT(hob_go(&g, reads_all, &ends[0]), 0);
    CHECK_INT(hob_group_join(&g, 0), 0);
    CHECK_INT(p.moved, BIG);
    hob_close(file);
    return 0;
}

TEST(a_file_goes_to_a_socket_and_to_a_pipe)
{
    for (int i = 0; i < 2; i++) {
        bool to_pipe = i;
        on_pollers(from_file, &to_pipe, 0);
    }
}

static int to_file(void *arg)
{
    int p[2], a, b;
    char buf[16] = "";

    (void)arg;
    out_fill();
    a = file_of(1000);
    b = file_of(0);
    CHECK_INT(hob_pipe_open(NULL, p), 0);
    CHECK_INT(hob_write(p[1], "hello", 5, HOB_FOREVER), 5);
    CHECK_INT(hob_fd_splice(p[0], -1, b, 3, 4, HOB_FOREVER), 4);
    CHECK_INT(pread(b, buf, sizeof buf, 0), 7);
    CHECK(memcmp(buf, "\0\0\0hell", 7) == 0);
    CHECK_INT(hob_fd_splice(p[0], -1, b, 0, 1, HOB_FOREVER), 1);
    CHECK_INT(hob_fd_splice(p[0], -1, b, 0, 1, hob_in(HOB_MS)), -ETIMEDOUT);
    CHECK_INT(hob_fd_splice(a, 990, b, 7, SIZE_MAX, HOB_FOREVER), 10);
    CHECK_INT(pread(b, buf, sizeof buf, 7), 10);
    CHECK(memcmp(buf, out + 990, 10) == 0);
    CHECK_INT(hob_fd_splice(a, 5000, b, 0, SIZE_MAX, HOB_FOREVER), 0);
    CHECK_INT(lseek(a, 10, SEEK_SET), 10);
    CHECK_INT(hob_fd_splice(a, -1, p[1], -1, 20, HOB_FOREVER), 20); /* its own position */
    CHECK_INT(lseek(a, 0, SEEK_CUR), 30);
    CHECK_INT(hob_read(p[0], buf, sizeof buf, HOB_FOREVER), sizeof buf);
    CHECK(memcmp(buf, out + 10, sizeof buf) == 0);
    CHECK_INT(hob_fd_splice(p[0], -1, b, 0, 0, HOB_FOREVER), 0);
    hob_close(p[0]);
    hob_close(p[1]);
    hob_close(a);
    hob_close(b);
    return 0;
}

TEST(a_pipe_and_a_file_go_to_a_file)
{
    on_pollers(to_file, NULL, 0);
    CHECK_INT(to_file(NULL), 0);
}

static int errors(void *arg)
{
    int a[2], b[2], p[2], blocking[2], file = file_of(100);

    (void)arg;
    CHECK_INT(hob_unix_pair(a), 0);
    CHECK_INT(hob_unix_pair(b), 0);
    CHECK_INT(hob_pipe_open(NULL, p), 0);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, blocking), 0);
    CHECK_INT(hob_fd_splice(a[0], -1, b[0], -1, 1, HOB_FOREVER), -EINVAL);
    CHECK_INT(hob_fd_splice(a[0], -1, file, 0, 1, HOB_FOREVER), -EINVAL);
    CHECK_INT(hob_fd_splice(blocking[0], -1, p[1], -1, 1, HOB_FOREVER), -EINVAL);
    CHECK_INT(hob_fd_splice(p[0], 0, a[0], -1, 1, HOB_FOREVER), -EINVAL);
    CHECK_INT(hob_fd_splice(file, -2, p[1], -1, 1, HOB_FOREVER), -EINVAL);
    CHECK_INT(hob_fd_splice(-1, -1, p[1], -1, 1, HOB_FOREVER), -EBADF);
    CHECK_INT(hob_fd_splice(a[0], -1, p[1], -1, 1, 0), -ETIMEDOUT);
    CHECK_INT(hob_fd_splice(a[0], -1, p[1], -1, 1, hob_in(HOB_MS)), -ETIMEDOUT);
    /* Nobody reads: no signal, from a loop, from a blocking thread. */
    hob_close(a[1]);
    CHECK_INT(hob_write(p[1], "x", 1, HOB_FOREVER), 1);
    CHECK_INT(hob_fd_splice(p[0], -1, a[0], -1, 1, HOB_FOREVER), -EPIPE);
    CHECK_INT(hob_fd_splice(file, 0, a[0], -1, 1, HOB_FOREVER), -EPIPE);
    hob_close(p[0]);
    CHECK_INT(hob_fd_splice(file, 0, p[1], -1, 1, HOB_FOREVER), -EPIPE);
    CHECK_INT(hob_write(b[1], "x", 1, HOB_FOREVER), 1);
    CHECK_INT(hob_fd_splice(b[0], -1, p[1], -1, 1, HOB_FOREVER), -EPIPE);
    hob_close(p[1]);
    hob_close(a[0]);
    hob_close(b[0]);
    hob_close(b[1]);
    close(blocking[0]);
    close(blocking[1]);
    hob_close(file);
    return 0;
}

TEST(what_does_not_go_says_so_and_raises_no_signal)
{
    on_pollers(errors, NULL, 0);
    CHECK_INT(errors(NULL), 0);
}

static int cancelled(void *arg)
{
    int a[2], p[2], file;
    hob_group g;
    char buf[8];

    (void)arg;
    out_fill();
    file = file_of(BIG);
    CHECK_INT(hob_unix_pair(a), 0);
    CHECK_INT(hob_pipe_open(NULL, p), 0);
    struct pump empty = {.from = a[0], .from_at = -1, .to = dup(p[1]), .n = SIZE_MAX};
    struct pump full = {.from = file, .from_at = 0, .to = dup(p[1]), .n = SIZE_MAX};
    CHECK_INT(hob_group_open(&g, NULL), 0);
    CHECK_INT(hob_go(&g, pumps, &empty), 0);
    CHECK_INT(hob_sleep(HOB_MS), 0);
    hob_group_cancel(&g, -ESTALE);
    CHECK_INT(hob_group_join(&g, 0), -ESTALE);
    CHECK_INT(empty.moved, -ECANCELED);
    CHECK_INT(hob_write(a[1], "left", 4, HOB_FOREVER), 4);
    CHECK_INT(hob_read(a[0], buf, sizeof buf, HOB_FOREVER), 4); /* it took nothing */
    CHECK_INT(hob_group_open(&g, NULL), 0);
    CHECK_INT(hob_go(&g, pumps, &full), 0);
    while (hob_fd_wait(p[1], EPOLLOUT, 0) >= 0)
        CHECK_INT(hob_sleep(HOB_MS), 0);
    hob_group_cancel(&g, -ESTALE);
    CHECK_INT(hob_group_join(&g, 0), -ESTALE);
    CHECK(full.moved > 0 && full.moved < BIG); /* and says what it moved */
    hob_close(p[1]);
    size_t got = 0;
    ssize_t n;
    while ((n = hob_read(p[0], in + got, sizeof in - got, HOB_FOREVER)) > 0)
        got += (size_t)n;
    CHECK_INT(got, full.moved);
    CHECK(memcmp(in, out, got) == 0);
    hob_close(p[0]);
    hob_close(a[0]);
    hob_close(a[1]);
    hob_close(file);
    return 0;
}

TEST(a_cancel_ends_a_splice_and_what_moved_is_told)
{
    on_pollers(cancelled, NULL, 0);
}

static int simulated(void *arg)
{
    int p[2];

    (void)arg;
    CHECK_INT(hob_pipe_open(HOB_PIPE_OPTS(.blocking_read = true), p), -EOPNOTSUPP);
    CHECK_INT(hob_fd_splice(0, -1, 1, -1, 1, HOB_FOREVER), -EOPNOTSUPP);
    return 0;
}

TEST(the_simulator_refuses_what_is_for_somebody_else)
{
    setenv("HOB_SIM", "1", 1);
    CHECK_INT(hob_run(NULL, simulated, NULL), 0);
}

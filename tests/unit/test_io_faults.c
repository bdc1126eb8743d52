/* SPDX-License-Identifier: MIT
 *
 * test_io_faults.c - every system call of datagrams, files and splices is interrupted, moves less
 * than it was asked to, and fails
 *
 * The linker puts this file between the library and the system.  One program uses all of them and
 * counts every byte.  On io_uring the ring makes some of the calls, out of reach from here.
 */
#include <hob/hob.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/t.h"
#include "net_util.h"

static enum { NO_FAULT, INTERRUPTED, SHORT, FAILS } mode;
static _Atomic(int) calls, fail_at;

/* Before each call: true, with errno: it does not happen. */
static bool fault(void)
{
    int n = ++calls;

    errno = mode == INTERRUPTED ? EINTR : EIO;
    return (mode == INTERRUPTED && n % 3 != 0) || (mode == FAILS && n == fail_at);
}

static size_t cut(size_t n)
{
    return mode == SHORT && n > 3 ? n / 2 : n;
}

#define WRAP(type, name, params, call)                                                             \
    type __real_##name params;                                                                     \
    type __wrap_##name params;                                                                     \
    type __wrap_##name params                                                                      \
    {                                                                                              \
        return fault() ? -1 : __real_##name call;                                                  \
    }

WRAP(ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags))
WRAP(ssize_t, splice, (int a, loff_t *x, int b, loff_t *y, size_t n, unsigned f),
     (a, x, b, y, cut(n), f))
WRAP(ssize_t, copy_file_range, (int a, loff_t *x, int b, loff_t *y, size_t n, unsigned f),
     (a, x, b, y, cut(n), f))
WRAP(ssize_t, sendfile64, (int a, int b, loff_t *x, size_t n), (a, b, x, cut(n)))
WRAP(ssize_t, pread64, (int fd, void *buf, size_t n, off_t at), (fd, buf, cut(n), at))
WRAP(ssize_t, pwrite64, (int fd, const void *buf, size_t n, off_t at), (fd, buf, cut(n), at))
WRAP(ssize_t, preadv64, (int fd, const struct iovec *v, int n, off_t at), (fd, v, n, at))
WRAP(int, statx, (int fd, const char *path, int flags, unsigned mask, struct statx *x),
     (fd, path, flags, mask, x))
WRAP(int, renameat2, (int a, const char *from, int b, const char *to, unsigned flags),
     (a, from, b, to, flags))
WRAP(int, unlinkat, (int fd, const char *path, int flags), (fd, path, flags))
WRAP(int, mkdirat, (int fd, const char *path, mode_t m), (fd, path, m))
WRAP(int, fsync, (int fd), (fd))
WRAP(ssize_t, getdents64, (int fd, void *buf, size_t n), (fd, buf, n))

ssize_t __real_sendmsg(int fd, const struct msghdr *m, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags);
ssize_t __real_pwritev64(int fd, const struct iovec *v, int n, off_t at);
ssize_t __wrap_pwritev64(int fd, const struct iovec *v, int n, off_t at);

/* A stream's messages may be cut, a datagram may not. */
ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
    int type = 0;
    socklen_t len = sizeof type;
    struct msghdr less = *m;
    struct iovec v = m->msg_iov[0];

    if (fault())
        return -1;
    CHECK_INT(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len), 0);
    if (type == SOCK_STREAM)
        v.iov_len = cut(v.iov_len);
    less.msg_iov = &v;
    return __real_sendmsg(fd, &less, flags);
}

/* In the middle of a piece. */
ssize_t __wrap_pwritev64(int fd, const struct iovec *v, int n, off_t at)
{
    struct iovec one = v[0];

    if (fault())
        return -1;
    if (mode != SHORT)
        return __real_pwritev64(fd, v, n, at);
    one.iov_len = cut(one.iov_len);
    return __real_pwritev64(fd, &one, 1, at);
}

enum { BYTES = 1000 };

static char out[BYTES], in[2 * BYTES];
static char dir[] = "/tmp/hob-test-faults-XXXXXX";

struct program {
    char f[64], g[64], sub[64];
    int dgram[2], stream[2], pipe[2], file, copy;
};

#define NEED(expr, want)                                                                           \
    do {                                                                                           \
        long need_got = (long)(expr);                                                              \
        if (need_got != (want))                                                                    \
            return need_got < 0 ? (int)need_got : -ESTALE;                                         \
    } while (0)

/* Every step either does all that it should, or says why it did not; ESTALE: it did a part. */
static int messages(struct program *p)
{
    size_t whole, n = 0, got;
    ssize_t k;
    int fd;

    NEED(hob_dgram_send(p->dgram[0], out, 100, NULL, HOB_FOREVER), 100);
    NEED(hob_dgram_recv(p->dgram[1], in, BYTES, HOB_FOREVER, NULL, &whole), 100);
    NEED(hob_unix_send_fds(p->stream[0], out, BYTES, &p->file, 1, HOB_FOREVER), BYTES);
    for (got = 0; got < BYTES; got += (size_t)k) {
        k = hob_unix_recv_fds(p->stream[1], in + got, BYTES - got, 1, HOB_FOREVER, &fd, &n);
        if (k < 0)
            return (int)k;
        CHECK_INT(n, got == 0);
        if (n > 0)
            hob_close(fd);
    }
    CHECK(memcmp(in, out, BYTES) == 0);
    return 0;
}

static int splices(struct program *p)
{
    NEED(hob_fd_splice(p->file, 0, p->pipe[1], -1, BYTES, HOB_FOREVER), BYTES);
    NEED(hob_fd_splice(p->pipe[0], -1, p->stream[0], -1, BYTES, HOB_FOREVER), BYTES);
    NEED(hob_fd_splice(p->file, 0, p->stream[0], -1, SIZE_MAX, HOB_FOREVER), BYTES);
    for (size_t got = 0; got < 2 * BYTES;)
        got += (size_t)hob_read(p->stream[1], in + got, sizeof in - got, HOB_FOREVER);
    CHECK(memcmp(in, out, BYTES) == 0 && memcmp(in + BYTES, out, BYTES) == 0);
    NEED(hob_fd_splice(p->file, 0, p->copy, 0, SIZE_MAX, HOB_FOREVER), BYTES);
    memset(in, 0, BYTES);
    CHECK_INT(__real_pread64(p->copy, in, BYTES, 0), BYTES);
    CHECK(memcmp(in, out, BYTES) == 0);
    return 0;
}

static int files(struct program *p)
{
    struct iovec v[] = {{out, 300}, {out + 300, 1}, {out + 301, BYTES - 301}};
    struct iovec w[] = {{in, 10}, {in + 10, BYTES - 10}};
    struct stat st;
    ssize_t k;

    NEED(hob_file_writev(p->file, v, 3, 0, HOB_FOREVER), BYTES);
    NEED(hob_file_readv(p->file, w, 2, 0, HOB_FOREVER), BYTES);
    NEED(hob_file_write(p->file, out, BYTES, 0, HOB_FOREVER), BYTES);
    for (size_t got = 0; got < BYTES; got += (size_t)k)
        if ((k = hob_file_read(p->file, in + got, BYTES - got, (off_t)got, HOB_FOREVER)) <= 0)
            return (int)k;
    CHECK(memcmp(in, out, BYTES) == 0);
    NEED(hob_file_sync_all(p->file, HOB_FOREVER), 0);
    NEED(hob_file_fstat(p->file, HOB_FOREVER, &st), 0);
    CHECK_INT(st.st_size, BYTES);
    return 0;
}

static int names(struct program *p)
{
    hob_dir_entry e;
    hob_dir *d;
    int r, n = 0;

    NEED(hob_dir_make(p->sub, 0700, HOB_FOREVER), 0);
    NEED(hob_file_rename(p->f, p->g, 0, HOB_FOREVER), 0);
    NEED(hob_dir_open(dir, HOB_FOREVER, &d), 0);
    while ((r = hob_dir_read(d, HOB_FOREVER, &e)) == 1)
        n++;
    hob_dir_close(d);
    CHECK(r < 0 || n == 2);
    NEED(r, 0);
    NEED(hob_file_unlink(p->g, HOB_FOREVER), 0);
    NEED(hob_dir_remove(p->sub, HOB_FOREVER), 0);
    return 0;
}

static int program(void *arg)
{
    struct program p;
    int r;

    (void)arg;
    snprintf(p.f, sizeof p.f, "%s/f", dir);
    snprintf(p.g, sizeof p.g, "%s/g", dir);
    snprintf(p.sub, sizeof p.sub, "%s/sub", dir);
    for (size_t i = 0; i < BYTES; i++)
        out[i] = (char)(i * 31 + i / 256);
    CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, p.dgram), 0);
    CHECK_INT(hob_unix_pair(p.stream), 0);
    CHECK_INT(hob_pipe_open(NULL, p.pipe), 0);
    CHECK((p.file = open(p.f, O_CREAT | O_RDWR | O_CLOEXEC, 0600)) >= 0);
    CHECK((p.copy = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)) >= 0);
    if ((r = files(&p)) == 0 && (r = messages(&p)) == 0 && (r = splices(&p)) == 0)
        r = names(&p);
    for (int i = 0; i < 2; i++) {
        hob_close(p.dgram[i]);
        hob_close(p.stream[i]);
        hob_close(p.pipe[i]);
    }
    hob_close(p.file);
    hob_close(p.copy);
    __real_unlinkat(AT_FDCWD, p.f, 0);
    __real_unlinkat(AT_FDCWD, p.g, 0);
    __real_unlinkat(AT_FDCWD, p.sub, AT_REMOVEDIR);
    return r;
}

static void everywhere(void)
{
    CHECK(mkdtemp(dir) != NULL);
    on_pollers(program, NULL, 0);
    CHECK_INT(program(NULL), 0); /* a plain thread */
    CHECK_INT(rmdir(dir), 0);
}

TEST(nothing_wrong)
{
    everywhere();
    CHECK(calls > 30);
}

TEST(interrupted_calls_go_on)
{
    mode = INTERRUPTED;
    everywhere();
    CHECK(calls > 90);
}

TEST(short_transfers_go_on)
{
    mode = SHORT;
    everywhere();
}

static int open_fds(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");

    CHECK(d != NULL);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* A call fails once: its step says so, or that it did a part, and nothing stays open. */
static void each_fails(const char *poll)
{
    int fds = 0, r;

    setenv("HOB_POLL", poll ? poll : "", 1);
    mode = FAILS;
    for (int n = 0;; n++) {
        calls = 0;
        fail_at = n; /* 0: none */
        r = poll ? hob_run(NULL, program, NULL) : program(NULL);
        if (n == 0 && poll && (r == -ENOSYS || r == -EPERM))
            break; /* no io_uring here: test_poll says so */
        bool reached = n > 0 && calls >= n;
        fail_at = 0;
        if (n == 0)
            fds = open_fds();
        CHECK(r == 0 || (reached && (r == -EIO || r == -ESTALE)));
        CHECK_INT(open_fds(), fds);
        if (n > 0 && !reached)
            break;
    }
}

TEST(each_call_fails_once)
{
    CHECK(mkdtemp(dir) != NULL);
    each_fails(NULL);
    each_fails("epoll");
    each_fails("uring");
    mode = NO_FAULT;
    CHECK_INT(rmdir(dir), 0);
}

/* SPDX-License-Identifier: MIT
 *
 * t_fault.c - every case of a test program with everything that may fail failing once
 *
 * WHAT      A program fault_<name> is test_<name> with this file and another copy of the library:
 *           in that copy malloc is called t_fault_malloc, and so on for every call listed in
 *           t_fault.syms.  So the library's calls come by here, and the test's own do not.
 *
 * HOW       A case runs first as it is, which counts its
 *
 *               allocations    return NULL, or -ENOMEM
 *               calls          of the system; they return an error that such a call may return
 *               completions    of a poller's operations and feeds; they end with an error
 *               suspensions    the case's first fiber and all it has started are cancelled there
 *
 *           Then again for n = 1, 2, ... with the n-th of a kind failing, until a run has fewer:
 *           each of the first ones, then every n after n + n / 8, for some cases have thousands.
 *           With --every=I/K each n, shared by K programs.
 *
 *           A fiber that yields on and on asks whether something has come: that it leaves there is
 *           one suspension, not as many as the machine has time for; YIELDS of them count.
 *
 *           The test does not expect the fault.  That a CHECK fails is well: the test was told, and
 *           its process ends there.  What must not be: a signal, a run that does not end, a
 *           descriptor or (AddressSanitizer) memory that is left behind by a run that ends.
 *
 * REJECTED  The linker's --wrap of malloc: the test's own calls would fail too, which checks the
 *             test.  A library put in front (LD_PRELOAD): the same, and libc's own.
 *
 * SEE       test_torture_memory.c, test_torture_cancel.c: programs that are told of a fault and go
 *           on to their end, on every poller and simulated; here it is many programs, and to the
 *           first CHECK.
 */
#include "lib/t_fault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hob/group.h>
#include <hob/rt.h>

#include "plat/poll.h"
#include "sched/park.h"

enum kind { NOTHING, ALLOCATION, CALL, COMPLETION, SUSPENSION, KINDS };

enum {
    ALL_UP_TO = 40,         /* each; then one in nine, so to say */
    REFUSED_MOST = 1 << 16, /* to the test itself: it asks on and on */
    YIELDS = 8,             /* of a fiber, with nothing else in between */
    FIBERS = 256,           /* whose yields are counted, a loop */
    SHARDS_MOST = 64,
};

/* Shared by the processes of a case and the one that starts them. */
static struct plan {
    _Atomic(int) count; /* of the kind, so far */
    int kind, at;
    _Atomic(bool) runs, polls; /* in some case hob_run was called, a poller opened: see came_by */
} * plan;

static int shard, n_shards;            /* 0: not every n */
static int n_cases, n_runs_all[KINDS]; /* cases that passed as they are; runs with a fault */

static const char *const kind_word[KINDS] = {"nothing", "allocation", "call", "completion",
                                             "suspension"};

static bool now(enum kind kind)
{
    return plan && plan->kind == (int)kind && atomic_fetch_add(&plan->count, 1) + 1 == plan->at;
}

/* --- allocations -------------------------------------------------------------------------- */

#define ALLOCATES(type, none, name, params, args)                                                  \
    type t_fault_##name params;                                                                    \
    type t_fault_##name params                                                                     \
    {                                                                                              \
        if (now(ALLOCATION)) {                                                                     \
            errno = ENOMEM;                                                                        \
            return none;                                                                           \
        }                                                                                          \
        return name args;                                                                          \
    }

ALLOCATES(void *, NULL, malloc, (size_t n), (n))
ALLOCATES(void *, NULL, calloc, (size_t n, size_t size), (n, size))
ALLOCATES(void *, NULL, realloc, (void *p, size_t n), (p, n))
ALLOCATES(void *, NULL, reallocarray, (void *p, size_t n, size_t size), (p, n, size))
ALLOCATES(void *, NULL, aligned_alloc, (size_t align, size_t n), (align, n))
ALLOCATES(char *, NULL, strdup, (const char *s), (s))
ALLOCATES(char *, NULL, strndup, (const char *s, size_t n), (s, n))
ALLOCATES(int, -1, vasprintf, (char **ret, const char *format, va_list ap), (ret, format, ap))
ALLOCATES(void *, MAP_FAILED, mmap64, (void *at, size_t n, int prot, int flags, int fd, off_t off),
          (at, n, prot, flags, fd, off))
ALLOCATES(int, EAGAIN, pthread_create,
          (pthread_t * id, const pthread_attr_t *attr, void *(*fn)(void *), void *arg),
          (id, attr, fn, arg))

int t_fault_asprintf(char **ret, const char *format, ...);
int t_fault_asprintf(char **ret, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    int r = t_fault_vasprintf(ret, format, ap);
    va_end(ap);
    return r;
}

/* --- calls of the system ------------------------------------------------------------------ */

#define CALLS_IF(type, error, cond, name, params, args)                                            \
    type t_fault_##name params;                                                                    \
    type t_fault_##name params                                                                     \
    {                                                                                              \
        if ((cond) && now(CALL)) {                                                                 \
            errno = error;                                                                         \
            return -1;                                                                             \
        }                                                                                          \
        return name args;                                                                          \
    }
#define CALLS(type, error, name, params, args) CALLS_IF(type, error, true, name, params, args)

CALLS(int, EMFILE, socket, (int family, int type, int protocol), (family, type, protocol))
CALLS(int, EMFILE, socketpair, (int family, int type, int protocol, int ret[2]),
      (family, type, protocol, ret))
CALLS(int, EMFILE, accept4, (int fd, struct sockaddr *a, socklen_t *len, int flags),
      (fd, a, len, flags))
CALLS(int, EADDRINUSE, bind, (int fd, const struct sockaddr *a, socklen_t len), (fd, a, len))
CALLS(int, EADDRINUSE, listen, (int fd, int n), (fd, n))
CALLS(int, EADDRNOTAVAIL, connect, (int fd, const struct sockaddr *a, socklen_t len), (fd, a, len))
CALLS(int, ENOPROTOOPT, setsockopt, (int fd, int level, int name, const void *value, socklen_t len),
      (fd, level, name, value, len))
CALLS(int, ENOPROTOOPT, getsockopt, (int fd, int level, int name, void *value, socklen_t *len),
      (fd, level, name, value, len))
CALLS(int, ENOBUFS, getsockname, (int fd, struct sockaddr *a, socklen_t *len), (fd, a, len))
CALLS(int, ENOTCONN, shutdown, (int fd, int how), (fd, how))
CALLS(int, EPERM, fchmod, (int fd, mode_t mode), (fd, mode))
CALLS(int, EINVAL, madvise, (void *at, size_t n, int what), (at, n, what))
CALLS(int, ENOMEM, mprotect, (void *at, size_t n, int prot), (at, n, prot))
CALLS(int, EMFILE, pipe2, (int ret[2], int flags), (ret, flags))
CALLS(int, EMFILE, eventfd, (unsigned n, int flags), (n, flags))
CALLS(int, EMFILE, signalfd, (int fd, const sigset_t *set, int flags), (fd, set, flags))
CALLS(int, EMFILE, epoll_create1, (int flags), (flags))
CALLS_IF(int, ENOSPC, what == EPOLL_CTL_ADD, epoll_ctl,
         (int fd, int what, int other, struct epoll_event *e), (fd, what, other, e))
/* One that does not wait is not interrupted. */
CALLS_IF(int, EINTR, ms != 0, epoll_wait, (int fd, struct epoll_event *e, int n, int ms),
         (fd, e, n, ms))
CALLS_IF(int, EINTR, !t || t->tv_sec || t->tv_nsec, epoll_pwait2,
         (int fd, struct epoll_event *e, int n, const struct timespec *t, const sigset_t *mask),
         (fd, e, n, t, mask))
CALLS(ssize_t, ECONNRESET, recv, (int fd, void *buf, size_t n, int flags), (fd, buf, n, flags))
CALLS(ssize_t, ECONNRESET, send, (int fd, const void *buf, size_t n, int flags),
      (fd, buf, n, flags))
CALLS(ssize_t, ECONNRESET, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags))
CALLS(ssize_t, ECONNRESET, sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags))
/* Of eight bytes: an eventfd, which cannot fail. */
CALLS_IF(ssize_t, EIO, n != 8, read, (int fd, void *buf, size_t n), (fd, buf, n))
CALLS_IF(ssize_t, EIO, n != 8, write, (int fd, const void *buf, size_t n), (fd, buf, n))
CALLS(ssize_t, EIO, pread64, (int fd, void *buf, size_t n, off_t at), (fd, buf, n, at))
CALLS(ssize_t, EIO, pwrite64, (int fd, const void *buf, size_t n, off_t at), (fd, buf, n, at))
CALLS(ssize_t, EIO, preadv64, (int fd, const struct iovec *v, int n, off_t at), (fd, v, n, at))
CALLS(ssize_t, EIO, pwritev64, (int fd, const struct iovec *v, int n, off_t at), (fd, v, n, at))
CALLS(ssize_t, EIO, preadv64v2, (int fd, const struct iovec *v, int n, off_t at, int flags),
      (fd, v, n, at, flags))
CALLS(ssize_t, EIO, pwritev64v2, (int fd, const struct iovec *v, int n, off_t at, int flags),
      (fd, v, n, at, flags))
CALLS(ssize_t, EIO, splice, (int a, off_t *x, int b, off_t *y, size_t n, unsigned flags),
      (a, x, b, y, n, flags))
CALLS(ssize_t, EIO, copy_file_range, (int a, off_t *x, int b, off_t *y, size_t n, unsigned flags),
      (a, x, b, y, n, flags))
CALLS(ssize_t, EIO, sendfile64, (int a, int b, off_t *x, size_t n), (a, b, x, n))
CALLS(ssize_t, EIO, getdents64, (int fd, void *buf, size_t n), (fd, buf, n))
CALLS(int, EIO, fsync, (int fd), (fd))
CALLS(int, EIO, fdatasync, (int fd), (fd))
CALLS(int, EACCES, statx, (int fd, const char *path, int flags, unsigned mask, struct statx *x),
      (fd, path, flags, mask, x))
CALLS(int, EACCES, unlinkat, (int fd, const char *path, int flags), (fd, path, flags))
CALLS(int, EACCES, mkdirat, (int fd, const char *path, mode_t mode), (fd, path, mode))
CALLS(int, EACCES, renameat2, (int a, const char *x, int b, const char *y, unsigned flags),
      (a, x, b, y, flags))

int t_fault_open64(const char *path, int flags, ...);
int t_fault_open64(const char *path, int flags, ...)
{
    va_list ap;

    va_start(ap, flags);
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    errno = EMFILE;
    return now(CALL) ? -1 : open(path, flags, mode);
}

/* Of the library's commands all but these two take an int. */
int t_fault_fcntl64(int fd, int what, ...);
int t_fault_fcntl64(int fd, int what, ...)
{
    va_list ap;

    va_start(ap, what);
    int value = what == F_GETFL || what == F_GETFD ? 0 : va_arg(ap, int);
    va_end(ap);
    errno = what == F_DUPFD_CLOEXEC ? EMFILE : EINVAL;
    return now(CALL) ? -1 : fcntl(fd, what, value);
}

/* --- completions -------------------------------------------------------------------------- */

static struct poll_ops ops; /* as the poller's, but for submit and feed */
static const struct poll_ops *ops_real;
static void (*done_real)(struct poll_op *op); /* of the one operation that is to fail */

static int error_of(enum poll_kind kind)
{
    switch (kind) {
    case POLL_READY:
        return -ENOMEM;
    case POLL_RECV:
    case POLL_SEND:
    case POLL_RECVMSG:
    case POLL_SENDMSG:
        return -ECONNRESET;
    case POLL_ACCEPT:
        return -ECONNABORTED;
    case POLL_CONNECT:
        return -ECONNREFUSED;
    default:
        return -EIO;
    }
}

static void done_failed(struct poll_op *op)
{
    op->done = done_real;
    if (op->res >= 0) {
        if (op->kind == POLL_ACCEPT || op->kind == POLL_OPEN)
            close(op->res);
        op->res = error_of(op->kind);
    }
    op->done(op);
}

static void submit(struct poller *p, struct poll_op *op)
{
    if (now(COMPLETION)) {
        done_real = op->done;
        op->done = done_failed;
    }
    ops_real->submit(p, op);
}

static void (*came_real)(struct poll_feed *f, struct poll_piece *piece, int32_t end); /* likewise */

static void came_failed(struct poll_feed *f, struct poll_piece *piece, int32_t end)
{
    if (!piece) {
        f->came = came_real;
        end = f->accepted ? -EMFILE : -ECONNRESET;
    }
    came_real(f, piece, end);
}

static bool feed(struct poller *p, struct poll_feed *f)
{
    bool on = ops_real->feed(p, f);

    if (on && now(COMPLETION)) {
        came_real = f->came;
        f->came = came_failed;
        ops_real->unfeed(p, f);
    }
    return on;
}

int __real_hob__poll_open(struct poller **ret);
int __wrap_hob__poll_open(struct poller **ret);
int __wrap_hob__poll_open(struct poller **ret)
{
    int r = __real_hob__poll_open(ret);

    if (plan)
        plan->polls = true;
    if (r == 0 && plan && plan->kind == COMPLETION) {
        ops_real = (*ret)->ops;
        ops = *ops_real;
        ops.submit = submit;
        ops.feed = feed;
        (*ret)->ops = &ops;
    }
    return r;
}

/* --- suspensions -------------------------------------------------------------------------- */

static struct {
    hob_group *_Atomic g;
    const struct fiber *_Atomic opener;
    _Atomic(int) refused;
    hob_fn fn;
    void *arg;
} first;

static bool yields_on(const struct fiber *f)
{
    static _Thread_local struct {
        uint64_t id;
        int n;
    } yielded[FIBERS];
    uint64_t id = f->trace.id;

    if (yielded[id % FIBERS].id != id || f->run.state == RUN_PARKED)
        yielded[id % FIBERS].n = 0;
    yielded[id % FIBERS].id = id;
    return f->run.state != RUN_PARKED && ++yielded[id % FIBERS].n > YIELDS;
}

static void suspends(void)
{
    if (hob__self() != first.opener && !yields_on(hob__self()) && now(SUSPENSION))
        hob_group_cancel(first.g, 0);
}

/* A test that asks on and on in spite of a cancel is one that cannot take it. */
static void refused(const struct fiber *f)
{
    if (f != first.opener && ++first.refused == REFUSED_MOST)
        _exit(T_EXIT_FAIL);
}

static int first_in_a_group(void *arg)
{
    int r, rc = 0;
    hob_group g;

    (void)arg;
    if ((r = hob_group_open(&g, NULL)) < 0)
        return r;
    first.opener = hob__self();
    first.g = &g;
    first.refused = 0;
    hob__leave_watch(suspends);
    hob__refused_hook = refused;
    r = hob_go_ret(&g, first.fn, first.arg, &rc);
    r = hob_group_join(&g, r);
    hob__refused_hook = NULL;
    hob__leave_watch(NULL);
    return r < 0 ? r : rc;
}

int __real_hob_run(const struct hob_opts *opts, hob_fn fn, void *arg);
int __wrap_hob_run(const struct hob_opts *opts, hob_fn fn, void *arg);
int __wrap_hob_run(const struct hob_opts *opts, hob_fn fn, void *arg)
{
    if (plan)
        plan->runs = true;
    if (!plan || plan->kind != SUSPENSION || !fn || hob_loops() > 0)
        return __real_hob_run(opts, fn, arg);
    first.fn = fn;
    first.arg = arg;
    return __real_hob_run(opts, first_in_a_group, NULL);
}

/* --- runs --------------------------------------------------------------------------------- */

static bool may_end_so(int status)
{
    return status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) != T_EXIT_LEAK &&
           (WEXITSTATUS(status) <= T_EXIT_FAIL || WEXITSTATUS(status) == T_EXIT_SKIP);
}

/* What a run that is to fail says, which is shown only if it ends as none may. */
static int run_quietly(const struct t_case *c, int (*run)(const struct t_case *c))
{
    static int said = -1;
    char text[4096];
    ssize_t n;

    if (said < 0)
        said = memfd_create("said", MFD_CLOEXEC);
    int err = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    CHECK(said >= 0 && err >= 0 && ftruncate(said, 0) == 0 && lseek(said, 0, SEEK_SET) == 0);
    fflush(stderr);
    CHECK(dup2(said, STDERR_FILENO) == STDERR_FILENO);
    int status = run(c);
    CHECK(dup2(err, STDERR_FILENO) == STDERR_FILENO);
    close(err);
    if (!may_end_so(status) && lseek(said, 0, SEEK_SET) == 0)
        while ((n = read(said, text, sizeof text)) > 0)
            (void)!write(STDERR_FILENO, text, (size_t)n);
    return status;
}

void t_fault_shard(const char *text)
{
    CHECK(sscanf(text, "%d/%d", &shard, &n_shards) == 2 && n_shards <= SHARDS_MOST && shard > 0 &&
          shard <= n_shards);
}

/* The next of a kind to fail after the n-th. */
static int after(int n)
{
    if (n_shards > 0)
        return n ? n + n_shards : shard;
    return n + (n < ALL_UP_TO ? 1 : n / 8);
}

int t_fault_each(const struct t_case *c, int (*run)(const struct t_case *c), char *reason,
                 size_t size)
{
    int n_runs[KINDS] = {0}, as_it_is;

    setenv("HOB_TEST_FAULTS", "1", 1);
    if (!plan)
        plan = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(plan != MAP_FAILED);
    plan->kind = NOTHING;
    as_it_is = run(c);
    if (as_it_is != 0)
        return as_it_is;
    n_cases++;
    for (int kind = ALLOCATION; kind < KINDS; kind++) {
        for (int n = after(0);; n = after(n)) {
            plan->count = 0;
            plan->kind = kind;
            plan->at = n;
            int status = run_quietly(c, run);
            if (!may_end_so(status)) {
                snprintf(reason, size, "with %s %d failing", kind_word[kind], n);
                return status;
            }
            if (plan->count < n)
                break;
            n_runs[kind]++;
        }
        n_runs_all[kind] += n_runs[kind];
    }
    snprintf(reason, size, "%d allocations, %d calls, %d completions, %d suspensions",
             n_runs[ALLOCATION], n_runs[CALL], n_runs[COMPLETION], n_runs[SUSPENSION]);
    return 0;
}

bool t_fault_came_by(void)
{
    bool all =
        n_runs_all[ALLOCATION] > 0 && n_runs_all[CALL] > 0 && plan && plan->runs && plan->polls;

    if (n_cases == 0 || all)
        return true;
    printf("# what could fail did not come by: %d allocations, %d calls, hob_run %s, poller %s\n",
           n_runs_all[ALLOCATION], n_runs_all[CALL], plan->runs ? "yes" : "no",
           plan->polls ? "yes" : "no");
    return false;
}

/* A sanitizer's findings are not a failed CHECK. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "exitcode=99";
}

const char *__lsan_default_options(void);
const char *__lsan_default_options(void)
{
    return "exitcode=99";
}

const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void)
{
    return "exitcode=99";
}

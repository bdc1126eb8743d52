/* SPDX-License-Identifier: MIT
 *
 * top.c - a program with HOB_TOP=1 answers `hob top`
 *
 * WHAT        A thread that listens on a Unix socket while loops run.  Each byte that comes in is
 *             answered with the state of the program in lines of text.
 *
 *                 hob 1 PID CORES               version of this format, process, usable cores
 *                 loop TID TURNS SLICE BUSY TAKEN
 *                                               each loop's thread; turns so far; its slice, ns:
 *                                               what the kernel granted, 0 if its own choice; how
 *                                               long its fibers ran, ns; tasks taken from others
 *                 pool WORKERS ASLEEP JOBS PIECES
 *                 task KIND ENDED READY RUNNING NAME   rows of one kind and name add up
 *                 wait REASON COUNT TEXT        of the task before
 *                 end
 *
 * HOW         Nothing is asked of a loop: a loop that is held for long is what people look for.
 *             Tasks count themselves by name and state (account.h), and turns are a counter.
 *
 *   The socket is DIR/PID.sock with mode 0600 in a directory of mode 0700: $XDG_RUNTIME_DIR/hob,
 *   else /tmp/hob-UID.  The kernel also says who connects: the same user, or root.
 *
 * THREADS     The thread starts when all loops are there and is joined before the first goes.  It
 *   blocks all signals and reads what is atomic.  One client at a time: a second one waits
 *   until it gives up (cmd/top.c).  What a slow one does not take within a second ends it.
 *
 * A program whose socket cannot be made runs on without: it says so in one line.
 */
#include "sync/top.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <hob/base.h>

#include "plat/cpu.h"
#include "plat/sigmask.h"
#include "plat/threads.h"
#include "pool/pool.h"
#include "sched/rt.h"
#include "trace/advise.h"

enum { CLIENT_PATIENCE_MS = 1000, ROOM = 256 * 1024 };

static struct top {
    struct rt *rt;
    pthread_t thread;
    bool on;
    int listen_fd, wake_fd;
    struct sockaddr_un at;
} top = {.listen_fd = -1, .wake_fd = -1};

/* --- what is told ----------------------------------------------------------------------------- */

struct text {
    char *p; /* ROOM bytes */
    size_t n;
};

static HOB_PRINTF(2, 3) void put(struct text *t, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    int n = vsnprintf(t->p + t->n, ROOM - t->n, format, ap);
    va_end(ap);
    if (n > 0 && (size_t)n < ROOM - t->n)
        t->n += (size_t)n; /* a line that does not fit is left out */
}

/* A name is one line's end whatever it holds. */
static void put_name(struct text *t, const char *name)
{
    size_t from = t->n;

    put(t, "%s", name);
    for (; from < t->n; from++)
        if ((unsigned char)t->p[from] < ' ' || t->p[from] == 0x7f)
            t->p[from] = '?';
    put(t, "\n");
}

static void put_task(void *arg, enum advise_kind kind, const struct trace_stage *sums,
                     const struct trace_live *live)
{
    static const char *const kinds[] = {"fiber", "job", "stage", "task"};
    struct text *t = arg;

    put(t, "task %s %" PRIu64 " %d %d ", kinds[kind],
        __atomic_load_n(&sums->n_tasks, __ATOMIC_RELAXED),
        __atomic_load_n(&live->ready, __ATOMIC_RELAXED),
        __atomic_load_n(&live->running, __ATOMIC_RELAXED));
    put_name(t, sums->name);
    for (unsigned w = 0; w < HOB_N_WAITS; w++) {
        int32_t n = __atomic_load_n(&live->parked[w], __ATOMIC_RELAXED);

        if (n > 0)
            put(t, "wait %s %d %s\n", hob__wait_name((enum hob_wait)w), n,
                hob__wait_text((enum hob_wait)w));
    }
}

static void put_all(struct text *t)
{
    struct pool_stats pool;

    t->n = 0;
    put(t, "hob 1 %d %u\n", (int)getpid(), hob__cpu_usable());
    for (unsigned i = 0; i < top.rt->n_loops; i++) {
        const struct loop *l = &top.rt->loops[i];

        put(t, "loop %d %" PRIu64 " %" PRId64 " %" PRId64 " %" PRIu64 "\n",
            atomic_load_explicit(&l->tid, memory_order_relaxed),
            __atomic_load_n(&l->n_turns, __ATOMIC_RELAXED), l->slice,
            atomic_load_explicit(&l->busy_ns, memory_order_relaxed),
            atomic_load_explicit(&l->n_stolen, memory_order_relaxed));
    }
    hob__pool_stats(&pool);
    put(t, "pool %u %u %" PRIu64 " %" PRIu64 "\n", hob__pool_workers(), pool.n_asleep, pool.jobs,
        pool.pieces);
    hob__advise_each(put_task, t);
    put(t, "end\n");
}

/* --- who asks --------------------------------------------------------------------------------- */

static bool may_look(int fd)
{
    struct ucred who;
    socklen_t n = sizeof who;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 &&
           (who.uid == geteuid() || who.uid == 0);
}

/* False: the client is gone, or too slow. */
static bool send_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        struct pollfd w = {.fd = fd, .events = POLLOUT};
        ssize_t k =
            poll(&w, 1, CLIENT_PATIENCE_MS) == 1 ? send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT) : -1;

        if (k <= 0)
            return false;
        p += k;
        n -= (size_t)k;
    }
    return true;
}

/* Until the client goes or the program ends; false: the program ends. */
static bool client_serve(int fd, struct text *t)
{
    struct pollfd w[] = {{.fd = top.wake_fd, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    char ask;

    while (poll(w, 2, -1) >= 0) {
        if (w[0].revents)
            return false;
        if (recv(fd, &ask, 1, MSG_DONTWAIT) != 1)
            break;
        put_all(t);
        if (!send_all(fd, t->p, t->n))
            break;
    }
    return true;
}

static void *top_thread(void *arg)
{
    struct pollfd w[] = {{.fd = top.wake_fd, .events = POLLIN},
                         {.fd = top.listen_fd, .events = POLLIN}};
    struct text t = {.p = arg};
    bool goes_on = true;

    threads_begin();
    (void)hob__thread_slice(0);
    pthread_setname_np(pthread_self(), "hob-top");
    while (goes_on && poll(w, 2, -1) >= 0 && !w[0].revents) {
        int fd = accept4(top.listen_fd, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0)
            continue;
        if (may_look(fd))
            goes_on = client_serve(fd, &t);
        close(fd);
    }
    free(t.p);
    threads_end();
    return NULL;
}

/* --- where ------------------------------------------------------------------------------------ */

/* A directory of ours alone. */
static int dir_make(const char *path)
{
    struct stat st;

    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return -errno;
    if (lstat(path, &st) < 0)
        return -errno;
    return S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 077) ? 0 : -EPERM;
}

static int top_path(struct sockaddr_un *ret)
{
    const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
    char dir[sizeof ret->sun_path];
    int n, r;

    if (runtime && *runtime == '/')
        n = snprintf(dir, sizeof dir, "%s/hob", runtime);
    else
        n = snprintf(dir, sizeof dir, "/tmp/hob-%u", (unsigned)geteuid());
    if (n < 0 || (size_t)n >= sizeof dir)
        return -ENAMETOOLONG;
    if ((r = dir_make(dir)) < 0)
        return r;
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    n = snprintf(ret->sun_path, sizeof ret->sun_path, "%s/%d.sock", dir, (int)getpid());
    return n > 0 && (size_t)n < sizeof ret->sun_path ? 0 : -ENAMETOOLONG;
}

static int top_listen(void)
{
    int r = top_path(&top.at);

    if (r < 0)
        return r;
    unlink(top.at.sun_path); /* of an earlier process with this number, which was killed */
    top.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    top.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (top.listen_fd < 0 || top.wake_fd < 0)
        return -errno;
    (void)fchmod(top.listen_fd, 0600); /* the socket file's mode when it is bound */
    if (bind(top.listen_fd, (struct sockaddr *)&top.at, sizeof top.at) < 0 ||
        listen(top.listen_fd, 4) < 0)
        return -errno;
    return 0;
}

static void top_close(void)
{
    if (top.listen_fd >= 0) {
        close(top.listen_fd);
        unlink(top.at.sun_path);
    }
    if (top.wake_fd >= 0)
        close(top.wake_fd);
    top.listen_fd = top.wake_fd = -1;
}

static int top_start(struct rt *rt)
{
    char *room = malloc(ROOM);
    sigset_t old;
    int r = room ? top_listen() : -ENOMEM;

    if (r == 0) {
        top.rt = rt;
        sigmask_block(&old);
        r = -pthread_create(&top.thread, NULL, top_thread, room);
        sigmask_restore(&old);
    }
    if (r < 0) {
        free(room);
        top_close();
    }
    return r;
}

void hob__top_hook(struct rt *rt, bool on)
{
    uint64_t one = 1;

    if (on) {
        if (hob__env->sim || !(__atomic_load_n(&hob__trace_on, __ATOMIC_RELAXED) & TRACE_TOP))
            return;
        int r = top_start(rt);
        top.on = r == 0;
        if (r < 0)
            fprintf(stderr, "hob: HOB_TOP: %s: nobody can look\n", hob_strerror(r));
    } else if (top.on) {
        (void)!write(top.wake_fd, &one, sizeof one); /* cannot fail: the counter is 0 */
        pthread_join(top.thread, NULL);
        top_close();
        top.on = false;
    }
}

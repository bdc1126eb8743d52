/* SPDX-License-Identifier: MIT
 *
 * sink.c - starts and stops a recording; the thread that takes what the others wrote
 *
 * WHAT        One recording at a time.  Its thread drains every queue each 50 ms and appends the
 *             events to memory or to a file (record.h has the form).
 *
 * HOW         start: throw away what is left in the queues, then raise hob__trace_on.
 *             stop:  lower it, let the thread drain once more, join it, write the end block.
 *   A thread that saw the flag just before it fell may write after the last drain; that event
 *   lies in its queue until the next start throws it away.
 *
 * THREADS     The sink thread is a plain thread: it never parks on hob, blocks all signals, and
 *   takes no lock that a scheduler takes.  A full disk or a recording larger than its limit makes
 *   it count events as lost; the program goes on as if nothing were wrong, and stop says so.
 *
 * It sleeps in poll() with a relative time, so it reads no clock and the simulator's virtual time
 * does not concern it: it only reads what a simulated program wrote.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/opts.h"
#include "plat/cpu.h"
#include "plat/env.h"
#include "plat/sigmask.h"
#include "plat/threads.h"
#include "trace/account.h"
#include "trace/record.h"
#include "trace/ring.h"

/* Each wake takes the core from a loop, where there is one; a recording of a killed program ends
 * that long before it did. */
enum { SINK_PERIOD_MS = 50 };
#define SINK_MAX_MEMORY ((uint64_t)512 << 20)
#define SINK_MAX_FILE   ((uint64_t)8 << 30)

static struct sink {
    pthread_mutex_t lock; /* start and stop */
    bool on;
    bool yields; /* asked for behind the program's back: makes way for its own */
    pthread_t thread;
    int wake_fd, file_fd; /* file_fd: -1 for a recording in memory */

    /* The sink thread's while it runs. */
    char *bytes; /* the recording, or what is not yet in the file */
    size_t n_bytes, cap;
    uint64_t total, max_bytes;
    uint64_t n_lost;
    int err; /* first failure to keep events: negative errno */
} sink = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake_fd = -1, .file_fd = -1};

static int sink_reserve(size_t n)
{
    size_t want = sink.n_bytes + n, cap = sink.cap ? sink.cap : 64 << 10;
    char *bigger;

    if (want <= sink.cap)
        return 0;
    while (cap < want)
        cap *= 2;
    bigger = realloc(sink.bytes, cap);
    if (!bigger)
        return -ENOMEM;
    sink.bytes = bigger;
    sink.cap = cap;
    return 0;
}

static void sink_append(const void *p, size_t n)
{
    memcpy(sink.bytes + sink.n_bytes, p, n);
    sink.n_bytes += n;
    sink.total += n;
}

static void sink_take(void *arg, const struct trace_lane_info *lane,
                      const struct trace_event *slots, uint32_t n_slots)
{
    struct record_block b = {.kind = RECORD_EVENTS, .n_slots = n_slots, .lane = *lane};
    size_t n = n_slots * sizeof(*slots);
    int r = sink.err;

    if (r == 0 && sink.total + sizeof(b) + n > sink.max_bytes)
        r = -EFBIG;
    if (r == 0)
        r = sink_reserve(sizeof(b) + n);
    if (r < 0) {
        sink.err = r;
        sink.n_lost += n_slots;
        return;
    }
    sink_append(&b, sizeof(b));
    sink_append(slots, n);
}

static void sink_discard(void *arg, const struct trace_lane_info *lane,
                         const struct trace_event *slots, uint32_t n_slots)
{
}

/* Memory into the file, if there is one. */
static void sink_flush(void)
{
    size_t done = 0;

    if (sink.file_fd < 0)
        return;
    while (done < sink.n_bytes) {
        ssize_t n = write(sink.file_fd, sink.bytes + done, sink.n_bytes - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            sink.err = sink.err ? sink.err : n < 0 ? -errno : -EIO;
            break;
        }
        done += (size_t)n;
    }
    sink.n_bytes = 0;
}

static void *sink_run(void *arg)
{
    struct pollfd p = {.fd = sink.wake_fd, .events = POLLIN};
    bool last;

    threads_begin();
    (void)hob__thread_slice(0);
    pthread_setname_np(pthread_self(), "hob-trace"); /* hob diagnose leaves it out by that name */
    do {
        last = poll(&p, 1, SINK_PERIOD_MS) > 0;
        hob__rings_drain(sink_take, NULL);
        sink_flush();
    } while (!last);
    threads_end();
    return NULL;
}

static int sink_spawn(void)
{
    sigset_t old;
    int r;

    sigmask_block(&old);
    r = -pthread_create(&sink.thread, NULL, sink_run, NULL);
    sigmask_restore(&old);
    return r;
}

static void sink_reset(void)
{
    if (sink.wake_fd >= 0)
        close(sink.wake_fd);
    if (sink.file_fd >= 0)
        close(sink.file_fd);
    free(sink.bytes);
    sink.wake_fd = sink.file_fd = -1;
    sink.bytes = NULL;
    sink.n_bytes = sink.cap = 0;
    sink.total = sink.n_lost = 0;
    sink.err = 0;
}

static int sink_open(const char *path)
{
    struct record_head head = {
        .magic = RECORD_MAGIC, .event_size = sizeof(struct trace_event), .pid = getpid()};
    int r;

    if (path) {
        sink.file_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (sink.file_fd < 0)
            return -errno;
        /* Two programs that record into one file would leave neither. */
        if (flock(sink.file_fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
            return -EBUSY;
        if (ftruncate(sink.file_fd, 0) < 0 && errno != EINVAL) /* EINVAL: a pipe, a device */
            return -errno;
    }
    sink.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (sink.wake_fd < 0)
        return -errno;
    r = sink_reserve(sizeof(head));
    if (r < 0)
        return r;
    hob__rings_attach(true);
    hob__rings_drain(sink_discard, NULL);
    hob__rings_lost();
    head.start = hob__now();
    sink_append(&head, sizeof(head));
    return 0;
}

/* A child has no sink thread: what its parent records goes on without it. */
static void sink_child(void)
{
    pthread_mutex_init(&sink.lock, NULL);
    if (sink.on) {
        __atomic_store_n(&hob__trace_on, 0, __ATOMIC_RELAXED);
        sink.on = false;
        sink_reset();
    }
}

static void sink_at_fork(void)
{
    pthread_atfork(NULL, NULL, sink_child);
}

static int sink_stop(hob_trace **ret);

static int sink_start(const struct hob_trace_opts *opts, bool yields)
{
    struct hob_trace_opts o = {0};
    static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
    int r = hob__opts_copy(&o, sizeof(o), opts);

    if (r < 0)
        return r;
    pthread_once(&fork_once, sink_at_fork);
    pthread_mutex_lock(&sink.lock);
    if (sink.on && sink.yields)
        (void)sink_stop(NULL);
    if (sink.on) {
        pthread_mutex_unlock(&sink.lock);
        return -EBUSY;
    }
    sink.max_bytes = o.max_bytes ? o.max_bytes : o.path ? SINK_MAX_FILE : SINK_MAX_MEMORY;
    r = sink_open(o.path);
    if (r == 0)
        r = sink_spawn();
    if (r == 0) {
        sink.on = true;
        sink.yields = yields;
        __atomic_add_fetch(&hob__trace_session, 1, __ATOMIC_RELAXED);
        __atomic_or_fetch(&hob__trace_on, TRACE_RECORD, __ATOMIC_RELEASE);
    } else {
        hob__rings_attach(false);
        sink_reset();
    }
    pthread_mutex_unlock(&sink.lock);
    return r;
}

int hob_trace_start(const struct hob_trace_opts *opts)
{
    return sink_start(opts, false);
}

int hob__trace_start_yielding(const struct hob_trace_opts *opts)
{
    return sink_start(opts, true);
}

/* The last block; room for it is not limited. */
static void sink_end(void)
{
    struct record_block b = {.kind = RECORD_END, .n_slots = 1};
    struct trace_event e = {.at = hob__now(), .task = sink.n_lost + hob__rings_lost()};
    int r = sink_reserve(sizeof(b) + sizeof(e));

    if (r == 0) {
        sink_append(&b, sizeof(b));
        sink_append(&e, sizeof(e));
        sink_flush();
    } else if (sink.err == 0) {
        sink.err = r;
    }
}

/* Under the lock, while it is on. */
static int sink_stop(hob_trace **ret)
{
    uint64_t one = 1;
    int r;

    if (hob__trace_settle)
        hob__trace_settle();
    __atomic_and_fetch(&hob__trace_on, ~(unsigned)TRACE_RECORD, __ATOMIC_RELEASE);
    (void)!write(sink.wake_fd, &one, sizeof(one)); /* cannot fail: the counter is 0 */
    pthread_join(sink.thread, NULL);
    sink_end();
    hob__rings_attach(false);
    sink.on = false;
    r = sink.err;
    if (ret && sink.file_fd < 0) {
        /* A recording that reached its limit is still worth reading. */
        int r2 = hob__record_read(sink.bytes, sink.n_bytes, ret);
        r = r2 < 0 ? r2 : r == -EFBIG ? 0 : r;
    }
    sink_reset();
    return r;
}

/* The program's own, or the one that was asked for behind its back. */
static int sink_stop_if(bool yields, hob_trace **ret)
{
    pthread_mutex_lock(&sink.lock);
    int r = sink.on && sink.yields == yields ? sink_stop(ret) : -EINVAL;
    pthread_mutex_unlock(&sink.lock);
    return r;
}

int hob_trace_stop(hob_trace **ret)
{
    return sink_stop_if(false, ret);
}

int hob__trace_stop_yielding(void)
{
    return sink_stop_if(true, NULL);
}

void hob_trace_mark(const char *text)
{
    if (trace_recording())
        hob__trace_emit_text(TRACE_EV_MARK, hob__now(), 0, 0, text);
}

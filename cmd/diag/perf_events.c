/* SPDX-License-Identifier: MIT
 *
 * perf_events.c - the kernel's events on threads, and the rings they write into
 *
 * WHAT        One dummy event a thread and CPU with context_switch, inherited by all that the
 *             thread starts.  This needs no privilege while perf_event_paranoid is 2 or less.
 *
 * HOW         The ring of a CPU belongs to an event of our own, which never counts; the threads'
 *             events write into it.  So those may come and go, and the ring stays.  In a rest
 *             (perf_turns.c) the rings go, too: while any event on a thread is open on this
 *             machine, our own as well, each switch of a thread that ever had one costs more.
 *
 *   Where it is permitted a second event a thread and CPU says who woke whom (wakers.h, T1+).
 *
 * REJECTED    One event for the process on all CPUs (cpu -1): the kernel does not map the ring of
 *   such an inherited event.  The tracepoint sched_switch: privileged.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <hob/rt.h>

#include "diag/perf_impl.h"

enum { RING_MOST = 512 << 10, RING_LEAST = 16 << 10 };

struct events_ring {
    struct perf_event_mmap_page *page; /* NULL: there is no such CPU now */
    size_t bytes;
    int fd; /* of the event that holds it */
};

static int event_open(struct perf_event_attr *a, int32_t tid, int cpu)
{
    a->size = sizeof *a;
    a->type = PERF_TYPE_SOFTWARE;
    a->config = PERF_COUNT_SW_DUMMY;
    a->sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_CPU;
    a->exclude_kernel = a->exclude_hv = 1;
    a->sample_id_all = 1;
    a->use_clockid = 1;
    a->clockid = CLOCK_MONOTONIC;
    long fd = syscall(SYS_perf_event_open, a, tid, cpu, -1, PERF_FLAG_FD_CLOEXEC);

    return fd < 0 ? -errno : (int)fd;
}

static int thread_event(int32_t tid, int cpu, enum events_begin begin, bool counts_lost)
{
    struct perf_event_attr a = {
        .read_format = counts_lost ? PERF_FORMAT_LOST : 0,
        .disabled = begin != EVENTS_AT_ONCE,
        .enable_on_exec = begin == EVENTS_ON_EXEC,
        .inherit = 1,
        .context_switch = 1,
        .task = 1,
        .comm = 1,
        .comm_exec = 1,
    };

    return event_open(&a, tid, cpu);
}

/* --- rings ------------------------------------------------------------------------------------ */

/* As large as may be locked. */
static int ring_map(struct events *e, size_t i)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct events_ring *held = &e->held[i];

    for (size_t size = RING_MOST; size >= RING_LEAST && size >= page; size /= 2) {
        void *at = mmap(NULL, page + size, PROT_READ | PROT_WRITE, MAP_SHARED, held->fd, 0);

        if (at == MAP_FAILED)
            continue;
        held->page = at;
        held->bytes = page + size;
        e->rings[i] = (struct ring){.data = (const unsigned char *)at + page,
                                    .size = size,
                                    .n_bad = e->rings[i].n_bad,
                                    .wakes = e->rings[i].wakes};
        return 0;
    }
    return -EPERM;
}

/* A CPU that is switched off (-ENODEV) has none. */
static int ring_open(struct events *e, size_t i)
{
    struct perf_event_attr a = {.disabled = 1, .watermark = 1, .wakeup_watermark = RING_MOST / 2};
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET};
    int fd = event_open(&a, 0, (int)i);

    if (fd < 0)
        return fd == -ENODEV ? 0 : fd;
    e->held[i].fd = fd;
    int r = ring_map(e, i);
    return r < 0 ? r : epoll_ctl(e->wake, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

int events_open(struct events *e, size_t n_cpus)
{
    int r;

    *e = (struct events){.n_cpus = n_cpus, .wake = -1};
    e->held = calloc(n_cpus, sizeof *e->held);
    e->rings = calloc(n_cpus, sizeof *e->rings);
    for (size_t i = 0; e->held && i < n_cpus; i++)
        e->held[i].fd = -1;
    if (!e->held || !e->rings)
        return -ENOMEM;
    e->wake = epoll_create1(EPOLL_CLOEXEC);
    r = e->wake < 0 ? -errno : 0;
    for (size_t i = 0; r == 0 && i < n_cpus; i++)
        r = ring_open(e, i);
    return r;
}

static void rings_close(struct events *e)
{
    for (size_t i = 0; e->held && e->rings && i < e->n_cpus; i++) {
        if (e->held[i].page)
            munmap(e->held[i].page, e->held[i].bytes);
        if (e->held[i].fd >= 0)
            close(e->held[i].fd); /* which takes it out of the epoll set, too */
        e->held[i] = (struct events_ring){.fd = -1};
        e->rings[i] = (struct ring){.n_bad = e->rings[i].n_bad, .wakes = e->rings[i].wakes};
    }
}

void events_rest(struct events *e)
{
    events_drop(e);
    rings_close(e);
    wakers_rest();
}

int events_wake(struct events *e)
{
    int r = 0;

    if (e->has_wakes && wakers_hold(&e->wakes) < 0)
        e->has_wakes = false;
    for (size_t i = 0; r == 0 && i < e->n_cpus; i++)
        r = ring_open(e, i);
    if (r < 0)
        rings_close(e);
    return r;
}

void events_close(struct events *e)
{
    events_drop(e);
    rings_close(e);
    if (e->wake >= 0)
        close(e->wake);
    free(e->held);
    free(e->rings);
    free(e->threads.fd);
    free(e->wakers.fd);
}

int64_t events_now(void)
{
    return hob_now();
}

void events_drain(struct events *e, struct switches *s, int64_t until, int64_t base)
{
    struct switch_event record;

    for (size_t i = 0; i < e->n_cpus; i++)
        if (e->held[i].page)
            e->rings[i].head = __atomic_load_n(&e->held[i].page->data_head, __ATOMIC_ACQUIRE);
    while (rings_next(e->rings, e->n_cpus, (uint64_t)until, &record))
        switches_apply(s, &record, (int64_t)record.time - base);
    for (size_t i = 0; i < e->n_cpus; i++)
        if (e->held[i].page)
            __atomic_store_n(&e->held[i].page->data_tail, e->rings[i].tail, __ATOMIC_RELEASE);
}

/* --- threads ---------------------------------------------------------------------------------- */

static int fd_keep(struct event_fds *f, int fd)
{
    if ((f->n & (f->n - 1)) == 0) {
        void *more = reallocarray(f->fd, f->n ? 2 * f->n : 1, sizeof *f->fd);

        if (!more) {
            close(fd);
            return -ENOMEM;
        }
        f->fd = more;
    }
    f->fd[f->n++] = fd;
    return 0;
}

static void fds_close(struct event_fds *f)
{
    while (f->n > 0)
        close(f->fd[--f->n]);
}

/* Also by the events that were inherited. */
static uint64_t fds_lost(const struct event_fds *f)
{
    struct {
        uint64_t count, lost;
    } is;
    uint64_t n = 0;

    for (size_t i = 0; i < f->n; i++)
        if (read(f->fd[i], &is, sizeof is) == sizeof is)
            n += is.lost;
    return n;
}

uint64_t events_lost(const struct events *e)
{
    return e->n_lost + fds_lost(&e->threads) + fds_lost(&e->wakers);
}

static void wakers_close(struct events *e)
{
    e->n_lost += fds_lost(&e->wakers);
    fds_close(&e->wakers);
}

/* False: there is one CPU on which this thread's wakes are not heard. */
static bool wakes_add(struct events *e, int32_t tid, enum events_begin begin)
{
    for (size_t i = 0; i < e->n_cpus; i++) {
        if (!e->held[i].page)
            continue;
        int fd =
            wakers_open(&e->wakes, tid, (int)i, begin != EVENTS_AT_ONCE, begin == EVENTS_ON_EXEC);
        if (fd == -ENODEV || fd == -ESRCH)
            continue;
        if (fd < 0 || fd_keep(&e->wakers, fd) < 0 ||
            ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, e->held[i].fd) < 0)
            return false;
    }
    return true;
}

int events_wakes(struct events *e, const char **why)
{
    int r = wakers_find(NULL, &e->wakes);

    *why = "sched_waking of tracefs";
    if (r < 0)
        return r;
    r = wakers_hold(&e->wakes);
    *why = "its event";
    if (r < 0)
        return r;
    e->has_wakes = true;
    for (size_t i = 0; i < e->n_cpus; i++)
        e->rings[i].wakes = &e->wakes;
    return 0;
}

void events_wakes_end(struct events *e)
{
    e->has_wakes = false;
    wakers_close(e);
}

int events_add(struct events *e, int32_t tid, enum events_begin begin)
{
    size_t n = 0;

    for (size_t i = 0; i < e->n_cpus; i++) {
        if (!e->held[i].page)
            continue;
        int fd = thread_event(tid, (int)i, begin, !e->no_lost);
        if (fd == -EINVAL && !e->no_lost) {
            e->no_lost = true;
            fd = thread_event(tid, (int)i, begin, false);
        }
        if (fd == -ENODEV)
            continue;
        int r = fd < 0 ? fd : fd_keep(&e->threads, fd);
        if (r < 0)
            return r;
        if (ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, e->held[i].fd) < 0)
            return -errno;
        n++;
    }
    if (n && e->has_wakes && !wakes_add(e, tid, begin))
        e->n_no_wakes++;
    return n ? 0 : -ENODEV;
}

bool events_may(int32_t tid)
{
    int fd = thread_event(tid, -1, EVENTS_WHEN_TOLD, false);

    if (fd >= 0)
        close(fd);
    return fd >= 0 || fd == -ESRCH;
}

void events_switch(struct events *e, bool on)
{
    unsigned long what = on ? PERF_EVENT_IOC_ENABLE : PERF_EVENT_IOC_DISABLE;

    for (size_t i = 0; i < e->threads.n; i++)
        ioctl(e->threads.fd[i], what, 0);
    for (size_t i = 0; i < e->wakers.n; i++)
        ioctl(e->wakers.fd[i], what, 0);
}

void events_drop(struct events *e)
{
    e->n_lost += fds_lost(&e->threads);
    fds_close(&e->threads);
    wakers_close(e);
}

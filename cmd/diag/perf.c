/* SPDX-License-Identifier: MIT
 *
 * perf.c - a recording from the kernel's switch records (T1)
 *
 * WHAT        One dummy event a CPU with context_switch, inherited by all that the command starts:
 *             the kernel writes a record whenever one of its threads gets or leaves a core.  This
 *             needs no privilege while perf_event_paranoid is 2 or less.
 *
 * HOW         Each tick empties the rings in order of time, up to a moment before the first ring
 *             was looked at (what is younger stays: another CPU may still be writing what is
 *             older), then looks at the waits that are open (switches.h).  A program that does
 *             nothing gets longer ticks, one that keeps the recorder busy too.
 *
 *   A record costs half a microsecond.  Above BUSY_RATE switches a second that would slow the
 *   program: then they are taken for a part of each 100 ms, and the rest is filled with what was
 *   seen.
 *
 * REJECTED    One event for the process on all CPUs (cpu -1): the kernel does not map the ring of
 *   such an inherited event.  sched tracepoints: privileged.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <hob/hob.h>

#include "diag/look.h"
#include "diag/procfs.h"
#include "diag/records.h"
#include "diag/source.h"
#include "diag/switches.h"

enum { RING_MOST = 512 << 10, RING_LEAST = 16 << 10 };

#define TICK_FIRST HOB_MS        /* while it is young and everything is news */
#define YOUNG      (2 * HOB_SEC) /* so long */
#define TICK_LEAST (2 * HOB_MS)
#define TICK_MOST  (10 * HOB_MS)
#define TICK_QUIET (20 * HOB_MS)
#define CPU_FIRST  (3 * HOB_MS) /* for the recorder: to begin with, */
#define CPU_SHARE  0.015        /* and of a core */
#define CPU_EVERY  (20 * HOB_MS)

#define BUSY_RATE  50000.0 /* switches a second */
#define CALM_RATE  40000.0
#define TURN       (100 * HOB_MS)
#define TURN_ON    (10 * HOB_MS) /* of it, while there are no more than this a second: */
#define TURN_RATE  100000.0
#define TURN_LEAST (2 * HOB_MS)
#define RATE_EVERY (50 * HOB_MS)
enum { RATE_ENOUGH = 5000 }; /* switches of which it is clear before */

struct perf_cpu {
    struct perf_event_mmap_page *page; /* NULL: no event there */
    size_t bytes;
};

struct perf {
    const struct rec_begin *b;
    struct looker *looker;
    struct switches *switches;
    struct perf_cpu *cpus;
    struct ring *rings;
    size_t n_cpus;
    int *fds;
    size_t n_fds;
    int wake;           /* epoll: a ring is half full */
    int64_t tick, idle; /* between ticks; while nothing happens */
    int64_t last;       /* the last one */
    uint64_t n_ticks;
    int64_t cpu_at, cpu; /* when the recorder's CPU time was asked for last, and what it was */
    int64_t rate_at;     /* likewise the switches, */
    uint64_t rate_n;
    double rate;           /* and how many there were a second */
    bool duty, on;         /* takes turns; and is on */
    int64_t turn, on_time; /* when this turn began; all time on */
};

/* --- opening ---------------------------------------------------------------------------------- */

static int event_open(int32_t tid, int cpu, bool on_exec, size_t watermark)
{
    struct perf_event_attr a = {
        .size = sizeof a,
        .type = PERF_TYPE_SOFTWARE,
        .config = PERF_COUNT_SW_DUMMY,
        .sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_CPU,
        .disabled = 1,
        .inherit = 1,
        .exclude_kernel = 1,
        .exclude_hv = 1,
        .enable_on_exec = on_exec,
        .sample_id_all = 1,
        .context_switch = 1,
        .task = 1,
        .comm = 1,
        .comm_exec = 1,
        .use_clockid = 1,
        .clockid = CLOCK_MONOTONIC,
        .watermark = 1,
        .wakeup_watermark = (uint32_t)watermark,
    };
    long fd = syscall(SYS_perf_event_open, &a, tid, cpu, -1, PERF_FLAG_FD_CLOEXEC);

    return fd < 0 ? -errno : (int)fd;
}

/* The ring of a CPU's first event: as large as may be locked. */
static int ring_map(struct perf *p, size_t i, int fd)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    for (size_t size = RING_MOST; size >= RING_LEAST && size >= page; size /= 2) {
        void *at = mmap(NULL, page + size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

        if (at == MAP_FAILED)
            continue;
        p->cpus[i] = (struct perf_cpu){.page = at, .bytes = page + size};
        p->rings[i] = (struct ring){.data = (const unsigned char *)at + page, .size = size};
        return 0;
    }
    return -EPERM;
}

static int fd_keep(struct perf *p, int fd)
{
    if ((p->n_fds & (p->n_fds - 1)) == 0) {
        void *fds = reallocarray(p->fds, p->n_fds ? 2 * p->n_fds : 1, sizeof *p->fds);

        if (!fds) {
            close(fd);
            return -ENOMEM;
        }
        p->fds = fds;
    }
    p->fds[p->n_fds++] = fd;
    return 0;
}

/* An event on CPU i for a thread; the first there brings the ring, others write into it. */
static int event_add(struct perf *p, size_t i, int32_t tid, int *first)
{
    int fd = event_open(tid, (int)i, !p->b->attached, RING_MOST / 2);
    int r = fd < 0 ? fd : fd_keep(p, fd);

    if (r < 0)
        return r;
    if (p->cpus[i].page)
        return ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, first[i]) < 0 ? -errno : 0;
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET};
    first[i] = fd;
    r = ring_map(p, i, fd);
    return r < 0 ? r : epoll_ctl(p->wake, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

/* Events on all CPUs; a CPU that is switched off (-ENODEV) has none. */
static int thread_add(struct perf *p, int32_t tid, int *first)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n_cpus; i++) {
        int r = event_add(p, i, tid, first);

        if (r == -ENODEV)
            continue;
        if (r < 0)
            return r;
        n++;
    }
    return n ? 0 : -ENODEV;
}

static const char *why_refused(int r)
{
    switch (r) {
    case -EACCES:
        return "perf_event_paranoid is above 2";
    case -EPERM:
        return "perf_event_open or its memory is not permitted here";
    case -ENOSYS:
        return "this kernel has no perf_event_open";
    default:
        return hob_strerror(r);
    }
}

/* --- attaching -------------------------------------------------------------------------------- */

struct pid_list {
    int32_t *pid;
    size_t n;
};

static bool pid_list_add(struct pid_list *l, int32_t pid)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->pid[i] == pid)
            return true;
    if ((l->n & (l->n - 1)) == 0) {
        void *p = reallocarray(l->pid, l->n ? 2 * l->n : 1, sizeof *l->pid);

        if (!p)
            return false;
        l->pid = p;
    }
    l->pid[l->n++] = pid;
    return true;
}

static void children_add(struct pid_list *l, int32_t pid, int32_t tid)
{
    char text[1 << 14];
    const char *at = text;
    int32_t child;

    if (procfs_read(text, sizeof text, "/proc/%d/task/%d/children", pid, tid) > 0)
        while ((child = procfs_next_pid(&at)) > 0)
            pid_list_add(l, child);
}

/* The threads of a process that runs, each with its events; returns how many have none. */
static size_t process_attach(struct perf *p, struct pid_list *l, int32_t pid, int *first, int *ret)
{
    char path[64];
    struct dirent *e;
    size_t missed = 0;

    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *d = opendir(path);
    if (!d)
        return 0;
    while ((e = readdir(d))) {
        int32_t tid = atoi(e->d_name);
        int r = -ESRCH;

        if (tid > 0 && !switches_know(p->switches, tid))
            r = thread_add(p, tid, first);
        if (r == 0)
            switches_found(p->switches, pid, tid, hob_now() - p->b->base);
        else if (r != -ESRCH)
            missed++, *ret = r;
        if (tid > 0)
            children_add(l, pid, tid);
    }
    closedir(d);
    return missed;
}

static void drain(struct perf *p, int64_t until);

/* What starts while the events are opened one by one may have none: once they are on, a second
 * round finds it.  A thread that gets two reports everything twice, which changes nothing. */
static int attach(struct perf *p, int *first)
{
    struct pid_list l = {0};
    struct rlimit files;
    size_t missed = 0;
    int r = 0;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    pid_list_add(&l, p->b->root);
    for (int round = 0; round < 2; round++) {
        missed = 0;
        for (size_t i = 0; i < l.n; i++)
            missed += process_attach(p, &l, l.pid[i], first, &r);
        for (size_t i = 0; i < p->n_fds; i++)
            ioctl(p->fds[i], PERF_EVENT_IOC_ENABLE, 0);
        drain(p, hob_now());
    }
    free(l.pid);
    if (switches_live(p->switches) == 0)
        return r < 0 ? r : -ESRCH;
    if (missed)
        rec_note(p->b->rec, "%zu threads are not seen: %s", missed, hob_strerror(r));
    return 0;
}

/* --- ticks ------------------------------------------------------------------------------------ */

/* All records older than `until`, which is hob_now() of before. */
static void drain(struct perf *p, int64_t until)
{
    struct switch_event e;

    for (size_t i = 0; i < p->n_cpus; i++)
        if (p->cpus[i].page)
            p->rings[i].head = __atomic_load_n(&p->cpus[i].page->data_head, __ATOMIC_ACQUIRE);
    while (rings_next(p->rings, p->n_cpus, (uint64_t)until, &e))
        switches_apply(p->switches, &e, (int64_t)e.time - p->b->base);
    for (size_t i = 0; i < p->n_cpus; i++)
        if (p->cpus[i].page)
            __atomic_store_n(&p->cpus[i].page->data_tail, p->rings[i].tail, __ATOMIC_RELEASE);
}

static void turn_to(struct perf *p, bool on, int64_t now)
{
    for (size_t i = 0; i < p->n_fds; i++)
        ioctl(p->fds[i], on ? PERF_EVENT_IOC_ENABLE : PERF_EVENT_IOC_DISABLE, 0);
    if (on)
        switches_resume(p->switches, now);
    else
        p->on_time += now - p->turn;
    if (!on) {
        drain(p, p->b->base + now + HOB_SEC); /* nothing is written any more */
        switches_pause(p->switches, now);
    }
    p->on = on;
    p->turn = now;
}

static int64_t turn_on(const struct perf *p)
{
    double on = (double)TURN_ON;

    if (p->rate > TURN_RATE)
        on *= TURN_RATE / p->rate;
    return on > (double)TURN_LEAST ? (int64_t)on : TURN_LEAST;
}

/* How many switches a second there are while they are recorded; turns begin and end by it. */
static void rate_look(struct perf *p, int64_t now, int64_t every)
{
    int64_t d = now - p->rate_at;
    uint64_t n = p->b->rec->n_switches - p->rate_n;

    if (d <= 0 || (d < every && n < RATE_ENOUGH))
        return;
    p->rate = (double)n * HOB_SEC / (double)d;
    p->rate_n = p->b->rec->n_switches;
    p->rate_at = now;
    if (!p->duty && p->rate > BUSY_RATE)
        rec_note(p->b->rec,
                 "at more than %.0f switches a second only a part of each 100 ms was "
                 "recorded, and the rest filled with what was seen then",
                 BUSY_RATE);
    p->duty = p->rate > (p->duty ? CALM_RATE : BUSY_RATE);
}

static void duty_look(struct perf *p, int64_t now)
{
    if (p->on && !p->duty) {
        rate_look(p, now, RATE_EVERY);
    } else if (p->on && now - p->turn >= turn_on(p)) {
        rate_look(p, now, 0);
        turn_to(p, false, now);
    } else if (!p->on && now - p->turn >= TURN - turn_on(p)) {
        turn_to(p, true, now);
        p->rate_n = p->b->rec->n_switches;
        p->rate_at = now;
    }
}

static int64_t cpu_used(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * HOB_SEC +
           (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * HOB_US;
}

/* Longer ticks when the recorder has computed too much, shorter ones when it may. */
static void tick_look(struct perf *p, int64_t now)
{
    int64_t least = now < YOUNG ? TICK_FIRST : TICK_LEAST;

    if (now - p->cpu_at < CPU_EVERY)
        return;
    p->cpu_at = now;
    if ((double)(cpu_used() - p->b->aside - p->cpu - CPU_FIRST) > CPU_SHARE * (double)now)
        p->tick += p->tick / 4;
    else
        p->tick -= p->tick / 8;
    p->tick = p->tick < least ? least : p->tick > TICK_MOST ? TICK_MOST : p->tick;
}

/* While nothing happens the ticks grow, so that a wait as long as the one before is looked at. */
static int64_t tick_next(struct perf *p, bool quiet)
{
    int64_t on = turn_on(p);

    if (!p->on)
        return TURN - on;
    if (p->duty)
        return p->tick < on / 2 ? p->tick : on / 2;
    p->idle = !quiet ? 0 : p->idle ? p->idle * 2 : p->tick;
    if (p->idle > TICK_QUIET)
        p->idle = TICK_QUIET;
    return p->idle > p->tick ? p->idle : p->tick;
}

static int64_t perf_tick(void *state, int64_t now)
{
    struct perf *p = state;
    struct epoll_event ev[8];
    bool quiet;

    while (epoll_wait(p->wake, ev, 8, 0) == 8)
        ;
    if (p->on)
        drain(p, p->b->base + now);
    quiet = switches_quiet(p->switches);
    switches_look(p->switches, now, now - p->last);
    duty_look(p, now);
    tick_look(p, now);
    p->n_ticks++;
    p->b->rec->tick = now / (int64_t)p->n_ticks;
    p->last = now;
    return tick_next(p, quiet);
}

static int perf_fd(void *state)
{
    return ((struct perf *)state)->wake;
}

/* While it is off, nobody knows what goes on. */
static void perf_open_now(void *state, int64_t now, rec_open_fn *f, void *arg)
{
    struct perf *p = state;

    switches_open(p->switches, p->on ? now : p->turn, f, arg);
}

/* --- begin and end ---------------------------------------------------------------------------- */

static void perf_free(struct perf *p)
{
    for (size_t i = 0; p->cpus && i < p->n_cpus; i++)
        if (p->cpus[i].page)
            munmap(p->cpus[i].page, p->cpus[i].bytes);
    for (size_t i = 0; i < p->n_fds; i++)
        close(p->fds[i]);
    if (p->wake >= 0)
        close(p->wake);
    switches_free(p->switches);
    looker_free(p->looker);
    free(p->cpus);
    free(p->rings);
    free(p->fds);
    free(p);
}

static int perf_open(struct perf *p)
{
    int *first = calloc(p->n_cpus, sizeof *first), r;

    p->cpus = calloc(p->n_cpus, sizeof *p->cpus);
    p->rings = calloc(p->n_cpus, sizeof *p->rings);
    p->wake = epoll_create1(EPOLL_CLOEXEC);
    r = !first || !p->cpus || !p->rings ? -ENOMEM : p->wake < 0 ? -errno : 0;
    if (r == 0)
        r = looker_new(p->b->rec, &p->looker);
    if (r == 0)
        r = switches_new(p->b->rec, p->looker, &p->switches);
    if (r == 0)
        r = p->b->attached ? attach(p, first) : thread_add(p, p->b->root, first);
    free(first);
    return r;
}

static int perf_start(const struct rec_begin *begin, void **ret, const char **why)
{
    struct perf *p = calloc(1, sizeof *p);
    int r;

    if (!p)
        return -ENOMEM;
    *p = (struct perf){
        .b = begin, .n_cpus = begin->rec->n_cpus, .wake = -1, .tick = TICK_FIRST, .on = true};
    r = perf_open(p);
    if (r < 0) {
        *why = why_refused(r);
        perf_free(p);
        return r;
    }
    begin->rec->tier = REC_T1;
    p->cpu = cpu_used();
    *ret = p;
    return 0;
}

static void perf_stop(void *state, int64_t now)
{
    struct perf *p = state;
    struct recording *rec = p->b->rec;
    size_t n_bad = 0;

    if (p->on) {
        drain(p, hob_now());
        p->on_time += now - p->turn;
    } else {
        switches_resume(p->switches, now);
    }
    switches_look(p->switches, now, now - p->last);
    switches_finish(p->switches, now);
    looker_finish(p->looker);
    for (size_t i = 0; i < p->n_cpus; i++)
        n_bad += p->rings[i].n_bad;
    if (n_bad)
        rec_note(rec, "%zu times the kernel's records could not be read", n_bad);
    if (rec->n_lost)
        rec_note(rec, "%llu switch records were lost", (unsigned long long)rec->n_lost);
    rec->duty = now > 0 ? (double)p->on_time / (double)now : 1;
    rec->tick = p->n_ticks ? now / (int64_t)p->n_ticks : TICK_FIRST;
    perf_free(p);
}

const struct rec_source rec_source_perf = {.tier = REC_T1,
                                           .start = perf_start,
                                           .tick = perf_tick,
                                           .fd = perf_fd,
                                           .open = perf_open_now,
                                           .stop = perf_stop};

/* SPDX-License-Identifier: MIT
 *
 * load.c - the cores a program could use, and what other programs took of them
 *
 * HOW         Of the CPUs that the command may run on, and of no others, the time that was not idle
 *   less what is accounted for:
 *
 *     its own CPU time     as the kernel counts it.  What the hypervisor took while it ran (steal)
 *                          is not in there, so that remains, and counts as others'
 *     ours
 *     its local peers'     the database that works for it is no other program, and will do the
 *                          same work for the faster one; predict.c says when it is the limit
 *     the kernel's threads that write its files and serve its disk; not more than its own time in
 *                          the kernel: beyond that they work for somebody else
 *
 *   Idle time is exact to the 10 ms in which /proc/stat shows it, where a tickless kernel counts it
 *   by the clock.  The columns of busy time are samples: a program that a timer wakes each time is
 *   met by them far too often, and what a virtual machine's cores take to wake up is called steal.
 */
#include "diag/load.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hob/hob.h>

#include "diag/procfs.h"

enum { MASK_CPUS = 8192, MASK_WORDS = MASK_CPUS / 64, STAT_MOST = 1 << 20 };
enum { KTHREADD = 2, KERNEL_MOST = 2048, CHILDREN_MOST = 16 * KERNEL_MOST };

#define ASK_LEAST HOB_MS
#define ASK_MOST  (200 * HOB_MS)
/* The kernel's threads are some hundred files: not while the command waits to begin. */
#define KERNEL_AFTER (20 * HOB_MS)

size_t load_parse_stat(const char *text, uint64_t *idle, size_t n)
{
    size_t named = 0;

    for (const char *line = text; line && strncmp(line, "cpu", 3) == 0;) {
        unsigned long long rest, none, wait;
        unsigned cpu;

        /* The first line is their sum: a blank follows. */
        if (line[3] != ' ' && sscanf(line, "cpu%u %llu %llu %llu %llu %llu", &cpu, &rest, &rest,
                                     &rest, &none, &wait) == 6) {
            if (cpu < n)
                idle[cpu] = none + wait;
            named++;
        }
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    return named;
}

static bool idle_read(uint64_t *idle, size_t n)
{
    char *text = malloc(STAT_MOST);
    bool good = text && procfs_read(text, STAT_MOST, "/proc/stat") > 0 &&
                load_parse_stat(text, idle, n) > 0;

    free(text);
    return good;
}

static bool pressure_read(uint64_t *ret)
{
    char text[256];
    const char *at;
    unsigned long long total;

    if (procfs_read(text, sizeof text, "/proc/pressure/cpu") <= 0 ||
        !(at = strstr(text, "total=")) || sscanf(at, "total=%llu", &total) != 1)
        return false;
    *ret = total;
    return true;
}

static uint64_t thread_run(int32_t pid)
{
    char text[96];
    struct procfs_sched s;

    return procfs_read(text, sizeof text, "/proc/%d/schedstat", pid) > 0 &&
                   procfs_parse_sched(text, &s) == 0
               ? s.run
               : 0;
}

/* The kernel's threads, by pid; in a container there are none to be seen. */
static size_t kernel_read(struct load_kernel *ret)
{
    char *text = malloc(CHILDREN_MOST), name[64];
    size_t n = 0;
    int32_t pid;

    if (text && procfs_read(name, sizeof name, "/proc/%d/comm", KTHREADD) > 0 &&
        strcmp(name, "kthreadd\n") == 0 &&
        procfs_read(text, CHILDREN_MOST, "/proc/%d/task/%d/children", KTHREADD, KTHREADD) > 0)
        for (const char *at = text; n < KERNEL_MOST && (pid = procfs_next_pid(&at)) > 0;)
            ret[n++] = (struct load_kernel){pid, thread_run(pid)};
    free(text);
    return n;
}

static bool cpu_of(pid_t pid, uint64_t *ret_user, uint64_t *ret_system)
{
    char text[1024];
    struct procfs_stat st;

    if (procfs_read(text, sizeof text, "/proc/%d/stat", pid) <= 0 ||
        procfs_parse_stat(text, &st) < 0)
        return false;
    *ret_user = st.user + st.cuser;
    *ret_system = st.sys + st.csys;
    return true;
}

static bool mask_of(pid_t pid, uint64_t *ret)
{
    uint64_t mask[MASK_WORDS] = {0};

    if (sched_getaffinity(pid, sizeof mask, (cpu_set_t *)mask) < 0)
        return false;
    memcpy(ret, mask, sizeof mask);
    return true;
}

void load_begin(struct load *l, pid_t root, bool attached, size_t n_cpus)
{
    *l = (struct load){.n_cpus = n_cpus, .every = ASK_LEAST};
    l->idle = calloc(n_cpus, sizeof *l->idle);
    l->mask = calloc(MASK_WORDS, sizeof *l->mask);
    l->kernel = calloc(KERNEL_MOST, sizeof *l->kernel);
    l->began = hob_now();
    if (l->idle && !idle_read(l->idle, n_cpus)) {
        free(l->idle);
        l->idle = NULL;
    }
    l->has_pressure = pressure_read(&l->pressure);
    if (l->mask)
        mask_of(root, l->mask);
    if (attached)
        cpu_of(root, &l->user, &l->system);
}

void load_tick(struct load *l, int64_t now, pid_t root)
{
    if (now - l->asked < l->every)
        return;
    l->asked = now;
    l->every = l->every * 2 < ASK_MOST ? l->every * 2 : ASK_MOST;
    if (l->mask)
        mask_of(root, l->mask);
    if (l->kernel && !l->has_kernel && now >= KERNEL_AFTER) {
        l->n_kernel = kernel_read(l->kernel);
        l->has_kernel = true;
    }
}

static bool in_mask(const struct load *l, size_t cpu)
{
    return !l->mask || (cpu < MASK_CPUS && l->mask[cpu / 64] >> cpu % 64 & 1);
}

/* CPU time of all intervals. */
static int64_t recorded_run(const struct recording *rec)
{
    double sum = 0;

    for (size_t i = 0; i < rec->n_threads; i++)
        for (size_t k = 0; k < rec->threads[i].n_ivals; k++) {
            const struct rec_ival *v = &rec->threads[i].ivals[k];
            double d = (double)(v->to - v->from);

            sum += v->flags & REC_IVAL_FOLDED ? d * v->run_ppm / 1e6 : v->state == REC_RUN ? d : 0;
        }
    return (int64_t)sum;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

uint32_t load_cores(const struct load *l)
{
    uint32_t cores = hob_cores(), allowed = 0;

    for (size_t i = 0; l->mask && i < MASK_CPUS; i++)
        allowed += in_mask(l, i);
    return allowed > 0 && allowed < cores ? allowed : cores;
}

int64_t load_busy(const struct load *l)
{
    uint64_t *idle = calloc(l->n_cpus, sizeof *idle);
    int64_t tick = HOB_SEC / sysconf(_SC_CLK_TCK), busy = -1;

    if (idle && l->idle && idle_read(idle, l->n_cpus)) {
        int64_t elapsed = hob_now() - l->began;

        busy = 0;
        for (size_t i = 0; i < l->n_cpus; i++)
            if (in_mask(l, i) && idle[i] > 0) { /* 0: it is not there */
                int64_t none = idle[i] > l->idle[i] ? (int64_t)(idle[i] - l->idle[i]) * tick : 0;

                busy += elapsed - least(none, elapsed);
            }
    }
    free(idle);
    return busy;
}

static int64_t peers_cpu(const struct load *l, const struct recording *rec)
{
    uint64_t mask[MASK_WORDS];
    int64_t sum = 0;

    for (size_t i = 0; i < rec->n_peers; i++) {
        const struct rec_peer *p = &rec->peers[i];
        bool shares = false;

        if (p->peer_cpu <= 0 || !mask_of(p->pid, mask))
            continue;
        for (size_t k = 0; k < MASK_WORDS && !shares; k++)
            shares = !l->mask || (mask[k] & l->mask[k]);
        sum += shares ? p->peer_cpu : 0;
    }
    return sum;
}

/* What the kernel's threads ran since the beginning, of those last seen on the command's CPUs. */
static int64_t kernel_cpu(const struct load *l)
{
    struct load_kernel *now = l->has_kernel ? calloc(KERNEL_MOST, sizeof *now) : NULL;
    size_t n = now ? kernel_read(now) : 0;
    int64_t sum = 0;

    for (size_t i = 0, k = 0; i < n; i++) {
        struct procfs_stat st;
        char text[1024];

        while (k < l->n_kernel && l->kernel[k].pid != now[i].pid)
            k++;
        uint64_t before = k < l->n_kernel ? l->kernel[k].run : 0;
        if (k == l->n_kernel)
            k = 0; /* born since; the lists are in one order otherwise */
        if (now[i].run > before &&
            procfs_read(text, sizeof text, "/proc/%d/stat", now[i].pid) > 0 &&
            procfs_parse_stat(text, &st) == 0 && in_mask(l, st.core))
            sum += (int64_t)(now[i].run - before);
    }
    free(now);
    return sum;
}

int64_t load_foreign(const struct load_sums *s)
{
    int64_t others = s->busy - s->own - s->recorder - s->peers;

    others -= least(s->kernel, s->system);
    return others > s->noise ? others : 0;
}

static void sums_take(const struct load *l, const struct recording *rec, struct load_sums *ret)
{
    struct load_sums s = {.recorder = rec->recorder_cpu, .busy = load_busy(l)};

    s.noise = (1 + rec->n_cores) * (HOB_SEC / sysconf(_SC_CLK_TCK));
    s.own = rec->user + rec->system;
    s.system = rec->system;
    if (rec->user < 0 || rec->system < 0) {
        s.own = recorded_run(rec);
        s.system = s.own;
    }
    s.peers = peers_cpu(l, rec);
    if (load_foreign(&s) > 0)
        s.kernel = kernel_cpu(l); /* hundreds of files, at the end of which somebody waits */
    *ret = s;
}

static void foreign_end(struct load *l, struct recording *rec)
{
    struct load_sums s;
    uint64_t pressure;

    sums_take(l, rec, &s);
    if (rec->wall > 0)
        rec->foreign = (double)load_foreign(&s) / (double)(hob_now() - l->began);
    if (rec->foreign >= 0.1 && l->has_pressure && pressure_read(&pressure)) {
        double share = (double)(pressure - l->pressure) * HOB_US / (double)rec->wall * 100;

        rec_note(rec,
                 "other programs kept %.1f cores busy; %.0f %% of the time something on this "
                 "machine had no core",
                 rec->foreign, share < 100 ? share : 100);
    }
}

void load_unreaped(const struct recording *rec, int64_t *user, int64_t *system)
{
    int64_t tick = HOB_SEC / sysconf(_SC_CLK_TCK);

    for (size_t i = 0; i < rec->n_procs; i++) {
        const struct rec_proc *p = &rec->procs[i];
        uint64_t u, s;

        if (p->pid > 0 && p->died == INT64_MAX && cpu_of(p->pid, &u, &s)) {
            *user += (int64_t)u * tick;
            *system += (int64_t)s * tick;
        }
    }
}

void load_end(struct load *l, struct recording *rec)
{
    uint64_t user, system;
    int64_t tick = HOB_SEC / sysconf(_SC_CLK_TCK);

    rec->n_cores = load_cores(l);
    if (rec->attached && rec->n_procs == 1 && cpu_of(rec->root, &user, &system)) {
        rec->user = (int64_t)(user - l->user) * tick;
        rec->system = (int64_t)(system - l->system) * tick;
    }
    foreign_end(l, rec);
}

void load_free(struct load *l)
{
    free(l->idle);
    free(l->kernel);
    free(l->mask);
    *l = (struct load){0};
}

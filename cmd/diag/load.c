/* SPDX-License-Identifier: MIT
 *
 * load.c - the cores a program could use, and what other programs took of them
 *
 * HOW         /proc/stat counts per CPU the time that was not idle, in clock ticks of 10 ms.  Of
 *             the CPUs the command may run on, that less the command's own CPU time and ours is
 *             what others had, the hypervisor's other guests (steal) included.
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

#define ASK_LEAST HOB_MS
#define ASK_MOST  (200 * HOB_MS)

size_t load_parse_stat(const char *text, uint64_t *busy, size_t n)
{
    size_t named = 0;

    for (const char *line = text; line && strncmp(line, "cpu", 3) == 0;) {
        unsigned long long user, nice, sys, idle, wait, irq, soft, steal;
        unsigned cpu;

        if (sscanf(line, "cpu%u %llu %llu %llu %llu %llu %llu %llu %llu", &cpu, &user, &nice, &sys,
                   &idle, &wait, &irq, &soft, &steal) == 9) {
            if (cpu < n)
                busy[cpu] = user + nice + sys + irq + soft + steal;
            named++;
        }
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    return named;
}

static bool busy_read(uint64_t *busy, size_t n)
{
    char *text = malloc(STAT_MOST);
    bool good = text && procfs_read(text, STAT_MOST, "/proc/stat") > 0 &&
                load_parse_stat(text, busy, n) > 0;

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

static bool root_cpu(pid_t root, uint64_t *ret_user, uint64_t *ret_system)
{
    char text[1024];
    struct procfs_stat st;

    if (procfs_read(text, sizeof text, "/proc/%d/stat", root) <= 0 ||
        procfs_parse_stat(text, &st) < 0)
        return false;
    *ret_user = st.user + st.cuser;
    *ret_system = st.sys + st.csys;
    return true;
}

static void mask_ask(struct load *l, pid_t root)
{
    uint64_t mask[MASK_WORDS] = {0};

    if (l->mask && sched_getaffinity(root, sizeof mask, (cpu_set_t *)mask) == 0)
        memcpy(l->mask, mask, sizeof mask);
}

void load_begin(struct load *l, pid_t root, bool attached, size_t n_cpus)
{
    *l = (struct load){.n_cpus = n_cpus, .every = ASK_LEAST};
    l->busy = calloc(n_cpus, sizeof *l->busy);
    l->mask = calloc(MASK_WORDS, sizeof *l->mask);
    if (l->busy && !busy_read(l->busy, n_cpus)) {
        free(l->busy);
        l->busy = NULL;
    }
    l->has_pressure = pressure_read(&l->pressure);
    mask_ask(l, root);
    if (attached)
        root_cpu(root, &l->user, &l->system);
}

void load_tick(struct load *l, int64_t now, pid_t root)
{
    if (now - l->asked < l->every)
        return;
    l->asked = now;
    l->every = l->every * 2 < ASK_MOST ? l->every * 2 : ASK_MOST;
    mask_ask(l, root);
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

uint32_t load_cores(const struct load *l)
{
    uint32_t cores = hob_cores(), allowed = 0;

    for (size_t i = 0; l->mask && i < MASK_CPUS; i++)
        allowed += in_mask(l, i);
    return allowed > 0 && allowed < cores ? allowed : cores;
}

int64_t load_busy(const struct load *l)
{
    uint64_t *busy = calloc(l->n_cpus, sizeof *busy);
    int64_t ticks = -1;

    if (busy && l->busy && busy_read(busy, l->n_cpus)) {
        ticks = 0;
        for (size_t i = 0; i < l->n_cpus; i++)
            if (in_mask(l, i) && busy[i] > l->busy[i])
                ticks += (int64_t)(busy[i] - l->busy[i]);
    }
    free(busy);
    return ticks < 0 ? -1 : ticks * (HOB_SEC / sysconf(_SC_CLK_TCK));
}

static void foreign_end(struct load *l, struct recording *rec)
{
    int64_t tick = HOB_SEC / sysconf(_SC_CLK_TCK), own = recorded_run(rec);
    uint64_t pressure;

    if (rec->user >= 0 && rec->user + rec->system > own)
        own = rec->user + rec->system;
    own += rec->recorder_cpu;
    int64_t others = load_busy(l) - own;
    if (rec->wall > 0 && others > LOAD_NOISE * tick)
        rec->foreign = (double)others / (double)rec->wall;
    if (rec->foreign >= 0.1 && l->has_pressure && pressure_read(&pressure)) {
        double share = (double)(pressure - l->pressure) * HOB_US / (double)rec->wall * 100;

        rec_note(rec,
                 "other programs kept %.1f cores busy; %.0f %% of the time something on this "
                 "machine had no core",
                 rec->foreign, share < 100 ? share : 100);
    }
}

void load_end(struct load *l, struct recording *rec)
{
    uint64_t user, system;
    int64_t tick = HOB_SEC / sysconf(_SC_CLK_TCK);

    rec->n_cores = load_cores(l);
    if (rec->attached && rec->n_procs == 1 && root_cpu(rec->root, &user, &system)) {
        rec->user = (int64_t)(user - l->user) * tick;
        rec->system = (int64_t)(system - l->system) * tick;
    }
    foreign_end(l, rec);
}

void load_free(struct load *l)
{
    free(l->busy);
    free(l->mask);
    *l = (struct load){0};
}

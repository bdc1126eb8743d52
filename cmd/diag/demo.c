/* SPDX-License-Identifier: MIT
 *
 * demo.c - A and B on one core and on two, each saying itself when it ran
 *
 * HOW         Each thread reads the clock after every microsecond or so of work.  Two readings
 *             far apart: in between the kernel ran somebody else.  That needs no rights and no
 *             kernel's help.
 *
 *   On one core the other one's turn may be shorter than that distance, and then both seem to run:
 *   the core was with the one that got it later.
 *
 *   A and B do an amount of work that was measured out beforehand, the same in both runs, so that
 *   the times of the two can be compared.
 *
 * REJECTED    The recorder of hob diagnose: what it may see depends on the machine's settings, and
 *   this picture is for a newcomer's first minute.
 */
#include "diag/demo.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <hob/rt.h>

enum { TASKS = 2, STEP = 200, TURNS_MOST = 20000, PROBE_STEPS = 2000, TRIES = 5 };

static const double quiet = .05; /* of the time: when others had more, a run is disturbed */

/* Work of a task, alone on a core; further apart than this, two readings had somebody between. */
static const hob_dur work = 60 * HOB_MS, apart = 100 * HOB_US;

struct turn {
    hob_time from, to;
    int core;
};

struct worker {
    pthread_t thread;
    int *go; /* atomic: 0 not yet, 1 work, -1 leave */
    int core;
    uint64_t steps, sum; /* sum: what it computes, so that nobody leaves it out */
    int32_t tid;
    int err;
    hob_time began, ended;
    struct turn *turns;
    size_t n;
};

/* A microsecond of arithmetic, or so. */
static uint64_t step(uint64_t x)
{
    for (int i = 0; i < STEP; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    return x;
}

static int bind_to(int core)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(core, &set);
    return sched_setaffinity(0, sizeof set, &set) < 0 ? -errno : 0;
}

static void turn_end(struct worker *w, hob_time from, hob_time to)
{
    if (to > from && w->n < TURNS_MOST)
        w->turns[w->n++] = (struct turn){from, to, w->core};
}

static void *worker_run(void *arg)
{
    struct worker *w = arg;
    hob_time from, last, now;
    uint64_t x = 1;
    int go;

    w->tid = (int32_t)syscall(SYS_gettid);
    w->err = bind_to(w->core);
    while ((go = __atomic_load_n(w->go, __ATOMIC_ACQUIRE)) == 0)
        sched_yield();
    if (go < 0)
        return NULL;
    from = last = w->began = hob_now();
    for (uint64_t i = 0; i < w->steps && w->err == 0; i++) {
        x = step(x);
        now = hob_now();
        if (now - last > apart) {
            turn_end(w, from, last);
            from = now;
        }
        last = now;
    }
    turn_end(w, from, last);
    w->ended = last;
    w->sum = x;
    return NULL;
}

/* Steps that make up `work`: by the fastest of several tries, which nobody disturbed. */
static uint64_t steps_measure(void)
{
    hob_dur best = HOB_FOREVER;
    uint64_t x = 1;

    for (int i = 0; i < 10; i++) {
        hob_time from = hob_now();
        for (int k = 0; k < PROBE_STEPS; k++) {
            x = step(x);
            (void)hob_now();
        }
        hob_dur d = hob_now() - from;
        best = d < best ? d : best;
    }
    __asm__ volatile("" : : "r"(x));
    return (uint64_t)(work * PROBE_STEPS / (best > 0 ? best : 1)) + 1;
}

static int workers_run(struct worker w[TASKS])
{
    int go = 0, n = 0, r = 0;

    while (n < TASKS && r == 0) {
        w[n].go = &go;
        r = -pthread_create(&w[n].thread, NULL, worker_run, &w[n]);
        n += r == 0;
    }
    __atomic_store_n(&go, r < 0 ? -1 : 1, __ATOMIC_RELEASE);
    for (int i = 0; i < n; i++) {
        pthread_join(w[i].thread, NULL);
        r = r < 0 ? r : w[i].err;
    }
    return r;
}

/* Between two turns a task was ready, and before the first: it never waits for anything. */
static void turns_add(struct recording *rec, uint32_t thread, const struct worker *w, hob_time at,
                      hob_time base)
{

    for (size_t i = 0; i < w->n; i++) {
        struct rec_ival ready = {.from = at - base,
                                 .to = w->turns[i].from - base,
                                 .state = REC_READY,
                                 .core = REC_NO_CORE};
        struct rec_ival run = {.from = w->turns[i].from - base,
                               .to = w->turns[i].to - base,
                               .state = REC_RUN,
                               .core = (uint16_t)w->turns[i].core};
        if (ready.to > ready.from)
            rec_add(rec, thread, &ready);
        rec_add(rec, thread, &run);
        at = w->turns[i].to;
    }
}

/* What became of a try. */
struct run {
    struct worker w[TASKS];
    hob_time from, to;
    double others; /* part of the cores' time that neither A nor B had */
};

static void run_free(struct run *run)
{
    for (int i = 0; i < TASKS; i++)
        free(run->w[i].turns);
}

/*
 * w's turns without the times in which the other one, on the same core, had a turn that began
 * later. to: room for as many turns as both have; returns how many there are.
 */
static size_t turns_cut(const struct worker *w, const struct worker *other, bool first,
                        struct turn *to)
{
    size_t n = 0, past = 0;

    for (size_t i = 0; i < w->n; i++) {
        struct turn left = w->turns[i];

        while (past < other->n && other->turns[past].to <= left.from)
            past++;
        for (size_t k = past; k < other->n && other->turns[k].from < left.to; k++) {
            const struct turn *o = &other->turns[k];

            if (o->from < w->turns[i].from || (o->from == w->turns[i].from && first))
                continue; /* what is left began later */
            if (o->from > left.from)
                to[n++] = (struct turn){left.from, o->from, left.core};
            left.from = o->to < left.to ? o->to : left.to;
        }
        if (left.to > left.from)
            to[n++] = left;
    }
    return n;
}

static int turns_part(struct worker w[TASKS])
{
    struct turn *cut[TASKS];
    size_t n[TASKS], most = w[0].n + w[1].n + 1;

    for (int i = 0; i < TASKS; i++)
        cut[i] = calloc(most, sizeof *cut[i]);
    if (!cut[0] || !cut[1]) {
        free(cut[0]);
        free(cut[1]);
        return -ENOMEM;
    }
    for (int i = 0; i < TASKS; i++)
        n[i] = turns_cut(&w[i], &w[1 - i], i == 0, cut[i]);
    for (int i = 0; i < TASKS; i++) {
        free(w[i].turns);
        w[i].turns = cut[i];
        w[i].n = n[i];
    }
    return 0;
}

/* On its core a task is either on CPU, or behind the other one, or somebody else had the core. */
static void run_sum(struct run *run)
{
    hob_dur ran = 0, could = 0;
    bool shared = run->w[0].core == run->w[1].core;

    run->from = run->w[0].began < run->w[1].began ? run->w[0].began : run->w[1].began;
    run->to = run->w[0].ended > run->w[1].ended ? run->w[0].ended : run->w[1].ended;
    for (int i = 0; i < TASKS; i++) {
        for (size_t k = 0; k < run->w[i].n; k++)
            ran += run->w[i].turns[k].to - run->w[i].turns[k].from;
        could += run->w[i].ended - run->from; /* it might have begun with the other one */
    }
    if (shared)
        could = run->to - run->from;
    run->others = could > 0 ? 1 - (double)ran / (double)could : 0;
}

static int run_try(struct run *run, const int core[TASKS], uint64_t steps)
{
    int r = 0;

    for (int i = 0; i < TASKS; i++) {
        run->w[i] = (struct worker){.core = core[i], .steps = steps};
        run->w[i].turns = calloc(TURNS_MOST, sizeof *run->w[i].turns);
        r = run->w[i].turns ? r : -ENOMEM;
    }
    if (r == 0)
        r = workers_run(run->w);
    if (r == 0 && core[0] == core[1])
        r = turns_part(run->w);
    if (r == 0)
        run_sum(run);
    return r;
}

/* The try that was disturbed least. */
static int run_best(struct run *best, const int core[TASKS], uint64_t steps)
{
    int r = run_try(best, core, steps);

    for (int i = 1; i < TRIES && r == 0 && best->others > quiet; i++) {
        struct run again;

        r = run_try(&again, core, steps);
        if (r == 0 && again.others < best->others) {
            struct run worse = *best;
            *best = again;
            again = worse;
        }
        run_free(&again);
    }
    return r;
}

/* Run k of the picture. */
static int run_keep(struct demo *d, size_t k, const int core[TASKS], uint64_t steps, hob_time base)
{
    static const char *const name[TASKS] = {"A", "B"};
    struct run run;
    int r = run_best(&run, core, steps);

    for (int i = 0; i < TASKS && r == 0; i++) {
        uint32_t t = k == 0 ? rec_thread_new(&d->rec, getpid(), run.w[i].tid) : (uint32_t)i;

        if (d->rec.failed)
            break;
        snprintf(d->rec.threads[t].name, sizeof d->rec.threads[t].name, "%s", name[i]);
        turns_add(&d->rec, t, &run.w[i], run.from, base);
    }
    if (r == 0) {
        d->window[k].from = run.from - base;
        d->window[k].to = run.to - base;
        d->others = run.others > d->others ? run.others : d->others;
        d->n_runs = k + 1;
    }
    run_free(&run);
    return r < 0 ? r : d->rec.failed ? -ENOMEM : 0;
}

static void titles(struct demo *d)
{
    double first = (double)(d->window[0].to - d->window[0].from) / HOB_MS;

    snprintf(d->title[0], DEMO_TITLE, "one core, %.0f ms: A and B take turns (concurrency)", first);
    if (d->n_runs > 1) {
        double second = (double)(d->window[1].to - d->window[1].from) / HOB_MS;
        snprintf(d->title[1], DEMO_TITLE,
                 "two cores, %.0f ms, %.2f times as fast: A and B at once (parallelism)", second,
                 second > 0 ? first / second : 0);
    }
    for (size_t i = 0; i < d->n_runs; i++)
        d->window[i].title = d->title[i];
    if (d->n_runs == 1)
        rec_note(&d->rec, "there is one core here: nothing runs in parallel on it");
    if (d->others > quiet)
        rec_note(&d->rec,
                 "other programs had these cores up to %.0f %% of the time: run it again when they "
                 "are idle",
                 d->others * 100);
}

/* "0-1,4": is the core among them?  Hyperthreads of one core are no two cores. */
static bool in_list(const char *list, int core)
{
    while (*list) {
        char *end;
        long from = strtol(list, &end, 10), to = from;

        if (end == list)
            return false;
        if (*end == '-')
            to = strtol(end + 1, &end, 10);
        if (core >= from && core <= to)
            return true;
        list = *end ? end + 1 : end;
    }
    return false;
}

static bool siblings(int a, int b)
{
    char path[96], list[256] = "";
    FILE *f;

    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", a);
    f = fopen(path, "re");
    if (!f)
        return false;
    if (!fgets(list, sizeof list, f))
        list[0] = '\0';
    fclose(f);
    return in_list(list, b);
}

/* Two cores that this process may use, no hyperthreads of one if it can be; -1: there is none. */
static int cores_choose(int core[TASKS])
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return -errno;
    core[0] = core[1] = -1;
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, &set))
            continue;
        if (core[0] < 0)
            core[0] = i;
        else if (core[1] < 0 || siblings(core[0], core[1]))
            core[1] = i;
    }
    return 0;
}

int demo_run(struct demo *ret)
{
    struct recording *rec = &ret->rec;
    int core[TASKS], r = cores_choose(core);

    if (r < 0)
        return r;
    *ret = (struct demo){0};
    rec_init(rec);
    rec_set_text(rec, &rec->command, "tasks A and B, the same work each time");
    rec->tier = REC_T0;
    rec->root = getpid();
    rec->n_cores = core[1] < 0 ? 1 : 2;
    rec->n_cpus = CPU_SETSIZE;
    uint64_t steps = steps_measure();
    hob_time base = hob_now();
    r = run_keep(ret, 0, (const int[TASKS]){core[0], core[0]}, steps, base);
    if (r == 0 && core[1] >= 0)
        r = run_keep(ret, 1, core, steps, base);
    rec->wall = hob_now() - base;
    if (r < 0)
        demo_free(ret);
    else
        titles(ret);
    return r;
}

void demo_free(struct demo *d)
{
    rec_free(&d->rec);
    *d = (struct demo){0};
}

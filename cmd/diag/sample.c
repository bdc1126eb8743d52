/* SPDX-License-Identifier: MIT
 *
 * sample.c - recording a process tree by samples of /proc (T2)
 *
 * WHAT        Where perf's switch records are refused (Debian's and Docker's defaults), the
 *             scheduler's own counters are read instead, a thousand times a second if the budget
 *             allows.
 *
 * HOW         For each thread: schedstat.  If it has not been on a core since the last sample it
 *   is still in the same wait, and that was all.  Else one look (look.h) says whether it runs or
 *   waits, and track.c makes intervals of that.  A long wait is sampled less often: at an eighth
 *   of its age.
 *
 *   The tick is as short as the budget allows: 1.25 % of a core, and a little to begin with.
 *
 *   What was too short to be seen (a process between two scans) is found in the sums of its
 *   parent, and added to a thread that stands for all such.
 *
 * LIMITS      Counters are exact, the order of what happened between two samples is not.
 */
#include "diag/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <hob/rt.h>

#include "diag/tree.h"

enum {
    SAMPLE_OPEN_MAX = 256,
    SAMPLE_CORES = 1024,
    SAMPLE_FIRST = 64,       /* threads seen for the first time in a tick, */
    SAMPLE_FIRST_SHORT = 16, /* when time is short */
    SAMPLE_SHARE = 80,       /* one part in so many of a core */
    STAND_TASKS = 32         /* threads: a process of more has somebody else to do it */
};

/* A sample of a thread that waits costs 2 us: with backoff_each they cost 1 % at any number. */
static const int64_t tick_least = HOB_MS, tick_most = 500 * HOB_MS, flush_after = 20 * HOB_MS,
                     backoff_least = 50 * HOB_MS, backoff_each = 200 * HOB_US,
                     loop_after = 10 * HOB_MS, loop_every = 5 * HOB_MS, loop_none = 500 * HOB_MS,
                     stand_age = 50 * HOB_MS, relook_after = 10 * HOB_MS,
                     missed_every = 50 * HOB_MS, missed_each = 50 * HOB_US,
                     budget_first = 4 * HOB_MS;

struct sampler {
    const struct rec_begin *begin;
    struct recording *rec;
    struct looker *looker;
    struct tree tree;
    bool opened, short_of; /* short_of time: it has computed more than it may */
    bool keeping;          /* some task keeps others waiting */
    int64_t kept;          /* ns that it took to ask those between two ticks */
    int64_t tick, tick_at, budget_at, spent;
    uint64_t n_ticks, n_ticks_was;
    int64_t cpu_was, children_was;
    int64_t missed_at;
    int32_t missed_pid;
    double phase[SAMPLE_CORES + 1]; /* of each core, and of those not known */
};

static int64_t cpu_of(int who)
{
    struct rusage u;

    getrusage(who, &u);
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * HOB_SEC +
           (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * HOB_US;
}

static int sampler_start(const struct rec_begin *begin, void **ret, const char **why)
{
    char text[128];
    struct procfs_sched c;

    if (procfs_read(text, sizeof text, "/proc/%d/schedstat", begin->root) < 0 ||
        procfs_parse_sched(text, &c) < 0) {
        *why = "/proc has no schedstat";
        return -ENOSYS;
    }
    struct sampler *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    int r = looker_new(begin->rec, &s->looker);
    if (r < 0) {
        free(s);
        return r;
    }
    s->begin = begin;
    s->rec = begin->rec;
    s->rec->tier = REC_T2;
    s->tick = s->rec->tick = tick_least;
    s->cpu_was = cpu_of(RUSAGE_SELF);
    s->children_was = cpu_of(RUSAGE_CHILDREN);
    *ret = s;
    return 0;
}

/* --- one thread ------------------------------------------------------------------------------- */

static int counters_read(struct sampler *s, struct tree_task *k, struct procfs_sched *ret)
{
    char text[96];
    int32_t pid = s->tree.procs[k->proc].pid;

    if (k->sched_fd < 0) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/task/%d/schedstat", pid, k->tid);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return -ESRCH;
        k->sched_fd = fd;
        s->tree.n_open++;
    }
    ssize_t n = pread(k->sched_fd, text, sizeof text - 1, 0);
    if (s->tree.n_open > SAMPLE_OPEN_MAX || n <= 0) {
        close(k->sched_fd);
        k->sched_fd = -1;
        s->tree.n_open--;
    }
    if (n <= 0)
        return -ESRCH;
    text[n] = '\0';
    return procfs_parse_sched(text, ret);
}

static uint16_t core_read(struct sampler *s, const struct tree_task *k)
{
    char text[1024];
    struct procfs_stat st;

    if (procfs_read(text, sizeof text, "/proc/%d/task/%d/stat", s->tree.procs[k->proc].pid,
                    k->tid) < 0 ||
        procfs_parse_stat(text, &st) < 0 || st.core >= SAMPLE_CORES)
        return REC_NO_CORE;
    return (uint16_t)st.core;
}

static void flush(struct sampler *s, struct tree_task *k, int64_t now, const struct procfs_sched *c)
{
    uint16_t core = core_read(s, k);

    track_flush(&k->track, s->rec, now, c, core,
                &s->phase[core == REC_NO_CORE ? SAMPLE_CORES : core]);
}

static void loop_ask(struct sampler *s, struct tree_task *k, int64_t now)
{
    struct rec_look look = {.at = now, .thread = k->track.row};

    if (now - k->woke < loop_after || now < k->loop_at)
        return;
    int r = look_loop(s->looker, s->tree.procs[k->proc].pid, k->tid, &look);
    k->loop_at = now + (r < 0 && r != -EAGAIN ? loop_none : loop_every);
    k->keeps = r == -EAGAIN ? k->keeps : r == 0 && look.outside;
    s->keeping |= k->keeps;
    if (r < 0)
        return;
    rec_add_look(s->rec, &look);
    look_flight(s->looker, s->tree.procs[k->proc].pid, look.thread, now);
}

/* One that waits, in a call that would keep a loop from its events? */
static void stand_ask(struct sampler *s, struct tree_task *k, int64_t now)
{
    struct rec_look look = {.at = now, .thread = k->track.row};
    const struct tree_proc *p = &s->tree.procs[k->proc];
    const struct track *t = &k->track;

    if (p->n_tasks > STAND_TASKS || !look_may_stand(&t->look) || now < k->stand_at ||
        now - s->rec->threads[t->row].born < stand_age)
        return;
    k->stand_at = now + loop_every;
    if (look_stands(s->looker, p->pid, k->tid, &t->look, &look) == 0)
        rec_add_look(s->rec, &look);
}

/* Where in (last scan, now] a thread that is new began; all it has done lies in there. */
static void first_sample(struct sampler *s, struct tree_task *k, int64_t now,
                         const struct procfs_sched *c, const struct look *look)
{
    struct rec_thread *row = &s->rec->threads[k->track.row];
    uint32_t at = k->track.row;
    bool known = now > 0 && !s->begin->attached;
    int64_t did = (int64_t)(c->run + c->delay);
    int64_t found = now - row->born + s->tick; /* not later than that long ago */
    int64_t from = now - (did < found ? found : did);

    if (!known || !s->opened)
        from = now;
    if (from < 0)
        from = 0;
    track_begin(&k->track, at, from, known ? &(struct procfs_sched){0} : c, NULL);
    row->born = from;
    if (look)
        track_waits(&k->track, s->rec, now, c, look);
    else
        track_runs(&k->track, now, c);
    k->woke = now;
    k->seen = true;
    tree_task_name(&s->tree, k, now);
}

/* The thread is in the wait it was in. */
static void same_wait(struct sampler *s, struct tree_task *k, int64_t now)
{
    struct track *t = &k->track;
    int64_t age = now - t->from, step = age / 8;
    int64_t most = (int64_t)s->tree.n_tasks * backoff_each;
    struct look look;

    if (((t->look.flags & REC_IVAL_SET) || t->look.stale) &&
        now - t->looked_at > relook_after + age / 4 &&
        look_at(s->looker, s->tree.procs[k->proc].pid, k->tid, &look) == LOOK_WAITS)
        track_relook(t, s->rec, now, &look);
    track_still(t, now);
    stand_ask(s, k, now);
    if (most < backoff_least)
        most = backoff_least;
    /* Runtimes hand a poll set from thread to thread: its waits must not seem to overlap. */
    bool quiet = t->look.in_flight == 0 && s->tree.procs[k->proc].n_tasks == 1;
    if ((!(t->look.flags & REC_IVAL_SET) || quiet) && !t->look.stale)
        s->tree.due[k - s->tree.tasks] = now + (step < most ? step : most);
}

/* false: it has ended. */
static bool task_sample(struct sampler *s, struct tree_task *k, int64_t now)
{
    struct procfs_sched c;
    struct look look;

    if (counters_read(s, k, &c) < 0)
        return false;
    if (k->seen)
        tree_task_name(&s->tree, k, now);
    if (k->seen && track_same(&k->track, &c)) {
        same_wait(s, k, now);
        return true;
    }
    int r = look_at(s->looker, s->tree.procs[k->proc].pid, k->tid, &look);
    if (r == -ESRCH)
        return false;
    if (!k->seen) {
        first_sample(s, k, now, &c, r == LOOK_RUNS ? NULL : &look);
        return true;
    }
    if (r == LOOK_RUNS) {
        track_runs(&k->track, now, &c);
        if (now - k->track.from >= flush_after)
            flush(s, k, now, &c);
        loop_ask(s, k, now);
        return true;
    }
    /* The counters are exact only if they were read when it waited already. */
    if (counters_read(s, k, &c) < 0)
        return false;
    track_waits(&k->track, s->rec, now, &c, &look);
    k->woke = now;
    k->keeps = false;
    stand_ask(s, k, now);
    return true;
}

/* --- between two ticks ------------------------------------------------------------------------ */

/* Loops that keep others waiting are asked more often than there is time to ask all.  Return: when
 * the next of them is to be; INT64_MAX: there is none. */
static int64_t keepers_ask(struct sampler *s, int64_t now)
{
    int64_t began = look_cpu(), next = INT64_MAX;
    struct look look;

    if (!s->keeping)
        return next;
    s->keeping = false;
    for (size_t i = 0; i < s->tree.n_tasks; i++) {
        struct tree_task *k = &s->tree.tasks[i];

        if (!k->keeps)
            continue;
        if (now >= k->loop_at) {
            k->keeps = look_at(s->looker, s->tree.procs[k->proc].pid, k->tid, &look) == LOOK_RUNS;
            if (k->keeps)
                loop_ask(s, k, now);
        }
        s->keeping |= k->keeps;
        if (k->keeps && k->loop_at < next)
            next = k->loop_at;
    }
    s->kept += look_cpu() - began;
    return next;
}

/* --- ends ------------------------------------------------------------------------------------- */

static void task_gone(struct sampler *s, size_t task, int64_t at)
{
    struct tree_task *k = &s->tree.tasks[task];

    if (k->seen)
        track_end(&k->track, s->rec, at, true);
    if (s->tree.procs[k->proc].n_tasks == 1)
        looker_gone(s->looker, s->tree.procs[k->proc].pid);
    tree_remove(&s->tree, task, at);
}

/* The kernel's sums have what a child did as soon as it was waited for: those that ended since they
 * were last looked at must be counted as ended too. */
static void ended_find(struct sampler *s, int64_t now)
{
    for (size_t i = 0; i < s->tree.n_tasks;) {
        const struct tree_task *k = &s->tree.tasks[i];

        if (syscall(SYS_tgkill, s->tree.procs[k->proc].pid, k->tid, 0) < 0 && errno == ESRCH)
            task_gone(s, i, now);
        else
            i++;
    }
}

/* --- what was too short to be seen ------------------------------------------------------------ */

/* Adds CPU time in (from, now], on as many rows as it takes. */
static void missed_add(struct sampler *s, struct tree_proc *p, int64_t from, int64_t now,
                       int64_t cpu)
{
    for (uint32_t i = 0; i < TREE_MISSED && cpu > 0 && now > from; i++) {
        int64_t here = cpu < now - from ? cpu : now - from;
        struct rec_ival v = {.from = now - here, .to = now, .state = REC_RUN, .core = REC_NO_CORE};
        if (i == p->n_missed) {
            uint32_t row = rec_thread_new(s->rec, p->pid, 0);
            struct rec_thread *t = &s->rec->threads[row];
            snprintf(t->name, sizeof t->name, "too short to see");
            t->born = from;
            p->missed[p->n_missed++] = row;
        }
        rec_add(s->rec, p->missed[i], &v);
        p->counted += here;
        cpu -= here;
    }
}

/* The kernel's sums for a process and the children it has waited for, against what was seen.  They
 * are in clock ticks, four of them rounded down, so they never claim too much. */
static void missed_look(struct sampler *s, struct tree_proc *p, int64_t now)
{
    struct procfs_stat st;
    char text[1024];

    if (procfs_read(text, sizeof text, "/proc/%d/stat", p->pid) < 0 ||
        procfs_parse_stat(text, &st) < 0)
        return;
    int64_t tick = HOB_SEC / sysconf(_SC_CLK_TCK);
    int64_t sum = (int64_t)(st.user + st.sys + st.cuser + st.csys) * tick;
    int64_t missed = sum - p->was - p->counted - p->live;
    if (s->begin->attached && !p->compared)
        p->was = missed; /* before the recording */
    else if (missed >= tick)
        missed_add(s, p, p->missed_at, now, missed);
    p->compared = true;
    p->missed_at = now;
}

static void missed_look_all(struct sampler *s, int64_t now)
{
    int64_t every = missed_every + (int64_t)s->tree.n_tasks * missed_each;

    if (now - s->missed_at < every || s->tree.last_pid == s->missed_pid)
        return;
    s->missed_at = now;
    s->missed_pid = s->tree.last_pid;
    ended_find(s, now);
    for (size_t i = 0; i < s->tree.n_procs; i++)
        s->tree.procs[i].live = 0;
    for (size_t i = 0; i < s->tree.n_tasks; i++)
        s->tree.procs[s->tree.tasks[i].proc].live += s->tree.tasks[i].track.added;
    for (size_t i = 0; i < s->tree.n_procs; i++)
        if (s->tree.procs[i].used)
            missed_look(s, &s->tree.procs[i], now);
}

/* What the command and all it waited for have used, which is known when it has ended. */
static void missed_last(struct sampler *s, int64_t now)
{
    struct tree_proc root = {.pid = s->begin->root};
    int64_t cpu = cpu_of(RUSAGE_CHILDREN) - s->children_was;

    for (size_t i = 0; i < s->rec->n_threads; i++) {
        const struct rec_thread *t = &s->rec->threads[i];
        for (size_t k = 0; k < t->n_ivals; k++) {
            const struct rec_ival *v = &t->ivals[k];
            double d = (double)(v->to - v->from);
            cpu -= (int64_t)(v->flags & REC_IVAL_FOLDED ? d * v->run_ppm / 1e6
                             : v->state == REC_RUN      ? d
                                                        : 0);
        }
    }
    int64_t from = s->missed_at < now - cpu ? s->missed_at : now - cpu;
    if (cpu > HOB_MS && !s->begin->attached)
        missed_add(s, &root, from > 0 ? from : 0, now, cpu);
}

/* --- ticks ------------------------------------------------------------------------------------ */

/* A tick is as long as its cost allows; shorter while there is something left to spend. */
static void tick_adapt(struct sampler *s, int64_t now)
{
    s->n_ticks++;
    if (now - s->budget_at < 20 * HOB_MS)
        return;
    int64_t spent = cpu_of(RUSAGE_SELF) - s->begin->aside - s->cpu_was - s->kept;
    int64_t each = (spent - s->spent) / (int64_t)(s->n_ticks - s->n_ticks_was) * SAMPLE_SHARE;

    s->short_of = spent > budget_first + now / SAMPLE_SHARE;
    each = !s->short_of ? each / 2 : each + each / 2;
    s->tick = each < tick_least ? tick_least : each > tick_most ? tick_most : each;
    s->spent = spent;
    s->n_ticks_was = s->n_ticks;
    s->budget_at = now;
}

static void tasks_sample(struct sampler *s, int64_t now)
{
    int64_t base = s->begin->base;
    size_t first = s->short_of ? SAMPLE_FIRST_SHORT : SAMPLE_FIRST;
    for (size_t i = 0; i < s->tree.n_tasks;) {
        struct tree_task *k = &s->tree.tasks[i];
        if (now < s->tree.due[i] || (!k->seen && first == 0)) {
            i++;
            continue;
        }
        first -= !k->seen;
        int64_t at = hob_now() - base;
        if (task_sample(s, k, at)) {
            i++;
            continue;
        }
        task_gone(s, i, at);
    }
}

/* Until the next tick, or until one is to be asked before it. */
static int64_t tick_rest(const struct sampler *s, int64_t now, int64_t keepers_at)
{
    int64_t next = keepers_at < s->tick_at ? keepers_at : s->tick_at;

    return next > now + tick_least ? next - now : tick_least;
}

static int64_t sampler_tick(void *state, int64_t now)
{
    struct sampler *s = state;
    int64_t keepers_at = keepers_ask(s, now);

    if (keepers_at < INT64_MAX && now + tick_least / 2 < s->tick_at)
        return tick_rest(s, now, keepers_at);
    if (!s->opened) {
        if (tree_open(&s->tree, s->rec, s->begin->root, s->begin->attached, now) < 0)
            return s->tick;
    } else {
        tree_scan(&s->tree, now);
    }
    tasks_sample(s, now);
    s->opened = true;
    tree_names(&s->tree, now);
    missed_look_all(s, now);
    tick_adapt(s, now);
    s->tick_at = now + s->tick;
    return s->keeping ? tick_rest(s, now, now + loop_every) : s->tick;
}

/* The waits: of a thread that runs it is not known for how long. */
static void sampler_open(void *state, int64_t now, rec_open_fn *f, void *arg)
{
    const struct sampler *s = state;

    for (size_t i = 0; i < s->tree.n_tasks; i++) {
        const struct track *t = &s->tree.tasks[i].track;
        struct rec_ival v = {.from = t->from,
                             .to = t->ran_from < 0 ? now : t->sure,
                             .peer = t->look.peer,
                             .in_flight = t->look.in_flight,
                             .core = REC_NO_CORE,
                             .state = REC_WAIT,
                             .flags = t->look.flags & REC_IVAL_SET};

        if (!s->tree.tasks[i].seen || !t->waits || v.to <= v.from)
            continue;
        v.kind = look_kind_ended(&t->look, v.to - t->looked_at);
        f(arg, t->row, &v);
    }
}

static void sampler_stop(void *state, int64_t now)
{
    struct sampler *s = state;

    for (size_t i = 0; i < s->tree.n_tasks; i++) {
        struct tree_task *k = &s->tree.tasks[i];
        if (k->seen && now > k->track.at)
            track_end(&k->track, s->rec, now, false);
    }
    missed_last(s, now);
    if (s->n_ticks)
        s->rec->tick = now / (int64_t)s->n_ticks;
    looker_finish(s->looker);
    tree_free(&s->tree);
    looker_free(s->looker);
    free(s);
}

const struct rec_source rec_source_sample = {
    .tier = REC_T2,
    .start = sampler_start,
    .tick = sampler_tick,
    .open = sampler_open,
    .stop = sampler_stop,
};

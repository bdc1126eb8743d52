/* SPDX-License-Identifier: MIT
 *
 * switches_rest.c - a long time without records, in which the kernel's own counts are read
 *
 * WHAT        A rest lasts seconds (perf_turns.c).  At each look, some ten a second, each thread is
 *             asked for what the kernel counts anyway (schedstat): time on CPU, time without a
 *             core, how often it was put on one.  So both times are right in each piece between two
 *             looks.  What the rest of it was a wait for is dealt out by samples: some fifty times
 * a second each thread that is not still in the wait it was in is looked at, and stands for the
 * time since the sample before.  The first pieces have the turn before instead, where kinds of
 * waits count by how long they were.
 *
 * HOW         A thread that was not on a core since the look before is still in the wait it was in,
 *             which stays one interval.  When records are about to come again, each thread is asked
 *             for its state: one that has begun to compute may make none for long.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "diag/procfs.h"
#include "diag/switches_impl.h"

enum { PPM = 1000000 };

int switches_counts(const struct thread *t, struct procfs_sched *ret)
{
    char text[128];
    int n = procfs_read(text, sizeof text, "/proc/%d/task/%d/schedstat", t->proc->pid, t->tid);

    if (n == 0)
        return -ESRCH; /* it ended between open and read */
    return n < 0 ? n : procfs_parse_sched(text, ret);
}

static void counts_keep(struct thread *t, const struct procfs_sched *now)
{
    t->rest_run = now->run;
    t->rest_delay = now->delay;
    t->rest_turns = now->turns;
}

/* --- threads and processes that nobody told us of --------------------------------------------- */

/* Of one thread: its children, and with a process's first also the threads it has. */
static size_t kin_of(const struct thread *t)
{
    char text[1 << 12], path[64];
    const char *at = text;
    struct stat st;
    size_t n = 0;

    if (procfs_read(text, sizeof text, "/proc/%d/task/%d/children", t->proc->pid, t->tid) > 0)
        while (procfs_next_pid(&at) > 0)
            n++;
    snprintf(path, sizeof path, "/proc/%d/task", t->proc->pid);
    if (t->tid == t->proc->pid && stat(path, &st) == 0 && st.st_nlink > 2)
        n += st.st_nlink - 2;
    return n;
}

/* --- begin ------------------------------------------------------------------------------------ */

struct rest_begin {
    struct switches *s;
    size_t n_read;
};

static void thread_rests(void *arg, struct thread *t, int64_t now)
{
    struct rest_begin *b = arg;
    int64_t all = t->sum[REC_RUN] + t->sum[REC_READY] + t->sum[REC_WAIT];
    struct procfs_sched is = {0};

    t->rest_run_ppm = t->rest_ready_ppm = 0;
    t->rest_idle = !t->changed || all <= 0;
    if (!t->rest_idle) { /* until a look says more */
        t->rest_run_ppm = (uint32_t)((double)t->sum[REC_RUN] / (double)all * PPM);
        t->rest_ready_ppm = (uint32_t)((double)t->sum[REC_READY] / (double)all * PPM);
    }
    /* All zero: a kernel that has the file and does not count. */
    if (switches_counts(t, &is) == 0 && is.turns > 0)
        b->n_read++;
    counts_keep(t, &is);
    b->s->rest_kin += kin_of(t);
}

bool switches_rest(struct switches *s, int64_t now)
{
    struct rest_begin b = {.s = s};

    s->rest_at = now;
    s->rest_kin = 0;
    threads_each(&s->threads, thread_rests, &b, now);
    return b.n_read > 0;
}

/* --- samples ---------------------------------------------------------------------------------- */

struct rest_sample {
    struct switches *s;
    int64_t lasted;
};

/* What is caught on its core, or on the way to it, waits for nothing. */
static void thread_sample(void *arg, struct thread *t, int64_t now)
{
    const struct rest_sample *sample = arg;
    struct look look;

    (void)now;
    if (t->rest_idle || look_at(sample->s->looker, t->proc->pid, t->tid, &look) != LOOK_WAITS)
        return;
    if (!t->kinds)
        t->kinds = calloc(1, sizeof *t->kinds);
    if (t->kinds)
        guesses_sampled(t->kinds, look.kind, &look, sample->lasted);
    else
        sample->s->rec->failed = true;
}

void switches_rest_sample(struct switches *s, int64_t now, int64_t lasted)
{
    threads_each(&s->threads, thread_sample, &(struct rest_sample){s, lasted}, now);
}

/* --- looks ------------------------------------------------------------------------------------ */

struct rest_look {
    struct switches *s;
    struct switches_rested *ret;
    size_t n_gone, kin;
    bool last; /* the recording ends: who cannot be asked any more did as before */
};

/* What it did since the look before, or since it began. */
static void piece_put(struct switches *s, struct thread *t, int64_t now)
{
    uint32_t run = t->rest_run_ppm, ready = t->rest_ready_ppm;
    struct rec_ival v = {.from = t->since,
                         .to = now,
                         .core = REC_NO_CORE,
                         .run_ppm = run,
                         .ready_ppm = ready,
                         .state = run + ready < PPM ? REC_WAIT : REC_RUN,
                         .kind = REC_UNKNOWN,
                         .flags = REC_IVAL_FOLDED | REC_IVAL_GUESSED};

    if (t->kinds)
        guesses_give(t->kinds, &v);
    rec_add(s->rec, t->row, &v);
    t->since = now;
}

static void shares_set(struct thread *t, const struct procfs_sched *is, int64_t lasted)
{
    double run = (double)(is->run - t->rest_run) / (double)lasted,
           ready = (double)(is->delay - t->rest_delay) / (double)lasted;

    run = run < 1 ? run : 1;
    ready = ready < 1 - run ? ready : 1 - run;
    t->rest_run_ppm = (uint32_t)(run * PPM);
    t->rest_ready_ppm = (uint32_t)(ready * PPM);
}

static void thread_look(void *arg, struct thread *t, int64_t now)
{
    struct rest_look *look = arg;
    struct switches *s = look->s;
    struct procfs_sched is;
    int r = switches_counts(t, &is);
    bool counts = r == 0 && is.run >= t->rest_run && is.delay >= t->rest_delay;

    if (r < 0 && !look->last) {
        switches_close(s, t, s->rest_at);
        switches_gone(s, t, s->rest_at);
        look->n_gone++;
        return;
    }
    if (counts) {
        shares_set(t, &is, now - s->rest_at);
        t->rest_idle = is.run == t->rest_run && is.turns == t->rest_turns;
        look->ret->turns += is.turns - t->rest_turns;
        counts_keep(t, &is);
    }
    look->kin += kin_of(t);
    if (t->tid == t->proc->pid)
        switches_renamed(s, t);
    if (t->rest_idle && t->state == REC_WAIT)
        return;
    if (t->since < s->rest_at) { /* until then it was in one wait */
        switches_close(s, t, s->rest_at);
        t->since = s->rest_at;
    }
    t->looked = false;
    piece_put(s, t, now);
}

static void rest_look(struct switches *s, int64_t now, bool last, struct switches_rested *ret)
{
    struct rest_look look = {.s = s, .ret = ret, .last = last};

    *ret = (struct switches_rested){.lasted = now - s->rest_at};
    if (now <= s->rest_at)
        return;
    threads_each(&s->threads, thread_look, &look, now);
    ret->more = look.kin + look.n_gone > s->rest_kin;
    s->rest_kin = look.kin;
    s->rest_at = now;
}

void switches_rest_look(struct switches *s, int64_t now, struct switches_rested *ret)
{
    switches_unseen_look(s, now);
    rest_look(s, now, false, ret);
    switches_name_look(s);
}

/* --- end -------------------------------------------------------------------------------------- */

static uint16_t core_of(const struct thread *t)
{
    struct procfs_stat st;
    char text[1024];

    if (procfs_read(text, sizeof text, "/proc/%d/task/%d/stat", t->proc->pid, t->tid) <= 0 ||
        procfs_parse_stat(text, &st) < 0 || st.core >= REC_NO_CORE)
        return REC_NO_CORE;
    return (uint16_t)st.core;
}

/* Nobody told of an exec; one may leave the thread with the name it had. */
static void exe_look(struct switches *s, const struct thread *t)
{
    const char *was = s->rec->procs[t->proc->row].exe;
    char is[4096];

    if (procfs_link(is, sizeof is, "/proc/%d/exe", t->proc->pid) <= 0 ||
        (was && strcmp(is, was) == 0))
        return;
    looker_gone(s->looker, t->proc->pid);
    pids_add(s, &s->unnamed, t->proc->pid);
}

static void thread_wakes(void *arg, struct thread *t, int64_t now)
{
    struct switches *s = arg;

    if (t->tid == t->proc->pid)
        exe_look(s, t);
    if (t->since != now) { /* it is in the wait it was in */
        if (t->state == REC_WAIT && !t->looked)
            switches_wait_begins(s, t);
    } else {
        int r = look_at(s->looker, t->proc->pid, t->tid, &t->look);

        t->awake_at = 0;
        t->looked = r == LOOK_WAITS;
        t->looked_at = now;
        if (r == LOOK_WAITS) {
            t->state = REC_WAIT;
        } else if (r == LOOK_RUNS) {
            t->state = REC_RUN;
            t->core = core_of(t);
            t->ran_since = now;
        }
    }
    switches_turn_begins(t);
}

void switches_rest_end(struct switches *s, int64_t now, bool last)
{
    struct switches_rested seen;

    rest_look(s, now, last, &seen);
    if (!last)
        threads_each(&s->threads, thread_wakes, s, now);
    switches_name_look(s);
}

/* SPDX-License-Identifier: MIT
 *
 * switches.c - from switch records to intervals
 *
 * HOW              fork -> READY -in-> RUN -out-> WAIT -in-> RUN
 *                            ^          |          |
 *                            +-preempted+          +- a look at the next tick names it
 *
 *   A wait that is over before the next tick was not looked at: guess.h gives it a kind, at once
 *   when enough waits of its thread were seen, else when the thread, the process or the recording
 *   ends.  A look may find the thread awake already: it is without a core from then on.
 *
 * INVARIANTS  (I1) an interval is added only for a state whose begin and end are both known: a
 *                  record that does not fit the state before it (others were lost) adds none
 *
 * SEE         records.h for the records, look.h for the looks.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hob/base.h>

#include "diag/guess.h"
#include "diag/procfs.h"
#include "diag/switches_impl.h"

enum { LOOKS_FOR_A_GUESS = 4 }; /* seen waits of a thread from which its others are known */

/* --- the threads ----------------------------------------------------------------------------- */

static struct thread *thread_new(struct switches *s, int32_t pid, int32_t tid, int64_t at)
{
    struct thread *t = threads_add(&s->threads, pid, tid, at);

    if (!t) {
        s->rec->failed = true;
        return NULL;
    }
    if (t->proc->n_threads == 1)
        t->proc->row = rec_proc_of(s->rec, pid);
    t->row = rec_thread_new(s->rec, pid, tid);
    s->rec->threads[t->row].born = at;
    t->state = NO_STATE;
    t->main_wait.kind = REC_UNKNOWN;
    t->core = REC_NO_CORE;
    return t;
}

/* --- intervals -------------------------------------------------------------------------------- */

void switches_put(struct switches *s, struct thread *t, const struct rec_ival *iv)
{
    rec_add(s->rec, t->row, iv);
    if (iv->state < REC_N_STATES)
        t->sum[iv->state] += iv->to - iv->from;
    if (iv->state == REC_READY)
        t->delay_known += iv->to - iv->from;
}

static struct guesses *guesses_of(struct switches *s, struct guesses **at)
{
    if (!*at)
        *at = calloc(1, sizeof **at);
    s->rec->failed |= !*at;
    return *at;
}

/* The next gap is filled with waits of these kinds. */
static void kinds_add(struct switches *s, struct thread *t, const struct rec_ival *wait)
{
    const struct look look = {
        .flags = wait->flags, .peer = wait->peer, .in_flight = wait->in_flight};
    struct guesses *g = guesses_of(s, &t->kinds);

    if (g)
        guesses_weigh(g, wait->kind, &look, (double)(wait->to - wait->from));
}

static void close_wait(struct switches *s, struct thread *t, int64_t at)
{
    int64_t end = t->awake_at > t->since && t->awake_at < at ? t->awake_at : at;
    struct rec_ival v = {.from = t->since, .to = end, .state = REC_WAIT, .core = REC_NO_CORE};

    s->rec->n_waits++;
    if (t->looked) {
        struct guesses *g = guesses_of(s, &t->guesses);

        v.kind = look_kind_ended(&t->look, at - t->looked_at);
        v.peer = t->look.peer;
        v.in_flight = t->look.in_flight;
        v.flags = t->look.flags & REC_IVAL_SET;
        s->rec->n_looked++;
        if (g)
            guesses_saw(g, v.kind, &t->look, end - t->since, s->tick);
    } else {
        v.kind = REC_UNKNOWN;
        v.flags = REC_IVAL_GUESSED;
        if (t->guesses && t->guesses->looks >= LOOKS_FOR_A_GUESS)
            guesses_give(t->guesses, &v);
    }
    if (s->gaps)
        kinds_add(s, t, &v);
    if (v.kind != REC_UNKNOWN && v.to - v.from > t->main_wait_lasted) {
        t->main_wait_lasted = v.to - v.from;
        t->main_wait = (struct look){
            .kind = v.kind, .flags = v.flags, .peer = v.peer, .in_flight = v.in_flight};
    }
    switches_put(s, t, &v);
    if (end < at)
        switches_put(
            s, t,
            &(struct rec_ival){.from = end, .to = at, .state = REC_READY, .core = REC_NO_CORE});
}

void switches_close(struct switches *s, struct thread *t, int64_t at)
{
    if (at <= t->since || t->state == NO_STATE)
        return;
    if (t->state == REC_WAIT)
        close_wait(s, t, at);
    else
        switches_put(s, t,
                     &(struct rec_ival){.from = t->since,
                                        .to = at,
                                        .state = t->state,
                                        .core = t->state == REC_RUN ? t->core : REC_NO_CORE});
}

static void thread_enter(struct thread *t, uint8_t state, int64_t at)
{
    t->state = state;
    t->since = at;
    t->looked = false;
    t->awake_at = 0;
    t->changed = true;
}

/* --- ends ------------------------------------------------------------------------------------- */

static void row_named(struct switches *s, struct thread *t)
{
    struct rec_thread *row = &s->rec->threads[t->row];
    struct guesses *of_proc;

    if (t->guesses)
        guesses_give_row(t->guesses, row);
    else if (t->proc->guesses)
        guesses_give_row(t->proc->guesses, row);
    if (!t->guesses)
        return;
    of_proc = guesses_of(s, &t->proc->guesses);
    if (of_proc)
        guesses_merge(of_proc, t->guesses);
    guesses_merge(&s->all, t->guesses);
}

void switches_gone(struct switches *s, struct thread *t, int64_t at)
{
    row_named(s, t);
    if (at >= 0)
        s->rec->threads[t->row].died = at;
    if (at >= 0 && t->proc->n_threads == 1) {
        s->rec->procs[t->proc->row].died = at;
        looker_gone(s->looker, t->proc->pid);
    }
    threads_remove(&s->threads, t);
}

/* --- records ---------------------------------------------------------------------------------- */

static void on_in(struct switches *s, struct thread *t, const struct switch_event *e, int64_t at)
{
    if (t->state != REC_RUN) /* (I1) */
        switches_close(s, t, at);
    if (t->state == REC_WAIT)
        switches_woke(s, t, at);
    if (t->state != REC_READY && t->state != REC_RUN)
        t->ran_since = at;
    thread_enter(t, REC_RUN, at);
    t->core = (uint16_t)(e->cpu < REC_NO_CORE ? e->cpu : REC_NO_CORE);
    if (e->cpu < s->n_cores)
        s->on_core[e->cpu] = t->tid;
}

void switches_wait_begins(struct switches *s, struct thread *t)
{
    t->looked = false;
    t->awake_at = 0;
    if (t->pending)
        return;
    t->pending = true;
    pids_add(s, &s->pending, t->tid);
}

static void on_out(struct switches *s, struct thread *t, const struct switch_event *e, int64_t at)
{
    if (t->state == NO_STATE) { /* it ran when it was first heard of */
        t->state = REC_RUN;
        t->core = (uint16_t)(e->cpu < REC_NO_CORE ? e->cpu : REC_NO_CORE);
    }
    if (t->state == REC_RUN) /* (I1) */
        switches_close(s, t, at);
    thread_enter(t, e->what == SWITCH_OUT ? REC_WAIT : REC_READY, at);
    if (t->state == REC_WAIT)
        switches_wait_begins(s, t);
}

static void set_name(struct recording *rec, uint32_t row, const char *name)
{
    snprintf(rec->threads[row].name, sizeof rec->threads[row].name, "%s", name);
}

static void on_fork(struct switches *s, const struct switch_event *e, int64_t at)
{
    struct thread *old = threads_find(&s->threads, e->tid);
    struct recording *rec = s->rec;

    if (old) /* its end was lost */
        switches_gone(s, old, at);
    struct thread *t = thread_new(s, e->pid, e->tid, at);
    if (!t)
        return;
    thread_enter(t, REC_READY, at);
    t->delay_based = t->forked = true; /* it has none yet */
    const struct thread *maker = threads_find(&s->threads, e->parent);
    if (maker)
        memcpy(rec->threads[t->row].name, rec->threads[maker->row].name,
               sizeof rec->threads[t->row].name);
    struct proc *parent = threads_proc(&s->threads, e->parent);
    if (e->pid == e->parent || !parent || t->proc->n_threads > 1)
        return;
    rec->procs[t->proc->row].born = at;
    rec->procs[t->proc->row].died = INT64_MAX;
    rec->procs[t->proc->row].parent = e->parent;
    rec_set_text(rec, &rec->procs[t->proc->row].exe, rec->procs[parent->row].exe);
    rec_set_text(rec, &rec->procs[t->proc->row].command, rec->procs[parent->row].command);
}

struct exec {
    struct switches *s;
    const struct thread *by;
};

static void other_gone(void *arg, struct thread *t, int64_t at)
{
    const struct exec *x = arg;

    if (t != x->by && t->proc == x->by->proc)
        switches_gone(x->s, t, at);
}

/* The process runs another program: it has one thread, and nothing of what it had open for it. */
static void on_exec(struct switches *s, struct thread *t, const struct switch_event *e, int64_t at)
{
    if (t->proc->n_threads > 1)
        threads_each(&s->threads, other_gone, &(struct exec){s, t}, at);
    if (t->state != REC_RUN)
        on_in(s, t, e, at);
    looker_gone(s->looker, t->proc->pid);
    pids_add(s, &s->unnamed, t->proc->pid);
}

/* Threads that take turns on a core are as they were; our own wake may have been the cause. */
static bool is_news(const struct thread *t, const struct switch_event *e)
{
    return !t || (e->what != SWITCH_WAKE && e->what != SWITCH_PREEMPTED &&
                  !(e->what == SWITCH_IN && t->state == REC_READY));
}

/* The wait is over, although the thread may have to stand in line for a core. */
static void on_wake(struct switches *s, const struct thread *waker, const struct switch_event *e,
                    int64_t at)
{
    struct thread *t = threads_find(&s->threads, e->woken);

    if (!t || t->state != REC_WAIT || at <= t->since)
        return; /* of another program, or not asleep yet */
    if (!t->awake_at)
        t->awake_at = at;
    if (!e->interrupt)
        wakers_add(&s->wakers, s->rec,
                   &(struct rec_wake){.at = at, .waker = waker->row, .woken = t->row});
}

/* A process that ends has no events any more when it wakes its parent: its end is the wake. */
static void child_woke(struct switches *s, const struct thread *child, int64_t at)
{
    const struct thread *t = threads_find(&s->threads, s->rec->procs[child->proc->row].parent);

    if (s->has_wakes && t && t->state == REC_WAIT && at > t->since &&
        (!t->looked || t->look.kind == REC_CHILD))
        wakers_add(&s->wakers, s->rec,
                   &(struct rec_wake){.at = at, .waker = child->row, .woken = t->row});
}

void switches_wakes(struct switches *s)
{
    s->has_wakes = true;
}

uint64_t switches_wakes_heard(const struct switches *s)
{
    return s->wakers.n;
}

static void on_end(struct switches *s, struct thread *t, const struct switch_event *e, int64_t at)
{
    switches_close(s, t, at);
    if (t->proc->n_threads == 1) {
        child_woke(s, t, at);
        switches_left(s, e->pid, t->row, at);
    }
    switches_gone(s, t, at);
}

void switches_apply(struct switches *s, const struct switch_event *e, int64_t at)
{
    if (e->what == SWITCH_LOST) {
        s->rec->n_lost += e->n_lost;
        return;
    }
    if (e->tid <= 0 || e->pid <= 0 || at < 0)
        return; /* one that is past its end has no number any more */
    if (e->what == SWITCH_FORK) {
        s->quiet = false;
        on_fork(s, e, at);
        return;
    }
    struct thread *t = threads_find(&s->threads, e->tid);
    if (is_news(t, e))
        s->quiet = false;
    if (!t && (e->what == SWITCH_EXIT || e->what == SWITCH_WAKE))
        return;
    if (!t) {
        t = thread_new(s, e->pid, e->tid, at);
        if (t && t->proc->n_threads == 1)
            pids_add(s, &s->unnamed, e->pid); /* its fork was not heard of */
    }
    if (!t)
        return;
    if (e->what == SWITCH_IN) {
        s->rec->n_switches++;
        on_in(s, t, e, at);
    } else if (e->what == SWITCH_OUT || e->what == SWITCH_PREEMPTED) {
        s->rec->n_switches++;
        on_out(s, t, e, at);
    } else if (e->what == SWITCH_EXIT) {
        on_end(s, t, e, at);
    } else if (e->what == SWITCH_WAKE) {
        on_wake(s, t, e, at);
    } else {
        set_name(s->rec, t->row, e->name);
        if (e->what == SWITCH_EXEC)
            on_exec(s, t, e, at);
    }
}

static void proc_found(struct switches *s, int32_t pid)
{
    struct rec_proc *p = &s->rec->procs[rec_proc_of(s->rec, pid)];
    struct procfs_stat st;
    char text[1024];

    pids_add(s, &s->unnamed, pid);
    if (pid != s->rec->root && procfs_read(text, sizeof text, "/proc/%d/stat", pid) > 0 &&
        procfs_parse_stat(text, &st) == 0)
        p->parent = st.parent;
}

/* The name it has now; a process that has another one since then runs another program, perhaps. */
void switches_renamed(struct switches *s, struct thread *t)
{
    char name[24]; /* 16 at most, and a newline */

    if (procfs_read(name, sizeof name, "/proc/%d/task/%d/comm", t->proc->pid, t->tid) <= 0)
        return;
    name[strcspn(name, "\n")] = '\0';
    if (strcmp(name, s->rec->threads[t->row].name) == 0)
        return;
    set_name(s->rec, t->row, name);
    if (t->tid == t->proc->pid)
        pids_add(s, &s->unnamed, t->tid);
}

void switches_found(struct switches *s, int32_t pid, int32_t tid, int64_t at)
{
    struct thread *t = threads_find(&s->threads, tid);

    if (t && t->proc->pid == pid) {
        switches_renamed(s, t);
        return;
    }
    if (t) /* its end was not heard of, and the kernel has given out its number again */
        switches_gone(s, t, t->since);
    t = thread_new(s, pid, tid, at);
    if (!t)
        return;
    switches_renamed(s, t);
    if (t->proc->n_threads == 1)
        proc_found(s, pid);
    if (look_at(s->looker, pid, tid, &t->look) == LOOK_WAITS) {
        thread_enter(t, REC_WAIT, at);
        t->looked = true;
        t->looked_at = at;
    }
}

/* --- the whole -------------------------------------------------------------------------------- */

int switches_new(struct recording *rec, struct looker *looker, struct switches **ret)
{
    struct switches *s = calloc(1, sizeof *s);
    size_t n = rec->n_cpus ? rec->n_cpus : 1;

    if (!s)
        return -ENOMEM;
    *s = (struct switches){.rec = rec, .looker = looker, .n_cores = n, .soon = INT64_MAX};
    s->on_core = calloc(n, sizeof *s->on_core);
    if (!s->on_core || threads_init(&s->threads) < 0) {
        free(s->on_core);
        free(s);
        return -ENOMEM;
    }
    *ret = s;
    return 0;
}

static void thread_finish(void *arg, struct thread *t, int64_t now)
{
    switches_close(arg, t, now);
    switches_gone(arg, t, -1);
}

void switches_finish(struct switches *s, int64_t now)
{
    threads_each(&s->threads, thread_finish, s, now);
    for (size_t i = 0; i < s->rec->n_threads; i++)
        guesses_give_row(&s->all, &s->rec->threads[i]);
    wakers_finish(&s->wakers, s->rec);
}

void switches_free(struct switches *s)
{
    if (!s)
        return;
    threads_fini(&s->threads);
    free(s->on_core);
    free(s->pending.pid);
    free(s->sets.pid);
    free(s->stands.pid);
    free(s->woken.pid);
    free(s->unnamed.pid);
    free(s->unseen);
    free(s);
}

bool switches_know(const struct switches *s, int32_t tid)
{
    return threads_find(&s->threads, tid) != NULL;
}

struct each_pid {
    void (*f)(void *arg, int32_t pid);
    void *arg;
};

static void each_pid(void *arg, struct thread *t, int64_t at)
{
    const struct each_pid *each = arg;

    (void)at;
    each->f(each->arg, t->proc->pid);
}

void switches_pids(struct switches *s, void (*f)(void *arg, int32_t pid), void *arg)
{
    threads_each(&s->threads, each_pid, &(struct each_pid){f, arg}, 0);
}

size_t switches_live(const struct switches *s)
{
    return s->threads.n;
}

int64_t switches_soon(const struct switches *s)
{
    return s->soon;
}

bool switches_quiet(const struct switches *s)
{
    return s->quiet;
}

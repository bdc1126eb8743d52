/* SPDX-License-Identifier: MIT
 *
 * switches_look.c - what switch records do not say: asked at each tick
 *
 * HOW         Five questions.  What a process is called, after its exec.  What an open wait is
 *             for, once; again and again if it is for a set of connections on which other threads
 *             may send.  Whether events wait for a thread that computes, or for
 *             one that waits for something else.  And how long threads
 *             were without a core after their wait was over, which the kernel counts (schedstat)
 *             but does not record: it is taken from the end of their last waits.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <hob/base.h>

#include "diag/procfs.h"
#include "diag/switches_impl.h"

enum {
    LOOKS_A_TICK = 256,   /* the others' turn comes at the next one: they still wait; */
    LOOKS_WHEN_SHORT = 4, /* so many when time is short */
    WOKEN_A_TICK = 16,
    WOKEN_BACK = 8, /* intervals from the last one among which the wait is sought */
    TRIES = 6,
    STAND_THREADS = 32 /* a process of more has somebody else to do it */
};

#define LOOP_RAN_LONG (10 * HOB_MS) /* on CPU for so long: may events be waiting? */
#define LOOP_EVERY    (5 * HOB_MS)
#define STOOD_LONG    (5 * HOB_MS)   /* in another call than a loop's */
#define LOOP_NONE     (500 * HOB_MS) /* has no epoll set: ask again then */
#define SET_EVERY     (10 * HOB_MS)  /* others may send on a set that one thread waits for; */
#define SET_AGE       8 /* with nothing in flight: an eighth of how long it has been so */
#define WOKEN_EVERY   (20 * HOB_MS)
#define WOKEN_LEAST   (20 * HOB_US) /* less is the way of every wake */

void pids_add(struct switches *s, struct pids *a, int32_t pid)
{
    if (a->n == a->cap) {
        size_t cap = a->cap ? 2 * a->cap : 64;
        void *p = reallocarray(a->pid, cap, sizeof *a->pid);

        if (!p) {
            s->rec->failed = true;
            return;
        }
        a->pid = p;
        a->cap = cap;
    }
    a->pid[a->n++] = pid;
}

static void proc_name(struct switches *s, int32_t pid)
{
    uint32_t row = rec_proc_of(s->rec, pid);
    char text[4096];
    int n;

    n = procfs_link(text, sizeof text, "/proc/%d/exe", pid);
    if (n > 0)
        rec_set_text(s->rec, &s->rec->procs[row].exe, text);
    n = procfs_read(text, 1024, "/proc/%d/cmdline", pid);
    for (int i = 0; i + 1 < n; i++)
        if ((unsigned char)text[i] <= ' ')
            text[i] = ' ';
    if (n > 0)
        rec_set_text(s->rec, &s->rec->procs[row].command, text);
}

/* A set whose owner waits while other threads send: what is in flight now? */
static void set_look(struct switches *s, struct thread *t, int64_t now)
{
    struct look seen;

    if (look_at(s->looker, t->proc->pid, t->tid, &seen) != LOOK_WAITS || now <= t->since)
        return;
    int64_t at = look_holds_from(&t->look, &seen, t->since, now);
    if (at == t->since) {
        t->look = seen;
    } else if (seen.peer != t->look.peer || seen.in_flight != t->look.in_flight) {
        struct rec_ival v = {.from = t->since,
                             .to = at,
                             .state = REC_WAIT,
                             .core = REC_NO_CORE,
                             .kind = t->look.kind,
                             .peer = t->look.peer,
                             .in_flight = t->look.in_flight,
                             .flags = t->look.flags & REC_IVAL_SET};
        switches_put(s, t, &v);
        t->since = at;
        t->look = seen;
    }
    t->looked_at = now;
}

static int64_t set_every(const struct thread *t, int64_t now)
{
    int64_t age = t->look.in_flight == 0 ? (now - t->since) / SET_AGE : 0;

    return age > SET_EVERY ? age : SET_EVERY;
}

static void look_sets(struct switches *s, int64_t now)
{
    size_t n = 0;

    for (size_t i = 0; i < s->sets.n; i++) {
        struct thread *t = threads_find(&s->threads, s->sets.pid[i]);

        if (!t || t->state != REC_WAIT || !t->looked ||
            !(t->look.flags & REC_IVAL_SET || t->look.stale))
            continue;
        if ((t->proc->n_threads > 1 || t->look.stale) && now - t->looked_at >= set_every(t, now))
            set_look(s, t, now);
        s->sets.pid[n++] = t->tid;
    }
    s->sets.n = n;
}

static bool may_stand(const struct thread *t)
{
    return t->proc->n_threads <= STAND_THREADS && look_may_stand(&t->look);
}

static void look_stands_all(struct switches *s, int64_t now)
{
    size_t n = 0;

    for (size_t i = 0; i < s->stands.n; i++) {
        struct thread *t = threads_find(&s->threads, s->stands.pid[i]);

        if (t)
            t->listed = false;
        if (!t || t->state != REC_WAIT || !t->looked || !may_stand(t))
            continue;
        t->listed = true;
        s->stands.pid[n++] = t->tid;
        if (now - t->since < STOOD_LONG || now < t->stand_at)
            continue;
        struct rec_look look = {.at = now, .thread = t->row};
        int r = look_stands(s->looker, t->proc->pid, t->tid, &t->look, &look);
        if (r < 0 && r != -EAGAIN) {
            n--; /* no loop: not again in this wait */
            t->listed = false;
            continue;
        }
        t->stand_at = now + LOOP_EVERY;
        if (r == 0 && look.outside && t->stand_at < s->soon)
            s->soon = t->stand_at;
        if (r == 0)
            rec_add_look(s->rec, &look);
    }
    s->stands.n = n;
}

/* A thread that comes and goes within microseconds is hard to catch: while nothing is known of its
 * waits, a few tries. */
static void wait_look(struct switches *s, struct thread *t, int64_t now)
{
    int tries = t->guesses ? 1 : TRIES, r;

    do {
        r = look_at(s->looker, t->proc->pid, t->tid, &t->look);
    } while (r == LOOK_RUNS && --tries > 0);
    if (r == LOOK_RUNS && !t->awake_at)
        t->awake_at = now;
    if (r == LOOK_RUNS || r == -ESRCH)
        return;
    t->looked = true;
    t->looked_at = now;
    if (t->look.stale || (t->look.flags & REC_IVAL_SET && t->proc->n_threads > 1))
        pids_add(s, &s->sets, t->tid);
    if (may_stand(t) && !t->listed) {
        t->listed = true;
        pids_add(s, &s->stands, t->tid);
    }
}

/* The oldest first; a wait that is over was not looked at. */
static void look_pending(struct switches *s, int64_t now, size_t most)
{
    size_t i = 0;

    for (size_t looks = 0; i < s->pending.n && looks < most; i++) {
        struct thread *t = threads_find(&s->threads, s->pending.pid[i]);

        if (!t)
            continue;
        t->pending = false;
        if (t->state != REC_WAIT || t->looked)
            continue;
        wait_look(s, t, now);
        looks++;
    }
    s->pending.n -= i;
    if (s->pending.n > 0)
        memmove(s->pending.pid, s->pending.pid + i, s->pending.n * sizeof *s->pending.pid);
}

/* One that was preempted computes as well, and our own wake may have been the cause. */
static bool computes(const struct thread *t, size_t core)
{
    return (t->state == REC_RUN || t->state == REC_READY) && t->core == core;
}

static void look_loops(struct switches *s, int64_t now)
{
    for (size_t i = 0; i < s->n_cores; i++) {
        struct thread *t = s->on_core[i] ? threads_find(&s->threads, s->on_core[i]) : NULL;
        struct rec_look look = {.at = now};

        if (!t || !computes(t, i) || now - t->ran_since < LOOP_RAN_LONG)
            continue;
        look_flight(s->looker, t->proc->pid, t->row, now);
        if (now >= t->loop_at) {
            int r = look_loop(s->looker, t->proc->pid, t->tid, &look);
            t->loop_at = now + (r < 0 && r != -EAGAIN ? LOOP_NONE : LOOP_EVERY);
            t->keeps = r == -EAGAIN ? t->keeps : r == 0 && look.outside;
            look.thread = t->row;
            if (r == 0)
                rec_add_look(s->rec, &look);
        }
        if (t->keeps && t->loop_at < s->soon)
            s->soon = t->loop_at;
    }
}

void switches_woke(struct switches *s, struct thread *t, int64_t at)
{
    if (at - t->delay_at < WOKEN_EVERY)
        return;
    t->delay_at = at;
    pids_add(s, &s->woken, t->tid);
}

/* The end of a thread's last waits was no wait but `delay` ns without a core. */
static void delay_put(struct rec_thread *row, int64_t delay)
{
    for (size_t i = row->n_ivals; i > 0 && row->n_ivals - i < WOKEN_BACK && delay > 0; i--) {
        struct rec_ival *v = &row->ivals[i - 1];
        int64_t lasted = v->to - v->from, part = delay < lasted ? delay : lasted;

        if (v->state != REC_WAIT || v->flags & REC_IVAL_FOLDED)
            continue;
        v->flags |= REC_IVAL_FOLDED;
        v->run_ppm = 0;
        v->ready_ppm = (uint32_t)((double)part / (double)lasted * 1e6);
        delay -= part;
    }
}

/* What the kernel counts beyond what was recorded. */
static void delay_look(struct switches *s, struct thread *t)
{
    char text[128];
    struct procfs_sched st;

    if (procfs_read(text, sizeof text, "/proc/%d/task/%d/schedstat", t->proc->pid, t->tid) <= 0 ||
        procfs_parse_sched(text, &st) < 0)
        return;
    if (!t->delay_based)
        t->delay_before = (int64_t)st.delay - t->delay_known;
    t->delay_based = true;
    int64_t hidden = (int64_t)st.delay - t->delay_before - t->delay_known;
    if (hidden < WOKEN_LEAST)
        return;
    t->delay_known += hidden;
    delay_put(&s->rec->threads[t->row], hidden);
}

static void look_woken(struct switches *s)
{
    for (size_t i = 0; !s->gaps && i < s->woken.n && i < WOKEN_A_TICK; i++) {
        struct thread *t = threads_find(&s->threads, s->woken.pid[i]);

        if (t)
            delay_look(s, t);
    }
    s->woken.n = 0;
}

void switches_name_look(struct switches *s)
{
    for (size_t i = 0; i < s->unnamed.n; i++)
        proc_name(s, s->unnamed.pid[i]);
    s->unnamed.n = 0;
}

void switches_look(struct switches *s, int64_t now, int64_t tick, bool spare)
{
    s->tick = tick;
    s->soon = INT64_MAX;
    switches_unseen_look(s, now);
    switches_name_look(s);
    look_pending(s, now, spare ? LOOKS_A_TICK : LOOKS_WHEN_SHORT);
    look_sets(s, now);
    look_loops(s, now);
    look_stands_all(s, now);
    look_woken(s);
    s->quiet = s->pending.n == 0;
}

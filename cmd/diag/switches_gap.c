/* SPDX-License-Identifier: MIT
 *
 * switches_gap.c - the time between two turns, in which nothing is recorded
 *
 * WHAT        Above so many switches a second records are taken in turns (perf_turns.c).  A gap is
 *             filled with what each thread did in the turn before it: sums stay right, order is
 *             lost.  One that lasts seconds is filled by switches_rest.c.
 *
 * HOW         A gap of a process with thousands of threads may take seconds, and what there was
 *             before is over.  Of threads that were on a core, or in line for one, for a real part
 *             of the turn the kernel's counts are read as it begins; if it was long they are read
 *             again, and these two parts are right.  One that was born in the turn has too short a
 *             life behind it to go by, most of it its birth; the kernel's counts began with it.
 *             Who has ended meanwhile cannot be asked: unless it waited, nobody knows.
 */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "diag/procfs.h"
#include "diag/switches_impl.h"

enum { COUNTED_MOST = 128 }; /* threads whose counts are read as a gap begins: some 0.2 ms */

struct gap {
    struct switches *s;
    size_t n_counted;
};

static int64_t turn_of(const struct thread *t)
{
    return t->sum[REC_RUN] + t->sum[REC_READY] + t->sum[REC_WAIT];
}

static bool is_new(const struct switches *s, const struct thread *t)
{
    return t->forked && t->since - s->rec->threads[t->row].born <= turn_of(t);
}

/* What the gap is measured from; false: it is guessed. */
static bool counts_begin(struct gap *g, struct thread *t)
{
    static const int64_t real_part = 10;
    struct procfs_sched is;

    if (!t->changed)
        return false;
    if (is_new(g->s, t)) {
        t->rest_run = (uint64_t)t->sum[REC_RUN];
        t->rest_delay = (uint64_t)t->sum[REC_READY];
        return true;
    }
    if (real_part * (t->sum[REC_RUN] + t->sum[REC_READY]) < turn_of(t) ||
        g->n_counted >= COUNTED_MOST)
        return false;
    g->n_counted++;
    if (switches_counts(t, &is) < 0 || is.turns == 0) /* a kernel that does not count */
        return false;
    t->rest_run = is.run;
    t->rest_delay = is.delay;
    return true;
}

static void thread_pause(void *arg, struct thread *t, int64_t now)
{
    struct gap *g = arg;
    bool looked = t->looked;
    struct look look = t->look;

    switches_close(g->s, t, now);
    t->since = now;
    t->looked = looked;
    t->look = look;
    t->counted = counts_begin(g, t);
}

/* Did it end while nobody listened?  Only what did nothing since then is worth asking. */
static bool thread_ended(const struct thread *t)
{
    return !t->changed && syscall(SYS_tgkill, t->proc->pid, t->tid, 0) < 0 && errno == ESRCH;
}

/* Parts of a gap. */
struct share {
    double run, ready;
};

static double part_of(uint64_t is, uint64_t was, int64_t lasted)
{
    double part = is > was ? (double)(is - was) / (double)lasted : 0;

    return part < 1 ? part : 1;
}

/* By the kernel's counts, or an error: it cannot be asked any more. */
static int share_counted(const struct thread *t, int64_t lasted, struct share *ret)
{
    struct procfs_sched is;
    int r = switches_counts(t, &is);

    if (r < 0)
        return r;
    ret->run = part_of(is.run, t->rest_run, lasted);
    ret->ready = part_of(is.delay, t->rest_delay, lasted);
    if (ret->ready > 1 - ret->run)
        ret->ready = 1 - ret->run;
    return 0;
}

static void thread_fill(struct switches *s, struct thread *t, int64_t now, const struct share *did,
                        const struct look *wait)
{
    struct rec_ival v = {.from = t->since,
                         .to = now,
                         .core = REC_NO_CORE,
                         .run_ppm = (uint32_t)(did->run * 1e6),
                         .ready_ppm = (uint32_t)(did->ready * 1e6),
                         .kind = wait->kind,
                         .peer = wait->peer,
                         .in_flight = wait->in_flight,
                         .state = did->run + did->ready < 1 ? REC_WAIT : REC_RUN,
                         .flags =
                             REC_IVAL_FOLDED | REC_IVAL_GUESSED | (wait->flags & REC_IVAL_SET)};

    rec_add(s->rec, t->row, &v);
    t->since = now;
    if (t->state == REC_WAIT)
        switches_wait_begins(s, t); /* maybe another one than before */
}

/* A gap in which much may have changed. */
static void thread_fill_long(struct switches *s, struct thread *t, int64_t now)
{
    static const double nothing = .001; /* of the gap: the two clocks differ by less */
    static const struct look unknown = {.kind = REC_UNKNOWN};
    struct share did = {0};
    bool gone = share_counted(t, now - t->since, &did) < 0;

    if (t->state != REC_WAIT || did.run + did.ready >= nothing)
        thread_fill(s, t, now, &did, gone ? &unknown : &t->main_wait);
    else if (!t->looked)
        switches_wait_begins(s, t); /* it is in the wait it was in */
}

/* What it did before, spread over the gap; one that did not change goes on as it was. */
static void thread_resume(void *arg, struct thread *t, int64_t now)
{
    static const int64_t is_long = HOB_SEC / 2;
    struct switches *s = arg;
    int64_t all = turn_of(t);

    if (thread_ended(t)) {
        switches_gone(s, t, t->since);
        return;
    }
    if (t->counted && now - t->since >= is_long)
        thread_fill_long(s, t, now);
    else if (t->changed && all > 0 && now > t->since)
        thread_fill(s, t, now,
                    &(struct share){(double)t->sum[REC_RUN] / (double)all,
                                    (double)t->sum[REC_READY] / (double)all},
                    &t->main_wait);
    switches_turn_begins(t);
}

void switches_turn_begins(struct thread *t)
{
    memset(t->sum, 0, sizeof t->sum);
    t->main_wait_lasted = 0;
    t->main_wait.kind = REC_UNKNOWN;
    if (t->kinds)
        *t->kinds = (struct guesses){0};
    t->changed = false;
}

void switches_pause(struct switches *s, int64_t now)
{
    s->gaps = true;
    threads_each(&s->threads, thread_pause, &(struct gap){.s = s}, now);
}

void switches_resume(struct switches *s, int64_t now)
{
    threads_each(&s->threads, thread_resume, s, now);
}

/* --- what goes on ----------------------------------------------------------------------------- */

struct open_call {
    rec_open_fn *f;
    void *arg;
};

static void thread_open(void *arg, struct thread *t, int64_t now)
{
    const struct open_call *c = arg;
    struct rec_ival v = {.from = t->since,
                         .to = now,
                         .state = t->state,
                         .core = t->state == REC_RUN ? t->core : REC_NO_CORE};

    if (now <= t->since || t->state == NO_STATE || (t->state == REC_WAIT && !t->looked))
        return;
    if (t->state == REC_WAIT) {
        v.kind = look_kind_ended(&t->look, now - t->looked_at);
        v.peer = t->look.peer;
        v.in_flight = t->look.in_flight;
        v.flags = t->look.flags & REC_IVAL_SET;
    }
    c->f(c->arg, t->row, &v);
}

void switches_open(struct switches *s, int64_t now, rec_open_fn *f, void *arg)
{
    threads_each(&s->threads, thread_open, &(struct open_call){f, arg}, now);
}

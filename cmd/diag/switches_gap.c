/* SPDX-License-Identifier: MIT
 *
 * switches_gap.c - the time between two turns, in which nothing is recorded
 *
 * WHAT        Above so many switches a second records are taken in turns (perf_turns.c).  A gap is
 *             filled with what each thread did in the turn before it: sums stay right, order is
 *             lost.  One that lasts seconds is filled by switches_rest.c.
 */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "diag/switches_impl.h"

static void thread_pause(void *arg, struct thread *t, int64_t now)
{
    struct switches *s = arg;
    bool looked = t->looked;
    struct look look = t->look;

    switches_close(s, t, now);
    t->since = now;
    t->looked = looked;
    t->look = look;
}

/* Did it end while nobody listened?  Only what did nothing since then is worth asking. */
static bool thread_ended(const struct thread *t)
{
    return !t->changed && syscall(SYS_tgkill, t->proc->pid, t->tid, 0) < 0 && errno == ESRCH;
}

/* What it did before, spread over the gap; one that did not change goes on as it was. */
static void thread_resume(void *arg, struct thread *t, int64_t now)
{
    struct switches *s = arg;
    int64_t all = t->sum[REC_RUN] + t->sum[REC_READY] + t->sum[REC_WAIT];

    if (thread_ended(t)) {
        switches_gone(s, t, t->since);
        return;
    }
    if (t->changed && all > 0 && now > t->since) {
        struct rec_ival v = {.from = t->since,
                             .to = now,
                             .core = REC_NO_CORE,
                             .run_ppm = (uint32_t)((double)t->sum[REC_RUN] / (double)all * 1e6),
                             .ready_ppm = (uint32_t)((double)t->sum[REC_READY] / (double)all * 1e6),
                             .kind = t->main_wait.kind,
                             .peer = t->main_wait.peer,
                             .in_flight = t->main_wait.in_flight,
                             .state = t->sum[REC_WAIT] > 0 ? REC_WAIT : REC_RUN,
                             .flags = REC_IVAL_FOLDED | REC_IVAL_GUESSED |
                                      (t->main_wait.flags & REC_IVAL_SET)};
        rec_add(s->rec, t->row, &v);
        t->since = now;
        if (t->state == REC_WAIT)
            switches_wait_begins(s, t); /* maybe another one than before */
    }
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
    threads_each(&s->threads, thread_pause, s, now);
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

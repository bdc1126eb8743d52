/* SPDX-License-Identifier: MIT
 *
 * track.c - from samples of a thread to its intervals
 *
 * HOW         Between two samples in which it waits:
 *
 *               from                ran_from      ran_to                now
 *                | head: old wait | ready | run ... run | tail: new wait |
 *
 *   ready and run are known, so is the sum of the waits; samples in which it ran bound them.  What
 *   does not fit outside them was hidden waits in between.  The tail is not added: it is the
 *   beginning of the wait that goes on.
 *
 * REJECTED    Run time by the samples alone (a sample stands for a tick): a thread that computes
 *   0.2 ms after each answer is seen on CPU now and then, and its share comes right only after
 *   thousands of samples.  The counters are right after one.
 */
#include "diag/track.h"

enum { COUNTER_LAG = 4 * HOB_MS }; /* of a thread on CPU: a scheduler tick */

static int64_t clamp(int64_t v, int64_t least, int64_t most)
{
    return v < least ? least : v > most ? most : v;
}

static void add_state(struct recording *rec, struct track *t, int64_t from, int64_t to,
                      enum rec_state state, uint16_t core)
{
    struct rec_ival v = {.from = from, .to = to, .state = (uint8_t)state, .core = core};

    if (to <= from)
        return;
    rec_add(rec, t->row, &v);
    t->added += state == REC_RUN ? to - from : 0;
}

static void add_wait(struct recording *rec, const struct track *t, int64_t from, int64_t to,
                     const struct look *look, uint8_t kind)
{
    struct rec_ival v = {
        .from = from,
        .to = to,
        .peer = look->peer,
        .in_flight = look->in_flight,
        .core = REC_NO_CORE,
        .state = REC_WAIT,
        .kind = kind,
        .flags = look->flags,
    };

    if (to > from)
        rec_add(rec, t->row, &v);
}

/* The wait it was in goes on for `head`; returns its end. */
static int64_t add_head(struct recording *rec, const struct track *t, int64_t head)
{
    int64_t end = t->from + head;

    if (t->waits)
        add_wait(rec, t, t->from, end, &t->look, look_kind_ended(&t->look, end - t->looked_at));
    return end;
}

static void restart(struct track *t, int64_t from, const struct procfs_sched *c)
{
    t->from = t->sure = from;
    t->was = t->is = *c;
    t->ran_from = t->ran_to = -1;
}

/* What the counters say and has not been added yet. */
static int64_t run_due(const struct track *t, const struct procfs_sched *c)
{
    return (int64_t)(c->run - t->was.run) - t->run_over;
}

static int64_t ready_due(const struct track *t, const struct procfs_sched *c)
{
    return (int64_t)(c->delay - t->was.delay) - t->ready_over;
}

void track_begin(struct track *t, uint32_t row, int64_t now, const struct procfs_sched *c,
                 const struct look *look)
{
    *t = (struct track){.row = row, .at = now, .waits = look != NULL, .looked_at = now};
    restart(t, now, c);
    if (look)
        t->look = *look;
    else
        t->ran_from = t->ran_to = now;
}

bool track_same(const struct track *t, const struct procfs_sched *c)
{
    return t->waits && t->ran_from < 0 && c->turns == t->was.turns;
}

void track_still(struct track *t, int64_t now)
{
    t->sure = t->at = now;
}

/* How much of the waits lay before it first ran, and how much after it last did. */
static void waits_split(const struct track *t, int64_t now, int64_t waited, int64_t *ret_head,
                        int64_t *ret_tail)
{
    int64_t sure = t->waits ? clamp(t->sure - t->from, 0, waited) : 0, rest = waited - sure;
    int64_t before = t->waits ? now - t->sure : 0, after = now - t->from - sure;

    if (t->ran_from >= 0) {
        before = t->waits ? t->ran_from - t->sure : 0;
        after = now - t->ran_to;
    }
    int64_t head = before + after > 0 ? (int64_t)((double)rest * before / (before + after)) : 0;
    head = clamp(head, 0, before);
    *ret_head = sure + head;
    *ret_tail = clamp(rest - head, 0, after);
}

void track_waits(struct track *t, struct recording *rec, int64_t now, const struct procfs_sched *c,
                 const struct look *look)
{
    int64_t all = now - t->from, head, tail;
    int64_t ready = clamp(ready_due(t, c), 0, all), run = clamp(run_due(t, c), 0, all - ready);

    t->ready_over = ready - ready_due(t, c);
    t->run_over = run - run_due(t, c);
    waits_split(t, now, all - ready - run, &head, &tail);
    int64_t hidden = all - ready - run - head - tail;
    int64_t at = add_head(rec, t, head);
    add_state(rec, t, at, at + ready, REC_READY, REC_NO_CORE);
    at += ready;
    add_state(rec, t, at, at + run / 2, REC_RUN, REC_NO_CORE);
    at += run / 2;
    add_wait(rec, t, at, at + hidden, look, look->kind);
    at += hidden;
    add_state(rec, t, at, now - tail, REC_RUN, REC_NO_CORE);
    rec->n_waits += c->turns - t->was.turns;
    rec->n_looked++;
    restart(t, now - tail, c);
    t->look = *look;
    t->sure = t->looked_at = t->at = now;
    t->waits = true;
}

void track_relook(struct track *t, struct recording *rec, int64_t now, const struct look *look)
{
    int64_t at = look_holds_from(&t->look, look, t->from, now);

    if (at > t->from)
        add_wait(rec, t, t->from, at, &t->look, t->look.kind);
    t->from = at;
    t->sure = t->looked_at = t->at = now;
    t->look = *look;
}

void track_runs(struct track *t, int64_t now, const struct procfs_sched *c)
{
    t->is = *c;
    if (t->ran_from < 0)
        t->ran_from = now;
    t->ran_to = t->at = now;
}

/* One turn of `run` in what is a row of turns of all threads on the core, round and round. */
static void add_turn(struct recording *rec, struct track *t, int64_t from, int64_t to, int64_t run,
                     uint16_t core, double *phase)
{
    int64_t all = to - from, at = from + (int64_t)(*phase * (double)all), end = at + run;

    if (end <= to) {
        add_state(rec, t, from, at, REC_READY, REC_NO_CORE);
        add_state(rec, t, at, end, REC_RUN, core);
        add_state(rec, t, end, to, REC_READY, REC_NO_CORE);
    } else {
        add_state(rec, t, from, end - all, REC_RUN, core);
        add_state(rec, t, end - all, at, REC_READY, REC_NO_CORE);
        add_state(rec, t, at, to, REC_RUN, core);
    }
    *phase += (double)run / (double)all;
    if (*phase >= 1)
        *phase -= 1;
}

/* A thread on CPU is counted up to COUNTER_LAG late: what is missing beyond that, it has had no
 * core since the counter of its delays was brought up to date. */
void track_flush(struct track *t, struct recording *rec, int64_t now, const struct procfs_sched *c,
                 uint16_t core, double *phase)
{
    int64_t all = now - t->from, before = 0;

    if (all <= 0)
        return;
    if (t->waits && t->ran_from > t->from)
        before = t->ran_from - t->from;
    int64_t sure = t->waits ? clamp(t->sure - t->from, 0, before) : 0;
    int64_t head = clamp(all - ready_due(t, c) - run_due(t, c), sure, before);
    int64_t at = add_head(rec, t, head);
    int64_t run =
        clamp(run_due(t, c) + COUNTER_LAG, 0, all - head - clamp(ready_due(t, c), 0, all - head));
    int64_t ready = all - head - run;
    if (at < now)
        add_turn(rec, t, at, now, run, core, phase);
    t->ready_over = ready - ready_due(t, c);
    t->run_over = run - run_due(t, c);
    restart(t, now, c);
    t->waits = false;
    track_runs(t, now, c);
}

void track_end(struct track *t, struct recording *rec, int64_t now, bool gone)
{
    int64_t end = gone ? t->at + (now - t->at) / 2 : now;

    if (t->ran_from < 0) {
        add_head(rec, t, end - t->from);
        return;
    }
    int64_t head = t->waits ? (t->sure + t->ran_from) / 2 - t->from : 0,
            at = add_head(rec, t, head);
    int64_t ready = clamp(ready_due(t, &t->is), 0, end - at);
    int64_t run = clamp(run_due(t, &t->is) + COUNTER_LAG / 2, 0, end - at - ready);
    add_state(rec, t, at, end - run, REC_READY, REC_NO_CORE);
    add_state(rec, t, end - run, end, REC_RUN, REC_NO_CORE);
}

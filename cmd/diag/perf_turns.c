/* SPDX-License-Identifier: MIT
 *
 * perf_turns.c - records are taken for a part of the time only, when there are too many of them
 *
 * HOW         A record costs the program more than a microsecond.  So there is a budget of them:
 *   some to begin with, for what happens when a program starts, and as many a second as cost it
 *   2 % at most.  A program that stays within it is recorded from its begin to its end.  When the
 *   budget is used up there are no records for a while, and the gap is filled with what was seen.
 *
 *   A short gap lasts until some of the budget is there again.  An event that is only switched off
 *   still costs half a microsecond a record, since the kernel goes through a thread's events
 *   whether they count or not; so in a gap there are none (while few threads live: giving all of
 *   them new ones costs time, too).
 *
 *   A rest comes instead where there are so many switches that short gaps cost more than 3 %.  A
 *   thread that has once had an event keeps what the kernel made for it, and while anybody on the
 *   machine has an event on any thread, and for a second after, each of its switches costs a tenth
 *   of a microsecond more a record.  So all that is ours is closed, for several times that second.
 *   Meanwhile the kernel's own counts are read, and the threads are asked what they wait for
 *   (switches_rest.c): so it is seen when the program does something else, and a turn begins at
 *   once.
 *
 * REJECTED    Rests from the first moment on: a program's threads have their events from its exec
 *   on, or what it starts would not be seen; to give them none before it is known how often they
 *   switch would lose each program's begin for the sake of few.  Short gaps first, for programs of
 *   a second: each costs such a program what a rest costs it, and the looks of a rest show more.
 */
#include <hob/base.h>

#include "diag/look.h"
#include "diag/perf_impl.h"

#define RECORDS_FIRST 5000.0  /* for the start, and at most at once later */
#define RECORDS_RATE  15000.0 /* and a second */
#define RECORDS_TURN  2000.0  /* for which a short gap waits */
#define REST_RATE     60000.0 /* records a second, if all were taken: a rest */
#define CALM_RATE     40000.0 /* which ends below this */
#define CALM_LONG     HOB_SEC /* without a gap: it has no turns any more */
#define TURN_COSTS    200     /* a gap lasts so many times what its two ends cost */
#define TURN_TICK     (5 * HOB_MS)
#define RATE_EVERY    (50 * HOB_MS)
#define REST          (8 * HOB_SEC) /* the kernel needs one to be rid of us */
#define REST_LOOK     (100 * HOB_MS)
#define REST_SAMPLE   (20 * HOB_MS)
#define REST_THREAD   (2 * HOB_MS) /* for each thread there is so much between two looks, */
#define SAMPLE_THREAD (HOB_MS / 2) /* and two samples, at least */
#define REST_NEWS     HOB_SEC      /* new threads end a rest, once it was as long */
enum {
    DROP_MOST = 64,  /* threads that are given events anew after each short gap, */
    REST_MOST = 1000 /* and after a rest */
};

void turns_init(struct turns *t, const struct rec_begin *b, struct events *e, struct switches *s)
{
    *t = (struct turns){.b = b, .events = e, .switches = s, .on = true, .budget = RECORDS_FIRST};
}

static int64_t now_of(const struct turns *t)
{
    return events_now() - t->b->base;
}

/* --- the budget ------------------------------------------------------------------------------- */

/* What costs the program time. */
static uint64_t records(const struct turns *t)
{
    return t->b->rec->n_switches + switches_wakes_heard(t->switches);
}

static void budget_look(struct turns *t, int64_t now)
{
    uint64_t n = records(t);

    t->budget += RECORDS_RATE * (double)(now - t->budget_at) / HOB_SEC;
    if (t->budget > RECORDS_FIRST)
        t->budget = RECORDS_FIRST;
    t->budget -= (double)(n - t->budget_n);
    t->budget_n = n;
    t->budget_at = now;
}

static void rate_from(struct turns *t, int64_t now)
{
    t->rate_n = records(t);
    t->rate_switches = t->b->rec->n_switches;
    t->rate_at = now;
}

/* How many records a second there are while they are made: of the last moments, or since the turn
 * began if it was short. */
static void rate_look(struct turns *t, int64_t now, bool over)
{
    int64_t d = now - t->rate_at;

    if (d < (over ? 1 : RATE_EVERY))
        return;
    uint64_t n = records(t) - t->rate_n, switches = t->b->rec->n_switches - t->rate_switches;
    double part = d < RATE_EVERY && t->rate_at > t->began ? (double)d / (double)RATE_EVERY : 1;

    t->rate += part * ((double)n * HOB_SEC / (double)d - t->rate);
    t->heard = switches ? (double)n / (double)switches : 1;
    rate_from(t, now);
}

/* --- off -------------------------------------------------------------------------------------- */

static void ask_may(void *arg, int32_t pid)
{
    struct turns *t = arg;

    t->may = t->may && events_may(pid);
}

/* Could all that lives be found again and be given events anew? */
static bool may_drop(struct turns *t)
{
    if (switches_live(t->switches) > (t->rate >= REST_RATE ? REST_MOST : DROP_MOST))
        return false;
    t->may = true;
    switches_pids(t->switches, ask_may, t);
    return t->may;
}

static void turn_off(struct turns *t, int64_t now)
{
    t->dropped = may_drop(t);
    if (t->dropped)
        events_drop(t->events);
    else
        events_switch(t->events, false);
    t->on_time += now - t->began;
    events_drain(t->events, t->switches, t->b->base + now + HOB_SEC, t->b->base);
    now = now_of(t); /* there are records until the last event was closed */
    switches_pause(t->switches, now);
    t->rests = t->dropped && !t->no_rests && t->rate >= REST_RATE;
    if (t->rests && !switches_rest(t->switches, now)) {
        t->rests = false;
        t->no_rests = true;
    }
    if (t->rests)
        events_rest(t->events);
    t->news = false;
    if (t->duty)
        return;
    t->duty = true;
    rec_note(t->b->rec,
             "at more than %.0f switches a second they were recorded for a part of the time, and "
             "the rest filled with what was seen then",
             RECORDS_RATE);
}

/* --- on --------------------------------------------------------------------------------------- */

static void turn_on(struct turns *t, int64_t now)
{
    int error = 0;

    if (t->rests)
        switches_rest_end(t->switches, now, false);
    else
        switches_resume(t->switches, now);
    if (!t->dropped)
        events_switch(t->events, true);
    else if (attach_tree(t->events, t->switches, t->b, true, &error) > 0)
        rec_note(t->b->rec, "some threads are seen only in part: %s", hob_strerror(error));
    t->dropped = t->rests = false;
}

/* For want of rings there is nothing but rest until the end. */
static bool rings_back(struct turns *t)
{
    int r = t->rests && !t->stuck ? events_wake(t->events) : 0;

    if (r == 0)
        return !t->stuck;
    t->stuck = true;
    rec_note(t->b->rec, "switches were not recorded to the end: %s", hob_strerror(r));
    return false;
}

static void turn_to(struct turns *t, bool on, int64_t now)
{
    int64_t computed = look_cpu();

    if (on && !rings_back(t))
        return;
    if (on) /* not `now`: the kernel may have taken 20 ms for its first event */
        turn_on(t, now_of(t));
    else
        turn_off(t, now);
    computed = look_cpu() - computed;
    t->cost = on ? computed : t->cost + computed;
    t->on = on;
    t->began = now_of(t);
    t->looked = t->sampled = t->began;
    if (!on)
        return;
    budget_look(t, t->began); /* its ends were recorded, too */
    rate_from(t, t->began);
}

/* --- from tick to tick ------------------------------------------------------------------------ */

static int64_t at_least(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t each_thread(const struct turns *t, int64_t time)
{
    return (int64_t)switches_live(t->switches) * time;
}

static bool calms(struct turns *t, int64_t now)
{
    struct switches_rested seen;

    switches_rest_look(t->switches, now, &seen);
    t->looked = now;
    t->news |= seen.more;
    if (t->news && now - t->began >= REST_NEWS)
        return true;
    /* On a core and off it again: two records, and those of wakes. */
    return (double)(2 * seen.turns) * t->heard * HOB_SEC < CALM_RATE * (double)seen.lasted;
}

static bool rest_over(struct turns *t, int64_t now)
{
    if (now - t->sampled >= at_least(REST_SAMPLE, each_thread(t, SAMPLE_THREAD))) {
        switches_rest_sample(t->switches, now, now - t->sampled);
        t->sampled = now;
    }
    if (now - t->looked >= at_least(REST_LOOK, each_thread(t, REST_THREAD)) && calms(t, now))
        return true;
    return now - t->began >= at_least(REST, t->cost * TURN_COSTS);
}

static bool gap_over(struct turns *t, int64_t now)
{
    return t->budget >= RECORDS_TURN && now - t->began >= t->cost * TURN_COSTS;
}

void turns_look(struct turns *t, int64_t now)
{
    budget_look(t, now);
    if (t->on) {
        rate_look(t, now, t->budget < 0);
        if (t->budget < 0)
            turn_to(t, false, now);
        else if (t->duty && now - t->began >= CALM_LONG)
            t->duty = false;
    } else if (t->rests ? rest_over(t, now) : gap_over(t, now)) {
        turn_to(t, true, now);
    }
}

int64_t turns_next(const struct turns *t)
{
    double need = RECORDS_TURN - t->budget;

    if (t->on)
        return TURN_TICK;
    if (t->rests)
        return at_least(REST_SAMPLE, each_thread(t, SAMPLE_THREAD));
    return at_least((int64_t)(need * HOB_SEC / RECORDS_RATE), TURN_TICK);
}

int64_t turns_seen(const struct turns *t, int64_t now)
{
    return t->on ? now : t->rests && t->looked > t->began ? t->looked : t->began;
}

void turns_end(struct turns *t, int64_t now)
{
    if (t->on)
        t->on_time += now - t->began;
    else if (t->rests)
        switches_rest_end(t->switches, now, true);
    else
        switches_resume(t->switches, now);
}

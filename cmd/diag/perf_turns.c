/* SPDX-License-Identifier: MIT
 *
 * perf_turns.c - records are taken for a part of the time only, when there are too many of them
 *
 * HOW         A record costs half a microsecond.  Above BUSY_RATE records a second that would slow
 *   the program: then they are taken in turns, and the gaps are filled with what was seen.
 *
 *   Short turns, of each 100 ms a few.  An event that is only switched off still costs a third of a
 *   microsecond a switch, since the kernel goes through a thread's events whether they count or
 *   not; so in the gaps there are none (while few threads live: giving all of them new ones costs
 *   time, too).
 *
 *   Long rests, after the first of these.  A thread that has once had an event keeps what the
 *   kernel made for it, and while anybody on the machine has an event on any thread, and for a
 *   second after, each of its switches costs a tenth more.  So all that is ours is closed, for
 *   several times that second, and the kernel's own counts are read meanwhile (switches_rest.c):
 *   they say when the program does something else, and then a turn begins at once.
 *
 * REJECTED    Rests from the first moment on: of a program of a second too little would be seen.
 *   Short turns until the end: they cost it the tenth all the time.
 */
#include <hob/base.h>

#include "diag/look.h"
#include "diag/perf_impl.h"

#define BUSY_RATE  50000.0 /* switches a second */
#define CALM_RATE  40000.0
#define CALM_LONG  HOB_SEC /* what comes after that long is news: short turns again */
#define TURN       (100 * HOB_MS)
#define TURN_COSTS 200 /* a turn lasts so many times what its two ends cost, if that is longer */
#define TURN_ON    (10 * HOB_MS) /* of it, while there are no more than this a second: */
#define TURN_RATE  100000.0
#define TURN_LEAST (2 * HOB_MS)
#define RATE_EVERY (50 * HOB_MS)
#define REST       (8 * HOB_SEC) /* the kernel needs one to be rid of us */
#define REST_ON    (50 * HOB_MS) /* of the turns between rests, at TURN_RATE; */
#define REST_LEAST (10 * HOB_MS) /* and no less */
#define REST_LOOK  (100 * HOB_MS)
#define REST_NEWS  HOB_SEC /* new threads end a rest, once it was as long */
enum {
    RATE_ENOUGH = 5000, /* switches of which it is clear before */
    DROP_MOST = 64,     /* threads that are given events anew in each turn */
    TURNS_FIRST = 3     /* short ones before the first rest */
};

void turns_init(struct turns *t, const struct rec_begin *b, struct events *e, struct switches *s)
{
    *t = (struct turns){
        .b = b, .events = e, .switches = s, .on = true, .all = TURN, .calm_since = -CALM_LONG};
}

static int64_t now_of(const struct turns *t)
{
    return events_now() - t->b->base;
}

/* --- how often, and how long ------------------------------------------------------------------ */

static bool rests_now(const struct turns *t)
{
    return !t->no_rests && t->n_short >= TURNS_FIRST;
}

/* How long records are taken in each turn. */
static int64_t turn_length(const struct turns *t)
{
    double part = t->rate > TURN_RATE ? TURN_RATE / t->rate : 1, on;

    if (rests_now(t)) {
        on = (double)REST_ON * part;
        return on > (double)REST_LEAST ? (int64_t)on : REST_LEAST;
    }
    on = (double)TURN_ON * (double)t->all / (double)TURN * part;
    return on > (double)TURN_LEAST ? (int64_t)on : TURN_LEAST;
}

/* What costs the program time. */
static uint64_t records(const struct turns *t)
{
    return t->b->rec->n_switches + switches_wakes_heard(t->switches);
}

/* How many records a second there are while they are made; turns begin and end by it. */
static void rate_look(struct turns *t, int64_t now, int64_t every)
{
    int64_t d = now - t->rate_at;
    uint64_t n = records(t) - t->rate_n;
    bool was = t->duty;

    if (d <= 0 || (d < every && n < RATE_ENOUGH))
        return;
    t->rate = (double)n * HOB_SEC / (double)d;
    uint64_t switches = t->b->rec->n_switches - t->rate_switches;
    t->heard = switches ? (double)n / (double)switches : 1;
    t->rate_n = records(t);
    t->rate_switches = t->b->rec->n_switches;
    t->rate_at = now;
    t->duty = t->rate > (was ? CALM_RATE : BUSY_RATE);
    if (was && !t->duty)
        t->calm_since = now;
    if (was || !t->duty)
        return;
    if (now - t->calm_since >= CALM_LONG)
        t->n_short = 0;
    rec_note(t->b->rec,
             "at more than %.0f switches a second they were recorded for a part of the time, and "
             "the rest filled with what was seen then",
             BUSY_RATE);
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
    if (switches_live(t->switches) > DROP_MOST)
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
    t->rests = t->dropped && rests_now(t);
    if (t->rests && !switches_rest(t->switches, now)) {
        t->rests = false;
        t->no_rests = true;
    }
    if (t->rests)
        events_rest(t->events);
    t->news = false;
    t->n_short += t->dropped;
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
    if (!on)
        t->all = t->cost * TURN_COSTS > TURN ? t->cost * TURN_COSTS : TURN;
    t->on = on;
    t->began = now_of(t);
    if (!on)
        return;
    t->rate_n = records(t);
    t->rate_switches = t->b->rec->n_switches;
    t->rate_at = t->began;
}

/* --- from tick to tick ------------------------------------------------------------------------ */

static bool rest_over(struct turns *t, int64_t now)
{
    struct switches_rested seen;
    int64_t lasted = now - t->began;

    switches_rest_look(t->switches, now, &seen);
    t->rested = now;
    t->news |= seen.more;
    if (lasted >= REST || (t->news && lasted >= REST_NEWS))
        return true;
    /* On a core and off it again: two records, and those of wakes. */
    return (double)(2 * seen.turns) * t->heard * HOB_SEC < CALM_RATE * (double)seen.lasted;
}

void turns_look(struct turns *t, int64_t now)
{
    if (t->on) {
        bool over = t->duty && now - t->began >= turn_length(t);

        if (over || !t->duty)
            rate_look(t, now, over ? 0 : RATE_EVERY);
        if (over && t->duty)
            turn_to(t, false, now);
    } else if (t->rests ? rest_over(t, now) : now - t->began >= t->all - turn_length(t)) {
        turn_to(t, true, now);
    }
}

int64_t turns_next(const struct turns *t)
{
    if (t->on)
        return turn_length(t) / 2;
    return t->rests ? REST_LOOK : t->all - turn_length(t);
}

int64_t turns_seen(const struct turns *t, int64_t now)
{
    return t->on ? now : t->rests && t->rested > t->began ? t->rested : t->began;
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

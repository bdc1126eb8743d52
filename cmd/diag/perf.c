/* SPDX-License-Identifier: MIT
 *
 * perf.c - a recording from the kernel's switch records (T1)
 *
 * HOW         The kernel writes a record whenever a thread of the command gets or leaves a core
 *             (perf_events.c).  Each tick empties the rings in order of time, up to a moment before
 *             the first ring was looked at (what is younger stays: another CPU may still be writing
 *             what is older), then looks at the waits that are open (switches.h).  A program that
 *             does nothing gets longer ticks, one that keeps the recorder busy too.
 *
 * SEE         perf_turns.c for programs that switch too often to record all of it
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include <hob/hob.h>

#include "diag/look.h"
#include "diag/perf_impl.h"

#define TICK_FIRST HOB_MS        /* while it is young and everything is news */
#define YOUNG      (2 * HOB_SEC) /* so long */
#define TICK_LEAST (2 * HOB_MS)
#define TICK_MOST  (20 * HOB_MS)
#define TICK_QUIET (20 * HOB_MS)
#define CPU_FIRST  (2 * HOB_MS) /* for the recorder: to begin with, */
#define CPU_SHARE  0.012        /* and of a core */
#define CPU_EVERY  (20 * HOB_MS)
#define DEBT_LARGE (4 * HOB_MS) /* computed beyond that */
#define TICK_DEBT  (5 * HOB_MS)

enum { HEARD_MOST = 256 }; /* threads that are heard when they wake others */

struct perf {
    const struct rec_begin *b;
    struct looker *looker;
    struct switches *switches;
    struct events events;
    int64_t tick, idle; /* between ticks; while nothing happens */
    int64_t last;       /* the last one */
    uint64_t n_ticks;
    int64_t cpu_at, cpu; /* when the recorder's CPU time was asked for last, and what it was */
    size_t n_found;      /* threads that were there before us */
    bool short_of;       /* time: it has computed more than it may */
    struct turns turns;
};

static const char *why_refused(int r)
{
    switch (r) {
    case -EACCES:
        return "perf_event_paranoid is above 2";
    case -EPERM:
        return "perf_event_open or its memory is not permitted here";
    case -ENOSYS:
        return "this kernel has no perf_event_open";
    default:
        return hob_strerror(r);
    }
}

/* What runs already.  Some threads may not be watched; the rest is a recording all the same. */
static int attach(struct perf *p)
{
    int error = 0;
    long missed = attach_tree(&p->events, p->switches, p->b, false, &error);

    if (missed < 0)
        return (int)missed;
    if (switches_live(p->switches) == 0)
        return error < 0 ? error : -ESRCH;
    if (missed)
        rec_note(p->b->rec, "%ld threads are not seen: %s", missed, hob_strerror(error));
    return 0;
}

/* --- ticks ------------------------------------------------------------------------------------ */

static void drain(struct perf *p, int64_t until)
{
    events_drain(&p->events, p->switches, until, p->b->base);
}

static int64_t cpu_used(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * HOB_SEC +
           (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * HOB_US;
}

/* Longer ticks when the recorder has computed too much, shorter ones when it may.  What a burst
 * cost (a thousand threads are started, and each begins to wait) is not worked off at short ticks,
 * which cost more than what they look at. */
static void tick_look(struct perf *p, int64_t now)
{
    int64_t least = now < YOUNG ? TICK_FIRST : TICK_LEAST;

    if (now - p->cpu_at < CPU_EVERY)
        return;
    p->cpu_at = now;
    double spent = (double)(cpu_used() - p->b->aside - p->cpu);
    double debt = spent - CPU_FIRST - CPU_SHARE * (double)now;
    p->short_of = debt > 0;
    if (p->short_of)
        p->tick += p->tick / 4;
    else
        p->tick -= p->tick / 8;
    if (debt > (double)DEBT_LARGE && p->tick < TICK_DEBT)
        p->tick = TICK_DEBT;
    p->tick = p->tick < least ? least : p->tick > TICK_MOST ? TICK_MOST : p->tick;
}

/* While nothing happens the ticks grow, so that a wait as long as the one before is looked at; but
 * not where others wait for a loop that computes. */
static int64_t tick_next(struct perf *p, bool quiet, int64_t now)
{
    int64_t most = turns_next(&p->turns);

    if (!p->turns.on)
        return most;
    if (p->turns.duty)
        return p->tick < most ? p->tick : most;
    p->idle = !quiet ? 0 : p->idle ? p->idle * 2 : p->tick;
    if (p->idle > TICK_QUIET)
        p->idle = TICK_QUIET;
    int64_t next = p->idle > p->tick ? p->idle : p->tick;
    int64_t soon = switches_soon(p->switches);
    soon = soon < now + TICK_LEAST ? TICK_LEAST : soon - now;
    return soon < next ? soon : next;
}

/* Of threads that were there before us the recorder has borne the cost. */
static void wakes_look(struct perf *p, int64_t now)
{
    size_t born = p->b->rec->n_threads - p->n_found;
    bool too_many = switches_live(p->switches) > HEARD_MOST;

    if (!p->events.has_wakes || (!too_many && !wakers_dear(born, p->events.n_cpus, now)))
        return;
    events_wakes_end(&p->events);
    p->b->rec->tier = REC_T1;
    if (too_many)
        rec_note(p->b->rec, "not tier 1+ (who woke whom): more than %d threads", HEARD_MOST);
    else
        rec_note(p->b->rec,
                 "not tier 1+ (who woke whom): %zu threads and processes were started in %.2f s",
                 born, (double)now / HOB_SEC);
}

static int64_t perf_tick(void *state, int64_t now)
{
    struct perf *p = state;
    struct epoll_event ev[8];
    bool quiet;

    while (epoll_wait(p->events.wake, ev, 8, 0) == 8)
        ;
    if (p->turns.on)
        drain(p, p->b->base + now);
    quiet = switches_quiet(p->switches);
    if (!p->turns.rests)
        switches_look(p->switches, now, now - p->last, !p->short_of);
    wakes_look(p, now);
    turns_look(&p->turns, now);
    tick_look(p, now);
    p->n_ticks++;
    p->b->rec->tick = now / (int64_t)p->n_ticks;
    p->last = now;
    return tick_next(p, quiet, now);
}

static int perf_fd(void *state)
{
    return ((struct perf *)state)->events.wake;
}

/* While it is off, nobody knows what goes on. */
static void perf_open_now(void *state, int64_t now, rec_open_fn *f, void *arg)
{
    struct perf *p = state;

    switches_open(p->switches, turns_seen(&p->turns, now), f, arg);
}

/* --- begin and end ---------------------------------------------------------------------------- */

static void perf_free(struct perf *p)
{
    events_close(&p->events);
    switches_free(p->switches);
    looker_free(p->looker);
    free(p);
}

/* Who is not entitled to it need not read why. */
static void wakes_open(struct perf *p)
{
    const char *why;
    int r = 0;

    if (!wakers_capable())
        return;
    if (wakers_numbers_are_ours())
        r = events_wakes(&p->events, &why);
    else
        rec_note(p->b->rec, "not tier 1+ (who woke whom): the kernel tells of threads by other "
                            "numbers than this PID namespace has");
    if (r < 0)
        rec_note(p->b->rec, "not tier 1+ (who woke whom): %s: %s", why, hob_strerror(r));
    if (p->events.has_wakes)
        switches_wakes(p->switches);
}

static int perf_open(struct perf *p)
{
    int r = events_open(&p->events, p->b->rec->n_cpus);

    if (r == 0)
        r = looker_new(p->b->rec, &p->looker);
    if (r == 0)
        r = switches_new(p->b->rec, p->looker, &p->switches);
    if (r == 0)
        wakes_open(p);
    if (r == 0)
        r = p->b->attached ? attach(p) : events_add(&p->events, p->b->root, EVENTS_ON_EXEC);
    return r;
}

static int perf_start(const struct rec_begin *begin, void **ret, const char **why)
{
    struct perf *p = calloc(1, sizeof *p);
    int r;

    if (!p)
        return -ENOMEM;
    *p = (struct perf){.b = begin, .tick = TICK_FIRST};
    r = perf_open(p);
    if (r < 0) {
        *why = why_refused(r);
        perf_free(p);
        return r;
    }
    begin->rec->tier = p->events.has_wakes ? REC_T1_PLUS : REC_T1;
    p->cpu = cpu_used();
    p->n_found = p->b->rec->n_threads;
    turns_init(&p->turns, begin, &p->events, p->switches);
    *ret = p;
    return 0;
}

static void perf_stop(void *state, int64_t now)
{
    struct perf *p = state;
    struct recording *rec = p->b->rec;
    size_t n_bad = 0;

    if (p->turns.on)
        drain(p, hob_now());
    turns_end(&p->turns, now);
    if (!p->turns.rests)
        switches_look(p->switches, now, now - p->last, true);
    switches_finish(p->switches, now);
    looker_finish(p->looker);
    for (size_t i = 0; i < p->events.n_cpus; i++)
        n_bad += p->events.rings[i].n_bad;
    if (n_bad)
        rec_note(rec, "%zu times the kernel's records could not be read", n_bad);
    if (p->events.n_no_wakes)
        rec_note(rec, "%zu threads were not heard when they woke others", p->events.n_no_wakes);
    uint64_t n_lost = events_lost(&p->events);
    if (n_lost > rec->n_lost)
        rec->n_lost = n_lost; /* no record came after these to say so */
    if (rec->n_lost)
        rec_note(rec, "%llu switch records were lost", (unsigned long long)rec->n_lost);
    rec->duty = now > 0 ? (double)p->turns.on_time / (double)now : 1;
    rec->tick = p->n_ticks ? now / (int64_t)p->n_ticks : TICK_FIRST;
    perf_free(p);
}

const struct rec_source rec_source_perf = {.tier = REC_T1,
                                           .start = perf_start,
                                           .tick = perf_tick,
                                           .fd = perf_fd,
                                           .open = perf_open_now,
                                           .stop = perf_stop};

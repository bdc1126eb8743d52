/* SPDX-License-Identifier: MIT
 *
 * perf_impl.h - the kernel's events on threads, and the rings they write into
 */
#ifndef HOB_DIAG_PERF_IMPL_H
#define HOB_DIAG_PERF_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "diag/records.h"
#include "diag/source.h"
#include "diag/switches.h"
#include "diag/wakers.h"

struct events_ring; /* one CPU's, and the event that holds it */

struct event_fds {
    int *fd;
    size_t n;
};

struct events {
    struct events_ring *held;
    struct ring *rings;
    size_t n_cpus;
    struct event_fds threads; /* switches of the threads, */
    struct event_fds wakers;  /* and who they woke */
    int wake;                 /* epoll: a ring is half full */
    bool has_wakes;           /* threads are given events for wakers.h, too */
    struct wakers_format wakes;
    size_t n_no_wakes; /* threads that could not be */
    bool no_lost;      /* the kernel (before 6.0) does not say how many records an event lost */
    uint64_t n_lost;   /* by events that are closed */
};

/* When an event begins to count. */
enum events_begin { EVENTS_AT_ONCE, EVENTS_ON_EXEC, EVENTS_WHEN_TOLD };

/* perf_events.c */

/** events_open - the rings; no thread writes into them yet. */
int events_open(struct events *e, size_t n_cpus);
void events_close(struct events *e);

/** events_add - a thread, and all that it starts from now on, on all CPUs. */
int events_add(struct events *e, int32_t tid, enum events_begin begin);

/** events_wakes - ask for who woke whom, before any thread is added; *why: what refused it. */
int events_wakes(struct events *e, const char **why);

/** events_wakes_end - hear them no more, and of no thread that comes. */
void events_wakes_end(struct events *e);

/** events_may - would the kernel let us watch this thread if it were asked now? */
bool events_may(int32_t tid);

/** events_switch - count, or pause; costs the program a third of a microsecond a switch even so. */
void events_switch(struct events *e, bool on);

/**
 * events_lost - records that found no room, of all events so far; 0 before Linux 6.0
 *
 * The kernel writes how many were lost in front of the next record that fits: of those at the very
 * end only the events themselves know.
 */
uint64_t events_lost(const struct events *e);

/** events_drop - watch nobody any more; what was written can still be read. */
void events_drop(struct events *e);

/**
 * events_rest, events_wake - between them not one event of ours is open, on a thread or to hold a
 * ring
 *
 * All that was written is read already; wake stays the same descriptor.  events_wake returns 0 or
 * why a ring could not be had again: then there is none.
 */
void events_rest(struct events *e);
int events_wake(struct events *e);

/** events_now - the time that a record would have now. */
int64_t events_now(void);

/** events_drain - all records older than `until`, in order of time, at times since `base`. */
void events_drain(struct events *e, struct switches *s, int64_t until, int64_t base);

/* perf_turns.c */

/* Records for a part of the time. */
struct turns {
    const struct rec_begin *b;
    struct events *events;
    struct switches *switches;
    bool duty, on;        /* takes turns; and is on */
    bool dropped, may;    /* off: there are no events; what may_drop found */
    bool rests;           /* off: for long, and not even rings */
    bool no_rests, stuck; /* the kernel does not count; rings could not be had again */
    double budget;        /* records that may be taken now */
    int64_t budget_at;    /* when that was reckoned, */
    uint64_t budget_n;    /* and how many there had been */
    int64_t began;        /* this turn, or this gap */
    int64_t looked;       /* the last look in a rest, */
    int64_t sampled;      /* and the last sample */
    int64_t on_time;      /* in all, but for this turn */
    int64_t cost;         /* of a gap's two ends, of the recorder's time */
    int64_t rate_at;      /* when the switches were counted last, */
    uint64_t rate_n;
    uint64_t rate_switches; /* not counting wakes */
    double rate;            /* and how many there were a second, */
    double heard;           /* and for each switch: more than 1 where wakes are recorded */
    bool news;              /* in this rest threads have begun */
};

void turns_init(struct turns *t, const struct rec_begin *b, struct events *e, struct switches *s);

/** turns_look - once a tick: begins and ends turns. */
void turns_look(struct turns *t, int64_t now);

/** turns_next - ns until the next tick at the latest, while it takes turns. */
int64_t turns_next(const struct turns *t);

/** turns_seen - until when it is known what went on. */
int64_t turns_seen(const struct turns *t, int64_t now);

/** turns_end - the recording ends; what was written is drained. */
void turns_end(struct turns *t, int64_t now);

/* perf_attach.c */

/**
 * attach_tree - watch every thread of a tree that runs already
 * @known:     also those that switches has met (it watches nobody now)
 * @ret_error: of the threads that could not be watched; untouched when there is none
 *
 * Return: how many could not, or -ENOMEM.
 */
long attach_tree(struct events *e, struct switches *s, const struct rec_begin *b, bool known,
                 int *ret_error);

#endif

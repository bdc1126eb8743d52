/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_WAKERS_H
#define HOB_DIAG_WAKERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "diag/rec.h"

/*
 * Who woke whom (tier T1+)
 * ========================
 *
 * The kernel's tracepoint sched_waking is hit by whoever ends another thread's wait.  It may be
 * recorded with CAP_PERFMON (or as root) where tracefs says what its number is and where its
 * fields lie; nothing is mounted for that.
 */

struct wakers_format {
    uint64_t id;               /* of the tracepoint */
    uint16_t pid_at, flags_at; /* in its bytes: who is woken (4), and in which context (1) */
};

/* flags: the waker was interrupted, and did nothing of the kind itself. */
enum { WAKERS_INTERRUPT = 0x08 | 0x10 };

/** wakers_parse_format - the fields' places from the text of its format file; 0 or -EBADMSG */
int wakers_parse_format(const char *text, struct wakers_format *ret);

/** wakers_find - from tracefs at `root`; NULL: where it is mounted as a rule.  0, or -ENOENT and
 * others: it is not there or not to be read, -EBADMSG */
int wakers_find(const char *root, struct wakers_format *ret);

/** wakers_capable - may this process record tracepoints at all? */
bool wakers_capable(void);

/**
 * wakers_numbers_are_ours - does the tracepoint name threads by the numbers they have here?
 *
 * It has those of the first PID namespace; in a container's own they mean somebody else.
 */
bool wakers_numbers_are_ours(void);

/** wakers_open - an event for a thread on a CPU (-1: all), on, off or on by its exec; a descriptor
 * or a negative errno */
int wakers_open(const struct wakers_format *f, int32_t tid, int cpu, bool off, bool on_exec);

/**
 * wakers_hold - keep the tracepoint on, for all recordings of this process
 *
 * The kernel turns it off with its last event, and takes 40 ms and more for that: meanwhile no
 * thread with an event on it can be born or end.  So that is not for the time of a recording.
 *
 * Return: 0, or a negative errno: it may not be recorded.
 */
int wakers_hold(const struct wakers_format *f);

/**
 * wakers_rest - let go of it for some seconds, while no thread has an event on it
 *
 * While it is on, each wake of a thread that has once had an event on anything costs about a tenth
 * of a switch.  A thread of our own waits for the kernel meanwhile; wakers_hold is the way back.
 */
void wakers_rest(void);

/**
 * wakers_dear - has it slowed the program too much to hear who wakes whom?
 *
 * That one more event on each CPU is born and ends with each of `born` threads and processes costs
 * it some 20 us a CPU: 5 ms of that may be, and 1 % of the time.
 */
bool wakers_dear(size_t born, size_t n_cpus, int64_t now);

/** wakers_leave - let go of it, when this process is about to end (leave.h). */
void wakers_leave(void);

/*
 * A recording keeps WAKES_MOST of them: beyond, every second one of those it has is dropped, and
 * from then on of those that come, so that what is there stands for the whole run.
 */
enum { WAKES_MOST = 1 << 18 };

struct wakers {
    uint64_t n;     /* that were heard of */
    uint32_t every; /* one in so many is kept; 0: all */
};

void wakers_add(struct wakers *w, struct recording *rec, const struct rec_wake *wake);

/** wakers_finish - says in the recording's notes what was dropped. */
void wakers_finish(const struct wakers *w, struct recording *rec);

/*
 * What it comes to: waits inside of the tree (locks, pipes, local sockets, children), by the
 * thread that ended them.
 */
enum { WAKERS_ROWS = 8 };

struct waker_row {
    enum rec_kind kind;
    uint32_t waker; /* a thread of the recording */
    uint32_t woken; /* whose waits; UINT32_MAX: several threads' */
    uint64_t n;     /* waits, */
    double seconds; /* and how long they were */
};

struct waker_table {
    struct waker_row row[WAKERS_ROWS]; /* the longest first */
    size_t n_rows;
    uint64_t n_known, n_waits; /* waits of these kinds: those with a waker, and all */
};

/** wakers_take - 0 or -ENOMEM */
HOB_MUST_CHECK int wakers_take(const struct recording *rec, struct waker_table *ret);

/**
 * wakers_order - the wakes' indexes, by who wakes (or is woken) and then by time; free() it
 *
 * NULL: no memory.
 */
uint32_t *wakers_order(const struct recording *rec, bool by_woken);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_LOOK_H
#define HOB_DIAG_LOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "diag/rec.h"

/*
 * What a thread waits for, seen from outside
 * ==========================================
 *
 * A thread off its core cannot leave its system call, so one look at a wait that is still open
 * says what the whole of it is for: the call, the file or connection it is about, and of a poll
 * set how many of its connections have sent a request and have no answer yet.
 *
 * No privilege is needed for the processes of one's own user.  Nothing in the program changes:
 * its sockets are duplicated for the microsecond in which the kernel is asked about them.
 *
 * Looks cost little (LOOK_COST below) but poll sets may be large, so a looker has an allowance:
 * when it is used up, connections are not asked again and what was last known of them stands.
 */
struct looker;

struct look {
    uint8_t kind;       /* enum rec_kind */
    uint8_t flags;      /* REC_IVAL_SET, also of an epoll set with nothing in flight; or 0 */
    uint32_t peer;      /* index into the recording's peers */
    uint32_t in_flight; /* operations sent and not answered; a direct wait for I/O is 1 */
    int64_t timeout;    /* ns from now until it ends by itself; -1: never, or not known */
    int call;           /* number of the system call; -1: none, a page fault */
    uint32_t outside;   /* of a set: connections, and sockets that others may connect to */
    int set_fd;         /* the epoll set it waits in; -1: it waits in none */
    bool polls;         /* it waits by poll() or select() */
    bool listens;       /* of a set: connections may be made to some of it */
    int64_t sent_ago;   /* of a set: ns since the first of them was sent; -1: not known */
    int64_t newest_ago; /* and since the last of those that were asked now was; -1 */
    bool stale;         /* there was no time to ask its connections: in_flight is of before */
};

/** looker_new - names peers and notes what could not be seen in rec, which outlives it. */
int looker_new(struct recording *rec, struct looker **ret);
void looker_free(struct looker *l);

/**
 * look_at - what does this thread wait for?
 *
 * Of a process that may not be looked into, only what anybody may see is used: it is marked
 * opaque, a note says so, and *ret says REC_UNKNOWN or what the kernel's wait channel tells.
 *
 * Return: LOOK_WAITS and *ret filled; LOOK_RUNS: it is on CPU or runnable; -ESRCH: it has ended;
 * another negative errno: not known now.
 */
enum { LOOK_WAITS, LOOK_RUNS };
int look_at(struct looker *l, int32_t pid, int32_t tid, struct look *ret);

/**
 * look_kind_ended - the kind of a wait once its length (ns, from the look on) is known: a wait
 * for a lock that ended by its own timeout was a sleep.
 */
uint8_t look_kind_ended(const struct look *k, int64_t lasted);

/**
 * look_holds_from - of a wait that lasts since `since` and was looked at before: from when on it
 * has been as it is seen now (all of hob_now()).
 */
int64_t look_holds_from(const struct look *before, const struct look *seen, int64_t since,
                        int64_t now);

/**
 * look_loop - are events waiting in the epoll sets of a thread that is on CPU?
 * @ret: its ready is set too where the other end has closed a connection that was in a set; at and
 *       thread stay as they are
 *
 * Worth asking of a thread on CPU for 10 ms or more, every 5 ms.
 *
 * Return: 0; -ENOENT: the process has no epoll set; -EAGAIN: no time for it now; another negative
 * errno: not to be seen.  On failure *ret is as it was.
 */
int look_loop(struct looker *l, int32_t pid, int32_t tid, struct rec_look *ret);

/**
 * look_stands - is a thread that waits an event loop, and keeps its events waiting?
 * @waits: what for, as look_at said
 * @ret:   whether its set is ready; at and thread stay as they are
 *
 * Only one that a look has found waiting in its set is a loop: of others nothing is read at all.
 *
 * Return: as look_loop; -ENOENT also if it is no loop, or waits in its set.
 */
int look_stands(struct looker *l, int32_t pid, int32_t tid, const struct look *waits,
                struct rec_look *ret);

/** look_may_stand - would such a wait keep a loop from its events? */
bool look_may_stand(const struct look *waits);

/**
 * look_flight - what is in flight of a process whose loop computes: no wait of its says so
 * @thread: that is on CPU or could be, its index in the recording
 * @at:     in the recording's time
 *
 * Adds a count to the recording if look_loop has found epoll sets before, and it is time for one,
 * and there is time for it.
 */
void look_flight(struct looker *l, int32_t pid, uint32_t thread, int64_t at);

/** looker_gone - a process has ended, or runs another program: forget what it had open. */
void looker_gone(struct looker *l, int32_t pid);

/** looker_finish - at the end of a recording: the CPU time of the local processes it talked to. */
void looker_finish(struct looker *l);

/** look_cpu - ns this thread has computed: what a look costs must not hang on who else computes. */
int64_t look_cpu(void);

/** looker_spent - ns spent in looks so far; looks made; sets asked for their events (look_loop,
 * look_stands). */
int64_t looker_spent(const struct looker *l);
uint64_t looker_count(const struct looker *l);
uint64_t looker_asked(const struct looker *l);

#endif

/* SPDX-License-Identifier: MIT
 *
 * soak_work.h - a round of soak_mixed, and the units of work that its workers do
 */
#ifndef SOAK_WORK_H
#define SOAK_WORK_H

#include <hob/hob.h>

#include <stdatomic.h>

#include "lib/t.h"

enum { ECHO, TIMER, GROUP, SENDER, RECEIVER, SELECT, POOL, FILES, CHILD, DEADLINE, KINDS };

enum { CHANNELS = 4, MESSAGE_MOST = 8192 };

/* What the workers of a round share. */
struct soak_round {
    hob_addr addr; /* of the echo server */
    hob_chan *chan[CHANNELS];
    hob_event quit; /* set when all are asked to stop */
    hob_sem nobody; /* never released */
    char dir[64];
    bool may_cancel;                    /* the workers' group will be: they may be told so */
    _Atomic(bool) stop;                 /* they are asked to */
    _Atomic(int64_t) accepted, hung_up; /* connections, by the server */
    _Atomic(int64_t) sent, received;    /* values */
    _Atomic(uint64_t) sum_in, sum_out;  /* their sums */
    _Atomic(int64_t) units[KINDS];
};
extern struct soak_round now;

struct worker {
    int kind;
    uint64_t random; /* its own sequence: a run's choices do not depend on the order of things */
};

static inline uint64_t next(struct worker *w)
{
    w->random += 0x9e3779b97f4a7c15u; /* splitmix64 */
    uint64_t x = w->random;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static inline uint64_t below(struct worker *w, uint64_t n)
{
    return next(w) % n;
}

static inline void put_in(uint64_t v)
{
    now.sent++;
    now.sum_in += v;
}

static inline void taken_out(uint64_t v)
{
    now.received++;
    now.sum_out += v;
}

/* Joins: of as many as were started, each has ended in some way (I1 of soak_mixed.c). */
static inline int join_all_of(hob_group *g, int r, const struct hob_group_report *report,
                              uint32_t begun)
{
    int s = hob_group_join(g, r);

    CHECK_INT(report->n_ok + report->n_failed + report->n_cancelled, begun);
    return s;
}

/* One unit: 0, or why it was not done; -ECANCELED where the worker's group was cancelled. */
extern int (*const soak_unit[KINDS])(struct worker *w);
extern const char *const soak_kind_word[KINDS];

#endif

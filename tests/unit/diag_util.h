/* SPDX-License-Identifier: MIT
 *
 * diag_util.h - recordings made by hand, in milliseconds
 */
#ifndef DIAG_UTIL_H
#define DIAG_UTIL_H

#include <math.h>

#include "diag/rec.h"
#include "lib/t.h"

#define CHECK_NEAR(got, want, within)                                                              \
    do {                                                                                           \
        double t_got = (got), t_want = (want);                                                     \
        if (!(fabs(t_got - t_want) <= (within)))                                                   \
            t_fail(__FILE__, __LINE__, "%s is %g, not %g", #got, t_got, t_want);                   \
    } while (0)

static inline void made_open(struct recording *r, uint32_t n_cores)
{
    rec_init(r);
    r->tier = REC_T1;
    r->n_cores = r->n_cpus = n_cores;
    r->tick = HOB_MS;
    r->duty = 1;
    r->user = r->system = -1;
}

/* A thread of process `pid`; the first of a process has the same number. */
static inline uint32_t made_thread(struct recording *r, int32_t pid, int32_t tid, int32_t parent,
                                   const char *exe)
{
    uint32_t p = rec_proc_of(r, pid);

    r->procs[p].parent = parent;
    rec_set_text(r, &r->procs[p].exe, exe);
    return rec_thread_of(r, pid, tid);
}

static inline void made_ival(struct recording *r, uint32_t thread, double from, double to,
                             struct rec_ival iv)
{
    iv.from = (int64_t)(from * HOB_MS);
    iv.to = (int64_t)(to * HOB_MS);
    iv.core = REC_NO_CORE;
    rec_add(r, thread, &iv);
}

static inline void made_run(struct recording *r, uint32_t thread, double from, double to)
{
    made_ival(r, thread, from, to, (struct rec_ival){.state = REC_RUN});
}

static inline void made_ready(struct recording *r, uint32_t thread, double from, double to)
{
    made_ival(r, thread, from, to, (struct rec_ival){.state = REC_READY});
}

static inline void made_wait(struct recording *r, uint32_t thread, double from, double to,
                             enum rec_kind kind, const char *peer)
{
    made_ival(r, thread, from, to,
              (struct rec_ival){.state = REC_WAIT,
                                .kind = (uint8_t)kind,
                                .in_flight = rec_kind_class(kind) == 0,
                                .peer = peer ? rec_peer_of(r, kind, peer) : 0});
}

/* A wait for a poll set with so many operations in flight. */
static inline void made_set(struct recording *r, uint32_t thread, double from, double to,
                            uint32_t in_flight)
{
    made_ival(r, thread, from, to,
              (struct rec_ival){.state = REC_WAIT,
                                .kind = REC_NET,
                                .flags = REC_IVAL_SET,
                                .in_flight = in_flight,
                                .peer = rec_peer_of(r, REC_NET, "tcp 10.0.0.1:80")});
}

#endif

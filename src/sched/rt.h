/* SPDX-License-Identifier: MIT
 *
 * rt.h - the runtime: its loops, their threads, and its start and end
 */
#ifndef HOB_SCHED_RT_H
#define HOB_SCHED_RT_H

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>

#include "sched/loop.h"
#include "sched/scope.h"
#include "sched/stuck.h"

/* Sent to a loop's thread that does not come back (sync/watch.c); by default it is ignored. */
#define WATCH_SIGNAL SIGURG

struct rt {
    unsigned n_loops;
    size_t stack_size;
    bool no_slice, stop_on_signals;
    hob_text_fn report; /* never NULL */
    void *report_arg;
    hob_dur watchdog;   /* 0: none */
    int dump_signal;    /* 0: none */
    struct loop *loops; /* n_loops of them */
    struct group root;  /* on loop 0; its only direct child is the first fiber */
    hob_fn fn;
    void *arg;
    bool ran; /* fn, to its end */
    int rc;   /* what it returned */
    /* A bit a loop that sleeps and would take spread tasks. */
    _Atomic(uint64_t) idle;
    struct stuck stuck;
    /* spread.c: loops that look for work before they sleep, and how many may at a time */
    _Atomic(uint32_t) n_searching;
    uint32_t n_searching_max;
    _Atomic(int) signal; /* SIGINT or SIGTERM came and loop 0 has not seen it */
};

/* What sync/run.c hands down, checked. */
struct rt_config {
    unsigned n_loops;
    size_t stack_size;
    bool no_slice, stop_on_signals, no_deadlock;
    hob_text_fn report;
    void *report_arg;
    hob_dur watchdog;
    int dump_signal;
    bool sim;
    uint64_t seed;
    uint64_t search;         /* so many seeds; 0: the one */
    const char *search_path; /* where a failing schedule goes; NULL: a name of the seed's */
};

/* hob_run without the halves that sched/ does not know.  0 and *ret_rc = what fn returned, or a
 * negative errno and fn not run. */
int hob__rt_run(const struct rt_config *config, hob_fn fn, void *arg, int *ret_rc);

/* Called on loop 0 when all loops are there, and before the first of them goes; NULL: nobody. */
extern void (*hob__rt_hook)(struct rt *rt, bool on);

/* The simulator's driver: runs the loops until loop 0 stops.  sim.c */
void hob__sim_run(struct rt *rt);
/* Installs the simulated environment, to be undone by hob__sim_close. */
void hob__sim_open(uint64_t seed);
void hob__sim_close(void);
/* A hash of every pick since hob__sim_open: two runs with the same one were the same run. */
uint64_t hob__sim_hash(void);

/* What a wake costs who sleeps: a loop that watches as long before it sleeps loses at most half. */
#define WATCH_TIME (30 * HOB_US)

/* spread.c: watches what would wake the loop for as long as a wake would cost, unless a timer comes
 * before; true: it need not sleep. */
bool hob__rt_watch(struct rt *rt, struct loop *l, hob_time now, hob_time until);

/* spread.c: the loop will sleep; true: it must not, somebody has spread tasks. */
bool hob__rt_idle(struct rt *rt, struct loop *l);
void hob__rt_busy(struct rt *rt, struct loop *l);

/* Turns a signal that came into a cancel of the root; loop 0 only. */
void hob__rt_signal_seen(struct rt *rt);

static inline void hob__rt_signals(struct rt *rt, struct loop *l)
{
    if (unlikely(atomic_load_explicit(&rt->signal, memory_order_relaxed)) && l->index == 0)
        hob__rt_signal_seen(rt);
}

#endif

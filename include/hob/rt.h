/* SPDX-License-Identifier: MIT */
#ifndef HOB_RT_H
#define HOB_RT_H

#include <stdbool.h>

#include <hob/base.h>

HOB_BEGIN_DECLS

/*
 * The runtime: hob_run
 * ====================
 *
 * hob_run turns the calling thread into a loop, runs `fn` as the first fiber and returns when it
 * has returned, and with it everything it started: fibers belong to groups, groups to scopes, and
 * leaving a scope joins.  There is one loop unless `loops` or HOB_LOOPS says otherwise: fibers of
 * one loop never run at the same instant, so they share data without locks.
 *
 * With HOB_SIM=seed in the environment the same binary runs simulated: all loops take turns on
 * the calling thread in an order the seed decides, time is virtual, and a run with the same seed
 * is the same run.  HOB_SIM=search:N has it run in N orders, until one fails: sim.h.
 *
 * A program in which every fiber waits for another one can never go on.  That is found when it has
 * been idle for 0.1 s; each fiber with what it waits for is reported, the first fiber's scope is
 * cancelled, and once all has been joined hob_run returns -EDEADLK, if the first fiber returned
 * -ECANCELED.  It is not looked for where something else may go on: in a process with threads of
 * its own, with stop_on_signals, or with no_deadlock.  Under HOB_SIM it is found at once, and one
 * that outlives its cancel aborts.
 *
 * The watchdog asks a held loop's thread by SIGURG what it runs: a fiber that blocks its loop in
 * nanosleep, poll, select or epoll_wait gets EINTR from that call.
 *
 * The loops ask the kernel for a short scheduling slice and the pool's threads for a high nice
 * value, so that a loop that wakes gets its core at once.  After hob_run the calling thread has
 * the slice it had before.  The pool's threads outlive it and stay at their nice value: to lower
 * one needs a privilege.  A thread that your own code starts from a fiber inherits the slice.
 */
struct hob_opts {
    size_t size;          /* sizeof(struct hob_opts); HOB_OPTS fills it */
    uint32_t loops;       /* 1..64; 0: HOB_LOOPS, else 1 */
    uint32_t stack_size;  /* bytes a fiber; 0: 64 KiB; a whole number of pages, at least 16 KiB */
    int32_t pool_nice;    /* nice value of pool threads, 1..19; 0: 19 */
    bool no_pool_nice;    /* leave the pool at the nice value it has: at first the process's */
    bool no_slice;        /* do not ask the kernel for a short scheduling slice for the loops */
    bool stop_on_signals; /* SIGINT and SIGTERM cancel the first fiber's scope with -EINTR;
                             a second one ends the process */
    bool no_deadlock;     /* do not look for deadlocks: something hob cannot see will go on */
    int32_t dump_signal;  /* a signal that reports every fiber; 0: HOB_DUMP (SIGUSR1), else none */
    hob_dur watchdog;   /* reports a loop held longer than this; 0: HOB_WATCHDOG (ms), else none */
    hob_text_fn report; /* takes these reports, on any thread; NULL: standard error */
    void *report_arg;
};

#define HOB_OPTS(...) (&(struct hob_opts){.size = sizeof(struct hob_opts), __VA_ARGS__})

/**
 * hob_run - run fn(arg) as the first fiber, until it and all it started have ended
 * @opts: NULL for all defaults
 *
 * One runtime a process at a time.
 *
 * Return: what fn returned; -EDEADLK, if it returned -ECANCELED after a deadlock (above); or, fn
 * not run: -EINVAL (an option out of range, or HOB_POLL, HOB_SIM or HOB_LOOPS in the environment
 * not understood), -E2BIG (an option newer than this library), -EBUSY (a runtime is there already),
 * -ENOMEM, or the error of the poller or of a thread that could not be started.
 */
HOB_API HOB_MUST_CHECK HOB_ANY_THREAD int hob_run(const struct hob_opts *opts, hob_fn fn,
                                                  void *arg);

/** hob_now - the time on hob's clock: CLOCK_MONOTONIC in ns, virtual under HOB_SIM. */
HOB_API HOB_ANY_THREAD hob_time hob_now(void);

/** hob_in - the time `d` ns from now, as an `until`; HOB_FOREVER stays for ever. */
HOB_API HOB_ANY_THREAD hob_time hob_in(hob_dur d);

/** hob_random - 64 random bits; under HOB_SIM they come from the seed. */
HOB_API HOB_ANY_THREAD uint64_t hob_random(void);

/** hob_loops - how many loops the running runtime has; 0: none is running. */
HOB_API HOB_ANY_THREAD unsigned hob_loops(void);

/** hob_simulated - whether the running runtime is a simulation. */
HOB_API HOB_ANY_THREAD bool hob_simulated(void);

HOB_END_DECLS
#endif

/* SPDX-License-Identifier: MIT
 *
 * each.h - one test body in every world: io_uring, epoll, and the simulator over many seeds
 */
#ifndef T_EACH_H
#define T_EACH_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hob/rt.h>

#include "lib/t.h"

static inline int each_seeds(void)
{
    return t_times(t_seeds(300), 3);
}

static inline const char *each_world(char *to, size_t size)
{
    const char *sim = getenv("HOB_SIM"), *poll = getenv("HOB_POLL"), *loops = getenv("HOB_LOOPS");

    snprintf(to, size, "HOB_SIM=%s HOB_POLL=%s HOB_LOOPS=%s", sim ? sim : "", poll ? poll : "",
             loops ? loops : "");
    return to;
}

/* A failed run names the world it failed in: the same variables replay it. */
static inline void each_check(int got, int want)
{
    char world[128];

    if (got != want)
        t_fail(__FILE__, __LINE__, "hob_run is %d, not %d, with %s", got, want,
               each_world(world, sizeof world));
}

/*
 * Runs fn(arg) as the first fiber on io_uring and on epoll with 1 and 2 loops, and simulated with
 * 1 to 3 loops over seeds; each run must return `want`.  `before`, if not NULL, makes arg new.
 * HOB_SIM=seed in the environment runs just that seed.
 */
static inline void each_world_run(hob_fn fn, void *arg, void (*before)(void *arg), int want)
{
    static const char *const pollers[] = {"uring", "epoll"};
    const char *one = getenv("HOB_SIM");
    char text[32];

    if (one && *one) {
        if (before)
            before(arg);
        each_check(hob_run(NULL, fn, arg), want);
        return;
    }
    for (unsigned p = 0; p < 2; p++) {
        setenv("HOB_POLL", pollers[p], 1);
        for (unsigned loops = 1; loops <= 2; loops++) {
            snprintf(text, sizeof text, "%u", loops);
            setenv("HOB_LOOPS", text, 1);
            if (before)
                before(arg);
            int r = hob_run(NULL, fn, arg);
            if (p == 0 && (r == -ENOSYS || r == -EPERM) && want != r)
                break; /* no io_uring here: tests/unit/test_poll says so */
            each_check(r, want);
        }
    }
    unsetenv("HOB_POLL");
    for (int seed = 0; seed < each_seeds(); seed++) {
        snprintf(text, sizeof text, "%d", seed);
        setenv("HOB_SIM", text, 1);
        snprintf(text, sizeof text, "%d", 1 + seed % 3);
        setenv("HOB_LOOPS", text, 1);
        if (before)
            before(arg);
        each_check(hob_run(NULL, fn, arg), want);
    }
    unsetenv("HOB_SIM");
    unsetenv("HOB_LOOPS");
}

#endif

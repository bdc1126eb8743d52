/* SPDX-License-Identifier: MIT
 *
 * net_util.h - one test body on both pollers: the simulator has no network
 */
#ifndef NET_UTIL_H
#define NET_UTIL_H

#include <errno.h>
#include <stdlib.h>

#include <hob/rt.h>

#include "lib/t.h"

/* The body on io_uring and on epoll; SKIP of uring is test_poll's to report. */
static inline void on_pollers(hob_fn fn, void *arg, int want)
{
    static const char *const pollers[] = {"uring", "epoll"};

    for (int p = 0; p < 2; p++) {
        setenv("HOB_POLL", pollers[p], 1);
        int r = hob_run(NULL, fn, arg);
        if (p == 0 && (r == -ENOSYS || r == -EPERM) && want != r)
            continue;
        if (r != want)
            t_fail(__FILE__, __LINE__, "on %s: %d, not %d", pollers[p], r, want);
    }
    unsetenv("HOB_POLL");
}

#endif

/* SPDX-License-Identifier: MIT
 *
 * poll.c - chooses the poller of a loop
 */
#include "plat/poll.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int hob__poll_open(struct poller **ret)
{
    static const struct poll_ops *const kinds[] = {&hob__poll_uring, &hob__poll_epoll};
    const char *forced = getenv("HOB_POLL");
    int r = -EINVAL;

    if (forced && !*forced)
        forced = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (forced && strcmp(forced, kinds[i]->name) != 0)
            continue;
        r = kinds[i]->open(ret);
        if (r == 0 || forced)
            return r;
    }
    return r;
}

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
    const char *want = getenv("HOB_POLL");

    if (!want || !*want)
        return hob__poll_epoll.open(ret);
    if (strcmp(want, hob__poll_epoll.name) == 0)
        return hob__poll_epoll.open(ret);
    return -EINVAL;
}

/* SPDX-License-Identifier: MIT
 *
 * wall.c - the date
 *
 * WHAT        The tool's only look at a clock that is not hob's: what servers and databases say of
 *   time is a date.  Simulated there is none, or a seed would not replay.
 */
#include "lib/wall.h"

#include <time.h>

#include <hob/rt.h>

int64_t wall_ms(void)
{
    struct timespec now = {0};

    if (!hob_simulated())
        clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* SPDX-License-Identifier: MIT
 *
 * look_holds.c - what a later look says about the wait so far
 */
#include "diag/look.h"

static const int64_t sent_rounded = 10 * HOB_MS; /* the kernel's own ticks: at most that */

int64_t look_holds_from(const struct look *before, const struct look *seen, int64_t since,
                        int64_t now)
{
    /* What awaits its answer has done so since it was sent: if all of it was sent before the wait
     * began, a larger count is no news, but better. */
    bool all = seen->newest_ago >= 0 && seen->in_flight > before->in_flight &&
               now - seen->newest_ago <= since + sent_rounded;

    if (before->stale || all)
        return since;
    if (before->in_flight == 0 && seen->sent_ago >= 0 && now - seen->sent_ago > since)
        return now - seen->sent_ago; /* what is now began when it was sent */
    return now;
}

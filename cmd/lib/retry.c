/* SPDX-License-Identifier: MIT
 *
 * retry.c - when a request is worth another try, and after how long
 *
 * SEE  "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: full jitter does the least
 *   work of the variants.  RFC 9110, 10.2.3: Retry-After.
 */
#include "lib/retry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/wall.h"

static const hob_dur backoff_first = HOB_SEC / 2, backoff_most = 30 * HOB_SEC;

bool retry_worth(const struct hob_http_response *res)
{
    switch (-res->error) {
    case 0:
        return res->status == 429 || (res->status >= 500 && res->status <= 599);
    case ECONNREFUSED:
    case ECONNRESET:
    case ECONNABORTED:
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EPIPE:
    case EAGAIN: /* the name server failed for now */
    case HOB_EPROXY:
        return true;
    default:
        return false;
    }
}

hob_dur retry_after(const char *value, time_t now)
{
    struct tm tm = {0};
    char *end;

    if (*value >= '0' && *value <= '9') {
        unsigned long long seconds = strtoull(value, &end, 10);
        if (*end)
            return -1;
        return seconds > INT64_MAX / HOB_SEC ? INT64_MAX : (hob_dur)seconds * HOB_SEC;
    }
    end = strptime(value, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    if (!end || *end)
        return -1;
    time_t at = timegm(&tm);
    return at <= now ? 0 : (hob_dur)(at - now) * HOB_SEC;
}

hob_dur retry_wait(const struct hob_http_response *res, unsigned n, uint32_t random)
{
    const char *header = res->error == 0 ? hob_http_response_header(res, "Retry-After") : NULL;
    hob_dur most = backoff_first, asked = header ? retry_after(header, wall_ms() / 1000) : -1;

    while (--n > 0 && most < backoff_most)
        most *= 2;
    if (most > backoff_most)
        most = backoff_most;
    hob_dur wait = (hob_dur)((__int128)most * random >> 32);
    if (asked > RETRY_AFTER_MAX)
        return -1;
    return wait > asked ? wait : asked;
}

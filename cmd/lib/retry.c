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

bool retry_worth(const struct hob_http_response *res)
{
    switch (-res->error) {
    case 0:
        return res->status == 408 || res->status == 425 || res->status == 429 ||
               (res->status >= 500 && res->status <= 599);
    case ECONNREFUSED:
    case ECONNRESET:
    case ECONNABORTED:
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EPIPE:
    case EAGAIN: /* the name server failed for now */
    case EMFILE:
    case ENFILE:
    case HOB_EPROXY:
        return true;
    default:
        return false;
    }
}

/* The server chose it: what does not fit is as long as there is. */
static hob_dur seconds_dur(unsigned long long seconds)
{
    return seconds > INT64_MAX / HOB_SEC ? INT64_MAX : (hob_dur)seconds * HOB_SEC;
}

hob_dur retry_after(const char *value, time_t now)
{
    struct tm tm = {0};
    char *end;

    value += strspn(value, " \t");
    if (*value >= '0' && *value <= '9') {
        unsigned long long seconds = strtoull(value, &end, 10);
        if (end[strspn(end, " \t")])
            return -1;
        return seconds_dur(seconds);
    }
    end = strptime(value, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    if (!end || end[strspn(end, " \t")])
        return -1;
    time_t at = timegm(&tm);
    return at <= now ? 0 : seconds_dur((unsigned long long)(at - now));
}

hob_dur retry_asked(const struct hob_http_response *res, time_t now)
{
    const char *value = res->error == 0 ? hob_http_response_header(res, "Retry-After") : NULL;
    hob_dur asked = value ? retry_after(value, now) : 0;

    return asked > 0 ? asked : 0;
}

hob_dur retry_wait(const struct retry_pace *pace, const struct hob_http_response *res, unsigned n,
                   time_t now, uint32_t random)
{
    hob_dur most = pace->first, asked = retry_asked(res, now);

    while (--n > 0 && most < pace->most)
        most *= 2;
    if (most > pace->most)
        most = pace->most;
    hob_dur wait = (hob_dur)((__int128)most * random >> 32);
    if (asked > pace->patience)
        return -1;
    return wait > asked ? wait : asked;
}

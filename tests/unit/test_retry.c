/* SPDX-License-Identifier: MIT */
#include "lib/retry.h"

#include <errno.h>

#include "lib/t.h"

static struct hob_http_response answered(uint32_t status, const struct hob_http_header *h)
{
    return (struct hob_http_response){.status = status, .headers = h, .n_headers = h != NULL};
}

static const struct retry_pace pace = {HOB_SEC / 2, 30 * HOB_SEC, 300 * HOB_SEC};
static const time_t then = 784111777; /* Sun, 06 Nov 1994 08:49:37 GMT */

static hob_dur wait(const struct hob_http_response *res, unsigned n, uint32_t random)
{
    return retry_wait(&pace, res, n, then, random);
}

TEST(only_what_may_change_is_worth_another_try)
{
    static const int worth[] = {-ECONNREFUSED, -ECONNRESET, -ETIMEDOUT,   -EHOSTUNREACH,
                                -EAGAIN,       -HOB_EPROXY, -ENETUNREACH, -EMFILE},
                     not_worth[] = {-HOB_EDNS,       -HOB_ETLS,      -HOB_EHTTP,
                                    -HOB_EADDRGUARD, -HOB_EREDIRECT, -HOB_ETOOBIG,
                                    -EINVAL,         -ECANCELED,     -ENOMEM};
    static const uint32_t good[] = {200, 204, 301, 304, 400, 401, 403,
                                    404, 410, 428, 430, 499, 600},
                          bad[] = {408, 425, 429, 500, 502, 503, 504, 599};

    for (size_t i = 0; i < sizeof worth / sizeof *worth; i++)
        CHECK(retry_worth(&(struct hob_http_response){.error = worth[i]}));
    for (size_t i = 0; i < sizeof not_worth / sizeof *not_worth; i++)
        CHECK(!retry_worth(&(struct hob_http_response){.error = not_worth[i]}));
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CHECK(!retry_worth(&(struct hob_http_response){.status = good[i]}));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(retry_worth(&(struct hob_http_response){.status = bad[i]}));
}

TEST(the_wait_is_anything_up_to_a_bound_that_doubles_up_to_30_seconds)
{
    struct hob_http_response res = answered(503, NULL);

    CHECK_INT(wait(&res, 1, 0), 0);
    CHECK_INT(wait(&res, 1, 1u << 31), HOB_SEC / 4);
    CHECK(wait(&res, 1, UINT32_MAX) < HOB_SEC / 2);
    CHECK_INT(wait(&res, 2, 1u << 31), HOB_SEC / 2);
    CHECK_INT(wait(&res, 5, 1u << 31), 4 * HOB_SEC);
    CHECK_INT(wait(&res, 7, 1u << 31), 15 * HOB_SEC);
    CHECK_INT(wait(&res, 1000, 1u << 31), 15 * HOB_SEC);
}

TEST(the_wait_is_never_shorter_than_what_the_server_asks_for)
{
    struct hob_http_header h = {"retry-after", "7"};
    struct hob_http_response res = answered(503, &h);

    CHECK_INT(wait(&res, 1, UINT32_MAX), 7 * HOB_SEC);
    CHECK_INT(wait(&res, 9, 1u << 31), 15 * HOB_SEC);
    h.value = "301";
    CHECK_INT(wait(&res, 1, 0), -1);
    h.value = "300";
    CHECK_INT(wait(&res, 1, 0), 300 * HOB_SEC);
    h.value = "soon";
    CHECK_INT(wait(&res, 1, 0), 0);
    h.value = "Sun, 06 Nov 1994 08:50:37 GMT";
    CHECK_INT(wait(&res, 1, 0), 60 * HOB_SEC);
    CHECK_INT(retry_asked(&res, then), 60 * HOB_SEC);
    h.value = "Mon, 07 Nov 1994 08:50:37 GMT";
    CHECK_INT(wait(&res, 1, 0), -1);
    CHECK_INT(retry_asked(&res, then), (86400 + 60) * HOB_SEC);
    h.value = "Fri, 31 Dec 9999 23:59:59 GMT"; /* longer than a duration can be: put off */
    CHECK_INT(wait(&res, 1, 0), -1);
    CHECK_INT(retry_asked(&res, then), INT64_MAX);
    res.error = -ECONNRESET; /* headers of a response that did not come count for nothing */
    h.value = "7";
    CHECK_INT(wait(&res, 1, 0), 0);
}

TEST(retry_after_is_seconds_or_a_date)
{
    const time_t now = then;

    CHECK_INT(retry_after("0", now), 0);
    CHECK_INT(retry_after("120", now), 120 * HOB_SEC);
    CHECK_INT(retry_after(" 120 ", now), 120 * HOB_SEC);
    CHECK_INT(retry_after("99999999999999999999", now), INT64_MAX);
    CHECK_INT(retry_after("Sun, 06 Nov 1994 08:50:37 GMT", now), 60 * HOB_SEC);
    CHECK_INT(retry_after("Sun, 06 Nov 1994 08:49:00 GMT", now), 0);
    CHECK_INT(retry_after("Fri, 31 Dec 9999 23:59:59 GMT", now), INT64_MAX);
    CHECK_INT(retry_after("1.5", now), -1);
    CHECK_INT(retry_after("-5", now), -1);
    CHECK_INT(retry_after("", now), -1);
    CHECK_INT(retry_after("Sun, 06 Nov 1994", now), -1);
}

TEST(a_pace_of_its_own_bounds_a_command)
{
    const struct retry_pace slow = {HOB_SEC, 300 * HOB_SEC, 3600 * HOB_SEC};
    struct hob_http_header h = {"Retry-After", "3600"};
    struct hob_http_response res = answered(429, &h);

    CHECK_INT(retry_wait(&slow, &res, 1, then, 0), 3600 * HOB_SEC);
    h.value = "3601";
    CHECK_INT(retry_wait(&slow, &res, 1, then, 0), -1);
    res = answered(429, NULL);
    CHECK_INT(retry_asked(&res, then), 0);
    CHECK_INT(retry_wait(&slow, &res, 3, then, 1u << 31), 2 * HOB_SEC);
    CHECK_INT(retry_wait(&slow, &res, 40, then, 1u << 31), 150 * HOB_SEC);
}

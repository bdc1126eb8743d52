/* SPDX-License-Identifier: MIT */
#ifndef HOB_CMD_RETRY_H
#define HOB_CMD_RETRY_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <hob/http.h>

/*
 * When a request is worth another try, and after how long
 * =======================================================
 */

/* A server that asks for more patience than this is not asked again. */
#define RETRY_AFTER_MAX (5 * HOB_MIN)

/** retry_worth - whether what came of a request may be another thing next time: a connection that
 * failed or took too long, 429, 5xx */
bool retry_worth(const struct hob_http_response *res);

/**
 * retry_wait - how long to wait before try `n` + 1, n = 1 being the first retry
 * @random: a random number
 *
 * "Full jitter": anything between nothing and 0.5 s * 2^(n-1), 30 s at most, so that clients that
 * failed together do not come back together.  Never less than what Retry-After asks for.
 *
 * Return: the wait; -1: Retry-After asks for more than RETRY_AFTER_MAX.
 */
hob_dur retry_wait(const struct hob_http_response *res, unsigned n, uint32_t random);

/** retry_after - the wait a Retry-After header means, seconds or an HTTP date, at `now`; -1: it
 * means nothing */
hob_dur retry_after(const char *value, time_t now);

#endif

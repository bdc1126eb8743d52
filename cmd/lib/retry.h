/* SPDX-License-Identifier: MIT */
#ifndef HOB_CMD_RETRY_H
#define HOB_CMD_RETRY_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <hob/http.h>

/*
 * When a request is worth another try, and after how long: the rules of every command
 * ===================================================================================
 */

/** retry_worth - whether what came of a request may be another thing next time: a connection that
 * failed or took too long, a name server that failed, 408, 425, 429, 5xx.  Not: a name that is
 * unknown, a certificate that is refused, an answer that is none. */
bool retry_worth(const struct hob_http_response *res);

/** How patient a command is. */
struct retry_pace {
    hob_dur first, most; /* the longest first wait, and the longest of all */
    hob_dur patience;    /* a server that asks for more than this is not asked again */
};

/**
 * retry_wait - how long to wait before try `n` + 1, n = 1 being the first retry
 * @now:    the wall clock, for a Retry-After that is a date
 * @random: a random number
 *
 * "Full jitter": anything between nothing and first * 2^(n-1), `most` at most, so that clients that
 * failed together do not come back together.  Never less than what Retry-After asks for.
 *
 * Return: the wait; -1: Retry-After asks for more than the patience.
 */
hob_dur retry_wait(const struct retry_pace *pace, const struct hob_http_response *res, unsigned n,
                   time_t now, uint32_t random);

/** retry_asked - how long the server asks to be left alone; 0: it does not */
hob_dur retry_asked(const struct hob_http_response *res, time_t now);

/** retry_after - the wait a Retry-After header means, seconds or an HTTP date, at `now`; -1: it
 * means nothing */
hob_dur retry_after(const char *value, time_t now);

#endif

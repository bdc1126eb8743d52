/* SPDX-License-Identifier: MIT
 *
 * slowest.c - a hundred requests at once take about as long as the slowest of them
 *
 * Each has an answer time of its own, from 50 to 500 ms.  With web pages: `hob fetch -j 100`.
 */
#include <stdio.h>

#include "claim.h"

enum { REQUESTS = 100, SHORTEST = 10, LONGEST = 100 };

static struct service service;

/* 50 to 500 ms, each its own, the slowest neither first nor last. */
static unsigned char delay_of(int i)
{
    return (unsigned char)(SHORTEST + (i * 37 % REQUESTS) * (LONGEST - SHORTEST) / (REQUESTS - 1));
}

static int request(void *arg)
{
    int fd = service_dial(&service);
    int r = fd < 0 ? fd : service_ask(fd, *(unsigned char *)arg);

    hob_close(fd);
    return r;
}

static int run(void *arg)
{
    unsigned char *delays = arg;
    hob_group g;
    int r = hob_group_open(&g, NULL);

    for (int i = 0; r == 0 && i < REQUESTS; i++)
        r = hob_go(&g, request, &delays[i]);
    return hob_group_join(&g, r);
}

int main(void)
{
    unsigned char delays[REQUESTS];
    int sum = 0;
    hob_time begin;
    double ms;

    service = service_start();
    for (int i = 0; i < REQUESTS; i++)
        sum += delays[i] = delay_of(i);
    begin = hob_now();
    claim_run(NULL, run, delays);
    ms = claim_ms(begin);
    service_stop(&service);
    printf("%d requests at once: %.0f ms, %.3fx the slowest (%d ms); ", REQUESTS, ms,
           ms / (LONGEST * SERVICE_UNIT_MS), LONGEST * SERVICE_UNIT_MS);
    printf("one after another they wait %.1f s, %.0fx\n", sum * SERVICE_UNIT_MS / 1e3,
           sum * SERVICE_UNIT_MS / ms);
    return 0;
}

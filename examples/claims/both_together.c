/* SPDX-License-Identifier: MIT
 *
 * both_together.c - fetch pages concurrently, parse them in parallel: each alone is half the job
 *
 * 64 pages: each waits 20 ms for a service in another process and then computes 5 ms.  One at a
 * time; concurrent only (one loop fetches and parses); parallel only (one blocking thread a core
 * does both); and both, as a flow of two stages.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "claim.h"

enum { PAGES = 64, FETCH = 4, PARSE_MS = 5, THREADS_MAX = 64 };

static struct service service;
static atomic_int next_page;

static int fetch(void *ctx, void *item)
{
    int fd = service_dial(&service), r = fd < 0 ? fd : service_ask(fd, FETCH);

    hob_close(fd);
    return r;
}

static int parse(void *ctx, void *item)
{
    return claim_compute(PARSE_MS);
}

static int fetch_and_parse(void *page)
{
    int r = fetch(NULL, page);

    return r < 0 ? r : parse(NULL, page);
}

/* *max_live pages at once on this loop. */
static int on_one_loop(void *max_live)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.max_live = *(uint32_t *)max_live));

    for (int i = 0; r == 0 && i < PAGES; i++)
        r = hob_go(&g, fetch_and_parse, NULL);
    return hob_group_join(&g, r);
}

static void *worker(void *unused)
{
    while (atomic_fetch_add(&next_page, 1) < PAGES)
        claim_check(fetch_and_parse(NULL), "page");
    return NULL;
}

static void on_threads(unsigned n)
{
    pthread_t thread[THREADS_MAX];

    for (unsigned i = 0; i < n; i++)
        claim_check(-pthread_create(&thread[i], NULL, worker, NULL), "thread");
    for (unsigned i = 0; i < n; i++)
        pthread_join(thread[i], NULL);
}

static int source(void *ctx, void **ret_item, hob_time *ret_again)
{
    static char page[PAGES]; /* these pages are nothing but an address */
    int *given = ctx;

    if (*given == PAGES)
        return -ENOENT;
    *ret_item = &page[(*given)++];
    return 1;
}

static int as_flow(void *unused)
{
    int given = 0;
    struct hob_stage stages[] = {
        HOB_STAGE(.name = "fetch", .kind = HOB_IO, .run = fetch, .width = PAGES),
        HOB_STAGE(.name = "parse", .kind = HOB_CPU, .run = parse),
    };
    hob_flow *flow;
    int r = hob_flow_new(stages, 2, HOB_FLOW_OPTS(.ctx = &given, .next = source), &flow);

    if (r < 0)
        return r;
    r = hob_flow_run(flow);
    hob_flow_free(flow);
    return r;
}

static void say(const char *how, hob_time begin, double first)
{
    double ms = claim_ms(begin);

    printf("%-46s %6.0f ms %5.1fx\n", how, ms, first > 0 ? first / ms : 1.0);
}

int main(void)
{
    uint32_t one = 1, all = 0;
    unsigned cores = hob_cores() < THREADS_MAX ? hob_cores() : THREADS_MAX;
    hob_time begin;
    double first;

    service = service_start();
    printf("%d pages, %d ms of waiting and about %d ms of computing each, %u cores\n", PAGES,
           FETCH * SERVICE_UNIT_MS, PARSE_MS, cores);
    begin = hob_now();
    claim_run(NULL, on_one_loop, &one);
    first = claim_ms(begin);
    say("one at a time", begin, first);
    begin = hob_now();
    claim_run(NULL, on_one_loop, &all);
    say("concurrent only: all at once on one loop", begin, first);
    begin = hob_now();
    on_threads(cores);
    say("parallel only: one blocking thread a core", begin, first);
    begin = hob_now();
    claim_run(NULL, as_flow, NULL);
    say("both: a flow, fetch on fibers, parse on cores", begin, first);
    service_stop(&service);
    return 0;
}

/* SPDX-License-Identifier: MIT
 *
 * crawl.h - the crawl itself: what `hob crawl` runs, the demo measures, and the simulation tests
 *
 * A crawl is a flow of three stages over a store:
 *
 *     store --pages--> fetch (HOB_IO) --> parse (HOB_CPU) --> store (HOB_LANE) --.
 *       ^                                                                        |
 *       '---------------- results, links and states in one transaction ----------'
 *
 * crawl_open and crawl_close are called on a plain thread, crawl_run on a fiber in between.
 */
#ifndef HOB_CMD_CRAWL_H
#define HOB_CMD_CRAWL_H

#include <hob/hob.h>

#include "lib/html.h"
#include "lib/store.h"

struct crawl;

struct crawl_opts {
    const char *const *seeds; /* URLs as the user wrote them */
    size_t n_seeds;
    const char *db;    /* the database */
    const char *jsonl; /* rows too; NULL: none, "-": standard output */
    int64_t depth;     /* links away from a seed; negative: no limit */
    uint64_t max_pages;
    uint32_t concurrency; /* requests at once, over all hosts */
    uint32_t per_host;    /* connections to one host at once */
    hob_dur delay;        /* between starts on one host; a longer Crawl-delay counts instead */
    hob_dur timeout;      /* of one page, everything included */
    hob_dur backoff;      /* before the first other try, twice as long before each next; jittered */
    uint32_t retries;     /* other tries of a page */
    size_t max_size;      /* bytes of a page; 0: the client's */
    const char *user_agent;
    struct html_rules *rules; /* fields; borrowed */
    bool parse_inline;        /* on the loop, in the fetching fiber: for comparison only */
    enum store_sync sync;
};

/* Opens the store and records the seeds.  0, or a negative errno and one line in err; -EINVAL: a
 * seed is not a URL that can be fetched. */
int crawl_open(const struct crawl_opts *opts, struct crawl **ret, char err[STORE_ERR_MAX]);
void crawl_close(struct crawl *c);

/*
 * Crawls with `client` until the store says it is over.  0; -ECANCELED, -EINTR: stopped in order,
 * goes on when opened again; another negative errno: crawl_error says what.
 */
int crawl_run(struct crawl *c, hob_http *client);

const char *crawl_error(const struct crawl *c);

/* While it runs, from its loop; and after. */
struct crawl_progress {
    uint64_t fetched, failed, skipped, retried; /* by this run */
    uint64_t put_off;                           /* pending; not again in this run */
    uint64_t bytes;
    uint64_t in_flight, waiting; /* in the flow; leased and waiting for their host */
    struct store_counts counts;  /* of the database; after the run only */
    enum store_ending ending;    /* likewise */
    char first_failure[1024];    /* URL and reason; "": none */
    char first_put_off[1024];    /* origin and reason; "": none */
    bool guarded;                /* one of them was the address guard's */
    hob_dur wall;
    hob_dur paced; /* of it, pages waited for their host's turn and nothing else held them */
    unsigned n_stages;
    struct hob_stage_stats stage[3];
};

void crawl_progress(const struct crawl *c, struct crawl_progress *ret);

#endif

/* SPDX-License-Identifier: MIT
 *
 * engine.h - the crawl's structures, shared by its files
 */
#ifndef HOB_CMD_CRAWL_ENGINE_H
#define HOB_CMD_CRAWL_ENGINE_H

#include "crawl/crawl.h"
#include "lib/buf.h"
#include "lib/robots.h"
#include "lib/url.h"

enum robots_state {
    ROBOTS_UNKNOWN,
    ROBOTS_ASKING,
    ROBOTS_KNOWN,
    ROBOTS_FAILED, /* to be asked for again at `again` */
    ROBOTS_LOST,   /* given up for this run: the origin's pages are put off */
};

enum { PAGE_REASON_MAX = HOB_HTTP_REASON_MAX + 16 };

/* Scheme, host and port: what a robots.txt is for. */
struct origin {
    struct origin *next;
    char *text; /* "https://host:port" */
    struct robots *robots;
    enum robots_state state;
    unsigned attempts;            /* ROBOTS_FAILED: how often it was, */
    hob_time again;               /* when it is asked for next, */
    int rc;                       /* with what, 0 a status, */
    char reason[PAGE_REASON_MAX]; /* and why; also of ROBOTS_LOST */
};

struct page;

/* What politeness is for. */
struct host {
    struct host *next; /* whose turn it is after it */
    char *name;
    uint32_t name_len;
    struct origin *origins;
    struct page *first, **last; /* pages that wait for this host, in the store's order */
    unsigned n_waiting;         /* of them; */
    bool dry;                   /* the store had no more for it, and there was no news since */
    bool closed;                /* for this run: its pages are put off, because of */
    char reason[PAGE_REASON_MAX];
    uint32_t live; /* requests under way */
    bool starting; /* one was picked and has not begun: no other is until it has */
    hob_time next_start;
};

enum page_fate {
    PAGE_TO_FETCH,
    PAGE_FINAL,
    PAGE_RETRY,   /* in this run */
    PAGE_PUT_OFF, /* not in this run; it stays pending */
};

struct page_link {
    const char *url;
    uint32_t len;
    enum store_state state;
};

/* One URL on its way through the flow; one stage at a time owns it. */
struct page {
    struct page *next;
    struct store_row row;
    struct url *url;
    struct host *host;
    struct origin *origin;
    bool slot;      /* counts in host->live */
    bool starting;  /* it is why host->starting is set */
    bool is_robots; /* the origin's robots.txt: no row of the store */
    enum page_fate fate;
    enum store_state state; /* PAGE_FINAL */
    int64_t retry_at_ms;    /* PAGE_RETRY */
    int64_t hold_ms;        /* its answer asks for no request to the host before; 0: it does not */
    struct hob_http_response res;
    int rc;
    char reason[PAGE_REASON_MAX];
    struct url *target; /* of a redirect */
    struct html_page *html;
    struct page_link *links;
    size_t n_links;
    char *fields; /* JSON; NULL: none */
};

struct crawl {
    struct crawl_opts opts;
    struct store *store;
    hob_lane *lane;
    hob_http *client;
    hob_flow *flow;
    struct url **seeds; /* canonical */
    size_t n_seeds;
    struct host **scope; /* the seeds' hosts, by name */
    size_t n_scope;
    struct host *hosts; /* the same, in turn */
    unsigned share;     /* leased pages that may wait for one host */
    unsigned *room;     /* n_scope: how many more; while the store is asked, the lane's */
    uint64_t n_waiting; /* pages that wait in hosts */
    uint64_t n_live;    /* requests under way, over all hosts */
    bool held;          /* hosts_pick gave none, and some page waited for its host's turn */
    hob_time held_since;
    bool committed;  /* something was, since the store was asked last, */
    hob_time asked;  /* then */
    hob_time due;    /* when the next page that waits for another try is */
    int64_t wall_ms; /* the wall clock when hob's clock said `began` */
    hob_time began;
    struct crawl_progress now;
    char err[STORE_ERR_MAX];
};

/* hosts.c: politeness */

/* The hosts of c->seeds. 0, -ENOMEM: hosts_free all the same. */
int hosts_new(struct crawl *c);

bool hosts_in_scope(const struct crawl *c, const struct url *u);

/* The page waits for its host's turn.  0; -ENOMEM, -EUCLEAN (not a host of the scope): it is still
 * the caller's. */
int hosts_add(struct crawl *c, struct page *p);

/*
 * 0: *ret is the next page whose host may be asked now; it holds one of the host's connections
 * until hosts_leave; or NULL: none now, `held` says whether for politeness alone, and
 * *ret_again is made earlier if a host's delay ends before it. -ENOMEM.
 */
int hosts_pick(struct crawl *c, hob_time now, hob_time *ret_again, struct page **ret);

/* Right before the request of a page that was picked: from now on its host's delay runs. */
void hosts_started(struct crawl *c, struct page *p);

/* The page's server asks to be left alone: no request to its host begins before then. */
void hosts_hold(struct page *p, hob_time until);

/* What the store knows of an earlier run's holds. 0, or the store's error. */
int hosts_held(struct crawl *c);

/* The page's request is over; harmless if it holds nothing. */
void hosts_leave(struct crawl *c, struct page *p);

void hosts_free(struct crawl *c);

/* source.c: the flow's source */

void source_begin(struct crawl *c);
int source_next(void *crawl, void **ret_item, hob_time *ret_again);

/* page.c: one page's way */

int page_new(const struct store_row *row, struct page **ret); /* takes row->url in any case */
int page_new_robots(struct host *h, struct origin *o, struct page **ret);
void page_free(struct page *p);
void page_end(struct page *p, enum store_state state, const char *reason);
int page_fetch(void *crawl, void *page);
int page_parse(void *crawl, void *page);
/* What becomes of a link found at this depth. */
enum store_state page_link_state(const struct crawl *c, const struct url *u, unsigned depth);

/* How long a host may ask to be left alone before it is closed for this run. */
#define HOST_PATIENCE (3600 * HOB_SEC)
/* For how long at most later runs keep to that: a slip of a server's is none for ever. */
#define HOST_HOLD_MOST (7 * 24 * 3600 * HOB_SEC)

/* The page, and why not in this run. */
void page_put_off(struct page *p, const char *reason);

int64_t crawl_wall_ms(const struct crawl *c, hob_time at);

#endif

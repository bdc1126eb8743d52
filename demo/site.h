/* SPDX-License-Identifier: MIT */
#ifndef DEMO_SITE_H
#define DEMO_SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hob/hob.h>

#include "lib/buf.h"

/*
 * A product site for demos, tests and benches: a server whose every byte follows from a seed
 * ==========================================================================================
 *
 *     struct site *site;
 *     int r = site_new(&(struct site_opts){.pages = 500, .latency_min = 50 * HOB_MS}, &site);
 *     ...
 *     r = site_listen(site, 0);            // r: the port
 *     r = hob_go(&group, site_serve, site);
 *     ...
 *     hob_group_cancel(&group, 0);         // the way to end it
 *     site_free(site);                     // after the join
 *
 * The pages: / (to the categories), /c/K.html (to the products), /p/SSS/NNNNNN.html (a product:
 * about 71 links in every notation, untidy HTML, <h1>title</h1>, <span class=price>12.34</span>),
 * /robots.txt, /sitemap.xml, and /private/K.html, which pages link to and robots.txt forbids. Every
 * page is reached from the index by way of its category.  Each 16th product is also linked as
 * ?ref=related, which to a crawler is a page of its own: site_truth says so.
 *
 * And paths that go wrong on purpose; a number is a query parameter:
 *
 *     /status/404              that status           /slow?ms=N      answers after N ms
 *     /status/503?retry-after=2                      /drip?ms=N      a byte every N ms
 *     /flaky?fail=N&status=S   S for the first N     /stall          half a response, then nothing
 *                              requests of exactly   /silent         not even that
 *                              this target, then 200 /reset          half a response, then RST
 *     /status/500-then-200     the same, N = 1       /short          half a response, then the end
 *     /redirect?to=URL         also status=307       /endless        a body without an end
 *     /redirect?n=N            N redirects, then /   /garbage        not HTTP
 *     /loop                    to itself             /gzip           a page, gzip-encoded
 *     /echo                    the request, as text  /big?bytes=N    that many bytes
 *     /together?n=N&ms=M       M ms after N such requests have come to wait for each other
 *
 * Any query may hold x=...: it is ignored and makes targets differ.
 */
struct site_opts {
    uint64_t seed;                    /* another seed, another site */
    size_t pages;                     /* products; 0: 100 */
    size_t page_size;                 /* bytes of a product page, about; 0: 29,000 */
    hob_dur latency_min, latency_max; /* before each answer; each target has its own time in there;
                                         max 0: as min */
    const char *log;                  /* file to append a line to for each request; NULL: none */
};

/** What a site has served; read it on the site's loop, or after it has ended. */
struct site_stats {
    uint64_t requests, connections;
    unsigned live, live_max; /* requests under way */
};

struct site;

/**
 * site_new - make a site; nothing listens yet
 *
 * The log's lines, one a request at the moment its head has been read, columns separated by tabs:
 * seconds on hob's clock, connection, requests under way, method, host, target, user agent.
 *
 * Return: 0, -EINVAL (limits out of range), -ENOMEM, or what opening the log came to.
 */
HOB_MUST_CHECK int site_new(const struct site_opts *opts, struct site **ret);
void site_free(struct site *s);

/** site_listen - listen on 127.0.0.1; the port it got (0 asks for any), or a negative errno. */
HOB_MUST_CHECK int site_listen(struct site *s, uint16_t port);

/** site_serve - a fiber's function, of a struct site that listens; serves until it is cancelled. */
int site_serve(void *site);

/** site_stats - what it has served until now */
struct site_stats site_stats(const struct site *s);

/*
 * The pages, without a server.
 */
enum { SITE_PATH_MAX = 64, SITE_TITLE_MAX = 160, SITE_PRICE_MAX = 16, SITE_CATEGORIES = 24 };

struct site_row {
    char path[SITE_PATH_MAX]; /* with ?ref=related where it has it */
    char title[SITE_TITLE_MAX], price[SITE_PRICE_MAX];
};

/** site_truths - rows of the truth: pages that have a price, each exactly once */
size_t site_truths(const struct site *s);
void site_truth(const struct site *s, size_t i, struct site_row *ret);

/** site_page - append what a GET of `path` has as its body; false: there is no such page */
bool site_page(const struct site *s, const char *host, const char *path, struct buf *to);

/** site_type - the content type of a path that is a page */
const char *site_type(const char *path);

/** site_latency - how long a target is waited for */
hob_dur site_latency(const struct site *s, const char *target);

#endif

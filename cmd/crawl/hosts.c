/* SPDX-License-Identifier: MIT
 *
 * hosts.c - politeness: which page may be asked for, and when
 *
 * WHAT        Leased pages wait in a queue a host.  A host gives one up when fewer than `per_host`
 *             of its requests are under way and `delay` has passed since the last one began.
 *             robots.txt is an origin's: it is asked for when the first page's turn has come, as a
 *             request like any other, and until it is there the origin's pages wait.
 *
 * INVARIANTS  (I1) between two starts on a host lies at least its delay, robots.txt among them: it
 *                  runs from the moment a request begins, not from when it was picked, and until
 *                  that moment no other is picked
 *             (I2) a host's `live` is the number of pages that hold a slot of it
 *             (I3) a page that robots.txt forbids takes no slot and no turn
 *
 * A host is a name, whatever the scheme and the port: http and https share one machine.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "crawl/engine.h"

bool hosts_in_scope(const struct crawl *c, const struct url *u)
{
    for (size_t i = 0; i < c->n_seeds; i++)
        if (url_same_host(c->seeds[i], u))
            return true;
    return false;
}

static struct host *host_get(struct crawl *c, const struct url *u)
{
    const char *name = u->text + u->host_at;
    struct host *h;

    for (h = c->hosts; h; h = h->next)
        if (h->name_len == u->host_len && memcmp(h->name, name, u->host_len) == 0)
            return h;
    h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->name = strndup(name, u->host_len);
    if (!h->name) {
        free(h);
        return NULL;
    }
    h->name_len = u->host_len;
    h->last = &h->first;
    h->next = c->hosts;
    c->hosts = h;
    return h;
}

static struct origin *origin_get(struct host *h, const struct url *u)
{
    char text[URL_MAX + 1];
    struct origin *o;

    if (url_origin(u, text, sizeof text) < 0)
        return NULL;
    for (o = h->origins; o; o = o->next)
        if (strcmp(o->text, text) == 0)
            return o;
    o = calloc(1, sizeof *o);
    if (!o)
        return NULL;
    o->text = strdup(text);
    if (!o->text) {
        free(o);
        return NULL;
    }
    o->next = h->origins;
    h->origins = o;
    return o;
}

int hosts_add(struct crawl *c, struct page *p)
{
    struct host *h = host_get(c, p->url);
    struct origin *o = h ? origin_get(h, p->url) : NULL;

    if (!o)
        return -ENOMEM;
    p->host = h;
    p->origin = o;
    p->next = NULL;
    *h->last = p;
    h->last = &p->next;
    c->n_waiting++;
    return 0;
}

/* The longer of what the user set and what the site asks for. */
static hob_dur host_delay(const struct crawl *c, const struct origin *o)
{
    hob_dur asked = o->robots ? robots_delay(o->robots) : -1;

    return asked > c->opts.delay ? asked : c->opts.delay;
}

/* The host's next start need not wait for this page any more. */
static void host_started(struct crawl *c, struct page *p)
{
    if (!p->starting)
        return;
    p->starting = p->host->starting = false;
    if (c->flow)
        hob_flow_wake(c->flow);
}

void hosts_started(struct crawl *c, struct page *p)
{
    struct host *h = p->host;

    h->next_start = hob_now() + host_delay(c, p->origin); /* (I1) */
    host_started(c, p);
}

static struct page *host_take(struct crawl *c, struct host *h, struct page **at)
{
    struct page *p = *at;

    *at = p->next;
    if (!*at && h->last == &p->next)
        h->last = at;
    p->next = NULL;
    c->n_waiting--;
    return p;
}

/* What needs no request: the page has its fate already.  (I3) */
static bool page_settled(struct page *p)
{
    struct origin *o = p->origin;

    if (o->state == ROBOTS_LOST) {
        page_end(p, STORE_FAILED, o->reason);
        return true;
    }
    if (o->state == ROBOTS_KNOWN && !robots_allowed(o->robots, url_path_query(p->url))) {
        page_end(p, STORE_SKIP_ROBOTS, NULL);
        return true;
    }
    return false;
}

/* Is the origin's robots.txt under way, or put off?  Then another origin of the host may be further
 * on. */
static bool origin_waits(const struct origin *o, hob_time now, hob_time *ret_again)
{
    if (o->state == ROBOTS_FAILED && now < o->again) {
        if (o->again < *ret_again)
            *ret_again = o->again;
        return true;
    }
    return o->state == ROBOTS_ASKING;
}

/* May a request to the host begin now? */
static bool host_open(struct crawl *c, struct host *h, hob_time now, hob_time *ret_again)
{
    if (h->live < c->opts.per_host && !h->starting && h->next_start <= now)
        return true;
    c->held = true;
    if (h->live < c->opts.per_host && !h->starting && h->next_start < *ret_again)
        *ret_again = h->next_start;
    return false;
}

/* The page's request holds a slot from here on, and, where starts are spaced, the start. */
static struct page *host_grant(struct crawl *c, struct host *h, struct page *p)
{
    h->live++; /* (I2) */
    c->n_live++;
    p->starting = h->starting = host_delay(c, p->origin) > 0;
    p->slot = true;
    return p;
}

/* One host's turn; *ret NULL: not now. */
static int host_pick(struct crawl *c, struct host *h, hob_time now, hob_time *ret_again,
                     struct page **ret)
{
    int r;

    *ret = NULL;
    for (struct page **at = &h->first; *at; at = &(*at)->next) {
        struct page *p = *at;
        if (page_settled(p)) {
            *ret = host_take(c, h, at);
            return 0;
        }
        if (origin_waits(p->origin, now, ret_again))
            continue;
        if (!host_open(c, h, now, ret_again))
            return 0;
        if (p->origin->state == ROBOTS_KNOWN) {
            *ret = host_grant(c, h, host_take(c, h, at));
            return 0;
        }
        if ((r = page_new_robots(h, p->origin, ret)) == 0) {
            p->origin->state = ROBOTS_ASKING;
            host_grant(c, h, *ret);
        }
        return r;
    }
    return 0;
}

int hosts_pick(struct crawl *c, hob_time now, hob_time *ret_again, struct page **ret)
{
    *ret = NULL;
    c->held = false;
    for (struct host **at = &c->hosts; *at; at = &(*at)->next) {
        struct host *h = *at;
        int r = host_pick(c, h, now, ret_again, ret);
        if (r < 0)
            return r;
        if (!*ret)
            continue;
        if (h->next) { /* to the end of the list: hosts take turns */
            struct host **end = &h->next;
            *at = h->next;
            while (*end)
                end = &(*end)->next;
            *end = h;
            h->next = NULL;
        }
        return 0;
    }
    return 0;
}

void hosts_leave(struct crawl *c, struct page *p)
{
    if (!p->slot)
        return;
    p->slot = false;
    p->host->live--;
    c->n_live--;
    host_started(c, p); /* cancelled before it began */
    if (c->flow)
        hob_flow_wake(c->flow);
}

static void origins_free(struct origin *o)
{
    struct origin *next;

    for (; o; o = next) {
        next = o->next;
        robots_free(o->robots);
        free(o->text);
        free(o);
    }
}

void hosts_free(struct crawl *c)
{
    struct host *h, *next;
    struct page *p, *more;

    for (h = c->hosts; h; h = next) {
        next = h->next;
        for (p = h->first; p; p = more) {
            more = p->next;
            page_free(p);
        }
        origins_free(h->origins);
        free(h->name);
        free(h);
    }
    c->hosts = NULL;
}

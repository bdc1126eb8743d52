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
 *                  that moment no other is picked; and none begins while Retry-After holds
 *             (I2) a host's `live` is the number of pages that hold a slot of it
 *             (I3) a page that robots.txt forbids takes no slot and no turn
 *
 * A host is a name, whatever the scheme and the port: http and https share one machine.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crawl/engine.h"
#include "lib/out.h"

static struct host *host_new(const struct url *u)
{
    struct host *h = calloc(1, sizeof *h);

    if (!h)
        return NULL;
    h->name = strndup(u->text + u->host_at, u->host_len);
    if (!h->name) {
        free(h);
        return NULL;
    }
    h->name_len = u->host_len;
    h->last = &h->first;
    return h;
}

/* NULL: not in the scope. */
static struct host *host_get(const struct crawl *c, const struct url *u)
{
    const char *name = u->text + u->host_at;
    size_t low = 0, high = c->n_scope;

    while (low < high) {
        size_t mid = (low + high) / 2;
        struct host *h = c->scope[mid];
        int order = strncmp(name, h->name, u->host_len);
        if (order == 0 && h->name_len == u->host_len)
            return h;
        if (order <= 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
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

static int by_host(const void *a, const void *b)
{
    const struct host *const *x = a, *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

/* A host more than once is one. */
static void scope_sort(struct crawl *c)
{
    size_t n = 0;

    qsort(c->scope, c->n_scope, sizeof(*c->scope), by_host);
    for (size_t i = 0; i < c->n_scope; i++) {
        struct host *h = c->scope[i];
        if (n > 0 && strcmp(c->scope[n - 1]->name, h->name) == 0) {
            free(h->name);
            free(h);
        } else {
            c->scope[n++] = h;
        }
    }
    c->n_scope = n;
}

int hosts_new(struct crawl *c)
{
    c->scope = calloc(c->n_seeds + 1, sizeof(*c->scope));
    c->room = calloc(c->n_seeds + 1, sizeof(*c->room));
    if (!c->scope || !c->room)
        return -ENOMEM;
    for (size_t i = 0; i < c->n_seeds; i++) {
        struct host *h = host_new(c->seeds[i]);
        if (!h)
            return -ENOMEM;
        c->scope[c->n_scope++] = h;
    }
    scope_sort(c);
    for (size_t i = c->n_scope; i-- > 0;) {
        c->scope[i]->next = c->hosts;
        c->hosts = c->scope[i];
    }
    return 0;
}

bool hosts_in_scope(const struct crawl *c, const struct url *u)
{
    return host_get(c, u) != NULL;
}

int hosts_add(struct crawl *c, struct page *p)
{
    struct host *h = host_get(c, p->url);
    struct origin *o = h ? origin_get(h, p->url) : NULL;

    if (!o)
        return h ? -ENOMEM : -EUCLEAN;
    p->host = h;
    p->origin = o;
    p->next = NULL;
    *h->last = p;
    h->last = &p->next;
    h->n_waiting++;
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
    hosts_hold(p, hob_now() + host_delay(c, p->origin)); /* (I1) */
    host_started(c, p);
}

void hosts_hold(struct page *p, hob_time until)
{
    if (until > p->host->next_start)
        p->host->next_start = until;
}

int hosts_held(struct crawl *c)
{
    int64_t until = 0, now = crawl_wall_ms(c, hob_now());
    char figure[OUT_FIGURE];
    int r = 0;

    for (size_t i = 0; i < c->n_scope && r == 0; i++) {
        struct host *h = c->scope[i];

        r = store_held(c->store, h->name, &until);
        if (r < 0 || until <= now)
            continue;
        if (until - now > HOST_HOLD_MOST / HOB_MS)
            continue; /* the clock was set back, or this is no time of ours */
        hob_dur wait = (until - now) * HOB_MS;
        h->next_start = hob_in(wait);
        h->closed = wait > HOST_PATIENCE;
        snprintf(h->reason, sizeof h->reason,
                 "Retry-After of an earlier run, not before %s from now",
                 out_duration(wait, figure));
    }
    return r;
}

static struct page *host_take(struct crawl *c, struct host *h, struct page **at)
{
    struct page *p = *at;

    *at = p->next;
    if (!*at && h->last == &p->next)
        h->last = at;
    p->next = NULL;
    h->n_waiting--;
    c->n_waiting--;
    return p;
}

/* What needs no request: the page has its fate already.  (I3) */
static bool page_settled(struct page *p)
{
    struct origin *o = p->origin;

    if (p->host->closed || o->state == ROBOTS_LOST) {
        page_put_off(p, p->host->closed ? p->host->reason : o->reason);
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
    struct page *p, *more;

    for (size_t i = 0; i < c->n_scope; i++) {
        struct host *h = c->scope[i];
        for (p = h->first; p; p = more) {
            more = p->next;
            page_free(p);
        }
        origins_free(h->origins);
        free(h->name);
        free(h);
    }
    free(c->scope);
    free(c->room);
}

/* SPDX-License-Identifier: MIT
 *
 * page.c - one page's way: fetched on a fiber, parsed on the pool
 *
 * WHAT        The fetch decides what a page came to: done, failed, to be tried again, skipped.  A
 *             redirect is done; its target is a link like any other, so scope, robots.txt and
 *             "seen already" are asked for it too.  The parse finds links and fields.
 *
 * INVARIANTS  (I1) a page leaves page_fetch with a fate, unless it was cancelled: then its row
 *                  stays pending
 *             (I2) an origin leaves ROBOTS_ASKING whatever its robots.txt comes to; one whose item
 *                  was cancelled before its fiber began does so in page_left
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "crawl/engine.h"
#include "lib/out.h"
#include "lib/retry.h"

/* The longest wait of its own, and the longest a server may ask for without being left alone. */
#define BACKOFF_MAX (300 * HOB_SEC)

enum { ROBOTS_FETCH_MAX = 4 << 20 }; /* read whole, obeyed up to ROBOTS_SIZE_MAX */

int page_new(const struct store_row *row, struct page **ret)
{
    struct page *p = calloc(1, sizeof *p);
    int r = p ? url_new(row->url, strlen(row->url), NULL, &p->url) : -ENOMEM;

    if (r < 0) {
        free(p);
        free(row->url);
        return r;
    }
    p->row = *row;
    *ret = p;
    return 0;
}

int page_new_robots(struct host *h, struct origin *o, struct page **ret)
{
    char text[URL_MAX + 32];
    struct page *p = calloc(1, sizeof *p);
    int n = snprintf(text, sizeof text, "%s/robots.txt", o->text);
    int r = p ? url_new(text, (size_t)n, NULL, &p->url) : -ENOMEM;

    if (r < 0) {
        free(p);
        return r;
    }
    p->host = h;
    p->origin = o;
    p->is_robots = true;
    *ret = p;
    return 0;
}

void page_free(struct page *p)
{
    if (!p)
        return;
    hob_http_response_free(&p->res);
    html_page_free(p->html);
    free(p->links);
    free(p->fields);
    free(p->target);
    free(p->url);
    free(p->row.url);
    free(p);
}

void page_end(struct page *p, enum store_state state, const char *reason)
{
    p->fate = PAGE_FINAL;
    p->state = state;
    snprintf(p->reason, sizeof p->reason, "%s", reason ? reason : "");
}

void page_put_off(struct page *p, const char *reason)
{
    p->fate = PAGE_PUT_OFF;
    snprintf(p->reason, sizeof p->reason, "%s", reason);
}

/* Before the n-th other try of a request to the page's host; negative: not in this run.  What the
 * server asks for by Retry-After holds for all of the host. */
static hob_dur try_wait(struct crawl *c, struct page *p, unsigned n, const char *reason)
{
    const struct retry_pace pace = {c->opts.backoff, BACKOFF_MAX, HOST_PATIENCE};
    time_t now = crawl_wall_ms(c, hob_now()) / 1000;
    hob_dur wait = retry_wait(&pace, &p->res, n, now, (uint32_t)hob_random());
    hob_dur asked = retry_asked(&p->res, now);
    char figure[OUT_FIGURE];

    if (asked > 0)
        p->hold_ms = crawl_wall_ms(c, hob_in(asked < HOST_HOLD_MOST ? asked : HOST_HOLD_MOST)) + 2;
    if (wait >= 0) {
        hosts_hold(p, hob_in(asked));
    } else {
        p->host->closed = true;
        snprintf(p->host->reason, sizeof p->host->reason, "%.*s, not before %s from now",
                 HOB_HTTP_REASON_MAX - 48, reason, out_duration(asked, figure));
    }
    return wait;
}

/* Tried again, put off or failed, for `reason`. */
static void page_again(struct crawl *c, struct page *p, const char *reason)
{
    if (!retry_worth(&p->res)) {
        page_end(p, STORE_FAILED, reason);
        return;
    }
    hob_dur wait = try_wait(c, p, p->row.attempts + 1, reason);
    if (wait < 0) {
        page_put_off(p, p->host->reason);
    } else if (p->row.attempts >= c->opts.retries) {
        page_end(p, STORE_FAILED, reason);
    } else {
        p->fate = PAGE_RETRY;
        p->retry_at_ms = crawl_wall_ms(c, hob_in(wait)) + 1;
        snprintf(p->reason, sizeof p->reason, "%s", reason);
    }
}

static int page_redirect(struct page *p)
{
    const char *to = hob_http_response_header(&p->res, "location");

    if (!to)
        return -EINVAL;
    return url_new(to, strlen(to), p->url, &p->target);
}

static void page_answer(struct crawl *c, struct page *p)
{
    uint32_t s = p->res.status;
    char reason[64];

    snprintf(reason, sizeof reason, "HTTP %u", s);
    if (s >= 300 && s < 400 && page_redirect(p) < 0)
        page_end(p, STORE_FAILED, "redirect without a usable target");
    else if (p->target && strcmp(p->target->text, p->url->text) == 0)
        page_end(p, STORE_FAILED, "redirect to itself");
    else if (s < 400)
        page_end(p, STORE_DONE, NULL);
    else
        page_again(c, p, reason);
}

static int get(struct crawl *c, const char *url, bool redirects, size_t max_size,
               struct hob_http_response *ret)
{
    struct hob_http_header accept = {"Accept", "text/html,application/xhtml+xml,*/*;q=0.1"};

    return ret->error =
               hob_http_do(c->client,
                           HOB_HTTP_REQUEST(.url = url, .headers = &accept, .n_headers = 1,
                                            .body_bytes_max = max_size, .no_redirects = !redirects),
                           hob_in(c->opts.timeout), ret);
}

/* Nothing of the origin may be fetched: for now, or in this run (RFC 9309, 2.3.1.4). */
static void robots_failed(struct crawl *c, struct page *p, int rc)
{
    const struct hob_http_response *res = &p->res;
    struct origin *o = p->origin;

    o->rc = rc;
    if (rc == -HOB_EADDRGUARD)
        snprintf(o->reason, sizeof(o->reason), "%.*s", HOB_HTTP_REASON_MAX - 1, res->reason);
    else if (rc < 0)
        snprintf(o->reason, sizeof(o->reason), "robots.txt: %.*s", HOB_HTTP_REASON_MAX - 1,
                 res->reason);
    else
        snprintf(o->reason, sizeof(o->reason), "robots.txt: HTTP %u", res->status);
    o->state = ROBOTS_LOST;
    if (!retry_worth(res))
        return;
    hob_dur wait = try_wait(c, p, o->attempts + 1, o->reason);
    if (wait < 0 || o->attempts >= c->opts.retries)
        return;
    o->attempts++;
    o->again = hob_in(wait);
    o->state = ROBOTS_FAILED;
}

/* What robots.txt came to (RFC 9309, 2.3.1).  Endless redirects are as good as none.  (I2) */
static int robots_answer(struct crawl *c, struct page *p, int rc)
{
    struct origin *o = p->origin;
    struct hob_http_response *res = &p->res;
    uint32_t status = rc == -HOB_EREDIRECT ? 404 : res->status;
    int r = 0;

    if ((rc < 0 && rc != -HOB_EREDIRECT) || status >= 500 || status == 429) {
        robots_failed(c, p, rc);
    } else {
        r = robots_from_status((int)status, res->body, res->body_n, c->opts.user_agent, &o->robots);
        o->state = r == 0 ? ROBOTS_KNOWN : ROBOTS_UNKNOWN;
    }
    if (c->flow)
        hob_flow_wake(c->flow); /* the origin's pages wait for this */
    return r;
}

static int robots_fetch(struct crawl *c, struct page *p)
{
    int r;

    hosts_started(c, p);
    r = get(c, p->url->text, true, ROBOTS_FETCH_MAX, &p->res);
    if (r == -ECANCELED) {
        p->origin->state = ROBOTS_UNKNOWN;
        return r;
    }
    return robots_answer(c, p, r);
}

static int page_ask(struct crawl *c, struct page *p)
{
    hosts_started(c, p);
    p->rc = get(c, p->url->text, false, c->opts.max_size, &p->res);
    if (p->rc == -ECANCELED)
        return p->rc;
    if (p->rc < 0)
        page_again(c, p, p->res.reason);
    else
        page_answer(c, p);
    return 0;
}

int page_fetch(void *ctx, void *item)
{
    struct crawl *c = ctx;
    struct page *p = item;
    int r = 0;

    if (p->is_robots)
        r = robots_fetch(c, p);
    else if (p->fate == PAGE_TO_FETCH)
        r = page_ask(c, p);
    hosts_leave(c, p);
    if (r == 0 && c->opts.parse_inline)
        r = page_parse(ctx, item);
    return r; /* (I1) */
}

static bool is_html(const struct hob_http_response *res)
{
    return !*res->content_type || strcasestr(res->content_type, "html");
}

/* "utf-8" of "text/html; charset=utf-8", in `to`; NULL: none. */
static const char *charset_of(const struct hob_http_response *res, char to[64])
{
    const char *at = strcasestr(res->content_type, "charset=");
    size_t n;

    if (!at)
        return NULL;
    at += strlen("charset=");
    at += *at == '"';
    n = strcspn(at, "\"; \t");
    if (n == 0 || n >= 64)
        return NULL;
    memcpy(to, at, n);
    to[n] = '\0';
    return to;
}

enum store_state page_link_state(const struct crawl *c, const struct url *u, unsigned depth)
{
    if (!hosts_in_scope(c, u))
        return STORE_SKIP_SCOPE;
    if (c->opts.depth >= 0 && depth > c->opts.depth)
        return STORE_SKIP_DEPTH;
    return STORE_PENDING;
}

static int page_links(const struct crawl *c, struct page *p)
{
    char text[URL_MAX + 1];
    struct url u;

    p->links = calloc(p->html->n_links ? p->html->n_links : 1, sizeof *p->links);
    if (!p->links)
        return -ENOMEM;
    for (size_t i = 0; i < p->html->n_links; i++) {
        const struct html_link *l = &p->html->links[i];
        if (url_parse(l->url, l->len, NULL, text, sizeof text, &u) < 0)
            continue;
        p->links[p->n_links++] = (struct page_link){
            .url = l->url, .len = l->len, .state = page_link_state(c, &u, p->row.depth + 1)};
    }
    return 0;
}

static int page_fields(const struct crawl *c, struct page *p)
{
    struct buf b = {0};

    if (!c->opts.rules || html_rules_count(c->opts.rules) == 0)
        return 0;
    buf_putc(&b, '{');
    for (size_t i = 0; i < p->html->n_fields; i++)
        out_text(&b, html_rules_name(c->opts.rules, i), p->html->fields[i]);
    buf_putc(&b, '}');
    p->fields = buf_take(&b);
    return p->fields ? 0 : -ENOMEM;
}

int page_parse(void *ctx, void *item)
{
    const struct crawl *c = ctx;
    struct page *p = item;
    char charset[64];
    int r;

    if (p->is_robots || p->fate != PAGE_FINAL || p->state != STORE_DONE || p->target || p->html ||
        !is_html(&p->res))
        return 0;
    r = html_parse(c->opts.rules, p->res.body, p->res.body_n, charset_of(&p->res, charset),
                   p->url->text, &p->html);
    if (r == 0)
        r = page_links(c, p);
    if (r == 0)
        r = page_fields(c, p);
    if (r == -ENOMEM)
        return r;
    if (r < 0)
        page_end(p, STORE_FAILED, "not parsed");
    return 0;
}

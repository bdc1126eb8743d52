/* SPDX-License-Identifier: MIT
 *
 * request.c - a request: its hops, redirects, and what the program gets
 *
 * WHAT        Redirects are followed here and not by libcurl: each hop is parsed, guarded and
 *             looked up as if the program had asked for it.
 *
 * INVARIANTS  (I1) credentials (Authorization, Cookie; those in a URL) go to the origin they were
 *                  given for, and to no other
 *             (I2) a request makes at most redirects_max + 1 hops, and none twice
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hob/fiber.h>
#include <hob/rt.h>

#include "base/opts.h"
#include "http/client.h"

enum { SEEN_MAX = 64 }; /* hops that are remembered to tell a circle; the limit ends the rest */

struct exchange {
    hob_http *client;
    struct hob_http_request req;
    hob_time began;
    struct target first, now;
    struct proxy own_proxy; /* req.proxy, parsed */
    struct hop hop;
    struct hob_http_header *headers; /* a copy with fewer; NULL: all of req.headers */
    uint32_t n_redirects;
    uint64_t seen[SEEN_MAX];
};

int hob__hop_fail(struct hop *hop, int rc, const char *format, ...)
{
    const struct target *t = hop->target;
    va_list ap;
    int n = 0;

    if (hop->reason[0])
        return rc;
    if (t && t->port != (t->tls ? 443 : 80))
        n = snprintf(hop->reason, sizeof hop->reason, "%.*s:%u: ", 128, t->host, t->port);
    else if (t)
        n = snprintf(hop->reason, sizeof hop->reason, "%.*s: ", 128, t->host);
    va_start(ap, format);
    vsnprintf(hop->reason + n, sizeof hop->reason - (size_t)n, format, ap);
    va_end(ap);
    for (char *p = hop->reason; *p; p++) /* one line, whatever a server had a part in */
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = ' ';
    return rc;
}

/* ---- what was asked for ---- */

static bool token_fine(const char *s)
{
    static const char others[] = "!#$%&'*+-.^_`|~";

    for (const char *p = s; *p; p++)
        if (!((*p >= '0' && *p <= '9') || ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z') ||
              strchr(others, *p)))
            return false;
    return s[0] != '\0';
}

static int exchange_check(struct exchange *q)
{
    const struct hob_http_request *req = &q->req;

    if (!req->url)
        return hob__hop_fail(&q->hop, -EINVAL, "no URL");
    if (req->method && !token_fine(req->method))
        return hob__hop_fail(&q->hop, -EINVAL, "not a method: %.40s", req->method);
    if ((req->body_n > 0 && !req->body) || (req->n_headers > 0 && !req->headers))
        return hob__hop_fail(&q->hop, -EINVAL, "a length without what it measures");
    if (req->body && req->method && strcmp(req->method, "HEAD") == 0)
        return hob__hop_fail(&q->hop, -EINVAL, "HEAD has no body");
    for (size_t i = 0; i < req->n_headers; i++) {
        const struct hob_http_header *h = &req->headers[i];
        if (!h->name || !h->value || !token_fine(h->name) || strpbrk(h->value, "\r\n"))
            return hob__hop_fail(&q->hop, -EINVAL, "not a header: %.40s",
                                 h->name ? h->name : "(no name)");
    }
    return 0;
}

static int exchange_proxy(struct exchange *q)
{
    hob_http *c = q->client;
    uint32_t n = (uint32_t)c->opts.n_proxies;

    if (!q->req.proxy) {
        if (n > 0)
            q->hop.proxy =
                &c->proxies[atomic_fetch_add_explicit(&c->next_proxy, 1, memory_order_relaxed) % n];
        return 0;
    }
    if (q->req.proxy[0] == '\0')
        return 0;
    int r = hob__proxy_parse(q->req.proxy, &q->own_proxy);
    if (r < 0)
        return hob__hop_fail(&q->hop, r, "not a proxy that hob knows");
    q->hop.proxy = &q->own_proxy;
    return 0;
}

static int exchange_begin(struct exchange *q, hob_time until)
{
    const char *words = "no memory";
    char url[URL_WORDS_MAX];
    int r = exchange_check(q);

    if (r < 0)
        return r;
    if ((r = hob__target_parse(q->req.url, NULL, &q->first, &words)) < 0)
        return hob__hop_fail(&q->hop, r, "%s: %s", hob__url_words(q->req.url, url), words);
    q->hop.target = &q->first;
    q->hop.method = q->req.method ? q->req.method : q->req.body ? "POST" : "GET";
    q->hop.headers = q->req.headers;
    q->hop.n_headers = q->req.n_headers;
    q->hop.body = q->req.body;
    q->hop.body_n = q->req.body_n;
    q->hop.body_bytes_max =
        q->req.body_bytes_max ? q->req.body_bytes_max : q->client->opts.body_bytes_max;
    q->hop.until = until;
    q->hop.follows = !q->req.no_redirects;
    return exchange_proxy(q);
}

/* ---- redirects ---- */

/* FNV-1a of what a hop asks for. */
static uint64_t hop_hash(const struct hop *hop)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (const char *s = hop->method; *s; s++)
        h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    for (const char *s = hop->target->url; *s; s++)
        h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    return h;
}

/* (I2) */
static bool hop_seen(struct exchange *q)
{
    uint64_t h = hop_hash(&q->hop);
    uint32_t n = q->n_redirects < SEEN_MAX ? q->n_redirects : SEEN_MAX;

    for (uint32_t i = 0; i < n; i++)
        if (q->seen[i] == h)
            return true;
    return false;
}

static bool header_among(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (strcasecmp(name, *names) == 0)
            return true;
    return false;
}

static int headers_drop(struct exchange *q, const char *const *names)
{
    struct hop *hop = &q->hop;
    size_t n = 0;

    if (hop->n_headers == 0)
        return 0;
    if (!q->headers) {
        if (!(q->headers = malloc(hop->n_headers * sizeof q->headers[0])))
            return -ENOMEM;
        memcpy(q->headers, hop->headers, hop->n_headers * sizeof q->headers[0]);
        hop->headers = q->headers;
    }
    for (size_t i = 0; i < hop->n_headers; i++)
        if (!header_among(q->headers[i].name, names))
            q->headers[n++] = q->headers[i];
    hop->n_headers = n;
    return 0;
}

/* RFC 9110, 15.4; for 301 and 302 what everybody does. */
static int method_rewrite(struct exchange *q, uint32_t status)
{
    static const char *const of_a_body[] = {"Content-Type",     "Content-Length",
                                            "Content-Encoding", "Content-Language",
                                            "Content-Location", NULL};
    struct hop *hop = &q->hop;

    bool post = strcmp(hop->method, "POST") == 0, head = strcmp(hop->method, "HEAD") == 0;
    if (!(status == 303 && !head) && !((status == 301 || status == 302) && post))
        return 0;
    hop->method = "GET";
    hop->body = NULL;
    hop->body_n = 0;
    return headers_drop(q, of_a_body);
}

static int redirect(struct exchange *q)
{
    static const char *const secrets[] = {"Authorization", "Cookie", "Host", NULL};
    const char *to = hob__head_find(&q->hop.head, "location"), *words = "no memory";
    char url[URL_WORDS_MAX];
    struct target next;
    int r;

    if (q->n_redirects == q->client->opts.redirects_max)
        return hob__hop_fail(&q->hop, -HOB_EREDIRECT, "more than %u redirects", q->n_redirects);
    if ((r = hob__target_parse(to, q->hop.target, &next, &words)) < 0)
        return hob__hop_fail(&q->hop, r == -EINVAL ? -HOB_EREDIRECT : r, "redirect to %s: %s",
                             hob__url_words(to, url), words);
    if (q->n_redirects < SEEN_MAX)
        q->seen[q->n_redirects] = hop_hash(&q->hop);
    q->n_redirects++;
    hob__target_fini(&q->now);
    q->now = next;
    q->hop.target = &q->now;
    if (!hob__target_same_origin(&q->first, &q->now) && (r = headers_drop(q, secrets)) < 0)
        return hob__hop_fail(&q->hop, r, "%s", hob_strerror(r)); /* (I1) */
    if ((r = method_rewrite(q, q->hop.head.status)) < 0)
        return hob__hop_fail(&q->hop, r, "%s", hob_strerror(r));
    if (hop_seen(q))
        return hob__hop_fail(&q->hop, -HOB_EREDIRECT, "redirected in a circle, to %s",
                             hob__url_words(q->now.url, url));
    return 0;
}

static int exchange_run(struct exchange *q)
{
    int r;

    for (;;) {
        hob__head_reset(&q->hop.head);
        q->hop.got.n = 0;
        q->hop.began = hob_now();
        q->hop.remote[0] = '\0';
        q->hop.connecting = q->hop.first_byte = q->hop.resolving = 0;
        r = q->client->ops->run(q->client, &q->hop);
        if (r < 0 || !q->hop.follows || !hob__head_redirects(&q->hop.head))
            return r;
        if ((r = redirect(q)) < 0)
            return r;
    }
}

/* ---- the response ---- */

static int respond(struct exchange *q, struct hob_http_response *res)
{
    int r = hob__body_end(&q->hop.got);

    if (r == 0)
        r = hob__response_fill(res, &q->hop.head, &q->hop.got, q->hop.target->url);
    return r < 0 ? hob__hop_fail(&q->hop, r, "%s", hob_strerror(r)) : 0;
}

static void note(const struct exchange *q, int r, struct hob_http_response *res)
{
    res->error = r;
    res->n_redirects = q->n_redirects;
    res->http_version = q->hop.http_version;
    res->total = hob_now() - q->began;
    res->resolving = q->hop.resolving;
    res->connecting = q->hop.connecting;
    res->first_byte = q->hop.first_byte;
    res->reused = q->hop.reused;
    memcpy(res->remote, q->hop.remote, sizeof res->remote);
    memcpy(res->reason, q->hop.reason, sizeof res->reason);
}

int hob_http_do(hob_http *client, const struct hob_http_request *req, hob_time until,
                struct hob_http_response *ret)
{
    struct exchange q = {.client = client};
    int r;

    *ret = (struct hob_http_response){.content_type = ""};
    if (!hob_on_fiber()) {
        r = hob__hop_fail(&q.hop, -EPERM, "an HTTP request off a fiber");
    } else if (!req || (r = hob__opts_copy(&q.req, sizeof q.req, req)) < 0) {
        r = hob__hop_fail(&q.hop, req ? r : -EINVAL, "the request is not one for this library");
    } else {
        q.began = hob_now();
        r = exchange_begin(&q, until);
        if (r == 0)
            r = exchange_run(&q);
        if (r == 0)
            r = respond(&q, ret);
    }
    note(&q, r, ret);
    free(q.headers);
    hob__target_fini(&q.first);
    hob__target_fini(&q.now);
    hob__proxy_fini(&q.own_proxy);
    hob__head_fini(&q.hop.head);
    hob__body_fini(&q.hop.got);
    return r;
}

int hob_http_get(hob_http *client, const char *url, hob_time until, struct hob_http_response *ret)
{
    return hob_http_do(client, HOB_HTTP_REQUEST(.url = url), until, ret);
}

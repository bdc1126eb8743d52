/* SPDX-License-Identifier: MIT
 *
 * target.c - URLs as libcurl will understand them, redirects onto them, proxies
 *
 * WHAT        libcurl's own URL parser decides what host a URL names: the host that is looked up
 *             and checked here is the one that libcurl connects to.
 *
 * HOW         An http proxy with credentials goes to libcurl under an alias, a host name made of a
 *             hash of the credentials.  libcurl takes two connections through one proxy for the
 *             same whoever they were opened for; where the user name chooses the exit, as with
 *             rented proxies, that would hand one user's exit to another.  The alias resolves to
 *             the proxy's addresses and is sent to nobody.
 *
 * REJECTED    A parser of our own for speed: two parsers that differ on one odd URL are how guards
 *             are walked around.
 */
#include "http/target.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hob/net.h>

enum { GET_FLAGS = CURLU_PUNYCODE };

static const char *url_words(CURLUcode c)
{
    switch (c) {
    case CURLUE_UNSUPPORTED_SCHEME:
        return "not an http or https URL";
    case CURLUE_BAD_PORT_NUMBER:
        return "not a valid port in the URL";
    default:
        return curl_url_strerror(c);
    }
}

static int url_code(CURLUcode c)
{
    return c == CURLUE_OUT_OF_MEMORY ? -ENOMEM : -EINVAL;
}

static CURLUcode target_get(struct target *t)
{
    char *scheme = NULL, *port = NULL;
    CURLUcode c;

    if ((c = curl_url_get(t->handle, CURLUPART_SCHEME, &scheme, 0)))
        return c;
    t->tls = strcmp(scheme, "https") == 0;
    bool http = t->tls || strcmp(scheme, "http") == 0;
    curl_free(scheme);
    if (!http)
        return CURLUE_UNSUPPORTED_SCHEME;
    if ((c = curl_url_get(t->handle, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT)))
        return c;
    t->port = (uint16_t)strtoul(port, NULL, 10);
    curl_free(port);
    if ((c = curl_url_get(t->handle, CURLUPART_HOST, &t->host, GET_FLAGS)))
        return c;
    return curl_url_get(t->handle, CURLUPART_URL, &t->url, GET_FLAGS);
}

/* A redirect without a fragment keeps the one it came from (RFC 9110, 10.2.2). */
static CURLUcode fragment_keep(CURLU *from, CURLU *to)
{
    char *old = NULL, *new = NULL;
    CURLUcode c = CURLUE_OK;

    if (curl_url_get(to, CURLUPART_FRAGMENT, &new, 0) == CURLUE_NO_FRAGMENT &&
        curl_url_get(from, CURLUPART_FRAGMENT, &old, 0) == CURLUE_OK)
        c = curl_url_set(to, CURLUPART_FRAGMENT, old, 0);
    curl_free(old);
    curl_free(new);
    return c;
}

int hob__target_parse(const char *url, const struct target *base, struct target *ret,
                      const char **ret_words)
{
    struct target t = {.handle = base ? curl_url_dup(base->handle) : curl_url()};
    hob_addr a;
    CURLUcode c;

    if (!t.handle)
        return -ENOMEM;
    c = strlen(url) > URL_MAX_BYTES ? CURLUE_MALFORMED_INPUT : CURLUE_OK;
    if (!c)
        c = curl_url_set(t.handle, CURLUPART_URL, url, CURLU_URLENCODE | CURLU_NON_SUPPORT_SCHEME);
    if (!c && base)
        c = fragment_keep(base->handle, t.handle);
    if (!c)
        c = target_get(&t);
    if (c) {
        hob__target_fini(&t);
        *ret_words = url_words(c);
        return url_code(c);
    }
    t.numeric = hob_addr_parse(t.host, t.port, &a) == 0;
    *ret = t;
    return 0;
}

void hob__target_fini(struct target *t)
{
    curl_free(t->url);
    curl_free(t->host);
    curl_url_cleanup(t->handle);
    *t = (struct target){.handle = NULL};
}

char *hob__target_shown(const struct target *t)
{
    CURLU *u = curl_url_dup(t->handle);
    char *text = NULL, *copy = NULL;

    if (u && !curl_url_set(u, CURLUPART_USER, NULL, 0) &&
        !curl_url_set(u, CURLUPART_PASSWORD, NULL, 0) &&
        !curl_url_get(u, CURLUPART_URL, &text, GET_FLAGS))
        copy = strdup(text);
    curl_free(text);
    curl_url_cleanup(u);
    return copy;
}

const char *hob__url_words(const char *url, char to[URL_WORDS_MAX])
{
    const char *host = strstr(url, "//"), *at = NULL;

    host = host ? host + 2 : url;
    for (const char *p = host; *p && !strchr("/?#", *p); p++)
        if (*p == '@')
            at = p;
    if (at)
        snprintf(to, URL_WORDS_MAX, "%.*s%s", (int)(host - url), url, at + 1);
    else
        snprintf(to, URL_WORDS_MAX, "%s", url);
    return to;
}

bool hob__target_same_origin(const struct target *a, const struct target *b)
{
    return a->tls == b->tls && a->port == b->port && strcasecmp(a->host, b->host) == 0;
}

static const struct {
    const char *scheme;
    enum proxy_kind kind;
    uint16_t port;
} proxy_schemes[] = {
    {"http", PROXY_HTTP, 8080},
    {"https", PROXY_HTTPS, 443},
    {"socks5", PROXY_SOCKS5, 1080},
    {"socks5h", PROXY_SOCKS5H, 1080},
};

/* FNV-1a. */
static uint64_t hash_text(uint64_t h, const char *s)
{
    do
        h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    while (*s++);
    return h;
}

static int proxy_scheme(CURLU *u, struct proxy *p)
{
    char *scheme = NULL;
    int r = -EINVAL;

    if (curl_url_get(u, CURLUPART_SCHEME, &scheme, 0))
        return r;
    for (size_t i = 0; i < sizeof proxy_schemes / sizeof proxy_schemes[0]; i++)
        if (strcasecmp(scheme, proxy_schemes[i].scheme) == 0) {
            p->kind = proxy_schemes[i].kind;
            p->port = proxy_schemes[i].port;
            r = (int)i;
        }
    curl_free(scheme);
    return r;
}

static int proxy_names(struct proxy *p, const char *scheme)
{
    uint64_t h = 0xcbf29ce484222325u;

    if (p->kind == PROXY_HTTP && p->user) {
        h = hash_text(hash_text(hash_text(h, p->user), p->password ? p->password : ""), p->host);
        if (asprintf(&p->alias, "p%016llx.hob.invalid", (unsigned long long)h) < 0)
            p->alias = NULL;
    } else {
        p->alias = strdup(p->host);
    }
    if (!p->alias || asprintf(&p->url, "%s://%s:%u", scheme, p->alias, p->port) < 0)
        return -ENOMEM;
    return 0;
}

/* A part of the URL, on malloc's heap; NULL: it is not there, or no memory. */
static char *part_copy(CURLU *u, CURLUPart part, unsigned flags)
{
    char *text = NULL, *copy;

    if (curl_url_get(u, part, &text, flags))
        return NULL;
    copy = strdup(text);
    curl_free(text);
    return copy;
}

int hob__proxy_parse(const char *text, struct proxy *ret)
{
    struct proxy p = {.host = NULL};
    CURLU *u = curl_url();
    hob_addr a;
    char *port;
    int i, r = -EINVAL;

    if (!u)
        return -ENOMEM;
    if (curl_url_set(u, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME | CURLU_GUESS_SCHEME) ||
        (i = proxy_scheme(u, &p)) < 0)
        goto out;
    if ((port = part_copy(u, CURLUPART_PORT, 0)))
        p.port = (uint16_t)strtoul(port, NULL, 10);
    free(port);
    p.host = part_copy(u, CURLUPART_HOST, GET_FLAGS);
    p.user = part_copy(u, CURLUPART_USER, CURLU_URLDECODE);
    p.password = part_copy(u, CURLUPART_PASSWORD, CURLU_URLDECODE);
    if (!p.host)
        goto out;
    r = proxy_names(&p, proxy_schemes[i].scheme);
    p.numeric = r == 0 && hob_addr_parse(p.alias, p.port, &a) == 0;
out:
    curl_url_cleanup(u);
    if (r < 0)
        hob__proxy_fini(&p);
    else
        *ret = p;
    return r;
}

void hob__proxy_fini(struct proxy *p)
{
    free(p->host);
    free(p->alias);
    free(p->url);
    free(p->user);
    free(p->password);
    *p = (struct proxy){.host = NULL};
}

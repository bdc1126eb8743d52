/* SPDX-License-Identifier: MIT
 *
 * target.c - URLs as libcurl will understand them, redirects onto them, proxies
 *
 * WHAT        libcurl's own URL parser decides what host a URL names: the host that is looked up
 *             and checked here is the one that libcurl connects to.
 *
 * HOW         Most URLs are plain: lower case, a host of letters, digits, dots and dashes, nothing
 *             to encode, no dots to take out of the path.  On those no two parsers differ and
 *             normalising changes nothing, so they are taken apart here; libcurl's parser and
 *             printer cost a fifth of what all of it costs for a page.  What is not plain, and
 *             every redirect, goes through libcurl.
 *
 *   An http proxy with credentials goes to libcurl under an alias, a host name made of a hash of
 *   the credentials.  libcurl takes two connections through one proxy for the same whoever they
 *   were opened for; where the user name chooses the exit, as with rented proxies, that would hand
 *   one user's exit to another.  The alias resolves to the proxy's addresses and is sent to nobody.
 *
 * REJECTED    A whole parser of our own: two parsers that differ on one odd URL are how guards are
 *             walked around.
 */
#include "http/target.h"

#include <curl/curl.h>
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hob/net.h>

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

/* A part of the URL, on malloc's heap.  *ret: NULL if it is not there. */
static CURLUcode part_copy(CURLU *u, CURLUPart part, unsigned flags, char **ret)
{
    char *text = NULL;
    CURLUcode c = curl_url_get(u, part, &text, flags);

    if (c)
        return c;
    *ret = strdup(text);
    curl_free(text);
    return *ret ? CURLUE_OK : CURLUE_OUT_OF_MEMORY;
}

/* libcurl takes an international host for text in the locale's encoding; it is UTF-8. */
static CURLUcode url_ascii(CURLU *u, char **ret)
{
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    locale_t old = utf8 ? uselocale(utf8) : (locale_t)0;
    CURLUcode c = curl_url_get(u, CURLUPART_URL, ret, CURLU_PUNYCODE);

    if (utf8) {
        uselocale(old);
        freelocale(utf8);
    }
    return c;
}

/*
 * Makes of the handle what libcurl will make of the text it is given: parsed, printed in ASCII,
 * and parsed again.  "0x1%41" is a name to the first parser and 0x1A, a number, to the second.
 * (Asked for an international host alone in ASCII, libcurl 7.88 leaks it.)
 */
static CURLUcode url_settle(CURLU *u)
{
    char *url = NULL;

    if (url_ascii(u, &url))
        return CURLUE_BAD_HOSTNAME; /* whatever it says: "out of memory" */
    CURLUcode c = curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME);
    curl_free(url);
    return c;
}

static CURLUcode target_get(struct target *t)
{
    char *scheme = NULL, *port = NULL;
    CURLUcode c;

    if ((c = url_settle(t->handle)) || (c = curl_url_get(t->handle, CURLUPART_SCHEME, &scheme, 0)))
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
    if ((c = part_copy(t->handle, CURLUPART_HOST, 0, &t->host)))
        return c;
    return part_copy(t->handle, CURLUPART_URL, 0, &t->url);
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

/* ---- plain URLs ---- */

/* Whether a host in lower case means the same to everybody: an address as it is printed, or a name
 * that no parser takes for one, for its last label begins with a letter. */
static bool host_plain(const char *host, bool *ret_numeric)
{
    const char *dot = strrchr(host, '.'), *last = dot ? dot + 1 : host;
    hob_addr a;

    if (*host == '.' || strstr(host, "..") || strlen(host) > 253)
        return false;
    *ret_numeric = hob_addr_parse(host, 0, &a) == 0;
    return *ret_numeric || (*last >= 'a' && *last <= 'z');
}

/* The end of ":8080", or of nothing; NULL: not a port as it is printed. */
static const char *port_plain(const char *p, struct target *t)
{
    unsigned port = 0;

    t->port = t->tls ? 443 : 80;
    if (*p != ':')
        return p;
    if (*++p == '0')
        return NULL;
    for (; *p >= '0' && *p <= '9' && port < 65536; p++)
        port = port * 10 + (unsigned)(*p - '0');
    if (port == 0 || port > 65535 || port == t->port)
        return NULL;
    t->port = (uint16_t)port;
    return p;
}

static bool ascii_printed(const char *p)
{
    for (; *p; p++)
        if (*p <= ' ' || *p >= 0x7f)
            return false;
    return true;
}

/* A path, query and fragment in which there is nothing to encode and no dot to take out; libcurl
 * drops a query or a fragment without a letter. */
static bool path_plain(const char *p)
{
    size_t n = strlen(p);

    if (*p != '/' || strstr(p, "/.") || strstr(p, "?#") || p[n - 1] == '?' || p[n - 1] == '#')
        return false;
    return strcspn(p, "\"<>\\^`{|}") == n && ascii_printed(p);
}

/* Fills in *t if the URL is plain: 1; 0: it is not; -ENOMEM. */
static int plain_parse(const char *url, struct target *t)
{
    size_t scheme_n = strncmp(url, "http://", 7) == 0 ? 7 : 8;
    const char *host = url + scheme_n, *end = host;

    if (scheme_n == 8 && strncmp(url, "https://", 8) != 0)
        return 0;
    t->tls = scheme_n == 8;
    while ((*end >= 'a' && *end <= 'z') || (*end >= '0' && *end <= '9') || *end == '.' ||
           *end == '-')
        end++;
    const char *path = end > host ? port_plain(end, t) : NULL;
    if (!path || !path_plain(path))
        return 0;
    if (!(t->host = strndup(host, (size_t)(end - host))))
        return -ENOMEM;
    if (!host_plain(t->host, &t->numeric))
        return 0;
    return (t->url = strdup(url)) ? 1 : -ENOMEM;
}

/* ---- the rest ---- */

static int full_parse(const char *url, struct target *base, struct target *t,
                      const char **ret_words)
{
    hob_addr a;
    CURLUcode c;

    if (base && !base->handle) {
        if (!(base->handle = curl_url()))
            return -ENOMEM;
        if ((c = curl_url_set(base->handle, CURLUPART_URL, base->url, 0)))
            return url_code(c);
    }
    if (!(t->handle = base ? curl_url_dup(base->handle) : curl_url()))
        return -ENOMEM;
    c = curl_url_set(t->handle, CURLUPART_URL, url, CURLU_URLENCODE | CURLU_NON_SUPPORT_SCHEME);
    if (!c && base)
        c = fragment_keep(base->handle, t->handle);
    if (!c)
        c = target_get(t);
    if (c) {
        *ret_words = url_words(c);
        return url_code(c);
    }
    t->numeric = hob_addr_parse(t->host, t->port, &a) == 0;
    return 0;
}

int hob__target_parse(const char *url, struct target *base, struct target *ret,
                      const char **ret_words)
{
    struct target t = {.url = NULL};
    int r;

    if (strlen(url) > URL_MAX_BYTES) {
        *ret_words = "the URL is too long";
        return -EINVAL;
    }
    r = base ? 0 : plain_parse(url, &t);
    if (r == 0) {
        hob__target_fini(&t);
        r = full_parse(url, base, &t, ret_words);
    }
    if (r < 0)
        hob__target_fini(&t);
    else
        *ret = t;
    return r < 0 ? r : 0;
}

void hob__target_fini(struct target *t)
{
    free(t->url);
    free(t->host);
    curl_url_cleanup(t->handle);
    *t = (struct target){.handle = NULL};
}

/* Where the credentials of a URL end, if it has some, and where its host begins. */
static const char *url_host(const char *url, const char **ret_login)
{
    const char *login = strstr(url, "//"), *at = NULL;

    *ret_login = login = login ? login + 2 : url;
    for (const char *p = login; *p && *p != '/' && *p != '?' && *p != '#'; p++)
        if (*p == '@')
            at = p;
    return at ? at + 1 : login;
}

const char *hob__url_words(const char *url, char to[URL_WORDS_MAX])
{
    const char *login, *host = url_host(url, &login);

    snprintf(to, URL_WORDS_MAX, "%.*s%s", (int)(login - url), url, host);
    return to;
}

size_t hob__url_shown(const char *url, char *to)
{
    const char *login, *host = url_host(url, &login);
    size_t n = (size_t)(login - url), rest = strlen(host) + 1;

    if (to) {
        memcpy(to, url, n);
        memcpy(to + n, host, rest);
    }
    return n + rest;
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

int hob__proxy_parse(const char *text, struct proxy *ret)
{
    struct proxy p = {.host = NULL};
    CURLU *u = curl_url();
    hob_addr a;
    char *port = NULL;
    int i, r = -EINVAL;

    if (!u)
        return -ENOMEM;
    if (curl_url_set(u, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME | CURLU_GUESS_SCHEME) ||
        url_settle(u) || (i = proxy_scheme(u, &p)) < 0)
        goto out;
    if (part_copy(u, CURLUPART_PORT, 0, &port) == CURLUE_OK)
        p.port = (uint16_t)strtoul(port, NULL, 10);
    free(port);
    if (part_copy(u, CURLUPART_HOST, 0, &p.host) ||
        part_copy(u, CURLUPART_USER, CURLU_URLDECODE, &p.user) == CURLUE_OUT_OF_MEMORY ||
        part_copy(u, CURLUPART_PASSWORD, CURLU_URLDECODE, &p.password) == CURLUE_OUT_OF_MEMORY)
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

/* SPDX-License-Identifier: MIT
 *
 * url.c - parse, resolve and canonicalise http and https URLs
 *
 * HOW   The WHATWG state machine with the states that special schemes other than file never
 *   reach left out, so that it reads as one pass from left to right:
 *
 *       scheme   "http:" or "https:", or none: relative to the base
 *       slashes  any number of / and \ before an authority count as two
 *       authority  up to / \ ?; the last @ ends the credentials
 *       path     one segment at a time, straight into the output: a ".." cuts the output back to
 *                its last '/', which is why no list of segments is kept
 *       query    to the end; the fragment was cut off before
 *
 *   A relative URL copies the parts it inherits from the base's text and goes on from there.
 *
 * INVARIANTS  (I1) out.len never exceeds out.cap: what does not fit is only marked
 *             (I2) the path in the output starts with '/' from the first segment on
 *
 * REJECTED  A general parser for all schemes: a crawler follows two, and the paths of opaque
 *   URLs, file drive letters and non-special hosts are half of the standard.
 *
 * SEE   https://url.spec.whatwg.org/#concept-basic-url-parser
 */
#include "lib/url.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <hob/base.h>

#include "lib/url_host.h"

/* Percent-encode sets, one bit each. */
enum { SET_QUERY = 1, SET_PATH = 2, SET_USER = 4, SET_ALL = 7 };

static const uint8_t url_set[256] = {
    [0x00 ... 0x20] = SET_ALL,
    ['"'] = SET_ALL,
    ['#'] = SET_ALL,
    ['\''] = SET_QUERY,
    ['/'] = SET_USER,
    [':'] = SET_USER,
    [';'] = SET_USER,
    ['<'] = SET_ALL,
    ['='] = SET_USER,
    ['>'] = SET_ALL,
    ['?'] = SET_PATH | SET_USER,
    ['@'] = SET_USER,
    ['['] = SET_USER,
    ['\\'] = SET_USER,
    [']'] = SET_USER,
    ['^'] = SET_PATH | SET_USER,
    ['`'] = SET_PATH | SET_USER,
    ['{'] = SET_PATH | SET_USER,
    ['|'] = SET_USER,
    ['}'] = SET_PATH | SET_USER,
    [0x7f ... 0xff] = SET_ALL,
};

struct parser {
    char *at, *end; /* what is left of the input; a scratch copy, so it may be written to */
    char *out;
    size_t len, cap; /* of out; cap leaves room for the NUL */
    bool full;       /* something did not fit */
};

static void put(struct parser *p, const char *s, size_t n)
{
    if (n > p->cap - p->len) { /* (I1) */
        p->full = true;
        return;
    }
    memcpy(p->out + p->len, s, n);
    p->len += n;
}

static void put_char(struct parser *p, char c)
{
    put(p, &c, 1);
}

static void put_encoded(struct parser *p, const char *s, size_t n, unsigned set)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t plain = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (!(url_set[c] & set))
            continue;
        put(p, s + plain, i - plain);
        put(p, (const char[]){'%', hex[c >> 4], hex[c & 15]}, 3);
        plain = i + 1;
    }
    put(p, s + plain, n - plain);
}

static bool is_slash(char c)
{
    return c == '/' || c == '\\';
}

/* The input without what the standard drops (space around, tabs and newlines) and the fragment. */
static int input_copy(const char *in, size_t n, char *scratch, size_t cap, struct parser *p)
{
    size_t to = 0;

    while (n > 0 && (unsigned char)in[n - 1] <= ' ')
        n--;
    while (n > 0 && (unsigned char)in[0] <= ' ') {
        in++;
        n--;
    }
    for (size_t i = 0; i < n && in[i] != '#'; i++) {
        if (in[i] == '\t' || in[i] == '\n' || in[i] == '\r')
            continue;
        if (to == cap)
            return -ENAMETOOLONG;
        scratch[to++] = in[i];
    }
    p->at = scratch;
    p->end = scratch + to;
    return 0;
}

/* Length of "scheme" when the input starts with "scheme:", else 0. */
static size_t scheme_length(const struct parser *p)
{
    for (char *s = p->at; s < p->end; s++) {
        bool letter = (*s | 0x20) >= 'a' && (*s | 0x20) <= 'z';
        bool later = (*s >= '0' && *s <= '9') || *s == '+' || *s == '-' || *s == '.';
        if (*s == ':')
            return (size_t)(s - p->at);
        if (!letter && !(later && s > p->at))
            break;
    }
    return 0;
}

/* Credentials, if any; afterwards the input stands at the host. */
static void parse_credentials(struct parser *p, const char *stop)
{
    char *at_sign = memrchr(p->at, '@', (size_t)(stop - p->at));

    if (!at_sign)
        return;
    size_t n = (size_t)(at_sign - p->at);
    char *colon = memchr(p->at, ':', n);
    size_t user = colon ? (size_t)(colon - p->at) : n;

    put_encoded(p, p->at, user, SET_USER);
    if (user + 1 < n) {
        put_char(p, ':');
        put_encoded(p, colon + 1, n - user - 1, SET_USER);
    }
    if (user > 0 || user + 1 < n)
        put_char(p, '@');
    p->at = at_sign + 1;
}

static int parse_port(struct parser *p, const char *s, const char *stop, struct url *u)
{
    unsigned port = 0;
    char text[8];

    u->port = u->scheme_len == 5 ? 443 : 80;
    if (s == stop)
        return 0;
    for (; s < stop; s++) {
        if (*s < '0' || *s > '9')
            return -EINVAL;
        port = port * 10 + (unsigned)(*s - '0');
        if (port > UINT16_MAX)
            return -EINVAL;
    }
    if (port != u->port)
        put(p, text, (size_t)sprintf(text, ":%u", port));
    u->port = (uint16_t)port;
    return 0;
}

/* The colon that starts the port: the first one outside brackets. */
static char *host_end(char *s, char *stop)
{
    bool bracket = false;

    for (; s < stop; s++) {
        if (*s == '[')
            bracket = true;
        else if (*s == ']')
            bracket = false;
        else if (*s == ':' && !bracket)
            break;
    }
    return s;
}

static int parse_authority(struct parser *p, struct url *u)
{
    char *stop = p->at;

    while (stop < p->end && !is_slash(*stop) && *stop != '?')
        stop++;
    put(p, "//", 2);
    parse_credentials(p, stop);

    char *colon = host_end(p->at, stop);
    char *port = colon < stop ? colon + 1 : stop;
    if (p->full)
        return -ENAMETOOLONG;
    int r = url_host_parse(p->at, (size_t)(colon - p->at), p->out + p->len, p->cap - p->len);
    if (r < 0)
        return r;
    u->host_at = (uint32_t)p->len;
    u->host_len = (uint32_t)r;
    p->len += (size_t)r;
    p->at = stop;
    return parse_port(p, port, stop, u);
}

/* How many dots a segment is, "%2e" counting as one; 0 when it is anything else. */
static unsigned segment_dots(const char *s, size_t n)
{
    unsigned dots = 0;

    for (; n > 0; dots++) {
        size_t step = *s == '.' ? 1 : 0;
        if (n >= 3 && s[0] == '%' && s[1] == '2' && (s[2] | 0x20) == 'e')
            step = 3;
        if (step == 0 || dots == 2)
            return 0;
        s += step;
        n -= step;
    }
    return dots;
}

/* Cuts the last segment, with the '/' before it, off the path. */
static void path_shorten(struct parser *p, size_t path_at)
{
    char *slash = memrchr(p->out + path_at, '/', p->len - path_at);

    if (slash)
        p->len = (size_t)(slash - p->out);
}

/* Segments up to the query; the output may hold an inherited path without its last segment. */
static void parse_path(struct parser *p, size_t path_at)
{
    bool more = true;

    if (p->at < p->end && is_slash(*p->at))
        p->at++;
    while (more) {
        char *s = p->at;

        while (p->at < p->end && !is_slash(*p->at) && *p->at != '?')
            p->at++;
        more = p->at < p->end && *p->at != '?';
        size_t n = (size_t)(p->at - s);
        unsigned dots = n <= 6 ? segment_dots(s, n) : 0;
        if (dots == 2)
            path_shorten(p, path_at);
        if (dots == 0 || !more) { /* (I2) */
            put_char(p, '/');
            put_encoded(p, s, dots ? 0 : n, SET_PATH);
        }
        p->at += more;
    }
}

static void parse_query(struct parser *p)
{
    if (p->at == p->end)
        return;
    put_char(p, '?');
    put_encoded(p, p->at + 1, (size_t)(p->end - p->at) - 1, SET_QUERY);
}

/* The base's text up to `keep`, and the parts that lie in it. */
static bool inherit(struct parser *p, const struct url *base, size_t keep, struct url *u)
{
    put(p, base->text, keep);
    u->scheme_len = base->scheme_len;
    u->host_at = base->host_at;
    u->host_len = base->host_len;
    u->port = base->port;
    u->path_at = base->path_at;
    return !p->full;
}

static int parse_relative(struct parser *p, const struct url *base, struct url *u)
{
    bool empty = p->at == p->end, absolute_path = !empty && is_slash(*p->at);
    size_t keep = empty ? base->len : absolute_path ? base->path_at : base->query_at;

    if (!inherit(p, base, keep, u))
        return -ENAMETOOLONG;
    if (empty) {
        u->query_at = base->query_at;
        return 0;
    }
    if (*p->at != '?') {
        if (!absolute_path)
            path_shorten(p, u->path_at);
        parse_path(p, u->path_at);
    }
    u->query_at = (uint32_t)p->len;
    parse_query(p);
    return 0;
}

static int parse_absolute(struct parser *p, bool secure, struct url *u)
{
    u->scheme_len = secure ? 5 : 4;
    put(p, secure ? "https:" : "http:", u->scheme_len + 1);
    while (p->at < p->end && is_slash(*p->at))
        p->at++;
    int r = parse_authority(p, u);
    if (r < 0)
        return r;
    u->path_at = (uint32_t)p->len;
    parse_path(p, u->path_at);
    u->query_at = (uint32_t)p->len;
    parse_query(p);
    return 0;
}

static bool starts_authority(const struct parser *p)
{
    return p->end - p->at >= 2 && is_slash(p->at[0]) && is_slash(p->at[1]);
}

static int parse_any(struct parser *p, const struct url *base, struct url *u)
{
    size_t scheme = scheme_length(p);
    bool secure = scheme == 5 && strncasecmp(p->at, "https", 5) == 0;

    if (scheme > 0 && !secure && !(scheme == 4 && strncasecmp(p->at, "http", 4) == 0))
        return -EPROTONOSUPPORT;
    if (scheme > 0) {
        p->at += scheme + 1;
        /* "http:path" against a base of the same scheme is relative, as it always was. */
        if (!base || base->scheme_len != scheme || starts_authority(p))
            return parse_absolute(p, secure, u);
    }
    if (!base)
        return -EINVAL;
    if (starts_authority(p))
        return parse_absolute(p, base->scheme_len == 5, u);
    return parse_relative(p, base, u);
}

int url_parse(const char *in, size_t n, const struct url *base, char *buf, size_t cap,
              struct url *ret)
{
    char scratch[URL_MAX];
    struct url u = {.text = buf};
    struct parser p = {.out = buf, .cap = cap - 1};

    if (cap == 0)
        return -ENAMETOOLONG;
    if (p.cap > URL_MAX)
        p.cap = URL_MAX;
    int r = input_copy(in, n, scratch, sizeof scratch, &p);
    if (r < 0)
        return r;
    r = parse_any(&p, base, &u);
    if (r < 0)
        return r;
    if (p.full)
        return -ENAMETOOLONG;
    buf[p.len] = '\0';
    u.len = (uint32_t)p.len;
    *ret = u;
    return 0;
}

int url_new(const char *in, size_t n, const struct url *base, struct url **ret)
{
    char text[URL_MAX + 1];
    struct url u;

    int r = url_parse(in, n, base, text, sizeof text, &u);
    if (r < 0)
        return r;
    struct url *copy = malloc(sizeof *copy + u.len + 1);
    if (!copy)
        return -ENOMEM;
    *copy = u;
    copy->text = memcpy(copy + 1, text, u.len + 1);
    *ret = copy;
    return 0;
}

int url_origin(const struct url *u, char *buf, size_t cap)
{
    /* Between the host and the path there is nothing but the port. */
    size_t tail = u->path_at - u->host_at, n = u->scheme_len + 3 + tail;

    if (n >= cap)
        return -ENAMETOOLONG;
    memcpy(buf, u->text, u->scheme_len + 3);
    memcpy(buf + u->scheme_len + 3, u->text + u->host_at, tail);
    buf[n] = '\0';
    return (int)n;
}

const char *url_path_query(const struct url *u)
{
    return u->text + u->path_at;
}

bool url_same_host(const struct url *a, const struct url *b)
{
    return a->host_len == b->host_len &&
           memcmp(a->text + a->host_at, b->text + b->host_at, a->host_len) == 0;
}

bool url_same_origin(const struct url *a, const struct url *b)
{
    return a->scheme_len == b->scheme_len && a->port == b->port && url_same_host(a, b);
}

const char *url_strerror(int code, const char *text)
{
    switch (code) {
    case -EINVAL:
        return strstr(text, "://") ? "not a valid URL"
                                   : "not a valid URL (one begins with http:// or https://)";
    case -EPROTONOSUPPORT:
        return "only http and https URLs are fetched";
    case -ENAMETOOLONG:
        return "URL longer than 8192 octets";
    default:
        return hob_strerror(code);
    }
}

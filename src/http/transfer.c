/* SPDX-License-Identifier: MIT
 *
 * transfer.c - one libcurl handle: what it is told, what it says, what came of it
 *
 * WHAT        A handle is set up once and used for one hop after another.  A plain GET changes its
 *             URL and headers; after anything else the handle is reset and set up anew.
 *
 * INVARIANTS  (I1) libcurl resolves no name: those it needs were loaded, and the one callback by
 *                  which it would begin a lookup refuses it.  Numeric hosts pass there.
 *             (I2) a guarded transfer connects to no address that the guard refuses: checked where
 *                  the socket is made, whatever came before
 *             (I3) a hop never holds more of a body than body_bytes_max, nor reads much more of a
 *                  redirect's than it takes to keep the connection
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/guard.h"
#include "http/multi.h"

enum {
    BUFFER_BYTES = 32 * 1024,
    REDIRECT_BODY_MAX = 64 * 1024, /* read to keep the connection; beyond it a new one is cheaper */
};

/* ---- what libcurl calls ---- */

/* A callback's way to end the transfer: libcurl returns an error, fail says which. */
static size_t transfer_break(struct transfer *t, int rc)
{
    if (!t->fail)
        t->fail = rc;
    return 0;
}

static size_t on_body(char *p, size_t one, size_t n, void *arg)
{
    struct transfer *t = arg;
    struct hop *hop = t->hop;
    size_t expected = hop->head.length > 0 ? (size_t)hop->head.length : 0;

    (void)one;
    if (t->redirects) {
        hop->got.n += n;
        t->cut = hop->got.n > REDIRECT_BODY_MAX; /* (I3) */
        return t->cut ? 0 : n;
    }
    int r = hob__body_add(&hop->got, p, n, hop->body_bytes_max, expected);
    return r < 0 ? transfer_break(t, r) : n;
}

static size_t on_header(char *p, size_t one, size_t n, void *arg)
{
    struct transfer *t = arg;
    struct hop *hop = t->hop;
    int r = hob__head_line(&hop->head, p, n);

    (void)one;
    if (r < 0)
        return transfer_break(t, r);
    if (!hop->head.complete)
        return n;
    t->redirects = hop->follows && hob__head_redirects(&hop->head);
    if (!t->redirects && hop->head.length > 0 && (uint64_t)hop->head.length > hop->body_bytes_max &&
        strcmp(hop->method, "HEAD") != 0)
        return transfer_break(t, -HOB_ETOOBIG);
    return n;
}

static int on_connected(void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
    struct transfer *t = arg;

    (void)remote_ip;
    (void)local_ip;
    (void)remote_port;
    (void)local_port;
    t->connected = true;
    if (!list_empty(&t->young))
        hob__socks_settle(t, true);
    return CURL_PREREQFUNC_OK;
}

static int on_resolve(void *state, void *reserved, void *arg)
{
    struct transfer *t = arg;

    (void)state;
    (void)reserved;
    return t->numeric ? 0 : 1; /* (I1) */
}

static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct transfer *t = arg;
    hob_addr a = {.len = (socklen_t)to->addrlen};

    (void)purpose;
    if (to->addrlen > sizeof a.sa) {
        transfer_break(t, -HOB_EADDRGUARD);
        return CURL_SOCKET_BAD;
    }
    memcpy(&a.sa, &to->addr, to->addrlen);
    int fd = t->guarded && !hob__http_addr_ok(&a)
                 ? -HOB_EADDRGUARD /* (I2) */
                 : hob__sock_open(t, &a, to->socktype, to->protocol);
    if (fd >= 0)
        return fd;
    transfer_break(t, fd);
    return CURL_SOCKET_BAD;
}

/* ---- setting it up ---- */

#define SET(option, value) curl_easy_setopt(t->easy, CURLOPT_##option, value)

static void set_client(struct transfer *t)
{
    const hob_http *c = t->at->client;
    const struct hob_http_opts *o = &c->opts;

    if (o->connect_ns_max > 200 * HOB_SEC) /* the watchdog's; libcurl has a limit of 300 s */
        SET(CONNECTTIMEOUT_MS, (long)INT32_MAX);
    SET(SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (c->ca_file) {
        SET(CAINFO, c->ca_file);
        SET(PROXY_CAINFO, c->ca_file);
    }
    if (o->insecure) {
        SET(SSL_VERIFYPEER, 0L);
        SET(SSL_VERIFYHOST, 0L);
        SET(PROXY_SSL_VERIFYPEER, 0L);
        SET(PROXY_SSL_VERIFYHOST, 0L);
    }
}

/* What every hop of this client has in common. */
static void set_common(struct transfer *t)
{
    SET(PRIVATE, t);
    SET(NOSIGNAL, 1L);
    SET(PROTOCOLS_STR, "http,https");
    SET(ERRORBUFFER, t->words);
    SET(BUFFERSIZE, (long)BUFFER_BYTES);
    SET(WRITEFUNCTION, on_body);
    SET(WRITEDATA, t);
    SET(HEADERFUNCTION, on_header);
    SET(HEADERDATA, t);
    SET(PREREQFUNCTION, on_connected);
    SET(PREREQDATA, t);
    SET(RESOLVER_START_FUNCTION, on_resolve);
    SET(RESOLVER_START_DATA, t);
    SET(OPENSOCKETFUNCTION, on_socket);
    SET(OPENSOCKETDATA, t);
    SET(CLOSESOCKETFUNCTION, hob__sock_close);
    SET(CLOSESOCKETDATA, t->at); /* a connection outlives its first transfer */
    SET(DNS_CACHE_TIMEOUT, -1L);
    SET(ACCEPT_ENCODING, "");
    SET(SUPPRESS_CONNECT_HEADERS, 1L);
    SET(HEADEROPT, (long)CURLHEADER_SEPARATE);
    SET(PROXY, ""); /* not the environment's */
    set_client(t);
    t->plain = true;
}

/* Gives back what one hop left: lists, and what libcurl was not told after all. */
void hob__transfer_clear(struct transfer *t)
{
    curl_slist_free_all(t->headers);
    t->headers = NULL;
    if (t->resolve) {
        SET(RESOLVE, NULL);
        hob__names_untold(&t->at->names, t->resolve, t->told);
    }
    t->resolve = NULL;
    t->hop = NULL;
}

int hob__transfer_new(struct http_loop *at, struct transfer **ret)
{
    struct transfer *t = calloc(1, sizeof *t);

    if (!t)
        return -ENOMEM;
    if (!(t->easy = curl_easy_init())) {
        free(t);
        return -ENOMEM;
    }
    t->at = at;
    list_init(&t->node);
    list_init(&t->young);
    set_common(t);
    *ret = t;
    return 0;
}

void hob__transfer_free(struct transfer *t)
{
    curl_easy_cleanup(t->easy);
    free(t);
}

static int list_add(struct curl_slist **list, const char *text)
{
    struct curl_slist *longer = curl_slist_append(*list, text);

    if (!longer)
        return -ENOMEM;
    *list = longer;
    return 0;
}

static bool header_given(const struct hop *hop, const char *line)
{
    size_t n = strcspn(line, ":");

    for (size_t i = 0; i < hop->n_headers; i++)
        if (strlen(hop->headers[i].name) == n && strncasecmp(hop->headers[i].name, line, n) == 0)
            return true;
    return false;
}

static int set_headers(struct transfer *t, const struct hop *hop)
{
    const struct curl_slist *ours = t->at->client->headers;
    char *text;
    int r = 0;

    if (hop->n_headers == 0 && hop->body_n == 0) {
        SET(HTTPHEADER, ours);
        return 0;
    }
    for (; ours && r == 0; ours = ours->next)
        if (!header_given(hop, ours->data))
            r = list_add(&t->headers, ours->data);
    for (size_t i = 0; i < hop->n_headers && r == 0; i++) {
        const struct hob_http_header *h = &hop->headers[i];
        /* libcurl's way to say "empty", where "name:" means "not at all". */
        if (asprintf(&text, h->value[0] ? "%s: %s" : "%s;", h->name, h->value) < 0)
            return -ENOMEM;
        r = list_add(&t->headers, text);
        free(text);
    }
    if (hop->body_n > 0 && r == 0)
        r = list_add(&t->headers, "Expect:"); /* no second of waiting for a 100 */
    SET(HTTPHEADER, t->headers);
    return r;
}

/* HTTP/2 shares connections, also one that is in the making: who comes next waits for it.  Without
 * TLS that would be waiting for its first response. */
static void set_version(struct transfer *t, const struct hop *hop)
{
    bool may_share = hop->target->tls && !t->at->client->opts.no_http2;

    SET(HTTP_VERSION, may_share ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
    SET(PIPEWAIT, may_share ? 1L : 0L);
}

static void set_method(struct transfer *t, const struct hop *hop)
{
    if (hop->body || strcmp(hop->method, "POST") == 0) {
        SET(POSTFIELDSIZE_LARGE, (curl_off_t)hop->body_n);
        SET(POSTFIELDS, hop->body ? hop->body : "");
    } else if (strcmp(hop->method, "HEAD") == 0) {
        SET(NOBODY, 1L);
    } else if (strcmp(hop->method, "GET") == 0) {
        return;
    }
    SET(CUSTOMREQUEST, hop->method);
    t->plain = false;
}

static void set_proxy(struct transfer *t, const struct proxy *p)
{
    if (!p)
        return;
    t->plain = false;
    SET(PROXY, p->url);
    if (t->at->client->user_agent[0]) /* for CONNECT: the headers are the target's */
        SET(USERAGENT, t->at->client->user_agent);
    if (p->user) {
        SET(PROXYUSERNAME, p->user);
        SET(PROXYPASSWORD, p->password ? p->password : "");
    }
    /* No alias there, for its certificate is for its name: so no reuse either (target.c). */
    if (p->kind == PROXY_HTTPS && p->user) {
        SET(FRESH_CONNECT, 1L);
        SET(FORBID_REUSE, 1L);
    }
}

static int set_names(struct transfer *t)
{
    int r = 0;

    for (int i = 0; i < 2 && r == 0; i++)
        if (t->name[i])
            r = hob__name_load(&t->at->names, t->name[i]);
    t->resolve = t->at->names.untold;
    t->at->names.untold = NULL;
    if (t->resolve)
        SET(RESOLVE, t->resolve);
    return r;
}

int hob__transfer_set(struct transfer *t, struct hop *hop)
{
    int r;

    if (!t->plain) {
        curl_easy_reset(t->easy);
        set_common(t);
    }
    t->hop = hop;
    t->guarded = !t->at->client->opts.allow_private && !hop->proxy;
    t->numeric = hop->target->numeric || (hop->proxy && hop->proxy->numeric);
    t->told = t->connected = t->redirects = t->cut = t->stopping = false;
    t->code = CURLE_OK;
    t->fail = 0;
    t->moved_bytes = t->window_bytes = 0;
    t->words[0] = '\0';
    set_version(t, hop);
    set_method(t, hop);
    set_proxy(t, hop->proxy);
    if ((r = set_headers(t, hop)) < 0 || (r = set_names(t)) < 0)
        return r;
    return SET(URL, hop->target->url) ? -ENOMEM : 0;
}

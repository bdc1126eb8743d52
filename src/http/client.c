/* SPDX-License-Identifier: MIT
 *
 * client.c - making a client, its options, its end
 */
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hob/fiber.h>
#include <hob/rt.h>

#include "base/opts.h"
#include "http/client.h"
#include "sched/life.h"

enum { REDIRECTS_MAX = 1000, IDLE_CONNECTIONS_MAX = 1 << 20 };

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_ready;

static void curl_begin(void)
{
    curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static bool opts_fine(const struct hob_http_opts *o)
{
    if (o->n_proxies > 0 && !o->proxies)
        return false;
    /* What stands in a header must not begin another one. */
    for (const char *p = o->user_agent; p && *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return false;
    return o->redirects_max <= REDIRECTS_MAX && o->idle_conns_max <= IDLE_CONNECTIONS_MAX &&
           o->connect_ns_max >= 0 && o->idle_ns_max >= 0 && o->names_ns_max >= 0;
}

static void opts_defaults(struct hob_http_opts *o)
{
    if (o->body_bytes_max == 0)
        o->body_bytes_max = 64u << 20;
    if (o->redirects_max == 0)
        o->redirects_max = 10;
    if (o->idle_conns_max == 0)
        o->idle_conns_max = 256;
    if (o->connect_ns_max == 0)
        o->connect_ns_max = 10 * HOB_SEC;
    if (o->idle_ns_max == 0)
        o->idle_ns_max = 60 * HOB_SEC;
    if (o->names_ns_max == 0)
        o->names_ns_max = 60 * HOB_SEC;
}

static int proxies_copy(hob_http *c)
{
    size_t n = c->opts.n_proxies;
    int r = 0;

    if (n == 0)
        return 0;
    c->opts.n_proxies = 0;
    if (!(c->proxies = calloc(n, sizeof c->proxies[0])))
        return -ENOMEM;
    for (size_t i = 0; i < n && r == 0; i++) {
        r = hob__proxy_parse(c->opts.proxies[i], &c->proxies[i]);
        c->opts.n_proxies += r == 0;
    }
    return r;
}

/* What libcurl would put into "Accept-Encoding", asked for all that it can undo. */
static void encodings_list(char to[64])
{
    static const struct {
        int feature;
        const char *names;
    } known[] = {{CURL_VERSION_LIBZ, "deflate, gzip"},
                 {CURL_VERSION_BROTLI, "br"},
                 {CURL_VERSION_ZSTD, "zstd"}};
    int features = curl_version_info(CURLVERSION_NOW)->features, n = 0;

    to[0] = '\0';
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (features & known[i].feature)
            n += snprintf(to + n, 64 - (size_t)n, "%s%s", n ? ", " : "", known[i].names);
}

static int header_add(hob_http *c, const char *name, const char *value)
{
    struct curl_slist *longer = NULL;
    char *line;

    if (!value[0])
        return 0;
    if (asprintf(&line, "%s: %s", name, value) < 0)
        return -ENOMEM;
    longer = curl_slist_append(c->headers, line);
    free(line);
    if (!longer)
        return -ENOMEM;
    c->headers = longer;
    return 0;
}

/* libcurl would print them for each request, and then print them again into it. */
static int headers_make(hob_http *c)
{
    char encodings[64];
    int r = header_add(c, "User-Agent", c->user_agent);

    encodings_list(encodings);
    return r < 0 ? r : header_add(c, "Accept-Encoding", encodings);
}

static int strings_copy(hob_http *c)
{
    const struct hob_http_opts *o = &c->opts;

    if (!(c->user_agent = strdup(o->user_agent ? o->user_agent : "hob/" HOB_VERSION)) ||
        (o->ca_file && !(c->ca_file = strdup(o->ca_file))))
        return -ENOMEM;
    int r = headers_make(c);
    return r < 0 ? r : proxies_copy(c);
}

static void client_free(hob_http *c)
{
    for (size_t i = 0; c->proxies && i < c->opts.n_proxies; i++)
        hob__proxy_fini(&c->proxies[i]);
    free(c->proxies);
    curl_slist_free_all(c->headers);
    free(c->user_agent);
    free(c->ca_file);
    free(c);
}

static int client_new(const struct hob_http_opts *opts, const struct http_ops *ops, hob_http **ret)
{
    hob_http *c;
    int r;

    pthread_once(&curl_once, curl_begin);
    if (curl_ready)
        return -ENOMEM;
    if (!(c = calloc(1, sizeof *c)))
        return -ENOMEM;
    c->ops = ops;
    if ((r = hob__opts_copy(&c->opts, sizeof c->opts, opts)) < 0)
        goto out;
    if (!opts_fine(&c->opts)) {
        c->opts.n_proxies = 0;
        r = -EINVAL;
        goto out;
    }
    opts_defaults(&c->opts);
    r = strings_copy(c);
out:
    if (r < 0)
        client_free(c);
    else
        *ret = c;
    return r;
}

int hob_http_new(const struct hob_http_opts *opts, hob_http **ret)
{
    if (!hob_on_fiber())
        return hob__off_fiber();
    if (hob_simulated())
        return -EOPNOTSUPP;
    return client_new(opts, &hob__http_curl, ret);
}

int hob_http_new_fake(const struct hob_http_opts *opts, const struct hob_http_fake *fake,
                      hob_http **ret)
{
    struct hob_http_fake f;
    hob_http *c = NULL;
    int r;

    if (!hob_on_fiber())
        return hob__off_fiber();
    if (!fake || (r = hob__opts_copy(&f, sizeof f, fake)) < 0)
        return fake ? r : -EINVAL;
    if (!f.answer)
        return -EINVAL;
    if ((r = client_new(opts, &hob__http_fake, &c)) < 0)
        return r;
    c->fake = f;
    *ret = c;
    return 0;
}

void hob_http_free(hob_http *c)
{
    if (!c)
        return;
    c->ops->close(c);
    client_free(c);
}

/* SPDX-License-Identifier: MIT
 *
 * http_util.h - what the tests of the HTTP client share
 */
#ifndef T_HTTP_UTIL_H
#define T_HTTP_UTIL_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hob/hob.h>

#include "lib/httpd.h"
#include "lib/t.h"

/* A server, a client on a runtime, on one poller after the other. */
struct world {
    struct httpd httpd;
    hob_http *client;
    const struct hob_http_opts *opts; /* NULL: the defaults with allow_private */
    void (*body)(struct world *w);
};

static inline char *url_of(const struct httpd *h, const char *path, char to[512])
{
    snprintf(to, 512, "http://127.0.0.1:%u%.480s", h->port, path);
    return to;
}

static inline int world_fiber(void *arg)
{
    struct world *w = arg;

    CHECK_INT(hob_http_new(w->opts ? w->opts : HOB_HTTP_OPTS(.allow_private = true), &w->client),
              0);
    w->body(w);
    hob_http_free(w->client);
    return 0;
}

static inline void world_run(struct world *w)
{
    static const char *const pollers[] = {"uring", "epoll"};

    for (int p = 0; p < 2; p++) {
        setenv("HOB_POLL", pollers[p], 1);
        w->httpd.n_connections = w->httpd.n_requests = w->httpd.n_tunnels = w->httpd.n_open = 0;
        httpd_start(&w->httpd);
        int r = hob_run(NULL, world_fiber, w);
        httpd_stop(&w->httpd);
        if (r != 0 && !(p == 0 && (r == -ENOSYS || r == -EPERM))) /* test_poll_open says so */
            t_fail(__FILE__, __LINE__, "on %s: %d", pollers[p], r);
    }
    unsetenv("HOB_POLL");
}

/* A GET that shall come to `want`; the response is the caller's to free. */
static inline void get_is(struct world *w, const char *path, int want,
                          struct hob_http_response *res)
{
    char url[512];
    int r = hob_http_get(w->client, url_of(&w->httpd, path, url), hob_in(20 * HOB_SEC), res);

    if (r != want)
        t_fail(__FILE__, __LINE__, "GET %s is %d (%s), not %d", path, r, res->reason, want);
    CHECK_INT(res->error, r);
    CHECK((r < 0) == (res->reason[0] != '\0'));
}

/* TEST_HTTP(name) { the body, with a `struct world *w` } */
#define TEST_HTTP_WITH(name, client_opts)                                                          \
    static void http_body_##name(struct world *w);                                                 \
    TEST(name)                                                                                     \
    {                                                                                              \
        struct world w = {.body = http_body_##name, .opts = client_opts};                          \
        world_run(&w);                                                                             \
    }                                                                                              \
    static void http_body_##name(struct world *w)
#define TEST_HTTP(name) TEST_HTTP_WITH(name, NULL)

#endif

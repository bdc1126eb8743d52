/* SPDX-License-Identifier: MIT
 *
 * Servers that fail, lie, stall or never end, and the limits that hold against them.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_util.h"

static void says(const struct hob_http_response *res, const char *words)
{
    if (!strstr(res->reason, words))
        t_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", res->reason, words);
}

/* A GET under a deadline, a longer one each time until its reason has these words. */
static void get_within(struct world *w, const char *path, const char *words)
{
    struct hob_http_response res;
    char url[512];

    for (hob_dur limit = 20 * HOB_MS;; limit *= 2) {
        hob_time began = hob_now();
        int r = hob_http_get(w->client, url_of(&w->httpd, path, url), hob_in(limit), &res);
        if (r != -ETIMEDOUT)
            t_fail(__FILE__, __LINE__, "%s is %d (%s)", path, r, res.reason);
        CHECK(hob_now() - began >= limit);
        if (strstr(res.reason, words))
            return;
    }
}

TEST_HTTP(nobody_listens)
{
    struct hob_http_response res;

    CHECK_INT(hob_http_get(w->client, "http://127.0.0.1:1/", hob_in(20 * HOB_SEC), &res),
              -ECONNREFUSED);
    CHECK_STR(res.reason, "127.0.0.1:1: Connection refused");
    CHECK_INT(hob_http_get(w->client, "http://[::1]:1/", hob_in(20 * HOB_SEC), &res) < 0, 1);
    CHECK(strncmp(res.reason, "[::1]:1: ", 9) == 0);
}

TEST_HTTP(an_answer_that_breaks_off)
{
    struct hob_http_response res;

    get_is(w, "/gone", -ECONNRESET, &res);
    says(&res, "without an answer");
    get_is(w, "/cut", -ECONNRESET, &res);
    says(&res, "90 bytes");
    CHECK(!res.body && !res.headers && res.body_n == 0);
    get_is(w, "/reset", -ECONNRESET, &res);
    get_is(w, "/not-http", -HOB_EHTTP, &res);
}

TEST_HTTP(a_deadline_says_how_far_it_got)
{
    get_within(w, "/silent", "before a response");
    get_within(w, "/loris", "before a response");
    get_within(w, "/half", "after 10 bytes");
    get_within(w, "/drip", "of the body");
    get_within(w, "/endless", "of the body");
    httpd_wait_open(&w->httpd, 0);
}

TEST_HTTP_WITH(silence_ends_at_the_idle_limit,
               HOB_HTTP_OPTS(.allow_private = true, .idle_ns_max = 50 * HOB_MS))
{
    struct hob_http_response res;

    get_is(w, "/silent", -ETIMEDOUT, &res);
    says(&res, "silent for 0.05 s");
    get_is(w, "/half", -ETIMEDOUT, &res);
    get_is(w, "/loris", -ETIMEDOUT, &res); /* half a line of a head is no progress */
    httpd_wait_open(&w->httpd, 0);
}

TEST_HTTP_WITH(a_drip_ends_at_the_least_rate,
               HOB_HTTP_OPTS(.allow_private = true, .idle_ns_max = 100 * HOB_MS,
                             .rate_bytes_min = 10000))
{
    struct hob_http_response res;

    do /* a server that is not let run for so long is silent, which ends it too */
        get_is(w, "/drip", -ETIMEDOUT, &res);
    while (strstr(res.reason, "silent for"));
    says(&res, "least rate");
}

/* A listener whose backlog is full: connecting to it gets no answer. */
static int full_listener(struct sockaddr_in *a, int fill[3])
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof *a;

    *a = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK_INT(bind(fd, (struct sockaddr *)a, sizeof *a), 0);
    CHECK_INT(listen(fd, 0), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)a, &len), 0);
    for (int i = 0; i < 3; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)!connect(fill[i], (struct sockaddr *)a, sizeof *a);
    }
    return fd;
}

TEST_HTTP_WITH(connecting_ends_at_its_own_limit,
               HOB_HTTP_OPTS(.allow_private = true, .connect_ns_max = 500 * HOB_MS))
{
    struct hob_http_response res;
    struct sockaddr_in a;
    hob_http *other = NULL;
    char url[512];
    int fill[3], fd = full_listener(&a, fill);

    CHECK_INT(
        hob_http_new(HOB_HTTP_OPTS(.allow_private = true, .idle_ns_max = 5 * HOB_SEC), &other), 0);
    CHECK_INT(hob_http_get(other, url_of(&w->httpd, "/close", url), hob_in(20 * HOB_SEC), &res), 0);
    hob_http_response_free(&res);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", ntohs(a.sin_port));
    CHECK_INT(hob_http_get(w->client, url, hob_in(20 * HOB_SEC), &res), -ETIMEDOUT);
    says(&res, "no connection within 0.5 s");
    /* libcurl closed that socket without a word: nothing is left of it under its number. */
    CHECK_INT(hob_http_get(other, url_of(&w->httpd, "/", url), hob_in(20 * HOB_SEC), &res), 0);
    hob_http_response_free(&res);
    hob_http_free(other);
    for (int i = 0; i < 3; i++)
        close(fill[i]);
    close(fd);
    get_is(w, "/late/700", 0, &res); /* it limits nothing but the connection */
    hob_http_response_free(&res);
}

TEST_HTTP_WITH(a_body_is_bounded_on_the_wire_and_unpacked,
               HOB_HTTP_OPTS(.allow_private = true, .body_bytes_max = 100000,
                             .idle_ns_max = 4 * HOB_SEC))
{
    struct hob_http_response res;
    char url[512];

    get_is(w, "/bytes/100000", 0, &res);
    hob_http_response_free(&res);
    get_is(w, "/chunked/100000", 0, &res);
    hob_http_response_free(&res);
    get_is(w, "/gzip/100000", 0, &res);
    hob_http_response_free(&res);
    get_is(w, "/bytes/100001", -HOB_ETOOBIG, &res);
    says(&res, "larger than 100000 bytes");
    get_is(w, "/chunked/100001", -HOB_ETOOBIG, &res);
    get_is(w, "/gzip/100001", -HOB_ETOOBIG, &res);
    get_is(w, "/gzip/50000000", -HOB_ETOOBIG, &res); /* 315 KB that would be 50 MB */
    get_is(w, "/endless", -HOB_ETOOBIG, &res);
    get_is(w, "/zip-noise", -HOB_ETOOBIG, &res); /* much is read, nothing comes of it */
    url_of(&w->httpd, "/bytes/100001", url);
    CHECK_INT(hob_http_do(w->client, HOB_HTTP_REQUEST(.url = url, .body_bytes_max = 100001),
                          hob_in(20 * HOB_SEC), &res),
              0);
    hob_http_response_free(&res);
    CHECK_INT(hob_http_do(w->client, HOB_HTTP_REQUEST(.url = url, .body_bytes_max = 10),
                          hob_in(20 * HOB_SEC), &res),
              -HOB_ETOOBIG);
    CHECK_INT(hob_http_do(w->client, HOB_HTTP_REQUEST(.url = url, .method = "HEAD"),
                          hob_in(20 * HOB_SEC), &res),
              0);
    hob_http_response_free(&res);
}

/* ---- cancels ---- */

struct victim {
    struct world *w;
    const char *url;
    int r;
    bool began;
};

static int victim_get(void *arg)
{
    struct victim *v = arg;
    struct hob_http_response res;

    v->began = true;
    /* No limit of size: on a busy machine an endless body would reach it before the cancel. */
    v->r =
        hob_http_do(v->w->client, HOB_HTTP_REQUEST(.url = v->url, .body_bytes_max = SIZE_MAX / 2),
                    hob_in(20 * HOB_SEC), &res);
    hob_http_response_free(&res);
    return 0;
}

/* Five GETs of `url`, cancelled once `n_requests` have arrived and `ms` have gone by. */
static void cancelled(struct world *w, const char *url, unsigned n_requests, int ms)
{
    struct victim v[5];
    hob_group g;

    CHECK_INT(hob_group_open(&g, NULL), 0);
    for (int i = 0; i < 5; i++) {
        v[i] = (struct victim){.w = w, .url = url};
        CHECK_INT(hob_go(&g, victim_get, &v[i]), 0);
    }
    unsigned before = w->httpd.n_requests;
    while (w->httpd.n_requests < before + n_requests)
        CHECK_INT(hob_sleep(HOB_MS), 0);
    if (ms > 0)
        CHECK_INT(hob_sleep(ms * HOB_MS), 0);
    else
        CHECK_INT(hob_yield(), 0);
    hob_group_cancel(&g, -EINTR);
    CHECK_INT(hob_group_join(&g, 0), -EINTR);
    for (int i = 0; i < 5; i++) {
        CHECK(v[i].began);
        CHECK_INT(v[i].r, -ECANCELED);
    }
}

TEST_HTTP(a_cancel_ends_a_request_in_every_phase)
{
    struct sockaddr_in a;
    struct hob_http_response res;
    char url[512];
    int fill[3], fd = full_listener(&a, fill);

    cancelled(w, url_of(&w->httpd, "/silent", url), 0, 0); /* handed over, not begun */
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", ntohs(a.sin_port));
    cancelled(w, url, 0, 10); /* connecting */
    cancelled(w, url_of(&w->httpd, "/silent", url), 5, 0);
    cancelled(w, url_of(&w->httpd, "/loris", url), 5, 20);
    cancelled(w, url_of(&w->httpd, "/half", url), 5, 20);
    cancelled(w, url_of(&w->httpd, "/drip", url), 5, 20);
    cancelled(w, url_of(&w->httpd, "/endless", url), 5, 20);
    httpd_wait_open(&w->httpd, 0); /* what was cancelled keeps no connection */
    for (int i = 0; i < 3; i++)
        close(fill[i]);
    close(fd);
    get_is(w, "/", 0, &res);
    hob_http_response_free(&res);
}

static int get_in_a_cancelled_scope(void *arg)
{
    struct world *w = arg;
    struct hob_http_response res;
    char url[512];

    CHECK_INT(hob_sleep(HOB_SEC), -ECANCELED);
    return hob_http_get(w->client, url_of(&w->httpd, "/", url), hob_in(HOB_SEC), &res);
}

TEST_HTTP(a_cancelled_scope_sends_nothing)
{
    hob_group g;

    CHECK_INT(hob_group_open(&g, NULL), 0);
    CHECK_INT(hob_go(&g, get_in_a_cancelled_scope, w), 0);
    CHECK_INT(hob_yield(), 0);
    hob_group_cancel(&g, -EINTR);
    CHECK_INT(hob_group_join(&g, 0), -EINTR);
    CHECK_INT(w->httpd.n_requests, 0);
}

static int free_in_a_cancelled_scope(void *arg)
{
    struct world *w = arg;

    CHECK_INT(hob_sleep(HOB_SEC), -ECANCELED);
    hob_http_free(w->client);
    w->client = NULL;
    return 0;
}

TEST_HTTP(a_client_is_freed_in_a_cancelled_scope)
{
    struct hob_http_response res;
    hob_group g;

    get_is(w, "/", 0, &res);
    hob_http_response_free(&res);
    CHECK_INT(hob_group_open(&g, NULL), 0);
    CHECK_INT(hob_go(&g, free_in_a_cancelled_scope, w), 0);
    CHECK_INT(hob_yield(), 0);
    hob_group_cancel(&g, -EINTR);
    CHECK_INT(hob_group_join(&g, 0), -EINTR);
    httpd_wait_open(&w->httpd, 0);
}

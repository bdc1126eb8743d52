/* SPDX-License-Identifier: MIT */
#include "http_util.h"

static void redirect_to(struct world *w, int status, const char *to, const char *want)
{
    struct hob_http_response res;
    char path[600], url[512];

    snprintf(path, sizeof path, "/to/%d?%s", status, to);
    get_is(w, path, 0, &res);
    CHECK_INT(res.status, 200);
    CHECK_INT(res.n_redirects, 1);
    CHECK_STR(res.final_url, url_of(&w->httpd, want, url));
    hob_http_response_free(&res);
}

TEST_HTTP(a_redirect_is_resolved_against_where_it_came_from)
{
    static const int statuses[] = {301, 302, 303, 307, 308};
    char url[512];

    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        redirect_to(w, statuses[i], "/bytes/3", "/bytes/3");
        redirect_to(w, statuses[i], url_of(&w->httpd, "/bytes/4", url), "/bytes/4");
    }
    redirect_to(w, 302, "bytes/4", "/to/bytes/4");
    redirect_to(w, 302, "../bytes/1", "/bytes/1");
    redirect_to(w, 302, "./../x/.././bytes/2?q=1", "/bytes/2?q=1");
    redirect_to(w, 302, "../../../../bytes/1", "/bytes/1");
    snprintf(url, sizeof url, "//127.0.0.1:%u/bytes/9", w->httpd.port);
    redirect_to(w, 302, url, "/bytes/9");
}

TEST_HTTP(a_redirect_without_a_fragment_keeps_the_old_one)
{
    struct hob_http_response res;
    char url[512];

    get_is(w, "/to/302//bytes/3#one", 0, &res);
    CHECK_STR(res.final_url, url_of(&w->httpd, "/bytes/3#one", url));
    hob_http_response_free(&res);
    get_is(w, "/to/302?%2Fbytes/3#one", 0, &res);
    hob_http_response_free(&res);
}

TEST_HTTP(redirects_end_at_the_limit)
{
    struct hob_http_response res;

    get_is(w, "/next/9", 0, &res); /* /next/8 ... /next/0, / */
    CHECK_INT(res.n_redirects, 10);
    hob_http_response_free(&res);
    get_is(w, "/next/10", -HOB_EREDIRECT, &res);
    CHECK_INT(res.n_redirects, 10);
    CHECK(strstr(res.reason, "more than 10"));
}

TEST_HTTP_WITH(the_limit_of_redirects_can_be_set,
               HOB_HTTP_OPTS(.allow_private = true, .redirects_max = 100))
{
    struct hob_http_response res;

    get_is(w, "/next/99", 0, &res);
    CHECK_INT(res.n_redirects, 100);
    hob_http_response_free(&res);
}

TEST_HTTP(a_circle_is_seen_at_once)
{
    struct hob_http_response res;

    get_is(w, "/circle", -HOB_EREDIRECT, &res);
    CHECK_INT(res.n_redirects, 1);
    CHECK(strstr(res.reason, "circle"));
    CHECK_INT(w->httpd.n_requests, 1);
}

TEST_HTTP(a_redirect_to_what_is_no_http_url_fails)
{
    static const char *const to[] = {"ftp://127.0.0.1/", "file:///etc/passwd",   "javascript:1",
                                     "http://",          "mailto:x@example.com", "http://[/"};
    struct hob_http_response res;
    char path[100];

    for (size_t i = 0; i < sizeof to / sizeof to[0]; i++) {
        snprintf(path, sizeof path, "/to/302/%s", to[i]);
        get_is(w, path, -HOB_EREDIRECT, &res);
        CHECK(strstr(res.reason, "redirect to"));
    }
}

TEST_HTTP(a_redirect_may_be_the_response)
{
    struct hob_http_response res;
    char url[512];

    CHECK_INT(hob_http_do(w->client,
                          HOB_HTTP_REQUEST(.url = url_of(&w->httpd, "/to/302//", url),
                                           .no_redirects = true),
                          hob_in(20 * HOB_SEC), &res),
              0);
    CHECK_INT(res.status, 302);
    CHECK_STR(hob_http_response_header(&res, "location"), "/");
    CHECK_STR(res.body, "moved");
    hob_http_response_free(&res);
    get_is(w, "/status/302", 0, &res); /* without a Location it is no redirect */
    CHECK_INT(res.status, 302);
    hob_http_response_free(&res);
}

TEST_HTTP(nobody_waits_for_the_body_of_a_redirect)
{
    struct hob_http_response res;

    get_is(w, "/to-endless", 0, &res);
    CHECK_STR(res.body, "hello\n");
    CHECK_INT(w->httpd.n_connections, 2);
    hob_http_response_free(&res);
}

/* What arrives at the end of a redirect from `status`, sent as `method` with a body. */
static void rewritten(struct world *w, int status, const char *method, const char *line, bool body)
{
    const struct hob_http_header headers[] = {{"Content-Type", "text/x-mine"}, {"X-Kept", "yes"}};
    struct hob_http_response res;
    char path[64], url[512];
    int r;

    snprintf(path, sizeof path, "/to/%d//echo", status);
    r = hob_http_do(w->client,
                    HOB_HTTP_REQUEST(.url = url_of(&w->httpd, path, url), .method = method,
                                     .headers = headers, .n_headers = 2, .body = "body!",
                                     .body_n = 5),
                    hob_in(20 * HOB_SEC), &res);
    CHECK_INT(r, 0);
    if (strncmp(res.body, line, strlen(line)) != 0)
        t_fail(__FILE__, __LINE__, "%s after %d is %.20s", method, status, res.body);
    CHECK_INT(strstr(res.body, "\r\n\r\nbody!") != NULL, body);
    CHECK_INT(strstr(res.body, "text/x-mine") != NULL, body);
    CHECK(strstr(res.body, "X-Kept: yes"));
    hob_http_response_free(&res);
}

TEST_HTTP(methods_are_rewritten_as_rfc_9110_says)
{
    rewritten(w, 301, "POST", "GET /echo", false);
    rewritten(w, 302, "POST", "GET /echo", false);
    rewritten(w, 303, "POST", "GET /echo", false);
    rewritten(w, 307, "POST", "POST /echo", true);
    rewritten(w, 308, "POST", "POST /echo", true);
    rewritten(w, 301, "PUT", "PUT /echo", true);
    rewritten(w, 302, "PUT", "PUT /echo", true);
    rewritten(w, 303, "PUT", "GET /echo", false);
}

/* GET of `url` with secrets in its headers; whether they, and those in the URL, arrived. */
static void secrets_arrive(struct world *w, const char *url, bool headers_do, bool userinfo_does)
{
    const struct hob_http_header headers[] = {
        {"Authorization", "Bearer geheim"}, {"cookie", "id=geheim"}, {"X-Other", "1"}};
    struct hob_http_response res;
    int r = hob_http_do(
        w->client,
        HOB_HTTP_REQUEST(.url = url, .headers = headers, .n_headers = userinfo_does ? 0 : 3),
        hob_in(20 * HOB_SEC), &res);

    CHECK_INT(r, 0);
    CHECK_INT(strstr(res.body, "Bearer geheim") != NULL, headers_do);
    CHECK_INT(strstr(res.body, "id=geheim") != NULL, headers_do);
    CHECK_INT(strstr(res.body, "Authorization: Basic") != NULL, userinfo_does);
    CHECK(!strstr(res.final_url, "geheim"));
    hob_http_response_free(&res);
}

TEST_HTTP(credentials_go_to_their_origin_alone)
{
    struct httpd other = {.port = 0};
    struct hob_http_response res;
    char url[700], there[512];

    httpd_start(&other);
    secrets_arrive(w, url_of(&w->httpd, "/to/302//echo", url), true, false);
    url_of(&other, "/echo", there);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/to/302/%s", w->httpd.port, there);
    secrets_arrive(w, url, false, false);
    /* Another origin that sends them back to the first: they do not come with it. */
    snprintf(url, sizeof url,
             "http://127.0.0.1:%u/to/302/http://127.0.0.1:%u/to/302/http://127.0.0.1:%u/echo",
             w->httpd.port, other.port, w->httpd.port);
    secrets_arrive(w, url, false, false);
    snprintf(url, sizeof url, "http://ich:geheim@127.0.0.1:%u/to/302//echo", w->httpd.port);
    secrets_arrive(w, url, false, true);
    snprintf(url, sizeof url, "http://ich:geheim@127.0.0.1:%u/to/302/%s", w->httpd.port, there);
    CHECK_INT(hob_http_get(w->client, url, hob_in(20 * HOB_SEC), &res), 0);
    CHECK(!strstr(res.body, "Authorization"));
    hob_http_response_free(&res);
    /* Nor do they show in a reason. */
    snprintf(url, sizeof url, "http://ich:geheim@127.0.0.1:%u/circle", w->httpd.port);
    CHECK_INT(hob_http_get(w->client, url, hob_in(20 * HOB_SEC), &res), -HOB_EREDIRECT);
    CHECK(!strstr(res.reason, "geheim"));
    snprintf(url, sizeof url, "http://ich:geheim@127.0.0.1:99999/");
    CHECK_INT(hob_http_get(w->client, url, hob_in(20 * HOB_SEC), &res), -EINVAL);
    CHECK(!strstr(res.reason, "geheim"));
    httpd_stop(&other);
}

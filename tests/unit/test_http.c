/* SPDX-License-Identifier: MIT */
#include <sys/resource.h>

#include "http_util.h"

TEST_HTTP(a_get_brings_status_headers_and_body)
{
    struct hob_http_response res;
    char url[512];

    get_is(w, "/some/path?q=1#part", 0, &res);
    CHECK_INT(res.status, 200);
    CHECK_INT(res.body_n, 6);
    CHECK_STR(res.body, "hello\n");
    CHECK_STR(res.content_type, "text/plain; charset=utf-8");
    CHECK_STR(hob_http_response_header(&res, "x-TWO"), "1");
    CHECK_INT(res.n_headers, 4);
    CHECK_STR(res.headers[3].name, "X-two");
    CHECK_STR(res.headers[3].value, "2");
    CHECK(!hob_http_response_header(&res, "x-three"));
    CHECK_STR(res.final_url, url_of(&w->httpd, "/some/path?q=1#part", url));
    CHECK_INT(res.n_redirects, 0);
    CHECK_INT(res.http_version, 11);
    CHECK(!res.reused && res.total > 0 && res.first_byte > 0 && res.connecting > 0);
    snprintf(url, sizeof url, "127.0.0.1:%u", w->httpd.port);
    CHECK_STR(res.remote, url);
    hob_http_response_free(&res);
    CHECK(!res.body);
    hob_http_response_free(&res);
}

TEST_HTTP(a_failed_status_is_a_result)
{
    static const int status[] = {204, 304, 400, 401, 404, 418, 429, 500, 503, 999};
    struct hob_http_response res;
    char path[32];

    for (size_t i = 0; i < sizeof status / sizeof status[0]; i++) {
        snprintf(path, sizeof path, "/status/%d", status[i]);
        get_is(w, path, 0, &res);
        CHECK_INT(res.status, status[i]);
        CHECK_INT(res.body_n, 0);
        CHECK_STR(res.body, "");
        CHECK_STR(res.content_type, "");
        hob_http_response_free(&res);
    }
}

static void all_are(const struct hob_http_response *res, char c, size_t n)
{
    CHECK_INT(res->status, 200);
    CHECK_INT(res->body_n, n);
    for (size_t i = 0; i < n; i++)
        if (res->body[i] != c)
            t_fail(__FILE__, __LINE__, "byte %zu is %d", i, res->body[i]);
    CHECK_INT(res->body[n], 0);
}

TEST_HTTP(bodies_of_every_size_and_coding_arrive_whole)
{
    static const size_t sizes[] = {0, 1, 999, 1000, 1001, 16383, 16384, 32768, 65535, 2500000};
    struct hob_http_response res;
    char path[32];

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        snprintf(path, sizeof path, "/bytes/%zu", sizes[i]);
        get_is(w, path, 0, &res);
        all_are(&res, 'x', sizes[i]);
        hob_http_response_free(&res);
        snprintf(path, sizeof path, "/chunked/%zu", sizes[i]);
        get_is(w, path, 0, &res);
        all_are(&res, 'c', sizes[i]);
        hob_http_response_free(&res);
        snprintf(path, sizeof path, "/gzip/%zu", sizes[i]);
        get_is(w, path, 0, &res);
        all_are(&res, '\0', sizes[i]);
        hob_http_response_free(&res);
    }
    CHECK_INT(w->httpd.n_connections, 1);
}

TEST_HTTP(heads_with_an_early_one_a_trailer_or_many_fields)
{
    struct hob_http_response res;

    get_is(w, "/early", 0, &res);
    CHECK_INT(res.status, 200);
    CHECK(!hob_http_response_header(&res, "x-early"));
    hob_http_response_free(&res);
    get_is(w, "/trailer", 0, &res);
    CHECK_INT(res.body_n, 10);
    CHECK(!hob_http_response_header(&res, "x-trailer"));
    hob_http_response_free(&res);
    get_is(w, "/fields/500", 0, &res);
    CHECK_INT(res.n_headers, 501);
    CHECK_STR(hob_http_response_header(&res, "X-Field-499"), "value 499");
    hob_http_response_free(&res);
    get_is(w, "/fields/1001", -HOB_EHTTP, &res);
    get_is(w, "/big-head", -HOB_EHTTP, &res);
}

static void do_is(struct world *w, struct hob_http_request *req, const char *path,
                  struct hob_http_response *res)
{
    char url[512];

    req->url = url_of(&w->httpd, path, url);
    int r = hob_http_do(w->client, req, hob_in(20 * HOB_SEC), res);
    if (r != 0)
        t_fail(__FILE__, __LINE__, "%s is %d: %s", path, r, res->reason);
}

TEST_HTTP(a_request_is_sent_as_asked)
{
    const struct hob_http_header headers[] = {
        {"X-One", "eins"}, {"X-Empty", ""}, {"Content-Type", "application/json"}};
    struct hob_http_request req = {
        .size = sizeof req, .headers = headers, .n_headers = 3, .body = "{\"a\":1}", .body_n = 7};
    struct hob_http_response res;

    do_is(w, &req, "/echo", &res);
    CHECK(strncmp(res.body, "POST /echo HTTP/1.1\r\n", 21) == 0);
    CHECK(strstr(res.body, "\r\nX-One: eins\r\n"));
    CHECK(strstr(res.body, "\r\nX-Empty:\r\n"));
    CHECK(strstr(res.body, "\r\nContent-Type: application/json\r\n"));
    CHECK(strstr(res.body, "\r\nUser-Agent: hob/" HOB_VERSION "\r\n"));
    CHECK(strstr(res.body, "\r\nContent-Length: 7\r\n"));
    CHECK(!strstr(res.body, "Expect:"));
    CHECK(strstr(res.body, "\r\n\r\n{\"a\":1}"));
    hob_http_response_free(&res);
    req.method = "PUT";
    do_is(w, &req, "/echo", &res);
    CHECK(strncmp(res.body, "PUT /echo ", 10) == 0 && strstr(res.body, "\r\n\r\n{\"a\":1}"));
    hob_http_response_free(&res);
    /* Nothing of it is left on the handle for the next one. */
    req = (struct hob_http_request){.size = sizeof req};
    do_is(w, &req, "/echo", &res);
    CHECK(strncmp(res.body, "GET /echo ", 10) == 0);
    CHECK(!strstr(res.body, "X-One") && !strstr(res.body, "Content-"));
    hob_http_response_free(&res);
    req.method = "DELETE";
    do_is(w, &req, "/echo", &res);
    CHECK(strncmp(res.body, "DELETE /echo ", 13) == 0 && !strstr(res.body, "Content-Length"));
    hob_http_response_free(&res);
    req.method = "HEAD";
    do_is(w, &req, "/bytes/5000", &res);
    CHECK_INT(res.body_n, 0);
    CHECK_STR(hob_http_response_header(&res, "content-length"), "5000");
    hob_http_response_free(&res);
    req.method = "POST";
    do_is(w, &req, "/echo", &res);
    CHECK(strncmp(res.body, "POST /echo ", 11) == 0 && strstr(res.body, "Content-Length: 0\r\n"));
    hob_http_response_free(&res);
}

TEST_HTTP_WITH(a_user_agent_of_ones_own,
               HOB_HTTP_OPTS(.allow_private = true, .user_agent = "mine/1"))
{
    struct hob_http_response res;

    get_is(w, "/echo", 0, &res);
    CHECK(strstr(res.body, "\r\nUser-Agent: mine/1\r\n"));
    hob_http_response_free(&res);
}

TEST_HTTP(a_request_that_makes_no_sense_is_refused)
{
    static const char *const urls[] = {
        "",        "/path",           "ftp://127.0.0.1/", "file:///etc/passwd",
        "http://", "http://a b/",     "http://a:99999/",  "gopher://x/",
        "http:",   "http://[::1:80/", "javascript:1",     "http://%00/"};
    const struct hob_http_header bad[] = {{"X Y", "1"}, {"X", "1\r\nY: 2"}, {"", "1"}, {NULL, "1"}};
    struct hob_http_response res;

    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        int r = hob_http_get(w->client, urls[i], hob_in(HOB_SEC), &res);
        if (r != -EINVAL)
            t_fail(__FILE__, __LINE__, "%s is %d: %s", urls[i], r, res.reason);
        CHECK(res.reason[0] && !res.body && !res.storage);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_INT(hob_http_do(w->client,
                              HOB_HTTP_REQUEST(.url = "http://127.0.0.1/", .headers = &bad[i],
                                               .n_headers = 1),
                              hob_in(HOB_SEC), &res),
                  -EINVAL);
    CHECK_INT(hob_http_do(w->client,
                          HOB_HTTP_REQUEST(.url = "http://127.0.0.1/", .method = "GET /\r\n"),
                          hob_in(HOB_SEC), &res),
              -EINVAL);
    CHECK_INT(hob_http_do(w->client,
                          HOB_HTTP_REQUEST(.url = "http://127.0.0.1/", .proxy = "ftp://x:1"),
                          hob_in(HOB_SEC), &res),
              -EINVAL);
    CHECK_INT(hob_http_do(w->client, NULL, hob_in(HOB_SEC), &res), -EINVAL);
    CHECK_INT(w->httpd.n_connections, 0);
}

TEST(a_client_needs_a_fiber_and_known_options)
{
    struct hob_http_response res;
    hob_http *c = NULL;

    CHECK_INT(hob_http_new(NULL, &c), -EPERM);
    CHECK(!c);
    CHECK_INT(hob_http_get(NULL, "http://127.0.0.1/", HOB_FOREVER, &res), -EPERM);
    CHECK(res.reason[0]);
    hob_http_free(NULL);
}

static int options(void *arg)
{
    static const char *const proxies[] = {"http://127.0.0.1:1", "nonsense://x"};
    struct {
        struct hob_http_opts o;
        int more;
    } newer = {.o.size = sizeof newer, .more = 1};
    hob_http *c = NULL;

    (void)arg;
    CHECK_INT(hob_http_new(&newer.o, &c), -E2BIG);
    CHECK_INT(hob_http_new(HOB_HTTP_OPTS(.proxies = proxies, .n_proxies = 2), &c), -EINVAL);
    CHECK_INT(hob_http_new(HOB_HTTP_OPTS(.n_proxies = 2), &c), -EINVAL);
    CHECK_INT(hob_http_new(HOB_HTTP_OPTS(.connect_ns_max = -1), &c), -EINVAL);
    CHECK_INT(hob_http_new(HOB_HTTP_OPTS(.user_agent = "x\r\nX-Injected: 1"), &c), -EINVAL);
    CHECK_INT(hob_http_new(HOB_HTTP_OPTS(.redirects_max = 100000), &c), -EINVAL);
    CHECK(!c);
    CHECK_INT(hob_http_new(NULL, &c), 0);
    hob_http_free(c);
    return 0;
}

TEST(options_out_of_range_are_refused)
{
    CHECK_INT(hob_run(NULL, options, NULL), 0);
}

/* ---- connections ---- */

TEST_HTTP(a_connection_is_kept_and_used_again)
{
    struct hob_http_response res;

    for (int i = 0; i < 20; i++) {
        get_is(w, i % 2 ? "/bytes/30000" : "/chunked/30000", 0, &res);
        CHECK_INT(res.reused, i > 0);
        CHECK(i == 0 || res.connecting == 0);
        hob_http_response_free(&res);
    }
    CHECK_INT(w->httpd.n_connections, 1);
    get_is(w, "/close", 0, &res);
    hob_http_response_free(&res);
    get_is(w, "/", 0, &res);
    CHECK(!res.reused);
    CHECK_INT(w->httpd.n_connections, 2);
    hob_http_response_free(&res);
}

TEST_HTTP(a_connection_that_its_server_left_is_not_missed)
{
    struct hob_http_response res;

    for (int i = 0; i < 10; i++) {
        get_is(w, "/leave", 0, &res);
        hob_http_response_free(&res);
        if (i % 2)
            httpd_wait_open(&w->httpd, 0); /* else it ends while the next request is sent */
    }
    CHECK_INT(w->httpd.n_connections, 10);
}

static hob_dur cpu_time(void)
{
    struct rusage u;

    getrusage(RUSAGE_THREAD, &u);
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * HOB_SEC +
           (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * HOB_US;
}

TEST_HTTP(an_idle_connection_that_ended_costs_nothing)
{
    struct hob_http_response res;

    get_is(w, "/leave", 0, &res);
    hob_http_response_free(&res);
    httpd_wait_open(&w->httpd, 0);
    hob_dur before = cpu_time();
    CHECK_INT(hob_sleep(200 * HOB_MS), 0);
    CHECK(cpu_time() - before < 50 * HOB_MS);
}

struct one {
    struct world *w;
    const char *path;
    int r;
    struct hob_http_response res;
};

static int one_get(void *arg)
{
    struct one *o = arg;
    char url[512];

    o->r = hob_http_get(o->w->client, url_of(&o->w->httpd, o->path, url), hob_in(20 * HOB_SEC),
                        &o->res);
    return 0;
}

static void many(struct world *w, int n, const char *path, bool spread)
{
    struct one *all = calloc((size_t)n, sizeof *all);
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = spread));

    for (int i = 0; i < n && r == 0; i++) {
        all[i].w = w;
        all[i].path = path;
        r = hob_go(&g, one_get, &all[i]);
    }
    CHECK_INT(hob_group_join(&g, r), 0);
    for (int i = 0; i < n; i++) {
        if (all[i].r != 0)
            t_fail(__FILE__, __LINE__, "request %d is %d: %s", i, all[i].r, all[i].res.reason);
        CHECK_INT(all[i].res.status, 200);
        hob_http_response_free(&all[i].res);
    }
    free(all);
}

TEST_HTTP(a_hundred_are_under_way_at_once)
{
    many(w, 100, "/meet/100", false); /* none is answered before all have come */
    CHECK_INT(w->httpd.n_connections, 100);
    many(w, 100, "/bytes/29000", false);
    CHECK_INT(w->httpd.n_connections, 100);
}

TEST_HTTP_WITH(idle_connections_are_bounded,
               HOB_HTTP_OPTS(.allow_private = true, .idle_conns_max = 5))
{
    many(w, 50, "/late/20", false);
    httpd_wait_open(&w->httpd, 5);
}

static void spread_body(struct world *w)
{
    many(w, 60, "/late/5", true);
    many(w, 60, "/bytes/1000", true);
}

TEST(each_loop_has_its_own_connections)
{
    struct world w = {.body = spread_body};

    setenv("HOB_LOOPS", "3", 1);
    world_run(&w);
    unsetenv("HOB_LOOPS");
}

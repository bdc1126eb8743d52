/* SPDX-License-Identifier: MIT
 *
 * The client over a fake: the same on the real clock and simulated.
 */
#include "http_util.h"
#include "lib/each.h"
#include "sched/rt.h"

enum { N_PAGES = 30 };

struct site {
    hob_http *client;
    int n_asked, n_live, live_max;
    int order[2 * N_PAGES], n_order;
    char seen[8][64]; /* METHOD URL body of the last request's hops */
    int n_seen;
};

static void site_reset(void *arg)
{
    memset(arg, 0, sizeof(struct site));
}

static void answer(void *arg, const struct hob_http_request *req, struct hob_http_answer *ret)
{
    static const struct hob_http_header to_page[] = {{"Location", "/page"}},
                                        circle[] = {{"Location", "/circle"}},
                                        html[] = {{"Content-Type", "text/html"}};
    static const char big[1000];
    struct site *s = arg;
    const char *path = strchr(req->url + 7, '/');

    s->n_asked++;
    if (s->n_seen < 8)
        snprintf(s->seen[s->n_seen++], 64, "%s %s %.*s", req->method, req->url, (int)req->body_n,
                 req->body ? (const char *)req->body : "");
    ret->headers = html;
    ret->n_headers = 1;
    ret->body = path;
    ret->body_n = strlen(path);
    if (strncmp(path, "/late/", 6) == 0) {
        ret->latency = atoi(path + 6) * HOB_MS;
    } else if (strncmp(path, "/status/", 8) == 0) {
        ret->status = (uint32_t)atoi(path + 8);
    } else if (strcmp(path, "/moved") == 0 || strcmp(path, "/circle") == 0) {
        ret->status = 303;
        ret->headers = path[1] == 'm' ? to_page : circle;
        ret->latency = HOB_MS;
    } else if (strcmp(path, "/broken") == 0) {
        ret->error = -ECONNRESET;
        ret->latency = HOB_MS;
    } else if (strcmp(path, "/tls") == 0) {
        ret->error = -HOB_ETLS;
        ret->reason = "the moon is wrong";
    } else if (strcmp(path, "/big") == 0) {
        ret->body = big;
        ret->body_n = sizeof big;
    }
}

static int fake_get(struct site *s, const char *url, hob_dur limit, struct hob_http_response *res)
{
    s->n_seen = 0;
    return hob_http_get(s->client, url, hob_in(limit), res);
}

static void client_begin(struct site *s, const struct hob_http_opts *opts)
{
    CHECK_INT(hob_http_new_fake(opts, HOB_HTTP_FAKE(.answer = answer, .arg = s), &s->client), 0);
}

static int all_kinds(void *arg)
{
    struct site *s = arg;
    struct hob_http_response res;

    client_begin(s, HOB_HTTP_OPTS(.body_bytes_max = 500));
    CHECK_INT(fake_get(s, "http://site.test/page?x", HOB_SEC, &res), 0);
    CHECK_INT(res.status, 200);
    CHECK_STR(res.body, "/page?x");
    CHECK_STR(res.content_type, "text/html");
    CHECK_STR(res.final_url, "http://site.test/page?x");
    hob_http_response_free(&res);
    CHECK_INT(fake_get(s, "http://site.test/status/404", HOB_SEC, &res), 0);
    CHECK_INT(res.status, 404);
    hob_http_response_free(&res);
    CHECK_INT(
        hob_http_do(s->client,
                    HOB_HTTP_REQUEST(.url = "http://site.test/moved", .body = "b", .body_n = 1),
                    hob_in(HOB_SEC), &res),
        0);
    CHECK_STR(res.final_url, "http://site.test/page");
    CHECK_STR(s->seen[1], "POST http://site.test/moved b");
    CHECK_STR(s->seen[2], "GET http://site.test/page ");
    hob_http_response_free(&res);
    CHECK_INT(fake_get(s, "http://site.test/circle", HOB_SEC, &res), -HOB_EREDIRECT);
    CHECK_INT(fake_get(s, "http://site.test/broken", HOB_SEC, &res), -ECONNRESET);
    CHECK_STR(res.reason, "site.test: Connection reset by peer");
    CHECK_INT(fake_get(s, "http://site.test/tls", HOB_SEC, &res), -HOB_ETLS);
    CHECK_STR(res.reason, "site.test: the moon is wrong");
    CHECK_INT(fake_get(s, "http://site.test/big", HOB_SEC, &res), -HOB_ETOOBIG);
    hob_time began = hob_now();
    CHECK_INT(fake_get(s, "http://site.test/late/20", 5 * HOB_MS, &res), -ETIMEDOUT);
    CHECK(hob_now() - began >= 5 * HOB_MS);
    CHECK_INT(fake_get(s, "http://site.test/late/20", HOB_SEC, &res), 0);
    CHECK(res.total >= 20 * HOB_MS);
    hob_http_response_free(&res);
    hob_http_free(s->client);
    return 0;
}

TEST(a_fake_answers_as_a_server_would)
{
    struct site s;

    t_timeout(60);
    each_world_run(all_kinds, &s, site_reset, 0);
}

struct page {
    struct site *s;
    int i, r;
};

static int one_page(void *arg)
{
    struct page *p = arg;
    struct hob_http_response res;
    char url[64];

    snprintf(url, sizeof url, "http://site.test/late/%d", p->i % 3);
    if (++p->s->n_live > p->s->live_max)
        p->s->live_max = p->s->n_live;
    p->r = hob_http_get(p->s->client, url, hob_in(10 * HOB_SEC), &res);
    p->s->n_live--;
    p->s->order[p->s->n_order++] = p->i;
    hob_http_response_free(&res);
    return 0;
}

static int all_pages(void *arg)
{
    struct site *s = arg;
    struct page page[N_PAGES];
    hob_group g;

    client_begin(s, NULL);
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.max_live = 10));
    for (int i = 0; i < N_PAGES && r == 0; i++) {
        page[i] = (struct page){s, i, -1};
        r = hob_go(&g, one_page, &page[i]);
    }
    r = hob_group_join(&g, r);
    for (int i = 0; i < N_PAGES; i++)
        CHECK_INT(page[i].r, 0);
    CHECK_INT(s->n_asked, N_PAGES);
    CHECK(s->live_max > 1 && s->live_max <= 10);
    hob_http_free(s->client);
    return r;
}

TEST(requests_to_a_fake_run_at_once)
{
    struct site s;

    t_timeout(60);
    each_world_run(all_pages, &s, site_reset, 0);
}

TEST(a_seed_is_a_schedule_and_seeds_differ)
{
    struct site a, b;
    int n_other = 0;

    setenv("HOB_LOOPS", "1", 1);
    for (int seed = 0; seed < 50; seed++) {
        char text[16];
        snprintf(text, sizeof text, "%d", seed);
        setenv("HOB_SIM", text, 1);
        site_reset(&a);
        CHECK_INT(hob_run(NULL, all_pages, &a), 0);
        uint64_t hash = hob__sim_hash();
        site_reset(&b);
        CHECK_INT(hob_run(NULL, all_pages, &b), 0);
        CHECK_INT(hob__sim_hash(), hash);
        CHECK(memcmp(a.order, b.order, sizeof a.order) == 0);
        snprintf(text, sizeof text, "%d", seed + 1);
        setenv("HOB_SIM", text, 1);
        site_reset(&b);
        CHECK_INT(hob_run(NULL, all_pages, &b), 0);
        n_other += memcmp(a.order, b.order, sizeof a.order) != 0;
    }
    CHECK(n_other > 40);
}

static int cancelled_page(void *arg)
{
    struct page *p = arg;
    struct hob_http_response res;

    p->r = hob_http_get(p->s->client, "http://site.test/late/100000", HOB_FOREVER, &res);
    CHECK_INT(res.error, p->r);
    return p->r;
}

static int cancels(void *arg)
{
    struct site *s = arg;
    struct page page = {s, 0, 1};
    hob_group g;

    client_begin(s, NULL);
    CHECK_INT(hob_group_open(&g, NULL), 0);
    CHECK_INT(hob_go(&g, cancelled_page, &page), 0);
    CHECK_INT(hob_sleep(HOB_MS), 0);
    hob_group_cancel(&g, -EINTR);
    CHECK_INT(hob_group_join(&g, 0), -EINTR);
    CHECK_INT(page.r, -ECANCELED);
    hob_http_free(s->client);
    return 0;
}

TEST(a_request_to_a_fake_can_be_cancelled)
{
    struct site s;

    each_world_run(cancels, &s, site_reset, 0);
}

static int real_in_simulation(void *arg)
{
    hob_http *c = NULL;

    (void)arg;
    CHECK_INT(hob_http_new(NULL, &c), -EOPNOTSUPP);
    CHECK_INT(hob_http_new_fake(NULL, NULL, &c), -EINVAL);
    CHECK_INT(hob_http_new_fake(NULL, HOB_HTTP_FAKE(.arg = NULL), &c), -EINVAL);
    return 0;
}

TEST(the_network_is_refused_simulated)
{
    setenv("HOB_SIM", "1", 1);
    CHECK_INT(hob_run(NULL, real_in_simulation, NULL), 0);
}

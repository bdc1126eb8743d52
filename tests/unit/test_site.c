/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "demo/site.h"
#include "lib/t.h"
#include "lib/url.h"

static struct site *site_of(struct site_opts o)
{
    struct site *s;

    CHECK_INT(site_new(&o, &s), 0);
    return s;
}

static char *page_of(const struct site *s, const char *path)
{
    struct buf b = {0};

    CHECK(site_page(s, "site.test", path, &b));
    CHECK_INT(buf_error(&b), 0);
    return buf_take(&b);
}

/* The bytes between two marks, which must be there. */
static void between(const char *text, const char *before, const char *after, char *ret, size_t cap)
{
    const char *start = strstr(text, before);

    CHECK(start);
    start += strlen(before);
    const char *end = strstr(start, after);
    CHECK(end);
    snprintf(ret, cap, "%.*s", (int)(end - start), start);
}

static void unescape(char *text)
{
    static const char *const pairs[][2] = {{"&amp;", "&"}, {"&lt;", "<"}, {"&quot;", "\""}};
    char *to = text;

    while (*text) {
        size_t i = 0;
        while (i < 3 && strncmp(text, pairs[i][0], strlen(pairs[i][0])) != 0)
            i++;
        *to++ = i < 3 ? pairs[i][1][0] : *text;
        text += i < 3 ? strlen(pairs[i][0]) : 1;
    }
    *to = '\0';
}

TEST(a_seed_makes_the_same_bytes_again_and_another_seed_others)
{
    struct site *a = site_of((struct site_opts){.seed = 7, .pages = 50}),
                *b = site_of((struct site_opts){.seed = 7, .pages = 50}),
                *c = site_of((struct site_opts){.seed = 8, .pages = 50});
    char *pa = page_of(a, "/p/000/000031.html"), *pb = page_of(b, "/p/000/000031.html"),
         *pc = page_of(c, "/p/000/000031.html");

    CHECK_STR(pa, pb);
    CHECK(strcmp(pa, pc) != 0);
    free(pa);
    pa = page_of(a, "/p/000/000030.html");
    CHECK(strcmp(pa, pb) != 0);
    free(pa);
    free(pb);
    free(pc);
    site_free(a);
    site_free(b);
    site_free(c);
}

/* A change of the generator makes old measurements incomparable: it must be meant. */
TEST(the_first_page_of_seed_1_is_what_it_always_was)
{
    struct site *s = site_of((struct site_opts){.seed = 1, .pages = 100});
    char *page = page_of(s, "/p/000/000000.html");
    uint64_t hash = 0xcbf29ce484222325;

    for (const char *p = page; *p; p++)
        hash = (hash ^ (unsigned char)*p) * 0x100000001b3;
    CHECK_INT(hash, -7769968565161917746);
    free(page);
    site_free(s);
}

TEST(a_page_has_about_the_size_asked_for)
{
    static const size_t sizes[] = {6000, 12000, 29000, 100000};

    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        struct site *s = site_of((struct site_opts){.pages = 300, .page_size = sizes[k]});
        for (int i = 0; i < 300; i += 17) {
            char path[SITE_PATH_MAX];
            snprintf(path, sizeof path, "/p/%03d/%06d.html", i / 100, i);
            char *page = page_of(s, path);
            CHECK(strlen(page) > sizes[k] * 95 / 100 && strlen(page) < sizes[k] * 105 / 100);
            free(page);
        }
        site_free(s);
    }
}

TEST(the_truth_is_what_the_pages_say)
{
    struct site *s = site_of((struct site_opts){.seed = 3, .pages = 230});
    size_t odd = 0;

    CHECK_INT(site_truths(s), 230 + 15);
    for (size_t i = 0; i < site_truths(s); i++) {
        struct site_row row;
        char title[SITE_TITLE_MAX], price[SITE_PRICE_MAX];
        site_truth(s, i, &row);
        row.path[strcspn(row.path, "?")] = '\0';
        char *page = page_of(s, row.path);
        between(page, "itemprop=\"name\">", "</h1>", title, sizeof title);
        between(page, "<span class=price>", "</span>", price, sizeof price);
        odd += strpbrk(title, "&\xc3") != NULL;
        unescape(title);
        CHECK_STR(title, row.title);
        CHECK_STR(price, row.price);
        free(page);
    }
    CHECK(odd > 10); /* titles that need decoding are among them */
    site_free(s);
}

TEST(what_is_not_a_page_is_not_found)
{
    static const char *const paths[] = {
        "/p/000/000050.html", "/p/000/1.html", "/p/001/000001.html", "/p/./000/000001.html",
        "/c/24.html",         "/c/-1.html",    "/c/1.htm",           "/nothing",
        "/sitemap-1.xml",     "/p/",           "/private/8.html",    "/p/000/",
    };
    struct site *s = site_of((struct site_opts){.pages = 50});
    struct buf b = {0};

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (site_page(s, "site.test", paths[i], &b))
            t_fail(__FILE__, __LINE__, "%s is a page", paths[i]);
    buf_free(&b);
    site_free(s);
}

/* A crawl in a few lines: every path with its query, in the order found. */
struct walk {
    const struct site *s;
    char *path[2000];
    size_t n, done, off_site;
};

static void walk_add(struct walk *w, const char *path)
{
    for (size_t i = 0; i < w->n; i++)
        if (strcmp(w->path[i], path) == 0)
            return;
    CHECK(w->n < sizeof w->path / sizeof *w->path);
    w->path[w->n++] = strdup(path);
}

static void walk_link(struct walk *w, const struct url *base, const char *href)
{
    const char *quotes = *href == '"' || *href == '\'' ? (char[]){*href, '\0'} : " >";
    struct url u;
    char buf[URL_MAX + 1];

    href += quotes[0] != ' ';
    if (url_parse(href, strcspn(href, quotes), base, buf, sizeof buf, &u) < 0)
        return; /* mailto:, javascript: */
    if (url_same_host(&u, base))
        walk_add(w, url_path_query(&u));
    else
        w->off_site++;
}

static void walk_page(struct walk *w)
{
    char full[URL_MAX + 1], base_buf[URL_MAX + 1], path[256];
    struct url base;

    snprintf(full, sizeof full, "http://site.test%s", w->path[w->done++]);
    CHECK_INT(url_parse(full, strlen(full), NULL, base_buf, sizeof base_buf, &base), 0);
    snprintf(path, sizeof path, "%.*s", (int)(base.query_at - base.path_at),
             base.text + base.path_at);
    char *page = page_of(w->s, path);
    for (const char *a = page; (a = strstr(a, "<a ")); a++)
        walk_link(w, &base, strstr(a, "href=") + 5);
    free(page);
}

static bool walk_has(const struct walk *w, const char *path)
{
    for (size_t i = 0; i < w->n; i++)
        if (strcmp(w->path[i], path) == 0)
            return true;
    return false;
}

TEST(links_reach_every_page_of_the_truth_and_nothing_unknown)
{
    static const size_t pages[] = {1, 5, 333, 333}, sizes[] = {0, 0, 0, 3000};

    for (size_t k = 0; k < sizeof pages / sizeof *pages; k++) {
        struct site *s =
            site_of((struct site_opts){.seed = 9, .pages = pages[k], .page_size = sizes[k]});
        struct walk w = {.s = s};
        walk_add(&w, "/");
        while (w.done < w.n)
            walk_page(&w); /* fails on a link to what is not there */
        size_t n_private = pages[k] < 8 ? pages[k] : 8;
        CHECK_INT(w.n, 1 + SITE_CATEGORIES + site_truths(s) + n_private);
        for (size_t i = 0; i < site_truths(s); i++) {
            struct site_row row;
            site_truth(s, i, &row);
            CHECK(walk_has(&w, row.path));
        }
        CHECK(w.off_site > 0);
        while (w.n > 0)
            free(w.path[--w.n]);
        site_free(s);
    }
}

TEST(the_sitemap_lists_every_product_and_is_split_at_the_protocols_limit)
{
    struct site *s = site_of((struct site_opts){.pages = 120}),
                *big = site_of((struct site_opts){.pages = 50001});
    char *map = page_of(s, "/sitemap.xml"), *index = page_of(big, "/sitemap.xml"),
         *second = page_of(big, "/sitemap-1.xml");
    size_t n = 0;

    for (const char *p = map; (p = strstr(p, "<loc>http://site.test/p/")); p++)
        n++;
    CHECK_INT(n, 120);
    CHECK(strstr(index, "<sitemapindex") && strstr(index, "http://site.test/sitemap-1.xml"));
    CHECK(strstr(second, "/p/500/050000.html") && !strstr(second, "049999"));
    free(map);
    free(index);
    free(second);
    site_free(s);
    site_free(big);
}

TEST(each_target_has_a_latency_of_its_own_in_the_range)
{
    struct site *s =
        site_of((struct site_opts){.latency_min = 50 * HOB_MS, .latency_max = 500 * HOB_MS});
    hob_dur least = HOB_FOREVER, most = 0;

    for (int i = 0; i < 200; i++) {
        char target[32];
        snprintf(target, sizeof target, "/p/000/%06d.html", i);
        hob_dur d = site_latency(s, target);
        CHECK(d >= 50 * HOB_MS && d <= 500 * HOB_MS);
        CHECK_INT(site_latency(s, target), d);
        least = d < least ? d : least;
        most = d > most ? d : most;
    }
    CHECK(least < 70 * HOB_MS && most > 480 * HOB_MS);
    site_free(s);
}

/* Over a socket: the site and its client on one loop. */

struct served {
    struct site *site;
    hob_addr addr;
    void (*client)(struct served *);
};

static int dial(const struct served *v)
{
    int fd = hob_tcp_dial(&v->addr, hob_in(10 * HOB_SEC));

    CHECK(fd >= 0);
    return fd;
}

static void say(int fd, const char *text)
{
    CHECK_INT(hob_write(fd, text, strlen(text), hob_in(10 * HOB_SEC)), strlen(text));
}

/* Reads until the answer holds `end`, or the connection ends; what the last read returned. */
static ssize_t hear(int fd, struct buf *to, const char *end)
{
    ssize_t n = 1;

    while (n > 0 && !(end && to->len > 0 && memmem(to->p, to->len, end, strlen(end)))) {
        char piece[4096];
        n = hob_read(fd, piece, sizeof piece, hob_in(10 * HOB_SEC));
        if (n > 0)
            buf_add(to, piece, (size_t)n);
    }
    return n;
}

static int served_run(void *arg)
{
    struct served *v = arg;
    hob_group g;
    int port = site_listen(v->site, 0);

    CHECK(port > 0);
    CHECK_INT(hob_addr_parse("127.0.0.1", (uint16_t)port, &v->addr), 0);
    int r = hob_group_open(&g, NULL);
    if (r == 0)
        r = hob_go(&g, site_serve, v->site);
    CHECK_INT(r, 0);
    v->client(v);
    hob_group_cancel(&g, 0);
    return hob_group_join(&g, 0);
}

static void served(struct site_opts o, void (*client)(struct served *))
{
    struct served v = {.site = site_of(o), .client = client};

    CHECK_INT(hob_run(NULL, served_run, &v), 0);
    site_free(v.site);
}

static void keep_alive_client(struct served *v)
{
    int fd = dial(v);
    struct buf b = {0};
    char *page = page_of(v->site, "/p/000/000004.html");

    /* Three at once, the second split in the middle: answered in order, on one connection. */
    say(fd, "HEAD /p/000/000004.html HTTP/1.1\r\nHost: x\r\n\r\nGET /c/3.html HTT");
    hear(fd, &b, "\r\n\r\n");
    say(fd, "P/1.1\r\nHost: x\r\n\r\n"
            "GET /p/000/000004.html HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK_INT(hear(fd, &b, NULL), 0);
    char length[64];
    snprintf(length, sizeof length, "Content-Length: %zu\r\n", strlen(page));
    const char *first = strstr(b.p, length);
    CHECK(first && strncmp(strstr(first, "\r\n\r\n") + 4, "HTTP/1.1 200", 12) == 0);
    CHECK(strstr(b.p, "<h1>Category 3</h1>"));
    CHECK_STR(b.p + b.len - strlen(page), page);
    CHECK_INT(site_stats(v->site).requests, 3);
    CHECK_INT(site_stats(v->site).connections, 1);
    hob_close(fd);
    free(page);
    buf_free(&b);
}

TEST(a_connection_serves_requests_in_order_until_it_is_closed)
{
    served((struct site_opts){.seed = 2}, keep_alive_client);
}

static int one_get(void *arg)
{
    struct served *v = arg;
    struct buf b = {0};
    int fd = dial(v);

    say(fd, "GET /together?n=200&ms=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK_INT(hear(fd, &b, NULL), 0);
    CHECK(strncmp(b.p, "HTTP/1.1 200 ", 13) == 0 && strstr(b.p, "together\n"));
    hob_close(fd);
    buf_free(&b);
    return 0;
}

static void many_client(struct served *v)
{
    enum { MANY = 400 }; /* the second half waits for each other again */
    hob_group g;

    CHECK_INT(hob_group_open(&g, NULL), 0);
    for (int i = 0; i < MANY; i++)
        CHECK_INT(hob_go(&g, one_get, v), 0);
    CHECK_INT(hob_group_join(&g, 0), 0);
    CHECK_INT(site_stats(v->site).requests, MANY);
    CHECK_INT(site_stats(v->site).live, 0);
    CHECK(site_stats(v->site).live_max >= MANY / 2);
}

TEST(many_connections_wait_at_the_same_time)
{
    served((struct site_opts){.seed = 2}, many_client);
}

static void fault(struct served *v, const char *path, ssize_t last, const char *want)
{
    struct buf b = {0};
    char request[200];
    int fd = dial(v);

    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
             path);
    say(fd, request);
    ssize_t n = hear(fd, &b, NULL);
    if (n != last || !strstr(b.p ? b.p : "", want))
        t_fail(__FILE__, __LINE__, "%s: %zd, %s", path, n, b.p ? b.p : "(nothing)");
    hob_close(fd);
    buf_free(&b);
}

static void faults_client(struct served *v)
{
    fault(v, "/status/404", 0, "HTTP/1.1 404 Not Found\r\n");
    fault(v, "/status/503?retry-after=2", 0, "\r\nRetry-After: 2\r\n");
    fault(v, "/status/500-then-200?x=1", 0, "HTTP/1.1 500 ");
    fault(v, "/status/500-then-200?x=2", 0, "HTTP/1.1 500 ");
    fault(v, "/status/500-then-200?x=1", 0, "HTTP/1.1 200 ");
    fault(v, "/flaky?fail=2&status=429", 0, "HTTP/1.1 429 ");
    fault(v, "/flaky?fail=2&status=429", 0, "HTTP/1.1 429 ");
    fault(v, "/flaky?fail=2&status=429", 0, "HTTP/1.1 200 ");
    fault(v, "/redirect?to=http%3a%2f%2fother.test%2F%zz", 0,
          "\r\nLocation: http://other.test/%zz\r\n");
    fault(v, "/redirect?n=2", 0, "\r\nLocation: /redirect?n=1\r\n");
    fault(v, "/redirect?n=1", 0, "\r\nLocation: /\r\n");
    fault(v, "/loop", 0, "\r\nLocation: /loop\r\n");
    fault(v, "/short", 0, "Content-Length: 2000\r\n\r\nxxx");
    fault(v, "/reset", -ECONNRESET, "");
    fault(v, "/garbage", 0, "not HTTP");
    fault(v, "/echo?x=1", 0, "GET /echo?x=1\nHost: x\n");
    fault(v, "/slow?ms=1", 0, "slow\n");
    fault(v, "/big?bytes=100000", 0, "Content-Length: 100000\r\n");
    fault(v, "/nothing", 0, "HTTP/1.1 404 ");
    fault(v, "/statusx", 0, "HTTP/1.1 404 ");
    fault(v, "http://x/echo", 0, "GET /echo\n");
    fault(v, "nonsense", 0, "HTTP/1.1 400 ");
}

TEST(paths_go_wrong_as_they_say)
{
    served((struct site_opts){.seed = 2}, faults_client);
}

static void post_client(struct served *v)
{
    struct buf b = {0};
    int fd = dial(v);

    say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello");
    say(fd, " worldGET /slow?ms=0 HTTP/1.1\r\nConnection: close\r\n\r\n");
    CHECK_INT(hear(fd, &b, NULL), 0);
    CHECK(strstr(b.p, "POST /echo\n") && strstr(b.p, "\n\nhello worldHTTP/1.1 200 "));
    hob_close(fd);
    buf_free(&b);
}

TEST(a_body_is_read_whole_and_the_next_request_after_it)
{
    served((struct site_opts){.seed = 2}, post_client);
}

static int left_open[5], n_left_open;

static void endless_client(struct served *v)
{
    static const char *const paths[] = {"/endless", "/stall", "/silent", "/drip?ms=1",
                                        "/slow?ms=1000000"};
    struct buf b = {0};

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        int fd = dial(v);
        char request[100];
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", paths[i]);
        say(fd, request);
        if (i < 2)
            CHECK(hear(fd, &b, i == 0 ? "ABCDEF" : "xxxx") > 0);
        buf_reset(&b);
        if (i % 2) /* the others are left open: the site ends all the same */
            hob_close(fd);
        else
            left_open[n_left_open++] = fd;
    }
    while (site_stats(v->site).requests < sizeof paths / sizeof *paths)
        CHECK_INT(hob_sleep(HOB_MS), 0);
    buf_free(&b);
}

TEST(a_cancel_ends_it_whatever_its_clients_do)
{
    served((struct site_opts){.seed = 2}, endless_client);
    while (n_left_open > 0)
        close(left_open[--n_left_open]);
}

static void log_client(struct served *v)
{
    int fd = dial(v);
    struct buf b = {0};

    say(fd, "GET /a?b HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: me/1 (x)\r\nConnection: "
            "close\r\n\r\n");
    hear(fd, &b, NULL);
    hob_close(fd);
    buf_free(&b);
}

TEST(the_log_has_a_line_for_each_request)
{
    char path[] = "/tmp/test_site_XXXXXX", line[200] = "", target[50], agent[50], host[50];
    unsigned long long conn;
    unsigned live;
    double at;
    int fd = mkstemp(path);

    CHECK(fd >= 0);
    close(fd);
    served((struct site_opts){.log = path}, log_client);
    FILE *f = fopen(path, "r");
    CHECK(f && fgets(line, sizeof line, f));
    CHECK_INT(sscanf(line, "%lf\t%llu\t%u\tGET\t%49[^\t]\t%49[^\t]\t%49[^\n]", &at, &conn, &live,
                     host, target, agent),
              6);
    CHECK_STR(host, "shop.test");
    CHECK_STR(target, "/a?b");
    CHECK_STR(agent, "me/1 (x)");
    CHECK(live == 1 && conn == 1 && at > 0);
    fclose(f);
    unlink(path);
}

TEST(options_out_of_range_and_logs_that_do_not_open_are_refused)
{
    struct site *s = NULL;

    CHECK_INT(site_new(&(struct site_opts){.pages = 1000000000}, &s), -EINVAL);
    CHECK_INT(site_new(&(struct site_opts){.page_size = (size_t)1 << 40}, &s), -EINVAL);
    CHECK_INT(site_new(&(struct site_opts){.log = "/nonexistent/x"}, &s), -ENOENT);
    CHECK(!s);
}

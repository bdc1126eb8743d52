/* SPDX-License-Identifier: MIT
 *
 * Proxies: the test server is all of them (tests/lib/httpd.h), and tinyproxy if it is installed.
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "http_util.h"
#include "net/dns.h"

/* One request by a proxy of this kind to the test server itself. */
static int get_by(struct world *w, const char *kind, const char *login, const char *url,
                  struct hob_http_response *res)
{
    char proxy[256];

    snprintf(proxy, sizeof proxy, "%s://%s127.0.0.1:%u", kind, login, w->httpd.port);
    return hob_http_do(w->client, HOB_HTTP_REQUEST(.url = url, .proxy = proxy),
                       hob_in(20 * HOB_SEC), res);
}

static void by_is(struct world *w, const char *kind, const char *login, const char *url, int want)
{
    struct hob_http_response res;
    int r = get_by(w, kind, login, url, &res);

    if (r != want)
        t_fail(__FILE__, __LINE__, "%s by %s is %d (%s), not %d", url, kind, r, res.reason, want);
    CHECK(!strstr(res.reason, "geheim"));
    if (r == 0) {
        CHECK_INT(res.status, 200);
        CHECK_STR(res.body, "hello\n");
    }
    hob_http_response_free(&res);
}

TEST_HTTP(an_http_proxy_gets_the_whole_url)
{
    struct hob_http_response res;

    CHECK_INT(get_by(w, "http", "", "http://no-such-name.test:81/echo?x", &res), 0);
    CHECK(strncmp(res.body, "GET http://no-such-name.test:81/echo?x HTTP/1.1\r\n", 49) == 0);
    CHECK(strstr(res.body, "\r\nHost: no-such-name.test:81\r\n"));
    CHECK(!strstr(res.body, "hob.invalid"));
    CHECK_STR(w->httpd.last_host, "no-such-name.test:81");
    CHECK_STR(res.final_url, "http://no-such-name.test:81/echo?x");
    hob_http_response_free(&res);
    by_is(w, "http", "", "http://other.test/", 0);
    CHECK_INT(w->httpd.n_connections, 1); /* one connection to the proxy for all targets */
    get_is(w, "/", 0, &res);              /* and none of it is left for a direct request */
    CHECK_INT(w->httpd.n_connections, 2);
    hob_http_response_free(&res);
}

TEST_HTTP(a_proxy_asks_for_credentials)
{
    char url[512];

    w->httpd.user = "ich";
    w->httpd.password = "geheim:/@";
    by_is(w, "http", "ich:geheim%3A%2F%40@", "http://x.test/", 0);
    by_is(w, "http", "", "http://x.test/", -HOB_EPROXY);
    by_is(w, "http", "ich:falsch@", "http://x.test/", -HOB_EPROXY);
    by_is(w, "http", "du:geheim@", "https://x.test/", -HOB_EPROXY); /* CONNECT */
    url_of(&w->httpd, "/", url);
    by_is(w, "socks5", "ich:geheim%3A%2F%40@", url, 0);
    by_is(w, "socks5h", "ich:geheim%3A%2F%40@", "http://x.test/", -HOB_EPROXY); /* no port 80 */
    by_is(w, "socks5", "ich:falsch@", url, -HOB_EPROXY);
    by_is(w, "socks5", "", url, -HOB_EPROXY);
    w->httpd.user = NULL;
}

TEST_HTTP(credentials_of_two_users_share_no_connection)
{
    char url[512];

    for (int i = 0; i < 3; i++) {
        by_is(w, "http", "one:a@", "http://x.test/", 0);
        by_is(w, "http", "two:a@", "http://x.test/", 0);
        by_is(w, "http", "one:b@", "http://x.test/", 0);
        by_is(w, "http", "", "http://x.test/", 0);
    }
    CHECK_INT(w->httpd.n_connections, 4);
    url_of(&w->httpd, "/", url);
    for (int i = 0; i < 3; i++) {
        by_is(w, "socks5h", "one:a@", url, 0);
        by_is(w, "socks5h", "two:a@", url, 0);
        by_is(w, "socks5h", "one:b@", url, 0);
    }
    CHECK_INT(w->httpd.n_tunnels, 3);
}

static void lookup(const char *name, struct dns_answer *ret)
{
    (void)name;
    ret->rc = 0;
    ret->n = 1;
    CHECK_INT(hob_addr_parse("127.0.0.1", 0, &ret->addr[0]), 0);
}

TEST_HTTP(socks5_looks_names_up_here_and_socks5h_there)
{
    char url[512];

    hob__dns_lookup = lookup;
    snprintf(url, sizeof url, "http://target.test:%u/", w->httpd.port);
    by_is(w, "socks5", "", url, 0);
    CHECK_STR(w->httpd.last_host, "127.0.0.1");
    by_is(w, "socks5h", "", url, 0);
    CHECK_STR(w->httpd.last_host, "target.test");
    by_is(w, "socks5h", "", url, 0);
    CHECK_INT(w->httpd.n_tunnels, 2); /* the second went by the first's */
}

TEST_HTTP_WITH(what_the_guard_means_behind_a_proxy, HOB_HTTP_OPTS())
{
    char url[512];

    hob__dns_lookup = lookup;
    by_is(w, "http", "", "http://name.test/", 0); /* the proxy's to look up, and to guard */
    by_is(w, "http", "", "http://10.0.0.1/", -HOB_EADDRGUARD);
    by_is(w, "http", "", "http://[::1]/", -HOB_EADDRGUARD);
    by_is(w, "http", "", "http://localhost/", -HOB_EADDRGUARD);
    by_is(w, "socks5h", "", "http://sub.localhost/", -HOB_EADDRGUARD);
    snprintf(url, sizeof url, "http://name.test:%u/", w->httpd.port);
    by_is(w, "socks5h", "", url, 0);
    by_is(w, "socks5", "", url, -HOB_EADDRGUARD); /* looked up here: 127.0.0.1 */
    CHECK_INT(w->httpd.n_tunnels, 1);
}

TEST_HTTP(a_dead_proxy_says_so)
{
    static const char *const kinds[] = {"http", "https", "socks5", "socks5h"};
    struct hob_http_response res;
    char proxy[64];

    for (size_t i = 0; i < 4; i++) {
        snprintf(proxy, sizeof proxy, "%s://ich:geheim@127.0.0.1:1", kinds[i]);
        int r =
            hob_http_do(w->client, HOB_HTTP_REQUEST(.url = "http://127.0.0.1:2/", .proxy = proxy),
                        hob_in(20 * HOB_SEC), &res);
        CHECK_INT(r, -HOB_EPROXY);
        CHECK(strstr(res.reason, "proxy 127.0.0.1:1") && strstr(res.reason, "refused"));
        CHECK(!strstr(res.reason, "geheim"));
    }
    by_is(w, "http", "", "https://127.0.0.1:1/", -HOB_EPROXY); /* its target is dead: 502 */
}

static const char *two_proxies[2];
static char proxy_text[2][64];

struct turn {
    struct httpd a, b;
};

static int in_turn(void *arg)
{
    struct turn *t = arg;
    struct hob_http_response res;
    hob_http *c = NULL;

    for (int i = 0; i < 2; i++) {
        snprintf(proxy_text[i], sizeof proxy_text[i], "http://127.0.0.1:%u",
                 (i ? &t->b : &t->a)->port);
        two_proxies[i] = proxy_text[i];
    }
    CHECK_INT(hob_http_new(HOB_HTTP_OPTS(.proxies = two_proxies, .n_proxies = 2), &c), 0);
    memset(proxy_text, 0, sizeof proxy_text); /* they were copied */
    for (int i = 0; i < 10; i++) {
        CHECK_INT(hob_http_get(c, "http://x.test/", hob_in(20 * HOB_SEC), &res), 0);
        hob_http_response_free(&res);
    }
    CHECK_INT(t->a.n_requests, 5);
    CHECK_INT(t->b.n_requests, 5);
    /* One request keeps its proxy through redirects. */
    CHECK_INT(hob_http_get(c, "http://x.test/next/3", hob_in(20 * HOB_SEC), &res), 0);
    hob_http_response_free(&res);
    CHECK_INT(t->a.n_requests, 10);
    hob_http_free(c);
    return 0;
}

TEST(a_client_takes_its_proxies_in_turn)
{
    struct turn t = {.a.port = 0};

    httpd_start(&t.a);
    httpd_start(&t.b);
    CHECK_INT(hob_run(NULL, in_turn, &t), 0);
    httpd_stop(&t.a);
    httpd_stop(&t.b);
}

TEST_HTTP(the_environment_names_no_proxy)
{
    struct hob_http_response res;

    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    get_is(w, "/", 0, &res);
    hob_http_response_free(&res);
    CHECK_INT(hob_http_do(w->client, HOB_HTTP_REQUEST(.url = "http://127.0.0.1:1/", .proxy = ""),
                          hob_in(20 * HOB_SEC), &res),
              -ECONNREFUSED);
}

/* ---- a proxy that is nobody's test ---- */

static pid_t tinyproxy_start(unsigned port, char dir[64])
{
    char conf[96];

    strcpy(dir, "/tmp/hob-tinyproxy-XXXXXX");
    CHECK(mkdtemp(dir) != NULL);
    snprintf(conf, sizeof conf, "%s/conf", dir);
    FILE *f = fopen(conf, "w");
    fprintf(f, "Port %u\nListen 127.0.0.1\nTimeout 30\nMaxClients 20\nBasicAuth ich geheim\n",
            port);
    fclose(f);
    pid_t pid = fork();
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
            _exit(126);
        execlp("tinyproxy", "tinyproxy", "-d", "-c", conf, (char *)NULL);
        _exit(127);
    }
    return pid;
}

/* A port that was free a moment ago. */
static unsigned some_port(void)
{
    struct httpd h = {.port = 0};

    httpd_start(&h);
    httpd_stop(&h);
    return h.port;
}

static char tiny_url[64];

static void by_tinyproxy(struct world *w)
{
    struct hob_http_response res;
    char url[512];
    int r;

    url_of(&w->httpd, "/", url);
    do { /* until it listens */
        r = hob_http_do(w->client, HOB_HTTP_REQUEST(.url = url, .proxy = tiny_url),
                        hob_in(20 * HOB_SEC), &res);
        hob_http_response_free(&res);
    } while (r == -HOB_EPROXY && hob_sleep(20 * HOB_MS) == 0);
    CHECK_INT(r, 0);
    r = hob_http_do(w->client, HOB_HTTP_REQUEST(.url = "https://127.0.0.1:1/", .proxy = tiny_url),
                    hob_in(20 * HOB_SEC), &res);
    CHECK_INT(r, -HOB_EPROXY); /* the tunnel's end refuses */
    r = hob_http_do(w->client, HOB_HTTP_REQUEST(.url = url, .proxy = strchr(tiny_url, '@') + 1),
                    hob_in(20 * HOB_SEC), &res);
    CHECK_INT(r, -HOB_EPROXY);
}

TEST(tinyproxy_forwards_and_wants_its_password)
{
    struct world w = {.body = by_tinyproxy};
    unsigned port = some_port();
    char dir[64], conf[96];
    int status;

    if (system("command -v tinyproxy >/dev/null") != 0)
        t_skip("tinyproxy is not installed");
    pid_t pid = tinyproxy_start(port, dir);
    snprintf(tiny_url, sizeof tiny_url, "http://ich:geheim@127.0.0.1:%u", port);
    world_run(&w);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    snprintf(conf, sizeof conf, "%s/conf", dir);
    unlink(conf);
    rmdir(dir);
}

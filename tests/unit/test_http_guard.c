/* SPDX-License-Identifier: MIT
 *
 * The address guard and the names of the HTTP client.  The server is on loopback, which the guard
 * refuses: tests that need a public address put another rule, or another resolver, in its place.
 */
#include <semaphore.h>

#include "http/guard.h"
#include "http_util.h"
#include "net/dns.h"

static void refused(struct world *w, const char *url)
{
    struct hob_http_response res;
    int r = hob_http_get(w->client, url, hob_in(20 * HOB_SEC), &res);

    if (r != -HOB_EADDRGUARD)
        t_fail(__FILE__, __LINE__, "%s is %d: %s", url, r, res.reason);
    CHECK(strstr(res.reason, "guard"));
}

TEST_HTTP_WITH(addresses_that_are_not_public_are_refused_in_every_spelling, HOB_HTTP_OPTS())
{
    static const char *const hosts[] = {"127.0.0.1",
                                        "127.1",
                                        "0x7f.1",
                                        "2130706433",
                                        "0177.0.0.1",
                                        "localhost",
                                        "localhost.",
                                        "a.localhost",
                                        "10.0.0.1",
                                        "192.168.1.1",
                                        "169.254.169.254",
                                        "0.0.0.0",
                                        "[::1]",
                                        "[::ffff:127.0.0.1]",
                                        "[::]",
                                        "[fe80::1]",
                                        "[fd00::1]",
                                        "[64:ff9b::7f00:1]",

                                        "LOCALHOST",
                                        "x@127.0.0.1",
                                        "[::ffff:7f00:1]"};
    char url[512];

    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        snprintf(url, sizeof url, "http://%s:%u/", hosts[i], w->httpd.port);
        refused(w, url);
    }
    CHECK_INT(w->httpd.n_connections, 0);
}

static bool not_127_0_0_2(const hob_addr *a)
{
    char text[HOB_ADDR_TEXT_MAX];

    return strncmp(hob_addr_text(a, text), "127.0.0.2:", 10) != 0;
}

TEST_HTTP_WITH(a_redirect_is_guarded_like_the_first_url, HOB_HTTP_OPTS())
{
    struct hob_http_response res;
    char path[128];

    hob__http_addr_ok = not_127_0_0_2;
    snprintf(path, sizeof path, "/to/302/http://127.0.0.2:%u/", w->httpd.port);
    get_is(w, path, -HOB_EADDRGUARD, &res);
    CHECK_INT(res.n_redirects, 1);
    CHECK(strncmp(res.reason, "127.0.0.2:", 10) == 0);
    CHECK_INT(w->httpd.n_requests, 1);
    get_is(w, "/to/302//", 0, &res);
    hob_http_response_free(&res);
    hob__http_addr_ok = hob_addr_public;
}

/* ---- names, by a resolver of the test's ---- */

static _Atomic(unsigned) n_lookups;
static sem_t gate;

/* "IP-IP-...-x.test" has these addresses; "slow..." first waits for the gate. */
static void lookup(const char *name, struct dns_answer *ret)
{
    char copy[256], *p = copy, *one;

    n_lookups++;
    ret->n = 0;
    ret->rc = -HOB_EDNS;
    if (strncmp(name, "slow", 4) == 0)
        sem_wait(&gate);
    if (strncmp(name, "later", 5) == 0)
        ret->rc = -EAGAIN;
    snprintf(copy, sizeof copy, "%s", name);
    while ((one = strsep(&p, "-")))
        if (hob_addr_parse(one, 0, &ret->addr[ret->n]) == 0)
            ret->n++;
    if (ret->n > 0)
        ret->rc = 0;
}

static void names_begin(void)
{
    hob__dns_lookup = lookup;
    n_lookups = 0;
    sem_init(&gate, 0, 0);
}

static int get_named(struct world *w, const char *name, struct hob_http_response *res)
{
    char url[512];

    snprintf(url, sizeof url, "http://%s:%u/", name, w->httpd.port);
    return hob_http_get(w->client, url, hob_in(20 * HOB_SEC), res);
}

TEST_HTTP_WITH(one_bad_address_refuses_the_name, HOB_HTTP_OPTS())
{
    struct hob_http_response res;

    names_begin();
    hob__http_addr_ok = not_127_0_0_2;
    CHECK_INT(get_named(w, "127.0.0.1-x.test", &res), 0);
    hob_http_response_free(&res);
    CHECK_INT(get_named(w, "127.0.0.1-127.0.0.2-x.test", &res), -HOB_EADDRGUARD);
    CHECK(strstr(res.reason, "127.0.0.2"));
    CHECK_INT(get_named(w, "127.0.0.2-127.0.0.1-x.test", &res), -HOB_EADDRGUARD);
    CHECK_INT(w->httpd.n_connections, 1);
    hob__http_addr_ok = hob_addr_public;
}

static unsigned n_ok_left;

static bool so_many_times(const hob_addr *a)
{
    (void)a;
    return n_ok_left > 0 && n_ok_left-- > 0;
}

TEST_HTTP_WITH(the_address_is_checked_once_more_where_the_socket_is_made, HOB_HTTP_OPTS())
{
    struct hob_http_response res;

    names_begin();
    hob__http_addr_ok = so_many_times;
    n_ok_left = 1; /* the check of the name */
    CHECK_INT(get_named(w, "127.0.0.1-x.test", &res), -HOB_EADDRGUARD);
    CHECK_INT(w->httpd.n_connections, 0);
    n_ok_left = 2;
    CHECK_INT(get_named(w, "127.0.0.1-x.test", &res), 0);
    hob_http_response_free(&res);
    hob__http_addr_ok = hob_addr_public;
}

TEST_HTTP(a_name_is_looked_up_once_and_kept)
{
    struct hob_http_response res;

    names_begin();
    for (int i = 0; i < 5; i++) {
        CHECK_INT(get_named(w, i % 2 ? "127.0.0.1-A.test" : "127.0.0.1-a.TEST", &res), 0);
        hob_http_response_free(&res);
    }
    CHECK_INT(n_lookups, 1);
    CHECK_INT(get_named(w, "127.0.0.1-b.test", &res), 0);
    hob_http_response_free(&res);
    CHECK_INT(n_lookups, 2);
}

TEST_HTTP_WITH(a_name_is_looked_up_again_after_its_time,
               HOB_HTTP_OPTS(.allow_private = true, .names_ns_max = 1))
{
    struct hob_http_response res;

    names_begin();
    for (unsigned i = 1; i < 5; i++) {
        CHECK_INT(get_named(w, "127.0.0.1-a.test", &res), 0);
        hob_http_response_free(&res);
        CHECK_INT(n_lookups, i);
    }
}

TEST_HTTP(localhost_is_reached_without_a_lookup)
{
    struct hob_http_response res;

    names_begin();
    CHECK_INT(get_named(w, "localhost", &res), 0);
    CHECK(strncmp(res.remote, "127.0.0.1:", 10) == 0);
    hob_http_response_free(&res);
    CHECK_INT(get_named(w, "Site.localhost", &res), 0);
    hob_http_response_free(&res);
    CHECK_INT(n_lookups, 0);
}

TEST_HTTP(another_address_is_tried_when_one_refuses)
{
    struct hob_http_response res;

    names_begin();
    CHECK_INT(get_named(w, "127.0.0.9-127.0.0.1-x.test", &res), 0);
    CHECK(strncmp(res.remote, "127.0.0.1:", 10) == 0);
    hob_http_response_free(&res);
}

TEST_HTTP(a_name_that_is_not_there_says_so)
{
    struct hob_http_response res;

    names_begin();
    for (int i = 0; i < 3; i++) {
        CHECK_INT(get_named(w, "nowhere.test", &res), -HOB_EDNS);
        CHECK(strstr(res.reason, "nowhere.test"));
    }
    CHECK_INT(n_lookups, 1); /* a failure is kept for a moment */
    CHECK_INT(get_named(w, "later.test", &res), -EAGAIN);
}

struct named {
    struct world *w;
    const char *name;
    hob_dur limit;
    int r;
};

static int named_get(void *arg)
{
    struct named *n = arg;
    struct hob_http_response res;
    char url[512];

    snprintf(url, sizeof url, "http://%s:%u/", n->name, n->w->httpd.port);
    n->r = hob_http_get(n->w->client, url, hob_in(n->limit), &res);
    hob_http_response_free(&res);
    return 0;
}

TEST_HTTP(a_slow_lookup_does_not_hold_the_loop)
{
    struct named slow[20];
    struct hob_http_response res;
    hob_group g;

    names_begin();
    CHECK_INT(hob_group_open(&g, NULL), 0);
    for (int i = 0; i < 20; i++) {
        slow[i] = (struct named){w, "slow-127.0.0.1-x.test", 20 * HOB_SEC, -1};
        CHECK_INT(hob_go(&g, named_get, &slow[i]), 0);
    }
    for (int i = 0; i < 100; i++) { /* while the lookup stands still, others go on */
        CHECK_INT(get_named(w, "127.0.0.1-a.test", &res), 0);
        hob_http_response_free(&res);
    }
    CHECK_INT(n_lookups, 2); /* one for all twenty */
    CHECK_INT(slow[0].r, -1);
    sem_post(&gate);
    CHECK_INT(hob_group_join(&g, 0), 0);
    for (int i = 0; i < 20; i++)
        CHECK_INT(slow[i].r, 0);
    CHECK_INT(n_lookups, 2);
}

TEST_HTTP(a_cancel_or_a_deadline_does_not_wait_for_a_lookup)
{
    struct named slow[4];
    hob_group g;

    names_begin();
    CHECK_INT(hob_group_open(&g, NULL), 0);
    for (int i = 0; i < 4; i++) {
        slow[i] = (struct named){w, "slow-127.0.0.1-y.test", i < 2 ? 20 * HOB_MS : HOB_FOREVER, 1};
        CHECK_INT(hob_go(&g, named_get, &slow[i]), 0);
    }
    while (slow[0].r == 1 || slow[1].r == 1)
        CHECK_INT(hob_sleep(HOB_MS), 0);
    CHECK_INT(slow[0].r, -ETIMEDOUT);
    CHECK_INT(slow[1].r, -ETIMEDOUT);
    hob_group_cancel(&g, 0);
    CHECK_INT(hob_group_join(&g, 0), 0);
    CHECK_INT(slow[2].r, -ECANCELED);
    CHECK_INT(slow[3].r, -ECANCELED);
    for (unsigned i = 0; i < n_lookups; i++)
        sem_post(&gate);
    while (hob__dns_running() > 0) /* they end alone; not beyond the test */
        CHECK_INT(hob_sleep(HOB_MS), 0);
}

TEST_HTTP_WITH(a_name_given_up_on_is_looked_up_by_who_waits_for_it,
               HOB_HTTP_OPTS(.allow_private = true, .connect_ns_max = 20 * HOB_SEC))
{
    struct named slow[2];
    hob_group given_up, g;

    names_begin();
    slow[0] = slow[1] = (struct named){w, "slow-127.0.0.1-z.test", 20 * HOB_SEC, 1};
    CHECK_INT(hob_group_open(&g, NULL), 0);
    CHECK_INT(hob_group_open(&given_up, NULL), 0);
    CHECK_INT(hob_go(&given_up, named_get, &slow[0]), 0);
    while (n_lookups < 1)
        CHECK_INT(hob_sleep(HOB_MS), 0);
    CHECK_INT(hob_go(&g, named_get, &slow[1]), 0);
    CHECK_INT(hob_sleep(HOB_MS), 0);
    hob_group_cancel(&given_up, 0);
    CHECK_INT(hob_group_join(&given_up, 0), 0);
    CHECK_INT(slow[0].r, -ECANCELED);
    while (n_lookups < 2)
        CHECK_INT(hob_sleep(HOB_MS), 0);
    sem_post(&gate);
    sem_post(&gate);
    CHECK_INT(hob_group_join(&g, 0), 0);
    CHECK_INT(slow[1].r, 0);
    while (hob__dns_running() > 0)
        CHECK_INT(hob_sleep(HOB_MS), 0);
}

TEST_HTTP_WITH(more_names_than_are_kept, HOB_HTTP_OPTS(.allow_private = true, .idle_conns_max = 10))
{
    struct hob_http_response res;
    char name[64];

    t_timeout(60);
    names_begin();
    for (int i = 0; i < 2200; i++) {
        snprintf(name, sizeof name, "127.0.0.1-n%d.test", i);
        CHECK_INT(get_named(w, name, &res), 0);
        hob_http_response_free(&res);
    }
    CHECK_INT(n_lookups, 2200);
    CHECK_INT(get_named(w, "127.0.0.1-n2199.test", &res), 0);
    hob_http_response_free(&res);
    CHECK_INT(n_lookups, 2200);
    CHECK_INT(get_named(w, "127.0.0.1-n0.test", &res), 0); /* it was dropped */
    hob_http_response_free(&res);
    CHECK_INT(n_lookups, 2201);
}

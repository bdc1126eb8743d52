/* SPDX-License-Identifier: MIT */
#include "net/lookup.h"

#include <hob/hob.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dns_server.h"
#include "net/dns.h"
#include "net/order.h"
#include "net_util.h"
#include "plat/env.h"
#include "sched/loop.h"

static struct dns_server server;

/* The body on both pollers, each with a new server and a new table. */
static void with_zone(const struct dns_record *zone, hob_fn body)
{
    static const char *const pollers[] = {"uring", "epoll"};

    setenv("CARES_HOSTS", "/dev/null", 1);
    for (int i = 0; i < 2; i++) {
        setenv("HOB_POLL", pollers[i], 1);
        dns_server_start(&server, zone);
        int r = hob_run(NULL, body, NULL);
        if (i > 0 || (r != -ENOSYS && r != -EPERM))
            CHECK_INT(r, 0);
        dns_server_stop(&server);
    }
}

/* All its addresses, one space between; or the code. */
static int resolved(const char *name, char *to, size_t size)
{
    hob_addr a[64];
    size_t n, at = 0;
    int r = hob_resolve(name, 80, 64, HOB_FOREVER, a, &n);

    to[0] = '\0';
    for (size_t i = 0; r == 0 && i < n; i++) {
        char one[HOB_ADDR_TEXT_MAX];
        hob_addr_text(&a[i], one);
        CHECK_INT(hob_addr_port(&a[i]), 80);
        *strrchr(one, ':') = '\0';
        at += (size_t)snprintf(to + at, size - at, "%s%s", i ? " " : "", one);
    }
    return r;
}

#define RESOLVES(name, want)                                                                       \
    do {                                                                                           \
        char t_text[2048];                                                                         \
        CHECK_INT(resolved(name, t_text, sizeof t_text), 0);                                       \
        CHECK_STR(t_text, want);                                                                   \
    } while (0)

#define FAILS(name, want)                                                                          \
    do {                                                                                           \
        char t_text[2048];                                                                         \
        CHECK_INT(resolved(name, t_text, sizeof t_text), want);                                    \
    } while (0)

/* Time that the test moves on: what is kept becomes too old without anybody waiting. */
static hob_time (*real_now)(void);
static _Atomic(hob_dur) ahead;

static hob_time moved_now(void)
{
    return real_now() + ahead;
}

static void clock_is_ours(void)
{
    real_now = hob__env_real.now;
    hob__env_real.now = moved_now;
}

/* Every address can be reached from itself: order does not depend on this machine's routes. */
static bool own_source(const hob_addr *to, hob_addr *ret)
{
    *ret = *to;
    return true;
}

static void routes_are_ours(void)
{
    hob__addr_source = own_source;
}

/* --- answers and how long they are kept ------------------------------------------------------- */

static const struct dns_record kept_zone[] = {
    {.name = "two.test", .v4 = "192.0.2.1", .v6 = "2001:db8::1", .ttl = 60},
    {.name = "four.test", .v4 = "192.0.2.4 192.0.2.5", .ttl = 60},
    {.name = "never.test", .v4 = "192.0.2.6", .v6 = "2001:db8::6"},
    {.name = "alias.test", .v4 = "192.0.2.7", .ttl = 600, .alias = "real.test", .alias_ttl = 30},
    {NULL}};

static int is_kept(void *arg)
{
    (void)arg;
    RESOLVES("two.test", "[2001:db8::1] 192.0.2.1");
    CHECK_INT(server.n_udp, 2);
    RESOLVES("TWO.test", "[2001:db8::1] 192.0.2.1");
    CHECK_INT(server.n_udp, 2);
    ahead += 61 * HOB_SEC;
    RESOLVES("two.test", "[2001:db8::1] 192.0.2.1");
    CHECK_INT(server.n_udp, 4);
    RESOLVES("four.test", "192.0.2.4 192.0.2.5");
    CHECK_INT(server.n_udp, 6);
    RESOLVES("never.test", "[2001:db8::6] 192.0.2.6"); /* good for no time: asked each time */
    RESOLVES("never.test", "[2001:db8::6] 192.0.2.6");
    CHECK_INT(server.n_udp, 10);
    RESOLVES("alias.test", "192.0.2.7");
    ahead += 29 * HOB_SEC;
    RESOLVES("alias.test", "192.0.2.7");
    CHECK_INT(server.n_udp, 12);
    ahead += 2 * HOB_SEC; /* the alias is not good any more, the address would be */
    RESOLVES("alias.test", "192.0.2.7");
    CHECK_INT(server.n_udp, 14);
    return 0;
}

TEST(an_answer_is_kept_as_long_as_its_server_says)
{
    clock_is_ours();
    routes_are_ours();
    with_zone(kept_zone, is_kept);
}

static const struct dns_record no_zone[] = {
    {.name = "none.test", .kind = DNS_NONE, .no_ttl = 30},
    {.name = "nodata.test", .kind = DNS_ANSWER, .no_ttl = 40},
    {.name = "short.test", .kind = DNS_NONE},
    {.name = "fails.test", .kind = DNS_FAILS},
    {.name = "half.test", .v4 = "192.0.2.8", .v6_fails = true, .ttl = 600},
    {.name = "bad.test", .kind = DNS_ANSWER, .v6_fails = true, .no_ttl = 600},
    {NULL}};

static int no_is_kept(void *arg)
{
    (void)arg;
    FAILS("none.test", -HOB_EDNS);
    FAILS("none.test", -HOB_EDNS);
    CHECK_INT(server.n_udp, 2);
    ahead += 31 * HOB_SEC;
    FAILS("none.test", -HOB_EDNS);
    CHECK_INT(server.n_udp, 4);
    FAILS("nodata.test", -HOB_EDNS);
    ahead += 39 * HOB_SEC;
    FAILS("nodata.test", -HOB_EDNS);
    CHECK_INT(server.n_udp, 6);
    FAILS("short.test", -HOB_EDNS); /* without an SOA record it is not kept */
    FAILS("short.test", -HOB_EDNS);
    CHECK_INT(server.n_udp, 10);
    return 0;
}

TEST(no_such_name_is_kept_as_long_as_its_zone_says)
{
    clock_is_ours();
    with_zone(no_zone, no_is_kept);
}

static int failure_is_not_kept(void *arg)
{
    int before;

    (void)arg;
    FAILS("fails.test", -EAGAIN);
    before = server.n_udp;
    FAILS("fails.test", -EAGAIN);
    CHECK(server.n_udp > before);
    FAILS("bad.test", -EAGAIN); /* one "no" and one failure are no "no such name" */
    RESOLVES("half.test", "192.0.2.8");
    before = server.n_udp;
    RESOLVES("half.test", "192.0.2.8");
    CHECK_INT(server.n_udp, before);
    ahead += 6 * HOB_SEC; /* half an answer is looked at again soon */
    RESOLVES("half.test", "192.0.2.8");
    CHECK(server.n_udp > before);
    return 0;
}

TEST(what_failed_is_asked_again)
{
    clock_is_ours();
    with_zone(no_zone, failure_is_not_kept);
}

/* --- all addresses, over TCP ------------------------------------------------------------------ */

enum { BIG = 60 };

static char big_list[BIG * 16];

static int is_whole(void *arg)
{
    (void)arg;
    RESOLVES("big.test", big_list);
    CHECK(server.n_tcp >= 1);
    return 0;
}

TEST(an_answer_that_was_cut_comes_whole_over_tcp)
{
    static struct dns_record zone[2] = {{.name = "big.test", .big = true, .ttl = 9}};
    size_t at = 0;

    routes_are_ours();
    for (int i = 0; i < BIG; i++)
        at += (size_t)snprintf(big_list + at, sizeof big_list - at, "%s192.0.2.%d", i ? " " : "",
                               i + 1);
    zone[0].v4 = big_list;
    with_zone(zone, is_whole);
}

/* --- many fibers, one question ---------------------------------------------------------------- */

static const struct dns_record held_zone[] = {
    {.name = "held.test", .kind = DNS_HELD, .v4 = "192.0.2.9", .ttl = 60},
    {.name = "silent.test", .kind = DNS_SILENT},
    {NULL}};

static void until_held(int n)
{
    while (server.n_held < n)
        CHECK_INT(hob_yield(), 0);
}

static int resolves_held(void *arg)
{
    (void)arg;
    RESOLVES("held.test", "192.0.2.9");
    return 0;
}

static int share_one(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, NULL);

    (void)arg;
    for (int i = 0; i < 20 && r == 0; i++)
        r = hob_go(&g, resolves_held, NULL);
    until_held(2);
    dns_server_open(&server);
    CHECK_INT(hob_group_join(&g, r), 0);
    CHECK_INT(server.n_udp, 2);
    return 0;
}

TEST(many_who_ask_for_a_name_are_one_question)
{
    with_zone(held_zone, share_one);
}

static int resolve_held(void *arg)
{
    hob_addr a;
    size_t n = 99;
    int r = hob_resolve("held.test", 80, 1, HOB_FOREVER, &a, &n);

    (void)arg;
    CHECK(r == 0 || n == 99);
    return r;
}

static int gives_up(void *arg)
{
    hob_addr a;
    size_t n = 99, busy, kept;
    hob_group g;
    int r = hob_group_open(&g, NULL);

    (void)arg;
    for (int i = 0; i < 3 && r == 0; i++)
        r = hob_go(&g, resolve_held, NULL);
    until_held(2);
    hob_group_cancel(&g, -ESTALE);
    CHECK_INT(hob_group_join(&g, r), -ESTALE);
    CHECK_INT(hob_resolve("held.test", 80, 1, hob_in(HOB_MS), &a, &n), -ETIMEDOUT);
    CHECK_INT(hob_resolve("silent.test", 80, 1, hob_in(HOB_MS), &a, &n), -ETIMEDOUT);
    CHECK_INT(n, 99);
    hob__lookup_count(hob__self(), &busy, &kept);
    CHECK_INT(busy, 2);
    CHECK_INT(kept, 2);
    dns_server_open(&server); /* the answer comes to the table, for who asks next */
    do {
        CHECK_INT(hob_yield(), 0);
        hob__lookup_count(hob__self(), &busy, &kept);
    } while (busy > 1);
    RESOLVES("held.test", "192.0.2.9");
    return 0; /* one question is still under way when the loop ends */
}

TEST(who_gives_up_leaves_the_question_to_end_alone)
{
    with_zone(held_zone, gives_up);
}

/* --- no more than so many at once ------------------------------------------------------------- */

enum { NAMES = 600, BUSY = 256, FEWER = BUSY + 8 };

static char many_names[NAMES][16];
static struct dns_record many_zone[NAMES + 1];

static int resolves_one(void *arg)
{
    RESOLVES(((const struct dns_record *)arg)->name, "192.0.2.10");
    return 0;
}

static int many_at_once(void *arg)
{
    size_t busy, kept;
    hob_group g;
    int r = hob_group_open(&g, NULL), n = t_times(NAMES, FEWER);

    (void)arg;
    for (int i = 0; i < n && r == 0; i++)
        r = hob_go(&g, resolves_one, &many_zone[i]);
    if (r == 0)
        r = hob_yield();
    hob__lookup_count(hob__self(), &busy, &kept);
    CHECK_INT(busy, BUSY);
    dns_server_open(&server);
    CHECK_INT(hob_group_join(&g, r), 0);
    hob__lookup_count(hob__self(), &busy, &kept);
    CHECK_INT(busy, 0);
    CHECK_INT(kept, n);
    return 0;
}

TEST(too_many_names_wait_for_their_turn)
{
    for (int i = 0; i < NAMES; i++) {
        snprintf(many_names[i], sizeof many_names[i], "n%d.test", i);
        many_zone[i] = (struct dns_record){
            .name = many_names[i], .kind = DNS_HELD, .v4 = "192.0.2.10", .ttl = 60};
    }
    with_zone(many_zone, many_at_once);
}

/* --- hosts file, search rules ----------------------------------------------------------------- */

static char hosts_file[] = "/tmp/hob-hosts-XXXXXX";

static int is_in_file(void *arg)
{
    (void)arg;
    setenv("CARES_HOSTS", hosts_file, 1);
    RESOLVES("filed.test", "192.0.2.20");
    RESOLVES("FILED.test", "192.0.2.20");
    CHECK_INT(server.n_udp, 0); /* an AAAA of it is nobody's business either */
    FAILS("hidden.onion", -HOB_EDNS);
    FAILS("hidden.onion.", -HOB_EDNS);
    CHECK_INT(server.n_udp, 0);
    return 0;
}

TEST(the_hosts_file_comes_first)
{
    static const struct dns_record zone[] = {{.name = "filed.test", .v6 = "2001:db8::20", .ttl = 9},
                                             {NULL}};
    int fd = mkstemp(hosts_file);

    CHECK_INT(write(fd, "192.0.2.20 filed.test\n", 22), 22);
    close(fd);
    with_zone(zone, is_in_file);
    unlink(hosts_file);
}

static const struct dns_record search_zone[] = {
    {.name = "host.one.test", .kind = DNS_NONE, .no_ttl = 60},
    {.name = "host.two.test", .v4 = "192.0.2.31", .ttl = 60},
    {.name = "mixed.one.test", .v4 = "192.0.2.32", .ttl = 60},
    {.name = "mixed.two.test", .v6 = "2001:db8::32", .ttl = 60},
    {.name = "a.b", .v4 = "192.0.2.33", .ttl = 60},
    {.name = "a.b.one.test", .v4 = "192.0.2.34", .ttl = 60},
    {.name = "c.d.two.test", .v4 = "192.0.2.35", .ttl = 60},
    {NULL}};

static int is_searched(void *arg)
{
    (void)arg;
    RESOLVES("host", "192.0.2.31");
    CHECK_INT(server.n_udp, 4);
    RESOLVES("mixed", "192.0.2.32"); /* the other domain's AAAA is another host */
    RESOLVES("a.b", "192.0.2.33");   /* dots enough: as it is first */
    RESOLVES("c.d", "192.0.2.35");
    FAILS("host.", -HOB_EDNS); /* whole: nowhere else */
    FAILS("nobody", -HOB_EDNS);
    return 0;
}

TEST(names_are_searched_by_the_rules_of_resolv_conf)
{
    setenv("LOCALDOMAIN", "one.test two.test", 1);
    with_zone(search_zone, is_searched);
}

/* --- which way a name goes -------------------------------------------------------------------- */

static void other_way(const char *name, struct dns_answer *ret)
{
    (void)name;
    ret->rc = -HOB_EDNS;
}

TEST(getaddrinfo_is_asked_on_request)
{
    CHECK(hob__dns_by_ares());
    setenv("HOB_DNS", "getaddrinfo", 1);
    CHECK(!hob__dns_by_ares());
    setenv("HOB_DNS", "127.0.0.1:53", 1);
    CHECK(hob__dns_by_ares());
    hob__dns_lookup = other_way;
    CHECK(!hob__dns_by_ares());
}

static int each_asks(void *arg)
{
    (void)arg;
    RESOLVES("two.test", "[2001:db8::1] 192.0.2.1");
    return 0;
}

static int on_loops(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true));

    (void)arg;
    for (int i = 0; i < 50 && r == 0; i++)
        r = hob_go(&g, each_asks, NULL);
    r = hob_group_join(&g, r);
    CHECK(server.n_udp <= 2 * 3); /* a question a loop and family, at most */
    return r;
}

TEST(each_loop_has_a_table_of_its_own)
{
    routes_are_ours();
    setenv("HOB_LOOPS", "3", 1);
    with_zone(kept_zone, on_loops);
}

/* SPDX-License-Identifier: MIT */
#include <hob/hob.h>

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include "lib/t.h"
#include "net/dns.h"
#include "net_util.h"

/* Every thread has ended, and every lookup was freed once: not twice, not never. */
static void all_ended(void)
{
    while (hob__dns_running() > 0)
        sched_yield();
    CHECK_INT(hob__dns_records(), 0);
}

static int slow_pipe[2];

static _Atomic(bool) slow_begun;

static void slow_lookup(const char *name, struct dns_answer *ret)
{
    char c;

    (void)name;
    slow_begun = true;
    ret->rc = read(slow_pipe[0], &c, 1) == 1 ? -HOB_EDNS : -EAGAIN;
}

static int looks_up(void *arg)
{
    hob_addr a;
    size_t n = 99;
    int r = hob_resolve("slow.test", 80, 1, HOB_FOREVER, &a, &n);

    (void)arg;
    CHECK_INT(n, 99);
    return r;
}

static int slow_name(void *arg)
{
    hob_addr a[4];
    size_t n = 99;
    hob_group g;
    int r = hob_group_open(&g, NULL);

    (void)arg;
    if (r == 0)
        r = hob_go(&g, looks_up, NULL);
    while (r == 0 && !slow_begun) /* the loop turns meanwhile */
        r = hob_yield();
    hob_group_cancel(&g, -EINTR);
    CHECK_INT(hob_group_join(&g, r), -EINTR);
    CHECK_INT(hob_resolve("slow.test", 80, 4, hob_in(2 * HOB_MS), a, &n), -ETIMEDOUT);
    CHECK_INT(n, 99);
    CHECK_INT(hob_resolve("127.0.0.1", 80, 4, hob_in(HOB_SEC), a, &n), 0);
    CHECK_INT(n, 1);
    return 0;
}

TEST(a_slow_lookup_is_left_to_end_alone)
{
    CHECK_INT(pipe(slow_pipe), 0);
    hob__dns_lookup = slow_lookup;
    CHECK_INT(hob_run(NULL, slow_name, NULL), 0); /* the runtime ended, the lookup has not */
    CHECK(hob__dns_running() >= 1);
    CHECK_INT(write(slow_pipe[1], "xx", 2), 2);
    all_ended();
    close(slow_pipe[0]);
    close(slow_pipe[1]);
}

static _Atomic(int) n_begun;

static void slow_or_quick(const char *name, struct dns_answer *ret)
{
    char c;

    ret->rc = -HOB_EDNS;
    if (strcmp(name, "quick.test") == 0)
        return;
    n_begun++;
    if (read(slow_pipe[0], &c, 1) != 1)
        ret->rc = -EAGAIN;
}

enum { DNS_THREADS = 32 }; /* as dns.c has */

static int every_thread_is_busy(void *arg)
{
    hob_addr a;
    size_t n;
    hob_group g;
    int r = hob_group_open(&g, NULL);

    (void)arg;
    for (int i = 0; i < DNS_THREADS && r == 0; i++)
        r = hob_go(&g, looks_up, NULL);
    while (r == 0 && n_begun < DNS_THREADS)
        r = hob_yield();
    for (int i = 0; i < 100; i++) {
        CHECK_INT(hob_resolve("slow.test", 80, 1, hob_in(HOB_US), &a, &n), -ETIMEDOUT);
        CHECK_INT(hob__dns_queued(), 0);
    }
    hob_group_cancel(&g, -EINTR);
    CHECK_INT(hob_group_join(&g, r), -EINTR);
    CHECK_INT(hob__dns_running(), DNS_THREADS);
    CHECK_INT(write(slow_pipe[1], "x", 1), 1); /* one of them is free */
    CHECK_INT(hob_resolve("quick.test", 80, 1, HOB_FOREVER, &a, &n), -HOB_EDNS);
    CHECK_INT(n_begun, DNS_THREADS);
    return 0;
}

TEST(a_lookup_given_up_before_it_began_leaves_no_trace)
{
    char x[DNS_THREADS - 1] = {0};

    CHECK_INT(pipe(slow_pipe), 0);
    hob__dns_lookup = slow_or_quick;
    CHECK_INT(hob_run(NULL, every_thread_is_busy, NULL), 0);
    CHECK_INT(write(slow_pipe[1], x, sizeof x), sizeof x);
    all_ended();
    close(slow_pipe[0]);
    close(slow_pipe[1]);
}

static void fake_lookup(const char *name, struct dns_answer *ret)
{
    ret->rc = strcmp(name, "two.test") == 0 ? 0 : -HOB_EDNS;
    ret->n = 2;
    CHECK_INT(hob_addr_parse("192.0.2.1", 0, &ret->addr[0]), 0);
    CHECK_INT(hob_addr_parse("2001:db8::1", 0, &ret->addr[1]), 0);
}

static int names(void *arg)
{
    hob_addr a[4];
    char text[HOB_ADDR_TEXT_MAX];
    size_t n;

    (void)arg;
    CHECK_INT(hob_resolve("two.test", 443, 4, HOB_FOREVER, a, &n), 0);
    CHECK_INT(n, 2);
    CHECK_STR(hob_addr_text(&a[0], text), "192.0.2.1:443");
    CHECK_STR(hob_addr_text(&a[1], text), "[2001:db8::1]:443");
    CHECK_INT(hob_resolve("two.test", 443, 1, HOB_FOREVER, a, &n), 0);
    CHECK_INT(n, 1);
    CHECK_INT(hob_resolve("none.test", 443, 4, HOB_FOREVER, a, &n), -HOB_EDNS);
    CHECK_INT(hob_resolve("", 443, 4, HOB_FOREVER, a, &n), -EINVAL);
    return 0;
}

TEST(names_become_addresses)
{
    hob__dns_lookup = fake_lookup;
    on_pollers(names, NULL, 0);
    CHECK_INT(names(NULL), 0); /* and from a plain thread */
    all_ended();
}

static _Atomic(int) n_lookups;

static void counted_lookup(const char *name, struct dns_answer *ret)
{
    (void)name;
    n_lookups++;
    ret->rc = -HOB_EDNS;
}

/* A name is never there at once; a numeric address is. */
static int begins_no_lookup(void *arg)
{
    hob_addr a;
    size_t n = 99;

    (void)arg;
    CHECK_INT(hob_resolve("slow.test", 80, 1, 0, &a, &n), -ETIMEDOUT);
    CHECK_INT(n, 99);
    CHECK_INT(hob_resolve("127.0.0.1", 80, 1, 0, &a, &n), 0);
    CHECK_INT(n, 1);
    CHECK_INT(hob__dns_running() + n_lookups, 0);
    return 0;
}

TEST(until_zero_begins_no_lookup)
{
    hob__dns_lookup = counted_lookup;
    on_pollers(begins_no_lookup, NULL, 0);
    CHECK_INT(begins_no_lookup(NULL), 0);
}

static int resolves_cancelled(void *arg)
{
    hob_addr a;
    size_t n = 99;
    hob_group g;
    int r = hob_group_open(&g, NULL);

    (void)arg;
    hob_group_cancel(&g, 0);
    CHECK_INT(hob_resolve("127.0.0.1", 80, 1, HOB_FOREVER, &a, &n), -ECANCELED);
    CHECK_INT(n, 99);
    return hob_group_join(&g, r);
}

static int localhost_is_here(void *arg)
{
    static const char *const others[] = {"localhost.test", "notlocalhost", ".localhost",
                                         "localhos"};
    static const char *const here[] = {"localhost", "LocalHost.", "a.localhost", "b.a.LOCALHOST."};
    hob_addr a[4];
    char text[HOB_ADDR_TEXT_MAX];
    size_t n;

    (void)arg;
    for (size_t i = 0; i < sizeof here / sizeof here[0]; i++) {
        CHECK_INT(hob_resolve(here[i], 80, 4, 0, a, &n), 0);
        CHECK_INT(n, 2);
        CHECK_STR(hob_addr_text(&a[0], text), "127.0.0.1:80");
        CHECK_STR(hob_addr_text(&a[1], text), "[::1]:80");
        CHECK(!hob_addr_public(&a[0]) && !hob_addr_public(&a[1]));
    }
    CHECK_INT(hob_resolve("localhost", 80, 1, HOB_FOREVER, a, &n), 0);
    CHECK_INT(n, 1);
    CHECK_INT(n_lookups, 0);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        CHECK_INT(hob_resolve(others[i], 80, 4, 0, a, &n), -ETIMEDOUT);
    return 0;
}

TEST(localhost_is_asked_of_nobody)
{
    hob__dns_lookup = counted_lookup;
    on_pollers(localhost_is_here, NULL, 0);
    CHECK_INT(localhost_is_here(NULL), 0);
}

TEST(a_cancelled_scope_resolves_nothing_not_even_an_address)
{
    on_pollers(resolves_cancelled, NULL, 0);
}

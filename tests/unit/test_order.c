/* SPDX-License-Identifier: MIT */
#include "net/order.h"

#include <stdio.h>
#include <string.h>

#include "lib/t.h"

/* Addresses and what each would be reached from; "" : there is no way. */
static const char *const (*routes)[2];

static void parse(const char *text, hob_addr *ret)
{
    CHECK_INT(hob_addr_parse(text, 0, ret), 0);
}

static bool source_of(const hob_addr *to, hob_addr *ret)
{
    for (const char *const(*r)[2] = routes; (*r)[0]; r++) {
        hob_addr a;
        parse((*r)[0], &a);
        if (a.len != to->len || memcmp(&a.sa, &to->sa, a.len) != 0)
            continue;
        if ((*r)[1][0])
            parse((*r)[1], ret);
        return (*r)[1][0];
    }
    return false;
}

static void text_of(const hob_addr *a, size_t n, char *to, size_t size)
{
    size_t at = 0;

    to[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        char one[HOB_ADDR_TEXT_MAX];
        hob_addr_text(&a[i], one);
        *strrchr(one, ':') = '\0';
        at += (size_t)snprintf(to + at, size - at, "%s%s", i ? " " : "", one);
    }
}

/* In the order of `r` they come in, in that of `want` out. */
static void ordered(const char *const (*r)[2], const char *want)
{
    hob_addr a[8];
    char got[512];
    size_t n = 0;

    routes = r;
    hob__addr_source = source_of;
    for (; r[n][0]; n++)
        parse(r[n][0], &a[n]);
    hob__addrs_order(a, n);
    text_of(a, n, got, sizeof got);
    CHECK_STR(got, want);
}

/* The examples of RFC 6724, 10.2, as far as their rules are there. */
TEST(addresses_are_in_the_order_of_rfc_6724)
{
    ordered((const char *const[][2]){{"2001:db8:1::1", "2001:db8:1::2"},
                                     {"198.51.100.121", "198.51.100.117"},
                                     {NULL}},
            "[2001:db8:1::1] 198.51.100.121"); /* 6: precedence */
    ordered((const char *const[][2]){{"2001:db8:1::1", "fe80::1"},
                                     {"198.51.100.121", "198.51.100.117"},
                                     {NULL}},
            "198.51.100.121 [2001:db8:1::1]"); /* 2: scope */
    ordered((const char *const[][2]){{"198.51.100.121", "169.254.13.78"},
                                     {"2001:db8:1::1", "2001:db8:1::2"},
                                     {NULL}},
            "[2001:db8:1::1] 198.51.100.121");
    ordered((const char *const[][2]){{"2001:db8:1::1", "2001:db8:3::2"},
                                     {"fe80::1", "fe80::2"},
                                     {NULL}},
            "[fe80::1] [2001:db8:1::1]"); /* 8: smaller scope */
    ordered((const char *const[][2]){{"2001:db8:3ffe::1", "2001:db8:3f44::2"},
                                     {"2001:db8:1::1", "2001:db8:1::2"},
                                     {NULL}},
            "[2001:db8:1::1] [2001:db8:3ffe::1]"); /* 9: longest prefix */
    ordered((const char *const[][2]){{"2002:c633:6401::1", "2002:c633:6401::2"},
                                     {"2001:db8:1::1", "2002:c633:6401::2"},
                                     {NULL}},
            "[2002:c633:6401::1] [2001:db8:1::1]"); /* 5: label */
    ordered((const char *const[][2]){{"fc00::1", "fc00::2"}, {"::1", "::1"}, {NULL}},
            "[::1] [fc00::1]");
}

TEST(what_cannot_be_reached_comes_last)
{
    ordered((const char *const[][2]){{"2001:db8::1", ""}, {"192.0.2.1", "192.0.2.9"}, {NULL}},
            "192.0.2.1 [2001:db8::1]");
    ordered((const char *const[][2]){{"192.0.2.1", ""}, {"192.0.2.2", ""}, {NULL}},
            "192.0.2.1 192.0.2.2");
}

TEST(equals_stay_in_their_servers_order)
{
    ordered((const char *const[][2]){{"192.0.2.3", "192.0.2.9"},
                                     {"192.0.2.1", "192.0.2.9"},
                                     {"192.0.2.2", "192.0.2.9"},
                                     {NULL}},
            "192.0.2.3 192.0.2.1 192.0.2.2");
}

static void interleaved(const char *in, const char *want)
{
    hob_addr a[8];
    char one[64], got[512];
    size_t n = 0;

    for (int used; sscanf(in, " %63s%n", one, &used) == 1; in += used)
        parse(one, &a[n++]);
    hob__addrs_interleave(a, n);
    text_of(a, n, got, sizeof got);
    CHECK_STR(got, want);
}

TEST(families_take_turns)
{
    interleaved("::1 ::2 ::3 1.0.0.1 1.0.0.2", "[::1] 1.0.0.1 [::2] 1.0.0.2 [::3]");
    interleaved("1.0.0.1 ::1 ::2", "1.0.0.1 [::1] [::2]");
    interleaved("1.0.0.1 1.0.0.2", "1.0.0.1 1.0.0.2");
    interleaved("::1", "[::1]");
    interleaved("", "");
}

TEST(the_kernel_is_asked_for_the_source)
{
    hob_addr a, source;

    parse("127.0.0.1", &a);
    CHECK(hob__addr_source(&a, &source));
    CHECK_INT(source.sa.any.sa_family, AF_INET);
}

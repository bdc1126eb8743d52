/* SPDX-License-Identifier: MIT */
#include "net/reply.h"

#include <ares.h>
#include <errno.h>
#include <stdlib.h>

#include "dns_server.h"

/* What the test's own server would say. */
static int message(const struct dns_record *zone, int type, unsigned char *to, size_t size)
{
    struct dns_server s = {.zone = zone};
    unsigned char in[300];
    struct dns_text t = {in, in + sizeof in};

    dns_put(&t, "\x12\x34\1\0\0\1\0\0\0\0\0\0", 12);
    dns_put_name(&t, zone[0].name);
    dns_put16(&t, (unsigned)type);
    dns_put16(&t, 1);
    return dns_answer_to(&s, in, true, true, to, size);
}

static const struct dns_record zone_of_all[] = {
    {.name = "all.test", .v4 = "192.0.2.1 192.0.2.2", .v6 = "2001:db8::1", .ttl = 77}, {NULL}};
static const struct dns_record zone_of_none[] = {
    {.name = "none.test", .kind = DNS_NONE, .no_ttl = 55}, {NULL}};
static const struct dns_record zone_of_weeks[] = {
    {.name = "weeks.test", .v4 = "192.0.2.1", .ttl = 2000000}, {NULL}};
static const struct dns_record zone_of_long_no[] = {
    {.name = "none.test", .kind = DNS_NONE, .no_ttl = 2000000}, {NULL}};

TEST(addresses_and_their_time_are_read)
{
    struct dns_reply r;
    unsigned char msg[512];
    int len = message(zone_of_all, 1, msg, sizeof msg);

    hob__reply_read(ARES_SUCCESS, AF_INET, msg, len, &r);
    CHECK_INT(r.rc, 0);
    CHECK_INT(r.n, 2);
    CHECK_INT(r.ttl, 77);
    free(r.addr);
    len = message(zone_of_all, 28, msg, sizeof msg);
    hob__reply_read(ARES_SUCCESS, AF_INET6, msg, len, &r);
    CHECK_INT(r.n, 1);
    CHECK_INT(r.addr[0].len, sizeof(struct sockaddr_in6));
    free(r.addr);
    hob__reply_read(ARES_SUCCESS, AF_INET, msg, len, &r); /* of the other family: none */
    CHECK_INT(r.rc, -HOB_EDNS);
}

TEST(nothing_is_kept_for_longer_than_a_day)
{
    struct dns_reply r;
    unsigned char msg[512];
    int len = message(zone_of_weeks, 1, msg, sizeof msg);

    hob__reply_read(ARES_SUCCESS, AF_INET, msg, len, &r);
    CHECK_INT(r.ttl, 24 * 3600);
    free(r.addr);
    len = message(zone_of_long_no, 1, msg, sizeof msg);
    CHECK_INT(hob__reply_no_ttl(msg, len), 3 * 3600);
}

TEST(each_failure_has_its_code)
{
    static const struct {
        int status, rc;
    } codes[] = {
        {ARES_ENOTFOUND, -HOB_EDNS},  {ARES_ENODATA, -HOB_EDNS}, {ARES_EBADNAME, -HOB_EDNS},
        {ARES_ENOMEM, -ENOMEM},       {ARES_ESERVFAIL, -EAGAIN}, {ARES_ETIMEOUT, -EAGAIN},
        {ARES_ECONNREFUSED, -EAGAIN}, {ARES_EBADRESP, -EAGAIN},  {ARES_EDESTRUCTION, -EAGAIN}};
    struct dns_reply r;

    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        hob__reply_read(codes[i].status, AF_INET, NULL, 0, &r);
        CHECK_INT(r.rc, codes[i].rc);
        CHECK(!r.addr && r.n == 0 && r.ttl == 0);
    }
}

/* Each byte short of whole, in memory of that size, so that a sanitizer sees a read too far; then
 * each byte changed to what hurts most. */
static void hostile(const struct dns_record *zone, int type)
{
    static const unsigned char worst[] = {0, 1, 0x3f, 0x40, 0xc0, 0xff};
    unsigned char msg[512];
    int len = message(zone, type, msg, sizeof msg);
    struct dns_reply r;

    for (int n = 0; n <= len; n++) {
        unsigned char *part = malloc(n ? (size_t)n : 1);
        CHECK(part);
        memcpy(part, msg, (size_t)n);
        (void)hob__reply_no_ttl(part, n);
        hob__reply_read(n < 12 ? ARES_ENODATA : ARES_SUCCESS, AF_INET, part, n, &r);
        free(r.addr);
        for (size_t w = 0; n == len && w < sizeof worst * (size_t)len; w++) {
            unsigned char old = part[w % (size_t)len];
            part[w % (size_t)len] = worst[w / (size_t)len];
            (void)hob__reply_no_ttl(part, n);
            hob__reply_read(ARES_SUCCESS, AF_INET, part, n, &r);
            free(r.addr);
            part[w % (size_t)len] = old;
        }
        free(part);
    }
}

TEST(no_message_is_read_beyond_its_end)
{
    hostile(zone_of_all, 1);
    hostile(zone_of_none, 1);
    CHECK_INT(hob__reply_no_ttl(NULL, 0), 0);
    for (int len = 0; len < 12; len++) { /* shorter than a header */
        struct dns_reply r;
        unsigned char *part = calloc(1, (size_t)len + 1);

        CHECK(part != NULL);
        hob__reply_read(ARES_SUCCESS, AF_INET, part, len, &r);
        CHECK_INT(r.rc, -EAGAIN);
        free(part);
    }
}

TEST(a_no_is_good_for_the_least_of_its_soa_record)
{
    unsigned char msg[512];
    int len = message(zone_of_none, 1, msg, sizeof msg);

    CHECK_INT(hob__reply_no_ttl(msg, len), 55);
    msg[len - 20 - 2 - 6 + 0] = 0; /* the record's own time, now 3: below the minimum */
    msg[len - 28 + 1] = 0;
    msg[len - 28 + 2] = 0;
    msg[len - 28 + 3] = 3;
    CHECK_INT(hob__reply_no_ttl(msg, len), 3);
}

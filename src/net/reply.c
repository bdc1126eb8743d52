/* SPDX-License-Identifier: MIT
 *
 * reply.c - a name server's answer to a question for addresses
 *
 * WHAT        Addresses are taken out by c-ares's parser, which follows aliases and knows the least
 *             time to live of a chain.  How long a "no such name" is good for it does not tell:
 *             that is the SOA record of the authority section, read here.
 *
 * INVARIANTS  (I1) nothing is read beyond `len`: the message is whatever came from the network
 *             (I2) the walk ends: each step goes forward, and there are no pointers to follow, for
 *                  names are skipped, not expanded
 */
#include "net/reply.h"

#include <ares.h>
#include <ares_nameser.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEADER_SIZE = 12, /* bytes; counts of questions, answers, authorities from byte 4 on */
    RR_FIXED = 10,
    RR_LEAST = 12,    /* a pointer as its name */
    SOA_NUMBERS = 20, /* bytes at the end of its data; the last four are the minimum */
    TYPE_SOA = 6,
    TTL_MAX = 24 * 3600,   /* a server that says more is asked once a day */
    TTL_NO_MAX = 3 * 3600, /* RFC 2308, 5 */
};

static uint32_t read16(const unsigned char *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t read32(const unsigned char *p)
{
    return read16(p) << 16 | read16(p + 2);
}

/* Past a name; -1: it does not end within the message.  (I1) (I2) */
static int skip_name(const unsigned char *msg, int len, int at)
{
    while (at >= 0 && at < len) {
        if (msg[at] == 0)
            return at + 1;
        if ((msg[at] & 0xc0) == 0xc0)
            return at + 2 <= len ? at + 2 : -1;
        if (msg[at] & 0xc0)
            return -1;
        at += msg[at] + 1;
    }
    return -1;
}

/* Past a record; -1.  *ret_data, *ret_size: its data. */
static int skip_record(const unsigned char *msg, int len, int at, int *ret_data, int *ret_size)
{
    if ((at = skip_name(msg, len, at)) < 0 || at + RR_FIXED > len)
        return -1;
    *ret_data = at + RR_FIXED;
    *ret_size = (int)read16(msg + at + 8);
    return *ret_data + *ret_size <= len ? *ret_data + *ret_size : -1;
}

uint32_t hob__reply_no_ttl(const unsigned char *msg, int len)
{
    int at = HEADER_SIZE, data, size;

    if (!msg || len < HEADER_SIZE)
        return 0;
    for (uint32_t n = read16(msg + 4); n > 0 && at >= 0; n--) {
        at = skip_name(msg, len, at);
        at = at < 0 || at + 4 > len ? -1 : at + 4;
    }
    for (uint32_t n = read16(msg + 6); n > 0 && at >= 0; n--)
        at = skip_record(msg, len, at, &data, &size);
    for (uint32_t n = read16(msg + 8); n > 0 && at >= 0; n--) {
        at = skip_record(msg, len, at, &data, &size);
        if (at < 0 || read16(msg + data - RR_FIXED) != TYPE_SOA || size < SOA_NUMBERS + 2)
            continue;
        uint32_t ttl = read32(msg + data - 6), least = read32(msg + data + size - 4);
        ttl = ttl < least ? ttl : least;
        return ttl < TTL_NO_MAX ? ttl : TTL_NO_MAX;
    }
    return 0;
}

static void addr_put(struct dns_reply *ret, int family, const void *bytes, int ttl)
{
    hob_addr *a = &ret->addr[ret->n++];

    memset(a, 0, sizeof *a);
    a->sa.any.sa_family = (sa_family_t)family;
    if (family == AF_INET6) {
        struct sockaddr_in6 *in = (struct sockaddr_in6 *)(void *)&a->sa.room;
        memcpy(&in->sin6_addr, bytes, sizeof in->sin6_addr);
        a->len = sizeof *in;
    } else {
        struct sockaddr_in *in = (struct sockaddr_in *)(void *)&a->sa.room;
        memcpy(&in->sin_addr, bytes, sizeof in->sin_addr);
        a->len = sizeof *in;
    }
    if (ttl >= 0 && (uint32_t)ttl < ret->ttl)
        ret->ttl = (uint32_t)ttl;
}

/* As c-ares gives them: either kind. */
union found {
    struct ares_addrttl v4;
    struct ares_addr6ttl v6;
};

/* As many as it says, if so many would fit into it. */
static int addrs_read(int family, const unsigned char *msg, int len, struct dns_reply *ret)
{
    int room, said, most, n, status;

    if (len < HEADER_SIZE) /* (I1) */
        return ARES_EBADRESP;
    room = (len - HEADER_SIZE) / RR_LEAST;
    said = (int)read16(msg + 6);
    most = n = said < room ? said : room;
    if (most < 1)
        return ARES_ENODATA;
    union found *found = calloc((size_t)most, sizeof *found);
    struct ares_addrttl *v4 = (void *)found;
    struct ares_addr6ttl *v6 = (void *)found;

    ret->addr = calloc((size_t)most, sizeof ret->addr[0]);
    if (!found || !ret->addr) {
        free(found);
        return ARES_ENOMEM;
    }
    status = family == AF_INET6 ? ares_parse_aaaa_reply(msg, len, NULL, v6, &n)
                                : ares_parse_a_reply(msg, len, NULL, v4, &n);
    for (int i = 0; status == ARES_SUCCESS && i < n; i++) {
        if (family == AF_INET6)
            addr_put(ret, family, &v6[i].ip6addr, v6[i].ttl);
        else
            addr_put(ret, family, &v4[i].ipaddr, v4[i].ttl);
    }
    free(found);
    return status == ARES_SUCCESS && n == 0 ? ARES_ENODATA : status;
}

void hob__reply_read(int status, int family, const unsigned char *msg, int len,
                     struct dns_reply *ret)
{
    *ret = (struct dns_reply){.ttl = TTL_MAX};
    if (status == ARES_SUCCESS)
        status = addrs_read(family, msg, len, ret);
    if (status == ARES_SUCCESS)
        return;
    free(ret->addr);
    *ret = (struct dns_reply){.rc = -EAGAIN};
    if (status == ARES_ENODATA || status == ARES_ENOTFOUND) {
        ret->rc = -HOB_EDNS;
        ret->ttl = hob__reply_no_ttl(msg, len);
    } else if (status == ARES_EBADNAME) {
        ret->rc = -HOB_EDNS;
    } else if (status == ARES_ENOMEM || status == ARES_ECANCELLED) { /* ares.c: for want of it */
        ret->rc = -ENOMEM;
    }
}

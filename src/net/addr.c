/* SPDX-License-Identifier: MIT
 *
 * addr.c - socket addresses: from text, to text, and whether they are public
 *
 * WHAT        hob_addr_public is the address guard's rule.  It refuses what the IANA
 *             special-purpose address registries (RFC 6890 and its updates) do not call globally
 *             reachable, and looks through every way in which IPv6 carries an IPv4 address: a guard
 *             that knows 10.0.0.1 and not ::ffff:10.0.0.1 guards nothing.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include <hob/net.h>

struct range4 {
    uint32_t net;
    uint8_t bits;
};

/* Not globally reachable. */
static const struct range4 special4[] = {
    {0x00000000, 8},  /* this network, RFC 791 */
    {0x0a000000, 8},  /* private, RFC 1918 */
    {0x64400000, 10}, /* shared (carrier-grade NAT), RFC 6598 */
    {0x7f000000, 8},  /* loopback, RFC 1122 */
    {0xa9fe0000, 16}, /* link-local, RFC 3927; 169.254.169.254 is the clouds' metadata */
    {0xac100000, 12}, /* private */
    {0xc0000000, 24}, /* protocol assignments, RFC 6890 */
    {0xc0000200, 24}, /* documentation, RFC 5737 */
    {0xc0586300, 24}, /* 6to4 relays, RFC 7526 */
    {0xc0a80000, 16}, /* private */
    {0xc6120000, 15}, /* benchmarks, RFC 2544 */
    {0xc6336400, 24}, /* documentation */
    {0xcb007100, 24}, /* documentation */
    {0xe0000000, 4},  /* multicast, RFC 5771 */
    {0xf0000000, 4},  /* reserved, and the broadcast address */
};

struct range6 {
    uint8_t net[16];
    uint8_t bits;
};

static const struct range6 special6[] = {
    {{0x01, 0x00}, 64},                   /* discard, RFC 6666 */
    {{0x20, 0x01, 0x00}, 23},             /* protocol assignments (Teredo, ORCHID), RFC 2928 */
    {{0x20, 0x01, 0x0d, 0xb8}, 32},       /* documentation, RFC 3849 */
    {{0x3f, 0xff}, 20},                   /* documentation, RFC 9637 */
    {{0x5f, 0x00}, 16},                   /* segment routing, RFC 9602 */
    {{0xfc}, 7},                          /* unique local, RFC 4193 */
    {{0xfe, 0x80}, 10},                   /* link-local, RFC 4291 */
    {{0xfe, 0xc0}, 10},                   /* site-local, RFC 3879 */
    {{0xff}, 8},                          /* multicast */
    {{0x00, 0x64, 0xff, 0x9b, 0, 1}, 48}, /* local NAT64, RFC 8215 */
};

static bool public4(uint32_t a)
{
    for (size_t i = 0; i < sizeof special4 / sizeof special4[0]; i++)
        if ((a ^ special4[i].net) >> (32 - special4[i].bits) == 0)
            return false;
    return true;
}

static uint32_t load4(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool prefix_is(const uint8_t a[16], const uint8_t net[16], unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    if (memcmp(a, net, whole) != 0)
        return false;
    return rest == 0 || (a[whole] ^ net[whole]) >> (8 - rest) == 0;
}

static bool public6(const uint8_t a[16])
{
    static const uint8_t zero[16], mapped[16] = {[10] = 0xff, [11] = 0xff};
    static const uint8_t nat64[16] = {0x00, 0x64, 0xff, 0x9b}, six_to_four[16] = {0x20, 0x02};

    if (prefix_is(a, zero, 96) || prefix_is(a, mapped, 96) || prefix_is(a, nat64, 96))
        return public4(load4(a + 12)); /* ::, ::1 and the IPv4-compatible among them */
    if (prefix_is(a, six_to_four, 16))
        return public4(load4(a + 2));
    for (size_t i = 0; i < sizeof special6 / sizeof special6[0]; i++)
        if (prefix_is(a, special6[i].net, special6[i].bits))
            return false;
    return true;
}

bool hob_addr_public(const hob_addr *a)
{
    if (a->sa.any.sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)&a->sa.room;
        return public4(ntohl(in->sin_addr.s_addr));
    }
    if (a->sa.any.sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)&a->sa.room;
        return public6(in6->sin6_addr.s6_addr);
    }
    return false;
}

int hob_addr_parse(const char *text, uint16_t port, hob_addr *ret)
{
    hob_addr a = {.len = 0};
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)&a.sa.room;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)&a.sa.room;
    char bare[INET6_ADDRSTRLEN];
    size_t n = strlen(text);

    if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
        text++;
        n -= 2;
    }
    if (n >= sizeof bare)
        return -EINVAL;
    memcpy(bare, text, n);
    bare[n] = '\0';
    if (inet_pton(AF_INET, bare, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        a.len = sizeof *in;
    } else if (inet_pton(AF_INET6, bare, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(port);
        a.len = sizeof *in6;
    } else {
        return -EINVAL;
    }
    *ret = a;
    return 0;
}

uint16_t hob_addr_port(const hob_addr *a)
{
    if (a->sa.any.sa_family != AF_INET && a->sa.any.sa_family != AF_INET6)
        return 0;
    /* The port lies at the same place in both. */
    return ntohs(((const struct sockaddr_in *)(const void *)&a->sa.room)->sin_port);
}

/* A path, or "@name"; cut to its beginning where it is too long. */
static char *unix_text(const hob_addr *a, char to[HOB_ADDR_TEXT_MAX])
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)(const void *)&a->sa.room;
    size_t head = offsetof(struct sockaddr_un, sun_path), n = a->len > head ? a->len - head : 0;
    bool abstract = n > 0 && un->sun_path[0] == '\0';

    snprintf(to, HOB_ADDR_TEXT_MAX, "unix:%s%.*s", abstract ? "@" : "", (int)(n - abstract),
             un->sun_path + abstract);
    return to;
}

char *hob_addr_text(const hob_addr *a, char to[HOB_ADDR_TEXT_MAX])
{
    if (a->sa.any.sa_family == AF_UNIX)
        return unix_text(a, to);
    char host[INET6_ADDRSTRLEN] = "?";
    bool six = a->sa.any.sa_family == AF_INET6;
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)&a->sa.room;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)&a->sa.room;

    if (six)
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
    else if (a->sa.any.sa_family == AF_INET)
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
    snprintf(to, HOB_ADDR_TEXT_MAX, six ? "[%s]:%u" : "%s:%u", host, hob_addr_port(a));
    return to;
}

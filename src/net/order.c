/* SPDX-License-Identifier: MIT
 *
 * order.c - destination address selection (RFC 6724, section 6)
 *
 * HOW         Each address gets the source address the kernel would use (connect of a UDP socket
 *             sends nothing), and both are judged by their scope, label and precedence; addresses
 *             are then sorted by insertion, which keeps the name server's order among equals.
 *
 *   IPv4 addresses are judged as mapped ones (RFC 6724, 3.2).  Rules 3, 4 and 7 (deprecated, home
 *   and tunnelled source addresses) are left out: the kernel has used its own table when it chose
 *   the source, and says no more about it.
 *
 * INVARIANTS  (I1) the same addresses come out as went in
 */
#include "net/order.h"

#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

enum scope { SCOPE_LINK = 2, SCOPE_SITE = 5, SCOPE_GLOBAL = 14 };

struct rank {
    bool usable;
    bool same_scope, same_label;
    uint8_t scope, precedence;
    uint8_t prefix; /* bits that source and destination have in common; IPv6 only */
};

/* RFC 6724, 2.1: the default policy, longest prefix first. */
static const struct policy {
    uint8_t prefix[16];
    uint8_t bits, precedence, label;
} policies[] = {
    {{[15] = 1}, 128, 50, 0},                /* ::1 */
    {{[10] = 0xff, [11] = 0xff}, 96, 35, 4}, /* IPv4, mapped */
    {{0}, 96, 1, 3},                         /* IPv4, compatible */
    {{0x20, 0x01}, 32, 5, 5},                /* Teredo */
    {{0x20, 0x02}, 16, 30, 2},               /* 6to4 */
    {{0x3f, 0xfe}, 16, 1, 12},               /* 6bone */
    {{0xfe, 0xc0}, 10, 1, 11},               /* site-local */
    {{0xfc}, 7, 3, 13},                      /* unique local */
    {{0}, 0, 40, 1},                         /* all others */
};

static unsigned common_bits(const uint8_t *a, const uint8_t *b, unsigned most)
{
    unsigned n = 0;

    while (n < most && !((a[n / 8] ^ b[n / 8]) & (0x80 >> n % 8)))
        n++;
    return n;
}

/* As 16 bytes, IPv4 mapped. */
static void addr_bytes(const hob_addr *a, uint8_t to[16])
{
    if (a->sa.any.sa_family == AF_INET6) {
        memcpy(to, &((const struct sockaddr_in6 *)(const void *)&a->sa)->sin6_addr, 16);
        return;
    }
    memset(to, 0, 10);
    memset(to + 10, 0xff, 2);
    memcpy(to + 12, &((const struct sockaddr_in *)(const void *)&a->sa)->sin_addr, 4);
}

static const struct policy *policy_of(const uint8_t a[16])
{
    const struct policy *p = policies;

    while (common_bits(a, p->prefix, p->bits) < p->bits)
        p++;
    return p;
}

static uint8_t scope_of(const uint8_t a[16])
{
    static const uint8_t loopback[16] = {[15] = 1};

    if (policy_of(a)->label == 4) /* IPv4: loopback and 169.254 are link-local */
        return a[12] == 127 || (a[12] == 169 && a[13] == 254) ? SCOPE_LINK : SCOPE_GLOBAL;
    if (a[0] == 0xff)
        return a[1] & 15;
    if (memcmp(a, loopback, 16) == 0 || (a[0] == 0xfe && (a[1] & 0xc0) == 0x80))
        return SCOPE_LINK;
    return a[0] == 0xfe && (a[1] & 0xc0) == 0xc0 ? SCOPE_SITE : SCOPE_GLOBAL;
}

static bool kernel_source(const hob_addr *to, hob_addr *ret)
{
    hob_addr any = *to;
    int fd = socket(to->sa.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return false;
    /* The port lies at the same place in both; without one there is no connect. */
    ((struct sockaddr_in *)(void *)&any.sa)->sin_port = htons(53);
    bool found = connect(fd, &any.sa.any, any.len) == 0 && hob_sock_addr(fd, ret) == 0;
    close(fd);
    return found;
}

bool (*hob__addr_source)(const hob_addr *to, hob_addr *ret) = kernel_source;

static struct rank rank_of(const hob_addr *a)
{
    struct rank k = {.usable = false};
    uint8_t to[16], from[16];
    hob_addr source;

    addr_bytes(a, to);
    k.scope = scope_of(to);
    k.precedence = policy_of(to)->precedence;
    if (!(k.usable = hob__addr_source(a, &source)))
        return k;
    addr_bytes(&source, from);
    k.same_scope = scope_of(from) == k.scope;
    k.same_label = policy_of(from)->label == policy_of(to)->label;
    if (a->sa.any.sa_family == AF_INET6)
        k.prefix = (uint8_t)common_bits(to, from, 64);
    return k;
}

/* Whether a comes before b; the rules in their order. */
static bool before(const struct rank *a, const struct rank *b, bool both_v6)
{
    if (a->usable != b->usable) /* 1 */
        return a->usable;
    if (a->same_scope != b->same_scope) /* 2 */
        return a->same_scope;
    if (a->same_label != b->same_label) /* 5 */
        return a->same_label;
    if (a->precedence != b->precedence) /* 6 */
        return a->precedence > b->precedence;
    if (a->scope != b->scope) /* 8 */
        return a->scope < b->scope;
    return both_v6 && a->prefix > b->prefix; /* 9 */
}

enum { ORDER_MAX = 64 }; /* more are left behind them as they came */

void hob__addrs_order(hob_addr *addr, size_t n)
{
    struct rank rank[ORDER_MAX];

    if (n < 2)
        return;
    n = n < ORDER_MAX ? n : ORDER_MAX;
    for (size_t i = 0; i < n; i++)
        rank[i] = rank_of(&addr[i]);
    for (size_t i = 1; i < n; i++) { /* (I1) */
        struct rank k = rank[i];
        hob_addr a = addr[i];
        size_t at = i;
        while (at > 0 && before(&k, &rank[at - 1],
                                a.sa.any.sa_family == AF_INET6 &&
                                    addr[at - 1].sa.any.sa_family == AF_INET6)) {
            rank[at] = rank[at - 1];
            addr[at] = addr[at - 1];
            at--;
        }
        rank[at] = k;
        addr[at] = a;
    }
}

void hob__addrs_interleave(hob_addr *addr, size_t n)
{
    for (size_t at = 1; at < n; at++) {
        size_t next = at;
        hob_addr a;

        while (next < n && addr[next].sa.any.sa_family == addr[at - 1].sa.any.sa_family)
            next++;
        if (next == n) /* only one family is left */
            return;
        a = addr[next];
        memmove(&addr[at + 1], &addr[at], (next - at) * sizeof addr[0]);
        addr[at] = a;
    }
}

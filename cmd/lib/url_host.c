/* SPDX-License-Identifier: MIT
 *
 * url_host.c - the host of a URL: names, IPv4 in all its spellings, IPv6
 *
 * HOW   "[...]" is IPv6.  Everything else is percent-decoded; a name with octets outside ASCII goes
 *   through UTS-46 (ICU, non-transitional), every other name is only lower-cased.  Then come the
 * forbidden code points, and a name whose last label is a number must be an IPv4 address ("0x7f.1",
 * "017700000001" and "2130706433" are all 127.0.0.1: an address guard that looked at the text alone
 * would let them through).
 *
 * REJECTED  libidn2: it applies IDNA2008 after UTS-46 and so refuses names that are in use and
 *   that browsers take (symbols and emoji); 29 of the 87 cases in tests/data/url/host.tsv fail.
 *
 * SEE   https://url.spec.whatwg.org/#host-parsing
 */
#include "lib/url_host.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unicode/uidna.h>

enum { V6_PIECES = 8, V4_PARTS = 4, V6_TEXT = 42 };

int url_hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int host_put(const char *text, size_t n, char *out, size_t cap)
{
    if (n > cap)
        return -ENAMETOOLONG;
    memcpy(out, text, n);
    return (int)n;
}

/* IPv6: up to eight pieces of four hexadecimal digits, one "::", the last two perhaps as IPv4. */

/* "1.2.3.4" at *s as two pieces; nothing but decimal numbers without leading zeros will do. */
static int v6_read_v4(const char *s, const char *end, uint16_t *piece)
{
    for (int seen = 0; seen < V4_PARTS; seen++) {
        unsigned value = 0, digits = 0;

        if (seen > 0 && (s == end || *s++ != '.'))
            return -EINVAL;
        for (; s < end && *s >= '0' && *s <= '9'; s++, digits++) {
            if (digits > 0 && value == 0)
                return -EINVAL;
            value = value * 10 + (unsigned)(*s - '0');
            if (value > 255)
                return -EINVAL;
        }
        if (digits == 0)
            return -EINVAL;
        piece[seen / 2] = (uint16_t)(piece[seen / 2] << 8 | value);
    }
    return s == end ? 0 : -EINVAL;
}

/* The pieces after "::" stand too far left: move them to the end. */
static int v6_spread(uint16_t *piece, int n, int gap)
{
    if (gap < 0)
        return n == V6_PIECES ? 0 : -EINVAL;
    int moved = n - gap;
    memmove(piece + V6_PIECES - moved, piece + gap, (size_t)moved * sizeof *piece);
    memset(piece + gap, 0, (size_t)(V6_PIECES - n) * sizeof *piece);
    return 0;
}

static int v6_read(const char *s, const char *end, uint16_t *piece)
{
    int n = 0, gap = -1;

    if (end - s >= 1 && s[0] == ':') {
        if (end - s < 2 || s[1] != ':')
            return -EINVAL;
        s += 2;
        gap = 0;
    }
    while (s < end) {
        unsigned value = 0, digits = 0;

        if (n == V6_PIECES)
            return -EINVAL;
        if (*s == ':') {
            if (gap >= 0)
                return -EINVAL;
            gap = n;
            s++;
            continue;
        }
        for (; digits < 4 && s + digits < end && url_hex(s[digits]) >= 0; digits++)
            value = value << 4 | (unsigned)url_hex(s[digits]);
        if (s + digits < end && s[digits] == '.') {
            if (digits == 0 || n > V6_PIECES - 2 || v6_read_v4(s, end, piece + n) < 0)
                return -EINVAL;
            n += 2;
            break;
        }
        s += digits;
        if (s < end && (*s++ != ':' || s == end))
            return -EINVAL;
        piece[n++] = (uint16_t)value;
    }
    return v6_spread(piece, n, gap);
}

/* The first longest run of two or more zero pieces: its start, or V6_PIECES when there is none. */
static int v6_zero_run(const uint16_t *piece, int *len)
{
    int best = V6_PIECES;

    *len = 1;
    for (int at = 0; at < V6_PIECES; at++) {
        int n = 0;
        while (at + n < V6_PIECES && piece[at + n] == 0)
            n++;
        if (n > *len) {
            *len = n;
            best = at;
        }
    }
    return best;
}

static int v6_parse(const char *s, const char *end, char *out, size_t cap)
{
    uint16_t piece[V6_PIECES] = {0};
    char text[V6_TEXT];
    int zeros, n = 0;

    int r = v6_read(s, end, piece);
    if (r < 0)
        return r;
    int run = v6_zero_run(piece, &zeros);
    text[n++] = '[';
    for (int i = 0; i < V6_PIECES; i++) {
        if (i == run) {
            n += sprintf(text + n, i == 0 ? "::" : ":");
            i += zeros - 1;
            continue;
        }
        n += sprintf(text + n, i == V6_PIECES - 1 ? "%x" : "%x:", piece[i]);
    }
    text[n++] = ']';
    return host_put(text, (size_t)n, out, cap);
}

/* IPv4: one to four numbers, each decimal, octal (leading 0) or hexadecimal (leading 0x). */

static bool v4_all_digits(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i] < '0' || s[i] > '9')
            return false;
    return n > 0;
}

/* Saturates: every caller compares against a smaller bound. */
static int v4_number(const char *s, size_t n, uint64_t *ret)
{
    unsigned base = 10;
    uint64_t value = 0;

    if (n == 0)
        return -EINVAL;
    if (n >= 2 && s[0] == '0') {
        bool hex = (s[1] | 0x20) == 'x';
        base = hex ? 16 : 8;
        s += hex ? 2 : 1;
        n -= hex ? 2 : 1;
    }
    for (size_t i = 0; i < n; i++) {
        int digit = url_hex(s[i]);
        if (digit < 0 || (unsigned)digit >= base)
            return -EINVAL;
        if (value <= UINT32_MAX)
            value = value * base + (unsigned)digit;
    }
    *ret = value;
    return 0;
}

/* The label that decides: the last, or the one before a final dot. */
static bool v4_looks_like(const char *s, size_t n)
{
    uint64_t value;

    if (n > 0 && s[n - 1] == '.')
        n--;
    const char *dot = memrchr(s, '.', n);
    const char *last = dot ? dot + 1 : s;
    size_t len = (size_t)(s + n - last);
    return v4_all_digits(last, len) || (len > 0 && v4_number(last, len, &value) == 0);
}

static int v4_parse(const char *s, size_t n, char *out, size_t cap)
{
    uint64_t part[V4_PARTS], address = 0;
    unsigned parts = 0;
    char text[16];

    if (s[n - 1] == '.')
        n--;
    for (const char *end = s + n, *at = s; at <= end;) {
        const char *dot = memchr(at, '.', (size_t)(end - at));
        const char *stop = dot ? dot : end;
        if (parts == V4_PARTS || v4_number(at, (size_t)(stop - at), &part[parts]) < 0)
            return -EINVAL;
        parts++;
        at = stop + 1;
    }
    for (unsigned i = 0; i + 1 < parts; i++) {
        if (part[i] > 255)
            return -EINVAL;
        address |= part[i] << (24 - 8 * i);
    }
    if (part[parts - 1] >= (uint64_t)1 << (8 * (V4_PARTS + 1 - parts)))
        return -EINVAL;
    address |= part[parts - 1];
    int len =
        sprintf(text, "%u.%u.%u.%u", (unsigned)(address >> 24), (unsigned)(address >> 16) & 255,
                (unsigned)(address >> 8) & 255, (unsigned)address & 255);
    return host_put(text, (size_t)len, out, cap);
}

/* Names. */

static size_t name_percent_decode(char *s, size_t n)
{
    size_t to = 0;

    for (size_t i = 0; i < n; i++) {
        if (s[i] == '%' && i + 2 < n && url_hex(s[i + 1]) >= 0 && url_hex(s[i + 2]) >= 0) {
            s[to++] = (char)(url_hex(s[i + 1]) << 4 | url_hex(s[i + 2]));
            i += 2;
        } else {
            s[to++] = s[i];
        }
    }
    return to;
}

static bool name_is_ascii(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] >= 0x80)
            return false;
    return true;
}

/* Made once and never closed; using it writes nothing, so any thread may. */
static UIDNA *uts46;

static void uts46_open(void)
{
    UErrorCode error = U_ZERO_ERROR;

    uts46 = uidna_openUTS46(
        UIDNA_CHECK_BIDI | UIDNA_CHECK_CONTEXTJ | UIDNA_NONTRANSITIONAL_TO_ASCII, &error);
    if (U_FAILURE(error))
        uts46 = NULL;
}

static int name_to_ascii(const char *s, size_t n, char *out, size_t cap)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    /* The standard asks for neither DNS lengths nor the rules about hyphens. */
    const uint32_t ignored = UIDNA_ERROR_EMPTY_LABEL | UIDNA_ERROR_LABEL_TOO_LONG |
                             UIDNA_ERROR_DOMAIN_NAME_TOO_LONG | UIDNA_ERROR_LEADING_HYPHEN |
                             UIDNA_ERROR_TRAILING_HYPHEN | UIDNA_ERROR_HYPHEN_3_4;
    UIDNAInfo info = UIDNA_INFO_INITIALIZER;
    UErrorCode error = U_ZERO_ERROR;

    pthread_once(&once, uts46_open);
    if (!uts46)
        return -ENOMEM;
    int32_t len = uidna_nameToASCII_UTF8(uts46, s, (int32_t)n, out, (int32_t)cap, &info, &error);
    if (error == U_BUFFER_OVERFLOW_ERROR)
        return -ENAMETOOLONG;
    if (error == U_MEMORY_ALLOCATION_ERROR)
        return -ENOMEM;
    return U_FAILURE(error) || (info.errors & ~ignored) ? -EINVAL : len;
}

static bool name_has_forbidden(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c <= 0x20 || c == 0x7f || strchr("#%/:<>?@[\\]^|", c))
            return true;
    }
    return false;
}

int url_host_parse(char *host, size_t n, char *out, size_t cap)
{
    if (n > 0 && host[0] == '[') {
        if (host[n - 1] != ']')
            return -EINVAL;
        return v6_parse(host + 1, host + n - 1, out, cap);
    }
    n = name_percent_decode(host, n);
    int r = name_is_ascii(host, n) ? host_put(host, n, out, cap) : name_to_ascii(host, n, out, cap);
    if (r < 0)
        return r;
    n = (size_t)r;
    for (size_t i = 0; i < n; i++)
        if (out[i] >= 'A' && out[i] <= 'Z')
            out[i] |= 0x20;
    if (n == 0 || name_has_forbidden(out, n))
        return -EINVAL;
    return v4_looks_like(out, n) ? v4_parse(out, n, out, cap) : r;
}

/* SPDX-License-Identifier: MIT
 *
 * svg.c - growing text for an SVG
 */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace/svg.h"

static bool svg_room(struct svg *s, size_t n)
{
    size_t cap = s->cap ? s->cap : 4096;
    char *p;

    if (s->failed)
        return false;
    if (s->n + n <= s->cap)
        return true;
    while (cap < s->n + n)
        cap *= 2;
    p = realloc(s->p, cap);
    if (!p) {
        s->failed = true;
        return false;
    }
    s->p = p;
    s->cap = cap;
    return true;
}

static void svg_bytes(struct svg *s, const char *p, size_t n)
{
    if (!svg_room(s, n))
        return;
    memcpy(s->p + s->n, p, n);
    s->n += n;
}

void hob__svg_add(struct svg *s, const char *format, ...)
{
    char small[512];
    va_list args, again;
    int n;

    va_start(args, format);
    va_copy(again, args);
    n = vsnprintf(small, sizeof(small), format, args);
    if (n >= (int)sizeof(small) && svg_room(s, (size_t)n + 1)) {
        vsnprintf(s->p + s->n, (size_t)n + 1, format, again);
        s->n += (size_t)n;
    } else if (n > 0) {
        svg_bytes(s, small, (size_t)n);
    }
    va_end(again);
    va_end(args);
}

/* v / 10^digits, without trailing zeros and without asking the locale for the point. */
static void svg_decimal(struct svg *s, int64_t v, int digits)
{
    int64_t unit = 1;

    for (int i = 0; i < digits; i++)
        unit *= 10;
    if (v < 0) {
        hob__svg_add(s, "-");
        v = -v;
    }
    while (digits > 0 && v % 10 == 0) {
        v /= 10;
        unit /= 10;
        digits--;
    }
    if (digits == 0)
        hob__svg_add(s, "%" PRId64, v);
    else
        hob__svg_add(s, "%" PRId64 ".%0*" PRId64, v / unit, digits, v % unit);
}

void hob__svg_num(struct svg *s, double v)
{
    svg_decimal(s, llround(v * 10), 1);
}

/* Bytes of the valid UTF-8 sequence at p that XML allows; 0: none. */
static size_t utf8_len(const unsigned char *p)
{
    uint32_t c, least;
    size_t n;

    if (p[0] < 0x80)
        return p[0] >= 0x20 || p[0] == '\t' || p[0] == '\n' || p[0] == '\r';
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    least = n == 2 ? 0x80 : n == 3 ? 0x800 : 0x10000;
    c = p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) /* also the terminating 0 */
            return 0;
        c = c << 6 | (p[i] & 0x3fu);
    }
    if (c < least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) || c == 0xfffe || c == 0xffff)
        return 0;
    return n;
}

void hob__svg_text(struct svg *s, const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t n;

    for (; *p; p += n ? n : 1) {
        n = utf8_len(p);
        if (n == 0)
            svg_bytes(s, "\xef\xbf\xbd", 3);
        else if (*p == '&')
            svg_bytes(s, "&amp;", 5);
        else if (*p == '<')
            svg_bytes(s, "&lt;", 4);
        else if (*p == '>')
            svg_bytes(s, "&gt;", 4);
        else if (*p == '"')
            svg_bytes(s, "&quot;", 6);
        else if (*p == '\'')
            svg_bytes(s, "&#39;", 5);
        else
            svg_bytes(s, (const char *)p, n);
    }
}

static const struct unit {
    hob_dur ns;
    const char *name;
} units[] = {{HOB_SEC, "s"}, {HOB_MS, "ms"}, {HOB_US, "\xc2\xb5s"}, {1, "ns"}};

static const struct unit *unit_for(hob_dur d)
{
    const struct unit *u = units;

    while (u->ns > 1 && d < u->ns)
        u++;
    return u;
}

void hob__svg_time(struct svg *s, hob_dur d)
{
    const struct unit *u;
    int digits;

    if (d < 0)
        d = 0;
    if (d >= 100 * HOB_SEC) {
        hob__svg_add(s, "%" PRId64 " min", d / HOB_MIN);
        if (d % HOB_MIN / HOB_SEC)
            hob__svg_add(s, " %" PRId64 " s", d % HOB_MIN / HOB_SEC);
        return;
    }
    u = unit_for(d);
    digits = u->ns == 1 || d >= 100 * u->ns ? 0 : d >= 10 * u->ns ? 1 : 2;
    svg_decimal(s, llround((double)d / (double)u->ns * pow(10, digits)), digits);
    hob__svg_add(s, " %s", u->name);
}

void hob__svg_tick(struct svg *s, hob_dur at, hob_dur step, hob_dur range)
{
    const struct unit *u;
    int digits = 0;

    if (at == 0) {
        hob__svg_add(s, "0");
        return;
    }
    if (step >= HOB_MIN) {
        hob__svg_add(s, "%" PRId64 " min", at / HOB_MIN);
        return;
    }
    u = unit_for(range);
    for (hob_dur unit = u->ns; unit > 1 && step % unit; unit /= 10)
        digits++;
    svg_decimal(s, llround((double)at / (double)u->ns * pow(10, digits)), digits);
    hob__svg_add(s, " %s", u->name);
}

hob_dur hob__svg_tick_step(hob_dur range, int n_ticks)
{
    static const hob_dur long_steps[] = {10 * HOB_SEC, 20 * HOB_SEC, 30 * HOB_SEC,
                                         HOB_MIN,      2 * HOB_MIN,  5 * HOB_MIN,
                                         10 * HOB_MIN, 30 * HOB_MIN, 60 * HOB_MIN};
    hob_dur want = range / n_ticks + (range % n_ticks != 0);

    for (hob_dur power = 1; power < 10 * HOB_SEC; power *= 10)
        for (int i = 0; i < 3; i++)
            if (power * "\1\2\5"[i] >= want)
                return power * "\1\2\5"[i];
    for (size_t i = 0; i < sizeof(long_steps) / sizeof(long_steps[0]); i++)
        if (long_steps[i] >= want)
            return long_steps[i];
    return (want / (60 * HOB_MIN) + 1) * 60 * HOB_MIN;
}

/* SPDX-License-Identifier: MIT
 *
 * draw.c - what all drawings share: looks, times, names that cannot break anything
 */
#include "diag/draw.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

const struct draw_look draw_looks[N_LOOKS] = {
    [LOOK_CPU] = {"cpu", "█", '#', 0xd55e00, 0xff7a1a, 31, 100},
    [LOOK_READY] = {"ready", "▒", '%', 0xcc79a7, 0xe39bc4, 35, 75},
    [LOOK_DISK] = {"disk", "▄", '=', 0x56b4e9, 0xa3daf8, 36, 55},
    [LOOK_NET] = {"net", "▂", '-', 0x0072b2, 0x2f86d6, 34, 30},
    [LOOK_PIPE] = {"pipe", "~", '~', 0xd3c100, 0xf0e442, 33, 30},
    [LOOK_LOCK] = {"lock", "╳", 'x', 0x009e73, 0x1fc797, 32, 75},
    [LOOK_SLEEP] = {"sleep", "z", 'z', 0x5f6368, 0x747d88, 90, 14},
    [LOOK_CHILD] = {"child", "·", '.', 0xa8b0b8, 0x6b7683, 90, 14},
    [LOOK_OTHER] = {"other", "?", '?', 0xa8b0b8, 0x6b7683, 90, 45},
    [LOOK_IDLE] = {"idle", " ", ' ', 0xb4bcc4, 0x4d5866, 90, 8},
};

const struct draw_tint draw_tints[DRAW_TINTS] = {
    {0xd55e00, 0xff7a1a, 31},
    {0xffa566, 0xffc9a1, 93},
    {0x8a3c00, 0xb4570f, 91},
};

uint32_t draw_tint_of(const struct picture *p, uint32_t thread)
{
    uint32_t place = 0;

    for (size_t i = 0; i < p->n_lanes; i++) {
        if (p->lanes[i].type == LANE_CORE)
            continue;
        if (p->lanes[i].index == thread)
            return place % DRAW_TINTS;
        place++;
    }
    return thread % DRAW_TINTS;
}

/* --- times ------------------------------------------------------------------------------------ */

static const struct unit {
    int64_t ns;
    const char *name;
} units[] = {{HOB_SEC, "s"}, {HOB_MS, "ms"}, {HOB_US, "us"}, {1, "ns"}};

static const struct unit *unit_for(int64_t ns)
{
    const struct unit *u = units;

    while (u->ns > 1 && ns < u->ns)
        u++;
    return u;
}

void draw_time(struct buf *b, int64_t ns)
{
    const struct unit *u = unit_for(ns);
    int digits;

    if (ns <= 0) {
        buf_puts(b, "0");
        return;
    }
    if (ns >= 100 * HOB_SEC) {
        buf_printf(b, "%" PRId64 " min", ns / HOB_MIN);
        if (ns % HOB_MIN >= HOB_SEC)
            buf_printf(b, " %" PRId64 " s", ns % HOB_MIN / HOB_SEC);
        return;
    }
    digits = u->ns == 1 || ns >= 100 * u->ns ? 0 : ns >= 10 * u->ns ? 1 : 2;
    buf_printf(b, "%.*f %s", digits, (double)ns / (double)u->ns, u->name);
}

int64_t draw_step(int64_t range, int most)
{
    static const int64_t minutes[] = {10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600};
    int64_t want = range / (most > 0 ? most : 1) + 1;

    for (int64_t power = 1; power < 10 * HOB_SEC; power *= 10)
        for (int i = 0; i < 3; i++)
            if (power * "\1\2\5"[i] >= want)
                return power * "\1\2\5"[i];
    for (size_t i = 0; i < sizeof minutes / sizeof *minutes; i++)
        if (minutes[i] * HOB_SEC >= want)
            return minutes[i] * HOB_SEC;
    return (want / (3600 * HOB_SEC) + 1) * 3600 * HOB_SEC;
}

void draw_tick(struct buf *b, int64_t at, int64_t step, int64_t range)
{
    const struct unit *u = unit_for(range);
    int digits = 0;

    if (at == 0) {
        buf_puts(b, "0");
        return;
    }
    if (step >= HOB_MIN) {
        buf_printf(b, "%" PRId64 " min", at / HOB_MIN);
        return;
    }
    for (int64_t unit = u->ns; unit > 1 && step % unit; unit /= 10)
        digits++;
    buf_printf(b, "%.*f %s", digits, (double)at / (double)u->ns, u->name);
}

const char *draw_figure(char to[DRAW_FIGURE], double x)
{
    bool part = x < .995, whole = x >= 99.95 || fabs(x - round(x)) < (part ? .005 : .05);

    if (x > 0 && x < .005)
        return strcpy(to, "<0.01");
    snprintf(to, DRAW_FIGURE, "%.*f", whole ? 0 : part ? 2 : 1, x);
    return to;
}

/* --- names ------------------------------------------------------------------------------------ */

uint32_t draw_char(const char **p)
{
    const unsigned char *s = (const unsigned char *)*p;
    uint32_t c = s[0], least;
    size_t n;

    if (c < 0x80) {
        *p += c != 0;
        return c;
    }
    n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    least = n == 2 ? 0x80 : n == 3 ? 0x800 : 0x10000;
    c &= 0x7fu >> n;
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) /* also the NUL at the end */
            least = DRAW_NO_CHAR + 1;
        if (least > DRAW_NO_CHAR)
            break;
        c = c << 6 | (s[i] & 0x3fu);
    }
    if (s[0] < 0xc2 || s[0] > 0xf4 || c < least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
        *p += 1;
        return DRAW_NO_CHAR + s[0];
    }
    *p += n;
    return c;
}

/* Turns what follows it around: a name that has it could look like another one. */
static bool turns_text(uint32_t c)
{
    return (c >= 0x200e && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

bool draw_char_ok(uint32_t c)
{
    return c >= 0x20 && (c < 0x7f || c >= 0xa0) && c < DRAW_NO_CHAR && c != 0xfffe && c != 0xffff &&
           !turns_text(c);
}

void draw_xml(struct buf *b, const char *text)
{
    const char *from = text;
    uint32_t c;

    for (; (c = draw_char(&text)) != 0; from = text) {
        if (!draw_char_ok(c))
            buf_puts(b, "\xef\xbf\xbd");
        else if (c == '&')
            buf_puts(b, "&amp;");
        else if (c == '<')
            buf_puts(b, "&lt;");
        else if (c == '>')
            buf_puts(b, "&gt;");
        else if (c == '"')
            buf_puts(b, "&quot;");
        else if (c == '\'')
            buf_puts(b, "&#39;");
        else
            buf_add(b, from, (size_t)(text - from));
    }
}

const char *draw_peer(const struct recording *rec, uint32_t peer)
{
    return peer && peer < rec->n_peers && rec->peers[peer].name ? rec->peers[peer].name : "";
}

static void wait_words(struct buf *b, const struct picture *p, const struct picture_part *part)
{
    const char *peer = draw_peer(p->rec, part->who);

    buf_puts(b, rec_kind_word(part->kind));
    if (*peer) {
        buf_puts(b, " ");
        buf_puts(b, peer);
    }
    if (part->guessed)
        buf_puts(b, " (as its like)");
}

void draw_part_words(struct buf *b, const struct picture *p, const struct picture_lane *lane,
                     const struct picture_part *part)
{
    int cpu = (int)lroundf(part->share[0] * 100), ready = (int)lroundf(part->share[1] * 100);

    if (lane->type == LANE_CORE) {
        const struct rec_thread *th =
            part->who < p->rec->n_threads ? &p->rec->threads[part->who] : NULL;
        buf_printf(b, "%s %d", th ? th->name : "", th ? th->tid : 0);
        if (part->n > 1)
            buf_printf(b, " and others, busy %d %%", cpu);
        return;
    }
    if (part->n == 1) {
        if (part->look == LOOK_CPU || part->look == LOOK_READY)
            buf_puts(b, part->look == LOOK_CPU ? "on CPU" : "ready, no core");
        else
            wait_words(b, p, part);
        return;
    }
    buf_printf(b, "many short: %d %% on CPU", cpu);
    if (ready)
        buf_printf(b, ", %d %% without a core", ready);
    if (part->kind != REC_NO_KIND) {
        buf_puts(b, ", ");
        wait_words(b, p, part);
    }
}

/* SPDX-License-Identifier: MIT
 *
 * out.c - what commands write: JSON lines, figures for people, a progress line
 */
#include "lib/out.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/charset.h"

enum { PROGRESS_COLUMNS = 80 };
static const hob_dur progress_every = 100 * HOB_MS;

/* JSON. */

/* Length of what json_plain lets through at the start of text. */
static size_t json_plain(const char *text, size_t n)
{
    size_t i = 0;

    while (i < n && (unsigned char)text[i] >= ' ' && (unsigned char)text[i] < 0x7f &&
           text[i] != '"' && text[i] != '\\')
        i++;
    return i;
}

static void json_escape(struct buf *b, unsigned char c)
{
    static const char named[] = "\"\"\\\\\nn\rr\tt\bb\ff"; /* pairs: the octet, its letter */

    for (const char *s = named; *s; s += 2) {
        if ((unsigned char)*s != c)
            continue;
        buf_add(b, (const char[]){'\\', s[1]}, 2);
        return;
    }
    buf_printf(b, "\\u%04x", c);
}

static void json_plain_string(struct buf *b, const char *text, size_t n)
{
    char *to = buf_room(b, n + 2);

    if (!to)
        return;
    *to++ = '"';
    memcpy(to, text, n);
    to[n] = '"';
    b->len += n + 2;
}

void out_json_string(struct buf *b, const char *text, size_t n)
{
    if (n > 0 && json_plain(text, n) == n) {
        json_plain_string(b, text, n);
        return;
    }
    buf_putc(b, '"');
    while (n > 0) {
        size_t plain = json_plain(text, n), used;
        buf_add(b, text, plain);
        text += plain;
        n -= plain;
        if (n == 0)
            break;
        if ((unsigned char)*text < 0x80) {
            json_escape(b, (unsigned char)*text);
            used = 1;
        } else if ((used = charset_utf8_length(text, n)) > 0) {
            buf_add(b, text, used);
        } else {
            buf_puts(b, "\xef\xbf\xbd");
            used = 1;
        }
        text += used;
        n -= used;
    }
    buf_putc(b, '"');
}

static void put_key(struct buf *b, const char *key)
{
    if (b->len > 0 && b->p[b->len - 1] != '{')
        buf_putc(b, ',');
    out_json_string(b, key, strlen(key));
    buf_putc(b, ':');
}

void out_row(struct buf *b)
{
    buf_putc(b, '{');
}

void out_row_end(struct buf *b)
{
    buf_puts(b, "}\n");
}

void out_object(struct buf *b, const char *key)
{
    put_key(b, key);
    buf_putc(b, '{');
}

void out_object_end(struct buf *b)
{
    buf_putc(b, '}');
}

void out_array(struct buf *b, const char *key)
{
    put_key(b, key);
    buf_putc(b, '[');
}

void out_item(struct buf *b)
{
    if (b->len > 0 && b->p[b->len - 1] != '[')
        buf_putc(b, ',');
}

void out_array_end(struct buf *b)
{
    buf_putc(b, ']');
}

void out_text_n(struct buf *b, const char *key, const char *text, size_t n)
{
    put_key(b, key);
    out_json_string(b, text, n);
}

void out_text(struct buf *b, const char *key, const char *text)
{
    if (text)
        out_text_n(b, key, text, strlen(text));
    else
        out_null(b, key);
}

/* In decimal, `digits` of them at least. */
static void put_digits(struct buf *b, uint64_t n, int digits)
{
    char text[20], *p = text + sizeof text;

    for (; n > 0 || digits > 0; n /= 10, digits--)
        *--p = (char)('0' + n % 10);
    buf_add(b, p, (size_t)(text + sizeof text - p));
}

void out_int(struct buf *b, const char *key, int64_t n)
{
    put_key(b, key);
    if (n < 0)
        buf_putc(b, '-');
    put_digits(b, n < 0 ? -(uint64_t)n : (uint64_t)n, 1);
}

void out_bool(struct buf *b, const char *key, bool yes)
{
    put_key(b, key);
    buf_puts(b, yes ? "true" : "false");
}

void out_null(struct buf *b, const char *key)
{
    put_key(b, key);
    buf_puts(b, "null");
}

void out_seconds(struct buf *b, const char *key, hob_dur d)
{
    hob_dur ms = d / HOB_MS;

    put_key(b, key);
    if (ms < 0)
        buf_putc(b, '-');
    put_digits(b, (uint64_t)llabs(ms / 1000), 1);
    buf_putc(b, '.');
    put_digits(b, (uint64_t)llabs(ms % 1000), 3);
}

void out_number(struct buf *b, const char *key, double x, int digits)
{
    if (!isfinite(x)) {
        out_null(b, key);
        return;
    }
    put_key(b, key);
    buf_printf(b, "%.*f", digits, x);
}

/* Figures. */

const char *out_duration(hob_dur d, char to[OUT_FIGURE])
{
    /* Each bound is where rounding would reach the next unit. */
    long long seconds = d / HOB_SEC + (d % HOB_SEC >= HOB_SEC / 2);

    if (d < 0)
        d = 0;
    if (d < HOB_US)
        snprintf(to, OUT_FIGURE, "%d ns", (int)d);
    else if (d < HOB_MS - HOB_US / 2)
        snprintf(to, OUT_FIGURE, "%.0f us", (double)d / HOB_US);
    else if (d < HOB_SEC - HOB_MS / 2)
        snprintf(to, OUT_FIGURE, "%.0f ms", (double)d / HOB_MS);
    else if (d < HOB_MIN - HOB_SEC / 20)
        snprintf(to, OUT_FIGURE, "%.1f s", (double)d / HOB_SEC);
    else if (seconds < 60 * 60)
        snprintf(to, OUT_FIGURE, "%lld min %lld s", seconds / 60, seconds % 60);
    else
        snprintf(to, OUT_FIGURE, "%lld h %lld min", seconds / 3600, seconds / 60 % 60);
    return to;
}

const char *out_bytes(uint64_t n, char to[OUT_FIGURE])
{
    static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
    double x = (double)n / 1000;
    size_t unit = 0;

    if (n < 1000) {
        snprintf(to, OUT_FIGURE, "%d B", (int)n);
        return to;
    }
    for (; x >= 999.95 && unit + 1 < sizeof units / sizeof *units; unit++)
        x /= 1000;
    snprintf(to, OUT_FIGURE, "%.1f %s", x, units[unit]);
    return to;
}

const char *out_count(uint64_t n, char to[OUT_FIGURE])
{
    char digits[OUT_FIGURE];
    int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n), at = 0;

    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            to[at++] = ',';
        to[at++] = digits[i];
    }
    to[at] = '\0';
    return to;
}

/* Terminal. */

bool out_is_terminal(int fd)
{
    const char *term = getenv("TERM");

    return isatty(fd) && term && *term && strcmp(term, "dumb") != 0;
}

void out_progress_init(struct out_progress *p, int fd)
{
    struct winsize size = {0};

    *p = (struct out_progress){.on = out_is_terminal(fd), .columns = PROGRESS_COLUMNS};
    if (p->on && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        p->columns = size.ws_col;
}

bool out_progress_due(const struct out_progress *p, hob_time now)
{
    return p->on && (!p->shown || now - p->last >= progress_every);
}

/* Octets of the first `columns` characters, each taken as one column wide. */
static size_t cut_to(const char *text, size_t columns)
{
    size_t n = 0;

    while (text[n] && columns > 0) {
        n++;
        while (((unsigned char)text[n] & 0xc0) == 0x80)
            n++;
        columns--;
    }
    return n;
}

void out_progress_show(struct out_progress *p, hob_time now, const char *text, struct buf *out)
{
    if (!out_progress_due(p, now))
        return;
    p->shown = true;
    p->last = now;
    /* The last column stays free: a character there makes some terminals go to the next line. */
    buf_puts(out, "\r\x1b[K");
    buf_add(out, text, cut_to(text, p->columns - 1));
}

void out_progress_clear(struct out_progress *p, struct buf *out)
{
    if (p->on && p->shown)
        buf_puts(out, "\r\x1b[K");
    p->shown = false;
}

/* SPDX-License-Identifier: MIT
 *
 * page.c - pieces of a page of text
 *
 * HOW         A name of a process may hold whatever its author liked, escape sequences too; none of
 *   it reaches the terminal but letters.  One code point is taken as one column.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "diag/page.h"

void page_open(struct page *p, const struct report_how *how)
{
    *p = (struct page){
        .width = how->width ? how->width : 80, .colours = how->colours, .ascii = how->ascii};
    if (p->width < 60)
        p->width = 60;
}

int page_close(struct page *p, FILE *to)
{
    int err = buf_error(&p->out);

    if (err == 0 && p->out.len > 0)
        fwrite(p->out.p, 1, p->out.len, to);
    buf_free(&p->out);
    return err;
}

/* Bytes of the code point at s if it is well-formed and may be shown; 0: not. */
static size_t shown_bytes(const unsigned char *s, bool ascii)
{
    size_t n = s[0] < 0x80                   ? 1
               : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
               : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
               : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                             : 0;
    uint32_t c = n <= 1 ? s[0] : s[0] & (0x7fu >> n);

    if (n == 0 || (n > 1 && ascii))
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3f);
    }
    if (c < 0x20 || (c >= 0x7f && c < 0xa0))
        return 0;
    if ((n == 3 && c < 0x800) || (n == 4 && (c < 0x10000 || c > 0x10ffff)))
        return 0;
    /* Surrogates, and marks that turn the direction of a line or do not show. */
    if ((c >= 0xd800 && c < 0xe000) || (c >= 0x200b && c <= 0x200f) ||
        (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff)
        return 0;
    return n;
}

uint32_t page_name(struct page *p, const char *name, uint32_t columns)
{
    const unsigned char *s = (const unsigned char *)name;
    uint32_t used = 0;
    size_t cut_at = p->out.len, length = strlen(name);

    for (size_t i = 0; i < length;) {
        size_t n = shown_bytes(s + i, p->ascii);
        uint32_t wide = n ? 1 : 4;

        if (used + 2 <= columns)
            cut_at = p->out.len; /* the dots fit behind this */
        if (used + wide > columns) {
            p->out.len = cut_at;
            buf_puts(&p->out, "..");
            return columns;
        }
        if (n)
            buf_add(&p->out, s + i, n);
        else
            buf_printf(&p->out, "\\x%02x", s[i]);
        used += wide;
        i += n ? n : 1;
    }
    return used;
}

static uint32_t columns_shown(const struct page *like, const char *name)
{
    struct page p = {.ascii = like->ascii};
    uint32_t columns = page_name(&p, name, UINT32_MAX);

    buf_free(&p.out);
    return columns;
}

uint32_t page_middle(struct page *p, const char *name, uint32_t columns)
{
    const char *tail = name;

    if (columns < 8 || columns_shown(p, name) <= columns)
        return page_name(p, name, columns);
    uint32_t front = columns / 2 + 2, back = columns - front; /* the dots are in front */
    uint32_t used = page_name(p, name, front);
    for (size_t n = strlen(name); n > 4 * (size_t)back && tail < name + n - 4 * (size_t)back;)
        tail++; /* no tail that long can fit */
    while (*tail && (((unsigned char)*tail & 0xc0) == 0x80 || columns_shown(p, tail) > back))
        tail++;
    return used + page_name(p, tail, back);
}

void page_pad(struct page *p, uint32_t used, uint32_t columns)
{
    for (; used < columns; used++)
        buf_putc(&p->out, ' ');
}

void page_bar(struct page *p, double share, uint32_t columns)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    double length = fmin(fmax(share, 0), 1) * columns;
    uint32_t whole = (uint32_t)length;

    for (uint32_t i = 0; i < whole; i++)
        buf_puts(&p->out, p->ascii ? "#" : "█");
    if (!p->ascii)
        buf_puts(&p->out, eighths[(int)((length - whole) * 8)]);
    else if (length - whole >= .5)
        buf_putc(&p->out, '#');
}

void page_styled(struct page *p, enum page_style style, const char *text)
{
    static const char *const on[] = {"\033[1m", "\033[1;32m", "\033[1;33m", "\033[2m"};

    if (p->colours)
        buf_puts(&p->out, on[style]);
    buf_puts(&p->out, text);
    if (p->colours)
        buf_puts(&p->out, "\033[0m");
}

static uint32_t columns_of(const char *text, size_t n)
{
    uint32_t columns = 0;

    for (size_t i = 0; i < n; i++)
        columns += ((unsigned char)text[i] & 0xc0) != 0x80;
    return columns;
}

void page_words(struct page *p, const char *label, enum page_style style, const char *text)
{
    const uint32_t indent = 12;
    uint32_t at = 2 + columns_of(label, strlen(label));
    bool first = true;

    buf_puts(&p->out, "  ");
    page_styled(p, style, label);
    page_pad(p, at, indent);
    at = indent;
    while (*text) {
        size_t n = strcspn(text, " ");
        uint32_t wide = columns_of(text, n);

        if (!first && at + 1 + wide > p->width) {
            buf_putc(&p->out, '\n');
            page_pad(p, 0, indent);
            at = indent;
            first = true;
        }
        if (!first) {
            buf_putc(&p->out, ' ');
            at++;
        }
        buf_add(&p->out, text, n);
        at += wide;
        first = false;
        text += n;
        text += strspn(text, " ");
    }
    buf_putc(&p->out, '\n');
}

const char *page_dot(const struct page *p)
{
    return p->ascii ? ";" : " ·";
}

const char *page_range(const struct page *p)
{
    return p->ascii ? "-" : "–";
}

/* SPDX-License-Identifier: MIT
 *
 * buf.c - a growing run of bytes
 */
#include "lib/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_FIRST = 64 };
/* No request for more is meant, and doubling must not overflow. */
static const size_t buf_max = PTRDIFF_MAX / 2;

char *buf_room(struct buf *b, size_t n)
{
    if (b->failed)
        return NULL;
    if (n >= b->cap - b->len) { /* >=: the NUL */
        bool sane = n < buf_max && b->len < buf_max - n;
        size_t cap = b->cap ? b->cap : BUF_FIRST;
        while (sane && cap - b->len <= n)
            cap *= 2;
        char *p = sane ? realloc(b->p, cap) : NULL;
        if (!p) {
            b->failed = true;
            return NULL;
        }
        b->p = p;
        b->cap = cap;
    }
    return b->p + b->len;
}

void buf_add(struct buf *b, const void *bytes, size_t n)
{
    char *to = buf_room(b, n);

    if (!to)
        return;
    if (n > 0)
        memcpy(to, bytes, n);
    to[n] = '\0';
    b->len += n;
}

void buf_puts(struct buf *b, const char *text)
{
    buf_add(b, text, strlen(text));
}

void buf_putc(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    int n = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    char *to = n < 0 ? NULL : buf_room(b, (size_t)n);
    if (!to) {
        b->failed = true;
        return;
    }
    va_start(ap, format);
    vsnprintf(to, (size_t)n + 1, format, ap);
    va_end(ap);
    b->len += (size_t)n;
}

int buf_error(const struct buf *b)
{
    return b->failed ? -ENOMEM : 0;
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->failed = false;
}

void buf_free(struct buf *b)
{
    free(b->p);
    *b = (struct buf){0};
}

char *buf_take(struct buf *b)
{
    if (b->failed || !buf_room(b, 0)) {
        buf_free(b);
        return NULL;
    }
    b->p[b->len] = '\0';
    char *text = b->p;
    *b = (struct buf){0};
    return text;
}

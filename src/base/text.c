/* SPDX-License-Identifier: MIT
 *
 * text.c - text that grows as it is written: see text.h
 *
 * A piece that finds no memory is left out and the rest goes on: who reads a report of something
 * that went wrong wants what there is.
 */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROOM_FIRST = 4096 };

static bool text_reserve(struct text *t, size_t more)
{
    size_t room = t->room ? t->room : ROOM_FIRST;
    char *p;

    while (room - t->n <= more)
        room *= 2;
    if (room == t->room)
        return true;
    p = realloc(t->p, room);
    if (!p) {
        t->full = true;
        return false;
    }
    t->p = p;
    t->room = room;
    return true;
}

void hob__text_put(struct text *t, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    int n = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    if (n <= 0 || !text_reserve(t, (size_t)n))
        return;
    va_start(ap, format);
    vsnprintf(t->p + t->n, (size_t)n + 1, format, ap);
    va_end(ap);
    t->n += (size_t)n;
}

void hob__text_put_name(struct text *t, const char *name)
{
    size_t from = t->n;

    hob__text_put(t, "%s", name);
    for (; from < t->n; from++)
        if ((unsigned char)t->p[from] < ' ' || t->p[from] == 0x7f)
            t->p[from] = '?';
}

void hob__text_clear(struct text *t)
{
    t->n = 0;
    t->full = false;
}

void hob__text_free(struct text *t)
{
    free(t->p);
    *t = (struct text){0};
}

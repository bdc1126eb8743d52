/* SPDX-License-Identifier: MIT
 *
 * text.h - text that grows as it is written
 */
#ifndef HOB_BASE_TEXT_H
#define HOB_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include <hob/base.h>

/* All zero: empty. */
struct text {
    char *p; /* n bytes and a 0; NULL while empty */
    size_t n, room;
    bool full; /* there was no memory for a piece, which is left out */
};

HOB_PRINTF(2, 3) void hob__text_put(struct text *t, const char *format, ...);

/* A name that somebody chose: control characters become '?', so that it stays on its line. */
void hob__text_put_name(struct text *t, const char *name);

/* Empty again; keeps its memory. */
void hob__text_clear(struct text *t);

void hob__text_free(struct text *t);

#endif

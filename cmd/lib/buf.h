/* SPDX-License-Identifier: MIT */
#ifndef HOB_CMD_BUF_H
#define HOB_CMD_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include <hob/base.h>

/*
 * A growing run of bytes
 * ======================
 *
 * A failed allocation is remembered, not returned: writers write on and whoever uses the result
 * asks buf_error once.  {0} is an empty one.  What was written is always followed by a NUL that
 * does not count, so that text in it is a C string once anything was written.
 */
struct buf {
    char *p;
    size_t len, cap;
    bool failed;
};

/** buf_room - at least n writable bytes behind what is there; NULL after a failure. */
char *buf_room(struct buf *b, size_t n);

void buf_add(struct buf *b, const void *bytes, size_t n);
void buf_puts(struct buf *b, const char *text);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *format, ...) HOB_PRINTF(2, 3);

/** buf_error - 0, or -ENOMEM if anything since the start or the last buf_reset was lost. */
int buf_error(const struct buf *b);

/** buf_reset - empty again, memory kept. */
void buf_reset(struct buf *b);

/** buf_free - empty again, memory released. */
void buf_free(struct buf *b);

/** buf_take - the text as a block of its own, for free(); NULL if anything was lost; b is empty. */
char *buf_take(struct buf *b);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef HOB_CMD_OUT_H
#define HOB_CMD_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hob/base.h>

#include "lib/buf.h"

/*
 * What commands write: JSON lines for programs, short figures and a progress line for people
 * ==========================================================================================
 *
 * Everything is text put into a buffer or an array; writing it out is the caller's.
 */

/*
 * A JSON line:
 *
 *     out_row(b);
 *     out_text(b, "url", url);
 *     out_int(b, "status", 200);
 *     out_object(b, "fields");
 *     ...
 *     out_object_end(b);
 *     out_row_end(b);
 *
 * Commas are put where they belong.  Each octet that is not UTF-8 becomes U+FFFD, so that a line
 * is always valid JSON.
 */
void out_row(struct buf *b);
void out_row_end(struct buf *b); /* with the newline */
void out_object(struct buf *b, const char *key);
void out_object_end(struct buf *b);
/** An array: out_item before each element, which may be an object between out_row and '}'. */
void out_array(struct buf *b, const char *key);
void out_item(struct buf *b);
void out_array_end(struct buf *b);
void out_text(struct buf *b, const char *key, const char *text); /* NULL: null */
void out_text_n(struct buf *b, const char *key, const char *text, size_t n);
void out_int(struct buf *b, const char *key, int64_t n);
void out_bool(struct buf *b, const char *key, bool yes);
void out_null(struct buf *b, const char *key);
/** Seconds with millisecond digits. */
void out_seconds(struct buf *b, const char *key, hob_dur d);
/** With this many digits behind the point; what is not finite is null. */
void out_number(struct buf *b, const char *key, double x, int digits);

/** A JSON string alone, with its quotes. */
void out_json_string(struct buf *b, const char *text, size_t n);

/* Figures for people; each returns `to`. */
enum { OUT_FIGURE = 32 };
/** "850 us", "34 ms", "1.2 s", "2 min 5 s", "3 h 10 min" */
const char *out_duration(hob_dur d, char to[OUT_FIGURE]);
/** "512 B", "3.4 MB": powers of 1000 */
const char *out_bytes(uint64_t n, char to[OUT_FIGURE]);
/** "1,234,567" */
const char *out_count(uint64_t n, char to[OUT_FIGURE]);

/** Is this descriptor a terminal that understands "\r" and "erase line"? */
bool out_is_terminal(int fd);

/*
 * One line that is rewritten in place, at most ten times a second, and only on a terminal.  The
 * caller passes the time, and writes what comes back to where the line is (standard error).
 */
struct out_progress {
    bool on, shown;
    size_t columns;
    hob_time last;
};

void out_progress_init(struct out_progress *p, int fd);

/** out_progress_due - is it time for another?  Ask before working out what to say. */
bool out_progress_due(const struct out_progress *p, hob_time now);

/** out_progress_show - append what makes `text` the line now, cut to the terminal's width. */
void out_progress_show(struct out_progress *p, hob_time now, const char *text, struct buf *out);

/** out_progress_clear - append what takes the line away, before anything else is printed there. */
void out_progress_clear(struct out_progress *p, struct buf *out);

#endif

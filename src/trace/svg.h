/* SPDX-License-Identifier: MIT
 *
 * svg.h - growing text for an SVG: numbers in no locale, strings that cannot break the XML
 */
#ifndef HOB_TRACE_SVG_H
#define HOB_TRACE_SVG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hob/base.h>

/* Zero is an empty text.  Once out of memory it stays as it is and `failed` is set. */
struct svg {
    char *p; /* free() it */
    size_t n, cap;
    bool failed;
};

/* Only %s, %d, %u and the like: no floating point, whose decimal sign depends on the locale. */
void hob__svg_add(struct svg *s, const char *format, ...) HOB_PRINTF(2, 3);

/* A coordinate: one decimal, none when it is 0. */
void hob__svg_num(struct svg *s, double v);

/* Anybody's string as character data or attribute value: escaped, and what is no valid UTF-8 or
 * not allowed in XML replaced by U+FFFD. */
void hob__svg_text(struct svg *s, const char *text);

/* A length of time in three digits and its unit: "1.24 s", "12.4 ms", "980 ns", "2 min 5 s". */
void hob__svg_time(struct svg *s, hob_dur d);

/* A point of time on an axis that ends at `range` and whose ticks are `step` apart: one unit for
 * the whole axis, and no more digits than tell ticks apart. */
void hob__svg_tick(struct svg *s, hob_dur at, hob_dur step, hob_dur range);

/* 1, 2 or 5 times a power of ten (from 10 s on: 10, 20, 30 s, minutes); about n_ticks fit. */
hob_dur hob__svg_tick_step(hob_dur range, int n_ticks);

#endif

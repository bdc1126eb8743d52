/* SPDX-License-Identifier: MIT
 *
 * css_scan.h - the words of a CSS selector: names, strings, numbers, and where a mistake is
 *
 * Used by select.c only, which has the grammar.
 */
#ifndef HOB_CMD_CSS_SCAN_H
#define HOB_CMD_CSS_SCAN_H

#include <stdbool.h>

#include "lib/buf.h"
#include "lib/select.h"

/* Numbers beyond this are a slip of the finger, and would overflow the arithmetic of an+b. */
enum { CSS_NUMBER_MAX = 1000000 };

struct css {
    const char *start, *at; /* the selector; what comes next */
    struct buf out;         /* the XPath so far */
    struct buf word;        /* the name or string read last */
    struct select_error *err;
};

/** Says what is wrong at c->at; -EINVAL. */
int css_fail(struct css *c, const char *text);

/** Refuses what is not UTF-8 or no character of a page; once, at the start. */
int css_check_text(struct css *c);

bool css_is_space(char c);
bool css_is_name_start(char c);

void css_space(struct css *c);

/** Takes `token` if it comes next. */
bool css_take(struct css *c, const char *token);

/** A name into c->word; `what` is what the reader should have found. */
int css_name(struct css *c, const char *what);

/** A string, whose quote comes next, into c->word. */
int css_string(struct css *c);

/** Digits, not above CSS_NUMBER_MAX * 10; -1 when there are none. */
int css_number(struct css *c);

#endif

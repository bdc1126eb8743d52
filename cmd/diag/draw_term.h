/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_DRAW_TERM_H
#define HOB_DIAG_DRAW_TERM_H

#include <stdbool.h>
#include <stdint.h>

#include "diag/rec.h"
#include "lib/buf.h"

/* What the terminal can show. */
enum draw_colours { DRAW_NO_COLOURS, DRAW_16, DRAW_256, DRAW_TRUE };

struct draw_term_how {
    uint32_t width; /* columns; 0: 80 */
    enum draw_colours colours;
    bool ascii;
    uint32_t max_cores, max_lanes; /* 0: 8, 12 */
    int64_t from, to;              /* to 0: the whole recording */
    bool from_zero;                /* the axis counts from the recording's beginning, not `from` */
    int64_t range;                 /* time that the width stands for; 0: to - from */
    const char *title;             /* above it; NULL: none */
    bool no_legend;                /* another picture below it has one */
    bool *looks;                   /* [N_LOOKS]: shown by pictures of one legend; NULL: its own */
};

/**
 * draw_term_detect - width, colours and characters of what is open at fd
 *
 * Colours: none if NO_COLOR is set and not empty, if fd is no terminal or TERM is "dumb"; else by
 * COLORTERM and TERM.  Characters: UTF-8 if LC_ALL, else LC_CTYPE, else LANG says so.  Ask again
 * after SIGWINCH.
 */
void draw_term_detect(int fd, struct draw_term_how *ret);

/**
 * draw_term - the timeline as lines of text, each with its newline; -ENOMEM
 *
 * Cores first, then threads and tasks, a curve of what is in flight, the axis, the legend.  No
 * line is wider than how->width.
 */
int draw_term(const struct recording *rec, const struct draw_term_how *how, struct buf *out);

/** draw_term_lines - lines of text, such as a recording's notes, each indented by a blank and with
 * its newline; escaped like names, and continued on the next line before a word that does not fit
 */
void draw_term_lines(struct buf *b, const char *text, uint32_t columns, bool ascii);

/** draw_term_name - a name in exactly `columns` columns, cut or filled up with blanks; control
 * characters are escaped, in ASCII everything else too */
void draw_term_name(struct buf *b, const char *name, uint32_t columns, bool ascii);

/** draw_term_cut - a line of text with colours in at most `columns` columns; they end with it */
void draw_term_cut(struct buf *b, const char *line, size_t n, uint32_t columns);

/** draw_term_level - one character as high as the share, 0 to 1 */
void draw_term_level(struct buf *b, double share, bool ascii);

#endif

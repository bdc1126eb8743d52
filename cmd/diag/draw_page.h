/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_DRAW_PAGE_H
#define HOB_DIAG_DRAW_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "diag/draw.h"
#include "lib/buf.h"

/*
 * The timeline as a page: SVG that stands alone, or inside of HTML
 * ================================================================
 *
 * Nothing is fetched from anywhere, names are escaped, dark and light follow the reader's choice.
 * The slices of time are made wider until the page is no larger than it may be.
 */

/* A part of the time, drawn as a panel of its own; all panels have one scale. */
struct draw_window {
    int64_t from, to;
    const char *title;
};

struct draw_page_how {
    const char *title;  /* NULL: the recording's command */
    uint32_t width;     /* pixels, 600..4000; 0: 1200 */
    uint32_t max_bytes; /* 0: 300,000 */
    const struct draw_window *windows;
    size_t n_windows; /* 0: one, of all */
};

/** draw_svg - one SVG file, without scripts; the longest intervals have tooltips.  -ENOMEM */
int draw_svg(const struct recording *rec, const struct draw_page_how *how, struct buf *out);

/** draw_html - one HTML file: also hover, pan and zoom, and a table of the same figures.  -ENOMEM
 */
int draw_html(const struct recording *rec, const struct draw_page_how *how, struct buf *out);

/* draw_svg.c's and draw_page.c's for draw_html.c. */

enum {
    PAGE_UNITS = 1000000, /* across the plot: a mark's coordinates do not depend on the zoom */
    PAGE_LEFT = 150,
    PAGE_RIGHT = 120,
    DRAW_PAGE_EXTRA = 8000, /* octets of style and frame */
};

struct draw_page {
    const struct recording *rec;
    struct draw_page_how how;
    struct picture *pictures; /* one a window */
    size_t n_pictures;
    int64_t range; /* of the longest */
    double plot;   /* pixels */
    double y;      /* where the next thing goes */
    bool hover;    /* a script reads `data` */
    struct buf svg;
    struct buf data; /* what the script shows: JSON of lanes */
    uint32_t *words; /* by kind and peer: the number of the text, + 1 */
    struct buf texts;
    uint32_t n_texts;
};

/** draw_page_make - draws with slices as fine as max_bytes lets them be, `extra` octets not counted
 */
int draw_page_make(const struct recording *rec, const struct draw_page_how *how, bool hover,
                   size_t extra, struct draw_page *ret);
void draw_page_free(struct draw_page *pg);

/** draw_page_svg - the whole <svg> element; draw_page_title - as text */
void draw_page_svg(struct buf *b, const struct draw_page *pg);
const char *draw_page_title(const struct draw_page *pg);

/** draw_page_summary - "1.36 s, 4 cores, exact switches": no markup in it */
void draw_page_summary(struct buf *b, const struct recording *rec);

/** draw_page_panels - all panels into pg->svg, from pg->y on */
void draw_page_panels(struct draw_page *pg);

/** draw_json - a JSON string that may stand inside of a <script> */
void draw_json(struct buf *b, const char *text);

#endif

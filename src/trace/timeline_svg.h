/* SPDX-License-Identifier: MIT
 *
 * timeline_svg.h - what the two halves of the drawing share: the page and its measures
 */
#ifndef HOB_TRACE_TIMELINE_SVG_H
#define HOB_TRACE_TIMELINE_SVG_H

#include "trace/svg.h"
#include "trace/timeline.h"

/* Pixels. */
enum {
    LEFT = 150,     /* labels */
    RIGHT = 74,     /* figures */
    LANE_H = 14,    /* a thread */
    LANE_STEP = 18, /* and the gap below it */
    LANE_LEVELS = 7,
    ROW_STEP = 5, /* a row of tasks */
    CHART_H = 40, /* tasks at once */
    CHAR_W = 6,   /* of the 12 px text, about */
    SLICE_MAX = 16,
};

/* How a state looks: its class in the style sheet, its words in the legend, its mark in a row. */
struct tl_look {
    const char *css, *text;
    double thickness;
};
extern const struct tl_look hob__tl_look[TL_N_STATES];

struct page {
    struct hob_panel *panels; /* n_panels copies */
    size_t n_panels;
    struct hob_timeline_opts opts;
    double plot;      /* pixels of the plot's full width */
    uint32_t slice;   /* pixels of a slice */
    size_t max_spans; /* of a panel */
    hob_dur longest;  /* wall of the longest panel */
    double y;         /* where the next thing goes */
    bool used[TL_N_STATES];
    struct svg body;
};

/* The panel being drawn. */
struct view {
    const struct hob_panel *panel;
    struct timeline tl;
    double width;       /* pixels */
    double top;         /* of threads and tasks */
    double group_y[16]; /* top of each group's rows */
    size_t n_groups;    /* drawn */
};

static inline hob_dur panel_wall(const struct hob_panel *p)
{
    hob_dur wall = hob_trace_wall(p->trace);

    return wall > 0 ? wall : 1;
}

/* <text class x y>: the caller adds the text and closes it. */
void hob__page_text_open(struct svg *s, const char *css, double x, double y);
void hob__page_text_close(struct svg *s);

/* Text that is cut off, with its whole as a tooltip, when it has more than max_chars. */
void hob__page_label(struct svg *s, const char *css, double x, double y, const char *text,
                     size_t max_chars);
void hob__page_rect(struct svg *s, const char *css, double x, double y, double w, double h);

/* Threads, tasks, tasks at once, axis: what is below a panel's header. */
void hob__panel_draw(struct page *p, struct view *v);

#endif

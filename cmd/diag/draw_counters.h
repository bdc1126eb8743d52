/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_DRAW_COUNTERS_H
#define HOB_DIAG_DRAW_COUNTERS_H

#include "diag/picture.h"
#include "lib/buf.h"

/* Curves that a viewer draws as counters: in flight, cores busy, waits by peer.  Each has
 * picture.n_cells points. */

enum { DRAW_COUNTERS = 18 };

struct draw_counter {
    char name[PICTURE_NAME * 2];
    const float *cells;
};

struct draw_counters {
    struct picture picture;
    struct draw_counter counter[DRAW_COUNTERS];
    float *own[DRAW_COUNTERS]; /* cells that are not the picture's */
    size_t n;
};

/** draw_counters_make - 0 or -ENOMEM */
int draw_counters_make(const struct recording *rec, struct draw_counters *ret);
void draw_counters_free(struct draw_counters *c);

/** draw_counters_at - when a point's slice begins */
int64_t draw_counters_at(const struct draw_counters *c, uint32_t cell);

/** draw_ival_words - what an interval is called: "on CPU", "network tcp 10.0.0.1:443" */
void draw_ival_words(struct buf *b, const struct recording *rec, const struct rec_ival *iv);

#endif

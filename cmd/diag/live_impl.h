/* SPDX-License-Identifier: MIT
 *
 * live_impl.h - what the files of the live view share
 */
#ifndef HOB_DIAG_LIVE_IMPL_H
#define HOB_DIAG_LIVE_IMPL_H

#include "diag/draw_term.h"
#include "diag/report.h"
#include "lib/buf.h"

/* What a picture is drawn from. */
struct live_view {
    const struct diagnosis *last;  /* the last seconds */
    const struct diagnosis *whole; /* since the start */
    int64_t now;                   /* ns since the start */
    const char *command, *keys;    /* keys: what they do; "" */
};

struct live_size {
    uint32_t rows, columns;
};

/** live_page - at most `rows` lines of at most `columns` columns, the most telling first */
void live_page(const struct live_view *v, const struct draw_term_how *how, uint32_t rows,
               struct buf *out);

/** live_line - one line of figures; first: a line that names them before it */
void live_line(const struct live_view *v, bool first, struct buf *out);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_PAGE_H
#define HOB_DIAG_PAGE_H

#include "diag/report.h"
#include "lib/buf.h"

/*
 * Pieces of a page of text: names that nobody vouches for, bars, words wrapped to a width
 * =======================================================================================
 */
struct page {
    struct buf out;
    uint32_t width;
    bool colours, ascii;
};

enum page_style { PAGE_BOLD, PAGE_GOOD, PAGE_BAD, PAGE_DIM };

void page_open(struct page *p, const struct report_how *how);

/** page_close - writes it to `to`; 0 or -ENOMEM */
int page_close(struct page *p, FILE *to);

/** page_name - text from outside: control characters, and what is not UTF-8 (in ASCII: not ASCII),
 * as \xNN; at most `columns` of them, the last two dots if it was longer.  Returns how many. */
uint32_t page_name(struct page *p, const char *name, uint32_t columns);

/** page_middle - the same, but one that is longer loses its middle: of a command line its end, what
 * it works on, says as much as its beginning */
uint32_t page_middle(struct page *p, const char *name, uint32_t columns);

/** page_pad - blanks until `columns` are full when `used` are */
void page_pad(struct page *p, uint32_t used, uint32_t columns);

/** page_bar - a bar of share * columns */
void page_bar(struct page *p, double share, uint32_t columns);

/** page_styled - text in a style, if there are colours */
void page_styled(struct page *p, enum page_style style, const char *text);

/** page_words - text after a label, wrapped; further lines begin below the first word */
void page_words(struct page *p, const char *label, enum page_style style, const char *text);

/** page_dot - what stands between two facts on a line */
const char *page_dot(const struct page *p);

/** page_range - "-" or an en dash */
const char *page_range(const struct page *p);

/* The parts of a report. */
void report_reading(struct buf *b, const struct measures *m, const struct ruling *r,
                    const struct reading *is);
void report_mismatch(struct buf *b, const struct measures *m, const struct ruling *r);
void report_notes(struct page *p, const char *notes);
void report_shares(struct page *p, const struct diagnosis *d);
void report_wakers(struct page *p, const struct recording *r);
void report_what_if(struct page *p, const struct diagnosis *d);
void report_why(struct page *p, const struct diagnosis *d, bool explain);

#endif

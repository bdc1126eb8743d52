/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_DRAW_H
#define HOB_DIAG_DRAW_H

#include <stdbool.h>
#include <stdint.h>

#include "diag/picture.h"
#include "lib/buf.h"

/*
 * What all drawings share
 * =======================
 *
 * Looks, times, and names that cannot break what they are put into.
 */

/* Colours are Okabe and Ito's or near them, chosen so that no common colour blindness confuses
 * two; height, sign and pattern differ as well. */
struct draw_look {
    const char *css;      /* its class on a page */
    const char *sign;     /* a character of a terminal, */
    char ascii;           /* and where there are only ASCII's */
    uint32_t light, dark; /* RGB, for a light and a dark page */
    uint8_t ansi;         /* one of the terminal's 16 colours: 30..37, 90..97 */
    uint8_t height;       /* per cent of the lane */
};
extern const struct draw_look draw_looks[N_LOOKS];

/* Computing has tints, so that threads that take turns on a core are told apart. */
enum { DRAW_TINTS = 3 };
struct draw_tint {
    uint32_t light, dark;
    uint8_t ansi;
};
extern const struct draw_tint draw_tints[DRAW_TINTS];

/** draw_tint_of - a thread's, by its lane, so that neighbours differ; without a lane by its index
 */
uint32_t draw_tint_of(const struct picture *p, uint32_t thread);

/** draw_time - "1.24 s", "12.4 ms", "980 ns", "2 min 5 s" */
void draw_time(struct buf *b, int64_t ns);

/** draw_step - between the ticks of an axis; at most `most` fit */
int64_t draw_step(int64_t range, int most);

/** draw_tick - what stands at a tick: in the unit of the range, with no more digits than needed */
void draw_tick(struct buf *b, int64_t at, int64_t step, int64_t range);

enum { DRAW_FIGURE = 32 };
/** draw_figure - a count or a mean in few characters: "4", "0.37", "39.7", "<0.01"; returns `to` */
const char *draw_figure(char to[DRAW_FIGURE], double x);

/* What draw_char answers for an octet that is not UTF-8: this and the octet. */
enum { DRAW_NO_CHAR = 0x110000 };

/** draw_char - the next character, never 0 before the end; moves *p behind it */
uint32_t draw_char(const char **p);

/** draw_char_ok - is it one that may be shown: no control, nothing that turns the text around */
bool draw_char_ok(uint32_t c);

/** draw_xml - text as content or attribute: escaped, and U+FFFD for what XML does not allow */
void draw_xml(struct buf *b, const char *text);

/** draw_part_words - what a part says: "network tcp 10.0.0.1:443" or "on CPU 60 %, network ..." */
void draw_part_words(struct buf *b, const struct picture *p, const struct picture_lane *lane,
                     const struct picture_part *part);

/** draw_peer - the peer's name; "" when nobody knows it */
const char *draw_peer(const struct recording *rec, uint32_t peer);

#endif

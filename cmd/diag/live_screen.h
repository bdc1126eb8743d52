/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_LIVE_SCREEN_H
#define HOB_DIAG_LIVE_SCREEN_H

#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

/*
 * A terminal, or its lower half, for a picture that is drawn again and again
 * ==========================================================================
 *
 * Whole: the terminal's other screen, so that what stood there comes back afterwards.  Else the
 * lower half, under a scroll region in which a program's output goes on above it, as apt does it
 * with its progress bar: for a terminal that is shared with a command.
 *
 * The terminal is left as soon as it is another job's turn, and never waited for.
 */
struct live_screen {
    int on; /* the descriptor that was given */
    bool whole;
    bool taken;
    int fd;   /* a description of our own, so that O_NONBLOCK is ours alone; -1 */
    int keys; /* the same, when keys are read; else -1 */
    bool set; /* the terminal's modes: from `was` to `is` */
    struct termios was, is;
    uint32_t rows, columns; /* of the terminal */
    uint32_t top;           /* first row of the view, from 0 */
};

/** live_screen_init - nothing is done to the terminal yet */
void live_screen_init(struct live_screen *s, int fd, bool whole);

/** live_screen_take - make it ours, or see whether its size has changed.  0; -EAGAIN: not now;
 * -ENOSPC: it is too small to share */
int live_screen_take(struct live_screen *s);

/** live_screen_rows - lines there are for a picture */
uint32_t live_screen_rows(const struct live_screen *s);

/** live_screen_show - text, cut to what fits; the picture before it goes */
void live_screen_show(struct live_screen *s, const char *text);

/** live_screen_key - the next key that was pressed; false: none */
bool live_screen_key(struct live_screen *s, char *ret);

/** live_screen_leave - as it was; may be taken again */
void live_screen_leave(struct live_screen *s);
void live_screen_fini(struct live_screen *s);

#endif

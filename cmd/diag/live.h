/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_LIVE_H
#define HOB_DIAG_LIVE_H

#include <stdbool.h>

#include "diag/draw_term.h"
#include "diag/load.h"
#include "diag/rec.h"
#include "diag/source.h"

/*
 * A recording looked at while it is made: hob diagnose --live
 * ===========================================================
 *
 * On a terminal a page that is drawn anew several times a second, else a line at a time, both on
 * standard error.  Each says two verdicts: on the last seconds, and on everything since the start.
 *
 * run.c calls live_tick from its loop and polls live_fd for keys.
 */

#define LIVE_WINDOW (10 * HOB_SEC)

struct live_how {
    hob_dur every; /* between two pictures; 0: 300 ms on a terminal, else 1 s */
};

/* What it looks at; all of it outlives the view. */
struct live_of {
    struct recording *rec;
    const struct rec_source *source;
    void *state;
    const struct load *load;
};

struct live;

/** live_open - 0 or -ENOMEM; nothing is drawn yet */
HOB_MUST_CHECK int live_open(const struct live_how *how, const struct live_of *of,
                             struct live **ret);

/**
 * live_tick - draw, if it is time
 *
 * A picture is put off for so long that all of them together take 2 % of a core at most.
 *
 * Return: ns until the next one.
 */
int64_t live_tick(struct live *l, int64_t now);

/** live_fd - readable when a key was pressed; -1: no keys are read */
int live_fd(const struct live *l);

/** live_wants_end - reads the keys: was one of them q? */
bool live_wants_end(struct live *l);

/** live_resized - the terminal may have another size: draw at the next tick */
void live_resized(struct live *l);

/** live_leave - the terminal as it was before; live_tick takes it again */
void live_leave(struct live *l);

/** live_cpu - ns of CPU time that the view has taken */
int64_t live_cpu(const struct live *l);

/** live_close - leaves the terminal too; NULL is a no-op */
void live_close(struct live *l);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_DEMO_H
#define HOB_DIAG_DEMO_H

#include "diag/draw_page.h"

/*
 * Two tasks, twice: on one core, and on two
 * =========================================
 *
 * The subject's classic picture, from two real runs: A and B compute the same both times.  On one
 * core they take turns, which is concurrency; on two they run at once, which is parallelism.
 */

enum { DEMO_RUNS = 2, DEMO_TITLE = 120 };

struct demo {
    struct recording rec;
    struct draw_window window[DEMO_RUNS];
    char title[DEMO_RUNS][DEMO_TITLE];
    size_t n_runs; /* 1 where there is only one core */
    double others; /* share of the time that other programs had the cores, in the run with most */
};

/**
 * demo_run - does the work and keeps who ran when; about a quarter of a second
 *
 * Where other programs disturb a run it is made again, up to five times, and the one that was
 * disturbed least is kept.
 *
 * Return: 0, -ENOMEM, or why threads could not be made or bound to a core.
 */
int demo_run(struct demo *ret);
void demo_free(struct demo *d);

#endif

/* SPDX-License-Identifier: MIT
 *
 * row.h - repeated figures of one subject, printed as a JSON row
 */
#ifndef HOB_BENCH_ROW_H
#define HOB_BENCH_ROW_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROW_RUNS_MAX = 64 };

struct row {
    const char *bench, *subject, *unit;
    double value[ROW_RUNS_MAX];
    int n;
};

static inline double row_now(void) /* seconds */
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline void row_add(struct row *r, double value)
{
    if (r->n < ROW_RUNS_MAX)
        r->value[r->n++] = value;
}

static inline int row_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Sorts the figures. */
static inline double row_median(struct row *r)
{
    qsort(r->value, (size_t)r->n, sizeof *r->value, row_compare);
    return r->n ? r->value[r->n / 2] : 0;
}

/* `figure` stands where else the median does. */
static inline void row_print_as(struct row *r, double figure, unsigned n_cores)
{
    (void)row_median(r);
    if (r->n)
        printf("{\"bench\": \"%s\", \"subject\": \"%s\", \"unit\": \"%s\", \"median\": %.4g, "
               "\"min\": %.4g, \"max\": %.4g, \"n\": %d, \"n_cores\": %u}\n",
               r->bench, r->subject, r->unit, figure, r->value[0], r->value[r->n - 1], r->n,
               n_cores);
    fflush(stdout);
}

static inline void row_print(struct row *r, unsigned n_cores)
{
    row_print_as(r, row_median(r), n_cores);
}

#endif

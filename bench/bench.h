/* SPDX-License-Identifier: MIT */
#ifndef HOB_BENCH_H
#define HOB_BENCH_H

#include <stdio.h>

#include <hob/rt.h>

/*
 * What every bench program prints: "metric value unit" lines, the same as its peers print.
 *
 * bench_begin - where the timed part starts
 * bench_end   - how long each of `n` operations took since then
 */
static inline hob_time bench_begin(void)
{
    return hob_now();
}

static inline void bench_end(const char *metric, hob_time begin, size_t n, const char *unit)
{
    printf("%s %.3f %s\n", metric, (double)(hob_now() - begin) / (double)n, unit);
}

/* A bench that fails says so and leaves no figure. */
static inline int bench_exit(const char *name, int r)
{
    if (r < 0)
        fprintf(stderr, "%s: %s\n", name, hob_strerror(r));
    return r < 0;
}

#endif

/* SPDX-License-Identifier: MIT
 *
 * map.c - Pool.map: the same little computation for a million numbers, on all cores
 *
 * Nothing here waits, so fibers would gain nothing; cores do.  hob_for cuts the range where
 * somebody is free to take a piece, on threads of this process: the results are written where they
 * belong, and there is nothing to copy, to flatten or to choose a chunk size for.
 * HOB_CORES=1 in the environment shows it with one core.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <hob/hob.h>

enum { POINTS = 1000 * 1000 };

static int compute_chunk(size_t begin, size_t end, void *arg)
{
    double *result = arg;

    for (size_t i = begin; i < end; i++) {
        double x = (double)i;
        result[i] = x * x + sqrt(x);
    }
    return 0;
}

int main(void)
{
    double *result = malloc(POINTS * sizeof(*result));

    if (!result || hob_for(0, POINTS, compute_chunk, result, NULL) < 0)
        return 1;
    printf("%d points on %u cores, the last is %.1f\n", POINTS, hob_cores(), result[POINTS - 1]);
    free(result);
    return 0;
}

/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_USL_H
#define HOB_DIAG_USL_H

#include <stddef.h>

#include <hob/base.h>

/*
 * The Universal Scalability Law
 * =============================
 *
 * How much work a second N workers do (N. J. Gunther, "Guerrilla Capacity Planning", Springer 2007,
 * chapters 4 to 6):
 *
 *     X(N) = lambda N / (1 + sigma (N - 1) + kappa N (N - 1))
 *
 * lambda is what one worker does alone, sigma the part that only one can do at a time (kappa = 0 is
 * Amdahl's law), and kappa what each pair costs that has to agree on something.
 */
struct usl {
    double lambda, sigma, kappa; /* > 0, >= 0, >= 0 */
    double error;                /* root mean square of the relative differences from the points */
};

/* So many workers took so long for the whole work. */
struct usl_point {
    double level, seconds;
};

enum { USL_LEAST = 3 }; /* different levels that a fit needs: it has three unknowns */

/**
 * usl_fit - the law that is nearest to measured points, differences counted in per cent
 *
 * A program that gains more than its workers (their caches add up) is beyond the law: sigma is 0
 * then and the error says how far.
 *
 * Return: 0, -ENODATA (fewer than USL_LEAST different levels), -EINVAL (a level below 1, a time
 * that is not above 0).
 */
HOB_MUST_CHECK int usl_fit(const struct usl_point *points, size_t n, struct usl *ret);

/** usl_seconds - how long the work takes so many workers */
double usl_seconds(const struct usl *u, double level);

/** usl_knee - more workers than that make it slower; INFINITY: none ever do */
double usl_knee(const struct usl *u);

#endif

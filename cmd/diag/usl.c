/* SPDX-License-Identifier: MIT
 *
 * usl.c - fitting the Universal Scalability Law
 *
 * HOW         In times instead of rates the law is linear in what is sought:
 *
 *     N T(N) = a + b (N - 1) + c N (N - 1),   a = 1/lambda, b = sigma/lambda, c = kappa/lambda
 *
 *   so least squares needs no start values and no iteration.  Each row is divided by its left side:
 *   a difference of 5 % weighs the same in a run of 10 s and in one of 0.1 s.
 *
 *   sigma and kappa must not be negative.  The best point of such a problem is the free one, or
 *   lies on a side where one of them is 0, or both: four small systems, and the best that holds.
 *
 * REJECTED    Gunther's own way, a parabola through N/X(N) with its constant forced through the
 *   time at N = 1: the noise of that one run is in every figure then, and N = 1 has to be measured.
 */
#include "diag/usl.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { TERMS = 3 };

static void terms_of(double level, double ret[TERMS])
{
    ret[0] = 1;
    ret[1] = level - 1;
    ret[2] = level * (level - 1);
}

/* Solves the system of so many of the unknowns; false: they cannot be told apart. */
static bool solve(double m[TERMS][TERMS + 1], int n)
{
    for (int col = 0; col < n; col++) {
        int best = col;

        for (int row = col + 1; row < n; row++)
            if (fabs(m[row][col]) > fabs(m[best][col]))
                best = row;
        if (fabs(m[best][col]) < 1e-14)
            return false;
        for (int k = 0; k <= n; k++) {
            double t = m[col][k];
            m[col][k] = m[best][k];
            m[best][k] = t;
        }
        for (int row = 0; row < n; row++) {
            double f = m[row][col] / m[col][col];

            for (int k = 0; row != col && k <= n; k++)
                m[row][k] -= f * m[col][k];
        }
    }
    for (int row = 0; row < n; row++)
        m[row][n] /= m[row][row];
    return true;
}

/* Least squares with the terms of `use` (a bit each), the others 0. */
static bool fit_with(const struct usl_point *p, size_t n, unsigned use, double ret[TERMS])
{
    double m[TERMS][TERMS + 1] = {{0}}, largest[TERMS] = {0};
    int which[TERMS], k = 0;

    for (int t = 0; t < TERMS; t++)
        if (use >> t & 1)
            which[k++] = t;
    for (size_t i = 0; i < n; i++) { /* columns of like size: levels may reach the thousands */
        double row[TERMS];

        terms_of(p[i].level, row);
        for (int t = 0; t < TERMS; t++)
            largest[t] = fmax(largest[t], row[t] / (p[i].level * p[i].seconds));
    }
    for (size_t i = 0; i < n; i++) {
        double row[TERMS];

        terms_of(p[i].level, row);
        for (int t = 0; t < TERMS; t++)
            row[t] /= p[i].level * p[i].seconds * (largest[t] > 0 ? largest[t] : 1);
        for (int a = 0; a < k; a++) {
            for (int b = 0; b < k; b++)
                m[a][b] += row[which[a]] * row[which[b]];
            m[a][k] += row[which[a]];
        }
    }
    if (!solve(m, k))
        return false;
    memset(ret, 0, TERMS * sizeof *ret);
    for (int a = 0; a < k; a++)
        ret[which[a]] = m[a][k] / largest[which[a]];
    return true;
}

static struct usl law_of(const double t[TERMS])
{
    return (struct usl){.lambda = 1 / t[0], .sigma = t[1] / t[0], .kappa = t[2] / t[0]};
}

static double error_of(const struct usl *u, const struct usl_point *p, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++) {
        double d = usl_seconds(u, p[i].level) / p[i].seconds - 1;
        sum += d * d;
    }
    return sqrt(sum / (double)n);
}

static size_t n_levels(const struct usl_point *p, size_t n)
{
    size_t different = 0;

    for (size_t i = 0; i < n; i++) {
        bool seen = false;

        for (size_t k = 0; k < i && !seen; k++)
            seen = p[k].level == p[i].level;
        different += !seen;
    }
    return different;
}

int usl_fit(const struct usl_point *p, size_t n, struct usl *ret)
{
    struct usl best = {.error = INFINITY};

    for (size_t i = 0; i < n; i++)
        if (!(p[i].level >= 1 && isfinite(p[i].level) && p[i].seconds > 0 &&
              isfinite(p[i].seconds)))
            return -EINVAL;
    if (n_levels(p, n) < USL_LEAST)
        return -ENODATA;
    for (unsigned use = 1; use < 1u << TERMS; use += 2) { /* the constant is always in it */
        double t[TERMS];

        if (!fit_with(p, n, use, t) || !(t[0] > 0) || t[1] < 0 || t[2] < 0)
            continue;
        struct usl u = law_of(t);
        u.error = error_of(&u, p, n);
        if (u.error < best.error)
            best = u;
    }
    if (!isfinite(best.error))
        return -EINVAL;
    *ret = best;
    return 0;
}

double usl_seconds(const struct usl *u, double level)
{
    return (1 + u->sigma * (level - 1) + u->kappa * level * (level - 1)) / (u->lambda * level);
}

double usl_knee(const struct usl *u)
{
    if (u->sigma >= 1)
        return 1;
    return u->kappa > 0 ? fmax(1, sqrt((1 - u->sigma) / u->kappa)) : INFINITY;
}

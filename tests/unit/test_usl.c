/* SPDX-License-Identifier: MIT
 *
 * test_usl.c - the fit finds the law that made the points, and refuses what carries none
 */
#include <errno.h>

#include "diag/usl.h"
#include "diag_util.h"

enum { POINTS = 8 };

/* What a program of that law takes at 1, 2, 4, 8, ...; `noise` is put on by turns. */
static void make(struct usl_point p[], size_t n, struct usl law, double noise)
{
    for (size_t i = 0; i < n; i++) {
        p[i].level = (double)(1u << i);
        p[i].seconds = usl_seconds(&law, p[i].level) * (1 + (i & 1 ? noise : -noise));
    }
}

static void recovered(struct usl law, size_t n)
{
    struct usl_point p[POINTS];
    struct usl u;

    make(p, n, law, 0);
    CHECK_INT(usl_fit(p, n, &u), 0);
    CHECK_NEAR(u.lambda, law.lambda, 1e-6 * law.lambda);
    CHECK_NEAR(u.sigma, law.sigma, 1e-6);
    CHECK_NEAR(u.kappa, law.kappa, 1e-6);
    CHECK_NEAR(u.error, 0, 1e-6);
}

TEST(the_law_that_made_the_points_is_found)
{
    static const double sigma[] = {0, .02, .3, 1}, kappa[] = {0, 1e-4, .01, .5};

    for (int s = 0; s < 4; s++)
        for (int k = 0; k < 4; k++)
            for (size_t n = USL_LEAST; n <= POINTS; n++)
                recovered((struct usl){.lambda = .25, .sigma = sigma[s], .kappa = kappa[k]}, n);
    recovered((struct usl){.lambda = 1e5, .sigma = .1, .kappa = .001}, 4);
    recovered((struct usl){.lambda = 1e-4, .sigma = .1, .kappa = .001}, 4);
}

TEST(one_level_may_be_missing_and_another_measured_twice)
{
    struct usl law = {.lambda = 2, .sigma = .1, .kappa = .01}, u;
    struct usl_point p[] = {{2, 0}, {2, 0}, {3, 0}, {7, 0}, {200, 0}};

    for (size_t i = 0; i < 5; i++)
        p[i].seconds = usl_seconds(&law, p[i].level);
    CHECK_INT(usl_fit(p, 5, &u), 0);
    CHECK_NEAR(u.sigma, .1, 1e-6);
    CHECK_NEAR(u.kappa, .01, 1e-6);
}

TEST(noise_moves_the_figures_and_not_the_picture)
{
    struct usl law = {.lambda = 1, .sigma = .1, .kappa = .002}, u;
    struct usl_point p[6];

    make(p, 6, law, .03);
    CHECK_INT(usl_fit(p, 6, &u), 0);
    CHECK_NEAR(u.sigma, .1, .05);
    CHECK_NEAR(u.kappa, .002, .002);
    CHECK(u.error > .01 && u.error < .04);
    for (size_t i = 0; i < 6; i++)
        CHECK_NEAR(usl_seconds(&u, p[i].level) / p[i].seconds, 1, .07);
}

TEST(nothing_comes_out_negative)
{
    /* Faster than its workers allow: the law can only say "no loss". */
    struct usl_point super[] = {{1, 8}, {2, 3.5}, {4, 1.5}, {8, .6}};
    /* Flat, then much faster: the free parabola has a negative sigma. */
    struct usl_point late[] = {{1, 1}, {2, .2}, {4, .9}, {8, 2}};
    /* The free parabola bends down: a negative kappa. */
    struct usl_point bent[] = {{1, 1}, {2, .95}, {4, .6}, {8, .3}};
    const struct usl_point *of[] = {super, late, bent};
    struct usl u;

    for (int i = 0; i < 3; i++) {
        CHECK_INT(usl_fit(of[i], 4, &u), 0);
        CHECK(u.lambda > 0 && u.sigma >= 0 && u.kappa >= 0);
        CHECK(isfinite(u.error) && u.error > .02);
    }
    CHECK_INT(usl_fit(super, 4, &u), 0);
    CHECK_NEAR(u.sigma, 0, 1e-9);
    CHECK_NEAR(u.kappa, 0, 1e-9);
}

TEST(a_bound_is_kept_at_no_cost_to_the_rest)
{
    /* kappa = 0 and a sigma that the free fit would raise to pay for a negative kappa. */
    struct usl law = {.lambda = 1, .sigma = .2, .kappa = 0}, u, worse;
    struct usl_point p[4];

    make(p, 4, law, .02);
    p[3].seconds *= .9;
    CHECK_INT(usl_fit(p, 4, &u), 0);
    CHECK_NEAR(u.kappa, 0, 1e-12);
    for (double s = 0; s <= 1; s += .01) { /* no other law of kappa = 0 is nearer in its own way */
        worse = (struct usl){.lambda = u.lambda, .sigma = s};
        double d = 0, best = 0;
        for (int i = 0; i < 4; i++) {
            d += pow(usl_seconds(&worse, p[i].level) / p[i].seconds - 1, 2);
            best += pow(usl_seconds(&u, p[i].level) / p[i].seconds - 1, 2);
        }
        CHECK(d >= best - 1e-9);
    }
}

TEST(what_carries_no_law_is_refused)
{
    struct usl_point two[] = {{1, 1}, {2, .5}, {2, .51}, {1, 1.01}};
    struct usl_point zero[] = {{1, 1}, {2, 0}, {4, .3}};
    struct usl_point below[] = {{0, 1}, {2, .5}, {4, .3}};
    struct usl_point endless[] = {{1, 1}, {2, INFINITY}, {4, .3}};
    struct usl u = {.lambda = 7};

    CHECK_INT(usl_fit(two, 4, &u), -ENODATA);
    CHECK_INT(usl_fit(two, 0, &u), -ENODATA);
    CHECK_INT(usl_fit(zero, 3, &u), -EINVAL);
    CHECK_INT(usl_fit(below, 3, &u), -EINVAL);
    CHECK_INT(usl_fit(endless, 3, &u), -EINVAL);
    CHECK_NEAR(u.lambda, 7, 0); /* untouched */
}

TEST(flat_times_are_one_worker_at_a_time)
{
    struct usl_point p[] = {{1, 2}, {2, 2}, {4, 2}, {8, 2}};
    struct usl u;

    CHECK_INT(usl_fit(p, 4, &u), 0);
    CHECK_NEAR(u.sigma, 1, 1e-9);
    CHECK_NEAR(u.kappa, 0, 1e-9);
}

TEST(the_knee_is_where_more_makes_it_slower)
{
    struct usl u = {.lambda = 1, .sigma = .1, .kappa = .01};
    double knee = usl_knee(&u);

    CHECK_NEAR(knee, sqrt(.9 / .01), 1e-9);
    CHECK(usl_seconds(&u, knee) < usl_seconds(&u, knee * 1.2));
    CHECK(usl_seconds(&u, knee) < usl_seconds(&u, knee * .8));
    CHECK(isinf(usl_knee(&(struct usl){.lambda = 1, .sigma = .1})));
    CHECK_NEAR(usl_knee(&(struct usl){.lambda = 1, .sigma = 1.2, .kappa = .1}), 1, 0);
    CHECK_NEAR(usl_knee(&(struct usl){.lambda = 1, .sigma = .5, .kappa = 4}), 1, 0);
}

/* SPDX-License-Identifier: MIT
 *
 * leave_one_out.c - how often the rule is right about a program it was not tuned on
 *
 * WHAT        Reads lines "FILE BOUND ADVICE MISMATCH" (a recording and what to say of it; mismatch
 *   null: none) and prints how many are right with the thresholds as they are, and how many when
 *   each in turn is judged by thresholds fitted to all the others.
 *
 * HOW         A fit takes one threshold after the other, twice around: of the factors tried on it,
 *   those with the fewest mistakes are a plateau, and its middle is taken.  So a threshold that
 *   only the left-out program needs where it is moves away from there, as it should.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diag/rule.h"

enum { CASES_MAX = 512, FACTORS = 13, ROUNDS = 2 };

static const double factor[FACTORS] = {.25, .35, .5, .6, .7, .85, 1, 1.2, 1.4, 1.7, 2, 2.8, 4};

struct known {
    char file[512], bound[32], advice[32], mismatch[32];
    struct recording rec;
    struct measures measures;
};

static struct known cases[CASES_MAX];
static size_t n_cases;

static bool is_right(const struct known *k, const double *limits)
{
    struct ruling r;
    const char *mismatch;

    rule_of(&k->measures, limits, &r);
    mismatch = mismatch_word(r.is.mismatch);
    return !r.is.unread && strcmp(hob_bound_word(r.is.bound), k->bound) == 0 &&
           strcmp(hob_advice_word(r.is.advice), k->advice) == 0 &&
           strcmp(mismatch ? mismatch : "null", k->mismatch) == 0;
}

static size_t mistakes(const double *limits, size_t but)
{
    size_t n = 0;

    for (size_t i = 0; i < n_cases; i++)
        n += i != but && !is_right(&cases[i], limits);
    return n;
}

/* The middle of the widest run of factors with the fewest mistakes. */
static double fit_one(double *limits, enum rule_test t, size_t but)
{
    const double was = rule_threshold(t);
    size_t wrong[FACTORS], least = SIZE_MAX, best = 0, best_n = 0;

    for (size_t i = 0; i < FACTORS; i++) {
        limits[t] = was * factor[i];
        wrong[i] = mistakes(limits, but);
        least = wrong[i] < least ? wrong[i] : least;
    }
    for (size_t i = 0; i < FACTORS; i++) {
        size_t n = 0;

        while (i + n < FACTORS && wrong[i + n] == least)
            n++;
        if (n > best_n) {
            best_n = n;
            best = i;
        }
        i += n;
    }
    return was * factor[best + (best_n - 1) / 2];
}

static bool right_when_left_out(size_t i)
{
    double limits[N_RULE_TESTS];

    for (int t = 0; t < N_RULE_TESTS; t++)
        limits[t] = rule_threshold((enum rule_test)t);
    for (int round = 0; round < ROUNDS; round++)
        for (int t = 0; t < N_RULE_TESTS; t++)
            limits[t] = fit_one(limits, (enum rule_test)t, i);
    return is_right(&cases[i], limits);
}

static int cases_read(FILE *from)
{
    struct known *k = cases;

    while (n_cases < CASES_MAX &&
           fscanf(from, "%511s %31s %31s %31s", k->file, k->bound, k->advice, k->mismatch) == 4) {
        int r = rec_load(k->file, &k->rec);
        if (r == 0)
            r = measure_take(&k->rec, &k->measures);
        if (r < 0) {
            fprintf(stderr, "leave_one_out: %s: %s\n", k->file, hob_strerror(r));
            return r;
        }
        k = &cases[++n_cases];
    }
    return 0;
}

int main(void)
{
    size_t right = 0, right_left_out = 0;

    if (cases_read(stdin) < 0)
        return 1;
    for (size_t i = 0; i < n_cases; i++) {
        bool now = is_right(&cases[i], NULL), left_out = right_when_left_out(i);

        right += now;
        right_left_out += left_out;
        if (!now || !left_out)
            printf("%s: %s, %s when left out\n", cases[i].file, now ? "right" : "wrong",
                   left_out ? "right" : "wrong");
    }
    printf("{\"right\": %zu, \"right_when_left_out\": %zu, \"n\": %zu}\n", right, right_left_out,
           n_cases);
    for (size_t i = 0; i < n_cases; i++)
        rec_free(&cases[i].rec);
    return 0;
}

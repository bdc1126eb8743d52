/* SPDX-License-Identifier: MIT
 *
 * compare.c - two diagnoses side by side; whether one is what a build is to fail on
 *
 * The second is told relative to the first: twice as fast is 2.0x, so above 1 is better in time
 * and a plain quotient in what is neither good nor bad (operations in flight, cores busy).
 */
#include "diag/compare.h"

#include <errno.h>
#include <string.h>

#include "diag/page.h"
#include "lib/out.h"

static void put_times(FILE *to, const char *what, double a, double b)
{
    char x[OUT_FIGURE], y[OUT_FIGURE];

    fprintf(to, "  %-22s %12s %12s", what, out_duration((hob_dur)(a * HOB_SEC), x),
            out_duration((hob_dur)(b * HOB_SEC), y));
    if (a > 0 && b > 0)
        fprintf(to, "   %.2fx %s", a >= b ? a / b : b / a, a >= b ? "less" : "more");
    fputc('\n', to);
}

static void put_numbers(FILE *to, const char *what, double a, double b)
{
    fprintf(to, "  %-22s %12.2f %12.2f\n", what, a, b);
}

/* The verdict, and what it does not rest on. */
static void put_one(const char *name, const struct diagnosis *d, const struct report_how *how,
                    FILE *to)
{
    struct page p;

    fprintf(to, "  %s  ", name);
    report_line(d, how, to);
    page_open(&p, how);
    report_notes(&p, d->rec->notes);
    (void)page_close(&p, to);
}

void compare(const struct diagnosis *a, const struct diagnosis *b, const struct report_how *how,
             FILE *to)
{
    const struct measures *x = &a->measures, *y = &b->measures;
    double wall_a = (double)a->rec->wall / HOB_SEC, wall_b = (double)b->rec->wall / HOB_SEC;

    put_one("A", a, how, to);
    put_one("B", b, how, to);
    fprintf(to, "\n  %-22s %12s %12s\n", "", "A", "B");
    put_times(to, "wall time", wall_a, wall_b);
    put_times(to, "on CPU", x->all.cpu, y->all.cpu);
    for (int k = REC_NO_KIND + 1; k < REC_N_KINDS; k++)
        if (x->all.blame[k] >= .01 || y->all.blame[k] >= .01)
            put_times(to, rec_kind_word((enum rec_kind)k), x->all.blame[k] * wall_a,
                      y->all.blame[k] * wall_b);
    put_numbers(to, "cores busy, mean", wall_a > 0 ? x->all.cpu / wall_a : 0,
                wall_b > 0 ? y->all.cpu / wall_b : 0);
    put_numbers(to, "in flight, mean", x->in_flight, y->in_flight);
    put_numbers(to, "cores of other programs", x->foreign, y->foreign);
    if (wall_a > 0 && wall_b > 0)
        fprintf(to, "\n  B is %.2fx %s than A\n",
                wall_a >= wall_b ? wall_a / wall_b : wall_b / wall_a,
                wall_a >= wall_b ? "faster" : "slower");
}

static bool word_is(const char *word, size_t n, const char *text)
{
    return text && strlen(text) == n && memcmp(word, text, n) == 0;
}

/* Whether any diagnosis could be called so. */
static bool word_exists(const char *word, size_t n)
{
    if (word_is(word, n, "mismatch") || word_is(word, n, "unknown"))
        return true;
    for (int i = HOB_BOUND_IDLE; i <= HOB_BOUND_LOCK; i++)
        if (word_is(word, n, hob_bound_word((enum hob_bound)i)))
            return true;
    for (int i = HOB_ADVICE_NONE; i <= HOB_ADVICE_LOCK; i++)
        if (word_is(word, n, hob_advice_word((enum hob_advice)i)))
            return true;
    for (int i = 0; i < N_MISMATCHES; i++)
        if (word_is(word, n, mismatch_word((enum mismatch)i)))
            return true;
    for (int i = 0; i < N_PATTERNS; i++)
        if (word_is(word, n, pattern_word((enum pattern)i)))
            return true;
    return false;
}

/* Whether the report has a line MISMATCH: a pattern may be one, too. */
static bool is_mismatch(const struct reading *is)
{
    return is->mismatch != MISMATCH_NONE || is->pattern == PATTERN_SEQUENTIAL_AWAITS ||
           is->pattern == PATTERN_COMMIT_PER_ROW;
}

int fail_on_matches(const char *words, const struct diagnosis *d, const char **ret_bad)
{
    const struct reading *is = d ? &d->ruling.is : NULL;
    int found = 0;

    for (const char *w = words;; w++) {
        size_t n = strcspn(w, ",");

        if (!word_exists(w, n)) {
            *ret_bad = w;
            return -EINVAL;
        }
        found |= is &&
                 ((word_is(w, n, "mismatch") && is_mismatch(is)) ||
                  word_is(w, n, reading_bound_word(is)) || word_is(w, n, reading_advice_word(is)) ||
                  word_is(w, n, mismatch_word(is->mismatch)) ||
                  word_is(w, n, pattern_word(is->pattern)));
        w += n;
        if (!*w)
            return found;
    }
}

/* SPDX-License-Identifier: MIT
 *
 * verify_judge.c - what the times say: of the prediction, and of the verdict
 *
 * HOW         A level's time is the median of its clean runs.  Three levels or more carry a law
 *   (usl.h).  The gain is told between the lowest level and the fastest above it.
 *
 *   A verdict speaks of a change.  A knob tries that change when it turns what the advice turns,
 *   upwards; then the times confirm or contradict it.  Cores below those at hand try a verdict
 *   that says they are all in use, or that they do not matter.  What no knob turns stays untried:
 *   a program that has one thread has it on any number of cores.
 */
#include <math.h>
#include <stdlib.h>

#include "diag/verify_impl.h"

/* Speed-ups: below the one nothing was gained, from the other on it clearly was. */
static const double nothing = 1.1, clear = 1.25;
static const double promised = 1.3; /* the prediction said that it would be worth it */

#define VERIFY_WORD_TEXT(name, word) word,
static const char *const words[] = {VERIFY_WORD_MAP(VERIFY_WORD_TEXT)};
#undef VERIFY_WORD_TEXT

const char *verify_word(enum verify_word w)
{
    return words[w];
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static void row_time(struct verify_row *row)
{
    double t[VERIFY_SAMPLES];
    size_t n = 0;

    for (size_t i = 0; i < row->n; i++)
        if (row->sample[i].state == SAMPLE_CLEAN)
            t[n++] = row->sample[i].seconds;
    row->seconds = row->least = row->most = 0;
    if (n == 0)
        return;
    qsort(t, n, sizeof *t, by_value);
    row->seconds = (t[(n - 1) / 2] + t[n / 2]) / 2;
    row->least = t[0];
    row->most = t[n - 1];
}

static void law_fit(struct verify_knob *vk)
{
    struct usl_point p[VERIFY_LEVELS];
    size_t n = 0;

    for (size_t i = 0; i < vk->n; i++)
        if (vk->row[i].seconds > 0)
            p[n++] = (struct usl_point){vk->row[i].level, vk->row[i].seconds};
    vk->has_law = usl_fit(p, n, &vk->law) == 0;
    for (size_t i = 0; i < vk->n; i++)
        vk->row[i].fit = vk->has_law ? usl_seconds(&vk->law, vk->row[i].level) : 0;
}

/* Both models are right or wrong for both levels at once; then the noise of two runs. */
static struct verify_time gain_predicted(const struct verify_row *from, const struct verify_row *to)
{
    double a = from->predicted.best / to->predicted.best;
    double b = from->predicted.worst / to->predicted.worst;
    double value = from->predicted.value / to->predicted.value, noise = .05;

    return (struct verify_time){.low = fmin(fmin(a, b), value) * (1 - noise),
                                .value = value,
                                .high = fmax(fmax(a, b), value) * (1 + noise)};
}

static void gain_find(struct verify_knob *vk, bool predicted)
{
    size_t low = vk->n, top = vk->n, last = vk->n;

    for (size_t i = 0; i < vk->n; i++) {
        if (vk->row[i].seconds <= 0)
            continue;
        last = i;
        if (low == vk->n)
            low = i;
        else if (top == vk->n || vk->row[i].seconds < vk->row[top].seconds)
            top = i;
    }
    vk->judged = top < vk->n;
    if (!vk->judged)
        return;
    if (vk->row[top].seconds >= vk->row[low].seconds)
        top = last; /* more is slower: how much, at the far end */
    vk->low = low;
    vk->top = top;
    vk->gain = vk->row[low].seconds / vk->row[top].seconds;
    if (predicted)
        vk->gains = gain_predicted(&vk->row[low], &vk->row[top]);
}

/* --- the verdict ------------------------------------------------------------------------------ */

/* What the best of the levels above (below) that of the command as given gains over it. */
struct turned {
    bool tried;
    double gain, predicted;
};

static struct turned turned(const struct verify_knob *vk, bool up)
{
    const struct verify_row *now = NULL;
    struct turned t = {0};

    for (size_t i = 0; i < vk->n; i++)
        if (vk->row[i].level == vk->knob.now && vk->row[i].seconds > 0)
            now = &vk->row[i];
    for (size_t i = 0; now && i < vk->n; i++) {
        const struct verify_row *row = &vk->row[i];

        if (row->seconds <= 0 || (up ? row->level <= now->level : row->level >= now->level))
            continue;
        t.tried = true;
        t.gain = fmax(t.gain, now->seconds / row->seconds);
        if (row->predicted.value > 0)
            t.predicted = fmax(t.predicted, now->predicted.value / row->predicted.value);
    }
    return t;
}

static bool turns_what_is_advised(const struct knob *k, const struct reading *r)
{
    switch (r->advice) {
    case HOB_ADVICE_BOTH:
        return true;
    case HOB_ADVICE_CONCURRENCY:
        return k->workers;
    case HOB_ADVICE_PARALLELISM:
        return k->workers || k->kind != KNOB_CORES;
    default:
        return false;
    }
}

static enum verify_word word_of(bool holds)
{
    return holds ? VERIFY_CONFIRMED : VERIFY_CONTRADICTED;
}

static enum verify_word judge_cores(const struct verify_knob *vk, const struct reading *r)
{
    struct turned down = turned(vk, false);

    if (!down.tried)
        return VERIFY_UNTRIED;
    if (r->advice == HOB_ADVICE_PARALLEL) /* fewer cores must cost */
        return word_of(down.gain < 1 / nothing);
    if (r->bound == HOB_BOUND_IO && r->advice != HOB_ADVICE_BATCHES)
        return word_of(down.gain > 1 / clear);
    return VERIFY_UNTRIED;
}

static enum verify_word judge_word(const struct verify_knob *vk, const struct reading *r)
{
    struct turned up = turned(vk, true), down = turned(vk, false);

    if (r->unread)
        return VERIFY_UNTRIED;
    if (r->advice == HOB_ADVICE_FEWER_THREADS)
        return down.tried && vk->knob.workers ? word_of(down.gain > .95) : VERIFY_UNTRIED;
    if (vk->knob.kind == KNOB_CORES || !up.tried)
        return vk->knob.workers ? VERIFY_UNTRIED : judge_cores(vk, r);
    if (turns_what_is_advised(&vk->knob, r)) {
        if (up.gain >= nothing)
            return VERIFY_CONFIRMED;
        return up.predicted >= promised ? VERIFY_CONTRADICTED : VERIFY_UNTRIED;
    }
    if (r->advice == HOB_ADVICE_PARALLEL || r->advice == HOB_ADVICE_NONE)
        return word_of(up.gain < clear);
    return VERIFY_UNTRIED;
}

void verify_judge(struct verify *v, const struct diagnosis *d)
{
    for (size_t i = 0; i < v->n_knobs; i++) {
        struct verify_knob *vk = &v->knob[i];

        for (size_t k = 0; k < vk->n; k++)
            row_time(&vk->row[k]);
        law_fit(vk);
        gain_find(vk, !d->prediction.refused);
        vk->word = vk->judged ? judge_word(vk, &d->ruling.is) : VERIFY_UNTRIED;
    }
}

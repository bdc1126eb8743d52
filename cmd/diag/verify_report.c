/* SPDX-License-Identifier: MIT
 *
 * verify_report.c - measured beside predicted, for people and for programs
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "diag/page.h"
#include "diag/verify_impl.h"
#include "lib/out.h"

enum { BAR_COLUMNS = 20, NAME_COLUMNS = 22 };

static const double flat = 1.1; /* speed-ups below it are told as none */

/* --- a table and a bar for each knob ---------------------------------------------------------- */

/* So many times as fast as the lowest level. */
static double speed_measured(const struct verify_knob *vk, const struct verify_row *row)
{
    return row->seconds > 0 ? vk->row[vk->low].seconds / row->seconds : 0;
}

static double speed_predicted(const struct verify_knob *vk, const struct verify_row *row)
{
    return row->predicted.value > 0 ? vk->row[vk->low].predicted.value / row->predicted.value : 0;
}

static double speed_most(const struct verify_knob *vk, bool predicted)
{
    double most = 1;

    for (size_t i = 0; i < vk->n; i++) {
        if (vk->row[i].seconds <= 0)
            continue;
        most = fmax(most, speed_measured(vk, &vk->row[i]));
        if (predicted)
            most = fmax(most, speed_predicted(vk, &vk->row[i]));
    }
    return most;
}

/* The measured speed as a bar, the predicted one as a mark on the same scale. */
static void put_bar(struct page *p, double measured, double predicted, double most)
{
    int bar = (int)lround(measured / most * BAR_COLUMNS);
    int mark = predicted > 0 ? (int)lround(predicted / most * BAR_COLUMNS) : -1;

    buf_puts(&p->out, "  ");
    for (int i = 1; i <= BAR_COLUMNS && (i <= bar || i <= mark); i++)
        if (i == mark)
            buf_puts(&p->out, p->ascii ? "|" : "│");
        else if (i <= bar)
            buf_puts(&p->out, p->ascii ? "#" : "█");
        else
            buf_putc(&p->out, ' ');
}

static void put_failed(struct buf *b, int status)
{
    if (status < 0)
        buf_puts(b, "could not be waited for");
    else if (WIFSIGNALED(status))
        buf_printf(b, "ended by signal %d", WTERMSIG(status));
    else
        buf_printf(b, "exit status %d", WEXITSTATUS(status));
}

/* What runs of a row do not count, and why; the worst of each kind. */
static void row_note(const struct verify_row *row, struct buf *b)
{
    const struct verify_sample *worst[SAMPLE_FAILED + 1] = {NULL};
    size_t n[SAMPLE_FAILED + 1] = {0};

    for (size_t i = 0; i < row->n; i++) {
        const struct verify_sample *s = &row->sample[i];

        if (n[s->state]++ == 0 || s->foreign > worst[s->state]->foreign)
            worst[s->state] = s;
    }
    if (n[SAMPLE_FAILED] > 0) {
        buf_printf(b, "%zu failed: ", n[SAMPLE_FAILED]);
        put_failed(b, worst[SAMPLE_FAILED]->status);
    }
    if (n[SAMPLE_LOADED] > 0)
        buf_printf(b, "%s%zu not counted: %.2f s while others kept %.1f cores busy",
                   b->len ? "; " : "", n[SAMPLE_LOADED], worst[SAMPLE_LOADED]->seconds,
                   worst[SAMPLE_LOADED]->foreign);
    if (n[SAMPLE_PAUSED] > 0)
        buf_printf(b, "%s%zu not counted: stopped meanwhile", b->len ? "; " : "", n[SAMPLE_PAUSED]);
    if (row->n == 0)
        buf_puts(b, "not run");
}

static int name_columns(const struct verify_knob *vk)
{
    size_t n = strlen(vk->knob.name);

    return n < 5 ? 5 : n > NAME_COLUMNS ? NAME_COLUMNS : (int)n;
}

static void put_row(struct page *p, const struct verify_knob *vk, const struct verify_row *row,
                    bool predicted)
{
    struct buf note = {0};
    char range[32] = "";

    row_note(row, &note);
    buf_printf(&p->out, "   %*u%s", name_columns(vk), row->level,
               row->level == vk->knob.now ? " *" : "  ");
    if (row->seconds > 0) {
        buf_printf(&p->out, " %9.3f", row->seconds);
        if (vk->judged)
            buf_printf(&p->out, " %8.2fx", speed_measured(vk, row));
        if (vk->judged && predicted)
            snprintf(range, sizeof range, "%.2fx", speed_predicted(vk, row));
        if (predicted)
            buf_printf(&p->out, " %10s", range);
        if (row->fit > 0)
            buf_printf(&p->out, " %9.3f", row->fit);
        if (vk->judged)
            put_bar(p, speed_measured(vk, row), predicted ? speed_predicted(vk, row) : 0,
                    speed_most(vk, predicted));
    }
    if (note.len > 0 && buf_error(&note) == 0)
        buf_printf(&p->out, "  %s", note.p);
    buf_putc(&p->out, '\n');
    buf_free(&note);
}

static void put_table(struct page *p, const struct verify_knob *vk, bool predicted)
{
    int wide = name_columns(vk);

    buf_printf(&p->out, "   %*.*s     seconds", wide, wide, vk->knob.name);
    if (vk->judged) {
        buf_printf(&p->out, "  measured%s%s", predicted ? "  predicted" : "",
                   vk->has_law ? "   fit (s)" : "");
        buf_printf(&p->out, "  %s measured", p->ascii ? "#" : "█");
        if (predicted)
            buf_printf(&p->out, " %s predicted", p->ascii ? "|" : "│");
    }
    buf_putc(&p->out, '\n');
    for (size_t i = 0; i < vk->n; i++)
        put_row(p, vk, &vk->row[i], predicted);
}

/* --- in words --------------------------------------------------------------------------------- */

static size_t n_timed(const struct verify_knob *vk)
{
    size_t n = 0;

    for (size_t i = 0; i < vk->n; i++)
        n += vk->row[i].seconds > 0;
    return n;
}

static bool is_flat(const struct verify_knob *vk)
{
    return vk->gain < flat && vk->gain > 1 / flat;
}

static void put_law(struct page *p, const struct verify_knob *vk)
{
    struct buf b = {0};
    double knee = usl_knee(&vk->law);

    if (is_flat(vk)) {
        page_words(p, "fit", PAGE_BOLD, "none: the times are the same at all levels");
        return;
    }
    buf_printf(&b,
               "%.1f %% can only be done by one at a time (sigma %.3f), agreeing costs %.2g a "
               "pair (kappa)",
               fmin(vk->law.sigma, 1) * 100, vk->law.sigma, vk->law.kappa);
    if (knee < 1e4)
        buf_printf(&b, "; knee at %.0f: more makes it slower", knee);
    else
        buf_puts(&b, "; no knee");
    if (n_timed(vk) > USL_LEAST)
        buf_printf(&b, "; off by %.0f %%", vk->law.error * 100);
    else
        buf_puts(&b, "; of three levels, which any law fits");
    if (buf_error(&b) == 0)
        page_words(p, "fit", PAGE_BOLD, b.p);
    buf_free(&b);
}

static void put_gain(struct page *p, const struct verify_knob *vk)
{
    const struct verify_row *low = &vk->row[vk->low], *top = &vk->row[vk->top];
    const struct verify_time *g = &vk->gains;
    struct buf b = {0};

    knob_setting(&vk->knob, top->level, &b);
    buf_puts(&b, vk->knob.kind == KNOB_CORES ? " are " : " is ");
    if (is_flat(vk))
        buf_printf(&b, "no faster than %u (%.2fx)", low->level, vk->gain);
    else
        buf_printf(&b, "%.1fx as fast as %u", vk->gain, low->level);
    if (g->value > 0) {
        buf_printf(&b, "; predicted %.1f (%.1f%s%.1f)", g->value, g->low, page_range(p), g->high);
        if (vk->gain > g->high)
            buf_puts(&b, ": it gains more than predicted");
        else if (vk->gain < g->low)
            buf_puts(&b, ": it gains less than predicted");
    }
    for (size_t i = 0; i < vk->n; i++)
        if (vk->row[i].level == vk->knob.now && vk->row[i].seconds > 1.1 * top->seconds) {
            buf_printf(&b, ". As given (%u) it takes %.2f s, so ", vk->knob.now,
                       vk->row[i].seconds);
            knob_setting(&vk->knob, top->level, &b);
            buf_printf(&b, " would make it %.1fx faster", vk->row[i].seconds / top->seconds);
        }
    if (buf_error(&b) == 0)
        page_words(p, "MEASURED", PAGE_BOLD, b.p);
    buf_free(&b);
}

static bool speaks_of_a_change(enum hob_advice advice)
{
    return advice == HOB_ADVICE_CONCURRENCY || advice == HOB_ADVICE_PARALLELISM ||
           advice == HOB_ADVICE_BOTH || advice == HOB_ADVICE_BATCHES || advice == HOB_ADVICE_LOCK;
}

static void put_word(struct page *p, const struct verify_knob *vk, const struct diagnosis *d)
{
    struct buf b = {0};

    if (d->ruling.is.unread) {
        page_words(p, "", PAGE_DIM, "there is no verdict that these times could try");
        return;
    }
    buf_printf(&b, "the verdict (%s, advice: %s) ", hob_bound_word(d->ruling.is.bound),
               hob_advice_word(d->ruling.is.advice));
    switch (vk->word) {
    case VERIFY_CONFIRMED:
        buf_puts(&b, "is confirmed");
        break;
    case VERIFY_CONTRADICTED:
        buf_puts(&b, "is CONTRADICTED by these times: trust them and not the verdict");
        break;
    case VERIFY_UNTRIED:
        buf_puts(&b, "is not tried by these times");
        if (speaks_of_a_change(d->ruling.is.advice))
            buf_puts(&b, ": it speaks of a change to the program itself");
        break;
    }
    if (buf_error(&b) == 0)
        page_words(p, "", vk->word == VERIFY_CONTRADICTED ? PAGE_BAD : PAGE_DIM, b.p);
    buf_free(&b);
}

static void put_knob(struct page *p, const struct verify_knob *vk, const struct diagnosis *d)
{
    put_table(p, vk, !d->prediction.refused);
    if (vk->has_law)
        put_law(p, vk);
    if (vk->judged) {
        put_gain(p, vk);
        put_word(p, vk, d);
    } else {
        page_words(p, "MEASURED", PAGE_BOLD,
                   "too little to compare: fewer than two levels have "
                   "a time that counts");
    }
    buf_putc(&p->out, '\n');
}

void verify_report(const struct verify *v, const struct diagnosis *d, const struct report_how *how,
                   FILE *to)
{
    struct page p;

    page_open(&p, how);
    page_styled(&p, PAGE_BOLD, "  run again");
    if (v->refused) {
        buf_printf(&p.out, ": no. %s\n", v->refused);
    } else {
        buf_printf(&p.out, " %u times in %.1f s, not recorded, output discarded; * as given%s\n",
                   v->n_runs, v->seconds, v->interrupted ? "; interrupted" : "");
        if (d->prediction.refused)
            page_words(&p, "", PAGE_DIM, "no prediction to compare with: see above");
        for (size_t i = 0; i < v->n_knobs; i++)
            if (v->knob[i].n > 1)
                put_knob(&p, &v->knob[i], d);
    }
    (void)page_close(&p, to);
}

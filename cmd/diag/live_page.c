/* SPDX-License-Identifier: MIT
 *
 * live_page.c - the picture of hob diagnose --live, and its form as lines
 *
 * HOW         The parts come in the order of what they tell: the two verdicts, how many operations
 *   were in flight and cores busy, where the time goes, which threads; and where there is still
 *   room, the timeline of the last seconds.  What does not fit is left out from the end.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diag/live_impl.h"
#include "diag/page.h"
#include "diag/picture.h"

enum {
    LABEL = 12,
    THREADS_LEAST = 3,
    THREADS_MOST = 8,
    LANES_LEAST = 9,
    NAME = 24,
    WIDTH_LEAST = 30
};

/* --- verdicts --------------------------------------------------------------------------------- */

static void put_head(struct page *p, const struct live_view *v)
{
    const struct recording *r = v->whole->rec;
    const char *tier = report_tier(r->tier);
    struct buf right = {0};
    uint32_t used;

    buf_printf(&right, "%.1f s   %s%s", (double)v->now * 1e-9, v->keys, *v->keys ? "   " : "");
    bool narrow = p->width <= 40 + right.len + strlen(tier);
    buf_add(&right, tier, narrow ? strcspn(tier, ":") : strlen(tier));
    buf_puts(&p->out, p->ascii ? " hob diagnose --live - " : " hob diagnose --live — ");
    uint32_t room = p->width > 40 + right.len ? p->width - 26 - (uint32_t)right.len : 12;
    used = page_name(p, v->command ? v->command : "?", room);
    page_pad(p, used, room + 2);
    buf_add(&p->out, right.p, right.len);
    p->out.failed |= right.failed;
    buf_putc(&p->out, '\n');
    buf_free(&right);
}

static void put_verdict(struct page *p, const struct diagnosis *d, const char *label)
{
    struct buf b = {0};

    report_reading(&b, &d->measures, &d->ruling, &d->ruling.is);
    if (d->ruling.close)
        buf_printf(&b, " (a close call: %.0f %% away from another)", d->ruling.margin * 100);
    if (buf_error(&b) == 0)
        page_words(p, label, PAGE_BOLD, b.p);
    buf_free(&b);
}

static void put_verdicts(struct page *p, const struct live_view *v)
{
    double wall = (double)v->last->rec->wall * 1e-9;
    struct buf b = {0};
    char label[LABEL];

    snprintf(label, sizeof label, wall < .95 ? "LAST %.1fs" : "LAST %.0f s", wall);
    put_verdict(p, v->last, label);
    put_verdict(p, v->whole, "SINCE 0 s");
    report_mismatch(&b, &v->last->measures, &v->last->ruling);
    if (b.len == 0)
        report_mismatch(&b, &v->whole->measures, &v->whole->ruling);
    if (b.len > 0 && buf_error(&b) == 0)
        page_words(p, "MISMATCH", PAGE_BAD, b.p);
    buf_free(&b);
}

/* --- curves ----------------------------------------------------------------------------------- */

/* One line: the name, the figure, a curve of as many columns as there are. */
static void put_curve(struct page *p, const char *name, const float *curve, double highest,
                      const char *figure)
{
    const uint32_t left = LABEL + 16;
    uint32_t n = p->width > left + 9 ? p->width - left - 1 : 8;

    buf_printf(&p->out, "  %-*s%-16s", LABEL - 2, name, figure);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t from = i * MEASURE_BUCKETS / n, to = (i + 1) * MEASURE_BUCKETS / n;
        float most = curve[from];

        for (uint32_t k = from + 1; k < to; k++)
            most = curve[k] > most ? curve[k] : most;
        draw_term_level(&p->out, highest > 0 ? (double)most / highest : 0, p->ascii);
    }
    buf_putc(&p->out, '\n');
}

static void put_curves(struct page *p, const struct diagnosis *d)
{
    const struct measures *m = &d->measures;
    char figure[32];

    snprintf(figure, sizeof figure, "%.2f of %u", m->all.wall > 0 ? m->all.cpu / m->all.wall : 0,
             d->rec->n_cores);
    put_curve(p, "cores", m->curve_cores, fmax(1, d->rec->n_cores), figure);
    snprintf(figure, sizeof figure, "%.1f, most %.0f", m->in_flight, m->in_flight_max);
    put_curve(p, "in flight", m->curve_flight, m->in_flight_max, figure);
}

/* --- threads ---------------------------------------------------------------------------------- */

struct row {
    uint32_t thread;
    double run, ready, wait[REC_N_KINDS], waits;
    enum rec_kind kind; /* of most of its waiting */
    uint32_t peer;      /* of the longest wait of that kind */
};

static void row_sum(const struct recording *r, struct row *row)
{
    const struct rec_thread *t = &r->threads[row->thread];
    int64_t longest = 0;

    for (size_t i = 0; i < t->n_ivals; i++) {
        const struct rec_ival *v = &t->ivals[i];
        double d = (double)(v->to - v->from), run = v->state == REC_RUN ? d : 0;
        double ready = v->state == REC_READY ? d : 0;

        if (v->flags & REC_IVAL_FOLDED) {
            run = d * v->run_ppm * 1e-6;
            ready = d * v->ready_ppm * 1e-6;
        }
        row->run += run;
        row->ready += ready;
        if (v->kind < REC_N_KINDS && v->kind != REC_NO_KIND)
            row->wait[v->kind] += d - run - ready;
    }
    for (int k = 1; k < REC_N_KINDS; k++) {
        row->waits += row->wait[k];
        if (row->wait[k] > row->wait[row->kind])
            row->kind = (enum rec_kind)k;
    }
    for (size_t i = 0; i < t->n_ivals; i++)
        if (t->ivals[i].kind == row->kind && t->ivals[i].to - t->ivals[i].from > longest) {
            longest = t->ivals[i].to - t->ivals[i].from;
            row->peer = t->ivals[i].peer;
        }
}

/* What waits for the outside tells more than what waits for the others. */
static double row_weight(const struct row *r)
{
    return r->run + r->ready + (rec_kind_class(r->kind) == HOB_CLASS_IO ? r->waits * 1e-3 : 0);
}

static int row_order(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    double wx = row_weight(x), wy = row_weight(y);

    return wx != wy ? (wx < wy) - (wx > wy) : (x->thread > y->thread) - (x->thread < y->thread);
}

static void put_thread(struct page *p, const struct recording *r, const struct row *row)
{
    const struct rec_thread *t = &r->threads[row->thread];
    double wall = r->wall > 0 ? (double)r->wall : 1;
    const struct rec_proc *proc = &r->procs[t->proc];

    buf_puts(&p->out, "   ");
    page_pad(p, page_name(p, picture_name(r, row->thread), NAME), NAME + 1);
    buf_printf(&p->out, "%8d %8d %5.0f %% %5.0f %%  ", proc->pid, t->tid, row->run / wall * 100,
               row->ready / wall * 100);
    if (row->kind != REC_NO_KIND) {
        uint32_t used = 3 + NAME + 1 + 8 + 1 + 8 + 16;

        buf_printf(&p->out, "%s %.0f %%  ", rec_kind_word(row->kind),
                   row->wait[row->kind] / wall * 100);
        if (row->peer && p->width > used + 20)
            page_name(p, r->peers[row->peer].name, p->width - used - 18);
    }
    buf_putc(&p->out, '\n');
}

/* At most so many lines, the first of them names the columns. */
static void put_threads(struct page *p, const struct recording *r, uint32_t lines)
{
    struct row *rows = calloc(r->n_threads + 1, sizeof *rows);
    size_t n = 0;

    for (uint32_t i = 0; rows && i < r->n_threads; i++)
        if (r->threads[i].n_ivals) {
            rows[n].thread = i;
            row_sum(r, &rows[n++]);
        }
    if (n > 0 && lines > 1) {
        qsort(rows, n, sizeof *rows, row_order);
        page_styled(p, PAGE_BOLD, "  threads");
        buf_printf(&p->out, "%*s%8s %8s %7s %7s  %s\n", NAME - 5, "", "process", "thread", "CPU",
                   "no core", "waits most for");
        for (size_t i = 0; i < n && i + 1 < lines; i++)
            put_thread(p, r, &rows[i]);
    }
    free(rows);
}

/* --- the page --------------------------------------------------------------------------------- */

static uint32_t lines_of(const struct buf *b)
{
    uint32_t n = 0;

    for (size_t i = 0; i < b->len; i++)
        n += b->p[i] == '\n';
    return n;
}

static void put_lanes(struct page *p, const struct recording *r, const struct draw_term_how *how,
                      uint32_t lines)
{
    struct draw_term_how h = *how;

    h.max_cores = lines / 3 < 8 ? lines / 3 : 8;
    h.max_lanes = lines - h.max_cores - 6; /* curves, axis, legend, what is not shown */
    h.no_legend = false;
    buf_putc(&p->out, '\n');
    p->out.failed |= draw_term(r, &h, &p->out) < 0;
}

/* Without its empty lines, where there are few. */
static void put_shares(struct page *p, const struct diagnosis *d)
{
    struct report_how how = {.width = p->width, .colours = p->colours, .ascii = p->ascii};
    struct page part;

    page_open(&part, &how);
    report_shares(&part, d);
    if (part.out.len > 1 && part.out.p[part.out.len - 2] == '\n')
        part.out.len--;
    if (buf_error(&part.out) == 0)
        buf_add(&p->out, part.out.p, part.out.len);
    p->out.failed |= part.out.failed;
    buf_free(&part.out);
}

void live_page(const struct live_view *v, const struct draw_term_how *how, uint32_t rows,
               struct buf *out)
{
    struct page p;

    page_open(&p, &(struct report_how){.width = how->width,
                                       .colours = how->colours != DRAW_NO_COLOURS,
                                       .ascii = how->ascii});
    p.width = how->width > WIDTH_LEAST ? how->width : WIDTH_LEAST; /* a report's least is more */
    put_head(&p, v);
    put_verdicts(&p, v);
    put_curves(&p, v->last);
    put_shares(&p, v->last);
    uint32_t used = lines_of(&p.out), left = rows > used ? rows - used : 0;
    if (left > THREADS_LEAST)
        put_threads(&p, v->last->rec, left > THREADS_MOST ? THREADS_MOST : left);
    used = lines_of(&p.out);
    if (rows > used + LANES_LEAST)
        put_lanes(&p, v->last->rec, how, rows - used - 1);
    if (buf_error(&p.out) == 0)
        buf_add(out, p.out.p, p.out.len);
    out->failed |= p.out.failed;
    buf_free(&p.out);
}

/* --- lines ------------------------------------------------------------------------------------ */

static double share_of(const struct measure_span *s, int class)
{
    double sum = 0;

    for (int k = 1; k < REC_N_KINDS; k++)
        if (rec_kind_class((enum rec_kind)k) == class && k != REC_UNKNOWN)
            sum += s->blame[k];
    return sum;
}

void live_line(const struct live_view *v, bool first, struct buf *out)
{
    const struct measures *m = &v->last->measures;
    const struct reading *is = &v->last->ruling.is;
    const char *mismatch = mismatch_word(is->mismatch), *advice = reading_advice_word(is);

    if (first)
        buf_printf(out, "%8s %5s %7s %6s %6s %6s %6s %6s %7s %7s %6s  %-7s %-13s %-13s %s\n",
                   "seconds", "last", "cores", "flight", "cpu%", "io%", "lock%", "sleep%",
                   "nocore%", "foreign", "lost", "bound", "advice", "mismatch", "since-0");
    buf_printf(out, "%8.1f %5.1f %7.2f %6.1f %6.0f %6.0f %6.0f %6.0f %7.0f %7.1f %6llu  ",
               (double)v->now * 1e-9, m->all.wall, m->all.wall > 0 ? m->all.cpu / m->all.wall : 0,
               m->in_flight, m->main.run * 100, m->main.io * 100,
               share_of(&m->main, HOB_CLASS_SYNC) * 100, m->main.blame[REC_SLEEP] * 100,
               m->main.no_core * 100, m->foreign, (unsigned long long)v->last->rec->n_lost);
    buf_printf(out, "%-7s %-13s %-13s %s\n", reading_bound_word(is), advice ? advice : "-",
               mismatch ? mismatch : "-", reading_bound_word(&v->whole->ruling.is));
}

/* SPDX-License-Identifier: MIT
 *
 * report_parts.c - the evidence: where the time went, what if, why
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diag/page.h"
#include "diag/picture.h"
#include "diag/report.h"
#include "diag/wakers.h"

enum { NAME_COLUMNS = 30, BAR_MOST = 22, BAR_LEAST = 8 };

static void put_share(struct page *p, const char *kind, const char *name, double share, double wall)
{
    const uint32_t left = 14 + NAME_COLUMNS + 1 + 18; /* where the bar begins */
    uint32_t used, room = p->width > left ? p->width - left : 0;

    buf_puts(&p->out, "   ");
    buf_printf(&p->out, "%-11s", kind);
    used = page_name(p, name, NAME_COLUMNS);
    page_pad(p, used, NAME_COLUMNS + 1);
    buf_printf(&p->out, "%8.2f s %4.0f %%", share * wall, share * 100);
    if (room >= BAR_LEAST && share > 0) {
        buf_putc(&p->out, ' ');
        page_bar(p, share, room < BAR_MOST ? room : BAR_MOST);
    }
    if (p->out.len && p->out.p[p->out.len - 1] == ' ')
        p->out.len--; /* the bar of next to nothing */
    buf_putc(&p->out, '\n');
}

static void put_cpu(struct page *p, const struct measure_span *s)
{
    char text[64] = "";
    size_t at = 0;

    for (int k = 1; k <= MEASURE_CORES && at + 20 < sizeof(text); k++)
        if (s->busy[k] >= .005)
            at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%d core%s %.2f s",
                                   at ? ", " : "", k, k == 1 ? "" : "s", s->busy[k] * s->wall);
    put_share(p, "on CPU", text, s->run, s->wall);
}

/* What a kind's peers do not account for, and kinds that have none. */
static void put_kinds(struct page *p, const struct measures *m)
{
    const double least = .005;

    for (size_t i = 0; i < m->n_peers; i++) {
        const struct measure_peer *peer = &m->peers[i];
        double share = m->all.wall > 0 ? peer->blamed / m->all.wall : 0;
        const char *name = m->rec->peers[peer->peer].name;

        if (share >= least && rec_kind_class(peer->kind) == HOB_CLASS_IO)
            put_share(p, rec_kind_word(peer->kind), name ? name : "", share, m->all.wall);
    }
    for (int k = 1; k < REC_N_KINDS; k++) {
        double share = m->all.blame[k];

        for (size_t i = 0; i < m->n_peers; i++)
            if (m->peers[i].kind == (enum rec_kind)k && rec_kind_class(k) == HOB_CLASS_IO)
                share -= m->all.wall > 0 ? m->peers[i].blamed / m->all.wall : 0;
        if (share >= least)
            put_share(p, rec_kind_word(k), rec_kind_class(k) == HOB_CLASS_IO ? "others" : "", share,
                      m->all.wall);
    }
}

void report_shares(struct page *p, const struct diagnosis *d)
{
    const struct measures *m = &d->measures;
    const struct recording *r = d->rec;

    page_styled(p, PAGE_BOLD, "  where the time went");
    buf_putc(&p->out, '\n');
    put_kinds(p, m);
    put_cpu(p, &m->all);
    if (m->all.no_core >= .005)
        put_share(p, "no core", "could run, and had none", m->all.no_core, m->all.wall);
    if (m->wait > 0)
        buf_printf(&p->out, "  in flight %.1f while any%s %.0f max     ", m->in_flight, page_dot(p),
                   m->in_flight_max);
    else
        buf_puts(&p->out, "  ");
    buf_printf(&p->out, "cores %.2f of %u     foreign load: ",
               m->all.wall > 0 ? m->all.cpu / m->all.wall : 0, r->n_cores);
    if (m->foreign < .05)
        buf_puts(&p->out, "none");
    else
        buf_printf(&p->out, "%.1f cores", m->foreign);
    if (r->n_waits > 0)
        buf_printf(&p->out, "\n  waits looked at: %.0f %%",
                   100.0 * (double)r->n_looked / (double)r->n_waits);
    buf_putc(&p->out, '\n');
    if (r->n_lost > 0)
        buf_printf(&p->out, "  %llu records were lost\n", (unsigned long long)r->n_lost);
    if (r->duty > 0 && r->duty < .999)
        buf_printf(&p->out, "  switches were recorded for %.0f %% of the time\n", r->duty * 100);
    buf_putc(&p->out, '\n');
}

/* "worker (12/15)": a thread, its process and its number if that is another. */
static uint32_t put_thread(struct page *p, const struct recording *r, uint32_t thread,
                           uint32_t columns)
{
    const struct rec_thread *t = &r->threads[thread];
    int32_t pid = r->procs[t->proc].pid;
    char number[32];

    if (pid == t->tid)
        snprintf(number, sizeof number, " (%d)", pid);
    else
        snprintf(number, sizeof number, " (%d/%d)", pid, t->tid);
    uint32_t used = page_name(p, picture_name(r, thread), columns - (uint32_t)strlen(number));
    buf_puts(&p->out, number);
    return used + (uint32_t)strlen(number);
}

static void put_waker(struct page *p, const struct recording *r, const struct waker_row *row)
{
    buf_printf(&p->out, "   %-11s", rec_kind_word(row->kind));
    page_pad(p, put_thread(p, r, row->waker, NAME_COLUMNS), NAME_COLUMNS + 1);
    buf_printf(&p->out, "%8.2f s  %llu of ", row->seconds, (unsigned long long)row->n);
    if (row->woken == UINT32_MAX)
        buf_puts(&p->out, "several threads");
    else
        put_thread(p, r, row->woken, NAME_COLUMNS);
    buf_putc(&p->out, '\n');
}

void report_wakers(struct page *p, const struct recording *r)
{
    struct waker_table table;

    if (r->tier != REC_T1_PLUS || wakers_take(r, &table) < 0 || table.n_waits == 0)
        return;
    if (table.n_rows > 0) {
        page_styled(p, PAGE_BOLD, "  who ended the waits for others");
        buf_putc(&p->out, '\n');
    }
    for (size_t i = 0; i < table.n_rows; i++)
        put_waker(p, r, &table.row[i]);
    buf_printf(&p->out, "  wakers known: %.0f %% of %llu waits for locks, pipes and children\n\n",
               100.0 * (double)table.n_known / (double)table.n_waits,
               (unsigned long long)table.n_waits);
}

static void put_gains(struct page *p, const char *what, const struct predict_gain *gains, size_t n,
                      bool cores)
{
    if (n == 0)
        return;
    buf_printf(&p->out, "   %-12s", what);
    for (size_t i = 0; i < n; i++)
        buf_printf(&p->out, "%8.0f", cores ? gains[i].cores : gains[i].in_flight);
    buf_puts(&p->out, "\n   seconds     ");
    for (size_t i = 0; i < n; i++)
        buf_printf(&p->out, "%8.2f", gains[i].seconds);
    buf_putc(&p->out, '\n');
}

void report_what_if(struct page *p, const struct diagnosis *d)
{
    const struct prediction *q = &d->prediction;

    if (q->refused)
        return;
    page_styled(p, PAGE_BOLD, "  what if");
    buf_putc(&p->out, '\n');
    put_gains(p, "in flight", q->more, q->n_more, false);
    put_gains(p, "cores", q->cores, q->n_cores, true);
    buf_putc(&p->out, '\n');
}

static void put_test(struct buf *b, const struct ruling *r, enum rule_test t, bool ascii)
{
    bool pass = r->value[t] >= r->limit[t];

    buf_printf(b, "%s %.3g %s %.3g", rule_text(t), r->value[t], pass ? (ascii ? ">=" : "≥") : "<",
               r->limit[t]);
}

static void put_nearest(struct buf *b, const struct ruling *r)
{
    if (r->nearest < N_RULE_TESTS)
        buf_printf(b, "nearest threshold: %s, %.0f %% away", rule_text(r->nearest),
                   r->margin * 100);
    else if (isfinite(r->margin))
        buf_printf(b, "the two largest shares are %.0f %% apart", r->margin * 100);
    else
        buf_puts(b, "no single threshold would change it");
}

static void put_explained(struct page *p, const struct diagnosis *d)
{
    const struct measures *m = &d->measures;
    const struct ruling *r = &d->ruling;

    buf_putc(&p->out, '\n');
    page_styled(p, PAGE_BOLD, "  the rule, step by step");
    buf_printf(
        &p->out,
        "\n   start-up, in neither share: %.2f s; then %.2f s, of these\n"
        "   on CPU %.0f %%, no core %.0f %%, I/O %.0f %%, sleep %.0f %%, lock %.0f %%, unread "
        "%.0f %%\n",
        m->startup, m->main.wall, m->main.run * 100, m->main.no_core * 100, m->main.io * 100,
        m->main.blame[REC_SLEEP] * 100, m->main.blame[REC_LOCK] * 100,
        m->main.blame[REC_UNKNOWN] * 100);
    for (size_t i = 0; i < r->n_asked; i++) {
        enum rule_test t = r->asked[i];

        buf_printf(&p->out, "   %zu. ", i + 1);
        put_test(&p->out, r, t, p->ascii);
        buf_printf(&p->out, ": %s\n", r->value[t] >= r->limit[t] ? "yes" : "no");
    }
    buf_printf(&p->out, "   so: bound %s, advice %s, mismatch %s\n", reading_bound_word(&r->is),
               r->is.unread ? "none" : reading_advice_word(&r->is),
               mismatch_word(r->is.mismatch) ? mismatch_word(r->is.mismatch) : "none");
    if (!d->prediction.refused)
        buf_printf(&p->out,
                   "   predicted from: CPU %.2f s; waiting %.2f s, all operations added up;\n"
                   "   one takes %.1f ms, about %.0f of them\n",
                   m->main.cpu, m->wait, m->one * 1e3, m->n_ops);
}

/* A line each, under one another. */
void report_notes(struct page *p, const char *notes)
{
    const char *label = "notes";

    for (const char *line = notes; line && *line; label = "") {
        size_t n = strcspn(line, "\n");
        char *one = strndup(line, n);

        if (one && n > 0)
            page_words(p, label, PAGE_BOLD, one);
        free(one);
        line += n + (line[n] == '\n');
    }
}

void report_why(struct page *p, const struct diagnosis *d, bool explain)
{
    struct buf b = {0};

    for (size_t i = 0; i < d->ruling.n_why && i < 3; i++) {
        put_test(&b, &d->ruling, d->ruling.why[i], p->ascii);
        buf_puts(&b, page_dot(p));
        buf_putc(&b, ' ');
    }
    put_nearest(&b, &d->ruling);
    if (buf_error(&b) == 0)
        page_words(p, "why", PAGE_BOLD, b.p);
    buf_free(&b);
    report_notes(p, d->rec->notes);
    if (explain)
        put_explained(p, d);
}

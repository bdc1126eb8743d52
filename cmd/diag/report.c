/* SPDX-License-Identifier: MIT
 *
 * report.c - the verdict for people
 *
 * HOW         From the answer to the evidence: what it is, what to do and what that gains; then
 *   where the time went; then what-if; last the figures that decided and how close the call was.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diag/page.h"
#include "diag/report.h"
#include "diag/report_own.h"
#include "lib/out.h"

int diagnose(const struct recording *rec, struct diagnosis *ret)
{
    struct diagnosis d = {.rec = rec};
    int err = measure_take(rec, &d.measures);

    if (err < 0)
        return err;
    rule_of(&d.measures, NULL, &d.ruling);
    predict(&d.measures, &d.ruling, &d.prediction);
    advice_of(&d.measures, &d.ruling, &d.prediction, &d.advice);
    *ret = d;
    return 0;
}

const char *report_tier(enum rec_tier tier)
{
    switch (tier) {
    case REC_T0:
        return "T0: exact, from the program's own trace";
    case REC_T1:
        return "T1: exact switches";
    case REC_T1_PLUS:
        return "T1+: exact switches and wake-ups";
    case REC_T2:
        break;
    }
    return "T2: samples of /proc";
}

static void put_seconds(struct buf *b, double s)
{
    buf_printf(b, s < 9.995 ? "%.2f s" : s < 99.95 ? "%.1f s" : "%.0f s", s);
}

static const char *io_word(enum rec_kind kind)
{
    switch (kind) {
    case REC_DISK:
    case REC_FAULT:
        return "the disk";
    case REC_FSYNC:
        return "writes to be safe on disk";
    case REC_DNS:
        return "name servers";
    case REC_DB:
        return "the database";
    case REC_IPC:
        return "another program";
    default:
        return "the network";
    }
}

/* The share that the reading hung on: a threshold's figure, or its part of the time as it is. */
static double share_of(const struct ruling *r, const struct reading *is, enum rule_test t,
                       double plain)
{
    return is->by_size ? plain : r->value[t];
}

/* Which of the tests for I/O it was. */
static enum rule_test test_of_io(const struct ruling *r)
{
    bool both =
        r->value[RULE_MIX_CPU] >= r->limit[RULE_MIX_CPU] && r->value[RULE_IO] < r->limit[RULE_IO];

    return both ? RULE_MIX_IO : RULE_IO;
}

static bool differs(double a, double b)
{
    return fabs(a - b) >= .02;
}

static void put_io(struct buf *b, const struct measures *m, const struct ruling *r,
                   const struct reading *is)
{
    enum rule_test t = test_of_io(r);
    double share = share_of(r, is, t, m->main.io);

    buf_printf(b, "I/O-bound (%.0f %% waiting for %s", share * 100, io_word(m->io_kind));
    if (!is->by_size && t == RULE_IO && differs(share, r->value[RULE_MIX_IO]))
        buf_puts(b, " and the kernel's work for it");
}

static void put_cpu(struct buf *b, const struct measures *m, const struct ruling *r,
                    const struct reading *is)
{
    const struct measure_span *s = &m->main;
    double share = share_of(r, is, RULE_CPU, s->run + s->no_core);

    if (differs(share, s->run + s->no_core)) { /* without the time that others took */
        buf_printf(b, "CPU-bound (%.0f %% computing", share * 100);
        return;
    }
    buf_printf(b, "CPU-bound (%.0f %% computing", s->run * 100);
    if (s->no_core >= .05)
        buf_printf(b, ", %.0f %% without a core", s->no_core * 100);
}

static void put_mixed(struct buf *b, const struct measures *m, const struct ruling *r)
{
    buf_printf(b, "both (%.0f %% computing", r->value[RULE_MIX_CPU] * 100);
    if (m->user < .95)
        buf_puts(b, " beside the kernel's part");
    buf_printf(b, ", %.0f %% waiting for %s", r->value[RULE_MIX_IO] * 100, io_word(m->io_kind));
}

static void put_unread(struct buf *b, const struct measures *m, const struct ruling *r,
                       const struct reading *is)
{
    double plain = m->main.blame[REC_UNKNOWN], share = share_of(r, is, RULE_UNREAD, plain);
    bool opaque = false;

    if (m->main.wall <= 0) {
        buf_puts(b, "unknown: nothing of it was recorded");
        return;
    }
    for (size_t i = 0; i < m->rec->n_procs; i++)
        opaque |= m->rec->procs[i].opaque;
    buf_printf(b, "unknown: what it waits for could not be read for %.0f %% of the time%s",
               share * 100, differs(share, plain) ? " that others left it" : "");
    if (opaque)
        buf_puts(b, ", as it belongs to another user or is setuid (root can, or CAP_SYS_PTRACE)");
}

/* Are the rule's shares not of all the time? */
static bool is_of_less(const struct measures *m, const struct ruling *r)
{
    const struct measure_span *s = &m->main;

    return differs(r->value[RULE_MIX_IO], s->io) ||
           differs(r->value[RULE_CPU], s->run + s->no_core) ||
           differs(r->value[RULE_SLEEP], s->blame[REC_SLEEP]);
}

static void put_bound(struct buf *b, const struct measures *m, const struct ruling *r,
                      const struct reading *is)
{
    const double *blame = m->main.blame;

    switch (is->bound) {
    case HOB_BOUND_IO:
        put_io(b, m, r, is);
        break;
    case HOB_BOUND_CPU:
        put_cpu(b, m, r, is);
        break;
    case HOB_BOUND_MIXED:
        put_mixed(b, m, r);
        break;
    case HOB_BOUND_SLEEP:
        buf_printf(b, "sleeps (%.0f %% waiting for the clock",
                   share_of(r, is, RULE_SLEEP, blame[REC_SLEEP]) * 100);
        break;
    case HOB_BOUND_LOCK:
        buf_printf(b, "waits for its own threads (%.0f %%)", blame[REC_LOCK] * 100);
        return;
    case HOB_BOUND_IDLE:
        buf_puts(b, "idle: nothing of it ran for most of the time");
        return;
    }
    if (!is->by_size && is_of_less(m, r))
        buf_puts(b, ", of the time that others left it");
    buf_puts(b, ")");
}

static void put_advice_word(struct buf *b, enum hob_advice advice)
{
    static const char *const words[] = {
        [HOB_ADVICE_NONE] = "neither concurrency nor cores would help",
        [HOB_ADVICE_CONCURRENCY] = "more at once helps, more cores do not",
        [HOB_ADVICE_PARALLELISM] = "more cores help, more at once does not",
        [HOB_ADVICE_BOTH] = "more at once helps the waiting, more cores the computing",
        [HOB_ADVICE_CONCURRENT] = "concurrency is in use already",
        [HOB_ADVICE_PARALLEL] = "every core is in use already",
        [HOB_ADVICE_FEWER_THREADS] = "fewer threads",
        [HOB_ADVICE_ELSEWHERE] = "look at what it waits for",
        [HOB_ADVICE_BATCHES] = "larger batches help",
        [HOB_ADVICE_LOCK] = "the lock is what holds it",
    };

    buf_puts(b, words[advice]);
}

/* Before a verdict that may be wrong. */
static void put_doubt(struct buf *b, const struct measures *m, const struct ruling *r)
{
    const char *doubt = predict_doubt(m);

    if (doubt && !r->is.unread)
        buf_printf(b, "%s to be sure; as far as it was seen: ", doubt);
}

static void put_reading(struct buf *b, const struct measures *m, const struct ruling *r,
                        const struct reading *is, const char *between)
{
    if (is->unread) {
        put_unread(b, m, r, is);
        return;
    }
    put_bound(b, m, r, is);
    buf_puts(b, between);
    put_advice_word(b, is->advice);
}

void report_reading(struct buf *b, const struct measures *m, const struct ruling *r,
                    const struct reading *is)
{
    put_reading(b, m, r, is, ": ");
}

static const char *plural(uint32_t n, const char *one, const char *many)
{
    return n == 1 ? one : many;
}

static void put_model(struct buf *b, const struct measures *m, const struct ruling *r)
{
    bool waits = r->is.bound == HOB_BOUND_IO || r->is.bound == HOB_BOUND_MIXED;

    if (report_own_model(b, m))
        return;
    if (waits && m->io_procs > 1 && m->in_flight < .5 * m->io_procs) /* one after the other */
        buf_printf(b, "%u processes, %.1f in flight at a time", m->io_procs, m->in_flight);
    else if (waits && m->io_procs > 1)
        buf_printf(b, "%u processes, %.1f in flight in each", m->io_procs,
                   m->in_flight / m->io_procs);
    else if (waits && m->has_loop && m->io_threads <= 1)
        buf_printf(b, "event loop, %.1f in flight", m->in_flight);
    else if (waits && m->io_threads > 1)
        buf_printf(b, "%u threads, %.1f in flight", m->io_threads, m->in_flight);
    else if (waits)
        buf_puts(b, "one thread, one call after the other");
    else
        buf_printf(b, "%u %s, %u %s, %.2f of %u %s busy", m->n_procs,
                   plural(m->n_procs, "process", "processes"), m->n_threads,
                   plural(m->n_threads, "thread", "threads"),
                   m->main.wall > 0 ? m->main.cpu / m->main.wall : 0, m->rec->n_cores,
                   plural(m->rec->n_cores, "core", "cores"));
}

void report_mismatch(struct buf *b, const struct measures *m, const struct ruling *r)
{
    if (report_own_mismatch(b, m, r))
        return;
    switch (r->is.mismatch) {
    case MISMATCH_POOL_IO:
        buf_printf(b,
                   "a process pool is doing I/O: %u processes hold %.1f operations in flight and "
                   "use %.2f cores",
                   m->io_procs, m->in_flight, m->main.wall > 0 ? m->main.cpu / m->main.wall : 0);
        return;
    case MISMATCH_LOOP_BLOCKED:
        if (rule_loop_stands(m, r)) {
            buf_printf(b,
                       "the event loop is blocked: for %.2f s it stood in a call that sleeps or "
                       "waits, with operations in flight",
                       m->loop_slept);
            return;
        }
        buf_printf(b,
                   "the event loop is blocked: it computed for %.2f s while events waited, %.0f ms "
                   "at a stretch",
                   m->loop_blocked, m->loop_stretch * 1e3);
        return;
    case MISMATCH_GIL:
    case MISMATCH_LOCK:
        if (r->is.bound == HOB_BOUND_IO) {
            buf_printf(b,
                       "%u threads wait for their answers in turn under a lock: two at once for "
                       "%.0f %% of the time",
                       m->holders.n, m->holders.overlap * 100);
            return;
        }
        buf_printf(b,
                   "%u %s take turns under %s: two of them run at once for %.0f %% of the "
                   "time",
                   m->rivals.n, m->rivals.processes ? "processes" : "threads",
                   r->is.mismatch == MISMATCH_GIL ? "the interpreter's lock (GIL)" : "a lock",
                   m->rivals.overlap * 100);
        return;
    case MISMATCH_OVERSUB:
        buf_printf(b, "%.0f threads want %u %s", m->press, m->rec->n_cores,
                   plural(m->rec->n_cores, "core", "cores"));
        return;
    default:
        break;
    }
    if (r->is.pattern == PATTERN_SEQUENTIAL_AWAITS)
        buf_puts(b, "an event loop with one operation in flight: each is awaited before the next");
    else if (r->is.pattern == PATTERN_COMMIT_PER_ROW)
        buf_printf(b, "a commit a row: %.0f %% of the I/O is waiting until it is safe on disk",
                   m->fsync * 100);
}

static void put_gain(struct page *p, struct buf *b, const struct diagnosis *d)
{
    const struct predict_gain *g = &d->prediction.advice;
    double now = d->measures.all.wall;

    if (g->value <= 1.02) {
        buf_puts(b, "no gain to be expected");
        return;
    }
    buf_printf(b, "%s %.1fx faster (", p->ascii ? "->" : "→", g->value);
    put_seconds(b, now);
    buf_printf(b, " %s ", p->ascii ? "->" : "→");
    put_seconds(b, g->seconds);
    buf_printf(b, "), range %.1f%s%.1f", g->low, page_range(p), g->high);
    if (g->in_flight > 1 && g->in_flight >= 2 * d->measures.in_flight &&
        d->prediction.knee > g->in_flight && d->prediction.knee < 1e4)
        buf_printf(b, "%s knee at %.0f in flight, no gain beyond", page_dot(p), d->prediction.knee);
}

/* What sleeps or has nothing to do would not be faster on a quiet machine. */
static bool nothing_to_gain(const struct diagnosis *d)
{
    enum hob_bound bound = d->ruling.is.bound;

    return (bound == HOB_BOUND_SLEEP || bound == HOB_BOUND_IDLE) && !d->ruling.is.unread &&
           d->ruling.is.advice == HOB_ADVICE_NONE && !predict_doubt(&d->measures);
}

/* The server's own capacity caps the gain. */
static void put_limit(struct buf *b, const struct diagnosis *d)
{
    const struct prediction *q = &d->prediction;

    if (q->refused || q->limit == 0 || d->ruling.is.advice != HOB_ADVICE_CONCURRENCY)
        return;
    buf_printf(b, "the other end, %s on this machine, computed ", d->rec->peers[q->limit].name);
    put_seconds(b, q->limit_seconds);
    buf_puts(b, " for it: faster than that only if it uses several cores");
}

static void put_head(struct page *p, const struct diagnosis *d)
{
    const struct recording *r = d->rec;
    const char *command = r->command ? r->command
                          : r->n_procs > d->measures.worst && r->procs[d->measures.worst].command
                              ? r->procs[d->measures.worst].command
                              : "?";
    struct buf right = {0};
    const uint32_t beside = 18; /* our own name, and what stands between */
    uint32_t used, room;

    put_seconds(&right, d->measures.all.wall);
    if (r->exit_status >= 0 && (r->exit_status & 0x7f) == 0)
        buf_printf(&right, "   exit %d", r->exit_status >> 8 & 0xff);
    else if (r->exit_status >= 0)
        buf_printf(&right, "   signal %d", r->exit_status & 0x7f);
    buf_printf(&right, "   tier: %s", report_tier(r->tier));
    buf_puts(&p->out, " hob diagnose ");
    buf_puts(&p->out, p->ascii ? "- " : "— ");
    room = p->width > beside + right.len ? p->width - beside - (uint32_t)right.len : 0;
    if (strlen(command) <= room) {
        used = page_name(p, command, room);
        page_pad(p, used, room + 2);
    } else { /* a line of its own, and the figures below */
        page_middle(p, command, p->width - beside);
        buf_putc(&p->out, '\n');
        page_pad(p, 0, beside - 2);
    }
    buf_add(&p->out, right.p, right.len);
    buf_puts(&p->out, "\n\n");
    buf_free(&right);
}

static void put_line(struct page *p, const char *label, enum page_style style, struct buf *b)
{
    if (b->len > 0)
        page_words(p, label, style, b->p);
    buf_reset(b);
}

static void put_verdict(struct page *p, const struct diagnosis *d)
{
    const struct measures *m = &d->measures;
    const struct ruling *r = &d->ruling;
    struct buf b = {0};

    put_doubt(&b, m, r);
    report_reading(&b, m, r, &r->is);
    put_line(p, "VERDICT", PAGE_BOLD, &b);
    if (r->close) {
        report_reading(&b, m, r, &r->also);
        if (mismatch_word(r->also.mismatch) && r->also.mismatch != r->is.mismatch)
            buf_printf(&b, "; mismatch: %s", mismatch_word(r->also.mismatch));
        buf_printf(&b, " (a close call: %.0f %% away)", r->margin * 100);
        put_line(p, "OR", PAGE_BOLD, &b);
    }
    put_model(&b, m, r);
    put_line(p, "MODEL", PAGE_BOLD, &b);
    report_mismatch(&b, m, r);
    put_line(p, "MISMATCH", PAGE_BAD, &b);
    buf_puts(&b, d->advice.what);
    put_line(p, "DO THIS", PAGE_GOOD, &b);
    if (*d->advice.option)
        buf_printf(&b, "its own option: %s", d->advice.option);
    put_line(p, "", PAGE_BOLD, &b);
    buf_puts(&b, d->advice.code);
    put_line(p, "", PAGE_BOLD, &b);
    if (d->prediction.refused && !nothing_to_gain(d))
        buf_printf(&b, "no prediction: %s", d->prediction.refused);
    else
        put_gain(p, &b, d);
    put_line(p, "", PAGE_BOLD, &b);
    put_limit(&b, d);
    put_line(p, "", PAGE_BOLD, &b);
    buf_putc(&p->out, '\n');
    buf_free(&b);
}

void report_line(const struct diagnosis *d, const struct report_how *how, FILE *to)
{
    struct page p;
    struct buf b = {0};

    page_open(&p, how);
    put_doubt(&p.out, &d->measures, &d->ruling);
    put_reading(&p.out, &d->measures, &d->ruling, &d->ruling.is, "; ");
    if (mismatch_word(d->ruling.is.mismatch))
        buf_printf(&p.out, "; mismatch: %s", mismatch_word(d->ruling.is.mismatch));
    if (!d->prediction.refused && d->prediction.advice.value > 1.02) {
        buf_puts(&p.out, "; ");
        put_gain(&p, &b, d);
        if (buf_error(&b) == 0)
            buf_add(&p.out, b.p, b.len);
    }
    buf_putc(&p.out, '\n');
    (void)page_close(&p, to);
    buf_free(&b);
}

void report(const struct diagnosis *d, const struct report_how *how, FILE *to)
{
    struct page p;

    page_open(&p, how);
    put_head(&p, d);
    put_verdict(&p, d);
    report_shares(&p, d);
    report_wakers(&p, d->rec);
    (void)page_close(&p, to);
    if (how->lanes) {
        how->lanes(to, how->arg);
        fputc('\n', to);
    }
    page_open(&p, how);
    report_what_if(&p, d);
    report_why(&p, d, how->explain);
    (void)page_close(&p, to);
}

/* SPDX-License-Identifier: MIT
 *
 * json.c - a diagnosis for programs
 */
#include <math.h>
#include <string.h>

#include "diag/json.h"
#include "diag/picture.h"
#include "diag/report_own.h"
#include "diag/verify.h"
#include "diag/wakers.h"
#include "lib/out.h"

static const char *tier_word(enum rec_tier tier)
{
    static const char *const words[] = {
        [REC_T2] = "T2", [REC_T1] = "T1", [REC_T1_PLUS] = "T1+", [REC_T0] = "T0"};

    return words[tier];
}

static void put_reading(struct buf *b, const struct reading *r)
{
    out_text(b, "bound", reading_bound_word(r));
    out_text(b, "advice", reading_advice_word(r));
    out_text(b, "mismatch", mismatch_word(r->mismatch));
}

static void put_test(struct buf *b, const struct ruling *r, enum rule_test t)
{
    out_text(b, "what", rule_text(t));
    out_number(b, "value", r->value[t], 4);
    out_number(b, "threshold", r->limit[t], 4);
    out_bool(b, "passed", r->value[t] >= r->limit[t]);
}

static void put_verdict(struct buf *b, const struct diagnosis *d)
{
    const struct ruling *r = &d->ruling;

    out_object(b, "verdict");
    put_reading(b, &r->is);
    out_text(b, "pattern", pattern_word(r->is.pattern));
    out_text(b, "language", lang_word(d->measures.language));
    out_number(b, "margin", r->margin, 3);
    if (r->close) {
        out_object(b, "also");
        put_reading(b, &r->also);
        out_object_end(b);
    } else {
        out_null(b, "also");
    }
    out_text(b, "do", *d->advice.what ? d->advice.what : NULL);
    out_text(b, "code", *d->advice.code ? d->advice.code : NULL);
    out_text(b, "option", *d->advice.option ? d->advice.option : NULL);
    out_array(b, "tests");
    for (size_t i = 0; i < r->n_asked; i++) {
        out_item(b);
        out_row(b);
        put_test(b, r, r->asked[i]);
        out_object_end(b);
    }
    out_array_end(b);
    out_object_end(b);
}

static void put_gain(struct buf *b, const struct predict_gain *g)
{
    out_number(b, "low", g->low, 3);
    out_number(b, "value", g->value, 3);
    out_number(b, "high", g->high, 3);
    out_number(b, "seconds", g->seconds, 3);
    out_number(b, "in_flight", g->in_flight, 1);
    out_int(b, "cores", g->cores);
}

static void put_item(struct buf *b, const struct predict_gain *g)
{
    out_item(b);
    out_row(b);
    put_gain(b, g);
    out_object_end(b);
}

/* "at": what so many operations at once would give, on so many cores (0: those it can use). */
static void put_at_once(struct buf *b, const struct diagnosis *d, uint32_t n_cores)
{
    static const uint16_t at_once[] = {1,  2,  3,  4,  5,  6,  8,   10,  12,  16,  20,
                                       24, 32, 40, 50, 64, 80, 100, 128, 200, 256, 512};

    out_array(b, "at");
    for (size_t i = 0; i < sizeof(at_once) / sizeof(at_once[0]); i++) {
        struct predict_gain g = predict_at(&d->measures, &d->ruling, at_once[i], n_cores);
        put_item(b, &g);
    }
    out_array_end(b);
}

static void put_by_cores(struct buf *b, const struct diagnosis *d, uint32_t n_cores)
{
    out_array(b, "at");
    for (uint32_t p = 1; p <= n_cores && p <= MEASURE_CORES; p++) {
        struct predict_gain g = predict_at(&d->measures, &d->ruling, 0, p);
        put_item(b, &g);
    }
    out_array_end(b);
}

/* "limit": the local process at the other end that would soon compute all the time. */
static void put_limit(struct buf *b, const struct diagnosis *d)
{
    const struct prediction *p = &d->prediction;

    if (p->limit == 0) {
        out_null(b, "limit");
        return;
    }
    out_object(b, "limit");
    out_text(b, "peer", d->rec->peers[p->limit].name);
    out_number(b, "seconds", p->limit_seconds, 3);
    out_object_end(b);
}

static void put_prediction(struct buf *b, const struct diagnosis *d)
{
    const struct prediction *p = &d->prediction;
    uint32_t n_cores = d->rec->n_cores ? d->rec->n_cores : 1;

    out_object(b, "prediction");
    out_text(b, "refused", p->refused);
    if (!p->refused) {
        put_gain(b, &p->advice);
        out_number(b, "knee", p->knee > 0 ? p->knee : INFINITY, 1);
        put_limit(b, d);
        out_object(b, "concurrency");
        put_gain(b, &p->concurrency);
        put_at_once(b, d, 0);
        out_object_end(b);
        out_object(b, "parallelism");
        put_gain(b, &p->parallelism);
        put_by_cores(b, d, n_cores);
        out_object_end(b);
        out_object(b, "both");
        put_at_once(b, d, n_cores);
        out_object_end(b);
    }
    out_object_end(b);
}

static void put_shares(struct buf *b, const struct measure_span *s)
{
    out_object(b, "shares");
    out_number(b, "run", s->run, 4);
    out_number(b, "no_core", s->no_core, 4);
    out_number(b, "io", s->io, 4);
    for (int k = 1; k < REC_N_KINDS; k++)
        if (s->blame[k] > 0)
            out_number(b, rec_kind_word((enum rec_kind)k), s->blame[k], 4);
    out_object_end(b);
}

static void put_peers(struct buf *b, const struct measures *m)
{
    out_array(b, "peers");
    for (size_t i = 0; i < m->n_peers; i++) {
        const struct rec_peer *peer = &m->rec->peers[m->peers[i].peer];

        out_item(b);
        out_row(b);
        out_text(b, "kind", rec_kind_word(m->peers[i].kind));
        out_text(b, "name", peer->name);
        out_number(b, "seconds", m->peers[i].blamed, 4);
        out_object_end(b);
    }
    out_array_end(b);
}

static void put_thread(struct buf *b, const char *key, const struct recording *r, uint32_t thread)
{
    if (thread >= r->n_threads) {
        out_null(b, key);
        return;
    }
    out_object(b, key);
    out_text(b, "name", picture_name(r, thread));
    out_text(b, "program", r->procs[r->threads[thread].proc].exe);
    out_int(b, "process", r->procs[r->threads[thread].proc].pid);
    out_int(b, "thread", r->threads[thread].tid);
    out_object_end(b);
}

/* Who ended waits for locks, pipes and children; null where wakes were not recorded. */
static void put_wakers(struct buf *b, const struct recording *r)
{
    struct waker_table table;

    if (r->tier != REC_T1_PLUS || wakers_take(r, &table) < 0) {
        out_null(b, "wakers");
        return;
    }
    out_object(b, "wakers");
    out_int(b, "waits", (int64_t)table.n_waits);
    out_int(b, "known", (int64_t)table.n_known);
    out_array(b, "by");
    for (size_t i = 0; i < table.n_rows; i++) {
        out_item(b);
        out_row(b);
        out_text(b, "kind", rec_kind_word(table.row[i].kind));
        put_thread(b, "waker", r, table.row[i].waker);
        put_thread(b, "woken", r, table.row[i].woken);
        out_int(b, "waits", (int64_t)table.row[i].n);
        out_number(b, "seconds", table.row[i].seconds, 4);
        out_object_end(b);
    }
    out_array_end(b);
    out_object_end(b);
}

static void put_curve(struct buf *b, const char *key, const float *curve)
{
    out_array(b, key);
    for (int i = 0; i < MEASURE_BUCKETS; i++) {
        out_item(b);
        buf_printf(b, "%.3g", fabs((double)curve[i]) < 1e-6 ? 0 : (double)curve[i]);
    }
    out_array_end(b);
}

static void put_measures(struct buf *b, const struct measures *m)
{
    const struct recording *r = m->rec;

    out_number(b, "wall", m->all.wall, 4);
    out_number(b, "startup", m->startup, 4);
    out_number(b, "cpu", m->all.cpu, 4);
    out_number(b, "in_flight", m->in_flight, 2);
    out_number(b, "in_flight_max", m->in_flight_max, 2);
    out_number(b, "waited", m->wait, 4);
    out_number(b, "cores", m->all.wall > 0 ? m->all.cpu / m->all.wall : 0, 3);
    out_int(b, "cores_usable", r->n_cores);
    out_number(b, "without_core", m->all.ready, 4);
    out_number(b, "foreign_load", m->foreign, 3);
    out_int(b, "processes", m->n_procs);
    out_int(b, "threads", m->n_threads);
    put_shares(b, &m->main);
    put_peers(b, m);
    out_object(b, "curves");
    put_curve(b, "cores", m->curve_cores);
    put_curve(b, "in_flight", m->curve_flight);
    out_object_end(b);
}

static void put_recording(struct buf *b, const struct recording *r)
{
    out_object(b, "recording");
    out_text(b, "tier", tier_word(r->tier));
    out_int(b, "switches", (int64_t)r->n_switches);
    out_int(b, "lost", (int64_t)r->n_lost);
    out_int(b, "waits", (int64_t)r->n_waits);
    out_int(b, "looked", (int64_t)r->n_looked);
    out_number(b, "recorder_cpu", (double)r->recorder_cpu * 1e-9, 4);
    out_number(b, "duty", r->duty, 3);
    out_text(b, "notes", r->notes);
    out_object_end(b);
}

int json_write(const struct diagnosis *d, FILE *to)
{
    struct buf b = {0};
    int err;

    out_row(&b);
    out_int(&b, "hob_diagnose", JSON_SCHEMA);
    out_text(&b, "command", d->rec->command);
    out_int(&b, "exit_status", d->rec->exit_status);
    put_verdict(&b, d);
    put_prediction(&b, d);
    put_measures(&b, &d->measures);
    report_own_json(&b, &d->rec->own);
    put_wakers(&b, d->rec);
    put_recording(&b, d->rec);
    if (d->verified)
        verify_json(d->verified, !d->prediction.refused, &b);
    out_row_end(&b);
    err = buf_error(&b);
    if (err == 0)
        fwrite(b.p, 1, b.len, to);
    buf_free(&b);
    return err;
}

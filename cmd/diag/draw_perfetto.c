/* SPDX-License-Identifier: MIT
 *
 * draw_perfetto.c - a recording as Perfetto's protobuf
 *
 * HOW         A trace is a row of packets, each its tag, its length and its fields; a field is a
 *             number or octets with a length.  That is all of protobuf there is here.  The numbers
 *             are those of trace_packet.proto, track_event.proto and the descriptors, which
 *             Perfetto keeps for good.
 *
 *   Names of events are told once ("interned") and called by number afterwards.  A track's events
 *   lie in the order of time, an end before the beginning that follows it at the same moment; the
 *   reader sorts tracks against each other.
 *
 * SEE  tests/cli/test_timeline.py, which reads it back
 */
#include "diag/draw_trace.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diag/draw.h"
#include "diag/draw_counters.h"
#include "diag/wakers.h"

enum { WIRE_NUMBER = 0, WIRE_OCTETS = 2, WIRE_FIXED64 = 1 };

/* Field numbers. */
enum { TRACE_PACKET = 1 };
enum {
    PACKET_TIME = 8,
    PACKET_SEQUENCE = 10,
    PACKET_EVENT = 11,
    PACKET_INTERNED = 12,
    PACKET_FLAGS = 13,
    PACKET_TRACK = 60
};
enum { FLAG_CLEARED = 1, FLAG_NEEDS_STATE = 2 };
enum { INTERNED_CATEGORY = 1, INTERNED_NAME = 2, INTERNED_ID = 1, INTERNED_TEXT = 2 };
enum {
    TRACK_ID = 1,
    TRACK_NAME = 2,
    TRACK_PROCESS = 3,
    TRACK_THREAD = 4,
    TRACK_PARENT = 5,
    TRACK_COUNTER = 8
};
enum { PROCESS_PID = 1, PROCESS_NAME = 6, THREAD_PID = 1, THREAD_TID = 2, THREAD_NAME = 5 };
enum { COUNTER_UNIT = 3, UNIT_COUNT = 2 };
enum {
    EVENT_CATEGORY_ID = 3,
    EVENT_NOTE = 4,
    EVENT_TYPE = 9,
    EVENT_NAME_ID = 10,
    EVENT_TRACK = 11,
    EVENT_DOUBLE = 44,
    EVENT_FLOW = 47,     /* an arrow begins here, */
    EVENT_FLOW_ENDS = 48 /* and ends here */
};
enum { TYPE_BEGIN = 1, TYPE_END = 2, TYPE_COUNTER = 4 };
enum { NOTE_NUMBER = 3, NOTE_NAME = 10 };

/* Tracks: one number each, small since every event has it: cores, counters, then processes and
 * threads. */
enum { ID_CORES = 1, ID_COUNTER = 2, ID_CORE = 64 };
enum { SEQUENCE = 1 };

struct writer {
    const struct recording *rec;
    FILE *out;
    uint64_t rest;  /* the first number behind the cores' */
    uint32_t *name; /* by what an interval is: the number of its name; 0: not told yet */
    uint32_t n_names;
    struct buf packet, inner, deeper;
    struct wakes {
        uint32_t *order; /* indexes of wakes, by thread and then by time */
        size_t next;
    } by, of;
    bool failed;
};

/* --- protobuf --------------------------------------------------------------------------------- */

static void number(struct buf *b, uint64_t v)
{
    while (v >= 0x80) {
        buf_putc(b, (char)(v | 0x80));
        v >>= 7;
    }
    buf_putc(b, (char)v);
}

static void field_number(struct buf *b, uint32_t field, uint64_t v)
{
    number(b, field << 3 | WIRE_NUMBER);
    number(b, v);
}

static void field_octets(struct buf *b, uint32_t field, const char *p, size_t n)
{
    number(b, field << 3 | WIRE_OCTETS);
    number(b, n);
    buf_add(b, p ? p : "", n);
}

static void field_fixed(struct buf *b, uint32_t field, uint64_t v)
{
    unsigned char octets[8];

    memcpy(octets, &v, sizeof octets); /* little endian, as x86 and the format are */
    number(b, field << 3 | WIRE_FIXED64);
    buf_add(b, octets, sizeof octets);
}

static void field_double(struct buf *b, uint32_t field, double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof bits);
    field_fixed(b, field, bits);
}

/* A string: valid UTF-8, whatever a program calls itself. */
static void field_text(struct buf *b, uint32_t field, const char *text)
{
    struct buf clean = {0};
    const char *from = text;
    uint32_t c;

    for (; (c = draw_char(&text)) != 0; from = text) {
        if (draw_char_ok(c))
            buf_add(&clean, from, (size_t)(text - from));
        else
            buf_puts(&clean, "\xef\xbf\xbd");
    }
    field_octets(b, field, clean.p, clean.len);
    b->failed |= clean.failed;
    buf_free(&clean);
}

static void field_message(struct buf *b, uint32_t field, struct buf *m)
{
    field_octets(b, field, m->p, m->len);
    b->failed |= m->failed;
    buf_reset(m);
}

static void packet_end(struct writer *w)
{
    struct buf head = {0};

    field_number(&w->packet, PACKET_SEQUENCE, SEQUENCE);
    number(&head, TRACE_PACKET << 3 | WIRE_OCTETS);
    number(&head, w->packet.len);
    if (w->packet.failed || head.failed)
        w->failed = true;
    else if (fwrite(head.p, 1, head.len, w->out) == head.len)
        fwrite(w->packet.p, 1, w->packet.len, w->out);
    buf_free(&head);
    buf_reset(&w->packet);
}

static uint64_t process_id(const struct writer *w, uint32_t i)
{
    return w->rest + i;
}

static uint64_t thread_id(const struct writer *w, uint32_t i)
{
    return w->rest + w->rec->n_procs + i;
}

/* --- tracks ----------------------------------------------------------------------------------- */

static void track(struct writer *w, uint64_t id, uint64_t parent, const char *name)
{
    field_number(&w->inner, TRACK_ID, id);
    if (parent)
        field_number(&w->inner, TRACK_PARENT, parent);
    if (name)
        field_text(&w->inner, TRACK_NAME, name);
    field_message(&w->packet, PACKET_TRACK, &w->inner);
    packet_end(w);
}

static void track_process(struct writer *w, uint32_t i)
{
    const struct rec_proc *p = &w->rec->procs[i];
    const char *name = p->command && *p->command ? p->command : p->exe ? p->exe : "";

    field_number(&w->deeper, PROCESS_PID, (uint32_t)p->pid);
    field_text(&w->deeper, PROCESS_NAME, name);
    field_message(&w->inner, TRACK_PROCESS, &w->deeper);
    track(w, process_id(w, i), 0, NULL);
}

static void track_thread(struct writer *w, uint32_t i)
{
    const struct rec_thread *th = &w->rec->threads[i];

    if (th->is_task || th->tid <= 0) {
        track(w, thread_id(w, i), process_id(w, th->proc), th->name[0] ? th->name : "task");
        return;
    }
    field_number(&w->deeper, THREAD_PID, (uint32_t)w->rec->procs[th->proc].pid);
    field_number(&w->deeper, THREAD_TID, (uint32_t)th->tid);
    field_text(&w->deeper, THREAD_NAME, th->name);
    field_message(&w->inner, TRACK_THREAD, &w->deeper);
    track(w, thread_id(w, i), process_id(w, th->proc), NULL);
}

/* --- events ----------------------------------------------------------------------------------- */

/* The number of a name; a name that is new is told in the packet being written. */
static uint32_t name_id(struct writer *w, size_t key, const char *text)
{
    if (!w->name[key]) {
        struct buf entry = {0}, all = {0};

        w->name[key] = ++w->n_names;
        field_number(&entry, INTERNED_ID, w->name[key]);
        field_text(&entry, INTERNED_TEXT, text);
        field_message(&all, INTERNED_NAME, &entry);
        field_message(&w->packet, PACKET_INTERNED, &all);
        buf_free(&entry);
        buf_free(&all);
    }
    return w->name[key];
}

static void event(struct writer *w, int64_t at)
{
    field_number(&w->packet, PACKET_TIME, (uint64_t)at);
    field_message(&w->packet, PACKET_EVENT, &w->inner);
    field_number(&w->packet, PACKET_FLAGS, FLAG_NEEDS_STATE);
    packet_end(w);
}

static void event_end(struct writer *w, uint64_t id, int64_t at)
{
    field_number(&w->inner, EVENT_TYPE, TYPE_END);
    field_number(&w->inner, EVENT_TRACK, id);
    event(w, at);
}

static void annotate(struct writer *w, const char *name, uint64_t v)
{
    field_text(&w->deeper, NOTE_NAME, name);
    field_number(&w->deeper, NOTE_NUMBER, v);
    field_message(&w->inner, EVENT_NOTE, &w->deeper);
}

/* Categories are told at the beginning: running, ready, then the kinds. */
static uint32_t category_of(const struct rec_ival *iv)
{
    return iv->state == REC_WAIT ? 3u + iv->kind : 1u + iv->state;
}

/* An arrow from what a thread did when it woke another one to what that one did next. */
static void flows(struct writer *w, uint32_t thread, const struct rec_ival *iv)
{
    const struct recording *r = w->rec;

    for (; w->by.next < r->n_wakes; w->by.next++) {
        const struct rec_wake *k = &r->wakes[w->by.order[w->by.next]];

        if (k->waker > thread || (k->waker == thread && k->at > iv->to))
            break;
        if (k->waker == thread && k->at > iv->from)
            field_fixed(&w->inner, EVENT_FLOW, w->by.order[w->by.next] + 1);
    }
    for (; w->of.next < r->n_wakes; w->of.next++) {
        const struct rec_wake *k = &r->wakes[w->of.order[w->of.next]];

        if (k->woken > thread || (k->woken == thread && k->at > iv->from))
            break;
        if (k->woken == thread)
            field_fixed(&w->inner, EVENT_FLOW_ENDS, w->of.order[w->of.next] + 1);
    }
}

static void thread_event(struct writer *w, uint32_t thread, const struct rec_ival *iv)
{
    const struct recording *rec = w->rec;
    bool folded = iv->flags & REC_IVAL_FOLDED;
    size_t what = iv->state == REC_WAIT ? 2u + iv->kind : iv->state;
    size_t key = rec->n_threads + (2 * what + folded) * rec->n_peers +
                 (iv->state == REC_WAIT && iv->peer < rec->n_peers ? iv->peer : 0);
    struct buf words = {0};

    draw_ival_words(&words, rec, iv);
    field_number(&w->inner, EVENT_TYPE, TYPE_BEGIN);
    field_number(&w->inner, EVENT_TRACK, thread_id(w, thread));
    field_number(&w->inner, EVENT_CATEGORY_ID, category_of(iv));
    field_number(&w->inner, EVENT_NAME_ID, name_id(w, key, words.len ? words.p : ""));
    flows(w, thread, iv);
    if (iv->state == REC_WAIT && iv->in_flight > 1)
        annotate(w, "in_flight", iv->in_flight);
    if (folded) {
        annotate(w, "on_cpu_percent", iv->run_ppm / 10000);
        annotate(w, "ready_percent", iv->ready_ppm / 10000);
    }
    event(w, iv->from);
    event_end(w, thread_id(w, thread), iv->to);
    w->failed |= words.failed;
    buf_free(&words);
}

static void categories(struct writer *w)
{
    struct buf entry = {0};

    for (uint32_t i = 1; i < 3u + REC_N_KINDS; i++) {
        field_number(&entry, INTERNED_ID, i);
        field_text(&entry, INTERNED_TEXT,
                   i == 1   ? "cpu"
                   : i == 2 ? "ready"
                            : rec_kind_word((enum rec_kind)(i - 3)));
        field_message(&w->inner, INTERNED_CATEGORY, &entry);
    }
    buf_free(&entry);
    field_message(&w->packet, PACKET_INTERNED, &w->inner);
    field_number(&w->packet, PACKET_FLAGS, FLAG_CLEARED | FLAG_NEEDS_STATE);
    packet_end(w);
}

static int cores(struct writer *w)
{
    struct picture_turn *turns;
    size_t n;
    int r = picture_turns(w->rec, &turns, &n);

    if (r < 0)
        return r;
    w->rest = ID_CORE + 1u + (n ? turns[n - 1].core : 0);
    if (n)
        track(w, ID_CORES, 0, "CPU cores");
    for (size_t i = 0; i < n; i++) {
        const struct picture_turn *t = &turns[i];

        if (i == 0 || turns[i - 1].core != t->core) {
            char name[32];
            snprintf(name, sizeof name, "core %u", t->core);
            track(w, ID_CORE + t->core, ID_CORES, name);
        }
        field_number(&w->inner, EVENT_TYPE, TYPE_BEGIN);
        field_number(&w->inner, EVENT_TRACK, ID_CORE + t->core);
        field_number(&w->inner, EVENT_NAME_ID,
                     name_id(w, t->thread, w->rec->threads[t->thread].name));
        event(w, t->from);
        event_end(w, ID_CORE + t->core, t->to);
    }
    free(turns);
    return 0;
}

static int counters(struct writer *w)
{
    struct draw_counters c;
    int r = draw_counters_make(w->rec, &c);

    if (r < 0)
        return r;
    for (size_t i = 0; i < c.n; i++) {
        double last = 0;

        field_number(&w->deeper, COUNTER_UNIT, UNIT_COUNT);
        field_message(&w->inner, TRACK_COUNTER, &w->deeper);
        track(w, ID_COUNTER + i, 0, c.counter[i].name);
        for (uint32_t k = 0; k < c.picture.n_cells; k++) {
            double v = round(c.counter[i].cells[k] * 100) / 100;

            if (k > 0 && v == last)
                continue;
            last = v;
            field_number(&w->inner, EVENT_TYPE, TYPE_COUNTER);
            field_number(&w->inner, EVENT_TRACK, ID_COUNTER + i);
            field_double(&w->inner, EVENT_DOUBLE, v);
            event(w, draw_counters_at(&c, k));
        }
    }
    draw_counters_free(&c);
    return 0;
}

int draw_perfetto(const struct recording *rec, FILE *out)
{
    struct writer w = {.rec = rec, .out = out};
    int r = -ENOMEM;

    w.name =
        calloc(rec->n_threads + 2 * (2 + (size_t)REC_N_KINDS) * rec->n_peers + 1, sizeof *w.name);
    w.by.order = wakers_order(rec, false);
    w.of.order = wakers_order(rec, true);
    if (!w.name || !w.by.order || !w.of.order)
        goto out;
    categories(&w);
    r = cores(&w);
    for (uint32_t i = 0; i < rec->n_procs; i++)
        track_process(&w, i);
    for (uint32_t i = 0; i < rec->n_threads; i++) {
        if (!rec->threads[i].n_ivals)
            continue;
        track_thread(&w, i);
        for (size_t k = 0; k < rec->threads[i].n_ivals && !w.failed; k++)
            thread_event(&w, i, &rec->threads[i].ivals[k]);
    }
    if (r == 0)
        r = counters(&w);
    if (r == 0 && (w.failed || w.packet.failed || w.inner.failed || w.deeper.failed))
        r = -ENOMEM;
    if (r == 0 && ferror(out))
        r = errno ? -errno : -EIO;
out:
    free(w.name);
    free(w.by.order);
    free(w.of.order);
    buf_free(&w.packet);
    buf_free(&w.inner);
    buf_free(&w.deeper);
    return r;
}

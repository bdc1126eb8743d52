/* SPDX-License-Identifier: MIT
 *
 * records.c - records of perf_event_open, read from the rings the kernel writes
 *
 * HOW         A record is a header (type, flags, size), a body, and because of sample_id_all the
 *             24 bytes of who, when and where, which a sample begins with.  Sizes and the size of a
 * ring are multiples of 8, so that a header never wraps; a record may.  It is copied out before it
 * is looked at: what is checked is then what is used.
 *
 * INVARIANTS  (I1) tail <= head <= tail + size
 *
 * REJECTED    A heap over the rings: a few compares a record are cheaper than keeping it in order,
 *             up to some hundred CPUs.
 */
#include <linux/perf_event.h>
#include <string.h>

#include "diag/records.h"
#include "diag/wakers.h"

enum { RECORD_MAX = 256, HEADER = 8, TRAILER = 24, TASK_BODY = 24, LOST_BODY = 16 };

/* size bytes at `at` of a ring, which may lie across its end. */
static void ring_copy(const struct ring *r, uint64_t at, size_t size, unsigned char *to)
{
    uint64_t from = at & (r->size - 1);
    size_t first = size < r->size - from ? size : (size_t)(r->size - from);

    memcpy(to, r->data + from, first);
    memcpy(to + first, r->data, size - first);
}

static uint32_t u32_at(const unsigned char *p)
{
    uint32_t x;

    memcpy(&x, p, sizeof x);
    return x;
}

static uint64_t u64_at(const unsigned char *p)
{
    uint64_t x;

    memcpy(&x, p, sizeof x);
    return x;
}

/* Who, when and where, which every record ends in. */
static void read_trailer(const unsigned char *end, struct switch_event *e)
{
    e->pid = (int32_t)u32_at(end - 24);
    e->tid = (int32_t)u32_at(end - 20);
    e->time = u64_at(end - 16);
    e->cpu = u32_at(end - 8);
}

/* A fork or exit: pid, parent's pid, tid, parent's tid, time. */
static bool read_task(const unsigned char *body, size_t n, struct switch_event *e)
{
    if (n < TASK_BODY)
        return false;
    e->pid = (int32_t)u32_at(body);
    e->parent = (int32_t)u32_at(body + 4);
    e->tid = (int32_t)u32_at(body + 8);
    e->time = u64_at(body + 16);
    return true;
}

static bool read_name(const unsigned char *body, size_t n, struct switch_event *e)
{
    if (n < 8)
        return false;
    e->pid = (int32_t)u32_at(body);
    e->tid = (int32_t)u32_at(body + 4);
    size_t length = strnlen((const char *)body + 8, n - 8);
    if (length >= sizeof e->name)
        length = sizeof e->name - 1;
    memcpy(e->name, body + 8, length);
    return true;
}

/* A sample: who, when and where, then the number of the tracepoint's bytes, and these. */
static bool read_sample(const struct wakers_format *f, const unsigned char *body, size_t n,
                        struct switch_event *e)
{
    if (!f || n < TRAILER + 4)
        return false;
    const unsigned char *raw = body + TRAILER + 4;
    size_t most = n - TRAILER - 4, size = u32_at(body + TRAILER);

    if (size > most || f->pid_at + 4u > size || f->flags_at + 1u > size)
        return false;
    read_trailer(body + TRAILER, e);
    e->what = SWITCH_WAKE;
    e->woken = (int32_t)u32_at(raw + f->pid_at);
    e->interrupt = raw[f->flags_at] & WAKERS_INTERRUPT;
    return true;
}

/* One whole record; false: not of interest, or shorter than its type. */
static bool read_record(const struct ring *r, const unsigned char *record, size_t size,
                        struct switch_event *ret)
{
    struct perf_event_header h;
    struct switch_event e = {0};

    memcpy(&h, record, sizeof h);
    if (size < HEADER + TRAILER)
        return false;
    const unsigned char *body = record + HEADER;
    size_t n = size - HEADER - TRAILER;
    read_trailer(record + size, &e);
    switch (h.type) {
    case PERF_RECORD_SAMPLE:
        if (!read_sample(r->wakes, body, size - HEADER, &e))
            return false;
        break;
    case PERF_RECORD_SWITCH:
        e.what = !(h.misc & PERF_RECORD_MISC_SWITCH_OUT)        ? SWITCH_IN
                 : h.misc & PERF_RECORD_MISC_SWITCH_OUT_PREEMPT ? SWITCH_PREEMPTED
                                                                : SWITCH_OUT;
        break;
    case PERF_RECORD_FORK:
    case PERF_RECORD_EXIT:
        e.what = h.type == PERF_RECORD_FORK ? SWITCH_FORK : SWITCH_EXIT;
        if (!read_task(body, n, &e))
            return false;
        break;
    case PERF_RECORD_COMM:
        e.what = h.misc & PERF_RECORD_MISC_COMM_EXEC ? SWITCH_EXEC : SWITCH_NAME;
        if (!read_name(body, n, &e))
            return false;
        break;
    case PERF_RECORD_LOST:
        e.what = SWITCH_LOST;
        if (n < LOST_BODY)
            return false;
        e.n_lost = u64_at(body + 8);
        break;
    default:
        return false;
    }
    *ret = e;
    return true;
}

bool ring_peek(struct ring *r)
{
    unsigned char record[RECORD_MAX];
    struct perf_event_header h;

    while (!r->has_next && r->head > r->tail) {
        uint64_t left = r->head - r->tail; /* (I1) */
        if (left >= HEADER)
            ring_copy(r, r->tail, HEADER, (unsigned char *)&h);
        if (left > r->size || left < HEADER || h.size < HEADER || h.size % 8 || h.size > left) {
            r->n_bad++;
            r->tail = r->head;
            break;
        }
        r->next_end = r->tail + h.size;
        if (h.size <= RECORD_MAX) {
            ring_copy(r, r->tail, h.size, record);
            r->has_next = read_record(r, record, h.size, &r->next);
        }
        if (!r->has_next)
            r->tail = r->next_end;
    }
    return r->has_next;
}

void ring_pop(struct ring *r)
{
    r->tail = r->next_end;
    r->has_next = false;
}

bool rings_next(struct ring *rings, size_t n, uint64_t until, struct switch_event *ret)
{
    struct ring *first = NULL;

    for (size_t i = 0; i < n; i++)
        if (ring_peek(&rings[i]) && rings[i].next.time < until &&
            (!first || rings[i].next.time < first->next.time))
            first = &rings[i];
    if (!first)
        return false;
    *ret = first->next;
    ring_pop(first);
    return true;
}

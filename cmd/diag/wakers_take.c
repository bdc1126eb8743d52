/* SPDX-License-Identifier: MIT
 *
 * wakers_take.c - waits inside of the tree, by the thread that ended them
 *
 * HOW         A wake ends the wait of its thread that it lies in, at whose end as a rule.  Of two
 *   in one wait the later one counts.  Waits for the outside (network, disk, the clock) have a
 *   cause of their own and are left out.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "diag/measure_impl.h"
#include "diag/wakers.h"

/* A row for each kind and waker, found by hash. */
struct tally {
    struct waker_row *row;
    size_t n, cap; /* cap: a power of two */
    uint32_t *slot;
    size_t n_slots;
};

uint32_t *wakers_order(const struct recording *rec, bool by_woken)
{
    /* Counted by thread, in the order in which they are recorded, which is that of time. */
    uint32_t *order = calloc(rec->n_wakes + 1, sizeof *order);
    size_t *at = calloc(rec->n_threads + 2, sizeof *at);

    if (!order || !at) {
        free(order);
        free(at);
        return NULL;
    }
    for (size_t i = 0; i < rec->n_wakes; i++)
        at[(by_woken ? rec->wakes[i].woken : rec->wakes[i].waker) + 2]++;
    for (size_t t = 2; t < rec->n_threads + 2; t++)
        at[t] += at[t - 1];
    for (size_t i = 0; i < rec->n_wakes; i++)
        order[at[(by_woken ? rec->wakes[i].woken : rec->wakes[i].waker) + 1]++] = (uint32_t)i;
    free(at);
    return order;
}

static bool inside(const struct rec_ival *v)
{
    return (v->state == REC_WAIT || v->flags & REC_IVAL_FOLDED) &&
           (v->kind == REC_LOCK || v->kind == REC_PIPE || v->kind == REC_IPC ||
            v->kind == REC_CHILD);
}

/* --- rows ------------------------------------------------------------------------------------- */

static size_t slot_of(const struct tally *t, enum rec_kind kind, uint32_t waker)
{
    size_t at = (waker * 2654435761u + (unsigned)kind * 40503u) & (t->n_slots - 1);

    while (t->slot[at] &&
           (t->row[t->slot[at] - 1].kind != kind || t->row[t->slot[at] - 1].waker != waker))
        at = (at + 1) & (t->n_slots - 1);
    return at;
}

static int tally_grow(struct tally *t)
{
    size_t cap = t->cap ? 2 * t->cap : 64;
    struct waker_row *row = reallocarray(t->row, cap, sizeof *row);
    uint32_t *slot = calloc(2 * cap, sizeof *slot);

    if (row)
        t->row = row;
    if (!row || !slot) {
        free(slot);
        return -ENOMEM;
    }
    free(t->slot);
    t->slot = slot;
    t->cap = cap;
    t->n_slots = 2 * cap;
    for (size_t i = 0; i < t->n; i++)
        t->slot[slot_of(t, t->row[i].kind, t->row[i].waker)] = (uint32_t)i + 1;
    return 0;
}

static int tally_add(struct tally *t, const struct rec_wake *w, const struct rec_ival *v)
{
    double waited = measure_s(v->to - v->from) * measure_parts_of(v).wait;

    if (t->n == t->cap && tally_grow(t) < 0)
        return -ENOMEM;
    size_t at = slot_of(t, (enum rec_kind)v->kind, w->waker);
    if (!t->slot[at]) {
        t->row[t->n] = (struct waker_row){
            .kind = (enum rec_kind)v->kind, .waker = w->waker, .woken = w->woken};
        t->slot[at] = (uint32_t)++t->n;
    }
    struct waker_row *row = &t->row[t->slot[at] - 1];
    if (row->woken != w->woken)
        row->woken = UINT32_MAX;
    row->n++;
    row->seconds += waited;
    return 0;
}

static int row_order(const void *a, const void *b)
{
    const struct waker_row *x = a, *y = b;

    if (x->seconds != y->seconds)
        return (x->seconds < y->seconds) - (x->seconds > y->seconds);
    return (x->waker > y->waker) - (x->waker < y->waker);
}

/* --- waits ------------------------------------------------------------------------------------ */

/* The waits of a thread and the wakes of it, both in the order of time. */
static int thread_take(const struct recording *rec, uint32_t thread, const uint32_t *order,
                       size_t n, struct tally *tally, struct waker_table *ret)
{
    const struct rec_thread *t = &rec->threads[thread];
    size_t next = 0;
    int r = 0;

    for (size_t i = 0; r == 0 && i < t->n_ivals; i++) {
        const struct rec_ival *v = &t->ivals[i];
        const struct rec_wake *last = NULL;

        for (; next < n && rec->wakes[order[next]].at <= v->to; next++)
            if (rec->wakes[order[next]].at > v->from)
                last = &rec->wakes[order[next]];
        if (!inside(v))
            continue;
        ret->n_waits++;
        ret->n_known += last != NULL;
        if (last)
            r = tally_add(tally, last, v);
    }
    return r;
}

int wakers_take(const struct recording *rec, struct waker_table *ret)
{
    uint32_t *order = wakers_order(rec, true);
    struct waker_table table = {0};
    struct tally tally = {0};
    size_t at = 0;
    int r = order ? 0 : -ENOMEM;

    for (uint32_t i = 0; r == 0 && i < rec->n_threads; i++) {
        size_t n = 0;

        while (at + n < rec->n_wakes && rec->wakes[order[at + n]].woken == i)
            n++;
        r = thread_take(rec, i, order + at, n, &tally, &table);
        at += n;
    }
    if (r == 0) {
        if (tally.n > 0)
            qsort(tally.row, tally.n, sizeof *tally.row, row_order);
        table.n_rows = tally.n < WAKERS_ROWS ? tally.n : WAKERS_ROWS;
        if (table.n_rows > 0)
            memcpy(table.row, tally.row, table.n_rows * sizeof *tally.row);
        *ret = table;
    }
    free(tally.row);
    free(tally.slot);
    free(order);
    return r;
}

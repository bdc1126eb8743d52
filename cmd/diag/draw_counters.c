/* SPDX-License-Identifier: MIT
 *
 * draw_counters.c - what the viewers of others show of a recording beside its intervals
 */
#include "diag/draw_counters.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "diag/draw.h"

enum { CELLS = 2000, PEERS = 16 };

struct peer_time {
    int64_t ns;
    uint32_t peer;
};

static int peer_order(const void *a, const void *b)
{
    const struct peer_time *x = a, *y = b;

    if (x->ns != y->ns)
        return x->ns > y->ns ? -1 : 1;
    return (x->peer > y->peer) - (x->peer < y->peer);
}

/* The peers that were waited for longest. */
static size_t peers_choose(const struct recording *rec, struct peer_time *all)
{
    size_t n = 0;

    for (size_t t = 0; t < rec->n_threads; t++)
        for (size_t i = 0; i < rec->threads[t].n_ivals; i++) {
            const struct rec_ival *iv = &rec->threads[t].ivals[i];
            if (iv->state == REC_WAIT && *draw_peer(rec, iv->peer))
                all[iv->peer].ns += iv->to - iv->from;
        }
    for (uint32_t i = 0; i < rec->n_peers; i++)
        if (all[i].ns > 0)
            all[n++] = (struct peer_time){all[i].ns, i};
    if (n)
        qsort(all, n, sizeof *all, peer_order);
    return n < PEERS ? n : PEERS;
}

static int counter_peer(struct draw_counters *c, uint32_t peer)
{
    const struct recording *rec = c->picture.rec;
    struct draw_counter *to = &c->counter[c->n];
    float *cells = calloc(c->picture.n_cells, sizeof *cells);

    if (!cells)
        return -ENOMEM;
    to->cells = c->own[c->n] = cells;
    snprintf(to->name, sizeof to->name, "waits for %s", draw_peer(rec, peer));
    c->n++;
    for (size_t t = 0; t < rec->n_threads; t++)
        for (size_t i = 0; i < rec->threads[t].n_ivals; i++) {
            const struct rec_ival *iv = &rec->threads[t].ivals[i];
            if (iv->state == REC_WAIT && iv->peer == peer)
                picture_spread(&c->picture, cells, 1, iv->from, iv->to,
                               iv->in_flight > 1 ? iv->in_flight : 1);
        }
    return 0;
}

int draw_counters_make(const struct recording *rec, struct draw_counters *ret)
{
    struct peer_time *all = calloc(rec->n_peers + 1, sizeof *all);
    int r = -ENOMEM;

    *ret = (struct draw_counters){0};
    if (!all)
        return r;
    r = picture_make(rec, &(struct picture_how){.n_cells = CELLS, .max_cores = 1, .max_lanes = 1},
                     &ret->picture);
    if (r == 0) {
        size_t n = peers_choose(rec, all);

        ret->counter[0] = (struct draw_counter){"in flight", ret->picture.in_flight};
        ret->counter[1] = (struct draw_counter){"cores busy", ret->picture.cores};
        ret->n = 2;
        for (size_t i = 0; i < n && r == 0; i++)
            r = counter_peer(ret, all[i].peer);
    }
    free(all);
    if (r < 0)
        draw_counters_free(ret);
    return r;
}

void draw_counters_free(struct draw_counters *c)
{
    for (size_t i = 0; i < c->n; i++)
        free(c->own[i]);
    picture_free(&c->picture);
    c->n = 0;
}

int64_t draw_counters_at(const struct draw_counters *c, uint32_t cell)
{
    const struct picture *p = &c->picture;

    return p->from + (int64_t)((double)(p->to - p->from) * cell / p->n_cells);
}

void draw_ival_words(struct buf *b, const struct recording *rec, const struct rec_ival *iv)
{
    const char *peer = draw_peer(rec, iv->peer);

    if (iv->flags & REC_IVAL_FOLDED)
        buf_puts(b, "many short: ");
    if (iv->state == REC_RUN)
        buf_puts(b, "on CPU");
    else if (iv->state == REC_READY)
        buf_puts(b, "ready, no core");
    else
        buf_puts(b, rec_kind_word((enum rec_kind)iv->kind));
    if (iv->state == REC_WAIT && *peer) {
        buf_putc(b, ' ');
        buf_puts(b, peer);
    }
}

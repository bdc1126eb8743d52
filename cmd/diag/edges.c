/* SPDX-License-Identifier: MIT
 *
 * edges.c - the intervals of many threads as one sequence of beginnings and ends
 *
 * HOW         Each thread's intervals lie in order, so its edges do; a heap of one cursor a
 *   thread merges them.  Memory goes by threads, not by intervals.
 */
#include <errno.h>
#include <stdlib.h>

#include "diag/edges.h"

static bool edges_before(const struct edges_cursor *a, const struct edges_cursor *b)
{
    return a->at != b->at ? a->at < b->at : a->thread < b->thread;
}

static void edges_sink(struct edges *e, size_t i)
{
    for (;;) {
        size_t least = i;

        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < e->n; child++)
            if (edges_before(&e->heap[child], &e->heap[least]))
                least = child;
        if (least == i)
            return;
        struct edges_cursor c = e->heap[i];
        e->heap[i] = e->heap[least];
        e->heap[least] = c;
        i = least;
    }
}

int edges_open(struct edges *e, const struct recording *r, uint32_t proc)
{
    *e = (struct edges){.rec = r};
    if (r->n_threads == 0)
        return 0;
    e->heap = calloc(r->n_threads, sizeof(*e->heap));
    if (!e->heap)
        return -ENOMEM;
    for (size_t i = 0; i < r->n_threads; i++) {
        const struct rec_thread *t = &r->threads[i];

        if (t->n_ivals > 0 && (proc == EDGES_ALL || t->proc == proc))
            e->heap[e->n++] = (struct edges_cursor){.at = t->ivals[0].from, .thread = (uint32_t)i};
    }
    for (size_t i = e->n; i-- > 0;)
        edges_sink(e, i);
    return 0;
}

bool edges_next(struct edges *e, struct edge *ret)
{
    if (e->n == 0)
        return false;
    struct edges_cursor *c = &e->heap[0];
    const struct rec_thread *t = &e->rec->threads[c->thread];

    *ret = (struct edge){c->at, c->thread, &t->ivals[c->next / 2], c->next % 2 == 0};
    c->next++;
    if (c->next / 2 < t->n_ivals)
        c->at = c->next % 2 ? t->ivals[c->next / 2].to : t->ivals[c->next / 2].from;
    else
        *c = e->heap[--e->n];
    edges_sink(e, 0);
    return true;
}

void edges_close(struct edges *e)
{
    free(e->heap);
    *e = (struct edges){0};
}

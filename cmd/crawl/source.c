/* SPDX-License-Identifier: MIT
 *
 * source.c - which pages the store is asked for, and when
 *
 * WHAT        Leased pages wait in the window, a queue a host (hosts.c).  Each host has a share of
 *             it: one that is slow, or is left alone for a while, fills its share and no more.  A
 *             host is asked for again when half of its share has been used up.
 *
 * INVARIANTS  (I1) the store is asked for a host that had nothing only after a commit, or when a
 *                  page that waits for another try is due: no page of the past costs an asking
 *             (I2) what is committed while the store is asked counts as news
 */
#include <errno.h>
#include <stdlib.h>

#include "crawl/engine.h"

enum {
    WINDOW = 256,    /* pages leased and not started; a few a connection */
    SHARE_LEAST = 8, /* of them a host's, where there are very many */
};

static const hob_dur ask_every = 100 * HOB_MS;

static hob_time crawl_clock(const struct crawl *c, int64_t wall_ms)
{
    hob_time left = wall_ms - c->wall_ms;

    return left > (HOB_FOREVER - c->began) / HOB_MS ? HOB_FOREVER : c->began + left * HOB_MS;
}

struct lease {
    struct crawl *crawl;
    struct store_row row[WINDOW];
    size_t n, max;
    int64_t due_ms;
};

/* On the lane. */
static int lease_take(void *arg)
{
    struct lease *l = arg;
    struct crawl *c = l->crawl;
    int r = store_next_of(c->store, crawl_wall_ms(c, hob_now()), l->max, c->room, l->row, &l->n);

    return r < 0 ? r : store_due(c->store, &l->due_ms);
}

static int lease_queue(struct crawl *c, struct lease *l)
{
    int r = 0;

    for (size_t i = 0; i < l->n; i++) {
        struct page *p = NULL;
        if (r < 0) {
            free(l->row[i].url);
            continue;
        }
        r = page_new(&l->row[i], &p);
        if (r == 0 && (r = hosts_add(c, p)) < 0)
            page_free(p);
    }
    return r;
}

/* Each host has a share of the window, so that a slow one does not hold back the others. */
static unsigned share_of(const struct crawl *c)
{
    size_t share = WINDOW / c->n_scope, least = 2 * (size_t)c->opts.per_host;

    if (least > WINDOW)
        least = WINDOW;
    return (unsigned)(share > SHARE_LEAST && share > least ? share
                      : least > SHARE_LEAST                ? least
                                                           : SHARE_LEAST);
}

/* After a commit, or when a page is due, the store may have more for every host.  Asking waits for
 * the batch that is being written, so it is put off while there is something else to do. */
static void source_hope(struct crawl *c)
{
    hob_time now = hob_now();
    bool few = c->n_waiting < WINDOW / 2, due = now >= c->due;

    if (due)
        c->due = HOB_FOREVER;
    if (due || (c->committed && (few || now >= c->asked + ask_every)))
        for (size_t i = 0; i < c->n_scope; i++)
            c->scope[i]->dry = false;
}

/* Is there a host that few pages wait for, and the store may have more? */
static bool lease_wanted(const struct crawl *c)
{
    for (size_t i = 0; i < c->n_scope; i++)
        if (!c->scope[i]->dry && c->scope[i]->n_waiting < c->share / 2)
            return true;
    return false;
}

/* How many of each host, and in all. */
static void lease_begin(struct crawl *c, struct lease *l)
{
    l->crawl = c;
    l->max = WINDOW;
    for (size_t i = 0; i < c->n_scope; i++) {
        unsigned n = c->scope[i]->n_waiting;
        c->room[i] = n < c->share ? c->share - n : 0;
    }
    if (c->n_scope == 1)
        l->max = c->room[0];
    c->asked = hob_now();
    c->committed = false;
}

/* Hosts the store had less for than there was room. */
static void lease_end(struct crawl *c, const struct lease *l)
{
    for (size_t i = 0; l->n < l->max && i < c->n_scope; i++)
        if (c->room[i] > 0)
            c->scope[i]->dry = true;
    c->due = l->due_ms == INT64_MAX ? HOB_FOREVER : crawl_clock(c, l->due_ms);
}

/* Leases more where few wait.  (I1) */
static int source_fill(struct crawl *c)
{
    struct lease *l;
    int r;

    if (!lease_wanted(c))
        return 0;
    l = malloc(sizeof(*l));
    if (!l)
        return -ENOMEM;
    do {
        lease_begin(c, l);
        r = hob_lane_call(c->lane, lease_take, l, HOB_FOREVER);
    } while (r == 0 && l->n == 0 && c->committed); /* meanwhile */
    if (r == 0) {
        lease_end(c, l);
        r = lease_queue(c, l);
    }
    free(l);
    return r;
}

/* Counts the time pages are held for politeness alone; --concurrency in use is another matter. */
static int source_pick(struct crawl *c, hob_time *ret_again, struct page **ret)
{
    hob_time now = hob_now();
    int r;

    if (c->held)
        c->now.paced += now - c->held_since;
    r = hosts_pick(c, now, ret_again, ret);
    c->held = c->held && r == 0 && !*ret && c->n_live < c->opts.concurrency;
    c->held_since = now;
    return r;
}

int source_next(void *ctx, void **ret_item, hob_time *ret_again)
{
    struct crawl *c = ctx;
    struct page *p;
    int r;

    source_hope(c);
    if ((r = source_fill(c)) < 0 || (r = source_pick(c, ret_again, &p)) < 0)
        return r;
    if (p) {
        *ret_item = p;
        return 1;
    }
    if (c->due < *ret_again)
        *ret_again = c->due;
    for (size_t i = 0; c->committed && i < c->n_scope; i++)
        if (c->scope[i]->dry && c->asked + ask_every < *ret_again)
            *ret_again = c->asked + ask_every;
    return 0; /* nothing now; with nothing in flight either it is the end */
}

void source_begin(struct crawl *c)
{
    c->due = HOB_FOREVER;
    c->share = share_of(c);
}

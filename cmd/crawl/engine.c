/* SPDX-License-Identifier: MIT
 *
 * engine.c - the crawl: a flow that closes its cycle through the store
 *
 * WHAT        The source leases pages from the store and lets hosts.c say whose turn it is.  The
 *             last stage writes a batch: results, new links and states in one transaction.  New
 *             pages come back to the source only from the store, so what is in flight is always
 *             found again after a kill.
 *
 * HOW         store --lease--> source.c, hosts.c --> [fetch] --> [parse] --> [store]
 *               ^                                                              |
 *               '-------------------------- commit ----------------------------'
 *
 * INVARIANTS  (I1) the store is used by one thread at a time: the main thread before and after,
 *                  the lane in between
 *             (I2) a page leaves the flow stored, or it was cancelled and its row is pending
 *             (I3) the end is the store's to say, and the flow's: nothing to lease, none waiting
 *                  for its host, none in flight
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crawl/engine.h"
#include "lib/wall.h"

enum {
    BATCH = 256,
    BATCH_MS = 20,
    REDIRECTS_MAX = 10, /* one after another; then it is a trap */
};

int64_t crawl_wall_ms(const struct crawl *c, hob_time at)
{
    return c->wall_ms + (at - c->began) / HOB_MS;
}

/* Before. */

static int seeds_read(struct crawl *c, char err[STORE_ERR_MAX])
{
    c->seeds = calloc(c->opts.n_seeds + 1, sizeof(*c->seeds));
    if (!c->seeds)
        return -ENOMEM;
    for (size_t i = 0; i < c->opts.n_seeds; i++) {
        const char *text = c->opts.seeds[i];
        int r = url_new(text, strlen(text), NULL, &c->seeds[c->n_seeds]);
        if (r < 0) {
            snprintf(err, STORE_ERR_MAX, "%.400s: %s", text, url_strerror(r, text));
            return r == -ENOMEM ? r : -EINVAL;
        }
        c->n_seeds++;
    }
    return 0;
}

/*
 * What makes two crawls the same: hosts, depth and fields.  How fast and as whom is not among it.
 */
static char *scope_text(const struct crawl *c)
{
    struct buf b = {0};

    buf_puts(&b, "hosts");
    for (size_t i = 0; i < c->n_scope; i++)
        buf_printf(&b, " %s", c->scope[i]->name);
    if (c->opts.depth >= 0)
        buf_printf(&b, ", depth %lld", (long long)c->opts.depth);
    for (size_t i = 0; c->opts.rules && i < html_rules_count(c->opts.rules); i++)
        buf_printf(&b, "%s '%s'", i ? "" : ", fields", html_rules_text(c->opts.rules, i));
    return buf_take(&b);
}

static int store_start(struct crawl *c, char err[STORE_ERR_MAX])
{
    struct store_opts o = {.size = sizeof(o),
                           .sync = c->opts.sync,
                           .max_pages = c->opts.max_pages,
                           .feed = c->opts.jsonl,
                           .levels = c->opts.depth >= 0};
    const char **name = calloc(c->n_scope, sizeof(*name));
    char *scope = scope_text(c);
    int r = name && scope ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < c->n_scope; i++)
        name[i] = c->scope[i]->name;
    if (c->n_scope > 1) { /* one host needs no fairness */
        o.hosts = name;
        o.n_hosts = c->n_scope;
    }
    if (r == 0)
        r = store_open(c->opts.db, scope, &o, &c->store, err);
    free(scope);
    free(name);
    return r;
}

static int store_begin(struct crawl *c, char err[STORE_ERR_MAX])
{
    int r = store_start(c, err);

    for (size_t i = 0; r >= 0 && i < c->n_seeds; i++)
        r = store_link(c->store, c->seeds[i]->text, c->seeds[i]->len, 0, 0, STORE_PENDING);
    if (r >= 0)
        r = store_commit(c->store);
    if (r < 0 && c->store)
        snprintf(err, STORE_ERR_MAX, "%s", store_error(c->store));
    return r;
}

int crawl_open(const struct crawl_opts *opts, struct crawl **ret, char err[STORE_ERR_MAX])
{
    struct crawl *c = calloc(1, sizeof(*c));
    int r;

    snprintf(err, STORE_ERR_MAX, "out of memory");
    if (!c)
        return -ENOMEM;
    c->opts = *opts;
    r = seeds_read(c, err);
    if (r == 0)
        r = hosts_new(c);
    if (r == 0 && (r = store_begin(c, err)) == -EINVAL)
        r = -EIO; /* some file system's word for no; -EINVAL is the seeds' alone */
    if (r < 0) {
        crawl_close(c);
        return r;
    }
    *ret = c;
    return 0;
}

void crawl_close(struct crawl *c)
{
    if (!c)
        return;
    hosts_free(c);
    store_close(c->store);
    for (size_t i = 0; i < c->n_seeds; i++)
        free(c->seeds[i]);
    free(c->seeds);
    free(c);
}

const char *crawl_error(const struct crawl *c)
{
    return c->err;
}

/* The last stage, on the lane. */

/* A chain of redirects has an end, also one whose every target is new. */
static int redirect_check(struct crawl *c, struct page *p)
{
    unsigned n = 0;
    int r = p->target ? store_redirects(c->store, &p->row, REDIRECTS_MAX, &n) : 0;

    if (n >= REDIRECTS_MAX) {
        page_end(p, STORE_FAILED, "too many redirects");
        free(p->target);
        p->target = NULL;
    }
    return r;
}

static int page_put(struct crawl *c, const struct page *p)
{
    struct store_result res = {.state = p->state,
                               .status = (int)p->res.status,
                               .reason = *p->reason ? p->reason : NULL,
                               .final_url = p->target ? p->target->text : NULL,
                               .bytes = (int64_t)p->res.body_n,
                               .seconds = (double)p->res.total / (double)HOB_SEC,
                               .fields = p->fields};
    int r = 0;

    if (p->target)
        r = store_link(c->store, p->target->text, p->target->len, p->row.depth, p->row.id,
                       page_link_state(c, p->target, p->row.depth));
    for (size_t i = 0; r >= 0 && i < p->n_links; i++)
        r = store_link(c->store, p->links[i].url, p->links[i].len, p->row.depth + 1, p->row.id,
                       p->links[i].state);
    return r < 0 ? r : store_finish(c->store, &p->row, &res);
}

static int page_store(struct crawl *c, struct page *p)
{
    int r = p->hold_ms ? store_hold(c->store, p->host->name, p->hold_ms) : 0;

    if (r < 0 || p->is_robots)
        return r;
    if (p->fate == PAGE_RETRY)
        return store_retry(c->store, &p->row, p->retry_at_ms);
    if (p->fate == PAGE_PUT_OFF)
        return store_put_off(c->store, &p->row);
    r = redirect_check(c, p);
    return r < 0 ? r : page_put(c, p);
}

static int pages_store(void *ctx, void **items, size_t n)
{
    struct crawl *c = ctx;
    int r = 0;

    for (size_t i = 0; r >= 0 && i < n; i++)
        r = page_store(c, items[i]);
    if (r >= 0)
        r = store_commit(c->store);
    return r;
}

static void page_failed(struct crawl *c, const struct page *p)
{
    if (c->now.failed++ > 0)
        return;
    snprintf(c->now.first_failure, sizeof(c->now.first_failure), "%.700s: %s", p->url->text,
             p->reason);
    c->now.guarded = p->rc == -HOB_EADDRGUARD;
}

static void page_was_put_off(struct crawl *c, const struct page *p)
{
    if (c->now.put_off++ > 0)
        return;
    snprintf(c->now.first_put_off, sizeof(c->now.first_put_off), "%.300s: %s", p->origin->text,
             p->reason);
    c->now.guarded = c->now.guarded || p->origin->rc == -HOB_EADDRGUARD;
}

/* An item has left, on the loop.  (I2) */
static void page_left(void *ctx, void *item, unsigned stage, int rc)
{
    struct crawl *c = ctx;
    struct page *p = item;

    (void)stage;
    hosts_leave(c, p);
    if (p->is_robots) {
        if (p->origin->state == ROBOTS_ASKING)
            p->origin->state = ROBOTS_UNKNOWN;
    } else if (rc == 0) {
        c->committed = true;
        c->now.bytes += p->res.body_n;
        if (p->fate == PAGE_RETRY)
            c->now.retried++;
        else if (p->fate == PAGE_PUT_OFF)
            page_was_put_off(c, p);
        else if (p->state == STORE_DONE)
            c->now.fetched++;
        else if (p->state == STORE_FAILED)
            page_failed(c, p);
        else
            c->now.skipped++;
    } else if (rc != -ECANCELED) {
        snprintf(c->err, sizeof(c->err), "%s: %s", p->url->text, hob_strerror(rc));
        hob_flow_stop(c->flow, rc);
    }
    page_free(p);
}

/* The run. */

static int flow_make(struct crawl *c)
{
    struct hob_stage stages[3] = {
        HOB_STAGE(.name = "fetch", .kind = HOB_IO, .run = page_fetch, .width = c->opts.concurrency),
        HOB_STAGE(.name = "parse", .kind = HOB_CPU, .run = page_parse),
        HOB_STAGE(.name = "store", .kind = HOB_LANE, .run_batch = pages_store, .lane = c->lane,
                  .batch = BATCH, .batch_ms = BATCH_MS),
    };

    c->now.n_stages = 3;
    if (c->opts.parse_inline) {
        stages[1] = stages[2];
        c->now.n_stages = 2;
    }
    return hob_flow_new(stages, c->now.n_stages,
                        HOB_FLOW_OPTS(.ctx = c, .next = source_next, .leave = page_left), &c->flow);
}

/* The name must outlive the flow. */
static void stage_note(const struct crawl *c, unsigned i, struct hob_stage_stats *ret)
{
    static const char *const names[] = {"fetch", "parse", "store"};

    *ret = (struct hob_stage_stats){.size = sizeof *ret};
    (void)!hob_flow_stats(c->flow, i, ret);
    ret->name = names[i + (i == 1 && c->now.n_stages == 2)];
}

void crawl_progress(const struct crawl *c, struct crawl_progress *ret)
{
    *ret = c->now;
    if (c->flow) {
        ret->wall = hob_now() - c->began;
        if (c->held)
            ret->paced += hob_now() - c->held_since;
        ret->in_flight = hob_flow_in_flight(c->flow);
        ret->waiting = c->n_waiting;
        for (unsigned i = 0; i < ret->n_stages; i++)
            stage_note(c, i, &ret->stage[i]);
    } else if (c->store) {
        store_counts(c->store, &ret->counts);
        /* What was leased and not finished is pending when the crawl goes on. */
        ret->counts.n[STORE_PENDING] += ret->counts.in_flight;
        ret->ending = store_end(c->store);
    }
}

/* Where the lane is not, or has ended: what it met is read here alone (I1). */
static int crawl_failed(struct crawl *c, int r)
{
    if (!*c->err)
        snprintf(c->err, sizeof(c->err), "%s",
                 *store_error(c->store) ? store_error(c->store) : hob_strerror(r));
    return r;
}

int crawl_run(struct crawl *c, hob_http *client)
{
    int r;

    c->wall_ms = wall_ms();
    c->began = hob_now();
    source_begin(c);
    c->client = client;
    if ((r = hosts_held(c)) < 0)
        return crawl_failed(c, r);
    if ((r = hob_lane_new("hob-store", &c->lane)) < 0)
        return r;
    r = flow_make(c);
    if (r == 0)
        r = hob_flow_run(c->flow);
    crawl_progress(c, &c->now);
    hob_flow_free(c->flow);
    c->flow = NULL;
    hob_lane_free(c->lane);
    return r < 0 ? crawl_failed(c, r) : r;
}

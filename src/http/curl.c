/* SPDX-License-Identifier: MIT
 *
 * curl.c - a hop over the network
 *
 * WHAT        Guard, names, transfer: in this order, on the requesting fiber.  libcurl itself runs
 *             on the loop's own stack (multi.c).
 */
#include <errno.h>

#include "http/guard.h"
#include "http/multi.h"

static int resolve_failed(struct hop *hop, const struct proxy *p, int r)
{
    if (r == -ETIMEDOUT || r == -ECANCELED)
        return hob__hop_fail(hop, r, "%s while its %s was looked up", hob_strerror(r),
                             p ? "proxy's name" : "name");
    if (p)
        return hob__hop_fail(hop, -HOB_EPROXY, "proxy %s: %s", p->host, hob_strerror(r));
    return hob__hop_fail(hop, r, r == -EAGAIN ? "the name server failed" : "%s", hob_strerror(r));
}

/* The names that libcurl will need, into t->name. */
static int resolve(struct transfer *t, struct hop *hop)
{
    const struct target *to = hop->target;
    const struct proxy *p = hop->proxy;
    hob_time limit = hop->began + t->at->client->opts.connect_ns_max;
    hob_time until = hop->until < limit ? hop->until : limit;
    bool guarded = !t->at->client->opts.allow_private;
    int r = guarded ? hob__guard_host(hop) : 0;

    if (r == 0 && p && !p->numeric) {
        r = hob__name_get(&t->at->names, p->alias, p->host, p->port, until, &t->name[1]);
        if (r < 0)
            return resolve_failed(hop, p, r);
    }
    if (r == 0 && !to->numeric && !proxy_resolves(p)) {
        r = hob__name_get(&t->at->names, to->host, to->host, to->port, until, &t->name[0]);
        if (r < 0)
            return resolve_failed(hop, NULL, r);
        if (guarded)
            r = hob__guard_name(hop, t->name[0]);
    }
    hop->resolving = hob__now() - hop->began;
    return r;
}

static void release(struct transfer *t)
{
    for (int i = 0; i < 2; i++) {
        if (!t->name[i])
            continue;
        if (t->code == CURLE_COULDNT_CONNECT)
            hob__name_doubt(t->name[i]);
        hob__name_put(t->name[i]);
        t->name[i] = NULL;
    }
    hob__transfer_clear(t);
    list_push_front(&t->at->pool, &t->node);
}

static int loop_part(hob_http *client, struct http_loop **ret)
{
    struct loop *l = hob__loop;
    int r = 0;

    if (!client->loops[l->index])
        r = hob__http_loop_new(client, l, &client->loops[l->index]);
    if (r == 0)
        *ret = client->loops[l->index];
    return r;
}

static int transfer_take(hob_http *client, struct transfer **ret)
{
    struct http_loop *at = NULL;
    struct list *n;
    int r = loop_part(client, &at);

    if (r < 0)
        return r;
    if ((n = list_pop(&at->pool))) {
        *ret = list_entry(n, struct transfer, node);
        return 0;
    }
    return hob__transfer_new(at, ret);
}

static int curl_run(hob_http *client, struct hop *hop)
{
    struct transfer *t = NULL;
    int r = transfer_take(client, &t);

    if (r < 0)
        return hob__hop_fail(hop, r, "%s", hob_strerror(r));
    t->code = CURLE_OK;
    r = resolve(t, hop);
    if (r == 0) {
        r = hob__transfer_set(t, hop);
        if (r < 0)
            hob__hop_fail(hop, r, "%s", hob_strerror(r));
        else
            r = hob__transfer_outcome(t, hob__transfer_run(t, hop->until));
    }
    release(t);
    return r;
}

static void curl_close(hob_http *client)
{
    for (unsigned i = 0; i < LOOPS_MAX; i++)
        if (client->loops[i])
            hob__http_loop_close(client->loops[i]);
}

const struct http_ops hob__http_curl = {.run = curl_run, .close = curl_close};

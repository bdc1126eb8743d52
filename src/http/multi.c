/* SPDX-License-Identifier: MIT
 *
 * multi.c - libcurl's multi interface, driven by a loop
 *
 * WHAT        libcurl says which sockets it waits for and when it wants to be called at the latest.
 *             The sockets are watches of the loop's poller, the time is a timer of the loop's.
 *
 * HOW         fiber     queues its transfer, kicks, parks
 *             message   all queued transfers are added, then libcurl is called once for all
 *             poller    a socket is ready: libcurl is called for it
 *             timer     libcurl is called
 *               after each of these three: whatever is done is taken out, its fiber readied
 *             cancel    queues the transfer's removal and kicks; the fiber parks on until the
 *                       message has done it
 *
 * INVARIANTS  (I1) libcurl is called on the loop's own stack only, and never from a callback of
 *                  its own
 *             (I2) a callback never parks and never readies a fiber
 *             (I3) a fiber runs on only when libcurl knows its transfer no more
 *
 * REJECTED    libcurl's timeouts of a transfer (CONNECTTIMEOUT, LOW_SPEED): each sets and clears
 *             timers of its own at every event; one timer looks at all transfers here.
 *             libcurl's limits of connections: a waiting transfer costs it a walk over all.
 */
#include "http/multi.h"

#include <errno.h>
#include <stdlib.h>

#include "sched/remote.h"

enum { WATCHDOG_PARTS = 8 };
#define WATCHDOG_MIN (2 * HOB_MS)
#define WATCHDOG_MAX HOB_SEC

struct closer {
    struct remote remote; /* first */
    struct http_loop *at;
};

static void http_loop_kick(struct http_loop *at)
{
    if (at->kicked)
        return;
    at->kicked = true;
    hob__loop_post(at->loop, &at->kick);
}

/* ---- transfers ---- */

/* libcurl knows it no more: its fiber runs on.  (I3) */
static void transfer_ended(struct transfer *t, int rc)
{
    hob__socks_settle(t, true);
    list_del(&t->node);
    t->state = TRANSFER_IDLE;
    t->stopping = false;
    hob__ready(t->fiber, rc);
}

static void http_loop_reap(struct http_loop *at)
{
    CURLMsg *m;
    int left;

    while ((m = curl_multi_info_read(at->multi, &left))) {
        struct transfer *t = NULL;
        CURL *easy = m->easy_handle;
        CURLcode code = m->data.result;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &t);
        curl_multi_remove_handle(at->multi, easy);
        t->code = code;
        transfer_ended(t, 0);
    }
}

/* Calls libcurl, and readies the fibers of the transfers that are done.  (I1) */
static void http_loop_action(struct http_loop *at, curl_socket_t fd, int events)
{
    int n_running;

    curl_multi_socket_action(at->multi, fd, events, &n_running);
    http_loop_reap(at);
}

static void watchdog_set(struct http_loop *at)
{
    const struct hob_http_opts *o = &at->client->opts;
    hob_dur every =
        (o->connect_ns_max < o->idle_ns_max ? o->connect_ns_max : o->idle_ns_max) / WATCHDOG_PARTS;

    if (at->watchdog.set || list_empty(&at->active))
        return;
    every = every < WATCHDOG_MIN ? WATCHDOG_MIN : every > WATCHDOG_MAX ? WATCHDOG_MAX : every;
    hob__timer_set(&at->loop->timers, &at->watchdog, hob__now() + every);
}

static void transfer_start(struct transfer *t)
{
    struct http_loop *at = t->at;
    CURLMcode c = curl_multi_add_handle(at->multi, t->easy);

    if (c) {
        t->code = c == CURLM_OUT_OF_MEMORY ? CURLE_OUT_OF_MEMORY : CURLE_FAILED_INIT;
        transfer_ended(t, 0);
        return;
    }
    t->state = TRANSFER_ACTIVE;
    t->told = true; /* once the caller has called libcurl */
    list_push(&at->active, &t->node);
}

static void transfer_stop(struct transfer *t)
{
    if (t->state == TRANSFER_ACTIVE)
        curl_multi_remove_handle(t->at->multi, t->easy);
    t->code = CURLE_OPERATION_TIMEDOUT;
    transfer_ended(t, t->fail ? 0 : -ECANCELED);
}

static void closer_run(struct closer *c);

/* Starts and stops what waits for it. */
static void http_loop_kicked(struct msg *m)
{
    struct http_loop *at = container_of(m, struct http_loop, kick);
    struct list *n;

    at->kicked = false;
    if (at->closer) {
        closer_run(at->closer);
        return;
    }
    while ((n = list_pop(&at->stops)))
        transfer_stop(list_entry(n, struct transfer, node));
    while ((n = list_pop(&at->starts)))
        transfer_start(list_entry(n, struct transfer, node));
    watchdog_set(at);
    http_loop_action(at, CURL_SOCKET_TIMEOUT, 0);
}

/* Asks for the end of a transfer, started or not. */
static void transfer_abort(struct transfer *t)
{
    if (t->stopping)
        return;
    t->stopping = true;
    list_del(&t->node);
    list_push(&t->at->stops, &t->node);
    http_loop_kick(t->at);
}

static void fiber_abort(struct fiber *f)
{
    transfer_abort(f->abort_arg);
}

int hob__transfer_run(struct transfer *t, hob_time until)
{
    struct fiber *f = t->fiber = hob__self();
    int r = hob__check(f);

    if (r < 0)
        return r;
    t->state = TRANSFER_WAITS;
    t->moved = t->window = hob__now();
    list_push(&t->at->starts, &t->node);
    http_loop_kick(t->at);
    f->abort_arg = t;
    return hob__park_hook(f, HOB_WAIT_HTTP, until, fiber_abort);
}

static void http_loop_watchdog(struct timer *timer)
{
    struct http_loop *at = container_of(timer, struct http_loop, watchdog);
    hob_time now = hob__now();

    list_each_safe (it, &at->active) {
        struct transfer *t = list_entry(it, struct transfer, node);
        if (hob__transfer_too_slow(t, now))
            transfer_abort(t);
    }
    watchdog_set(at);
}

/* ---- libcurl's time ---- */

static void timer_fired(struct timer *timer)
{
    http_loop_action(container_of(timer, struct http_loop, timer), CURL_SOCKET_TIMEOUT, 0);
}

static int timer_wanted(CURLM *multi, long ms, void *arg)
{
    struct http_loop *at = arg;

    (void)multi;
    timer_stop(&at->loop->timers, &at->timer);
    if (at->closing || ms < 0)
        return 0;
    if (ms == 0)
        http_loop_kick(at);
    else
        hob__timer_set(&at->loop->timers, &at->timer, hob__now() + ms * HOB_MS);
    return 0;
}

/* ---- begin and end ---- */

static int multi_setup(struct http_loop *at)
{
    const struct hob_http_opts *o = &at->client->opts;

    if (!(at->multi = curl_multi_init()))
        return -ENOMEM;
    curl_multi_setopt(at->multi, CURLMOPT_SOCKETFUNCTION, hob__sock_wanted);
    curl_multi_setopt(at->multi, CURLMOPT_SOCKETDATA, at);
    curl_multi_setopt(at->multi, CURLMOPT_TIMERFUNCTION, timer_wanted);
    curl_multi_setopt(at->multi, CURLMOPT_TIMERDATA, at);
    curl_multi_setopt(at->multi, CURLMOPT_MAXCONNECTS, (long)o->idle_conns_max);
    return 0;
}

int hob__http_loop_new(hob_http *client, struct loop *l, struct http_loop **ret)
{
    struct http_loop *at = calloc(1, sizeof *at);

    if (!at)
        return -ENOMEM;
    at->client = client;
    at->loop = l;
    list_init(&at->starts);
    list_init(&at->active);
    list_init(&at->stops);
    list_init(&at->pool);
    at->ready = http_loop_action;
    at->kick.run = http_loop_kicked;
    at->timer.fire = timer_fired;
    at->watchdog.fire = http_loop_watchdog;
    hob__names_init(&at->names, client->opts.names_ns_max);
    int r = multi_setup(at);
    if (r < 0) {
        free(at);
        return r;
    }
    *ret = at;
    return 0;
}

static void http_loop_free(struct http_loop *at)
{
    struct list *n;

    HOB_ASSERT(list_empty(&at->starts) && list_empty(&at->active) && list_empty(&at->stops));
    while ((n = list_pop(&at->pool)))
        hob__transfer_free(list_entry(n, struct transfer, node));
    curl_multi_cleanup(at->multi);
    timer_stop(&at->loop->timers, &at->timer);
    timer_stop(&at->loop->timers, &at->watchdog);
    hob__names_fini(&at->names);
    hob__socks_fini(at);
    free(at);
}

static void closer_run(struct closer *c)
{
    http_loop_free(c->at);
    hob__remote_done(&c->remote, 0);
}

/* On the loop.  A kick under way holds its address: it comes first. */
static void closer_start(struct remote *r)
{
    struct closer *c = container_of(r, struct closer, remote);

    c->at->closing = true;
    if (c->at->kicked)
        c->at->closer = c;
    else
        closer_run(c);
}

static void closer_cancel(struct remote *r)
{
    (void)r; /* it ends soon by itself */
}

void hob__http_loop_close(struct http_loop *at)
{
    struct closer c = {.remote = {.start = closer_start, .cancel = closer_cancel}, .at = at};

    hob__remote_call(&c.remote, at->loop, HOB_WAIT_REMOTE, HOB_FOREVER);
}

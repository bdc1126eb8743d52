/* SPDX-License-Identifier: MIT
 *
 * client.h - what the parts of the HTTP client share
 *
 * Glossary.  A *request* is what the program asked for; a *hop* is one request on the wire and its
 * response, and a redirect begins the next one; a *transfer* is a hop in libcurl's hands.
 */
#ifndef HOB_HTTP_CLIENT_H
#define HOB_HTTP_CLIENT_H

#include <stdatomic.h>

#include <hob/http.h>
#include <hob/net.h>

#include "http/head.h"
#include "http/target.h"
#include "sched/loop.h"

struct curl_slist;
struct hop;

/* What stands between the client and the network: libcurl, or the program's fake. */
struct http_ops {
    /* Fills in the second part of the hop; parks.  0, or a negative code with hop->reason. */
    int (*run)(hob_http *client, struct hop *hop);
    void (*close)(hob_http *client);
};

extern const struct http_ops hob__http_curl;
extern const struct http_ops hob__http_fake;

struct http_loop;

struct hob_http {
    const struct http_ops *ops;
    struct hob_http_opts opts; /* defaults filled in; its strings are the three below */
    char *user_agent, *ca_file;
    struct curl_slist *headers; /* of a request that has none of its own */
    struct proxy *proxies;      /* opts.n_proxies of them */
    _Atomic(uint32_t) next_proxy;
    struct hob_http_fake fake;
    struct http_loop *loops[LOOPS_MAX]; /* each made and used by its loop alone */
};

struct hop {
    struct target *target;
    const char *method;
    const struct hob_http_header *headers;
    size_t n_headers;
    const void *body;
    size_t body_n;
    const struct proxy *proxy; /* NULL: none */
    size_t body_bytes_max;
    hob_time until;
    hob_time began;
    bool follows; /* a redirect's body is of no interest */

    struct head head;
    struct body got;
    uint32_t http_version;
    hob_dur resolving, connecting, first_byte;
    bool reused;
    char remote[64];
    char reason[HOB_HTTP_REASON_MAX];
};

/* Puts "HOST: words" into hop->reason, unless there is a reason already; returns rc. */
int hob__hop_fail(struct hop *hop, int rc, const char *format, ...) HOB_PRINTF(3, 4);

#endif

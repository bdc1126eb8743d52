/* SPDX-License-Identifier: MIT
 *
 * tls_meet.h - one client meets one server, and what came of it
 */
#ifndef TLS_MEET_H
#define TLS_MEET_H

#include <stdio.h>

#include "net/tls.h"
#include "tls_util.h"

/* What came of a handshake, and of one byte the server's client then reads. */
struct outcome {
    int client, server, read;
    char why_client[HOB_TLS_WHY_MAX], why_server[HOB_TLS_WHY_MAX];
    struct hob_tls_info at_client, at_server;
    char alpn[32], name[256], peer[256]; /* of infos, which end with the connection */
    char cipher[64];
    size_t der_n;
};

struct meeting {
    hob_tls_ctx *client, *server;
    const char *name;
    void (*before)(struct ends *e);
    struct outcome *out;
};

static inline int server_end(void *arg)
{
    hob_tls *t = arg;
    int r;

    while ((r = hob_tls_handshake(t, HOB_FOREVER)) == -ETIMEDOUT)
        continue; /* who chooses by name may say: not yet */
    if (r == 0)
        r = hob_tls_write(t, "!", 1, HOB_FOREVER) == 1 ? 0 : -EIO;
    return r;
}

static inline void infos(struct ends *e, struct outcome *o)
{
    o->at_client.size = o->at_server.size = sizeof o->at_client;
    CHECK_INT(hob_tls_info_get(e->client, &o->at_client), 0);
    CHECK_INT(hob_tls_info_get(e->server, &o->at_server), 0);
    CHECK_INT(o->at_client.version, o->at_server.version);
    CHECK_INT(o->at_client.resumed, o->at_server.resumed);
    CHECK_STR(o->at_client.cipher, o->at_server.cipher);
    snprintf(o->cipher, sizeof o->cipher, "%s", o->at_client.cipher);
    snprintf(o->alpn, sizeof o->alpn, "%s", o->at_client.alpn ? o->at_client.alpn : "-");
    CHECK_STR(o->at_server.alpn ? o->at_server.alpn : "-", o->alpn);
    snprintf(o->name, sizeof o->name, "%s", o->at_server.name ? o->at_server.name : "-");
    snprintf(o->peer, sizeof o->peer, "%s", o->at_server.peer ? o->at_server.peer : "-");
    o->der_n = o->at_server.peer_der_n;
}

static inline int meeting(void *arg)
{
    struct meeting *m = arg;
    struct outcome *o = m->out;
    struct ends e;
    hob_group g;
    char c;

    *o = (struct outcome){.client = 1};
    CHECK_INT(ends_open(&e, hob_simulated(), m->client, m->server, m->name), 0);
    if (m->before)
        m->before(&e);
    CHECK_INT(hob_group_open(&g, HOB_GROUP_OPTS(.supervise = true)), 0);
    CHECK_INT(hob_go_ret(&g, shake, e.client, &o->client), 0);
    CHECK_INT(hob_go_ret(&g, server_end, e.server, &o->server), 0);
    CHECK_INT(hob_group_join(&g, 0), 0);
    o->read = o->client == 0 ? (int)hob_tls_read(e.client, &c, 1, HOB_FOREVER) : -ENOTCONN;
    snprintf(o->why_client, sizeof o->why_client, "%s", hob_tls_why(e.client));
    snprintf(o->why_server, sizeof o->why_server, "%s", hob_tls_why(e.server));
    if (o->client == 0 && o->server == 0)
        infos(&e, o);
    ends_close(&e);
    return 0;
}

static inline struct outcome meet_once(struct meeting m)
{
    struct outcome o;

    m.out = &o;
    CHECK_INT(hob_run(NULL, meeting, &m), 0);
    return o;
}

static struct trust trust;
static char ctx_why[HOB_TLS_WHY_MAX];

static inline int ctx_try(struct hob_tls_ctx_opts o, hob_tls_ctx **ret)
{
    o.size = sizeof o;
    o.why = ctx_why;
    return hob_tls_ctx_new(&o, ret);
}

static inline hob_tls_ctx *ctx_of(struct hob_tls_ctx_opts o)
{
    hob_tls_ctx *ctx = NULL;
    int r = ctx_try(o, &ctx);

    if (r < 0)
        t_fail(__FILE__, __LINE__, "%s: %s", hob_strerror(r), ctx_why);
    return ctx;
}

static inline hob_tls_ctx *server_of(const struct identity *id)
{
    return ctx_of((struct hob_tls_ctx_opts){
        .server = true, .cert_pem = id->cert_pem, .key_pem = id->key_pem});
}

static inline hob_tls_ctx *client_of(const struct identity *ca)
{
    return ctx_of((struct hob_tls_ctx_opts){.ca_pem = ca->cert_pem});
}

static inline struct outcome accepted(hob_tls_ctx *client, hob_tls_ctx *server, const char *name)
{
    struct outcome o = meet_once((struct meeting){client, server, name, NULL, NULL});

    if (o.client != 0 || o.server != 0 || o.read != 1)
        t_fail(__FILE__, __LINE__, "%s: %d %d %d (%s; %s)", name ? name : "-", o.client, o.server,
               o.read, o.why_client, o.why_server);
    return o;
}

static inline void only_12(struct ends *e)
{
    CHECK(SSL_set_max_proto_version(e->client->ssl, TLS1_2_VERSION));
}

#endif

/* SPDX-License-Identifier: MIT
 *
 * tls_util.h - certificates made when they are needed, streams in memory, and two ends of TLS
 *
 * Nothing is on disk that could expire or be mistaken for a secret.
 */
#ifndef TLS_UTIL_H
#define TLS_UTIL_H

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include <hob/hob.h>

#include "lib/each.h"
#include "net_util.h"

/* --- certificates -------------------------------------------------------------------------- */

struct identity {
    X509 *cert;
    EVP_PKEY *key;
    char *cert_pem, *key_pem;
};

struct identity_ask {
    const char *cn, *alt;          /* alt: "DNS:right.test,IP:127.0.0.1" */
    const struct identity *issuer; /* NULL: itself */
    long from_s, to_s;             /* seconds from now; 0, 0: an hour around now */
    bool authority;
    int rsa_bits; /* 0: P-256 */
};

static inline char *pem_text(BIO *bio)
{
    char *p, *copy;
    long n = BIO_get_mem_data(bio, &p);

    CHECK(n > 0 && (copy = strndup(p, (size_t)n)));
    BIO_free(bio);
    return copy;
}

static inline void extension(X509 *x, int nid, const char *value)
{
    X509V3_CTX v3;

    X509V3_set_ctx(&v3, x, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &v3, nid, value);
    CHECK(e != NULL && X509_add_ext(x, e, -1));
    X509_EXTENSION_free(e);
}

static inline void identity_make(struct identity *id, struct identity_ask ask)
{
    static long serial;
    X509 *x = id->cert = X509_new();
    BIO *bio = BIO_new(BIO_s_mem());

    id->key = ask.rsa_bits ? EVP_RSA_gen((unsigned)ask.rsa_bits) : EVP_EC_gen("P-256");
    CHECK(x && bio && id->key);
    CHECK(X509_set_version(x, 2) && X509_set_pubkey(x, id->key));
    CHECK(ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial));
    CHECK(X509_gmtime_adj(X509_getm_notBefore(x), ask.to_s ? ask.from_s : -3600));
    CHECK(X509_gmtime_adj(X509_getm_notAfter(x), ask.to_s ? ask.to_s : 3600));
    CHECK(X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                                     (const unsigned char *)ask.cn, -1, -1, 0));
    CHECK(X509_set_issuer_name(x, X509_get_subject_name(ask.issuer ? ask.issuer->cert : x)));
    if (ask.authority)
        extension(x, NID_basic_constraints, "critical,CA:TRUE");
    if (ask.alt)
        extension(x, NID_subject_alt_name, ask.alt);
    CHECK(X509_sign(x, ask.issuer ? ask.issuer->key : id->key, EVP_sha256()));
    CHECK(PEM_write_bio_X509(bio, x));
    id->cert_pem = pem_text(bio);
    bio = BIO_new(BIO_s_mem());
    CHECK(bio && PEM_write_bio_PrivateKey(bio, id->key, NULL, NULL, 0, NULL, NULL));
    id->key_pem = pem_text(bio);
}

static inline void identity_free(struct identity *id)
{
    X509_free(id->cert);
    EVP_PKEY_free(id->key);
    free(id->cert_pem);
    free(id->key_pem);
}

/* An authority, and a server of right.test and 127.0.0.1 by it. */
struct trust {
    struct identity ca, site;
};

static inline void trust_make(struct trust *t)
{
    identity_make(&t->ca, (struct identity_ask){.cn = "test authority", .authority = true});
    identity_make(&t->site, (struct identity_ask){.cn = "right.test",
                                                  .alt = "DNS:right.test,IP:127.0.0.1",
                                                  .issuer = &t->ca});
}

static inline void trust_free(struct trust *t)
{
    identity_free(&t->ca);
    identity_free(&t->site);
}

/* --- a stream in memory: two rings, and what may go wrong with them ------------------------ */

enum { RING_ROOM = 64 * 1024 };

struct ring {
    char bytes[RING_ROOM];
    size_t at, n, room; /* room: how much it takes */
    size_t piece;       /* at most so much a read; 0: all */
    size_t passed;      /* bytes read so far */
    size_t cut_at;      /* it ends there */
    size_t hold_at;     /* nothing is given beyond */
    size_t spoil_at;    /* the byte there is changed */
    bool closed;
    hob_event moved;
};

struct wire {
    struct ring to_server, to_client;
};

struct wire_end {
    struct ring *in, *out;
};

static inline int ring_init(struct ring *r)
{
    memset(r, 0, sizeof *r); /* it is larger than a stack */
    r->room = RING_ROOM;
    r->cut_at = r->hold_at = r->spoil_at = SIZE_MAX;
    return hob_event_init(&r->moved, "ring");
}

/* Until something has moved in the ring. */
static inline int ring_wait(struct ring *r, hob_time until)
{
    if (until == 0)
        return -ETIMEDOUT;
    hob_event_clear(&r->moved);
    return hob_event_wait(&r->moved, until);
}

static inline ssize_t wire_read(void *arg, void *buf, size_t n, hob_time until)
{
    struct ring *r = ((struct wire_end *)arg)->in;
    int rc = hob_check();

    while (rc == 0 && (r->n == 0 || r->passed == r->hold_at) && !r->closed && r->passed < r->cut_at)
        rc = ring_wait(r, until);
    if (rc < 0)
        return rc;
    size_t most = r->cut_at < r->hold_at ? r->cut_at : r->hold_at, left = most - r->passed;
    size_t k = r->n < n ? r->n : n;
    k = r->piece && r->piece < k ? r->piece : k;
    k = k < left ? k : left;
    for (size_t i = 0; i < k; i++, r->passed++) {
        ((char *)buf)[i] = r->bytes[r->at];
        if (r->passed == r->spoil_at)
            ((char *)buf)[i] ^= 1;
        r->at = (r->at + 1) % RING_ROOM;
    }
    r->n -= k;
    hob_event_set(&r->moved);
    return (ssize_t)k;
}

static inline ssize_t wire_write(void *arg, const void *buf, size_t n, hob_time until)
{
    struct ring *r = ((struct wire_end *)arg)->out;
    size_t done = 0;
    int rc = hob_check();

    while (rc == 0 && done < n) {
        if (r->closed)
            rc = -EPIPE;
        else if (r->n >= r->room)
            rc = ring_wait(r, until);
        for (; done < n && r->n < r->room && !r->closed; r->n++)
            r->bytes[(r->at + r->n) % RING_ROOM] = ((const char *)buf)[done++];
        hob_event_set(&r->moved);
    }
    return done > 0 ? (ssize_t)done : rc;
}

static inline void ring_hold(struct ring *r, size_t at)
{
    r->hold_at = at;
    hob_event_set(&r->moved);
}

static inline void ring_close(struct ring *r)
{
    r->closed = true;
    hob_event_set(&r->moved);
}

/* --- two ends ------------------------------------------------------------------------------ */

struct ends {
    hob_tls *client, *server;
    struct wire *wire; /* NULL: on sockets */
    struct wire_end at_client, at_server;
    int fds[2];
};

/* A client and a server that have said nothing yet. */
static inline int ends_open(struct ends *e, bool in_memory, hob_tls_ctx *client,
                            hob_tls_ctx *server, const char *name)
{
    struct hob_tls_opts c = {.size = sizeof c, .name = name}, s = {.size = sizeof s};
    int r = 0;

    *e = (struct ends){.fds = {-1, -1}};
    if (in_memory) {
        if (!(e->wire = malloc(sizeof *e->wire)))
            return -ENOMEM;
        if ((r = ring_init(&e->wire->to_server)) == 0)
            r = ring_init(&e->wire->to_client);
        e->at_client = (struct wire_end){&e->wire->to_client, &e->wire->to_server};
        e->at_server = (struct wire_end){&e->wire->to_server, &e->wire->to_client};
        c.read = s.read = wire_read;
        c.write = s.write = wire_write;
        c.arg = &e->at_client;
        s.arg = &e->at_server;
    } else {
        r = hob_unix_pair(e->fds);
    }
    if (r == 0)
        r = hob_tls_new(client, e->fds[0], &c, &e->client);
    if (r == 0)
        r = hob_tls_new(server, e->fds[1], &s, &e->server);
    return r;
}

static inline void ends_close(struct ends *e)
{
    hob_tls_free(e->client);
    hob_tls_free(e->server);
    free(e->wire);
    hob_close(e->fds[0]);
    hob_close(e->fds[1]);
}

static inline int shake(void *arg)
{
    return hob_tls_handshake(arg, HOB_FOREVER);
}

/* Both handshakes at once, whatever comes of them. */
static inline void ends_shake(struct ends *e, int *ret_client, int *ret_server)
{
    hob_group g;

    CHECK_INT(hob_group_open(&g, HOB_GROUP_OPTS(.supervise = true)), 0);
    CHECK_INT(hob_go_ret(&g, shake, e->client, ret_client), 0);
    CHECK_INT(hob_go_ret(&g, shake, e->server, ret_server), 0);
    CHECK_INT(hob_group_join(&g, 0), 0);
}

/* The body on both pollers, with 1 and 2 loops, and simulated over some seeds. */
static inline void everywhere_of(hob_fn body, void *arg, int seeds)
{
    setenv("HOB_LOOPS", "2", 1);
    on_pollers(body, arg, 0);
    unsetenv("HOB_LOOPS");
    on_pollers(body, arg, 0);
    for (int seed = 0; seed < seeds; seed++) {
        char text[16];
        snprintf(text, sizeof text, "%d", seed);
        setenv("HOB_SIM", text, 1);
        each_check(hob_run(NULL, body, arg), 0);
    }
    unsetenv("HOB_SIM");
}

static inline void everywhere(hob_fn body, void *arg)
{
    everywhere_of(body, arg, 20);
}

/* Contexts that go well together. */
static inline void contexts_make(const struct trust *t, struct hob_tls_ctx_opts *client,
                                 struct hob_tls_ctx_opts *server, hob_tls_ctx **ret_client,
                                 hob_tls_ctx **ret_server)
{
    struct hob_tls_ctx_opts c = {.size = sizeof c}, s = {.size = sizeof s};
    char why[HOB_TLS_WHY_MAX] = "";
    int r;

    if (!client)
        client = &c;
    if (!server)
        server = &s;
    client->size = server->size = sizeof c;
    client->why = server->why = why;
    if (!client->ca_pem && !client->ca_file && !client->insecure_trust_anyone)
        client->ca_pem = t->ca.cert_pem;
    server->server = true;
    if (!server->cert_pem) {
        server->cert_pem = t->site.cert_pem;
        server->key_pem = t->site.key_pem;
    }
    if ((r = hob_tls_ctx_new(client, ret_client)) < 0 ||
        (r = hob_tls_ctx_new(server, ret_server)) < 0)
        t_fail(__FILE__, __LINE__, "%s: %s", hob_strerror(r), why);
}

/* --- two ends whose handshake is done ------------------------------------------------------ */

typedef void (*talk_fn)(struct ends *e);

struct talk {
    hob_tls_ctx *client, *server;
    bool memory;
    talk_fn fn;
};

static inline int talk(void *arg)
{
    struct talk *t = arg;
    struct ends e;
    int a, b;

    CHECK_INT(ends_open(&e, t->memory || hob_simulated(), t->client, t->server, "right.test"), 0);
    ends_shake(&e, &a, &b);
    CHECK_INT(a, 0);
    CHECK_INT(b, 0);
    t->fn(&e);
    ends_close(&e);
    return 0;
}

static inline void talk_run(talk_fn fn, bool memory)
{
    struct talk t = {.fn = fn, .memory = memory};
    struct trust trust;

    trust_make(&trust);
    contexts_make(&trust, NULL, NULL, &t.client, &t.server);
    everywhere(talk, &t);
    hob_tls_ctx_free(t.client);
    hob_tls_ctx_free(t.server);
    trust_free(&trust);
}

static inline void says(hob_tls *t, const char *text)
{
    CHECK_INT(hob_tls_write(t, text, strlen(text), HOB_FOREVER), strlen(text));
}

static inline void hears(hob_tls *t, const char *text)
{
    char buf[256];
    size_t n = 0;

    while (n < strlen(text)) {
        ssize_t r = hob_tls_read(t, buf + n, strlen(text) - n, HOB_FOREVER);
        CHECK(r > 0);
        n += (size_t)r;
    }
    CHECK(memcmp(buf, text, n) == 0);
}

#endif

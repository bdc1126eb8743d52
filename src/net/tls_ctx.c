/* SPDX-License-Identifier: MIT
 *
 * tls_ctx.c - contexts: what many TLS connections have in common
 *
 * WHAT        An SSL_CTX that nobody changes once it is made, so that any thread may use it;
 *             beside it a client's sessions, which have a lock.
 *
 * HOW         A server that chooses by name: OpenSSL stops in the hello (SSL_CLIENT_HELLO_RETRY),
 *             the handshake's fiber asks ctx->choose, outside of OpenSSL and so free to park, and
 *             goes on with the context that it was given.
 *
 * INVARIANTS  (I1) a session is resumed only in the context that made it: each has a number of its
 *                  own as its session ID context.  Otherwise a client that one context refuses
 *                  could resume what another one gave it
 *             (I2) a context with `insecure` set is a client's, and shares no session with others
 *
 * REJECTED    The server's cache of sessions: tickets need no memory.
 *             Cipher lists as an option: what TLS 1.2 is left with here has forward secrecy and
 *               authenticated encryption; whoever needs less needs another library.
 *             Early data: it can be replayed.  Renegotiation: a read would have to write.
 */
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/opts.h"
#include "net/tls.h"

#define CIPHERS_12 "ECDHE+AESGCM:ECDHE+CHACHA20"

hob_tls_ctx *hob__tls_ctx_get(hob_tls_ctx *ctx)
{
    atomic_fetch_add_explicit(&ctx->refs, 1, memory_order_relaxed);
    return ctx;
}

void hob_tls_ctx_free(hob_tls_ctx *ctx)
{
    if (!ctx || atomic_fetch_sub_explicit(&ctx->refs, 1, memory_order_acq_rel) != 1)
        return;
    SSL_CTX_free(ctx->ssl);
    hob__tls_sessions_fini(&ctx->sessions);
    free(ctx->alpn);
    free(ctx);
}

/* {"h2", "http/1.1", NULL} as lengths and names.  -EINVAL: empty, or longer than 255 bytes. */
static int alpn_pack(const char *const *list, unsigned char **ret, unsigned *ret_n)
{
    size_t n = 0;
    unsigned char *p;

    for (const char *const *s = list; *s; s++) {
        if (!**s || strlen(*s) > 255)
            return -EINVAL;
        n += 1 + strlen(*s);
    }
    if (n == 0 || n > UINT16_MAX)
        return -EINVAL;
    if (!(p = malloc(n)))
        return -ENOMEM;
    *ret = p;
    *ret_n = (unsigned)n;
    for (const char *const *s = list; *s; s++) {
        size_t k = strlen(*s);
        *p++ = (unsigned char)k;
        memcpy(p, *s, k);
        p += k;
    }
    return 0;
}

/* A server's answer: its first that the client knows too. */
static int alpn_select(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                       const unsigned char *theirs, unsigned theirs_n, void *arg)
{
    const hob_tls_ctx *ctx = arg;

    (void)ssl;
    for (unsigned i = 0; i < ctx->alpn_n; i += 1u + ctx->alpn[i])
        for (unsigned k = 0; k < theirs_n && k + theirs[k] < theirs_n; k += 1u + theirs[k])
            if (ctx->alpn[i] == theirs[k] &&
                memcmp(ctx->alpn + i + 1, theirs + k + 1, theirs[k]) == 0) {
                *out = theirs + k + 1;
                *out_n = theirs[k];
                return SSL_TLSEXT_ERR_OK;
            }
    return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301, 3.2: no_application_protocol */
}

/* The name that a client asks for, "" if none: of the extension's list the first host name. */
static void hello_name(SSL *ssl, char to[TLS_NAME_MAX + 1])
{
    const unsigned char *p;
    size_t n, k;

    to[0] = '\0';
    if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &n) || n < 5)
        return;
    k = (size_t)p[3] << 8 | p[4];
    if (p[2] != TLSEXT_NAMETYPE_host_name || k > n - 5 || k > TLS_NAME_MAX || memchr(p + 5, 0, k))
        return; /* OpenSSL will say what it thinks of it */
    memcpy(to, p + 5, k);
    to[k] = '\0';
}

static int hello_seen(SSL *ssl, int *alert, void *arg)
{
    hob_tls *t = tls_of(ssl);

    (void)arg;
    if (t->chosen == TLS_CHOSEN)
        return SSL_CLIENT_HELLO_SUCCESS;
    if (t->chosen == TLS_NOT_CHOSEN) {
        hello_name(ssl, t->name);
        return SSL_CLIENT_HELLO_RETRY;
    }
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    return SSL_CLIENT_HELLO_ERROR;
}

/* A client was given something to resume by: under t->lock. */
static int session_came(SSL *ssl, SSL_SESSION *session)
{
    hob_tls *t = tls_of(ssl);

    if (!t->name[0] || !SSL_SESSION_is_resumable(session))
        return 0;
    hob__tls_session_put(&t->ctx->sessions, t->name, session);
    return 1;
}

static int opts_check(const struct hob_tls_ctx_opts *o)
{
    bool own = o->cert_file || o->cert_pem, ca = o->ca_file || o->ca_pem;

    if ((o->cert_file && o->cert_pem) || (o->key_file && o->key_pem) || (o->ca_file && o->ca_pem))
        return -EINVAL; /* one or the other */
    if (!own && (o->key_file || o->key_pem))
        return -EINVAL;
    if (o->server)
        return own && o->client_cert <= HOB_TLS_CERT_REQUIRED && !o->insecure_trust_anyone &&
                       ca == (o->client_cert != HOB_TLS_CERT_NONE)
                   ? 0
                   : -EINVAL;
    return !o->client_cert && !o->choose && !(ca && o->insecure_trust_anyone) ? 0 : -EINVAL;
}

static void ctx_sessions(hob_tls_ctx *ctx, bool no_resume)
{
    static atomic_uint_least64_t last;
    uint64_t number = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed);

    SSL_CTX_set_session_id_context(ctx->ssl, (unsigned char *)&number, sizeof number); /* (I1) */
    SSL_CTX_set_session_cache_mode(ctx->ssl, SSL_SESS_CACHE_OFF);
    if (no_resume) {
        SSL_CTX_set_options(ctx->ssl, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(ctx->ssl, 0);
    } else if (!ctx->server) {
        SSL_CTX_set_session_cache_mode(ctx->ssl,
                                       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(ctx->ssl, session_came);
    }
}

/* What the options say, but for certificates. */
static int ctx_tune(hob_tls_ctx *ctx, const struct hob_tls_ctx_opts *o)
{
    SSL_CTX *ssl = ctx->ssl;
    int verify = SSL_VERIFY_NONE, r = 0;

    if (o->server && o->client_cert)
        verify = SSL_VERIFY_PEER |
                 (o->client_cert == HOB_TLS_CERT_REQUIRED ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
    else if (!o->server && !o->insecure_trust_anyone)
        verify = SSL_VERIFY_PEER;
    SSL_CTX_set_verify(ssl, verify, hob__tls_verify);
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    if (!SSL_CTX_set_min_proto_version(ssl, o->tls13_only ? TLS1_3_VERSION : TLS1_2_VERSION) ||
        !SSL_CTX_set_cipher_list(ssl, CIPHERS_12))
        return -ENOMEM;
    ctx_sessions(ctx, o->no_resume);
    if (o->choose)
        SSL_CTX_set_client_hello_cb(ssl, hello_seen, NULL);
    if (o->alpn && (r = alpn_pack(o->alpn, &ctx->alpn, &ctx->alpn_n)) == 0) {
        if (o->server)
            SSL_CTX_set_alpn_select_cb(ssl, alpn_select, ctx);
        else if (SSL_CTX_set_alpn_protos(ssl, ctx->alpn, ctx->alpn_n) != 0)
            r = -ENOMEM;
    }
    return r;
}

int hob_tls_ctx_new(const struct hob_tls_ctx_opts *opts, hob_tls_ctx **ret)
{
    struct hob_tls_ctx_opts o;
    char why[HOB_TLS_WHY_MAX] = "";
    int r = hob__opts_copy(&o, sizeof o, opts);
    hob_tls_ctx *ctx;

    if (r < 0)
        return r;
    if (o.why)
        o.why[0] = '\0';
    if ((r = opts_check(&o)) < 0)
        return r;
    if (!(ctx = calloc(1, sizeof *ctx)))
        return -ENOMEM;
    atomic_init(&ctx->refs, 1);
    hob__tls_sessions_init(&ctx->sessions);
    ctx->server = o.server;
    ctx->insecure = o.insecure_trust_anyone; /* (I2) */
    ctx->offload = o.offload;
    ctx->tls13_only = o.tls13_only;
    ctx->choose = o.choose;
    ctx->choose_arg = o.choose_arg;
    ctx->ssl = SSL_CTX_new(o.server ? TLS_server_method() : TLS_client_method());
    r = ctx->ssl ? ctx_tune(ctx, &o) : -ENOMEM;
    if (r == 0)
        r = hob__tls_load(ctx->ssl, &o, why);
    ERR_clear_error();
    if (r < 0) {
        if (o.why)
            memcpy(o.why, why, sizeof why);
        hob_tls_ctx_free(ctx);
        return r;
    }
    *ret = ctx;
    return 0;
}

/* SPDX-License-Identifier: MIT
 *
 * tls.h - the inside of TLS: a context, a connection, and what its parts ask of each other
 *
 * tls_ctx.c makes contexts, tls_load.c reads certificates and keys for them, tls_session.c keeps
 * clients' sessions, tls_bio.c stands between OpenSSL and a connection's two buffers, tls_why.c
 * says why, tls.c does the rest.  What they share and who may touch it: tls.c.
 */
#ifndef HOB_NET_TLS_H
#define HOB_NET_TLS_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>

#include <hob/lock.h>
#include <hob/tls.h>

/* --- sessions of a client ------------------------------------------------------------------ */

enum { TLS_SESSIONS_MAX = 256, TLS_NAME_MAX = 255 };

/* What servers left, to be resumed; at most one a name, the longest unused gives way. */
struct tls_sessions {
    pthread_mutex_t lock; /* held for a look through the table */
    unsigned clock;
    struct tls_session {
        unsigned used; /* clock of the last use; 0: free place */
        uint32_t hash;
        char *name;
        SSL_SESSION *session;
    } * table; /* TLS_SESSIONS_MAX, or NULL before the first */
};

void hob__tls_sessions_init(struct tls_sessions *s);
void hob__tls_sessions_fini(struct tls_sessions *s);

/* Takes one over; it may be dropped. */
void hob__tls_session_put(struct tls_sessions *s, const char *name, SSL_SESSION *session);

/* The caller's to free; NULL: none.  One of TLS 1.3 is given out once, so that two connections
 * cannot be told to be the same client's. */
SSL_SESSION *hob__tls_session_get(struct tls_sessions *s, const char *name);

/* --- contexts ------------------------------------------------------------------------------ */

struct hob_tls_ctx {
    atomic_uint refs; /* its owner, and each connection */
    SSL_CTX *ssl;
    bool server, insecure, offload, tls13_only;
    hob_tls_choose_fn choose;
    void *choose_arg;
    unsigned char *alpn; /* as on the wire: lengths and names */
    unsigned alpn_n;
    struct tls_sessions sessions; /* client */
};

hob_tls_ctx *hob__tls_ctx_get(hob_tls_ctx *ctx);

/* Certificates and keys of the options: 0, or a negative errno and *why. */
int hob__tls_load(SSL_CTX *ssl, const struct hob_tls_ctx_opts *o, char why[HOB_TLS_WHY_MAX]);

/* --- connections --------------------------------------------------------------------------- */

/* One record, and what may come beside it. */
enum { TLS_ROOM = 18 * 1024, TLS_RECORD_MAX = 16 * 1024 };

struct tls_buf {
    char *p; /* NULL: none */
    size_t at, end;
};

enum tls_chosen { TLS_NOT_CHOSEN, TLS_CHOSEN, TLS_REFUSED };

struct hob_tls {
    /* Set when it is made. */
    hob_tls_ctx *first; /* whose connection it is; a server's may be given another one */
    hob_read_fn read;
    hob_write_fn write;
    void *arg;
    int fd;

    hob_mutex shaking;     /* whose handshake it is */
    hob_mutex reading;     /* who calls read */
    hob_mutex writing;     /* who calls write, and who hands bytes to OpenSSL */
    atomic_bool ready;     /* the handshake is done */
    atomic_size_t pending; /* hob_tls_pending: written with `lock`, which an operation on the pool
                              may hold for milliseconds, and read without */

    pthread_mutex_t lock; /* of all below; held while OpenSSL works, never while somebody parks */
    SSL *ssl;
    hob_tls_ctx *ctx;
    struct tls_buf in, out;
    uint64_t fed;                /* times that the stream below gave something */
    unsigned n_want;             /* fibers that want `reading` */
    bool eof, ended;             /* the stream below has ended; we have said that we do */
    bool gone;                   /* nobody is there to be told what t->out has */
    int dead;                    /* what every call returns from now on; 0: it lives */
    enum tls_chosen chosen;      /* by ctx->choose */
    char name[TLS_NAME_MAX + 1]; /* client: the peer's; server: asked for */
    char why[HOB_TLS_WHY_MAX];
    char peer[256], alpn[256]; /* once they were asked for: never changed again */
    unsigned alpn_n;
    unsigned char *der; /* the peer's certificate, once it was asked for */
    int der_n;
};

static inline hob_tls *tls_of(const SSL *ssl)
{
    return SSL_get_app_data(ssl);
}

/* With `lock`: what of t->out is still to be handed down. */
static inline size_t tls_left(const hob_tls *t)
{
    return t->gone ? 0 : t->out.end - t->out.at;
}

/* With `lock`, behind each change of t->out. */
static inline void tls_count(hob_tls *t)
{
    atomic_store_explicit(&t->pending, tls_left(t), memory_order_release);
}

/* Between OpenSSL and t->in, t->out: 0, -ENOMEM. */
int hob__tls_bio(hob_tls *t);

/* The connection has failed in OpenSSL: why, and t->dead, which it returns. */
int hob__tls_failed(hob_tls *t);

/* Writes one line, unless there is one already. */
void hob__tls_say(char why[HOB_TLS_WHY_MAX], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What OpenSSL's oldest error of this thread is, and no more errors there: 0 if there was none. */
int hob__tls_error(char why[HOB_TLS_WHY_MAX], const char *doing);

/* OpenSSL's, for each certificate of a chain that it does not like. */
int hob__tls_verify(int ok, X509_STORE_CTX *x);

#endif

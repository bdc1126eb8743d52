/* SPDX-License-Identifier: MIT */
#ifndef HOB_TLS_H
#define HOB_TLS_H

#include <stdbool.h>
#include <sys/types.h>

#include <hob/base.h>
#include <hob/buf.h>

HOB_BEGIN_DECLS

/*
 * TLS: a stream over any stream
 * =============================
 *
 * A context holds what many connections have in common: certificates, who is trusted, protocols
 * offered.  A connection runs over a descriptor, or over whatever reads and writes like hob_read
 * and hob_write, and is itself such a stream: hob_tls_stream_read and hob_tls_stream_write put a
 * hob_reader and a hob_writer, or another TLS, on top of it.
 *
 * TLS 1.2 and 1.3.  The peer's certificate and its name are verified unless a context says in so
 * many words that they shall not be; with no authority named, those of the system count.  Why
 * something was refused is said in one line.
 *
 * A connection belongs to a fiber's loop; fibers of others may use it too, at the price of
 * messages.  One fiber may read and another write it at the same time.  A cancel or `until` leaves
 * it as it is, and the next call goes on from there.  What a fiber's stack needs for it is less
 * than 24 KiB.
 */

enum { HOB_TLS_WHY_MAX = 320 }; /* bytes of a line that says why, with its NUL */

/** What many connections share: from any thread, as long as one of them lives. */
typedef struct hob_tls_ctx hob_tls_ctx;

/**
 * How a server chooses a context by the name that a client asks for, as it was sent: whatever holds
 * no NUL; "" if for none.
 * It runs on the fiber of the handshake, and may park.  0: *ret, which stays the function's own,
 * or if left NULL the context that asks; -ECANCELED, -ETIMEDOUT: not yet, the handshake's call
 * returns it, and the next call asks again; any other negative: the client is refused.
 */
typedef int (*hob_tls_choose_fn)(void *arg, const char *name, hob_time until, hob_tls_ctx **ret);

/** What a server wants of its clients. */
enum hob_tls_client_cert {
    HOB_TLS_CERT_NONE,     /* no certificate is asked for */
    HOB_TLS_CERT_IF_ANY,   /* who sends one must send a good one */
    HOB_TLS_CERT_REQUIRED, /* no client without one */
};

/** Zero is the default of every field. */
struct hob_tls_ctx_opts {
    size_t size;
    bool server;           /* what connections of this context are; else clients */
    const char *cert_file; /* own certificate and those that lead to its authority, in this order,
                              PEM; a server needs one, a client only if it is asked */
    const char *cert_pem;  /* the same as text */
    const char *key_file;  /* its private key, PEM, not encrypted; left out: beside cert_* */
    const char *key_pem;
    const char *ca_file;      /* authorities to trust, PEM, in place of the system's */
    const char *ca_pem;       /* the same as text */
    const char *const *alpn;  /* protocols, the preferred first, behind the last one NULL */
    unsigned client_cert;     /* server: enum hob_tls_client_cert; needs ca_* */
    hob_tls_choose_fn choose; /* server: another context for this name */
    void *choose_arg;         /* of choose */
    char *why; /* where the reason of a failure goes: room for HOB_TLS_WHY_MAX bytes, or NULL */
    bool insecure_trust_anyone; /* client: no certificate and no name is verified, so whoever
                                   stands between may answer */
    bool tls13_only;
    bool no_resume; /* every connection has a full handshake */
    bool offload;   /* the arithmetic of handshakes runs on the pool: for servers with RSA keys,
                       whose signature takes a millisecond.  Else on the loop */
};

#define HOB_TLS_CTX_OPTS(...)                                                                      \
    (&(struct hob_tls_ctx_opts){.size = sizeof(struct hob_tls_ctx_opts), __VA_ARGS__})

/**
 * hob_tls_ctx_new - a context
 * @ret: owned by the caller; untouched on failure
 *
 * It reads files, which are not looked at again: new certificates are a new context.  Except the
 * system's authorities: where they are a directory, OpenSSL looks there in a handshake for the one
 * that it needs, on the loop or with .offload on the pool.  ca_* is read here.
 *
 * Return: 0; -HOB_ETLS (a certificate or a key that is none, that do not belong together, or that
 * are too weak; .why says which); -ENOENT, -EACCES, ... (a file); -EINVAL (options that make no
 * sense together), -E2BIG, -ENOMEM.
 */
HOB_API HOB_MUST_CHECK HOB_ANY_THREAD int hob_tls_ctx_new(const struct hob_tls_ctx_opts *opts,
                                                          hob_tls_ctx **ret);

/** hob_tls_ctx_free - connections made of it keep what they need; NULL is a no-op. */
HOB_API HOB_ANY_THREAD void hob_tls_ctx_free(hob_tls_ctx *ctx);

/** A connection. */
typedef struct hob_tls hob_tls;

/** Zero is the default of every field. */
struct hob_tls_opts {
    size_t size;
    const char *name; /* client: a host name (international ones as "xn--...") or an address, which
                         the certificate must be for; not ".example.com" */
    hob_read_fn read; /* NULL, both of them: hob_read and hob_write of the descriptor.  One may be
                         called while the other is under way */
    hob_write_fn write;
    void *arg; /* of both */
};

#define HOB_TLS_OPTS(...) (&(struct hob_tls_opts){.size = sizeof(struct hob_tls_opts), __VA_ARGS__})

/**
 * hob_tls_new - a connection, on which nothing has been said yet
 * @fd:  a connected stream; stays yours to close; without meaning if .read and .write are given
 * @ret: owned by the caller; untouched on failure
 *
 * Return: 0; -EPERM (not on a fiber), -EINVAL (a client without a name that verifies, no name that
 * can be, or other options), -E2BIG, -ENOMEM.
 */
HOB_API HOB_MUST_CHECK int hob_tls_new(hob_tls_ctx *ctx, int fd, const struct hob_tls_opts *opts,
                                       hob_tls **ret);

/**
 * hob_tls_free - nobody uses it any more; NULL is a no-op
 *
 * It says nothing to the peer, who is told by hob_tls_end; the stream below stays open.
 */
HOB_API HOB_ANY_THREAD void hob_tls_free(hob_tls *t);

/**
 * hob_tls_handshake - agree with the peer, unless that has been done
 *
 * hob_tls_read and hob_tls_write do it too.  In TLS 1.3 a client has its part done before the
 * server has looked at its certificate: that it was refused is said by the first read.
 *
 * Return: 0; -HOB_ETLS: not agreed, the peer's certificate refused or ours, or no TLS at all
 * (hob_tls_why); -ETIMEDOUT, -ECANCELED: the next call goes on; -ENOMEM, -EPERM (not on a fiber);
 * or what the stream's functions returned.
 */
HOB_API HOB_MUST_CHECK HOB_PARKS int hob_tls_handshake(hob_tls *t, hob_time until);

/**
 * hob_tls_read - read what is there, parking until there is something
 *
 * Return: bytes; 0: the peer said that it ended; -HOB_ETRUNCATED: the stream below ended without
 * that, so somebody may have cut it; -ETIMEDOUT, -ECANCELED: no byte was taken; as
 * hob_tls_handshake: -HOB_ETLS (a record that is not the peer's, or an alert), -ENOMEM, -EPERM, ...
 */
HOB_API HOB_MUST_CHECK HOB_PARKS ssize_t hob_tls_read(hob_tls *t, void *buf, size_t n,
                                                      hob_time until);

/**
 * hob_tls_write - write all of it
 *
 * A byte counts once it is in a record.  If a cancel or `until` came while a record was on its way
 * down, the rest of it (hob_tls_pending) goes with the next hob_tls_write, hob_tls_flush or
 * hob_tls_end.
 *
 * Return: n; fewer if it failed after a part (the next call says how); -EPIPE (after hob_tls_end),
 * -HOB_ETLS, -HOB_ETRUNCATED, -ENOMEM, -EPERM, -ETIMEDOUT, -ECANCELED, or what the stream's
 * functions returned: no byte was taken.
 */
HOB_API HOB_MUST_CHECK HOB_PARKS ssize_t hob_tls_write(hob_tls *t, const void *buf, size_t n,
                                                       hob_time until);

/** hob_tls_pending - bytes of records that the stream below has not taken yet. */
HOB_API HOB_ANY_THREAD size_t hob_tls_pending(hob_tls *t);

/** hob_tls_flush - hand them down: 0; -ENOTCONN (no handshake yet), or as hob_tls_write, and the
 * rest stays pending. */
HOB_API HOB_MUST_CHECK HOB_PARKS int hob_tls_flush(hob_tls *t, hob_time until);

/**
 * hob_tls_end - tell the peer that nothing more will be written (close_notify); idempotent
 *
 * What the peer still writes can be read.
 *
 * Return: 0; -ENOTCONN (no handshake yet), else as hob_tls_flush.
 */
HOB_API HOB_MUST_CHECK HOB_PARKS int hob_tls_end(hob_tls *t, hob_time until);

/**
 * hob_tls_finish - hob_tls_end, and wait until the peer has said the same
 *
 * What it writes meanwhile is read and dropped.  Many peers just close, which is -HOB_ETRUNCATED
 * here and no harm where all that was awaited has been read.
 *
 * Return: 0, or as hob_tls_end and hob_tls_read.
 */
HOB_API HOB_MUST_CHECK HOB_PARKS int hob_tls_finish(hob_tls *t, hob_time until);

/** hob_tls_why - one line that says why it failed, until hob_tls_free; "" if it has not. */
HOB_API HOB_ANY_THREAD const char *hob_tls_why(const hob_tls *t);

/** What was agreed on.  A result: set .size before the call.  Texts live until hob_tls_free. */
struct hob_tls_info {
    size_t size;
    unsigned version;   /* 12, 13 */
    bool resumed;       /* by what an earlier connection left */
    bool verified;      /* the peer has a certificate, and it was verified */
    const char *cipher; /* "TLS_AES_256_GCM_SHA384" */
    const char *alpn;   /* the protocol; NULL: none */
    const char *name;   /* client: its peer's; server: what the client asked for; NULL: none */
    const char
        *peer; /* whom the peer's certificate is for: "CN = right.test, O = ..."; NULL: none */
    const void *peer_der; /* that certificate */
    size_t peer_der_n;
};

/** hob_tls_info_get - 0; -ENOTCONN (no handshake yet), -ENOMEM, -EINVAL (size). */
HOB_API HOB_MUST_CHECK HOB_ANY_THREAD int hob_tls_info_get(hob_tls *t, struct hob_tls_info *ret);

/** hob_tls_stream_read - hob_tls_read of the connection `arg`, as a hob_read_fn. */
HOB_API HOB_MUST_CHECK HOB_PARKS ssize_t hob_tls_stream_read(void *arg, void *buf, size_t n,
                                                             hob_time until);

/** hob_tls_stream_write - hob_tls_write of the connection `arg`, as a hob_write_fn. */
HOB_API HOB_MUST_CHECK HOB_PARKS ssize_t hob_tls_stream_write(void *arg, const void *buf, size_t n,
                                                              hob_time until);

HOB_END_DECLS
#endif

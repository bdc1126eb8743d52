/* SPDX-License-Identifier: MIT
 *
 * tls_why.c - one line that says why
 *
 * OpenSSL's errors are a queue of the thread's: it is emptied before each call (tls.c) and read
 * right behind it, on the same thread.  What was wrong with a certificate is told while it is
 * looked at, when it is still known which one of the chain it was.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/opts.h"
#include "net/tls.h"

void hob__tls_say(char why[HOB_TLS_WHY_MAX], const char *format, ...)
{
    va_list args;

    if (why[0])
        return;
    va_start(args, format);
    vsnprintf(why, HOB_TLS_WHY_MAX, format, args);
    va_end(args);
    for (char *p = why; *p; p++) /* one line, whatever a certificate says */
        if ((unsigned char)*p < ' ' || *p == 127)
            *p = '?';
}

/* OpenSSL knows the alerts of TLS 1.3 only as reasons of errors: "tlsv13 alert ...". */
static const char *alert_text(int alert, const char *reason)
{
    const char *text = SSL_alert_desc_string_long(alert);

    return strcmp(text, "unknown") != 0 || !reason ? text : reason;
}

int hob__tls_error(char why[HOB_TLS_WHY_MAX], const char *doing)
{
    unsigned long e = ERR_peek_error();
    int reason = ERR_GET_REASON(e);
    const char *text = ERR_reason_error_string(e);

    ERR_clear_error();
    if (e == 0)
        return 0;
    if (reason == ERR_R_MALLOC_FAILURE) {
        hob__tls_say(why, "%s: no memory", doing);
        return -ENOMEM;
    }
    if (ERR_GET_LIB(e) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET)
        hob__tls_say(why, "%s: the peer refused: %s", doing,
                     alert_text(reason - SSL_AD_REASON_OFFSET, text));
    else if (ERR_GET_LIB(e) == ERR_LIB_SSL &&
             (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST))
        hob__tls_say(why, "%s: the peer does not speak TLS (%s)", doing, text);
    else
        hob__tls_say(why, "%s: %s", doing, text ? text : "unknown error");
    return -HOB_ETLS;
}

/* "CN = right.test, O = Right". */
static void name_text(const X509_NAME *name, char *to, size_t room)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    long n = 0;

    to[0] = '\0';
    if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB) > 0 &&
        (n = BIO_get_mem_data(bio, &text)) > 0)
        snprintf(to, room, "%.*s", (int)n, text);
    BIO_free(bio);
}

/* Whom a certificate is for, of its alternative names: "right.test, 127.0.0.1". */
static void alternatives(X509 *x, char *to, size_t room)
{
    GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    size_t at = 0;

    to[0] = '\0';
    for (int i = 0; i < sk_GENERAL_NAME_num(all) && at + 1 < room; i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);
        const char *comma = at ? ", " : "";
        if (g->type != GEN_DNS && g->type != GEN_IPADD)
            continue;
        const ASN1_STRING *s = g->type == GEN_DNS ? g->d.dNSName : g->d.iPAddress;
        const unsigned char *p = ASN1_STRING_get0_data(s);
        int n = ASN1_STRING_length(s), k = 0;
        if (g->type == GEN_DNS)
            k = snprintf(to + at, room - at, "%s%.*s", comma, n, (const char *)p);
        else if (n == 4)
            k = snprintf(to + at, room - at, "%s%d.%d.%d.%d", comma, p[0], p[1], p[2], p[3]);
        at += (size_t)k;
    }
    GENERAL_NAMES_free(all);
}

static void time_text(const ASN1_TIME *when, char to[32])
{
    struct tm tm;

    to[0] = '\0';
    if (ASN1_TIME_to_tm(when, &tm))
        strftime(to, 32, "%Y-%m-%d %H:%M:%S", &tm);
}

int hob__tls_verify(int ok, X509_STORE_CTX *x)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(x, SSL_get_ex_data_X509_STORE_CTX_idx());
    X509 *cert = X509_STORE_CTX_get_current_cert(x);
    int error = X509_STORE_CTX_get_error(x);
    char subject[160] = "the peer", issuer[160] = "", when[32];
    hob_tls *t = tls_of(ssl);

    if (ok || t->ctx->insecure || t->why[0])
        return ok;
    if (cert) {
        name_text(X509_get_subject_name(cert), subject, sizeof subject);
        name_text(X509_get_issuer_name(cert), issuer, sizeof issuer);
    }
    if (cert &&
        (error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH)) {
        alternatives(cert, issuer, sizeof issuer);
        hob__tls_say(t->why, "the certificate is not for %s, but for %s", t->name,
                     issuer[0] ? issuer : subject);
    } else if (cert && error == X509_V_ERR_CERT_HAS_EXPIRED) {
        time_text(X509_get0_notAfter(cert), when);
        hob__tls_say(t->why, "the certificate of %s has expired on %s UTC", subject, when);
    } else if (cert && error == X509_V_ERR_CERT_NOT_YET_VALID) {
        time_text(X509_get0_notBefore(cert), when);
        hob__tls_say(t->why, "the certificate of %s is not valid before %s UTC", subject, when);
    } else {
        hob__tls_say(t->why, "the certificate of %s, issued by %s: %s", subject, issuer,
                     X509_verify_cert_error_string(error));
    }
    return 0;
}

int hob__tls_failed(hob_tls *t)
{
    bool ready = atomic_load_explicit(&t->ready, memory_order_relaxed);
    int r = -HOB_ETLS;

    if (t->eof && t->in.at == t->in.end) {
        hob__tls_say(t->why, ready ? "the stream ended, and the peer did not say so"
                                   : "the peer closed the connection in the handshake");
        ERR_clear_error();
        t->gone = true; /* t->out is of who holds `writing`, and may be half handed down */
        tls_count(t);
        r = ready ? -HOB_ETRUNCATED : -HOB_ETLS;
    } else if (hob__tls_error(t->why, ready ? "TLS" : "TLS handshake") == -ENOMEM) {
        r = -ENOMEM;
    }
    hob__tls_say(t->why, ready ? "the peer ended inside a message"
                               : "the peer closed the connection in the handshake");
    HOB_ASSERT(t->dead == 0); /* (I6) of tls.c */
    t->dead = r;
    return r;
}

/* The peer's certificate in t->der and t->peer: 0, -ENOMEM. */
static int tls_peer(hob_tls *t)
{
    X509 *cert = SSL_get0_peer_certificate(t->ssl);

    if (!cert || t->der)
        return 0;
    int n = i2d_X509(cert, &t->der);
    if (n < 0) {
        ERR_clear_error();
        return -ENOMEM;
    }
    name_text(X509_get_subject_name(cert), t->peer, sizeof t->peer);
    t->der_n = n;
    return 0;
}

/* "h2" and not "h2" with bytes behind it: what OpenSSL has is not ended by a NUL. */
static const char *tls_alpn(hob_tls *t)
{
    const unsigned char *p;
    unsigned n;

    SSL_get0_alpn_selected(t->ssl, &p, &n);
    if (n > 0 && t->alpn_n == 0) { /* who asked before may be reading it */
        memcpy(t->alpn, p, n);
        t->alpn[n] = '\0';
        t->alpn_n = n;
    }
    return n > 0 ? t->alpn : NULL;
}

int hob_tls_info_get(hob_tls *t, struct hob_tls_info *ret)
{
    struct hob_tls_info i = {.size = sizeof i};

    if (!atomic_load_explicit(&t->ready, memory_order_acquire))
        return -ENOTCONN;
    pthread_mutex_lock(&t->lock);
    int r = tls_peer(t);
    const char *asked =
        t->ctx->server ? SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name) : NULL;
    if (asked && !t->name[0])
        snprintf(t->name, sizeof t->name, "%s", asked);
    i.version = SSL_version(t->ssl) == TLS1_3_VERSION ? 13 : 12;
    i.resumed = SSL_session_reused(t->ssl);
    i.verified = t->der && !t->ctx->insecure && SSL_get_verify_result(t->ssl) == X509_V_OK;
    i.cipher = SSL_get_cipher_name(t->ssl);
    i.alpn = tls_alpn(t);
    i.name = t->name[0] ? t->name : NULL;
    i.peer = t->der ? t->peer : NULL;
    i.peer_der = t->der;
    i.peer_der_n = (size_t)t->der_n;
    pthread_mutex_unlock(&t->lock);
    return r < 0 ? r : hob__result_copy(ret, &i, sizeof i);
}

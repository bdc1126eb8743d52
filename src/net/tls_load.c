/* SPDX-License-Identifier: MIT
 *
 * tls_load.c - a context's certificates, key and authorities, from files or text
 *
 * REJECTED    OpenSSL's own loaders of files: they say nothing of which file, and by themselves ask
 *               the terminal for the password of an encrypted key.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#include "net/tls.h"

struct load {
    SSL_CTX *ssl;
    char *why;
    BIO *in;
    char what[160]; /* "the certificate in /etc/x.pem" */
};

/* Opens the file, or the text where there is no file. */
static int load_open(struct load *l, const char *what, const char *file, const char *pem)
{
    FILE *f = NULL;

    snprintf(l->what, sizeof l->what, "%s in %s", what, file ? file : "the text given");
    if (file && !(f = fopen(file, "re"))) {
        int r = -errno;
        hob__tls_say(l->why, "%s: %s", l->what, hob_strerror(r));
        return r;
    }
    l->in = f ? BIO_new_fp(f, BIO_CLOSE) : BIO_new_mem_buf(pem, -1);
    if (!l->in && f)
        fclose(f);
    return l->in ? 0 : -ENOMEM;
}

static void load_close(struct load *l)
{
    BIO_free(l->in);
    l->in = NULL;
}

static int load_failed(struct load *l)
{
    int r = hob__tls_error(l->why, l->what);

    return r < 0 ? r : -HOB_ETLS;
}

/* Nobody is asked for a key's password. */
static int no_password(char *to, int room, int writing, void *arg)
{
    (void)to, (void)room, (void)writing, (void)arg;
    return -1;
}

/* The next certificate; NULL at the end, or with *ret_rc set. */
static X509 *load_next(struct load *l, int *ret_rc)
{
    X509 *x = PEM_read_bio_X509(l->in, NULL, no_password, NULL);
    unsigned long e = ERR_peek_last_error();

    if (!x && ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE)
        ERR_clear_error();
    else if (!x)
        *ret_rc = load_failed(l);
    return x;
}

/* The first is ours, the others lead to its authority. */
static int load_chain(struct load *l)
{
    int r = 0;
    X509 *x = load_next(l, &r);

    if (!x && r == 0) {
        hob__tls_say(l->why, "%s: there is none", l->what);
        return -HOB_ETLS;
    }
    if (x && !SSL_CTX_use_certificate(l->ssl, x))
        r = load_failed(l);
    X509_free(x);
    while (r == 0 && (x = load_next(l, &r)))
        if (!SSL_CTX_add0_chain_cert(l->ssl, x)) {
            X509_free(x);
            r = load_failed(l);
        }
    return r;
}

static int load_key(struct load *l)
{
    EVP_PKEY *key = PEM_read_bio_PrivateKey(l->in, NULL, no_password, NULL);
    int r = 0;

    if (!key || !SSL_CTX_use_PrivateKey(l->ssl, key))
        r = load_failed(l);
    else if (!SSL_CTX_check_private_key(l->ssl))
        r = load_failed(l);
    EVP_PKEY_free(key);
    return r;
}

/* Authorities to trust; a server tells its clients whose certificates it takes. */
static int load_authorities(struct load *l, bool tell)
{
    X509_STORE *store = SSL_CTX_get_cert_store(l->ssl);
    int r = 0, n = 0;
    X509 *x;

    for (; r == 0 && (x = load_next(l, &r)); n++) {
        if (!X509_STORE_add_cert(store, x) || (tell && !SSL_CTX_add_client_CA(l->ssl, x)))
            r = load_failed(l);
        X509_free(x);
    }
    if (r == 0 && n == 0) {
        hob__tls_say(l->why, "%s: there is none", l->what);
        r = -HOB_ETLS;
    }
    return r;
}

static int load_own(struct load *l, const struct hob_tls_ctx_opts *o)
{
    bool apart = o->key_file || o->key_pem;
    int r = load_open(l, "the certificate", o->cert_file, o->cert_pem);

    if (r == 0)
        r = load_chain(l);
    load_close(l);
    if (r == 0)
        r = load_open(l, "the key", apart ? o->key_file : o->cert_file,
                      apart ? o->key_pem : o->cert_pem);
    if (r == 0)
        r = load_key(l);
    load_close(l);
    return r;
}

int hob__tls_load(SSL_CTX *ssl, const struct hob_tls_ctx_opts *o, char why[HOB_TLS_WHY_MAX])
{
    struct load l = {.ssl = ssl, .why = why};
    int r = 0;

    ERR_clear_error();
    if (o->cert_file || o->cert_pem)
        r = load_own(&l, o);
    if (r == 0 && (o->ca_file || o->ca_pem)) {
        r = load_open(&l, "the authorities", o->ca_file, o->ca_pem);
        if (r == 0)
            r = load_authorities(&l, o->server);
        load_close(&l);
    } else if (r == 0 && !o->server && !o->insecure_trust_anyone &&
               !SSL_CTX_set_default_verify_paths(ssl)) {
        snprintf(l.what, sizeof l.what, "the system's authorities");
        r = load_failed(&l);
    }
    ERR_clear_error();
    return r;
}

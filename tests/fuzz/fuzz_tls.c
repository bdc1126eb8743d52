/* SPDX-License-Identifier: MIT
 *
 * fuzz_tls.c - bytes for one end of TLS; or two ends, and what is done to the bytes between them
 *
 * The first byte: 0 a client, 1 a server is given the rest, 255 ends a piece.  2: a client and a
 * server talk, and each four bytes of the rest are an edit: direction and kind, position (two
 * bytes), value.  Whatever happens, an end gets what the other one wrote, from its first byte on,
 * or is told that something is wrong.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#include <hob/hob.h>

#include "fuzz/fuzz.h"

enum { WIRE_ROOM = 64 * 1024, SPOKEN = 3000, ROUNDS = 40 };
enum edit { EDIT_CHANGE, EDIT_DROP, EDIT_CUT, EDIT_KINDS };

/* From one end to the other; nobody waits. */
struct wire {
    uint8_t bytes[WIRE_ROOM];
    size_t at, end, written;
    bool closed;
    int direction;
    const uint8_t *edits;
    size_t n_edits;
};

struct end {
    struct wire *in, *out;
    size_t heard;
};

static struct wire wires[2];
static hob_tls_ctx *ctx[2]; /* client, server */
static const uint8_t *input;
static size_t input_n;

static char spoken(size_t i)
{
    return (char)(i * 31 + i / 251);
}

/* A byte on its way: what the edits make of it.  False: it does not arrive. */
static bool wire_edit(struct wire *w, uint8_t *byte)
{
    size_t at = w->written++;

    for (const uint8_t *e = w->edits; e < w->edits + 4 * w->n_edits; e += 4) {
        if ((e[0] & 1) != w->direction || (size_t)(e[1] << 8 | e[2]) != at)
            continue;
        switch (e[0] / 2 % EDIT_KINDS) {
        case EDIT_CHANGE:
            *byte ^= e[3];
            break;
        case EDIT_CUT:
            w->closed = true;
            return false;
        default:
            return false;
        }
    }
    return !w->closed;
}

static ssize_t wire_write(void *arg, const void *buf, size_t n, hob_time until)
{
    struct wire *w = ((struct end *)arg)->out;

    (void)until;
    for (size_t i = 0; i < n; i++) {
        uint8_t byte = ((const uint8_t *)buf)[i];
        if (wire_edit(w, &byte) && w->end < WIRE_ROOM)
            w->bytes[w->end++] = byte;
    }
    return (ssize_t)n;
}

static ssize_t wire_read(void *arg, void *buf, size_t n, hob_time until)
{
    struct wire *w = ((struct end *)arg)->in;
    size_t k = w->end - w->at < n ? w->end - w->at : n;

    (void)until;
    if (k == 0)
        return w->closed ? 0 : -ETIMEDOUT;
    memcpy(buf, w->bytes + w->at, k);
    w->at += k;
    return (ssize_t)k;
}

/* Pieces of the input, as they were cut. */
static ssize_t input_read(void *arg, void *buf, size_t n, hob_time until)
{
    size_t k = 0;

    (void)arg, (void)until;
    while (k < n && k < input_n && (k == 0 || input[k - 1] != 255))
        k++;
    memcpy(buf, input, k);
    input += k;
    input_n -= k;
    return (ssize_t)k;
}

static ssize_t nowhere_write(void *arg, const void *buf, size_t n, hob_time until)
{
    (void)arg, (void)buf, (void)until;
    return (ssize_t)n;
}

static hob_tls *end_new(int server, hob_read_fn read, hob_write_fn write, void *arg)
{
    hob_tls *t;

    FUZZ_CHECK(hob_tls_new(ctx[server], -1,
                           HOB_TLS_OPTS(.name = server ? NULL : "fuzz.test", .read = read,
                                        .write = write, .arg = arg),
                           &t) == 0);
    return t;
}

static void one_end(int server)
{
    hob_tls *t = end_new(server, input_read, nowhere_write, NULL);
    int r = hob_tls_handshake(t, HOB_FOREVER);

    FUZZ_CHECK(r == -HOB_ETLS && *hob_tls_why(t));
    FUZZ_CHECK(hob_tls_handshake(t, HOB_FOREVER) == r);
    hob_tls_free(t);
}

static bool may_be(ssize_t r)
{
    return r >= 0 || r == -ETIMEDOUT || r == -HOB_ETLS || r == -HOB_ETRUNCATED;
}

/* Whatever can be read now: what was spoken, in order. */
static void end_listens(hob_tls *t, struct end *e)
{
    char buf[700];
    ssize_t r;

    while ((r = hob_tls_read(t, buf, sizeof buf, 0)) > 0)
        for (ssize_t i = 0; i < r; i++)
            FUZZ_CHECK(buf[i] == spoken(e->heard++));
    FUZZ_CHECK(may_be(r) && e->heard <= SPOKEN);
    FUZZ_CHECK(r != 0 || e->heard == SPOKEN); /* an end that was announced is the end */
}

static void two_ends(void)
{
    char text[SPOKEN];
    int live = 0;

    for (size_t i = 0; i < SPOKEN; i++)
        text[i] = spoken(i);
    for (int d = 0; d < 2; d++) {
        struct wire *w = &wires[d];
        w->at = w->end = w->written = 0;
        w->closed = false;
        w->direction = d;
        w->edits = input;
        w->n_edits = input_n / 4;
    }
    struct end ends[2] = {{&wires[0], &wires[1], 0}, {&wires[1], &wires[0], 0}};
    hob_tls *t[2];
    for (int i = 0; i < 2; i++)
        t[i] = end_new(i, wire_read, wire_write, &ends[i]);
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < 2; i++)
            FUZZ_CHECK(may_be(hob_tls_handshake(t[i], 0)));
    for (int i = 0; i < 2; i++) {
        ssize_t r = hob_tls_write(t[i], text, SPOKEN, 0);
        FUZZ_CHECK(may_be(r));
        live += r == SPOKEN && hob_tls_end(t[i], 0) == 0;
    }
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < 2; i++)
            end_listens(t[i], &ends[i]);
    FUZZ_CHECK(input_n >= 4 || (live == 2 && ends[0].heard == SPOKEN && ends[1].heard == SPOKEN));
    hob_tls_free(t[0]);
    hob_tls_free(t[1]);
}

static int on_fiber(void *arg)
{
    int mode = *(int *)arg;

    if (mode == 2)
        two_ends();
    else
        one_end(mode);
    return 0;
}

/* A certificate that lives as long as this program. */
static void contexts_make(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    BIO *bio = BIO_new(BIO_s_mem());
    char *pem;

    FUZZ_CHECK(key && x && bio && X509_set_version(x, 2) && X509_set_pubkey(x, key));
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -86400);
    X509_gmtime_adj(X509_getm_notAfter(x), 400L * 86400);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)"fuzz.test", -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    FUZZ_CHECK(X509_sign(x, key, EVP_sha256()) && PEM_write_bio_X509(bio, x) &&
               PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) &&
               BIO_write(bio, "", 1) == 1);
    BIO_get_mem_data(bio, &pem);
    FUZZ_CHECK(hob_tls_ctx_new(HOB_TLS_CTX_OPTS(.ca_pem = pem, .no_resume = true), &ctx[0]) == 0);
    FUZZ_CHECK(hob_tls_ctx_new(HOB_TLS_CTX_OPTS(.server = true, .cert_pem = pem, .no_resume = true),
                               &ctx[1]) == 0);
    BIO_free(bio);
    X509_free(x);
    EVP_PKEY_free(key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 1)
        return 0;
    if (!ctx[0]) {
        setenv("HOB_SIM", "1", 1); /* one thread, and no descriptor */
        contexts_make();
    }
    int mode = data[0] % 3;
    input = data + 1;
    input_n = n - 1;
    FUZZ_CHECK(hob_run(NULL, on_fiber, &mode) == 0);
    return 0;
}

/* SPDX-License-Identifier: MIT
 *
 * tls_bio.c - between OpenSSL and a connection's two buffers
 *
 * WHAT        OpenSSL reads from t->in and writes to t->out, under t->lock.  An empty t->in and a
 *             full t->out are "try again": who called OpenSSL then moves bytes, without the lock.
 *
 * INVARIANTS  (I1) bytes between out.at and out.end stay where they are: who holds t->writing hands
 *                  them down without the lock.  So nothing is moved to the front here
 *             (I2) the end of the stream below is told only behind its last byte
 *
 * REJECTED    OpenSSL's memory BIO: it moves bytes about, grows without a bound, and what it holds
 *               cannot be lent to a write that parks.
 *             Calling the stream from here, parking inside OpenSSL: its errors are a queue of the
 *               thread's, and the connection could not be written while it is read.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "net/tls.h"

static int bio_read(BIO *bio, char *to, size_t n, size_t *ret_n)
{
    hob_tls *t = BIO_get_data(bio);
    size_t held = t->in.end - t->in.at, k = n < held ? n : held;

    BIO_clear_retry_flags(bio);
    if (k == 0) {
        if (!t->eof)
            BIO_set_retry_read(bio);
        return 0; /* (I2) */
    }
    memcpy(to, t->in.p + t->in.at, k);
    t->in.at += k;
    *ret_n = k;
    return 1;
}

static int bio_write(BIO *bio, const char *from, size_t n, size_t *ret_n)
{
    hob_tls *t = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (!t->out.p)
        t->out.p = malloc(TLS_ROOM);
    size_t room = t->out.p ? TLS_ROOM - t->out.end : 0, k = n < room ? n : room;
    if (k == 0) {
        BIO_set_retry_write(bio);
        return 0;
    }
    memcpy(t->out.p + t->out.end, from, k); /* (I1) */
    t->out.end += k;
    tls_count(t);
    *ret_n = k;
    return 1;
}

static long bio_ctrl(BIO *bio, int what, long number, void *pointer)
{
    const hob_tls *t = BIO_get_data(bio);

    (void)number, (void)pointer;
    if (what == BIO_CTRL_EOF)
        return t->eof && t->in.at == t->in.end;
    return what == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method; /* never freed: at exit threads may still be using it */

static void method_make(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "hob");

    if (m && BIO_meth_set_read_ex(m, bio_read) && BIO_meth_set_write_ex(m, bio_write) &&
        BIO_meth_set_ctrl(m, bio_ctrl))
        method = m;
    else
        BIO_meth_free(m);
}

int hob__tls_bio(hob_tls *t)
{
    static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;
    BIO *bio;

    pthread_mutex_lock(&making); /* not pthread_once: without memory it is tried again */
    if (!method)
        method_make();
    BIO_METHOD *m = method;
    pthread_mutex_unlock(&making);
    if (!m || !(bio = BIO_new(m)))
        return -ENOMEM;
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(t->ssl, bio, bio);
    return 0;
}

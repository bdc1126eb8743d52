/* SPDX-License-Identifier: MIT
 *
 * tls.c - TLS connections: a stream over any stream
 *
 * WHAT        OpenSSL as a machine that turns bytes into bytes.  It knows no descriptor and never
 *             waits; whoever needs what it asks for moves bytes between it and the stream below,
 *             and parks there.
 *
 * HOW         a writer                                                       a reader
 *                -> OpenSSL -> out ==write==> the stream below ==read==> in -> OpenSSL ->
 *                  `--- lock ---'   writing                      reading   `-- lock --'
 *
 *   A writer holds `writing` for its whole call: the rest of the record before goes down, then one
 *   record is made and goes down, and so on.  A reader asks OpenSSL first, and holds `reading` only
 *   while it takes more from below.  What OpenSSL wants to say while it reads (an alert, the answer
 *   to a change of keys) a reader hands down only if nobody writes and without waiting, else it
 *   goes with what is written next: two peers whose readers wait to write would wait for each
 *   other.  A handshake is one fiber's, which holds `shaking`; the others wait for it there.
 *
 *   A message of the handshake's kind that comes later, a ticket, may lie in several records.
 *   While it is half read OpenSSL writes nothing.  A writer then takes from below too; `fed` tells
 *   it that somebody else did while it waited for `reading`.
 *
 * INVARIANTS  (I1) OpenSSL and all that `lock` is of is touched with it held, and nobody parks who
 *                  holds it.  It is a plain mutex: fibers of two loops may meet there, for the time
 *                  that a record takes
 *             (I2) who reads below holds `reading`, and t->in is empty until it is done
 *             (I3) who writes below holds `writing`, or `shaking` until the connection is ready;
 *                  nobody else moves out.at or empties t->out, not even who finds that nobody is
 *                  there any more (`gone`); bytes go down in the order in which OpenSSL made them,
 *                  each once
 *             (I4) application bytes are given to OpenSSL by who holds `writing`, with nothing in
 *                  t->out: a whole record always has room, so none is half made when a call ends
 *             (I5) who holds `reading` waits for no mutex, and a reader for none that a writer
 *                  holds while it parks; but where reading alone has filled t->out, it must
 *             (I6) `dead` is set once; OpenSSL is not called after it
 *
 * REJECTED    One mutex for a connection: a reader that waits for the peer would keep writers out.
 *             Only fibers of one loop, which would need no `lock`: two stages of a flow that share
 *               a connection may live on two loops.
 *             Giving bytes back when `until` comes while their record is on its way: OpenSSL has
 *               counted the record.  Go declares the connection broken; here the rest of the
 *               record is kept and goes first next time.
 *             Every handshake on the pool: it waits there behind jobs of any length, at nice 19.
 */
#include "net/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include <hob/bridge.h>
#include <hob/fiber.h>
#include <hob/net.h>

#include "base/assert.h"
#include "base/opts.h"
#include "sched/life.h"
#include "sched/park.h"

/* What a step of OpenSSL's came to, if it is not a negative errno. */
enum step { STEP_DONE, STEP_END, STEP_IN, STEP_OUT, STEP_CHOOSE };

/* --- a connection's life ------------------------------------------------------------------- */

static ssize_t read_fd(void *arg, void *buf, size_t n, hob_time until)
{
    return hob_read(((const hob_tls *)arg)->fd, buf, n, until);
}

static ssize_t write_fd(void *arg, const void *buf, size_t n, hob_time until)
{
    return hob_write(((const hob_tls *)arg)->fd, buf, n, until);
}

/* Whom a client talks to: told to the server if it is a name, and what it must prove to be. */
static int tls_name(hob_tls *t, const char *name)
{
    size_t n = strlen(name);
    struct in6_addr a;

    if (n > 0 && name[n - 1] == '.') /* "right.test." is right.test's full name */
        n--;
    if (n == 0 || n > TLS_NAME_MAX || name[0] == '.') /* OpenSSL: any name below ".right.test" */
        return -EINVAL;
    memcpy(t->name, name, n);
    if (inet_pton(AF_INET, t->name, &a) == 1 || inet_pton(AF_INET6, t->name, &a) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(t->ssl), t->name) ? 0 : -ENOMEM;
    SSL_set_hostflags(t->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(t->ssl, t->name) && SSL_set_tlsext_host_name(t->ssl, t->name) ? 0
                                                                                       : -ENOMEM;
}

static int tls_setup(hob_tls *t, const struct hob_tls_opts *o)
{
    SSL_SESSION *session;
    int r;

    if (!(t->ssl = SSL_new(t->ctx->ssl)) || !SSL_set_app_data(t->ssl, t))
        return -ENOMEM;
    if ((r = hob__tls_bio(t)) < 0)
        return r;
    if (t->ctx->server) {
        SSL_set_accept_state(t->ssl);
        return 0;
    }
    SSL_set_connect_state(t->ssl);
    if (o->name && (r = tls_name(t, o->name)) < 0)
        return r;
    if (o->name && (session = hob__tls_session_get(&t->ctx->sessions, t->name))) {
        SSL_set_session(t->ssl, session); /* if it cannot: a full handshake */
        SSL_SESSION_free(session);
    }
    return 0;
}

int hob_tls_new(hob_tls_ctx *ctx, int fd, const struct hob_tls_opts *opts, hob_tls **ret)
{
    struct hob_tls_opts o;
    int r = hob__opts_copy(&o, sizeof o, opts);
    hob_tls *t;

    if (r < 0)
        return r;
    if (!o.read != !o.write || (ctx->server && o.name) ||
        (!ctx->server && !ctx->insecure && !o.name))
        return -EINVAL;
    if (!hob_on_fiber())
        return hob__off_fiber();
    if (!(t = calloc(1, sizeof *t)))
        return -ENOMEM;
    t->read = o.read ? o.read : read_fd;
    t->write = o.write ? o.write : write_fd;
    t->arg = o.read ? o.arg : t;
    t->fd = fd;
    t->ctx = hob__tls_ctx_get(ctx);
    t->first = hob__tls_ctx_get(ctx);
    pthread_mutex_init(&t->lock, NULL);
    if ((r = hob_mutex_init(&t->shaking, "tls handshake")) == 0 &&
        (r = hob_mutex_init(&t->reading, "tls read")) == 0 &&
        (r = hob_mutex_init(&t->writing, "tls write")) == 0)
        r = tls_setup(t, &o);
    ERR_clear_error();
    if (r < 0) {
        hob_tls_free(t);
        return r;
    }
    *ret = t;
    return 0;
}

void hob_tls_free(hob_tls *t)
{
    if (!t)
        return;
    /* OpenSSL makes sessions useless whose connection it was not told to close; RFC 8446 does not.
     */
    if (t->ssl && t->dead == 0 && atomic_load_explicit(&t->ready, memory_order_acquire))
        SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(t->ssl);
    hob_tls_ctx_free(t->ctx);
    hob_tls_ctx_free(t->first);
    pthread_mutex_destroy(&t->lock);
    OPENSSL_free(t->der);
    free(t->in.p);
    free(t->out.p);
    free(t);
}

const char *hob_tls_why(const hob_tls *t)
{
    return t->why;
}

/* --- bytes to and from the stream below ---------------------------------------------------- */

size_t hob_tls_pending(hob_tls *t)
{
    return atomic_load_explicit(&t->pending, memory_order_acquire);
}

/* What of t->out is still to be handed down; if nothing, its memory is given back. */
static size_t push_next(hob_tls *t, const char **ret)
{
    pthread_mutex_lock(&t->lock);
    size_t n = tls_left(t);
    if (n > 0) {
        *ret = t->out.p + t->out.at;
    } else {
        free(t->out.p);
        t->out = (struct tls_buf){.p = NULL};
    }
    pthread_mutex_unlock(&t->lock);
    return n;
}

/* With `writing`: all that OpenSSL has written goes down.  (I3) */
static int tls_push(hob_tls *t, hob_time until)
{
    const char *p;
    size_t n;

    while ((n = push_next(t, &p)) > 0) {
        ssize_t r = t->write(t->arg, p, n, until);
        if (r <= 0)
            return r == 0 ? -EIO : (int)r;
        HOB_ASSERT(r <= (ssize_t)n);
        pthread_mutex_lock(&t->lock);
        t->out.at += (size_t)r;
        tls_count(t);
        pthread_mutex_unlock(&t->lock);
    }
    return 0;
}

/* Without `writing`: what a reader made OpenSSL say, if that can be without waiting. */
static void tls_push_if_free(hob_tls *t)
{
    if (hob_tls_pending(t) == 0 || hob_mutex_lock(&t->writing, 0) < 0)
        return; /* (I5): who writes hands it down */
    (void)tls_push(t, 0);
    hob_mutex_unlock(&t->writing);
}

/* What the stream gave: n bytes, its end if 0. */
static void feed_came(hob_tls *t, ssize_t n)
{
    HOB_ASSERT(n <= TLS_ROOM && t->in.at == t->in.end); /* (I2) */
    pthread_mutex_lock(&t->lock);
    t->in.at = 0;
    t->in.end = (size_t)n;
    t->eof = n == 0;
    t->fed++;
    pthread_mutex_unlock(&t->lock);
}

/* With `reading`: takes something from below, unless it was fed since `fed` was seen. */
static int feed_locked(hob_tls *t, uint64_t fed, hob_time until)
{
    pthread_mutex_lock(&t->lock);
    bool need = t->fed == fed && !t->eof;
    if (need && !t->in.p)
        t->in.p = malloc(TLS_ROOM);
    char *p = t->in.p;
    pthread_mutex_unlock(&t->lock);
    if (!need)
        return 0;
    if (!p)
        return -ENOMEM;
    ssize_t n = t->read(t->arg, p, TLS_ROOM, until);
    if (n >= 0)
        feed_came(t, n);
    return n < 0 ? (int)n : 0;
}

/* Adds to the number of those who want `reading`, and returns it as it was. */
static unsigned feed_want(hob_tls *t, int n)
{
    pthread_mutex_lock(&t->lock);
    unsigned before = t->n_want;
    t->n_want += (unsigned)n;
    pthread_mutex_unlock(&t->lock);
    return before;
}

/* Until the stream has given something since `fed` was seen: 0, or a negative errno. */
static int tls_feed(hob_tls *t, uint64_t fed, hob_time until)
{
    /* Who waits for `reading` may need only what has just come: it goes first. */
    if (feed_want(t, 1) > 0)
        (void)hob_yield();
    int r = hob_mutex_lock(&t->reading, until);
    feed_want(t, -1);
    if (r == 0) {
        r = feed_locked(t, fed, until);
        hob_mutex_unlock(&t->reading);
    }
    return r;
}

/* --- steps of OpenSSL ---------------------------------------------------------------------- */

/* Under `lock`, behind a call of OpenSSL that returned `rc`.  Where nobody reads, an end that the
 * peer announces comes in the middle of a message. */
static int step_of(hob_tls *t, int rc, bool reads)
{
    switch (SSL_get_error(t->ssl, rc)) {
    case SSL_ERROR_NONE:
        return STEP_DONE;
    case SSL_ERROR_ZERO_RETURN:
        return reads ? STEP_END : hob__tls_failed(t);
    case SSL_ERROR_WANT_READ:
        return STEP_IN;
    case SSL_ERROR_WANT_WRITE:
        return t->out.p ? STEP_OUT : -ENOMEM;
    case SSL_ERROR_WANT_CLIENT_HELLO_CB:
        return STEP_CHOOSE;
    default:
        return hob__tls_failed(t);
    }
}

enum what { WHAT_HANDSHAKE, WHAT_READ, WHAT_WRITE, WHAT_END };

struct op {
    hob_tls *t;
    enum what what;
    void *buf;
    const void *cbuf;
    size_t n, done;
    uint64_t fed; /* before the step */
    int step;
};

static int op_call(struct op *op)
{
    SSL *ssl = op->t->ssl;

    switch (op->what) {
    case WHAT_READ:
        return SSL_read_ex(ssl, op->buf, op->n, &op->done);
    case WHAT_WRITE:
        return SSL_write_ex(ssl, op->cbuf, op->n, &op->done);
    case WHAT_END: /* what is half read must be read first */
        return SSL_in_init(ssl) ? SSL_do_handshake(ssl) : SSL_shutdown(ssl);
    default:
        return SSL_do_handshake(ssl);
    }
}

static int op_step_locked(struct op *op)
{
    hob_tls *t = op->t;

    op->fed = t->fed;
    if (t->dead)
        return t->dead; /* (I6) */
    if (op->what >= WHAT_WRITE && t->ended)
        return -EPIPE;
    if (op->what == WHAT_WRITE && SSL_get_shutdown(t->ssl) & SSL_SENT_SHUTDOWN)
        return -EPIPE; /* an end that could not be said yet: to OpenSSL a write is an error now */
    if (op->what == WHAT_WRITE && t->out.at < t->out.end)
        return STEP_OUT; /* (I4): a reader has put something there */
    if (op->what == WHAT_WRITE && !t->out.p && !(t->out.p = malloc(TLS_ROOM)))
        return -ENOMEM;
    bool last = op->what == WHAT_END && !SSL_in_init(t->ssl);
    ERR_clear_error();
    int rc = op_call(op);
    if (last && rc >= 0) { /* 0: the peer has not said it yet */
        t->ended = true;
        return STEP_DONE;
    }
    int step = step_of(t, rc, op->what == WHAT_READ);
    return op->what == WHAT_END && step == STEP_DONE ? STEP_OUT : step;
}

/* One call of OpenSSL, on whatever thread. */
static int op_step(void *arg)
{
    struct op *op = arg;

    pthread_mutex_lock(&op->t->lock);
    op->step = op_step_locked(op);
    pthread_mutex_unlock(&op->t->lock);
    return 0;
}

/* --- the handshake ------------------------------------------------------------------------- */

/* ctx takes the first one's place, with all that a connection copied from it. */
static int tls_switch(hob_tls *t, hob_tls_ctx *ctx)
{
    int r = -ENOMEM;

    pthread_mutex_lock(&t->lock);
    if (SSL_set_SSL_CTX(t->ssl, ctx->ssl) &&
        SSL_set_min_proto_version(t->ssl, SSL_CTX_get_min_proto_version(ctx->ssl))) {
        SSL_set_verify(t->ssl, SSL_CTX_get_verify_mode(ctx->ssl), hob__tls_verify);
        SSL_clear_options(t->ssl, SSL_CTX_get_options(t->ctx->ssl));
        SSL_set_options(t->ssl, SSL_CTX_get_options(ctx->ssl));
        SSL_set_num_tickets(t->ssl, SSL_CTX_get_num_tickets(ctx->ssl));
        hob_tls_ctx_free(t->ctx); /* t->first still has it */
        t->ctx = hob__tls_ctx_get(ctx);
        r = 0;
    }
    pthread_mutex_unlock(&t->lock);
    return r;
}

static int tls_choose(hob_tls *t, hob_time until)
{
    hob_tls_ctx *ctx = NULL;
    int r = t->first->choose(t->first->choose_arg, t->name, until, &ctx);

    if (r == -ECANCELED || r == -ETIMEDOUT)
        return r;
    if (r >= 0 && ctx && !ctx->server)
        r = HOB_MISUSE(-EINVAL, "a client's context is chosen for a server");
    if (r >= 0 && ctx)
        r = tls_switch(t, ctx);
    pthread_mutex_lock(&t->lock);
    if (r < 0)
        hob__tls_say(t->why, "nobody here is \"%s\": %s", t->name, hob_strerror(r));
    t->chosen = r < 0 ? TLS_REFUSED : TLS_CHOSEN;
    pthread_mutex_unlock(&t->lock);
    return 0;
}

/* With `shaking`. */
static int handshake_locked(hob_tls *t, hob_time until)
{
    struct op op = {.t = t, .what = WHAT_HANDSHAKE};
    int r = 0;

    while (!atomic_load_explicit(&t->ready, memory_order_relaxed)) {
        r = t->first->offload ? hob_offload(op_step, &op, until) : op_step(&op);
        if (r < 0)
            return r;
        if (op.step < 0) {
            (void)tls_push(t, 0); /* an alert: the peer may know why */
            return op.step;
        }
        if (op.step == STEP_CHOOSE)
            r = tls_choose(t, until);
        else if ((r = tls_push(t, until)) == 0 && op.step == STEP_IN)
            r = tls_feed(t, op.fed, until);
        if (r < 0)
            return r;
        if (op.step == STEP_DONE)
            atomic_store_explicit(&t->ready, true, memory_order_release);
    }
    return 0;
}

/* Every call that parks begins here: 0, or a negative errno. */
static int tls_enter(hob_tls *t, hob_time until)
{
    struct fiber *f = hob__self();
    int r = f ? hob__check(f) : hob__off_fiber();

    if (r < 0 || atomic_load_explicit(&t->ready, memory_order_acquire))
        return r;
    if ((r = hob_mutex_lock(&t->shaking, until)) == 0) {
        r = handshake_locked(t, until);
        hob_mutex_unlock(&t->shaking);
    }
    return r;
}

int hob_tls_handshake(hob_tls *t, hob_time until)
{
    return tls_enter(t, until);
}

/* --- reading ------------------------------------------------------------------------------- */

/* All that is pending goes down. */
static int tls_push_all(hob_tls *t, hob_time until)
{
    int r = hob_mutex_lock(&t->writing, until);

    if (r == 0) {
        r = tls_push(t, until);
        hob_mutex_unlock(&t->writing);
    }
    return r;
}

ssize_t hob_tls_read(hob_tls *t, void *buf, size_t n, hob_time until)
{
    struct op op = {.t = t, .what = WHAT_READ, .buf = buf, .n = n};
    int r = tls_enter(t, until);

    if (n == 0)
        return r;
    while (r == 0) {
        op_step(&op);
        if (op.step != STEP_OUT)
            tls_push_if_free(t);
        if (op.step == STEP_DONE)
            return (ssize_t)op.done;
        if (op.step == STEP_END || op.step < 0)
            return op.step < 0 ? op.step : 0;
        r = op.step == STEP_OUT ? tls_push_all(t, until) : tls_feed(t, op.fed, until);
    }
    return r;
}

/* --- writing ------------------------------------------------------------------------------- */

/* With `writing`: until op is done, which may make a record; not until that has gone down. */
static int write_step(struct op *op, hob_time until)
{
    hob_tls *t = op->t;
    int r;

    do {
        op_step(op);
        if (op->step == STEP_DONE || op->step < 0)
            return op->step;
        if ((r = tls_push(t, until)) == 0 && op->step == STEP_IN)
            r = tls_feed(t, op->fed, until);
    } while (r == 0);
    return r;
}

/* With `writing`. */
static ssize_t write_locked(hob_tls *t, const char *buf, size_t n, hob_time until)
{
    size_t done = 0;
    int r = 0;

    while (r == 0 && done < n) {
        struct op op = {.t = t, .what = WHAT_WRITE, .cbuf = buf + done, .n = n - done};
        if (op.n > TLS_RECORD_MAX)
            op.n = TLS_RECORD_MAX;
        if ((r = hob__check(hob__self())) == 0 && (r = write_step(&op, until)) == 0)
            done += op.done;
    }
    if (r == 0)
        r = tls_push(t, until); /* what remains is pending */
    return done > 0 ? (ssize_t)done : r;
}

ssize_t hob_tls_write(hob_tls *t, const void *buf, size_t n, hob_time until)
{
    ssize_t r = tls_enter(t, until);

    if (r == 0 && (r = hob_mutex_lock(&t->writing, until)) == 0) {
        r = write_locked(t, buf, n, until);
        hob_mutex_unlock(&t->writing);
    }
    return r;
}

/* After the handshake only: 0, or a negative errno. */
static int tls_enter_ready(const hob_tls *t)
{
    struct fiber *f = hob__self();
    int r = f ? hob__check(f) : hob__off_fiber();

    return r < 0 || atomic_load_explicit(&t->ready, memory_order_acquire) ? r : -ENOTCONN;
}

int hob_tls_flush(hob_tls *t, hob_time until)
{
    int r = tls_enter_ready(t);

    return r < 0 ? r : tls_push_all(t, until);
}

int hob_tls_end(hob_tls *t, hob_time until)
{
    struct op op = {.t = t, .what = WHAT_END};
    int r = tls_enter_ready(t);

    if (r == 0 && (r = hob_mutex_lock(&t->writing, until)) == 0) {
        r = write_step(&op, until);
        if (r == 0 || r == -EPIPE) /* now, or before */
            r = tls_push(t, until);
        hob_mutex_unlock(&t->writing);
    }
    return r;
}

int hob_tls_finish(hob_tls *t, hob_time until)
{
    char dropped[1024];
    ssize_t r = hob_tls_end(t, until);

    if (r == 0)
        do
            r = hob_tls_read(t, dropped, sizeof dropped, until);
        while (r > 0);
    return (int)r;
}

ssize_t hob_tls_stream_read(void *arg, void *buf, size_t n, hob_time until)
{
    return hob_tls_read(arg, buf, n, until);
}

ssize_t hob_tls_stream_write(void *arg, const void *buf, size_t n, hob_time until)
{
    return hob_tls_write(arg, buf, n, until);
}

/* SPDX-License-Identifier: MIT
 *
 * TLS as a stream: between two connections of ours, on sockets and in memory.
 */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/tls.h"
#include "tls_util.h"

/* --- a flood in both directions ------------------------------------------------------------ */

struct flood {
    hob_tls_ctx *client, *server;
    size_t bytes, piece, room; /* of the wire in memory; 0: as it comes */
    bool memory;
};

struct side {
    hob_tls *tls;
    size_t bytes;
    unsigned from, to; /* of the patterns */
};

static unsigned char pattern(unsigned from, size_t i)
{
    return (unsigned char)((i * 31 + i / 251 + from * 97) & 255);
}

static int side_writes(void *arg)
{
    struct side *s = arg;
    unsigned char buf[3000];
    size_t at = 0;

    while (at < s->bytes) {
        size_t n = 1 + at * 7 % sizeof buf, left = s->bytes - at;
        n = n < left ? n : left;
        for (size_t i = 0; i < n; i++)
            buf[i] = pattern(s->from, at + i);
        ssize_t r = hob_tls_write(s->tls, buf, n, HOB_FOREVER);
        if (r < 0)
            return (int)r;
        at += (size_t)r;
    }
    return hob_tls_end(s->tls, HOB_FOREVER);
}

static int side_reads(void *arg)
{
    struct side *s = arg;
    unsigned char buf[5000];
    size_t at = 0;
    ssize_t n;

    while ((n = hob_tls_read(s->tls, buf, sizeof buf, HOB_FOREVER)) > 0)
        for (ssize_t i = 0; i < n; i++, at++)
            CHECK_INT(buf[i], pattern(s->to, at));
    if (n == 0)
        CHECK_INT(at, s->bytes);
    return (int)n;
}

static void flooded(struct flood *f, bool spread)
{
    struct ends e;
    hob_group g;

    CHECK_INT(ends_open(&e, f->memory || hob_simulated(), f->client, f->server, "right.test"), 0);
    if (e.wire) {
        e.wire->to_client.piece = e.wire->to_server.piece = f->piece;
        e.wire->to_client.room = e.wire->to_server.room = f->room ? f->room : RING_ROOM;
    }
    struct side c = {e.client, f->bytes, 1, 2}, s = {e.server, f->bytes, 2, 1};
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = spread));
    if (r == 0 && (r = hob_go(&g, side_writes, &c)) == 0 && (r = hob_go(&g, side_reads, &c)) == 0 &&
        (r = hob_go(&g, side_writes, &s)) == 0)
        r = hob_go(&g, side_reads, &s);
    CHECK_INT(hob_group_join(&g, r), 0);
    CHECK_INT(hob_tls_pending(e.client) + hob_tls_pending(e.server), 0);
    ends_close(&e);
}

static int flood(void *arg)
{
    flooded(arg, false);
    return 0;
}

static int flood_spread(void *arg)
{
    flooded(arg, !hob_simulated());
    return 0;
}

static void flood_run(hob_fn body, struct flood f, struct hob_tls_ctx_opts server)
{
    struct trust t;

    trust_make(&t);
    contexts_make(&t, NULL, &server, &f.client, &f.server);
    everywhere(body, &f);
    hob_tls_ctx_free(f.client);
    hob_tls_ctx_free(f.server);
    trust_free(&t);
}

TEST(both_ends_write_and_read_at_once)
{
    flood_run(flood, (struct flood){.bytes = 300 * 1000}, (struct hob_tls_ctx_opts){.size = 0});
}

TEST(readers_and_writers_of_one_connection_live_on_several_loops)
{
    flood_run(flood_spread, (struct flood){.bytes = 300 * 1000},
              (struct hob_tls_ctx_opts){.size = 0});
}

TEST(bytes_come_one_by_one)
{
    flood_run(flood, (struct flood){.bytes = 3000, .piece = 1, .memory = true},
              (struct hob_tls_ctx_opts){.size = 0});
}

TEST(a_stream_below_that_takes_little)
{
    flood_run(flood, (struct flood){.bytes = 30 * 1000, .room = 100, .memory = true},
              (struct hob_tls_ctx_opts){.size = 0});
}

TEST(handshakes_on_the_pool)
{
    flood_run(flood, (struct flood){.bytes = 1000}, (struct hob_tls_ctx_opts){.offload = true});
}

static void half_closed(struct ends *e)
{
    char c;

    says(e->client, "the last");
    CHECK_INT(hob_tls_end(e->client, HOB_FOREVER), 0);
    CHECK_INT(hob_tls_end(e->client, HOB_FOREVER), 0);
    CHECK_INT(hob_tls_write(e->client, "x", 1, HOB_FOREVER), -EPIPE);
    hears(e->server, "the last");
    CHECK_INT(hob_tls_read(e->server, &c, 1, HOB_FOREVER), 0);
    CHECK_INT(hob_tls_read(e->server, &c, 1, HOB_FOREVER), 0);
    says(e->server, "an answer all the same");
    hears(e->client, "an answer all the same");
    CHECK_INT(hob_tls_read(e->client, &c, 1, 0), -ETIMEDOUT);
    CHECK_INT(hob_tls_finish(e->client, hob_in(HOB_MS)), -ETIMEDOUT);
    says(e->server, "that nobody waits for");
    CHECK_INT(hob_tls_finish(e->server, HOB_FOREVER), 0);
    CHECK_INT(hob_tls_finish(e->client, HOB_FOREVER), 0);
    CHECK_STR(hob_tls_why(e->client), "");
}

TEST(one_direction_ends_and_the_other_goes_on)
{
    talk_run(half_closed, false);
}

static void cut_off(struct ends *e)
{
    char c;

    says(e->server, "whole");
    if (e->wire) {
        ring_close(&e->wire->to_client);
    } else {
        hob_close(e->fds[1]);
        e->fds[1] = -1;
    }
    hears(e->client, "whole");
    for (int i = 0; i < 2; i++)
        CHECK_INT(hob_tls_read(e->client, &c, 1, HOB_FOREVER), -HOB_ETRUNCATED);
    CHECK_INT(hob_tls_write(e->client, &c, 1, HOB_FOREVER), -HOB_ETRUNCATED);
    CHECK(strstr(hob_tls_why(e->client), "did not say so"));
}

TEST(an_end_that_the_peer_did_not_announce_is_told_apart)
{
    talk_run(cut_off, false);
}

static void cut_in_a_record(struct ends *e)
{
    struct ring *r = &e->wire->to_client;
    char c;

    says(e->server, "first");
    hears(e->client, "first");
    r->cut_at = r->passed + 10;
    says(e->server, "never whole");
    CHECK_INT(hob_tls_read(e->client, &c, 1, HOB_FOREVER), -HOB_ETRUNCATED);
}

TEST(an_end_inside_a_record)
{
    talk_run(cut_in_a_record, true);
}

static void spoilt(struct ends *e)
{
    char c;

    says(e->server, "first");
    hears(e->client, "first");
    e->wire->to_client.spoil_at = e->wire->to_client.passed + 10;
    says(e->server, "changed on its way");
    for (int i = 0; i < 2; i++)
        CHECK_INT(hob_tls_read(e->client, &c, 1, HOB_FOREVER), -HOB_ETLS);
    CHECK(strstr(hob_tls_why(e->client), "bad record mac"));
    CHECK_INT(hob_tls_read(e->server, &c, 1, HOB_FOREVER), -HOB_ETLS); /* an alert came */
    CHECK(strstr(hob_tls_why(e->server), "refused"));
}

TEST(a_changed_byte_is_noticed_and_the_peer_told)
{
    talk_run(spoilt, true);
}

enum { FLOOD = 4 << 20 }; /* more than any socket takes by itself */

static char flood_text[FLOOD];

static int floods(void *arg)
{
    struct ends *e = arg;
    ssize_t r = hob_tls_write(e->server, flood_text, FLOOD, HOB_FOREVER);

    CHECK(r > 0 && r < FLOOD);
    CHECK_INT(hob_tls_write(e->server, "x", 1, HOB_FOREVER), -HOB_ETRUNCATED);
    if (e->wire)
        ring_close(&e->wire->to_client);
    return e->wire ? 0 : hob_sock_shutdown(e->fds[1], SHUT_WR);
}

/* The peer ends without a word but reads on, while a writer is in the middle of a record: a reader
 * finds it out, and the writer is left with what it has. */
static void cut_off_while_writing(struct ends *e)
{
    static char taken[TLS_RECORD_MAX];
    hob_group g;
    ssize_t r;
    char c;

    if (e->wire)
        e->wire->to_client.room = 1000;
    CHECK_INT(hob_group_open(&g, NULL), 0);
    CHECK_INT(hob_go(&g, floods, e), 0);
    while (hob_tls_pending(e->server) == 0)
        CHECK_INT(hob_yield(), 0);
    if (e->wire)
        ring_close(&e->wire->to_server);
    else
        CHECK_INT(hob_sock_shutdown(e->fds[0], SHUT_WR), 0);
    CHECK_INT(hob_tls_read(e->server, &c, 1, HOB_FOREVER), -HOB_ETRUNCATED);
    CHECK_INT(hob_tls_pending(e->server), 0);
    while ((r = hob_tls_read(e->client, taken, sizeof taken, HOB_FOREVER)) > 0)
        CHECK(memcmp(taken, flood_text, (size_t)r) == 0);
    CHECK_INT(r, -HOB_ETRUNCATED);
    CHECK_INT(hob_group_join(&g, 0), 0);
}

TEST(an_end_while_a_record_is_on_its_way)
{
    talk_run(cut_off_while_writing, false);
}

/* --- time ---------------------------------------------------------------------------------- */

static void nothing_at_once(struct ends *e)
{
    char c[8];

    CHECK_INT(hob_tls_read(e->client, c, 8, 0), -ETIMEDOUT);
    CHECK_INT(hob_tls_read(e->client, c, 8, hob_in(HOB_MS)), -ETIMEDOUT);
    CHECK_INT(hob_tls_write(e->server, "12345678", 8, 0), 8);
    CHECK_INT(hob_tls_read(e->client, c, 0, 0), 0);
    CHECK_INT(hob_tls_read(e->client, c, 8, HOB_FOREVER), 8);
    CHECK(memcmp(c, "12345678", 8) == 0);
}

TEST(until_0_takes_what_is_there)
{
    talk_run(nothing_at_once, false);
}

/* What was taken arrives, once and in order, however often the writer's time was over. */
static void small_times(struct ends *e)
{
    struct side s = {.tls = e->client, .bytes = 200 * 1000, .to = 1};
    static unsigned char text[200 * 1000];
    size_t at = 0;
    hob_group g;

    for (size_t i = 0; i < sizeof text; i++)
        text[i] = pattern(1, i);
    while (hob_tls_pending(e->server) == 0) { /* until nobody below takes any more */
        ssize_t r = hob_tls_write(e->server, text + at, sizeof text - at, hob_in(HOB_MS));
        CHECK(r > 0 || r == -ETIMEDOUT);
        at += r > 0 ? (size_t)r : 0;
        CHECK(at < sizeof text);
    }
    CHECK_INT(hob_tls_flush(e->server, 0), -ETIMEDOUT);
    CHECK_INT(hob_group_open(&g, NULL), 0);
    CHECK_INT(hob_go(&g, side_reads, &s), 0);
    CHECK_INT(hob_tls_flush(e->server, HOB_FOREVER), 0);
    while (at < sizeof text) {
        ssize_t r = hob_tls_write(e->server, text + at, sizeof text - at, hob_in(10 * HOB_US));
        CHECK(r > 0 || r == -ETIMEDOUT);
        at += r > 0 ? (size_t)r : 0;
    }
    CHECK_INT(hob_tls_end(e->server, HOB_FOREVER), 0);
    CHECK_INT(hob_group_join(&g, 0), 0);
}

TEST(a_record_on_its_way_when_time_is_over_is_pending)
{
    talk_run(small_times, true);
}

static int handshake_slowly(void *arg)
{
    struct flood *f = arg;
    struct ends e;
    int a = 1, b = 1, n = 0;

    CHECK_INT(ends_open(&e, hob_simulated(), f->client, f->server, "right.test"), 0);
    CHECK_INT(hob_tls_end(e.client, HOB_FOREVER), -ENOTCONN);
    while (a != 0 || b != 0) {
        CHECK(a != 0 || b != 0);
        a = hob_tls_handshake(e.client, 0);
        b = hob_tls_handshake(e.server, 0);
        CHECK((a == 0 || a == -ETIMEDOUT) && (b == 0 || b == -ETIMEDOUT));
        CHECK(n++ < 10);
    }
    says(e.server, "hello");
    hears(e.client, "hello");
    ends_close(&e);
    return 0;
}

TEST(a_handshake_goes_on_where_its_time_was_over)
{
    flood_run(handshake_slowly, (struct flood){.bytes = 0}, (struct hob_tls_ctx_opts){.size = 0});
}

/* --- what comes after the handshake -------------------------------------------------------- */

static int hears_one(void *arg)
{
    char c;

    return (int)hob_tls_read(arg, &c, 1, HOB_FOREVER);
}

static void key_changes(struct ends *e)
{
    for (int i = 0; i < 5; i++) {
        CHECK_INT(SSL_key_update(e->server->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        says(e->server, "with a new key");
        hears(e->client, "with a new key");
        CHECK_INT(hob_tls_pending(e->client), 0); /* its answer has gone down */
        says(e->client, "mine too");
        hears(e->server, "mine too");
    }
}

TEST(keys_change)
{
    talk_run(key_changes, false);
}

/* A reader has something to say, an alert, and below there is no room for it. */
static void alert_in_a_full_stream(struct ends *e)
{
    struct ring *out = &e->wire->to_server;
    char c;

    out->room = out->n;
    e->wire->to_client.spoil_at = e->wire->to_client.passed + e->wire->to_client.n + 10;
    says(e->server, "changed on its way");
    CHECK_INT(hob_tls_read(e->client, &c, 1, HOB_FOREVER), -HOB_ETLS);
    CHECK(hob_tls_pending(e->client) > 0);
    out->room = RING_ROOM;
    CHECK_INT(hob_tls_flush(e->client, HOB_FOREVER), 0);
    CHECK_INT(hob_tls_read(e->server, &c, 1, HOB_FOREVER), -HOB_ETLS);
}

TEST(a_reader_does_not_wait_to_write)
{
    talk_run(alert_in_a_full_stream, true);
}

/* The tickets lie in several records, of which the client has the first. */
static int half_a_ticket(void *arg)
{
    struct flood *f = arg;
    struct ends e;
    hob_group g;
    int a = 1, b = 1;

    CHECK_INT(ends_open(&e, true, f->client, f->server, "right.test"), 0);
    CHECK_INT(SSL_set_max_send_fragment(e.server->ssl, 512), 1);
    for (int i = 0; i < 10 && (a || b); i++) {
        a = hob_tls_handshake(e.client, 0);
        b = hob_tls_handshake(e.server, 0);
    }
    CHECK(a == 0 && b == 0);
    struct ring *in = &e.wire->to_client;
    CHECK(in->n > 700);
    ring_hold(in, in->passed + 540);
    CHECK_INT(hob_tls_read(e.client, &a, sizeof a, 0), -ETIMEDOUT);
    CHECK(SSL_in_init(e.client->ssl));
    CHECK_INT(hob_tls_write(e.client, "x", 1, 0), -ETIMEDOUT);
    CHECK_INT(hob_tls_end(e.client, 0), -ETIMEDOUT);
    CHECK_INT(hob_group_open(&g, NULL), 0);
    if (f->piece) /* somebody reads meanwhile, and goes on doing so */
        CHECK_INT(hob_go(&g, hears_one, e.client), 0);
    CHECK_INT(hob_yield(), 0);
    CHECK_INT(hob_tls_write(e.client, "x", 1, hob_in(HOB_MS)), -ETIMEDOUT);
    ring_hold(in, SIZE_MAX);
    says(e.client, "written by who waited");
    hears(e.server, "written by who waited");
    says(e.server, "!");
    CHECK_INT(hob_group_join(&g, 0), 0);
    ends_close(&e);
    return 0;
}

static void half_a_ticket_run(size_t with_reader)
{
    struct flood f = {.piece = with_reader};
    struct trust t;

    trust_make(&t);
    contexts_make(
        &t,
        &(struct hob_tls_ctx_opts){
            .cert_pem = t.site.cert_pem, .key_pem = t.site.key_pem, .no_resume = true},
        &(struct hob_tls_ctx_opts){.client_cert = HOB_TLS_CERT_REQUIRED, .ca_pem = t.ca.cert_pem},
        &f.client, &f.server);
    everywhere(half_a_ticket, &f);
    hob_tls_ctx_free(f.client);
    hob_tls_ctx_free(f.server);
    trust_free(&t);
}

TEST(a_writer_reads_what_is_half_there)
{
    half_a_ticket_run(0);
}

TEST(a_writer_goes_on_when_the_reader_has_read_what_was_half_there)
{
    half_a_ticket_run(1);
}

/* --- who may call -------------------------------------------------------------------------- */

TEST(a_connection_needs_a_fiber)
{
    hob_tls_ctx *client, *server;
    struct trust trust;
    hob_tls *t;

    trust_make(&trust);
    contexts_make(&trust, NULL, NULL, &client, &server);
    CHECK_INT(hob_tls_new(server, -1, NULL, &t), -EPERM);
    hob_tls_free(NULL);
    hob_tls_ctx_free(NULL);
    hob_tls_ctx_free(client);
    hob_tls_ctx_free(server);
    trust_free(&trust);
}

/* --- what <hob/tls.h> says of stacks ------------------------------------------------------- */

static struct flood small;

static int on_small_stack(void *arg)
{
    small.memory = true;
    flooded(&small, false);
    return 0 * (arg != NULL);
}

/* A sanitizer's frames are larger, and clang's at -O0. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(__clang__)
enum { STACK_ENOUGH = 64 * 1024 };
#else
enum { STACK_ENOUGH = 24 * 1024 };
#endif

TEST(twenty_four_kib_of_stack_are_enough)
{
    struct trust t;

    small.bytes = 1000;
    trust_make(&t);
    identity_free(&t.site);
    identity_make(&t.site, (struct identity_ask){.cn = "right.test",
                                                 .alt = "DNS:right.test",
                                                 .issuer = &t.ca,
                                                 .rsa_bits = 4096});
    for (int i = 0; i < 2; i++) {
        contexts_make(&t, NULL, NULL, &small.client, &small.server);
        if (i == 1)
            SSL_CTX_set_max_proto_version(small.client->ssl, TLS1_2_VERSION);
        CHECK_INT(hob_run(HOB_OPTS(.stack_size = STACK_ENOUGH), on_small_stack, NULL), 0);
        hob_tls_ctx_free(small.client);
        hob_tls_ctx_free(small.server);
    }
    trust_free(&t);
}

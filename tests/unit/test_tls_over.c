/* SPDX-License-Identifier: MIT
 *
 * TLS between what may lie above it and below it: readers, writers, TLS, pipes, TCP, and no TLS.
 */
#include <stdio.h>
#include <unistd.h>

#include "tls_util.h"

/* --- on top of it -------------------------------------------------------------------------- */

static void lines(struct ends *e)
{
    const char *line;
    hob_reader *in;
    hob_writer *out;
    size_t n;

    CHECK_INT(
        hob_reader_new(-1, HOB_READER_OPTS(.read = hob_tls_stream_read, .arg = e->client), &in), 0);
    CHECK_INT(
        hob_writer_new(-1, HOB_WRITER_OPTS(.write = hob_tls_stream_write, .arg = e->server), &out),
        0);
    for (int i = 0; i < 100; i++)
        CHECK(hob_writer_print(out, HOB_FOREVER, "line %d\n", i) > 0);
    CHECK_INT(hob_writer_flush(out, HOB_FOREVER), 0);
    CHECK_INT(hob_tls_end(e->server, HOB_FOREVER), 0);
    for (int i = 0; i < 100; i++) {
        char want[32];
        snprintf(want, sizeof want, "line %d", i);
        CHECK_INT(hob_reader_read_line(in, HOB_FOREVER, &line, &n), 1);
        CHECK(n == strlen(want) && memcmp(line, want, n) == 0);
    }
    CHECK_INT(hob_reader_read_line(in, HOB_FOREVER, &line, &n), 0);
    hob_reader_free(in);
    hob_writer_free(out);
}

TEST(readers_and_writers_on_top)
{
    talk_run(lines, false);
}

static struct talk inner;

/* A second TLS through the first, as through a proxy that is spoken to in TLS. */
static void nested(struct ends *e)
{
    struct ends in = {.fds = {-1, -1}};
    int a, b;

    CHECK_INT(hob_tls_new(inner.client, -1,
                          HOB_TLS_OPTS(.name = "right.test", .read = hob_tls_stream_read,
                                       .write = hob_tls_stream_write, .arg = e->client),
                          &in.client),
              0);
    CHECK_INT(hob_tls_new(inner.server, -1,
                          HOB_TLS_OPTS(.read = hob_tls_stream_read, .write = hob_tls_stream_write,
                                       .arg = e->server),
                          &in.server),
              0);
    ends_shake(&in, &a, &b);
    CHECK(a == 0 && b == 0);
    says(in.client, "inside");
    hears(in.server, "inside");
    CHECK_INT(hob_tls_end(in.client, HOB_FOREVER), 0);
    CHECK_INT(hob_tls_finish(in.server, HOB_FOREVER), 0);
    ends_close(&in);
    says(e->client, "outside");
    hears(e->server, "outside");
}

TEST(tls_over_tls)
{
    struct trust trust;

    trust_make(&trust);
    contexts_make(&trust, NULL, NULL, &inner.client, &inner.server);
    talk_run(nested, false);
    hob_tls_ctx_free(inner.client);
    hob_tls_ctx_free(inner.server);
    trust_free(&trust);
}

/* --- over other streams -------------------------------------------------------------------- */

/* The body everywhere, with a client's and a server's context. */
static void pair_run(hob_fn body)
{
    struct talk t = {.fn = NULL};
    struct trust trust;

    trust_make(&trust);
    contexts_make(&trust, NULL, NULL, &t.client, &t.server);
    everywhere(body, &t);
    hob_tls_ctx_free(t.client);
    hob_tls_ctx_free(t.server);
    trust_free(&trust);
}

static ssize_t pipe_read(void *arg, void *buf, size_t n, hob_time until)
{
    return hob_read(((int *)arg)[0], buf, n, until);
}

static ssize_t pipe_write(void *arg, const void *buf, size_t n, hob_time until)
{
    return hob_write(((int *)arg)[1], buf, n, until);
}

static int over_pipes(void *arg)
{
    int up[2], down[2], a, b;
    struct talk *f = arg;
    struct ends e = {.fds = {-1, -1}};

    if (hob_simulated())
        return 0;
    CHECK_INT(hob_pipe_open(NULL, up), 0);
    CHECK_INT(hob_pipe_open(NULL, down), 0);
    int client[2] = {down[0], up[1]}, server[2] = {up[0], down[1]};
    CHECK_INT(hob_tls_new(f->client, -1,
                          HOB_TLS_OPTS(.name = "right.test", .read = pipe_read, .write = pipe_write,
                                       .arg = client),
                          &e.client),
              0);
    CHECK_INT(hob_tls_new(f->server, -1,
                          HOB_TLS_OPTS(.read = pipe_read, .write = pipe_write, .arg = server),
                          &e.server),
              0);
    ends_shake(&e, &a, &b);
    CHECK(a == 0 && b == 0);
    says(e.client, "through a pipe");
    hears(e.server, "through a pipe");
    ends_close(&e);
    for (int i = 0; i < 2; i++) {
        hob_close(up[i]);
        hob_close(down[i]);
    }
    return 0;
}

TEST(over_pipes)
{
    pair_run(over_pipes);
}

static int over_tcp(void *arg)
{
    struct talk *f = arg;
    struct ends e = {.fds = {-1, -1}};
    hob_addr at;
    int l, a, b;

    if (hob_simulated())
        return 0;
    CHECK_INT(hob_addr_parse("127.0.0.1", 0, &at), 0);
    CHECK((l = hob_tcp_listen(&at, 0)) >= 0);
    CHECK_INT(hob_sock_addr(l, &at), 0);
    CHECK((e.fds[0] = hob_tcp_dial(&at, HOB_FOREVER)) >= 0);
    CHECK((e.fds[1] = hob_tcp_accept(l, HOB_FOREVER)) >= 0);
    hob_close(l);
    CHECK_INT(hob_tls_new(f->client, e.fds[0], HOB_TLS_OPTS(.name = "127.0.0.1"), &e.client), 0);
    CHECK_INT(hob_tls_new(f->server, e.fds[1], NULL, &e.server), 0);
    ends_shake(&e, &a, &b);
    CHECK(a == 0 && b == 0);
    says(e.client, "through the network");
    hears(e.server, "through the network");
    ends_close(&e);
    return 0;
}

TEST(over_tcp)
{
    pair_run(over_tcp);
}

/* --- no TLS -------------------------------------------------------------------------------- */

#define SAID(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static int no_tls(void *arg)
{
    static const struct {
        const char *text;
        size_t n;
    } said[] = {
        SAID("HTTP/1.1 400 Bad Request\r\n\r\n"),
        SAID("SSH-2.0-OpenSSH_9.2\r\n"),
        SAID("\x16\x03\x01\xff\xff"),
        SAID("\x15\x03\x03\0\2\2\x28"),
        SAID("\x15\x03\x03\0\2\1\0"), /* close_notify */
        SAID(""),
    };
    enum { N = sizeof said / sizeof said[0] };
    struct talk *f = arg;

    for (int i = 0; i < 2 * N; i++) {
        size_t n = said[i / 2].n;
        struct ends e;
        CHECK_INT(ends_open(&e, true, f->client, f->server, "right.test"), 0);
        hob_tls *t = i % 2 ? e.client : e.server;
        struct ring *r = i % 2 ? &e.wire->to_client : &e.wire->to_server;
        CHECK_INT(wire_write(i % 2 ? &e.at_server : &e.at_client, said[i / 2].text, n, HOB_FOREVER),
                  n);
        ring_close(r);
        for (int k = 0; k < 2; k++)
            CHECK_INT(hob_tls_handshake(t, HOB_FOREVER), -HOB_ETLS);
        CHECK(hob_tls_why(t)[0]);
        if (i == 1)
            CHECK(strstr(hob_tls_why(t), "does not speak TLS"));
        if (i > 2 * (N - 2)) /* for a server an alert is no hello */
            CHECK(strstr(hob_tls_why(t), "closed the connection"));
        CHECK_INT(hob_tls_info_get(t, &(struct hob_tls_info){.size = sizeof(struct hob_tls_info)}),
                  -ENOTCONN);
        ends_close(&e);
    }
    return 0;
}

TEST(what_is_no_tls_is_said)
{
    pair_run(no_tls);
}

/* SPDX-License-Identifier: MIT
 *
 * TLS against somebody else's: openssl's s_server and s_client, as child processes.
 */
#include <stdio.h>
#include <unistd.h>

#include "tls_util.h"

static struct trust trust;
static struct identity user;
static char dir[] = "/tmp/hob-tls-XXXXXX";

static char *file_of(const char *name, char to[64])
{
    snprintf(to, 64, "%s/%s", dir, name);
    return to;
}

static void file_put(const char *name, const char *a, const char *b)
{
    char path[64];
    FILE *f = fopen(file_of(name, path), "w");

    CHECK(f && fprintf(f, "%s%s", a, b) > 0 && fclose(f) == 0);
}

static void files_make(void)
{
    if (system("command -v openssl >/dev/null") != 0)
        t_skip("openssl is not installed");
    CHECK(mkdtemp(dir) != NULL);
    trust_make(&trust);
    identity_make(&user, (struct identity_ask){.cn = "user", .issuer = &trust.ca});
    file_put("ca", trust.ca.cert_pem, "");
    file_put("site", trust.site.cert_pem, trust.site.key_pem);
    file_put("user", user.cert_pem, user.key_pem);
}

static void files_free(void)
{
    static const char *const names[] = {"ca", "site", "user"};
    char path[64];

    for (int i = 0; i < 3; i++)
        unlink(file_of(names[i], path));
    rmdir(dir);
    trust_free(&trust);
    identity_free(&user);
}

static void line_is(hob_reader *in, const char *want)
{
    const char *p;
    size_t n;

    CHECK_INT(hob_reader_read_line(in, HOB_FOREVER, &p, &n), 1);
    if (n != strlen(want) || memcmp(p, want, n) != 0)
        t_fail(__FILE__, __LINE__, "\"%.*s\", not \"%s\"", (int)n, p, want);
}

/* --- their server -------------------------------------------------------------------------- */

/* It says where it listens, and gives each line back reversed. */
static hob_proc *their_server(const char *version, unsigned *ret_port)
{
    char site[64], ca[64];
    const char *const argv[] = {"openssl",
                                "s_server",
                                "-accept",
                                "127.0.0.1:0",
                                "-cert",
                                file_of("site", site),
                                "-CAfile",
                                file_of("ca", ca),
                                "-Verify",
                                "1",
                                "-verify_return_error",
                                "-alpn",
                                "echo",
                                "-rev",
                                version,
                                NULL};
    hob_proc *p;
    hob_reader *in;
    const char *line;
    size_t n;

    CHECK_INT(hob_proc_spawn(
                  argv,
                  HOB_PROC_OPTS(.out = HOB_PROC_PIPE, .err = HOB_PROC_NULL, .in = HOB_PROC_PIPE),
                  HOB_FOREVER, &p),
              0);
    CHECK_INT(hob_reader_new(hob_proc_fd(p, 1), NULL, &in), 0);
    *ret_port = 0;
    while (*ret_port == 0) {
        char text[128];
        CHECK_INT(hob_reader_read_line(in, HOB_FOREVER, &line, &n), 1);
        snprintf(text, sizeof text, "%.*s", (int)n, line);
        sscanf(text, "ACCEPT 127.0.0.1:%u", ret_port);
    }
    hob_reader_free(in);
    return p;
}

/* Their side may close without a word, or reset a connection that it was told the end of. */
static void ended(hob_tls *t)
{
    int r = hob_tls_finish(t, HOB_FOREVER);

    CHECK(r == 0 || r == -HOB_ETRUNCATED || r == -ECONNRESET || r == -EPIPE);
}

static bool talk_to(unsigned port, hob_tls_ctx *ctx, unsigned version)
{
    struct hob_tls_info info = {.size = sizeof info};
    hob_reader *in;
    hob_addr at;
    hob_tls *t;
    int fd;

    CHECK_INT(hob_addr_parse("127.0.0.1", (uint16_t)port, &at), 0);
    CHECK((fd = hob_tcp_dial(&at, HOB_FOREVER)) >= 0);
    CHECK_INT(hob_tls_new(ctx, fd, HOB_TLS_OPTS(.name = "right.test"), &t), 0);
    CHECK_INT(hob_tls_write(t, "one two\n", 8, HOB_FOREVER), 8);
    CHECK_INT(hob_reader_new(-1, HOB_READER_OPTS(.read = hob_tls_stream_read, .arg = t), &in), 0);
    line_is(in, "owt eno");
    CHECK_INT(hob_tls_info_get(t, &info), 0);
    CHECK_INT(info.version, version);
    CHECK_STR(info.alpn, "echo");
    CHECK(info.verified);
    bool resumed = info.resumed;
    ended(t);
    hob_reader_free(in);
    hob_tls_free(t);
    hob_close(fd);
    return resumed;
}

static int to_their_server(void *arg)
{
    static const char *const speaks[] = {"other", "echo", NULL};
    unsigned version = *(unsigned *)arg, port;
    hob_proc *p = their_server(version == 13 ? "-tls1_3" : "-tls1_2", &port);
    hob_tls_ctx *ctx;

    CHECK_INT(hob_tls_ctx_new(HOB_TLS_CTX_OPTS(.ca_pem = trust.ca.cert_pem, .alpn = speaks,
                                               .cert_pem = user.cert_pem, .key_pem = user.key_pem),
                              &ctx),
              0);
    CHECK(!talk_to(port, ctx, version));
    CHECK(talk_to(port, ctx, version));
    hob_tls_ctx_free(ctx);
    hob_proc_stop(p);
    return 0;
}

TEST(their_server)
{
    files_make();
    for (unsigned version = 12; version <= 13; version++)
        on_pollers(to_their_server, &version, 0);
    files_free();
}

/* --- their client -------------------------------------------------------------------------- */

static hob_proc *their_client(unsigned port, const char *version)
{
    char ca[64], me[64], at[32];
    snprintf(at, sizeof at, "127.0.0.1:%u", port);
    const char *const argv[] = {"openssl",
                                "s_client",
                                "-connect",
                                at,
                                "-CAfile",
                                file_of("ca", ca),
                                "-cert",
                                file_of("user", me),
                                "-servername",
                                "right.test",
                                "-verify_hostname",
                                "right.test",
                                "-verify_return_error",
                                "-alpn",
                                "echo",
                                "-quiet",
                                "-no_ign_eof",
                                version,
                                NULL};
    hob_proc *p;

    CHECK_INT(hob_proc_spawn(
                  argv,
                  HOB_PROC_OPTS(.in = HOB_PROC_PIPE, .out = HOB_PROC_PIPE, .err = HOB_PROC_NULL),
                  HOB_FOREVER, &p),
              0);
    return p;
}

/* Gives back what comes, until the client says that it ended. */
static void serve_one(int fd, hob_tls_ctx *ctx, unsigned version)
{
    struct hob_tls_info info = {.size = sizeof info};
    char buf[64];
    hob_tls *t;
    ssize_t n;

    CHECK_INT(hob_tls_new(ctx, fd, NULL, &t), 0);
    if (hob_tls_handshake(t, HOB_FOREVER) < 0)
        t_fail(__FILE__, __LINE__, "%s", hob_tls_why(t));
    CHECK_INT(hob_tls_info_get(t, &info), 0);
    CHECK_INT(info.version, version);
    CHECK_STR(info.name, "right.test");
    CHECK_STR(info.alpn, "echo");
    CHECK_STR(info.peer, "CN = user");
    CHECK(info.verified);
    CHECK((n = hob_tls_read(t, buf, sizeof buf, HOB_FOREVER)) > 0);
    CHECK_INT(hob_tls_write(t, buf, (size_t)n, HOB_FOREVER), n);
    CHECK_INT(hob_tls_end(t, HOB_FOREVER), 0);
    ended(t);
    hob_tls_free(t);
}

static int from_their_client(void *arg)
{
    static const char *const speaks[] = {"echo", NULL};
    unsigned version = *(unsigned *)arg;
    hob_tls_ctx *ctx;
    hob_reader *in;
    hob_addr at;
    int l, fd;

    CHECK_INT(
        hob_tls_ctx_new(HOB_TLS_CTX_OPTS(.server = true, .cert_pem = trust.site.cert_pem,
                                         .key_pem = trust.site.key_pem, .ca_pem = trust.ca.cert_pem,
                                         .client_cert = HOB_TLS_CERT_REQUIRED, .alpn = speaks),
                        &ctx),
        0);
    CHECK_INT(hob_addr_parse("127.0.0.1", 0, &at), 0);
    CHECK((l = hob_tcp_listen(&at, 0)) >= 0);
    CHECK_INT(hob_sock_addr(l, &at), 0);
    hob_proc *p = their_client(hob_addr_port(&at), version == 13 ? "-tls1_3" : "-tls1_2");
    CHECK_INT(hob_write(hob_proc_fd(p, 0), "back and forth\n", 15, HOB_FOREVER), 15);
    CHECK((fd = hob_tcp_accept(l, HOB_FOREVER)) >= 0);
    serve_one(fd, ctx, version);
    CHECK_INT(hob_reader_new(hob_proc_fd(p, 1), NULL, &in), 0);
    line_is(in, "back and forth");
    hob_reader_free(in);
    hob_close(fd);
    hob_close(l);
    hob_proc_stop(p);
    hob_tls_ctx_free(ctx);
    return 0;
}

TEST(their_client)
{
    files_make();
    for (unsigned version = 12; version <= 13; version++)
        on_pollers(from_their_client, &version, 0);
    files_free();
}

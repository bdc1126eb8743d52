/* SPDX-License-Identifier: MIT
 *
 * tls_look.c - what a server's TLS is, or why it is not to be trusted
 *
 *     build/examples/tls_look example.org                 # port 443, the system's authorities
 *     build/examples/tls_look --ca my.pem 127.0.0.1 8443  # or those of a file
 *
 * The connection is made to whichever address answers first, the certificate verified for the name
 * that was given, and the peer told that this is the end.  All of it has ten seconds.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hob/hob.h>

struct look {
    const char *ca, *host;
    uint16_t port;
};

static void print_info(hob_tls *t)
{
    struct hob_tls_info info = {.size = sizeof info};

    if (hob_tls_info_get(t, &info) < 0)
        return;
    printf("TLS 1.%u, %s\n", info.version - 10, info.cipher);
    printf("protocol: %s\n", info.alpn ? info.alpn : "none agreed on");
    printf("certificate: %s\n", info.peer);
}

static int look_at(const struct look *l, hob_tls_ctx *ctx, int fd)
{
    hob_time until = hob_in(10 * HOB_SEC);
    hob_tls *t;
    int r = hob_tls_new(ctx, fd, HOB_TLS_OPTS(.name = l->host), &t);

    if (r < 0)
        return r;
    r = hob_tls_handshake(t, until);
    if (r == 0)
        print_info(t);
    else
        fprintf(stderr, "tls_look: %s\n", *hob_tls_why(t) ? hob_tls_why(t) : hob_strerror(r));
    if (r == 0)
        r = hob_tls_end(t, until);
    hob_tls_free(t);
    return r;
}

static int look(void *arg)
{
    static const char *const speaks[] = {"h2", "http/1.1", NULL};
    const struct look *l = arg;
    char why[HOB_TLS_WHY_MAX];
    hob_tls_ctx *ctx;
    int r = hob_tls_ctx_new(HOB_TLS_CTX_OPTS(.ca_file = l->ca, .alpn = speaks, .why = why), &ctx);

    if (r < 0) {
        fprintf(stderr, "tls_look: %s\n", why);
        return r;
    }
    int fd = hob_tcp_dial_name(l->host, l->port, hob_in(10 * HOB_SEC));
    if (fd < 0)
        fprintf(stderr, "tls_look: %s: %s\n", l->host, hob_strerror(fd));
    r = fd < 0 ? fd : look_at(l, ctx, fd);
    hob_close(fd);
    hob_tls_ctx_free(ctx);
    return r;
}

int main(int argc, char **argv)
{
    struct look l = {.port = 443};

    if (argc > 2 && strcmp(argv[1], "--ca") == 0) {
        l.ca = argv[2];
        argc -= 2;
        argv += 2;
    }
    if (argc < 2) {
        fprintf(stderr, "usage: tls_look [--ca FILE] HOST [PORT]\n");
        return 2;
    }
    l.host = argv[1];
    if (argc > 2)
        l.port = (uint16_t)strtoul(argv[2], NULL, 10);
    return hob_run(NULL, look, &l) < 0;
}

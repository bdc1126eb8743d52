/* SPDX-License-Identifier: MIT
 *
 * TLS: who is trusted, by which name, and which protocols are spoken.
 */
#include "tls_meet.h"

/* Refused by the client, who says why, and the server is told. */
static void refused(hob_tls_ctx *client, hob_tls_ctx *server, const char *name, const char *words)
{
    struct outcome o = meet_once((struct meeting){client, server, name, NULL, NULL});

    if (o.client != -HOB_ETLS || !strstr(o.why_client, words))
        t_fail(__FILE__, __LINE__, "%s: %d (%s), not \"%s\"", name, o.client, o.why_client, words);
    CHECK(strstr(o.why_server, "the peer refused") != NULL);
    CHECK(!strchr(o.why_client, '\n'));
}

/* --- servers' certificates ----------------------------------------------------------------- */

TEST(a_certificate_is_for_its_names_and_addresses)
{
    trust_make(&trust);
    hob_tls_ctx *client = client_of(&trust.ca), *server = server_of(&trust.site);

    struct outcome o = accepted(client, server, "right.test");
    CHECK(o.at_client.verified && !o.at_server.verified);
    CHECK_INT(o.at_client.version, 13);
    CHECK_STR(o.name, "right.test");
    CHECK_STR(o.peer, "-");
    o = accepted(client, server, "127.0.0.1");
    CHECK_STR(o.name, "-"); /* an address is no name that a server could be asked for */
    accepted(client, server, "RIGHT.test.");
    refused(client, server, "wrong.test", "is not for wrong.test, but for right.test, 127.0.0.1");
    refused(client, server, "127.0.0.2", "is not for 127.0.0.2");
    refused(client, server, "::1", "is not for ::1");
    refused(client, server, "right.test.evil.test", "is not for");
    hob_tls_ctx_free(client);
    hob_tls_ctx_free(server);
    trust_free(&trust);
}

TEST(a_certificate_has_its_time)
{
    struct identity old, young;

    trust_make(&trust);
    identity_make(&old, (struct identity_ask){.cn = "old",
                                              .alt = "DNS:right.test",
                                              .issuer = &trust.ca,
                                              .from_s = -7200,
                                              .to_s = -60});
    identity_make(&young, (struct identity_ask){.cn = "young",
                                                .alt = "DNS:right.test",
                                                .issuer = &trust.ca,
                                                .from_s = 86400,
                                                .to_s = 2 * 86400});
    hob_tls_ctx *client = client_of(&trust.ca), *a = server_of(&old), *b = server_of(&young);
    refused(client, a, "right.test", "CN = old has expired on 20");
    refused(client, b, "right.test", "CN = young is not valid before 20");
    hob_tls_ctx_free(client);
    hob_tls_ctx_free(a);
    hob_tls_ctx_free(b);
    identity_free(&old);
    identity_free(&young);
    trust_free(&trust);
}

TEST(who_signed_it_counts)
{
    struct identity self, other, between, below;

    trust_make(&trust);
    identity_make(&self, (struct identity_ask){.cn = "self", .alt = "DNS:right.test"});
    identity_make(&other, (struct identity_ask){.cn = "other authority", .authority = true});
    identity_make(&between, (struct identity_ask){.cn = "no authority", .issuer = &trust.ca});
    identity_make(
        &below, (struct identity_ask){.cn = "below", .alt = "DNS:right.test", .issuer = &between});
    char chain[8192];
    snprintf(chain, sizeof chain, "%s%s", below.cert_pem, between.cert_pem);
    hob_tls_ctx *client = client_of(&trust.ca), *stranger = client_of(&other),
                *system_trust = ctx_of((struct hob_tls_ctx_opts){.size = 0}),
                *anyone = ctx_of((struct hob_tls_ctx_opts){.insecure_trust_anyone = true}),
                *site = server_of(&trust.site), *alone = server_of(&self),
                *chained = ctx_of((struct hob_tls_ctx_opts){
                    .server = true, .cert_pem = chain, .key_pem = below.key_pem});
    refused(client, alone, "right.test", "self-signed certificate");
    refused(stranger, site, "right.test", "unable to get local issuer certificate");
    refused(system_trust, site, "right.test", "CN = right.test");
    refused(client, chained, "right.test", "CN = no authority");
    CHECK(!accepted(anyone, alone, "wrong.test").at_client.verified);
    CHECK(!accepted(anyone, site, NULL).at_client.verified);
    hob_tls_ctx *all[] = {client, stranger, system_trust, anyone, site, alone, chained};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        hob_tls_ctx_free(all[i]);
    identity_free(&self);
    identity_free(&other);
    identity_free(&between);
    identity_free(&below);
    trust_free(&trust);
}

static int names_that_cannot_be(void *arg)
{
    hob_tls_ctx **ctx = arg;
    char longer[300];
    hob_tls *t;

    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    CHECK_INT(hob_tls_new(ctx[0], -1, NULL, &t), -EINVAL);
    CHECK_INT(hob_tls_new(ctx[0], -1, HOB_TLS_OPTS(.name = ""), &t), -EINVAL);
    CHECK_INT(hob_tls_new(ctx[0], -1, HOB_TLS_OPTS(.name = "."), &t), -EINVAL);
    CHECK_INT(hob_tls_new(ctx[0], -1, HOB_TLS_OPTS(.name = longer), &t), -EINVAL);
    CHECK_INT(hob_tls_new(ctx[0], -1, HOB_TLS_OPTS(.name = ".right.test"), &t), -EINVAL);
    CHECK_INT(hob_tls_new(ctx[0], -1, HOB_TLS_OPTS(.name = ".test."), &t), -EINVAL);
    CHECK_INT(hob_tls_new(ctx[0], -1, HOB_TLS_OPTS(.name = ".."), &t), -EINVAL);
    CHECK_INT(hob_tls_new(ctx[0], -1, HOB_TLS_OPTS(.name = "x", .read = wire_read), &t), -EINVAL);
    CHECK_INT(hob_tls_new(ctx[1], -1, HOB_TLS_OPTS(.name = "x"), &t), -EINVAL);
    return 0;
}

TEST(a_client_that_verifies_needs_a_name)
{
    trust_make(&trust);
    hob_tls_ctx *ctx[] = {client_of(&trust.ca), server_of(&trust.site)};
    CHECK_INT(hob_run(NULL, names_that_cannot_be, ctx), 0);
    hob_tls_ctx_free(ctx[0]);
    hob_tls_ctx_free(ctx[1]);
    trust_free(&trust);
}

/* --- clients' certificates ----------------------------------------------------------------- */

TEST(clients_show_certificates)
{
    struct identity user, fake_ca, fake;

    trust_make(&trust);
    identity_make(&user, (struct identity_ask){.cn = "user", .issuer = &trust.ca});
    identity_make(&fake_ca, (struct identity_ask){.cn = "fake authority", .authority = true});
    identity_make(&fake, (struct identity_ask){.cn = "fake", .issuer = &fake_ca});
    const char *ca = trust.ca.cert_pem;
    hob_tls_ctx *none = client_of(&trust.ca),
                *good = ctx_of((struct hob_tls_ctx_opts){
                    .ca_pem = ca, .cert_pem = user.cert_pem, .key_pem = user.key_pem}),
                *bad = ctx_of((struct hob_tls_ctx_opts){
                    .ca_pem = ca, .cert_pem = fake.cert_pem, .key_pem = fake.key_pem});
    for (unsigned want = HOB_TLS_CERT_IF_ANY; want <= HOB_TLS_CERT_REQUIRED; want++) {
        hob_tls_ctx *server = ctx_of((struct hob_tls_ctx_opts){.server = true,
                                                               .cert_pem = trust.site.cert_pem,
                                                               .key_pem = trust.site.key_pem,
                                                               .ca_pem = ca,
                                                               .client_cert = want});
        struct outcome o = accepted(good, server, "right.test");
        CHECK_STR(o.peer, "CN = user");
        CHECK(o.at_server.verified && o.der_n > 100);
        o = meet_once((struct meeting){none, server, "right.test", NULL, NULL});
        CHECK_INT(o.server, want == HOB_TLS_CERT_REQUIRED ? -HOB_ETLS : 0);
        CHECK_INT(o.client, 0); /* TLS 1.3: it has done its part */
        CHECK_INT(o.read, want == HOB_TLS_CERT_REQUIRED ? -HOB_ETLS : 1);
        if (o.server == 0)
            CHECK_STR(o.peer, "-");
        else
            CHECK(strstr(o.why_client, "certificate required"));
        o = meet_once((struct meeting){bad, server, "right.test", NULL, NULL});
        CHECK(o.server == -HOB_ETLS && o.client == 0 && o.read == -HOB_ETLS);
        CHECK(strstr(o.why_server, "CN = fake, issued by CN = fake authority"));
        CHECK(strstr(o.why_client, "unknown CA"));
        hob_tls_ctx_free(server);
    }
    hob_tls_ctx_free(none);
    hob_tls_ctx_free(good);
    hob_tls_ctx_free(bad);
    identity_free(&user);
    identity_free(&fake_ca);
    identity_free(&fake);
    trust_free(&trust);
}

/* --- protocols ----------------------------------------------------------------------------- */

TEST(protocols_are_agreed_on_in_the_servers_order)
{
    static const char *const web[] = {"h2", "http/1.1", NULL},
                             *const old[] = {"http/1.1", "h2", NULL},
                             *const mail[] = {"imap", NULL};
    trust_make(&trust);
    struct hob_tls_ctx_opts s = {.server = true,
                                 .cert_pem = trust.site.cert_pem,
                                 .key_pem = trust.site.key_pem,
                                 .alpn = web};
    struct hob_tls_ctx_opts c = {.ca_pem = trust.ca.cert_pem};
    hob_tls_ctx *server = ctx_of(s), *none = ctx_of(c), *plain = server_of(&trust.site);
    c.alpn = old;
    hob_tls_ctx *both = ctx_of(c);
    c.alpn = mail;
    hob_tls_ctx *other = ctx_of(c);
    CHECK_STR(accepted(both, server, "right.test").alpn, "h2");
    CHECK_STR(accepted(none, server, "right.test").alpn, "-");
    CHECK_STR(accepted(both, plain, "right.test").alpn, "-");
    struct outcome o = meet_once((struct meeting){other, server, "right.test", NULL, NULL});
    CHECK(o.client == -HOB_ETLS && o.server == -HOB_ETLS);
    CHECK(strstr(o.why_client, "no application protocol"));
    hob_tls_ctx *all[] = {server, none, plain, both, other};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        hob_tls_ctx_free(all[i]);
    trust_free(&trust);
}

static void only_11(struct ends *e)
{
    SSL_set_security_level(e->client->ssl, 0);
    CHECK(SSL_set_min_proto_version(e->client->ssl, TLS1_1_VERSION));
    CHECK(SSL_set_max_proto_version(e->client->ssl, TLS1_1_VERSION));
    CHECK(SSL_set_cipher_list(e->client->ssl, "ALL:@SECLEVEL=0"));
}

/* Keys that are exchanged by RSA stay readable for who gets the key later. */
static void without_forward_secrecy(struct ends *e)
{
    only_12(e);
    CHECK(SSL_set_cipher_list(e->client->ssl, "kRSA"));
}

TEST(nothing_older_than_tls_1_2)
{
    trust_make(&trust);
    identity_free(&trust.site);
    identity_make(&trust.site, (struct identity_ask){.cn = "right.test",
                                                     .alt = "DNS:right.test",
                                                     .issuer = &trust.ca,
                                                     .rsa_bits = 2048});
    hob_tls_ctx *client = ctx_of(
                    (struct hob_tls_ctx_opts){.ca_pem = trust.ca.cert_pem, .no_resume = true}),
                *server = server_of(&trust.site),
                *new_only = ctx_of((struct hob_tls_ctx_opts){.server = true,
                                                             .cert_pem = trust.site.cert_pem,
                                                             .key_pem = trust.site.key_pem,
                                                             .tls13_only = true});
    struct outcome o = meet_once((struct meeting){client, server, "right.test", only_12, NULL});
    CHECK_INT(o.read, 1);
    CHECK_INT(o.at_client.version, 12);
    CHECK(strstr(o.cipher, "ECDHE"));
    o = meet_once((struct meeting){client, server, "right.test", without_forward_secrecy, NULL});
    CHECK_INT(o.server, -HOB_ETLS);
    CHECK(strstr(o.why_server, "no shared cipher"));
    o = meet_once((struct meeting){client, server, "right.test", only_11, NULL});
    CHECK_INT(o.server, -HOB_ETLS);
    CHECK(strstr(o.why_server, "unsupported protocol"));
    o = meet_once((struct meeting){client, new_only, "right.test", only_12, NULL});
    CHECK_INT(o.server, -HOB_ETLS);
    CHECK_INT(accepted(client, new_only, "right.test").at_client.version, 13);
    hob_tls_ctx_free(client);
    hob_tls_ctx_free(server);
    hob_tls_ctx_free(new_only);
    trust_free(&trust);
}

/* SPDX-License-Identifier: MIT
 *
 * TLS contexts: how they are made, chosen by name, and resumed.
 */
#include <unistd.h>

#include "tls_meet.h"

/* --- by name ------------------------------------------------------------------------------- */

struct names {
    hob_tls_ctx *inner, *front;
    int asked, late; /* late: so many calls time out first */
};

static int by_name(void *arg, const char *name, hob_time until, hob_tls_ctx **ret)
{
    struct names *n = arg;

    n->asked++;
    CHECK_INT(until, HOB_FOREVER);
    if (hob_sleep(HOB_US) < 0) /* it may park */
        return -ECANCELED;
    if (n->late-- > 0)
        return -ETIMEDOUT;
    if (strcmp(name, "inner.test") == 0)
        *ret = n->inner;
    else if (*name && strcmp(name, "right.test") != 0)
        return -ENOENT;
    return 0;
}

TEST(a_server_chooses_by_name)
{
    struct identity inner, user;
    struct names n = {.asked = 0};

    trust_make(&trust);
    const char *ca = trust.ca.cert_pem;
    identity_make(
        &inner, (struct identity_ask){.cn = "inner", .alt = "DNS:inner.test", .issuer = &trust.ca});
    identity_make(&user, (struct identity_ask){.cn = "user", .issuer = &trust.ca});
    n.inner = ctx_of((struct hob_tls_ctx_opts){.server = true,
                                               .cert_pem = inner.cert_pem,
                                               .key_pem = inner.key_pem,
                                               .ca_pem = ca,
                                               .client_cert = HOB_TLS_CERT_REQUIRED});
    n.front = ctx_of((struct hob_tls_ctx_opts){.server = true,
                                               .cert_pem = trust.site.cert_pem,
                                               .key_pem = trust.site.key_pem,
                                               .choose = by_name,
                                               .choose_arg = &n});
    hob_tls_ctx *anon = client_of(&trust.ca),
                *named = ctx_of((struct hob_tls_ctx_opts){
                    .ca_pem = ca, .cert_pem = user.cert_pem, .key_pem = user.key_pem});
    CHECK_STR(accepted(anon, n.front, "right.test").name, "right.test");
    accepted(anon, n.front, "127.0.0.1");
    struct outcome o = accepted(named, n.front, "inner.test");
    CHECK_STR(o.peer, "CN = user");
    CHECK(o.at_server.verified);
    o = meet_once((struct meeting){anon, n.front, "inner.test", NULL, NULL});
    CHECK_INT(o.server, -HOB_ETLS); /* it is the inner context that asks for a certificate */
    o = meet_once((struct meeting){anon, n.front, "nobody.test", NULL, NULL});
    CHECK_INT(o.client, -HOB_ETLS);
    CHECK(strstr(o.why_client, "unrecognized name"));
    CHECK(strstr(o.why_server, "nobody here is \"nobody.test\""));
    CHECK_INT(n.asked, 5);
    n.late = 1;
    accepted(anon, n.front, "right.test");
    CHECK_INT(n.asked, 7); /* asked again */
    hob_tls_ctx *all[] = {n.inner, n.front, anon, named};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        hob_tls_ctx_free(all[i]);
    identity_free(&inner);
    identity_free(&user);
    trust_free(&trust);
}

/* --- resumption ---------------------------------------------------------------------------- */

static bool resumes(hob_tls_ctx *client, hob_tls_ctx *server, const char *name, bool old)
{
    struct outcome o =
        meet_once((struct meeting){client, server, name, old ? only_12 : NULL, NULL});

    CHECK_INT(o.read, 1);
    CHECK_INT(o.at_client.version, old ? 12 : 13);
    CHECK(o.at_client.verified);
    return o.at_client.resumed;
}

TEST(a_connection_resumes_an_earlier_one_of_its_name_and_context)
{
    trust_make(&trust);
    for (int old = 0; old < 2; old++) {
        hob_tls_ctx *client = client_of(&trust.ca), *other = client_of(&trust.ca),
                    *server = server_of(&trust.site), *server2 = server_of(&trust.site),
                    *never = ctx_of(
                        (struct hob_tls_ctx_opts){.ca_pem = trust.ca.cert_pem, .no_resume = true});
        CHECK(!resumes(client, server, "right.test", old));
        CHECK(resumes(client, server, "right.test", old));
        CHECK(resumes(client, server, "right.test", old));
        CHECK(!resumes(client, server, "127.0.0.1", old));
        CHECK(!resumes(other, server, "right.test", old));
        CHECK(!resumes(client, server2, "right.test", old)); /* which has other keys */
        CHECK(!resumes(never, server, "right.test", old));
        CHECK(!resumes(never, server, "right.test", old));
        hob_tls_ctx *all[] = {client, other, server, server2, never};
        for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
            hob_tls_ctx_free(all[i]);
    }
    trust_free(&trust);
}

/* Whether there are tickets is for the chosen context to say, too. */
TEST(a_chosen_context_resumes_where_the_first_does_not)
{
    struct names n = {.asked = 0};

    trust_make(&trust);
    identity_free(&trust.site);
    identity_make(&trust.site, (struct identity_ask){.cn = "site",
                                                     .alt = "DNS:right.test,DNS:inner.test",
                                                     .issuer = &trust.ca});
    n.inner = server_of(&trust.site);
    n.front = ctx_of((struct hob_tls_ctx_opts){.server = true,
                                               .cert_pem = trust.site.cert_pem,
                                               .key_pem = trust.site.key_pem,
                                               .no_resume = true,
                                               .choose = by_name,
                                               .choose_arg = &n});
    for (int old = 0; old < 2; old++) {
        hob_tls_ctx *client = client_of(&trust.ca);
        for (int i = 0; i < 2; i++) {
            CHECK(!resumes(client, n.front, "right.test", old));
            CHECK_INT(resumes(client, n.front, "inner.test", old), i);
        }
        hob_tls_ctx_free(client);
    }
    hob_tls_ctx_free(n.inner);
    hob_tls_ctx_free(n.front);
    trust_free(&trust);
}

/* A session of a context that asks for no certificate opens none that does. */
TEST(a_session_stays_in_the_context_that_was_chosen)
{
    struct identity inner;
    struct names n = {.asked = 0};

    trust_make(&trust);
    identity_make(
        &inner, (struct identity_ask){.cn = "inner", .alt = "DNS:inner.test", .issuer = &trust.ca});
    n.inner = ctx_of((struct hob_tls_ctx_opts){.server = true,
                                               .cert_pem = inner.cert_pem,
                                               .key_pem = inner.key_pem,
                                               .ca_pem = trust.ca.cert_pem,
                                               .client_cert = HOB_TLS_CERT_REQUIRED});
    n.front = ctx_of((struct hob_tls_ctx_opts){.server = true,
                                               .cert_pem = trust.site.cert_pem,
                                               .key_pem = trust.site.key_pem,
                                               .choose = by_name,
                                               .choose_arg = &n});
    for (int old = 0; old < 2; old++) {
        hob_tls_ctx *client = client_of(&trust.ca);
        CHECK(!resumes(client, n.front, "right.test", old));
        SSL_SESSION *s = hob__tls_session_get(&client->sessions, "right.test");
        CHECK(s != NULL);
        hob__tls_session_put(&client->sessions, "inner.test", s);
        struct outcome o =
            meet_once((struct meeting){client, n.front, "inner.test", old ? only_12 : NULL, NULL});
        CHECK_INT(o.server, -HOB_ETLS);
        hob_tls_ctx_free(client);
    }
    hob_tls_ctx_free(n.inner);
    hob_tls_ctx_free(n.front);
    identity_free(&inner);
    trust_free(&trust);
}

TEST(sessions_of_many_names_make_way_for_each_other)
{
    struct tls_sessions s;
    char name[32];

    hob__tls_sessions_init(&s);
    for (int i = 0; i < 3 * TLS_SESSIONS_MAX; i++) {
        snprintf(name, sizeof name, "host%d.test", i);
        hob__tls_session_put(&s, name, SSL_SESSION_new());
        SSL_SESSION *first = hob__tls_session_get(&s, "host0.test"); /* used, so kept */
        CHECK(first != NULL);
        SSL_SESSION_free(first);
    }
    int kept = 0;
    for (int i = 0; i < 3 * TLS_SESSIONS_MAX; i++) {
        snprintf(name, sizeof name, "host%d.test", i);
        SSL_SESSION *one = hob__tls_session_get(&s, name);
        kept += one != NULL;
        SSL_SESSION_free(one);
    }
    CHECK_INT(kept, TLS_SESSIONS_MAX);
    hob__tls_sessions_fini(&s);
}

/* Two connections that show the same ticket can be told to be one client's. */
TEST(a_session_of_tls_1_3_is_given_out_once)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    for (int i = 0; i < 2; i++) {
        struct tls_sessions s;
        SSL_SESSION *made = SSL_SESSION_new(), *got;
        hob__tls_sessions_init(&s);
        CHECK(made && SSL_SESSION_set_protocol_version(made, versions[i]));
        hob__tls_session_put(&s, "a.test", made);
        for (int k = 0; k < 2; k++) {
            got = hob__tls_session_get(&s, "a.test");
            CHECK((got != NULL) == (k == 0 || versions[i] == TLS1_2_VERSION));
            SSL_SESSION_free(got);
        }
        hob__tls_sessions_fini(&s);
    }
}

/* --- what a context is made of ------------------------------------------------------------- */

static void ctx_fails(struct hob_tls_ctx_opts o, int want, const char *words)
{
    hob_tls_ctx *ctx = NULL;
    int r = ctx_try(o, &ctx);

    if (r != want || !strstr(ctx_why, words))
        t_fail(__FILE__, __LINE__, "%d (%s), not %d with \"%s\"", r, ctx_why, want, words);
    CHECK(ctx == NULL);
}

/* A key that needs a password, which nobody is asked for. */
static char *locked_key(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());

    CHECK(PEM_write_bio_PrivateKey(bio, key, EVP_aes_128_cbc(), (const unsigned char *)"pass", 4,
                                   NULL, NULL));
    return pem_text(bio);
}

TEST(what_is_wrong_with_certificates_and_keys_is_said)
{
    trust_make(&trust);
    const char *cert = trust.site.cert_pem;
    char *locked = locked_key(trust.site.key);

    ctx_fails((struct hob_tls_ctx_opts){.ca_file = "/nowhere/ca.pem"}, -ENOENT,
              "/nowhere/ca.pem: No such file");
    ctx_fails((struct hob_tls_ctx_opts){.ca_pem = "no certificate"}, -HOB_ETLS, "there is none");
    ctx_fails((struct hob_tls_ctx_opts){.cert_pem = "none"}, -HOB_ETLS, "there is none");
    ctx_fails((struct hob_tls_ctx_opts){.server = true, .cert_pem = cert}, -HOB_ETLS, "the key");
    ctx_fails(
        (struct hob_tls_ctx_opts){.server = true, .cert_pem = cert, .key_pem = trust.ca.key_pem},
        -HOB_ETLS, "key values mismatch");
    ctx_fails((struct hob_tls_ctx_opts){.server = true, .cert_pem = cert, .key_pem = locked},
              -HOB_ETLS, "the key in the text given");
    char broken[4096];
    snprintf(broken, sizeof broken, "%s", cert);
    memset(strchr(broken, '\n') + 30, 'A', 40);
    ctx_fails((struct hob_tls_ctx_opts){.ca_pem = broken}, -HOB_ETLS, "the authorities in");
    free(locked);
    trust_free(&trust);
}

TEST(options_that_make_no_sense)
{
    static const char *const none[] = {NULL}, *const empty[] = {"h2", "", NULL};
    static char longer[300];
    static const char *const too_long[] = {longer, NULL};

    memset(longer, 'x', sizeof longer - 1);
    trust_make(&trust);
    const char *cert = trust.site.cert_pem, *key = trust.site.key_pem, *ca = trust.ca.cert_pem;
    const struct hob_tls_ctx_opts bad[] = {
        {.server = true},
        {.server = true, .cert_pem = cert, .cert_file = "x", .key_pem = key},
        {.server = true, .cert_pem = cert, .key_pem = key, .ca_pem = ca},
        {.server = true, .cert_pem = cert, .key_pem = key, .client_cert = 1},
        {.server = true, .cert_pem = cert, .key_pem = key, .ca_pem = ca, .client_cert = 3},
        {.server = true, .cert_pem = cert, .key_pem = key, .insecure_trust_anyone = true},
        {.key_pem = key},
        {.client_cert = 1, .ca_pem = ca},
        {.choose = by_name},
        {.ca_pem = ca, .insecure_trust_anyone = true},
        {.alpn = none},
        {.alpn = empty},
        {.alpn = too_long},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ctx_fails(bad[i], -EINVAL, "");
    trust_free(&trust);
}

/* Certificate and key in one file, as a server keeps them. */
TEST(certificates_come_from_files)
{
    char path[] = "/tmp/hob-tls-XXXXXX";
    int fd = mkstemp(path);

    trust_make(&trust);
    FILE *f = fdopen(fd, "w");
    CHECK(fd >= 0 && f && fprintf(f, "%s%s", trust.site.key_pem, trust.site.cert_pem) > 0);
    CHECK_INT(fclose(f), 0);
    hob_tls_ctx *server = ctx_of((struct hob_tls_ctx_opts){.server = true, .cert_file = path}),
                *client = ctx_of((struct hob_tls_ctx_opts){.ca_pem = trust.ca.cert_pem});
    unlink(path);
    accepted(client, server, "right.test");
    hob_tls_ctx_free(client);
    hob_tls_ctx_free(server);
    trust_free(&trust);
}

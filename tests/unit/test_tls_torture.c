/* SPDX-License-Identifier: MIT
 *
 * TLS whose every wait is cancelled once, and whose every allocation fails once, OpenSSL's among
 * them.
 *
 * The linker puts this file between the program and malloc, calloc and realloc.
 */
#include <openssl/crypto.h>
#include <stdio.h>

#include "lib/t_leak.h"
#include "net/tls.h"
#include "tls_util.h"

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);

/* Of one thread: simulated. */
static int calls, fail_at;
enum { NOBODY, HOB, OPENSSL };
static int counted;

static bool fails(int who)
{
    return counted == who && ++calls == fail_at;
}

void *__wrap_malloc(size_t size)
{
    return fails(HOB) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails(HOB) ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails(HOB) ? NULL : __real_realloc(old, size);
}

static void *crypto_malloc(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return fails(OPENSSL) ? NULL : __real_malloc(size);
}

static void *crypto_realloc(void *old, size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return fails(OPENSSL) ? NULL : __real_realloc(old, size);
}

static void crypto_free(void *p, const char *file, int line)
{
    (void)file, (void)line;
    free(p);
}

/* --- one conversation: a question of some records, an answer, and an orderly end ----------- */

enum { QUESTION = 40 * 1000 };

struct scene {
    hob_tls_ctx *client, *server;
    struct ends e;
    char question[QUESTION];
    size_t heard;
};

static struct scene scene;

static int asks(void *arg)
{
    hob_tls *t = scene.e.client;
    char answer[8];
    size_t done = 0;
    ssize_t r;

    (void)arg;
    do {
        r = hob_tls_write(t, scene.question + done, QUESTION - done, HOB_FOREVER);
        done += r > 0 ? (size_t)r : 0;
    } while (r > 0 && done < QUESTION);
    if (r >= 0 && (r = hob_tls_read(t, answer, sizeof answer, HOB_FOREVER)) > 0) {
        CHECK_INT(r, 6);
        CHECK(memcmp(answer, "answer", 6) == 0);
    }
    if (r >= 0)
        r = hob_tls_finish(t, HOB_FOREVER);
    if (r < 0 && scene.e.wire) {
        ring_close(&scene.e.wire->to_server);
        ring_close(&scene.e.wire->to_client);
    }
    return (int)r;
}

static int answers(void *arg)
{
    hob_tls *t = scene.e.server;
    char buf[3000];
    ssize_t r = 0;

    (void)arg;
    while (scene.heard < QUESTION && (r = hob_tls_read(t, buf, sizeof buf, HOB_FOREVER)) > 0) {
        CHECK(memcmp(buf, scene.question + scene.heard, (size_t)r) == 0);
        scene.heard += (size_t)r;
    }
    if (r >= 0 && (r = hob_tls_write(t, "answer", 6, HOB_FOREVER)) == 6)
        r = hob_tls_finish(t, HOB_FOREVER);
    if (r < 0 && scene.e.wire) {
        ring_close(&scene.e.wire->to_server);
        ring_close(&scene.e.wire->to_client);
    }
    return (int)r;
}

static int conversation(void *arg)
{
    hob_group g;
    int r;

    scene.heard = 0;
    r = ends_open(&scene.e, hob_simulated(), scene.client, scene.server, "right.test");
    if (r == 0) {
        if (scene.e.wire)
            scene.e.wire->to_server.room = 10 * 1000; /* writers wait too */
        r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = !hob_simulated()));
        if (r == 0 && (r = hob_go(&g, asks, arg)) == 0)
            r = hob_go(&g, answers, arg);
        r = hob_group_join(&g, r);
    }
    CHECK(r < 0 || scene.heard == QUESTION);
    ends_close(&scene.e);
    return r;
}

static int cancelled_everywhere(void *arg)
{
    int n = hob_torture_cancel(conversation, arg);

    if (n <= 5)
        t_fail(__FILE__, __LINE__, "cancelled at %d points: %s", n, n < 0 ? hob_strerror(n) : "");
    return 0;
}

static void scene_make(const struct trust *trust, bool offload)
{
    for (size_t i = 0; i < QUESTION; i++)
        scene.question[i] = (char)(i * 31 + i / 251);
    contexts_make(trust, NULL, &(struct hob_tls_ctx_opts){.offload = offload}, &scene.client,
                  &scene.server);
}

static void scene_free(void)
{
    hob_tls_ctx_free(scene.client);
    hob_tls_ctx_free(scene.server);
}

TEST(every_wait_is_cancelled_once)
{
    struct trust trust;

    t_timeout(200);
    trust_make(&trust);
    for (int offload = 0; offload < 2; offload++) {
        scene_make(&trust, offload);
        everywhere_of(cancelled_everywhere, NULL, 4);
        scene_free();
    }
    trust_free(&trust);
}

/* --- memory -------------------------------------------------------------------------------- */

static struct trust made;
static char why[HOB_TLS_WHY_MAX];

static int poor_conversation(void *arg)
{
    int r =
        hob_tls_ctx_new(HOB_TLS_CTX_OPTS(.ca_pem = made.ca.cert_pem, .why = why), &scene.client);

    if (r == 0)
        r = hob_tls_ctx_new(HOB_TLS_CTX_OPTS(.server = true, .cert_pem = made.site.cert_pem,
                                             .key_pem = made.site.key_pem, .why = why),
                            &scene.server);
    if (r == 0)
        r = conversation(arg);
    scene_free();
    scene.client = scene.server = NULL;
    return r;
}

/* Counts only what is done here, not the runtime's own start. */
static int poor(void *arg)
{
    counted = *(int *)arg;
    int r = poor_conversation(arg);
    counted = NOBODY;
    return r;
}

/* Every step-th allocation of hob's or OpenSSL's; how many runs told of it. */
static int poor_runs(int who, int step)
{
    int failed = 0, runs = 0;

    t_timeout(200);
    trust_make(&made);
    setenv("HOB_SIM", "1", 1);
    fail_at = 0;
    CHECK_INT(hob_run(NULL, poor, &who), 0); /* what OpenSSL makes once */
    for (int n = 1;; n += step) {
        calls = 0;
        fail_at = n;
        int r = hob_run(NULL, poor, &who);
        if (calls < n) {
            CHECK_INT(r, 0);
            break;
        }
        /* One end may know why, and the other only that it was left. */
        if (r != 0 && r != -ENOMEM && r != -HOB_ETLS && r != -HOB_ETRUNCATED && r != -EPIPE)
            t_fail(__FILE__, __LINE__, "allocation %d: %s", n, hob_strerror(r));
        if (runs++ % 20 == 0 && __lsan_do_recoverable_leak_check())
            t_fail(__FILE__, __LINE__, "allocation %d, or one of 20 before: left something", n);
        failed += r < 0;
    }
    trust_free(&made);
    return failed;
}

TEST(every_allocation_of_hobs_fails_once)
{
    CHECK(poor_runs(HOB, 1) > 5);
}

/* OpenSSL takes the end for said, though it is still to be said. */
static void ends_without_memory(struct ends *e)
{
    char c;

    if (!e->wire)
        return;
    counted = HOB;
    calls = 0;
    fail_at = 1;
    CHECK_INT(hob_tls_end(e->server, HOB_FOREVER), -ENOMEM);
    counted = NOBODY;
    CHECK_INT(hob_tls_write(e->server, "x", 1, HOB_FOREVER), -EPIPE);
    CHECK_INT(hob_tls_read(e->client, &c, 1, 0), -ETIMEDOUT);
    CHECK_INT(hob_tls_end(e->server, HOB_FOREVER), 0);
    CHECK_INT(hob_tls_read(e->client, &c, 1, HOB_FOREVER), 0);
    says(e->client, "an answer");
    hears(e->server, "an answer");
}

TEST(an_end_without_memory_is_said_later)
{
    talk_run(ends_without_memory, false);
}

/* It has some ten thousand, many of which it can do without. */
TEST(allocations_of_openssls_fail)
{
    if (!CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free))
        t_skip("OpenSSL has allocated before anybody could ask it not to");
    CHECK(poor_runs(OPENSSL, 11) > 50);
}

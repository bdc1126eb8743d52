/* SPDX-License-Identifier: MIT
 *
 * TLS, against openssl's s_server with a certificate made here.
 */
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include "http_util.h"
#include "net/dns.h"

struct tls {
    char dir[64], cert[96], key[96];
    pid_t pid;
    unsigned port;
};

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void run(const char *format, ...)
{
    char command[1024];
    va_list ap;

    va_start(ap, format);
    vsnprintf(command, sizeof command, format, ap);
    va_end(ap);
    if (system(command) != 0)
        t_fail(__FILE__, __LINE__, "failed: %s", command);
}

/* `openssl s_server -www` says where it listens on its standard output. */
static void server_start(struct tls *t, const char *flag)
{
    int out[2];
    char line[256];

    CHECK_INT(pipe(out), 0);
    t->pid = fork();
    if (t->pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        if (!freopen("/dev/null", "r", stdin) || !freopen("/dev/null", "w", stderr))
            _exit(126);
        close(out[0]);
        close(out[1]);
        execlp("openssl", "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", t->cert, "-key",
               t->key, "-www", flag, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    FILE *f = fdopen(out[0], "r");
    while (t->port == 0 && fgets(line, sizeof line, f))
        sscanf(line, "ACCEPT %*[^:]:%u", &t->port);
    fclose(f);
    CHECK(t->port != 0);
}

static void tls_start(struct tls *t, const char *flag)
{
    *t = (struct tls){.dir = "/tmp/hob-tls-XXXXXX"};
    if (system("command -v openssl >/dev/null") != 0)
        t_skip("openssl is not installed");
    CHECK(mkdtemp(t->dir) != NULL);
    snprintf(t->cert, sizeof t->cert, "%s/cert.pem", t->dir);
    snprintf(t->key, sizeof t->key, "%s/key.pem", t->dir);
    run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=x "
        "-addext subjectAltName=IP:127.0.0.1,DNS:right.test -keyout %s -out %s 2>/dev/null",
        t->key, t->cert);
    server_start(t, flag);
}

static void tls_stop(struct tls *t)
{
    int status;

    kill(t->pid, SIGKILL);
    waitpid(t->pid, &status, 0);
    unlink(t->cert);
    unlink(t->key);
    rmdir(t->dir);
}

static struct tls server;

static void here(const char *name, struct dns_answer *ret)
{
    (void)name;
    ret->rc = 0;
    ret->n = 1;
    CHECK_INT(hob_addr_parse("127.0.0.1", 0, &ret->addr[0]), 0);
}

/* A GET of a client of its own. */
static int get_tls(struct hob_http_opts *opts, const char *host, const char *proxy,
                   struct hob_http_response *res)
{
    hob_http *c = NULL;
    char url[128];

    hob__dns_lookup = here;
    opts->size = sizeof *opts;
    opts->allow_private = true;
    CHECK_INT(hob_http_new(opts, &c), 0);
    snprintf(url, sizeof url, "https://%s:%u/", host, server.port);
    int r = hob_http_do(c, HOB_HTTP_REQUEST(.url = url, .proxy = proxy), hob_in(20 * HOB_SEC), res);
    hob_http_free(c);
    return r;
}

static void refused(struct hob_http_opts opts, const char *host, const char *words)
{
    struct hob_http_response res;
    int r = get_tls(&opts, host, NULL, &res);

    if (r != -HOB_ETLS || !strstr(res.reason, words))
        t_fail(__FILE__, __LINE__, "https://%s is %d (%s), not -HOB_ETLS: %s", host, r, res.reason,
               words);
}

static void accepted(struct hob_http_opts opts, const char *host, const char *proxy)
{
    struct hob_http_response res;
    int r = get_tls(&opts, host, proxy, &res);

    if (r != 0)
        t_fail(__FILE__, __LINE__, "https://%s is %d (%s)", host, r, res.reason);
    CHECK_INT(res.status, 200);
    CHECK(strstr(res.body, "s_server") != NULL);
    hob_http_response_free(&res);
}

static void certificates(struct world *w)
{
    char proxy[64];

    refused((struct hob_http_opts){.size = 0}, "127.0.0.1", "self-signed");
    accepted((struct hob_http_opts){.insecure = true}, "127.0.0.1", NULL);
    accepted((struct hob_http_opts){.ca_file = server.cert}, "127.0.0.1", NULL);
    accepted((struct hob_http_opts){.ca_file = server.cert}, "right.test", NULL);
    refused((struct hob_http_opts){.ca_file = server.cert}, "wrong.test", "wrong.test");
    accepted((struct hob_http_opts){.insecure = true}, "wrong.test", NULL);
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", w->httpd.port);
    accepted((struct hob_http_opts){.ca_file = server.cert}, "right.test", proxy);
    CHECK_INT(w->httpd.n_tunnels, 1);
    snprintf(proxy, sizeof proxy, "socks5h://127.0.0.1:%u", w->httpd.port);
    accepted((struct hob_http_opts){.ca_file = server.cert}, "right.test", proxy);
    CHECK_INT(w->httpd.n_tunnels, 2);
}

TEST(a_certificate_is_trusted_for_its_names_or_not_at_all)
{
    struct world w = {.body = certificates};

    tls_start(&server, "-tls1_3");
    world_run(&w);
    tls_stop(&server);
}

TEST_HTTP(a_server_without_tls)
{
    struct hob_http_response res;
    char url[64];

    snprintf(url, sizeof url, "https://127.0.0.1:%u/", w->httpd.port);
    CHECK_INT(hob_http_get(w->client, url, hob_in(20 * HOB_SEC), &res), -HOB_ETLS);
    CHECK(res.reason[0]);
}

static void old_tls(struct world *w)
{
    (void)w;
    refused((struct hob_http_opts){.insecure = true}, "127.0.0.1", "");
}

TEST(tls_1_1_is_too_old)
{
    struct world w = {.body = old_tls};

    tls_start(&server, "-tls1_1");
    world_run(&w);
    tls_stop(&server);
}

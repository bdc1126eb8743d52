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

static void tls_make(struct tls *t)
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
}

static void tls_start(struct tls *t, const char *flag)
{
    tls_make(t);
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

/* ---- HTTP/2: nginx, for s_server does not speak it ---- */

static void nginx_start(struct tls *t)
{
    char conf[96];
    struct httpd h = {.port = 0};

    tls_make(t);
    httpd_start(&h); /* a port that was free a moment ago */
    httpd_stop(&h);
    t->port = h.port;
    snprintf(conf, sizeof conf, "%s/conf", t->dir);
    FILE *f = fopen(conf, "w");
    fprintf(
        f,
        "daemon off; master_process off; pid %s/pid; error_log /dev/null;\n"
        "events { }\nhttp { access_log off; client_body_temp_path %s/b;\n"
        "proxy_temp_path %s/p; fastcgi_temp_path %s/f; uwsgi_temp_path %s/u;\n"
        "scgi_temp_path %s/s; server { listen 127.0.0.1:%u ssl http2; ssl_certificate %s;\n"
        "ssl_certificate_key %s; location / { return 200 \"$connection $server_protocol\"; } } }\n",
        t->dir, t->dir, t->dir, t->dir, t->dir, t->dir, t->port, t->cert, t->key);
    fclose(f);
    t->pid = fork();
    if (t->pid == 0) {
        execlp("nginx", "nginx", "-c", conf, "-e", "/dev/null", (char *)NULL);
        _exit(127);
    }
}

struct h2_get {
    hob_http *client;
    int r;
    unsigned version;
    char body[64];
};

static int h2_get(void *arg)
{
    struct h2_get *g = arg;
    struct hob_http_response res;
    char url[64];

    snprintf(url, sizeof url, "https://127.0.0.1:%u/", server.port);
    g->r = hob_http_get(g->client, url, hob_in(20 * HOB_SEC), &res);
    g->version = res.http_version;
    snprintf(g->body, sizeof g->body, "%.63s", res.body ? res.body : res.reason);
    hob_http_response_free(&res);
    return 0;
}

/* Thirty requests at once; how many connections nginx saw. */
static int connections_of(bool no_http2, unsigned version)
{
    struct h2_get all[30];
    hob_http *c = NULL;
    hob_group g;
    int n = 0, r;

    CHECK_INT(hob_http_new(
                  HOB_HTTP_OPTS(.allow_private = true, .insecure = true, .no_http2 = no_http2), &c),
              0);
    do { /* until it listens */
        all[0].client = c;
        h2_get(&all[0]);
    } while (all[0].r == -ECONNREFUSED && hob_sleep(10 * HOB_MS) == 0);
    r = hob_group_open(&g, NULL);
    for (int i = 0; i < 30 && r == 0; i++) {
        all[i].client = c;
        r = hob_go(&g, h2_get, &all[i]);
    }
    CHECK_INT(hob_group_join(&g, r), 0);
    for (int i = 0; i < 30; i++) {
        bool first = true;
        if (all[i].r != 0)
            t_fail(__FILE__, __LINE__, "%d: %s", all[i].r, all[i].body);
        CHECK_INT(all[i].version, version);
        for (int k = 0; k < i; k++)
            first = first && strcmp(all[k].body, all[i].body) != 0;
        n += first;
    }
    hob_http_free(c);
    return n;
}

static void http2(struct world *w)
{
    (void)w;
    CHECK_INT(connections_of(false, 20), 1);
    CHECK(connections_of(true, 11) > 0);
}

TEST(http_2_shares_a_connection_where_it_is_spoken)
{
    struct world w = {.body = http2};
    char command[128];

    if (system("command -v nginx >/dev/null") != 0)
        t_skip("nginx is not installed");
    nginx_start(&server);
    world_run(&w);
    kill(server.pid, SIGKILL);
    waitpid(server.pid, NULL, 0);
    snprintf(command, sizeof command, "rm -rf %s", server.dir);
    CHECK_INT(system(command), 0);
}

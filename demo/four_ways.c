/* SPDX-License-Identifier: MIT
 *
 * four_ways.c - the same pages crawled four ways: what concurrency buys, and what parallelism
 *
 * WHAT        A site on loopback (demo/site.h), in a process of its own, answers each page after
 *             40 to 120 ms.  `hob crawl`'s own engine crawls it
 *
 *                 1. one page at a time
 *                 2. many at once, parsed by the thread that waits: concurrent, not parallel
 *                 3. many at once, parsed by the pool, on one core: parallel code, no parallelism
 *                 4. many at once, parsed by the pool, on every core: both
 *
 *             Each way is a process of its own with a database of its own, is timed from its first
 *             request to its last commit, must have found every page, and writes a recording.  The
 *             recordings become one picture.  Nothing is extrapolated.
 *
 *                 hob-demo [SVG [PAGES [DIR]]]
 *
 *             With DIR, an empty directory, the databases stay there: tests/cli/test_demo.py looks
 *             whether each way found the site's truth.
 *
 * REJECTED    Four runs in one process: the pool's threads are counted once a process, and the
 *             third way must be pinned to one core with everything it has.
 */
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crawl/crawl.h"
#include "lib/out.h"
#include "site.h"

enum {
    N_WAYS = 4,
    AT_ONCE = 50,
    PAGES = 260,
    PAGE_SIZE = 120 * 1000,
};

struct way {
    const char *name, *bought;
    uint32_t at_once;
    bool inline_parse, one_core;
};

static const struct way ways[N_WAYS] = {
    {"one at a time", "", 1, true, false},
    {"50 at once, parsed on the loop", "concurrency: the waits overlap", AT_ONCE, true, false},
    {"50 at once, parsed by the pool, 1 core", "parallel code on one core: nothing to gain",
     AT_ONCE, false, true},
    {"50 at once, parsed by the pool, all cores", "parallelism: the computing is shared out",
     AT_ONCE, false, false},
};

/* What a way came to; a child writes it into a pipe. */
struct outcome {
    hob_dur wall;
    uint64_t pages, failed;
    char words[2][HOB_VERDICT_WORDS]; /* verdicts of fetch and parse; "": no such stage */
};

static unsigned n_pages = PAGES;
static volatile sig_atomic_t stopped; /* the signal that asked for the end */

static struct site_opts site_opts(void)
{
    return (struct site_opts){.seed = 1,
                              .pages = n_pages,
                              .page_size = PAGE_SIZE,
                              .latency_min = 40 * HOB_MS,
                              .latency_max = 120 * HOB_MS};
}

/* The server. */

struct server {
    struct site *site;
    int port_to;
};

static int serve(void *arg)
{
    struct server *s = arg;
    int port = site_listen(s->site, 0);

    if (port < 0 || write(s->port_to, &port, sizeof(port)) != sizeof(port))
        return port < 0 ? port : -EPIPE;
    close(s->port_to);
    return site_serve(s->site);
}

static void server_process(int port_to)
{
    struct site_opts o = site_opts();
    struct server s = {.port_to = port_to};

    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (site_new(&o, &s.site) == 0)
        (void)!hob_run(HOB_OPTS(.stop_on_signals = true), serve, &s);
    _exit(0);
}

/* Its process id, or a negative errno. */
static pid_t server_start(int *ret_port)
{
    int pipe_of[2];
    pid_t pid;

    if (pipe(pipe_of) < 0)
        return -errno;
    pid = fork();
    if (pid == 0) {
        close(pipe_of[0]);
        server_process(pipe_of[1]);
    }
    close(pipe_of[1]);
    if (pid > 0 && read(pipe_of[0], ret_port, sizeof(*ret_port)) != sizeof(*ret_port)) {
        waitpid(pid, NULL, 0);
        pid = -EIO;
    }
    close(pipe_of[0]);
    return pid;
}

/* One way. */

static int crawl_fiber(void *arg)
{
    hob_http *client;
    int r = hob_http_new(HOB_HTTP_OPTS(.allow_private = true), &client);

    if (r == 0) {
        r = crawl_run(arg, client);
        hob_http_free(client);
    }
    return r;
}

static int pin_to_one_core(void)
{
    cpu_set_t all, one;

    if (sched_getaffinity(0, sizeof(all), &all) < 0)
        return -errno;
    CPU_ZERO(&one);
    for (int i = CPU_SETSIZE - 1; i >= 0 && CPU_COUNT(&one) == 0; i--)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    return sched_setaffinity(0, sizeof(one), &one) < 0 ? -errno : 0;
}

static void outcome_of(struct crawl *c, struct outcome *ret)
{
    struct crawl_progress p;

    crawl_progress(c, &p);
    ret->wall = p.wall;
    ret->pages = p.fetched;
    ret->failed = p.failed;
    for (unsigned i = 0; i < p.n_stages; i++) {
        struct hob_verdict v = {.size = sizeof v};
        int k = strcmp(p.stage[i].name, "fetch") == 0   ? 0
                : strcmp(p.stage[i].name, "parse") == 0 ? 1
                                                        : -1;
        if (k >= 0 && hob_stage_verdict(&p.stage[i], hob_cores(), &v) == 0)
            memcpy(ret->words[k], v.words, sizeof(v.words));
    }
}

static int way_run(const struct way *w, const char *url, const char *dir, const char *trace,
                   struct outcome *ret)
{
    char db[256], err[STORE_ERR_MAX] = "";
    struct html_rules *rules = NULL;
    struct crawl *c = NULL;
    int r = w->one_core ? pin_to_one_core() : 0;

    html_init();
    snprintf(db, sizeof(db), "%s/%d.db", dir, (int)(w - ways));
    if (r == 0 && (r = html_rules_new(&rules)) == 0)
        r = html_rules_add(rules, "price=css:.price", err, sizeof(err));
    struct crawl_opts o = {.seeds = &url,
                           .n_seeds = 1,
                           .db = db,
                           .depth = -1,
                           .concurrency = w->at_once,
                           .per_host = w->at_once,
                           .timeout = 30 * HOB_SEC,
                           .user_agent = "hob",
                           .rules = rules,
                           .parse_inline = w->inline_parse};
    if (r == 0)
        r = crawl_open(&o, &c, err);
    if (r == 0)
        r = hob_trace_start(HOB_TRACE_OPTS(.path = trace));
    if (r == 0) {
        r = hob_run(NULL, crawl_fiber, c);
        int traced = hob_trace_stop(NULL);
        outcome_of(c, ret);
        r = r < 0 ? r : traced;
    }
    if (r < 0)
        fprintf(stderr, "%s: %s\n", w->name, *err ? err : c ? crawl_error(c) : hob_strerror(r));
    crawl_close(c);
    html_rules_free(rules);
    return r;
}

static void on_stop(int number)
{
    stopped = number;
}

/* No SA_RESTART: what waits is to see it. */
static void stops_are(void (*handler)(int))
{
    const struct sigaction action = {.sa_handler = handler};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static int way_in_child(const struct way *w, const char *url, const char *dir, const char *trace,
                        struct outcome *ret)
{
    int pipe_of[2], status;
    pid_t pid;

    if (pipe(pipe_of) < 0)
        return -errno;
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        struct outcome out = {0};
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        stops_are(SIG_DFL);
        int r = way_run(w, url, dir, trace, &out);
        _exit(r < 0 || write(pipe_of[1], &out, sizeof(out)) != sizeof(out));
    }
    close(pipe_of[1]);
    ssize_t n = pid > 0 ? read(pipe_of[0], ret, sizeof(*ret)) : -1;
    close(pipe_of[0]);
    if (pid > 0 && stopped)
        kill(pid, SIGTERM);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        kill(pid, SIGTERM);
    return n == (ssize_t)sizeof(*ret) ? 0 : -EIO;
}

/* All of it. */

static void print_row(const struct way *w, const struct outcome *o, const struct outcome *before)
{
    char t[OUT_FIGURE];
    double s = (double)o->wall / (double)HOB_SEC;

    printf("  %-42s %8s %8.0f", w->name, out_duration(o->wall, t), (double)o->pages / s);
    if (before)
        printf("  %5.1fx  %s", (double)before->wall / (double)o->wall, w->bought);
    putchar('\n');
    fflush(stdout);
}

static int picture(const struct outcome *o, char trace[N_WAYS][300], const char *path)
{
    struct hob_panel panel[N_WAYS];
    hob_trace *t[N_WAYS] = {0};
    FILE *out = NULL;
    int r = 0;

    for (int i = 0; r == 0 && i < N_WAYS; i++) {
        r = hob_trace_load(trace[i], &t[i]);
        panel[i] = (struct hob_panel)HOB_PANEL(.title = ways[i].name, .trace = t[i],
                                               .note = o[i].words[*o[i].words[1] != 0]);
    }
    if (r == 0 && !(out = fopen(path, "w")))
        r = -errno;
    if (r == 0)
        r = hob_timeline_svg(panel, N_WAYS,
                             HOB_TIMELINE_OPTS(.title = "The same pages, crawled four ways"), out);
    if (out && fclose(out) != 0 && r == 0)
        r = -errno;
    for (int i = 0; i < N_WAYS; i++)
        hob_trace_free(t[i]);
    if (r < 0)
        fprintf(stderr, "demo: %s: %s\n", path, hob_strerror(r));
    return r;
}

static int demo(const char *dir, const char *svg, int port)
{
    struct outcome out[N_WAYS] = {0};
    char url[64], trace[N_WAYS][300];

    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", port);
    printf("Crawling %u product pages of %d KB from %s, each answered after 40 to 120 ms,\n"
           "on %u cores:\n\n  %-42s %8s %8s  against the line above\n",
           n_pages, PAGE_SIZE / 1000, url, hob_cores(), "", "time", "pages/s");
    for (int i = 0; i < N_WAYS; i++) {
        snprintf(trace[i], sizeof(trace[i]), "%s/%d.trace", dir, i);
        if (stopped || way_in_child(&ways[i], url, dir, trace[i], &out[i]) < 0)
            return 1;
        print_row(&ways[i], &out[i], i ? &out[i - 1] : NULL);
        if (out[i].failed || out[i].pages != out[0].pages || out[i].pages < n_pages) {
            fprintf(stderr, "demo: %llu pages, %llu failed: not what the site has\n",
                    (unsigned long long)out[i].pages, (unsigned long long)out[i].failed);
            return 1;
        }
    }
    printf("\nWhat the stages of the last one say of themselves:\n  fetch  %s\n  parse  %s\n",
           out[3].words[0], out[3].words[1]);
    if (picture(out, trace, svg) < 0)
        return 1;
    printf("\nThe picture: %s\nA real site:  build/hob crawl --field 'title=xpath://h1' "
           "https://example.org/\n",
           svg);
    return 0;
}

/* SQLite's other files are there too if a way was cut short. */
static void remove_all(const char *dir)
{
    DIR *d = opendir(dir);

    for (struct dirent *e; d && (e = readdir(d));)
        unlinkat(dirfd(d), e->d_name, 0); /* . and .. are refused */
    if (d)
        closedir(d);
    rmdir(dir);
}

/* 0: not a number of pages. */
static unsigned pages_of(const char *text)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    return *end == '\0' && n <= 100000 ? (unsigned)n : 0;
}

int main(int argc, char **argv)
{
    const char *tmp = getenv("TMPDIR");
    const char *svg = argc > 1 ? argv[1] : "hob-demo.svg";
    char own[200];
    const char *dir = argc > 3 ? argv[3] : own;
    int port, status;
    pid_t server;

    if (argc > 4 || (argc > 2 && (n_pages = pages_of(argv[2])) == 0)) {
        fprintf(stderr, "usage: hob-demo [SVG [PAGES [DIR]]]\n");
        return 2;
    }
    snprintf(own, sizeof(own), "%.180s/hob-demo-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (dir == own && !mkdtemp(own)) {
        fprintf(stderr, "demo: %s: %s\n", own, strerror(errno));
        return 1;
    }
    server = server_start(&port);
    if (server < 0) {
        fprintf(stderr, "demo: the site does not start\n");
        return 1;
    }
    stops_are(on_stop);
    status = demo(dir, svg, port);
    stops_are(SIG_IGN);
    kill(server, SIGTERM);
    waitpid(server, NULL, 0);
    if (dir == own)
        remove_all(dir);
    if (stopped) { /* as if it had not been caught, but that nothing is left behind */
        stops_are(SIG_DFL);
        raise(stopped);
    }
    return status;
}

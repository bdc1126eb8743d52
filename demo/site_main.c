/* SPDX-License-Identifier: MIT
 *
 * site_main.c - hob-site: the demo site as a program
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "demo/site.h"
#include "lib/option.h"

struct settings {
    int64_t port, pages, page_size, seed;
    const char *latency, *log;
    bool truth;
};

static int complain(const char *what, const char *why)
{
    fprintf(stderr, "hob-site: %s: %s\n", what, why);
    return 1;
}

/* "50ms" or "50ms-500ms" */
static int latency_parse(const char *text, struct site_opts *o)
{
    char first[32];
    size_t n = strcspn(text, "-");
    int r;

    if (n >= sizeof first)
        return -EINVAL;
    memcpy(first, text, n);
    first[n] = '\0';
    r = option_duration(first, &o->latency_min);
    if (r == 0 && text[n])
        r = option_duration(text + n + 1, &o->latency_max);
    return r == 0 && text[n] && o->latency_max < o->latency_min ? -EINVAL : r;
}

static int print_truth(const struct site *s)
{
    for (size_t i = 0; i < site_truths(s); i++) {
        struct site_row row;
        site_truth(s, i, &row);
        printf("%s\t%s\t%s\n", row.path, row.title, row.price);
    }
    return fflush(stdout) == 0 ? 0 : complain("standard output", strerror(errno));
}

/* A connection is a descriptor: as many as the system lets this process have. */
static void descriptors_all(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

struct run {
    struct site *site;
    uint16_t port;
};

static int run(void *arg)
{
    struct run *run = arg;
    int r = site_listen(run->site, run->port);

    if (r < 0)
        return r;
    printf("http://127.0.0.1:%d\n", r);
    if (fflush(stdout) != 0)
        return -errno;
    return site_serve(run->site);
}

static int serve(struct site *site, const struct settings *set)
{
    struct run args = {.site = site, .port = (uint16_t)set->port};
    char what[32];

    descriptors_all();
    int r = hob_run(HOB_OPTS(.stop_on_signals = true), run, &args);
    if (r == -EINTR || r == -ECANCELED)
        return 0; /* the way to end it */
    snprintf(what, sizeof what, "port %d", (int)set->port);
    return complain(what, hob_strerror(r));
}

int main(int argc, char *argv[])
{
    struct settings set = {.pages = 100, .page_size = 29000, .latency = "0", .seed = 1};
    const struct option options[] = {
        OPTION_INT('p', "port", &set.port, 0, 65535, "N",
                   "listen there on 127.0.0.1 (0: any; the URL is printed)"),
        OPTION_INT('n', "pages", &set.pages, 1, 100000000, "N", "product pages (100)"),
        OPTION_INT('s', "seed", &set.seed, 0, OPTION_NO_MAX, "N", "another seed, another site (1)"),
        OPTION_STRING('l', "latency", &set.latency, "TIME[-TIME]",
                      "before each answer; a range: each target has its own (0)"),
        OPTION_SIZE(0, "page-size", &set.page_size, 1, 64 << 20, "SIZE",
                    "of a product page, about (29kB)"),
        OPTION_STRING(0, "log", &set.log, "FILE",
                      "a line for each request: seconds, connection, requests under way, method, "
                      "host, target, user agent"),
        OPTION_FLAG(0, "truth", &set.truth,
                    "do not serve; print path, title and price of each page that has a price"),
        OPTION_END,
    };
    const struct option_command command = {
        .name = "hob-site",
        .usage = "hob-site [OPTION]...",
        .about = "Serves a product site made up from a seed, for demos, tests and benches.",
        .options = options};
    struct option_args args;
    struct site *site = NULL;
    int status = option_start(&command, argc, argv, &args);

    if (status >= 0)
        return status;
    struct site_opts opts = {.seed = (uint64_t)set.seed,
                             .pages = (size_t)set.pages,
                             .page_size = (size_t)set.page_size,
                             .log = set.truth ? NULL : set.log};
    int r = args.n > 0 ? -EINVAL : latency_parse(set.latency, &opts);
    if (r < 0) {
        complain(args.n > 0 ? args.operand[0] : set.latency,
                 args.n > 0 ? "no argument is expected"
                            : "not a duration, nor a range like 50ms-500ms");
        status = OPTION_STATUS_USAGE;
    } else if ((r = site_new(&opts, &site)) < 0) {
        status = complain(set.log ? set.log : "the site", hob_strerror(r));
    } else {
        status = set.truth ? print_truth(site) : serve(site, &set);
    }
    site_free(site);
    option_free(&command, &args);
    return status;
}

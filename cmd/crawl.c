/* SPDX-License-Identifier: MIT
 *
 * crawl.c - hob crawl: options, progress and summary around the crawl (crawl/crawl.h)
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "crawl/crawl.h"
#include "lib/descriptors.h"
#include "lib/option.h"
#include "lib/out.h"
#include "lib/url.h"
#include "lib/wall.h"

enum { IDLE_LEAST = 256 };

struct crawl_command {
    struct crawl_opts opts;
    struct option_list fields;
    int64_t concurrency, per_host, retries, max_pages, max_size;
    int64_t idle; /* connections the client may keep */
    bool allow_private, status;
    struct crawl *crawl;
    struct crawl_progress done;
};

/* One line on the terminal while it runs. */

static void progress_text(const struct crawl_progress *p, struct buf *b)
{
    char n[OUT_FIGURE], t[OUT_FIGURE], bytes[OUT_FIGURE];
    double s = (double)p->wall / (double)HOB_SEC;

    buf_printf(b, "%s page%s, %.0f/s, %s, %s", out_count(p->fetched, n), p->fetched == 1 ? "" : "s",
               s > 0 ? (double)p->fetched / s : 0, out_bytes(p->bytes, bytes),
               out_duration(p->wall, t));
    buf_printf(b, "; %llu in flight, %llu waiting for their host", (unsigned long long)p->in_flight,
               (unsigned long long)p->waiting);
    if (p->failed)
        buf_printf(b, "; %s failed", out_count(p->failed, n));
}

static void stderr_write(const struct buf *b)
{
    if (b->len > 0 && write(STDERR_FILENO, b->p, b->len) < 0)
        return; /* a terminal that is gone is no reason to stop */
}

static int progress_fiber(void *arg)
{
    struct crawl_command *cmd = arg;
    struct out_progress line;
    struct crawl_progress p;
    struct buf text = {0}, out = {0};
    int r = 0;

    out_progress_init(&line, STDERR_FILENO);
    while (line.on && (r = hob_sleep(200 * HOB_MS)) == 0) {
        crawl_progress(cmd->crawl, &p);
        buf_reset(&text);
        buf_reset(&out);
        progress_text(&p, &text);
        if (buf_error(&text) == 0)
            out_progress_show(&line, hob_now(), text.p, &out);
        stderr_write(&out);
    }
    buf_reset(&out);
    out_progress_clear(&line, &out);
    stderr_write(&out);
    buf_free(&text);
    buf_free(&out);
    return r;
}

/* A connection is a descriptor, and so is the look-up of a name. */
static bool descriptors_get(struct crawl_command *cmd)
{
    const unsigned each = 2;

    cmd->concurrency = descriptors_cap("hob crawl", cmd->concurrency, each);
    cmd->idle =
        descriptors_for(cmd->concurrency > IDLE_LEAST ? cmd->concurrency : IDLE_LEAST, each);
    return cmd->concurrency > 0;
}

static int crawl_fiber(void *arg)
{
    struct crawl_command *cmd = arg;
    hob_http *client;
    hob_group g;
    int r = hob_http_new(
        HOB_HTTP_OPTS(.user_agent = cmd->opts.user_agent, .body_bytes_max = cmd->opts.max_size,
                      .idle_conns_max = (uint32_t)cmd->idle, .allow_private = cmd->allow_private),
        &client);

    if (r < 0)
        return r;
    r = hob_group_open(&g, HOB_GROUP_OPTS(.name = "progress"));
    if (r == 0)
        r = hob_go(&g, progress_fiber, cmd);
    if (r == 0)
        r = crawl_run(cmd->crawl, client);
    hob_group_cancel(&g, 0);
    (void)hob_group_join(&g, 0);
    hob_http_free(client);
    return r;
}

/* After it. */

static void print_stages(const struct crawl_progress *p)
{
    for (unsigned i = 0; p->fetched > 0 && i < p->n_stages; i++) {
        struct hob_verdict v = {.size = sizeof v};
        if (i == 0 && p->paced > p->wall / 2)
            fprintf(stderr,
                    "  %-6s held to the pace it was told (--delay, --per-host, what the site "
                    "asks for): %.0f %% of the time pages waited for their host's turn\n",
                    p->stage[i].name, 100 * (double)p->paced / (double)p->wall);
        else if (p->stage[i].items_in > 0 && hob_stage_verdict(&p->stage[i], hob_cores(), &v) == 0)
            fprintf(stderr, "  %-6s %s\n", p->stage[i].name, v.words);
    }
}

static void print_counts(const struct store_counts *n, FILE *to)
{
    char figure[OUT_FIGURE];
    const char *comma = "";

    for (int s = STORE_PENDING; s < STORE_STATES; s++) {
        if (n->n[s] == 0)
            continue;
        fprintf(to, "%s%s %s", comma, out_count(n->n[s], figure), store_state_text(s));
        comma = ", ";
    }
    fprintf(to, "%s\n", *comma ? "" : "nothing");
}

static void print_summary(const struct crawl_command *cmd, bool well)
{
    const struct crawl_progress *p = &cmd->done;
    char n[OUT_FIGURE], b[OUT_FIGURE], t[OUT_FIGURE];
    double s = (double)p->wall / (double)HOB_SEC;

    if (well && p->fetched + p->failed + p->skipped + p->retried + p->put_off == 0 &&
        p->ending != STORE_RUNNING)
        fprintf(stderr,
                "hob crawl: nothing was left to fetch: %s; without %s the crawl begins anew\n",
                p->ending == STORE_BUDGET ? "all of --max-pages is there" : "the crawl is complete",
                cmd->opts.db);
    else
        fprintf(stderr, "hob crawl: %s page%s, %s, in %s: %.0f pages/s\n", out_count(p->fetched, n),
                p->fetched == 1 ? "" : "s", out_bytes(p->bytes, b), out_duration(p->wall, t),
                s > 0 ? (double)p->fetched / s : 0);
    if (p->failed && p->fetched)
        fprintf(stderr, "  %s failed, the first: %s\n", out_count(p->failed, n), p->first_failure);
    if (p->put_off && p->fetched)
        fprintf(stderr, "  %s put off, the first of %s; the same command tries them again\n",
                out_count(p->put_off, n), p->first_put_off);
    print_stages(p);
    fprintf(stderr, "  %s: ", cmd->opts.db);
    print_counts(&p->counts, stderr);
}

/* The exit status, with one line that says why it is not 0. */
static int crawl_end(const struct crawl_command *cmd, int r)
{
    const struct crawl_progress *p = &cmd->done;

    if (r == -EOPNOTSUPP) {
        fprintf(stderr, "hob crawl: the simulator (HOB_SIM) has no network\n");
        return STATUS_FAILED;
    }
    if (r == -ECANCELED || r == -EINTR) {
        fprintf(stderr, "hob crawl: stopped; the same command goes on from here\n");
        return STATUS_INTERRUPTED;
    }
    if (r == -EINVAL && !*crawl_error(cmd->crawl)) {
        fprintf(stderr, "hob crawl: HOB_SIM, HOB_LOOPS or HOB_POLL in the environment has a value "
                        "that is not understood\n");
        return STATUS_FAILED;
    }
    if (r < 0) {
        fprintf(stderr, "hob crawl: %s\n",
                *crawl_error(cmd->crawl) ? crawl_error(cmd->crawl) : hob_strerror(r));
        return STATUS_FAILED;
    }
    if (p->fetched > 0 || p->failed + p->put_off + p->counts.n[STORE_FAILED] == 0 ||
        (p->failed + p->put_off == 0 && p->counts.n[STORE_DONE] > 0))
        return 0;
    if (p->put_off > 0)
        fprintf(stderr, "hob crawl: no page could be fetched: %s%s\n", p->first_put_off,
                p->guarded ? " (--allow-private lets it through)"
                           : "; the same command tries again");
    else if (p->failed > 0)
        fprintf(stderr, "hob crawl: no page could be fetched: %s%s\n", p->first_failure,
                p->guarded ? " (--allow-private lets it through)" : "");
    else
        fprintf(stderr,
                "hob crawl: %s is of a crawl that could fetch no page; remove it to begin anew\n",
                cmd->opts.db);
    return STATUS_FAILED;
}

/* A start that the address guard would refuse is told of before there is a database in which it has
 * failed.  Names are looked up later; what they lead to is refused then. */
static bool seed_refused(const char *text)
{
    char host[256];
    struct url *u;
    hob_addr a;
    size_t n;
    bool refused = false;

    if (url_new(text, strlen(text), NULL, &u) < 0)
        return false; /* said better by crawl_open */
    snprintf(host, sizeof(host), "%.*s", (int)u->host_len, u->text + u->host_at);
    free(u);
    /* With 0: what needs no lookup, and that is localhost and addresses. */
    refused = hob_resolve(host, 80, 1, 0, &a, &n) == 0 && !hob_addr_public(&a);
    if (refused)
        fprintf(stderr,
                "hob crawl: %s: a loopback or private address; --allow-private fetches "
                "from it\n",
                text);
    return refused;
}

static int crawl_command_run(struct crawl_command *cmd)
{
    char err[STORE_ERR_MAX];

    for (size_t i = 0; !cmd->allow_private && i < cmd->opts.n_seeds; i++)
        if (seed_refused(cmd->opts.seeds[i]))
            return STATUS_FAILED;
    signal(SIGXFSZ, SIG_IGN); /* a file over its limit is an error to report, like a full disk */
    int r = crawl_open(&cmd->opts, &cmd->crawl, err);

    if (r < 0) {
        fprintf(stderr, "hob crawl: %s\n", err);
        return r == -EINVAL ? OPTION_STATUS_USAGE : STATUS_FAILED;
    }
    r = hob_run(HOB_OPTS(.stop_on_signals = true), crawl_fiber, cmd);
    crawl_progress(cmd->crawl, &cmd->done);
    if (cmd->done.n_stages > 0)
        print_summary(cmd, r >= 0);
    int status = crawl_end(cmd, r);
    crawl_close(cmd->crawl);
    return status;
}

static int status_run(const char *db)
{
    char err[STORE_ERR_MAX], n[OUT_FIGURE];
    struct store_status st;

    if (store_status(db, &st, err) < 0) {
        fprintf(stderr, "hob crawl: %s\n", err);
        return STATUS_FAILED;
    }
    printf("%s: %s%s\n", db, st.scope, st.running ? " (a crawl is running)" : "");
    printf("  %s URL%s: ", out_count(st.counts.urls, n), st.counts.urls == 1 ? "" : "s");
    print_counts(&st.counts, stdout);
    printf("  %s fetched", out_bytes((uint64_t)st.bytes, n));
    if (*st.feed)
        printf("; %lld row%s in %s", (long long)st.feed_rows, st.feed_rows == 1 ? "" : "s",
               st.feed);
    putchar('\n');
    for (size_t i = 0; i < st.n_holds && st.hold[i].until_ms > wall_ms(); i++)
        printf("  %s asked for no request before %s from now (Retry-After)\n", st.hold[i].host,
               out_duration((st.hold[i].until_ms - wall_ms()) * HOB_MS, n));
    for (size_t i = 0; i < st.n_reasons; i++)
        printf("  %s failed: %s\n", out_count(st.reason[i].n, n), st.reason[i].text);
    return 0;
}

static int fields_read(struct crawl_command *cmd)
{
    char err[256];
    int r = html_rules_new(&cmd->opts.rules);

    for (size_t i = 0; r == 0 && i < cmd->fields.n; i++) {
        snprintf(err, sizeof(err), "out of memory");
        r = html_rules_add(cmd->opts.rules, cmd->fields.item[i], err, sizeof(err));
        if (r < 0)
            fprintf(stderr, "hob crawl: --field: %s\n", err);
    }
    return r;
}

/* Why --user-agent cannot be sent or be a name for robots.txt; NULL: it can. */
static const char *agent_wrong(const char *text)
{
    if (strcspn(text, "/ \t") == 0)
        return "it must begin with a name, like 'hob/1.0': robots.txt is read for that";
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return "it has a control character in it"; /* which could begin another header */
    return NULL;
}

static int command_go(struct crawl_command *cmd, const struct option_args *args)
{
    const char *wrong = agent_wrong(cmd->opts.user_agent);

    if (cmd->status)
        return status_run(cmd->opts.db);
    if (args->n == 0) {
        fprintf(stderr, "hob crawl: no URL given; see hob crawl -h\n");
        return OPTION_STATUS_USAGE;
    }
    if (wrong) {
        fprintf(stderr, "hob crawl: --user-agent: %s\n", wrong);
        return OPTION_STATUS_USAGE;
    }
    if (!descriptors_get(cmd))
        return STATUS_FAILED;
    cmd->opts.seeds = args->operand;
    cmd->opts.n_seeds = args->n;
    cmd->opts.concurrency = (uint32_t)cmd->concurrency;
    cmd->opts.per_host = (uint32_t)cmd->per_host;
    cmd->opts.retries = (uint32_t)cmd->retries;
    cmd->opts.max_pages = (uint64_t)cmd->max_pages;
    cmd->opts.max_size = (size_t)cmd->max_size;
    html_init();
    int status = fields_read(cmd) < 0 ? OPTION_STATUS_USAGE : crawl_command_run(cmd);
    html_rules_free(cmd->opts.rules);
    return status;
}

int cmd_crawl(int argc, char *const argv[])
{
    struct crawl_command cmd = {.opts = {.db = "crawl.db",
                                         .depth = -1,
                                         .delay = 250 * HOB_MS,
                                         .timeout = 30 * HOB_SEC,
                                         .backoff = HOB_SEC,
                                         .user_agent = NULL},
                                .concurrency = 50,
                                .per_host = 4,
                                .retries = 2,
                                .max_size = 16 << 20};
    char agent[64];
    snprintf(agent, sizeof(agent), "hob/%s", hob_version());
    cmd.opts.user_agent = agent;
    const struct option options[] = {
        OPTION_STRING(0, "db", &cmd.opts.db, "FILE", "the database (crawl.db)"),
        OPTION_STRING(0, "jsonl", &cmd.opts.jsonl, "FILE",
                      "write a row a page to FILE too; -: standard output"),
        OPTION_LIST(0, "field", &cmd.fields, "NAME=RULE",
                    "a field of each page: 'price=css:.price', 'title=xpath://h1'; repeatable"),
        OPTION_INT(0, "depth", &cmd.opts.depth, 0, 1000000, "N",
                   "follow links up to N away from the start (no limit)"),
        OPTION_INT(0, "max-pages", &cmd.max_pages, 1, OPTION_NO_MAX, "N",
                   "stop after N pages, all runs on the database together (no limit)"),
        OPTION_INT('j', "concurrency", &cmd.concurrency, 1, 100000, "N",
                   "requests at once, over all hosts (50)"),
        OPTION_INT(0, "per-host", &cmd.per_host, 1, 10000, "N",
                   "connections to one host at once (4)"),
        OPTION_DURATION(0, "delay", &cmd.opts.delay, 0, OPTION_NO_MAX, "TIME",
                        "between starts on one host (250ms)"),
        OPTION_DURATION(0, "timeout", &cmd.opts.timeout, HOB_MS, OPTION_NO_MAX, "TIME",
                        "of one page, everything included (30s)"),
        OPTION_INT(0, "retries", &cmd.retries, 0, 100, "N",
                   "other tries of a page that failed for now (2)"),
        OPTION_SIZE(0, "max-size", &cmd.max_size, 1, OPTION_NO_MAX, "SIZE", "of one page (16MiB)"),
        OPTION_STRING(0, "user-agent", &cmd.opts.user_agent, "TEXT",
                      "also the name robots.txt is read for (hob/VERSION)"),
        OPTION_FLAG(0, "allow-private", &cmd.allow_private,
                    "fetch from loopback and private addresses too"),
        OPTION_FLAG(0, "status", &cmd.status, "say how far the crawl in the database is, and end"),
        OPTION_END,
    };
    const struct option_command command = {
        .name = "hob crawl",
        .usage = "hob crawl [OPTION]... URL...\n   or: hob crawl --status [--db FILE]",
        .about =
            "Crawls the hosts of the URLs: fetches many pages at once, parses them on all cores, "
            "and keeps every result and every link in a database.  Started again on it, it goes "
            "on where it was.",
        .options = options};
    struct option_args args;
    int status = option_start(&command, argc, argv, &args);

    if (status >= 0)
        return status;
    status = command_go(&cmd, &args);
    option_free(&command, &args);
    return status;
}

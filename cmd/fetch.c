/* SPDX-License-Identifier: MIT
 *
 * fetch.c - hob fetch: URLs, many at once
 *
 * HOW  The opener of a group reads URLs, one at a time, and starts a fiber for each; the group's
 *   limit makes it wait, so a list of any length is read as fast as it is worked off.  Everything
 *   runs on one loop: nothing here is locked.
 *
 *   An interrupt cancels the group.  A URL that has its answer by then still gets its row; one
 *   that has not gets none, so the rows say what is left to do.
 *
 * SEE  fetch/args.c, fetch/one.c, fetch/rows.c, fetch/report.c
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "fetch/fetch.h"
#include "lib/descriptors.h"

enum { IDLE_LEAST = 256 };

static int job_start(struct fetch *f, const char *url, const char *refused, const char *name,
                     size_t number)
{
    size_t n = strlen(url) + 1;
    struct fetch_job *job = malloc(sizeof *job + n);
    int r = -ENOMEM;

    if (!job)
        return r;
    job->f = f;
    job->refused = refused;
    memcpy(job->url, url, n);
    if (asprintf(&job->where, "%s%s%zu", name ? name : "URL", name ? ":" : " ", number) < 0)
        job->where = NULL;
    else
        r = hob_go(&f->group, fetch_one, job);
    if (r < 0) {
        free(job->where);
        free(job);
    }
    return r;
}

static int list_start(struct fetch *f, struct lines *l)
{
    const char *url;
    int r;

    while ((r = lines_next(l, &url)) != 0) {
        const char *refused = r == -EMSGSIZE ? "the line is too long for a URL"
                              : r == -EINVAL ? "there is a NUL in it"
                                             : NULL;
        if (r < 0 && !refused)
            break;
        if ((r = job_start(f, url, refused, l->name, l->number)) < 0)
            return r;
    }
    if (r < 0 && r != -ECANCELED) { /* the rest of the list is lost; what was read is not */
        fetch_say(f, "%s: %s", l->name, hob_strerror(r));
        f->failed = true;
        r = 0;
    }
    return r;
}

static int fetch_all(struct fetch *f)
{
    int r = hob_group_open(&f->group,
                           HOB_GROUP_OPTS(.max_live = (uint32_t)f->concurrency, .name = "fetch"));

    for (size_t i = 0; i < f->args.n && r == 0; i++)
        if (strcmp(f->args.operand[i], "-") != 0)
            r = job_start(f, f->args.operand[i], NULL, NULL, i + 1);
    for (size_t i = 0; i < f->n_lists && r == 0; i++)
        r = list_start(f, &f->list[i]);
    return hob_group_join(&f->group, r);
}

static int client_open(struct fetch *f, bool allow_private, hob_http **ret)
{
    hob_dur beyond = 2 * f->timeout; /* --timeout is what ends a request, in its own words */

    return hob_http_new(HOB_HTTP_OPTS(.proxies = f->proxies.item, .n_proxies = f->proxies.n,
                                      .body_bytes_max = (size_t)f->max_size,
                                      .idle_conns_max = (uint32_t)f->idle, .idle_ns_max = beyond,
                                      .connect_ns_max = beyond, .allow_private = allow_private,
                                      .insecure = f->insecure),
                        ret);
}

/* Which proxy it was; its text may hold a password and is not repeated. */
static void say_client(struct fetch *f, int r)
{
    for (size_t i = 0; i < f->proxies.n && r == -EINVAL; i++) {
        hob_http *alone;
        if (hob_http_new(HOB_HTTP_OPTS(.proxies = &f->proxies.item[i], .n_proxies = 1), &alone) <
            0) {
            fetch_say(f, "proxy %zu: not a URL of http, https, socks5 or socks5h", i + 1);
            return;
        }
        hob_http_free(alone);
    }
    if (hob_simulated())
        fetch_say(f, "HOB_SIM is set, and there is no network in a simulation");
    else
        fetch_say(f, "the HTTP client: %s", hob_strerror(r));
}

static int run(void *arg)
{
    struct fetch *f = arg;
    hob_group beside;
    int r = client_open(f, false, &f->guarded);

    if (r == 0)
        r = client_open(f, true, &f->open);
    if (r < 0) {
        say_client(f, r);
        f->stopped = true;
        hob_http_free(f->guarded);
        return r;
    }
    f->tally.start = hob_now();
    r = hob_group_open(&beside, HOB_GROUP_OPTS(.name = "progress"));
    if (r == 0 && f->progress.on)
        r = hob_go(&beside, fetch_progress, f);
    if (r == 0)
        r = fetch_all(f);
    hob_group_cancel(&beside, 0);
    hob_group_join(&beside, 0);
    hob_http_free(f->guarded);
    hob_http_free(f->open);
    return r;
}

/* A URL under way: its connection, the file of its body, and an idle connection that the other of
 * the two clients may keep meanwhile. */
static bool descriptors_get(struct fetch *f)
{
    const unsigned each = 3;

    f->concurrency = descriptors_cap("hob fetch", f->concurrency, each);
    f->idle = descriptors_for(f->concurrency > IDLE_LEAST ? f->concurrency : IDLE_LEAST, each);
    return f->concurrency > 0;
}

static bool all_well(const struct fetch *f)
{
    uint64_t good = 0;

    for (int status = 0; status < 400; status++)
        good += f->tally.by_status[status];
    return !f->failed && !f->stopped && good == f->tally.n;
}

int cmd_fetch(int argc, char *const argv[])
{
    struct fetch f = {.dir_fd = -1};
    int status = fetch_args(&f, argc, argv);

    if (status >= 0)
        return status;
    if (!descriptors_get(&f)) {
        fetch_args_free(&f);
        return STATUS_FAILED;
    }
    out_progress_init(&f.progress, STDERR_FILENO);
    f.progress.on = f.progress.on && !out_is_terminal(f.rows.fd); /* there rows are the progress */
    int r = hob_run(HOB_OPTS(.stop_on_signals = true), run, &f);
    bool interrupted = r == -ECANCELED || r == -EINTR;
    if (f.tally.start > 0)
        fetch_summary(&f, interrupted);
    if (r < 0 && !interrupted && !f.stopped) {
        fetch_say(&f, "%s",
                  r == -EINVAL && f.tally.start == 0
                      ? "HOB_SIM, HOB_LOOPS or HOB_POLL in the environment has a value that is not "
                        "understood"
                      : hob_strerror(r));
        f.failed = true;
    }
    status = interrupted ? STATUS_INTERRUPTED : all_well(&f) ? STATUS_DONE : STATUS_FAILED;
    if (r == -EINVAL && f.tally.start == 0)
        status = STATUS_USAGE; /* a proxy, or HOB_POLL and its like */
    fetch_args_free(&f);
    free(f.tally.slowest_url);
    return status;
}

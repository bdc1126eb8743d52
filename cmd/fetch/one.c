/* SPDX-License-Identifier: MIT
 *
 * one.c - one URL: tries, the file of its body, its row
 *
 * HOW  Private addresses.  Who writes one himself, or localhost, means it; a server that redirects
 *   there, or a name that leads there (whose list of URLs is it?), does not have his leave.  So
 *   there are two clients: `guarded` refuses private addresses, `open` does not and gets what was
 *   written as one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fetch/fetch.h"
#include "lib/filename.h"
#include "lib/retry.h"
#include "lib/url.h"
#include "lib/wall.h"

/* Whether the URL's host is written as a private address, in whichever form, or is localhost. */
static bool is_private_now(const char *url)
{
    char buf[URL_MAX + 1], host[HOB_ADDR_TEXT_MAX];
    struct url u;
    hob_addr a;
    size_t n;

    if (url_parse(url, strlen(url), NULL, buf, sizeof buf, &u) < 0 || u.host_len >= sizeof host)
        return false;
    snprintf(host, sizeof host, "%.*s", (int)u.host_len, u.text + u.host_at);
    /* With 0: what needs no lookup, and that is localhost and addresses. */
    return hob_resolve(host, 0, 1, 0, &a, &n) == 0 && !hob_addr_public(&a);
}

/* The same; lists have many URLs of one origin in a row, and its text decides. */
static bool is_private(struct fetch *f, const char *url)
{
    size_t scheme = strncmp(url, "http://", 7) == 0 ? 7 : strncmp(url, "https://", 8) == 0 ? 8 : 0;
    size_t n = scheme + strspn(url + scheme, "abcdefghijklmnopqrstuvwxyz0123456789.-:");

    if (scheme == 0 || url[n] != '/' || n >= sizeof f->origin)
        return is_private_now(url);
    if (f->origin[n] != '\0' || strncmp(f->origin, url, n) != 0) {
        f->origin_private = is_private_now(url);
        memcpy(f->origin, url, n);
        f->origin[n] = '\0';
    }
    return f->origin_private;
}

static void try_once(struct fetch *f, const char *url, struct hob_http_response *ret)
{
    const struct hob_http_request *q =
        HOB_HTTP_REQUEST(.url = url, .method = f->method, .headers = f->header,
                         .n_headers = f->headers.n, .body = f->body, .body_n = f->body_n);
    hob_time until = hob_in(f->timeout);
    bool open = f->allow_private || is_private(f, url);
    int r = hob_http_do(open ? f->open : f->guarded, q, until, ret);

    if (r == -HOB_EADDRGUARD) {
        size_t n = strlen(ret->reason);
        snprintf(ret->reason + n, sizeof ret->reason - n, " (--allow-private lets it through)");
    }
    ret->error = r;
}

static void try_all(struct fetch *f, const char *url, struct hob_http_response *ret)
{
    static const struct retry_pace pace = {HOB_SEC / 2, 30 * HOB_SEC, 5 * HOB_MIN};

    for (unsigned n = 0;; n++) {
        try_once(f, url, ret);
        if (n == (unsigned)f->retries || !retry_worth(ret))
            return;
        hob_dur wait = retry_wait(&pace, ret, n + 1, wall_ms() / 1000, (uint32_t)hob_random());
        if (wait < 0)
            return; /* too long: what was answered is the answer */
        hob_http_response_free(ret);
        int r = hob_sleep(wait);
        if (r < 0) {
            *ret = (struct hob_http_response){.error = r};
            return;
        }
        f->tally.retries++;
    }
}

/* A body on its way to a file, on a thread that may block. */
struct save {
    const struct fetch *f;
    const struct hob_http_response *res;
    char name[FILENAME_MAX_LEN + 1], part[FILENAME_MAX_LEN + 32];
    bool ran;
};

static int write_whole(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t r = write(fd, p, n);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -errno;
        p += r;
        n -= (size_t)r;
    }
    return 0;
}

/* Under another name first: a file of the right name is whole, whatever happens. */
static int save_run(void *arg)
{
    struct save *s = arg;
    int dir = s->f->dir_fd, r;

    s->ran = true;
    int fd = openat(dir, s->part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0)
        return -errno;
    r = write_whole(fd, s->res->body, s->res->body_n);
    if (close(fd) < 0 && r == 0)
        r = -errno;
    if (r == 0 && renameat(dir, s->part, dir, s->name) < 0)
        r = -errno;
    if (r < 0)
        unlinkat(dir, s->part, 0);
    return r;
}

static int save(struct fetch *f, const char *url, const struct hob_http_response *res,
                struct save *s)
{
    *s = (struct save){.f = f, .res = res};
    filename_of_url(url, s->name);
    snprintf(s->part, sizeof s->part, ".%s.%llu", s->name, (unsigned long long)f->n_saved++);
    int r = hob_block(save_run, s, HOB_FOREVER);
    if (r == -ECANCELED && !s->ran)
        r = save_run(s); /* the answer is there: it is kept */
    if (r < 0 && !f->stopped) {
        fetch_say(f, "%s/%s: %s", f->dir, s->name, hob_strerror(r));
        f->stopped = true;
    }
    return r;
}

static int put_row(struct fetch *f, const char *url, const struct hob_http_response *res,
                   hob_dur took, const char *file)
{
    struct buf b = {0};

    out_row(&b);
    out_text(&b, "url", url);
    if (res->error < 0) {
        out_null(&b, "final_url");
        out_null(&b, "status");
        out_null(&b, "bytes");
    } else {
        out_text(&b, "final_url", res->final_url);
        out_int(&b, "status", res->status);
        out_int(&b, "bytes", (int64_t)res->body_n);
    }
    out_seconds(&b, "seconds", took);
    out_text(&b, "error", res->error < 0 ? res->reason : NULL);
    if (f->dir)
        out_text(&b, "file", file);
    out_row_end(&b);
    int r = rows_put(&f->rows, &b);
    buf_free(&b);
    if (r < 0 && !f->stopped) {
        fetch_say(f, "%s: %s", f->rows.name, hob_strerror(r));
        f->stopped = true;
    }
    return r;
}

/* Not a URL: its row says so too, but nobody looks there for slips in a list.  The words are those
 * of hob crawl; what only the client refuses has its own. */
static void say_refused(struct fetch_job *job, struct hob_http_response *res)
{
    char buf[URL_MAX + 1];
    struct url u;
    int r = job->refused ? 0 : url_parse(job->url, strlen(job->url), NULL, buf, sizeof buf, &u);

    if (r < 0)
        snprintf(res->reason, sizeof res->reason, "%.80s: %s", job->url, url_strerror(r, job->url));
    fetch_say(job->f, "%s: %s", job->where, res->reason);
}

/* Negative only if nothing can be written any more: a failed URL is a result. */
int fetch_one(void *arg)
{
    struct fetch_job *job = arg;
    struct fetch *f = job->f;
    struct hob_http_response res = {0};
    struct save kept = {.name = ""};
    hob_time start = hob_now();
    int r = 0;

    if (job->refused) {
        res.error = -EINVAL;
        snprintf(res.reason, sizeof res.reason, "%s", job->refused);
    } else {
        try_all(f, job->url, &res);
    }
    hob_dur took = hob_now() - start;
    if (res.error == -ECANCELED) {
        f->tally.given_up++;
        goto out;
    }
    if (res.error == -EINVAL)
        say_refused(job, &res);
    if (f->dir && res.error == 0 && res.status >= 200 && res.status < 300)
        r = save(f, job->url, &res, &kept);
    if (r == 0)
        r = put_row(f, job->url, &res, took, kept.name[0] ? kept.name : NULL);
    if (r == 0)
        fetch_tally_add(&f->tally, job->url, &res, took);
out:
    hob_http_response_free(&res);
    free(job->where);
    free(job);
    return r;
}

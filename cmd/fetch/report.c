/* SPDX-License-Identifier: MIT
 *
 * report.c - what people see of `hob fetch`: messages, the progress line, the summary
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fetch/fetch.h"

static const hob_dur progress_every = 100 * HOB_MS;

static void kind_add(struct fetch_tally *t, int code)
{
    size_t i = 0;

    while (i < t->n_kinds && t->kind[i].code != code)
        i++;
    if (i == t->n_kinds && i < FETCH_KINDS_MAX)
        t->kind[t->n_kinds++].code = code;
    if (i < FETCH_KINDS_MAX)
        t->kind[i].n++;
}

void fetch_tally_add(struct fetch_tally *t, const char *url, const struct hob_http_response *res,
                     hob_dur took)
{
    t->n++;
    t->sum += took;
    if (took > t->slowest || !t->slowest_url) {
        t->slowest = took;
        free(t->slowest_url);
        t->slowest_url = strdup(url);
    }
    if (res->error < 0) {
        kind_add(t, res->error);
        return;
    }
    t->answered++;
    t->bytes += res->body_n;
    t->by_status[res->status < FETCH_STATUS_MAX ? res->status : 0]++;
}

/* To standard error in one piece; nobody can be told that it failed. */
static void show(struct buf *b)
{
    if (buf_error(b) == 0 && b->len > 0 && write(STDERR_FILENO, b->p, b->len) < 0)
        b->failed = true;
    buf_free(b);
}

void fetch_say(struct fetch *f, const char *format, ...)
{
    struct buf b = {0};
    char line[1024];
    va_list ap;

    va_start(ap, format);
    vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    out_progress_clear(&f->progress, &b);
    buf_printf(&b, "hob fetch: %s\n", line);
    show(&b);
}

static void progress_text(const struct fetch *f, struct buf *to)
{
    const struct fetch_tally *t = &f->tally;
    char figure[OUT_FIGURE];

    buf_puts(to, out_count(t->n, figure));
    if (f->n_lists == 0)
        buf_printf(to, " of %s", out_count(f->args.n, figure));
    buf_printf(to, " done, %s failed", out_count(t->n - t->answered, figure));
    buf_printf(to, ", %u under way", hob_group_live(&f->group));
    buf_printf(to, ", %s", out_bytes(t->bytes, figure));
    buf_printf(to, ", %s", out_duration(hob_now() - t->start, figure));
}

int fetch_progress(void *arg)
{
    struct fetch *f = arg;

    do {
        struct buf text = {0}, b = {0};
        progress_text(f, &text);
        if (buf_error(&text) == 0)
            out_progress_show(&f->progress, hob_now(), text.p, &b);
        buf_free(&text);
        show(&b);
    } while (hob_sleep(progress_every) == 0);
    return 0;
}

/* "98 x 200, 2 x 404" */
static void put_statuses(const struct fetch_tally *t, struct buf *to)
{
    char figure[OUT_FIGURE];

    for (int status = 0; status < FETCH_STATUS_MAX; status++)
        if (t->by_status[status] > 0)
            buf_printf(to, ", %s x %d", out_count(t->by_status[status], figure), status);
}

/* "3 failed (2 connection refused, 1 not a valid URL)" */
static void put_failures(const struct fetch_tally *t, struct buf *to)
{
    char figure[OUT_FIGURE];

    buf_printf(to, ", %s failed", out_count(t->n - t->answered, figure));
    for (size_t i = 0; i < t->n_kinds; i++)
        buf_printf(to, "%s%s %s", i == 0 ? " (" : ", ", out_count(t->kind[i].n, figure),
                   t->kind[i].code == -EINVAL ? "not a valid URL" : hob_strerror(t->kind[i].code));
    if (t->n_kinds > 0)
        buf_putc(to, ')');
}

void fetch_summary(struct fetch *f, bool interrupted)
{
    const struct fetch_tally *t = &f->tally;
    hob_dur wall = hob_now() - t->start;
    char figure[OUT_FIGURE];
    struct buf b = {0};

    buf_printf(&b, "%s URL%s", out_count(t->n, figure), t->n == 1 ? "" : "s");
    buf_printf(&b, " in %s", out_duration(wall, figure));
    buf_printf(&b, ", %s", out_bytes(t->bytes, figure));
    put_statuses(t, &b);
    put_failures(t, &b);
    if (t->retries > 0)
        buf_printf(&b, ", %s retr%s", out_count(t->retries, figure), t->retries == 1 ? "y" : "ies");
    fetch_say(f, "%s", buf_error(&b) == 0 ? b.p : "done");
    buf_free(&b);
    if (t->n > 0)
        fetch_say(f, "the slowest took %s: %s", out_duration(t->slowest, figure),
                  t->slowest_url ? t->slowest_url : "?");
    if (t->n > 1 && !interrupted) /* else the time is not theirs alone */
        fetch_say(f, "one after another they would have taken about %s, %.1f times as long",
                  out_duration(t->sum, figure), (double)t->sum / (double)(wall > 0 ? wall : 1));
    if (interrupted)
        fetch_say(f, "interrupted: %s under way got no row", out_count(t->given_up, figure));
}

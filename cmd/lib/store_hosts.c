/* SPDX-License-Identifier: MIT
 *
 * store_hosts.c - pending URLs that were passed by because their host had no room
 *
 * HOW         The frontier is one queue in the order of meeting.  Where several hosts are crawled,
 *   a slow one would fill the caller's window and hold back the others.  So the cursor passes by
 *   what its host has no room for, and it is leased from here once there is room.  Links of a page
 *   mostly are of its host and stand in one row after the other: what is remembered is runs of
 *   ids, 16 bytes for all of them.
 *
 * INVARIANTS  (I1) a host's runs ascend and lie before the cursor; together with what is in flight
 *                  and what was put off they are all that is pending before it
 *             (I2) n_passed is the number of ids in runs
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/store_impl.h"

int store__hosts_new(struct store *st)
{
    const char *const *name = st->opts.hosts;

    st->host = calloc(st->opts.n_hosts + 1, sizeof(*st->host));
    if (!st->host)
        return store__fail(st, -ENOMEM, "no memory");
    for (size_t i = 0; i < st->opts.n_hosts; i++) {
        if (i > 0 && strcmp(name[i - 1], name[i]) >= 0)
            return store__fail(st, -EINVAL, "hosts that are not in order");
        if (!(st->host[i].name = strdup(name[i])))
            return store__fail(st, -ENOMEM, "no memory");
        st->n_hosts++;
    }
    st->opts.hosts = NULL;
    return 0;
}

void store__hosts_free(struct store *st)
{
    for (size_t i = 0; i < st->n_hosts; i++) {
        free(st->host[i].name);
        free(st->host[i].run);
    }
    free(st->host);
}

/* "example.org" of "https://user@example.org:81/x". */
static const char *url_host(const char *url, size_t *ret_n)
{
    const char *at = strstr(url, "://");

    if (!at)
        return NULL;
    at += 3;
    size_t n = strcspn(at, "/?#");
    const char *user = memrchr(at, '@', n);
    if (user) {
        n -= (size_t)(user + 1 - at);
        at = user + 1;
    }
    const char *end = memchr(at, *at == '[' ? ']' : ':', n);
    *ret_n = end ? (size_t)(end - at) + (*at == '[') : n;
    return at;
}

struct store_host *store__host_of(struct store *st, const char *url)
{
    size_t n = 0, low = 0, high = st->n_hosts;
    const char *host = url_host(url, &n);

    while (host && low < high) {
        size_t mid = (low + high) / 2;
        const char *name = st->host[mid].name;
        int order = strncmp(host, name, n);
        if (order == 0 && name[n] == '\0')
            return &st->host[mid];
        if (order <= 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

static int runs_grow(struct store *st, struct store_host *h)
{
    if (h->n_runs < h->max_runs)
        return 0;
    if (h->first_run > h->max_runs / 2) { /* what was taken makes room */
        h->n_runs -= h->first_run;
        memmove(h->run, h->run + h->first_run, h->n_runs * sizeof(*h->run));
        h->first_run = 0;
        return 0;
    }
    size_t max = h->max_runs ? h->max_runs * 2 : 16;
    struct store_run *run = realloc(h->run, max * sizeof(*run));
    if (!run)
        return store__fail(st, -ENOMEM, "no memory");
    h->run = run;
    h->max_runs = max;
    return 0;
}

int store__pass_by(struct store *st, struct store_host *h, int64_t id)
{
    struct store_run *last = h->n_runs > h->first_run ? &h->run[h->n_runs - 1] : NULL;
    int r;

    if (last && last->first + last->n == id) {
        last->n++;
    } else {
        if ((r = runs_grow(st, h)) < 0)
            return r;
        h->run[h->n_runs++] = (struct store_run){.first = id, .n = 1};
    }
    st->n_passed++; /* (I2) */
    return 0;
}

struct store_run *store__passed(struct store_host *h)
{
    return h->first_run < h->n_runs ? &h->run[h->first_run] : NULL;
}

void store__passed_take(struct store *st, struct store_host *h)
{
    struct store_run *run = &h->run[h->first_run];

    run->first++;
    if (--run->n == 0)
        h->first_run++;
    st->n_passed--; /* (I2) */
}

/* SPDX-License-Identifier: MIT
 *
 * names.c - the addresses of names, kept for a while
 *
 * WHAT        A hash table of names a loop.  libcurl is told the addresses (CURLOPT_RESOLVE) and
 *             keeps them for ever, so that it never looks up a name itself; when a name is looked
 *             up anew or dropped here, it is told so with the next transfer.
 *
 * HOW         get: good answer      hold it
 *                  lookup under way wait for its end, and look again
 *                  else             look it up; wake who waits
 *
 * INVARIANTS  (I1) a name with users or a lookup under way is not freed
 *             (I2) libcurl, once told what is `untold`, has exactly the `known` names
 *             (I3) a lookup that was cancelled or ran out of its caller's time says nothing about
 *                  the name: one of those that wait looks it up again
 *
 * REJECTED    libcurl's own cache with its time limit: it is searched whole after every transfer,
 *             and at a limit libcurl looks the name up itself, on a thread it later waits for.
 */
#include "http/names.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sched/park.h"

enum { FAILURE_KEPT = 2 }; /* seconds: a burst of requests asks once */

void hob__names_init(struct names *ns, hob_dur kept)
{
    *ns = (struct names){.kept = kept};
    list_init(&ns->by_age);
}

static unsigned name_bucket(const char *key, uint16_t port)
{
    uint32_t h = 2166136261u ^ port;

    for (const char *s = key; *s; s++)
        h = (h ^ (uint32_t)tolower((unsigned char)*s)) * 16777619u;
    return (h ^ (h >> 16)) % NAMES_BUCKETS;
}

static struct name *name_find(struct names *ns, const char *key, uint16_t port)
{
    struct name *n = ns->bucket[name_bucket(key, port)];

    while (n && (n->port != port || strcasecmp(n->key, key) != 0))
        n = n->next;
    return n;
}

static void name_unlink(struct names *ns, struct name *n)
{
    struct name **p = &ns->bucket[name_bucket(n->key, n->port)];

    while (*p != n)
        p = &(*p)->next;
    *p = n->next;
    list_del(&n->age);
    ns->n--;
}

static int names_tell(struct names *ns, const char *line)
{
    struct curl_slist *list = curl_slist_append(ns->untold, line);

    if (!list)
        return -ENOMEM;
    ns->untold = list;
    return 0;
}

/* libcurl shall forget n. */
static int name_unload(struct names *ns, struct name *n)
{
    char text[300];

    snprintf(text, sizeof text, "-%s:%u", n->key, n->port);
    return names_tell(ns, text);
}

/* Drops the oldest name that nobody uses. */
static void names_shrink(struct names *ns)
{
    list_each (it, &ns->by_age) {
        struct name *n = list_entry(it, struct name, age);
        if (n->n_users > 0 || n->resolving) /* (I1) */
            continue;
        if (n->known && name_unload(ns, n) < 0)
            return;
        name_unlink(ns, n);
        free(n);
        return;
    }
}

static struct name *name_new(struct names *ns, const char *key, uint16_t port)
{
    size_t len = strlen(key);
    struct name *n = calloc(1, sizeof *n + len + 1);

    if (!n)
        return NULL;
    if (ns->n >= NAMES_MAX)
        names_shrink(ns);
    for (size_t i = 0; i < len; i++)
        n->key[i] = (char)tolower((unsigned char)key[i]);
    n->port = port;
    list_init(&n->waiters);
    list_push(&ns->by_age, &n->age);
    struct name **bucket = &ns->bucket[name_bucket(key, port)];
    n->next = *bucket;
    *bucket = n;
    ns->n++;
    return n;
}

void hob__names_fini(struct names *ns)
{
    list_each_safe (it, &ns->by_age) {
        struct name *n = list_entry(it, struct name, age);
        HOB_ASSERT(n->n_users == 0 && !n->resolving);
        list_del(&n->age);
        free(n);
    }
    curl_slist_free_all(ns->untold);
}

struct waiter {
    struct list node; /* in name.waiters */
    struct fiber *fiber;
};

static void name_wake(struct name *n)
{
    struct list *it;

    while ((it = list_pop(&n->waiters)))
        hob__ready(list_entry(it, struct waiter, node)->fiber, 0);
}

/* Until the lookup under way has ended, whatever came of it. */
static int name_wait(struct name *n, hob_time until)
{
    struct waiter w = {.fiber = hob__self()};

    list_push(&n->waiters, &w.node);
    w.fiber->wait_node = &w.node;
    return hob__park(w.fiber, HOB_WAIT_DNS, until);
}

static bool same_addrs(const struct name *n, const hob_addr *addr, size_t n_addr)
{
    if (n->n != n_addr)
        return false;
    for (size_t i = 0; i < n_addr; i++)
        if (n->addr[i].len != addr[i].len || memcmp(&n->addr[i].sa, &addr[i].sa, addr[i].len) != 0)
            return false;
    return true;
}

static int name_look_up(struct names *ns, struct name *n, const char *host, hob_time until)
{
    hob_addr addr[NAME_ADDRS_MAX];
    size_t n_addr = 0;

    n->resolving = true;
    int r = hob_resolve(host, n->port, NAME_ADDRS_MAX, until, addr, &n_addr);
    n->resolving = false;
    if (r != -ECANCELED && r != -ETIMEDOUT) { /* (I3) */
        bool same = r == 0 && same_addrs(n, addr, n_addr);
        n->rc = r;
        n->good_until = hob__now() + (r == 0 ? ns->kept : FAILURE_KEPT * HOB_SEC);
        if (!same)
            n->loaded = false; /* the next load replaces what libcurl has */
        n->n = n_addr;
        memcpy(n->addr, addr, n_addr * sizeof addr[0]);
        list_del(&n->age);
        list_push(&ns->by_age, &n->age);
    }
    name_wake(n);
    return r;
}

int hob__name_get(struct names *ns, const char *key, const char *host, uint16_t port,
                  hob_time until, struct name **ret)
{
    struct name *n = name_find(ns, key, port);
    int r = 0;

    if (!n && !(n = name_new(ns, key, port)))
        return -ENOMEM;
    n->n_users++; /* (I1) */
    while (r == 0 && n->good_until <= hob__now()) {
        if (!n->resolving) {
            r = name_look_up(ns, n, host, until);
            break;
        }
        r = name_wait(n, until);
    }
    if (r == 0)
        r = n->rc;
    if (r < 0)
        hob__name_put(n);
    else
        *ret = n;
    return r;
}

void hob__name_put(struct name *n)
{
    HOB_ASSERT(n->n_users > 0);
    n->n_users--;
}

void hob__name_doubt(struct name *n)
{
    if (!n->resolving)
        n->good_until = 0;
}

/* "HOST:PORT:ADDRESS,ADDRESS", IPv6 addresses in brackets. */
static void addrs_text(const struct name *n, char *to, size_t size)
{
    size_t at = (size_t)snprintf(to, size, "%s:%u:", n->key, n->port);

    for (size_t i = 0; i < n->n; i++) {
        char one[HOB_ADDR_TEXT_MAX];
        char *colon = strrchr(hob_addr_text(&n->addr[i], one), ':');
        *colon = '\0'; /* the port */
        at += (size_t)snprintf(to + at, size - at, "%s%s", i ? "," : "", one);
    }
}

int hob__name_load(struct names *ns, struct name *n)
{
    char text[300 + NAME_ADDRS_MAX * HOB_ADDR_TEXT_MAX];

    if (n->loaded)
        return 0;
    addrs_text(n, text, sizeof text);
    int r = names_tell(ns, text);
    if (r == 0)
        n->known = n->loaded = true; /* (I2) */
    return r;
}

void hob__names_untold(struct names *ns, struct curl_slist *list, bool told)
{
    struct curl_slist *last = list;

    if (told) {
        curl_slist_free_all(list);
        return;
    }
    while (last->next)
        last = last->next;
    last->next = ns->untold; /* it is older */
    ns->untold = list;
}

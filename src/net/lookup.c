/* SPDX-License-Identifier: MIT
 *
 * lookup.c - a loop's names: asked once, waited for by many, kept while they are good
 *
 * WHAT        A table of names a loop.  A name that is not known, or no longer, is asked for in a
 *             *round*: in the hosts file, then of the name servers under each name that
 *             resolv.conf's search rules make of it, both families at once.  Fibers wait for the
 *             end of the round; one that gives up leaves the round to end alone, and its answer to
 *             who asks next.
 *
 * HOW         entry   idle --ask--> busy: files ---found--------------------------> idle, round + 1
 *                                     '--> candidate 0: AAAA and A --addresses--------^
 *                                          candidate 1 <--no such name--'  ...        |
 *                                          none is left, or a server failed ----------'
 *
 * INVARIANTS  (I1) a busy entry, or one that is held, is not freed
 *             (I2) the families of an answer belong to the same candidate, so a name with an A
 *                  here and an AAAA in a search domain is not two hosts
 *             (I3) "no such name" is said only if servers said so of both families; it is kept as
 *                  long as they said (RFC 2308), and what failed is not kept
 *             (I4) an answer good for no time at all is still the answer of who has waited for it
 *             (I5) at most BUSY_MAX names are asked for at once; who comes next waits
 *
 * THREADS     All on the loop: no lock.  c-ares's answers come on the loop's own stack.
 *
 * REJECTED    One table for all loops: a lock on each lookup, to save a question a loop and a
 *             time to live.
 */
#include "net/lookup.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/ares.h"
#include "net/order.h"
#include "net/reply.h"
#include "sched/park.h"

enum { BUCKETS = 512, KEPT_MAX = 4096, BUSY_MAX = 256, NAME_BYTES = 256 };
enum { V6, V4, FAMILIES };

/* A family failed, the other did not: its address is of use, and soon looked at again. */
enum { TTL_HALF = 5, TTL_FILE = 5 };

struct ask {
    struct entry *entry;
    int family;
    bool known;
    hob_time since;
    struct dns_reply reply;
};

struct entry {
    struct list age; /* in resolver.by_age: the oldest answer first */
    struct entry *next;
    struct list waiters; /* struct waiter */
    struct resolver *at;
    uint32_t n_holds;
    uint32_t round; /* how many have ended */
    uint32_t no_ttl;
    int candidate; /* which name is next */
    uint8_t n_out; /* questions under way */
    bool busy;
    struct ask ask[FAMILIES];
    struct dns_reply found; /* of the last round */
    hob_time good_until;
    char key[]; /* as it was asked for, lower case */
};

struct resolver {
    struct loop_part part; /* first */
    struct ares_at ares;
    struct list by_age, room; /* room: struct waiter, for a place among the busy ones */
    size_t n_kept, n_busy;
    bool closing;
    struct entry *bucket[BUCKETS];
};

struct waiter {
    struct list node;
    struct fiber *fiber;
};

static void wake_all(struct list *waiters)
{
    struct list *n;

    while ((n = list_pop(waiters)))
        hob__ready(list_entry(n, struct waiter, node)->fiber, 0);
}

/* A place among the busy ones is free.  Who takes it in the end is whoever comes first. */
static void room_next(struct resolver *at)
{
    struct list *n = at->n_busy < BUSY_MAX ? list_pop(&at->room) : NULL;

    if (n)
        hob__ready(list_entry(n, struct waiter, node)->fiber, 0);
}

static int wait_in(struct list *waiters, struct fiber *f, hob_time until)
{
    struct waiter w = {.fiber = f};

    list_push(waiters, &w.node);
    f->wait_node = &w.node;
    return hob__park(f, HOB_WAIT_DNS, until);
}

/* ---- the table ---- */

static struct entry **bucket_of(struct resolver *at, const char *key)
{
    uint32_t h = 2166136261u;

    for (const char *s = key; *s; s++)
        h = (h ^ (uint32_t)tolower((unsigned char)*s)) * 16777619u;
    return &at->bucket[(h ^ h >> 16) % BUCKETS];
}

static void entry_free(struct entry *e)
{
    struct entry **p = bucket_of(e->at, e->key);

    HOB_ASSERT(!e->busy && e->n_holds == 0); /* (I1) */
    while (*p != e)
        p = &(*p)->next;
    *p = e->next;
    list_del(&e->age);
    e->at->n_kept--;
    free(e->found.addr);
    free(e);
}

static void entry_age(struct entry *e)
{
    list_del(&e->age);
    list_push(&e->at->by_age, &e->age);
}

/* Makes room for one more; all may be in use, and then there is one more. */
static void table_shrink(struct resolver *at)
{
    list_each (it, &at->by_age) {
        struct entry *e = list_entry(it, struct entry, age);
        if (!e->busy && e->n_holds == 0) {
            entry_free(e);
            return;
        }
    }
}

static struct entry *entry_get(struct resolver *at, const char *name)
{
    struct entry **bucket = bucket_of(at, name), *e = *bucket;
    size_t len = strlen(name);

    while (e && strcasecmp(e->key, name) != 0)
        e = e->next;
    if (e)
        return e;
    if (!(e = calloc(1, sizeof *e + len + 1)))
        return NULL;
    if (at->n_kept >= KEPT_MAX)
        table_shrink(at);
    for (size_t i = 0; i < len; i++)
        e->key[i] = (char)tolower((unsigned char)name[i]);
    e->at = at;
    list_init(&e->waiters);
    list_push(&at->by_age, &e->age);
    e->next = *bucket;
    *bucket = e;
    at->n_kept++;
    return e;
}

/* ---- a round ---- */

/* Takes `reply` over. */
static void round_end(struct entry *e, struct dns_reply reply)
{
    free(e->found.addr);
    e->found = reply;
    e->good_until = hob__now() + reply.ttl * HOB_SEC;
    e->round++;
    e->busy = false;
    entry_age(e);
    e->at->n_busy--;
    wake_all(&e->waiters);
    room_next(e->at);
}

/* The name to ask for next, in c-ares's order: with dots enough, or one at its end, as it is first.
 * False: there is none. */
static bool candidate_next(struct entry *e, char to[NAME_BYTES])
{
    const struct ares_at *a = &e->at->ares;
    size_t len = strlen(e->key);
    bool whole = e->key[len - 1] == '.';
    int n_domains = whole ? 0 : a->n_domains, dots = 0, i, n;

    for (const char *s = e->key; *s; s++)
        dots += *s == '.';
    while ((i = e->candidate) <= n_domains) {
        e->candidate++;
        if (whole || dots >= a->n_dots)
            i--; /* -1: as it is */
        if (i < 0 || i == n_domains)
            n = snprintf(to, NAME_BYTES, "%s", e->key);
        else
            n = snprintf(to, NAME_BYTES, "%s.%s", e->key, a->domains[i]);
        if (n < NAME_BYTES)
            return true;
    }
    return false;
}

static void answer_came(void *arg, int status, int timeouts, unsigned char *msg, int len);

/* Asks under the next name; may end the round at once. */
static void candidate_ask(struct entry *e)
{
    static const int type[] = {[V6] = 28, [V4] = 1};
    char name[NAME_BYTES];

    if (!candidate_next(e, name)) {
        round_end(e, (struct dns_reply){.rc = -HOB_EDNS, .ttl = e->no_ttl}); /* (I3) */
        return;
    }
    e->n_out = FAMILIES;
    for (int i = 0; i < FAMILIES; i++)
        e->ask[i] = (struct ask){.entry = e, .family = i == V6 ? AF_INET6 : AF_INET};
    ares_channel dns = e->at->ares.dns;
    ares_query(dns, name, 1, type[V6], answer_came, &e->ask[V6]);
    ares_query(dns, name, 1, type[V4], answer_came, &e->ask[V4]);
}

/* The families of an answer as one, in their order. */
static struct dns_reply replies_join(struct dns_reply *a, struct dns_reply *b)
{
    struct dns_reply all = {.n = a->n + b->n};

    all.ttl = a->n && (!b->n || a->ttl < b->ttl) ? a->ttl : b->ttl;
    if ((a->rc < 0 && a->rc != -HOB_EDNS) || (b->rc < 0 && b->rc != -HOB_EDNS))
        all.ttl = all.ttl < TTL_HALF ? all.ttl : TTL_HALF;
    if (!(all.addr = malloc(all.n * sizeof all.addr[0])))
        return (struct dns_reply){.rc = -ENOMEM};
    if (a->n)
        memcpy(all.addr, a->addr, a->n * sizeof all.addr[0]);
    if (b->n)
        memcpy(all.addr + a->n, b->addr, b->n * sizeof all.addr[0]);
    hob__addrs_order(all.addr, all.n);
    return all;
}

/* Both families are known.  (I2) */
static void candidate_end(struct entry *e)
{
    struct dns_reply a = e->ask[V6].reply, b = e->ask[V4].reply;

    e->ask[V6].reply = e->ask[V4].reply = (struct dns_reply){.rc = 0};
    if (a.n + b.n > 0) {
        round_end(e, replies_join(&a, &b));
    } else if (e->at->closing) {
        round_end(e, (struct dns_reply){.rc = -EAGAIN});
    } else if (a.rc != -HOB_EDNS || b.rc != -HOB_EDNS) { /* (I3) */
        round_end(e, (struct dns_reply){.rc = a.rc == -HOB_EDNS ? b.rc : a.rc});
    } else {
        e->no_ttl = a.ttl < e->no_ttl ? a.ttl : e->no_ttl;
        e->no_ttl = b.ttl < e->no_ttl ? b.ttl : e->no_ttl;
        candidate_ask(e);
    }
    free(a.addr);
    free(b.addr);
}

static void answer_came(void *arg, int status, int timeouts, unsigned char *msg, int len)
{
    struct ask *a = arg;
    struct entry *e = a->entry;

    (void)timeouts;
    hob__reply_read(status, a->family, msg, len, &a->reply);
    a->known = true;
    a->since = hob__now();
    if (--e->n_out == 0)
        candidate_end(e);
    else
        wake_all(&e->waiters); /* some go on with one family */
}

/* Called at once: the hosts file is read here and now. */
static void file_answered(void *arg, int status, int timeouts, struct ares_addrinfo *found)
{
    struct dns_reply *ret = arg;
    size_t n = 0;

    (void)timeouts;
    for (struct ares_addrinfo_node *a = found ? found->nodes : NULL; a; a = a->ai_next)
        n++;
    if (status != ARES_SUCCESS || n == 0) {
        *ret = (struct dns_reply){.rc = status == ARES_ENOMEM ? -ENOMEM : -HOB_EDNS};
    } else if (!(ret->addr = calloc(n, sizeof ret->addr[0]))) {
        ret->rc = -ENOMEM;
    } else {
        ret->ttl = TTL_FILE;
        for (struct ares_addrinfo_node *a = found->nodes; a; a = a->ai_next) {
            hob_addr *to = &ret->addr[ret->n++];
            to->len =
                a->ai_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
            memcpy(&to->sa.room, a->ai_addr, to->len);
        }
    }
    if (found)
        ares_freeaddrinfo(found);
}

/* Names of hidden services are no name server's business (RFC 7686). */
static bool name_onion(const char *name)
{
    size_t n = strlen(name);

    n -= name[n - 1] == '.';
    return n >= 6 && strncmp(name + n - 6, ".onion", 6) == 0;
}

static void round_start(struct entry *e)
{
    struct resolver *at = e->at;
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_flags = ARES_AI_ENVHOSTS};
    struct dns_reply reply = {.rc = 0};

    e->busy = true;
    e->candidate = 0;
    e->no_ttl = UINT32_MAX;
    at->n_busy++;
    if (at->ares.in_files && !name_onion(e->key))
        ares_getaddrinfo(at->ares.files, e->key, NULL, &hints, file_answered, &reply);
    if (reply.n > 0 || reply.rc == -ENOMEM || !at->ares.in_dns || name_onion(e->key)) {
        if (reply.n == 0 && reply.rc == 0)
            reply.rc = -HOB_EDNS;
        round_end(e, reply);
        return;
    }
    candidate_ask(e);
    hob__ares_called(&at->ares);
}

/* ---- begin and end ---- */

static void resolver_close(struct loop_part *p)
{
    struct resolver *at = container_of(p, struct resolver, part);

    at->closing = true;
    hob__ares_close(&at->ares);
    HOB_ASSERT(at->n_busy == 0);
    list_each_safe (it, &at->by_age)
        entry_free(list_entry(it, struct entry, age));
    free(at);
}

static int resolver_of(struct loop *l, struct resolver **ret)
{
    struct resolver *at;

    list_each (it, &l->parts) {
        struct loop_part *p = list_entry(it, struct loop_part, node);
        if (p->close == resolver_close) {
            *ret = container_of(p, struct resolver, part);
            return 0;
        }
    }
    if (!(at = calloc(1, sizeof *at)))
        return -ENOMEM;
    int r = hob__ares_open(&at->ares, l);
    if (r < 0) {
        free(at);
        return r;
    }
    at->part.close = resolver_close;
    list_init(&at->by_age);
    list_init(&at->room);
    list_push(&l->parts, &at->part.node);
    *ret = at;
    return 0;
}

/* Names learned under another resolv.conf are asked for again. */
static void resolver_look(struct resolver *at)
{
    if (at->n_busy > 0 || !hob__ares_changed(&at->ares))
        return;
    list_each (it, &at->by_age)
        list_entry(it, struct entry, age)->good_until = 0;
}

/* ---- the calls ---- */

/* What its last round found is good now.  While another is under way it is not. */
static bool entry_good(const struct entry *e)
{
    return !e->busy && e->round > 0 && hob__now() < e->good_until;
}

int hob__lookup_begin(struct fiber *f, const char *name, hob_time until, struct lookup_hold *h)
{
    struct resolver *at;
    struct entry *e;
    int r = resolver_of(f->loop, &at);

    if (r < 0)
        return r;
    resolver_look(at);
    if (!(e = entry_get(at, name)))
        return -ENOMEM;
    e->n_holds++; /* (I1) */
    h->entry = e;
    while (!e->busy && !entry_good(e) && at->n_busy >= BUSY_MAX && r == 0)
        r = wait_in(&at->room, f, until); /* (I5) */
    if (r < 0) {
        e->n_holds--;
        return r;
    }
    h->round = entry_good(e) ? e->round - 1 : e->round;
    if (!e->busy && !entry_good(e))
        round_start(e);
    else
        room_next(at); /* it may have been told of a place that it does not need */
    return 0;
}

static void addrs_copy(const struct dns_reply *from, size_t max, hob_addr *ret, size_t *ret_n)
{
    *ret_n = from->n < max ? from->n : max;
    memcpy(ret, from->addr, *ret_n * sizeof ret[0]);
}

/* Whether one family is enough, by now; else *until is when it will be. */
static const struct ask *part_of(const struct entry *e, hob_time *until)
{
    const struct ask *a = &e->ask[V6], *b = &e->ask[V4];

    if (e->n_out == 0 || e->n_out == FAMILIES)
        return NULL;
    if (a->known)
        return a->reply.n > 0 ? a : NULL;
    if (b->reply.n == 0)
        return NULL;
    hob_time enough = b->since + LOOKUP_SECOND_FAMILY;
    if (hob__now() >= enough)
        return b;
    *until = *until < enough ? *until : enough;
    return NULL;
}

int hob__lookup_take(struct fiber *f, struct lookup_hold *h, hob_time until, bool part, size_t max,
                     hob_addr *ret, size_t *ret_n)
{
    struct entry *e = h->entry;
    int r;

    while (e->round == h->round) {
        hob_time next = until;
        const struct ask *a = part ? part_of(e, &next) : NULL;
        if (a) {
            addrs_copy(&a->reply, max, ret, ret_n);
            return 1;
        }
        if (until == 0)
            return -ETIMEDOUT;
        r = wait_in(&e->waiters, f, next);
        if (r < 0 && (r != -ETIMEDOUT || next == until))
            return r;
    }
    if (e->found.rc == 0) /* (I4) */
        addrs_copy(&e->found, max, ret, ret_n);
    return e->found.rc;
}

void hob__lookup_end(struct lookup_hold *h)
{
    h->entry->n_holds--;
}

void hob__lookup_count(struct fiber *f, size_t *ret_busy, size_t *ret_kept)
{
    struct resolver *at;

    *ret_busy = *ret_kept = 0;
    if (resolver_of(f->loop, &at) == 0) {
        *ret_busy = at->n_busy;
        *ret_kept = at->n_kept;
    }
}

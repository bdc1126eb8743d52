/* SPDX-License-Identifier: MIT
 *
 * names.h - the addresses of names, kept for a while; a loop's own
 */
#ifndef HOB_HTTP_NAMES_H
#define HOB_HTTP_NAMES_H

#include <stdbool.h>

#include <hob/net.h>

#include "base/list.h"

enum { NAME_ADDRS_MAX = 16, NAMES_BUCKETS = 256, NAMES_MAX = 2048 };

struct curl_slist;

struct name {
    struct name *next;   /* in its bucket */
    struct list age;     /* in names.by_age, oldest answer first */
    struct list waiters; /* fibers that wait for the lookup under way */
    uint32_t n_users;    /* hops that hold it, and fibers that wait for it */
    bool resolving;
    bool known;  /* libcurl has addresses for it, */
    bool loaded; /* and they are these */
    int rc;      /* of the last lookup: 0, or why there are no addresses */
    hob_time good_until;
    size_t n;
    hob_addr addr[NAME_ADDRS_MAX];
    uint16_t port;
    char key[]; /* host name as libcurl knows it, lower case */
};

struct names {
    struct name *bucket[NAMES_BUCKETS];
    struct list by_age;
    size_t n;
    hob_dur kept;
    struct curl_slist *untold; /* what libcurl has to be told: CURLOPT_RESOLVE's lines, in order */
};

void hob__names_init(struct names *ns, hob_dur kept);
void hob__names_fini(struct names *ns);

/*
 * The addresses of `host`, looked up if need be, under the name `key`.  At most one lookup of a
 * name runs: others wait for it.  *ret is held until hob__name_put.  hob_resolve's codes.
 */
int hob__name_get(struct names *ns, const char *key, const char *host, uint16_t port,
                  hob_time until, struct name **ret);
void hob__name_put(struct name *n);

/* Connecting failed: the next hop looks it up again. */
void hob__name_doubt(struct name *n);

/* Puts n's addresses on `untold` unless libcurl has them.  -ENOMEM. */
int hob__name_load(struct names *ns, struct name *n);

/* A list taken from `untold` comes back: told, or not. */
void hob__names_untold(struct names *ns, struct curl_slist *list, bool told);

#endif

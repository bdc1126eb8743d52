/* SPDX-License-Identifier: MIT
 *
 * dns.h - the resolver's replaceable part
 */
#ifndef HOB_NET_DNS_H
#define HOB_NET_DNS_H

#include <hob/net.h>

enum { DNS_ADDRS_MAX = 16 };

struct dns_answer {
    int rc;   /* 0, -HOB_EDNS, -EAGAIN, -ENOMEM */
    size_t n; /* of addr, with rc 0 */
    hob_addr addr[DNS_ADDRS_MAX];
};

/*
 * Looks a name up; may block for as long as it likes, on a thread of its own.  getaddrinfo unless
 * a test puts something slower here, before the first lookup.
 */
typedef void dns_lookup(const char *name, struct dns_answer *ret);

extern dns_lookup *hob__dns_lookup;

/* Lookups whose thread has not ended, abandoned ones included. */
unsigned hob__dns_running(void);

/* Lookups that wait for a thread. */
size_t hob__dns_queued(void);

/* Lookups that are not freed yet. */
unsigned hob__dns_records(void);

/* "localhost", and every name that ends so: loopback, asked of nobody (RFC 6761, 6.3). */
bool hob__name_local(const char *name);

#endif

/* SPDX-License-Identifier: MIT
 *
 * dns.h - the resolver's replaceable part
 */
#ifndef HOB_NET_DNS_H
#define HOB_NET_DNS_H

#include <hob/net.h>

enum { DNS_ADDRS_MAX = 64 };

struct dns_answer {
    int rc;   /* 0, -HOB_EDNS, -EAGAIN, -ENOMEM */
    size_t n; /* of addr, with rc 0 */
    hob_addr addr[DNS_ADDRS_MAX];
};

/*
 * Looks a name up; may block for as long as it likes, on a thread of its own.  getaddrinfo unless
 * a test puts something slower here, before the first lookup; then c-ares is not asked.
 */
typedef void dns_lookup(const char *name, struct dns_answer *ret);

extern dns_lookup *hob__dns_lookup;

/* Lookups whose thread has not ended, abandoned ones included. */
unsigned hob__dns_running(void);

/* Lookups that wait for a thread. */
size_t hob__dns_queued(void);

/* Lookups that are not freed yet. */
unsigned hob__dns_records(void);

/* What hob_resolve and hob_tcp_dial_name have in common.  1: the name needs no lookup, and is in
 * ret; 0: it has to be looked up; a negative errno. */
int hob__resolve_here(const char *name, uint16_t port, size_t max, hob_addr *ret, size_t *ret_n);

/* Fibers' names are asked by c-ares, not by getaddrinfo. */
bool hob__dns_by_ares(void);

void hob__addrs_set_port(hob_addr *a, size_t n, uint16_t port);

/* "localhost", and every name that ends so: loopback, asked of nobody (RFC 6761, 6.3). */
bool hob__name_local(const char *name);

#endif

/* SPDX-License-Identifier: MIT
 *
 * order.h - which of several addresses to try first
 */
#ifndef HOB_NET_ORDER_H
#define HOB_NET_ORDER_H

#include <hob/net.h>

/*
 * By RFC 6724, as getaddrinfo does: first what can be reached from here at all, then what suits the
 * address it would be reached from.  Asks the kernel for a route once an address.
 */
void hob__addrs_order(hob_addr *addr, size_t n);

/* The two families in turns, beginning with the first one's (RFC 8305, 4); else as they are. */
void hob__addrs_interleave(hob_addr *addr, size_t n);

/* Tests: the address that `to` would be reached from; false: there is no way to it. */
extern bool (*hob__addr_source)(const hob_addr *to, hob_addr *ret);

#endif

/* SPDX-License-Identifier: MIT
 *
 * lookup.h - a loop's names: asked by c-ares, kept as long as their servers say
 */
#ifndef HOB_NET_LOOKUP_H
#define HOB_NET_LOOKUP_H

#include <hob/net.h>

struct fiber;
struct entry;

/* A fiber's hold on a name: from begin to end, in its frame. */
struct lookup_hold {
    struct entry *entry;
    uint32_t round; /* once the entry's is another, there is an answer for this hold */
};

/* How long an IPv4 address alone waits for IPv6 (RFC 8305, 3). */
#define LOOKUP_SECOND_FAMILY (50 * HOB_MS)

/*
 * Holds a name, asking for it if it is not known.  0; -ENOSYS: c-ares does not work here; -ENOMEM,
 * -ETIMEDOUT, -ECANCELED: too many names are asked for, and it was not.
 */
int hob__lookup_begin(struct fiber *f, const char *name, hob_time until, struct lookup_hold *h);

/*
 * Waits for the answer: 0, and at most `max` addresses in their order; with `part` also 1: what is
 * there so far, of one family.  -HOB_EDNS, -EAGAIN, -ENOMEM, -ETIMEDOUT, -ECANCELED.
 */
int hob__lookup_take(struct fiber *f, struct lookup_hold *h, hob_time until, bool part, size_t max,
                     hob_addr *ret, size_t *ret_n);

void hob__lookup_end(struct lookup_hold *h);

/* Tests: questions under way, and names kept, of the running fiber's loop. */
void hob__lookup_count(struct fiber *f, size_t *ret_busy, size_t *ret_kept);

#endif

/* SPDX-License-Identifier: MIT
 *
 * seen.h - the set of every URL a crawl has ever met, at about 10 bytes each
 *
 * The set keeps fingerprints, not URLs: it can say "seen" of a URL it never met, with a chance
 * of n^2 / 2^77 for a whole crawl of n URLs (one in 1.5 thousand million at ten million URLs).
 */
#ifndef HOB_CMD_SEEN_H
#define HOB_CMD_SEEN_H

#include <stddef.h>
#include <stdint.h>

struct seen;

/* -ENOMEM, or what the kernel says when it has no random key to give. */
int seen_new(struct seen **ret);
void seen_free(struct seen *s);

/* Room for n URLs at once, what a shard holds more than others included. -ENOMEM: not for all. */
int seen_reserve(struct seen *s, uint64_t n);

/* 1: new, and in the set from now on.  0: seen before.  -ENOMEM: the set is as it was. */
int seen_add(struct seen *s, const char *url, size_t len);

/* Many at once, when a database is opened: seen_load each, then seen_load_end. 0; -ENOMEM: some are
 * not in the set. */
int seen_load(struct seen *s, const char *url, size_t len);
int seen_load_end(struct seen *s);

uint64_t seen_count(const struct seen *s);
/* Memory the set holds, all of it. */
size_t seen_bytes(const struct seen *s);

#endif

/* SPDX-License-Identifier: MIT
 *
 * seen.c - a set of URL fingerprints in many small open-addressing tables
 *
 * WHAT        7,000 pages a second carry 500,000 links a second, nine of ten met before.  Asking
 *   the database about each stops at 175,000 a second; this set answers in well under 200 ns.
 *
 * HOW         128 keyed bits a URL:  | 12: which shard | ...unused... |  64: the tag kept there |
 *
 *   A shard is a table of tags with linear probing, 0 = empty.  A tag's home is tag * slots / 2^64,
 *   so the tags of a shard lie nearly in order and growing it walks memory forwards.
 *   Which shard a tag lies in says 12 more bits about its URL: 76 bits decide, 64 are paid for.
 *   A shard grows by a quarter at 85 % full: 9.4 to 11.8 bytes a URL, and the longest pause is one
 *   shard's, a 4,096th of the set.
 *
 * INVARIANTS  (I1) a shard with slots has an empty one: probing ends
 *             (I2) a tag is reached from its home without passing an empty slot
 *
 * REJECTED    64 bits alone: at 10^8 URLs one crawl in 3,700 loses a page in silence; with 76, one
 *   in 15 million.  128 bits kept: 20 to 24 bytes a URL for a risk already below the disk's.
 *   Asking the database at every hit to be sure: hits are the common case, and the database
 *   would need an index of URLs, which is slower by ten and twice the size.
 *   One table that doubles: 9 to 19 bytes a URL, three times the set while it is copied, and a
 *   pause of a second at 10^8.  A Bloom filter: less memory, false answers by design.
 *   Numbers: docs/design/0004-frontier.md.
 */
#include "lib/seen.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include <hob/rt.h>

#include "lib/siphash.h"

enum {
    SEEN_SHARD_BITS = 12,
    SEEN_SHARDS = 1 << SEEN_SHARD_BITS,
    SEEN_SLOTS_FIRST = 8,
    SEEN_LATE = 32,
    SEEN_SLOTS_DOUBLING = 64, /* below this many a shard doubles: a quarter is not worth a copy */
};

struct shard {
    uint64_t *tag;
    uint32_t slots, used;
};

struct seen {
    struct sip_key key; /* drawn anew at each start: nothing outside ever sees a fingerprint */
    uint64_t count;
    size_t slots; /* over all shards */
    unsigned n_late;
    uint64_t late[SEEN_LATE][2]; /* of seen_load: their slots are on the way from memory */
    struct shard shard[SEEN_SHARDS];
};

int seen_new(struct seen **ret)
{
    struct seen *s = calloc(1, sizeof(*s));

    if (!s)
        return -ENOMEM;
    s->key = (struct sip_key){hob_random(), hob_random()};
    *ret = s;
    return 0;
}

void seen_free(struct seen *s)
{
    if (!s)
        return;
    for (unsigned i = 0; i < SEEN_SHARDS; i++)
        free(s->shard[i].tag);
    free(s);
}

uint64_t seen_count(const struct seen *s)
{
    return s->count;
}

size_t seen_bytes(const struct seen *s)
{
    return sizeof(*s) + s->slots * sizeof(uint64_t);
}

/* The slot that holds `tag`, or the empty one where it belongs. */
static uint32_t shard_find(const uint64_t *table, uint32_t slots, uint64_t tag)
{
    uint32_t at = (uint32_t)(((tag >> 32) * slots) >> 32);

    while (table[at] && table[at] != tag) /* (I1) (I2) */
        at = at + 1 == slots ? 0 : at + 1;
    return at;
}

static bool shard_full(const struct shard *sh)
{
    return ((uint64_t)sh->used + 1) * 20 > (uint64_t)sh->slots * 17;
}

static int shard_resize(struct seen *s, struct shard *sh, uint32_t slots)
{
    uint64_t *table = calloc(slots, sizeof(*table));

    if (!table)
        return -ENOMEM;
    for (uint32_t i = 0; i < sh->slots; i++)
        if (sh->tag[i])
            table[shard_find(table, slots, sh->tag[i])] = sh->tag[i];
    free(sh->tag);
    s->slots += slots - sh->slots;
    sh->tag = table;
    sh->slots = slots;
    return 0;
}

static int shard_grow(struct seen *s, struct shard *sh)
{
    return shard_resize(s, sh,
                        sh->slots == 0                    ? SEEN_SLOTS_FIRST
                        : sh->slots < SEEN_SLOTS_DOUBLING ? sh->slots * 2
                                                          : sh->slots + sh->slots / 4);
}

int seen_reserve(struct seen *s, uint64_t n)
{
    double mean = (double)n / SEEN_SHARDS, most = mean + 3 * sqrt(mean);
    int r = 0;

    if (mean < SEEN_SLOTS_FIRST || most > UINT32_MAX / 2)
        return 0; /* it grows quickly enough; or is nonsense */
    for (unsigned i = 0; r == 0 && i < SEEN_SHARDS; i++)
        if (s->shard[i].slots < most * 20 / 17 + 2)
            r = shard_resize(s, &s->shard[i], (uint32_t)(most * 20 / 17) + 2);
    return r;
}

static struct shard *shard_of(struct seen *s, const uint64_t h[2])
{
    return &s->shard[h[1] >> (64 - SEEN_SHARD_BITS)];
}

static int print_add(struct seen *s, const uint64_t h[2])
{
    struct shard *sh = shard_of(s, h);
    uint64_t tag = h[0] ? h[0] : 1;
    uint32_t at = 0;

    if (sh->slots) {
        at = shard_find(sh->tag, sh->slots, tag);
        if (sh->tag[at])
            return 0;
    }
    if (shard_full(sh)) {
        int r = shard_grow(s, sh);
        if (r < 0)
            return r;
        at = shard_find(sh->tag, sh->slots, tag);
    }
    sh->tag[at] = tag;
    sh->used++;
    s->count++;
    return 1;
}

int seen_add(struct seen *s, const char *url, size_t len)
{
    uint64_t h[2];

    sip128(&s->key, url, len, h);
    return print_add(s, h);
}

int seen_load_end(struct seen *s)
{
    int r = 0;

    for (unsigned i = 0; r >= 0 && i < s->n_late; i++)
        r = print_add(s, s->late[i]);
    s->n_late = 0;
    return r < 0 ? r : 0;
}

int seen_load(struct seen *s, const char *url, size_t len)
{
    uint64_t *h = s->late[s->n_late++];

    sip128(&s->key, url, len, h);
    struct shard *sh = shard_of(s, h);
    if (sh->slots)
        __builtin_prefetch(&sh->tag[((h[0] >> 32) * sh->slots) >> 32], 1);
    return s->n_late < SEEN_LATE ? 0 : seen_load_end(s);
}

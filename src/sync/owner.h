/* SPDX-License-Identifier: MIT
 *
 * owner.h - for dumps: a lock that somebody waits for, and who holds it
 */
#ifndef HOB_SYNC_OWNER_H
#define HOB_SYNC_OWNER_H

#include "base/text.h"
#include "sync/gate.h"

enum { OWNERS_MAX = 64 };

/* Fibers that hold locks: of all loops, which rest, or of one, on its thread. */
struct owners {
    const struct loop *loop; /* NULL: all */
    unsigned n;
    bool more; /* than there is room for */
    const struct fiber *fiber[OWNERS_MAX];
};

void hob__owners_add(struct owners *o, const struct loop *l);

/* " (ledger, held by main 0x7f...)": the lock, or what is like one, that the parked f waits for. */
void hob__gate_put(struct text *t, const struct owners *o, const struct fiber *f);

#endif

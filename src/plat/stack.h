/* SPDX-License-Identifier: MIT
 *
 * stack.h - guarded stacks from slabs, with a free list a loop
 */
#ifndef HOB_PLAT_STACK_H
#define HOB_PLAT_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

enum stack_guard {
    STACK_GUARD_AUTO,     /* MADV_GUARD_INSTALL where the kernel has it, else mprotect */
    STACK_GUARD_MADVISE,  /* no mapping a stack: a million of them under the default limit */
    STACK_GUARD_MPROTECT, /* two mappings a stack: about 16,000 stacks, then none a stack */
};

struct stack_slab; /* one mapping that holds many stacks */

/* One size of stack, for one loop; no other thread touches it. */
struct stacks {
    size_t size;             /* bytes of a slot, guard page included */
    enum stack_guard guard;  /* what is in use: never AUTO after init */
    struct list slabs;       /* every struct stack_slab of this cache */
    void *free;              /* LIFO of given-back stacks, linked through their top words */
    struct stack_slab *bump; /* the slab whose slots were not all used yet */
    uint64_t n_live;         /* taken and not given back */
};

/* size: bytes, a multiple of the page size, at least 16 KiB (x4 under AddressSanitizer). */
void hob__stacks_init(struct stacks *s, size_t size, enum stack_guard guard);

/* Unmaps every slab; all stacks must have been given back. */
void hob__stacks_fini(struct stacks *s);

/*
 * The lowest usable address of a stack of hob__stack_usable(s) bytes; below it lies the guard.
 * NULL when there is no memory.  The most recently given back comes first: its top is in cache.
 */
void *hob__stack_take(struct stacks *s);
void hob__stack_give(struct stacks *s, void *lo);

static inline size_t hob__stack_usable(const struct stacks *s)
{
    return s->size - 4096;
}

/* Whether addr lies in the guard of some stack of this cache; *ret_lo is then that stack. */
bool hob__stack_guard_hit(const struct stacks *s, const void *addr, void **ret_lo);

#endif

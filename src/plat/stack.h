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
    STACK_GUARD_MPROTECT, /* two mappings a stack: about 16,000 stacks, then one a slab */
};

enum {
    STACK_GUARD_BYTES = 4096,
    STACK_SPARE_BYTES = 1024, /* the cache's own record, and room to start tops apart (stack.c) */
    STACK_MAGAZINE = 64,      /* free stacks that move between the cache's lists as one */
    STACK_KEEP_MIN = 256,     /* free stacks whose memory is kept however few are live */
};

struct stack_slab; /* one mapping that holds many stacks */
struct stack_slot; /* the cache's record of one stack, just above it */

/* One size of stack, for one loop; no other thread touches it. */
struct stacks {
    size_t size;                   /* bytes of a slot, guard page included */
    enum stack_guard guard;        /* what is in use: never AUTO after init */
    bool one_by_one;               /* the kernel takes advice for one page a call only */
    struct list slabs;             /* every struct stack_slab of this cache */
    struct list cold;              /* those of them that have a free stack without memory */
    struct stack_slab *bump;       /* the slab whose slots were not all used yet */
    struct stack_slot *hot;        /* LIFO of given-back stacks */
    struct stack_slot *mag_newest; /* full magazines of free stacks: a deque, newest ... */
    struct stack_slot *mag_oldest; /* ... to oldest */
    uint32_t n_hot;                /* length of `hot` */
    uint32_t n_mags;
    uint64_t n_slots;     /* in all slabs, used or not */
    uint64_t n_live;      /* taken and not given back */
    uint64_t n_unguarded; /* used slots without a guard of their own */
};

/*
 * size: bytes, a multiple of the page size, at least 16 KiB.  Under AddressSanitizer, whose frames
 * are larger, s->size becomes four times as much.
 */
void hob__stacks_init(struct stacks *s, size_t size, enum stack_guard guard);

/* Unmaps every slab; all stacks must have been given back. */
void hob__stacks_fini(struct stacks *s);

/*
 * The lowest usable address of a stack of hob__stack_usable(s) bytes, a multiple of 64; below it
 * lies the guard.  NULL when there is no memory.  The most recently given back comes first: its
 * top is in cache.  Its content is anything.
 */
void *hob__stack_take(struct stacks *s);

/* Not the stack the caller runs on.  Its content is gone: nobody may touch it any more. */
void hob__stack_give(struct stacks *s, void *lo);

/* Whether more stacks lie idle with their memory than are in use. */
static inline bool hob__stacks_spare(const struct stacks *s)
{
    uint64_t n = (uint64_t)s->n_mags * STACK_MAGAZINE;

    return n > STACK_KEEP_MIN && n > s->n_live;
}

/* Gives the memory of the 64 longest idle back to the kernel.  Only where hob__stacks_spare(s). */
void hob__stacks_trim(struct stacks *s);

static inline size_t hob__stack_usable(const struct stacks *s)
{
    return s->size - STACK_GUARD_BYTES - STACK_SPARE_BYTES;
}

/*
 * Whether addr lies in the guard of some stack of this cache; *ret_lo is then that stack.  For a
 * signal handler on the cache's own thread: takes no lock and calls nothing.
 */
bool hob__stack_guard_hit(const struct stacks *s, const void *addr, void **ret_lo);

/* For a debugger, as sched/debug.c's tables: what lies where in a slab and a stack's record. */
struct stack_layout {
    uint64_t slab_node, slab_base, slab_n_used, slab_cold, slot_live, colours, colour_bytes;
};
extern const struct stack_layout hob__stack_layout;

/* Every stack that is taken, in the order of the slabs.  On the cache's thread, or while it rests.
 */
void hob__stack_each(const struct stacks *s, void (*fn)(void *arg, void *lo), void *arg);

#endif

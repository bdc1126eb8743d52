/* SPDX-License-Identifier: MIT
 *
 * stack.c - guarded stacks from slabs, with a free list a loop
 *
 * WHAT        Takes and gives back stacks of one size in a few instructions, a million of them
 *             under the default limit of mappings, each with a guard page that turns an overflow
 *             into SIGSEGV.
 *
 * HOW         A slab is one mapping of 32 to 1024 slots, each slab as large as all before it
 *             together.  Slots are used from the bottom up; a slot:
 *
 *               | guard page | colour | usable ... top | struct stack_slot | rest |
 *               ^ slot start          ^ lo                      64 bytes
 *
 *             Colour: stacks start at the same offset in their page, so their tops would compete
 *             for the same few sets of the cache; slot i starts (i % 16) * 64 bytes higher.
 *
 *             Free stacks go through three states:
 *
 *               hot       a LIFO of up to 64 records, the only list the fast path touches
 *               magazine  a full LIFO, moved as one to a deque; the newest refills `hot`
 *               cold      a bit in its slab; its memory went back to the kernel
 *
 *             While more stacks lie in magazines than are live (and more than 256), the loop makes
 *             the oldest magazine cold when it has nothing else to do, and else one a millisecond,
 *             by one madvise a run of neighbours.  So the end of a million fibers does not wait
 *             for the kernel to take a million pages, memory goes back all the same, and a load
 *             that swings by half costs nothing.  A slab whose slots are all cold is unmapped,
 *             page tables and all.
 *
 *             Slots never used are made ready AHEAD at a time, by one call for all their guards
 *             and, once many stacks are live, one for their top pages.
 *
 * INVARIANTS  (S1) A slot's guard is laid once, before the slot is first used, and stands for the
 *                  slab's life: giving memory back leaves guards in place (both kinds do).
 *             (S2) A slot below n_used is live, in `hot`, in a magazine, or cold: one of them.
 *             (S3) Every magazine has MAGAZINE records, `hot` fewer.
 *             (S4) n_cold counts the bits set; the slab is on the `cold` list while it is not 0.
 *             (S5) A give is a few stores, and a trim bounded work: it makes one magazine cold.
 *             (S6) With MADV_GUARD_INSTALL every slot has a guard.  Without it a guard costs two
 *                  mappings of the 65,530 a process may have: GUARDS_MAX slots of the process
 *                  get one, then only each slab's lowest, while the kernel allows even those.
 *                  n_unguarded says how many go without: they still have the page, so a small
 *                  overflow harms nobody, and a large one the slot below.
 *             (S7) A slab whose slots are all cold is at the front of the `cold` list, and gone
 *                  before anybody takes from that list.
 *
 * THREADS     A cache belongs to one thread.  Only the count of mprotect guards is shared.
 *
 * REJECTED    Huge pages: a parked fiber should cost one 4 KiB page, not 2 MiB.
 *             Links through the top words of the stack itself: the record also names the slab,
 *               which a cold stack needs, and a dead fiber's frames stay whole for a debugger.
 *             Unmapping each stack when it dies: 0.3 us a time, and a fault and a guard anew.
 *             Memory back as stacks are given back (as it was): two thirds of what it took to end
 *               a million fibers, while whoever joined them waited.
 *             Top pages ahead for few stacks: a program of ten fibers would hold 32 pages.
 *             MADV_FREE: memory stays in the resident size until pressure, so that no figure
 *               tells whether it was given back.
 *             An odd number of pages a slot, to spread tops over more cache sets and TLB sets:
 *               no difference beyond noise once there are colours.
 *             Figures: docs/design/0001-context-switch-and-stacks.md.
 */
#include "plat/stack.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/assert.h"
#include "plat/san.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13; not in glibc 2.36 */
#endif

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

enum {
    PIDFD_OF_SELF = -10000, /* PIDFD_SELF_THREAD: Linux 6.14 */
    COLOURS = 16,
    COLOUR_BYTES = 64,
    MAGAZINE = STACK_MAGAZINE,
    SLAB_SLOTS_MIN = 32,
    SLAB_SLOTS_MAX = 1024,
    GUARDS_MAX = 16000,
    AHEAD = 32, /* slots made ready at a time: what one page of page tables is for */
};

#define SLAB_BYTES_MAX ((size_t)64 << 20)

struct stack_slot {
    struct stack_slab *slab;
    struct stack_slot *next;                  /* older, in `hot` or in its magazine */
    struct stack_slot *mag_newer, *mag_older; /* of a magazine's first record */
    uint32_t index;                           /* in the slab */
    bool live;
};

struct stack_slab {
    struct list node; /* stacks.slabs */
    struct list cold_node;
    char *base;
    uint32_t n_slots;
    uint32_t n_used;   /* slots [0, n_used) have been used */
    uint32_t n_made;   /* slots [0, n_made) have their guards, or go without */
    uint32_t n_cold;   /* (S4) */
    uint32_t n_guards; /* made by mprotect */
    uint32_t n_unguarded;
    uint64_t cold[SLAB_SLOTS_MAX / 64];
    unsigned san_id[]; /* a slot; from san_stack_map */
};

_Static_assert(sizeof(struct stack_slot) + (COLOURS - 1) * COLOUR_BYTES <= STACK_SPARE_BYTES,
               "the record and the largest colour fit in the spare bytes");

const struct stack_layout hob__stack_layout = {
    .slab_node = offsetof(struct stack_slab, node),
    .slab_base = offsetof(struct stack_slab, base),
    .slab_n_used = offsetof(struct stack_slab, n_used),
    .slab_cold = offsetof(struct stack_slab, cold),
    .slot_live = offsetof(struct stack_slot, live),
    .colours = COLOURS,
    .colour_bytes = COLOUR_BYTES,
};

static atomic_uint stack_guards; /* (S6): by mprotect, in the process */

/* --- where things are ------------------------------------------------------------------------ */

static char *slot_lo(const struct stacks *s, const struct stack_slab *slab, uint32_t i)
{
    return slab->base + i * s->size + STACK_GUARD_BYTES + i % COLOURS * COLOUR_BYTES;
}

static struct stack_slot *slot_record(const struct stacks *s, void *lo)
{
    return (struct stack_slot *)((char *)lo + hob__stack_usable(s));
}

static char *record_lo(const struct stacks *s, struct stack_slot *slot)
{
    return (char *)slot - hob__stack_usable(s);
}

/* --- slabs and guards ------------------------------------------------------------------------ */

/* Whether this process may lay guards without mappings: asked of a page of its own. */
static bool guard_madvise_works(void)
{
    void *p =
        mmap(NULL, STACK_GUARD_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return false;
    bool works = madvise(p, STACK_GUARD_BYTES, MADV_GUARD_INSTALL) == 0;
    munmap(p, STACK_GUARD_BYTES);
    return works;
}

/* The guard of slot i: (S1).  False only when there is no memory. */
static bool guard_lay(struct stacks *s, struct stack_slab *slab, uint32_t i)
{
    char *page = slab->base + i * s->size;

    /* Refused in a kernel that has it: a locked mapping, or a filter.  Then like an old kernel. */
    if (s->guard == STACK_GUARD_MADVISE) {
        if (madvise(page, STACK_GUARD_BYTES, MADV_GUARD_INSTALL) == 0)
            return true;
        if (errno == ENOMEM)
            return false;
    }
    if (i == 0 || atomic_load_explicit(&stack_guards, memory_order_relaxed) < GUARDS_MAX) {
        if (mprotect(page, STACK_GUARD_BYTES, PROT_NONE) == 0) {
            atomic_fetch_add_explicit(&stack_guards, 1, memory_order_relaxed);
            slab->n_guards++;
            return true;
        }
    }
    slab->n_unguarded++; /* (S6) */
    s->n_unguarded++;
    return true;
}

/* The same advice for one page of each of n slots, `at` bytes into them; returns for how many. */
static uint32_t pages_advise(const struct stacks *s, const struct stack_slab *slab, uint32_t i,
                             uint32_t n, size_t at, int advice)
{
    struct iovec page[AHEAD];

    for (uint32_t k = 0; k < n; k++)
        page[k] = (struct iovec){slab->base + (i + k) * s->size + at, STACK_GUARD_BYTES};
    long r = syscall(SYS_process_madvise, PIDFD_OF_SELF, page, (size_t)n, advice, 0u);
    return r > 0 ? (uint32_t)(r / STACK_GUARD_BYTES) : 0;
}

/* The next slots of the slab can be used: at least one.  False only when there is no memory. */
static bool slots_make(struct stacks *s, struct stack_slab *slab)
{
    uint32_t i = slab->n_made, n = slab->n_slots - i, done = 0;

    if (n > AHEAD)
        n = AHEAD;
    if (s->guard == STACK_GUARD_MADVISE && !s->one_by_one) {
        done = pages_advise(s, slab, i, n, 0, MADV_GUARD_INSTALL);
        s->one_by_one = done == 0; /* before Linux 6.14, or refused */
    }
    if (done == 0) {
        if (!guard_lay(s, slab, i))
            return false;
        done = 1;
    } else if (s->n_live >= STACK_KEEP_MIN) {
        /* For nothing if it fails: whoever uses them takes the faults. */
        (void)pages_advise(s, slab, i, done, s->size - STACK_GUARD_BYTES, MADV_POPULATE_WRITE);
    }
    slab->n_made += done;
    return true;
}

/* A mapping of n slots; NULL when the address space or the number of mappings is used up. */
static struct stack_slab *slab_new(const struct stacks *s, uint32_t n)
{
    struct stack_slab *slab = calloc(1, sizeof *slab + n * sizeof slab->san_id[0]);

    if (!slab)
        return NULL;
    slab->base = mmap(NULL, n * s->size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (slab->base == MAP_FAILED) {
        free(slab);
        return NULL;
    }
    /* MAP_STACK says it too since Linux 6.7; refused where huge pages are not built in. */
    (void)madvise(slab->base, n * s->size, MADV_NOHUGEPAGE);
    slab->n_slots = n;
    list_init(&slab->cold_node);
    return slab;
}

/* A new slab to use slots of: as large as all so far, or what the address space still allows. */
static bool slab_add(struct stacks *s)
{
    size_t most = SLAB_BYTES_MAX / s->size;
    uint64_t n = s->n_slots;
    struct stack_slab *slab;

    if (n < SLAB_SLOTS_MIN)
        n = SLAB_SLOTS_MIN;
    if (n > SLAB_SLOTS_MAX)
        n = SLAB_SLOTS_MAX;
    if (n > most)
        n = most ? most : 1;
    while (!(slab = slab_new(s, (uint32_t)n)) && n > 1)
        n /= 2;
    if (!slab)
        return false;
    list_push(&s->slabs, &slab->node);
    s->n_slots += slab->n_slots;
    s->bump = slab;
    return true;
}

static void slab_free(struct stacks *s, struct stack_slab *slab)
{
    size_t usable = hob__stack_usable(s);

    for (uint32_t i = 0; i < slab->n_used; i++)
        san_stack_unmap(slot_lo(s, slab, i), usable, slab->san_id[i]);
    munmap(slab->base, slab->n_slots * s->size);
    atomic_fetch_sub_explicit(&stack_guards, slab->n_guards, memory_order_relaxed);
    s->n_slots -= slab->n_slots;
    s->n_unguarded -= slab->n_unguarded;
    if (s->bump == slab)
        s->bump = NULL;
    list_del(&slab->cold_node);
    list_del(&slab->node);
    free(slab);
}

/* --- giving memory back ---------------------------------------------------------------------- */

/* The kernel takes the memory of the slots in [lo, hi); guards stay (S1). */
static void run_forget(char *lo, char *hi)
{
    if (lo)
        (void)madvise(lo, (size_t)(hi - lo), MADV_DONTNEED); /* locked memory refuses: it stays */
}

/* The record goes with the slot's memory, so what the slab must know is taken from it first. */
static void slot_set_cold(struct stacks *s, struct stack_slab *slab, uint32_t i)
{
    HOB_ASSERT(!(slab->cold[i / 64] >> i % 64 & 1)); /* (S2) */
    slab->cold[i / 64] |= (uint64_t)1 << i % 64;
    if (slab->n_cold++ == 0)
        list_push(&s->cold, &slab->cold_node); /* (S4) */
    if (slab->n_cold == slab->n_slots) {
        list_del(&slab->cold_node);
        list_push_front(&s->cold, &slab->cold_node); /* (S7) */
    }
}

/* Neighbours are often given back together, in either direction: one call covers a run. */
static void magazine_forget(struct stacks *s, struct stack_slot *mag)
{
    char *lo = NULL, *hi = NULL;

    for (struct stack_slot *slot = mag, *next; slot; slot = next) {
        char *base = slot->slab->base + slot->index * s->size;

        next = slot->next;
        slot_set_cold(s, slot->slab, slot->index);
        if (lo && base + s->size == lo) {
            lo = base;
        } else if (lo && base == hi) {
            hi += s->size;
        } else {
            run_forget(lo, hi);
            lo = base;
            hi = base + s->size;
        }
    }
    run_forget(lo, hi);
}

static struct stack_slot *magazine_pop_oldest(struct stacks *s)
{
    struct stack_slot *mag = s->mag_oldest;

    s->mag_oldest = mag->mag_newer;
    *(s->mag_oldest ? &s->mag_oldest->mag_older : &s->mag_newest) = NULL;
    s->n_mags--;
    return mag;
}

static struct stack_slot *magazine_pop_newest(struct stacks *s)
{
    struct stack_slot *mag = s->mag_newest;

    s->mag_newest = mag->mag_older;
    *(s->mag_newest ? &s->mag_newest->mag_newer : &s->mag_oldest) = NULL;
    s->n_mags--;
    return mag;
}

static void magazine_push(struct stacks *s, struct stack_slot *mag)
{
    mag->mag_newer = NULL;
    mag->mag_older = s->mag_newest;
    *(s->mag_newest ? &s->mag_newest->mag_newer : &s->mag_oldest) = mag;
    s->mag_newest = mag;
    s->n_mags++;
}

/* Slabs with nothing but cold slots.  (S7) */
static void slabs_free_cold(struct stacks *s)
{
    while (!list_empty(&s->cold)) {
        struct stack_slab *slab = list_entry(s->cold.next, struct stack_slab, cold_node);
        if (slab->n_cold < slab->n_slots)
            break;
        slab_free(s, slab);
    }
}

static __attribute__((noinline)) void hot_is_full(struct stacks *s)
{
    magazine_push(s, s->hot);
    s->hot = NULL;
    s->n_hot = 0;
}

void hob__stacks_trim(struct stacks *s)
{
    HOB_ASSERT(hob__stacks_spare(s));
    magazine_forget(s, magazine_pop_oldest(s)); /* (S5) */
    slabs_free_cold(s);
}

/* --- taking ---------------------------------------------------------------------------------- */

static struct stack_slot *slot_start(struct stacks *s, struct stack_slab *slab, uint32_t i)
{
    struct stack_slot *slot = slot_record(s, slot_lo(s, slab, i));

    slot->slab = slab;
    slot->index = i;
    slot->live = false;
    return slot;
}

static struct stack_slot *take_cold(struct stacks *s)
{
    struct stack_slab *slab = list_entry(s->cold.next, struct stack_slab, cold_node);
    uint32_t word = 0;

    while (slab->cold[word] == 0)
        word++; /* ends: (S4) */
    uint32_t i = word * 64 + (uint32_t)__builtin_ctzll(slab->cold[word]);
    slab->cold[word] &= slab->cold[word] - 1;
    if (--slab->n_cold == 0)
        list_del(&slab->cold_node);
    return slot_start(s, slab, i);
}

static struct stack_slot *take_unused(struct stacks *s)
{
    struct stack_slab *slab = s->bump;

    if (!slab || slab->n_used == slab->n_slots) {
        if (!slab_add(s))
            return NULL;
        slab = s->bump;
    }
    uint32_t i = slab->n_used;
    if (i == slab->n_made && !slots_make(s, slab))
        return NULL;
    slab->n_used++;
    slab->san_id[i] = san_stack_map(slot_lo(s, slab, i), hob__stack_usable(s));
    return slot_start(s, slab, i);
}

/* `hot` is empty: a stack from elsewhere, warmest first. */
static __attribute__((noinline)) struct stack_slot *take_slow(struct stacks *s)
{
    HOB_ASSERT(s->n_hot == 0); /* (S3) */
    if (s->mag_newest) {
        struct stack_slot *slot = magazine_pop_newest(s);
        s->hot = slot->next;
        s->n_hot = MAGAZINE - 1; /* (S3) */
        return slot;
    }
    if (!list_empty(&s->cold))
        return take_cold(s);
    return take_unused(s);
}

/* --- the interface --------------------------------------------------------------------------- */

void hob__stacks_init(struct stacks *s, size_t size, enum stack_guard guard)
{
    HOB_ASSERT(size >= 16384 && size % STACK_GUARD_BYTES == 0);
#ifdef HOB_ASAN
    size *= 4;
#endif
    if (guard == STACK_GUARD_AUTO)
        guard = guard_madvise_works() ? STACK_GUARD_MADVISE : STACK_GUARD_MPROTECT;
    *s = (struct stacks){.size = size, .guard = guard};
    list_init(&s->slabs);
    list_init(&s->cold);
}

void hob__stacks_fini(struct stacks *s)
{
    HOB_ASSERT(s->n_live == 0);
    list_each_safe (it, &s->slabs)
        slab_free(s, list_entry(it, struct stack_slab, node));
    s->hot = s->mag_newest = s->mag_oldest = NULL;
    s->n_hot = s->n_mags = 0;
}

void *hob__stack_take(struct stacks *s)
{
    struct stack_slot *slot = s->hot;

    if (likely(slot)) {
        s->hot = slot->next;
        s->n_hot--;
    } else {
        slot = take_slow(s);
        if (!slot)
            return NULL;
    }
    char *lo = record_lo(s, slot);
    HOB_DEBUG_ASSERT(!slot->live); /* (S2) */
    slot->live = true;
    s->n_live++;
    san_stack_take(lo, hob__stack_usable(s));
    return lo;
}

void hob__stack_give(struct stacks *s, void *lo)
{
    struct stack_slot *slot = slot_record(s, lo);

    HOB_DEBUG_ASSERT(slot->live && slot_lo(s, slot->slab, slot->index) == lo); /* (S2) */
    slot->live = false;
    san_stack_give(lo, hob__stack_usable(s));
    slot->next = s->hot;
    s->hot = slot;
    s->n_live--;
    if (unlikely(++s->n_hot == MAGAZINE)) /* (S3) */
        hot_is_full(s);
}

bool hob__stack_guard_hit(const struct stacks *s, const void *addr, void **ret_lo)
{
    list_each (it, &s->slabs) {
        const struct stack_slab *slab = list_entry(it, struct stack_slab, node);
        uintptr_t at = (uintptr_t)addr - (uintptr_t)slab->base;

        if (at < slab->n_used * s->size && at % s->size < STACK_GUARD_BYTES) {
            *ret_lo = slot_lo(s, slab, (uint32_t)(at / s->size));
            return true;
        }
    }
    return false;
}

void hob__stack_each(const struct stacks *s, void (*fn)(void *arg, void *lo), void *arg)
{
    list_each (it, &s->slabs) {
        const struct stack_slab *slab = list_entry(it, struct stack_slab, node);

        for (uint32_t i = 0; i < slab->n_used; i++) {
            char *lo = slot_lo(s, slab, i);
            bool cold = slab->cold[i / 64] >> i % 64 & 1; /* its record is gone too */

            if (!cold && slot_record(s, lo)->live)
                fn(arg, lo);
        }
    }
}

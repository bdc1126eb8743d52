/* SPDX-License-Identifier: MIT
 *
 * ring.c - one event queue a thread: a single writer, the sink as the single reader
 *
 * WHAT        A chain of chunks.  The writer appends to the last, the reader eats from the first.
 *
 * HOW         reader                           writer
 *               v                                v
 *             [ e e e e e e e e ] --next--> [ e e e . . . . . ]     spare: [           ]
 *                           n_used = 8              n_used = 3
 *   A full chunk is followed by the spare one, or by a new one; an eaten chunk becomes the spare.
 *   A chunk holds about 8,000 events, so the allocator is asked once in thousands of events, and
 *   not at all while the reader keeps up.
 *
 *   When the reader is so late that `max_chunks` are full (96 MB of a thread), new events are
 *   counted instead of written, and the first that fits again is preceded by a gap event with
 *   the count.  The newest go, not the oldest: a recording whose start is whole says how tasks
 *   began.  Parking the writer is no choice - the scheduler itself is the writer - and only a
 *   picture suffers: the sums of account.h do not pass through here.
 *
 * INVARIANTS  (I1) an event and its text lie in one chunk
 *             (I2) n_used of a chunk is final once its next is set
 *             (I3) the reader never frees the chunk the writer is on
 *
 * ORDER       chunk->n_used: release by the writer after the slots, acquire by the reader.
 *             chunk->next:   release by the writer after the last n_used, acquire by the reader,
 *                            which then reads n_used again (I2).
 *             lane->spare:   exchanged by both, acquire and release: a chunk changes hands.
 *             lane->dead:    under the lock.
 *
 * LOCKING     rings.lock guards the list of lanes, names, and `attached`.  Writers take it at a
 *   thread's first event and at its end, never else.
 *
 * REJECTED    A ring of fixed size that overwrites: the reader must then detect torn events, and
 *   its size is wrong for every program.  perf-style mmap rings: the same, with system calls.
 *   One queue for all threads: the cache line of its head would be the busiest in the program.
 */
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/list.h"
#include "trace/account.h"
#include "trace/ring.h"

enum {
    CHUNK_SLOTS = 8192,
    MAX_CHUNKS = 512,
    SLOTS_NEEDED = 2 + TRACE_TEXT_MAX / sizeof(struct trace_event), /* a gap and a text event */
};

struct chunk {
    struct chunk *next; /* atomic */
    uint32_t n_used;    /* atomic; slots that are written */
    uint32_t n_slots;
    struct trace_event slot[];
};

struct lane {
    struct list node;
    struct trace_lane_info info;
    bool dead;

    struct chunk *spare; /* atomic */
    uint32_t n_chunks;   /* atomic; in the chain */
    uint64_t n_lost;     /* atomic; events not written since the last gap event */

    struct chunk *last; /* the writer's; NULL before the first event */

    _Alignas(64) struct chunk *first; /* the reader's, once `last` was set */
    uint32_t n_read;                  /* slots of `first` handed over */
};

static struct {
    pthread_mutex_t lock;
    struct list lanes;
    bool attached;
    uint32_t last_id;
    uint32_t chunk_slots, max_chunks;
    uint64_t n_lost; /* atomic; by threads without memory for a lane, or that ended */
} rings = {.lock = PTHREAD_MUTEX_INITIALIZER,
           .lanes = {&rings.lanes, &rings.lanes},
           .chunk_slots = CHUNK_SLOTS,
           .max_chunks = MAX_CHUNKS};

static pthread_key_t lane_key;
static bool lane_key_made;
static pthread_once_t lane_key_once = PTHREAD_ONCE_INIT;
static __thread struct lane *lane_self __attribute__((tls_model("initial-exec")));

static void lane_free(struct lane *l)
{
    for (struct chunk *c = l->first, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    free(l->spare);
    free(l);
}

/* The thread ends: nobody writes here any more. */
static void lane_ended(void *arg)
{
    struct lane *l = arg;

    lane_self = NULL;
    pthread_mutex_lock(&rings.lock);
    l->dead = true;
    if (!rings.attached) {
        list_del(&l->node);
        lane_free(l);
    }
    pthread_mutex_unlock(&rings.lock);
}

static void lane_make_key(void)
{
    lane_key_made = pthread_key_create(&lane_key, lane_ended) == 0;
}

/* NULL without memory, or when the process has used up its thread keys. */
static struct lane *lane_get(void)
{
    struct lane *l = lane_self;

    if (likely(l != NULL))
        return l;
    pthread_once(&lane_key_once, lane_make_key);
    if (!lane_key_made)
        return NULL;
    l = aligned_alloc(64, (sizeof(*l) + 63) / 64 * 64);
    if (!l)
        return NULL;
    memset(l, 0, sizeof(*l));
    l->info.kind = TRACE_LANE_THREAD;
    l->info.tid = gettid();
    if (pthread_setspecific(lane_key, l) != 0) {
        free(l);
        return NULL;
    }
    pthread_mutex_lock(&rings.lock);
    l->info.id = ++rings.last_id;
    list_push(&rings.lanes, &l->node);
    pthread_mutex_unlock(&rings.lock);
    return lane_self = l;
}

int hob__lane_name(enum trace_lane_kind kind, const char *name)
{
    struct lane *l = lane_get();

    if (!l)
        return -ENOMEM;
    pthread_mutex_lock(&rings.lock);
    l->info.kind = kind;
    strncpy(l->info.name, name, sizeof(l->info.name) - 1);
    pthread_mutex_unlock(&rings.lock);
    return 0;
}

static struct chunk *chunk_new(struct lane *l)
{
    struct chunk *c = __atomic_exchange_n(&l->spare, NULL, __ATOMIC_ACQUIRE);
    uint32_t n = rings.chunk_slots;

    if (c && c->n_slots != n) { /* from before hob__rings_limit */
        free(c);
        c = NULL;
    }
    if (!c)
        c = malloc(sizeof(*c) + n * sizeof(c->slot[0]));
    if (!c)
        return NULL;
    c->next = NULL;
    c->n_used = 0;
    c->n_slots = n;
    return c;
}

/* A chunk with room for SLOTS_NEEDED, or NULL: the events must be counted as lost. */
static struct chunk *lane_chunk(struct lane *l)
{
    struct chunk *c = l->last, *fresh;

    if (likely(c && c->n_slots - c->n_used >= SLOTS_NEEDED))
        return c;
    if (__atomic_load_n(&l->n_chunks, __ATOMIC_RELAXED) >= rings.max_chunks)
        return NULL;
    fresh = chunk_new(l);
    if (!fresh)
        return NULL;
    __atomic_add_fetch(&l->n_chunks, 1, __ATOMIC_RELAXED);
    l->last = fresh;
    /* The reader finds the first chunk as it finds the others: by a pointer released after it. */
    __atomic_store_n(c ? &c->next : &l->first, fresh, __ATOMIC_RELEASE); /* (I2) */
    return fresh;
}

static void lane_write(const struct trace_event *e, const char *text)
{
    struct lane *l = lane_get();
    struct chunk *c = l ? lane_chunk(l) : NULL;
    uint64_t n_lost;
    uint32_t at;

    if (unlikely(!c)) {
        __atomic_add_fetch(l ? &l->n_lost : &rings.n_lost, 1, __ATOMIC_RELAXED);
        return;
    }
    at = c->n_used;
    if (unlikely(__atomic_load_n(&l->n_lost, __ATOMIC_RELAXED) != 0)) {
        n_lost = __atomic_exchange_n(&l->n_lost, 0, __ATOMIC_RELAXED);
        c->slot[at++] =
            (struct trace_event){.at = e->at,
                                 .arg = n_lost < UINT32_MAX ? (uint32_t)n_lost : UINT32_MAX,
                                 .kind = TRACE_EV_GAP};
    }
    c->slot[at++] = *e;
    if (text && e->len) {
        memcpy(&c->slot[at], text, e->len); /* (I1) */
        at += trace_event_slots(e) - 1;
    }
    __atomic_store_n(&c->n_used, at, __ATOMIC_RELEASE);
}

void hob__trace_emit(enum trace_kind kind, int64_t at, uint64_t task, unsigned wait, uint32_t arg)
{
    struct trace_event e = {
        .at = at, .task = task, .arg = arg, .kind = (uint8_t)kind, .wait = (uint8_t)wait};

    lane_write(&e, NULL);
}

void hob__trace_emit_text(enum trace_kind kind, int64_t at, uint64_t task, uint32_t arg,
                          const char *text)
{
    struct trace_event e = {.at = at, .task = task, .arg = arg, .kind = (uint8_t)kind};

    e.len = (uint16_t)strnlen(text, TRACE_TEXT_MAX);
    lane_write(&e, text);
}

/* An eaten chunk: the writer's next one, unless it has a spare already. */
static void chunk_give_back(struct lane *l, struct chunk *c)
{
    free(__atomic_exchange_n(&l->spare, c, __ATOMIC_ACQ_REL));
    __atomic_sub_fetch(&l->n_chunks, 1, __ATOMIC_RELAXED);
}

static void lane_drain(struct lane *l, trace_take take, void *arg)
{
    struct chunk *c = __atomic_load_n(&l->first, __ATOMIC_ACQUIRE), *next;
    uint32_t n;

    while (c) {
        next = __atomic_load_n(&c->next, __ATOMIC_ACQUIRE);
        n = __atomic_load_n(&c->n_used, __ATOMIC_ACQUIRE); /* after next: (I2) */
        if (n > l->n_read)
            take(arg, &l->info, &c->slot[l->n_read], n - l->n_read);
        l->n_read = n;
        if (!next)
            return; /* (I3) */
        l->n_read = 0;
        /* Only the reader stores here from now on: the writer did once, before its first chunk. */
        __atomic_store_n(&l->first, next, __ATOMIC_RELAXED);
        chunk_give_back(l, c);
        c = next;
    }
}

void hob__rings_drain(trace_take take, void *arg)
{
    pthread_mutex_lock(&rings.lock);
    list_each_safe (it, &rings.lanes) {
        struct lane *l = list_entry(it, struct lane, node);

        lane_drain(l, take, arg);
        if (l->dead) {
            __atomic_add_fetch(&rings.n_lost, l->n_lost, __ATOMIC_RELAXED);
            list_del(&l->node);
            lane_free(l);
        }
    }
    pthread_mutex_unlock(&rings.lock);
}

void hob__rings_attach(bool on)
{
    pthread_mutex_lock(&rings.lock);
    rings.attached = on;
    if (!on) {
        list_each_safe (it, &rings.lanes) {
            struct lane *l = list_entry(it, struct lane, node);

            if (!l->dead)
                continue;
            list_del(&l->node);
            lane_free(l);
        }
    }
    pthread_mutex_unlock(&rings.lock);
}

uint64_t hob__rings_lost(void)
{
    uint64_t n = __atomic_exchange_n(&rings.n_lost, 0, __ATOMIC_RELAXED);

    pthread_mutex_lock(&rings.lock);
    list_each (it, &rings.lanes) {
        n += __atomic_exchange_n(&list_entry(it, struct lane, node)->n_lost, 0, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&rings.lock);
    return n;
}

void hob__rings_limit(uint32_t chunk_slots, uint32_t max_chunks)
{
    rings.chunk_slots = chunk_slots ? chunk_slots : CHUNK_SLOTS;
    rings.max_chunks = max_chunks ? max_chunks : MAX_CHUNKS;
    HOB_ASSERT(rings.chunk_slots >= SLOTS_NEEDED); /* (I1) */
}

/* SPDX-License-Identifier: MIT
 *
 * rec.c - a recording in memory: its tables, and intervals folded when there are too many
 *
 * WHAT        Three tables (processes, threads, peers), each with a hash index from what names an
 *             entry to its number, and a row of intervals a thread.
 *
 * HOW         rec_add appends.  An interval that says the same as the one before and touches it
 *             is joined to it.  When all rows together are full, a grain is chosen and each row
 *             walked once: neighbours that touch and together are no longer than the grain become
 *             one folded interval.  The grain doubles until half the room is free.  First only
 *             neighbours with the same wait (or none) are folded, which keeps sums by kind exact;
 *             where that frees too little, others are too, and the longest wait stands for all.
 *
 * INVARIANTS  (I1) of one thread: from < to, and from >= the to before
 *             (I2) n_ivals is the sum over all threads
 *             (I3) a folded interval's run_ppm + ready_ppm <= 1,000,000
 *
 * REJECTED    A ring that drops the oldest: the verdict needs the whole run.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <hob/trace.h>

#include "diag/rec.h"

enum { IVALS_DEFAULT = 1000000, PPM = 1000000 };

static const struct {
    const char *word;
    int class;
} kinds[REC_N_KINDS] = {
#define CLASS_IO               HOB_CLASS_IO
#define CLASS_SYNC             HOB_CLASS_SYNC
#define CLASS_TIME             HOB_CLASS_TIME
#define CLASS_NONE             -1
#define ROW(name, class, word) [REC_##name] = {word, CLASS_##class},
    [REC_NO_KIND] = {"none", -1}, REC_KIND_MAP(ROW)
#undef ROW
};

const char *rec_kind_word(enum rec_kind kind)
{
    return (unsigned)kind < REC_N_KINDS ? kinds[kind].word : kinds[REC_UNKNOWN].word;
}

int rec_kind_class(enum rec_kind kind)
{
    return (unsigned)kind < REC_N_KINDS ? kinds[kind].class : -1;
}

void rec_init(struct recording *r)
{
    *r = (struct recording){.exit_status = -1, .user = -1, .system = -1, .duty = 1};
    rec_peer_of(r, REC_NO_KIND, "");
}

void rec_free(struct recording *r)
{
    for (size_t i = 0; i < r->n_procs; i++) {
        free(r->procs[i].exe);
        free(r->procs[i].command);
    }
    for (size_t i = 0; i < r->n_threads; i++)
        free(r->threads[i].ivals);
    for (size_t i = 0; i < r->n_peers; i++)
        free(r->peers[i].name);
    free(r->procs);
    free(r->threads);
    free(r->peers);
    free(r->looks);
    free(r->counts);
    free(r->wakes);
    free(r->command);
    free(r->notes);
    free(r->proc_index.slot);
    free(r->thread_index.slot);
    free(r->peer_index.slot);
    *r = (struct recording){0};
}

/* Room for one more of an array that doubles.  NULL, and failed set: no memory. */
static void *grow(struct recording *r, void *old, size_t n, size_t item)
{
    void *p = old;

    if ((n & (n - 1)) == 0) { /* 0, 1, 2, 4, ...: full */
        p = reallocarray(old, n ? 2 * n : 1, item);
        r->failed |= !p;
    }
    return p;
}

void rec_set_text(struct recording *r, char **at, const char *text)
{
    char *copy = strdup(text);

    r->failed |= !copy;
    if (copy) {
        free(*at);
        *at = copy;
    }
}

void rec_note(struct recording *r, const char *format, ...)
{
    char *line = NULL, *all = NULL;
    va_list ap;

    va_start(ap, format);
    int n = vasprintf(&line, format, ap);
    va_end(ap);
    if (n < 0) {
        r->failed = true;
        return;
    }
    if (!r->notes) {
        r->notes = line;
        return;
    }
    if (!strstr(r->notes, line)) {
        if (asprintf(&all, "%s\n%s", r->notes, line) < 0) {
            r->failed = true;
        } else {
            free(r->notes);
            r->notes = all;
        }
    }
    free(line);
}

/* --- hash indexes ----------------------------------------------------------------------------- */

static uint64_t mix(uint64_t x)
{
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdu; /* MurmurHash3's finaliser */
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53u;
    return x ^ x >> 33;
}

static uint64_t hash_text(uint64_t kind, const char *s)
{
    uint64_t h = 1469598103934665603u ^ kind; /* FNV-1a */

    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 1099511628211u;
    return mix(h);
}

typedef uint64_t hash_fn(const struct recording *r, uint32_t i);

static uint64_t hash_proc(const struct recording *r, uint32_t i)
{
    return mix((uint64_t)(uint32_t)r->procs[i].pid);
}

static uint64_t hash_thread(const struct recording *r, uint32_t i)
{
    return mix((uint64_t)(uint32_t)r->threads[i].tid);
}

static uint64_t hash_peer(const struct recording *r, uint32_t i)
{
    return hash_text(r->peers[i].kind, r->peers[i].name);
}

static void index_put(struct rec_index *ix, uint64_t hash, uint32_t i)
{
    size_t at = hash & (ix->cap - 1);

    while (ix->slot[at])
        at = (at + 1) & (ix->cap - 1);
    ix->slot[at] = i + 1;
    ix->n++;
}

/* Entry i, which the table has, into its index; at most three quarters of the slots are used. */
static void index_add(struct recording *r, struct rec_index *ix, hash_fn *hash, uint32_t i)
{
    if (4 * (ix->n + 1) > 3 * ix->cap) {
        size_t cap = ix->cap ? 2 * ix->cap : 64;
        struct rec_index bigger = {.slot = calloc(cap, sizeof *ix->slot), .cap = cap};

        if (!bigger.slot) {
            r->failed = true;
            return;
        }
        for (size_t k = 0; k < ix->cap; k++)
            if (ix->slot[k])
                index_put(&bigger, hash(r, ix->slot[k] - 1), ix->slot[k] - 1);
        free(ix->slot);
        *ix = bigger;
    }
    index_put(ix, hash(r, i), i);
}

/* --- processes, threads, peers ---------------------------------------------------------------- */

static uint32_t proc_new(struct recording *r, int32_t pid)
{
    void *p = grow(r, r->procs, r->n_procs, sizeof *r->procs);
    char *exe = strdup(""), *command = strdup("");

    if (p)
        r->procs = p;
    if (!p || !exe || !command) {
        free(exe);
        free(command);
        r->failed = true;
        return 0;
    }
    r->procs[r->n_procs] =
        (struct rec_proc){.pid = pid, .exe = exe, .command = command, .died = INT64_MAX};
    index_add(r, &r->proc_index, hash_proc, (uint32_t)r->n_procs);
    return (uint32_t)r->n_procs++;
}

uint32_t rec_proc_of(struct recording *r, int32_t pid)
{
    const struct rec_index *ix = &r->proc_index;
    uint64_t h = mix((uint64_t)(uint32_t)pid);

    for (size_t at = h & (ix->cap - 1); ix->cap && ix->slot[at]; at = (at + 1) & (ix->cap - 1))
        if (r->procs[ix->slot[at] - 1].pid == pid)
            return ix->slot[at] - 1;
    if (r->n_procs >= REC_MAX_THREADS && pid != 0) {
        rec_note(r, "more than %d processes: the later ones are shown as one", REC_MAX_THREADS);
        return rec_proc_of(r, 0);
    }
    return proc_new(r, pid);
}

uint32_t rec_thread_new(struct recording *r, int32_t pid, int32_t tid)
{
    if (r->n_threads >= REC_MAX_THREADS && tid != 0) {
        rec_note(r, "more than %d threads: the later ones are shown as one", REC_MAX_THREADS);
        return rec_thread_of(r, 0, 0);
    }
    uint32_t proc = rec_proc_of(r, pid);
    void *p = grow(r, r->threads, r->n_threads, sizeof *r->threads);
    if (!p)
        return 0;
    r->threads = p;
    r->threads[r->n_threads] = (struct rec_thread){.tid = tid, .proc = proc, .died = INT64_MAX};
    index_add(r, &r->thread_index, hash_thread, (uint32_t)r->n_threads);
    return (uint32_t)r->n_threads++;
}

/* A tid that came again has several entries on the chain; the newest is the highest. */
uint32_t rec_thread_of(struct recording *r, int32_t pid, int32_t tid)
{
    const struct rec_index *ix = &r->thread_index;
    uint64_t h = mix((uint64_t)(uint32_t)tid);
    uint32_t found = 0;

    for (size_t at = h & (ix->cap - 1); ix->cap && ix->slot[at]; at = (at + 1) & (ix->cap - 1)) {
        const struct rec_thread *t = &r->threads[ix->slot[at] - 1];

        if (t->tid == tid && r->procs[t->proc].pid == pid && ix->slot[at] > found)
            found = ix->slot[at];
    }
    return found ? found - 1 : rec_thread_new(r, pid, tid);
}

uint32_t rec_peer_of(struct recording *r, enum rec_kind kind, const char *name)
{
    const struct rec_index *ix = &r->peer_index;
    uint64_t h = hash_text(kind, name);

    for (size_t at = h & (ix->cap - 1); ix->cap && ix->slot[at]; at = (at + 1) & (ix->cap - 1)) {
        const struct rec_peer *p = &r->peers[ix->slot[at] - 1];

        if (p->kind == kind && strcmp(p->name, name) == 0)
            return ix->slot[at] - 1;
    }
    if (r->n_peers >= REC_MAX_PEERS) {
        rec_note(r, "more than %d peers: the later ones have no name", REC_MAX_PEERS);
        return 0;
    }
    void *p = grow(r, r->peers, r->n_peers, sizeof *r->peers);
    char *copy = strdup(name);
    if (p)
        r->peers = p;
    if (!p || !copy) {
        free(copy);
        r->failed = true;
        return 0;
    }
    r->peers[r->n_peers] = (struct rec_peer){.kind = (uint8_t)kind, .name = copy, .peer_cpu = -1};
    index_add(r, &r->peer_index, hash_peer, (uint32_t)r->n_peers);
    return (uint32_t)r->n_peers++;
}

/* --- intervals -------------------------------------------------------------------------------- */

/* Nanoseconds of an interval on CPU and without a core. */
static double ival_run(const struct rec_ival *v)
{
    double d = (double)(v->to - v->from);

    return v->flags & REC_IVAL_FOLDED ? d * v->run_ppm / PPM : v->state == REC_RUN ? d : 0;
}

static double ival_ready(const struct rec_ival *v)
{
    double d = (double)(v->to - v->from);

    return v->flags & REC_IVAL_FOLDED ? d * v->ready_ppm / PPM : v->state == REC_READY ? d : 0;
}

static double ival_wait(const struct rec_ival *v)
{
    return (double)(v->to - v->from) - ival_run(v) - ival_ready(v);
}

static bool ival_waits(const struct rec_ival *v)
{
    return v->state == REC_WAIT || (v->flags & REC_IVAL_FOLDED && v->kind != REC_NO_KIND);
}

static bool same_wait(const struct rec_ival *a, const struct rec_ival *b)
{
    return !ival_waits(a) || !ival_waits(b) || (a->kind == b->kind && a->peer == b->peer);
}

/* Rounded to the nearest: an interval is folded many times, and errors must not add up. */
static uint32_t ppm(double share)
{
    return (uint32_t)(share * PPM + 0.5);
}

/* a becomes a and b, which follows it. */
static void ival_fold(struct rec_ival *a, const struct rec_ival *b)
{
    double d = (double)(b->to - a->from);
    double run = ival_run(a) + ival_run(b), ready = ival_ready(a) + ival_ready(b);
    double wait_a = ival_waits(a) ? ival_wait(a) : 0, wait_b = ival_waits(b) ? ival_wait(b) : 0;
    const struct rec_ival *told = wait_b > wait_a ? b : a;
    struct rec_ival both = *told;

    both.from = a->from;
    both.to = b->to;
    both.run_ppm = ppm(run / d);
    both.ready_ppm = ppm(ready / d);
    if (!ival_waits(told))
        both.kind = REC_NO_KIND;
    if (wait_a + wait_b > 0)
        both.in_flight = (uint32_t)(((ival_waits(a) ? a->in_flight : 0) * wait_a +
                                     (ival_waits(b) ? b->in_flight : 0) * wait_b) /
                                        (wait_a + wait_b) +
                                    0.5);
    both.core = ival_run(b) > ival_run(a) ? b->core : a->core; /* who waits has none */
    if (ival_run(a) + ival_run(b) <= 0)
        both.core = REC_NO_CORE;
    both.state = ival_waits(told) ? REC_WAIT : run >= ready ? REC_RUN : REC_READY;
    both.flags |= REC_IVAL_FOLDED;
    *a = both;
}

/* One walk over a thread's row; returns how many intervals fewer it has. */
static size_t thread_fold(struct rec_thread *t, int64_t grain, bool mixed)
{
    size_t n = 0, before = t->n_ivals;

    for (size_t i = 0; i < before; i++) {
        struct rec_ival *last = n ? &t->ivals[n - 1] : NULL, *v = &t->ivals[i];

        if (last && last->to == v->from && v->to - last->from <= grain &&
            (mixed || same_wait(last, v)))
            ival_fold(last, v);
        else
            t->ivals[n++] = *v;
    }
    t->n_ivals = n;
    return before - n;
}

static void rec_fold(struct recording *r)
{
    size_t want = r->max_ivals / 2;

    if (r->grain == 0)
        r->grain = 1000;
    for (;;) {
        for (int mixed = 0; mixed <= 1; mixed++)
            for (size_t i = 0; i < r->n_threads && r->n_ivals > want; i++)
                r->n_ivals -= thread_fold(&r->threads[i], r->grain, mixed);
        if (r->n_ivals <= want || r->grain > INT64_MAX / 4)
            break;
        r->grain *= 2;
    }
    if (r->n_ivals > want) /* so many threads that few have two: REC_MAX_THREADS is the bound */
        r->max_ivals *= 2;
}

static bool same_ival(const struct rec_ival *a, const struct rec_ival *b)
{
    return a->to == b->from && a->state == b->state && a->kind == b->kind && a->peer == b->peer &&
           a->in_flight == b->in_flight && a->core == b->core && a->flags == b->flags &&
           !(a->flags & REC_IVAL_FOLDED);
}

void rec_add(struct recording *r, uint32_t thread, const struct rec_ival *iv)
{
    struct rec_ival v = *iv;

    if (thread >= r->n_threads)
        return;
    struct rec_thread *t = &r->threads[thread];
    struct rec_ival *last = t->n_ivals ? &t->ivals[t->n_ivals - 1] : NULL;
    if (last && v.from < last->to)
        v.from = last->to;
    if (v.from >= v.to)
        return; /* (I1) */
    if (last && same_ival(last, &v)) {
        last->to = v.to;
        return;
    }
    if (t->n_ivals == t->cap_ivals) {
        size_t cap = t->cap_ivals ? 2 * t->cap_ivals : 8;
        void *p = reallocarray(t->ivals, cap, sizeof *t->ivals);

        if (!p) {
            r->failed = true;
            return;
        }
        t->ivals = p;
        t->cap_ivals = cap;
    }
    t->ivals[t->n_ivals++] = v;
    if (r->max_ivals == 0)
        r->max_ivals = IVALS_DEFAULT;
    if (++r->n_ivals > r->max_ivals) /* (I2) */
        rec_fold(r);
}

void rec_add_look(struct recording *r, const struct rec_look *look)
{
    enum { MAX_LOOKS = 1 << 20 };
    void *p = r->n_looks < MAX_LOOKS ? grow(r, r->looks, r->n_looks, sizeof *look) : NULL;

    if (p) {
        r->looks = p;
        r->looks[r->n_looks++] = *look;
    }
}

void rec_add_count(struct recording *r, const struct rec_count *count)
{
    enum { MAX_COUNTS = 1 << 20 };
    void *p = r->n_counts < MAX_COUNTS ? grow(r, r->counts, r->n_counts, sizeof *count) : NULL;

    if (p) {
        r->counts = p;
        r->counts[r->n_counts++] = *count;
    }
}

void rec_add_wake(struct recording *r, const struct rec_wake *wake)
{
    enum { MAX_WAKES = 1 << 20 };
    void *p = r->n_wakes < MAX_WAKES ? grow(r, r->wakes, r->n_wakes, sizeof *wake) : NULL;

    if (p) {
        r->wakes = p;
        r->wakes[r->n_wakes++] = *wake;
    }
}

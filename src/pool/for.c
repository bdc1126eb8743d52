/* SPDX-License-Identifier: MIT
 *
 * for.c - hob_for: a range on all cores, cut only when somebody is hungry
 *
 * WHAT    A call is a region in its caller's frame.  A thread works on a piece of it in bursts, and
 *         after each burst looks whether some thread has nothing to do.  If so it cuts its piece
 *         in two, offers the upper half, works on the lower, and then joins the upper.
 *
 * HOW     [ b ............................. e )     bursts of 1, 4, 16 or 1, 16, 256 ... chunks
 *           burst burst | look: hungry
 *                       [ lower .... )[ upper .... )
 *                         this frame    pushed; taken back if nobody came
 *
 *   Bursts grow until one takes about 20 us, and what one piece learnt the next ones start with.
 *   The first burst is a small share of the range, so that long items are shared out soon.  A cut
 *   is made only for more work than it costs: a hand-over to an awake thread, or a wake.  Until
 *   a call has run that long nobody is woken for it - except when the range is so short that
 *   each index must be a big thing, or nobody would have called hob_for: then at once.
 *
 * INVARIANTS  (F1) n_slots counts the pieces not yet finished, pushed ones too, and a cut needs a
 *                  free one of max: never more than max threads are in the region.  Each piece
 *                  gives its slot back once, when its own bursts end; joining holds none.
 *             (F2) A piece begins at begin + k * grain, so chunks are the same on any number of
 *                  threads when the caller set the grain.
 *             (F3) bad_index only falls.  Chunks above it are skipped, and none below: the error
 *                  reported is the one a plain loop would have met first.
 *             (F4) Each cut halves a piece, so frames nest at most 64 deep.
 *
 * ORDER   Bodies' results reach the caller by the joins.  n_slots, burst and bad_index are hints
 *         to other pieces (relaxed); the code that belongs to bad_index is under bad_lock.
 *
 * REJECTED  Cutting the range up front into as many pieces as cores: the slowest decides, and an
 *         empty region pays for waking everybody.  A shared counter of the next chunk: one
 *         contended line a chunk, 50 to 90 ns each (libgomp's dynamic schedule).
 */
#include <hob/pool.h>

#include <errno.h>
#include <pthread.h>

#include "base/assert.h"
#include "base/opts.h"
#include "plat/cpu.h"
#include "pool/pool.h"
#include "pool/worker.h"
#include "trace/account.h"

/* A burst shorter than this grows; one longer than twice the next figure shrinks. */
#define BURST_SHORT (10 * HOB_US)
#define BURST_LONG  (50 * HOB_US)
/* Work worth handing to a thread that is awake, and to one that must be woken. */
#define HAND_OVER (1 * HOB_US)
#define WAKE      (30 * HOB_US)
/* The first burst is this share of what one thread gets; a region of at most EAGER chunks a thread
 * is cut at once. */
enum { FIRST_SHARE = 32, EAGER = 8 };

struct region {
    size_t begin, end;
    hob_for_body body;
    void *arg;
    size_t grain;   /* 0: the pool chooses */
    unsigned max;   /* threads */
    bool eager;     /* cut before the first burst */
    hob_time start; /* when the region began */
    atomic_uint n_slots;
    atomic_size_t burst;     /* chunks; learnt */
    atomic_size_t bad_index; /* begin of the lowest chunk that failed; SIZE_MAX: none */
    pthread_mutex_t bad_lock;
    int bad_code; /* under bad_lock */
};

/* A piece on offer. */
struct piece {
    struct job job;
    struct region *region;
    size_t begin, end;
};

static _Atomic(pool_fiber_hook *) for_fiber_hook;

void hob__pool_set_fiber_hook(pool_fiber_hook *hook)
{
    atomic_store(&for_fiber_hook, hook);
}

unsigned hob_cores(void)
{
    return hob__cpu_usable();
}

/* Never the simulator's clock, which does not move while a body computes. */
static hob_time for_now(void)
{
    return hob__env_real.now();
}

/* Whether a chunk that begins here is to be skipped. */
static bool region_past_error(struct region *r, size_t at)
{
    return at > atomic_load_explicit(&r->bad_index, memory_order_relaxed); /* (F3) */
}

static void region_fail(struct region *r, size_t at, int code)
{
    pthread_mutex_lock(&r->bad_lock);
    if (at < atomic_load_explicit(&r->bad_index, memory_order_relaxed)) {
        atomic_store_explicit(&r->bad_index, at, memory_order_relaxed);
        r->bad_code = code;
    }
    pthread_mutex_unlock(&r->bad_lock);
}

/* A slot for another piece, or not: (F1). */
static bool region_take_slot(struct region *r)
{
    unsigned n = atomic_load_explicit(&r->n_slots, memory_order_relaxed);

    while (n < r->max)
        if (atomic_compare_exchange_weak_explicit(&r->n_slots, &n, n + 1, memory_order_relaxed,
                                                  memory_order_relaxed))
            return true;
    return false;
}

static void region_give_slot(struct region *r)
{
    atomic_fetch_sub_explicit(&r->n_slots, 1, memory_order_relaxed);
}

/* Chunks in [begin, end), which is not empty. */
static size_t region_chunks(const struct region *r, size_t begin, size_t end)
{
    return r->grain ? (end - begin - 1) / r->grain + 1 : end - begin;
}

/* The index `n` chunks above begin; end if there are no more. */
static size_t region_advance(const struct region *r, size_t begin, size_t end, size_t n)
{
    return n < region_chunks(r, begin, end) ? begin + n * (r->grain ? r->grain : 1) : end;
}

/* Calls the body for [begin, end), a burst. */
static void burst_run(struct region *r, size_t begin, size_t end)
{
    size_t step = r->grain && end - begin > r->grain ? r->grain : end - begin;

    while (begin < end && !region_past_error(r, begin)) {
        size_t next = end - begin > step ? begin + step : end;
        int code = r->body(begin, next, r->arg);

        if (code < 0)
            region_fail(r, begin, code);
        begin = next;
    }
}

/* How many chunks the next burst has, after one of `burst` took `spent`. */
static size_t burst_adapt(struct region *r, size_t burst, hob_dur spent)
{
    size_t next = burst;

    if (spent < BURST_SHORT && burst <= SIZE_MAX / 16)
        next = burst * (spent < BURST_SHORT / 16 ? 16 : 4);
    else if (spent > BURST_LONG && burst > 1)
        next = burst / 2;
    if (next != burst)
        atomic_store_explicit(&r->burst, next, memory_order_relaxed);
    return next;
}

/* What is left of a piece after a burst, as time. */
static hob_dur piece_rest(size_t chunks, size_t burst, hob_dur spent)
{
    hob_dur rest;

    return __builtin_mul_overflow((hob_dur)(chunks / burst), spent, &rest) ? INT64_MAX : rest;
}

/* Whether to cut a piece with `chunks` left, worth `rest`, now. */
static bool piece_should_cut(struct region *r, struct seat *me, size_t chunks, hob_dur rest,
                             hob_time now)
{
    bool awake;

    if (!me || chunks < 2 || atomic_load_explicit(&r->n_slots, memory_order_relaxed) >= r->max)
        return false;
    if (hob__pool_hungry(&awake) <= deque_size(&me->deque))
        return false;
    hob_dur price = awake ? HAND_OVER : WAKE;
    return r->eager || (rest >= price && now - r->start >= price);
}

static void piece_work(struct region *r, struct seat *me, size_t begin, size_t end);

static void piece_run(struct job *j, struct seat *me)
{
    struct piece *p = container_of(j, struct piece, job);

    piece_work(p->region, me, p->begin, p->end);
}

/* Offers the upper half and does both, or leaves it to a thief; false: no slot, or no room. */
static bool piece_cut(struct region *r, struct seat *me, size_t begin, size_t end)
{
    struct piece upper = {.job.run = piece_run, .region = r, .end = end};

    upper.begin = region_advance(r, begin, end, region_chunks(r, begin, end) / 2); /* (F2) */
    if (!region_take_slot(r))
        return false;
    if (!hob__job_push(me, &upper.job)) {
        region_give_slot(r);
        return false;
    }
    piece_work(r, me, begin, upper.begin); /* (F4) */
    if (hob__job_join(me, &upper.job))
        piece_work(r, me, upper.begin, end);
    return true;
}

/* Does a piece that holds a slot, and gives the slot back. */
static void piece_work(struct region *r, struct seat *me, size_t begin, size_t end)
{
    size_t burst = atomic_load_explicit(&r->burst, memory_order_relaxed);
    hob_time now = for_now();
    hob_dur rest = 0; /* unknown */

    while (begin < end && !region_past_error(r, begin)) {
        if (piece_should_cut(r, me, region_chunks(r, begin, end), rest, now) &&
            piece_cut(r, me, begin, end))
            return; /* the slot went to the lower half */
        size_t next = region_advance(r, begin, end, burst);
        burst_run(r, begin, next);
        begin = next;

        hob_time then = for_now();
        if (begin < end)
            rest = piece_rest(region_chunks(r, begin, end), burst, then - now);
        burst = burst_adapt(r, burst, then - now);
        now = then;
    }
    region_give_slot(r); /* (F1) */
}

/* The whole call, on the thread that works at it first: hob_for's own, or a fiber's stand-in. */
static int region_run(void *arg)
{
    struct region *r = arg;
    struct seat *me = hob__seat;
    bool guest = false;

    if (!me && r->max != 1 && hob__pool_start() == 0) {
        me = hob__seat = hob__seat_take();
        guest = me != NULL;
    }
    if (me) {
        unsigned n_workers = atomic_load_explicit(&hob__pool.n_workers, memory_order_relaxed);
        size_t chunks = region_chunks(r, r->begin, r->end);

        /* Another core for the caller would be one more than there are. */
        r->max = r->max && r->max < n_workers ? r->max : n_workers;
        r->eager = chunks / EAGER <= r->max;
        size_t first = chunks / FIRST_SHARE / (r->max ? r->max : 1);
        atomic_store_explicit(&r->burst, first ? first : 1, memory_order_relaxed);
    }
    struct trace_task t;
    bool watched = hob__job_depth == 0 && trace_watching(); /* inside a job: part of that one */

    if (watched)
        hob__job_begin(&t, "hob_for", 0);
    r->start = for_now();
    hob__job_depth++;
    piece_work(r, me, r->begin, r->end);
    hob__job_depth--;
    if (watched)
        hob__job_end(&t);
    if (guest) {
        hob__seat = NULL;
        hob__seat_give(me);
    }
    return atomic_load_explicit(&r->bad_index, memory_order_relaxed) == SIZE_MAX ? 0 : r->bad_code;
}

/* Simulated: the whole range in order on this thread, in chunks that depend on no clock. */
static int region_run_alone(struct region *r)
{
    hob__job_depth++;
    burst_run(r, r->begin, r->end);
    hob__job_depth--;
    return r->bad_code;
}

int hob_for(size_t begin, size_t end, hob_for_body body, void *arg, const struct hob_for_opts *opts)
{
    struct hob_for_opts o;
    int r = hob__opts_copy(&o, sizeof o, opts);

    if (r < 0)
        return r;
    if (begin > end || !body)
        return -EINVAL;
    if (begin == end)
        return 0;
    struct region region = {.begin = begin,
                            .end = end,
                            .body = body,
                            .arg = arg,
                            .grain = o.grain,
                            .max = o.max_workers,
                            .n_slots = 1,
                            .burst = 1,
                            .bad_index = SIZE_MAX,
                            .bad_lock = PTHREAD_MUTEX_INITIALIZER};
    if (hob__env->sim)
        return region_run_alone(&region);
    pool_fiber_hook *hook = atomic_load_explicit(&for_fiber_hook, memory_order_acquire);
    if (hook && hob__job_depth == 0 && hook(region_run, &region, &r))
        return r;
    return region_run(&region);
}

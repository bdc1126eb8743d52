/* SPDX-License-Identifier: MIT
 *
 * loops.c - a whole runtime on the explorer's virtual threads: see loops.h
 */
#include "loops.h"

/* Included, not linked: it knows how many loops run, and how loop 0 begins. */
#include "../../src/sched/rt.c"

enum { STACK_BYTES = 64 * 1024 };

#define START (1000 * HOB_SEC)

const hob_time loops_soon = START + HOB_SEC;
hob_dur loops_tick;
unsigned loops_searching_max;
struct rt loops_rt;

static hob_time now;
static bool time_passes; /* from now on nobody sleeps longer than he wants */
static bool ended[EXPLORE_THREADS];
static int result;
static struct loop *loop_of[EXPLORE_THREADS]; /* hob__loop of threads that do not run */

struct model_poller {
    struct poller base;
    bool woken, closed;
    hob_time until;
    void (*done)(void); /* of an operation that has ended; NULL: none has */
};

static struct model_poller pollers[EXPLORE_THREADS];
static unsigned n_pollers;

static struct model_poller *model_of(struct poller *p)
{
    return container_of(p, struct model_poller, base);
}

static bool poller_goes_on(void *arg)
{
    const struct model_poller *p = arg;

    return p->woken || p->done || now >= p->until || (time_passes && p->until != HOB_FOREVER);
}

static int model_wait(struct poller *base, hob_time until)
{
    struct model_poller *p = model_of(base);

    explore_step();
    p->until = until;
    explore_wait(poller_goes_on, p);
    p->woken = false;
    if (time_passes && p->until != HOB_FOREVER && now < p->until)
        now = p->until;
    void (*done)(void) = p->done;
    p->done = NULL;
    if (done)
        done();
    return 0;
}

static void model_wake(struct poller *base)
{
    explore_step();
    if (model_of(base)->closed)
        explore_fail("a loop is woken that is gone"); /* (I3) of loop.c */
    model_of(base)->woken = true;
}

static bool model_busy(const struct poller *base)
{
    const struct model_poller *p = model_of((struct poller *)(uintptr_t)base);

    return p->woken || p->done;
}

static void model_close(struct poller *base)
{
    explore_step();
    model_of(base)->closed = true;
}

static const struct poll_ops model_ops = {.name = "model",
                                          .wait = model_wait,
                                          .wake = model_wake,
                                          .busy = model_busy,
                                          .close = model_close};

static int model_poll_open(struct poller **ret)
{
    struct model_poller *p = &pollers[n_pollers++];

    *p = (struct model_poller){.base.ops = &model_ops};
    *ret = &p->base;
    return 0;
}

static hob_time model_now(void)
{
    return now += loops_tick;
}

static uint64_t model_random(void)
{
    return 1;
}

static struct hob_env model_env = {
    .name = "model", .now = model_now, .random = model_random, .poll_open = model_poll_open};

/* --- stacks: plat/stack.c's would be mapped and unmapped in each run ------------------------- */

enum { STACKS = 8 };

static _Alignas(64) unsigned char stacks_of[EXPLORE_THREADS][STACKS][STACK_BYTES];
static bool stack_taken[EXPLORE_THREADS][STACKS];
static unsigned n_stacks;

void hob__stacks_init(struct stacks *s, size_t size, enum stack_guard guard)
{
    (void)guard;
    *s = (struct stacks){.size = size, .n_slots = n_stacks++};
}

void hob__stacks_fini(struct stacks *s)
{
    if (s->n_live > 0)
        explore_fail("a loop ends with %u fibers", (unsigned)s->n_live);
}

void *hob__stack_take(struct stacks *s)
{
    for (unsigned i = 0; i < STACKS; i++)
        if (!stack_taken[s->n_slots][i]) {
            stack_taken[s->n_slots][i] = true;
            s->n_live++;
            return stacks_of[s->n_slots][i];
        }
    explore_fail("more fibers than stacks");
}

void hob__stack_give(struct stacks *s, void *lo)
{
    stack_taken[s->n_slots][((unsigned char *)lo - stacks_of[s->n_slots][0]) / STACK_BYTES] = false;
    s->n_live--;
}

bool hob__stack_guard_hit(const struct stacks *s, const void *addr, void **ret_lo)
{
    (void)s, (void)addr, (void)ret_lo;
    return false;
}

void hob__stack_each(const struct stacks *s, void (*fn)(void *arg, void *lo), void *arg)
{
    (void)s, (void)fn, (void)arg;
}

void hob__stacks_trim(struct stacks *s)
{
    (void)s;
}

const struct stack_layout hob__stack_layout;

/* --- runs ------------------------------------------------------------------------------------- */

void loops_reset(unsigned n, hob_fn fn)
{
    free(loops_rt.loops);
    loops_rt = (struct rt){.n_loops = n,
                           .stack_size = STACK_BYTES,
                           .no_slice = true,
                           .stuck.off = true,
                           .n_searching_max = loops_searching_max,
                           .fn = fn,
                           .loops = calloc(n, sizeof *loops_rt.loops)};
    if (!loops_rt.loops)
        abort();
    hob__env = &model_env;
    hob__loop = NULL;
    now = START;
    time_passes = false;
    n_pollers = n_stacks = 0;
    memset(stack_taken, 0, sizeof stack_taken);
    rt_running = n;
    memset(ended, 0, sizeof ended);
    memset(loop_of, 0, sizeof loop_of);
    for (unsigned i = 0; i < n; i++)
        if (loop_open(&loops_rt, i) < 0)
            abort();
}

static bool loop_ended(void *arg)
{
    return *(bool *)arg;
}

/* What threads_stop does. */
static void others_stop(void)
{
    for (unsigned i = 1; i < loops_rt.n_loops; i++) {
        struct loop *l = &loops_rt.loops[i];
        l->stop_msg.run = loop_stop;
        hob__loop_post(l, &l->stop_msg);
        explore_wait(loop_ended, &ended[i]);
    }
}

void loops_0(void)
{
    result = rt_live(&loops_rt);
    if (result == 0)
        result = loops_rt.rc;
    others_stop();
    hob__loop_fini(&loops_rt.loops[0]);
    ended[0] = true;
}

static void loop_main(unsigned i)
{
    struct loop *l = &loops_rt.loops[i];

    hob__loop = l;
    hob__loop_run(l);
    hob__loop = NULL;
    hob__loop_fini(l);
    ended[i] = true;
}

void loops_1(void)
{
    loop_main(1);
}

void loops_2(void)
{
    loop_main(2);
}

void loops_clock(void)
{
    explore_step();
    now = loops_soon + HOB_MS; /* timers go by ticks */
    time_passes = true;
}

void loops_complete(struct loop *l, void (*done)(void))
{
    explore_step();
    model_of(l->poller)->done = done;
}

void loops_switched(unsigned from, unsigned to)
{
    loop_of[from] = hob__loop;
    hob__loop = loop_of[to];
}

bool loops_over(long long until)
{
    return now >= until;
}

int loops_result(void)
{
    for (unsigned i = 0; i < loops_rt.n_loops; i++)
        if (!ended[i])
            explore_fail("loop %u has not ended", i);
    return result;
}

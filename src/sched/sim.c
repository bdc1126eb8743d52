/* SPDX-License-Identifier: MIT
 *
 * sim.c - the simulator: every loop on one thread, virtual time, an order from a seed
 *
 * WHAT        With HOB_SIM=seed the same binary takes this environment instead of the machine's.
 *             The driver picks, step by step, what happens next: a turn of one of the loops, a
 *             job of the pool, a call on a blocking thread, or the passing of time.  Every pick
 *             comes from the seed, so a run with the same seed is the same run; or from a schedule
 *             (schedule.h), where what it does not say is the first of what there is to pick.
 *
 * HOW         picks    loop i    its ready queue stirred, its turn cut short at a seeded length
 *                      work w    run to its end, here; its message goes to its loop
 *                      time      on to the next timer - now and then even though something is
 *                                ready: a machine under load does that, and some lost wake-ups
 *                                show only then
 *                      network   how late bytes come, where reads and writes are cut, what goes
 *                                wrong (sim_net.h)
 *
 * INVARIANTS  (I1) nothing here depends on an address, a thread, or the machine's clock
 *             (I2) time never goes back, and never passes a timer without firing it
 *             (I3) when nothing can happen any more the root is cancelled with -EDEADLK, once;
 *                  if that does not end the run, it aborts; before both it says who is parked
 *             (I4) the first of what there is to pick is the dull one: first come, first served, no
 *                  stall.  The program's random numbers are drawn beside the picks, so a schedule
 *                  with other picks has the same ones
 *
 * What it cannot see: races between loops (TSan does), and code that waits outside hob.
 */
#include <errno.h>
#include <stdlib.h>

#include "plat/env.h"
#include "sched/park.h"
#include "sched/rt.h"
#include "sched/search.h"
#include "sched/sim_file.h"
#include "sched/sim_net.h"

/* A stall that a loaded machine may show; not the hours by which a program says "never". */
#define LEAP_MOST (2 * HOB_SEC)

enum {
    TIME_LEAPS = 16, /* one pick in so many lets time pass although something is ready */
    STIRS = 4,       /* one turn in so many stirs its ready queue */
    TURN_SHORT = 8,  /* runs at most in one that is cut short */
};

struct sim_steer hob__sim_steer;

static struct {
    uint64_t picks;  /* state of the generator of picks */
    uint64_t random; /* and of the program's numbers */
    uint64_t hash;   /* of every pick so far */
    hob_time now;
    struct list work;
    unsigned n_work;
    struct hob_env *real;
} sim;

static hob_time sim_now(void)
{
    return sim.now;
}

/* splitmix64 (Steele, Lea and Flood, OOPSLA 2014). */
static uint64_t sim_draw(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t sim_random(void)
{
    return sim_draw(&sim.random);
}

/* The next choice of the schedule that is replayed; the program may be another one than it was. */
static uint32_t sim_replay(enum choice what, unsigned n)
{
    struct sim_steer *s = &hob__sim_steer;
    uint32_t c = s->at < s->replay->n ? s->replay->of[s->at] : 0;

    if (choice_value(c) && choice_what(c) != what && s->strict) {
        s->strict = false;
        fprintf(stderr, "hob: simulation: the schedule is of another program: choice %u differs\n",
                s->at);
    }
    s->at++;
    return choice_value(c) % n;
}

static void sim_chose(enum choice what, bool record, uint32_t k)
{
    if (record && hob__sim_steer.record)
        hob__search_chose(what, k);
    sim.hash = (sim.hash ^ (k + 1)) * 0x100000001b3u;
}

/* One of n, at most 2^24; recorded, and in the schedule's hash. */
static unsigned sim_pick(enum choice what, unsigned n)
{
    unsigned k = 0;

    if (n > 1)
        k = hob__sim_steer.replay ? sim_replay(what, n) : (unsigned)(sim_draw(&sim.picks) % n);
    sim_chose(what, n > 1, k);
    return k;
}

unsigned hob__sim_rare(enum choice what, unsigned per_mille, unsigned n)
{
    unsigned k = 0;

    if (n == 0)
        return 0;
    if (hob__sim_steer.replay) {
        k = sim_replay(what, n + 1);
    } else {
        uint64_t x = sim_draw(&sim.picks);
        if (x % 1000 < per_mille)
            k = 1 + (unsigned)(x / 1000 % n);
    }
    sim_chose(what, true, k);
    return k;
}

static int sim_poll_open(struct poller **ret)
{
    return hob__poll_sim.open(ret);
}

static int sim_submit(struct env_work *w)
{
    list_push(&sim.work, &w->node);
    sim.n_work++;
    return 0;
}

static struct hob_env env_sim = {
    .name = "sim",
    .now = sim_now,
    .random = sim_random,
    .poll_open = sim_poll_open,
    .sock = &hob__sock_sim,
    .file = &hob__file_sim,
    .pool_submit = sim_submit,
    .block_submit = sim_submit,
    .sim = true,
};

void hob__sim_open(uint64_t seed)
{
    sim.picks = seed;
    sim.random = ~seed;
    hob__sim_steer.used = true;
    sim.hash = 0xcbf29ce484222325u;
    sim.now = 1000 * HOB_SEC;
    sim.n_work = 0;
    sim.real = hob__env;
    list_init(&sim.work);
    hob__env = &env_sim;
    hob__sim_net_open();
}

/* What is left was taken back by its caller, and frees itself. */
void hob__sim_close(void)
{
    struct list *n;

    while ((n = list_pop(&sim.work))) {
        struct env_work *w = list_entry(n, struct env_work, node);
        w->run(w);
    }
    hob__sim_net_close();
    hob__env = sim.real;
}

uint64_t hob__sim_hash(void)
{
    return sim.hash;
}

static bool loop_can_run(struct loop *l)
{
    return loop_has_ready(l) || !inbox_empty(&l->inbox) || hob__wheel_next(&l->timers) <= sim.now ||
           l->poller->ops->busy(l->poller);
}

/* Tasks that any loop may take: an idle one would have been woken for them. */
static bool spread_waits(struct rt *rt)
{
    for (unsigned i = 0; i < rt->n_loops; i++)
        if (atomic_load(&rt->loops[i].spread.n) > 0)
            return true;
    return false;
}

static void queue_stir(struct runq *q)
{
    struct runq old = *q;
    struct runnable *r;

    if (!old.head)
        return;
    runq_init(q);
    while (old.head) {
        r = old.head;
        old.head = r->next;
        if (!sim_pick(CHOICE_FRONT, 2)) {
            runq_push(q, r);
        } else {
            r->next = q->head;
            if (!q->head)
                q->tail = &r->next;
            q->head = r;
        }
    }
}

static void run_loop(struct loop *l)
{
    if (sim_pick(CHOICE_STIR, STIRS) == STIRS - 1)
        queue_stir(&l->ready);
    l->turn_switches =
        sim_pick(CHOICE_SHORT, 2) ? TURN_SHORT - sim_pick(CHOICE_TURN, TURN_SHORT) : TURN_SWITCHES;
    sim.now += sim_pick(CHOICE_TICK, 2000);
    hob__loop = l;
    hob__loop_turn(l, false);
    hob__loop = NULL;
}

/* Work that was submitted together may end in any order. */
static void run_work(void)
{
    struct list *n = sim.work.next;

    for (unsigned k = sim_pick(CHOICE_WORK, sim.n_work); k > 0; k--)
        n = n->next;
    list_del(n);
    sim.n_work--;
    sim.now += sim_pick(CHOICE_TOOK, 1000000);
    struct env_work *w = list_entry(n, struct env_work, node);
    w->run(w);
}

/* To the next timer of all loops, or the next arrival of the network, unless that is later than
 * `most`; false: there is none. */
static bool pass_time(struct rt *rt, hob_time most)
{
    hob_time next = hob__sim_net_next();

    for (unsigned i = 0; i < rt->n_loops; i++) {
        hob_time t = hob__wheel_due(&rt->loops[i].timers);
        if (t < next)
            next = t;
    }
    if (next == HOB_FOREVER || next > most)
        return false;
    if (next > sim.now)
        sim.now = next; /* (I2) */
    return true;
}

static void deadlock(struct rt *rt)
{
    hob__search_note(FAILED_DEADLOCK, NULL);
    if (rt->stuck.n_told) { /* (I3) */
        hob__stuck_declare(rt);
        abort();
    }
    hob__loop = &rt->loops[0];
    hob__stuck_declare(rt);
    hob__loop = NULL;
}

static void sim_step(struct rt *rt)
{
    unsigned can[LOOPS_MAX + 1], n = 0;
    bool spread = spread_waits(rt);

    hob__sim_net_advance(sim.now);
    for (unsigned i = 0; i < rt->n_loops; i++)
        if (spread || loop_can_run(&rt->loops[i]))
            can[n++] = i;
    if (sim.n_work > 0)
        can[n++] = LOOPS_MAX;
    if (n == 0) {
        if (!pass_time(rt, HOB_FOREVER))
            deadlock(rt);
        return;
    }
    if (sim_pick(CHOICE_LEAP, TIME_LEAPS) == TIME_LEAPS - 1)
        (void)pass_time(rt, sim.now + LEAP_MOST);
    unsigned k = can[sim_pick(CHOICE_NEXT, n)];
    if (k == LOOPS_MAX)
        run_work();
    else
        run_loop(&rt->loops[k]);
}

void hob__sim_run(struct rt *rt)
{
    hob__loop = NULL;
    while (!rt->loops[0].stop)
        sim_step(rt);
    hob__loop = &rt->loops[0];
}

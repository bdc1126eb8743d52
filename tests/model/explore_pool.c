/* SPDX-License-Identifier: MIT
 *
 * explore_pool.c - the pool's own text (deque, inject, idle, worker) through every small schedule
 *
 * WHAT    submit   two workers search, sleep or are about to; a thread submits two works, of which
 *                  the first does not end before the second has run.  Each runs once, and
 *                  nobody sleeps beside work: that would be a deadlock (I3).
 *         stop     a thread submits and stops the pool at once: the work is run first.
 *         join     a guest pushes a job, which pushes another; a worker steals.  Each job runs
 *                  once, on a seat that waits for nothing else (W3), and every join ends (W4).
 *         foreign  a guest waits for a job whose thief goes on to other work, which pushes a job
 *                  of its own: the guest must not take that one (W2, W3).
 *         deque    an owner and two thieves on a deque of two slots (D1, D3).
 *
 *   `explore_pool 1` tries one preemption more: minutes instead of seconds.
 *
 *   The sources are included, not linked: their atomics become decisions of explore.h.  A clock
 *   that jumps makes every search one look long.
 */
#include "explore.h"

/* All virtual threads are one real one, and nothing here reads a thread-local of another. */
#define __thread
#define tls_model(model) unused
#define DEQUE_SLOTS      2

#include "../../src/pool/worker.c"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pool hob__pool;

static hob_time model_clock;

static hob_time model_now(void)
{
    return model_clock += HOB_SEC;
}

struct hob_env hob__env_real = {.now = model_now};

/* Nobody watches in the model. */
unsigned hob__trace_on;

void hob__job_begin(struct trace_task *t, const char *name, int64_t ready_at)
{
    (void)t, (void)name, (void)ready_at;
}

void hob__job_end(struct trace_task *t)
{
    (void)t;
}

enum { N_WORKERS = 2 };

static unsigned n_runs[8], n_runs_all;

static void model_reset(void)
{
    memset(n_runs, 0, sizeof n_runs);
    n_runs_all = 0;
    hob__job_depth = 0;
    hob__pool.idle.state = N_WORKERS; /* both searching, as they are born */
    hob__pool.idle.tokens = 0;
    inject_init(&hob__pool.inject);
    hob__pool.n_joiners = 0;
    hob__pool.n_workers = N_WORKERS;
    hob__pool.n_guest_seats = 0;
    hob__pool.stopping = false;
    for (int i = 0; i < POOL_SEATS_MAX; i++) {
        struct seat *s = &hob__pool.seats[i];

        if (i >= N_WORKERS && i < POOL_WORKERS_MAX)
            continue;
        if (i > POOL_WORKERS_MAX)
            break;
        deque_init(&s->deque);
        s->permit = 0;
        s->taken = false;
        s->serving = NULL;
        s->dice = 0;
    }
}

static bool all_ran(void *want)
{
    return n_runs_all >= *(unsigned *)want;
}

/* What hob__pool_stop does, but for the joins. */
static void model_stop(unsigned after)
{
    explore_wait(all_ran, &after);
    atomic_store(&hob__pool.stopping, true);
    idle_notify_all(&hob__pool.idle);
}

static void worker_0(void)
{
    hob__worker_main(&hob__pool.seats[0]);
}

static void worker_1(void)
{
    hob__worker_main(&hob__pool.seats[1]);
}

static void check_idle(void)
{
    if (hob__pool.idle.state != 0 || hob__pool.idle.tokens != 0)
        explore_fail("at the end state is %x, tokens %u", (unsigned)hob__pool.idle.state,
                     (unsigned)hob__pool.idle.tokens); /* (I1), (I2) */
    if (hob__pool.n_joiners != 0)
        explore_fail("somebody joins for ever");
}

static void check_once(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (n_runs[i] != 1)
            explore_fail("work %u ran %u times", i, n_runs[i]);
    check_idle();
}

/* submit */

static struct env_work works[2];

static void work_run(struct env_work *w)
{
    n_runs[w - works]++;
    n_runs_all++;
    if (w == &works[0]) /* ends after the other has run: its own worker will not do that */
        explore_wait(all_ran, &(unsigned){2});
}

static void submit_one(struct env_work *w)
{
    w->run = work_run;
    inject_push(&hob__pool.inject, w);
    hob__pool_notify();
}

static void submitter(void)
{
    submit_one(&works[0]);
    submit_one(&works[1]);
    model_stop(2);
}

static void check_submit(void)
{
    check_once(2);
}

/* stop */

static void stop_reset(void)
{
    model_reset();
    hob__pool.n_workers = 1;
    hob__pool.idle.state = 1;
}

static void stopper(void)
{
    submit_one(&works[1]);
    model_stop(0);
}

static void check_stop(void)
{
    if (n_runs[1] != 1)
        explore_fail("stopped, and the work before it ran %u times", n_runs[1]);
    check_idle();
}

/* join */

struct step {
    struct job job;
    unsigned number;
    struct step *child;
};

static struct step steps[3];
static struct job
    *waits_for[EXPLORE_THREADS][4]; /* what each thread is inside of, outermost first */
static unsigned n_waits[EXPLORE_THREADS];

static void step_body(struct step *s, struct seat *me)
{
    bool mine;

    n_runs[s->number]++;
    if (s->child) {
        s->child->job.run = s->job.run;
        if (!hob__job_push(me, &s->child->job)) {
            step_body(s->child, me);
        } else {
            /* While it waits it may run only what comes below the child. */
            waits_for[explore_self()][n_waits[explore_self()]++] = &s->child->job;
            mine = hob__job_join(me, &s->child->job);
            n_waits[explore_self()]--;
            if (mine)
                step_body(s->child, me);
            if (n_runs[s->child->number] != 1)
                explore_fail("joined before it ran");
        }
    }
    n_runs_all++;
}

static void step_run(struct job *j, struct seat *me)
{
    struct step *s = container_of(j, struct step, job);

    if (n_waits[explore_self()] > 0) {
        struct job *waited = waits_for[explore_self()][n_waits[explore_self()] - 1];

        if (container_of(waited, struct step, job)->number >= s->number)
            explore_fail("step %u on top of a wait for something else", s->number); /* (W3) */
    }
    step_body(s, me);
}

static void join_reset(void)
{
    model_reset();
    memset(n_waits, 0, sizeof n_waits);
    for (unsigned i = 0; i < 3; i++)
        steps[i] =
            (struct step){.job.run = step_run, .number = i, .child = i < 2 ? &steps[i + 1] : NULL};
}

static void guest(void)
{
    struct seat *me = hob__seat_take();

    step_body(&steps[0], me);
    hob__seat_give(me);
    model_stop(3);
}

static void check_join(void)
{
    check_once(3);
}

/* foreign */

static struct seat *guest_seat;

static bool guest_joins(void *unused)
{
    (void)unused;
    return hob__pool.n_joiners > 0;
}

static bool first_is_stolen(void *unused)
{
    (void)unused;
    return steps[0].job.thief != NULL;
}

static void leaf_run(struct job *j, struct seat *me)
{
    unsigned number = container_of(j, struct step, job)->number;

    if (number == 1 && me == guest_seat)
        explore_fail("a foreign job on top of a wait"); /* (W3) */
    if (number == 0)
        explore_wait(guest_joins, NULL);
    n_runs[number]++;
    n_runs_all++;
}

static void leaf_push_and_join(struct step *s, struct seat *me)
{
    s->job.run = leaf_run;
    if (!hob__job_push(me, &s->job))
        explore_fail("no room for one job");
    if (s == &steps[0])
        explore_wait(first_is_stolen, NULL);
    if (hob__job_join(me, &s->job))
        leaf_run(&s->job, me);
}

static void foreign_work_run(struct env_work *w)
{
    (void)w;
    leaf_push_and_join(&steps[1], hob__seat);
    n_runs[2]++;
    n_runs_all++;
}

static void foreign_reset(void)
{
    model_reset();
    hob__pool.n_workers = 1;
    hob__pool.idle.state = 1;
    guest_seat = NULL;
    works[0].run = foreign_work_run;
    steps[0] = (struct step){.number = 0};
    steps[1] = (struct step){.number = 1};
}

static void foreign_guest(void)
{
    struct seat *me = guest_seat = hob__seat_take();

    leaf_push_and_join(&steps[0], me);
    guest_seat = NULL;
    hob__seat_give(me);
    model_stop(3);
}

static void foreign_submitter(void)
{
    explore_wait(first_is_stolen, NULL);
    inject_push(&hob__pool.inject, &works[0]);
    hob__pool_notify();
}

static void check_foreign(void)
{
    check_once(3);
}

/* deque */

static struct deque small;

static void deque_reset(void)
{
    memset(n_runs, 0, sizeof n_runs);
    deque_init(&small);
}

static struct job *number_as_job(size_t i)
{
    return (struct job *)(i + 1);
}

static void took(struct job *j)
{
    if (j)
        n_runs[(size_t)j - 1]++;
}

static size_t n_pushed;

static void owner(void)
{
    n_pushed = 0;
    for (size_t i = 0; i < 3; i++)
        n_pushed += deque_push(&small, number_as_job(n_pushed));
    took(deque_pop(&small));
    n_pushed += deque_push(&small, number_as_job(n_pushed));
    took(deque_pop(&small));
    took(deque_pop(&small));
}

static void thief(void)
{
    took(deque_steal(&small, NULL, 0));
    took(deque_steal(&small, NULL, 0));
}

static void check_deque(void)
{
    struct job *j;

    while ((j = deque_pop(&small)))
        took(j);
    for (unsigned i = 0; i < 8; i++)
        if (n_runs[i] != (i < n_pushed))
            explore_fail("job %u taken %u times", i, n_runs[i]);
}

int main(int argc, char **argv)
{
    static const struct explore_case cases[] = {
        {"deque", deque_reset, {owner, thief, thief}, check_deque, 4},
        {"submit", model_reset, {submitter, worker_0, worker_1}, check_submit, 2},
        {"stop", stop_reset, {stopper, worker_0}, check_stop, 3},
        {"join", join_reset, {guest, worker_0, worker_1}, check_join, 2},
        {"foreign", foreign_reset, {foreign_guest, worker_0, foreign_submitter}, check_foreign, 2},
    };
    unsigned more = argc > 1 ? (unsigned)atoi(argv[1]) : 0;

    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct explore_case c = cases[i];

        c.preemptions += more;
        printf("%s: %lu schedules with up to %u preemptions\n", c.name, explore(&c), c.preemptions);
    }
    return 0;
}

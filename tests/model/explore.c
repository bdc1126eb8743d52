/* SPDX-License-Identifier: MIT
 *
 * explore.c - the scheduler of explore.h: depth first over decisions, each run from the start
 *
 * HOW     The decisions of a run are a path of (choice, choices).  The next run repeats the path up
 *         to its last decision that has a choice left, takes that, and continues with choice 0:
 *         the running thread goes on if it can.  When no decision has a choice left, all
 *         schedules were tried.  Virtual threads are contexts on one real thread.
 */
#define EXPLORE_ITSELF
#include "explore.h"

#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plat/ctx.h"

enum { STACK_SIZE = 128 * 1024, STEPS_MAX = 5000 };

struct vthread {
    struct ctx ctx;
    void (*run)(void);
    bool done;
    bool (*ready)(void *arg); /* what it waits for; NULL: nothing */
    void *arg;
    _Alignas(64) unsigned char stack[STACK_SIZE];
};

struct decision {
    unsigned char choice, choices;
};

static const struct explore_case *now_case;
static struct vthread vthreads[EXPLORE_THREADS];
static unsigned n_vthreads, running, preemptions_left;
static struct decision path[2 * STEPS_MAX]; /* a wait is a decision, too */
static unsigned n_path, at_path;
static struct ctx main_ctx;
static unsigned long n_steps; /* of all threads, in this run */

static void print_path(void)
{
    fprintf(stderr, "%s: decisions:", now_case->name);
    for (unsigned i = 0; i < at_path; i++)
        if (path[i].choice)
            fprintf(stderr, " %u:%u", i, path[i].choice);
    fprintf(stderr, " of %u\n", at_path);
}

void explore_fail(const char *format, ...)
{
    va_list ap;

    fprintf(stderr, "%s: ", now_case->name);
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
    print_path();
    _Exit(1);
}

static void on_abort(int sig)
{
    (void)sig;
    print_path();
    _Exit(1);
}

unsigned explore_self(void)
{
    return running;
}

static bool can_run(unsigned i)
{
    struct vthread *t = &vthreads[i];

    return !t->done && (!t->ready || t->ready(t->arg));
}

/* The decision at this point of the run: 0 <= result < choices. */
static unsigned decide(unsigned choices)
{
    if (at_path == 2 * STEPS_MAX)
        explore_fail("still waiting after %u decisions", at_path);
    if (at_path == n_path)
        path[n_path++] = (struct decision){0, (unsigned char)choices};
    if (path[at_path].choices != choices)
        explore_fail("the run is not repeatable");
    return path[at_path++].choice;
}

/* The thread that runs next; n_vthreads: none can. */
static unsigned pick(void)
{
    unsigned able[EXPLORE_THREADS], n = 0;
    bool goes_on = can_run(running);

    if (goes_on) {
        able[n++] = running;
        if (preemptions_left == 0)
            return running;
    }
    for (unsigned i = 0; i < n_vthreads; i++)
        if (i != running && can_run(i))
            able[n++] = i;
    if (n == 0)
        return n_vthreads;
    unsigned next = able[n > 1 ? decide(n) : 0];
    preemptions_left -= goes_on && next != running;
    return next;
}

static void switch_away(void)
{
    struct vthread *from = &vthreads[running];
    unsigned next = pick(), n_done = 0;

    if (next == running)
        return;
    if (next < n_vthreads) {
        if (now_case->switched)
            now_case->switched(running, next);
        running = next;
        hob__ctx_switch(&from->ctx, &vthreads[next].ctx, 0);
        return;
    }
    for (unsigned i = 0; i < n_vthreads; i++)
        n_done += vthreads[i].done;
    if (n_done < n_vthreads)
        explore_fail("deadlock: %u of %u threads sleep for ever", n_vthreads - n_done, n_vthreads);
    hob__ctx_switch(&from->ctx, &main_ctx, 0);
}

void explore_step(void)
{
    if (n_vthreads == 0) /* a case sets itself up or checks */
        return;
    switch_away();
    if (++n_steps > STEPS_MAX) /* what it is before comes at once */
        explore_fail("still running after %d steps", STEPS_MAX);
}

void explore_wait(bool (*ready)(void *arg), void *arg)
{
    struct vthread *t = &vthreads[running];

    t->ready = ready;
    t->arg = arg;
    switch_away();
    t->ready = NULL;
}

static bool others_went_on(void *seen)
{
    return n_steps != *(unsigned long *)seen;
}

int explore_relax(void)
{
    explore_wait(others_went_on, &(unsigned long){n_steps});
    return 0;
}

static bool flag_is_clear(void *flag)
{
    return !*(volatile unsigned char *)flag;
}

bool explore_flag_set(volatile void *flag)
{
    volatile unsigned char *at = flag;

    explore_step();
    bool was = *at;
    if (was)
        explore_wait(flag_is_clear, (void *)(uintptr_t)flag);
    else
        *at = 1;
    return was;
}

/* A sleeper on a futex: ready when a wake has cleared the word it sleeps on, or at its time. */
static struct sleeper {
    atomic_uint *on;
    long long until;
} sleepers[EXPLORE_THREADS];

static bool futex_woken(void *arg)
{
    const struct sleeper *s = arg;

    return !s->on || (now_case->over && now_case->over(s->until));
}

void explore_futex_wait_until(atomic_uint *word, unsigned seen, long long until)
{
    struct sleeper *s = &sleepers[running];

    explore_step();
    if (*word != seen)
        return;
    *s = (struct sleeper){word, until};
    explore_wait(futex_woken, s);
    s->on = NULL;
}

void explore_futex_wait(atomic_uint *word, unsigned seen)
{
    explore_futex_wait_until(word, seen, LLONG_MAX);
}

void explore_futex_wake(atomic_uint *word, int n_max)
{
    explore_step();
    for (unsigned i = 0; i < n_vthreads && n_max > 0; i++) {
        if (sleepers[i].on == word) {
            sleepers[i].on = NULL;
            n_max--;
        }
    }
}

/* One mutex is enough for what is explored here. */
static bool mutex_held;

static bool mutex_free(void *unused)
{
    (void)unused;
    return !mutex_held;
}

int explore_mutex(pthread_mutex_t *m, bool take)
{
    (void)m;
    if (take) {
        explore_step();
        if (mutex_held)
            explore_wait(mutex_free, NULL);
    }
    mutex_held = take;
    return 0;
}

static void vthread_main(void *arg)
{
    struct vthread *t = arg;

    t->run();
    t->done = true;
    switch_away();
    abort(); /* nobody resumes a thread that ended */
}

static void run_once(const struct explore_case *c, unsigned n)
{
    c->reset();
    mutex_held = false;
    preemptions_left = c->preemptions;
    at_path = 0;
    n_steps = 0;
    for (unsigned i = 0; i < n; i++) {
        struct vthread *t = &vthreads[i];

        t->run = c->thread[i];
        t->done = false;
        t->ready = NULL;
        sleepers[i].on = NULL;
        hob__ctx_make(&t->ctx, t->stack, STACK_SIZE, vthread_main, t);
    }
    n_vthreads = n;
    running = 0;
    hob__ctx_switch(&main_ctx, &vthreads[0].ctx, 0);
    n_vthreads = 0;
    c->check();
}

unsigned long explore(const struct explore_case *c)
{
    unsigned n = 0;
    unsigned long runs = 0;

    now_case = c;
    n_path = 0;
    signal(SIGABRT, on_abort);
    signal(SIGSEGV, on_abort);
    while (n < EXPLORE_THREADS && c->thread[n])
        n++;
    do {
        run_once(c, n);
        runs++;
        n_path = at_path;
        while (n_path > 0 && path[n_path - 1].choice + 1 == path[n_path - 1].choices)
            n_path--;
        if (n_path > 0)
            path[n_path - 1].choice++;
    } while (n_path > 0);
    return runs;
}

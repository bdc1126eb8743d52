/* SPDX-License-Identifier: MIT
 *
 * switch.c - what a context switch and a stack cost by themselves, without a scheduler
 *
 *     ninja -C build bench/bench_switch && taskset -c 1 build/bench/bench_switch
 *
 * Each row is the median of nine passes, with the best in brackets, in nanoseconds.  Contexts
 * pass the turn on in a ring, each touching a record of 256 bytes at its stack's top, as a fiber
 * does with its control block.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <ucontext.h>

#include "plat/ctx.h"
#include "plat/san.h"
#include "plat/stack.h"

enum { PASSES = 9, SWITCHES = 4000000, STACKS = 50000, STACK_BYTES = 65536 };

struct member {
    struct ctx ctx;
    struct san san;
    struct member *next;
    void *stack;
    uint64_t n;
    char rest[192];
};

static struct ctx home;
static struct san home_san;
static struct member *turn; /* who runs, or ran last */
static long left;

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void row(const char *what, double (*pass)(long n), long n)
{
    double ns[PASSES];

    (void)pass(n);
    for (int i = 0; i < PASSES; i++)
        ns[i] = pass(n);
    qsort(ns, PASSES, sizeof ns[0], by_value);
    printf("%-44s %9.2f  (%.2f)\n", what, ns[PASSES / 2], ns[0]);
}

/* --- switches -------------------------------------------------------------------------------- */

static void member_run(void *arg)
{
    struct member *m = arg;

    san_enter(&m->san);
    for (;;) {
        m->n++;
        if (--left > 0) {
            turn = m->next;
            san_leave(&m->san, &turn->san, false);
            hob__ctx_switch(&m->ctx, &turn->ctx, 0);
        } else {
            san_leave(&m->san, &home_san, false);
            hob__ctx_switch(&m->ctx, &home, 0);
        }
        san_enter(&m->san);
    }
}

static struct member *member_new(struct stacks *s)
{
    char *lo = hob__stack_take(s);

    if (!lo)
        abort();
    struct member *m = (struct member *)(lo + hob__stack_usable(s) - sizeof *m);
    m = (struct member *)((uintptr_t)m & ~(uintptr_t)63);
    san_new(&m->san, lo, hob__stack_usable(s));
    m->n = 0;
    m->stack = lo;
    hob__ctx_make(&m->ctx, lo, (size_t)((char *)m - lo), member_run, m);
    return m;
}

static void go(long switches)
{
    left = switches;
    san_leave(&home_san, &turn->san, false);
    hob__ctx_switch(&home, &turn->ctx, 0);
    san_enter(&home_san);
}

/* The ring of n is built once a call: row() warms up with the first. */
static double pass_ring(long n)
{
    struct stacks s;
    struct member *first, *last;

    hob__stacks_init(&s, STACK_BYTES, STACK_GUARD_AUTO);
    san_thread(&home_san);
    first = last = member_new(&s);
    for (long i = 1; i < n; i++)
        last = last->next = member_new(&s);
    last->next = first;
    turn = first;
    go(2 * n);
    double start = now_ns();
    go(SWITCHES);
    double ns = (now_ns() - start) / SWITCHES;
    for (struct member *m = first, *next; n-- > 0; m = next) {
        next = m->next;
        san_free(&m->san);
        hob__stack_give(&s, m->stack);
    }
    hob__stacks_fini(&s);
    return ns;
}

/* What the C library offers: it also saves the signal mask, with a system call. */
static ucontext_t uc_home, uc_peer;

static void uc_run(void)
{
    for (;;)
        swapcontext(&uc_peer, &uc_home);
}

static double pass_ucontext(long n)
{
    static char stack[STACK_BYTES];

    getcontext(&uc_peer);
    uc_peer.uc_stack.ss_sp = stack;
    uc_peer.uc_stack.ss_size = sizeof stack;
    makecontext(&uc_peer, uc_run, 0);
    double start = now_ns();
    for (long i = 0; i < n; i++)
        swapcontext(&uc_home, &uc_peer);
    return (now_ns() - start) / (double)(2 * n);
}

/* --- stacks ---------------------------------------------------------------------------------- */

static void *stack[STACKS];

static double pass_take_give(long n)
{
    struct stacks s;

    hob__stacks_init(&s, STACK_BYTES, STACK_GUARD_AUTO);
    hob__stack_give(&s, hob__stack_take(&s));
    double start = now_ns();
    for (long i = 0; i < n; i++)
        hob__stack_give(&s, hob__stack_take(&s));
    double ns = (now_ns() - start) / (double)n;
    hob__stacks_fini(&s);
    return ns;
}

/* Slots never used before: mapping, guard and the fault of the page with the record. */
static double take_many(enum stack_guard guard, long n, double *ret_give)
{
    struct stacks s;
    double t[3];

    hob__stacks_init(&s, STACK_BYTES, guard);
    t[0] = now_ns();
    for (long i = 0; i < n; i++)
        if (!(stack[i] = hob__stack_take(&s)))
            abort();
    t[1] = now_ns();
    for (long i = 0; i < n; i++)
        hob__stack_give(&s, stack[i]);
    t[2] = now_ns();
    hob__stacks_fini(&s);
    *ret_give = (t[2] - t[1]) / (double)n;
    return (t[1] - t[0]) / (double)n;
}

static double pass_new_madvise(long n)
{
    double give;

    return take_many(STACK_GUARD_AUTO, n, &give);
}

static double pass_new_mprotect(long n)
{
    double give;

    return take_many(STACK_GUARD_MPROTECT, n, &give);
}

static double pass_give(long n)
{
    double give;

    (void)take_many(STACK_GUARD_AUTO, n, &give);
    return give;
}

int main(void)
{
    printf("%-44s %9s\n", "", "ns  (best)");
    row("switch, 2 contexts", pass_ring, 2);
    row("switch, 16 contexts", pass_ring, 16);
    row("switch, 100 contexts", pass_ring, 100);
    row("switch, 1,000 contexts", pass_ring, 1000);
    row("switch, 10,000 contexts", pass_ring, 10000);
    row("swapcontext, 2 contexts", pass_ucontext, 200000);
    row("stack: take + give, warm", pass_take_give, 1000000);
    row("stack: take, never used, guard by madvise", pass_new_madvise, STACKS);
    row("stack: take, never used, guard by mprotect", pass_new_mprotect, 12000);
    row("stack: give, all of 50,000, memory goes back", pass_give, STACKS);
    return 0;
}

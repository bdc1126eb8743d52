/* SPDX-License-Identifier: MIT
 *
 * test_ctx.c - contexts keep their registers, stacks and floating-point values over switches
 */
#include <math.h>
#include <stdlib.h>

#include "lib/t.h"
#include "plat/ctx.h"
#include "plat/san.h"

enum { STACK_BYTES = 256 * 1024 };

/* A context with its stack, resumed by the thread's own context and yielding to it. */
struct co {
    struct ctx ctx;
    struct san san;
    void (*run)(struct co *co);
    unsigned char *stack;
    unsigned stack_id;
    long n;
    int given; /* by who resumed it last */
    double x;
    bool ended;
};

static struct ctx main_ctx;
static struct san main_san;

static void co_pause(struct co *co)
{
    san_leave(&co->san, &main_san, co->ended);
    co->given = hob__ctx_switch(&co->ctx, &main_ctx, (int)co->n);
    san_enter(&co->san);
}

static void co_resume(struct co *co)
{
    san_leave(&main_san, &co->san, false);
    hob__ctx_switch(&main_ctx, &co->ctx, 0);
    san_enter(&main_san);
}

static void co_entry(void *arg)
{
    struct co *co = arg;

    san_enter(&co->san);
    co->run(co);
    co->ended = true;
    co_pause(co);
    abort();
}

static struct co *co_new(void (*run)(struct co *co), long n)
{
    struct co *co = calloc(1, sizeof *co);

    CHECK(co != NULL);
    co->run = run;
    co->n = n;
    co->stack = malloc(STACK_BYTES);
    CHECK(co->stack != NULL);
    co->stack_id = san_stack_map(co->stack, STACK_BYTES);
    san_new(&co->san, co->stack, STACK_BYTES);
    hob__ctx_make(&co->ctx, co->stack, STACK_BYTES, co_entry, co);
    return co;
}

static void co_free(struct co *co)
{
    CHECK(co->ended);
    san_free(&co->san);
    san_stack_unmap(co->stack, STACK_BYTES, co->stack_id);
    free(co->stack);
    free(co);
}

static void ping(struct co *co)
{
    for (long i = 0; i < co->n; i++)
        co_pause(co);
}

TEST(a_context_runs_where_it_left_off)
{
    san_thread(&main_san);
    struct co *co = co_new(ping, 3);
    int resumes = 0;

    while (!co->ended) {
        co_resume(co);
        resumes++;
    }
    CHECK_INT(resumes, 4);
    co_free(co);
}

#if defined(__x86_64__)
/*
 * Fills every callee-saved register with seed + 1 ..., switches, and returns a bit for each
 * register that came back changed.
 */
unsigned registers_over_switch(struct ctx *save, const struct ctx *to, uint64_t seed);
__asm__(".text\n"
        ".type registers_over_switch, @function\n"
        "registers_over_switch:\n"
        "    pushq %rbp\n    pushq %rbx\n    pushq %r12\n"
        "    pushq %r13\n    pushq %r14\n    pushq %r15\n"
        "    pushq %rdx\n"
        "    leaq 1(%rdx), %rbp\n    leaq 2(%rdx), %rbx\n    leaq 3(%rdx), %r12\n"
        "    leaq 4(%rdx), %r13\n    leaq 5(%rdx), %r14\n    leaq 6(%rdx), %r15\n"
        "    call hob__ctx_switch\n"
        "    popq %rdx\n"
        "    xorl %eax, %eax\n"
        "    leaq 1(%rdx), %rcx\n    cmpq %rcx, %rbp\n    je 1f\n    orl $1, %eax\n1:\n"
        "    leaq 2(%rdx), %rcx\n    cmpq %rcx, %rbx\n    je 1f\n    orl $2, %eax\n1:\n"
        "    leaq 3(%rdx), %rcx\n    cmpq %rcx, %r12\n    je 1f\n    orl $4, %eax\n1:\n"
        "    leaq 4(%rdx), %rcx\n    cmpq %rcx, %r13\n    je 1f\n    orl $8, %eax\n1:\n"
        "    leaq 5(%rdx), %rcx\n    cmpq %rcx, %r14\n    je 1f\n    orl $16, %eax\n1:\n"
        "    leaq 6(%rdx), %rcx\n    cmpq %rcx, %r15\n    je 1f\n    orl $32, %eax\n1:\n"
        "    popq %r15\n    popq %r14\n    popq %r13\n"
        "    popq %r12\n    popq %rbx\n    popq %rbp\n"
        "    ret\n"
        ".size registers_over_switch, . - registers_over_switch\n");
#elif defined(__aarch64__)
/* The same: register n gets seed + n.  Bits 0 to 10 are x19 to x29, 16 to 23 are d8 to d15. */
unsigned registers_over_switch(struct ctx *save, const struct ctx *to, uint64_t seed);
__asm__(".text\n"
        ".type registers_over_switch, %function\n"
        "registers_over_switch:\n"
        "    stp x29, x30, [sp, #-176]!\n"
        "    stp x19, x20, [sp, #16]\n    stp x21, x22, [sp, #32]\n"
        "    stp x23, x24, [sp, #48]\n    stp x25, x26, [sp, #64]\n"
        "    stp x27, x28, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n      stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n   stp d14, d15, [sp, #144]\n"
        "    str x2, [sp, #160]\n"
        ".irp n, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29\n"
        "    add x\\n, x2, #\\n\n"
        ".endr\n"
        ".irp n, 8, 9, 10, 11, 12, 13, 14, 15\n"
        "    add x9, x2, #\\n\n    fmov d\\n, x9\n"
        ".endr\n"
        "    bl hob__ctx_switch\n"
        "    ldr x2, [sp, #160]\n    mov w0, #0\n"
        ".irp n, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29\n"
        "    add x9, x2, #\\n\n    cmp x9, x\\n\n"
        "    cset w10, ne\n    orr w0, w0, w10, lsl #(\\n - 19)\n"
        ".endr\n"
        ".irp n, 8, 9, 10, 11, 12, 13, 14, 15\n"
        "    add x9, x2, #\\n\n    fmov x10, d\\n\n    cmp x9, x10\n"
        "    cset w10, ne\n    orr w0, w0, w10, lsl #(\\n + 8)\n"
        ".endr\n"
        "    ldp x19, x20, [sp, #16]\n    ldp x21, x22, [sp, #32]\n"
        "    ldp x23, x24, [sp, #48]\n    ldp x25, x26, [sp, #64]\n"
        "    ldp x27, x28, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n      ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n   ldp d14, d15, [sp, #144]\n"
        "    ldp x29, x30, [sp], #176\n"
        "    ret\n"
        ".size registers_over_switch, . - registers_over_switch\n");
#endif

#if defined(__x86_64__) || defined(__aarch64__)
static void registers_both_ways(struct co *co)
{
    for (long i = 0; i < co->n; i++) {
        san_leave(&co->san, &main_san, false);
        unsigned changed = registers_over_switch(&co->ctx, &main_ctx, 0x1111111100000000u + i);
        san_enter(&co->san);
        CHECK_INT(changed, 0);
    }
}

TEST(callee_saved_registers_survive_switches)
{
    san_thread(&main_san);
    struct co *co = co_new(registers_both_ways, 100);

    while (!co->ended) {
        san_leave(&main_san, &co->san, false);
        unsigned changed = registers_over_switch(&main_ctx, &co->ctx, 0xaaaaaaaa00000000u);
        san_enter(&main_san);
        CHECK_INT(changed, 0);
    }
    co_free(co);
}
#endif

static void count_in_floats(struct co *co)
{
    double x = (double)co->n, y = 1.0 / x;

    for (int i = 0; i < 100; i++) {
        co_pause(co);
        x += y;
        co->x = x * sqrt(x);
    }
}

TEST(floating_point_values_survive_switches)
{
    enum { N = 50 };
    struct co *co[N];

    san_thread(&main_san);
    for (int i = 0; i < N; i++)
        co[i] = co_new(count_in_floats, i + 1);
    for (int round = 0; round <= 100; round++)
        for (int i = 0; i < N; i++)
            co_resume(co[i]);
    for (int i = 0; i < N; i++) {
        double x = i + 1, y = 1.0 / x;
        for (int k = 0; k < 100; k++)
            x += y;
        CHECK(co[i]->x == x * sqrt(x));
        co_free(co[i]);
    }
}

static void stack_is_aligned(struct co *co)
{
    double _Alignas(16) v[2] = {1, 2};

    /* The compiler rounds nothing at 16: it trusts the alignment at the call. */
    CHECK_INT((uintptr_t)__builtin_frame_address(0) % 16, 0);
    CHECK_INT((uintptr_t)v % 16, 0);
    co->x = v[0] + v[1];
}

TEST(entry_gets_an_aligned_stack)
{
    san_thread(&main_san);
    struct co *co = co_new(stack_is_aligned, 0);

    co_resume(co);
    CHECK(co->x == 3);
    co_free(co);
}

TEST(many_contexts_keep_apart)
{
    enum { N = 1000 };
    static struct co *co[N];
    long alive = N, resumes = 0;

    san_thread(&main_san);
    for (int i = 0; i < N; i++)
        co[i] = co_new(ping, i % 17);
    while (alive) {
        alive = 0;
        for (int i = 0; i < N; i++) {
            if (co[i]->ended)
                continue;
            co_resume(co[i]);
            resumes++;
            alive += !co[i]->ended;
        }
    }
    long want = 0;
    for (int i = 0; i < N; i++) {
        want += i % 17 + 1;
        co_free(co[i]);
    }
    CHECK_INT(resumes, want);
}

/* Each level has locals of its own, a switch in the middle, and checks them afterwards. */
static long deep(struct co *co, long level)
{
    volatile long mine[8];

    for (int i = 0; i < 8; i++)
        mine[i] = level * 8 + i;
    co_pause(co);
    long below = level ? deep(co, level - 1) : 0;
    co_pause(co);
    for (int i = 0; i < 8; i++)
        CHECK_INT(mine[i], level * 8 + i);
    return below + 1;
}

static void deep_run(struct co *co)
{
    co->n = deep(co, co->n);
}

TEST(deep_frames_survive_switches)
{
    enum { N = 8, LEVELS = 200 };
    struct co *co[N];

    san_thread(&main_san);
    for (int i = 0; i < N; i++)
        co[i] = co_new(deep_run, LEVELS - 1);
    for (int round = 0; round <= 2 * LEVELS; round++)
        for (int i = 0; i < N; i++)
            co_resume(co[i]);
    for (int i = 0; i < N; i++) {
        CHECK_INT(co[i]->n, LEVELS);
        co_free(co[i]);
    }
}

/* A context may be resumed by another context, not only by the thread's own. */
static struct co *ring[3];

static void pass_on(struct co *co)
{
    struct co *next = ring[(co->n + 1) % 3];

    for (int i = 0; i < 1000; i++) {
        co->x += 1;
        san_leave(&co->san, &next->san, false);
        hob__ctx_switch(&co->ctx, &next->ctx, 0);
        san_enter(&co->san);
    }
}

TEST(contexts_switch_among_themselves)
{
    san_thread(&main_san);
    for (int i = 0; i < 3; i++)
        ring[i] = co_new(pass_on, i);
    for (int i = 0; i < 3; i++)
        co_resume(ring[i]);
    for (int i = 0; i < 3; i++) {
        CHECK(ring[i]->x == 1000);
        co_free(ring[i]);
    }
}

#ifdef HOB_CTX_CALLS
/* On the other's stack, and away from there to the thread's in between. */
static int called(void *arg)
{
    struct co *on = arg;

    san_enter(&on->san);
    on->x = 1;
    co_pause(on);
    on->x = 2;
    return 42;
}

static void calls(struct co *co)
{
    struct co *on = ring[1];

    san_leave(&co->san, &on->san, false);
    co->n = hob__ctx_call(&co->ctx, &on->ctx, called, on);
    san_leave(&on->san, &co->san, true);
    san_enter(&co->san);
}

TEST(a_call_on_another_stack_returns_whoever_ran_in_between)
{
    san_thread(&main_san);
    ring[0] = co_new(calls, 0);
    ring[1] = co_new(pass_on, 0); /* never begun: only its stack is wanted */
    co_resume(ring[0]);
    CHECK(ring[1]->x == 1 && ring[0]->n == 0 && !ring[0]->ended);
    co_resume(ring[1]);
    CHECK(ring[1]->x == 2 && ring[0]->n == 42 && ring[0]->ended);
    ring[1]->ended = true;
    co_free(ring[0]);
    co_free(ring[1]);
}
#endif

TEST(a_switch_returns_what_whoever_switches_back_gives)
{
    san_thread(&main_san);
    struct co *co = co_new(ping, 1);

    co_resume(co);
    san_leave(&main_san, &co->san, false);
    int n = hob__ctx_switch(&main_ctx, &co->ctx, 7);
    san_enter(&main_san);
    CHECK_INT(n, 1);
    CHECK(co->ended);
    CHECK_INT(co->given, 7);
    co_free(co);
}

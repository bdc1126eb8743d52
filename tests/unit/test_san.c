/* SPDX-License-Identifier: MIT
 *
 * test_san.c - the sanitizers see what happens on contexts: each plants a bug it must find
 *
 * A sanitizer that lost track of the stacks says nothing, which looks like a clean run.  Built
 * only with a sanitizer; each case exists only under the one it asks.
 */
#include "plat/san.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/t.h"
#include "plat/ctx.h"
#include "plat/stack.h"

/* A context on a stack of the cache; the thread's own resumes it. */
struct co {
    struct ctx ctx, home;
    struct san san, home_san;
    struct stacks stacks;
    void *lo;
    void (*run)(struct co *co);
    long *shared;
    int *local;
};

static void co_pause(struct co *co)
{
    san_leave(&co->san, &co->home_san, false);
    hob__ctx_switch(&co->ctx, &co->home, 0);
    san_enter(&co->san);
}

static void co_resume(struct co *co)
{
    san_leave(&co->home_san, &co->san, false);
    hob__ctx_switch(&co->home, &co->ctx, 0);
    san_enter(&co->home_san);
}

static void co_entry(void *arg)
{
    struct co *co = arg;

    san_enter(&co->san);
    co->run(co);
    san_leave(&co->san, &co->home_san, true);
    hob__ctx_switch(&co->ctx, &co->home, 0);
    abort();
}

static void co_start(struct co *co, void (*run)(struct co *co))
{
    size_t usable;

    *co = (struct co){.run = run, .shared = co->shared};
    hob__stacks_init(&co->stacks, 65536, STACK_GUARD_AUTO);
    CHECK((co->lo = hob__stack_take(&co->stacks)) != NULL);
    usable = hob__stack_usable(&co->stacks);
    san_thread(&co->home_san);
    san_new(&co->san, co->lo, usable);
    hob__ctx_make(&co->ctx, co->lo, usable, co_entry, co);
}

/* After the context ran to its end. */
static void co_end(struct co *co)
{
    san_free(&co->san);
    san_free(&co->home_san);
    hob__stack_give(&co->stacks, co->lo);
}

/* Runs `body` in a process; its exit status, and what it wrote to standard error. */
static int child(void (*body)(void), char *ret_text, size_t size)
{
    int fds[2], status;
    size_t len = 0;
    ssize_t n;

    CHECK(pipe(fds) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        close(fds[0]);
        dup2(fds[1], STDERR_FILENO);
        body();
        exit(0);
    }
    close(fds[1]);
    while (len < size - 1 && (n = read(fds[0], ret_text + len, size - 1 - len)) > 0)
        len += (size_t)n;
    ret_text[len] = '\0';
    while (n > 0) /* the rest of a long report */
        n = read(fds[0], (char[512]){0}, 512);
    close(fds[0]);
    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void must_report(void (*body)(void), const char *what)
{
    char text[16384];
    int status = child(body, text, sizeof text);

    if (status == 0 || !strstr(text, what))
        t_fail(__FILE__, __LINE__, "no report of \"%s\"; exit status %d, it said: %s", what, status,
               text);
}

static void must_be_clean(void (*body)(void))
{
    char text[16384];
    int status = child(body, text, sizeof text);

    if (status != 0 || text[0])
        t_fail(__FILE__, __LINE__, "exit status %d, it said: %s", status, text);
}

#ifdef HOB_ASAN

/* gcc's runtime is a shared library and looks for it there. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_stack_use_after_return=1:detect_leaks=1";
}

static __attribute__((noinline)) void leak(void)
{
    void *volatile p = malloc(77);

    __asm__ volatile("" : : "r"(p) : "memory");
    p = NULL;
}

/* What malloc and leak() left behind in registers and dead frames would hide the leak.  Not
 * instrumented: its frame would lie on the fake stack. */
static __attribute__((noinline, no_sanitize_address)) void scrub(void)
{
    volatile char frame[4096];

    for (size_t i = 0; i < sizeof frame; i++)
        frame[i] = 0;
    __asm__ volatile("" : : : "memory", "rbx", "r12", "r13", "r14", "r15");
}

static void leaking(struct co *co)
{
    leak();
    scrub();
    co_pause(co);
}

static void body_leak_parked(void)
{
    static struct co co;

    co_start(&co, leaking);
    co_resume(&co);
}

TEST(a_leak_made_on_a_context_is_reported)
{
    must_report(body_leak_parked, "LeakSanitizer: detected memory leaks");
}

static void holding(struct co *co)
{
    void *p = malloc(77);

    co_pause(co);
    free(p);
}

static void body_hold(void)
{
    static struct co co;

    co_start(&co, holding);
    co_resume(&co);
    scrub();
}

TEST(what_a_parked_context_holds_is_no_leak)
{
    must_be_clean(body_hold);
}

static void dropping(struct co *co)
{
    char *volatile p = malloc(77);

    p[0] = 1;
}

static void body_dead_stack_holds(void)
{
    static struct co co;

    co_start(&co, dropping);
    co_resume(&co);
    co_end(&co);
    scrub();
}

TEST(what_only_a_dead_stack_holds_is_a_leak)
{
    must_report(body_dead_stack_holds, "LeakSanitizer: detected memory leaks");
}

static void exiting(struct co *co)
{
    scrub();
    exit(0);
}

static void body_exit(void)
{
    static struct co co;
    void *p = malloc(77);

    co_start(&co, exiting);
    co_resume(&co);
    free(p);
}

TEST(what_the_threads_own_stack_holds_is_no_leak_at_exit_on_a_context)
{
    must_be_clean(body_exit);
}

static __attribute__((noinline)) int *give_local_away(void)
{
    int local = 5, *volatile p = &local;

    return p;
}

static void returning(struct co *co)
{
    co->local = give_local_away();
    co_pause(co);
    *co->local = 6;
}

static void body_use_after_return(void)
{
    static struct co co;

    co_start(&co, returning);
    co_resume(&co);
    co_resume(&co);
}

TEST(use_after_return_is_found_across_a_switch)
{
    must_report(body_use_after_return, "stack-use-after-return");
}

static void overrunning(struct co *co)
{
    char local[16];
    char *volatile p = local;

    co_pause(co);
    p[16] = 1;
}

static void body_overrun(void)
{
    static struct co co;

    co_start(&co, overrunning);
    co_resume(&co);
    co_resume(&co);
}

TEST(a_local_overrun_after_a_switch_is_found)
{
    must_report(body_overrun, "AddressSanitizer: stack-");
}

static void nothing(struct co *co)
{
}

static void body_dead_stack(void)
{
    static struct co co;

    co_start(&co, nothing);
    co_resume(&co);
    co_end(&co);
    ((volatile char *)co.lo)[4096] = 1;
}

TEST(a_touch_of_a_dead_fibers_stack_is_found)
{
    must_report(body_dead_stack, "use-after-poison");
}

static void body_reuse(void)
{
    static struct co co;

    for (int i = 0; i < 3; i++) {
        co_start(&co, nothing);
        for (int k = 0; k < 100; k++) {
            co_resume(&co);
            co_end(&co);
            CHECK(hob__stack_take(&co.stacks) == co.lo); /* frames that never returned lie there */
            memset(co.lo, 1, hob__stack_usable(&co.stacks));
            san_thread(&co.home_san);
            san_new(&co.san, co.lo, hob__stack_usable(&co.stacks));
            hob__ctx_make(&co.ctx, co.lo, hob__stack_usable(&co.stacks), co_entry, &co);
        }
        co_resume(&co);
        co_end(&co);
        hob__stacks_fini(&co.stacks);
    }
}

TEST(a_stack_used_again_is_clean)
{
    must_be_clean(body_reuse);
}

#endif

#ifdef HOB_TSAN

static void adding(struct co *co)
{
    for (int i = 0; i < 1000; i++) {
        ++*co->shared;
        if (i % 10 == 0)
            co_pause(co);
    }
}

static void *ping_pong(void *shared)
{
    struct co co = {.shared = shared};

    co_start(&co, adding);
    for (int i = 0; i <= 100; i++) {
        co_resume(&co);
        ++*co.shared;
    }
    co_end(&co);
    hob__stacks_fini(&co.stacks);
    return NULL;
}

static void body_one_thread(void)
{
    long shared = 0;

    ping_pong(&shared);
    CHECK_INT(shared, 1101);
}

TEST(contexts_of_one_thread_share_without_a_report)
{
    must_be_clean(body_one_thread);
}

static void body_threads_apart(void)
{
    pthread_t th[2];
    long mine[2] = {0, 0};

    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&th[i], NULL, ping_pong, &mine[i]) == 0);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(th[i], NULL) == 0);
}

TEST(contexts_of_two_threads_that_share_nothing_are_clean)
{
    must_be_clean(body_threads_apart);
}

static void body_race(void)
{
    pthread_t th[2];
    long shared = 0;

    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&th[i], NULL, ping_pong, &shared) == 0);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(th[i], NULL) == 0);
}

TEST(a_race_between_contexts_of_two_threads_is_reported)
{
    must_report(body_race, "ThreadSanitizer: data race");
    /* Who raced are the contexts, made by the threads; the threads were made by the main one. */
    must_report(body_race, "created by thread T");
}

#endif

/* SPDX-License-Identifier: MIT
 *
 * test_overflow.c - an overflow is named in one line, and every other fault is left alone
 */
#include "plat/overflow.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/t.h"
#include "plat/ctx.h"
#include "plat/san.h"
#include "plat/stack.h"

static struct stacks stacks;
static const char *fiber_name = "page 17";

static const char *describe(const void *addr, size_t *ret_bytes)
{
    void *lo;

    if (!hob__stack_guard_hit(&stacks, addr, &lo))
        return NULL;
    *ret_bytes = stacks.size;
    return fiber_name;
}

static __attribute__((noinline)) long recurse(long n)
{
    volatile char frame[512];

    frame[n % 512] = (char)n;
    return n < 0 ? 0 : recurse(n + 1) + frame[n % 512];
}

static void run_overflow(void *san)
{
    san_enter(san);
    _exit(recurse(0) == 1);
}

static void overflow_on_a_stack(void)
{
    struct ctx here, there;
    struct san here_san, there_san;

    void *lo = hob__stack_take(&stacks);
    CHECK(lo != NULL);
    san_thread(&here_san);
    san_new(&there_san, lo, hob__stack_usable(&stacks));
    hob__ctx_make(&there, lo, hob__stack_usable(&stacks), run_overflow, &there_san);
    san_leave(&here_san, &there_san, false);
    hob__ctx_switch(&here, &there, 0);
}

static void start(void)
{
    static struct overflow_thread t;

    hob__stacks_init(&stacks, 65536, STACK_GUARD_AUTO);
    CHECK_INT(hob__overflow_install(describe), 0);
    CHECK_INT(hob__overflow_thread_start(&t), 0);
}

struct body {
    void (*run)(void);
};

static int run_body(void *arg)
{
    ((const struct body *)arg)->run();
    return 0;
}

static int child(void (*body)(void), char *ret_text, size_t size)
{
    return t_child(run_body, &(struct body){body}, ret_text, size);
}

static void body_overflow(void)
{
    start();
    overflow_on_a_stack();
}

TEST(an_overflow_is_one_line_and_then_sigsegv)
{
    char text[4096], want[256];
    int status = child(body_overflow, text, sizeof text);

    snprintf(want, sizeof want,
             "hob: stack overflow: fiber page 17, stack of %d KiB; make it larger with "
             ".stack_size of HOB_OPTS\n",
#ifdef HOB_ASAN
             256
#else
             64
#endif
    );
    CHECK_STR(text, want);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void body_control_bytes(void)
{
    fiber_name =
        "a\nb\033[2J which is a name so long that it must not push the advice off the line "
        "however long it goes on and on and on and on and on and on and on and on and on";
    body_overflow();
}

TEST(a_fibers_name_cannot_break_the_line)
{
    char text[4096];

    child(body_control_bytes, text, sizeof text);
    CHECK(strstr(text, "fiber a?b?[2J") != NULL);
    CHECK(strchr(text, '\n') == text + strlen(text) - 1);
    CHECK(strstr(text, "make it larger") != NULL);
}

static void *thread_overflow(void *arg)
{
    struct overflow_thread t;

    CHECK_INT(hob__overflow_thread_start(&t), 0);
    overflow_on_a_stack();
    return arg;
}

static void body_thread(void)
{
    pthread_t th;

    start();
    CHECK(pthread_create(&th, NULL, thread_overflow, NULL) == 0);
    pthread_join(th, NULL);
}

TEST(an_overflow_on_another_thread_is_named_too)
{
    char text[4096];
    int status = child(body_thread, text, sizeof text);

    CHECK(strncmp(text, "hob: stack overflow: fiber page 17,", 35) == 0);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void body_other_fault(void)
{
    start();
    char *p = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *(volatile char *)p = 1;
}

TEST(another_fault_dies_in_silence)
{
    char text[4096];
    int status = child(body_other_fault, text, sizeof text);

    CHECK_STR(text, "");
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void body_sent(void)
{
    start();
    kill(getpid(), SIGSEGV);
    _exit(0);
}

TEST(a_signal_that_was_sent_kills_as_before)
{
    char text[4096];
    int status = child(body_sent, text, sizeof text);

    CHECK_STR(text, "");
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void *volatile faulted_at; /* written before the fault, read in its handler */

static void repair(int sig, siginfo_t *info, void *context)
{
    if (info->si_addr != faulted_at || mprotect(info->si_addr, 4096, PROT_READ | PROT_WRITE) != 0)
        _exit(7);
}

/* A program that lives with faults (a garbage collector's barrier) goes on living with them. */
static void body_previous(void)
{
    struct sigaction sa = {.sa_sigaction = repair, .sa_flags = SA_SIGINFO};

    CHECK(sigaction(SIGSEGV, &sa, NULL) == 0);
    start();
    CHECK_INT(hob__overflow_install(describe), 0); /* a second time: no handler of its own */
    for (int i = 0; i < 2; i++) {
        faulted_at = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        *(volatile char *)faulted_at = 1;
    }
    _exit(9);
}

TEST(the_previous_handler_still_gets_its_faults)
{
    char text[4096];
    int status = child(body_previous, text, sizeof text);

    CHECK_STR(text, "");
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 9);
}

static void report(int sig)
{
    _exit(write(STDERR_FILENO, "reporter\n", 9) == 9 ? 8 : 1);
}

static void body_reporter(void)
{
    struct sigaction sa = {.sa_handler = report};

    CHECK(sigaction(SIGSEGV, &sa, NULL) == 0);
    body_overflow();
}

TEST(the_programs_crash_reporter_runs_after_the_line)
{
    char text[4096];
    int status = child(body_reporter, text, sizeof text);

    CHECK(strncmp(text, "hob: stack overflow", 19) == 0);
    CHECK(strstr(text, "HOB_OPTS\nreporter\n") != NULL);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 8);
}

static void *thread_without(void *arg)
{
    struct overflow_thread t;
    stack_t off = {.ss_flags = SS_DISABLE}, was, ss;

    CHECK(sigaltstack(NULL, &was) == 0); /* a sanitizer's, perhaps: set aside */
    CHECK(sigaltstack(&off, NULL) == 0);
    CHECK_INT(hob__overflow_thread_start(&t), 0);
    CHECK(t.mapping != NULL);
    CHECK(sigaltstack(NULL, &ss) == 0 && !(ss.ss_flags & SS_DISABLE) && ss.ss_size >= 32768);
    hob__overflow_thread_stop(&t);
    CHECK(sigaltstack(NULL, &ss) == 0 && (ss.ss_flags & SS_DISABLE));

    static char mine[65536];
    stack_t own = {.ss_sp = mine, .ss_size = sizeof mine};
    CHECK(sigaltstack(&own, NULL) == 0);
    CHECK_INT(hob__overflow_thread_start(&t), 0);
    hob__overflow_thread_stop(&t);
    CHECK(sigaltstack(NULL, &ss) == 0 && ss.ss_sp == mine);
    CHECK(sigaltstack(&was, NULL) == 0);
    return arg;
}

TEST(a_thread_gets_an_alternate_stack_unless_it_has_one)
{
    pthread_t th;

    CHECK(pthread_create(&th, NULL, thread_without, NULL) == 0);
    CHECK(pthread_join(th, NULL) == 0);
}

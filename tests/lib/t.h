/* SPDX-License-Identifier: MIT
 *
 * t.h - the test runner: each case in a process of its own, TAP on standard output
 *
 * A test program is one file of TEST(name_of_a_behaviour) { ... } and links t.c, which has
 * main().  Each case forks; it fails on a failed CHECK, a signal, a non-zero exit, a time-out, or
 * a descriptor that is open at its end and was not at its start.
 *
 *     test_list                    all cases
 *     test_list splice             the cases whose name holds "splice"
 *     test_list --list             their names
 *     test_list --no-fork NAME     in this process, for a debugger
 *
 * HOB_TEST_EMULATOR=FILE: an emulator runs the program, and FILE says what it cannot do, so that
 * those cases are skipped: lines of a program, a pattern for its cases, and the reason.
 */
#ifndef T_H
#define T_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct t_case {
    const char *name;
    void (*run)(void);
    struct t_case *next;
};

void t_register(struct t_case *c);
__attribute__((noreturn, format(printf, 3, 4))) void t_fail(const char *file, int line,
                                                            const char *format, ...);
/* Ends the case as skipped; the reason is printed, and check-all counts it as not green. */
__attribute__((noreturn, format(printf, 1, 2))) void t_skip(const char *format, ...);
/* Seconds a case may take, to which what a sanitizer or a busy machine needs is added; 30 unless
 * set here, called first thing in a case. */
void t_timeout(unsigned seconds);
/*
 * Runs body(arg) in a process of its own, which leaves no core file and dies of the signals that a
 * program dies of; its exit status is what body returns.  Returns the wait status, and as much of
 * what it wrote to standard error as there is room for.
 */
int t_child(int (*body)(void *arg), void *arg, char *ret_said, size_t size);
/* How often to do a thing that is done over and over: `few` times in a case that is itself run for
 * each thing that may fail (t_fault.h), and where each time it does is another of those. */
int t_times(int all, int few);
/* Over how many seeds: all, or a fifth under HOB_TEST_FEWER, which is CI's where a sanitizer makes
 * each one slow. */
int t_seeds(int all);

#define TEST(case_name)                                                                            \
    static void t_run_##case_name(void);                                                           \
    __attribute__((constructor)) static void t_reg_##case_name(void)                               \
    {                                                                                              \
        static struct t_case c = {#case_name, t_run_##case_name, NULL};                            \
        t_register(&c);                                                                            \
    }                                                                                              \
    static void t_run_##case_name(void)

#define CHECK(cond) ((cond) ? (void)0 : t_fail(__FILE__, __LINE__, "%s", #cond))

#define CHECK_INT(got, want)                                                                       \
    do {                                                                                           \
        long long t_got = (long long)(got), t_want = (long long)(want);                            \
        if (t_got != t_want)                                                                       \
            t_fail(__FILE__, __LINE__, "%s is %lld, not %lld", #got, t_got, t_want);               \
    } while (0)

#define CHECK_STR(got, want)                                                                       \
    do {                                                                                           \
        const char *t_got = (got), *t_want = (want);                                               \
        if (!t_got || strcmp(t_got, t_want) != 0)                                                  \
            t_fail(__FILE__, __LINE__, "%s is \"%s\", not \"%s\"", #got, t_got ? t_got : "(null)", \
                   t_want);                                                                        \
    } while (0)

#endif

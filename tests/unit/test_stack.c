/* SPDX-License-Identifier: MIT
 *
 * test_stack.c - stacks are guarded, reused newest first, and given back to the kernel
 */
#include "plat/stack.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/t.h"
#include "plat/ctx.h"
#include "plat/san.h"

enum { SIZE = 65536, GUARD_INSTALL = 102 };

#if defined(HOB_ASAN) || defined(HOB_TSAN)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

static char *guard_of(void *lo)
{
    return (char *)((uintptr_t)lo & ~(uintptr_t)4095) - 4096;
}

static char *top_of(const struct stacks *s, void *lo)
{
    return (char *)lo + hob__stack_usable(s);
}

/* Whether the byte at `at` may be read: the kernel says so without a signal. */
static bool readable(const char *at)
{
    char c;
    struct iovec to = {&c, 1}, from = {(void *)(uintptr_t)at, 1};

    return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == 1;
}

static bool kernel_has_guards(void)
{
    struct stacks s;

    hob__stacks_init(&s, SIZE, STACK_GUARD_AUTO);
    hob__stacks_fini(&s);
    return s.guard == STACK_GUARD_MADVISE;
}

static unsigned long maps_count(void)
{
    unsigned long n = 0;
    FILE *f = fopen("/proc/self/maps", "re");
    int c;

    CHECK(f != NULL);
    while ((c = getc(f)) != EOF)
        n += c == '\n';
    fclose(f);
    return n;
}

static size_t resident_pages(void)
{
    size_t size, resident;
    FILE *f = fopen("/proc/self/statm", "re");

    CHECK(f != NULL);
    CHECK_INT(fscanf(f, "%zu %zu", &size, &resident), 2);
    fclose(f);
    return resident;
}

/* madvise(MADV_GUARD_INSTALL) is -EINVAL from here on, as on a kernel before 6.13. */
static void refuse_guard_install(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, GUARD_INSTALL, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {sizeof code / sizeof code[0], code};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) != 0)
        t_skip("no seccomp filter can be installed here: %s", strerror(errno));
    CHECK(madvise(NULL, 0, GUARD_INSTALL) == -1 && errno == EINVAL);
}

/* --- reuse ----------------------------------------------------------------------------------- */

TEST(most_recently_given_back_comes_first)
{
    struct stacks s;
    void *lo[5];

    hob__stacks_init(&s, SIZE, STACK_GUARD_AUTO);
    for (int i = 0; i < 5; i++)
        CHECK((lo[i] = hob__stack_take(&s)) != NULL);
    for (int i = 0; i < 5; i++)
        hob__stack_give(&s, lo[i]);
    for (int i = 4; i >= 0; i--)
        CHECK(hob__stack_take(&s) == lo[i]);
    for (int i = 0; i < 5; i++)
        hob__stack_give(&s, lo[i]);
    hob__stacks_fini(&s);
}

TEST(newest_first_holds_over_many)
{
    enum { N = 200 }; /* more than one magazine, fewer than are kept */
    struct stacks s;
    void *lo[N];

    hob__stacks_init(&s, SIZE, STACK_GUARD_AUTO);
    for (int i = 0; i < N; i++)
        CHECK((lo[i] = hob__stack_take(&s)) != NULL);
    for (int i = 0; i < N; i++)
        hob__stack_give(&s, lo[i]);
    for (int i = N - 1; i >= 0; i--)
        CHECK(hob__stack_take(&s) == lo[i]);
    for (int i = 0; i < N; i++)
        hob__stack_give(&s, lo[i]);
    hob__stacks_fini(&s);
}

TEST(a_stack_is_aligned_and_usable_to_both_ends)
{
    enum { N = 40 }; /* two slabs */
    struct stacks s;
    void *lo[N];

    hob__stacks_init(&s, SIZE, STACK_GUARD_AUTO);
    CHECK(hob__stack_usable(&s) >= SIZE - 8192);
    for (int i = 0; i < N; i++) {
        CHECK((lo[i] = hob__stack_take(&s)) != NULL);
        CHECK_INT((uintptr_t)lo[i] % 64, 0);
        CHECK_INT((uintptr_t)top_of(&s, lo[i]) % 64, 0);
        memset(lo[i], i + 1, hob__stack_usable(&s));
    }
    for (int i = 0; i < N; i++) {
        unsigned char *p = lo[i];
        for (size_t k = 0; k < hob__stack_usable(&s); k++)
            if (p[k] != i + 1)
                t_fail(__FILE__, __LINE__, "byte %zu of stack %d was overwritten", k, i);
        hob__stack_give(&s, lo[i]);
    }
    hob__stacks_fini(&s);
}

/* Takes and gives at random, in bursts; each live stack holds its number at both ends. */
TEST(no_stack_has_two_owners)
{
    enum { N = 3000, STEPS = 200000 };
    static void *live[N];
    struct stacks s;
    uint32_t n = 0, x = 12345;

    hob__stacks_init(&s, 16384, STACK_GUARD_AUTO);
    for (uint32_t step = 0; step < (SANITIZED ? STEPS / 10 : STEPS); step++) {
        x = x * 1664525 + 1013904223;
        bool grow = (step / 5000) % 2 == 0 ? x >> 24 < 200 : x >> 24 < 56;
        if (grow && n < N) {
            void *lo = hob__stack_take(&s);
            CHECK(lo != NULL);
            *(void **)lo = ((void **)top_of(&s, lo))[-1] = lo;
            live[n++] = lo;
        } else if (n > 0) {
            uint32_t k = (x >> 8) % n;
            void *lo = live[k];
            CHECK(*(void **)lo == lo && ((void **)top_of(&s, lo))[-1] == lo);
            *(void **)lo = ((void **)top_of(&s, lo))[-1] = NULL;
            live[k] = live[--n];
            hob__stack_give(&s, lo);
        }
        CHECK_INT(s.n_live, n);
    }
    while (n > 0)
        hob__stack_give(&s, live[--n]);
    hob__stacks_fini(&s);
}

/* --- memory ---------------------------------------------------------------------------------- */

/* As a loop does that has nothing else to do; returns how often. */
static int trim(struct stacks *s)
{
    int n = 0;

    for (; hob__stacks_spare(s); n++)
        hob__stacks_trim(s);
    return n;
}

TEST(memory_goes_back_after_a_burst_and_guards_stay)
{
    enum { N = 5000, KEPT = 256 + 64 };
    static void *lo[N];
    enum stack_guard guards[] = {STACK_GUARD_AUTO, STACK_GUARD_MPROTECT};

    for (int g = 0; g < 2; g++) {
        struct stacks s;
        hob__stacks_init(&s, SIZE, guards[g]);
        for (int i = 0; i < N; i++) {
            CHECK((lo[i] = hob__stack_take(&s)) != NULL);
            memset(top_of(&s, lo[i]) - 9000, 1, 9000); /* three pages each */
        }
        size_t full = resident_pages();
        for (int i = 0; i < N; i++)
            hob__stack_give(&s, lo[i]);
        CHECK(list_empty(&s.cold)); /* nobody waits for the kernel to take it */
        CHECK_INT(trim(&s), N / 64 - 256 / 64);
        if (!SANITIZED)
            CHECK(resident_pages() + 3 * (N - KEPT - 1024) < full);
        CHECK(s.n_slots < N / 2); /* whole slabs went, too */

        for (int i = 0; i < N; i++) { /* hot, cold and new ones: guarded all */
            CHECK((lo[i] = hob__stack_take(&s)) != NULL);
            CHECK(!readable(guard_of(lo[i])) && readable(guard_of(lo[i]) + 4096));
        }
        for (int i = N - 1; i >= 0; i--)
            hob__stack_give(&s, lo[i]);
        hob__stacks_fini(&s);
    }
}

TEST(a_load_that_swings_by_half_keeps_its_memory)
{
    enum { N = 4096 };
    static void *lo[N];
    struct stacks s;

    hob__stacks_init(&s, 16384, STACK_GUARD_AUTO);
    for (int i = 0; i < N; i++) {
        CHECK((lo[i] = hob__stack_take(&s)) != NULL);
        top_of(&s, lo[i])[-1] = 1;
    }
    for (int i = N / 2; i < N; i++)
        hob__stack_give(&s, lo[i]);
    CHECK_INT(trim(&s), 0);
    for (int i = N / 2; i < N; i++)
        CHECK((lo[i] = hob__stack_take(&s)) != NULL);
    for (int i = 0; i < N; i++)
        hob__stack_give(&s, lo[i]);
    CHECK(trim(&s) > 0 && s.n_slots < N);
    hob__stacks_fini(&s);
}

TEST(out_of_memory_is_null_and_passes)
{
    enum { MOST = 100000 };
    static void *lo[MOST];
    struct stacks s;
    struct rlimit was, small;
    int n = 0;

    if (SANITIZED)
        t_skip("a sanitizer's shadow does not fit under RLIMIT_AS");
    hob__stacks_init(&s, SIZE, STACK_GUARD_AUTO);
    CHECK(getrlimit(RLIMIT_AS, &was) == 0);
    small = was;
    small.rlim_cur = 256 << 20;
    CHECK(setrlimit(RLIMIT_AS, &small) == 0);
    while (n < MOST && (lo[n] = hob__stack_take(&s)) != NULL)
        n++;
    CHECK(n > 2000 && n < 4096); /* the slabs shrink with the room that is left */
    CHECK(hob__stack_take(&s) == NULL);
    hob__stack_give(&s, lo[n - 1]);
    CHECK(hob__stack_take(&s) == lo[n - 1]);
    CHECK(setrlimit(RLIMIT_AS, &was) == 0);
    void *more = hob__stack_take(&s);
    CHECK(more != NULL);
    hob__stack_give(&s, more);
    while (n > 0)
        hob__stack_give(&s, lo[--n]);
    hob__stacks_fini(&s);
}

/* --- guards ---------------------------------------------------------------------------------- */

static struct stacks crash_stacks;
static void *crash_lo;

static void on_segv(int sig, siginfo_t *info, void *uc)
{
    void *lo = NULL;

    if (!hob__stack_guard_hit(&crash_stacks, info->si_addr, &lo))
        _exit(3);
    _exit(lo == crash_lo ? 42 : 4);
}

/* Exit status of a process that runs `run` on the second stack of a fresh cache. */
static int crash_on_a_stack(enum stack_guard guard, void (*run)(void *))
{
    int status;
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid == 0) {
        static char alt[65536];
        stack_t ss = {.ss_sp = alt, .ss_size = sizeof alt};
        struct sigaction sa = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_ONSTACK};
        struct ctx here, there;
        struct san here_san, there_san;

        CHECK(sigaltstack(&ss, NULL) == 0 && sigaction(SIGSEGV, &sa, NULL) == 0);
        hob__stacks_init(&crash_stacks, SIZE, guard);
        CHECK(hob__stack_take(&crash_stacks) != NULL);
        CHECK((crash_lo = hob__stack_take(&crash_stacks)) != NULL);
        CHECK(hob__stack_take(&crash_stacks) != NULL);
        size_t usable = hob__stack_usable(&crash_stacks);
        san_thread(&here_san);
        san_new(&there_san, crash_lo, usable);
        hob__ctx_make(&there, crash_lo, usable, run, &there_san);
        san_leave(&here_san, &there_san, false);
        hob__ctx_switch(&here, &there, 0);
        _exit(5);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static __attribute__((noinline)) long recurse(long n)
{
    volatile char frame[512];

    frame[n % 512] = (char)n;
    return n < 0 ? 0 : recurse(n + 1) + frame[n % 512];
}

static void run_recursion(void *san)
{
    san_enter(san);
    _exit(recurse(0) == 1);
}

static __attribute__((noinline)) int large_frame(int k)
{
    volatile char frame[200 * 1024];

    __asm__ volatile("" : : "r"(frame) : "memory"); /* all of it must exist */
    frame[k] = 1;
    return frame[k];
}

/* Without probes page by page its one write would land far below the guard. */
static void run_large_frame(void *san)
{
    san_enter(san);
    _exit(large_frame(17));
}

TEST(recursion_hits_the_guard_and_names_the_stack)
{
    CHECK_INT(crash_on_a_stack(STACK_GUARD_AUTO, run_recursion), 42);
    CHECK_INT(crash_on_a_stack(STACK_GUARD_MPROTECT, run_recursion), 42);
}

TEST(a_frame_larger_than_the_stack_hits_the_guard)
{
#ifdef HOB_ASAN
    t_skip("AddressSanitizer lays out large frames itself");
#endif
    CHECK_INT(crash_on_a_stack(STACK_GUARD_AUTO, run_large_frame), 42);
    CHECK_INT(crash_on_a_stack(STACK_GUARD_MPROTECT, run_large_frame), 42);
}

TEST(guard_hit_is_only_the_guard)
{
    struct stacks s;
    void *lo, *hit = NULL;
    char other;

    hob__stacks_init(&s, SIZE, STACK_GUARD_AUTO);
    CHECK(!hob__stack_guard_hit(&s, &other, &hit));
    CHECK((lo = hob__stack_take(&s)) != NULL);
    CHECK(!hob__stack_guard_hit(&s, lo, &hit));
    CHECK(!hob__stack_guard_hit(&s, top_of(&s, lo) - 1, &hit));
    CHECK(!hob__stack_guard_hit(&s, guard_of(lo) - 1, &hit));
    CHECK(hit == NULL);
    CHECK(hob__stack_guard_hit(&s, guard_of(lo), &hit) && hit == lo);
    hit = NULL;
    CHECK(hob__stack_guard_hit(&s, guard_of(lo) + 4095, &hit) && hit == lo);
    hob__stack_give(&s, lo);
    hob__stacks_fini(&s);
}

TEST(a_hundred_thousand_guards_cost_no_mappings)
{
    enum { MANY = 100000, FEWER = 10000 }; /* LSan looks each root up among all others */
    static void *lo[MANY];
    struct stacks s;
    int n = SANITIZED ? FEWER : MANY;

    if (!kernel_has_guards())
        t_skip("this kernel has no MADV_GUARD_INSTALL (Linux 6.13)");
    t_timeout(60);
    hob__stacks_init(&s, SIZE, STACK_GUARD_MADVISE);
    unsigned long before = maps_count();
    for (int i = 0; i < n; i++)
        CHECK((lo[i] = hob__stack_take(&s)) != NULL);
    for (int i = 0; i < n; i++)
        CHECK(!readable(guard_of(lo[i])));
    CHECK_INT(s.n_unguarded, 0);
    if (!SANITIZED)
        CHECK(maps_count() < before + 300);
    for (int i = 0; i < n; i++)
        hob__stack_give(&s, lo[i]);
    hob__stacks_fini(&s);
}

TEST(mprotect_guards_stop_at_a_limit_and_then_guard_slabs)
{
    enum { N = 40000, LIMIT = 16000 };
    static void *lo[N];
    struct stacks s;
    int n_guarded = 0;

    if (SANITIZED)
        t_skip("a sanitizer's own mappings leave no room for 16,000 guards");
    hob__stacks_init(&s, 16384, STACK_GUARD_MPROTECT);
    for (int i = 0; i < N; i++)
        CHECK((lo[i] = hob__stack_take(&s)) != NULL);
    for (int i = 0; i < N; i++) {
        bool guarded = !readable(guard_of(lo[i]));
        n_guarded += guarded;
        CHECK(guarded || i >= LIMIT);
    }
    CHECK_INT(s.n_unguarded, N - n_guarded);
    CHECK(n_guarded > LIMIT && n_guarded < LIMIT + 64); /* the rest: one a slab */
    CHECK(maps_count() < 2 * LIMIT + 300);
    for (int i = 0; i < N; i++)
        hob__stack_give(&s, lo[i]);
    CHECK(trim(&s) > 0 && s.n_slots < N / 10);
    hob__stacks_fini(&s);
    CHECK_INT(s.n_unguarded, 0);

    hob__stacks_init(&s, 16384, STACK_GUARD_MPROTECT); /* the guards came back, too */
    CHECK((lo[0] = hob__stack_take(&s)) && (lo[1] = hob__stack_take(&s)));
    CHECK_INT(s.n_unguarded, 0);
    CHECK(!readable(guard_of(lo[1])));
    hob__stack_give(&s, lo[0]);
    hob__stack_give(&s, lo[1]);
    hob__stacks_fini(&s);
}

TEST(mprotect_takes_over_where_madvise_refuses)
{
    enum { N = 50 };
    void *lo[N];
    struct stacks s;

    refuse_guard_install();
    CHECK(!kernel_has_guards()); /* AUTO sees it */
    hob__stacks_init(&s, SIZE, STACK_GUARD_MADVISE);
    for (int i = 0; i < N; i++) {
        CHECK((lo[i] = hob__stack_take(&s)) != NULL);
        CHECK(!readable(guard_of(lo[i])) && readable(guard_of(lo[i]) + 4096));
    }
    CHECK_INT(s.n_unguarded, 0);
    CHECK_INT(crash_on_a_stack(STACK_GUARD_AUTO, run_recursion), 42);
    CHECK_INT(crash_on_a_stack(STACK_GUARD_MADVISE, run_recursion), 42);
    for (int i = 0; i < N; i++)
        hob__stack_give(&s, lo[i]);
    hob__stacks_fini(&s);
}

/* SPDX-License-Identifier: MIT
 *
 * test_torture_memory.c - every allocation of a program fails once, and then all after it
 *
 * The linker puts this file between the program and malloc, calloc, realloc, mmap and
 * pthread_create.  A scene runs with its n-th call failing, for n = 1, 2, ... until it makes fewer;
 * then again with all calls from the n-th on.  Each run must end, with 0 or a code that says why,
 * its books right, and nothing left behind.
 */
#include "torture_ends.h"
#include "torture_io.h"
#include "torture_scenes.h"

#include <ares.h>
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>

#include "lib/t_leak.h"
#include "net/dns.h"

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__real_mmap64(void *at, size_t size, int prot, int flags, int fd, off_t off);
void *__wrap_mmap64(void *at, size_t size, int prot, int flags, int fd, off_t off);
int __real_pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg);

static _Atomic(int) calls, fail_at; /* 0: none fails */
static bool for_good;
static char now_running[128];

static bool fails(void)
{
    int n = ++calls;

    return fail_at && (for_good ? n >= fail_at : n == fail_at);
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

void *__wrap_mmap64(void *at, size_t size, int prot, int flags, int fd, off_t off)
{
    errno = ENOMEM;
    return fails() ? MAP_FAILED : __real_mmap64(at, size, prot, flags, fd, off);
}

int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
    return fails() ? EAGAIN : __real_pthread_create(id, attr, fn, arg);
}

static void too_slow(int sig)
{
    (void)sig;
    (void)!write(STDERR_FILENO, now_running, strlen(now_running));
    _exit(1);
}

static int open_fds(void)
{
    int n = 0, failing = fail_at;
    DIR *d;

    fail_at = 0;
    CHECK((d = opendir("/proc/self/fd")));
    while (readdir(d))
        n++;
    closedir(d);
    fail_at = failing;
    return n;
}

static bool says_why(int r)
{
    return r == 0 || r == -ENOMEM || r == -EAGAIN;
}

struct run {
    hob_fn scene;
    bool ran;
};

static int run_scene(void *arg)
{
    struct run *run = arg;

    run->ran = true;
    return run->scene(NULL);
}

/* Where a sanitizer does not mark all of it each time, a stack is so large that each is a mapping
 * of its own, and so one more thing that fails. */
static int run_one(hob_fn scene)
{
    struct run run = {.scene = scene};
#ifdef __SANITIZE_ADDRESS__
    int r = hob_run(NULL, run_scene, &run);
#else
    int r = hob_run(HOB_OPTS(.stack_size = 64 << 20), run_scene, &run);
#endif

    return r == 0 && !run.ran ? -EPROTO : r;
}

static void torture(const char *name, hob_fn scene, const char *poll, const char *loops,
                    const char *sim)
{
    setenv("HOB_POLL", poll, 1);
    setenv("HOB_LOOPS", loops, 1);
    setenv("HOB_SIM", sim, 1);
    fail_at = 0;
    int r = run_one(scene), fds = open_fds();
    if (!*sim && (r == -ENOSYS || r == -EPERM))
        return; /* no io_uring here: test_poll says so */
    CHECK_INT(r, 0);
    for (int n = 1;; n++) {
        snprintf(now_running, sizeof now_running,
                 "%s, failing %s %d: HOB_POLL=%s HOB_LOOPS=%s HOB_SIM=%s\n", name,
                 for_good ? "from" : "at", n, poll, loops, sim);
        calls = 0;
        fail_at = n;
        t_timeout(20);
        r = run_one(scene);
        bool reached = calls >= n;
        fail_at = 0;
        if (!says_why(r))
            t_fail(__FILE__, __LINE__, "%d: %s", r, now_running);
        if (open_fds() != fds || __lsan_do_recoverable_leak_check())
            t_fail(__FILE__, __LINE__, "left something: %s", now_running);
        if (!reached)
            break;
    }
}

static void torture_all(const char *name, hob_fn scene, bool simulable)
{
    static const char *const polls[] = {"epoll", "uring"}, *const loops[] = {"1", "2"};

    signal(SIGALRM, too_slow);
    for (int k = 0; k < 2; k++) {
        for_good = k;
        for (int i = 0; i < 4; i++)
            torture(name, scene, polls[i / 2], loops[i % 2], "");
        for (int seed = 0; simulable && seed < t_seeds(10); seed++) {
            char text[16];
            snprintf(text, sizeof text, "%d", seed);
            torture(name, scene, "", seed % 2 ? "3" : "1", text);
        }
    }
}

TEST(groups_without_memory)
{
    torture_all("groups", scene_groups, true);
}

TEST(ends_without_memory)
{
    torture_all("ends", scene_ends, true);
}

TEST(circle_without_memory)
{
    torture_all("circle", scene_circle, true);
}

TEST(channels_without_memory)
{
    torture_all("channels", scene_channels, true);
}

TEST(selects_without_memory)
{
    torture_all("selects", scene_selects, true);
}

TEST(locks_without_memory)
{
    torture_all("locks", scene_locks, true);
}

TEST(bridges_without_memory)
{
    torture_all("bridges", scene_bridges, true);
}

TEST(flow_without_memory)
{
    torture_all("flow", scene_flow, true);
}

TEST(processes_without_memory)
{
    torture_all("processes", scene_processes, false);
}

static void fake_lookup(const char *name, struct dns_answer *ret)
{
    (void)name;
    ret->rc = hob_addr_parse("127.0.0.1", 0, &ret->addr[0]);
    ret->n = 1;
}

TEST(network_without_memory)
{
    hob__dns_lookup = fake_lookup;
    torture_all("network", scene_network, false);
    while (hob__dns_running() > 0)
        sched_yield();
}

/* c-ares's memory fails once too; for good it would only repeat each question to its end. */
static void *ares_malloc_here(size_t size)
{
    return for_good ? __real_malloc(size) : __wrap_malloc(size);
}

static void *ares_realloc_here(void *old, size_t size)
{
    return for_good ? __real_realloc(old, size) : __wrap_realloc(old, size);
}

TEST(names_without_memory)
{
    struct dns_server server;

    CHECK_INT(ares_library_init_mem(ARES_LIB_INIT_ALL, ares_malloc_here, free, ares_realloc_here),
              0);
    setenv("CARES_HOSTS", "/dev/null", 1);
    setenv("RES_OPTIONS", "retrans:100 retry:5", 1); /* what could not be sent is sent again soon */
    dns_server_start(&server, torture_zone);
    torture_all("names", scene_names, false);
    dns_server_stop(&server);
}

TEST(io_without_memory)
{
    torture_all("io", scene_io, false);
}

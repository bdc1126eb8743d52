/* SPDX-License-Identifier: MIT
 *
 * test_life.c - fork and pthread_exit among running loops
 */
#include <hob/hob.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/t.h"
#include "plat/san.h"

static char said[4096]; /* by the child, on standard error */

static void no_core(void)
{
    struct rlimit none = {0, 0};

    setrlimit(RLIMIT_CORE, &none);
}

/* Reads what a child says, to its end; its wait status. */
static int status_of(pid_t pid, int fd)
{
    size_t n = 0;
    int status;
    ssize_t k;

    while (n < sizeof said - 1 && (k = read(fd, said + n, sizeof said - 1 - n)) > 0)
        n += (size_t)k;
    said[n] = '\0';
    close(fd);
    CHECK(waitpid(pid, &status, 0) == pid);
    return status;
}

/* fork() with the child's standard error in a pipe: 0 in the child. */
static pid_t fork_heard(int *ret_fd)
{
    int fds[2];

    fflush(NULL);
    CHECK(pipe(fds) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        no_core();
        dup2(fds[1], STDERR_FILENO);
    }
    close(fds[1]);
    *ret_fd = fds[0];
    return pid;
}

static unsigned n_ran;

static int other(void *arg)
{
    for (int i = 0; i < 10; i++)
        if (hob_yield() < 0)
            return -EIO;
    n_ran++;
    return 0;
}

/* Runs `child` in a forked child among other fibers, which then run in the parent alone. */
static int forks(void *child)
{
    int (*fn)(void) = (int (*)(void))(uintptr_t)child;
    hob_group g;
    int r = hob_group_open(&g, NULL), fd;

    for (int i = 0; i < 3 && r == 0; i++)
        r = hob_go(&g, other, NULL);
    if (r == 0)
        r = hob_yield();
    pid_t pid = fork_heard(&fd);
    if (pid == 0)
        return fn();
    int status = status_of(pid, fd);
    r = hob_group_join(&g, r);
    CHECK_INT(r, 0);
    CHECK_INT(n_ran, 3);
    return status;
}

static int run(unsigned loops, int (*child)(void))
{
    return hob_run(HOB_OPTS(.loops = loops), forks, (void *)(uintptr_t)child);
}

static int child_exits(void)
{
    _exit(3);
}

TEST(a_child_may_exit)
{
    int status = run(1, child_exits);

    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    CHECK_STR(said, "");
}

static int child_execs(void)
{
    execl("/bin/sh", "sh", "-c", "exit 4", (char *)NULL);
    _exit(1);
}

TEST(a_child_may_exec)
{
    int status = run(3, child_execs);

    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 4);
}

/* A fiber that forks, and in the child just goes on, with others ready. */
static int forks_and_goes_on(void *arg)
{
    int fd;
    pid_t pid = fork_heard(&fd);

    if (pid == 0)
        return 0;
    *(int *)arg = status_of(pid, fd);
    return 0;
}

static int one_goes_on(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, NULL);

    if (r == 0)
        r = hob_go(&g, forks_and_goes_on, arg);
    for (int i = 0; i < 3 && r == 0; i++)
        r = hob_go(&g, other, NULL);
    return hob_group_join(&g, r);
}

TEST(a_child_whose_fiber_ends_aborts)
{
    for (unsigned loops = 1; loops <= 2; loops++) {
        int status = 0;

        n_ran = 0;
        CHECK_INT(hob_run(HOB_OPTS(.loops = loops), one_goes_on, &status), 0);
        CHECK_INT(n_ran, 3);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
        CHECK(strncmp(said, "hob: the child of a fork() let its fiber go on: ", 48) == 0);
    }
}

static int child_asks(void)
{
    /* It is a plain thread now. */
    _exit(!hob_on_fiber() && hob_loop_index() == -1 && hob_sleep(1) == 0 ? 5 : 1);
}

TEST(a_child_is_off_the_loops)
{
    int status = run(1, child_asks);

    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5);
}

static hob_event event;

static int child_reaches_for_a_loop(void)
{
    _exit(hob_event_set(&event) == -EPERM ? 6 : 1);
}

static int child_yields(void)
{
    _exit(hob_yield() == -EPERM ? 6 : 1);
}

static int child_checks(void)
{
    _exit(hob_check() == -EPERM ? 6 : 1);
}

static int child_opens(void)
{
    hob_group g;

    _exit(hob_group_open(&g, NULL) == -EPERM ? 6 : 1);
}

static int child_opens_otherwise(void)
{
    hob_group g;

    _exit(hob_group_open(&g, HOB_GROUP_OPTS(.max_live = 3)) == -EPERM ? 6 : 1);
}

static int child_goes(void)
{
    hob_group g = {{NULL}};

    _exit(hob_go(&g, other, NULL) == -EPERM ? 6 : 1);
}

static int child_defers(void)
{
    _exit(hob_defer(other, NULL) == -EPERM ? 6 : 1);
}

static int child_makes_a_channel(void)
{
    hob_chan *ch;

    _exit(hob_chan_new(4, NULL, &ch) == -EPERM ? 6 : 1);
}

static int child_makes_a_lock(void)
{
    hob_mutex m;

    _exit(hob_mutex_init(&m, NULL) == -EPERM ? 6 : 1);
}

static int child_selects(void)
{
    struct hob_arm arm = HOB_ON_TIME(0);

    _exit(hob_select(&arm, 1, 0) == -EPERM ? 6 : 1);
}

static int child_runs(void)
{
    _exit(hob_run(NULL, other, NULL) == -EPERM ? 6 : 1);
}

static int has_event(void *child)
{
    CHECK_INT(hob_event_init(&event, NULL), 0);
    return forks(child);
}

/* A mistake: debug builds abort. */
static void check_mistake(int status)
{
#ifdef NDEBUG
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 6);
#else
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK(strstr(said, "misuse: the child of a fork"));
#endif
}

TEST(a_child_has_no_loops_to_ask)
{
    static int (*const calls[])(void) = {
        child_yields, child_checks,          child_opens,        child_opens_otherwise, child_goes,
        child_defers, child_makes_a_channel, child_makes_a_lock, child_selects,         child_runs,
    };

    check_mistake(hob_run(NULL, has_event, (void *)(uintptr_t)child_reaches_for_a_loop));
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        n_ran = 0;
        check_mistake(run(1, calls[i]));
    }
}

static int ends_thread(void *arg)
{
    if (hob_loop_index() < *(int *)arg)
        return 0;
    pthread_exit(NULL);
}

static int ends_a_thread(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true));

    while (r == 0) /* until the loop meant has taken one */
        if ((r = hob_go(&g, ends_thread, arg)) == 0)
            r = hob_sleep(HOB_MS);
    return hob_group_join(&g, r);
}

/* Loop 0 by itself: the runtime lies in the frames that its end takes away from other loops. */
TEST(the_end_of_a_loops_thread_aborts)
{
#ifdef HOB_TSAN
    t_skip("ThreadSanitizer does not unwind out of a fiber");
#endif
    for (int index = 0; index < 2; index++) {
        int fd;
        pid_t pid = fork_heard(&fd);

        if (pid == 0) {
            signal(SIGABRT, SIG_DFL);
            _exit(hob_run(HOB_OPTS(.loops = 1 + (unsigned)index), ends_a_thread, &index) == 0);
        }
        int status = status_of(pid, fd);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT ||
            !strstr(said, "hob: a loop's thread ended under its fibers"))
            t_fail(__FILE__, __LINE__, "loop %d: status %x, said \"%s\"", index, (unsigned)status,
                   said);
    }
}

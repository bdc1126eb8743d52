/* SPDX-License-Identifier: MIT */
#include <hob/hob.h>

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/t.h"
#include "net_util.h"

/* The body as a fiber, with 1 loop and as the second of two, and on a plain thread. */
static int on_second(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true, .max_live = 1));

    for (unsigned i = 0; i < 4 && r == 0; i++)
        r = hob_go(&g, *(hob_fn *)arg, NULL);
    return hob_group_join(&g, r);
}

static void everywhere(hob_fn body)
{
    on_pollers(body, NULL, 0);
    setenv("HOB_LOOPS", "2", 1);
    on_pollers(on_second, &body, 0);
    unsetenv("HOB_LOOPS");
    CHECK_INT(body(NULL), 0);
}

static hob_signals *set_of(int sig)
{
    hob_signals *s;

    CHECK_INT(hob_signals_open(&sig, 1, &s), 0);
    return s;
}

static int tells_who(void *arg)
{
    struct hob_signal_info i = {.signal = 99};
    union sigval v = {.sival_int = 77};
    hob_signals *s = set_of(SIGRTMIN);

    (void)arg;
    CHECK_INT(hob_signals_wait(s, 0, &i), -ETIMEDOUT);
    CHECK_INT(hob_signals_wait(s, hob_in(HOB_MS), &i), -ETIMEDOUT);
    CHECK_INT(i.signal, 99);
    CHECK_INT(sigqueue(getpid(), SIGRTMIN, v), 0);
    v.sival_int = 78;
    CHECK_INT(sigqueue(getpid(), SIGRTMIN, v), 0);
    CHECK_INT(hob_signals_wait(s, HOB_FOREVER, &i), 0);
    CHECK_INT(i.signal, SIGRTMIN);
    CHECK_INT(i.pid, getpid());
    CHECK_INT(i.uid, getuid());
    CHECK_INT(i.code, SI_QUEUE);
    CHECK_INT(i.value, 77);
    CHECK_INT(hob_signals_wait(s, 0, &i), 0);
    CHECK_INT(i.value, 78);
    hob_signals_close(s);
    return 0;
}

TEST(a_wait_tells_which_signal_came_and_whose)
{
    everywhere(tells_who);
}

static int is_owned(void *arg)
{
    static const int pair[] = {SIGUSR2, SIGUSR1};
    hob_signals *s = set_of(SIGUSR1), *other = (hob_signals *)1;

    (void)arg;
    CHECK_INT(hob_signals_open(pair, 2, &other), -EBUSY);
    CHECK(other == (hob_signals *)1);
    other = set_of(SIGUSR2); /* the failed one has not kept it */
    hob_signals_close(s);
    hob_signals_close(other);
    hob_signals_close(NULL);
    CHECK_INT(hob_signals_open(pair, 2, &s), 0);
    hob_signals_close(s);
    return 0;
}

TEST(a_signal_has_one_owner)
{
    everywhere(is_owned);
}

static int is_refused(void *arg)
{
    static const int bad[] = {0, -1, 65, 1000, SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, 32, 33};
    hob_signals *s = (hob_signals *)1;

    (void)arg;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_INT(hob_signals_open(&bad[i], 1, &s), -EINVAL);
    CHECK_INT(hob_signals_open(bad, 0, &s), -EINVAL);
    CHECK(s == (hob_signals *)1);
    return 0;
}

TEST(what_cannot_be_waited_for_is_refused)
{
    everywhere(is_refused);
}

/* --- several waiters, several loops ----------------------------------------------------------- */

enum { WAITERS = 5 };

static _Atomic(int) n_told, n_waiting;

static int waits_for_one(void *arg)
{
    n_waiting++;
    int r = hob_signals_wait(arg, HOB_FOREVER, NULL);
    n_told += r == 0;
    return r;
}

/* Each of as many as there are waiters is told to one: real-time signals do not coalesce. */
static int many_wait(void *arg)
{
    hob_signals *s = set_of(SIGRTMIN + 1);
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true));

    (void)arg;
    n_told = n_waiting = 0;
    for (int i = 0; i < WAITERS && r == 0; i++)
        r = hob_go(&g, waits_for_one, s);
    while (r == 0 && n_waiting < WAITERS)
        r = hob_yield();
    for (int i = 0; i < WAITERS; i++)
        CHECK_INT(kill(getpid(), SIGRTMIN + 1), 0);
    CHECK_INT(hob_group_join(&g, r), 0);
    CHECK_INT(n_told, WAITERS);
    CHECK_INT(hob_signals_wait(s, 0, NULL), -ETIMEDOUT);
    hob_signals_close(s);
    return 0;
}

TEST(each_signal_is_told_to_one_of_those_who_wait)
{
    on_pollers(many_wait, NULL, 0);
    setenv("HOB_LOOPS", "3", 1);
    on_pollers(many_wait, NULL, 0);
}

static int cancelled_takes_none(void *arg)
{
    hob_signals *s = set_of(SIGUSR1);
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true));

    (void)arg;
    n_told = n_waiting = 0;
    for (int i = 0; i < 2 && r == 0; i++)
        r = hob_go(&g, waits_for_one, s);
    while (r == 0 && n_waiting < 2)
        r = hob_yield();
    hob_group_cancel(&g, -ESTALE);
    CHECK_INT(hob_group_join(&g, r), -ESTALE);
    CHECK_INT(kill(getpid(), SIGUSR1), 0);
    CHECK_INT(hob_signals_wait(s, HOB_FOREVER, NULL), 0);
    hob_signals_close(s);
    return 0;
}

TEST(a_cancelled_wait_takes_no_signal)
{
    on_pollers(cancelled_takes_none, NULL, 0);
    setenv("HOB_LOOPS", "2", 1);
    on_pollers(cancelled_takes_none, NULL, 0);
}

/* --- masks and what is left pending ----------------------------------------------------------- */

static bool is_blocked(int sig)
{
    sigset_t now;

    pthread_sigmask(SIG_SETMASK, NULL, &now);
    return sigismember(&now, sig) == 1;
}

TEST(closing_restores_the_mask_as_it_was)
{
    sigset_t usr2;

    sigemptyset(&usr2);
    sigaddset(&usr2, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &usr2, NULL);
    for (int i = 0; i < 2; i++) {
        static const int both[] = {SIGUSR1, SIGUSR2};
        hob_signals *s;
        CHECK_INT(hob_signals_open(both, 2, &s), 0);
        CHECK(is_blocked(SIGUSR1));
        hob_signals_close(s);
        CHECK(!is_blocked(SIGUSR1));
        CHECK(is_blocked(SIGUSR2));
    }
}

static int waits_in_runtime(void *arg)
{
    hob_signals **s = arg;

    CHECK_INT(kill(getpid(), SIGTERM), 0);
    CHECK_INT(hob_signals_wait(*s, HOB_FOREVER, NULL), 0);
    hob_signals_close(*s); /* taken on this loop's thread, before it was a loop */
    return 0;
}

TEST(a_set_opened_before_the_runtime_works_in_it)
{
    hob_signals *s = set_of(SIGTERM);

    CHECK_INT(hob_run(HOB_OPTS(.loops = 2, .stop_on_signals = true), waits_in_runtime, &s), 0);
    CHECK(!is_blocked(SIGTERM));
}

static _Atomic(int) n_handled;

static void on_signal(int sig)
{
    (void)sig;
    n_handled++;
}

static int leaves_one(void *arg)
{
    hob_signals *s = set_of(SIGUSR1);
    int before = n_handled;

    (void)arg;
    CHECK_INT(kill(getpid(), SIGUSR1), 0);
    CHECK_INT(n_handled, before);
    hob_signals_close(s);
    /* From another loop it is handled on the first one's thread, which has it by now. */
    CHECK_INT(n_handled, before + 1);
    return 0;
}

TEST(a_signal_told_to_nobody_is_given_back_with_the_set)
{
    signal(SIGUSR1, on_signal);
    everywhere(leaves_one);
}

/* --- Ctrl-C turned orderly -------------------------------------------------------------------- */

static int until_ctrl_c(void *set)
{
    int r = hob_signals_wait(set, HOB_FOREVER, NULL);

    return r < 0 ? r : -EINTR;
}

enum { WORKERS = 3 };

struct hours {
    int fd, n_begun, n_cleaned;
};

static int works_for_hours(void *arg)
{
    struct hours *h = arg;
    int r = ++h->n_begun == WORKERS && write(h->fd, "x", 1) != 1 ? -EIO : hob_sleep(3600 * HOB_SEC);

    h->n_cleaned++;
    return r;
}

static int orderly(void *arg)
{
    hob_signals *s = set_of(SIGINT);
    hob_group g;
    struct hours h = {.fd = *(int *)arg};
    int r = hob_group_open(&g, NULL);

    if (r == 0)
        r = hob_go(&g, until_ctrl_c, s);
    for (int i = 0; i < WORKERS && r == 0; i++)
        r = hob_go(&g, works_for_hours, &h);
    r = hob_group_join(&g, r);
    hob_signals_close(s);
    if (r != -EINTR || h.n_cleaned != WORKERS)
        return -EPROTO;
    (void)!write(*(int *)arg, "y", 1);
    return hob_sleep(3600 * HOB_SEC); /* the second Ctrl-C is the default's */
}

TEST(ctrl_c_ends_a_group_in_order_and_the_program_the_second_time)
{
    int fd[2], status;
    char c;

    CHECK_INT(pipe(fd), 0);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGINT, SIG_DFL); /* a shell's background jobs ignore it */
        _exit(hob_run(NULL, orderly, &fd[1]) == 0 ? 0 : 1);
    }
    close(fd[1]);
    CHECK_INT(read(fd[0], &c, 1), 1);
    CHECK_INT(kill(pid, SIGINT), 0);
    CHECK_INT(read(fd[0], &c, 1), 1);
    CHECK_INT(c, 'y');
    CHECK_INT(kill(pid, SIGINT), 0);
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
    close(fd[0]);
}

static int opens_simulated(void *arg)
{
    int sig = SIGUSR1;
    hob_signals *s;

    (void)arg;
    return hob_signals_open(&sig, 1, &s);
}

TEST(the_simulator_has_no_signals)
{
    setenv("HOB_SIM", "1", 1);
    CHECK_INT(hob_run(NULL, opens_simulated, NULL), -EOPNOTSUPP);
}

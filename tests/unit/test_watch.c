/* SPDX-License-Identifier: MIT
 *
 * test_watch.c - a held loop is named with its fiber and the place, and a signal dumps
 */
#include "sync/watch.h"

#include <hob/hob.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/t.h"

#define LIMIT (20 * HOB_MS)

/* Reports, one after the other; taken on the watch's thread. */
static struct {
    pthread_mutex_t lock;
    char text[1 << 18];
    size_t n;
    atomic_uint n_held, n_dumps, n_went_on;
} said = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int gate[2]; /* a pipe: who reads it holds its loop until a report was made */

static void keep(void *arg, const char *text, size_t n)
{
    bool held = strstr(text, " held for ");

    CHECK(arg == &said);
    pthread_mutex_lock(&said.lock);
    CHECK(said.n + n < sizeof said.text);
    memcpy(said.text + said.n, text, n + 1);
    said.n += n;
    pthread_mutex_unlock(&said.lock);
    atomic_fetch_add(&said.n_held, held);
    atomic_fetch_add(&said.n_went_on, strstr(text, " went on after ") != NULL);
    atomic_fetch_add(&said.n_dumps, strstr(text, "hob: ") == text && strstr(text, "\nloop 0: "));
    if (held)
        CHECK(write(gate[1], "x", 1) == 1);
}

static bool says(const char *what)
{
    pthread_mutex_lock(&said.lock);
    bool found = strstr(said.text, what);
    pthread_mutex_unlock(&said.lock);
    return found;
}

static void expect(const char *what)
{
    if (!says(what))
        t_fail(__FILE__, __LINE__, "not said: \"%s\" in\n%s", what, said.text);
}

static int times_said(const char *what)
{
    int n = 0;

    pthread_mutex_lock(&said.lock);
    for (const char *at = said.text; (at = strstr(at, what)); at++)
        n++;
    pthread_mutex_unlock(&said.lock);
    return n;
}

static struct hob_opts opts(void)
{
    CHECK(pipe(gate) == 0);
    return *HOB_OPTS(.loops = 1, .report = keep, .report_arg = &said, .watchdog = LIMIT);
}

static void done(void)
{
    close(gate[0]);
    close(gate[1]);
}

/* The usual mistake: a call that blocks, on a fiber.  In poll, for TSan delivers signals there. */
static int blocks(void)
{
    struct pollfd p = {.fd = gate[0], .events = POLLIN};
    char byte;

    while (poll(&p, 1, -1) < 0 && errno == EINTR)
        continue;
    return read(gate[0], &byte, 1) == 1 ? 0 : -EIO;
}

static int reads_plainly(void *arg)
{
    hob_fiber_name("clumsy");
    return blocks();
}

static int starts_clumsy(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.name = "batch"));

    if (r == 0)
        r = hob_go(&g, arg ? (hob_fn)(uintptr_t)arg : reads_plainly, NULL);
    return hob_group_join(&g, r);
}

/* Turns go by until the watch has seen that they do. */
static int until_seen_going_on(void *arg)
{
    int r = starts_clumsy(arg);

    while (r == 0 && atomic_load(&said.n_went_on) == 0)
        r = hob_sleep(HOB_MS);
    return r;
}

TEST(a_fiber_that_blocks_its_loop_is_named)
{
    struct hob_opts o = opts();

    CHECK_INT(hob_run(&o, until_seen_going_on, NULL), 0);
    expect("hob: loop 0 held for ");
    expect(" by fiber clumsy; group main/batch; runs test_watch+0x");
    expect(", started at test_watch+0x");
    expect("hob: loop 0 went on after ");
    CHECK_INT(times_said(" by fiber clumsy;"), 1); /* a starved loop may be told besides */
    done();
}

TEST(the_place_is_told)
{
    struct hob_opts o = opts();
    char *at, *end;

    CHECK_INT(hob_run(&o, until_seen_going_on, NULL), 0);
    at = strstr(said.text, "\n    at ");
    CHECK(at);
    CHECK((end = strstr(at + 1, "\n    at "))); /* poll(), then who called it */
    CHECK(strstr(at, "    at test_watch+0x"));
    done();
}

static int computes(void *arg)
{
    hob_fiber_name("busy");
    while (atomic_load(&said.n_held) == 0)
        sched_yield(); /* and so not only a call that blocks; TSan delivers signals at calls */
    return 0;
}

TEST(a_fiber_that_computes_is_named)
{
    struct hob_opts o = opts();

    CHECK_INT(hob_run(&o, until_seen_going_on, (void *)(uintptr_t)computes), 0);
    expect(" by fiber busy; group main/batch;");
    done();
}

static atomic_uint n_runs;

static int far_blocker(void *arg)
{
    if (hob_loop_index() == 0 || atomic_fetch_add(&n_runs, 1) > 0)
        return 0;
    hob_fiber_name("far");
    return blocks();
}

static int blocks_elsewhere(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.name = "away", .spread = true));

    while (r == 0 && atomic_load(&n_runs) == 0)
        if ((r = hob_go(&g, far_blocker, NULL)) == 0)
            r = hob_sleep(HOB_MS);
    return hob_group_join(&g, r);
}

/* Holds its loop for a while, as often as it takes until the third report. */
static int holds_again(void *arg)
{
    hob_time until = hob_now() + 3 * LIMIT;

    while (hob_now() < until && atomic_load(&said.n_held) < 3)
        sched_yield();
    return 0;
}

static int holds_often(void *arg)
{
    int r = 0;

    while (r == 0 && atomic_load(&said.n_held) < 3)
        r = starts_clumsy((void *)(uintptr_t)holds_again);
    return r;
}

TEST(the_same_place_is_told_less_and_less_often)
{
    struct hob_opts o = opts();

    t_timeout(120);
    CHECK_INT(hob_run(&o, holds_often, NULL), 0);
    expect("; time number 2\n");
    expect("; time number 4\n");
    CHECK(!says("time number 3"));
    done();
}

TEST(any_loop_is_watched)
{
    struct hob_opts o = opts();

    o.loops = 3;
    CHECK_INT(hob_run(&o, blocks_elsewhere, NULL), 0);
    expect(" by fiber far; group main/away;");
    const char *line = strstr(said.text, " by fiber far;");
    while (line > said.text && line[-1] != '\n')
        line--;
    CHECK(strncmp(line, "hob: loop ", 10) == 0 && line[10] != '0');
    done();
}

TEST(the_environment_asks_for_it_too)
{
    struct hob_opts o = opts();

    o.watchdog = 0;
    setenv("HOB_WATCHDOG", "20", 1);
    CHECK_INT(hob_run(&o, starts_clumsy, NULL), 0);
    expect("hob: loop 0 held for ");
    done();
}

static int ends_at_once(void *arg)
{
    return 0;
}

TEST(what_is_not_understood_is_einval)
{
    setenv("HOB_WATCHDOG", "soon", 1);
    CHECK_INT(hob_run(NULL, ends_at_once, NULL), -EINVAL);
    unsetenv("HOB_WATCHDOG");
    setenv("HOB_DUMP", "SIGNOSUCH", 1);
    CHECK_INT(hob_run(NULL, ends_at_once, NULL), -EINVAL);
    setenv("HOB_DUMP", "SIGKILL", 1);
    CHECK_INT(hob_run(NULL, ends_at_once, NULL), -EINVAL);
    unsetenv("HOB_DUMP");
    CHECK_INT(hob_run(HOB_OPTS(.watchdog = -1), ends_at_once, NULL), -EINVAL);
}

static void other_use(int sig)
{
    (void)sig;
}

TEST(a_program_that_uses_the_signal_itself_keeps_it)
{
    struct hob_opts o = opts();
    struct sigaction sa = {.sa_handler = other_use}, now;

    CHECK(sigaction(SIGURG, &sa, NULL) == 0);
    CHECK_INT(hob_run(&o, starts_clumsy, NULL), 0);
    CHECK(sigaction(SIGURG, NULL, &now) == 0 && now.sa_handler == other_use);
    expect(" is not asked: the program uses SIGURG itself\n");
    done();
}

/* Holds its loop, whose thread takes no signal, until loop 0 was named. */
static int deaf(void *arg)
{
    sigset_t urg;

    if (hob_loop_index() == 0 || atomic_fetch_add(&n_runs, 1) > 0)
        return 0;
    sigemptyset(&urg);
    sigaddset(&urg, SIGURG);
    pthread_sigmask(SIG_BLOCK, &urg, NULL);
    while (!says(" by fiber second;"))
        sched_yield();
    pthread_sigmask(SIG_UNBLOCK, &urg, NULL);
    return 0;
}

static int holds_beside(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.name = "away", .spread = true));

    while (r == 0 && atomic_load(&n_runs) == 0)
        if ((r = hob_go(&g, deaf, NULL)) == 0)
            r = hob_sleep(HOB_MS);
    while (r == 0 && !says("takes no signal"))
        r = hob_sleep(HOB_MS);
    hob_fiber_name("second");
    while (r == 0 && !says(" by fiber second;"))
        sched_yield();
    return hob_group_join(&g, r);
}

TEST(a_loop_that_takes_no_signal_keeps_no_other_from_being_named)
{
    struct hob_opts o = opts();

    o.loops = 2;
    CHECK_INT(hob_run(&o, holds_beside, NULL), 0);
    expect("hob: loop 1 held for ");
    done();
}

/* --- dumps -------------------------------------------------------------------------------------
 */

static int sends(void *arg)
{
    int sig = *(int *)arg, r = 0;

    for (unsigned i = 1; i <= 3 && r == 0; i++) {
        CHECK(kill(getpid(), sig) == 0);
        while (r == 0 && atomic_load(&said.n_dumps) < i)
            r = hob_sleep(HOB_MS);
    }
    return r;
}

static int run_dumped(unsigned loops, int by_opts, const char *by_env, int sig)
{
    setenv("HOB_DUMP", by_env, 1);
    return hob_run(
        HOB_OPTS(.loops = loops, .report = keep, .report_arg = &said, .dump_signal = by_opts),
        sends, &sig);
}

TEST(a_signal_dumps_each_time_it_comes)
{
    struct sigaction now;

    CHECK_INT(run_dumped(1, SIGUSR1, "", SIGUSR1), 0);
    expect(" main: ");
    CHECK(sigaction(SIGUSR1, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
}

TEST(a_signal_named_in_the_environment_dumps_every_loop)
{
    CHECK_INT(run_dumped(3, 0, "SIGUSR2", SIGUSR2), 0);
    expect("\nloop 2: thread ");
}

static int dumps_while_held(void *arg)
{
    CHECK(kill(getpid(), SIGUSR1) == 0);
    while (atomic_load(&said.n_dumps) == 0 && !says(", no answer: "))
        sched_yield();
    return 0;
}

TEST(a_dump_is_made_although_the_loop_is_held)
{
    CHECK_INT(
        hob_run(HOB_OPTS(.report = keep, .report_arg = &said, .dump_signal = SIGUSR1, .loops = 1),
                dumps_while_held, NULL),
        0);
    expect("hob: 0 fibers on 1 loop");
    expect("loop 0: thread ");
}

TEST(names_of_signals)
{
    CHECK_INT(hob__watch_signal("SIGUSR1"), SIGUSR1);
    CHECK_INT(hob__watch_signal("usr2"), SIGUSR2);
    CHECK_INT(hob__watch_signal("10"), 10);
    CHECK_INT(hob__watch_signal("0"), 0);
    CHECK_INT(hob__watch_signal("10x"), 0);
    CHECK_INT(hob__watch_signal("9"), 0);
    CHECK_INT(hob__watch_signal("KILL"), 0);
    CHECK_INT(hob__watch_signal("STOP"), 0);
    CHECK_INT(hob__watch_signal("999"), 0);
}

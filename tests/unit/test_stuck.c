/* SPDX-License-Identifier: MIT
 *
 * test_stuck.c - a program that can never go on is told so, and only such a one
 */
#include "sched/stuck.h"

#include <hob/hob.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/t.h"
#include "plat/threads.h"
#include "sched/rt.h"

static char said[1 << 16];
static unsigned n_said;

static void keep(void *arg, const char *text, size_t n)
{
    CHECK(arg == said && n < sizeof said && strlen(text) == n);
    memcpy(said, text, n + 1);
    n_said++;
}

static void *ends_at_once(void *arg)
{
    *(int *)arg = gettid();
    return NULL;
}

/* What else this process has (a sanitizer's threads, the last of them with our first one) counts
 * as hob's, so that it is as a program by itself. */
static void adopt_threads(void)
{
    char path[64];
    pthread_t th;
    int tid;

    CHECK(pthread_create(&th, NULL, ends_at_once, &tid) == 0);
    CHECK(pthread_join(th, NULL) == 0);
    snprintf(path, sizeof path, "/proc/self/task/%d", tid);
    while (access(path, F_OK) == 0)
        sched_yield();
    atomic_fetch_add(&hob__threads_own, (int)hob__threads_foreign() - 1);
}

static int run(unsigned loops, hob_fn fn)
{
    adopt_threads();
    return hob_run(HOB_OPTS(.loops = loops, .report = keep, .report_arg = said), fn, NULL);
}

static bool line_has(const char *name, const char *what)
{
    const char *at = strstr(said, name), *end = at ? strchr(at, '\n') : NULL;
    const char *found = at ? strstr(at, what) : NULL;

    return found && found < end;
}

static struct {
    hob_chan *there, *back;
} w;

static int forth(void *arg)
{
    int v;

    hob_fiber_name("forth");
    return hob_chan_recv(w.there, HOB_FOREVER, &v);
}

static int ends_well(void *arg)
{
    return 0;
}

/* Both wait for the other to send first.  The others of the group have ended, on any loop. */
static int each_waits_for_the_other(void *arg)
{
    hob_group g;
    int v, r;

    CHECK_INT(hob_chan_new(sizeof(int), HOB_CHAN_OPTS(.name = "there"), &w.there), 0);
    CHECK_INT(hob_chan_new(sizeof(int), HOB_CHAN_OPTS(.name = "back"), &w.back), 0);
    CHECK_INT(hob_group_open(&g, HOB_GROUP_OPTS(.name = "pair", .spread = true)), 0);
    for (int i = 0; i < 20; i++)
        CHECK_INT(hob_go(&g, ends_well, NULL), 0);
    CHECK_INT(hob_go(&g, forth, NULL), 0);
    r = hob_group_join(&g, hob_chan_recv(w.back, HOB_FOREVER, &v));
    hob_chan_free(w.there);
    hob_chan_free(w.back);
    return r;
}

static void check_report(void)
{
    CHECK_INT(n_said, 1);
    CHECK(strncmp(said, "hob: deadlock: nothing can run any more", 39) == 0);
    CHECK(line_has(" main: ", "waiting for a value from a channel (back) for "));
    CHECK(line_has(" forth: ", "; group main/pair; "));
    CHECK(line_has(" forth: ", ": waiting for a value from a channel (there) for "));
}

TEST(a_deadlock_is_reported_and_ends_the_run)
{
    CHECK_INT(run(1, each_waits_for_the_other), -EDEADLK);
    check_report();
}

TEST(a_deadlock_over_several_loops_is_found)
{
    CHECK_INT(run(3, each_waits_for_the_other), -EDEADLK);
    check_report();
    CHECK(strstr(said, "\nloop 2: thread "));
}

TEST(a_simulated_deadlock_is_the_same)
{
    setenv("HOB_SIM", "7", 1);
    CHECK_INT(run(2, each_waits_for_the_other), -EDEADLK);
    check_report();
}

static int locks_crosswise_second(void *arg)
{
    hob_mutex *m = arg;
    int r = hob_mutex_lock(&m[1], HOB_FOREVER);

    if (r == 0 && (r = hob_yield()) == 0 && (r = hob_mutex_lock(&m[0], HOB_FOREVER)) == 0)
        hob_mutex_unlock(&m[0]);
    hob_mutex_unlock(&m[1]);
    return r;
}

static int locks_crosswise(void *arg)
{
    static hob_mutex m[2];
    hob_group g;
    int r;

    CHECK_INT(hob_mutex_init(&m[0], "first"), 0);
    CHECK_INT(hob_mutex_init(&m[1], "second"), 0);
    CHECK_INT(hob_mutex_lock(&m[0], HOB_FOREVER), 0);
    CHECK_INT(hob_group_open(&g, NULL), 0);
    CHECK_INT(hob_go(&g, locks_crosswise_second, m), 0);
    CHECK_INT(hob_yield(), 0);
    r = hob_mutex_lock(&m[1], HOB_FOREVER);
    hob_mutex_unlock(&m[0]);
    return hob_group_join(&g, r);
}

TEST(two_mutexes_locked_crosswise_are_a_deadlock)
{
    CHECK_INT(run(1, locks_crosswise), -EDEADLK);
    CHECK(line_has(" main: ", "waiting for a mutex (second, held by (no name) 0x"));
    CHECK(line_has(" (no name): ", "waiting for a mutex (first, held by main 0x"));
}

static struct {
    hob_mutex mutex;
    hob_rwlock rw;
    hob_sem sem;
    hob_event event;
    hob_chan *chan;
    _Atomic(unsigned) n_there;
} far;

/* Its opener holds the other loop until it is here. */
static void arrive(void)
{
    CHECK_INT(hob_loop_index(), 1);
    far.n_there++;
}

static int far_mutex(void *arg)
{
    hob_fiber_name("far mutex");
    arrive();
    return hob_mutex_lock(&far.mutex, HOB_FOREVER);
}

static int far_rwlock(void *arg)
{
    hob_fiber_name("far rwlock");
    arrive();
    return hob_rwlock_read(&far.rw, HOB_FOREVER);
}

static int far_sem(void *arg)
{
    hob_fiber_name("far sem");
    arrive();
    return hob_sem_acquire(&far.sem, 1, HOB_FOREVER);
}

static int far_event(void *arg)
{
    hob_fiber_name("far event");
    arrive();
    return hob_event_wait(&far.event, HOB_FOREVER);
}

static int far_recv(void *arg)
{
    int v;

    hob_fiber_name("far recv");
    arrive();
    return hob_chan_recv(far.chan, HOB_FOREVER, &v);
}

static int far_send(void *arg)
{
    struct {
        hob_chan *full;
        int v;
    } *own = arg;

    hob_fiber_name("far send");
    arrive();
    return hob_chan_send(own->full, &own->v, HOB_FOREVER);
}

/* Six fibers on loop 1 wait for what this one, on loop 0, keeps. */
static int all_wait_far_away(void *arg)
{
    static hob_fn const fns[] = {far_mutex, far_rwlock, far_sem, far_event, far_recv, far_send};
    struct {
        hob_chan *full;
        int v;
    } full = {.v = 1};
    hob_group g;
    int r;

    hob_fiber_name("keeper");
    CHECK_INT(hob_mutex_init(&far.mutex, "ledger"), 0);
    CHECK_INT(hob_rwlock_init(&far.rw, "table"), 0);
    CHECK_INT(hob_sem_init(&far.sem, 0, "places"), 0);
    CHECK_INT(hob_event_init(&far.event, "bell"), 0);
    CHECK_INT(hob_chan_new(sizeof(int), HOB_CHAN_OPTS(.name = "orders"), &far.chan), 0);
    CHECK_INT(hob_chan_new(sizeof(int),
                           HOB_CHAN_OPTS(.name = "a name of more than thirty characters"),
                           &full.full),
              0);
    CHECK_INT(hob_mutex_lock(&far.mutex, 0), 0);
    CHECK_INT(hob_rwlock_write(&far.rw, 0), 0);
    CHECK_INT(hob_group_open(&g, HOB_GROUP_OPTS(.spread = true)), 0);
    for (size_t i = 0; i < sizeof fns / sizeof fns[0]; i++) {
        CHECK_INT(hob_go(&g, fns[i], &full), 0);
        while (far.n_there <= i)
            sched_yield();
    }
    r = hob_group_join(&g, 0);
    CHECK_INT(hob_mutex_unlock(&far.mutex), 0);
    CHECK_INT(hob_rwlock_unlock(&far.rw), 0);
    hob_chan_free(far.chan);
    hob_chan_free(full.full);
    return r;
}

TEST(what_fibers_of_other_loops_wait_for_is_said)
{
    CHECK_INT(run(2, all_wait_far_away), -EDEADLK);
    CHECK(line_has(" far mutex: ", "waiting for a mutex (ledger, held by keeper 0x"));
    CHECK(line_has(" far rwlock: ", "waiting for a read-write lock (table, held by keeper 0x"));
    CHECK(line_has(" far sem: ", "waiting for a semaphore (places) for "));
    CHECK(line_has(" far event: ", "waiting for an event (bell) for "));
    CHECK(line_has(" far recv: ", "waiting for a value from a channel (orders) for "));
    CHECK(line_has(" far send: ", "waiting for room in a channel (a name of more than thirty c"));
    CHECK(!strstr(said, "another loop"));
}

#ifdef NDEBUG
static int locks_and_goes(void *arg)
{
    return hob_mutex_lock(arg, HOB_FOREVER);
}

static int waits_for_the_dead(void *arg)
{
    static hob_mutex m;
    hob_group g;

    CHECK_INT(hob_mutex_init(&m, "orphan"), 0);
    CHECK_INT(hob_group_open(&g, NULL), 0);
    CHECK_INT(hob_go(&g, locks_and_goes, &m), 0);
    CHECK_INT(hob_group_join(&g, 0), 0);
    return hob_mutex_lock(&m, HOB_FOREVER);
}

TEST(a_lock_whose_holder_has_ended_is_said_to_be_such)
{
    CHECK_INT(run(1, waits_for_the_dead), -EDEADLK);
    CHECK(line_has(" main: ", "waiting for a mutex (orphan, held by a fiber that has ended) for "));
}
#endif

static int takes_it_well(void *arg)
{
    hob_event e;

    CHECK_INT(hob_event_init(&e, NULL), 0);
    CHECK_INT(hob_event_wait(&e, HOB_FOREVER), -ECANCELED);
    return 3;
}

TEST(what_the_first_fiber_made_of_it_is_returned)
{
    CHECK_INT(run(1, takes_it_well), 3);
    CHECK_INT(n_said, 1);
}

/* --- what is none ------------------------------------------------------------------------------
 */

static hob_event event;
static struct loop *_Atomic watched;

static int waits_for_a_thread(void *arg)
{
    CHECK_INT(hob_event_init(&event, NULL), 0);
    atomic_store(&watched, hob__loop);
    return hob_event_wait(&event, HOB_FOREVER);
}

/* Sets the event only after the loop, asleep, has looked about it three times. */
static void *sets_it_late(void *arg)
{
    struct loop *l;

    while (!(l = atomic_load(&watched)))
        sched_yield();
    uint64_t from = __atomic_load_n(&l->n_rounds, __ATOMIC_RELAXED);
    while (__atomic_load_n(&l->n_rounds, __ATOMIC_RELAXED) < from + 3)
        sched_yield();
    CHECK_INT(hob_event_set(&event), 0);
    return arg;
}

TEST(a_thread_of_the_programs_own_may_go_on)
{
    pthread_t th;

    CHECK(pthread_create(&th, NULL, sets_it_late, NULL) == 0);
    CHECK_INT(hob_run(HOB_OPTS(.report = keep), waits_for_a_thread, NULL), 0);
    CHECK(pthread_join(th, NULL) == 0);
    CHECK_INT(n_said, 0);
}

static int looks_itself(void *arg)
{
    hob_time now = hob_now(), until = hob__stuck_sleep(hob__loop, now);

    CHECK((until == HOB_FOREVER) == (arg != NULL));
    return 0;
}

TEST(it_is_not_looked_for_where_something_else_goes_on)
{
    CHECK_INT(hob_run(NULL, looks_itself, NULL), 0);
    CHECK_INT(hob_run(HOB_OPTS(.no_deadlock = true), looks_itself, said), 0);
    CHECK_INT(hob_run(HOB_OPTS(.stop_on_signals = true), looks_itself, said), 0);
}

static int waits_for_bytes(void *arg)
{
    return hob_fd_wait(*(int *)arg, EPOLLIN, HOB_FOREVER) == -ECANCELED ? 0 : -EIO;
}

static int waits_for_either(void *arg)
{
    hob_event never;
    struct hob_arm arms[] = {HOB_ON_EVENT(&never), HOB_ON_READY(*(int *)arg, EPOLLIN)};

    CHECK_INT(hob_event_init(&never, "never"), 0);
    return hob_select(arms, 2, HOB_FOREVER) == -ECANCELED ? 0 : -EIO;
}

static int waits_for_signal(void *arg)
{
    hob_signals *s;
    int r;

    CHECK_INT(hob_signals_open((int[]){SIGUSR2}, 1, &s), 0);
    r = hob_signals_wait(s, HOB_FOREVER, NULL);
    hob_signals_close(s);
    return r == -ECANCELED ? 0 : -EIO;
}

static int blocks(void *arg)
{
    char byte;

    return read(*(int *)arg, &byte, 1) == 1 ? 0 : -EIO;
}

static int calls(void *arg)
{
    return hob_block(blocks, arg, HOB_FOREVER);
}

static void check_is_outside(hob_fn fn, int *fd)
{
    hob_group g;

    CHECK_INT(hob_group_open(&g, NULL), 0);
    CHECK_INT(hob_go(&g, fn, fd), 0);
    CHECK_INT(hob_yield(), 0);
    CHECK_INT(hob__loop->n_outside, 1);
    CHECK_INT(hob__stuck_sleep(hob__loop, HOB_FOREVER - 1), HOB_FOREVER);
    hob_group_cancel(&g, 0);
    CHECK_INT(hob_group_join(&g, 0), 0);
    CHECK_INT(hob__loop->n_outside, 0);
}

static int waits_outside(void *arg)
{
    hob_group g;
    int fds[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    check_is_outside(waits_for_bytes, &fds[0]);
    check_is_outside(waits_for_either, &fds[0]);
    check_is_outside(waits_for_signal, NULL);

    CHECK_INT(hob_group_open(&g, NULL), 0);
    CHECK_INT(hob_go(&g, calls, &fds[0]), 0);
    CHECK_INT(hob_yield(), 0);
    CHECK_INT(hob__loop->n_outside, 1);
    CHECK(write(fds[1], "x", 1) == 1);
    CHECK_INT(hob_group_join(&g, 0), 0);
    CHECK_INT(hob__loop->n_outside, 0);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

TEST(who_waits_for_the_kernel_or_a_call_is_not_stuck)
{
    CHECK_INT(run(1, waits_outside), 0);
    CHECK_INT(n_said, 0);
}

/* The other loops come and go between messages: never still, never stuck. */
static int passes_on(void *arg)
{
    int v = 0, r = 0;

    for (int i = 0; i < 300 && r == 0; i++)
        if ((r = hob_chan_recv(w.there, HOB_FOREVER, &v)) == 0)
            r = hob_chan_send(w.back, &v, HOB_FOREVER);
    return r;
}

static int plays(void *arg)
{
    hob_group g;
    int r, v = 1;

    CHECK_INT(hob_chan_new(sizeof(int), NULL, &w.there), 0);
    CHECK_INT(hob_chan_new(sizeof(int), NULL, &w.back), 0);
    CHECK_INT(hob_group_open(&g, HOB_GROUP_OPTS(.spread = true)), 0);
    r = hob_go(&g, passes_on, NULL);
    for (int i = 0; i < 300 && r == 0; i++) {
        hob__loop->rt->stuck.pause = 1; /* looks at each sleep */
        hob__loop->rt->stuck.at = 0;
        if (hob__loop->index == 0)
            hob__loop->rt->stuck.seen = hob__loop->n_active + 1;
        if ((r = hob_chan_send(w.there, &v, HOB_FOREVER)) == 0)
            r = hob_chan_recv(w.back, HOB_FOREVER, &v);
    }
    r = hob_group_join(&g, r);
    hob_chan_free(w.there);
    hob_chan_free(w.back);
    return r;
}

TEST(a_message_between_loops_is_no_deadlock)
{
    for (int i = 0; i < 20; i++)
        CHECK_INT(run(3, plays), 0);
    CHECK_INT(n_said, 0);
}

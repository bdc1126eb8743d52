/* SPDX-License-Identifier: MIT
 *
 * test_dump.c - a dump names every fiber of every loop, whatever they do meanwhile
 */
#include <hob/hob.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/t.h"

static char seen[1 << 20];
static size_t n_seen;

static void keep(void *arg, const char *text, size_t n)
{
    (void)arg;
    CHECK(n + 1 < sizeof seen);
    memcpy(seen, text, n + 1);
    n_seen = n;
}

static void look(void)
{
    CHECK_INT(hob_dump_to(keep, NULL), 0);
    CHECK_INT(strlen(seen), n_seen);
}

/* The line of the fiber of that name; NULL: none. */
static const char *line_of(const char *name)
{
    static char line[1024];
    char key[128];

    snprintf(key, sizeof key, " %s: ", name);
    for (char *p = seen, *end; (end = strchr(p, '\n')); p = end + 1) {
        *end = '\0';
        bool here = strstr(p, key);
        snprintf(line, sizeof line, "%.1000s", p);
        *end = '\n';
        if (here)
            return line;
    }
    return NULL;
}

static void expect(const char *name, const char *part)
{
    const char *line = line_of(name);

    if (!line || !strstr(line, part))
        t_fail(__FILE__, __LINE__, "\"%s\" is not said of %s in\n%s", part, name, seen);
}

/* Lets everything else run until it waits: what goes ahead of others may need a turn more. */
static void settle(void)
{
    for (int i = 0; i < 20; i++)
        CHECK_INT(hob_sleep(200 * HOB_US), 0);
}

/* --- one loop ----------------------------------------------------------------------------------
 */

static struct {
    hob_chan *pages;
    hob_mutex mutex;
    hob_sem sem;
    hob_event event;
    int fds[2];
} w;

static int at_chan(void *arg)
{
    int v;

    hob_fiber_name("reader");
    return hob_chan_recv(w.pages, HOB_FOREVER, &v) == -ECANCELED ? 0 : -EIO;
}

static int at_mutex(void *arg)
{
    hob_fiber_name("locker");
    return hob_mutex_lock(&w.mutex, HOB_FOREVER) == -ECANCELED ? 0 : -EIO;
}

static int at_sem(void *arg)
{
    hob_fiber_name("taker");
    return hob_sem_acquire(&w.sem, 2, HOB_FOREVER) == -ECANCELED ? 0 : -EIO;
}

static int at_event(void *arg)
{
    hob_fiber_name("guest");
    return hob_event_wait(&w.event, HOB_FOREVER) == -ECANCELED ? 0 : -EIO;
}

static int at_fd(void *arg)
{
    hob_fiber_name("poller");
    return hob_fd_wait(w.fds[0], EPOLLIN, HOB_FOREVER) == -ECANCELED ? 0 : -EIO;
}

static int at_several(void *arg)
{
    int v;
    struct hob_arm arms[] = {HOB_ON_RECV(w.pages, &v), HOB_ON_EVENT(&w.event)};

    hob_fiber_name("chooser");
    return hob_select(arms, 2, HOB_FOREVER) == -ECANCELED ? 0 : -EIO;
}

static int at_next(void *arg)
{
    struct hob_done done;
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.name = "ends", .collect = true));

    hob_fiber_name("heir");
    if (r == 0 && (r = hob_go(&g, at_event, NULL)) == 0)
        r = hob_group_next(&g, HOB_FOREVER, &done);
    CHECK_INT(r, -ECANCELED);
    return hob_group_join(&g, 0) == -ECANCELED ? 0 : -EIO;
}

static int at_clock(void *arg)
{
    hob_fiber_name("sleeper\n\033[2J");
    return hob_sleep(HOB_MIN) == -ECANCELED ? 0 : -EIO;
}

static int inner(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.name = "deep"));

    hob_fiber_name("joiner");
    if (r == 0)
        r = hob_go(&g, at_chan, NULL);
    return hob_group_join(&g, r);
}

static int never(void *arg)
{
    return -EIO;
}

static __attribute__((noinline)) void start(hob_group *g, hob_fn fn)
{
    CHECK_INT(hob_go(g, fn, NULL), 0);
}

static int all_kinds(void *arg)
{
    hob_group g;

    CHECK_INT(hob_chan_new(sizeof(int), HOB_CHAN_OPTS(.name = "pages"), &w.pages), 0);
    CHECK_INT(hob_mutex_init(&w.mutex, "journal"), 0);
    CHECK_INT(hob_sem_init(&w.sem, 1, "slots"), 0);
    CHECK_INT(hob_event_init(&w.event, "opened"), 0);
    CHECK_INT(hob_mutex_lock(&w.mutex, 0), 0);
    CHECK_INT(hob_group_open(&g, HOB_GROUP_OPTS(.name = "crawl")), 0);
    start(&g, inner);
    start(&g, at_mutex);
    start(&g, at_sem);
    start(&g, at_event);
    start(&g, at_several);
    start(&g, at_next);
    start(&g, at_clock);
    if (!hob_simulated()) {
        CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, w.fds) == 0);
        start(&g, at_fd);
    }
    settle();
    for (int i = 0; i < 2; i++)
        start(&g, never);
    look();
    hob_group_cancel(&g, 0);
    CHECK_INT(hob_group_join(&g, 0), 0);
    CHECK_INT(hob_mutex_unlock(&w.mutex), 0);
    hob_chan_free(w.pages);
    return 0;
}

static void check_kinds(void)
{
    expect("reader", "waiting for a value from a channel (pages) for ");
    expect("reader", "group main/crawl/deep;");
    expect("joiner", "waiting for a group to end (deep, 1 alive) for ");
    expect("joiner", "group main/crawl;");
    expect("locker", "waiting for a mutex (journal, held by main 0x");
    expect("taker", "waiting for a semaphore (slots) for ");
    expect("guest", "waiting for an event (opened) for ");
    expect("chooser", "things (a value from pages; or the event opened) for ");
    expect("heir", "waiting for a child of a group to end (ends, 1 alive) for ");
    expect("sleeper??[2J", "sleeping for ");
    expect("sleeper??[2J", ", at most ");
    expect("main", ": running; group main; stack ");
    CHECK(strstr(seen, "  2 not started: group main/crawl; runs "));
}

TEST(every_fiber_its_reason_and_what_it_waits_for_are_said)
{
    CHECK_INT(hob_run(HOB_OPTS(.loops = 1), all_kinds, NULL), 0);
    check_kinds();
    CHECK(strncmp(seen, "hob: 11 fibers on 1 loop, 2 tasks not started", 45) == 0);
    expect("poller", "waiting for a descriptor to be ready (descriptor ");
    CHECK(strstr(seen, "\nloop 0: thread "));
    close(w.fds[0]);
    close(w.fds[1]);
}

static hob_rwlock table;

static int writes(void *arg)
{
    hob_fiber_name(arg);
    CHECK_INT(hob_rwlock_write(&table, HOB_FOREVER), 0);
    return hob_rwlock_unlock(&table);
}

static int hands_over(void *arg)
{
    static char second[] = "second", third[] = "third";
    hob_group g;

    CHECK_INT(hob_rwlock_init(&table, "table"), 0);
    CHECK_INT(hob_rwlock_write(&table, 0), 0);
    CHECK_INT(hob_group_open(&g, NULL), 0);
    CHECK_INT(hob_go(&g, writes, second), 0);
    CHECK_INT(hob_go(&g, writes, third), 0);
    settle();
    CHECK_INT(hob_rwlock_unlock(&table), 0); /* it is the second's, who has not run yet */
    look();
    return hob_group_join(&g, 0);
}

TEST(who_was_given_a_lock_holds_it_before_it_runs)
{
    CHECK_INT(hob_run(HOB_OPTS(.loops = 1), hands_over, NULL), 0);
    expect("third", "waiting for a read-write lock (table, held by second 0x");
}

static hob_listener *door;

static int at_listener(void *arg)
{
    hob_fiber_name("porter");
    return hob_listener_accept(door, HOB_FOREVER) == -ECANCELED ? 0 : -EIO;
}

static int at_listener_arm(void *arg)
{
    struct hob_arm arms[] = {HOB_ON_LISTENER(door), HOB_ON_TIME(hob_in(HOB_MIN))};

    hob_fiber_name("doorman");
    return hob_select(arms, 2, HOB_FOREVER) == -ECANCELED ? 0 : -EIO;
}

static int at_the_door(void *arg)
{
    char at[32];
    hob_group g;
    int fd = hob_unix_listen("@hob-test-dump", NULL);

    CHECK(fd >= 0);
    CHECK_INT(hob_listener_open(fd, NULL, &door), 0);
    CHECK_INT(hob_group_open(&g, NULL), 0);
    start(&g, at_listener);
    start(&g, at_listener_arm);
    settle();
    look();
    snprintf(at, sizeof at, "(descriptor %d", fd);
    expect("porter", "waiting for a connection to accept ");
    expect("porter", at);
    expect("doorman", at);
    hob_group_cancel(&g, 0);
    CHECK_INT(hob_group_join(&g, 0), 0);
    hob_listener_close(door);
    hob_close(fd);
    return 0;
}

TEST(who_waits_at_a_listener_is_said)
{
    setenv("HOB_POLL", "epoll", 1);
    CHECK_INT(hob_run(NULL, at_the_door, NULL), 0);
    setenv("HOB_SIM", "1", 1);
    CHECK_INT(hob_run(NULL, at_the_door, NULL), 0);
    unsetenv("HOB_SIM");
    setenv("HOB_POLL", "uring", 1);
    int r = hob_run(NULL, at_the_door, NULL);
    CHECK(r == 0 || r == -ENOSYS || r == -EPERM);
}

TEST(a_simulation_is_dumped_too)
{
    for (int seed = 1; seed < 20; seed++) {
        char text[8];

        snprintf(text, sizeof text, "%d", seed);
        setenv("HOB_SIM", text, 1);
        CHECK_INT(hob_run(HOB_OPTS(.loops = 3), all_kinds, NULL), 0);
        CHECK(strstr(seen, "\nloop 2: turn "));
        expect("reader", "waiting for a value from a channel (pages) for ");
        expect("reader", "group main/crawl/deep;");
    }
}

static int dump_here(void *arg)
{
    look();
    return 0;
}

TEST(the_function_and_the_place_of_its_start_are_said)
{
    const char *p;

    CHECK_INT(hob_run(NULL, dump_here, NULL), 0);
    expect("main", "; runs test_dump+0x");
    CHECK(!strstr(seen, "started at")); /* by hob_run */
    CHECK_INT(hob_run(NULL, all_kinds, NULL), 0);
    expect("locker", ", started at test_dump+0x");
    p = strstr(line_of("locker"), "stack ");
    CHECK(p && strtod(p + 6, NULL) > 0.1 && strtod(p + 6, NULL) < 64);
    close(w.fds[0]);
    close(w.fds[1]);
}

TEST(without_a_runtime_there_is_nothing_to_say)
{
    CHECK_INT(hob_dump_to(keep, NULL), -ESRCH);
    CHECK_INT(hob_dump(1), -ESRCH);
    CHECK_INT(n_seen, 0);
}

static int dump_to_closed(void *arg)
{
    int fds[2];

    CHECK(pipe(fds) == 0);
    close(fds[1]);
    CHECK_INT(hob_dump(fds[0]), -EBADF);
    close(fds[0]);
    return 0;
}

TEST(a_descriptor_that_takes_nothing_is_an_error)
{
    CHECK_INT(hob_run(NULL, dump_to_closed, NULL), 0);
}

static int cancelled(void *arg)
{
    hob_group g;

    CHECK_INT(hob_group_open(&g, NULL), 0);
    hob_group_cancel(&g, 0);
    CHECK_INT(hob_check(), -ECANCELED);
    look();
    expect("main", ": running");
    return hob_group_join(&g, 0);
}

TEST(a_cancelled_fiber_may_dump)
{
    CHECK_INT(hob_run(NULL, cancelled, NULL), 0);
}

/* --- several loops -----------------------------------------------------------------------------
 */

enum { LOOPS = 3, BUSY = 40 };

static atomic_bool ended;
static atomic_int n_dumps;

/* Starts, parks, wakes and ends as fast as it can, on any loop. */
static int churn_leaf(void *arg)
{
    hob_fiber_name("leaf");
    return hob_sleep(1);
}

static int churn(void *arg)
{
    while (!atomic_load(&ended)) {
        hob_group g;
        int r = hob_group_open(&g, HOB_GROUP_OPTS(.name = "burst", .spread = true));

        for (int i = 0; i < 5 && r == 0; i++)
            r = hob_go(&g, churn_leaf, NULL);
        if ((r = hob_group_join(&g, r)) < 0)
            return r;
    }
    return 0;
}

static int churn_all(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.name = "churn", .spread = true));

    for (int i = 0; i < BUSY && r == 0; i++)
        r = hob_go(&g, churn, NULL);
    return hob_group_join(&g, r);
}

static void *dump_often(void *arg)
{
    for (int i = 0; i < 200; i++) {
        int r = hob_dump_to(keep, NULL);

        if (r == 0 && strstr(seen, "group main/churn"))
            atomic_fetch_add(&n_dumps, 1);
        CHECK(r == 0 || r == -ESRCH);
    }
    atomic_store(&ended, true);
    return arg;
}

TEST(dumps_are_made_while_every_loop_runs)
{
    pthread_t th;

    t_timeout(120);
    CHECK(pthread_create(&th, NULL, dump_often, NULL) == 0);
    CHECK_INT(hob_run(HOB_OPTS(.loops = LOOPS), churn_all, NULL), 0);
    CHECK(pthread_join(th, NULL) == 0);
}

static void *dump_to_the_end(void *arg)
{
    while (!atomic_load(&ended))
        (void)hob_dump_to(keep, NULL);
    return arg;
}

static int short_life(void *arg)
{
    return hob_yield();
}

TEST(a_dump_meets_the_beginning_and_the_end_of_a_runtime)
{
    pthread_t th;

    t_timeout(120);
    CHECK(pthread_create(&th, NULL, dump_to_the_end, NULL) == 0);
    for (int i = 0; i < 50; i++)
        CHECK_INT(hob_run(HOB_OPTS(.loops = 1 + (unsigned)i % LOOPS), short_life, NULL), 0);
    atomic_store(&ended, true);
    CHECK(pthread_join(th, NULL) == 0);
}

static atomic_bool held, let_go;

/* Holds another loop than the first until the dump was made there. */
static int holder(void *arg)
{
    if (hob_loop_index() == 0)
        return 0;
    atomic_store(&held, true);
    while (!atomic_load(&let_go))
        sched_yield();
    return 0;
}

static int hold_one(void *arg)
{
    hob_group g;

    CHECK_INT(hob_group_open(&g, HOB_GROUP_OPTS(.spread = true)), 0);
    while (!atomic_load(&held)) { /* until the other loop has taken one */
        CHECK_INT(hob_go(&g, holder, NULL), 0);
        CHECK_INT(hob_sleep(200 * HOB_US), 0);
    }
    look();
    CHECK(strstr(seen, "\nloop 1: thread "));
    CHECK(strstr(seen, ", no answer: something holds it"));
    expect("main", ": running");
    atomic_store(&let_go, true);
    return hob_group_join(&g, 0);
}

TEST(a_loop_that_is_held_is_said_not_to_answer)
{
    CHECK_INT(hob_run(HOB_OPTS(.loops = 2), hold_one, NULL), 0);
}

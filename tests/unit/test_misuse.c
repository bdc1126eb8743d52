/* SPDX-License-Identifier: MIT
 *
 * test_misuse.c - a caller's mistakes: each aborts with its name in a debug build, and is an error
 * code in a release build (docs/debugging.md has the list)
 */
#include <hob/hob.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/t.h"

static int go_without_fn(void)
{
    hob_group g;

    CHECK_INT(hob_group_open(&g, NULL), 0);
    return hob_group_join(&g, hob_go(&g, NULL, NULL));
}

static int join_anothers(void *g)
{
    return hob_group_join(g, 0);
}

static int joined_by_another(void)
{
    hob_group g;
    int r, got = 0;

    CHECK_INT(hob_group_open(&g, NULL), 0);
    r = hob_go(&g, join_anothers, &g);
    got = hob_group_join(&g, r);
    return got;
}

static int joined_twice(void)
{
    hob_group g;

    CHECK_INT(hob_group_open(&g, NULL), 0);
    CHECK_INT(hob_group_join(&g, 0), 0);
    CHECK_INT(hob_group_join(&g, -EIO), -EIO); /* as after an open that failed */
    return hob_group_join(&g, 0);
}

static int select_of_no_arms(void)
{
    return hob_select(NULL, 3, 0);
}

static int event_never_made(void)
{
    hob_event e = {{NULL}};

    return hob_event_set(&e);
}

static int group_before_time(void)
{
    hob_group g;

    return hob_group_join(&g, hob_group_open(&g, HOB_GROUP_OPTS(.until = -1)));
}

static int lock_never_made(void)
{
    hob_mutex m = {{0}};

    return hob_mutex_lock(&m, 0);
}

static int mutex_of_nobody(void)
{
    hob_mutex m;

    CHECK_INT(hob_mutex_init(&m, NULL), 0);
    return hob_mutex_unlock(&m);
}

static int rwlock_of_nobody(void)
{
    hob_rwlock l;

    CHECK_INT(hob_rwlock_init(&l, NULL), 0);
    return hob_rwlock_unlock(&l);
}

static int cond_without_its_mutex(void)
{
    hob_mutex m;
    hob_cond c;

    CHECK_INT(hob_mutex_init(&m, NULL), 0);
    CHECK_INT(hob_cond_init(&c, NULL), 0);
    return hob_cond_wait(&c, &m, HOB_FOREVER);
}

static int sem_of_too_many(void)
{
    hob_sem s;

    return hob_sem_init(&s, UINT64_MAX, NULL);
}

static int sem_overflows(void)
{
    hob_sem s;

    CHECK_INT(hob_sem_init(&s, INT64_MAX, NULL), 0);
    return hob_sem_release(&s, 1);
}

static int sem_of_none(void)
{
    hob_sem s;

    CHECK_INT(hob_sem_init(&s, 1, NULL), 0);
    return hob_sem_acquire(&s, 0, 0);
}

static int once_of_nothing(void)
{
    hob_once o;

    CHECK_INT(hob_once_init(&o, NULL), 0);
    return hob_once_do(&o, NULL, NULL, 0);
}

static int chan_of_nothing(void)
{
    hob_chan *ch;

    return hob_chan_new(0, NULL, &ch);
}

static int offload_nothing(void)
{
    return hob_offload(NULL, NULL, HOB_FOREVER);
}

static int block_nothing(void)
{
    return hob_block(NULL, NULL, HOB_FOREVER);
}

static int sleeps(void *arg)
{
    return hob_sleep(HOB_MS);
}

static int job_sleeps(void)
{
    return hob_offload(sleeps, NULL, HOB_FOREVER);
}

static int receives(void *ch)
{
    char byte;

    return hob_chan_recv(ch, HOB_FOREVER, &byte);
}

static int job_receives(void)
{
    hob_chan *ch;

    CHECK_INT(hob_chan_new(1, NULL, &ch), 0);
    int r = hob_offload(receives, ch, HOB_FOREVER);
    hob_chan_free(ch);
    return r;
}

static int reads(void *unused)
{
    char byte;

    return (int)hob_read(0, &byte, 1, HOB_FOREVER);
}

static int job_reads(void)
{
    return hob_offload(reads, NULL, HOB_FOREVER);
}

static int reads_ahead(void *reader)
{
    char c;

    return (int)hob_reader_read(reader, &c, 1, HOB_FOREVER);
}

static int stops_ahead(void *reader)
{
    return hob_reader_stop(reader);
}

static int frees_ahead(void *reader)
{
    hob_reader_free(reader);
    return 0;
}

/* A reader whose loop takes ahead, and another thread. */
static int reader_elsewhere(hob_fn fn)
{
    hob_reader *in;
    int s[2];
    char c;

    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s), 0);
    CHECK_INT(hob_reader_new(s[0], HOB_READER_OPTS(.ahead = true), &in), 0);
    CHECK_INT(hob_reader_read(in, &c, 1, hob_now() + HOB_US), -ETIMEDOUT);
    int r = hob_block(fn, in, HOB_FOREVER);
    if (fn != frees_ahead)
        hob_reader_free(in);
    hob_close(s[0]);
    hob_close(s[1]);
    return r;
}

static int reader_read_elsewhere(void)
{
    return reader_elsewhere(reads_ahead);
}

static int reader_stopped_elsewhere(void)
{
    return reader_elsewhere(stops_ahead);
}

static int reader_freed_elsewhere(void)
{
    return reader_elsewhere(frees_ahead);
}

static int dump_to_nobody(void)
{
    return hob_dump_to(NULL, NULL);
}

static int accepts_ahead(void *listener)
{
    return hob_listener_accept(listener, HOB_FOREVER);
}

static int stops_listener(void *listener)
{
    return hob_listener_stop(listener);
}

static int closes_listener(void *listener)
{
    hob_listener_close(listener);
    return 0;
}

/* Of this process alone: what a case before holds is free only when the kernel has seen to its end.
 */
static int listens(char *ret_name, size_t size)
{
    snprintf(ret_name, size, "@hob-test-misuse-%d", (int)getpid());
    int fd = hob_unix_listen(ret_name, NULL);
    CHECK(fd >= 0);
    return fd;
}

/* A listener whose loop takes ahead, and another thread. */
static int listener_elsewhere(hob_fn fn)
{
    hob_listener *l;
    char name[64];
    int fd = listens(name, sizeof name);

    CHECK_INT(hob_listener_open(fd, NULL, &l), 0);
    CHECK_INT(hob_listener_accept(l, hob_now() + HOB_US), -ETIMEDOUT);
    int r = hob_block(fn, l, HOB_FOREVER);
    if (fn != closes_listener)
        hob_listener_close(l);
    hob_close(fd);
    return r;
}

static int listener_used_elsewhere(void)
{
    return listener_elsewhere(accepts_ahead);
}

static int listener_stopped_elsewhere(void)
{
    return listener_elsewhere(stops_listener);
}

static int listener_closed_elsewhere(void)
{
    return listener_elsewhere(closes_listener);
}

static int arm_of_no_listener(void)
{
    struct hob_arm arm = HOB_ON_LISTENER(NULL);

    return hob_select(&arm, 1, 0);
}

static int arm_of_no_channel(void)
{
    struct hob_arm arm = HOB_ON_RECV(NULL, NULL);

    return hob_select(&arm, 1, 0);
}

static int accepts_once(void *listener)
{
    int fd = hob_listener_accept(listener, HOB_FOREVER);

    hob_close(fd);
    return fd < 0 ? fd : 0;
}

/* Exit status of the process. */
enum { NOT_AHEAD = 77 };

/* It is noticed only where the loop accepts ahead. */
static int listener_closed_beneath(void)
{
    hob_listener *l;
    hob_group g;
    char name[64];
    int fd = listens(name, sizeof name), peer, r;

    CHECK_INT(hob_listener_open(fd, NULL, &l), 0);
    CHECK_INT(hob_listener_accept(l, hob_now() + HOB_US), -ETIMEDOUT);
    CHECK((peer = hob_unix_dial(name, HOB_FOREVER)) >= 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(hob_sleep(HOB_US), 0);
    if (hob_listener_pending(l) == 0)
        _exit(NOT_AHEAD);
    CHECK_INT(accepts_once(l), 0);
    CHECK_INT(hob_group_open(&g, NULL), 0);
    r = hob_go(&g, accepts_once, l);
    CHECK_INT(hob_sleep(HOB_US), 0);
    hob_listener_close(l);
    r = hob_group_join(&g, r);
    hob_close(peer);
    hob_close(fd);
    return r;
}

static const struct mistake {
    const char *name;
    int (*make)(void);
    int code;
    const char
        *call; /* that is named, and the first fiber as who made it; NULL: another thread's */
} mistakes[] = {
    {"hob_go without a function", go_without_fn, -EINVAL, "hob_go"},
    {"a group is joined by another fiber", joined_by_another, -EINVAL},
    {"a group is joined twice", joined_twice, -EINVAL, "hob_group_join"},
    {"a select of no arms", select_of_no_arms, -EINVAL, "hob_select"},
    {"an event that was never made", event_never_made, -EINVAL, "hob_event_set"},
    {"a deadline before time", group_before_time, -EINVAL, "hob_group_open"},
    {"a lock that was never made", lock_never_made, -EINVAL, "hob_mutex_lock"},
    {"a mutex that is nobody's", mutex_of_nobody, -EPERM, "hob_mutex_unlock"},
    {"a read-write lock that is nobody's", rwlock_of_nobody, -EPERM, "hob_rwlock_unlock"},
    {"a condition without its mutex", cond_without_its_mutex, -EPERM, "hob_cond_wait"},
    {"a semaphore of too many", sem_of_too_many, -EINVAL},
    {"a semaphore that overflows", sem_overflows, -EOVERFLOW, "hob_sem_release"},
    {"no units of a semaphore", sem_of_none, -EINVAL},
    {"nothing to do once", once_of_nothing, -EINVAL},
    {"a channel of nothing", chan_of_nothing, -EINVAL},
    {"hob_offload without a function", offload_nothing, -EINVAL},
    {"hob_block without a function", block_nothing, -EINVAL},
    {"a job sleeps", job_sleeps, -EDEADLK},
    {"a job receives", job_receives, -EDEADLK},
    {"a job reads", job_reads, -EDEADLK},
    {"a reader of a loop read elsewhere", reader_read_elsewhere, -EBUSY},
    {"a reader of a loop stopped elsewhere", reader_stopped_elsewhere, -EBUSY},
    {"a reader of a loop freed elsewhere", reader_freed_elsewhere, 0},
    {"a listener of a loop used elsewhere", listener_used_elsewhere, -EBUSY},
    {"a listener of a loop stopped elsewhere", listener_stopped_elsewhere, -EBUSY},
    {"a listener of a loop closed elsewhere", listener_closed_elsewhere, 0},
    {"an arm of no listener", arm_of_no_listener, -EINVAL, "hob_select"},
    {"an arm of no channel", arm_of_no_channel, -EINVAL, "hob_select"},
    {"a dump to nobody", dump_to_nobody, -EINVAL},
};

static int makes_it(void *arg)
{
    const struct mistake *m = arg;
    int r = m->make();

    return r == m->code ? 0 : 1;
}

static int runs(void *arg)
{
    return hob_run(NULL, makes_it, arg) != 0;
}

/* In a process of its own: its wait status, and what it said. */
static int status_of(const struct mistake *m, char *ret_said, size_t size)
{
    return t_child(runs, (void *)(uintptr_t)m, ret_said, size);
}

/* It aborted, and said why; in release it was the error code. */
static void check_noticed(const struct mistake *m, int status, const char *said)
{
#ifdef NDEBUG
    bool right = WIFEXITED(status) && WEXITSTATUS(status) == 0;
#else
    bool right = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && strstr(said, ": misuse: ") &&
                 strncmp(said, "hob: ", 5) == 0;
    size_t n = m->call ? strlen(m->call) : 0;

    if (n > 0)
        right = right && strncmp(said + 5, m->call, n) == 0 &&
                strncmp(said + 5 + n, ": misuse: ", 10) == 0 && strstr(said, "; fiber main\n");
#endif
    if (!right)
        t_fail(__FILE__, __LINE__, "%s: status %x, said \"%s\"", m->name, (unsigned)status, said);
}

TEST(each_mistake_aborts_in_debug_and_is_an_error_in_release)
{
    char said[4096];

    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        int status = status_of(&mistakes[i], said, sizeof said);
        check_noticed(&mistakes[i], status, said);
    }
}

TEST(a_listener_closed_while_somebody_waits_is_noticed_where_its_loop_accepts_ahead)
{
    static const struct mistake m = {"a listener closed beneath", listener_closed_beneath, -EBADF};
    char said[4096];
    int status = status_of(&m, said, sizeof said);

    if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_AHEAD)
        t_skip("no io_uring, or a kernel before 6.10");
    check_noticed(&m, status, said);
}

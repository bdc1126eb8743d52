/* SPDX-License-Identifier: MIT
 *
 * test_look_loop.c - a loop that is not waiting for its events, seen from outside
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <time.h>

#include "look_util.h"

struct busy {
    int go;                /* in its set until there is something to read */
    const int *others;     /* two, not its own: closed; NULL: none */
    int fd[2];             /* in its set; -1: none */
    volatile int *take_it; /* until this is 1: it takes the first out, and says 2 */
};

static void loop_busy(void *arg)
{
    const struct busy *b = arg;
    struct epoll_event e = {.events = EPOLLIN};
    int fd = epoll_create1(0);
    char c;

    epoll_ctl(fd, EPOLL_CTL_ADD, b->go, &e);
    epoll_wait(fd, &e, 1, -1);
    epoll_ctl(fd, EPOLL_CTL_DEL, b->go, &e);
    e.events = EPOLLIN;
    for (int i = 0; i < 2; i++) {
        if (b->others)
            close(b->others[i]);
        if (b->fd[i] >= 0)
            epoll_ctl(fd, EPOLL_CTL_ADD, b->fd[i], &e);
    }
    while (*b->take_it == 0)
        ;
    if (*b->take_it == 1) {
        epoll_ctl(fd, EPOLL_CTL_DEL, b->fd[0], &e);
        epoll_ctl(fd, EPOLL_CTL_DEL, b->fd[1], &e);
    } else {
        (void)recv(b->fd[0], &c, 1, 0);
    }
    *b->take_it = 9;
    for (;;)
        ;
}

/* It has been seen to wait for its set. */
static void busy_open(struct scene *s, struct busy *b)
{
    int ends[2];

    CHECK(pipe(ends) == 0);
    b->go = ends[0];
    scene_open(s, loop_busy, b);
    CHECK(scene_look(s, SYS_epoll_wait, SYS_epoll_pwait).set_fd >= 0);
    CHECK(write(ends[1], "!", 1) == 1);
    close(ends[0]);
    close(ends[1]);
}

static volatile int *shared_int(void)
{
    void *p = mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    CHECK(p != MAP_FAILED);
    return p;
}

static void wait_and_compute(void *arg)
{
    const int *in = arg;
    struct epoll_event e = {.events = EPOLLIN};
    int fd = epoll_create1(0);

    epoll_ctl(fd, EPOLL_CTL_ADD, *in, &e);
    epoll_wait(fd, &e, 1, -1);
    for (;;)
        ;
}

TEST(a_loop_that_computes_with_events_waiting_is_seen)
{
    struct scene s;
    int ends[2];
    struct rec_look look = {.ready = false};

    CHECK(pipe(ends) == 0);
    scene_open(&s, wait_and_compute, &ends[0]);
    CHECK(scene_look(&s, SYS_epoll_wait, SYS_epoll_pwait).set_fd >= 0);
    CHECK_INT(look_loop(s.looker, s.pid, s.pid, &look), 0);
    CHECK(!look.ready);
    CHECK(write(ends[1], "!", 1) == 1); /* it computes on that */
    CHECK_INT(look_loop(s.looker, s.pid, s.pid, &look), 0);
    CHECK(look.ready && !look.outside);
    scene_close(&s);
    close(ends[0]);
    close(ends[1]);
}

static void compute_with_a_set(void *arg)
{
    struct epoll_event e = {.events = EPOLLIN};

    epoll_ctl(epoll_create1(0), EPOLL_CTL_ADD, *(int *)arg, &e);
    for (;;)
        ;
}

TEST(a_set_that_nobody_was_seen_to_wait_in_is_no_loop_for_its_own_messages)
{
    struct rec_look look = {.ready = false};
    struct scene s;
    int ends[2];

    CHECK(pipe(ends) == 0);
    CHECK(write(ends[1], "!", 1) == 1);
    scene_open(&s, compute_with_a_set, &ends[0]);
    while (looker_asked(s.looker) < 3) {
        if (look_loop(s.looker, s.pid, s.pid, &look) != 0)
            looker_gone(s.looker, s.pid); /* it may not have made its set yet */
        CHECK(!look.ready);
    }
    scene_close(&s);
    close(ends[0]);
    close(ends[1]);
}

/* Until there was time for it, and the child has put into its set what it should. */
static struct rec_look loop_look(struct scene *s, bool waits)
{
    struct rec_look look = {.ready = false};

    while (look_loop(s->looker, s->pid, s->pid, &look) != 0 || look.ready != waits ||
           look.outside != waits)
        sched_yield();
    return look;
}

TEST(connections_that_the_other_end_has_closed_wait_for_the_loop)
{
    volatile int *take_it = shared_int();
    struct rec_look look;
    struct links k;
    struct scene s;

    links_open(&k, 3);
    busy_open(&s, &(struct busy){-1, k.servers, {k.clients[0], k.clients[1]}, take_it});
    for (int i = 0; i < 2; i++)
        close(k.servers[i]);
    look = loop_look(&s, true);
    CHECK(look.outside);
    *take_it = 1; /* it knows, but computes before it closes its ends */
    while (*take_it != 9)
        sched_yield();
    int64_t began = hob_now();
    for (int64_t at = 0; hob_now() - began < 50 * HOB_MS; at += HOB_SEC) {
        look_flight(s.looker, s.pid, 0, at); /* reads its set anew, as soon as it may */
        while (look_loop(s.looker, s.pid, s.pid, &look) == -EAGAIN)
            sched_yield();
        CHECK(look.ready && look.outside);
    }
    k.servers[0] = k.servers[1] = -1;
    scene_close(&s);
    links_close(&k);
    munmap((void *)take_it, sizeof(int));
}

/* What recv() takes is counted nowhere but in the connection. */
TEST(a_loop_that_reads_by_recv_is_seen_to_read)
{
    volatile int *take_it = shared_int();
    struct rec_look a, b;
    struct links k;
    struct scene s;

    links_open(&k, 2);
    CHECK(send(k.servers[0], "!!", 2, 0) == 2);
    busy_open(&s, &(struct busy){-1, NULL, {k.clients[0], k.clients[1]}, take_it});
    a = loop_look(&s, true);
    CHECK(a.outside);
    b = loop_look(&s, true);
    CHECK_INT(a.io_calls, b.io_calls);
    *take_it = 2;
    while (*take_it != 9)
        sched_yield();
    b = loop_look(&s, true); /* there is one left */
    CHECK(a.io_calls != b.io_calls);
    scene_close(&s);
    links_close(&k);
    munmap((void *)take_it, sizeof(int));
}

TEST(what_comes_by_the_only_connection_is_work_and_keeps_nobody_waiting)
{
    struct rec_look look = {.ready = false};
    volatile int never = 0;
    struct links k;
    struct scene s;

    links_open(&k, 1);
    CHECK(send(k.servers[0], "!", 1, 0) == 1);
    busy_open(&s, &(struct busy){-1, NULL, {k.clients[0], -1}, &never});
    (void)loop_look(&s, false);
    look_loop(s.looker, s.pid, s.pid, &look);
    CHECK(!look.outside);
    scene_close(&s);
    links_close(&k);
}

static void select_and_compute(void *arg)
{
    const struct links *k = arg;
    fd_set set;
    char c;

    FD_ZERO(&set);
    for (int i = 0; i < k->n; i++)
        FD_SET(k->clients[i], &set);
    if (select(k->clients[k->n - 1] + 1, &set, NULL, NULL, NULL) > 0)
        (void)recv(k->clients[0], &c, 1, 0);
    for (;;)
        ;
}

TEST(a_loop_of_select_is_asked_by_its_connections)
{
    struct rec_look look = {.ready = false};
    struct links k;
    struct scene s;

    links_open(&k, 3);
    scene_open(&s, select_and_compute, &k);
    CHECK_INT(scene_look(&s, SYS_select, SYS_pselect6).outside, 3);
    CHECK(send(k.servers[0], "!", 1, 0) == 1); /* it computes on that */
    CHECK(send(k.servers[1], "!", 1, 0) == 1);
    while (look_loop(s.looker, s.pid, s.pid, &look) != 0 || !look.ready)
        sched_yield();
    CHECK(look.outside);
    scene_close(&s);
    links_close(&k);
}

static void wait_then_stand(void *arg)
{
    const struct links *k = arg;
    struct epoll_event e = {.events = EPOLLIN};
    int fd = epoll_create1(0);
    char c;

    for (int i = 0; i < 2; i++)
        epoll_ctl(fd, EPOLL_CTL_ADD, k->clients[i], &e);
    epoll_wait(fd, &e, 1, -1);
    (void)recv(k->clients[2], &c, 1, 0);
}

TEST(a_loop_that_stands_in_another_call_is_told_from_one_that_waits)
{
    struct rec_look look = {.ready = true};
    struct links k;
    struct scene s;
    struct look waits;

    links_open(&k, 3);
    scene_open(&s, wait_then_stand, &k);
    waits = scene_look(&s, SYS_epoll_wait, SYS_epoll_pwait);
    CHECK_INT(look_stands(s.looker, s.pid, s.pid, &waits, &look), -ENOENT);
    CHECK(send(k.servers[1], "!", 1, 0) == 1);
    waits = scene_look(&s, SYS_recvfrom, SYS_recvfrom);
    while (look_stands(s.looker, s.pid, s.pid, &waits, &look) == -EAGAIN)
        sched_yield();
    CHECK(look.ready && look.outside && look.stands);
    /* The set is that thread's, and of no other. */
    CHECK_INT(look_stands(s.looker, s.pid, s.pid + 1, &waits, &look), -ENOENT);
    scene_close(&s);
    links_close(&k);
}

/* Has an epoll set with two connections, and waits for the third by recv() or poll(). */
struct sync_client {
    const struct links *links;
    bool polls;
};

static void ask_then_compute(void *arg)
{
    const struct sync_client *a = arg;
    struct pollfd one = {.fd = a->links->clients[2], .events = POLLIN};
    struct epoll_event e = {.events = EPOLLIN};
    int fd = epoll_create1(0);
    char c;

    for (int i = 0; i < 2; i++)
        epoll_ctl(fd, EPOLL_CTL_ADD, a->links->clients[i], &e);
    if (a->polls)
        poll(&one, 1, -1);
    (void)recv(a->links->clients[2], &c, 1, 0);
    for (;;)
        ;
}

static void check_sync_client(bool polls)
{
    struct rec_look look = {.ready = false};
    struct links k;
    struct scene s;
    struct look waits;

    links_open(&k, 3);
    CHECK(send(k.servers[0], "!", 1, 0) == 1); /* nobody will ever read that */
    scene_open(&s, ask_then_compute, &(struct sync_client){&k, polls});
    waits =
        polls ? scene_look(&s, SYS_poll, SYS_ppoll) : scene_look(&s, SYS_recvfrom, SYS_recvfrom);
    CHECK_INT(look_stands(s.looker, s.pid, s.pid, &waits, &look), -ENOENT);
    CHECK(send(k.servers[2], "!", 1, 0) == 1);
    while (look_at(s.looker, s.pid, s.pid, &waits) != LOOK_RUNS)
        sched_yield();
    CHECK_INT(look_loop(s.looker, s.pid, s.pid, &look), -ENOENT);
    CHECK_INT(looker_asked(s.looker), 0);
    scene_close(&s);
    links_close(&k);
}

TEST(who_waits_for_one_connection_is_no_loop_for_the_epoll_set_it_has)
{
    check_sync_client(false);
    check_sync_client(true);
}

TEST(an_idle_connection_that_the_other_end_closes_keeps_nobody_waiting)
{
    struct tcp_info info = {.tcpi_state = 0};
    socklen_t n = sizeof info;
    volatile int never = 0;
    struct rec_look look;
    struct links k;
    struct scene s;

    links_open(&k, 2);
    link_ask(&k, 0);
    link_answer(&k, 0);
    while (info.tcpi_last_data_recv < 300) /* the server's patience */
        CHECK(getsockopt(k.clients[0], IPPROTO_TCP, TCP_INFO, &info, &n) == 0);
    busy_open(&s, &(struct busy){-1, k.servers, {k.clients[0], k.clients[1]}, &never});
    close(k.servers[0]);
    k.servers[0] = -1;
    for (int i = 0; i < 3; i++) {
        look = loop_look(&s, false);
        CHECK(!look.outside);
    }
    scene_close(&s);
    links_close(&k);
}

struct notifier {
    const struct links *links;
    int wake[2];
    bool again;        /* it waits for the connections while the other thread computes */
    volatile int *tid; /* shared: who it is, for a sanitizer may have threads of its own */
};

static void *notify(void *arg)
{
    const struct notifier *n = arg;
    fd_set set;

    *n->tid = gettid();
    for (bool all = true;; all = n->again) {
        FD_ZERO(&set);
        FD_SET(n->wake[0], &set);
        for (int i = 0; all && i < n->links->n; i++)
            FD_SET(n->links->clients[i], &set);
        if (select(FD_SETSIZE, &set, NULL, NULL, NULL) > 0 && all && n->again)
            for (int i = 0; i < n->links->n; i++)
                while (recv(n->links->clients[i], &(char){0}, 1, MSG_DONTWAIT) > 0)
                    ;
    }
    return NULL;
}

static void compute_beside(void *arg)
{
    pthread_t t;

    if (pthread_create(&t, NULL, notify, arg) != 0)
        return;
    for (;;)
        ;
}

/* Tcl's way: one thread waits, and another one is the loop. */
static void check_notifier(bool again)
{
    struct rec_look look = {.ready = false};
    struct notifier n = {.again = again, .tid = shared_int()};
    struct links k;
    struct scene s;
    struct look waits;

    links_open(&k, 3);
    n.links = &k;
    CHECK(pipe(n.wake) == 0);
    scene_open(&s, compute_beside, &n);
    while (*n.tid == 0)
        sched_yield();
    int32_t tid = *n.tid;
    while (look_at(s.looker, s.pid, tid, &waits) != LOOK_WAITS || waits.outside != 3)
        sched_yield();
    CHECK_INT(look_loop(s.looker, s.pid, s.pid, &look), -ENOENT); /* it waits for them */
    CHECK(send(k.servers[0], "!", 1, 0) == 1);
    CHECK(send(k.servers[1], "!", 1, 0) == 1);
    while (look_at(s.looker, s.pid, tid, &waits) != LOOK_WAITS || waits.outside != (again ? 3 : 0))
        sched_yield();
    int r = -EAGAIN;
    while (r == -EAGAIN)
        r = look_loop(s.looker, s.pid, s.pid, &look);
    CHECK_INT(r, again ? -ENOENT : 0);
    CHECK_INT(look.ready && look.outside, !again);
    scene_close(&s);
    links_close(&k);
    close(n.wake[0]);
    close(n.wake[1]);
    munmap((void *)n.tid, sizeof(int));
}

TEST(a_loop_whose_other_thread_waits_for_it_is_asked)
{
    check_notifier(false);
}

TEST(a_thread_that_computes_beside_a_loop_that_waits_is_none)
{
    check_notifier(true);
}

enum { SLEEPERS = 1000 };

static void *sleeper(void *arg)
{
    struct timespec long_time = {1000, 0};

    clock_nanosleep(CLOCK_MONOTONIC, 0, &long_time, NULL); /* sleep: that is looked at */
    return arg;
}

static void sleep_together(void *arg)
{
    struct epoll_event e = {.events = EPOLLIN};
    pthread_attr_t small;
    pthread_t t;

    epoll_ctl(epoll_create1(0), EPOLL_CTL_ADD, *(int *)arg, &e);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 128 << 10);
    for (int i = 1; i < SLEEPERS; i++)
        if (pthread_create(&t, &small, sleeper, NULL) != 0)
            break;
    sleeper(NULL);
}

/* Not even those of a process that has a set with something in it. */
TEST(of_a_thousand_threads_that_sleep_none_is_asked)
{
    struct rec_look look = {.ready = false};
    struct look waits;
    struct scene s;
    char path[64];
    int ends[2], n = 0;

    CHECK(pipe(ends) == 0);
    CHECK(write(ends[1], "!", 1) == 1);
    scene_open(&s, sleep_together, &ends[0]);
    scene_look(&s, SYS_clock_nanosleep, SYS_clock_nanosleep);
    snprintf(path, sizeof path, "/proc/%d/task", s.pid);
    DIR *d = opendir(path);
    struct dirent *e;
    CHECK(d);
    while ((e = readdir(d))) {
        int32_t tid = atoi(e->d_name);

        if (tid <= 0 || look_at(s.looker, s.pid, tid, &waits) != LOOK_WAITS)
            continue;
        CHECK_INT(look_stands(s.looker, s.pid, tid, &waits, &look), -ENOENT);
        n++;
    }
    closedir(d);
    CHECK(n > 1);
    CHECK_INT(looker_asked(s.looker), 0);
    scene_close(&s);
    close(ends[0]);
    close(ends[1]);
}

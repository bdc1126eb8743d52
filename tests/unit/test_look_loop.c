/* SPDX-License-Identifier: MIT
 *
 * test_look_loop.c - a loop that is not waiting for its events, seen from outside
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>

#include "look_util.h"

struct busy {
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

static volatile int *shared_int(void)
{
    void *p = mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    CHECK(p != MAP_FAILED);
    return p;
}

TEST(a_loop_that_computes_with_events_waiting_is_seen)
{
    struct scene s;
    int ends[2];
    struct rec_look look = {.ready = false};
    volatile int never = 0;

    CHECK(pipe(ends) == 0);
    scene_open(&s, loop_busy, &(struct busy){NULL, {ends[0], -1}, &never});
    while (look_loop(s.looker, s.pid, s.pid, &look) != 0)
        looker_gone(s.looker, s.pid); /* it has not made its set yet */
    CHECK(!look.ready);
    CHECK(write(ends[1], "!", 1) == 1);
    while (!look.ready) /* until the child has put the pipe into the set */
        CHECK(look_loop(s.looker, s.pid, s.pid, &look) == 0);
    CHECK(!look.outside);
    scene_close(&s);
    close(ends[0]);
    close(ends[1]);
}

/* Until there was time for it, and the child has made its set. */
static struct rec_look loop_look(struct scene *s, bool ready)
{
    struct rec_look look = {.ready = false};

    while (look_loop(s->looker, s->pid, s->pid, &look) != 0 || look.ready != ready) {
        looker_gone(s->looker, s->pid);
        sched_yield();
    }
    return look;
}

TEST(connections_that_the_other_end_has_closed_wait_for_the_loop)
{
    volatile int *take_it = shared_int();
    struct rec_look look;
    struct links k;
    struct scene s;

    links_open(&k, 3);
    scene_open(&s, loop_busy, &(struct busy){k.servers, {k.clients[0], k.clients[1]}, take_it});
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
    scene_open(&s, loop_busy, &(struct busy){NULL, {k.clients[0], k.clients[1]}, take_it});
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
    volatile int never = 0;
    struct links k;
    struct scene s;

    links_open(&k, 1);
    CHECK(send(k.servers[0], "!", 1, 0) == 1);
    scene_open(&s, loop_busy, &(struct busy){NULL, {k.clients[0], -1}, &never});
    CHECK(!loop_look(&s, true).outside);
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

/* SPDX-License-Identifier: MIT
 *
 * test_select_fd.c - descriptors as arms: no connection is lost, nothing is read
 */
#include <hob/hob.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lib/each.h"
#include "lib/t.h"

static int chan_new(uint32_t slots, hob_chan **ret)
{
    return hob_chan_new(sizeof(int), HOB_CHAN_OPTS(.slots = slots), ret);
}

struct wire {
    int fd[2];
    hob_chan *ch;
    hob_event quit;
    _Atomic(int) accepted, connected;
    int listener;
};

static int wire_writer(void *arg)
{
    struct wire *w = arg;

    return hob_write(w->fd[1], "x", 1, HOB_FOREVER) == 1 ? 0 : -EIO;
}

static int wire_select(void *arg)
{
    struct wire *w = arg;
    hob_group g;
    int in = 0, r;
    char byte;

    if (pipe(w->fd) < 0 || (r = chan_new(0, &w->ch)) < 0)
        return -EPROTO;
    struct hob_arm arms[] = {HOB_ON_READY(w->fd[0], EPOLLIN), HOB_ON_RECV(w->ch, &in),
                             HOB_ON_READY(w->fd[1], EPOLLOUT)};
    CHECK_INT(hob_select(arms, 2, 0), -ETIMEDOUT);
    CHECK_INT(hob_select(arms, 2, hob_in(HOB_MS)), -ETIMEDOUT);
    CHECK_INT(hob_select(arms, 3, HOB_FOREVER), 2);
    CHECK_INT(arms[2].rc, EPOLLOUT);
    if ((r = hob_group_open(&g, NULL)) < 0)
        return r;
    r = hob_go(&g, wire_writer, w);
    CHECK_INT(hob_select(arms, 2, HOB_FOREVER), 0);
    CHECK_INT(arms[0].rc, EPOLLIN);
    CHECK_INT(hob_select(arms, 2, HOB_FOREVER), 0); /* a level: nothing was read */
    CHECK_INT(hob_read(w->fd[0], &byte, 1, HOB_FOREVER), 1);
    r = hob_group_join(&g, r);
    arms[0].fd = -1;
    CHECK_INT(hob_select(arms, 2, HOB_FOREVER), 0);
    CHECK_INT(arms[0].rc, -EBADF);
    close(w->fd[0]);
    close(w->fd[1]);
    hob_chan_free(w->ch);
    return r;
}

static int wire_accept(void *arg)
{
    struct wire *w = arg;
    struct hob_arm arms[] = {HOB_ON_ACCEPT(w->listener), HOB_ON_EVENT(&w->quit)};
    int i;

    while ((i = hob_select(arms, 2, HOB_FOREVER)) == 0 && arms[0].rc >= 0) {
        hob_close(arms[0].rc);
        if (++w->accepted == 20)
            CHECK_INT(hob_event_set(&w->quit), 0);
    }
    return i == 1 ? 0 : -EPROTO;
}

static int wire_dial(void *arg)
{
    struct wire *w = arg;
    hob_addr a;
    char byte;
    int fd, r = hob_sock_addr(w->listener, &a);

    for (int i = 0; i < 10 && r == 0; i++) {
        if ((fd = hob_tcp_dial(&a, HOB_FOREVER)) < 0)
            return fd;
        r = (int)hob_read(fd, &byte, 1, HOB_FOREVER); /* its end: it was accepted */
        hob_close(fd);
    }
    return r;
}

static int wire_serve(void *arg)
{
    struct wire *w = arg;
    hob_addr a;
    hob_group g;
    int r = hob_addr_parse("127.0.0.1", 0, &a);

    w->accepted = 0;
    if (r < 0 || (w->listener = hob_tcp_listen(&a, 0)) < 0 ||
        (r = hob_event_init(&w->quit, NULL)) < 0)
        return -EPROTO;
    r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true));
    for (int i = 0; i < 3 && r == 0; i++)
        r = hob_go(&g, wire_accept, w);
    for (int i = 0; i < 2 && r == 0; i++)
        r = hob_go(&g, wire_dial, w);
    r = hob_group_join(&g, r);
    CHECK_INT(w->accepted, 20);
    hob_close(w->listener);
    return r;
}

/* An arm that accepts and loses leaves the connection where it is. */
static int wire_loses(void *arg)
{
    struct wire *w = arg;
    hob_addr a;
    int in, v = 1, fd, r = hob_addr_parse("127.0.0.1", 0, &a);

    if (r < 0 || (w->listener = hob_tcp_listen(&a, 0)) < 0 || (r = chan_new(1, &w->ch)) < 0)
        return -EPROTO;
    struct hob_arm arms[] = {HOB_ON_RECV(w->ch, &in), HOB_ON_ACCEPT(w->listener)};
    CHECK_INT(hob_select(arms, 2, hob_in(HOB_MS)), -ETIMEDOUT);
    CHECK_INT(hob_sock_addr(w->listener, &a), 0);
    if ((fd = hob_tcp_dial(&a, HOB_FOREVER)) < 0 || hob_chan_send(w->ch, &v, 0) < 0)
        return -EPROTO;
    CHECK_INT(hob_select_ordered(arms, 2, HOB_FOREVER), 0);
    CHECK_INT(hob_select_ordered(arms, 2, HOB_FOREVER), 1);
    CHECK(arms[1].rc >= 0);
    hob_close(arms[1].rc);
    hob_close(fd);
    hob_close(w->listener);
    hob_chan_free(w->ch);
    return 0;
}

static void real_worlds(hob_fn fn)
{
    static const char *const polls[] = {"epoll", "uring"}, *const loops[] = {"1", "2"};
    struct wire w = {.listener = -1};

    t_timeout(8);
    for (int i = 0; i < 4; i++) {
        setenv("HOB_POLL", polls[i / 2], 1);
        setenv("HOB_LOOPS", loops[i % 2], 1);
        int r = hob_run(NULL, fn, &w);
        if (i >= 2 && (r == -ENOSYS || r == -EPERM))
            break; /* no io_uring here: test_poll says so */
        each_check(r, 0);
    }
}

TEST(a_descriptor_is_ready_or_something_else_comes_first)
{
    real_worlds(wire_select);
}

TEST(listeners_are_shared_and_every_connection_is_accepted_once)
{
    real_worlds(wire_serve);
}

TEST(an_arm_that_accepts_and_loses_has_accepted_nothing)
{
    real_worlds(wire_loses);
}

static int simulated_descriptor(void *arg)
{
    struct hob_arm arms[] = {HOB_ON_READY(0, EPOLLIN)};

    (void)arg;
    CHECK_INT(hob_select(arms, 1, 0), 0);
    CHECK_INT(arms[0].rc, -EOPNOTSUPP);
    return 0;
}

TEST(the_simulator_has_none_of_the_kernels_descriptors)
{
    setenv("HOB_SIM", "1", 1);
    CHECK_INT(hob_run(NULL, simulated_descriptor, NULL), 0);
}

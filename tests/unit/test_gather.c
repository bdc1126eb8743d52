/* SPDX-License-Identifier: MIT
 *
 * test_gather.c - on a ring, what the fibers of a batch send enters the kernel by one call
 *
 * The test stands between the library and send(): io.c says when that is called.
 */
#include <hob/hob.h>

#include <sys/socket.h>
#include <unistd.h>

#include "net_util.h"

enum { PAIRS = 32, ROUNDS = 50 };

static unsigned n_sends;

ssize_t __real_send(int fd, const void *buf, size_t n, int flags);
ssize_t __wrap_send(int fd, const void *buf, size_t n, int flags);

ssize_t __wrap_send(int fd, const void *buf, size_t n, int flags)
{
    n_sends++;
    return __real_send(fd, buf, n, flags);
}

static int bounces(void *arg)
{
    const int *s = arg;
    char c;

    for (int i = 0; i < ROUNDS; i++) {
        CHECK_INT(hob_read(s[0], &c, 1, HOB_FOREVER), 1);
        CHECK_INT(hob_write(s[0], &c, 1, HOB_FOREVER), 1);
    }
    return 0;
}

/* All ask, and then all wait for their answers. */
static int asks_all(void *arg)
{
    int s[PAIRS][2];
    hob_group g;
    int r = hob_group_open(&g, NULL);
    char c;

    (void)arg;
    n_sends = 0;
    for (int i = 0; i < PAIRS; i++) {
        CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s[i]), 0);
        if (r == 0)
            r = hob_go(&g, bounces, s[i]);
    }
    for (int k = 0; k < ROUNDS; k++) {
        for (int i = 0; i < PAIRS; i++)
            CHECK_INT(write(s[i][1], "x", 1), 1);
        for (int i = 0; i < PAIRS; i++)
            CHECK_INT(hob_read(s[i][1], &c, 1, HOB_FOREVER), 1);
    }
    r = hob_group_join(&g, r);
    for (int i = 0; i < PAIRS; i++)
        for (int k = 0; k < 2; k++)
            hob_close(s[i][k]);
    return r;
}

TEST(the_sends_of_a_batch_are_one_call)
{
    setenv("HOB_POLL", "uring", 1);
    int r = hob_run(NULL, asks_all, NULL);
    if (r == -ENOSYS || r == -EPERM)
        t_skip("no io_uring here");
    CHECK_INT(r, 0);
    CHECK(n_sends < PAIRS * ROUNDS / 4);
}

TEST(epoll_sends_at_once)
{
    setenv("HOB_POLL", "epoll", 1);
    CHECK_INT(hob_run(NULL, asks_all, NULL), 0);
    CHECK_INT(n_sends, PAIRS * ROUNDS);
}

/* Alone: an enter of the ring would be one more call for nothing. */
static int alone(void *arg)
{
    int s[2];
    char c;

    (void)arg;
    n_sends = 0;
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s), 0);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_INT(hob_write(s[0], "x", 1, HOB_FOREVER), 1);
        CHECK_INT(hob_read(s[1], &c, 1, HOB_FOREVER), 1);
    }
    CHECK_INT(n_sends, ROUNDS);
    hob_close(s[0]);
    hob_close(s[1]);
    return 0;
}

TEST(who_is_alone_sends_at_once)
{
    on_pollers(alone, NULL, 0);
}

static int floods(void *arg)
{
    static char junk[4096];
    ssize_t n;

    while ((n = hob_write(*(int *)arg, junk, sizeof junk, HOB_FOREVER)) > 0)
        continue;
    return (int)n;
}

/* Parked in the ring's send or in the poll after it: either way the cancel gets there. */
static int cancels_sends(void *arg)
{
    int s[PAIRS][2];
    hob_group g;
    int r = hob_group_open(&g, NULL);

    (void)arg;
    for (int i = 0; i < PAIRS; i++) {
        CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s[i]), 0);
        if (r == 0)
            r = hob_go(&g, floods, s[i]);
    }
    for (int i = 0; r == 0 && i < 20; i++) {
        static char buf[65536];
        for (int k = 0; k < PAIRS; k++)
            CHECK(read(s[k][1], buf, sizeof buf) != 0);
        r = hob_sleep(HOB_US);
    }
    hob_group_cancel(&g, -EINTR);
    r = hob_group_join(&g, r);
    for (int i = 0; i < PAIRS; i++)
        for (int k = 0; k < 2; k++)
            hob_close(s[i][k]);
    return r;
}

TEST(a_cancel_reaches_the_sends_of_a_batch)
{
    on_pollers(cancels_sends, NULL, -EINTR);
}

/* SPDX-License-Identifier: MIT */
#include <hob/hob.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/t.h"
#include "net_util.h"

static char dir[] = "/tmp/hob-test-unix-XXXXXX", path[64];

/* A path in a directory of the case's own. */
static void path_make(void)
{
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/s", dir);
}

static void path_remove(void)
{
    unlink(path);
    CHECK_INT(rmdir(dir), 0);
}

static const char *abstract(void)
{
    static char name[64];

    snprintf(name, sizeof name, "@hob-test-%d", (int)getpid());
    return name;
}

TEST(names_become_addresses_and_text)
{
    char text[HOB_ADDR_TEXT_MAX], longest[110];
    hob_addr a, untouched = {.len = 9};

    CHECK_INT(hob_unix_addr("/run/x", &a), 0);
    CHECK_STR(hob_addr_text(&a, text), "unix:/run/x");
    CHECK_INT(hob_addr_port(&a), 0);
    CHECK_INT(hob_unix_addr("@x y", &a), 0);
    CHECK_STR(hob_addr_text(&a, text), "unix:@x y");
    memset(longest, 'a', sizeof longest);
    longest[108] = '\0';
    a = untouched;
    CHECK_INT(hob_unix_addr("", &a), -EINVAL);
    CHECK_INT(hob_unix_addr("@", &a), -EINVAL);
    CHECK_INT(hob_unix_addr(longest, &a), -ENAMETOOLONG);
    CHECK(memcmp(&a, &untouched, sizeof a) == 0);
    longest[107] = '\0';
    CHECK_INT(hob_unix_addr(longest, &a), 0);
    CHECK_INT(strlen(hob_addr_text(&a, text)), HOB_ADDR_TEXT_MAX - 1);
    longest[0] = '@';
    longest[107] = 'a';
    CHECK_INT(hob_unix_addr(longest, &a), 0); /* an abstract one needs no NUL */
}

struct talk {
    const char *name;
    int listener;
};

static int dials(void *arg)
{
    struct talk *t = arg;
    int fd = hob_unix_dial(t->name, HOB_FOREVER);
    char c = 0;

    CHECK(fd >= 0);
    CHECK_INT(hob_write(fd, "q", 1, HOB_FOREVER), 1);
    CHECK_INT(hob_read(fd, &c, 1, HOB_FOREVER), 1);
    CHECK_INT(c, 'Q');
    CHECK_INT(hob_read(fd, &c, 1, HOB_FOREVER), 0);
    hob_close(fd);
    return 0;
}

static int talk(void *arg)
{
    struct talk t = {.name = arg};
    hob_unix_peer peer;
    hob_group g;
    char c;
    int fd, r;

    CHECK((t.listener = hob_unix_listen(t.name, NULL)) >= 0);
    r = hob_group_open(&g, NULL);
    if (r == 0)
        r = hob_go(&g, dials, &t);
    CHECK((fd = hob_unix_accept(t.listener, HOB_FOREVER)) >= 0);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK_INT(hob_unix_peer_get(fd, &peer), 0);
    CHECK(peer.pid == getpid() && peer.uid == getuid() && peer.gid == getgid());
    CHECK_INT(hob_read(fd, &c, 1, HOB_FOREVER), 1);
    CHECK_INT(hob_write(fd, "Q", 1, HOB_FOREVER), 1);
    hob_close(fd);
    r = hob_group_join(&g, r);
    CHECK_INT(hob_unix_accept(t.listener, hob_in(HOB_MS)), -ETIMEDOUT);
    CHECK_INT(hob_unix_peer_get(0, &peer), -ENOTSOCK);
    hob_close(t.listener);
    if (*t.name != '@')
        unlink(t.name);
    return r;
}

TEST(streams_by_path_and_by_abstract_name)
{
    int not_a_socket[2];

    CHECK_INT(pipe(not_a_socket), 0);
    CHECK_INT(dup2(not_a_socket[0], 0), 0);
    path_make();
    on_pollers(talk, path, 0);
    on_pollers(talk, (void *)abstract(), 0);
    path_remove();
    close(not_a_socket[0]);
    close(not_a_socket[1]);
}

TEST(a_path_left_behind_is_replaced_only_when_asked_and_only_if_dead)
{
    struct stat st;
    hob_addr a;
    int fd, other;

    path_make();
    umask(022);
    CHECK((fd = hob_unix_listen(path, HOB_UNIX_OPTS(.mode = 0720))) >= 0);
    CHECK_INT(stat(path, &st), 0);
    CHECK_INT(st.st_mode & 0777, 0700); /* cut by the umask */
    CHECK_INT(hob_unix_listen(path, HOB_UNIX_OPTS(.replace = true)), -EADDRINUSE);
    hob_close(fd);
    CHECK_INT(hob_unix_listen(path, NULL), -EADDRINUSE);
    CHECK_INT(hob_unix_dial(path, HOB_FOREVER), -ECONNREFUSED);
    CHECK((fd = hob_unix_listen(path, HOB_UNIX_OPTS(.replace = true))) >= 0);
    CHECK((other = hob_unix_dial(path, 0)) >= 0); /* there at once */
    hob_close(other);
    hob_close(fd);
    unlink(path);
    CHECK((fd = open(path, O_CREAT | O_WRONLY, 0600)) >= 0);
    close(fd);
    CHECK_INT(hob_unix_bind(path, HOB_UNIX_OPTS(.replace = true)), -EADDRINUSE);
    unlink(path);
    CHECK_INT(hob_unix_dial(path, HOB_FOREVER), -ENOENT);
    CHECK_INT(hob_unix_listen(NULL, NULL), -EINVAL);
    CHECK_INT(hob_unix_listen("", NULL), -EINVAL);
    CHECK_INT(hob_unix_addr(path, &a), 0);
    path_remove();
}

static int dials_for_ever(void *arg)
{
    int *fd = arg, r = hob_unix_dial(abstract(), HOB_FOREVER);

    *fd = r;
    return r < 0 ? r : 0;
}

static int full_backlog(void *arg)
{
    int listener = hob_unix_listen(abstract(), HOB_UNIX_OPTS(.backlog = 1)), fds[64], n = 0, r, l;
    int late = -1;
    hob_group g;

    (void)arg;
    CHECK(listener >= 0);
    while (n < 64 && (r = hob_unix_dial(abstract(), 0)) >= 0)
        fds[n++] = r;
    CHECK_INT(r, -ETIMEDOUT);
    CHECK_INT(hob_unix_dial(abstract(), hob_in(HOB_MS)), -ETIMEDOUT);
    /* One that is cancelled, then one that gets in. */
    CHECK_INT(hob_group_open(&g, NULL), 0);
    CHECK_INT(hob_go(&g, dials_for_ever, &late), 0);
    CHECK_INT(hob_sleep(HOB_MS), 0);
    hob_group_cancel(&g, -ESTALE);
    CHECK_INT(hob_group_join(&g, 0), -ESTALE);
    CHECK_INT(late, -ECANCELED);
    CHECK_INT(hob_group_open(&g, NULL), 0);
    CHECK_INT(hob_go(&g, dials_for_ever, &late), 0);
    CHECK_INT(hob_sleep(HOB_MS), 0);
    CHECK((l = hob_unix_accept(listener, HOB_FOREVER)) >= 0);
    CHECK_INT(hob_group_join(&g, 0), 0);
    CHECK(late >= 0);
    hob_close(late);
    hob_close(l);
    while (n > 0)
        hob_close(fds[--n]);
    hob_close(listener);
    return 0;
}

TEST(a_full_backlog_is_waited_for)
{
    on_pollers(full_backlog, NULL, 0);
}

static int computes(void *arg)
{
    (void)arg;
    for (hob_time end = hob_in(60 * HOB_MS); hob_in(0) < end;)
        continue;
    return 0;
}

/* While somebody computes for long the pause ends, and so does the sleep of the one who cancels,
 * who comes first: the fiber that paused is ready then, and has not run yet. */
static int cancelled_after_its_pause(void *arg)
{
    int listener = hob_unix_listen(abstract(), HOB_UNIX_OPTS(.backlog = 1)), fds[64], n = 0, r;
    int late = -1;
    hob_group g;

    (void)arg;
    while (n < 64 && (r = hob_unix_dial(abstract(), 0)) >= 0)
        fds[n++] = r;
    CHECK_INT(hob_group_open(&g, NULL), 0);
    CHECK_INT(hob_go(&g, dials_for_ever, &late), 0);
    CHECK_INT(hob_sleep(3 * HOB_MS), 0);
    CHECK_INT(hob_go(&g, computes, NULL), 0);
    CHECK_INT(hob_sleep(HOB_US), 0);
    hob_group_cancel(&g, -ESTALE);
    CHECK_INT(hob_group_join(&g, 0), -ESTALE);
    CHECK_INT(late, -ECANCELED);
    while (n > 0)
        hob_close(fds[--n]);
    hob_close(listener);
    return 0;
}

TEST(a_cancel_between_two_pauses_is_seen)
{
    on_pollers(cancelled_after_its_pause, NULL, 0);
}

static int same_file(int a, int b)
{
    struct stat x, y;

    CHECK_INT(fstat(a, &x), 0);
    CHECK_INT(fstat(b, &y), 0);
    return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int passes(void *arg)
{
    int type = *(int *)arg, pair[2], pipes[2], got[HOB_UNIX_FDS_MAX], many[HOB_UNIX_FDS_MAX + 1];
    size_t n = 77;
    char buf[8];

    CHECK_INT(socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    CHECK_INT(pipe(pipes), 0);
    for (int i = 0; i <= HOB_UNIX_FDS_MAX; i++)
        many[i] = pipes[i % 2];
    CHECK_INT(hob_unix_send_fds(pair[0], "two", 3, pipes, 2, HOB_FOREVER), 3);
    CHECK_INT(hob_unix_recv_fds(pair[1], buf, sizeof buf, 2, HOB_FOREVER, got, &n), 3);
    CHECK_INT(n, 2);
    CHECK(same_file(got[0], pipes[0]) && same_file(got[1], pipes[1]));
    CHECK(fcntl(got[0], F_GETFD) & FD_CLOEXEC);
    hob_close(got[0]);
    hob_close(got[1]);
    /* None, all that may be, and one too many. */
    CHECK_INT(hob_unix_send_fds(pair[0], "none", 4, NULL, 0, HOB_FOREVER), 4);
    CHECK_INT(hob_unix_recv_fds(pair[1], buf, sizeof buf, 2, HOB_FOREVER, got, &n), 4);
    CHECK_INT(n, 0);
    CHECK_INT(hob_unix_send_fds(pair[0], "all", 3, many, HOB_UNIX_FDS_MAX, HOB_FOREVER), 3);
    CHECK_INT(hob_unix_recv_fds(pair[1], buf, sizeof buf, HOB_UNIX_FDS_MAX, HOB_FOREVER, got, &n),
              3);
    CHECK_INT(n, HOB_UNIX_FDS_MAX);
    for (size_t i = 0; i < n; i++)
        hob_close(got[i]);
    CHECK_INT(hob_unix_send_fds(pair[0], "x", 1, many, HOB_UNIX_FDS_MAX + 1, HOB_FOREVER), -EINVAL);
    /* More than were asked for: closed, and told. */
    n = 77;
    CHECK_INT(hob_unix_send_fds(pair[0], "two", 3, pipes, 2, HOB_FOREVER), 3);
    CHECK_INT(hob_unix_recv_fds(pair[1], buf, sizeof buf, 1, HOB_FOREVER, got, &n), -EMSGSIZE);
    CHECK_INT(n, 77);
    if (type == SOCK_DGRAM) {
        CHECK_INT(hob_unix_send_fds(pair[0], "too long", 8, pipes, 1, HOB_FOREVER), 8);
        CHECK_INT(hob_unix_recv_fds(pair[1], buf, 4, 1, HOB_FOREVER, got, &n), -EMSGSIZE);
        CHECK_INT(hob_unix_send_fds(pair[0], "", 0, pipes, 1, HOB_FOREVER), 0);
        CHECK_INT(hob_unix_recv_fds(pair[1], buf, 4, 1, HOB_FOREVER, got, &n), 0);
        CHECK_INT(n, 1);
        hob_close(got[0]);
    } else {
        CHECK_INT(hob_unix_send_fds(pair[0], "", 0, pipes, 1, HOB_FOREVER), -EINVAL);
    }
    CHECK_INT(hob_unix_send_fds(pair[0], "x", 1, &(int){-1}, 1, HOB_FOREVER), -EBADF);
    CHECK_INT(hob_unix_recv_fds(pair[1], buf, 4, 1, 0, got, &n), -ETIMEDOUT);
    CHECK_INT(hob_unix_recv_fds(pair[1], buf, 4, 1, hob_in(HOB_MS), got, &n), -ETIMEDOUT);
    hob_close(pair[1]);
    CHECK_INT(hob_unix_send_fds(pair[0], "x", 1, pipes, 1, HOB_FOREVER),
              type == SOCK_DGRAM ? -ECONNREFUSED : -EPIPE);
    hob_close(pair[0]);
    hob_close(pipes[0]);
    hob_close(pipes[1]);
    return 0;
}

TEST(descriptors_travel_over_streams_and_datagrams)
{
    for (int i = 0; i < 2; i++) {
        int type = i ? SOCK_DGRAM : SOCK_STREAM;
        on_pollers(passes, &type, 0);
        CHECK_INT(passes(&type), 0); /* from a plain thread */
    }
}

static int passes_a_little(void *arg)
{
    int *pair = arg, pipes[2], got[2];
    size_t n = 77;
    char c;

    CHECK_INT(pipe(pipes), 0);
    CHECK_INT(hob_unix_send_fds(pair[0], "x", 1, pipes, 2, HOB_FOREVER), 1);
    struct rlimit old, tight;
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &old), 0);
    tight = old;
    tight.rlim_cur = (rlim_t)pipes[1] + 2; /* room for one more */
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &tight), 0);
    CHECK_INT(hob_unix_recv_fds(pair[1], &c, 1, 2, HOB_FOREVER, got, &n), -EMFILE);
    CHECK_INT(n, 77);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &old), 0);
    hob_close(pipes[0]);
    hob_close(pipes[1]);
    return 0;
}

TEST(a_receiver_without_room_for_descriptors_keeps_none)
{
    int pair[2];

    CHECK_INT(hob_unix_pair(pair), 0);
    CHECK_INT(passes_a_little(pair), 0);
    on_pollers(passes_a_little, pair, 0);
    hob_close(pair[0]);
    hob_close(pair[1]);
}

struct stuffed {
    int pair[2], passed;
    ssize_t sent;
};

static char big[1 << 20];

static int sends_big(void *arg)
{
    struct stuffed *s = arg;

    s->sent = hob_unix_send_fds(s->pair[0], big, sizeof big, &s->passed, 1, HOB_FOREVER);
    CHECK(s->sent == sizeof big || hob_check() < 0);
    return s->sent < 0 ? (int)s->sent : 0;
}

/* A stream takes a part of a large send; the descriptor goes with its first byte, once. */
static int goes_with_the_first_byte(void *arg)
{
    struct stuffed s = {.passed = *(int *)arg};
    hob_group g;
    int fd;
    size_t n, got = 0;
    ssize_t k;

    CHECK_INT(hob_unix_pair(s.pair), 0);
    CHECK_INT(hob_group_open(&g, NULL), 0);
    CHECK_INT(hob_go(&g, sends_big, &s), 0);
    for (int i = 0; got < sizeof big; i++, got += (size_t)k) {
        k = hob_unix_recv_fds(s.pair[1], big, sizeof big, 1, HOB_FOREVER, &fd, &n);
        CHECK(k > 0);
        CHECK_INT(n, i == 0);
        if (n)
            hob_close(fd);
    }
    CHECK_INT(hob_group_join(&g, 0), 0);
    CHECK_INT(s.sent, sizeof big);
    /* And cancelled in the middle: what went is told. */
    CHECK_INT(hob_group_open(&g, NULL), 0);
    CHECK_INT(hob_go(&g, sends_big, &s), 0);
    CHECK_INT(hob_sleep(HOB_MS), 0);
    hob_group_cancel(&g, -ECANCELED);
    CHECK_INT(hob_group_join(&g, 0), -ECANCELED);
    CHECK(s.sent > 0 && s.sent < (ssize_t)sizeof big);
    for (got = 0; got < (size_t)s.sent; got += (size_t)k)
        CHECK((k = hob_read(s.pair[1], big, sizeof big, HOB_FOREVER)) > 0);
    CHECK_INT(hob_read(s.pair[1], big, 1, 0), -ETIMEDOUT);
    hob_close(s.pair[0]);
    hob_close(s.pair[1]);
    return 0;
}

TEST(descriptors_go_with_the_first_byte_of_a_large_send)
{
    int pair[2];

    CHECK_INT(hob_unix_pair(pair), 0);
    on_pollers(goes_with_the_first_byte, &pair[0], 0);
    hob_close(pair[0]);
    hob_close(pair[1]);
}

static int waits_for_fds(void *arg)
{
    int fd;
    size_t n = 77;
    char c;
    ssize_t r = hob_unix_recv_fds(*(int *)arg, &c, 1, 1, HOB_FOREVER, &fd, &n);

    CHECK_INT(n, 77);
    return (int)r;
}

static int accepts_for_ever(void *arg)
{
    return hob_unix_accept(*(int *)arg, HOB_FOREVER);
}

static int cancelled(void *arg)
{
    int pair[2], fd, listener = hob_unix_listen(abstract(), NULL);
    hob_group g;
    size_t n;
    char c;

    (void)arg;
    CHECK_INT(hob_unix_pair(pair), 0);
    CHECK_INT(hob_group_open(&g, NULL), 0);
    CHECK_INT(hob_go(&g, waits_for_fds, &pair[1]), 0);
    CHECK_INT(hob_go(&g, accepts_for_ever, &listener), 0);
    CHECK_INT(hob_yield(), 0);
    hob_group_cancel(&g, -ESTALE);
    CHECK_INT(hob_group_join(&g, 0), -ESTALE);
    CHECK_INT(hob_unix_send_fds(pair[0], "x", 1, pair, 1, HOB_FOREVER), 1);
    CHECK_INT(hob_unix_recv_fds(pair[1], &c, 1, 1, HOB_FOREVER, &fd, &n), 1);
    CHECK_INT(n, 1);
    hob_close(fd);
    CHECK((fd = hob_unix_dial(abstract(), HOB_FOREVER)) >= 0);
    hob_close(fd);
    hob_close(listener);
    hob_close(pair[0]);
    hob_close(pair[1]);
    return 0;
}

TEST(a_cancel_takes_receive_and_accept_back)
{
    on_pollers(cancelled, NULL, 0);
}

static int simulated(void *arg)
{
    size_t n;
    char c;

    (void)arg;
    CHECK_INT(hob_unix_accept(0, HOB_FOREVER), -EOPNOTSUPP);
    CHECK_INT(hob_unix_send_fds(0, "x", 1, NULL, 0, HOB_FOREVER), -EOPNOTSUPP);
    CHECK_INT(hob_unix_recv_fds(0, &c, 1, 0, HOB_FOREVER, NULL, &n), -EOPNOTSUPP);
    return 0;
}

TEST(the_simulator_has_none_of_the_kernels_descriptors)
{
    setenv("HOB_SIM", "1", 1);
    CHECK_INT(hob_run(NULL, simulated, NULL), 0);
}

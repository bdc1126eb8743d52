/* SPDX-License-Identifier: MIT
 *
 * test_listener.c - listeners whose loop accepts ahead: every connection is given once, or closed
 *
 * The bodies run on io_uring, on epoll and simulated, where a listener must make no difference.
 *
 * Length: each way a wait or a listener ends is a scene of its own.
 */
#include <hob/hob.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net_util.h"
#include "plat/poll.h"
#include "sched/loop.h"
#include "sim_util.h"

enum { HELD = 8 };

struct hall {
    hob_listener *l;
    int fd;
    hob_addr at;
    hob_event quit;
    _Atomic(int) given, dialled;
    _Atomic(bool) all_closed;
    int peers[400];
    hob_time until;
    int want;
};

static void hall_open(struct hall *h, uint32_t held_max)
{
    *h = (struct hall){.fd = -1};
    CHECK_INT(hob_addr_parse("127.0.0.1", 0, &h->at), 0);
    CHECK((h->fd = hob_tcp_listen(&h->at, 512)) >= 0);
    CHECK_INT(hob_sock_addr(h->fd, &h->at), 0);
    CHECK_INT(hob_listener_open(h->fd, HOB_LISTENER_OPTS(.held_max = held_max), &h->l), 0);
}

/* The peers are closed with it. */
static void hall_close(struct hall *h)
{
    hob_listener_close(h->l);
    hob_close(h->fd);
    for (int i = 0; i < h->dialled; i++)
        hob_close(h->peers[i]);
}

static void dials(struct hall *h, int n)
{
    for (int i = 0; i < n; i++) {
        int fd = hob_tcp_dial(&h->at, HOB_FOREVER);
        CHECK(fd >= 0);
        h->peers[h->dialled++] = fd;
    }
}

static void takes(struct hall *h, int n)
{
    for (int i = 0; i < n; i++) {
        int fd = hob_listener_accept(h->l, HOB_FOREVER);
        CHECK(fd >= 0);
        hob_close(fd);
    }
}

/* Turns of the loop: what is under way arrives. */
static void yields(int n)
{
    for (int i = 0; i < n; i++)
        CHECK_INT(hob_sleep(HOB_US), 0);
}

/* From now on its loop accepts, if it can. */
static void warm(struct hall *h)
{
    CHECK_INT(hob_listener_accept(h->l, hob_now() + HOB_US), -ETIMEDOUT);
}

/* Whether it does: it holds what nobody has asked for. */
static bool is_ahead(struct hall *h)
{
    warm(h);
    dials(h, 1);
    yields(3);
    bool is = hob_listener_pending(h->l) > 0;
    takes(h, 1);
    return is;
}

static void everywhere(hob_fn fn, void *arg)
{
    on_pollers(fn, arg, 0);
    in_sims(t_times(20, 2), fn, arg);
    unsetenv("HOB_SIM");
}

/* ---- many at once ---- */

enum { DIALLERS = 8 };

static int dials_each(void)
{
    return t_times(25, 1);
}

static int dialler(void *arg)
{
    struct hall *h = arg;
    char c;

    for (int i = 0; i < dials_each(); i++) {
        int fd = hob_tcp_dial(&h->at, HOB_FOREVER);
        CHECK(fd >= 0);
        CHECK_INT(hob_read(fd, &c, 1, HOB_FOREVER), 1); /* by who was given it */
        CHECK_INT(hob_read(fd, &c, 1, HOB_FOREVER), 0);
        hob_close(fd);
    }
    return 0;
}

static int serves(struct hall *h, int fd)
{
    CHECK(fd >= 0);
    CHECK_INT(hob_write(fd, "x", 1, HOB_FOREVER), 1);
    hob_close(fd);
    if (++h->given == DIALLERS * dials_each())
        return hob_event_set(&h->quit);
    return 0;
}

static int by_call(void *arg)
{
    struct hall *h = arg;
    int r = 0;

    for (int fd = 0; r == 0 && h->given < DIALLERS * dials_each();) {
        fd = hob_listener_accept(h->l, hob_in(200 * HOB_US));
        r = fd == -ETIMEDOUT ? 0 : serves(h, fd);
    }
    return r;
}

static int by_select(void *arg)
{
    struct hall *h = arg;
    struct hob_arm arms[] = {HOB_ON_EVENT(&h->quit), HOB_ON_LISTENER(h->l), HOB_ON_LISTENER(h->l)};
    int i, r = 0;

    while (r == 0 && (i = hob_select(arms, 3, HOB_FOREVER)) > 0)
        r = serves(h, arms[i].rc);
    return r;
}

static int many(void *arg)
{
    struct hall h;
    hob_group g;
    int r;

    (void)arg;
    hall_open(&h, HELD);
    CHECK_INT(hob_event_init(&h.quit, NULL), 0);
    r = hob_group_open(&g, NULL);
    for (int i = 0; r == 0 && i < DIALLERS; i++)
        r = hob_go(&g, dialler, &h);
    for (int i = 0; r == 0 && i < 6; i++)
        r = hob_go(&g, i % 2 ? by_call : by_select, &h);
    r = hob_group_join(&g, r);
    CHECK_INT(h.given, DIALLERS * dials_each());
    CHECK_INT(hob_listener_pending(h.l), 0);
    hall_close(&h);
    return r;
}

TEST(every_connection_is_given_to_one_of_many)
{
    t_timeout(60);
    everywhere(many, NULL);
}

/* ---- cancels, time-outs, lost arms ---- */

static int takes_on(void *arg)
{
    struct hall *h = arg;
    int fd;

    while ((fd = hob_listener_accept(h->l, HOB_FOREVER)) >= 0) {
        hob_close(fd);
        h->given++;
    }
    return fd;
}

static int selects_on(void *arg)
{
    struct hall *h = arg;
    struct hob_arm arms[] = {HOB_ON_LISTENER(h->l), HOB_ON_TIME(hob_in(3600 * HOB_SEC))};
    int r;

    while ((r = hob_select(arms, 2, HOB_FOREVER)) == 0 && arms[0].rc >= 0) {
        hob_close(arms[0].rc);
        h->given++;
    }
    return r == 0 ? arms[0].rc : r;
}

static char selected[] = "by select";

static int cancelled(void *arg)
{
    struct hall h;

    hall_open(&h, HELD);
    for (int i = t_times(60, 3); i > 0; i--) {
        hob_group g;
        int r = hob_group_open(&g, NULL);
        for (int k = 0; r == 0 && k < 2; k++)
            r = hob_go(&g, arg ? selects_on : takes_on, &h);
        CHECK_INT(r, 0);
        yields(i % 3);
        dials(&h, 3);
        yields(i % 2);
        hob_group_cancel(&g, -EINTR);
        CHECK_INT(hob_group_join(&g, 0), -EINTR);
    }
    CHECK(h.given <= h.dialled);
    takes(&h, h.dialled - h.given);
    CHECK_INT(hob_listener_accept(h.l, hob_now() + HOB_US), -ETIMEDOUT);
    hall_close(&h);
    return 0;
}

TEST(a_cancel_takes_no_connection)
{
    everywhere(cancelled, NULL);
}

TEST(an_arm_that_is_cancelled_takes_no_connection)
{
    everywhere(cancelled, selected);
}

/* A connection and the end of the time, in one turn: it is given, or it is the next one's. */
static int impatient(void *arg)
{
    struct hall h;
    int given = 0;

    (void)arg;
    hall_open(&h, HELD);
    for (int i = t_times(200, 5); i > 0; i--) {
        dials(&h, 1);
        int fd = hob_listener_accept(h.l, hob_now() + i % 5 * 1000);
        CHECK(fd >= 0 || fd == -ETIMEDOUT);
        given += fd >= 0;
        hob_close(fd);
    }
    takes(&h, h.dialled - given);
    hall_close(&h);
    return 0;
}

TEST(a_time_out_takes_no_connection)
{
    everywhere(impatient, NULL);
}

static int waits_once(void *arg)
{
    struct hall *h = arg;
    int fd = hob_listener_accept(h->l, h->until);

    h->given += fd >= 0;
    hob_close(fd);
    return fd < 0 && fd != h->want ? fd : 0;
}

/* The fiber is ready, with its connection, when the cancel comes; and nobody waits any more. */
static int cancelled_when_ready(void *arg)
{
    struct hall h;
    hob_group g;
    int r;

    (void)arg;
    hall_open(&h, HELD);
    warm(&h);
    h.until = HOB_FOREVER;
    h.want = -ECANCELED;
    CHECK_INT(hob_group_open(&g, NULL), 0);
    r = hob_go(&g, waits_once, &h);
    yields(1);
    CHECK_INT(hob__loop->n_outside, 1); /* a wait for the kernel */
    dials(&h, 1);
    hob_group_cancel(&g, -EINTR);
    CHECK_INT(hob_group_join(&g, r), -EINTR);
    CHECK_INT(hob__loop->n_outside, 0);
    takes(&h, 1 - h.given);
    hall_close(&h);
    return 0;
}

TEST(a_cancel_beside_a_connection_is_not_lost)
{
    everywhere(cancelled_when_ready, NULL);
}

/* The claim of a select may be another loop's, by a channel there, when a connection comes. */
struct far {
    struct hall h;
    hob_chan *ch;
    _Atomic(int) sent, got;
    int n;
};

static int far_many(void)
{
    return t_times(150, 5);
}

static int far_sends(void *arg)
{
    struct far *f = arg;
    int r = 0;

    for (int v = 0; v < far_many() && r == 0; v++)
        if ((r = hob_chan_send(f->ch, &v, HOB_FOREVER)) == 0)
            f->sent++;
    return r;
}

static int far_dials(void *arg)
{
    struct far *f = arg;

    for (int i = 0; i < far_many(); i++) {
        dials(&f->h, 1);
        yields(1);
    }
    return 0;
}

static int far_takes(struct far *f)
{
    int v, n = 0, i;
    struct hob_arm arms[] = {HOB_ON_LISTENER(f->h.l), HOB_ON_RECV(f->ch, &v)};

    while (n < 2 * far_many()) {
        if ((i = hob_select(arms, 2, HOB_FOREVER)) < 0)
            return i;
        CHECK(arms[i].rc >= 0);
        if (i == 0)
            hob_close(arms[0].rc);
        n++;
        f->h.given += i == 0;
        f->got += i == 1;
    }
    return 0;
}

static int far_channel(void *arg)
{
    struct far *f = arg;

    return hob_chan_new(sizeof(int), NULL, &f->ch);
}

static int far_away(void *arg)
{
    static struct far f;
    hob_group spread, near;
    int r;

    (void)arg;
    f = (struct far){.n = 0};
    hall_open(&f.h, HELD);
    r = hob_group_open(&spread, HOB_GROUP_OPTS(.spread = true));
    if (r == 0)
        r = hob_go(&spread, far_channel, &f);
    CHECK_INT(hob_group_join(&spread, r), 0);
    CHECK_INT(hob_group_open(&spread, HOB_GROUP_OPTS(.spread = true)), 0);
    r = hob_go(&spread, far_sends, &f);
    CHECK_INT(hob_group_open(&near, NULL), 0);
    if (r == 0)
        r = hob_go(&near, far_dials, &f);
    if (r == 0)
        r = far_takes(&f);
    r = hob_group_join(&near, r);
    r = hob_group_join(&spread, r);
    CHECK_INT(f.h.given, far_many());
    CHECK_INT(f.got, far_many());
    hob_chan_free(f.ch);
    hall_close(&f.h);
    return r;
}

TEST(arms_of_other_loops_beside_it_lose_nothing)
{
    setenv("HOB_LOOPS", "2", 1);
    t_timeout(60);
    everywhere(far_away, NULL);
}

/* ---- bounds ---- */

static int nobody_takes(void *arg)
{
    struct hall h;

    (void)arg;
    hall_open(&h, HELD);
    warm(&h);
    int n = t_times(100, 3 * HELD);
    for (int i = 0; i < n; i++) {
        dials(&h, 1);
        yields(2);
    }
    CHECK(hob_listener_pending(h.l) <= 2 * HELD);
    takes(&h, n);
    warm(&h);
    n = t_times(40, 3 * HELD);
    dials(&h, n); /* a batch is taken as it comes */
    yields(2);
    takes(&h, n);
    CHECK_INT(hob_listener_pending(h.l), 0);
    hall_close(&h);
    return 0;
}

TEST(what_nobody_takes_waits_in_the_backlog)
{
    everywhere(nobody_takes, NULL);
}

static int closes(void *arg)
{
    struct hall h;
    char c;

    (void)arg;
    /* Never on; on; on, and its end still to come; off, and full. */
    for (int how = 0; how < 4; how++) {
        hall_open(&h, HELD);
        if (how > 0)
            warm(&h);
        dials(&h, how == 0 || how == 3 ? 20 : 5);
        yields(how == 2 ? 0 : 4);
        hob_listener_close(h.l);
        hob_close(h.fd);
        for (int i = 0; i < h.dialled; i++) {
            ssize_t n = hob_read(h.peers[i], &c, 1, HOB_FOREVER);
            CHECK(n == 0 || n == -ECONNRESET);
            hob_close(h.peers[i]);
        }
        int fd = hob_tcp_dial(&h.at, HOB_FOREVER); /* nothing listens any more */
        CHECK_INT(fd, -ECONNREFUSED);
    }
    hob_listener_close(NULL);
    return 0;
}

TEST(what_nobody_took_is_closed_with_the_listener)
{
    everywhere(closes, NULL);
}

/* ---- errors ---- */

static struct {
    int fd[1024], n;
    struct rlimit before;
} hoard;

/* From here on there is no descriptor left. */
static void hoard_all(void)
{
    struct rlimit few;
    int fd;

    getrlimit(RLIMIT_NOFILE, &hoard.before);
    few = hoard.before;
    few.rlim_cur = 100;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &few), 0);
    hoard.n = 0;
    while ((fd = dup(0)) >= 0)
        hoard.fd[hoard.n++] = fd;
}

static void hoard_free(void)
{
    while (hoard.n > 0)
        close(hoard.fd[--hoard.n]);
    setrlimit(RLIMIT_NOFILE, &hoard.before);
}

static int no_descriptors(void *arg)
{
    struct hall h;
    hob_group g;
    int r;

    (void)arg;
    hall_open(&h, HELD);
    dials(&h, 3);
    h.until = HOB_FOREVER;
    h.want = -EMFILE;
    hoard_all();
    r = hob_group_open(&g, NULL);
    for (int i = 0; r == 0 && i < 3; i++)
        r = hob_go(&g, waits_once, &h);
    r = hob_group_join(&g, r);
    hoard_free();
    CHECK_INT(r, 0); /* each was told, and none for ever */
    CHECK_INT(h.given, 0);
    takes(&h, 3);
    hall_close(&h);
    return 0;
}

TEST(without_descriptors_each_is_told_and_no_connection_is_lost)
{
    on_pollers(no_descriptors, NULL, 0);
}

/* Three times, and as an arm, what a call on the descriptor says. */
static void of(int fd)
{
    struct hob_arm plain = HOB_ON_ACCEPT(fd), arm;
    hob_listener *l;

    CHECK_INT(hob_listener_open(fd, NULL, &l), 0);
    arm = (struct hob_arm)HOB_ON_LISTENER(l);
    int r = hob_tcp_accept(fd, hob_in(HOB_MS)), want, got;
    CHECK(r < 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(hob_listener_accept(l, hob_in(HOB_MS)), r);
    want = hob_select(&plain, 1, hob_in(HOB_MS));
    got = hob_select(&arm, 1, hob_in(HOB_MS));
    CHECK_INT(got, want);
    if (want == 0)
        CHECK_INT(arm.rc, plain.rc);
    hob_listener_close(l);
}

static int of_what_is_none(void *arg)
{
    struct hob_listener_opts wrong = {.size = sizeof wrong, .held_max = 65537};
    hob_listener *l = NULL;
    int p[2], s[2];

    (void)arg;
    CHECK_INT(hob_pipe_open(NULL, p), 0);
    CHECK_INT(hob_unix_pair(s), 0);
    of(s[0]);
    of(p[0]);
    of(-1);
    for (int i = 0; i < 2; i++) {
        hob_close(p[i]);
        hob_close(s[i]);
    }
    CHECK_INT(hob_listener_open(0, &wrong, &l), -EINVAL);
    CHECK(l == NULL);
    return 0;
}

TEST(what_is_no_listener_says_what_accept_says)
{
    on_pollers(of_what_is_none, NULL, 0);
}

/* ---- what comes out ---- */

static int is_tuned(void *arg)
{
    struct hall h;

    (void)arg;
    hall_open(&h, 0);
    for (int i = 0; i < 3; i++) {
        int fd, on = 0;
        socklen_t len = sizeof on;
        dials(&h, 1);
        CHECK((fd = hob_listener_accept(h.l, HOB_FOREVER)) >= 0);
        CHECK_INT(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
        CHECK(on != 0);
        CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
        CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        hob_close(fd);
    }
    hall_close(&h);
    return 0;
}

TEST(a_connection_is_as_one_of_tcp_accept)
{
    on_pollers(is_tuned, NULL, 0);
}

static int at_once(void *arg)
{
    struct hall h;

    (void)arg;
    hall_open(&h, HELD);
    CHECK_INT(hob_listener_accept(h.l, 0), -ETIMEDOUT);
    dials(&h, 2);
    yields(2);
    int fd = hob_listener_accept(h.l, 0); /* not on yet: from the backlog */
    CHECK(fd >= 0);
    hob_close(fd);
    takes(&h, 1);
    warm(&h);
    dials(&h, 1);
    yields(3);
    fd = hob_listener_accept(h.l, 0); /* what the loop has taken */
    CHECK(fd >= 0);
    hob_close(fd);
    struct hob_arm arms[] = {HOB_ON_LISTENER(h.l), HOB_ON_DEFAULT()};
    CHECK_INT(hob_select(arms, 2, HOB_FOREVER), 1);
    dials(&h, 1);
    yields(3);
    CHECK_INT(hob_select(arms, 2, HOB_FOREVER), 0);
    hob_close(arms[0].rc);
    hall_close(&h);
    return 0;
}

TEST(with_until_0_it_gives_what_is_there)
{
    on_pollers(at_once, NULL, 0);
}

static int by_unix(void *arg)
{
    hob_listener *l;
    int fd, peer, other;
    char name[64];

    (void)arg;
    snprintf(name, sizeof name, "@hob-test-listener-%d", (int)getpid());
    CHECK((fd = hob_unix_listen(name, NULL)) >= 0);
    CHECK_INT(hob_listener_open(fd, NULL, &l), 0);
    for (int i = 0; i < 3; i++) {
        CHECK((peer = hob_unix_dial(name, HOB_FOREVER)) >= 0);
        CHECK((other = hob_listener_accept(l, HOB_FOREVER)) >= 0);
        hob_close(peer);
        hob_close(other);
    }
    hob_listener_close(l);
    hob_close(fd);
    return 0;
}

TEST(a_unix_socket_can_be_one)
{
    everywhere(by_unix, NULL);
}

/* ---- loops ---- */

static int takes_elsewhere(void *arg)
{
    struct hall *h = arg;
    size_t n = hob_listener_pending(h->l);

    takes(h, (int)n);
    h->given = (int)n;
    return 0;
}

static int hands_over(void *arg)
{
    struct hall h;
    hob_group g;

    (void)arg;
    hall_open(&h, HELD);
    for (int i = 0; i < 2; i++)
        warm(&h);
    dials(&h, 4);
    yields(2);
    CHECK_INT(hob_listener_stop(h.l), 0);
    CHECK_INT(hob_listener_stop(h.l), 0);
    dials(&h, 2);
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true));
    if (r == 0)
        r = hob_go(&g, takes_elsewhere, &h);
    CHECK_INT(hob_group_join(&g, r), 0);
    for (int n = h.given; n < 6; n++) { /* the rest by other code */
        int fd = hob_tcp_accept(h.fd, HOB_FOREVER);
        CHECK(fd >= 0);
        hob_close(fd);
    }
    CHECK_INT(hob_listener_pending(h.l), 0);
    dials(&h, 1);
    takes(&h, 1); /* it goes on, plainly */
    hall_close(&h);
    return 0;
}

TEST(a_stopped_listener_gives_the_descriptor_back)
{
    for (unsigned loops = 1; loops <= 2; loops++) {
        setenv("HOB_LOOPS", loops == 1 ? "1" : "2", 1);
        everywhere(hands_over, NULL);
    }
}

/* Who waits when it is stopped waits on, by itself. */
static int stops_beside(void *arg)
{
    struct hall h;
    hob_group g;
    int r;

    (void)arg;
    hall_open(&h, HELD);
    CHECK_INT(hob_group_open(&g, NULL), 0);
    r = hob_go(&g, takes_on, &h);
    if (r == 0)
        r = hob_go(&g, selects_on, &h);
    CHECK_INT(r, 0);
    yields(2);
    CHECK_INT(hob_listener_stop(h.l), 0);
    dials(&h, 6);
    while (h.given < 6)
        yields(1);
    hob_group_cancel(&g, -EINTR);
    CHECK_INT(hob_group_join(&g, 0), -EINTR);
    hall_close(&h);
    return 0;
}

TEST(who_waits_while_it_is_stopped_waits_on)
{
    everywhere(stops_beside, NULL);
}

static struct hall kept;

static int leaves(void *arg)
{
    (void)arg;
    hall_open(&kept, HELD);
    warm(&kept);
    dials(&kept, 5);
    yields(2);
    return 0;
}

TEST(a_listener_outlives_its_loop_with_what_it_holds)
{
    static const char *const pollers[] = {"uring", "epoll"};

    for (int p = 0; p < 2; p++) {
        setenv("HOB_POLL", pollers[p], 1);
        int r = hob_run(NULL, leaves, NULL);
        if (p == 0 && (r == -ENOSYS || r == -EPERM))
            continue;
        CHECK_INT(r, 0);
        takes(&kept, 5); /* of a plain thread */
        hall_close(&kept);
    }
}

static int closes_and_leaves(void *arg)
{
    (void)leaves(arg);
    hall_close(&kept); /* the loop hears of it when it ends */
    return 0;
}

TEST(a_listener_may_be_closed_as_its_loop_ends)
{
    on_pollers(closes_and_leaves, NULL, 0);
}

/* Its address is free when it was stopped before it was closed, and else when the turn has ended.
 */
static int listens_again(void *arg)
{
    struct hall h;
    int fd;

    (void)arg;
    for (int stopped = 0; stopped < 2; stopped++) {
        hall_open(&h, HELD);
        warm(&h);
        dials(&h, 1);
        yields(2);
        if (stopped)
            CHECK_INT(hob_listener_stop(h.l), 0);
        hall_close(&h);
        while ((fd = hob_tcp_listen(&h.at, 1)) == -EADDRINUSE && !stopped)
            yields(1);
        CHECK(fd >= 0);
        hob_close(fd);
    }
    return 0;
}

TEST(a_stopped_listener_that_is_closed_gives_its_address_back_at_once)
{
    on_pollers(listens_again, NULL, 0);
}

static int selects_once(void *arg)
{
    struct hall *h = arg;
    struct hob_arm arm = HOB_ON_LISTENER(h->l);
    int r = hob_select(&arm, 1, HOB_FOREVER);

    if (r < 0 || arm.rc < 0)
        return r < 0 ? r : arm.rc;
    h->given++;
    hob_close(arm.rc);
    return 0;
}

/* A wait for the descriptor needs the listener no more. */
static int waits_past_the_close(void *arg)
{
    struct hall h;
    hob_group g;
    int r;

    (void)arg;
    hall_open(&h, HELD);
    h.until = HOB_FOREVER;
    CHECK_INT(hob_group_open(&g, NULL), 0);
    r = hob_go(&g, waits_once, &h);
    if (r == 0)
        r = hob_go(&g, selects_once, &h);
    yields(2);
    if (r == 0)
        r = hob_listener_stop(h.l);
    yields(2);
    hob_listener_close(h.l);
    h.l = NULL;
    yields(2);
    dials(&h, 2);
    r = hob_group_join(&g, r);
    CHECK(r < 0 || h.given == 2);
    hall_close(&h);
    return r;
}

TEST(who_waits_for_the_descriptor_waits_past_the_close)
{
    everywhere(waits_past_the_close, NULL);
}

enum { NOT_AHEAD = 1 };

static int closed_beneath(void *arg)
{
    struct hall h;
    hob_group g;
    int r;

    (void)arg;
    hall_open(&h, HELD);
    if (!is_ahead(&h)) {
        hall_close(&h);
        return NOT_AHEAD;
    }
    CHECK_INT(hob_group_open(&g, NULL), 0);
    r = hob_go(&g, takes_on, &h);
    if (r == 0)
        r = hob_go(&g, selects_on, &h);
    yields(2);
    hall_close(&h);
    return hob_group_join(&g, r);
}

TEST(who_waits_when_it_is_closed_is_told)
{
#ifdef NDEBUG
    setenv("HOB_POLL", "uring", 1);
    int r = hob_run(NULL, closed_beneath, NULL);
    if (r == -ENOSYS || r == -EPERM)
        t_skip("no io_uring here: %s", hob_strerror(r));
    if (r == NOT_AHEAD)
        t_skip("a kernel before 6.10");
    CHECK_INT(r, -EBADF);
#else
    (void)closed_beneath;
    t_skip("a debug build aborts: test_misuse");
#endif
}

/* A listener of its own. */
static int shares(void *arg)
{
    struct hall *h = arg;
    hob_listener *l;
    int fd;

    CHECK_INT(hob_listener_open(h->fd, NULL, &l), 0);
    while (!h->all_closed) {
        fd = hob_listener_accept(l, hob_in(HOB_MS));
        if (fd == -ECANCELED)
            break;
        h->given += fd >= 0;
        hob_close(fd);
    }
    CHECK_INT(hob_listener_stop(l), 0);
    CHECK_INT(hob_listener_pending(l), 0);
    hob_listener_close(l);
    return 0;
}

static int loops_share(void *arg)
{
    struct hall h;
    hob_group g;
    char c;
    int r, n = t_times(60, 6);

    (void)arg;
    hall_open(&h, HELD);
    r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true));
    for (int i = 0; r == 0 && i < 4; i++)
        r = hob_go(&g, shares, &h);
    dials(&h, n);
    for (int i = 0; r == 0 && i < n; i++)
        CHECK_INT(hob_read(h.peers[i], &c, 1, HOB_FOREVER), 0); /* each was given to somebody */
    h.all_closed = true;
    r = hob_group_join(&g, r);
    CHECK(r < 0 || h.given == n);
    hall_close(&h);
    return r;
}

TEST(loops_share_a_descriptor_with_a_listener_each)
{
    setenv("HOB_LOOPS", "2", 1);
    everywhere(loops_share, NULL);
}

/* ---- every wait is cancelled ---- */

static int small_server(void *arg)
{
    struct hall h;
    hob_group g;
    int r;

    (void)arg;
    hall_open(&h, 2);
    h.until = HOB_FOREVER;
    h.want = 0;
    if ((r = hob_group_open(&g, NULL)) == 0) {
        for (int i = 0; r == 0 && i < 2; i++)
            r = hob_go(&g, waits_once, &h);
        for (int i = 0; r == 0 && i < 5; i++) {
            int fd = hob_tcp_dial(&h.at, HOB_FOREVER);
            if (fd < 0)
                r = fd;
            else
                h.peers[h.dialled++] = fd;
        }
        r = hob_group_join(&g, r);
    }
    struct hob_arm arm = HOB_ON_LISTENER(h.l);
    if (r == 0 && (r = hob_select(&arm, 1, HOB_FOREVER)) == 0) {
        hob_close(arm.rc);
        h.given++;
    }
    CHECK_INT(hob_listener_stop(h.l), 0);
    CHECK(hob_listener_pending(h.l) <= 5);
    hall_close(&h); /* the runner sees whether a descriptor is left */
    return r;
}

static int tortured(void *arg)
{
    int n = hob_torture_cancel(small_server, arg);

    if (n < 2)
        t_fail(__FILE__, __LINE__, "cancelled at %d waits", n);
    return n < 0 ? n : 0;
}

TEST(every_wait_is_cancelled)
{
    t_timeout(60);
    everywhere(tortured, NULL);
}

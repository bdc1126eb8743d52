/* SPDX-License-Identifier: MIT
 *
 * test_pollset.c - sets of connections: how many of them await an answer
 */
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>

#include "look_util.h"

struct polled {
    struct links *links;
    int how; /* SYS_poll, ... */
};

static void wait_set(void *arg)
{
    struct polled *p = arg;
    int n = p->links->n;

    if (p->how == SYS_poll) {
        struct pollfd *set = calloc((size_t)n, sizeof *set);
        for (int i = 0; i < n; i++)
            set[i] = (struct pollfd){.fd = p->links->clients[i], .events = POLLIN};
        poll(set, (nfds_t)n, -1);
    } else if (p->how == SYS_select) {
        fd_set set;
        int most = 0;
        FD_ZERO(&set);
        for (int i = 0; i < n; i++) {
            FD_SET(p->links->clients[i], &set);
            most = p->links->clients[i] > most ? p->links->clients[i] : most;
        }
        select(most + 1, &set, NULL, NULL, NULL);
    } else {
        int fd = epoll_create1(0);
        for (int i = 0; i < n; i++) {
            struct epoll_event e = {.events = EPOLLIN | EPOLLET};
            epoll_ctl(fd, EPOLL_CTL_ADD, p->links->clients[i], &e);
        }
        struct epoll_event e;
        while (epoll_wait(fd, &e, 1, -1) > 0)
            ; /* the other process reads what came */
    }
}

static struct look set_look(struct scene *s, int how)
{
    if (how == SYS_select)
        return scene_look(s, SYS_select, SYS_pselect6);
    return scene_look(s, how, how == SYS_poll ? SYS_ppoll : SYS_epoll_pwait);
}

/* Room for 2 n descriptors and a few; fewer if the system says so. */
static int links_most(int n)
{
    struct rlimit r;

    CHECK(getrlimit(RLIMIT_NOFILE, &r) == 0);
    if (r.rlim_max < (rlim_t)n * 2 + 64) { /* root may ask for more */
        struct rlimit more = {(rlim_t)n * 2 + 64, (rlim_t)n * 2 + 64};
        if (setrlimit(RLIMIT_NOFILE, &more) == 0)
            return n;
    }
    r.rlim_cur = r.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &r) == 0);
    return r.rlim_cur >= (rlim_t)n * 2 + 64 ? n : ((int)r.rlim_cur - 64) / 2;
}

static void check_set(int n, int asked, int how)
{
    struct links k;
    struct scene s;
    struct polled p = {&k, how};

    links_open(&k, n);
    for (int i = 0; i < asked; i++)
        link_ask(&k, i);
    scene_open(&s, wait_set, &p);
    struct look look = set_look(&s, how);
    CHECK_STR(rec_kind_word(look.kind), asked ? "network" : "idle");
    CHECK_INT(look.in_flight, asked);
    CHECK_INT(look.flags, how == SYS_epoll_wait || (asked && n > 1) ? REC_IVAL_SET : 0);
    scene_close(&s);
    links_close(&k);
}

TEST(epoll_counts_what_is_in_flight)
{
    check_set(1, 1, SYS_epoll_wait);
    check_set(20, 7, SYS_epoll_wait);
}

TEST(poll_counts_what_is_in_flight)
{
    check_set(20, 7, SYS_poll);
}

TEST(select_counts_what_is_in_flight)
{
    check_set(20, 7, SYS_select);
}

TEST(a_set_without_requests_is_idle)
{
    check_set(20, 0, SYS_epoll_wait);
}

/* An epoll set of n connections to Unix sockets of that name. */
static void check_unix_set(const char *file, int n, const char *kind, int in_flight)
{
    char dir[] = "/tmp/test_pollset_XXXXXX", path[64];
    int clients[8], servers[8];
    struct links k = {.n = n, .clients = clients};
    struct polled p = {&k, SYS_epoll_wait};
    struct scene s;

    CHECK(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/%s", dir, file);
    for (int i = 0; i < n; i++)
        unix_open(path, &clients[i], &servers[i]);
    rmdir(dir);
    scene_open(&s, wait_set, &p);
    struct look look = set_look(&s, SYS_epoll_wait);
    CHECK_STR(rec_kind_word(look.kind), kind);
    CHECK_INT(look.in_flight, in_flight);
    CHECK_INT(look.flags, REC_IVAL_SET);
    scene_close(&s);
    for (int i = 0; i < n; i++) {
        close(clients[i]);
        close(servers[i]);
    }
}

TEST(a_loop_waits_for_the_local_servers_it_connected_to)
{
    check_unix_set("answers.sock", 1, rec_kind_word(REC_IPC), 1);
    check_unix_set("answers.sock", 8, rec_kind_word(REC_IPC), 8);
}

TEST(a_loop_that_listens_to_a_bus_is_idle)
{
    check_unix_set("system_bus_dbus", 2, "idle", 0);
}

TEST(an_answered_request_is_not_in_flight)
{
    struct links k;
    struct scene s;
    struct polled p = {&k, SYS_epoll_wait};

    links_open(&k, 25);
    for (int i = 0; i < 25; i++)
        link_ask(&k, i);
    for (int i = 0; i < 15; i++)
        link_answer(&k, i);
    scene_open(&s, wait_set, &p);
    struct look look = set_look(&s, SYS_epoll_wait);
    CHECK_INT(look.in_flight, 10);
    scene_close(&s);
    links_close(&k);
}

/* What came since the last look: a piece of n bytes. */
static void check_piece(int n, const char *kind)
{
    char piece[8192] = {0};
    struct links k;
    struct scene s;
    struct polled p = {&k, SYS_epoll_wait};

    links_open(&k, 1);
    link_ask(&k, 0);
    link_answer(&k, 0);
    scene_open(&s, wait_set, &p);
    CHECK_STR(rec_kind_word(set_look(&s, SYS_epoll_wait).kind), "idle");
    CHECK(send(k.servers[0], piece, (size_t)n, 0) == n);
    CHECK(recv(k.clients[0], piece, (size_t)n, MSG_WAITALL) == n);
    struct look look = set_look(&s, SYS_epoll_wait);
    CHECK_STR(rec_kind_word(look.kind), kind);
    CHECK_INT(look.in_flight, n >= 4096);
    CHECK_STR(rec_kind_word(set_look(&s, SYS_epoll_wait).kind), "idle"); /* no more came */
    scene_close(&s);
    links_close(&k);
}

TEST(an_answer_that_comes_in_pieces_is_in_flight_to_its_end)
{
    check_piece(8192, "network");
    check_piece(10, "idle"); /* a message */
}

static void wait_long(void *arg)
{
    const struct links *k = arg;
    struct epoll_event e = {.events = EPOLLIN | EPOLLET};
    int fd = epoll_create1(0);

    epoll_ctl(fd, EPOLL_CTL_ADD, k->clients[0], &e);
    while (epoll_wait(fd, &e, 1, 1000000) > 0)
        ; /* the other process reads what came */
}

TEST(a_loop_that_follows_a_feed_waits_for_it_and_not_for_its_timer)
{
    struct links k;
    struct scene s;
    int events = 0;
    char c;

    links_open(&k, 1);
    link_ask(&k, 0);
    link_answer(&k, 0);
    scene_open(&s, wait_long, &k);
    CHECK_STR(rec_kind_word(set_look(&s, SYS_epoll_wait).kind), "sleep");
    do {
        CHECK(send(k.servers[0], "!", 1, 0) == 1);
        CHECK(recv(k.clients[0], &c, 1, 0) == 1);
        events++;
    } while (set_look(&s, SYS_epoll_wait).kind == REC_SLEEP);
    CHECK(events >= 3); /* two may be the rest of the answer */
    CHECK_STR(rec_kind_word(set_look(&s, SYS_epoll_wait).kind), "idle");
    link_ask(&k, 0);
    CHECK_STR(rec_kind_word(set_look(&s, SYS_epoll_wait).kind), "network");
    scene_close(&s);
    links_close(&k);
}

TEST(a_loop_that_asks_now_and_then_waits_for_its_timer)
{
    struct links k;
    struct scene s;

    links_open(&k, 1);
    link_ask(&k, 0);
    link_answer(&k, 0);
    scene_open(&s, wait_long, &k);
    for (int i = 0; i < 6; i++) {
        CHECK_STR(rec_kind_word(set_look(&s, SYS_epoll_wait).kind), "sleep");
        link_ask(&k, 0);
        CHECK_STR(rec_kind_word(set_look(&s, SYS_epoll_wait).kind), "network");
        link_answer(&k, 0);
    }
    scene_close(&s);
    links_close(&k);
}

/* With enough answers to know how long this peer takes, five times that is silence. */
TEST(a_silent_connection_does_not_count)
{
    struct links k;
    struct scene s;
    struct polled p = {&k, SYS_epoll_wait};

    links_open(&k, 25);
    for (int i = 0; i < 25; i++)
        link_ask(&k, i);
    for (int i = 0; i < 20; i++)
        link_answer(&k, i);
    scene_open(&s, wait_set, &p);
    while (set_look(&s, SYS_epoll_wait).in_flight > 0)
        sched_yield();
    CHECK_INT(set_look(&s, SYS_epoll_wait).kind, REC_IDLE);
    scene_close(&s);
    links_close(&k);
}

/* One look at a large set asks a part of it; a few looks later all have been asked. */
static void check_large(int wanted, int how)
{
    int n = links_most(wanted), asked = n - n / 3;
    struct links k;
    struct scene s;
    struct polled p = {&k, how};

    t_timeout(100);
    links_open(&k, n);
    for (int i = 0; i < asked; i++)
        link_ask(&k, i);
    scene_open(&s, wait_set, &p);
    struct look look = set_look(&s, how);
    CHECK(abs((int)look.in_flight - asked) < asked / 5);
    for (int exact = 0; exact < 5;) {
        look = set_look(&s, how);
        exact = abs((int)look.in_flight - asked) <= asked / 20 ? exact + 1 : 0;
    }
    scene_close(&s);
    links_close(&k);
}

TEST(in_flight_of_a_hundred)
{
    check_large(100, SYS_epoll_wait);
}

TEST(in_flight_of_a_thousand)
{
    check_large(1000, SYS_epoll_wait);
}

TEST(in_flight_of_a_thousand_by_poll)
{
    check_large(1000, SYS_poll);
}

TEST(in_flight_of_ten_thousand)
{
    check_large(10000, SYS_epoll_wait);
}

static struct links *to_close;

static void close_half(int signal)
{
    (void)signal;
    for (int i = to_close->n / 2; i < to_close->n; i++)
        close(to_close->clients[i]);
}

static void wait_and_close(void *arg)
{
    struct polled *p = arg;

    to_close = p->links;
    signal(SIGUSR1, close_half);
    for (;;)
        wait_set(p);
}

/* Of a large set the list is not read again for what was closed: asking says so. */
TEST(connections_that_were_closed_are_not_in_flight)
{
    int n = links_most(2000);
    struct links k;
    struct scene s;
    struct polled p = {&k, SYS_epoll_wait};

    t_timeout(100);
    links_open(&k, n);
    for (int i = 0; i < n; i++)
        link_ask(&k, i);
    scene_open(&s, wait_and_close, &p);
    CHECK_INT(set_look(&s, SYS_epoll_wait).in_flight, n);
    CHECK(kill(s.pid, SIGUSR1) == 0);
    while (abs((int)set_look(&s, SYS_epoll_wait).in_flight - n / 2) > n / 20)
        sched_yield();
    scene_close(&s);
    links_close(&k);
}

static void compute_with_set(void *arg)
{
    struct polled *p = arg;
    int fd = epoll_create1(0);

    for (int i = 0; i < p->links->n; i++) {
        struct epoll_event e = {.events = EPOLLIN};
        epoll_ctl(fd, EPOLL_CTL_ADD, p->links->clients[i], &e);
    }
    for (;;)
        ;
}

/* No wait says what is in flight of a loop that computes. */
TEST(a_loop_that_computes_is_counted)
{
    struct links k;
    struct scene s;
    struct polled p = {&k, SYS_epoll_wait};
    int64_t at = HOB_SEC;
    struct rec_look look;

    links_open(&k, 15);
    for (int i = 0; i < 10; i++)
        link_ask(&k, i);
    scene_open(&s, compute_with_set, &p);
    uint32_t thread = rec_thread_of(&s.rec, s.pid, s.pid);
    while (s.rec.n_counts == 0 || s.rec.counts[s.rec.n_counts - 1].in_flight != 10) {
        looker_gone(s.looker, s.pid); /* it may not have made its set yet */
        if (look_loop(s.looker, s.pid, s.pid, &look) == 0)
            look_flight(s.looker, s.pid, thread, at += HOB_SEC);
    }
    size_t n = s.rec.n_counts;
    CHECK_INT(s.rec.counts[n - 1].at, at);
    CHECK_INT(s.rec.counts[n - 1].thread, thread);
    CHECK_STR(rec_kind_word(s.rec.counts[n - 1].kind), "network");
    look_flight(s.looker, s.pid, thread, at + HOB_MS); /* too soon */
    CHECK_INT(s.rec.n_counts, n);
    scene_close(&s);
    links_close(&k);
}

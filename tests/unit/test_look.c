/* SPDX-License-Identifier: MIT
 *
 * test_look.c - children that wait in every way, and what is seen of them
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <hob/rt.h>

#include "diag/look.h"
#include "lib/t.h"

struct scene {
    struct recording rec;
    struct looker *looker;
    pid_t pid;
};

/* A child that runs wait(arg) and ends with this process. */
static void scene_open(struct scene *s, void (*wait)(void *), void *arg)
{
    *s = (struct scene){.pid = 0};
    rec_init(&s->rec);
    CHECK(looker_new(&s->rec, &s->looker) == 0);
    pid_t parent = getpid();
    s->pid = fork();
    CHECK(s->pid >= 0);
    if (s->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent)
            wait(arg);
        _exit(1);
    }
}

static void scene_close(struct scene *s)
{
    int status;

    CHECK(kill(s->pid, SIGKILL) == 0);
    CHECK(waitpid(s->pid, &status, 0) == s->pid);
    CHECK(WIFSIGNALED(status)); /* it had been waiting to the end */
    looker_free(s->looker);
    rec_free(&s->rec);
}

/* Looks until the thread waits in one of two calls; the runner's time-out is the limit. */
static struct look scene_look(struct scene *s, int call, int or_call)
{
    struct look k = {.kind = REC_NO_KIND};

    while (look_at(s->looker, s->pid, s->pid, &k) != LOOK_WAITS ||
           (k.call != call && k.call != or_call))
        sched_yield();
    return k;
}

static void check_kind(void (*wait)(void *), void *arg, int call, int or_call, int kind)
{
    struct scene s;

    scene_open(&s, wait, arg);
    struct look k = scene_look(&s, call, or_call);
    CHECK_STR(rec_kind_word(k.kind), rec_kind_word((enum rec_kind)kind));
    CHECK_INT(k.in_flight, rec_kind_class((enum rec_kind)kind) == 0);
    scene_close(&s);
}

static void wait_pipe(void *arg)
{
    char c;

    (void)!read(((int *)arg)[0], &c, 1);
}

TEST(a_pipe)
{
    int ends[2];

    CHECK(pipe(ends) == 0);
    check_kind(wait_pipe, ends, SYS_read, -2, REC_PIPE);
    close(ends[0]);
    close(ends[1]);
}

static void wait_eventfd(void *arg)
{
    uint64_t v;

    (void)arg;
    (void)!read(eventfd(0, 0), &v, sizeof v);
}

TEST(an_eventfd_is_another_thread)
{
    check_kind(wait_eventfd, NULL, SYS_read, -2, REC_LOCK);
}

static void wait_futex(void *arg)
{
    uint32_t word = 0;
    struct timespec limit = {1000, 0};

    syscall(SYS_futex, &word, FUTEX_WAIT, 0, arg ? &limit : NULL, NULL, 0);
}

TEST(a_futex)
{
    check_kind(wait_futex, NULL, SYS_futex, -2, REC_LOCK);
}

TEST(a_futex_that_ends_by_its_limit_was_a_sleep)
{
    struct scene s;
    int any = 1;

    scene_open(&s, wait_futex, &any);
    struct look k = scene_look(&s, SYS_futex, -2);
    CHECK_INT(k.kind, REC_LOCK);
    CHECK(k.timeout > 0 && k.timeout <= 1000 * HOB_SEC);
    CHECK_INT(look_kind_ended(&k, 5 * HOB_MS), REC_LOCK);
    CHECK_INT(look_kind_ended(&k, k.timeout), REC_SLEEP);
    scene_close(&s);
}

static void wait_sleep(void *arg)
{
    struct timespec at = {1000, 0};

    (void)arg;
    clock_nanosleep(CLOCK_REALTIME, 0, &at, NULL); /* sleep: it is what is looked at */
}

TEST(a_sleep)
{
    check_kind(wait_sleep, NULL, SYS_nanosleep, SYS_clock_nanosleep, REC_SLEEP);
}

static void wait_child(void *arg)
{
    pid_t parent = getpid(), pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent)
            wait_sleep(arg);
        _exit(0);
    }
    wait4(pid, NULL, 0, NULL);
}

TEST(a_child)
{
    check_kind(wait_child, NULL, SYS_wait4, SYS_waitid, REC_CHILD);
}

static void wait_signal(void *arg)
{
    (void)arg;
    pause();
}

TEST(a_signal)
{
    check_kind(wait_signal, NULL, 34, SYS_rt_sigsuspend, REC_SIGNAL);
}

static void wait_flock(void *arg)
{
    int fd = open(arg, O_RDWR);

    flock(fd, LOCK_EX);
}

TEST(a_lock_of_a_file)
{
    char path[] = "/tmp/test_look_XXXXXX";
    int fd = mkstemp(path);

    CHECK(fd >= 0);
    CHECK(flock(fd, LOCK_EX) == 0);
    check_kind(wait_flock, path, SYS_flock, -2, REC_LOCK);
    close(fd);
    unlink(path);
}

static void wait_terminal(void *arg)
{
    char c;

    (void)!read(open(arg, O_RDWR | O_NOCTTY), &c, 1);
}

TEST(a_terminal)
{
    int fd = posix_openpt(O_RDWR | O_NOCTTY);

    if (fd < 0)
        t_skip("no pseudo terminals");
    CHECK(grantpt(fd) == 0 && unlockpt(fd) == 0);
    check_kind(wait_terminal, ptsname(fd), SYS_read, -2, REC_TTY);
    close(fd);
}

/* n connections over loopback: clients[i] to servers[i]. */
struct links {
    int n, listener, port;
    int *clients, *servers;
};

static void links_open(struct links *k, int n)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;

    *k = (struct links){.n = n, .listener = socket(AF_INET, SOCK_STREAM, 0)};
    k->clients = calloc((size_t)n + 1, sizeof(int));
    k->servers = calloc((size_t)n + 1, sizeof(int));
    CHECK(k->clients && k->servers && k->listener >= 0);
    CHECK(bind(k->listener, (struct sockaddr *)&a, size) == 0);
    CHECK(listen(k->listener, 128) == 0);
    CHECK(getsockname(k->listener, (struct sockaddr *)&a, &size) == 0);
    k->port = ntohs(a.sin_port);
    for (int i = 0; i < n; i++) {
        k->clients[i] = socket(AF_INET, SOCK_STREAM, 0);
        CHECK(k->clients[i] >= 0);
        CHECK(connect(k->clients[i], (struct sockaddr *)&a, size) == 0);
        k->servers[i] = accept(k->listener, NULL, NULL);
        CHECK(k->servers[i] >= 0);
    }
}

static void links_close(struct links *k)
{
    for (int i = 0; i < k->n; i++) {
        close(k->clients[i]);
        close(k->servers[i]);
    }
    close(k->listener);
    free(k->clients);
    free(k->servers);
}

static void link_ask(struct links *k, int i)
{
    CHECK(send(k->clients[i], "?", 1, 0) == 1);
}

/* The kernel's ages are in steps of a few ms: an answer must be seen to be later than its
 * question. */
static void link_answer(struct links *k, int i)
{
    struct tcp_info info;
    socklen_t n = sizeof info;
    char c;

    CHECK(recv(k->servers[i], &c, 1, 0) == 1);
    do {
        CHECK(getsockopt(k->clients[i], IPPROTO_TCP, TCP_INFO, &info, &n) == 0);
    } while (info.tcpi_last_data_sent < 12);
    CHECK(send(k->servers[i], "!", 1, 0) == 1);
    CHECK(recv(k->clients[i], &c, 1, 0) == 1);
}

static void wait_recv(void *arg)
{
    char c;

    (void)!recv(*(int *)arg, &c, 1, 0);
}

TEST(a_connection_is_named)
{
    struct links k;
    struct scene s;
    char want[64];

    links_open(&k, 1);
    link_ask(&k, 0);
    scene_open(&s, wait_recv, &k.clients[0]);
    struct look look = scene_look(&s, SYS_recvfrom, -2);
    snprintf(want, sizeof want, "tcp 127.0.0.1:%d", k.port);
    CHECK_INT(look.kind, REC_NET);
    CHECK_INT(look.in_flight, 1);
    CHECK_STR(s.rec.peers[look.peer].name, want);
    scene_close(&s);
    links_close(&k);
}

TEST(an_accepted_connection_is_a_server_without_work)
{
    struct links k;

    links_open(&k, 1);
    check_kind(wait_recv, &k.servers[0], SYS_recvfrom, -2, REC_ACCEPT);
    links_close(&k);
}

static void wait_accept(void *arg)
{
    accept(*(int *)arg, NULL, NULL);
}

TEST(accept_is_a_server_without_work)
{
    struct links k;

    links_open(&k, 0);
    check_kind(wait_accept, &k.listener, SYS_accept, SYS_accept4, REC_ACCEPT);
    links_close(&k);
}

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
            struct epoll_event e = {.events = EPOLLIN};
            epoll_ctl(fd, EPOLL_CTL_ADD, p->links->clients[i], &e);
        }
        struct epoll_event e;
        epoll_wait(fd, &e, 1, -1);
    }
}

static struct look set_look(struct scene *s, int how)
{
    if (how == SYS_select)
        return scene_look(s, SYS_select, SYS_pselect6);
    return scene_look(s, how, how == SYS_poll ? SYS_ppoll : SYS_epoll_pwait);
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
    CHECK_INT(look.flags, how == SYS_epoll_wait && asked ? REC_IVAL_SET : 0);
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

TEST(an_answered_request_is_not_in_flight)
{
    struct links k;
    struct scene s;
    struct polled p = {&k, SYS_epoll_wait};

    links_open(&k, 40);
    for (int i = 0; i < 40; i++)
        link_ask(&k, i);
    for (int i = 0; i < 30; i++)
        link_answer(&k, i);
    scene_open(&s, wait_set, &p);
    struct look look = set_look(&s, SYS_epoll_wait);
    CHECK_INT(look.in_flight, 10);
    scene_close(&s);
    links_close(&k);
}

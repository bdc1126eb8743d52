/* SPDX-License-Identifier: MIT
 *
 * test_sim_net.c - the simulator's descriptors: a whole program, waiting, what goes past it
 */
#include "sim_util.h"

#include <fcntl.h>
#include <pthread.h>

/* ---- an echo server with many clients ---- */

enum { CLIENTS = 100, MESSAGE = 200 };

static int listener;
static hob_addr at;
static char report[1 << 16]; /* what happened, in order */
static size_t n_report;

static void note(const char *what, long n)
{
    n_report += (size_t)snprintf(report + n_report, sizeof report - n_report, "%s %ld %lld\n", what,
                                 n, (long long)hob_now());
    if (n_report > sizeof report - 100)
        n_report = 0;
}

static int echo(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buf[64];
    ssize_t n;

    while ((n = hob_read(fd, buf, sizeof buf, HOB_FOREVER)) > 0) {
        note("echo", n);
        CHECK_INT(hob_write(fd, buf, (size_t)n, HOB_FOREVER), n);
    }
    CHECK_INT(n, 0);
    hob_close(fd);
    return 0;
}

static int serve(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, NULL);

    (void)arg;
    for (int i = 0; i < CLIENTS && r >= 0; i++)
        if ((r = hob_tcp_accept(listener, HOB_FOREVER)) >= 0)
            r = hob_go(&g, echo, (void *)(intptr_t)r);
    return hob_group_join(&g, r);
}

static int client(void *arg)
{
    unsigned char out[MESSAGE], in[MESSAGE];
    size_t n = 0;
    int fd = hob_tcp_dial(&at, HOB_FOREVER);

    CHECK(fd >= 0);
    for (int i = 0; i < MESSAGE; i++)
        out[i] = (unsigned char)(i * 7 + (intptr_t)arg);
    CHECK_INT(hob_write(fd, out, MESSAGE, HOB_FOREVER), MESSAGE);
    while (n < MESSAGE) {
        ssize_t k = hob_read(fd, in + n, MESSAGE - n, HOB_FOREVER);
        CHECK(k > 0);
        note("answer", k);
        n += (size_t)k;
    }
    CHECK(memcmp(in, out, MESSAGE) == 0);
    hob_close(fd);
    return 0;
}

static int echo_program(void *arg)
{
    hob_group g;
    int r;

    (void)arg;
    n_report = 0;
    CHECK_INT(hob_addr_parse("127.0.0.1", 0, &at), 0);
    listener = hob_tcp_listen(&at, 16);
    CHECK(listener >= 0);
    CHECK_INT(hob_sock_addr(listener, &at), 0);
    r = hob_group_open(&g, NULL);
    if (r == 0)
        r = hob_go(&g, serve, NULL);
    for (intptr_t i = 0; i < CLIENTS && r == 0; i++)
        r = hob_go(&g, client, (void *)i);
    r = hob_group_join(&g, r);
    hob_close(listener);
    return r;
}

TEST(an_echo_server_serves_100_clients_over_1000_seeds)
{
    t_timeout(300);
    in_sims((unsigned)t_seeds(1000), echo_program, NULL);
}

TEST(a_seed_is_the_same_run_byte_for_byte)
{
    static char first[sizeof report], other[sizeof report];

    CHECK_INT(in_sim("7", echo_program, NULL), 0);
    memcpy(first, report, sizeof report);
    CHECK_INT(in_sim("8", echo_program, NULL), 0);
    memcpy(other, report, sizeof report);
    CHECK(strcmp(first, other) != 0);
    int low = open("/dev/null", O_RDONLY | O_CLOEXEC); /* descriptors have other numbers now */
    CHECK_INT(in_sim("7", echo_program, NULL), 0);
    CHECK_STR(report, first);
    CHECK(n_report > 10 * CLIENTS);
    close(low);
}

TEST(loops_talk_to_each_other)
{
    setenv("HOB_LOOPS", "3", 1);
    in_sims(50, echo_program, NULL);
}

/* ---- waiting ---- */

static int cancels(void *arg)
{
    struct link l = link_tcp();
    char c;

    (void)arg;
    CHECK_INT(hob_read(l.here, &c, 1, hob_in(HOB_MS)), -ETIMEDOUT);
    CHECK_INT(hob_write(l.there, "x", 1, HOB_FOREVER), 1);
    CHECK_INT(hob_read(l.here, &c, 1, HOB_FOREVER), 1);
    link_close(&l);
    return 0;
}

static int echo_once(void *arg)
{
    struct link l = {.here = -1, .there = -1};
    hob_addr a = addr("127.0.0.1", 0);
    char c = 0;
    hob_group g;
    int r;

    (void)arg;
    CHECK((l.listener = hob_tcp_listen(&a, 0)) >= 0);
    CHECK_INT(hob_sock_addr(l.listener, &a), 0);
    r = hob_group_open(&g, NULL);
    if (r == 0) {
        r = hob_go(&g, accept_there, &l);
        if (r == 0)
            r = l.here = hob_tcp_dial(&a, HOB_FOREVER);
        r = hob_group_join(&g, r < 0 ? r : 0);
    }
    if (r == 0)
        r = (int)hob_write(l.here, "x", 1, HOB_FOREVER);
    if (r == 1)
        r = (int)hob_read(l.there, &c, 1, HOB_FOREVER);
    CHECK(r < 0 || c == 'x');
    hob_close(l.listener);
    link_close(&l);
    return r < 0 ? r : 0;
}

static int tortured(void *arg)
{
    int n = hob_torture_cancel(echo_once, arg);

    if (n < 2)
        t_fail(__FILE__, __LINE__, "cancelled at %d waits", n);
    return n < 0 ? n : 0;
}

TEST(every_wait_for_a_connection_is_cancelled)
{
    in_sims(20, cancels, NULL);
    in_sims(100, tortured, NULL);
}

static int picks(void *arg)
{
    struct link l = link_tcp();
    struct hob_arm arms[] = {HOB_ON_READY(l.there, EPOLLIN), HOB_ON_TIME(hob_in(HOB_SEC))};

    (void)arg;
    CHECK_INT(hob_select(arms, 2, HOB_FOREVER), 1);
    arms[1] = (struct hob_arm)HOB_ON_TIME(HOB_FOREVER);
    CHECK_INT(hob_write(l.here, "x", 1, HOB_FOREVER), 1);
    CHECK_INT(hob_select(arms, 2, HOB_FOREVER), 0);
    CHECK_INT(arms[0].rc, EPOLLIN);
    link_close(&l);
    return 0;
}

TEST(a_select_waits_for_simulated_descriptors)
{
    in_sims(50, picks, NULL);
}

static int waits_for_strangers(void *arg)
{
    hob_addr a = addr("127.0.0.1", 0);
    int fd = hob_tcp_listen(&a, 0), r;

    (void)arg;
    CHECK(fd >= 0);
    r = hob_tcp_accept(fd, HOB_FOREVER);
    hob_close(fd);
    return r;
}

TEST(who_waits_for_somebody_outside_waits_for_ever)
{
    CHECK_INT(in_sim("1", waits_for_strangers, NULL), -EDEADLK);
}

/* ---- what goes past the simulation ---- */

static int past_hob(void *arg)
{
    struct link l = link_tcp();
    int pair[2][2];
    char c;

    (void)arg;
    CHECK(write(l.here, "x", 1) < 0 && errno == EBADF);
    CHECK(read(l.here, &c, 1) < 0 && errno == EBADF);
    CHECK_INT(hob_write(STDERR_FILENO, "to be read\n", 11, HOB_FOREVER), 11);
    CHECK_INT(hob_read(-1, &c, 1, HOB_FOREVER), -EBADF);
    CHECK_INT(hob_read(900, &c, 1, HOB_FOREVER), -EBADF);
    close(l.here); /* not by hob_close: the next to have the number finds out */
    for (int i = 0; i < 2; i++)
        CHECK_INT(hob_unix_pair(pair[i]), 0);
    CHECK(pair[0][0] == l.here || pair[0][1] == l.here || pair[1][0] == l.here);
    for (int i = 0; i < 4; i++)
        hob_close(pair[i / 2][i % 2]);
    CHECK_INT(hob_read(l.there, &c, 1, HOB_FOREVER), 0);
    hob_close(l.there);
    return 0;
}

TEST(a_simulated_descriptor_can_do_nothing_in_the_kernel)
{
    in_sims(10, past_hob, NULL);
}

static void *elsewhere(void *arg)
{
    const struct link *l = arg;
    hob_addr a = addr("127.0.0.1", 0);

    CHECK_INT(hob_write(l->there, "x", 1, HOB_FOREVER), -EOPNOTSUPP);
    CHECK_INT(hob_tcp_listen(&a, 0), -EOPNOTSUPP);
    CHECK_INT(hob_unix_pair((int[2]){0}), -EOPNOTSUPP);
    return NULL;
}

/* What would wait runs on the simulation's own thread. */
static int would_wait(void *arg)
{
    const struct link *l = arg;
    char c;

    CHECK_INT(hob_write(l->here, "x", 1, HOB_FOREVER), 1);
    CHECK_INT(hob_read(l->here, &c, 1, HOB_FOREVER), -EOPNOTSUPP);
    return 0;
}

static int threads(void *arg)
{
    struct link l = link_tcp();
    pthread_t id;
    char c;

    (void)arg;
    CHECK(pthread_create(&id, NULL, elsewhere, &l) == 0 && pthread_join(id, NULL) == 0);
    CHECK_INT(hob_block(would_wait, &l, HOB_FOREVER), 0);
    CHECK_INT(hob_read(l.there, &c, 1, HOB_FOREVER), 1);
    link_close(&l);
    return 0;
}

TEST(other_threads_are_outside)
{
    in_sims(5, threads, NULL);
}

static int leaves_open(void *arg)
{
    struct link l = link_tcp();

    *(struct link *)arg = l;
    return 0;
}

TEST(what_is_left_open_is_closed_by_whoever_closes_it)
{
    struct link l;

    in_sims(1, leaves_open, &l);
    hob_close(l.here);
    hob_close(l.there);
}

/* ---- what is said ---- */

static int goes_outside(void *arg)
{
    hob_addr far = addr("198.51.100.7", 80), near = addr("127.0.0.1", 80), *found = arg;
    size_t n;
    char c;

    CHECK_INT(hob_tcp_dial(&near, HOB_FOREVER), -ECONNREFUSED);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(hob_tcp_dial(&far, HOB_FOREVER), -ECONNREFUSED);
        CHECK_INT(hob_resolve("host.example", 80, 1, HOB_FOREVER, found, &n), -EOPNOTSUPP);
        CHECK_INT(hob_read(STDIN_FILENO, &c, 1, HOB_FOREVER), -EOPNOTSUPP);
    }
    return 0;
}

TEST(what_goes_past_the_simulation_is_said_once)
{
    char said[1024] = {0};
    hob_addr a;
    FILE *out = tmpfile();
    int err = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

    CHECK(out && err >= 0);
    CHECK(dup2(fileno(out), STDERR_FILENO) == STDERR_FILENO);
    int r = in_sim("1", goes_outside, &a);
    CHECK(dup2(err, STDERR_FILENO) == STDERR_FILENO);
    CHECK_INT(r, 0);
    rewind(out);
    CHECK(fread(said, 1, sizeof said - 1, out) > 0);
    CHECK_STR(said,
              "hob: simulation: a connection to another host is refused: there is none, only "
              "the parts of this program that listen (hob_sim(3))\n"
              "hob: simulation: host.example is a name of the outside: here are addresses and "
              "localhost\n"
              "hob: simulation: descriptor 0 was not opened in this hob_run: what it does is "
              "not simulated (hob_sim(3))\n");
    fclose(out);
    close(err);
}

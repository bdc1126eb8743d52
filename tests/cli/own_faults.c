/* SPDX-License-Identifier: MIT
 *
 * own_faults.c - small programs on hob, each with one mistake, or none: own_faults NAME
 *
 * For hob diagnose to find.  How long anything takes does not depend on the machine: waits are
 * timers and a server that answers late, computing is measured in the thread's own CPU time.
 */
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <hob/hob.h>

enum { MS = 1000000 };

/* --- work, and two kinds of waiting ----------------------------------------------------------- */

static void compute_ms(int ms)
{
    struct timespec from, now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    do
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    while ((now.tv_sec - from.tv_sec) * 1000 + (now.tv_nsec - from.tv_nsec) / MS < ms);
}

/* I/O as a fiber does it: the descriptor is ready after so long. */
static int await_ms(int ms)
{
    struct itimerspec t = {.it_value.tv_nsec = (long)ms * MS};
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    int r = fd < 0 || timerfd_settime(fd, 0, &t, NULL) < 0 ? -1 : 0;

    if (r == 0)
        r = hob_fd_wait(fd, EPOLLIN, HOB_FOREVER);
    close(fd);
    return r < 0 ? r : 0;
}

enum { ANSWER_MS = 20 };
static struct sockaddr_in server;

/* Answers each byte of one connection, late. */
static void serve(int fd)
{
    const struct timespec late = {.tv_nsec = (long)ANSWER_MS * MS};
    char byte;

    while (read(fd, &byte, 1) == 1) {
        nanosleep(&late, NULL); /* sleep: a late answer is what this server is for */
        if (write(fd, &byte, 1) != 1)
            break;
    }
    close(fd);
}

static void *server_connection(void *arg)
{
    serve((int)(intptr_t)arg);
    return NULL;
}

static void *server_accept(void *arg)
{
    int listener = (int)(intptr_t)arg, fd;
    pthread_t th;

    while ((fd = accept(listener, NULL, NULL)) >= 0)
        if (pthread_create(&th, NULL, server_connection, (void *)(intptr_t)fd) == 0)
            pthread_detach(th);
        else
            close(fd);
    return NULL;
}

static void server_start(void)
{
    socklen_t len = sizeof server;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pthread_t th;

    server = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0 || bind(fd, (void *)&server, sizeof server) < 0 || listen(fd, 100) < 0 ||
        getsockname(fd, (void *)&server, &len) < 0 ||
        pthread_create(&th, NULL, server_accept, (void *)(intptr_t)fd) != 0)
        exit(99);
    pthread_detach(th);
}

/* A request as a library makes it that knows nothing of fibers. */
static void request_blocking(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char byte = 'x';

    if (fd < 0 || connect(fd, (void *)&server, sizeof server) < 0 || write(fd, &byte, 1) != 1 ||
        read(fd, &byte, 1) != 1)
        exit(98);
    close(fd);
}

/* --- the programs ----------------------------------------------------------------------------- */

static int group_of(const char *name, hob_fn fn, int n, uint32_t at_once)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.name = name, .max_live = at_once));

    for (int i = 0; i < n && r == 0; i++)
        r = hob_go(&g, fn, NULL);
    return hob_group_join(&g, r);
}

static int fetch(void *unused)
{
    (void)unused;
    return await_ms(20);
}

static int at_once(void *unused)
{
    (void)unused;
    return group_of("fetch", fetch, 600, 40);
}

static int one_by_one(void *unused)
{
    int r = 0;

    (void)unused;
    hob_fiber_name("reader");
    for (int i = 0; i < 25 && r == 0; i++)
        r = await_ms(20);
    return r;
}

static int fetch_and_parse(void *unused)
{
    int r = await_ms(10);

    (void)unused;
    compute_ms(25);
    return r;
}

static int loop_computes(void *unused)
{
    (void)unused;
    return group_of("parse", fetch_and_parse, 24, 8);
}

static int query_blocking(void *unused)
{
    int r = await_ms(5);

    (void)unused;
    request_blocking();
    return r;
}

static int loop_blocks(void *unused)
{
    (void)unused;
    server_start();
    return group_of("query", query_blocking, 25, 5);
}

static int jobs_block_range(size_t from, size_t to, void *unused)
{
    (void)unused;
    for (size_t i = from; i < to; i++)
        request_blocking();
    return 0;
}

static int jobs_block(void *unused)
{
    (void)unused;
    server_start();
    return hob_for(0, 100, jobs_block_range, NULL, HOB_FOR_OPTS(.grain = 1));
}

static pthread_mutex_t one_lock = PTHREAD_MUTEX_INITIALIZER;

static int convoy_range(size_t from, size_t to, void *unused)
{
    (void)unused;
    for (size_t i = from; i < to; i++) {
        pthread_mutex_lock(&one_lock);
        compute_ms(3);
        pthread_mutex_unlock(&one_lock);
    }
    return 0;
}

static int convoy(void *unused)
{
    (void)unused;
    return hob_for(0, 40, convoy_range, NULL, HOB_FOR_OPTS(.grain = 1));
}

/* Both ends take 15 ms or none, never at the same time: with room between them neither waits. */
static hob_chan *channel;

static int producer(void *unused)
{
    int r = 0;

    (void)unused;
    for (int i = 0; i < 40 && r == 0; i++) {
        if (i / 4 % 2 == 0)
            r = await_ms(15);
        if (r == 0)
            r = hob_chan_send(channel, &i, HOB_FOREVER);
    }
    hob_chan_close(channel);
    return r;
}

static int consumer(void *unused)
{
    int i, r = 0;

    (void)unused;
    while (r == 0 && hob_chan_recv(channel, HOB_FOREVER, &i) == 0)
        if (i / 4 % 2 == 1)
            r = await_ms(15);
    return r;
}

static int narrow_channel(void *unused)
{
    hob_group g;
    int r = hob_chan_new(sizeof(int), NULL, &channel);

    (void)unused;
    if (r == 0)
        r = hob_group_open(&g, NULL);
    if (r == 0)
        r = hob_go(&g, producer, NULL);
    if (r == 0)
        r = hob_go(&g, consumer, NULL);
    r = hob_group_join(&g, r);
    hob_chan_free(channel);
    return r;
}

static hob_mutex mutex;

static int fetch_locked(void *unused)
{
    int r = hob_mutex_lock(&mutex, HOB_FOREVER);

    if (r == 0) {
        r = fetch(unused);
        hob_mutex_unlock(&mutex);
    }
    return r;
}

static int held_mutex(void *unused)
{
    int r = hob_mutex_init(&mutex, "all");

    (void)unused;
    return r < 0 ? r : group_of("fetch", fetch_locked, 24, 8);
}

static hob_lane *lane;

static int lane_work(void *unused)
{
    (void)unused;
    request_blocking();
    return 0;
}

static int lane_user(void *unused)
{
    int r = await_ms(5);

    (void)unused;
    return r < 0 ? r : hob_lane_call(lane, lane_work, NULL, HOB_FOREVER);
}

static int full_lane(void *unused)
{
    int r;

    (void)unused;
    server_start();
    r = hob_lane_new("store", &lane);
    if (r == 0)
        r = group_of("save", lane_user, 25, 8);
    hob_lane_free(lane);
    return r;
}

static int one_fiber_computes(void *unused)
{
    (void)unused;
    for (int i = 0; i < 20; i++)
        compute_ms(10);
    return 0;
}

static int endless(void *unused)
{
    (void)unused;
    return group_of("fetch", fetch, 1 << 30, 40);
}

static int killed(void *unused)
{
    int r = group_of("fetch", fetch, 600, 40);

    (void)unused;
    kill(getpid(), SIGKILL);
    return r;
}

static const struct {
    const char *name;
    hob_fn run;
} programs[] = {
    {"at-once", at_once},
    {"one-by-one", one_by_one},
    {"loop-computes", loop_computes},
    {"loop-blocks", loop_blocks},
    {"jobs-block", jobs_block},
    {"convoy", convoy},
    {"narrow-channel", narrow_channel},
    {"full-lane", full_lane},
    {"held-mutex", held_mutex},

    {"one-fiber-computes", one_fiber_computes},
    {"endless", endless},
    {"killed", killed},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 2 && i < sizeof programs / sizeof *programs; i++)
        if (strcmp(argv[1], programs[i].name) == 0) {
            puts("up");
            fflush(stdout);
            return hob_run(NULL, programs[i].run, NULL) < 0;
        }
    return 97;
}

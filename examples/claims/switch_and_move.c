/* SPDX-License-Identifier: MIT
 *
 * switch_and_move.c - a switch between fibers is cheap; threads, processes and copies are not
 *
 * For a fiber, a thread and a process: to start one and await its end; to go to another one and
 * back (channels; semaphores); and to hand it 64 KB and hear that it has them (a fiber and a thread
 * are given the address, a process is sent the bytes through a pipe).
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "claim.h"

enum { FIBER_RUNS = 100 * 1000, ROUNDS = 5000, STARTS = 300, BULK = 64 * 1024 };

static char bulk[BULK];

struct cost {
    const char *who;
    double start, round, hand; /* microseconds */
};

static double us_each(hob_time begin, int runs)
{
    return (double)(hob_now() - begin) / (double)HOB_US / runs;
}

/* What a pair of fibers share. */
struct fibers {
    hob_chan *there, *back;
    struct cost *cost;
};

static int nothing(void *unused)
{
    return 0;
}

static int start_fibers(struct cost *cost)
{
    hob_time begin = hob_now();
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.max_live = 1)); /* the next when one has ended */

    for (int i = 0; r == 0 && i < FIBER_RUNS; i++)
        r = hob_go(&g, nothing, NULL);
    r = hob_group_join(&g, r);
    cost->start = us_each(begin, FIBER_RUNS);
    return r;
}

/* Gets addresses, and says that it has them, until there are no more. */
static int fiber_peer(void *arg)
{
    struct fibers *f = arg;
    const char *p;
    int r;

    while ((r = hob_chan_recv(f->there, HOB_FOREVER, &p)) == 0)
        if ((r = hob_chan_send(f->back, &p, HOB_FOREVER)) < 0)
            break;
    return r == -EPIPE ? 0 : r;
}

static int switch_fibers(struct fibers *f)
{
    const char *p = bulk;
    hob_time begin;
    hob_group g;
    int r = hob_group_open(&g, NULL);

    if (r == 0)
        r = hob_go(&g, fiber_peer, f);
    begin = hob_now();
    for (int i = 0; r == 0 && i < FIBER_RUNS; i++) {
        r = hob_chan_send(f->there, &p, HOB_FOREVER);
        if (r == 0)
            r = hob_chan_recv(f->back, HOB_FOREVER, &p);
    }
    f->cost->round = f->cost->hand = us_each(begin, FIBER_RUNS); /* an address went along */
    hob_chan_close(f->there);
    return hob_group_join(&g, r);
}

static int fibers(void *cost)
{
    struct fibers f = {.cost = cost};
    int r = hob_chan_new(sizeof(char *), NULL, &f.there);

    if (r == 0)
        r = hob_chan_new(sizeof(char *), NULL, &f.back);
    if (r == 0)
        r = start_fibers(cost);
    if (r == 0)
        r = switch_fibers(&f);
    hob_chan_free(f.back);
    hob_chan_free(f.there);
    return r;
}

/* What a pair of threads or processes share: memory that fork does not copy. */
struct pair {
    sem_t there, back;
    int fds[2];     /* a pipe for the bytes */
    uint32_t bytes; /* how many come through it this time */
    bool stop;
};

static void *pair_peer(void *arg)
{
    static char taken[BULK];
    struct pair *p = arg;

    for (;;) {
        ssize_t n;
        while (sem_wait(&p->there) < 0)
            ;
        if (p->stop)
            return NULL;
        for (uint32_t at = 0; at < p->bytes; at += (uint32_t)n)
            if ((n = read(p->fds[0], taken, p->bytes - at)) <= 0)
                return NULL;
        sem_post(&p->back);
    }
}

static double pair_round(struct pair *p, uint32_t bytes)
{
    hob_time begin = hob_now();

    p->bytes = bytes;
    for (int i = 0; i < ROUNDS; i++) {
        sem_post(&p->there);
        if (bytes > 0)
            claim_check(write(p->fds[1], bulk, bytes) == bytes ? 0 : -EIO, "pipe");
        while (sem_wait(&p->back) < 0)
            ;
    }
    return us_each(begin, ROUNDS);
}

static struct pair *pair_new(void)
{
    struct pair *p =
        mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    claim_check(p == MAP_FAILED ? -ENOMEM : 0, "mmap");
    claim_check(pipe(p->fds) < 0 ? -errno : 0, "pipe");
    sem_init(&p->there, 1, 0);
    sem_init(&p->back, 1, 0);
    return p;
}

static void *thread_nothing(void *unused)
{
    return NULL;
}

static void threads(struct cost *cost)
{
    struct pair *p = pair_new();
    pthread_t thread;
    hob_time begin = hob_now();

    for (int i = 0; i < STARTS; i++) {
        claim_check(-pthread_create(&thread, NULL, thread_nothing, NULL), "thread");
        pthread_join(thread, NULL);
    }
    cost->start = us_each(begin, STARTS);
    claim_check(-pthread_create(&thread, NULL, pair_peer, p), "thread");
    cost->round = cost->hand = pair_round(p, 0); /* an address would go along in p */
    p->stop = true;
    sem_post(&p->there);
    pthread_join(thread, NULL);
}

/* A process that runs fn(arg) and ends. */
static int process(void *(*fn)(void *), void *arg)
{
    int pid = fork();

    claim_check(pid < 0 ? -errno : 0, "fork");
    if (pid == 0) {
        fn(arg);
        _exit(0);
    }
    return pid;
}

static void processes(struct cost *cost)
{
    struct pair *p = pair_new();
    hob_time begin = hob_now();
    int pid;

    for (int i = 0; i < STARTS; i++)
        waitpid(process(thread_nothing, NULL), NULL, 0);
    cost->start = us_each(begin, STARTS);
    pid = process(pair_peer, p);
    cost->round = pair_round(p, 0);
    cost->hand = pair_round(p, BULK);
    p->stop = true;
    sem_post(&p->there);
    waitpid(pid, NULL, 0);
}

int main(void)
{
    struct cost c[] = {{.who = "fiber"}, {.who = "thread"}, {.who = "process"}};

    processes(&c[2]); /* first: while there is no thread to fork */
    threads(&c[1]);
    claim_run(NULL, fibers, &c[0]);
    printf("microseconds  start and join     there and back    hand over 64 KB\n");
    for (int i = 0; i < 3; i++)
        printf("%-8s %11.2f %5.0fx %10.2f %5.0fx %10.2f %5.0fx\n", c[i].who, c[i].start,
               c[i].start / c[0].start, c[i].round, c[i].round / c[0].round, c[i].hand,
               c[i].hand / c[0].hand);
    return 0;
}

/* SPDX-License-Identifier: MIT
 *
 * wake_eventfd.c - how long a thread asleep on an eventfd takes to run, once it is written to
 *
 * usage: wake_eventfd   prints "wake_asleep NS ns", the median
 *
 * What the kernel gives anybody: two threads that the kernel places as it likes, as it does
 * hob's loops; the sleeper in epoll_wait, a millisecond between wakes.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { WAKES = 1000 };

static _Atomic(int64_t) sent;
static atomic_int n_woken; /* one wake is under way at a time */
static int64_t late[WAKES];
static int fd;

static int64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void *sleeper(void *arg)
{
    int ep = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN};
    uint64_t n;

    (void)arg;
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
    for (int i = 0; i < WAKES; i++) {
        while (epoll_wait(ep, &e, 1, -1) != 1)
            continue;
        late[i] = now() - atomic_load(&sent);
        if (read(fd, &n, sizeof n) != sizeof n)
            abort();
        atomic_store(&n_woken, i + 1);
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

int main(void)
{
    const struct timespec ms = {.tv_nsec = 1000000};
    pthread_t thread;
    uint64_t one = 1;

    fd = eventfd(0, 0);
    if (fd < 0 || pthread_create(&thread, NULL, sleeper, NULL) != 0)
        return 1;
    for (int i = 0; i < WAKES; i++) {
        nanosleep(&ms, NULL);
        atomic_store(&sent, now());
        if (write(fd, &one, sizeof one) != sizeof one)
            return 1;
        while (atomic_load(&n_woken) <= i)
            sched_yield();
    }
    pthread_join(thread, NULL);
    qsort(late, WAKES, sizeof late[0], compare);
    printf("wake_asleep %lld ns\n", (long long)late[WAKES / 2]);
    return 0;
}

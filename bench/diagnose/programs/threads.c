/* SPDX-License-Identifier: MIT
 *
 * threads.c - N threads that compute, compute under one lock, read a file past the cache, hand one
 * byte to each other on one core (at once, or after 50 us), or wait to be told to end
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS_MAX = 10000, BLOCK = 4096, STACK = 65536 };

static int n_threads, n_pieces, fd;
static off_t n_blocks;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ends = PTHREAD_COND_INITIALIZER;
static bool over;
static int pipes[2][2];
static volatile uint64_t sink;

static long between; /* steps that a thread computes before it hands its byte on */

static void burn_steps(long n)
{
    uint64_t s = 1;

    for (long i = 0; i < n; i++)
        s = s * 6364136223846793005u + (uint64_t)i;
    sink = s;
}

static void burn(int ms)
{
    burn_steps(ms * 400000L);
}

static void *compute(void *arg)
{
    for (int i = 0; i < n_pieces / n_threads; i++)
        burn(10);
    return arg;
}

static void *compute_locked(void *arg)
{
    for (int i = 0; i < n_pieces / n_threads; i++) {
        pthread_mutex_lock(&lock);
        burn(10);
        pthread_mutex_unlock(&lock);
    }
    return arg;
}

static void *read_blocks(void *arg)
{
    unsigned seed = (unsigned)(intptr_t)arg * 7919 + 1;
    void *block;

    if (posix_memalign(&block, BLOCK, BLOCK) != 0)
        abort();
    for (int i = 0; i < n_pieces / n_threads; i++) {
        seed = seed * 1103515245 + 12345;
        if (pread(fd, block, BLOCK, (off_t)(seed >> 4) % n_blocks * BLOCK) < 0)
            abort();
    }
    free(block);
    return arg;
}

/* The most switches that a core can do: each of the two threads waits for the other's byte. */
static void *hand_over(void *arg)
{
    int me = (intptr_t)arg % 2;
    char byte = 0;

    if (me == 0 && write(pipes[1][1], &byte, 1) < 0)
        abort();
    for (int i = 0; i < n_pieces; i++) {
        if (read(pipes[me][0], &byte, 1) != 1)
            abort();
        burn_steps(between);
        if (write(pipes[!me][1], &byte, 1) != 1)
            abort();
    }
    return arg;
}

static void hand_over_begin(void)
{
    cpu_set_t usable, last;

    if (pipe(pipes[0]) < 0 || pipe(pipes[1]) < 0)
        abort();
    sched_getaffinity(0, sizeof usable, &usable);
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--) {
        if (!CPU_ISSET(cpu, &usable))
            continue;
        CPU_ZERO(&last);
        CPU_SET(cpu, &last);
        sched_setaffinity(0, sizeof last, &last);
        return;
    }
}

static void *wait_for_end(void *arg)
{
    pthread_mutex_lock(&lock);
    while (!over)
        pthread_cond_wait(&ends, &lock);
    pthread_mutex_unlock(&lock);
    return arg;
}

/* n_pieces ms after the last has begun. */
static void end_waits(void)
{
    usleep((useconds_t)n_pieces * 1000);
    pthread_mutex_lock(&lock);
    over = true;
    pthread_cond_broadcast(&ends);
    pthread_mutex_unlock(&lock);
}

int main(int argc, char *argv[])
{
    void *(*run)(void *) = compute;
    static pthread_t thread[THREADS_MAX];
    pthread_attr_t attr;

    if (argc < 4)
        return 2;
    n_threads = atoi(argv[2]);
    n_pieces = atoi(argv[3]);
    if (n_threads < 1 || n_threads > THREADS_MAX)
        return 2;
    if (strcmp(argv[1], "lock") == 0)
        run = compute_locked;
    if (strcmp(argv[1], "read") == 0) {
        run = read_blocks;
        fd = open(argv[4], O_RDONLY | O_DIRECT | O_CLOEXEC);
        n_blocks = fd < 0 ? 0 : lseek(fd, 0, SEEK_END) / BLOCK;
        if (n_blocks < 1)
            return 1;
    }
    if (strcmp(argv[1], "turns") == 0)
        between = 20000;
    if (strcmp(argv[1], "hand") == 0 || between) {
        run = hand_over;
        n_threads = 2;
        hand_over_begin();
    }
    if (strcmp(argv[1], "idle") == 0)
        run = wait_for_end;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    for (int i = 0; i < n_threads; i++)
        if (pthread_create(&thread[i], &attr, run, (void *)(intptr_t)i) != 0)
            return 1;
    if (run == wait_for_end)
        end_waits();
    for (int i = 0; i < n_threads; i++)
        pthread_join(thread[i], NULL);
    return 0;
}

/* SPDX-License-Identifier: MIT
 *
 * threads.c - N threads that compute, compute under one lock, or read a file past the cache
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS_MAX = 64, BLOCK = 4096 };

static int n_threads, n_pieces, fd;
static off_t n_blocks;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static volatile uint64_t sink;

static void burn(int ms)
{
    uint64_t s = 1;

    for (long i = 0; i < ms * 400000L; i++)
        s = s * 6364136223846793005u + (uint64_t)i;
    sink = s;
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

int main(int argc, char *argv[])
{
    void *(*run)(void *) = compute;
    pthread_t thread[THREADS_MAX];

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
    for (int i = 0; i < n_threads; i++)
        if (pthread_create(&thread[i], NULL, run, (void *)(intptr_t)i) != 0)
            return 1;
    for (int i = 0; i < n_threads; i++)
        pthread_join(thread[i], NULL);
    return 0;
}

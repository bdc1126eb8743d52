/* SPDX-License-Identifier: MIT
 *
 * threads.c - which threads of the process are not hob's: see threads.h
 *
 * HOW         The kernel's list of threads, less those that counted themselves.  Read once in a
 *             long while, by a loop that has had nothing to do.
 */
#include "plat/threads.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

_Atomic(int) hob__threads_own;

/* The kernel's own workers for io_uring stand in the list of the process they work for. */
static bool is_ring_worker(const char *tid)
{
    char path[64], name[16] = "";

    snprintf(path, sizeof path, "/proc/self/task/%.20s/comm", tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return true; /* it has ended meanwhile */
    ssize_t n = read(fd, name, sizeof name - 1);
    close(fd);
    return n > 4 && memcmp(name, "iou-", 4) == 0;
}

unsigned hob__threads_foreign(void)
{
    int own = atomic_load_explicit(&hob__threads_own, memory_order_relaxed);
    DIR *d = opendir("/proc/self/task");
    struct dirent *e;
    int n = 0;

    if (!d)
        return UINT_MAX;
    while ((e = readdir(d)))
        n += e->d_name[0] != '.' && !is_ring_worker(e->d_name);
    closedir(d);
    return n > own ? (unsigned)(n - own) : 0;
}

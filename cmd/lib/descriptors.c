/* SPDX-License-Identifier: MIT
 *
 * descriptors.c - how many requests at once the limit of the process allows
 */
#include "lib/descriptors.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>

/* A loop, its poller and wake-up, a database with its log and lock, rows, a terminal; threads that
 * look names up.  Measured at 13 to 25. */
enum { DESCRIPTORS_SPARE = 32 };

static rlim_t descriptors_open(void)
{
    DIR *dir = opendir("/proc/self/fd");
    rlim_t n = 0;

    if (!dir)
        return 3;
    while (readdir(dir))
        n++;
    closedir(dir);
    return n > 3 ? n - 3 : 0; /* ".", "..", and the one it was read by */
}

int64_t descriptors_for(int64_t n, unsigned each)
{
    rlim_t spare = descriptors_open() + DESCRIPTORS_SPARE, want = (rlim_t)n * each + spare;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return n;
    if (limit.rlim_cur < want && limit.rlim_cur < limit.rlim_max) {
        struct rlimit more = {.rlim_cur = want < limit.rlim_max ? want : limit.rlim_max,
                              .rlim_max = limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &more) == 0)
            limit = more;
    }
    if (limit.rlim_cur >= want)
        return n;
    return limit.rlim_cur > spare ? (int64_t)((limit.rlim_cur - spare) / each) : 0;
}

int64_t descriptors_cap(const char *command, int64_t n, unsigned each)
{
    int64_t room = descriptors_for(n, each);
    struct rlimit limit = {0};

    if (room >= n)
        return n;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (room == 0)
        fprintf(stderr, "%s: %llu file descriptors are too few to begin; see ulimit -n\n", command,
                (unsigned long long)limit.rlim_cur);
    else
        fprintf(stderr,
                "%s: %llu file descriptors are enough for %lld at once, not %lld; see "
                "ulimit -n\n",
                command, (unsigned long long)limit.rlim_cur, (long long)room, (long long)n);
    return room;
}

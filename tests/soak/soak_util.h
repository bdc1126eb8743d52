/* SPDX-License-Identifier: MIT
 *
 * soak_util.h - what a process holds, and numbers a soak may be given from outside
 */
#ifndef SOAK_UTIL_H
#define SOAK_UTIL_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/t.h"

/* A sanitizer's runtime keeps for a time what was freed: then RSS says nothing. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

struct held {
    long rss; /* bytes */
    int fds;
    int threads;
};

static inline int soak_entries(const char *dir)
{
    DIR *d = opendir(dir);
    int n = -3; /* ".", ".." and, of descriptors, d's own */

    CHECK(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static inline struct held soak_held(void)
{
    struct held h = {.fds = soak_entries("/proc/self/fd"),
                     .threads = soak_entries("/proc/self/task") + 1};
    char text[128] = "";
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    long pages;

    CHECK(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
    close(fd);
    CHECK_INT(sscanf(text, "%*d %ld", &pages), 1);
    h.rss = pages * sysconf(_SC_PAGESIZE);
    return h;
}

/* The environment's number of that name; else `usual`. */
static inline long soak_number(const char *name, long usual)
{
    const char *text = getenv(name);
    char *end;

    if (!text || !*text)
        return usual;
    long n = strtol(text, &end, 10);
    if (*end || n < 1)
        t_fail(__FILE__, __LINE__, "%s=%s: not a number of at least 1", name, text);
    return n;
}

/* As many descriptors as this process may have. */
static inline long soak_descriptors(void)
{
    struct rlimit r;

    CHECK(getrlimit(RLIMIT_NOFILE, &r) == 0);
    r.rlim_cur = r.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &r) == 0);
    return r.rlim_cur > 1 << 20 ? 1 << 20 : (long)r.rlim_cur;
}

#endif

/* SPDX-License-Identifier: MIT
 *
 * env.c - the real environment: the machine's clock, randomness and pollers
 */
#include "plat/env.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

#include "base/assert.h"

static hob_time env_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (hob_time)t.tv_sec * HOB_SEC + t.tv_nsec;
}

static uint64_t env_random(void)
{
    uint64_t x = 0;

    /* Short only if interrupted before the pool is seeded, at boot: then the clock will do. */
    if (getrandom(&x, sizeof x, 0) != sizeof x)
        x = (uint64_t)env_now() * 0x9e3779b97f4a7c15u;
    return x;
}

int hob__thread_sleep(hob_time until)
{
    struct timespec t = {.tv_sec = (time_t)(until / HOB_SEC), .tv_nsec = (long)(until % HOB_SEC)};

    if (hob__env->sim)
        return -EPERM;
    if (hob__env->on_job && hob__env->on_job())
        return HOB_MISUSE_OF("hob_sleep", -EDEADLK, "a job of the pool sleeps");
    while (until > 0 && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        continue;
    return 0;
}

hob_dur hob__thread_cpu(void)
{
    struct timespec t;

    if (hob__env->sim)
        return hob__env->now();
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (hob_dur)t.tv_sec * HOB_SEC + t.tv_nsec;
}

struct hob_env hob__env_real = {
    .name = "real",
    .now = env_now,
    .random = env_random,
    .poll_open = hob__poll_open,
    .sock = &hob__sock_real,
    .file = &hob__file_real,
};

struct hob_env *hob__env = &hob__env_real;

/* SPDX-License-Identifier: MIT
 *
 * env.c - the real environment: the machine's clock, randomness and pollers
 */
#include "plat/env.h"

#include <sys/random.h>
#include <time.h>

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
};

struct hob_env *hob__env = &hob__env_real;

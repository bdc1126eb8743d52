/* SPDX-License-Identifier: MIT */
#include "pool/deque.h"

#include <pthread.h>

#include "lib/t.h"

/* Jobs are only addresses here. */
static struct job *job_at(size_t i)
{
    return (struct job *)(i * 16 + 16);
}

static size_t job_index(struct job *j)
{
    return (size_t)j / 16 - 1;
}

TEST(owner_takes_the_newest_thief_the_oldest)
{
    static struct deque d;

    deque_init(&d);
    CHECK(deque_pop(&d) == NULL);
    CHECK(deque_steal(&d, NULL, 0) == NULL);
    for (size_t i = 0; i < 3; i++)
        CHECK(deque_push(&d, job_at(i)));
    CHECK_INT(deque_size(&d), 3);
    CHECK(deque_pop(&d) == job_at(2));
    CHECK(deque_steal(&d, NULL, 0) == job_at(0));
    CHECK(deque_pop(&d) == job_at(1));
    CHECK(deque_pop(&d) == NULL);
    CHECK_INT(deque_size(&d), 0);
}

TEST(push_to_a_full_deque_is_refused)
{
    static struct deque d;

    deque_init(&d);
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < DEQUE_SLOTS; i++)
            CHECK(deque_push(&d, job_at(i)));
        CHECK(!deque_push(&d, job_at(DEQUE_SLOTS)));
        CHECK(deque_steal(&d, NULL, 0) == job_at(0));
        CHECK(deque_push(&d, job_at(DEQUE_SLOTS)));
        CHECK(!deque_push(&d, job_at(0)));
        for (size_t i = DEQUE_SLOTS; i >= 1; i--)
            CHECK(deque_pop(&d) == job_at(i));
        CHECK(deque_pop(&d) == NULL);
    }
}

TEST(steal_stops_when_it_is_over)
{
    static struct deque d;
    atomic_uint over = 1;

    deque_init(&d);
    CHECK(deque_push(&d, job_at(0)));
    CHECK(deque_steal(&d, &over, 1) == NULL);
    CHECK(deque_steal(&d, &over, 2) == job_at(0));
}

enum { N_JOBS = 60000, N_THIEVES = 3 };

static struct deque shared;
static atomic_uint taken[N_JOBS];
static atomic_size_t n_taken;

static void take(struct job *j)
{
    CHECK_INT(atomic_fetch_add(&taken[job_index(j)], 1), 0);
    atomic_fetch_add(&n_taken, 1);
}

static void *thief_main(void *unused)
{
    (void)unused;
    while (atomic_load(&n_taken) < N_JOBS) {
        struct job *j = deque_steal(&shared, NULL, 0);

        if (j)
            take(j);
    }
    return NULL;
}

TEST(each_job_is_taken_once)
{
    pthread_t t[N_THIEVES];
    unsigned dice = 1;

    deque_init(&shared);
    for (int i = 0; i < N_THIEVES; i++)
        CHECK(pthread_create(&t[i], NULL, thief_main, NULL) == 0);
    for (size_t next = 0; next < N_JOBS || atomic_load(&n_taken) < N_JOBS;) {
        dice = dice * 1664525 + 1013904223;
        if (next < N_JOBS && dice >> 30 != 0 && deque_push(&shared, job_at(next))) {
            next++;
        } else {
            struct job *j = deque_pop(&shared);

            if (j)
                take(j);
        }
    }
    for (int i = 0; i < N_THIEVES; i++)
        CHECK(pthread_join(t[i], NULL) == 0);
    CHECK(deque_pop(&shared) == NULL);
}

/* SPDX-License-Identifier: MIT */
#include <hob/pool.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/t.h"
#include "pool/pool.h"
#include "pool/worker.h"

/* ThreadSanitizer would end a child that starts threads; what it then cannot see is only that
 * child's. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "die_after_fork=0";
}

static void cores(unsigned n)
{
    char text[16];

    snprintf(text, sizeof text, "%u", n);
    setenv("HOB_CORES", text, 1);
}

enum { N_MARKS = 200000 };

static atomic_uchar marks[N_MARKS];

/* Something for the compiler to leave in. */
static void burn(unsigned n)
{
    for (volatile unsigned i = 0; i < n; i++)
        ;
}

static int mark(size_t begin, size_t end, void *arg)
{
    unsigned cost = arg ? *(unsigned *)arg : 0;

    CHECK(begin < end);
    CHECK(hob__pool_on_worker());
    for (size_t i = begin; i < end; i++) {
        burn(cost);
        atomic_fetch_add_explicit(&marks[i], 1, memory_order_relaxed);
    }
    return 0;
}

static void check_marks(size_t n, unsigned times)
{
    for (size_t i = 0; i < n; i++) {
        CHECK_INT(marks[i], times);
        atomic_store(&marks[i], 0);
    }
}

/* Short, odd and long ranges, cheap and dear items, any grain: each index once. */
static void check_each_index_once(unsigned workers)
{
    static const size_t sizes[] = {1, 2, 3, 7, 31, 32, 33, 1000, 20011};
    static const size_t grains[] = {0, 1, 3, 64, 5000, SIZE_MAX};
    unsigned cost;

    cores(workers);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        for (size_t g = 0; g < sizeof grains / sizeof *grains; g++) {
            cost = sizes[s] < 100 ? 20000 : 100;
            CHECK_INT(hob_for(0, sizes[s], mark, &cost, HOB_FOR_OPTS(.grain = grains[g])), 0);
            check_marks(sizes[s], 1);
        }
    }
    CHECK(!hob__pool_on_worker());
    hob__pool_stop();
}

TEST(each_index_once_on_1_worker)
{
    check_each_index_once(1);
}

TEST(each_index_once_on_2_workers)
{
    check_each_index_once(2);
}

TEST(each_index_once_on_4_workers)
{
    check_each_index_once(4);
}

TEST(each_index_once_on_8_workers)
{
    check_each_index_once(8);
}

TEST(the_pool_helps_with_a_long_range)
{
    struct pool_stats st;
    unsigned cost = 2000;

    cores(4);
    do { /* alone it would be luck on a machine with other things to do */
        CHECK_INT(hob_for(0, 20000, mark, &cost, NULL), 0);
        check_marks(20000, 1);
        hob__pool_stats(&st);
    } while (st.pieces == 0);
    hob__pool_stop();
}

static atomic_uint n_met;

/* Each item ends only when all have begun: a time-out unless each has its own thread. */
static int meet(size_t begin, size_t end, void *arg)
{
    unsigned all = *(unsigned *)arg;

    CHECK_INT(end - begin, 1);
    atomic_fetch_add(&n_met, 1);
    while (atomic_load(&n_met) < all)
        sched_yield();
    return 0;
}

TEST(a_few_items_are_shared_out_before_the_first_ends)
{
    for (unsigned n = 2; n <= 4; n++) {
        cores(n);
        atomic_store(&n_met, 0);
        CHECK_INT(hob_for(0, n, meet, &n, NULL), 0);
        hob__pool_stop();
    }
}

static atomic_uint n_inside, n_inside_max;

static int crowd(size_t begin, size_t end, void *arg)
{
    unsigned n = atomic_fetch_add(&n_inside, 1) + 1, max = atomic_load(&n_inside_max);

    while (n > max && !atomic_compare_exchange_weak(&n_inside_max, &max, n))
        ;
    mark(begin, end, arg);
    atomic_fetch_sub(&n_inside, 1);
    return 0;
}

TEST(no_more_threads_than_asked_for)
{
    unsigned cost = 5000;

    cores(8);
    for (unsigned max = 1; max <= 4; max++) {
        atomic_store(&n_inside_max, 0);
        CHECK_INT(hob_for(0, 2000, crowd, &cost, HOB_FOR_OPTS(.max_workers = max)), 0);
        check_marks(2000, 1);
        CHECK(n_inside_max <= max);
    }
    hob__pool_stop();
}

TEST(one_thread_asked_for_starts_no_pool)
{
    CHECK_INT(hob_for(0, 100, mark, NULL, HOB_FOR_OPTS(.max_workers = 1)), 0);
    check_marks(100, 1);
    CHECK_INT(hob__pool_workers(), 0);
}

static int aligned(size_t begin, size_t end, void *arg)
{
    size_t base = *(size_t *)arg;

    CHECK_INT((begin - base) % 64, 0);
    CHECK(end - begin == 64 || end == base + 10007);
    burn(5000);
    return 0;
}

TEST(chunks_of_a_given_grain_lie_on_its_grid)
{
    size_t base = 1000003;

    cores(4);
    for (int i = 0; i < 20; i++)
        CHECK_INT(hob_for(base, base + 10007, aligned, &base, HOB_FOR_OPTS(.grain = 64)), 0);
    hob__pool_stop();
}

/* Fails at each index of a set, as a body that does item after item: at the first of its chunk. */
static int fail_at(size_t begin, size_t end, void *arg)
{
    const size_t *bad = arg; /* ends with 0 */

    for (size_t i = begin; i < end; i++) {
        burn(500);
        atomic_fetch_add(&marks[i], 1);
        for (const size_t *b = bad; *b; b++)
            if (*b == i)
                return -(int)i;
    }
    return 0;
}

TEST(the_error_of_the_lowest_index_is_returned)
{
    size_t bad[] = {3500, 1200, 1201, 900, 3999, 0};

    for (unsigned workers = 1; workers <= 8; workers *= 2) {
        cores(workers);
        for (size_t grain = 0; grain < 100; grain += 33) {
            CHECK_INT(hob_for(0, 4000, fail_at, bad, HOB_FOR_OPTS(.grain = grain)), -900);
            for (size_t i = 0; i <= 900; i++) /* what a plain loop had done is done */
                CHECK_INT(marks[i], 1);
            for (size_t i = 0; i < 4000; i++)
                atomic_store(&marks[i], 0);
        }
        hob__pool_stop();
    }
}

TEST(an_error_stops_new_chunks)
{
    size_t bad[] = {1, 0}, n = 0;

    cores(2);
    CHECK_INT(hob_for(1, N_MARKS, fail_at, bad, HOB_FOR_OPTS(.grain = 1)), -1);
    for (size_t i = 0; i < N_MARKS; i++)
        n += marks[i];
    CHECK(n < N_MARKS / 2);
    hob__pool_stop();
}

static int good_above_zero(size_t begin, size_t end, void *arg)
{
    (void)arg;
    return (int)(end - begin);
}

TEST(a_positive_return_is_good)
{
    cores(2);
    CHECK_INT(hob_for(0, 1000, good_above_zero, NULL, NULL), 0);
    hob__pool_stop();
}

static size_t summed;

static int sum_sizes(size_t begin, size_t end, void *arg)
{
    (void)arg;
    __atomic_fetch_add(&summed, end - begin, __ATOMIC_RELAXED);
    return 0;
}

static int refuse(size_t begin, size_t end, void *arg)
{
    (void)end, (void)arg;
    return begin == 0 ? -ENOSPC : -EIO;
}

TEST(ranges_at_the_end_of_the_numbers)
{
    cores(2);
    CHECK_INT(hob_for(SIZE_MAX - 1000, SIZE_MAX, sum_sizes, NULL, NULL), 0);
    CHECK_INT(summed, 1000);
    CHECK_INT(hob_for(SIZE_MAX - 1000, SIZE_MAX, sum_sizes, NULL, HOB_FOR_OPTS(.grain = 999)), 0);
    CHECK_INT(summed, 2000);
    summed = 0;
    CHECK_INT(hob_for(0, SIZE_MAX, sum_sizes, NULL, HOB_FOR_OPTS(.grain = SIZE_MAX / 7)), 0);
    CHECK(summed == SIZE_MAX);
    CHECK_INT(hob_for(0, SIZE_MAX, refuse, NULL, NULL), -ENOSPC);
    CHECK_INT(hob_for(0, SIZE_MAX, refuse, NULL, HOB_FOR_OPTS(.grain = 1)), -ENOSPC);
    hob__pool_stop();
}

TEST(bad_arguments)
{
    struct {
        struct hob_for_opts known;
        int newer;
    } long_opts = {.known.size = sizeof long_opts};

    CHECK_INT(hob_for(2, 1, mark, NULL, NULL), -EINVAL);
    CHECK_INT(hob_for(1, 2, NULL, NULL, NULL), -EINVAL);
    CHECK_INT(hob_for(5, 5, mark, NULL, NULL), 0);
    CHECK_INT(hob_for(0, 5, mark, NULL, &long_opts.known), 0);
    long_opts.newer = 1;
    CHECK_INT(hob_for(0, 5, mark, NULL, &long_opts.known), -E2BIG);
    CHECK_INT(hob_for(0, 5, mark, NULL, &(struct hob_for_opts){.size = 0}), -EINVAL);
    check_marks(5, 1);
    hob__pool_stop();
}

/* A lock held over a nested call: the thread that waits inside must not take another row, which
 * would ask for the same lock.  One lock for two rows makes that likely if it were possible. */
static pthread_mutex_t row_lock[2] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER};

static int nested_row(size_t begin, size_t end, void *arg)
{
    for (size_t row = begin; row < end; row++) {
        CHECK_INT(pthread_mutex_lock(&row_lock[row % 2]), 0);
        CHECK_INT(hob_for(row * 500, (row + 1) * 500, mark, arg, NULL), 0);
        CHECK_INT(pthread_mutex_unlock(&row_lock[row % 2]), 0);
    }
    return 0;
}

TEST(nested_calls_run_only_their_own_pieces_while_they_wait)
{
    unsigned cost = 300;

    for (unsigned workers = 1; workers <= 8; workers *= 2) {
        cores(workers);
        CHECK_INT(hob_for(0, 100, nested_row, &cost, NULL), 0);
        check_marks(100 * 500, 1);
        hob__pool_stop();
    }
}

static int tree(size_t begin, size_t end, void *arg)
{
    size_t depth = *(size_t *)arg;

    for (size_t i = begin; i < end; i++) {
        size_t next = depth - 1;

        burn(200);
        __atomic_fetch_add(&summed, 1, __ATOMIC_RELAXED);
        if (depth > 1)
            CHECK_INT(hob_for(0, 4, tree, &next, NULL), 0);
    }
    return 0;
}

TEST(deep_nesting)
{
    size_t depth = 6;

    cores(4);
    CHECK_INT(hob_for(0, 4, tree, &depth, NULL), 0);
    CHECK_INT(summed, 4 + 16 + 64 + 256 + 1024 + 4096);
    hob__pool_stop();
}

enum { N_GUESTS = 6 };

static void *guest_main(void *arg)
{
    unsigned cost = 200;
    size_t at = (size_t)arg * 10000;

    for (int i = 0; i < 10; i++)
        CHECK_INT(hob_for(at, at + 10000, mark, &cost, NULL), 0);
    return NULL;
}

TEST(many_threads_call_at_once)
{
    pthread_t t[N_GUESTS];

    cores(3);
    for (size_t i = 0; i < N_GUESTS; i++)
        CHECK(pthread_create(&t[i], NULL, guest_main, (void *)i) == 0);
    for (size_t i = 0; i < N_GUESTS; i++)
        CHECK(pthread_join(t[i], NULL) == 0);
    check_marks(N_GUESTS * 10000, 10);
    hob__pool_stop();
}

TEST(without_a_free_seat_the_caller_works_alone)
{
    cores(2);
    for (int i = 0; i < POOL_GUESTS_MAX; i++)
        CHECK(hob__seat_take() != NULL);
    CHECK(hob__seat_take() == NULL);
    CHECK_INT(hob_for(0, 1000, mark, NULL, NULL), 0);
    check_marks(1000, 1);
    hob__pool_stop();
}

struct whole {
    struct env_work work;
    atomic_int result;
};

static void whole_run(struct env_work *w)
{
    unsigned cost = 200;

    atomic_store(&container_of(w, struct whole, work)->result,
                 hob_for(0, 20000, mark, &cost, NULL));
}

TEST(from_submitted_work)
{
    for (unsigned workers = 1; workers <= 4; workers++) {
        struct whole w = {.work.run = whole_run, .result = 1};

        cores(workers);
        CHECK_INT(hob__pool_submit(&w.work), 0);
        while (atomic_load(&w.result) == 1)
            sched_yield();
        CHECK_INT(w.result, 0);
        check_marks(20000, 1);
        hob__pool_stop();
    }
}

TEST(in_a_forked_child)
{
    struct pool_stats st;
    unsigned cost = 200;
    int status;

    cores(3);
    CHECK_INT(hob_for(0, 20000, mark, &cost, NULL), 0);
    check_marks(20000, 1);
    do { /* AddressSanitizer's allocator is not fork-safe: a thread being born may hold its lock */
        sched_yield();
        hob__pool_stats(&st);
    } while (st.n_asleep < 3);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK_INT(hob_for(0, 20000, mark, &cost, NULL), 0);
        check_marks(20000, 1);
        hob__pool_stop();
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK_INT(status, 0);
    CHECK_INT(hob_for(0, 20000, mark, &cost, NULL), 0);
    check_marks(20000, 1);
    hob__pool_stop();
}

static pthread_t seen_thread;
static size_t seen_next;

static int in_order(size_t begin, size_t end, void *arg)
{
    (void)arg;
    CHECK_INT(begin, seen_next);
    CHECK(pthread_equal(seen_thread, pthread_self()));
    seen_next = end;
    return 0;
}

TEST(simulated_it_is_a_plain_loop)
{
    struct hob_env sim = hob__env_real;
    size_t bad[] = {3500, 900, 0};

    sim.sim = true;
    hob__env = &sim;
    seen_thread = pthread_self();
    CHECK_INT(hob_for(0, 10000, in_order, NULL, NULL), 0);
    CHECK_INT(seen_next, 10000);
    seen_next = 0;
    CHECK_INT(hob_for(0, 10000, in_order, NULL, HOB_FOR_OPTS(.grain = 7)), 0);
    CHECK_INT(seen_next, 10000);
    CHECK_INT(hob_for(0, 4000, fail_at, bad, HOB_FOR_OPTS(.grain = 50)), -900);
    CHECK_INT(hob__pool_workers(), 0);
}

static unsigned n_handed_over;

static bool hand_over(hob_fn fn, void *arg, int *ret)
{
    n_handed_over++;
    *ret = fn(arg);
    return true;
}

static bool hand_nothing_over(hob_fn fn, void *arg, int *ret)
{
    (void)fn, (void)arg, (void)ret;
    n_handed_over++;
    return false;
}

static bool hand_over_cancelled(hob_fn fn, void *arg, int *ret)
{
    (void)fn, (void)arg;
    *ret = -ECANCELED;
    return true;
}

TEST(the_fiber_hook_is_asked_outside_of_jobs_only)
{
    size_t depth = 3;

    cores(2);
    hob__pool_set_fiber_hook(hand_over);
    CHECK_INT(hob_for(0, 4, tree, &depth, NULL), 0);
    CHECK_INT(summed, 4 + 16 + 64);
    CHECK_INT(n_handed_over, 1);
    hob__pool_set_fiber_hook(hand_nothing_over);
    CHECK_INT(hob_for(0, 1000, mark, NULL, NULL), 0);
    CHECK_INT(n_handed_over, 2);
    hob__pool_set_fiber_hook(hand_over_cancelled);
    CHECK_INT(hob_for(1000, 2000, mark, NULL, NULL), -ECANCELED);
    check_marks(1000, 1);
    CHECK_INT(marks[1000], 0);
    hob__pool_stop();
}

TEST(cores_is_at_least_one)
{
    unsetenv("HOB_CORES");
    CHECK(hob_cores() >= 1);
    cores(5);
    CHECK_INT(hob_cores(), 5);
}

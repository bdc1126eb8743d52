/* SPDX-License-Identifier: MIT
 *
 * pool.c - what the pool costs: submission, regions, nested calls, and a loop over ten million
 *
 * WHAT    submit       handing over an empty job, a burst of them, from outside
 *         round_trip   one job there and its end seen here, workers awake
 *         region       hob_for of 1000 additions: nothing to gain
 *         fib          a tree of nested hob_for(0, 2), a node
 *         for_10m      x*x + sqrt(x) over ten million doubles: the article's Pool.map
 *
 * HOW     Subjects alternate, run by run; the plain loop is there as the yardstick, and libgomp
 *         when this was built with OpenMP.  Between runs it waits until threads of both have
 *         stopped spinning.  `pool RUNS` changes 7.
 */
#include <math.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include <hob/pool.h>

#include "pool/pool.h"
#include "row.h"

enum { N_JOBS = 100000, N_TRIPS = 20000, N_REGIONS = 20000, REGION = 1000, FIB = 22 };
enum { N_BIG = 10000000, N_REGIONS_GOMP = 500 /* its spinning takes ms each on a busy machine */ };

static double *in, *out;
static long region_sum[REGION];
static atomic_uint n_ended;

static void empty_run(struct env_work *w)
{
    (void)w;
    atomic_fetch_add_explicit(&n_ended, 1, memory_order_release);
}

static double bench_submit(void)
{
    static struct env_work jobs[N_JOBS];

    atomic_store(&n_ended, 0);
    double begin = row_now();
    for (int i = 0; i < N_JOBS; i++) {
        jobs[i].run = empty_run;
        hob__pool_submit(&jobs[i]);
    }
    double handed = row_now() - begin;
    while (atomic_load_explicit(&n_ended, memory_order_acquire) < N_JOBS)
        sched_yield();
    return handed * 1e9 / N_JOBS;
}

static double bench_round_trip(void)
{
    struct env_work w = {.run = empty_run};

    double begin = row_now();
    for (unsigned i = 1; i <= N_TRIPS; i++) {
        atomic_store(&n_ended, 0);
        hob__pool_submit(&w);
        while (atomic_load_explicit(&n_ended, memory_order_acquire) == 0)
            ;
    }
    return (row_now() - begin) * 1e9 / N_TRIPS;
}

static int region_body(size_t begin, size_t end, void *arg)
{
    long add = *(long *)arg;

    for (size_t i = begin; i < end; i++)
        region_sum[i] += add;
    return 0;
}

static double bench_region_hob(void)
{
    double begin = row_now();
    for (long r = 0; r < N_REGIONS; r++)
        if (hob_for(0, REGION, region_body, &r, NULL) < 0)
            abort();
    return (row_now() - begin) * 1e9 / N_REGIONS;
}

static double bench_region_plain(void)
{
    double begin = row_now();
    for (long r = 0; r < N_REGIONS; r++) {
        region_body(0, REGION, &r);
        __asm__ volatile("" ::: "memory");
    }
    return (row_now() - begin) * 1e9 / N_REGIONS;
}

struct fib {
    int n;
    long value[2];
};

static int fib_body(size_t begin, size_t end, void *arg)
{
    struct fib *f = arg;

    for (size_t i = begin; i < end; i++) {
        struct fib below = {.n = f->n - 1 - (int)i};

        if (below.n < 2) {
            f->value[i] = below.n;
            continue;
        }
        if (hob_for(0, 2, fib_body, &below, NULL) < 0)
            return -1;
        f->value[i] = below.value[0] + below.value[1];
    }
    return 0;
}

static double bench_fib(void)
{
    struct fib f = {.n = FIB};

    double begin = row_now();
    if (hob_for(0, 2, fib_body, &f, NULL) < 0)
        abort();
    double spent = row_now() - begin;
    long nodes = 0, next = 1; /* calls that branch: fib(n + 1) - 1 */
    for (int i = 0; i <= FIB; i++) {
        long sum = nodes + next;

        nodes = next;
        next = sum;
    }
    return spent * 1e9 / (double)(nodes - 1);
}

static int big_body(size_t begin, size_t end, void *arg)
{
    (void)arg;
    for (size_t i = begin; i < end; i++)
        out[i] = in[i] * in[i] + sqrt(in[i]);
    return 0;
}

static double bench_big_plain(void)
{
    double begin = row_now();
    big_body(0, N_BIG, NULL);
    return (row_now() - begin) * 1e3;
}

static double bench_big_hob(void)
{
    double begin = row_now();
    if (hob_for(0, N_BIG, big_body, NULL, NULL) < 0)
        abort();
    return (row_now() - begin) * 1e3;
}

#ifdef _OPENMP
static double bench_region_gomp(void)
{
    double begin = row_now();
    for (long r = 0; r < N_REGIONS_GOMP; r++) {
#pragma omp parallel for schedule(static)
        for (int i = 0; i < REGION; i++)
            region_sum[i] += r;
    }
    return (row_now() - begin) * 1e9 / N_REGIONS_GOMP;
}

static double bench_big_gomp(void)
{
    double begin = row_now();
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < N_BIG; i++)
        out[i] = in[i] * in[i] + sqrt(in[i]);
    return (row_now() - begin) * 1e3;
}
#endif

static const struct {
    const char *bench, *subject, *unit;
    double (*run)(void);
} list[] = {
    {"pool_submit", "hob", "ns", bench_submit},
    {"pool_round_trip", "hob", "ns", bench_round_trip},
    {"pool_fib", "hob", "ns/node", bench_fib},
    {"pool_region", "plain loop", "ns", bench_region_plain},
    {"pool_region", "hob", "ns", bench_region_hob},
#ifdef _OPENMP
    {"pool_region", "libgomp", "ns", bench_region_gomp},
#endif
    {"pool_for_10m", "plain loop", "ms", bench_big_plain},
    {"pool_for_10m", "hob", "ms", bench_big_hob},
#ifdef _OPENMP
    {"pool_for_10m", "libgomp", "ms", bench_big_gomp},
#endif
};

enum { N_LIST = sizeof list / sizeof *list };

int main(int argc, char **argv)
{
    static struct row rows[N_LIST];
    int runs = argc > 1 ? atoi(argv[1]) : 7;

    in = malloc(N_BIG * sizeof *in);
    out = malloc(N_BIG * sizeof *out);
    if (!in || !out)
        return 2;
    for (size_t i = 0; i < N_BIG; i++)
        in[i] = (double)i, out[i] = 0;
    for (int run = -1; run < runs; run++) { /* the first warms up */
        for (int i = 0; i < N_LIST; i++) {
            double value = list[i].run();

            if (run < 0)
                rows[i] = (struct row){list[i].bench, list[i].subject, list[i].unit, {0}, 0};
            else
                row_add(&rows[i], value);
            usleep(20000);
        }
    }
    for (int i = 0; i < N_LIST; i++)
        row_print(&rows[i], hob_cores());
    hob__pool_stop();
    free(in);
    free(out);
    return 0;
}

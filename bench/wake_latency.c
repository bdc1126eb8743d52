/* SPDX-License-Identifier: MIT
 *
 * wake_latency.c - how late a loop wakes beside a pool that uses every core
 *
 * WHAT    A fiber under hob_run sleeps 0.5 ms, notes how late it woke, and works for a turn of 20
 *         or of 200 us; other fibers keep every worker of the pool computing meanwhile.  Once with
 *         .no_slice and .no_pool_nice, once with both tunings: a short slice for the loop, a nice
 *         value for the pool.  The figure is the 99.9th percentile of a round; the timer's grain
 *         (65.5 us) is in it.
 *
 * HOW     Rounds of the subjects alternate, each in a process of its own: a nice value does not
 *         go down again without privilege.  Other programs that compute take the loop's turns as
 *         well, and a pool at nice 19 gives way to them: a round in which they used more than
 *         a tenth of a core is tried again, up to RETRIES times, then taken as it is and
 *         counted as disturbed.  `wake_latency --all` adds each tuning alone; `--rounds N`,
 *         `--seconds N` change 5 and 2.  Standard error says how the
 *         goal (0.2 of the untuned) is met.
 */
#include <getopt.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hob/hob.h>

#include "row.h"

enum { PERIOD_US = 500, WAKES_MAX = 1 << 16, N_SUBJECTS = 4, N_TURNS = 2, GOAL_PERCENT = 20 };
enum { RETRIES = 10, OTHERS_PERCENT = 10 };

struct subject {
    const char *name;
    bool slice, nice;
};

static const struct subject subjects[N_SUBJECTS] = {
    {"untuned", false, false},
    {"hob", true, true},
    {"slice only", true, false},
    {"nice only", false, true},
};

/* What a round's process hands back. */
struct result {
    double p999_us, pool_speed;
    double others; /* cores that other programs used meanwhile */
};

static atomic_bool stop;
static atomic_ulong steps;

static int burner_job(void *arg)
{
    unsigned long x = (unsigned long)(uintptr_t)arg;

    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        for (int i = 0; i < 1000; i++)
            x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ul;
        atomic_fetch_add_explicit(&steps, 1 + (x == 0), memory_order_relaxed);
    }
    return 0;
}

static int burner_fiber(void *arg)
{
    return hob_offload(burner_job, arg, HOB_FOREVER);
}

/* Core seconds that every program here has used since the machine started, in ticks. */
static double machine_busy(void)
{
    double user = 0, nice = 0, system = 0, rest[5] = {0};
    FILE *f = fopen("/proc/stat", "re");

    if (f && fscanf(f, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &user, &nice, &system, &rest[0],
                    &rest[1], &rest[2], &rest[3], &rest[4]) < 3)
        user = nice = system = 0;
    if (f)
        fclose(f);
    return (user + nice + system) / (double)sysconf(_SC_CLK_TCK);
}

static double own_busy(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

struct round {
    double turn, seconds; /* what is asked */
    struct result *ret;
};

/* Sleeps and works for as long as the round is. */
static int sleep_and_work(struct round *r)
{
    static double late[WAKES_MAX];
    size_t n = 0;
    int rc = 0;
    double begin = row_now(), end = begin + r->seconds;
    double others = machine_busy() - own_busy();
    unsigned long before = atomic_load(&steps);

    for (double now = begin; now < end && n < WAKES_MAX && rc == 0;) {
        hob_time due = hob_in(PERIOD_US * HOB_US);

        rc = hob_sleep_until(due);
        late[n++] = (double)(hob_now() - due) * 1e-3;
        now = row_now();
        for (double from = now; now - from < r->turn;)
            now = row_now();
    }
    r->ret->pool_speed = (double)(atomic_load(&steps) - before) / (row_now() - begin);
    r->ret->others = (machine_busy() - own_busy() - others) / (row_now() - begin);
    qsort(late, n, sizeof *late, row_compare);
    r->ret->p999_us = late[n * 999 / 1000];
    return rc;
}

/* One round's first fiber, in its own process. */
static int round_fiber(void *arg)
{
    hob_group g;
    int rc = hob_group_open(&g, NULL);

    for (unsigned i = 0; i < hob_cores() && rc == 0; i++)
        rc = hob_go(&g, burner_fiber, (void *)(uintptr_t)(i + 1));
    if (rc == 0)
        rc = hob_sleep(200 * HOB_MS); /* until every worker computes and the kernel has seen it */
    if (rc == 0)
        rc = sleep_and_work(arg);
    atomic_store(&stop, true);
    return hob_group_join(&g, rc);
}

static bool round_try(const struct subject *s, double turn, double seconds, struct result *shared)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        struct round r = {turn, seconds, shared};

        _exit(hob_run(HOB_OPTS(.no_slice = !s->slice, .no_pool_nice = !s->nice), round_fiber, &r)
                  ? 1
                  : 0);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static unsigned n_disturbed;

/* A round that nothing disturbed, if there is one to be had. */
static bool round_fork(const struct subject *s, double turn, double seconds, struct result *shared)
{
    for (int i = 0; i < RETRIES; i++) {
        if (!round_try(s, turn, seconds, shared))
            return false;
        if (shared->others * 100 <= OTHERS_PERCENT)
            return true;
    }
    n_disturbed++;
    return true;
}

/* Prints what one turn's rounds gave; whether the goal is met. */
static bool report(int turn_us, struct row late[N_SUBJECTS], struct row speed[N_SUBJECTS])
{
    unsigned cores = hob_cores();

    for (int s = 0; s < N_SUBJECTS; s++)
        row_print(&late[s], cores);
    for (int s = 0; s < N_SUBJECTS; s++)
        row_print(&speed[s], cores);
    double ratio = row_median(&late[1]) / row_median(&late[0]);
    if (n_disturbed)
        fprintf(stderr, "wake_latency: %u rounds disturbed by other programs\n", n_disturbed);
    fprintf(stderr,
            "wake_latency: turns of %d us: hob wakes at %.3f of the untuned p99.9 (goal 0.%02d), "
            "pool at %.3f of its speed\n",
            turn_us, ratio, GOAL_PERCENT, row_median(&speed[1]) / row_median(&speed[0]));
    return ratio * 100 <= GOAL_PERCENT;
}

/* All subjects in turn, round after round. */
static bool measure(int turn_us, int n_subjects, int rounds, double seconds, struct result *shared)
{
    static const char *const late_name[] = {"wake_latency_p999_20us", "wake_latency_p999_200us"};
    static const char *const speed_name[] = {"wake_latency_pool_20us", "wake_latency_pool_200us"};
    struct row late[N_SUBJECTS] = {0}, speed[N_SUBJECTS] = {0};

    for (int s = 0; s < N_SUBJECTS; s++) {
        late[s] = (struct row){late_name[turn_us > 20], subjects[s].name, "us", {0}, 0};
        speed[s] = (struct row){speed_name[turn_us > 20], subjects[s].name, "ksteps/s", {0}, 0};
    }
    for (int round = 0; round < rounds; round++) {
        for (int s = 0; s < n_subjects; s++) {
            if (!round_fork(&subjects[s], turn_us * 1e-6, seconds, shared))
                return false;
            row_add(&late[s], shared->p999_us);
            row_add(&speed[s], shared->pool_speed / 1000);
        }
    }
    return report(turn_us, late, speed);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"all", no_argument, NULL, 'a'},
        {"rounds", required_argument, NULL, 'r'},
        {"seconds", required_argument, NULL, 's'},
        {0},
    };
    static const int turns[N_TURNS] = {20, 200};
    int n_subjects = 2, rounds = 5, opt;
    double seconds = 2;
    bool good = true;

    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (opt == 'a')
            n_subjects = N_SUBJECTS;
        else if (opt == 'r')
            rounds = atoi(optarg);
        else if (opt == 's')
            seconds = atof(optarg);
        else
            return 2;
    }
    struct result *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 2;
    for (int t = 0; t < N_TURNS; t++)
        good &= measure(turns[t], n_subjects, rounds, seconds, shared);
    return good ? 0 : 1;
}

/* SPDX-License-Identifier: MIT
 *
 * wake_latency.c - how late a loop wakes beside a pool that uses every core
 *
 * WHAT    A fiber under hob_run sleeps 0.5 ms, notes how late it woke, and works for a turn of 20
 *         or of 200 us; other fibers keep every worker of the pool computing meanwhile.  Once with
 *         .no_slice and .no_pool_nice, once with both tunings: a short slice for the loop, a nice
 *         value for the pool.  The figure is the 99.9th percentile of all wakes; a row's min
 *         and max are those of single rounds.  The timer's grain (65.5 us) is in it.
 *
 * HOW     Rounds of one second alternate between subjects and turns until the time is up, so the
 *         bench ends however busy the machine is; each has a process of its own: a nice value
 *         does not go down again without privilege.  Other programs that compute take the
 *         loop's turns as well, and a pool at nice 19 gives way to them.  So rounds in which
 *         they used more than a tenth of a core are left out, where enough others are left of
 *         every subject; if not, all are counted and standard error says so.
 *
 *         It also says how the goal (0.2 of the untuned) is met, and of each subject which
 *         slice the kernel granted the loop and at which nice value the pool really was.
 *
 *         wake_latency [--all] [--seconds N]      each tuning alone too; 48 seconds in total
 *
 * REJECTED  Trying a disturbed round again until it is calm: beside steady load no round ever
 *         is, and there was no row within the time of a bench.
 */
#include <getopt.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hob/hob.h>

#include "row.h"

enum { PERIOD_US = 500, WAKES_MAX = 1 << 11, N_SUBJECTS = 4, N_TURNS = 2, GOAL_PERCENT = 20 };
enum { OTHERS_PERCENT = 10, CALM_MIN = 3, NICE_UNKNOWN = 99 };

static const double round_seconds = 1;
static const int turns_us[N_TURNS] = {20, 200};

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
    double late_us[WAKES_MAX]; /* in order of size */
    size_t n;
    double pool_speed, slice_us;
    double others; /* cores that other programs used meanwhile */
    int nice;      /* the lowest of the pool's threads */
};

/* All rounds of a subject at one turn. */
struct series {
    struct result *round[ROW_RUNS_MAX];
    int n;
};

static atomic_bool stop;
static atomic_ulong steps;
static atomic_int lowest_nice = NICE_UNKNOWN;

static int burner_job(void *arg)
{
    unsigned long x = (unsigned long)(uintptr_t)arg;

    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        for (int i = 0; i < 1000; i++)
            x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ul;
        atomic_fetch_add_explicit(&steps, 1 + (x == 0), memory_order_relaxed);
    }
    int nice = getpriority(PRIO_PROCESS, (id_t)gettid());
    int lowest = atomic_load(&lowest_nice);
    while (nice < lowest && !atomic_compare_exchange_weak(&lowest_nice, &lowest, nice))
        continue;
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

/* This thread's slice as the kernel has it, us; 0: it does not say (before Linux 6.12). */
static double slice_now(void)
{
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } a = {.size = sizeof a};

    return syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) == 0 ? (double)a.runtime * 1e-3 : 0;
}

struct round {
    double turn; /* seconds */
    struct result *ret;
};

/* Sleeps and works for as long as the round is. */
static int sleep_and_work(struct round *r)
{
    struct result *ret = r->ret;
    int rc = 0;
    double begin = row_now(), end = begin + round_seconds;
    double others = machine_busy() - own_busy();
    unsigned long before = atomic_load(&steps);

    ret->n = 0;
    ret->slice_us = slice_now();
    for (double now = begin; now < end && ret->n < WAKES_MAX && rc == 0;) {
        hob_time due = hob_in(PERIOD_US * HOB_US);

        rc = hob_sleep_until(due);
        ret->late_us[ret->n++] = (double)(hob_now() - due) * 1e-3;
        now = row_now();
        for (double from = now; now - from < r->turn;)
            now = row_now();
    }
    ret->pool_speed = (double)(atomic_load(&steps) - before) / (row_now() - begin);
    ret->others = (machine_busy() - own_busy() - others) / (row_now() - begin);
    qsort(ret->late_us, ret->n, sizeof *ret->late_us, row_compare);
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
    rc = hob_group_join(&g, rc);
    ((struct round *)arg)->ret->nice = atomic_load(&lowest_nice);
    return rc;
}

static bool round_fork(const struct subject *s, int turn_us, struct result *shared)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        struct round r = {turn_us * 1e-6, shared};
        int rc =
            hob_run(HOB_OPTS(.no_slice = !s->slice, .no_pool_nice = !s->nice), round_fiber, &r);
        _exit(rc ? 1 : 0);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static bool series_add(struct series *s, const struct result *shared)
{
    struct result *r = malloc(sizeof *r);

    if (!r || s->n == ROW_RUNS_MAX)
        return free(r), false;
    *r = *shared;
    s->round[s->n++] = r;
    return true;
}

static bool round_calm(const struct result *r)
{
    return r->others * 100 <= OTHERS_PERCENT;
}

/* Forgets the disturbed rounds, if enough are left of each subject; whether it did. */
static bool series_calm(struct series series[N_SUBJECTS], int n_subjects)
{
    int n_calm[N_SUBJECTS] = {0};

    for (int s = 0; s < n_subjects; s++) {
        for (int i = 0; i < series[s].n; i++)
            n_calm[s] += round_calm(series[s].round[i]);
        if (n_calm[s] < CALM_MIN)
            return false;
    }
    for (int s = 0; s < n_subjects; s++) {
        int kept = 0;

        for (int i = 0; i < series[s].n; i++) {
            if (round_calm(series[s].round[i]))
                series[s].round[kept++] = series[s].round[i];
            else
                free(series[s].round[i]);
        }
        series[s].n = kept;
    }
    return true;
}

static double percentile(const double *sorted, size_t n, size_t per_mille)
{
    return n ? sorted[n * per_mille / 1000] : 0;
}

/* One subject's p99.9 of all wakes, us, printed with what the kernel granted it. */
static double series_p999(const struct series *s, const char *name)
{
    static double late[WAKES_MAX * ROW_RUNS_MAX];
    const struct result *last = s->round[s->n - 1];
    double others = 0;
    size_t n = 0;

    for (int i = 0; i < s->n; i++) {
        memcpy(late + n, s->round[i]->late_us, s->round[i]->n * sizeof *late);
        n += s->round[i]->n;
        others += s->round[i]->others / s->n;
    }
    qsort(late, n, sizeof *late, row_compare);
    fprintf(stderr,
            "wake_latency:   %-10s %6zu wakes, p50 %.0f, p99 %.0f, p99.9 %.0f us; slice %.0f us, "
            "pool at nice %d; others used %.2f cores\n",
            name, n, percentile(late, n, 500), percentile(late, n, 990), percentile(late, n, 999),
            last->slice_us, last->nice, others);
    return percentile(late, n, 999);
}

/* Prints what one turn's rounds gave; whether the goal is met. */
static bool report(int turn_us, struct series series[N_SUBJECTS], int n_subjects)
{
    static struct row late[N_SUBJECTS], speed[N_SUBJECTS];
    double p999[N_SUBJECTS];
    bool calm = series_calm(series, n_subjects);
    char late_name[32], speed_name[32];

    snprintf(late_name, sizeof late_name, "wake_latency_p999_%dus", turn_us);
    snprintf(speed_name, sizeof speed_name, "wake_latency_pool_%dus", turn_us);
    fprintf(stderr, "wake_latency: turns of %d us%s\n", turn_us,
            calm ? "" : ", too few undisturbed rounds: all are counted");
    for (int s = 0; s < n_subjects; s++) {
        late[s] = (struct row){late_name, subjects[s].name, "us", {0}, 0};
        speed[s] = (struct row){speed_name, subjects[s].name, "ksteps/s", {0}, 0};
        for (int i = 0; i < series[s].n; i++) {
            const struct result *r = series[s].round[i];

            row_add(&late[s], percentile(r->late_us, r->n, 999));
            row_add(&speed[s], r->pool_speed / 1000);
        }
        p999[s] = series_p999(&series[s], subjects[s].name);
    }
    for (int s = 0; s < n_subjects; s++)
        row_print_as(&late[s], p999[s], hob_cores());
    for (int s = 0; s < n_subjects; s++)
        row_print(&speed[s], hob_cores());
    fprintf(stderr,
            "wake_latency:   hob wakes at %.3f of the untuned p99.9 (goal 0.%02d), "
            "pool at %.3f of its speed\n",
            p999[1] / p999[0], GOAL_PERCENT, row_median(&speed[1]) / row_median(&speed[0]));
    return p999[1] * 100 <= p999[0] * GOAL_PERCENT;
}

/* All subjects at all turns, round after round, until the time is up. */
static bool measure(struct series series[N_TURNS][N_SUBJECTS], int n_subjects, double seconds,
                    struct result *shared)
{
    double begin = row_now(), pass = 0;

    for (int n = 0; n < ROW_RUNS_MAX && (n == 0 || row_now() - begin + pass <= seconds); n++) {
        for (int t = 0; t < N_TURNS; t++) {
            for (int s = 0; s < n_subjects; s++) {
                if (!round_fork(&subjects[s], turns_us[t], shared) ||
                    !series_add(&series[t][s], shared))
                    return false;
            }
        }
        pass = (row_now() - begin) / (n + 1);
    }
    return true;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"all", no_argument, NULL, 'a'},
        {"seconds", required_argument, NULL, 's'},
        {0},
    };
    static struct series series[N_TURNS][N_SUBJECTS];
    int n_subjects = 2, opt;
    double seconds = 48;
    bool good = true;

    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (opt == 'a')
            n_subjects = N_SUBJECTS;
        else if (opt == 's')
            seconds = atof(optarg);
        else
            return 2;
    }
    struct result *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || !measure(series, n_subjects, seconds, shared)) {
        fprintf(stderr, "wake_latency: a round failed\n");
        return 2;
    }
    for (int t = 0; t < N_TURNS; t++)
        good &= report(turns_us[t], series[t], n_subjects);
    return good ? 0 : 1;
}

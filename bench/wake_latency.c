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
 *         Beside them a bare thread, without hob: clock_nanosleep with the same slice beside the
 *         same load at the same nice value.  It is what this machine gives anybody.
 *
 * HOW     Rounds of one second alternate between subjects and turns until the time is up, so the
 *         bench ends however busy the machine is; each has a process of its own: a nice value
 *         does not go down again without privilege.  Other programs that compute take the
 *         loop's turns as well, and a pool at nice 19 gives way to them.  So rounds in which
 *         they used more than a tenth of a core are left out, where enough others are left of
 *         every subject; if not, all are counted and standard error says so.
 *
 *   A wake is late for one of two reasons, and they are told apart:
 *
 *             due                                    woke
 *              |------ the pool went on ------|- stopped -|
 *                        "held"               ^ last sign of life on that core
 *
 *         While the pool goes on computing on the core that is to wake the loop, the kernel has
 *         chosen it over the loop: that is what the tunings are for.  While nothing of this
 *         program runs there, the hypervisor has the core, or another program, or an interrupt:
 *         no setting of a thread of ours changes that.  Each core's jobs leave the time on it
 *         every few us.  "wake_held" is the first part alone.
 *
 *         It also says how the goal (0.2 of the untuned) is met, and of each subject which
 *         slice the kernel granted the loop and at which nice value the pool really was.
 *
 *         wake_latency [--all] [--seconds N]      each tuning alone too, and a bare real-time
 *                                                 thread where that is allowed; 54 seconds in total
 *
 * REJECTED  Trying a disturbed round again until it is calm: beside steady load no round ever
 *         is, and there was no row within the time of a bench.
 */
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
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

enum { PERIOD_US = 500, WAKES_MAX = 1 << 11, N_SUBJECTS = 6, N_TURNS = 2, GOAL_PERCENT = 20 };
enum { OTHERS_PERCENT = 10, CALM_MIN = 3, NICE_UNKNOWN = 99, LATE_US = 500 };
enum { POOL_NICE = 19, SLICE_US = 100, CORES_SEEN = 1024 }; /* as hob_run sets them */

static const double round_seconds = 1;
static const int turns_us[N_TURNS] = {20, 200};

struct subject {
    const char *name;
    bool slice, nice;
    bool bare;      /* a thread without hob */
    bool real_time; /* at SCHED_FIFO */
};

static const struct subject subjects[N_SUBJECTS] = {
    {.name = "untuned"},
    {.name = "hob", .slice = true, .nice = true},
    {.name = "bare thread", .slice = true, .nice = true, .bare = true},
    {.name = "slice only", .slice = true},
    {.name = "nice only", .nice = true},
    {.name = "real-time thread", .nice = true, .bare = true, .real_time = true},
};

/* What a round's process hands back. */
struct result {
    double late_us[WAKES_MAX]; /* in order of size */
    double held_us[WAKES_MAX]; /* the parts in which the pool went on; in order of size */
    size_t n;
    size_t n_late, n_stopped; /* wakes later than LATE_US; those for which the core stood mostly */
    double pool_speed, slice_us;
    double others; /* cores that other programs used meanwhile */
    double stolen; /* cores that the hypervisor took meanwhile */
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

/* When a job was last seen on a core. */
static struct sign {
    _Alignas(64) _Atomic hob_time at;
} signs[CORES_SEEN];

static unsigned core_now(void)
{
    int cpu = sched_getcpu();

    return cpu < 0 ? 0 : (unsigned)cpu % CORES_SEEN;
}

static int burner_job(void *arg)
{
    unsigned long x = (unsigned long)(uintptr_t)arg;

    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        for (int i = 0; i < 1000; i++)
            x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ul;
        atomic_fetch_add_explicit(&steps, 1 + (x == 0), memory_order_relaxed);
        atomic_store_explicit(&signs[core_now()].at, hob_now(), memory_order_relaxed);
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

/* Core seconds since the machine started, of the cores that this process may use. */
struct machine {
    double busy, stolen; /* by every program here; by the hypervisor */
};

static struct machine machine_now(void)
{
    struct machine sum = {0};
    double tick = (double)sysconf(_SC_CLK_TCK);
    FILE *f = fopen("/proc/stat", "re");
    cpu_set_t mine;
    char line[256];

    CPU_ZERO(&mine);
    (void)sched_getaffinity(0, sizeof mine, &mine);
    while (f && fgets(line, sizeof line, f) && strncmp(line, "cpu", 3) == 0) {
        double user, nice, system, idle, wait, irq, soft, stolen;
        int cpu;

        if (sscanf(line, "cpu%d %lf %lf %lf %lf %lf %lf %lf %lf", &cpu, &user, &nice, &system,
                   &idle, &wait, &irq, &soft, &stolen) != 9 ||
            !CPU_ISSET(cpu, &mine))
            continue; /* the first line is all of them */
        sum.busy += (user + nice + system) / tick;
        sum.stolen += stolen / tick;
    }
    if (f)
        fclose(f);
    return sum;
}

static double own_busy(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

struct attr {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

/* This thread's slice as the kernel has it, us; 0: it does not say (before Linux 6.12). */
static double slice_now(void)
{
    struct attr a = {.size = sizeof a};

    return syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) == 0 ? (double)a.runtime * 1e-3 : 0;
}

struct round {
    const struct subject *subject;
    double turn; /* seconds */
    struct result *ret;
};

static int round_sleep(const struct subject *s, hob_time due)
{
    struct timespec t = {due / HOB_SEC, due % HOB_SEC};

    return s->bare ? -clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL)
                   : hob_sleep_until(due);
}

/* How long before `now` the core has shown no sign of life, since `due`. */
static hob_dur core_stopped(unsigned core, hob_time due, hob_time now)
{
    hob_time sign = atomic_load_explicit(&signs[core].at, memory_order_relaxed);

    return sign >= now ? 0 : now - (sign > due ? sign : due);
}

/* One wake.  The core whose timer was to go off, and the one that runs the loop now: who stood
 * longer made it late. */
static void result_add(struct result *ret, unsigned slept_on, hob_time due)
{
    hob_time now = hob_now();
    hob_dur there = core_stopped(slept_on, due, now), here = core_stopped(core_now(), due, now);
    hob_dur late = now - due, stopped = there > here ? there : here;

    ret->late_us[ret->n] = (double)late * 1e-3;
    ret->held_us[ret->n++] = (double)(late - stopped) * 1e-3;
    if (late > LATE_US * HOB_US) {
        ret->n_late++;
        ret->n_stopped += stopped * 2 > late;
    }
}

/* Sleeps and works for as long as the round is. */
static int sleep_and_work(struct round *r)
{
    struct result *ret = r->ret;
    int rc = 0;
    double begin = row_now(), end = begin + round_seconds, own = own_busy();
    struct machine was = machine_now(), is;
    unsigned long before = atomic_load(&steps);

    ret->n = ret->n_late = ret->n_stopped = 0;
    ret->slice_us = slice_now();
    for (double now = begin; now < end && ret->n < WAKES_MAX && rc == 0;) {
        unsigned core = core_now();
        hob_time due = hob_in(PERIOD_US * HOB_US);

        rc = round_sleep(r->subject, due);
        result_add(ret, core, due);
        now = row_now();
        for (double from = now; now - from < r->turn;)
            now = row_now();
    }
    end = row_now();
    is = machine_now();
    ret->pool_speed = (double)(atomic_load(&steps) - before) / (end - begin);
    ret->others = (is.busy - was.busy - (own_busy() - own)) / (end - begin);
    ret->stolen = (is.stolen - was.stolen) / (end - begin);
    qsort(ret->late_us, ret->n, sizeof *ret->late_us, row_compare);
    qsort(ret->held_us, ret->n, sizeof *ret->held_us, row_compare);
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

static void *burner_thread(void *arg)
{
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), POOL_NICE);
    (void)burner_job(arg);
    return NULL;
}

/* The calling thread as a loop is set, or at SCHED_FIFO. */
static int bare_policy(bool real_time)
{
    struct attr a = {.size = sizeof a};

    if (syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) != 0)
        return -1;
    a.size = sizeof a;
    a.runtime = SLICE_US * 1000; /* below Linux 6.12 no error and no effect, as for a loop */
    if (real_time)
        a = (struct attr){.size = sizeof a, .policy = SCHED_FIFO, .priority = 1};
    return (int)syscall(SYS_sched_setattr, 0, &a, 0);
}

/* The same round without hob. */
static int round_bare(struct round *r)
{
    pthread_t id[CORES_SEEN];
    unsigned n = 0, n_cores = hob_cores();
    int rc = 0;

    for (; n < n_cores && n < CORES_SEEN && rc == 0; n += rc == 0)
        rc = -pthread_create(&id[n], NULL, burner_thread, (void *)(uintptr_t)(n + 1));
    if (rc == 0)
        rc = bare_policy(r->subject->real_time);
    if (rc == 0) {
        nanosleep(&(struct timespec){.tv_nsec = 200 * HOB_MS}, NULL);
        rc = sleep_and_work(r);
    }
    atomic_store(&stop, true);
    while (n > 0)
        pthread_join(id[--n], NULL);
    r->ret->nice = atomic_load(&lowest_nice);
    return rc;
}

static bool round_fork(const struct subject *s, int turn_us, struct result *shared)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        struct round r = {s, turn_us * 1e-6, shared};
        int rc = s->bare ? round_bare(&r)
                         : hob_run(HOB_OPTS(.no_slice = !s->slice, .no_pool_nice = !s->nice),
                                   round_fiber, &r);
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

/* What all rounds of a subject gave together. */
struct summary {
    double late, held; /* p99.9 of all wakes, us */
};

static struct summary series_sum(const struct series *s, const char *name)
{
    static double late[WAKES_MAX * ROW_RUNS_MAX], held[WAKES_MAX * ROW_RUNS_MAX];
    const struct result *last = s->round[s->n - 1];
    double others = 0, stolen = 0;
    size_t n = 0, n_late = 0, n_stopped = 0;

    for (int i = 0; i < s->n; i++) {
        const struct result *r = s->round[i];

        memcpy(late + n, r->late_us, r->n * sizeof *late);
        memcpy(held + n, r->held_us, r->n * sizeof *held);
        n += r->n;
        n_late += r->n_late;
        n_stopped += r->n_stopped;
        others += r->others / s->n;
        stolen += r->stolen / s->n;
    }
    qsort(late, n, sizeof *late, row_compare);
    qsort(held, n, sizeof *held, row_compare);
    struct summary sum = {percentile(late, n, 999), percentile(held, n, 999)};
    fprintf(stderr,
            "wake_latency:   %-16s %6zu wakes, p50 %.0f, p99 %.0f, p99.9 %.0f us, held up by the "
            "pool for %.0f; %zu later than %d us, the core stopped in %zu of them; slice %.0f us, "
            "pool at nice %d; others used %.2f cores, the hypervisor %.2f\n",
            name, n, percentile(late, n, 500), percentile(late, n, 990), sum.late, sum.held, n_late,
            LATE_US, n_stopped, last->slice_us, last->nice, others, stolen);
    return sum;
}

static void report_rows(int turn_us, const struct summary *sums, struct series *series,
                        int n_subjects)
{
    static struct row late[N_SUBJECTS], held[N_SUBJECTS], speed[N_SUBJECTS];
    char late_name[32], held_name[32], speed_name[32];

    snprintf(late_name, sizeof late_name, "wake_latency_p999_%dus", turn_us);
    snprintf(held_name, sizeof held_name, "wake_held_p999_%dus", turn_us);
    snprintf(speed_name, sizeof speed_name, "wake_latency_pool_%dus", turn_us);
    for (int s = 0; s < n_subjects; s++) {
        late[s] = (struct row){late_name, subjects[s].name, "us", {0}, 0};
        held[s] = (struct row){held_name, subjects[s].name, "us", {0}, 0};
        speed[s] = (struct row){speed_name, subjects[s].name, "ksteps/s", {0}, 0};
        for (int i = 0; i < series[s].n; i++) {
            const struct result *r = series[s].round[i];

            row_add(&late[s], percentile(r->late_us, r->n, 999));
            row_add(&held[s], percentile(r->held_us, r->n, 999));
            row_add(&speed[s], r->pool_speed / 1000);
        }
    }
    for (int s = 0; s < n_subjects; s++)
        row_print_as(&late[s], sums[s].late, hob_cores());
    for (int s = 0; s < n_subjects; s++)
        row_print_as(&held[s], sums[s].held, hob_cores());
    for (int s = 0; s < n_subjects; s++)
        row_print(&speed[s], hob_cores());
}

/* Prints what one turn's rounds gave; whether the goal is met. */
static bool report(int turn_us, struct series series[N_SUBJECTS], int n_subjects)
{
    struct summary sums[N_SUBJECTS], *untuned = &sums[0], *hob = &sums[1], *bare = &sums[2];
    bool calm = series_calm(series, n_subjects);

    fprintf(stderr, "wake_latency: turns of %d us%s\n", turn_us,
            calm ? "" : ", too few undisturbed rounds: all are counted");
    for (int s = 0; s < n_subjects; s++)
        sums[s] = series_sum(&series[s], subjects[s].name);
    report_rows(turn_us, sums, series, n_subjects);
    fprintf(stderr,
            "wake_latency:   hob wakes at %.3f of the untuned p99.9 (goal 0.%02d), at %.2f of the "
            "bare thread's; the pool holds it up at %.3f of the untuned\n",
            hob->late / untuned->late, GOAL_PERCENT, hob->late / bare->late,
            hob->held / untuned->held);
    return hob->late * 100 <= untuned->late * GOAL_PERCENT;
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

/* Whether this process may have a real-time thread; asked in another one. */
static bool real_time_allowed(void)
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(bare_policy(true) ? 1 : 0);
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"all", no_argument, NULL, 'a'},
        {"seconds", required_argument, NULL, 's'},
        {0},
    };
    static struct series series[N_TURNS][N_SUBJECTS];
    int n_subjects = 3, opt;
    double seconds = 54;
    bool good = true;

    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (opt == 'a')
            n_subjects = real_time_allowed() ? N_SUBJECTS : N_SUBJECTS - 1;
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

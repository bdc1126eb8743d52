/* SPDX-License-Identifier: MIT
 *
 * search.c - HOB_SIM=search:N: the program in N orders of events, until one fails
 *
 * WHAT        hob_run is the door: there the process forks once a seed, and the child goes on as if
 *             HOB_SIM=seed had been set, out of hob_run and to the end of main.  So what main makes
 *             of the result, its assertions and its exit status, and what a sanitizer says at exit,
 *             judge a run too.  The parent never goes on: nothing has been run in it that main
 *             could print.  It ends with status 0, or 1 and a line that says how to have the
 *             failing run again.
 *
 * HOW         parent   fork, wait, judge;  seeds 1 to N, until one fails
 *                      then its choices once more (does it fail again?), and ever fewer (shrink.c).
 *                      One seed in a hundred runs twice: is it the same run?
 *             child    notes in memory that both see: each choice, what hob_run returned, which
 *                      oracle failed.  A crash leaves what was noted until then
 *
 *   What runs print goes to a file in memory that is emptied before each; the failing run's is
 *   copied to standard error.
 *
 * INVARIANTS  (I1) a child's schedule, replayed, is that child's run: what it picks depends on
 *                  nothing but its picks, its seed and the program
 *             (I2) a simpler schedule counts as failing only if it fails in the same way: a search
 *                  for a deadlock does not end at an assertion that it met on the way
 *
 * REJECTED    All seeds in one process, one hob_run after the other: the first crash ends the
 *             search, and each run finds what the one before has left in the program's memory.
 *             A new program a seed (exec): starting it costs more than most runs, and what stands
 *             before hob_run would be done N times, on the user's files too.
 *             A time limit for a run: a busy machine would fail runs that are right.  One that goes
 *             on for ever is found by the number of its choices.
 */
#include "sched/search.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "sched/rt.h"
#include "sched/shrink.h"

enum {
    RUN_CHOICES = 1 << 24, /* at most, of one run: some seconds of nothing else */
    SOMETIMES_MAX = 256,
    ORACLE_NAME = 96,
};

struct sometimes {
    char name[ORACLE_NAME];
    uint64_t asked, held;
};

struct outcome {
    enum failed how;
    int code; /* the signal, the result, the exit status */
    char name[ORACLE_NAME];
};

/* Both processes see it. */
struct shared {
    struct outcome noted;
    bool returned; /* hob_run, with rc */
    int rc;
    struct schedule ran;
    atomic_flag lock; /* of `sometimes`: the child's threads */
    bool sometimes_full;
    uint32_t n_sometimes;
    struct sometimes sometimes[SOMETIMES_MAX];
    uint32_t choices[RUN_CHOICES];
};

enum { TWICE_EVERY = 100 };

enum phase { PHASE_SEEDS, PHASE_AGAIN, PHASE_SHRINK };

static struct {
    struct shared *shared; /* NULL: no search, in neither process */
    enum phase phase;
    uint64_t seed;
    bool twice;    /* the seed runs a second time, to be the same run */
    uint64_t hash; /* of the first one's choices */
    int out;       /* what runs print */
    struct outcome failure;
    struct shrink shrink;
    uint32_t weight; /* of the schedule that failed first */
} search;

/* --- in a run's own process ------------------------------------------------------------------- */

void hob__search_note(enum failed how, const char *name)
{
    struct shared *s = search.shared;

    if (!s || s->noted.how != FAILED_NOT)
        return;
    s->noted.how = how;
    if (name)
        snprintf(s->noted.name, sizeof s->noted.name, "%s", name);
}

void hob__search_chose(enum choice what, uint32_t k)
{
    struct schedule *s = &search.shared->ran;

    if (unlikely(s->n == s->max)) {
        hob__search_note(FAILED_ENDLESS, NULL);
        fprintf(stderr, "hob: simulation: no end after %u choices\n", s->max);
        abort();
    }
    s->of[s->n++] = choice_pack(what, k);
}

void hob__search_ran(int rc)
{
    struct shared *s = search.shared;

    if (s && (!s->returned || s->rc == 0)) {
        s->rc = rc;
        s->returned = true;
    }
}

static struct sometimes *sometimes_find(struct shared *s, const char *name)
{
    for (uint32_t i = 0; i < s->n_sometimes; i++)
        if (strncmp(s->sometimes[i].name, name, ORACLE_NAME - 1) == 0)
            return &s->sometimes[i];
    if (s->n_sometimes == SOMETIMES_MAX) {
        s->sometimes_full = true;
        return NULL;
    }
    struct sometimes *x = &s->sometimes[s->n_sometimes++];
    snprintf(x->name, sizeof x->name, "%s", name);
    return x;
}

void hob__search_sometimes(bool cond, const char *name)
{
    struct shared *s = search.shared;

    if (!s || search.phase != PHASE_SEEDS || search.twice)
        return;
    while (atomic_flag_test_and_set_explicit(&s->lock, memory_order_acquire))
        continue;
    struct sometimes *x = sometimes_find(s, name);
    if (x) {
        x->asked++;
        x->held += cond;
    }
    atomic_flag_clear_explicit(&s->lock, memory_order_release);
}

/* What makes the run of this seed again. */
static char *seed_text(char *to, size_t size)
{
    int n = snprintf(to, size, "%llu", (unsigned long long)search.seed);

    if (hob__sim_steer.faults)
        snprintf(to + n, size - (size_t)n, ",faults=%u", hob__sim_steer.faults);
    return to;
}

/* A failing run is had again on purpose, many times: its memory is on no disk. */
static void child_begin(struct rt_config *c, pid_t parent, const struct sigaction *chld)
{
    struct rlimit core;
    char text[64];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    sigaction(SIGCHLD, chld, NULL);
    dup2(search.out, STDOUT_FILENO);
    dup2(search.out, STDERR_FILENO);
    if (search.out > STDERR_FILENO) /* else they were closed, and it is one of them */
        close(search.out);
    if (getrlimit(RLIMIT_CORE, &core) == 0) {
        core.rlim_cur = 0;
        setrlimit(RLIMIT_CORE, &core);
    }
    setenv("HOB_SIM", seed_text(text, sizeof text), 1); /* for its next hob_run, and for who asks */
    c->search = 0;
    c->seed = search.seed;
    hob__sim_steer.record = true;
    hob__sim_steer.replay = search.phase == PHASE_SEEDS ? NULL : &search.shrink.next;
}

/* --- in the searching process ----------------------------------------------------------------- */

static int search_open(void)
{
    size_t size = sizeof *search.shared;
    struct shared *s =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (s == MAP_FAILED)
        return -errno;
    search.out = memfd_create("hob simulation", MFD_CLOEXEC);
    if (search.out < 0) {
        int r = -errno;
        munmap(s, size);
        return r;
    }
    search.shared = s;
    return 0;
}

static void search_close(void)
{
    close(search.out);
    munmap(search.shared, sizeof *search.shared);
    search.shared = NULL;
}

static struct outcome outcome_of(const struct shared *s, int status)
{
    if (s->noted.how != FAILED_NOT)
        return s->noted;
    if (WIFSIGNALED(status))
        return (struct outcome){.how = FAILED_SIGNAL, .code = WTERMSIG(status)};
    if (s->returned && s->rc != 0)
        return (struct outcome){.how = FAILED_RESULT, .code = s->rc};
    if (WEXITSTATUS(status) != 0)
        return (struct outcome){.how = FAILED_EXIT, .code = WEXITSTATUS(status)};
    return (struct outcome){.how = FAILED_NOT};
}

static bool outcome_same(const struct outcome *a, const struct outcome *b) /* (I2) */
{
    return a->how == b->how && a->code == b->code && strcmp(a->name, b->name) == 0;
}

static void outcome_say(const struct outcome *o, char *to, size_t size)
{
    switch (o->how) {
    case FAILED_ALWAYS:
        snprintf(to, size, "not always so: %s", o->name);
        return;
    case FAILED_DEADLOCK:
        snprintf(to, size, "a deadlock");
        return;
    case FAILED_ENDLESS:
        snprintf(to, size, "no end after %d choices", RUN_CHOICES);
        return;
    case FAILED_SIGNAL:
        snprintf(to, size, "ended by signal %d, %s", o->code, strsignal(o->code));
        return;
    case FAILED_RESULT:
        if (o->code < 0)
            snprintf(to, size, "hob_run returned %d, %s", o->code, hob_strerror(o->code));
        else
            snprintf(to, size, "hob_run returned %d", o->code);
        return;
    default:
        snprintf(to, size, "exit status %d", o->code);
    }
}

/* What the failing run printed. */
static void output_show(void)
{
    char part[4096];
    off_t at = 0;
    ssize_t n;

    while ((n = pread(search.out, part, sizeof part, at)) > 0) {
        if (fwrite(part, 1, (size_t)n, stderr) != (size_t)n)
            return;
        at += n;
    }
}

static void failure_say(void)
{
    char what[ORACLE_NAME + 64], text[64];

    outcome_say(&search.failure, what, sizeof what);
    output_show();
    fprintf(stderr, "hob: simulation: seed %llu fails: %s; replay: HOB_SIM=%s\n",
            (unsigned long long)search.seed, what, seed_text(text, sizeof text));
}

static void schedule_say(const char *path)
{
    char name[64];
    int r;

    if (!path) {
        snprintf(name, sizeof name, "hob-sim-%llu", (unsigned long long)search.seed);
        path = name;
    }
    r = hob__schedule_write(&search.shrink.best, path);
    if (r < 0)
        fprintf(stderr, "hob: simulation: %s: %s\n", path, hob_strerror(r));
    else
        fprintf(stderr,
                "hob: simulation: it fails with %u of its %u choices too%s; replay: HOB_SIM=@%s\n",
                hob__schedule_weight(&search.shrink.best), search.weight,
                search.shrink.bounded ? ", and may be simpler still" : "", path);
}

/* All seeds are through and none failed.  Returns the exit status. */
static int seeds_through(uint64_t n)
{
    const struct shared *s = search.shared;
    uint32_t never = 0;

    for (uint32_t i = 0; i < s->n_sometimes; i++) {
        if (s->sometimes[i].held)
            continue;
        never++;
        fprintf(stderr, "hob: simulation: never so in %llu seeds: %s (asked %llu times)\n",
                (unsigned long long)n, s->sometimes[i].name,
                (unsigned long long)s->sometimes[i].asked);
    }
    if (s->sometimes_full)
        fprintf(stderr, "hob: simulation: more than %d names in hob_sometimes\n", SOMETIMES_MAX);
    if (never || s->sometimes_full)
        return 1;
    fprintf(stderr, "hob: simulation: %llu seeds, none fails\n", (unsigned long long)n);
    return 0;
}

/* What is to be run next is set up; false: nothing, and *ret_status says how it ended. */
static bool search_next(const struct rt_config *c, int *ret_status)
{
    switch (search.phase) {
    case PHASE_SEEDS:
        if (search.twice)
            return true;
        if (search.seed == c->search) {
            *ret_status = seeds_through(c->search);
            return false;
        }
        search.seed++;
        return true;
    case PHASE_AGAIN:
        return true;
    default:
        *ret_status = 1;
        if (hob__shrink_next(&search.shrink))
            return true;
        schedule_say(c->search_path);
        hob__shrink_end(&search.shrink);
        return false;
    }
}

/* The first failure: its schedule is what is run from now on.  False: that is all there is. */
static bool failed_first(const struct outcome *o)
{
    search.failure = *o;
    search.weight = hob__schedule_weight(&search.shared->ran);
    failure_say();
    if (o->how == FAILED_ENDLESS || hob__shrink_begin(&search.shrink, &search.shared->ran) < 0)
        return false;
    search.phase = PHASE_AGAIN;
    return true;
}

static uint64_t choices_hash(const struct schedule *s)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (uint32_t i = 0; i < s->n; i++)
        h = (h ^ s->of[i]) * 0x100000001b3u;
    return h;
}

/* A seed's run did not fail; false: it is not the same run twice, and no seed's is worth much. */
static bool passed(void)
{
    uint64_t hash = choices_hash(&search.shared->ran);
    bool second = search.twice;

    search.twice = !second && search.seed % TWICE_EVERY == 1;
    if (second && hash != search.hash) { /* (I1) */
        fprintf(stderr,
                "hob: simulation: seed %llu is not the same run twice: the program depends on "
                "what is outside hob\n",
                (unsigned long long)search.seed);
        return false;
    }
    search.hash = hash;
    return true;
}

/* A run has ended as `o`; false: the search is over, and the exit status is 1. */
static bool search_told(const struct outcome *o)
{
    bool again = outcome_same(o, &search.failure);

    switch (search.phase) {
    case PHASE_SEEDS:
        return o->how == FAILED_NOT ? passed() : failed_first(o);
    case PHASE_AGAIN:
        search.phase = PHASE_SHRINK;
        if (!again) /* (I1) */
            fprintf(stderr, "hob: simulation: the same choices do not fail again: the program "
                            "depends on what is outside hob\n");
        return again;
    default:
        hob__shrink_told(&search.shrink, &search.shared->ran, again);
        return true;
    }
}

static void run_prepare(const struct rt_config *c)
{
    struct shared *s = search.shared;

    s->noted = (struct outcome){.how = FAILED_NOT};
    s->returned = false;
    s->rc = 0;
    s->ran = (struct schedule){
        .seed = search.seed, .loops = c->n_loops, .max = RUN_CHOICES, .of = s->choices};
    atomic_flag_clear(&s->lock);
    (void)!ftruncate(search.out, 0);
    lseek(search.out, 0, SEEK_SET);
}

static int run_wait(pid_t pid)
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return status;
}

int hob__search(struct rt_config *c)
{
    struct sigaction chld, usual = {.sa_handler = SIG_DFL};
    int status = 1, r = search_open();
    bool more = true;

    if (r < 0)
        return r;
    fflush(NULL); /* or each child prints it again */
    sigaction(SIGCHLD, &usual, &chld);
    while (more && search_next(c, &status)) {
        run_prepare(c);
        pid_t self = getpid(), pid = fork();
        if (pid == 0) {
            child_begin(c, self, &chld);
            return 0;
        }
        if (pid < 0) {
            r = -errno;
            sigaction(SIGCHLD, &chld, NULL);
            search_close();
            return r;
        }
        struct outcome o = outcome_of(search.shared, run_wait(pid));
        more = search_told(&o);
    }
    fflush(stderr);
    _exit(more ? status : 1);
}

/* SPDX-License-Identifier: MIT
 *
 * test_fiber.c - fibers run, park, wake and end, and what is planted in them is found
 *
 * Length: one file as fiber.c is one; its cases share the few fibers they are made of.
 */
#include <hob/hob.h>

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "lib/each.h"
#include "lib/t.h"
#include "sched/park.h"

/* The linker puts these between the library and the system. */
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
int __real_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);

static _Atomic(unsigned) n_allocations, n_clock_reads;
static struct timespec stopped_clock;
static _Atomic(bool) clock_stands;

void *__wrap_malloc(size_t size)
{
    n_allocations++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    n_allocations++;
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    n_allocations++;
    return __real_realloc(old, size);
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
    n_clock_reads++;
    if (!clock_stands)
        return __real_clock_gettime(clock, ret);
    *ret = stopped_clock;
    return 0;
}

static int give_back(void *arg)
{
    return *(int *)arg;
}

TEST(run_returns_what_the_first_fiber_returned)
{
    int values[] = {0, 7, -EIO, -ECANCELED};

    for (unsigned i = 0; i < 4; i++)
        each_world_run(give_back, &values[i], NULL, values[i]);
}

static int run_again(void *arg)
{
    return hob_run(NULL, give_back, arg) == -EBUSY ? 0 : -1;
}

TEST(one_runtime_at_a_time)
{
    int v = 3;

    CHECK_INT(hob_run(NULL, run_again, &v), 0);
    CHECK_INT(hob_run(NULL, give_back, &v), 3);
}

TEST(options_are_checked)
{
    struct {
        struct hob_opts o;
        int newer;
    } tail = {.o = {.size = sizeof tail}};
    int v = 1;

    CHECK_INT(hob_run(HOB_OPTS(.loops = 65), give_back, &v), -EINVAL);
    CHECK_INT(hob_run(HOB_OPTS(.stack_size = 5000), give_back, &v), -EINVAL);
    CHECK_INT(hob_run(HOB_OPTS(.pool_nice = 20), give_back, &v), -EINVAL);
    CHECK_INT(hob_run(&tail.o, give_back, &v), 1);
    tail.newer = 1;
    CHECK_INT(hob_run(&tail.o, give_back, &v), -E2BIG);
    CHECK_INT(hob_run(NULL, NULL, NULL), -EINVAL);
    setenv("HOB_POLL", "kqueue", 1);
    CHECK_INT(hob_run(NULL, give_back, &v), -EINVAL);
    unsetenv("HOB_POLL");
    setenv("HOB_SIM", "x", 1);
    CHECK_INT(hob_run(NULL, give_back, &v), -EINVAL);
    unsetenv("HOB_SIM");
    setenv("HOB_LOOPS", "0", 1);
    CHECK_INT(hob_run(NULL, give_back, &v), -EINVAL);
}

static int sleeper(void *arg)
{
    hob_dur d = *(hob_dur *)arg;
    hob_time before = hob_now();
    int r = hob_sleep(d);

    return r < 0 ? r : hob_now() - before >= d ? 0 : -ETIME;
}

TEST(sleep_is_never_early)
{
    hob_dur d[] = {0, 1, 65536, 200 * HOB_US, 3 * HOB_MS};

    for (unsigned i = 0; i < 5; i++)
        each_world_run(sleeper, &d[i], NULL, 0);
}

TEST(a_simulated_hour_takes_no_time)
{
    hob_dur d = 3600 * HOB_SEC;

    setenv("HOB_SIM", "1", 1);
    CHECK_INT(hob_run(NULL, sleeper, &d), 0);
}

struct order {
    char text[16];
    int n;
};

static int letter_a(void *arg)
{
    struct order *o = arg;

    for (int i = 0; i < 3; i++) {
        o->text[o->n++] = 'a';
        hob_yield();
    }
    return 0;
}

static int letter_b(void *arg)
{
    struct order *o = arg;

    for (int i = 0; i < 3; i++) {
        o->text[o->n++] = 'b';
        hob_yield();
    }
    return 0;
}

static int two_letters(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, NULL);

    if (r == 0)
        r = hob_go(&g, letter_a, arg);
    if (r == 0)
        r = hob_go(&g, letter_b, arg);
    return hob_group_join(&g, r);
}

TEST(yield_takes_turns)
{
    struct order o = {0};

    CHECK_INT(hob_run(NULL, two_letters, &o), 0);
    CHECK_STR(o.text, "ababab");
}

TEST(seeds_give_different_orders_and_the_same_seed_the_same)
{
    char seen[64][16];
    int kinds = 0;

    for (int seed = 0; seed < 64; seed++) {
        struct order o = {0}, again = {0};
        char text[16];
        snprintf(text, sizeof text, "%d", seed);
        setenv("HOB_SIM", text, 1);
        CHECK_INT(hob_run(NULL, two_letters, &o), 0);
        CHECK_INT(hob_run(NULL, two_letters, &again), 0);
        CHECK_STR(again.text, o.text);
        strcpy(seen[seed], o.text);
        int k = 0;
        while (strcmp(seen[k], o.text) != 0)
            k++;
        kinds += k == seed;
    }
    CHECK(kinds >= 3);
}

static struct {
    struct trace_stage stage;
    struct fiber *first;
    unsigned n_again;
} heir;

static int leaves_traces(void *arg)
{
    struct fiber *f = hob__self();

    (void)arg;
    hob_fiber_name("the first");
    hob__fiber_stage(f, &heir.stage);
    heir.first = f;
    return hob_sleep(1);
}

static int finds_none(void *arg)
{
    struct fiber *f = hob__self();

    (void)arg;
    heir.n_again += f == heir.first;
    return f->trace.name || trace_accounted(&f->trace) || f->timer.set || f->wait_node ? -EPROTO
                                                                                       : 0;
}

static int one_after_the_other(void *arg)
{
    int r = 0;

    (void)arg;
    hob__stage_init(&heir.stage, "stage");
    for (int i = 0; i < 2 && r == 0; i++) {
        hob_group g;

        r = hob_group_open(&g, NULL);
        r = r ? r : hob_go(&g, i ? finds_none : leaves_traces, NULL);
        r = hob_group_join(&g, r);
    }
    return r == 0 && heir.n_again != 1 ? -EAGAIN : r;
}

TEST(a_fiber_that_begins_again_knows_nothing_of_the_last_one)
{
    CHECK_INT(hob_run(HOB_OPTS(.loops = 1), one_after_the_other, NULL), 0);
}

TEST(off_a_fiber_calls_say_so)
{
    hob_group g;
    hob_chan *ch;

    CHECK_INT(hob_yield(), -EPERM);
    hob_time begin = hob_now();
    CHECK_INT(hob_sleep(2 * HOB_MS), 0); /* a plain thread sleeps itself */
    CHECK(hob_now() - begin >= 2 * HOB_MS);
    CHECK_INT(hob_sleep_until(0), 0);
    CHECK_INT(hob_sleep(-5), 0);
    CHECK_INT(hob_check(), -EPERM);
    CHECK_INT(hob_group_open(&g, NULL), -EPERM);
    CHECK_INT(hob_go(&g, give_back, NULL), -EPERM);
    CHECK_INT(hob_group_join(&g, -EPERM), -EPERM);
    CHECK_INT(hob_chan_new(8, NULL, &ch), -EPERM);
    CHECK(!hob_on_fiber());
    CHECK_INT(hob_loop_index(), -1);
    CHECK_INT(hob_loops(), 0);
}

static int deep(int n)
{
    volatile char frame[64];

    frame[0] = (char)n;
    return n == 0 ? 0 : deep(n - 1) + (frame[0] == (char)n ? 0 : 1);
}

static int deep_fiber(void *arg)
{
    (void)arg;
    int r = deep(100);
    hob_yield();
    return r + deep(200);
}

static int many_fibers(void *arg)
{
    hob_group g;
    int n = *(int *)arg, r = hob_group_open(&g, NULL);

    for (int i = 0; i < n && r == 0; i++)
        r = hob_go(&g, deep_fiber, NULL);
    return hob_group_join(&g, r);
}

TEST(ten_thousand_fibers_have_stacks_of_their_own)
{
    int n = 10000;

    CHECK_INT(hob_run(NULL, many_fibers, &n), 0);
}

static __attribute__((noinline)) int recurse(volatile char *above)
{
    volatile char frame[256];

    frame[0] = above ? above[0] : 'x';
    return frame[0] ? recurse(frame) + frame[0] : 0;
}

static int named_recursion(void *arg)
{
    if (arg)
        hob_fiber_name(arg);
    hob_yield();
    return recurse(NULL);
}

static int recursion_on_a_loop(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.name = "the group", .spread = true));

    if (r == 0)
        r = hob_go(&g, named_recursion, arg);
    return hob_group_join(&g, r);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool sanitized = true;
#elif defined(__has_feature)
static const bool sanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
static const bool sanitized = false;
#endif

static int recurses(void *name)
{
    return hob_run(NULL, recursion_on_a_loop, name) < 0;
}

/* What a child that recurses for ever leaves on standard error, and that it died of it. */
static void recursion_says(char *name, const char *want)
{
    char text[1024];
    int status = t_child(recurses, name, text, sizeof text);

    if (!sanitized) /* it would have the last word */
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    if (!strstr(text, want))
        t_fail(__FILE__, __LINE__, "\"%s\" is not in \"%s\"", want, text);
}

TEST(a_fiber_that_recurses_for_ever_is_named)
{
    static char name[] = "page 17";
    static const char *const loops[] = {"1", "3"}, *const sims[] = {"", "4"};

    for (int i = 0; i < 4; i++) {
        setenv("HOB_LOOPS", loops[i / 2], 1);
        setenv("HOB_SIM", sims[i % 2], 1);
        recursion_says(name, "hob: stack overflow: fiber page 17, stack of ");
        recursion_says(NULL, "hob: stack overflow: fiber the group, stack of ");
    }
}

/* --- what a switch does not do ---------------------------------------------------------------- */

enum { SWITCHES = 20000 };

static int yields_on(void *arg)
{
    int r = 0;

    for (int i = 0; i < SWITCHES && r == 0; i++) {
        if (hob__self() != hob__loop->current) /* (I1) */
            return -EPROTO;
        r = hob_yield();
    }
    (void)arg;
    return r;
}

static int at_once(void *arg)
{
    return hob__self() == hob__loop->current ? 0 : *(int *)arg;
}

/* Pairs that yield to each other, and short tasks, while the clock stands: no run is long then. */
static int switches(void *arg)
{
    int r = 0, wrong = -EPROTO;

    (void)arg;
    for (int warm = 1; warm >= 0 && r == 0; warm--) {
        hob_group g;

        r = hob_group_open(&g, NULL);
        n_allocations = n_clock_reads = 0;
        uint64_t turns = hob__loop->n_turns;
        for (int i = 0; i < 2 && r == 0; i++)
            r = hob_go(&g, yields_on, NULL);
        for (int i = 0; i < 20 && r == 0; i++)
            r = hob_go(&g, at_once, &wrong);
        r = hob_group_join(&g, r);
        turns = hob__loop->n_turns - turns;
        if (warm || r < 0)
            continue;
        CHECK_INT(n_allocations, 0); /* (I4) */
        CHECK(turns < SWITCHES / 8);
        CHECK(n_clock_reads < 2 * SWITCHES / 4); /* a few a turn */
    }
    return r;
}

TEST(a_switch_reads_no_clock_and_allocates_nothing)
{
    t_timeout(5);
    for (int i = 0; i < 2; i++) {
        setenv("HOB_POLL", i ? "epoll" : "uring", 1);
        clock_gettime(CLOCK_MONOTONIC, &stopped_clock);
        clock_stands = true;
        int r = hob_run(HOB_OPTS(.loops = 1), switches, NULL);
        clock_stands = false;
        if (i == 0 && (r == -ENOSYS || r == -EPERM))
            continue; /* no io_uring here: tests/unit/test_poll says so */
        CHECK_INT(r, 0);
    }
}

/* --- the bound of a turn ---------------------------------------------------------------------- */

enum { CROWD = 12 };

struct crowd {
    bool sleeps;
    int runs, most_in_a_turn, in_this_turn;
    uint64_t turn;
};

/* 150 us of work at a time: two of them fill a turn. */
static int computes(void *arg)
{
    struct crowd *c = arg;
    int r = 0;

    for (int i = 0; i < 12 && r == 0; i++) {
        hob_time until = hob_now() + 150 * HOB_US;
        while (hob_now() < until)
            continue;
        if (c->turn != hob__loop->n_turns)
            c->in_this_turn = 0;
        c->turn = hob__loop->n_turns;
        c->in_this_turn++;
        if (++c->runs > 4 * CROWD && c->in_this_turn > c->most_in_a_turn)
            c->most_in_a_turn = c->in_this_turn;
        r = c->sleeps ? hob_sleep(HOB_MS) : hob_yield();
    }
    return r;
}

static int a_crowd(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, NULL);

    for (int i = 0; i < CROWD && r == 0; i++)
        r = hob_go(&g, computes, arg);
    return hob_group_join(&g, r);
}

/* A busy machine makes runs longer and turns shorter in runs, never longer. */
TEST(a_turn_of_long_runs_holds_few_of_them)
{
    for (int i = 0; i < 2; i++) {
        struct crowd c = {.sleeps = i};
        CHECK_INT(hob_run(HOB_OPTS(.loops = 1), a_crowd, &c), 0);
        CHECK(c.most_in_a_turn >= 1 && c.most_in_a_turn <= 2);
    }
}

struct pair {
    _Atomic(bool) over;
    int rounds;
};

static int pair_yields(void *arg)
{
    struct pair *p = arg;
    int r = 0;

    while (r == 0 && !p->over) {
        p->rounds++;
        r = hob_yield();
    }
    return r;
}

static int timer_and_pair(void *arg)
{
    struct pair *p = arg;
    hob_group g;
    int r = hob_group_open(&g, NULL);

    p->over = false;
    for (int i = 0; i < 2 && r == 0; i++)
        r = hob_go(&g, pair_yields, p);
    for (int i = 0; i < 20 && r == 0; i++)
        r = hob_sleep(100 * HOB_US); /* each ends although somebody is always ready */
    p->over = true;
    return hob_group_join(&g, r);
}

TEST(timers_fire_although_two_fibers_always_run)
{
    struct pair p = {0};

    each_world_run(timer_and_pair, &p, NULL, 0);
}

static int ends_at_once(void *arg)
{
    (void)arg;
    return 0;
}

/* A join goes straight to the child and the child straight back: at every place in a turn. */
static int pair_spawns(void *arg)
{
    struct pair *p = arg;
    int r = 0;

    while (r == 0 && !p->over) {
        hob_group g;

        r = hob_group_open(&g, NULL);
        r = r ? r : hob_go(&g, ends_at_once, NULL);
        r = hob_group_join(&g, r);
        if (r == 0 && ++p->rounds % 3 == 0)
            r = hob_yield();
    }
    return r;
}

static int timer_and_spawns(void *arg)
{
    struct pair *p = arg;
    hob_group g;
    int r = hob_group_open(&g, NULL);

    p->over = false;
    r = r ? r : hob_go(&g, pair_spawns, p);
    /* Simulated, each makes thousands of fibers, which a sanitizer takes a minute for. */
    for (int i = hob_simulated() ? 2 : 20; i > 0 && r == 0; i--)
        r = hob_sleep(100 * HOB_US);
    p->over = true;
    return hob_group_join(&g, r);
}

TEST(timers_fire_although_fibers_are_always_started_and_joined)
{
    struct pair p = {0};

    each_world_run(timer_and_spawns, &p, NULL, 0);
}

struct caller {
    hob_chan *ch;
    struct pair *pair;
};

static int calls_home(void *arg)
{
    struct caller *c = arg;
    int v = 1, r = 0;

    for (int i = 0; i < 20 && r == 0; i++)
        r = hob_chan_send(c->ch, &v, HOB_FOREVER);
    c->pair->over = true;
    return r;
}

static int drains_home(void *arg)
{
    int v, r;

    while ((r = hob_chan_recv(arg, HOB_FOREVER, &v)) == 0)
        continue;
    return r == -EPIPE ? 0 : r;
}

/* A plain thread calls a loop on which two fibers never stop: each call is one message there. */
static void *thread_calls(void *arg)
{
    return calls_home(arg) < 0 ? arg : NULL;
}

static int message_and_pair(void *arg)
{
    struct pair pair = {0};
    struct caller c = {.pair = &pair};
    hob_group g;
    pthread_t t;
    void *bad = NULL;
    int r = hob_chan_new(sizeof(int), NULL, &c.ch);

    (void)arg;
    if (r < 0)
        return r;
    r = hob_group_open(&g, NULL);
    if (r == 0)
        r = hob_go(&g, drains_home, c.ch);
    for (int i = 0; i < 2 && r == 0; i++)
        r = hob_go(&g, pair_yields, &pair);
    CHECK_INT(pthread_create(&t, NULL, thread_calls, &c), 0);
    while (r == 0 && !pair.over)
        r = hob_yield();
    pthread_join(t, &bad);
    hob_chan_close(c.ch);
    r = hob_group_join(&g, r);
    hob_chan_free(c.ch);
    return bad ? -EPROTO : r;
}

TEST(messages_are_served_although_two_fibers_always_run)
{
    CHECK_INT(hob_run(NULL, message_and_pair, NULL), 0);
}

/* --- a join that calls its child -------------------------------------------------------------- */

enum { CALL_DEPTH = 40 };

/* Each joins one child; the last comes back only after others have run and ended. */
static int calls_deeper(void *arg)
{
    int *left = arg, r = 0;
    hob_group g;

    if (--*left < 0) {
        for (int i = 0; i < 300 && r == 0; i++) /* over the bound of a turn, too */
            r = hob_yield();
        return r;
    }
    if ((r = hob_group_open(&g, NULL)) == 0)
        r = hob_go(&g, calls_deeper, arg);
    r = hob_group_join(&g, r);
    return r < 0 ? r : hob_yield();
}

static int calls_beside(void *arg)
{
    int left[3] = {CALL_DEPTH, CALL_DEPTH, CALL_DEPTH};
    hob_group g;
    int r = hob_group_open(&g, NULL);

    (void)arg;
    for (int i = 0; i < 3 && r == 0; i++)
        r = hob_go(&g, calls_deeper, &left[i]);
    r = hob_group_join(&g, r);
    CHECK(left[0] == -1 && left[1] == -1 && left[2] == -1);
    return r;
}

TEST(a_child_that_parks_in_its_joiners_call_is_a_fiber_as_any_other)
{
    for (int i = 0; i < 3; i++) /* with stacks that others have used, too */
        CHECK_INT(hob_run(HOB_OPTS(.loops = 1), calls_beside, NULL), 0);
}

struct late {
    hob_group g;
    int n_ended;
};

static int late_ends(void *arg)
{
    struct late *late = arg;
    int r = 0;

    for (int i = 0; i < 5 && r == 0; i++)
        r = hob_yield();
    late->n_ended++;
    return r;
}

/* Of the group that is being joined: starts another and ends before it. */
static int late_starts(void *arg)
{
    struct late *late = arg;
    int r = hob_yield();

    if (r == 0)
        r = hob_go(&late->g, late_ends, late);
    late->n_ended++;
    return r;
}

static int joins_late(void *arg)
{
    int r = 0;

    (void)arg;
    for (int i = 0; i < 100 && r == 0; i++) {
        struct late late = {.n_ended = 0};
        r = hob_group_open(&late.g, NULL);
        if (r == 0)
            r = hob_go(&late.g, late_starts, &late);
        r = hob_group_join(&late.g, r);
        CHECK_INT(late.n_ended, 2);
    }
    return r;
}

TEST(a_join_waits_for_who_was_started_while_it_called_a_child)
{
    CHECK_INT(hob_run(HOB_OPTS(.loops = 1), joins_late, NULL), 0);
}

static int deferred_parks(void *arg)
{
    volatile char local[64];
    int r;

    memset((char *)local, 8, sizeof local);
    r = hob_yield();
    CHECK_INT(local[63], 8);

    *(bool *)arg = true;
    return r;
}

/* With a local that AddressSanitizer keeps off the stack. */
static int defers(void *arg)
{
    volatile char local[64];
    int r = hob_defer(deferred_parks, arg);

    memset((char *)local, 7, sizeof local);
    if (r == 0)
        r = hob_sleep(HOB_US);
    CHECK_INT(local[63], 7);
    return r;
}

static int joins_one_that_defers(void *arg)
{
    int r = 0;

    (void)arg;
    for (int i = 0; i < 100 && r == 0; i++) {
        bool done = false;
        hob_group g;
        r = hob_group_open(&g, NULL);
        if (r == 0)
            r = hob_go(&g, defers, &done);
        r = hob_group_join(&g, r);
        CHECK(done);
    }
    return r;
}

TEST(what_a_called_child_deferred_may_park)
{
    CHECK_INT(hob_run(HOB_OPTS(.loops = 1), joins_one_that_defers, NULL), 0);
}

enum { LEVELS = 1000 };

static uint64_t turns_at_the_end;

/* Each waits for the next, which its join calls: there is an idle stack, from a child before. */
static int one_level(void *arg)
{
    intptr_t n = (intptr_t)arg;
    hob_group g;
    int r;

    r = hob_group_open(&g, NULL);
    if (r == 0)
        r = hob_go(&g, ends_at_once, NULL);
    r = hob_group_join(&g, r);
    if (r < 0 || n == LEVELS) {
        r = hob_sleep(HOB_US);
        turns_at_the_end = hob__loop->n_turns;
        return r;
    }
    r = hob_group_open(&g, NULL);
    if (r == 0)
        r = hob_go(&g, one_level, (void *)(n + 1));
    return hob_group_join(&g, r);
}

static int all_levels(void *arg)
{
    int r = one_level(arg);

    CHECK(hob__loop->n_turns - turns_at_the_end >= LEVELS / TURN_SWITCHES);
    return r;
}

TEST(the_returns_of_many_called_children_take_as_many_turns_as_switches)
{
    CHECK_INT(hob_run(HOB_OPTS(.loops = 1), all_levels, NULL), 0);
}

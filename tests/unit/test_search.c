/* SPDX-License-Identifier: MIT
 *
 * test_search.c - HOB_SIM=search:N finds the orders in which a program fails, and says how
 */
#include "sched/search.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hob/hob.h>

#include "lib/t.h"

static char said[8192]; /* on standard error */

struct program {
    hob_fn fn;
    int exits;
    const char *sim;
};

static int runs(void *arg)
{
    const struct program *p = arg;

    setenv("HOB_SIM", p->sim, 1);
    setenv("ASAN_OPTIONS", "abort_on_error=0", 1);
    return hob_run(NULL, p->fn, NULL) < 0 ? 1 : p->exits;
}

/* Runs fn as a program of its own under HOB_SIM=sim; returns its exit status, -1 for a signal. */
static int program(hob_fn fn, int exits, const char *sim)
{
    int status = t_child(runs, &(struct program){fn, exits, sim}, said, sizeof said);

    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool says(const char *what)
{
    return strstr(said, what) != NULL;
}

/* Of two that are ready, the second goes first now and then. */
static int first_come;

static int comes(void *arg)
{
    if (first_come == 0)
        first_come = (int)(intptr_t)arg;
    return 0;
}

static int who_is_first(void)
{
    hob_group g;
    int r = hob_group_open(&g, NULL);

    first_come = 0;
    for (intptr_t i = 1; i <= 2 && r == 0; i++)
        r = hob_go(&g, comes, (void *)i);
    r = hob_group_join(&g, r);
    return r < 0 ? r : first_come;
}

static int well(void *arg)
{
    (void)arg;
    printf("nobody reads this\n");
    return who_is_first() < 0 ? -EIO : 0;
}

static int fails(void *arg)
{
    (void)arg;
    fprintf(stderr, "it was %d\n", who_is_first());
    return first_come == 2 ? -EPIPE : 0;
}

static int fails_by_a_number(void *arg)
{
    (void)arg;
    return who_is_first() == 2 ? 7 : 0;
}

static int aborts(void *arg)
{
    (void)arg;
    if (who_is_first() == 2)
        abort();
    return 0;
}

static int always_wrong(void *arg)
{
    (void)arg;
    hob_always(who_is_first() == 1, "the first comes first");
    return 0;
}

static int always_wrong_anywhere(void *arg)
{
    (void)arg;
    hob_sometimes(false, "nobody counts");
    hob_always(false, "one is two");
    return 0;
}

static int exits_early(void *arg)
{
    (void)arg;
    if (who_is_first() == 2)
        _exit(9);
    return 0;
}

/* Nobody sets it; and the program hides that it was told. */
static int waits_in_vain(void *arg)
{
    hob_event e;
    int r = hob_event_init(&e, "never");

    (void)arg;
    if (r == 0 && who_is_first() == 2)
        r = hob_event_wait(&e, HOB_FOREVER);
    return 0;
}

static int goes_on_for_ever(void *arg)
{
    (void)arg;
    if (who_is_first() == 2)
        while (hob_sleep(HOB_MS) == 0)
            continue;
    return 0;
}

TEST(a_program_that_fails_in_no_order_passes)
{
    CHECK_INT(program(well, 0, "search:50"), 0);
    CHECK_STR(said, "hob: simulation: 50 seeds, none fails\n");
}

/* What failed, and that one seed alone does it again. */
static void finds(hob_fn fn, int exits, const char *what)
{
    char file[64], sim[96];
    unsigned long long seed;
    int status;

    snprintf(file, sizeof file, "/tmp/hob-test-search-%d", (int)getpid());
    snprintf(sim, sizeof sim, "search:1000:%s", file);
    CHECK_INT(program(fn, exits, sim), 1);
    if (!says(what))
        t_fail(__FILE__, __LINE__, "not \"%s\" but: %s", what, said);
    const char *replay = strstr(said, "replay: HOB_SIM=");
    CHECK(replay && sscanf(replay, "replay: HOB_SIM=%llu", &seed) == 1);
    if (access(file, F_OK) == 0) {
        CHECK(says(file));
        snprintf(sim, sizeof sim, "@%s", file);
        status = program(fn, exits, sim);
        unlink(file);
        CHECK(!says("another program"));
        CHECK(status != 0);
    } else {
        CHECK(says("no end"));
        return;
    }
    snprintf(sim, sizeof sim, "%llu", seed);
    CHECK(program(fn, exits, sim) != 0);
}

TEST(a_result_that_is_not_0_is_a_failure)
{
    finds(fails, 0, "fails: hob_run returned -32, Broken pipe; replay: HOB_SIM=");
    CHECK(says("it was 2\n"));
}

TEST(a_number_above_0_is_a_failure_too)
{
    CHECK_INT(program(fails_by_a_number, 0, "search:1000:/dev/null"), 1);
    CHECK(says("fails: hob_run returned 7; replay: HOB_SIM="));
}

TEST(an_abort_is_a_failure)
{
    finds(aborts, 0, "fails: ended by signal 6, Aborted; replay: HOB_SIM=");
}

TEST(what_is_always_so_is_named_when_it_is_not)
{
    finds(always_wrong, 0, "fails: not always so: the first comes first; replay: HOB_SIM=");
}

TEST(outside_a_simulation_always_is_an_assertion)
{
    int status = program(always_wrong_anywhere, 0, "");

#ifdef NDEBUG
    CHECK_INT(status, 0);
    CHECK_STR(said, "");
#else
    CHECK_INT(status, -1);
    CHECK_STR(said, "hob: not always so: one is two\n");
#endif
}

TEST(an_exit_status_is_a_failure)
{
    finds(exits_early, 0, "fails: exit status 9; replay: HOB_SIM=");
    CHECK_INT(program(well, 3, "search:5:/dev/null"), 1); /* what main makes of it, too */
    CHECK(says("seed 1 fails: exit status 3"));
}

TEST(a_deadlock_is_a_failure_whatever_is_made_of_it)
{
    CHECK_INT(program(waits_in_vain, 0, "search:1000:/dev/null"), 1);
    CHECK(says("fails: a deadlock; replay: HOB_SIM="));
}

TEST(a_run_without_end_is_a_failure)
{
    t_timeout(120);
    finds(goes_on_for_ever, 0, "fails: no end after 16777216 choices; replay: HOB_SIM=");
}

static int sometimes_two(void *arg)
{
    (void)arg;
    hob_sometimes(who_is_first() == 2, "the second comes first");
    return 0;
}

static int sometimes_three(void *arg)
{
    (void)arg;
    hob_sometimes(who_is_first() == 2, "the second comes first");
    hob_sometimes(first_come == 3, "a third comes first");
    return 0;
}

TEST(what_is_never_so_is_told_when_no_seed_fails)
{
    CHECK_INT(program(sometimes_two, 0, "search:100"), 0);
    CHECK_INT(program(sometimes_three, 0, "search:100"), 1);
    CHECK_STR(said, "hob: simulation: never so in 100 seeds: a third comes first (asked 100 "
                    "times)\n");
}

static int simulated_seed(void *arg)
{
    const char *sim = getenv("HOB_SIM");

    (void)arg;
    return sim && strcmp(sim, "4") == 0 && hob_simulated() ? -ENXIO : 0;
}

TEST(a_run_knows_its_seed)
{
    CHECK_INT(program(simulated_seed, 0, "search:9:/dev/null"), 1);
    CHECK(says("seed 4 fails"));
}

/* Fails on an order and on a number; prints the number. */
static int draws(void *arg)
{
    unsigned long long number = hob_random();

    (void)arg;
    fprintf(stderr, "drawn %llu\n", number);
    return who_is_first() == 2 && number % 2 ? -EIO : 0;
}

TEST(random_numbers_are_the_seeds_whatever_the_schedule)
{
    char file[64], sim[96];
    unsigned long long seed, there, again = 0, simpler = 0;

    snprintf(file, sizeof file, "/tmp/hob-test-search-%d", (int)getpid());
    snprintf(sim, sizeof sim, "search:1000:%s", file);
    CHECK_INT(program(draws, 0, sim), 1);
    CHECK(sscanf(said, "drawn %llu hob: simulation: seed %llu", &there, &seed) == 2);
    snprintf(sim, sizeof sim, "%llu", seed);
    CHECK_INT(program(draws, 0, sim), 1);
    CHECK(sscanf(said, "drawn %llu", &again) == 1 && again == there);
    snprintf(sim, sizeof sim, "@%s", file);
    CHECK_INT(program(draws, 0, sim), 1);
    CHECK(sscanf(said, "drawn %llu", &simpler) == 1 && simpler == there);
    unlink(file);
}

static unsigned the_seed; /* whose order fails_in_two_ways is about */

static int fails_in_two_ways(void *arg)
{
    const char *sim = getenv("HOB_SIM");
    hob_event e;
    int r = hob_event_init(&e, "never");

    (void)arg;
    if (!sim || strtoul(sim, NULL, 10) != the_seed)
        return 0;
    if (r == 0 && who_is_first() == 1)
        abort();
    return r < 0 ? r : hob_event_wait(&e, HOB_FOREVER);
}

/* The simplest of all orders fails too, but otherwise. */
TEST(a_simpler_schedule_fails_in_the_same_way)
{
    unsigned left, all;
    char sim[32];

    do
        snprintf(sim, sizeof sim, "%u", ++the_seed);
    while (program(exits_early, 0, sim) != 9);
    CHECK_INT(program(fails_in_two_ways, 0, "search:1000:/dev/null"), 1);
    CHECK(says("fails: a deadlock"));
    const char *told = strstr(said, "it fails with ");
    CHECK(told && sscanf(told, "it fails with %u of its %u choices", &left, &all) == 2);
    CHECK(left > 0 && left < all);
}

/* Something outside that each run moves on by one: a file's place is shared by all processes. */
static int outside = -1;

static int sleeps_as_often(void *arg)
{
    off_t n = lseek(outside, 1, SEEK_CUR);
    int r = 0;

    (void)arg;
    while (r == 0 && n-- > 0)
        r = hob_sleep(HOB_MS);
    return r;
}

static int fails_the_fifth_time(void *arg)
{
    (void)arg;
    return lseek(outside, 1, SEEK_CUR) == 5 ? -EIO : 0;
}

TEST(what_depends_on_the_outside_is_told)
{
    char path[] = "/tmp/hob-test-search-XXXXXX";

    outside = mkstemp(path);
    CHECK(outside >= 0 && unlink(path) == 0);
    CHECK_INT(program(sleeps_as_often, 0, "search:100"), 1);
    CHECK_STR(said, "hob: simulation: seed 1 is not the same run twice: the program depends on "
                    "what is outside hob\n");
    CHECK(lseek(outside, 0, SEEK_SET) == 0);
    CHECK_INT(program(fails_the_fifth_time, 0, "search:100"), 1);
    CHECK(says("seed 4 fails: hob_run returned -5")); /* seed 1 ran twice */
    CHECK(says("the same choices do not fail again"));
    close(outside);
}

static int never_run(void *arg)
{
    (void)arg;
    return 0;
}

TEST(what_HOB_SIM_does_not_mean_is_refused)
{
    static const char *const wrong[] = {"search:",
                                        "search:0",
                                        "search:x",
                                        "search:5:",
                                        "-1",
                                        "1:x",
                                        "1x",
                                        "search:-5",
                                        "search",
                                        "@",
                                        "@/no/such",
                                        "@/dev/null",
                                        "1,faults=",
                                        "1,faults=0",
                                        "1,faults=1001",
                                        "1,faults=5x",
                                        "1,fault=5",
                                        "1,faults=5:x",
                                        "search:5,faults=5:",
                                        "99999999999999999999"};

    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        setenv("HOB_SIM", wrong[i], 1);
        int r = hob_run(NULL, never_run, NULL);
        if (r != -EINVAL && r != -ENOENT)
            t_fail(__FILE__, __LINE__, "%s: %d", wrong[i], r);
    }
}

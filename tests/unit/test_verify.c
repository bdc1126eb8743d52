/* SPDX-License-Identifier: MIT
 *
 * test_verify.c - knobs are found by what a command is; levels, predictions and words follow
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "diag/verify_impl.h"
#include "diag_util.h"

/* --- knobs ------------------------------------------------------------------------------------ */

enum { WORDS = 16 };

/* A command line split at '/', so that an argument may hold blanks. */
struct command {
    char text[256];
    char *argv[WORDS];
};

static struct knob_facts facts_of(struct command *c, const char *line, uint32_t at_once)
{
    size_t n = 0;

    snprintf(c->text, sizeof c->text, "%s", line);
    memset(c->argv, 0, sizeof c->argv);
    for (char *s = strtok(c->text, "/"); s; s = strtok(NULL, "/"))
        c->argv[n++] = s;
    return (struct knob_facts){.argv = c->argv, .n_cores = 1, .at_once = at_once};
}

TEST(a_number_that_says_how_many_at_once_is_found)
{
    static const struct {
        const char *line, *name;
        uint32_t now;
        const char *at_seven; /* that argument at another level */
    } rows[] = {
        {"make/-j4/all", "-j", 4, "-j7"},
        {"make/all/-j/4", "-j", 4, "7"},
        {"x/--jobs=12", "--jobs", 12, "--jobs=7"},
        {"x/--jobs/12/y", "--jobs", 12, "7"},
        {"x/-threads/3", "-threads", 3, "7"},
        {"xargs/-n/1/-P/2/curl", "-P", 2, "7"},
        {"sh/-c/seq 9 | xargs -P 3 -n 1 x; y", "-P", 3, "seq 9 | xargs -P 7 -n 1 x; y"},
        {"bash/-ec/(make -j2)", "-j", 2, "(make -j7)"},
        {"sh/-c/a --workers=5|b", "--workers", 5, "a --workers=7|b"},
        {"env/time/make/-j1", "-j", 1, "-j7"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct command c;
        struct knob_facts f = facts_of(&c, rows[i].line, 8);
        struct knob k;

        if (knobs_find(&f, &k, 1) != 1)
            t_fail(__FILE__, __LINE__, "%s: no knob", rows[i].line);
        CHECK_INT(k.kind, KNOB_ARGUMENT);
        CHECK(k.workers && k.set);
        CHECK_STR(k.name, rows[i].name);
        CHECK_INT(k.now, rows[i].now);
        char *text = knob_argument(&k, c.argv, 7);
        CHECK_STR(text, rows[i].at_seven);
        free(text);
    }
}

TEST(other_numbers_are_left_alone)
{
    static const char *const lines[] = {
        "x",        "x/4",        "x/-j",        "x/-j/all",      "x/-n/4",         "x/-j4x",
        "x/-jobs4", "x/--jobs/a", "x/--depth=4", "x/-j/99999",    "x/---j/4",       "x/--j/4",
        "x/-",      "x/--",       "x/-c/-k 4",   "x/-x/y -j 4 z", "x/--jobs-at/4",  "-j/4",
        "x/-j=4",   "x/--jobs=",  "x/-P/8080",   "x/-p/22",       "x/-j/4294967300"};

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct command c;
        struct knob_facts f = facts_of(&c, lines[i], 2);
        struct knob k;

        if (knobs_find(&f, &k, 1) != 0)
            t_fail(__FILE__, __LINE__, "%s: %s is none", lines[i], k.name);
    }
}

TEST(letters_that_mean_many_things_count_when_so_many_ran)
{
    static const struct {
        const char *line;
        uint32_t at_once;
        size_t found;
    } rows[] = {{"x/-p/4", 3, 0}, {"x/-p/4", 4, 1}, {"x/-p/1", 9, 0},
                {"x/-T4", 1, 0},  {"x/-T4", 2, 1},  {"x/-T1", 1, 1}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct command c;
        struct knob_facts f = facts_of(&c, rows[i].line, rows[i].at_once);
        struct knob k;

        CHECK_INT(knobs_find(&f, &k, 1), rows[i].found);
    }
}

TEST(zero_is_as_many_as_there_are_cores)
{
    struct command c;
    struct knob_facts f = facts_of(&c, "x/-T0", 4);
    struct knob k;

    f.n_cores = 6;
    CHECK_INT(knobs_find(&f, &k, 1), 1);
    CHECK_INT(k.now, 6);
}

static uint32_t bit_of(const char *mark)
{
    for (uint32_t i = 0; i < KNOB_N_ENV; i++)
        if (strcmp(knob_marks()[i], mark) == 0)
            return 1u << i;
    t_fail(__FILE__, __LINE__, "no mark %s", mark);
}

TEST(a_variable_is_a_knob_when_it_is_in_use)
{
    struct command c;
    struct knob_facts f = facts_of(&c, "x", 1);
    struct knob k[2];

    f.n_cores = 4;
    f.marks = bit_of("GOMAXPROCS") | bit_of("OMP_NUM_THREADS");
    unsetenv("GOMAXPROCS");
    unsetenv("OMP_NUM_THREADS");
    CHECK_INT(knobs_find(&f, k, 2), 1); /* its main thread did it all: only the cores */
    CHECK_INT(k[0].kind, KNOB_CORES);
    f.helped = true;
    CHECK_INT(knobs_find(&f, k, 2), 2);
    CHECK_STR(k[0].name, "GOMAXPROCS");
    CHECK(k[0].kind == KNOB_ENV && !k[0].workers && !k[0].set);
    CHECK_INT(k[0].now, 4);
    setenv("OMP_NUM_THREADS", "3", 1); /* what somebody has set goes first */
    f.helped = false;
    CHECK_INT(knobs_find(&f, k, 2), 2);
    CHECK_STR(k[0].name, "OMP_NUM_THREADS");
    CHECK_INT(k[0].now, 3);
    char *value = knob_value(&k[0], 2);
    CHECK_STR(value, "2");
    free(value);
}

TEST(a_variable_that_the_command_sets_is_varied_there)
{
    static const struct {
        const char *line, *name;
        uint32_t now;
        bool workers;
        const char *at_seven;
    } rows[] = {
        {"env/GOMAXPROCS=1/x", "GOMAXPROCS", 1, false, "GOMAXPROCS=7"},
        {"sh/-c/GOMAXPROCS=2 .x", "GOMAXPROCS", 2, false, "GOMAXPROCS=7 .x"},
        {"sh/-c/a; export UV_THREADPOOL_SIZE=2; x", "UV_THREADPOOL_SIZE", 2, true,
         "a; export UV_THREADPOOL_SIZE=7; x"},
        {"env/JAVA_TOOL_OPTIONS=-XX:ActiveProcessorCount=3/x", "JAVA_TOOL_OPTIONS", 3, false,
         "JAVA_TOOL_OPTIONS=-XX:ActiveProcessorCount=7"},
    };
    static const char *const none[] = {"x/GOMAXPROCS",    "x/GOMAXPROCS=",   "x/GOMAXPROCS=a",
                                       "x/AGOMAXPROCS=2", "x/GOMAXPROCS=2x", "x/y GOMAXPROCS=2"};
    struct command c;
    struct knob k;

    setenv("GOMAXPROCS", "5", 1); /* the command's own goes first: it is what the program has */
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct knob_facts f = facts_of(&c, rows[i].line, 1);
        struct buf b = {0};

        f.marks = bit_of("GOMAXPROCS");
        CHECK_INT(knobs_find(&f, &k, 1), 1);
        CHECK_INT(k.kind, KNOB_ARGUMENT);
        CHECK_STR(k.name, rows[i].name);
        CHECK_INT(k.now, rows[i].now);
        CHECK_INT(k.workers, rows[i].workers);
        char *text = knob_argument(&k, c.argv, 7);
        CHECK_STR(text, rows[i].at_seven);
        free(text);
        CHECK_INT(knob_named(&f, rows[i].name, &k, &b), 0);
        CHECK_INT(k.kind, KNOB_ARGUMENT);
        knob_setting(&k, 7, &b);
        CHECK(strncmp(b.p, rows[i].name, strlen(rows[i].name)) == 0 && strstr(b.p, "=7"));
        buf_free(&b);
    }
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        struct knob_facts f = facts_of(&c, none[i], 1);

        CHECK_INT(knobs_find(&f, &k, 1), 0);
    }
}

TEST(options_of_a_variable_are_put_behind_those_it_has)
{
    struct command c;
    struct knob_facts f = facts_of(&c, "x", 1);
    struct buf b = {0};
    struct knob k;

    f.n_cores = 4;
    f.helped = true;
    f.marks = bit_of("ActiveProcessorCount");
    setenv("JAVA_TOOL_OPTIONS", "-Xmx1g", 1);
    CHECK_INT(knobs_find(&f, &k, 1), 1);
    CHECK_INT(k.now, 4);
    char *value = knob_value(&k, 2);
    CHECK_STR(value, "-Xmx1g -XX:ActiveProcessorCount=2");
    free(value);
    knob_setting(&k, 2, &b);
    CHECK_STR(b.p, "-XX:ActiveProcessorCount=2");
    buf_free(&b);
}

TEST(a_knob_can_be_named)
{
    struct command c;
    struct knob_facts f = facts_of(&c, "x/-w/8/-j/2", 1);
    static const char *const bad[] = {"-k", "", "A B", "A=4", "1A", "=%", "HOB_TEST_UNSET"};
    struct buf err = {0};
    struct knob k;

    CHECK_INT(knob_named(&f, "-w", &k, &err), 0);
    CHECK_INT(k.now, 8);
    CHECK_INT(k.arg, 2);
    CHECK_INT(knob_named(&f, "cores", &k, &err), 0);
    CHECK_INT(k.kind, KNOB_CORES);
    setenv("HOB_TEST_A", "x6y", 1);
    CHECK_INT(knob_named(&f, "HOB_TEST_A=x%y", &k, &err), 0);
    CHECK_INT(k.now, 6);
    char *value = knob_value(&k, 9);
    CHECK_STR(value, "x9y");
    free(value);
    CHECK_INT(err.len, 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        buf_reset(&err);
        CHECK_INT(knob_named(&f, bad[i], &k, &err), -EINVAL);
        CHECK(err.len > 0);
    }
    buf_free(&err);
}

/* --- files ------------------------------------------------------------------------------------ */

TEST(marks_are_found_in_the_files_that_a_process_maps)
{
    char path[] = "/tmp/hob-test-verify-XXXXXX", text[512];
    static const char *const marks[] = {"NOT_IN_IT", "A_MARK"};
    int fd = mkstemp(path);
    struct files f = {0};

    CHECK(fd >= 0);
    CHECK_INT(write(fd, "before A_MARK behind", 20), 20);
    close(fd);
    snprintf(text, sizeof text,
             "7f00-7f10 r--p 00000000 08:01 12 /not/executable\n"
             "7f10-7f20 r-xp 00000000 08:01 12                    %s\n"
             "7f20-7f30 r-xp 00000000 08:01 12                    %s\n"
             "7f30-7f40 r-xp 00000000 00:00 0                     [vdso]\n"
             "7f40-7f50 r-xp 00000000 08:01 13 /cut/off",
             path, path);
    files_add_maps(&f, 5, text);
    CHECK_INT(f.n, 1);
    CHECK_INT(files_marks(&f, 5, "/no/such/file", marks, 2), 2);
    CHECK_INT(files_marks(&f, 4, NULL, marks, 2), 0);
    CHECK_INT(files_marks(&f, 4, path, marks, 2), 2);
    files_free(&f);
    unlink(path);
}

static int in_pairs(int cpu)
{
    return cpu & ~1;
}

static int alone(int cpu)
{
    return cpu;
}

TEST(cores_of_their_own_come_before_second_threads)
{
    cpu_set_t usable, set;

    CHECK_INT(sched_getaffinity(0, sizeof usable, &usable), 0);
    int n = CPU_COUNT(&usable);
    for (int i = 1; i <= n; i++) {
        int whole = 0;

        CHECK_INT(verify_cores((uint32_t)i, in_pairs, &set, sizeof set), 0);
        CHECK_INT(CPU_COUNT(&set), i);
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu += 2)
            whole += CPU_ISSET(cpu, &set) && CPU_ISSET(cpu + 1, &set);
        if (CPU_ISSET(0, &usable) && CPU_COUNT(&usable) == 4 && CPU_ISSET(3, &usable))
            CHECK_INT(whole, i > 2 ? i - 2 : 0);
        CHECK_INT(verify_cores((uint32_t)i, alone, &set, sizeof set), 0);
        CHECK_INT(CPU_COUNT(&set), i);
    }
    CHECK_INT(verify_cores((uint32_t)n + 1, alone, &set, sizeof set), -ENODEV);
}

/* --- levels and predictions ------------------------------------------------------------------- */

static bool has(const uint32_t *levels, size_t n, uint32_t level)
{
    for (size_t i = 0; i < n; i++)
        if (levels[i] == level)
            return true;
    return false;
}

TEST(levels_begin_as_given_and_are_few)
{
    uint32_t l[VERIFY_LEVELS];

    for (uint32_t cores = 1; cores <= 256; cores++)
        for (uint32_t now = 1; now <= 300; now += 7)
            for (int workers = 0; workers < 2; workers++) {
                struct knob k = {.kind = KNOB_ENV, .workers = workers, .now = now};
                size_t n = verify_levels(&k, cores, 0, l);

                CHECK(n >= 1 && n <= VERIFY_LEVELS);
                CHECK_INT(l[0], now);
                CHECK(has(l, n, 1));
                for (size_t i = 0; i < n; i++)
                    CHECK(l[i] >= 1 && !has(l, i, l[i]));
            }
    struct knob cpus = {.kind = KNOB_CORES, .now = 8};
    size_t n = verify_levels(&cpus, 8, 0, l);
    CHECK(n == 4 && has(l, n, 8) && has(l, n, 4) && has(l, n, 2));
    struct knob jobs = {.kind = KNOB_ARGUMENT, .workers = true, .now = 2};
    n = verify_levels(&jobs, 4, 20, l);
    CHECK(l[1] == 20 && has(l, n, 4));
}

/* Threads of one process that each compute, or wait for the network, 800 ms in sum. */
static void made_workers(struct recording *r, uint32_t n, bool waits)
{
    made_open(r, 4);
    rec_set_text(r, &r->command, "x -j 4");
    for (uint32_t i = 0; i < n; i++) {
        uint32_t t = made_thread(r, 10, 10 + (int)i, 0, "/usr/bin/x");

        for (double at = 0; at < 800.0 / n; at += 20) {
            made_run(r, t, at, at + (waits ? 1 : 19));
            if (waits)
                made_wait(r, t, at + 1, at + 20, REC_NET, "tcp 10.0.0.1:80");
            else
                made_run(r, t, at + 19, at + 20);
        }
    }
    r->wall = (int64_t)(800.0 / n * HOB_MS);
    r->exit_status = 0;
}

static struct verify_time predicted(const struct diagnosis *d, struct knob k, uint32_t level)
{
    struct verify_time t;

    verify_predict(&d->measures, &d->ruling, &k, level, &t);
    CHECK(t.low <= t.value && t.value <= t.high);
    return t;
}

TEST(predictions_follow_from_what_ran_and_what_waited)
{
    const struct knob cores = {.kind = KNOB_CORES, .now = 4};
    const struct knob jobs = {.kind = KNOB_ARGUMENT, .workers = true, .now = 4};
    struct recording r;
    struct diagnosis d;

    made_workers(&r, 4, false); /* computes on four cores */
    CHECK_INT(diagnose(&r, &d), 0);
    CHECK_NEAR(predicted(&d, cores, 4).value, .2, .001);
    CHECK_NEAR(predicted(&d, cores, 1).value, .2 * (1 + 3 * .97), .002);
    CHECK_NEAR(predicted(&d, cores, 1).high, .8 * 1.05, .01);
    CHECK_NEAR(predicted(&d, jobs, 1).value, .8, .06);
    CHECK(predicted(&d, jobs, 8).low < .2);
    CHECK(predicted(&d, jobs, 8).value > .15);
    rec_free(&r);

    made_workers(&r, 4, true); /* waits, four at a time */
    CHECK_INT(diagnose(&r, &d), 0);
    CHECK_NEAR(predicted(&d, cores, 1).value, .2 * 1.15, .01); /* 1 ms of 20 at the same time */
    CHECK_NEAR(predicted(&d, jobs, 1).value, .8, .1);
    CHECK_NEAR(predicted(&d, jobs, 8).value, .1, .02);
    rec_free(&r);

    made_workers(&r, 1, false); /* one thread: no number of cores matters */
    CHECK_INT(diagnose(&r, &d), 0);
    CHECK_NEAR(predicted(&d, cores, 1).value, .8, .01);
    rec_free(&r);
}

TEST(a_plan_keeps_to_its_budget_and_begins_as_given)
{
    struct verify_point p[VERIFY_POINTS];
    struct recording r;
    struct diagnosis d;

    made_workers(&r, 4, false);
    CHECK_INT(diagnose(&r, &d), 0);
    for (unsigned runs = 1; runs < 12; runs++)
        for (double budget = .1; budget < 4; budget *= 1.3) {
            struct verify v = {
                .n_knobs = 2,
                .knob[0].knob = {.kind = KNOB_ARGUMENT, .workers = true, .now = 4},
                .knob[1].knob = {.kind = KNOB_CORES, .now = 4},
            };
            double sum = 0;
            size_t n = verify_plan(&v, &d, runs, budget, p);

            CHECK(n >= 1 && n <= runs);
            CHECK_INT(v.knob[p[0].knob].row[p[0].row].level, 4);
            for (size_t i = 0; i < n; i++)
                sum += p[i].expected;
            CHECK(n == 1 || sum <= budget + .001);
            for (size_t k = 0; k < 2; k++)
                for (size_t i = 1; i < v.knob[k].n; i++)
                    CHECK(v.knob[k].row[i - 1].level < v.knob[k].row[i].level);
        }
    rec_free(&r);
}

/* --- judging ---------------------------------------------------------------------------------- */

static void timed(struct verify_knob *vk, uint32_t level, double seconds, enum verify_state state)
{
    for (size_t i = 0; i < vk->n; i++)
        if (vk->row[i].level == level) {
            vk->row[i].sample[vk->row[i].n++] =
                (struct verify_sample){.seconds = seconds, .state = state, .foreign = 2};
            return;
        }
    vk->row[vk->n++] = (struct verify_row){
        .level = level,
        .n = 1,
        .sample[0] = {.seconds = seconds, .state = state, .foreign = 2, .status = 3 << 8},
        .predicted = {.low = .9 / level,
                      .value = 1. / level,
                      .high = 1.1 / level,
                      .best = 1. / level,
                      .worst = 1. / level}};
}

static struct verify judged(enum knob_kind kind, enum hob_bound bound, enum hob_advice advice,
                            const double seconds[3])
{
    struct verify v = {.n_knobs = 1,
                       .knob[0].knob = {.kind = kind,
                                        .workers = kind == KNOB_ARGUMENT,
                                        .now = kind == KNOB_ARGUMENT ? 2 : 4,
                                        .name = "-j"}};
    struct diagnosis d = {.ruling.is = {.bound = bound, .advice = advice}};

    for (uint32_t i = 0; i < 3; i++)
        timed(&v.knob[0], 1u << i, seconds[i], SAMPLE_CLEAN);
    verify_judge(&v, &d);
    CHECK(v.knob[0].judged && v.knob[0].has_law);
    return v;
}

TEST(times_confirm_or_contradict_what_they_try)
{
    static const double scales[] = {1, .5, .25}, flat[] = {1, 1, 1}, slower[] = {1, 1.2, 2};
    static const struct {
        enum knob_kind kind;
        enum hob_bound bound;
        enum hob_advice advice;
        const double *seconds;
        enum verify_word word;
    } rows[] = {
        {KNOB_ARGUMENT, HOB_BOUND_IO, HOB_ADVICE_CONCURRENCY, scales, VERIFY_CONFIRMED},
        {KNOB_ARGUMENT, HOB_BOUND_IO, HOB_ADVICE_CONCURRENCY, flat, VERIFY_CONTRADICTED},
        {KNOB_ARGUMENT, HOB_BOUND_CPU, HOB_ADVICE_PARALLELISM, scales, VERIFY_CONFIRMED},
        {KNOB_ARGUMENT, HOB_BOUND_CPU, HOB_ADVICE_PARALLEL, scales, VERIFY_CONTRADICTED},
        {KNOB_ARGUMENT, HOB_BOUND_CPU, HOB_ADVICE_PARALLEL, flat, VERIFY_CONFIRMED},
        {KNOB_ARGUMENT, HOB_BOUND_CPU, HOB_ADVICE_FEWER_THREADS, slower, VERIFY_CONFIRMED},
        {KNOB_ARGUMENT, HOB_BOUND_CPU, HOB_ADVICE_FEWER_THREADS, scales, VERIFY_CONTRADICTED},
        {KNOB_CORES, HOB_BOUND_CPU, HOB_ADVICE_PARALLEL, scales, VERIFY_CONFIRMED},
        {KNOB_CORES, HOB_BOUND_CPU, HOB_ADVICE_PARALLEL, flat, VERIFY_CONTRADICTED},
        {KNOB_CORES, HOB_BOUND_CPU, HOB_ADVICE_PARALLELISM, flat, VERIFY_UNTRIED},
        {KNOB_CORES, HOB_BOUND_IO, HOB_ADVICE_CONCURRENCY, flat, VERIFY_CONFIRMED},
        {KNOB_CORES, HOB_BOUND_IO, HOB_ADVICE_CONCURRENCY, scales, VERIFY_CONTRADICTED},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct verify v = judged(rows[i].kind, rows[i].bound, rows[i].advice, rows[i].seconds);
        if (v.knob[0].word != rows[i].word)
            t_fail(__FILE__, __LINE__, "row %zu: %s", i, verify_word(v.knob[0].word));
    }
}

TEST(the_gain_is_over_the_lowest_level)
{
    static const double knee[] = {1, .4, .5}, slower[] = {1, 1.5, 2};
    struct verify v = judged(KNOB_ARGUMENT, HOB_BOUND_CPU, HOB_ADVICE_PARALLEL, knee);

    CHECK_NEAR(v.knob[0].gain, 2.5, 1e-9);
    CHECK_INT(v.knob[0].row[v.knob[0].top].level, 2);
    CHECK_NEAR(v.knob[0].gains.value, 2, 1e-9);
    v = judged(KNOB_ARGUMENT, HOB_BOUND_CPU, HOB_ADVICE_PARALLEL, slower);
    CHECK_NEAR(v.knob[0].gain, .5, 1e-9); /* at the far end */
}

TEST(runs_that_do_not_count_are_told_and_not_fitted)
{
    struct verify v = {
        .n_knobs = 1,
        .n_runs = 7,
        .knob[0].knob = {.kind = KNOB_ARGUMENT, .workers = true, .now = 1, .name = "--jobs"}};
    struct diagnosis d = {.ruling.is = {.bound = HOB_BOUND_CPU, .advice = HOB_ADVICE_PARALLEL}};
    struct verify_knob *vk = &v.knob[0];
    char *text = NULL;
    size_t n;

    timed(vk, 1, 1, SAMPLE_CLEAN);
    timed(vk, 1, 1.2, SAMPLE_CLEAN);
    timed(vk, 1, 9, SAMPLE_LOADED);
    timed(vk, 2, .1, SAMPLE_FAILED);
    timed(vk, 4, .1, SAMPLE_LOADED);
    timed(vk, 8, .1, SAMPLE_PAUSED);
    verify_judge(&v, &d);
    CHECK(!vk->judged && !vk->has_law);
    CHECK_NEAR(vk->row[0].seconds, 1.1, 1e-9);
    CHECK_NEAR(vk->row[1].seconds, 0, 0);
    FILE *to = open_memstream(&text, &n);
    verify_report(&v, &d, &(struct report_how){.width = 100, .ascii = true}, to);
    CHECK_INT(fclose(to), 0);
    CHECK(strstr(text, "1 failed: exit status 3"));
    CHECK(strstr(text, "1 not counted: 0.10 s while others kept 2.0 cores busy"));
    CHECK(strstr(text, "1 not counted: stopped meanwhile"));
    CHECK(strstr(text, "too little to compare"));
    free(text);
}

TEST(the_report_says_it_in_words_and_in_json)
{
    static const double scales[] = {1, .5, .25};
    struct verify v = judged(KNOB_ARGUMENT, HOB_BOUND_CPU, HOB_ADVICE_PARALLEL, scales);
    struct diagnosis d = {.ruling.is = {.bound = HOB_BOUND_CPU, .advice = HOB_ADVICE_PARALLEL}};
    struct buf b = {0};
    char *text = NULL;
    size_t n;

    FILE *to = open_memstream(&text, &n);
    verify_report(&v, &d, &(struct report_how){.width = 200, .ascii = true}, to);
    CHECK_INT(fclose(to), 0);
    CHECK(strstr(text, "-j 4 is 4.0x as fast as 1; predicted 4.0 (3.8-4.2)"));
    CHECK(strstr(text, "so -j 4 would make it 2.0x faster"));
    CHECK(strstr(text, "CONTRADICTED"));
    CHECK(strstr(text, "######|") || strstr(text, "#######|"));
    for (const char *s = text; *s; s++)
        CHECK((*s >= ' ' && *s < 0x7f) || *s == '\n');
    free(text);
    verify_json(&v, true, &b);
    CHECK(strstr(b.p, "\"verdict\":\"contradicted\""));
    CHECK(strstr(b.p, "\"level\":4,\"measured\":0.2500,\"predicted\":{\"low\":0.2250"));
    buf_free(&b);
}

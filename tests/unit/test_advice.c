/* SPDX-License-Identifier: MIT
 *
 * test_advice.c - what to do, in the words of the program's language, or of who runs it
 */
#include <string.h>

#include "diag/advice.h"
#include "diag_util.h"

struct scene {
    struct recording rec;
    struct measures m;
    struct ruling r;
    struct prediction p;
    struct advice a;
};

/* A program of one process, on 4 cores, that 24 operations at once would help. */
static void scene_open(struct scene *s, enum language l, const char *command)
{
    *s = (struct scene){.m = {.rec = &s->rec, .language = l}};
    made_open(&s->rec, 4);
    rec_set_text(&s->rec, &s->rec.command, command);
    made_thread(&s->rec, 10, 10, 0, "./program");
    s->p.concurrency.in_flight = 24;
}

static void scene_advise(struct scene *s, enum hob_advice advice, enum mismatch mismatch)
{
    s->r.is = (struct reading){.bound = HOB_BOUND_CPU, .advice = advice, .mismatch = mismatch};
    if (advice == HOB_ADVICE_CONCURRENCY || advice == HOB_ADVICE_BATCHES)
        s->r.is.bound = HOB_BOUND_IO;
    advice_of(&s->m, &s->r, &s->p, &s->a);
}

static bool holds(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

static const struct {
    enum hob_advice advice;
    enum mismatch mismatch;
    enum rec_kind kind;
    enum hob_bound bound;
} cures[] = {
    {HOB_ADVICE_CONCURRENCY, MISMATCH_NONE, REC_NET, HOB_BOUND_IO},
    {HOB_ADVICE_CONCURRENCY, MISMATCH_NONE, REC_DISK, HOB_BOUND_IO},
    {HOB_ADVICE_PARALLELISM, MISMATCH_NONE, REC_NET, HOB_BOUND_CPU},
    {HOB_ADVICE_BOTH, MISMATCH_NONE, REC_NET, HOB_BOUND_MIXED},
    {HOB_ADVICE_BATCHES, MISMATCH_NONE, REC_FSYNC, HOB_BOUND_IO},
    {HOB_ADVICE_CONCURRENCY, MISMATCH_POOL_IO, REC_NET, HOB_BOUND_IO},
    {HOB_ADVICE_PARALLELISM, MISMATCH_LOOP_BLOCKED, REC_NET, HOB_BOUND_CPU},
    {HOB_ADVICE_CONCURRENCY, MISMATCH_LOOP_BLOCKED, REC_NET, HOB_BOUND_SLEEP},
    {HOB_ADVICE_LOCK, MISMATCH_LOCK, REC_NET, HOB_BOUND_CPU},
    {HOB_ADVICE_PARALLEL, MISMATCH_OVERSUB, REC_NET, HOB_BOUND_CPU},
    {HOB_ADVICE_PARALLELISM, MISMATCH_GIL, REC_NET, HOB_BOUND_CPU},
};

static void check_all(struct scene *s)
{
    for (size_t i = 0; i < sizeof cures / sizeof *cures; i++) {
        if (cures[i].mismatch == MISMATCH_GIL && !lang_has_gil(s->m.language))
            continue;
        s->m.io_kind = cures[i].kind;
        s->r.is = (struct reading){cures[i].bound, cures[i].advice, cures[i].mismatch, 0};
        advice_of(&s->m, &s->r, &s->p, &s->a);
        if (!*s->a.what || !*s->a.code)
            t_fail(__FILE__, __LINE__, "%s has nothing for cure %zu", lang_word(s->m.language), i);
        CHECK(!holds(s->a.code, "{n}") && !holds(s->a.code, "{p}"));
        CHECK(strlen(s->a.code) < ADVICE_TEXT - 1); /* whole */
        CHECK_STR(s->a.option, "");
    }
}

TEST(every_language_has_a_line_for_every_cure)
{
    for (int l = 0; l < N_LANGUAGES; l++) {
        struct scene s;

        scene_open(&s, (enum language)l, "./program input");
        check_all(&s);
        rec_free(&s.rec);
    }
}

TEST(who_runs_an_installed_program_is_not_told_to_write_it)
{
    static const enum language compiled[] = {LANG_C, LANG_CXX, LANG_RUST, LANG_GO, LANG_NATIVE};
    struct scene s;

    for (size_t i = 0; i < sizeof compiled / sizeof *compiled; i++) {
        scene_open(&s, compiled[i], "pack file");
        s.m.installed = true;
        check_all(&s);
        scene_advise(&s, HOB_ADVICE_PARALLELISM, MISMATCH_NONE);
        CHECK(holds(s.a.code, "xargs -P 4 -n 1 COMMAND"));
        CHECK(!holds(s.a.code, "hob_"));
        scene_advise(&s, HOB_ADVICE_CONCURRENCY, MISMATCH_NONE);
        CHECK_STR(s.a.what, "more operations at once"); /* not "on the threads there are" */
        rec_free(&s.rec);
    }
    /* a makefile is a script as well, and its recipes are no list */
    scene_open(&s, LANG_SHELL, "make all");
    scene_advise(&s, HOB_ADVICE_PARALLELISM, MISMATCH_NONE);
    CHECK(holds(s.a.code, "xargs -P 4 -n 1 COMMAND") && holds(s.a.code, "make -j 4"));
    rec_free(&s.rec);
    /* an interpreter is installed too, and its program is not */
    scene_open(&s, LANG_PYTHON, "python3 a.py");
    s.m.installed = true;
    scene_advise(&s, HOB_ADVICE_PARALLELISM, MISMATCH_NONE);
    CHECK(holds(s.a.code, "ProcessPoolExecutor(4)"));
    rec_free(&s.rec);
}

TEST(a_client_that_computes_itself_has_no_server_to_ask)
{
    struct scene s;

    scene_open(&s, LANG_SQL, "client :memory:");
    s.m.installed = true;
    scene_advise(&s, HOB_ADVICE_PARALLELISM, MISMATCH_NONE);
    CHECK(holds(s.a.code, "4 sessions"));
    CHECK(!holds(s.a.code, "server"));
    s.m.io_kind = REC_DISK;
    scene_advise(&s, HOB_ADVICE_CONCURRENCY, MISMATCH_NONE);
    CHECK(holds(s.a.code, "24 sessions"));
    CHECK(!holds(s.a.code, "effective_io"));
    rec_free(&s.rec);
}

TEST(where_there_is_no_verdict_there_is_no_advice)
{
    struct scene s;

    scene_open(&s, LANG_C, "./program");
    s.r.is = (struct reading){.unread = true};
    advice_of(&s.m, &s.r, &s.p, &s.a);
    CHECK_STR(s.a.what, "");
    CHECK_STR(s.a.code, "");
    CHECK_STR(s.a.option, "");
    rec_free(&s.rec);
}

TEST(an_option_that_keeps_sleeps_apart_is_turned_up)
{
    struct scene s;

    scene_open(&s, LANG_SHELL, "sh -c seq 9 | xargs -P 2 -n 1 nap");
    made_thread(&s.rec, 11, 11, 10, "/bin/nap"); /* two at a time */
    s.m.told = 2;
    s.p.concurrency.in_flight = 0;
    s.r.is = (struct reading){.bound = HOB_BOUND_SLEEP, .advice = HOB_ADVICE_CONCURRENCY};
    advice_of(&s.m, &s.r, &s.p, &s.a);
    CHECK_STR(s.a.option, "-P 4 in place of 2");
    CHECK_STR(s.a.code, "");
    rec_free(&s.rec);
}

TEST(an_option_of_the_command_line_comes_first)
{
    struct scene s;

    scene_open(&s, LANG_SHELL, "/bin/sh -c cd x && build -j1 all");
    scene_advise(&s, HOB_ADVICE_PARALLELISM, MISMATCH_NONE);
    CHECK_STR(s.a.option, "-j 4 in place of 1");
    CHECK_STR(s.a.code, ""); /* xargs is no advice to who has -j */
    scene_advise(&s, HOB_ADVICE_CONCURRENCY, MISMATCH_NONE);
    CHECK_STR(s.a.option, "-j 24 in place of 1");
    scene_advise(&s, HOB_ADVICE_BATCHES, MISMATCH_NONE);
    CHECK_STR(s.a.option, "");
    rec_free(&s.rec);

    scene_open(&s, LANG_PYTHON, "python3 a.py --workers=32");
    scene_advise(&s, HOB_ADVICE_PARALLEL, MISMATCH_OVERSUB);
    CHECK_STR(s.a.option, "--workers=4 in place of 32");
    CHECK_STR(s.a.code, "Pool(4)"); /* it may be changed as well */
    rec_free(&s.rec);
}

TEST(an_option_that_would_change_nothing_is_none)
{
    static const char *const commands[] = {"build -j4", "build -j 8",    "build",
                                           "build -j",  "serve -p 8080", "pack -T0"};
    struct scene s;

    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        scene_open(&s, LANG_C, commands[i]);
        scene_advise(&s, HOB_ADVICE_PARALLELISM, MISMATCH_NONE);
        CHECK_STR(s.a.option, "");
        CHECK_STR(s.a.code, "hob_for(0, n, work, data, NULL)");
        rec_free(&s.rec);
    }
}

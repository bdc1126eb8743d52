/* SPDX-License-Identifier: MIT
 *
 * test_shrink.c - schedules as files, and made simple
 */
#include "sched/shrink.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/t.h"

enum { N = 300 };

static struct schedule schedule_of(uint32_t *of, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        of[i] = choice_pack((enum choice)(i % CHOICES), i % 3 ? i : 0);
    return (struct schedule){.seed = UINT64_MAX - 1, .loops = 3, .n = n, .max = n, .of = of};
}

static bool same(const struct schedule *a, const struct schedule *b)
{
    for (uint32_t i = 0; i < a->n && i < b->n; i++)
        if (choice_value(a->of[i]) != choice_value(b->of[i]))
            return false;
    return a->seed == b->seed && a->loops == b->loops && a->n == b->n;
}

TEST(a_schedule_is_read_as_it_was_written)
{
    char path[64];
    uint32_t of[N];
    struct schedule s = schedule_of(of, N), r;

    snprintf(path, sizeof path, "/tmp/hob-test-shrink-%d", (int)getpid());
    CHECK_INT(hob__schedule_write(&s, path), 0);
    CHECK_INT(hob__schedule_read(path, &r), 0);
    unlink(path);
    CHECK(same(&s, &r));
    CHECK_INT(hob__schedule_weight(&r), N * 2 / 3);
    CHECK_INT(choice_what(r.of[CHOICE_LEAP]), CHOICE_LEAP);
    hob__schedule_free(&r);
    CHECK_INT(hob__schedule_read(path, &r), -ENOENT);
    CHECK_INT(hob__schedule_write(&s, "/no/such/folder"), -ENOENT);
}

static int reads(const char *text)
{
    char path[64];
    struct schedule s;
    int r;

    snprintf(path, sizeof path, "/tmp/hob-test-shrink-%d", (int)getpid());
    FILE *f = fopen(path, "we");
    CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0);
    if ((r = hob__schedule_read(path, &s)) == 0)
        hob__schedule_free(&s);
    unlink(path);
    return r;
}

TEST(a_file_that_is_no_schedule_is_refused)
{
    CHECK_INT(reads("hob schedule 1\nseed 1\nloops 1\nchoices 2\n1 stir 3\n"), 0);
    CHECK_INT(reads("hob schedule 1\nseed 1\nloops 1\nchoices 0\n"), 0);
    CHECK_INT(reads(""), -EINVAL);
    CHECK_INT(reads("hob schedule 2\nseed 1\nloops 1\nchoices 2\n"), -EINVAL);
    CHECK_INT(reads("hob schedule 1\nseed 1\nloops 1\nchoices 999999999\n"), -EINVAL);
    CHECK_INT(reads("hob schedule 1\nseed 1\nloops 1\nchoices 2\n2 stir 3\n"), -EINVAL);
    CHECK_INT(reads("hob schedule 1\nseed 1\nloops 1\nchoices 2\n1 dance 3\n"), -EINVAL);
    CHECK_INT(reads("hob schedule 1\nseed 1\nloops 1\nchoices 2\n1 stir 99999999\n"), -EINVAL);
    CHECK_INT(reads("hob schedule 1\nseed 1\nloops 1\nchoices 2\n1 stir\n"), -EINVAL);
}

/* Fails with the choices of these places; the others are not asked for. */
static bool needs(const struct schedule *s, const uint32_t *places, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (places[i] >= s->n || choice_value(s->of[places[i]]) == 0)
            return false;
    return true;
}

static struct shrink shrunk(const uint32_t *places, unsigned n, uint32_t weight)
{
    uint32_t of[N];
    struct schedule s = schedule_of(of, N);
    struct shrink k;

    CHECK_INT(hob__shrink_begin(&k, &s), 0);
    while (hob__shrink_next(&k))
        hob__shrink_told(&k, &k.next, needs(&k.next, places, n));
    CHECK_INT(hob__schedule_weight(&k.best), weight);
    CHECK(needs(&k.best, places, n));
    CHECK(!k.bounded);
    CHECK(k.best.seed == s.seed && k.best.loops == s.loops);
    return k;
}

TEST(only_the_choices_that_a_failure_needs_stay)
{
    static const uint32_t two[] = {17, 298}, far[] = {1, 2, 100, 101, 200, 299};

    struct shrink k = shrunk(two, 2, 2);
    CHECK(k.n_runs < 60);
    hob__shrink_end(&k);
    k = shrunk(far, 6, 6);
    CHECK_INT(k.best.n, 300);
    hob__shrink_end(&k);
    k = shrunk(NULL, 0, 0);
    CHECK_INT(k.best.n, 0);
    CHECK_INT(k.n_runs, 1);
    hob__shrink_end(&k);
}

enum { MANY = 5000 };

/* One at a time would be 5000 runs. */
TEST(what_takes_too_many_runs_ends_and_may_be_simpler_still)
{
    static uint32_t of[MANY];
    struct schedule s = {.seed = 1, .loops = 1, .n = MANY, .max = MANY, .of = of};
    struct shrink k;

    for (uint32_t i = 0; i < MANY; i++)
        of[i] = choice_pack(CHOICE_STIR, 1);
    CHECK_INT(hob__shrink_begin(&k, &s), 0);
    while (hob__shrink_next(&k))
        hob__shrink_told(&k, &k.next, false);
    CHECK(k.bounded && k.n_runs == 2000);
    hob__shrink_end(&k);

    CHECK_INT(hob__shrink_begin(&k, &s), 0);
    while (hob__shrink_next(&k)) {
        hob__shrink_told(&k, &k.next, false);
        k.n_choices += 10 * 1000 * 1000; /* as of long runs */
    }
    CHECK(k.bounded && k.n_runs == 5);
    hob__shrink_end(&k);
}

/* A run asks for fewer choices than it was given: what it did not ask for is gone. */
TEST(what_a_run_made_of_it_is_what_stays)
{
    uint32_t of[N];
    struct schedule s = schedule_of(of, N), ran;
    struct shrink k;

    CHECK_INT(hob__shrink_begin(&k, &s), 0);
    CHECK(hob__shrink_next(&k));
    ran = s;
    ran.n = 5; /* 1, 2 and 4 are not 0 */
    hob__shrink_told(&k, &ran, true);
    CHECK_INT(hob__schedule_weight(&k.best), 3);
    CHECK_INT(k.best.n, 5);
    while (hob__shrink_next(&k))
        hob__shrink_told(&k, &s, true); /* heavier: it does not get worse */
    CHECK_INT(hob__schedule_weight(&k.best), 3);
    hob__shrink_end(&k);
}

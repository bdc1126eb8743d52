/* SPDX-License-Identifier: MIT
 *
 * test_marks.c - how deep stacks get is measured by what was started where
 */
#include "sched/marks.h"

#include <hob/hob.h>

#include <errno.h>
#include <stdlib.h>

#include "lib/t.h"

static char said[1 << 16];

static void keep(void *arg, const char *text, size_t n)
{
    CHECK(n < sizeof said);
    memcpy(said, text, n + 1);
}

/* Writes to about `bytes` of its stack.  Each frame is read by the one below it: all are there. */
static __attribute__((noinline)) int digs(size_t bytes, const volatile char *above)
{
    volatile char frame[1024];

    for (size_t i = 0; i < sizeof frame; i += 64)
        frame[i] = above[0];
    return bytes > sizeof frame ? digs(bytes - sizeof frame, frame) + above[64] : frame[0];
}

static int dig(size_t bytes)
{
    char surface[128] = {0};

    return digs(bytes, surface) < 0 ? -EIO : 0;
}

static int shallow(void *arg)
{
    return hob_yield();
}

static int deep(void *arg)
{
    int r = hob_yield();

    return r < 0 ? r : dig(24 * 1024);
}

static int both(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, NULL);

    for (int i = 0; i < 40 && r == 0; i++)
        r = hob_go(&g, i % 4 ? shallow : deep, NULL);
    return hob_group_join(&g, r);
}

static struct stack_mark of_shallow, of_deep;

static void sort_out(void *arg, const struct stack_mark *m)
{
    if (m->fn == (const void *)(uintptr_t)shallow)
        of_shallow = *m;
    if (m->fn == (const void *)(uintptr_t)deep)
        of_deep = *m;
}

/* In both ways a stack is used again: after a switch, and by a fiber that takes it over. */
TEST(each_place_of_a_start_has_its_own_depth)
{
    setenv("HOB_STACKS", "1", 1);
    CHECK_INT(hob_run(HOB_OPTS(.report = keep), both, NULL), 0);
    hob__marks_each(sort_out, NULL);
    CHECK_INT(of_deep.n, 10);
    CHECK_INT(of_shallow.n, 30);
    CHECK(of_deep.deepest >= 24 * 1024);
    CHECK(of_deep.site && of_shallow.site);
    CHECK(of_shallow.deepest >= 64 && of_shallow.deepest < 16 * 1024);
    CHECK(strstr(said, "hob: stacks of fibers, of "));
    CHECK(strstr(said, " KiB at most, 10 ended: runs test_marks+0x"));
}

static int runs_through(void *arg)
{
    *(int *)arg += 1;
    return 0;
}

static int digs_through(void *arg)
{
    *(int *)arg += 1;
    return dig(12 * 1024);
}

static int never_parks(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, NULL), n = 0;

    for (int i = 0; i < 100 && r == 0; i++)
        r = hob_go(&g, i % 10 ? runs_through : digs_through, &n);
    r = hob_group_join(&g, r);
    return r < 0 ? r : n;
}

static void only_shallow(void *arg, const struct stack_mark *m)
{
    if (m->fn == (const void *)(uintptr_t)runs_through)
        of_shallow = *m;
}

TEST(a_stack_that_is_taken_over_is_painted_anew)
{
    setenv("HOB_STACKS", "1", 1);
    CHECK_INT(hob_run(HOB_OPTS(.report = keep), never_parks, NULL), 100);
    hob__marks_each(only_shallow, NULL);
    CHECK_INT(of_shallow.n, 90);
    CHECK(of_shallow.deepest < 12 * 1024);
}

TEST(nothing_is_measured_unless_it_is_asked_for)
{
    unsetenv("HOB_STACKS");
    CHECK_INT(hob_run(HOB_OPTS(.report = keep), both, NULL), 0);
    hob__marks_each(sort_out, NULL);
    CHECK_INT(of_deep.n, 0);
    CHECK_STR(said, "");
}

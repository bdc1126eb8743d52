/* SPDX-License-Identifier: MIT */
#include "base/opts.h"
#include "lib/t.h"

struct opts_now {
    size_t size;
    int a, b;
};

struct opts_newer {
    size_t size;
    int a, b, c, d;
};

TEST(no_options_are_all_defaults)
{
    struct opts_now o = {.a = 7};

    CHECK_INT(hob__opts_copy(&o, sizeof(o), NULL), 0);
    CHECK_INT(o.a, 0);
}

TEST(an_older_caller_gets_defaults_for_what_it_does_not_know)
{
    struct opts_now in = {.size = offsetof(struct opts_now, b), .a = 1, .b = 2}, o;

    CHECK_INT(hob__opts_copy(&o, sizeof(o), &in), 0);
    CHECK_INT(o.a, 1);
    CHECK_INT(o.b, 0);
}

TEST(a_newer_caller_is_refused_only_if_it_uses_what_is_new)
{
    struct opts_newer in = {.size = sizeof(in), .a = 1, .b = 2};
    struct opts_now o = {.a = 9};

    CHECK_INT(hob__opts_copy(&o, sizeof(o), &in), 0);
    CHECK_INT(o.b, 2);
    o.a = 9;
    in.d = 1;
    CHECK_INT(hob__opts_copy(&o, sizeof(o), &in), -E2BIG);
    CHECK_INT(o.a, 9);
}

TEST(elements_of_an_array_lie_as_far_apart_as_the_first_says)
{
    struct opts_newer in[3] = {{.size = sizeof(in[0]), .a = 1},
                               {.size = sizeof(in[0]), .a = 2, .b = 3},
                               {.size = sizeof(in[0]), .c = 4}};
    struct opts_now o;

    CHECK_INT(hob__opts_copy_nth(&o, sizeof(o), in, 0), 0);
    CHECK_INT(o.a, 1);
    CHECK_INT(hob__opts_copy_nth(&o, sizeof(o), in, 1), 0);
    CHECK_INT(o.a, 2);
    CHECK_INT(o.b, 3);
    CHECK_INT(hob__opts_copy_nth(&o, sizeof(o), in, 2), -E2BIG);
    in[1].size = 0;
    CHECK_INT(hob__opts_copy_nth(&o, sizeof(o), in, 1), -EINVAL);
    in[0].size = 0;
    CHECK_INT(hob__opts_copy_nth(&o, sizeof(o), in, 1), -EINVAL);
}

TEST(a_result_fills_no_more_than_its_caller_knows)
{
    struct opts_now mine = {.a = 1, .b = 2};
    struct opts_now older = {.size = offsetof(struct opts_now, b), .b = 7};
    struct opts_newer newer = {.size = sizeof(newer), .c = 8, .d = 9};

    CHECK_INT(hob__result_copy(&older, &mine, sizeof(mine)), 0);
    CHECK_INT(older.a, 1);
    CHECK_INT(older.b, 7);
    CHECK_INT(older.size, offsetof(struct opts_now, b));
    CHECK_INT(hob__result_copy(&newer, &mine, sizeof(mine)), 0);
    CHECK_INT(newer.b, 2);
    CHECK_INT(newer.c, 0);
    CHECK_INT(newer.d, 0);
    CHECK_INT(newer.size, sizeof(newer));
    older = (struct opts_now){.a = 5};
    CHECK_INT(hob__result_copy(&older, &mine, sizeof(mine)), -EINVAL);
    CHECK_INT(older.a, 5);
}

TEST(a_size_that_was_not_set_is_refused)
{
    struct opts_now in = {.a = 1}, o;

    CHECK_INT(hob__opts_copy(&o, sizeof(o), &in), -EINVAL);
    in.size = SIZE_MAX / 3;
    CHECK_INT(hob__opts_copy(&o, sizeof(o), &in), -EINVAL);
    CHECK_INT(hob__result_copy(&in, &o, sizeof(o)), -EINVAL);
}

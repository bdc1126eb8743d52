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

TEST(a_size_that_was_not_set_is_refused)
{
    struct opts_now in = {.a = 1}, o;

    CHECK_INT(hob__opts_copy(&o, sizeof(o), &in), -EINVAL);
}

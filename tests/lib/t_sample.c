/* SPDX-License-Identifier: MIT
 *
 * t_sample.c - cases that end in every way a case can end, for test_runner.py
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/t.h"

TEST(good)
{
    puts("not ok 9 - what a case prints is not the protocol");
    CHECK(1 + 1 == 2);
    CHECK_INT(1 + 1, 2);
    CHECK_STR("a", "a");
}

TEST(failed_condition)
{
    CHECK(1 + 1 == 3);
}

TEST(failed_check_int)
{
    CHECK_INT(1 + 1, 3);
}

TEST(failed_check_str)
{
    CHECK_STR(NULL, "a");
}

TEST(skipped)
{
    t_skip("the moon is %s", "full");
}

TEST(timed_out)
{
    t_timeout(1);
    for (;;)
        pause();
}

TEST(leaked_descriptor)
{
    CHECK(open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0);
}

TEST(aborted)
{
    abort();
}

TEST(exit_code)
{
    exit(3);
}

/* The process outlives its case unless the runner ends it: it holds the runner's output open. */
TEST(left_a_process)
{
    pid_t pid = fork();

    CHECK(pid >= 0);
    while (pid == 0)
        pause();
    CHECK(0 == 1);
}

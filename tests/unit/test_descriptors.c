/* SPDX-License-Identifier: MIT */
#include "lib/descriptors.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/t.h"

static void limit(rlim_t soft, rlim_t hard)
{
    CHECK(setrlimit(RLIMIT_NOFILE, &(struct rlimit){soft, hard}) == 0);
}

static rlim_t soft(void)
{
    struct rlimit l;

    CHECK(getrlimit(RLIMIT_NOFILE, &l) == 0);
    return l.rlim_cur;
}

TEST(the_soft_limit_is_raised_as_far_as_needed)
{
    limit(100, 500);
    CHECK_INT(descriptors_for(50, 3), 50);
    CHECK(soft() >= 150 && soft() < 500);
    CHECK_INT(descriptors_for(20, 1), 20); /* and never lowered */
    CHECK(soft() >= 150);
}

TEST(the_hard_limit_caps)
{
    limit(100, 200);
    int64_t n = descriptors_for(500, 2);
    CHECK(n > 50 && n < 100);
    CHECK_INT(soft(), 200);
    CHECK_INT(descriptors_for(10, 2), 10);
}

TEST(what_is_open_already_counts)
{
    limit(200, 200);
    int64_t n = descriptors_for(500, 1);
    int fd[20];

    for (int i = 0; i < 20; i++)
        CHECK((fd[i] = open("/dev/null", O_RDONLY)) >= 0);
    CHECK_INT(descriptors_for(500, 1), n - 20);
    for (int i = 0; i < 20; i++)
        close(fd[i]);
}

TEST(too_few_is_none)
{
    limit(20, 20);
    CHECK_INT(descriptors_for(5, 2), 0);
    CHECK_INT(descriptors_cap("test", 5, 2), 0);
}

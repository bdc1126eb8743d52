/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <time.h>

#include <hob/rt.h>

#include "lib/t.h"
#include "lib/wall.h"

TEST(the_date_is_the_systems)
{
    int64_t from = (int64_t)time(NULL) * 1000 - 1000, now = wall_ms();

    CHECK(from <= now && now <= ((int64_t)time(NULL) + 2) * 1000);
}

static int date(void *arg)
{
    *(int64_t *)arg = wall_ms();
    return 0;
}

TEST(a_simulation_has_no_date)
{
    int64_t at = -1;

    setenv("HOB_SIM", "1", 1);
    CHECK_INT(hob_run(NULL, date, &at), 0);
    unsetenv("HOB_SIM");
    CHECK_INT(at, 0);
}

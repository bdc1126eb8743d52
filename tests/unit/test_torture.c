/* SPDX-License-Identifier: MIT
 *
 * test_torture.c - hob_torture_cancel finds every suspension point, and what goes wrong there
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hob/hob.h>

#include "lib/each.h"
#include "lib/t.h"

enum { STEPS = 3 };

static int cancelled_at[STEPS + 1], n_whole;

static int steps(void *arg)
{
    int r = hob_yield(), i = 0;

    (void)arg;
    if (r == 0 && ++i && (r = hob_sleep(HOB_US)) == 0 && ++i && (r = hob_sleep(HOB_US)) == 0)
        i++;
    if (r == -ECANCELED)
        cancelled_at[i]++;
    else if (r == 0)
        n_whole++;
    return r;
}

static int tortures_steps(void *arg)
{
    (void)arg;
    memset(cancelled_at, 0, sizeof cancelled_at);
    n_whole = 0;
    int n = hob_torture_cancel(steps, NULL);
    if (n != STEPS)
        return n < 0 ? n : -ERANGE;
    if (!hob_simulated()) /* a sleep whose time has passed is a yield */
        return 0;
    /* A yield that was cancelled has been: the next call is told. */
    CHECK_INT(cancelled_at[0], 0);
    CHECK_INT(cancelled_at[1], 2);
    CHECK_INT(cancelled_at[2], 1);
    CHECK_INT(n_whole, 2);
    return 0;
}

TEST(each_suspension_is_cancelled_once)
{
    each_world_run(tortures_steps, NULL, NULL, 0);
}

static _Atomic(int) n_open; /* what a run has set up and not undone */

static int child(void *arg)
{
    (void)arg;
    atomic_fetch_add(&n_open, 1);
    int r = hob_sleep(20 * HOB_US);
    if (r == 0)
        r = hob_yield();
    atomic_fetch_sub(&n_open, 1);
    return r;
}

static int family(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true, .max_live = 2));

    (void)arg;
    CHECK_INT(n_open, 0);
    for (int i = 0; i < 4 && r == 0; i++)
        r = hob_go(&g, child, NULL);
    r = hob_group_join(&g, r);
    CHECK_INT(n_open, 0);
    return r;
}

static _Atomic(bool) enough;

static int yields(void *arg)
{
    (void)arg;
    int r = 0;

    while (!enough && r == 0)
        r = hob_yield();
    return r;
}

/* Whatever yields beside it is none of its points. */
static int tortures_a_family(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, NULL), n = 0;

    (void)arg;
    enough = false;
    if (r == 0)
        r = hob_go(&g, yields, NULL);
    if (r == 0) {
        n = hob_torture_cancel(family, NULL);
        enough = true;
        r = n < 0 ? n : 0;
    }
    r = hob_group_join(&g, r);
    if (r == 0 && (n < 8 || n > 60)) /* each child twice, the opener now and then */
        t_fail(__FILE__, __LINE__, "%d suspension points", n);
    return r;
}

TEST(fibers_that_it_started_count_and_others_do_not)
{
    each_world_run(tortures_a_family, NULL, NULL, 0);
}

static int fails_alone(void *arg)
{
    (void)arg;
    int r = hob_yield();
    return r < 0 ? r : -EIO;
}

static int turns_it_into_another(void *arg)
{
    (void)arg;
    int r = hob_sleep(HOB_MS);
    return r < 0 ? -EPIPE : 5;
}

static int never_waits(void *arg)
{
    (void)arg;
    return 1;
}

static int again(void *arg)
{
    return hob_torture_cancel(never_waits, arg);
}

static int asks(void *arg)
{
    (void)arg;
    CHECK_INT(hob_torture_cancel(fails_alone, NULL), -EIO);
    if (hob_simulated()) /* a sleep whose time has passed is a yield, which is not told */
        CHECK_INT(hob_torture_cancel(turns_it_into_another, NULL), -EPIPE);
    CHECK_INT(hob_torture_cancel(again, NULL), -EBUSY);
    CHECK_INT(hob_torture_cancel(never_waits, NULL), 0);
    CHECK_INT(hob_torture_cancel(NULL, NULL), -EINVAL);
    return 0;
}

TEST(what_it_returns)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC), kept = dup(STDERR_FILENO);

    CHECK(null >= 0 && kept >= 0 && dup2(null, STDERR_FILENO) >= 0); /* it says at which point */
    CHECK_INT(hob_run(NULL, asks, NULL), 0);
    setenv("HOB_SIM", "1", 1);
    CHECK_INT(hob_run(NULL, asks, NULL), 0);
    unsetenv("HOB_SIM");
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(null);
    CHECK_INT(hob_torture_cancel(never_waits, NULL), -EPERM);
}

static int cancelled_outside(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, NULL);

    (void)arg;
    CHECK_INT(r, 0);
    hob_group_cancel(&g, 0);
    CHECK_INT(hob_torture_cancel(steps, NULL), -ECANCELED);
    return hob_group_join(&g, 0);
}

TEST(a_cancel_from_outside_ends_it)
{
    CHECK_INT(hob_run(NULL, cancelled_outside, NULL), 0);
}

static int does_not_listen(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++)
        while (hob_sleep(HOB_US) < 0) /* "try again" */
            continue;
    return 0;
}

static int tortures_the_deaf(void *arg)
{
    (void)arg;
    return hob_torture_cancel(does_not_listen, NULL);
}

static int runs_it(void *arg)
{
    return hob_run(NULL, tortures_the_deaf, arg) != 0;
}

TEST(a_loop_that_ignores_its_cancel_is_found)
{
    char said[512];
    int status = t_child(runs_it, NULL, said, sizeof said);

    CHECK(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
    CHECK(strstr(said, "hob: torture: cancelled at its suspension 1, it goes on"));
}

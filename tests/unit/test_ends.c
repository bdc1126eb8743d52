/* SPDX-License-Identifier: MIT */
#include <hob/hob.h>

#include <stdatomic.h>

#include "lib/each.h"
#include "lib/t.h"

static char said[64];
static _Atomic(int) n_said, n_waiting;

static void silence(void *arg)
{
    (void)arg;
    memset(said, 0, sizeof said);
    n_said = n_waiting = 0;
}

static void say(char c)
{
    said[n_said++] = c;
}

static int returns(void *arg)
{
    int r = hob_yield();

    return r ? r : *(int *)arg;
}

static int waits(void *arg)
{
    (void)arg;
    n_waiting++;
    return hob_sleep(3600 * HOB_SEC);
}

/* Told that it shall end, it has an error of its own. */
static int ends_badly(void *arg)
{
    int r = waits(NULL);

    return r == -ECANCELED ? *(int *)arg : r;
}

static int go_all(hob_group *g, hob_fn fn, int *args, int n)
{
    int r = 0;

    for (int i = 0; i < n && r == 0; i++)
        r = hob_go(g, fn, &args[i]);
    return r;
}

/* --- supervise and report -----------------------------------------------------------------------
 */

static int supervises(void *arg)
{
    bool spread = *(bool *)arg;
    int good[] = {0, 1, 2}, bad[] = {-EIO, -EIO, -EIO, -EIO, -EIO, -EIO};
    struct hob_group_report rep;
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.supervise = true, .spread = spread, .report = &rep));

    if (r == 0)
        r = go_all(&g, returns, bad, 6);
    if (r == 0)
        r = go_all(&g, returns, good, 3);
    if (r == 0)
        r = hob_sleep(HOB_MS); /* nobody cancels the opener */
    r = hob_group_join(&g, r);
    if (r == 0 && (rep.n_ok != 3 || rep.n_failed != 6 || rep.n_cancelled))
        r = -EPROTO;
    for (int i = 0; i < 4 && r == 0; i++)
        r = rep.failure[i] == -EIO ? 0 : -EPROTO;
    return r;
}

TEST(a_supervised_error_is_reported_and_ends_nobody)
{
    bool spread[] = {false, true};

    each_world_run(supervises, &spread[0], NULL, 0);
    each_world_run(supervises, &spread[1], NULL, 0);
}

static int several_fail(void *arg)
{
    bool spread = *(bool *)arg;
    int late[] = {-EPIPE, -EDOM}, first = -EIO, ok = 1;
    struct hob_group_report rep = {0};
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = spread, .report = &rep));

    if (r == 0)
        r = hob_go(&g, returns, &ok);
    while (r == 0 && hob_group_live(&g))
        r = hob_yield();
    if (r == 0)
        r = go_all(&g, ends_badly, late, 2);
    for (int i = 0; i < 3 && r == 0; i++)
        r = hob_go(&g, waits, NULL);
    while (r == 0 && n_waiting < 5)
        r = hob_sleep(50 * HOB_US);
    if (r == 0)
        r = hob_go(&g, returns, &first);
    r = hob_group_join(&g, r);
    if (rep.n_ok != 1 || rep.n_failed != 3 || rep.n_cancelled != 3 || rep.failure[0] != -EIO)
        return -EPROTO;
    return rep.failure[1] + rep.failure[2] == -EPIPE - EDOM && !rep.failure[3] ? r : -EPROTO;
}

TEST(later_errors_are_in_the_report_and_the_first_is_the_cause)
{
    bool spread[] = {false, true};

    each_world_run(several_fail, &spread[0], silence, -EIO);
    each_world_run(several_fail, &spread[1], silence, -EIO);
}

static int never_started(void *arg)
{
    int ok = 0;
    struct hob_group_report rep = {0};
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.supervise = true, .report = &rep));

    (void)arg;
    for (int i = 0; i < 5 && r == 0; i++)
        r = hob_go(&g, returns, &ok);
    hob_group_cancel(&g, 0);
    r = hob_group_join(&g, r);
    return r ? r : rep.n_cancelled == 5 && !rep.n_failed && !rep.n_ok ? 0 : -EPROTO;
}

TEST(children_that_never_started_are_reported_as_cancelled)
{
    each_world_run(never_started, NULL, NULL, 0);
}

static int leaks_a_cancel(void *arg)
{
    int code = -ECANCELED;
    struct hob_group_report rep = {0};
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.supervise = true, .report = &rep));

    (void)arg;
    if (r == 0)
        r = hob_go(&g, returns, &code);
    r = hob_group_join_all(&g, r);
    return rep.n_failed == 1 && rep.n_cancelled == 0 ? r : -EPROTO;
}

TEST(a_cancel_that_is_not_the_groups_is_an_error)
{
    each_world_run(leaks_a_cancel, NULL, NULL, -ECANCELED);
}

/* --- deferred -----------------------------------------------------------------------------------
 */

static int says(void *arg)
{
    int r = hob_sleep(20 * HOB_US); /* a deferred call may wait, whatever was cancelled */

    say(*(const char *)arg);
    return r;
}

static int says_and_fails(void *arg)
{
    int r = says(arg);

    return r ? r : -EBADF;
}

static char says_a[] = "a", says_b[] = "b", says_c[] = "c";

static int says_more(void *arg)
{
    int r = says(arg);

    return r ? r : hob_defer(says, says_c);
}

static int child_says(void *arg)
{
    int r = hob_yield();

    say('0');
    return r < 0 ? r : *(int *)arg;
}

struct deferring {
    int child; /* what the child returns, -ECANCELED: the group is cancelled from outside */
    int want;
    bool spread, fails;
};

static int defers_in_a_group(void *arg)
{
    struct deferring *d = arg;
    hob_group outer, g;
    int r = hob_group_open(&outer, NULL);

    if (r == 0)
        r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = d->spread));
    if (r == 0)
        r = hob_group_defer(&g, says, says_a);
    if (r == 0)
        r = hob_group_defer(&g, d->fails ? says_and_fails : says, says_b);
    if (r == 0)
        r = hob_group_defer(&g, says, says_c);
    if (r == 0)
        r = hob_go(&g, child_says, &d->child);
    while (r == 0 && !n_said)
        r = hob_sleep(50 * HOB_US);
    if (d->child == -ECANCELED)
        hob_group_cancel(&outer, -ESTALE);
    r = hob_group_join(&g, r);
    bool right = r == d->want && strcmp(said, "0cba") == 0;
    r = hob_group_join(&outer, 0);
    return right && r == (d->child == -ECANCELED ? -ESTALE : 0) ? 0 : -EPROTO;
}

TEST(what_a_group_deferred_runs_in_reverse_after_its_children)
{
    struct deferring all[] = {
        {.child = 0},
        {.child = -EIO, .want = -EIO},
        {.child = -EIO, .want = -EIO, .spread = true, .fails = true},
        {.child = 0, .want = -EBADF, .fails = true},
        {.child = -ECANCELED, .want = -ECANCELED},
        {.child = -ECANCELED, .want = -ECANCELED, .spread = true},
    };

    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++)
        each_world_run(defers_in_a_group, &all[i], silence, 0);
}

static int defers_in_a_fiber(void *arg)
{
    int code = *(int *)arg, r = hob_defer(says, says_a);

    if (r == 0)
        r = hob_defer(says_more, says_b); /* c comes next, not last */
    if (r == 0 && code == -EBADF)
        r = hob_defer(says_and_fails, says_b);
    CHECK_INT(r, 0); /* somebody may wait for this one to wait */
    if (code == -ECANCELED)
        r = waits(NULL);
    say('0');
    return r ? r : code == -EBADF ? 0 : code;
}

static int joins_a_deferring_fiber(void *arg)
{
    int code = *(int *)arg, ret = 99;
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true, .supervise = true));

    if (r == 0)
        r = hob_go_ret(&g, defers_in_a_fiber, arg, &ret);
    if (r == 0 && code == -ECANCELED) {
        while (r == 0 && !n_waiting)
            r = hob_sleep(50 * HOB_US);
        hob_group_cancel(&g, 0);
    }
    r = hob_group_join(&g, r);
    if (r < 0 || ret != code)
        return r ? r : -EPROTO;
    return strcmp(said, code == -EBADF ? "0bbca" : "0bca") == 0 ? 0 : -EPROTO;
}

TEST(what_a_fiber_deferred_runs_in_reverse_before_its_end_is_known)
{
    int codes[] = {0, 7, -EIO, -EBADF, -ECANCELED};

    for (int i = 0; i < 5; i++)
        each_world_run(joins_a_deferring_fiber, &codes[i], silence, 0);
}

static int main_defers(void *arg)
{
    (void)arg;
    return hob_defer(says, says_a);
}

TEST(the_first_fiber_defers_too)
{
    silence(NULL);
    CHECK_INT(hob_run(NULL, main_defers, NULL), 0);
    CHECK_STR(said, "a");
}

static int never_ends_by_itself(void *arg)
{
    hob_time *took = arg, start = hob_now();
    int r = hob_sleep(3600 * HOB_SEC);

    *took = hob_now() - start;
    return r;
}

static int defers_for_too_long(void *arg)
{
    hob_time took = 0;
    hob_group outer, g;
    int r = hob_group_open(&outer, NULL);

    (void)arg;
    if (r == 0)
        r = hob_group_open(&g, NULL);
    if (r == 0)
        r = hob_group_defer(&g, never_ends_by_itself, &took);
    hob_group_cancel(&outer, -ESTALE);
    r = hob_group_join(&g, r);
    bool right = r == -ECANCELED && took >= HOB_DEFER_TIME; /* an hour hits the test's limit */
    r = hob_group_join(&outer, 0);
    return right ? r : -EPROTO;
}

TEST(what_is_deferred_in_a_cancelled_scope_has_only_so_long)
{
    char text[16];

    for (int seed = 0; seed < 50; seed++) { /* virtual time: nobody waits for it */
        snprintf(text, sizeof text, "%d", seed);
        setenv("HOB_SIM", text, 1);
        CHECK_INT(hob_run(NULL, defers_for_too_long, NULL), -ESTALE);
    }
}

/* --- swallowed cancels --------------------------------------------------------------------------
 */

static int swallows(void *arg)
{
    (void)arg;
    return waits(NULL) == -ECANCELED ? 0 : -EPROTO;
}

static int handles_its_own(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.until = hob_in(HOB_MS)));

    (void)arg;
    if (r == 0)
        r = hob_sleep(3600 * HOB_SEC);
    return hob_group_join(&g, r) == -ETIMEDOUT ? 0 : -EPROTO;
}

static int cancels_all(void *arg)
{
    int64_t before = hob_cancels_swallowed();
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true));

    (void)arg;
    for (int i = 0; i < 3 && r == 0; i++)
        r = hob_go(&g, swallows, NULL);
    for (int i = 0; i < 2 && r == 0; i++)
        r = hob_go(&g, waits, NULL); /* says it was cancelled */
    while (r == 0 && n_waiting < 5)
        r = hob_sleep(50 * HOB_US);
    hob_group_cancel(&g, 0);
    r = hob_group_join(&g, r);
    if (r == 0)
        r = hob_group_open(&g, NULL);
    for (int i = 0; i < 3 && r == 0; i++)
        r = hob_go(&g, handles_its_own, NULL);
    r = hob_group_join(&g, r);
    return r ? r : hob_cancels_swallowed() == before + 3 ? 0 : -EPROTO;
}

TEST(who_was_cancelled_and_ends_well_is_counted)
{
    if (hob_cancels_swallowed() == -ENOTSUP)
        t_skip("a release build does not count");
    each_world_run(cancels_all, NULL, silence, 0);
}

/* --- the deadline around ------------------------------------------------------------------------
 */

struct limits {
    hob_time outer, inner;
};

static int knows_its_deadline(void *arg)
{
    struct limits *l = arg;
    hob_group plain, g;
    int r = hob_group_open(&plain, NULL);

    if (r == 0 && hob_deadline() != l->outer)
        r = -EPROTO;
    if (r == 0)
        r = hob_group_open(&g, HOB_GROUP_OPTS(.until = l->inner));
    if (r == 0 && hob_deadline() != (l->inner < l->outer ? l->inner : l->outer))
        r = -EPROTO;
    r = hob_group_join(&g, r);
    if (r == 0)
        r = hob_group_open(&g, HOB_GROUP_OPTS(.shield_ns = HOB_SEC));
    if (r == 0 && hob_deadline() != (l->outer == HOB_FOREVER ? HOB_FOREVER : l->outer + HOB_SEC))
        r = -EPROTO;
    r = hob_group_join(&g, r);
    if (r == 0)
        r = hob_group_open(&g, HOB_GROUP_OPTS(.shield_ns = HOB_FOREVER));
    if (r == 0 && hob_deadline() != HOB_FOREVER)
        r = -EPROTO;
    r = hob_group_join(&g, r);
    return hob_group_join(&plain, r);
}

static int asks_for_deadlines(void *arg)
{
    hob_time now = hob_now();
    struct limits all[] = {{HOB_FOREVER, now + HOB_MIN * 60},
                           {now + HOB_MIN * 60, now + HOB_MIN * 70},
                           {now + HOB_MIN * 60, now + HOB_MIN * 50}};
    int r = 0;

    (void)arg;
    for (int i = 0; i < 6 && r == 0; i++) {
        hob_group g;
        struct limits *l = &all[i / 2];
        r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = i % 2, .until = l->outer));
        for (int k = 0; k < 4 && r == 0; k++)
            r = hob_go(&g, knows_its_deadline, l);
        r = hob_group_join(&g, r);
    }
    return r;
}

TEST(a_fiber_knows_the_earliest_deadline_around_it)
{
    CHECK_INT(hob_deadline(), HOB_FOREVER);
    each_world_run(asks_for_deadlines, NULL, NULL, 0);
}

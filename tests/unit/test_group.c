/* SPDX-License-Identifier: MIT
 *
 * test_group.c - groups: opened, joined, cancelled, full, and mistaken
 *
 * Length: one file as group.c is one; what a mistake is told with stands beside what is right.
 */
#include <hob/hob.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "lib/each.h"
#include "lib/t.h"
#include "sync/shield.h"

struct ran {
    _Atomic(int) started, ended, cancelled;
    int value;
};

static struct ran ran;

static void ran_reset(void *arg)
{
    (void)arg;
    memset(&ran, 0, sizeof ran);
}

static int quick(void *arg)
{
    (void)arg;
    ran.started++;
    hob_yield();
    ran.ended++;
    return 0;
}

/* Sleeps an hour unless cancelled. */
static int waits(void *arg)
{
    (void)arg;
    ran.started++;
    int r = hob_sleep(3600 * HOB_SEC);
    if (r == -ECANCELED) {
        ran.cancelled++;
        /* a level: the next call says so too */
        return hob_sleep(1) == -ECANCELED ? r : -EPROTO;
    }
    ran.ended++;
    return r;
}

static int fails(void *arg)
{
    ran.started++;
    hob_yield();
    return arg ? *(int *)arg : -EIO;
}

static int open_many(void *arg)
{
    hob_group g;
    int n = *(int *)arg, r = hob_group_open(&g, NULL);

    for (int i = 0; i < n && r == 0; i++)
        r = hob_go(&g, quick, NULL);
    r = hob_group_join(&g, r);
    return r ? r : ran.ended == n ? 0 : -EPROTO;
}

TEST(join_waits_for_every_child)
{
    int counts[] = {0, 1, 100};

    for (int i = 0; i < 3; i++)
        each_world_run(open_many, &counts[i], ran_reset, 0);
}

static int open_spread(void *arg)
{
    hob_group g;
    int n = *(int *)arg, r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true, .max_live = 64));

    for (int i = 0; i < n && r == 0; i++)
        r = hob_go(&g, quick, NULL);
    r = hob_group_join(&g, r);
    return r ? r : ran.ended == n ? 0 : -EPROTO;
}

TEST(spread_children_run_once_each)
{
    int n = 500;

    each_world_run(open_spread, &n, ran_reset, 0);
}

static int a_child_fails(void *arg)
{
    bool spread = *(bool *)arg;
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = spread));

    for (int i = 0; i < 20 && r == 0; i++)
        r = hob_go(&g, waits, NULL);
    if (r == 0)
        r = hob_go(&g, fails, NULL);
    if (r == 0)
        r = hob_sleep(1000 * HOB_SEC);
    if (r != -ECANCELED) /* the opener is inside its group */
        r = -EPROTO;
    r = hob_group_join(&g, r);
    return ran.ended == 0 ? r : -EPROTO;
}

TEST(a_childs_error_cancels_the_group_and_is_its_cause)
{
    bool spread[] = {false, true};

    each_world_run(a_child_fails, &spread[0], ran_reset, -EIO);
    each_world_run(a_child_fails, &spread[1], ran_reset, -EIO);
}

static int first_cause(void *arg)
{
    int codes[] = {-EIO, -ENOENT};
    hob_group g;
    int r = hob_group_open(&g, NULL);

    (void)arg;
    if (r == 0)
        r = hob_go(&g, fails, &codes[0]);
    if (r == 0)
        r = hob_go(&g, waits, NULL);
    r = hob_group_join(&g, r);
    return r;
}

TEST(the_first_cause_wins)
{
    each_world_run(first_cause, NULL, ran_reset, -EIO);
}

static int openers_error(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, NULL);

    (void)arg;
    for (int i = 0; i < 3 && r == 0; i++)
        r = hob_go(&g, waits, NULL);
    return hob_group_join(&g, -EDOM);
}

TEST(the_openers_error_cancels)
{
    each_world_run(openers_error, NULL, ran_reset, -EDOM);
}

static int deadline_passes(void *arg)
{
    bool spread = *(bool *)arg;
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.until = hob_in(2 * HOB_MS), .spread = spread));

    for (int i = 0; i < 10 && r == 0; i++)
        r = hob_go(&g, waits, NULL);
    return hob_group_join(&g, r);
}

TEST(a_deadline_is_a_time_out)
{
    bool spread[] = {false, true};

    each_world_run(deadline_passes, &spread[0], ran_reset, -ETIMEDOUT);
    each_world_run(deadline_passes, &spread[1], ran_reset, -ETIMEDOUT);
}

static int inner(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.until = hob_in(1000 * HOB_SEC)));

    (void)arg;
    for (int i = 0; i < 3 && r == 0; i++)
        r = hob_go(&g, waits, NULL);
    r = hob_group_join(&g, r);
    /* not mistaken for the inner deadline */
    return r == -ECANCELED ? r : -EPROTO;
}

static int outer_deadline(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.until = hob_in(2 * HOB_MS)));

    (void)arg;
    for (int i = 0; i < 3 && r == 0; i++)
        r = hob_go(&g, inner, NULL);
    return hob_group_join(&g, r);
}

TEST(an_outer_deadline_is_not_mistaken_for_an_inner_one)
{
    each_world_run(outer_deadline, NULL, ran_reset, -ETIMEDOUT);
}

static int late_deadline(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.until = 1));

    (void)arg;
    return hob_group_join(&g, r);
}

TEST(a_deadline_nobody_saw_is_no_cause)
{
    each_world_run(late_deadline, NULL, ran_reset, 0);
}

static int cancel_now(void *arg)
{
    int reason = *(int *)arg;
    hob_group g;
    int r = hob_group_open(&g, NULL);

    for (int i = 0; i < 5 && r == 0; i++)
        r = hob_go(&g, waits, NULL);
    hob_yield();
    hob_group_cancel(&g, reason);
    hob_group_cancel(&g, -EDOM);
    if (hob_go(&g, quick, NULL) != -ECANCELED || hob_try_go(&g, quick, NULL) != -ECANCELED)
        return -EPROTO;
    r = hob_group_join(&g, 0);
    return ran.ended ? -EPROTO : r;
}

TEST(a_cancel_gives_its_reason_and_none_is_success)
{
    int reasons[] = {-ESTALE, 0};

    each_world_run(cancel_now, &reasons[0], ran_reset, -ESTALE);
    each_world_run(cancel_now, &reasons[1], ran_reset, 0);
}

static _Atomic(int) live, most;
static _Atomic(bool) may_end; /* the first of them wait for it */

static int counted(void *arg)
{
    (void)arg;
    int n = ++live;
    if (n > most)
        most = n;
    int r;
    do
        r = hob_sleep(HOB_MS);
    while (r == 0 && !may_end);
    live--;
    return r;
}

static int limited(void *arg)
{
    bool spread = *(bool *)arg;
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.max_live = 5, .spread = spread));

    live = most = 0;
    may_end = false;
    for (int i = 0; i < 5 && r == 0; i++)
        r = hob_go(&g, counted, NULL);
    if (r == 0 && hob_try_go(&g, counted, NULL) != -EAGAIN)
        return -EPROTO;
    while (r == 0 && live < 5)
        r = hob_sleep(HOB_MS);
    may_end = true;
    for (int i = 0; i < 30 && r == 0; i++)
        r = hob_go(&g, counted, NULL);
    r = hob_group_join(&g, r);
    return r ? r : most == 5 ? 0 : -EPROTO;
}

TEST(max_live_is_held_and_reached)
{
    bool spread[] = {false, true};

    each_world_run(limited, &spread[0], ran_reset, 0);
    each_world_run(limited, &spread[1], ran_reset, 0);
}

static int full_and_cancelled(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.max_live = 2, .until = hob_in(HOB_MS)));

    (void)arg;
    for (int i = 0; i < 10 && r == 0; i++)
        r = hob_go(&g, waits, NULL);
    if (r != -ECANCELED)
        r = -EPROTO;
    return hob_group_join(&g, r);
}

TEST(a_wait_for_a_place_ends_at_the_deadline)
{
    each_world_run(full_and_cancelled, NULL, ran_reset, -ETIMEDOUT);
}

static int tree(void *arg)
{
    intptr_t depth = (intptr_t)arg;
    hob_group g;
    int r;

    ran.started++;
    if (depth == 0)
        return 0;
    r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = depth % 2));
    for (int i = 0; i < 3 && r == 0; i++)
        r = hob_go(&g, tree, (void *)(depth - 1));
    return hob_group_join(&g, r);
}

static int tree_root(void *arg)
{
    int r = tree(arg);

    return r ? r : ran.started == 364 ? 0 : -EPROTO;
}

TEST(groups_nest_across_loops)
{
    each_world_run(tree_root, (void *)(intptr_t)5, ran_reset, 0);
}

static int tree_waits(void *arg)
{
    intptr_t depth = (intptr_t)arg;
    hob_group g;
    int r;

    if (depth == 0)
        return waits(NULL);
    r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = depth % 2));
    for (int i = 0; i < 3 && r == 0; i++)
        r = hob_go(&g, tree_waits, (void *)(depth - 1));
    return hob_group_join(&g, r);
}

static int tree_cancelled(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.until = hob_in(3 * HOB_MS)));

    if (r == 0)
        r = hob_go(&g, tree_waits, arg);
    r = hob_group_join(&g, r);
    return ran.ended == 0 ? r : -EPROTO;
}

TEST(a_cancel_reaches_the_leaves_of_a_tree)
{
    each_world_run(tree_cancelled, (void *)(intptr_t)4, ran_reset, -ETIMEDOUT);
}

static void *cancel_from_outside(void *arg)
{
    hob_group_cancel(arg, -EINTR);
    hob_group_cancel(arg, -EDOM);
    return NULL;
}

static int outside(void *arg)
{
    pthread_t t[2];
    hob_group g;
    int r = hob_group_open(&g, NULL);

    (void)arg;
    for (int i = 0; i < 3 && r == 0; i++)
        r = hob_go(&g, waits, NULL);
    for (int i = 0; i < 2; i++)
        pthread_create(&t[i], NULL, cancel_from_outside, &g);
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL); /* blocks the loop: the messages are under way at the join */
    return hob_group_join(&g, r);
}

TEST(a_cancel_comes_from_any_thread)
{
    for (int i = 0; i < 50; i++) {
        ran_reset(NULL);
        CHECK_INT(hob_run(NULL, outside, NULL), -EINTR);
    }
}

static hob_group *shared;

static int goes_home(void *arg)
{
    (void)arg;
    /* from whatever loop this runs on into the first fiber's group */
    int r = hob_go(shared, quick, NULL);
    return r;
}

static int remote_go(void *arg)
{
    hob_group g, s;
    int n = *(int *)arg, r = hob_group_open(&g, HOB_GROUP_OPTS(.max_live = 3));

    shared = &g;
    if (r == 0)
        r = hob_group_open(&s, HOB_GROUP_OPTS(.spread = true));
    for (int i = 0; i < n && r == 0; i++)
        r = hob_go(&s, goes_home, NULL);
    r = hob_group_join(&s, r);
    r = hob_group_join(&g, r);
    return r ? r : ran.ended == n ? 0 : -EPROTO;
}

TEST(a_child_is_started_from_another_loop)
{
    int n = 60;

    each_world_run(remote_go, &n, ran_reset, 0);
}

static int never_started(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, NULL);

    (void)arg;
    for (int i = 0; i < 5 && r == 0; i++)
        r = hob_go(&g, quick, NULL);
    hob_group_cancel(&g, -EIO);
    r = hob_group_join(&g, r);
    return ran.started == 0 ? r : -EPROTO;
}

TEST(children_that_have_not_started_never_do)
{
    each_world_run(never_started, NULL, ran_reset, -EIO);
}

static int deep_chain(void *arg)
{
    intptr_t depth = (intptr_t)arg;
    hob_group g;
    int r = hob_group_open(&g, NULL);

    if (r == 0)
        r = hob_go(&g, depth ? deep_chain : waits, (void *)(depth - 1));
    return hob_group_join(&g, r);
}

static int deep_cancelled(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.until = hob_in(100 * HOB_MS)));

    if (r == 0)
        r = hob_go(&g, deep_chain, arg);
    return hob_group_join(&g, r);
}

TEST(a_chain_of_ten_thousand_groups_is_cancelled)
{
    ran_reset(NULL);
    setenv("HOB_POLL", "epoll", 1);
    CHECK_INT(hob_run(NULL, deep_cancelled, (void *)(intptr_t)t_times(10000, 300)), -ETIMEDOUT);
}

static int lost_forever(void *arg)
{
    hob_chan *ch;
    char c;
    int r = hob_chan_new(1, NULL, &ch);

    (void)arg;
    if (r < 0)
        return r;
    r = hob_chan_recv(ch, HOB_FOREVER, &c);
    hob_chan_free(ch);
    return r;
}

TEST(the_simulator_reports_a_deadlock_and_ends_it)
{
    setenv("HOB_SIM", "5", 1);
    CHECK_INT(hob_run(NULL, lost_forever, NULL), -EDEADLK);
}

static int opens_too_late(void *arg)
{
    hob_group outer, inner;
    int r = hob_group_open(&outer, NULL);

    (void)arg;
    hob_group_cancel(&outer, -ESTALE);
    if (r == 0)
        r = hob_group_open(&inner, HOB_GROUP_OPTS(.spread = true));
    if (r < 0)
        return hob_group_join(&outer, r);
    if (hob_go(&inner, quick, NULL) != -ECANCELED || hob_sleep(1) != -ECANCELED)
        return -EPROTO;
    if (hob_group_join(&inner, r) != -ECANCELED || ran.started)
        return -EPROTO;
    return hob_group_join(&outer, r);
}

TEST(a_group_opened_in_a_cancelled_scope_is_cancelled)
{
    each_world_run(opens_too_late, NULL, ran_reset, -ESTALE);
}

/* No child waits for the cancel: only the join's own care keeps the message from a dead frame. */
static int cancelled_while_joining(void *arg)
{
    pthread_t t[2];
    hob_group g;
    int r = hob_group_open(&g, NULL);

    (void)arg;
    for (int i = 0; i < 2; i++)
        pthread_create(&t[i], NULL, cancel_from_outside, &g);
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL); /* blocks the loop: the message is under way at the join */
    r = hob_group_join(&g, r);
    memset(&g, 0xff, sizeof g);
    for (int i = 0; i < 300; i++)
        hob_yield();
    return r;
}

TEST(a_cancel_under_way_at_the_join_is_waited_for)
{
    CHECK_INT(hob_run(NULL, cancelled_while_joining, NULL), -EINTR);
}

static int works_shielded(void *arg)
{
    hob_group shield;
    int r;

    (void)arg;
    r = hob__group_open_shielded(&shield, "shield");
    ran.started++;
    if (r == 0)
        r = hob_sleep(HOB_MS);
    if (r == 0)
        r = hob_yield();
    if (hob_group_join(&shield, r) != 0)
        return -EPROTO;
    ran.ended++;
    return hob_sleep(1) == -ECANCELED ? 0 : -EPROTO;
}

static int cancels_shielded(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, NULL);

    (void)arg;
    if (r == 0)
        r = hob_go(&g, works_shielded, NULL);
    while (r == 0 && !ran.started)
        r = hob_yield();
    hob_group_cancel(&g, -ESTALE);
    r = hob_group_join(&g, r);
    return ran.ended == 1 ? r : -EPROTO;
}

TEST(what_is_shielded_goes_on_until_it_ends)
{
    each_world_run(cancels_shielded, NULL, ran_reset, -ESTALE);
}

/* Ends with a group open whose frame is gone: by itself, or by what it called. */
static int forgets_to_join(void *arg)
{
    hob_group g;

    if (arg && hob_defer(quick, NULL) < 0)
        return -ENOMEM;
    return hob_group_open(&g, HOB_GROUP_OPTS(.name = "forgotten"));
}

static int has_who_forgets(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.name = "pages"));

    if (r == 0)
        r = hob_go(&g, forgets_to_join, arg);
    return hob_group_join(&g, r);
}

struct forgets {
    hob_fn fn;
    void *arg;
    const char *fiber;
    bool started; /* by a hob_go that can be named */
};

static int runs(void *arg)
{
    const struct forgets *c = arg;

    return hob_run(NULL, c->fn, c->arg) < 0;
}

TEST(a_fiber_that_ends_with_an_open_group_aborts_and_says_what_to_do)
{
    static struct forgets all[] = {
        {forgets_to_join, NULL, "fiber \"main\" ", false},
        {has_who_forgets, NULL, "fiber \"pages\" ", true},
        {has_who_forgets, &ran, "fiber \"pages\" ", true},
    };
    char said[4096];

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        int status = t_child(runs, &all[i], said, sizeof said);

        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
        if (strncmp(said, "hob: ", 5) != 0 || !strstr(said, all[i].fiber) ||
            !strstr(said, "hob_group_join before every return") || !strstr(said, "; runs ") ||
            !strstr(said, ", started at ") == all[i].started)
            t_fail(__FILE__, __LINE__, "it said \"%s\"", said);
        CHECK(!strstr(said, "invariant") && !strstr(said, "forgotten"));
    }
}

#ifndef NDEBUG
static int opens_again(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, NULL);

    (void)arg;
    if (r == 0)
        r = hob_group_open(&g, NULL);
    return hob_group_join(&g, r);
}

TEST(a_group_that_is_open_is_not_opened_again)
{
    static struct forgets c = {.fn = opens_again};
    char said[4096];
    int status = t_child(runs, &c, said, sizeof said);

    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK(strstr(said, "hob: hob_group_open: misuse: ") == said);
}
#endif

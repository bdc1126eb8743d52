/* SPDX-License-Identifier: MIT */
#include <hob/hob.h>

#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/each.h"
#include "lib/t.h"
#include "sched/loop.h"

enum { CHILDREN = 20 };

#define COLLECTS  HOB_GROUP_OPTS(.collect = true)
#define DECIDES   HOB_GROUP_OPTS(.supervise = true, .collect = true)
#define SPREAD_TO HOB_GROUP_OPTS(.supervise = true, .collect = true, .spread = true)

static _Atomic(int) n_ended, n_cancelled;
static int order[CHILDREN];

static void nothing_ended(void *arg)
{
    (void)arg;
    n_ended = n_cancelled = 0;
}

/* What a child comes to is what it is given: a number, at the end of a nap. */
static int naps(void *arg)
{
    int id = *(int *)arg, r = hob_sleep((1 + id * 7 % CHILDREN) * 50 * HOB_US);

    if (r == 0 && n_ended < CHILDREN)
        order[n_ended++] = id;
    return r < 0 ? r : id;
}

static int returns(void *arg)
{
    int r = hob_yield();

    return r < 0 ? r : *(int *)arg;
}

static int waits(void *arg)
{
    int r = hob_sleep(3600 * HOB_SEC);

    (void)arg;
    n_cancelled += r == -ECANCELED;
    return r;
}

static int ids[CHILDREN] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19};

static int start(hob_group *g, hob_fn fn, int *args, int n)
{
    int r = 0;

    for (int i = 0; i < n && r == 0; i++)
        r = hob_go(g, fn, args ? &args[i] : NULL);
    return r;
}

static int takes_ends(void *arg)
{
    hob_group g;
    struct hob_done d = {0};
    int n = 0, r = hob_group_open(&g, COLLECTS);

    (void)arg;
    if (r == 0)
        r = start(&g, naps, ids, CHILDREN);
    while (r == 0 && (r = hob_group_next(&g, HOB_FOREVER, &d)) == 0) {
        if (d.rc != order[n] || d.arg != &ids[order[n]])
            r = -EPROTO;
        n++;
    }
    if (r == -ENOENT)
        r = n == CHILDREN ? 0 : -EPROTO;
    return hob_group_join(&g, r);
}

TEST(ends_come_in_the_order_they_happened)
{
    each_world_run(takes_ends, NULL, nothing_ended, 0);
}

static int takes_spread_ends(void *arg)
{
    bool seen[CHILDREN] = {0};
    hob_group g;
    struct hob_done d = {0};
    int n = 0, r = hob_group_open(&g, HOB_GROUP_OPTS(.collect = true, .spread = true));

    (void)arg;
    if (r == 0)
        r = start(&g, returns, ids, CHILDREN);
    while (r == 0 && (r = hob_group_next(&g, HOB_FOREVER, &d)) == 0) {
        if (d.arg != &ids[d.rc] || seen[d.rc])
            r = -EPROTO;
        seen[d.rc] = true;
        n++;
    }
    if (r == -ENOENT)
        r = n == CHILDREN ? 0 : -EPROTO;
    return hob_group_join(&g, r);
}

TEST(ends_on_other_loops_come_home_once_each)
{
    each_world_run(takes_spread_ends, NULL, NULL, 0);
}

static int waits_for(void *arg)
{
    return hob_event_wait(arg, HOB_FOREVER);
}

static int takes_in_time(void *arg)
{
    hob_event ev;
    hob_group g;
    struct hob_done d = {.rc = 99};
    int r = hob_group_open(&g, COLLECTS);

    (void)arg;
    if (r == 0)
        r = hob_event_init(&ev, NULL);
    if (r == 0)
        r = hob_go(&g, waits_for, &ev);
    if (r == 0 &&
        (hob_group_next(&g, 0, &d) != -ETIMEDOUT || hob_group_next(&g, 1, &d) != -ETIMEDOUT ||
         hob_group_next(&g, hob_in(HOB_MS), &d) != -ETIMEDOUT || d.rc != 99))
        r = -EPROTO;
    hob_event_set(&ev);
    if (r == 0)
        r = hob_group_next(&g, HOB_FOREVER, &d);
    if (r == 0 && (d.rc != 0 || d.arg != &ev || hob_group_next(&g, 0, &d) != -ENOENT))
        r = -EPROTO;
    return hob_group_join(&g, r);
}

TEST(a_wait_for_an_end_has_a_limit)
{
    each_world_run(takes_in_time, NULL, NULL, 0);
}

static unsigned free_tasks(void)
{
    unsigned n = 0;

    for (const struct runnable *t = hob__loop->free_tasks; t; t = t->next)
        n++;
    return n;
}

static int leaves_ends(void *arg)
{
    unsigned before = 0, after = 0;
    int r = 0;

    (void)arg;
    for (int round = 0; round < 3 && r == 0; round++) {
        hob_group g;
        struct hob_done d;
        if ((r = hob_group_open(&g, COLLECTS)) == 0)
            r = start(&g, returns, ids, CHILDREN);
        for (int i = 0; i < round && r == 0; i++)
            r = hob_group_next(&g, HOB_FOREVER, &d);
        r = hob_group_join(&g, r);
        after = free_tasks();
        if (round == 0)
            before = after;
    }
    return r ? r : before == after ? 0 : -EPROTO;
}

TEST(ends_that_nobody_took_are_dropped_by_the_join)
{
    each_world_run(leaves_ends, NULL, NULL, 0);
}

static int takes_from_a_failed_group(void *arg)
{
    int bad = -EIO;
    hob_group g;
    struct hob_done d;
    int r = hob_group_open(&g, COLLECTS);

    (void)arg;
    if (r == 0)
        r = start(&g, waits, NULL, 3);
    if (r == 0)
        r = hob_go(&g, returns, &bad);
    while (r == 0)
        r = hob_group_next(&g, HOB_FOREVER, &d);
    bool right = r == -ECANCELED;
    r = hob_group_join(&g, r);
    return right ? r : -EPROTO;
}

TEST(without_supervise_an_error_ends_the_taking_too)
{
    each_world_run(takes_from_a_failed_group, NULL, nothing_ended, -EIO);
}

static int takes_until_the_deadline(void *arg)
{
    hob_group g;
    struct hob_done d;
    int r = hob_group_open(
        &g, HOB_GROUP_OPTS(.collect = true, .supervise = true, .until = hob_in(2 * HOB_MS)));

    (void)arg;
    if (r == 0)
        r = start(&g, waits, NULL, 3);
    if (r == 0)
        r = hob_group_next(&g, HOB_FOREVER, &d);
    bool right = r == -ECANCELED;
    r = hob_group_join(&g, r);
    return right ? r : -EPROTO;
}

TEST(the_deadline_ends_the_taking)
{
    each_world_run(takes_until_the_deadline, NULL, nothing_ended, -ETIMEDOUT);
}

/* --- the first that succeeds -------------------------------------------------------------------
 */

struct race {
    int codes[6]; /* what children return; 0 ends the list */
    int n_slow;   /* children that wait an hour */
    bool spread;
    int want; /* the result */
    int winner;
};

static int race_start(hob_group *g, const struct hob_group_opts *opts, struct race *x)
{
    int n = 0, r = hob_group_open(g, opts);

    while (n < 6 && x->codes[n])
        n++;
    if (r == 0)
        r = start(g, waits, NULL, x->n_slow);
    return r ? r : start(g, returns, x->codes, n);
}

static int runs_a_race(void *arg)
{
    struct race *x = arg;
    hob_group g;
    struct hob_done d = {.rc = -99};
    int r = race_start(&g, x->spread ? SPREAD_TO : DECIDES, x);

    r = hob_group_join_first(&g, r, &d);
    if (r != x->want || d.rc != (r == 0 ? x->winner : -99) || n_ended)
        return -EPROTO;
    return r == 0 && *(int *)d.arg != x->winner ? -EPROTO : 0;
}

TEST(the_first_that_succeeds_ends_the_others)
{
    struct race races[] = {
        {.codes = {-EIO, -EPIPE, 7}, .n_slow = 3, .winner = 7},
        {.codes = {5}, .winner = 5},
        {.codes = {-EIO, -EIO, -EIO, -EIO, 9}, .n_slow = 2, .spread = true, .winner = 9},
        {.codes = {-EIO, -EIO}, .want = -EIO},
        {.codes = {-EIO}, .spread = true, .want = -EIO},
        {.want = -ENOENT},
        {.codes = {-ENOENT, -ENOENT}, .want = -ENOENT},
    };

    for (unsigned i = 0; i < sizeof races / sizeof races[0]; i++)
        each_world_run(runs_a_race, &races[i], nothing_ended, 0);
}

static int all_fail(void *arg)
{
    int codes[] = {-EIO, -EPIPE, -EDOM};
    hob_group g;
    int r = hob_group_open(&g, DECIDES);

    (void)arg;
    for (int i = 0; i < 3 && r == 0; i++) { /* one after the other: which error is first is sure */
        r = hob_go(&g, returns, &codes[i]);
        while (r == 0 && hob_group_live(&g))
            r = hob_yield();
    }
    return hob_group_join_first(&g, r, NULL);
}

TEST(when_all_fail_the_first_error_says_why)
{
    each_world_run(all_fail, NULL, NULL, -EIO);
}

/* --- a quorum ----------------------------------------------------------------------------------
 */

struct vote {
    struct race race;
    uint32_t need;
};

static int votes(void *arg)
{
    struct vote *v = arg;
    hob_group g;
    int r = race_start(&g, v->race.spread ? SPREAD_TO : DECIDES, &v->race);

    r = hob_group_join_quorum(&g, r, v->need);
    return r == v->race.want ? 0 : r ? r : -EPROTO;
}

TEST(a_quorum_is_reached_or_given_up_early)
{
    struct vote all[] = {
        {{.codes = {1, 2, 3}, .n_slow = 2}, 3},
        {{.codes = {1, -EIO, 2, -EIO, 3}, .n_slow = 2, .spread = true}, 3},
        {{.codes = {1, -EIO, -EIO, -EIO}, .n_slow = 1, .want = -EIO}, 3},
        {{.codes = {1, -EIO, -EIO}, .n_slow = 1, .spread = true, .want = -EIO}, 3},
        {{.codes = {1, 2}, .n_slow = 3, .want = -ENOENT}, 6},
        {{.codes = {1, 2}, .want = -ENOENT}, 3},
        {{.n_slow = 3}, 0},
        {{.want = 0}, 0},
    };

    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++)
        each_world_run(votes, &all[i], nothing_ended, 0);
}

/* --- all ---------------------------------------------------------------------------------------
 */

struct all {
    bool spread, supervise;
    int want;
};

static int runs_all(void *arg)
{
    struct all *a = arg;
    int codes[] = {-EIO, 1, 2}, r;
    hob_group g;

    r = hob_group_open(&g, HOB_GROUP_OPTS(.supervise = a->supervise, .spread = a->spread));
    if (r == 0)
        r = start(&g, returns, codes, 3);
    if (r == 0 && a->supervise)
        r = start(&g, naps, ids, 5);
    r = hob_group_join_all(&g, r);
    return r == a->want && (a->spread || n_ended == 5 * a->supervise) ? 0 : -EPROTO;
}

TEST(all_run_to_their_end_and_the_first_error_is_told)
{
    struct all supervised = {.supervise = true, .want = -EIO}, plain = {.want = -EIO};
    struct all spread = {.spread = true, .supervise = true, .want = -EIO};

    each_world_run(runs_all, &supervised, nothing_ended, 0);
    each_world_run(runs_all, &spread, nothing_ended, 0);
    each_world_run(runs_all, &plain, nothing_ended, 0);
}

/* --- each policy, ended from elsewhere ---------------------------------------------------------
 */

enum ending { BY_DEADLINE, BY_CANCEL, BY_ENOUGH, BY_OUTSIDE, BY_OPENER, N_ENDINGS };
enum policy { JOIN, ALL, FIRST, QUORUM, N_POLICIES };

struct ended {
    enum ending by;
    enum policy policy;
    bool spread, wrong;
    hob_group *group;
};

static const int result_of[N_ENDINGS] = {
    [BY_DEADLINE] = -ETIMEDOUT, [BY_CANCEL] = -ESTALE, [BY_ENOUGH] = 0,
    [BY_OUTSIDE] = -ECANCELED,  [BY_OPENER] = -EDOM,
};

static int join_by(enum policy p, hob_group *g, int r)
{
    switch (p) {
    case ALL:
        return hob_group_join_all(g, r);
    case FIRST:
        return hob_group_join_first(g, r, NULL);
    case QUORUM:
        return hob_group_join_quorum(g, r, 2);
    default:
        return hob_group_join(g, r);
    }
}

static int cancels_it(void *arg)
{
    struct ended *e = arg;
    int r = hob_sleep(HOB_MS);

    if (r == 0) {
        hob_group_cancel(e->group, e->by == BY_CANCEL ? -ESTALE : 0);
        r = hob_yield(); /* it is a member like any other */
    }
    return r;
}

static int is_ended(void *arg)
{
    struct ended *e = arg;
    hob_group g;
    int r =
        hob_group_open(&g, HOB_GROUP_OPTS(.supervise = true, .collect = true, .spread = e->spread,
                                          .until = e->by == BY_DEADLINE ? hob_in(2 * HOB_MS) : 0));

    e->group = &g;
    if (r == 0)
        r = start(&g, waits, NULL, 5);
    if (r == 0 && (e->by == BY_CANCEL || e->by == BY_ENOUGH))
        r = hob_go(&g, cancels_it, e);
    r = join_by(e->policy, &g, r ? r : e->by == BY_OPENER ? -EDOM : 0);
    if (e->by == BY_ENOUGH && (e->policy == FIRST || e->policy == QUORUM))
        r = r == -ECANCELED ? 0 : -EPROTO; /* nobody won */
    if (n_ended || r != result_of[e->by])
        return -EPROTO;
    return e->by == BY_OUTSIDE ? r : 0;
}

static int ends_from_outside(void *arg)
{
    struct ended *e = arg;
    hob_group outer;
    int r = hob_group_open(&outer,
                           HOB_GROUP_OPTS(.until = e->by == BY_OUTSIDE ? hob_in(2 * HOB_MS) : 0));

    if (r == 0)
        r = is_ended(arg);
    if (r == -EPROTO)
        e->wrong = true; /* which the outer join's own cause would hide */
    r = hob_group_join(&outer, r);
    return r == (e->by == BY_OUTSIDE ? -ETIMEDOUT : 0) && !e->wrong ? 0 : -EPROTO;
}

TEST(a_policy_ends_as_a_join_does_by_deadline_and_cancel)
{
    t_timeout(120);
    for (enum policy p = JOIN; p < N_POLICIES; p++)
        for (enum ending by = 0; by < N_ENDINGS; by++) {
            struct ended e = {.by = by, .policy = p, .spread = (by + p) % 2};
            each_world_run(ends_from_outside, &e, nothing_ended, 0);
        }
}

/* --- misuse ------------------------------------------------------------------------------------
 */

static int decides_without_options(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, NULL);

    (void)arg;
    if (r == 0)
        r = start(&g, waits, NULL, 2);
    return hob_group_join_first(&g, r, NULL);
}

TEST(a_policy_on_a_plain_group_is_a_mistake_and_leaves_nothing)
{
#ifdef NDEBUG
    each_world_run(decides_without_options, NULL, NULL, -EINVAL);
#else
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        (void)!hob_run(NULL, decides_without_options, NULL);
        _exit(0);
    }
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
#endif
}

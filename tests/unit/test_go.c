/* SPDX-License-Identifier: MIT */
#include <hob/hob.h>

#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/each.h"
#include "lib/t.h"
#include "sched/loop.h"

static _Atomic(int) n_ran, n_alive, n_told, n_more;

static void nothing_ran(void *arg)
{
    (void)arg;
    n_ran = n_alive = n_told = n_more = 0;
}

static int runs(void *arg)
{
    (void)arg;
    n_ran++;
    return 0;
}

/* --- a group that fills itself ------------------------------------------------------------------
 */

struct circle {
    hob_group *group;
    int members;
    bool spread;
};

/* Waits until all are alive, so that the group is full of those who will want another place. */
static int member_wants_more(void *arg)
{
    struct circle *c = arg;
    int r = 0;

    n_alive++;
    while (r == 0 && n_alive < c->members)
        r = hob_sleep(50 * HOB_US);
    if (r == 0)
        r = hob_go(c->group, runs, NULL);
    if (r == -EDEADLK) {
        n_told++;
        return 0;
    }
    n_more += r == 0;
    return r;
}

static int fills_itself(void *arg)
{
    struct circle *c = arg;
    hob_group g;
    int r =
        hob_group_open(&g, HOB_GROUP_OPTS(.max_live = (uint32_t)c->members, .spread = c->spread));

    c->group = &g;
    for (int i = 0; i < c->members && r == 0; i++)
        r = hob_go(&g, member_wants_more, c);
    r = hob_group_join(&g, r);
    if (r < 0)
        return r;
    return n_told == 1 && n_more == c->members - 1 && n_ran == n_more ? 0 : -EPROTO;
}

TEST(the_last_to_wait_for_itself_is_told_and_the_others_go_on)
{
    struct circle circles[] = {{.members = 1},
                               {.members = 2},
                               {.members = 5},
                               {.members = 1, .spread = true},
                               {.members = 4, .spread = true}};

    for (unsigned i = 0; i < sizeof circles / sizeof circles[0]; i++)
        each_world_run(fills_itself, &circles[i], nothing_ran, 0);
}

static int told(int r)
{
    if (r == -EDEADLK)
        n_told++;
    return r == -EDEADLK ? 0 : r;
}

static int wants_more(void *arg)
{
    return told(hob_go(arg, runs, NULL));
}

/* A member whose child wants a place, while the member only waits for that child. */
static int joins_a_child_that_wants_more(void *arg)
{
    hob_group h;
    int r = hob_group_open(&h, NULL);

    if (r == 0)
        r = hob_go(&h, wants_more, arg);
    return hob_group_join(&h, r);
}

static int fills_itself_by_a_grandchild(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.max_live = 1));

    (void)arg;
    if (r == 0)
        r = hob_go(&g, joins_a_child_that_wants_more, &g);
    r = hob_group_join(&g, r);
    return r ? r : n_told == 1 && n_ran == 0 ? 0 : -EPROTO;
}

TEST(a_member_in_the_join_of_who_waits_is_part_of_the_circle)
{
    each_world_run(fills_itself_by_a_grandchild, NULL, nothing_ran, 0);
}

static int openers_wait_is_none(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.max_live = 1, .spread = *(bool *)arg));

    for (int i = 0; i < 30 && r == 0; i++)
        r = hob_go(&g, runs, NULL);
    r = hob_group_join(&g, r);
    return r ? r : n_ran == 30 ? 0 : -EPROTO;
}

TEST(an_opener_that_waits_holds_no_place)
{
    bool spread[] = {false, true};

    each_world_run(openers_wait_is_none, &spread[0], nothing_ran, 0);
    each_world_run(openers_wait_is_none, &spread[1], nothing_ran, 0);
}

/* A limited wait: for a place, but not for long. */
static int wants_more_for_a_while(void *arg)
{
    hob_group limit;
    int r = hob_group_open(&limit, HOB_GROUP_OPTS(.until = hob_in(HOB_MS)));

    if (r == 0)
        r = hob_go(arg, runs, NULL);
    r = hob_group_join(&limit, r);
    n_told += r == -EDEADLK;
    return r == -ETIMEDOUT ? 0 : -EPROTO;
}

/* Its two children: one wants a place, the other says after a while that it is not worth it. */
static int gives_up(void *arg)
{
    int r = hob_sleep(HOB_MS);

    (void)arg;
    return r ? r : -ESTALE;
}

static int wants_more_and_no_more(void *arg)
{
    hob_group h;
    int r = hob_group_open(&h, NULL);

    if (r == 0)
        r = hob_go(&h, wants_more, arg);
    if (r == 0)
        r = hob_go(&h, gives_up, NULL);
    r = hob_group_join(&h, r);
    return r == -ESTALE ? 0 : -EPROTO;
}

static int waits_that_end(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.max_live = 1));

    if (r == 0)
        r = hob_go(&g, *(hob_fn *)arg, &g);
    r = hob_group_join(&g, r);
    return r ? r : n_told == 0 && n_ran == 0 ? 0 : -EPROTO;
}

TEST(a_wait_that_something_inside_will_end_is_no_circle)
{
    hob_fn ways[] = {wants_more_for_a_while, wants_more_and_no_more};

    each_world_run(waits_that_end, &ways[0], nothing_ran, 0);
    each_world_run(waits_that_end, &ways[1], nothing_ran, 0);
}

/* A wait that was given up does not count for the next circle, nor hide it. */
static int wants_more_twice(void *arg)
{
    hob_group limit;
    int r = hob_group_open(&limit, HOB_GROUP_OPTS(.until = hob_in(HOB_MS)));

    if (r == 0)
        r = hob_go(arg, runs, NULL);
    r = hob_group_join(&limit, r);
    return r == -ETIMEDOUT ? wants_more(arg) : -EPROTO;
}

static int has_room_later(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.max_live = 2));

    (void)arg;
    for (int i = 0; i < 2 && r == 0; i++)
        r = hob_go(&g, wants_more_twice, &g);
    r = hob_group_join(&g, r);
    return r ? r : n_told == 1 && n_ran == 1 ? 0 : -EPROTO;
}

TEST(who_gave_up_waiting_is_not_counted)
{
    each_world_run(has_room_later, NULL, nothing_ran, 0);
}

/* Three members, who come to wait one after the other; the first by a child of its own, and last.
 */
static int steps;

static int steps_and_wants_more(hob_group *g, int step)
{
    int r = 0;

    while (r == 0 && steps < step)
        r = hob_yield();
    steps++;
    return r ? r : hob_go(g, runs, NULL);
}

static int wants_more_first(void *arg)
{
    return steps_and_wants_more(arg, 0);
}

static int wants_more_later(void *arg)
{
    return steps_and_wants_more(arg, 1);
}

static int wants_more_at_last(void *arg)
{
    hob_group h;
    int r = hob_group_open(&h, NULL);

    if (r == 0)
        r = hob_go(&h, wants_more_first, arg);
    while (r == 0 && steps < 3)
        r = hob_yield();
    if (r == 0)
        r = told(hob_go(arg, runs, NULL));
    if (r == 0)
        hob_group_cancel(&h, 0);
    return hob_group_join(&h, r);
}

static int closes_a_circle_late(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.max_live = 3));

    (void)arg;
    steps = 0;
    if (r == 0)
        r = hob_go(&g, wants_more_at_last, &g);
    for (int i = 0; i < 2 && r == 0; i++)
        r = hob_go(&g, wants_more_later, &g);
    r = hob_group_join(&g, r);
    return r ? r : n_told == 1 && n_ran == 2 ? 0 : -EPROTO;
}

TEST(a_circle_is_found_after_a_look_that_found_none)
{
    each_world_run(closes_a_circle_late, NULL, nothing_ran, 0);
}

struct fib {
    hob_group *group;
    int n;
};

static int fibonacci(void *arg)
{
    struct fib *f = arg;
    int r = 0;

    n_ran++;
    for (int i = 1; i <= 2 && f->n - i > 0 && r == 0; i++) {
        struct fib *next = f - i; /* the parent's frame has one of each depth */
        r = hob_go(f->group, fibonacci, next);
    }
    return r;
}

static int recursion_with_room(void *arg)
{
    hob_group g;
    struct fib f[8];
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.max_live = 64));

    (void)arg;
    for (int i = 0; i < 8; i++)
        f[i] = (struct fib){.group = &g, .n = i};
    if (r == 0)
        r = hob_go(&g, fibonacci, &f[7]);
    r = hob_group_join(&g, r);
    return r ? r : n_ran == 33 ? 0 : -EPROTO;
}

TEST(children_start_siblings_while_there_is_room)
{
    each_world_run(recursion_with_room, NULL, nothing_ran, 0);
}

/* --- results in the opener's frame --------------------------------------------------------------
 */

static int doubles(void *arg)
{
    int r = hob_yield();

    return r ? r : 2 * *(int *)arg;
}

enum { N = 12 };

static int takes_results(void *arg)
{
    bool spread = *(bool *)arg;
    int in[N], out[N];
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = spread, .max_live = 3));

    for (int i = 0; i < N && r == 0; i++) {
        in[i] = i;
        out[i] = 99;
        r = hob_go_ret(&g, doubles, &in[i], &out[i]);
    }
    r = hob_group_join(&g, r);
    for (int i = 0; i < N && r == 0; i++)
        r = out[i] == 2 * i ? 0 : -EPROTO;
    return r;
}

TEST(what_children_return_lies_where_the_opener_wants_it)
{
    bool spread[] = {false, true};

    each_world_run(takes_results, &spread[0], NULL, 0);
    each_world_run(takes_results, &spread[1], NULL, 0);
}

static int fails_for_good(void *arg)
{
    int r = hob_yield();

    (void)arg;
    return r ? r : -EIO;
}

static int results_of_a_failed_group(void *arg)
{
    bool spread = *(bool *)arg;
    int out[N], after = 99, two = 2;
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = spread));

    if (r == 0)
        r = hob_go_ret(&g, fails_for_good, NULL, &out[0]);
    while (r == 0 && hob_group_live(&g))
        r = hob_yield();
    /* The group is cancelled: nothing starts, and what was asked for stays as it is. */
    if (hob_go_ret(&g, doubles, &two, &after) != -ECANCELED || after != 99)
        return -EPROTO;
    r = hob_group_join(&g, r);
    if (r != -EIO || out[0] != -EIO)
        return -EPROTO;

    r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = spread));
    for (int i = 0; i < N && r == 0; i++) {
        out[i] = 99;
        r = hob_go_ret(&g, doubles, &two, &out[i]);
    }
    hob_group_cancel(&g, -ESTALE);
    r = hob_group_join(&g, r);
    for (int i = 0; i < N && r == -ESTALE; i++)
        if (out[i] != -ECANCELED && (!spread || out[i] != 4))
            r = -EPROTO;
    return r;
}

TEST(a_child_that_never_ran_came_to_a_cancel)
{
    bool spread[] = {false, true};

    each_world_run(results_of_a_failed_group, &spread[0], NULL, -ESTALE);
    each_world_run(results_of_a_failed_group, &spread[1], NULL, -ESTALE);
}

struct sum {
    const int *first;
    size_t n;
    long total;
};

static int add_up(struct sum *s)
{
    for (size_t i = 0; i < s->n; i++)
        s->total += s->first[i];
    return s->total > 3;
}

HOB_CHILD(add_up, struct sum)

static int adds_halves(void *arg)
{
    static const int v[] = {1, 2, 3, 4};
    struct sum half[2] = {{.first = v, .n = 2}, {.first = v + 2, .n = 2}};
    hob_group g;
    int more, r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true));

    (void)arg;
    if (r == 0)
        r = add_up_go(&g, &half[0]);
    if (r == 0)
        r = add_up_go_ret(&g, &half[1], &more);
    r = hob_group_join(&g, r);
    return r ? r : half[0].total == 3 && half[1].total == 7 && more == 1 ? 0 : -EPROTO;
}

TEST(a_child_takes_and_fills_what_its_type_says)
{
    each_world_run(adds_halves, NULL, NULL, 0);
}

static int returns_onto_its_own_stack(void *arg)
{
    int mine;

    return hob_go_ret(arg, runs, NULL, &mine);
}

static int result_on_a_childs_stack(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, NULL);

    (void)arg;
    if (r == 0)
        r = hob_go(&g, returns_onto_its_own_stack, &g);
    return hob_group_join(&g, r);
}

TEST(a_result_on_a_stack_that_ends_before_the_group_is_refused)
{
#ifdef __SANITIZE_ADDRESS__
    t_skip("locals are not on the stack under AddressSanitizer");
#endif
#ifdef NDEBUG
    each_world_run(result_on_a_childs_stack, NULL, NULL, -EINVAL);
#else
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        (void)!hob_run(NULL, result_on_a_childs_stack, NULL);
        _exit(0);
    }
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
#endif
}

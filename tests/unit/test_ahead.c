/* SPDX-License-Identifier: MIT
 *
 * test_ahead.c - who runs before whom, counted in turns
 *
 * The clock stands in these cases, so that a turn is as many switches as it may have, on however
 * busy a machine.
 */
#include <hob/hob.h>

#include <time.h>

#include "lib/each.h"
#include "lib/t.h"
#include "sched/ahead.h"

/* The linker puts this between the library and the system. */
int __real_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);

static struct timespec stopped_clock;
static bool clock_stands;

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
    if (!clock_stands)
        return __real_clock_gettime(clock, ret);
    *ret = stopped_clock;
    return 0;
}

/* On one loop of each poller there is here. */
static void each_poller_run(hob_fn fn)
{
    static const char *const pollers[] = {"uring", "epoll"};

    for (unsigned p = 0; p < 2; p++) {
        setenv("HOB_POLL", pollers[p], 1);
        __real_clock_gettime(CLOCK_MONOTONIC, &stopped_clock);
        clock_stands = true;
        int r = hob_run(HOB_OPTS(.loops = 1), fn, NULL);
        clock_stands = false;
        if (p == 0 && (r == -ENOSYS || r == -EPERM))
            continue; /* no io_uring here: tests/unit/test_poll says so */
        CHECK_INT(r, 0);
    }
    unsetenv("HOB_POLL");
}

/* A fiber that always wants to run, and how many turns it was kept from it at most. */
struct third {
    uint64_t last, gap_max;
    unsigned n_runs, enough;
    bool over;
};

static int third_run(void *arg)
{
    struct third *t = arg;
    int r = 0;

    for (t->last = hob__loop->n_turns; r == 0 && t->n_runs < t->enough; t->n_runs++) {
        uint64_t gap;

        r = hob_yield();
        gap = hob__loop->n_turns - t->last;
        t->last = hob__loop->n_turns;
        if (gap > t->gap_max)
            t->gap_max = gap;
    }
    t->over = true;
    return r;
}

struct table {
    hob_chan *there, *back;
    struct third third;
};

static int pong(void *arg)
{
    struct table *t = arg;
    int v = 0, r;

    while ((r = hob_chan_recv(t->there, HOB_FOREVER, &v)) == 0)
        if ((r = hob_chan_send(t->back, &v, HOB_FOREVER)) < 0)
            break;
    return r == -EPIPE ? 0 : r;
}

static int ping(void *arg)
{
    struct table *t = arg;
    int v = 0, r = 0;

    while (r == 0 && !t->third.over)
        if ((r = hob_chan_send(t->there, &v, HOB_FOREVER)) == 0)
            r = hob_chan_recv(t->back, HOB_FOREVER, &v);
    hob_chan_close(t->there);
    return r;
}

static int beside_ping_pong(void *arg)
{
    struct table t = {.third.enough = 2000};
    hob_group g;
    int r = hob_chan_new(sizeof(int), NULL, &t.there);

    (void)arg;
    r = r ? r : hob_chan_new(sizeof(int), NULL, &t.back);
    r = r ? r : hob_group_open(&g, NULL);
    r = r ? r : hob_go(&g, ping, &t);
    r = r ? r : hob_go(&g, pong, &t);
    r = r ? r : hob_go(&g, third_run, &t.third);
    r = hob_group_join(&g, r);
    CHECK(t.third.gap_max <= 1);
    CHECK_INT(t.third.n_runs, t.third.enough);
    hob_chan_free(t.back);
    hob_chan_free(t.there);
    return r;
}

TEST(beside_two_that_ping_pong_a_third_runs_in_each_turn)
{
    each_poller_run(beside_ping_pong);
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* Starts and waits without end: what it starts goes ahead of everybody. */
static int spawns(void *arg)
{
    const bool *over = arg;
    int r = 0;

    while (r == 0 && !*over) {
        hob_group g;

        r = hob_group_open(&g, NULL);
        for (int i = 0; i < 3 && r == 0; i++)
            r = hob_go(&g, nothing, NULL);
        r = hob_group_join(&g, r);
    }
    return r;
}

static int beside_spawns(void *arg)
{
    struct third third = {.enough = 2000};
    hob_group g;
    int r = hob_group_open(&g, NULL);

    (void)arg;
    for (int i = 0; i < 2 && r == 0; i++)
        r = hob_go(&g, spawns, &third.over);
    r = r ? r : hob_go(&g, third_run, &third);
    r = hob_group_join(&g, r);
    CHECK(third.gap_max <= 2);
    CHECK_INT(third.n_runs, third.enough);
    return r;
}

TEST(beside_two_that_start_and_wait_a_third_runs_in_every_other_turn)
{
    each_poller_run(beside_spawns);
}

/* The same, with what it starts as the third: its tasks are in the way of each other. */
static int spawns_counted(void *arg)
{
    struct third *t = arg;
    int r = 0;

    for (t->last = hob__loop->n_turns; r == 0 && t->n_runs < t->enough; t->n_runs++) {
        hob_group g;
        uint64_t gap;

        r = hob_group_open(&g, NULL);
        for (int i = 0; i < 3 && r == 0; i++)
            r = hob_go(&g, nothing, NULL);
        r = hob_group_join(&g, r);
        gap = hob__loop->n_turns - t->last;
        t->last = hob__loop->n_turns;
        if (gap > t->gap_max)
            t->gap_max = gap;
    }
    t->over = true;
    return r;
}

enum { RIVALS = 4 };

static int beside_rivals(void *arg)
{
    struct third third = {.enough = 500};
    hob_group g;
    int r = hob_group_open(&g, NULL);

    (void)arg;
    r = r ? r : hob_go(&g, spawns_counted, &third);
    for (int i = 0; i < RIVALS && r == 0; i++)
        r = hob_go(&g, spawns, &third.over);
    r = hob_group_join(&g, r);
    CHECK_INT(third.n_runs, third.enough);
    /* (I3), of three tasks behind those of all rivals, some of them twice. */
    CHECK(third.gap_max <= (uint64_t)AGED_TURNS * 3 * (RIVALS + 1) * 2);
    return r;
}

TEST(of_those_that_start_and_wait_each_goes_on)
{
    each_poller_run(beside_rivals);
}

enum { WIDTH = 10, LEAVES = 10 * 1000 };

struct node {
    uint64_t first, n, sum;
    unsigned *n_open, *n_open_max;
};

static int node_run(void *arg)
{
    struct node *me = arg, child[WIDTH];
    hob_group g;
    int r;

    me->sum = me->first;
    if (me->n == 1)
        return 0;
    if (++*me->n_open > *me->n_open_max)
        *me->n_open_max = *me->n_open;
    r = hob_group_open(&g, NULL);
    for (unsigned i = 0; i < WIDTH && r == 0; i++) {
        child[i] = *me;
        child[i].n = me->n / WIDTH;
        child[i].first = me->first + i * child[i].n;
        r = hob_go(&g, node_run, &child[i]);
    }
    r = hob_group_join(&g, r);
    me->sum = 0;
    for (unsigned i = 0; i < WIDTH; i++)
        me->sum += child[i].sum;
    --*me->n_open;
    return r;
}

static unsigned most_open;

static int tree(void *arg)
{
    unsigned n_open = 0, n_open_max = 0;
    struct node root = {
        .n = arg ? *(uint64_t *)arg : LEAVES, .n_open = &n_open, .n_open_max = &n_open_max};
    int r = node_run(&root);

    most_open = n_open_max;
    return r == 0 && root.sum == root.n * (root.n - 1) / 2 && n_open == 0 ? 0 : -EPROTO;
}

TEST(a_tree_is_opened_a_path_at_a_time)
{
    each_poller_run(tree);
    CHECK(most_open < 200); /* of 1,111; in the order they were started, nearly all */
}

TEST(a_tree_is_summed_up_in_every_world)
{
    uint64_t n = 1000;

    each_world_run(tree, &n, NULL, 0);
}

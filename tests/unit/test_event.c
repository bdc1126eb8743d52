/* SPDX-License-Identifier: MIT
 *
 * test_event.c - events wake all who wait, and what is done once is done once
 */
#include <hob/hob.h>

#include <pthread.h>

#include "lib/each.h"
#include "lib/t.h"

struct gathering {
    hob_event event;
    hob_once once;
    _Atomic(int) came, waiting, runs, fails;
    bool spread;
};

static void gathering_reset(void *arg)
{
    struct gathering *g = arg;

    g->came = g->waiting = g->runs = g->fails = 0;
}

static int guest(void *arg)
{
    struct gathering *g = arg;
    int r;

    g->waiting++;
    r = hob_event_wait(&g->event, HOB_FOREVER);
    if (r == 0)
        g->came++;
    return r;
}

static int doors_open(void *arg)
{
    struct gathering *w = arg;
    hob_group g;
    int r = hob_event_init(&w->event, "doors");

    if (r == 0)
        r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = w->spread));
    if (r < 0)
        return r;
    CHECK_INT(hob_event_wait(&w->event, 0), -ETIMEDOUT);
    CHECK_INT(hob_event_wait(&w->event, hob_in(10 * HOB_US)), -ETIMEDOUT);
    for (int i = 0; i < 6 && r == 0; i++)
        r = hob_go(&g, guest, w);
    while (w->waiting < 3 && r == 0)
        r = hob_sleep(10 * HOB_US);
    CHECK_INT(w->came, 0);
    CHECK_INT(hob_event_set(&w->event), 0);
    CHECK_INT(hob_event_set(&w->event), 0);
    r = hob_group_join(&g, r); /* those who came later too */
    CHECK_INT(hob_event_wait(&w->event, 0), 0);
    CHECK_INT(hob_event_clear(&w->event), 0);
    CHECK_INT(hob_event_wait(&w->event, 0), -ETIMEDOUT);
    return r == 0 && w->came == 6 ? 0 : -EPROTO;
}

TEST(a_set_event_lets_all_pass_until_it_is_cleared)
{
    struct gathering home = {.spread = false}, away = {.spread = true};

    each_world_run(doors_open, &home, gathering_reset, 0);
    each_world_run(doors_open, &away, gathering_reset, 0);
}

static int cancelled_guests(void *arg)
{
    struct gathering *w = arg;
    hob_group g;
    int r = hob_event_init(&w->event, NULL);

    if (r == 0)
        r = hob_group_open(&g, HOB_GROUP_OPTS(.until = hob_in(HOB_MS), .spread = w->spread));
    if (r < 0)
        return r;
    for (int i = 0; i < 4 && r == 0; i++)
        r = hob_go(&g, guest, w);
    r = hob_group_join(&g, r);
    CHECK_INT(w->came, 0);
    CHECK_INT(hob_event_set(&w->event), 0); /* nobody is left in the queue */
    return r == -ETIMEDOUT ? 0 : -EPROTO;
}

TEST(a_cancel_ends_the_wait)
{
    struct gathering home = {.spread = false}, away = {.spread = true};

    each_world_run(cancelled_guests, &home, gathering_reset, 0);
    each_world_run(cancelled_guests, &away, gathering_reset, 0);
}

static int slow_start(void *arg)
{
    struct gathering *w = arg;

    w->runs++;
    CHECK_INT(hob_once_do(&w->once, slow_start, w, HOB_FOREVER), -EDEADLK);
    int r = hob_sleep(HOB_MS);
    if (r == 0 && w->fails > 0) {
        w->fails--;
        return -EIO;
    }
    return r;
}

static int starter(void *arg)
{
    struct gathering *w = arg;
    int r = hob_once_do(&w->once, slow_start, w, HOB_FOREVER);

    if (r == 0)
        w->came++;
    return r == -EIO ? 0 : r;
}

static int start_once(void *arg)
{
    struct gathering *w = arg;
    int fails = w->runs; /* set before */
    hob_group g;
    int r = hob_once_init(&w->once, "start");

    w->fails = fails;
    w->runs = 0;
    if (r == 0)
        r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = w->spread));
    if (r < 0)
        return r;
    for (int i = 0; i < 6 && r == 0; i++)
        r = hob_go(&g, starter, w);
    r = hob_group_join(&g, r);
    CHECK_INT(w->runs, fails + 1);
    CHECK_INT(w->came, 6 - fails); /* who ran it and failed was told so */
    CHECK_INT(hob_once_do(&w->once, slow_start, w, 0), 0);
    return r;
}

static void two_fail(void *arg)
{
    gathering_reset(arg);
    ((struct gathering *)arg)->runs = 2;
}

TEST(it_is_done_once_and_by_the_next_when_it_fails)
{
    struct gathering home = {.spread = false}, away = {.spread = true};

    each_world_run(start_once, &home, gathering_reset, 0);
    each_world_run(start_once, &away, gathering_reset, 0);
    each_world_run(start_once, &home, two_fail, 0);
    each_world_run(start_once, &away, two_fail, 0);
}

static int impatient(void *arg)
{
    struct gathering *w = arg;
    hob_group g;
    int r = hob_once_init(&w->once, NULL);

    if (r == 0)
        r = hob_group_open(&g, NULL);
    if (r == 0)
        r = hob_go(&g, starter, w);
    if (r == 0)
        r = hob_yield();
    while (r == 0 && w->runs == 0)
        r = hob_yield();
    CHECK_INT(hob_once_do(&w->once, slow_start, w, 0), -ETIMEDOUT); /* it runs */
    r = hob_group_join(&g, r);
    CHECK_INT(w->runs, 1);
    return r;
}

TEST(until_zero_does_not_wait_for_anothers_run)
{
    struct gathering w = {.spread = false};

    each_world_run(impatient, &w, gathering_reset, 0);
}

static void *plain_setter(void *arg)
{
    struct gathering *w = arg;
    bool bad = hob_event_wait(&w->event, HOB_FOREVER) < 0 || hob_event_clear(&w->event) < 0 ||
               hob_event_wait(&w->event, hob_in(HOB_MS)) != -ETIMEDOUT ||
               hob_event_set(&w->event) < 0;

    return bad ? arg : NULL;
}

static int join_blocking(void *arg)
{
    void *bad;
    int r = pthread_join(*(pthread_t *)arg, &bad);

    return r || bad ? -EPROTO : 0;
}

static int with_a_thread(void *arg)
{
    struct gathering *w = arg;
    pthread_t t;
    int r = hob_event_init(&w->event, NULL);

    if (r < 0 || pthread_create(&t, NULL, plain_setter, w) != 0)
        return -EPROTO;
    r = hob_event_set(&w->event);
    CHECK_INT(hob_block(join_blocking, &t, HOB_FOREVER), 0);
    CHECK_INT(hob_event_wait(&w->event, 0), 0);
    return r;
}

TEST(a_plain_thread_waits_and_sets)
{
    struct gathering w = {.spread = false};

    CHECK_INT(hob_run(NULL, with_a_thread, &w), 0);
}

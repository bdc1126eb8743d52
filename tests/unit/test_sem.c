/* SPDX-License-Identifier: MIT
 *
 * test_sem.c - semaphores: so many at once, in the order of asking, and nothing lost to a cancel
 */
#include <hob/hob.h>

#include <pthread.h>
#include <stdatomic.h>

#include "lib/each.h"
#include "lib/t.h"

enum { UNITS = 3 };

struct shop {
    hob_sem sem;
    _Atomic(int) inside, most, served;
    int order[8], n_order, asked;
    bool spread;
};

static void shop_reset(void *arg)
{
    struct shop *s = arg;

    s->inside = s->most = s->served = 0;
    s->n_order = s->asked = 0;
}

static int customer(void *arg)
{
    struct shop *s = arg;
    int r = hob_sem_acquire(&s->sem, 1, HOB_FOREVER);

    if (r < 0)
        return r;
    int n = ++s->inside;
    for (int most = s->most; n > most && !atomic_compare_exchange_weak(&s->most, &most, n);)
        ;
    r = hob_sleep(10 * HOB_US);
    s->inside--;
    s->served++;
    CHECK_INT(hob_sem_release(&s->sem, 1), 0);
    return r;
}

static int crowd(void *arg)
{
    struct shop *s = arg;
    hob_group g;
    int r = hob_sem_init(&s->sem, UNITS, "places");

    if (r == 0)
        r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = s->spread));
    if (r < 0)
        return r;
    for (int i = 0; i < 12 && r == 0; i++)
        r = hob_go(&g, customer, s);
    r = hob_group_join(&g, r);
    CHECK_INT(hob_sem_acquire(&s->sem, UNITS, 0), 0); /* all came back */
    return r == 0 && s->served == 12 && s->most <= UNITS ? 0 : -EPROTO;
}

TEST(no_more_at_once_than_there_are_units)
{
    struct shop home = {.spread = false}, away = {.spread = true};

    each_world_run(crowd, &home, shop_reset, 0);
    each_world_run(crowd, &away, shop_reset, 0);
}

struct asker {
    struct shop *shop;
    uint64_t n;
    int id;
};

/* Lets others run until the count has come so far. */
static int reaches(const int *count, int n)
{
    int r = 0;

    while (*count < n && r == 0)
        r = hob_sleep(HOB_US);
    return r;
}

static int asks(void *arg)
{
    struct asker *a = arg;
    int r;

    a->shop->asked++;
    r = hob_sem_acquire(&a->shop->sem, a->n, HOB_FOREVER);
    if (r == 0)
        a->shop->order[a->shop->n_order++] = a->id;
    return r;
}

static int large_before_small(void *arg)
{
    struct shop *s = arg;
    struct asker askers[] = {{s, 3, 0}, {s, 1, 1}, {s, 1, 2}};
    hob_group g;
    int r = hob_sem_init(&s->sem, 2, NULL);

    if (r == 0)
        r = hob_group_open(&g, NULL);
    for (int i = 0; i < 3 && r == 0; i++) {
        r = hob_go(&g, asks, &askers[i]);
        if (r == 0)
            r = reaches(&s->asked, i + 1); /* it stands in the queue */
    }
    CHECK_INT(s->n_order, 0); /* 2 are free, and the first in the queue wants 3 */
    CHECK_INT(hob_sem_acquire(&s->sem, 1, 0), -ETIMEDOUT);
    for (int i = 0; i < 3 && r == 0; i++) {
        CHECK_INT(hob_sem_release(&s->sem, 1), 0); /* enough for the first, each time */
        r = reaches(&s->n_order, i + 1);
    }
    r = hob_group_join(&g, r);
    for (int i = 0; i < 3; i++)
        CHECK_INT(s->order[i], i);
    CHECK_INT(hob_sem_acquire(&s->sem, 1, 0), -ETIMEDOUT);
    return r;
}

TEST(a_request_for_much_is_not_overtaken)
{
    struct shop s = {.spread = false};

    each_world_run(large_before_small, &s, shop_reset, 0);
}

static int gives_up(void *arg)
{
    struct asker *a = arg;

    a->shop->asked++;
    return hob_sem_acquire(&a->shop->sem, a->n, hob_in(HOB_MS)) == -ETIMEDOUT ? 0 : -EPROTO;
}

static int the_next_goes_on(void *arg)
{
    struct shop *s = arg;
    struct asker large = {s, 5, 0}, small = {s, 2, 1};
    hob_group g;
    int r = hob_sem_init(&s->sem, 2, NULL);

    if (r == 0)
        r = hob_group_open(&g, NULL);
    if (r == 0)
        r = hob_go(&g, gives_up, &large);
    if (r == 0)
        r = reaches(&s->asked, 1);
    if (r == 0)
        r = hob_go(&g, asks, &small); /* behind one that will never get enough */
    r = hob_group_join(&g, r);
    CHECK_INT(s->n_order, 1);
    return r;
}

TEST(who_stood_behind_one_that_gave_up_goes_on)
{
    struct shop s = {.spread = false};

    each_world_run(the_next_goes_on, &s, shop_reset, 0);
}

static int restless(void *arg)
{
    struct shop *s = arg;
    int r;

    while ((r = hob_sem_acquire(&s->sem, 2, hob_in(100 * HOB_US))) != -ECANCELED) {
        if (r == 0) {
            r = hob_sleep(50 * HOB_US);
            CHECK_INT(hob_sem_release(&s->sem, 2), 0);
            if (r < 0)
                return r;
        } else if (r != -ETIMEDOUT) {
            return r;
        }
    }
    return r;
}

static int torn_apart(void *arg)
{
    struct shop *s = arg;
    hob_group g;
    int r = hob_sem_init(&s->sem, UNITS, NULL);

    if (r == 0)
        r = hob_group_open(&g, HOB_GROUP_OPTS(.until = hob_in(2 * HOB_MS), .spread = s->spread));
    if (r < 0)
        return r;
    for (int i = 0; i < 5 && r == 0; i++)
        r = hob_go(&g, restless, s);
    r = hob_group_join(&g, r);
    if (r != -ETIMEDOUT)
        return r;
    CHECK_INT(hob_sem_acquire(&s->sem, UNITS, 0), 0);
    CHECK_INT(hob_sem_acquire(&s->sem, 1, 0), -ETIMEDOUT);
    return 0;
}

TEST(cancel_and_time_out_lose_no_unit)
{
    struct shop home = {.spread = false}, away = {.spread = true};

    each_world_run(torn_apart, &home, shop_reset, 0);
    each_world_run(torn_apart, &away, shop_reset, 0);
}

static void *plain_customer(void *arg)
{
    struct shop *s = arg;

    for (int i = 0; i < 50; i++)
        if (hob_sem_acquire(&s->sem, 2, HOB_FOREVER) < 0 || hob_sem_release(&s->sem, 2) < 0)
            return arg;
    return hob_sem_acquire(&s->sem, 100, hob_in(HOB_MS)) == -ETIMEDOUT ? NULL : arg;
}

static int join_blocking(void *arg)
{
    void *bad;
    int r = pthread_join(*(pthread_t *)arg, &bad);

    return r || bad ? -EPROTO : 0;
}

static int with_a_thread(void *arg)
{
    struct shop *s = arg;
    pthread_t t;
    int r = hob_sem_init(&s->sem, UNITS, NULL);

    if (r < 0 || pthread_create(&t, NULL, plain_customer, s) != 0)
        return -EPROTO;
    for (int i = 0; i < 20 && r == 0; i++)
        r = customer(s);
    CHECK_INT(hob_block(join_blocking, &t, HOB_FOREVER), 0);
    CHECK_INT(hob_sem_acquire(&s->sem, UNITS, 0), 0);
    return r;
}

TEST(a_plain_thread_takes_its_turn)
{
    struct shop s = {.spread = false};

    CHECK_INT(hob_run(NULL, with_a_thread, &s), 0);
}

static int init_here(void *arg)
{
    CHECK_INT(hob_sem_init(arg, 0, NULL), 0);
    CHECK_INT(hob_sem_acquire(arg, 1, 0), -ETIMEDOUT);
    return 0;
}

TEST(it_is_made_on_a_fiber)
{
    hob_sem s;

    CHECK_INT(hob_sem_init(&s, 1, NULL), -EPERM);
    CHECK_INT(hob_run(NULL, init_here, &s), 0);
}

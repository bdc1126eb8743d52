/* SPDX-License-Identifier: MIT
 *
 * test_lock.c - mutex, condition, read-write lock
 */
#include <hob/hob.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "lib/each.h"
#include "lib/t.h"

struct house {
    hob_mutex mutex;
    hob_cond cond;
    hob_rwlock rw;
    _Atomic(int) inside, readers, most_readers, n, items, torn, asked;
    int order[16], n_order;
    bool spread;
};

static void house_reset(void *arg)
{
    struct house *h = arg;

    h->inside = h->readers = h->most_readers = h->n = h->items = h->torn = h->asked = 0;
    h->n_order = 0;
}

static int house_make(struct house *h, hob_group *g, hob_time until)
{
    int r = hob_mutex_init(&h->mutex, "mutex");

    if (r == 0)
        r = hob_cond_init(&h->cond, "cond");
    if (r == 0)
        r = hob_rwlock_init(&h->rw, "rwlock");
    return r < 0 ? r : hob_group_open(g, HOB_GROUP_OPTS(.spread = h->spread, .until = until));
}

static int locker(void *arg)
{
    struct house *h = arg;
    int r = 0;

    for (int i = 0; i < 5 && r == 0; i++) {
        r = hob_mutex_lock(&h->mutex, HOB_FOREVER);
        if (r < 0)
            return r;
        if (h->inside++)
            h->torn++;
        r = i % 2 ? hob_yield() : hob_sleep(5 * HOB_US);
        h->inside--;
        h->n++;
        CHECK_INT(hob_mutex_lock(&h->mutex, HOB_FOREVER), -EDEADLK);
        CHECK_INT(hob_mutex_unlock(&h->mutex), 0);
    }
    return r;
}

static int one_at_a_time(void *arg)
{
    struct house *h = arg;
    hob_group g;
    int r = house_make(h, &g, 0);

    for (int i = 0; i < 5 && r == 0; i++)
        r = hob_go(&g, locker, h);
    r = hob_group_join(&g, r);
    CHECK_INT(h->torn, 0);
    CHECK_INT(h->n, 25);
    CHECK_INT(hob_mutex_lock(&h->mutex, 0), 0);
    CHECK_INT(hob_mutex_unlock(&h->mutex), 0);
    return r;
}

TEST(a_mutex_has_one_owner)
{
    struct house home = {.spread = false}, away = {.spread = true};

    each_world_run(one_at_a_time, &home, house_reset, 0);
    each_world_run(one_at_a_time, &away, house_reset, 0);
}

static int restless(void *arg)
{
    struct house *h = arg;
    int r;

    while ((r = hob_mutex_lock(&h->mutex, hob_in(30 * HOB_US))) != -ECANCELED) {
        if (r < 0 && r != -ETIMEDOUT)
            return r;
        if (r < 0)
            continue;
        if (h->inside++)
            h->torn++;
        r = hob_sleep(20 * HOB_US);
        h->inside--;
        CHECK_INT(hob_mutex_unlock(&h->mutex), 0);
        if (r < 0)
            return r;
    }
    return r;
}

static int torn_apart(void *arg)
{
    struct house *h = arg;
    hob_group g;
    int r = house_make(h, &g, hob_in(3 * HOB_MS));

    for (int i = 0; i < 5 && r == 0; i++)
        r = hob_go(&g, restless, h);
    r = hob_group_join(&g, r);
    CHECK_INT(h->torn, 0);
    CHECK_INT(hob_mutex_lock(&h->mutex, 0), 0); /* nobody took it with him */
    CHECK_INT(hob_mutex_unlock(&h->mutex), 0);
    return r == -ETIMEDOUT ? 0 : -EPROTO;
}

TEST(cancel_and_time_out_leave_the_mutex_free)
{
    struct house home = {.spread = false}, away = {.spread = true};

    each_world_run(torn_apart, &home, house_reset, 0);
    each_world_run(torn_apart, &away, house_reset, 0);
}

static int waits_its_turn(void *arg)
{
    struct house *h = arg;
    int r = hob_mutex_lock(&h->mutex, HOB_FOREVER);

    if (r == 0) {
        h->order[h->n_order++] = 1;
        r = hob_mutex_unlock(&h->mutex);
    }
    return r;
}

/* The owner locks again at once each time: the waiter gets it when it has waited for 1 ms. */
static int greedy_owner(void *arg)
{
    struct house *h = arg;
    hob_group g;
    int r = house_make(h, &g, 0), before = 0;

    if (r == 0)
        r = hob_mutex_lock(&h->mutex, HOB_FOREVER);
    if (r == 0)
        r = hob_go(&g, waits_its_turn, h);
    while (r == 0 && h->n_order == 0) {
        r = hob_sleep(200 * HOB_US);
        CHECK_INT(hob_mutex_unlock(&h->mutex), 0);
        CHECK_INT(hob_mutex_lock(&h->mutex, HOB_FOREVER), 0);
        before++;
    }
    CHECK_INT(hob_mutex_unlock(&h->mutex), 0);
    if (hob_simulated())
        CHECK(before >= 2 && before <= 8); /* past it while it had waited less, and not for ever */
    return hob_group_join(&g, r);
}

TEST(barging_ends_when_somebody_has_waited_for_long)
{
    struct house h = {.spread = false};

    each_world_run(greedy_owner, &h, house_reset, 0);
}

static int consumer(void *arg)
{
    struct house *h = arg;
    int r = hob_mutex_lock(&h->mutex, HOB_FOREVER);

    if (r < 0)
        return r;
    while (r == 0 && h->items == 0)
        r = hob_cond_wait(&h->cond, &h->mutex, HOB_FOREVER);
    if (r == 0) {
        h->items--;
        h->n++;
    }
    CHECK_INT(hob_mutex_unlock(&h->mutex), 0); /* however the wait ended */
    return r;
}

static int producer(void *arg)
{
    struct house *h = arg;
    int r = 0;

    for (int i = 0; i < 6 && r == 0; i++) {
        r = hob_mutex_lock(&h->mutex, HOB_FOREVER);
        if (r < 0)
            return r;
        h->items++;
        CHECK_INT(hob_cond_signal(&h->cond), 0);
        CHECK_INT(hob_mutex_unlock(&h->mutex), 0);
        r = i % 2 ? hob_yield() : 0;
    }
    return r;
}

static int produce_and_consume(void *arg)
{
    struct house *h = arg;
    hob_group g;
    int r = house_make(h, &g, 0);

    for (int i = 0; i < 6 && r == 0; i++)
        r = hob_go(&g, consumer, h);
    if (r == 0)
        r = hob_go(&g, producer, h);
    r = hob_group_join(&g, r);
    return r == 0 && h->n == 6 && h->items == 0 ? 0 : -EPROTO;
}

TEST(a_signal_wakes_one_that_waits)
{
    struct house home = {.spread = false}, away = {.spread = true};

    each_world_run(produce_and_consume, &home, house_reset, 0);
    each_world_run(produce_and_consume, &away, house_reset, 0);
}

static int nothing_comes(void *arg)
{
    struct house *h = arg;
    hob_group g;
    int r = house_make(h, &g, hob_in(HOB_MS));

    for (int i = 0; i < 4 && r == 0; i++)
        r = hob_go(&g, consumer, h);
    r = hob_group_join(&g, r);
    CHECK_INT(h->n, 0);
    CHECK_INT(hob_mutex_lock(&h->mutex, 0), 0);
    CHECK_INT(hob_cond_wait(&h->cond, &h->mutex, hob_in(10 * HOB_US)), -ETIMEDOUT);
    CHECK_INT(hob_cond_wait(&h->cond, &h->mutex, 0), -ETIMEDOUT);
    CHECK_INT(hob_cond_broadcast(&h->cond), 0); /* nobody is left in the queue */
    CHECK_INT(hob_mutex_unlock(&h->mutex), 0);
    return r == -ETIMEDOUT ? 0 : -EPROTO;
}

TEST(a_cancelled_wait_comes_back_with_the_mutex)
{
    struct house home = {.spread = false}, away = {.spread = true};

    each_world_run(nothing_comes, &home, house_reset, 0);
    each_world_run(nothing_comes, &away, house_reset, 0);
}

static int waits_for_all(void *arg)
{
    struct house *h = arg;
    int r = hob_mutex_lock(&h->mutex, HOB_FOREVER);

    if (r < 0)
        return r;
    h->inside++;
    while (r == 0 && h->items == 0)
        r = hob_cond_wait(&h->cond, &h->mutex, HOB_FOREVER);
    CHECK_INT(hob_mutex_unlock(&h->mutex), 0);
    h->n += r == 0;
    return r;
}

static int tell_all(void *arg)
{
    struct house *h = arg;
    hob_group g;
    int r = house_make(h, &g, 0);

    for (int i = 0; i < 4 && r == 0; i++)
        r = hob_go(&g, waits_for_all, h);
    while (r == 0 && h->inside < 4)
        r = hob_sleep(10 * HOB_US);
    h->items = 1;
    CHECK_INT(hob_mutex_lock(&h->mutex, HOB_FOREVER), 0); /* so all four wait by now */
    CHECK_INT(hob_cond_broadcast(&h->cond), 0);
    CHECK_INT(hob_mutex_unlock(&h->mutex), 0);
    r = hob_group_join(&g, r);
    return r == 0 && h->n == 4 ? 0 : -EPROTO;
}

TEST(a_broadcast_wakes_all)
{
    struct house home = {.spread = false}, away = {.spread = true};

    each_world_run(tell_all, &home, house_reset, 0);
    each_world_run(tell_all, &away, house_reset, 0);
}

static int reader(void *arg)
{
    struct house *h = arg;
    int r = hob_rwlock_read(&h->rw, HOB_FOREVER);

    if (r < 0)
        return r;
    int n = ++h->readers;
    for (int most = h->most_readers;
         n > most && !atomic_compare_exchange_weak(&h->most_readers, &most, n);)
        ;
    if (h->inside)
        h->torn++;
    r = hob_sleep(20 * HOB_US);
    h->readers--;
    h->n++;
    CHECK_INT(hob_rwlock_unlock(&h->rw), 0);
    return r;
}

static int writer(void *arg)
{
    struct house *h = arg;
    int r;

    h->asked++;
    r = hob_rwlock_write(&h->rw, HOB_FOREVER);

    if (r < 0)
        return r;
    CHECK_INT(hob_rwlock_read(&h->rw, HOB_FOREVER), -EDEADLK);
    CHECK_INT(hob_rwlock_write(&h->rw, HOB_FOREVER), -EDEADLK);
    if (h->inside++ || h->readers)
        h->torn++;
    r = hob_sleep(20 * HOB_US);
    if (h->readers)
        h->torn++;
    h->inside--;
    h->n++;
    CHECK_INT(hob_rwlock_unlock(&h->rw), 0);
    return r;
}

static int readers_and_writers(void *arg)
{
    struct house *h = arg;
    hob_group g;
    int r = house_make(h, &g, 0);

    for (int i = 0; i < 12 && r == 0; i++)
        r = hob_go(&g, i % 4 == 3 ? writer : reader, h);
    r = hob_group_join(&g, r);
    CHECK_INT(h->torn, 0);
    if (hob_simulated() && hob_loops() == 1)
        CHECK(h->most_readers > 1);
    CHECK_INT(hob_rwlock_write(&h->rw, 0), 0);
    CHECK_INT(hob_rwlock_unlock(&h->rw), 0);
    return r == 0 && h->n == 12 ? 0 : -EPROTO;
}

TEST(readers_share_and_a_writer_is_alone)
{
    struct house home = {.spread = false}, away = {.spread = true};

    each_world_run(readers_and_writers, &home, house_reset, 0);
    each_world_run(readers_and_writers, &away, house_reset, 0);
}

static int writer_then_reader(void *arg)
{
    struct house *h = arg;
    hob_group g;
    int r = house_make(h, &g, 0);

    CHECK_INT(hob_rwlock_read(&h->rw, HOB_FOREVER), 0);
    if (r == 0)
        r = hob_go(&g, writer, h);
    if (r == 0)
        r = hob_yield();
    while (r == 0 && h->asked == 0)
        r = hob_yield();
    CHECK_INT(hob_rwlock_read(&h->rw, 0), -ETIMEDOUT); /* a writer waits before */
    CHECK_INT(hob_rwlock_unlock(&h->rw), 0);
    return hob_group_join(&g, r);
}

TEST(a_reader_does_not_overtake_a_writer_that_waits)
{
    struct house h = {.spread = false};

    each_world_run(writer_then_reader, &h, house_reset, 0);
}

static void *plain_locker(void *arg)
{
    struct house *h = arg;
    bool bad = false;

    for (int i = 0; i < 30 && !bad; i++) {
        bad = hob_mutex_lock(&h->mutex, HOB_FOREVER) < 0;
        h->n++;
        bad = bad || hob_mutex_lock(&h->mutex, HOB_FOREVER) != -EDEADLK ||
              hob_mutex_unlock(&h->mutex) < 0;
    }
    bad = bad || consumer(h) < 0;
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
    struct house *h = arg;
    hob_group g;
    pthread_t t;
    int r = house_make(h, &g, 0);

    if (r < 0 || pthread_create(&t, NULL, plain_locker, h) != 0)
        return -EPROTO;
    for (int i = 0; i < 6 && r == 0; i++)
        r = hob_go(&g, locker, h);
    r = hob_group_join(&g, r);
    if (r == 0)
        r = producer(h);
    CHECK_INT(hob_block(join_blocking, &t, HOB_FOREVER), 0);
    CHECK_INT(h->torn, 0);
    return r;
}

TEST(a_plain_thread_locks_and_waits)
{
    struct house h = {.spread = false};

    CHECK_INT(hob_run(NULL, with_a_thread, &h), 0);
}

static hob_mutex ledger;
static hob_rwlock table;

static int gives_up(void *arg)
{
    (void)arg;
    CHECK_INT(hob_mutex_lock(&ledger, HOB_FOREVER), -EDEADLK);
    CHECK_INT(hob_mutex_unlock(&ledger), 0);
    CHECK_INT(hob_rwlock_unlock(&table), 0);
    return 0;
}

static int gives_up_at_its_end(void *before)
{
    if (before)
        CHECK_INT(hob_defer(gives_up, NULL), 0);
    CHECK_INT(hob_mutex_lock(&ledger, HOB_FOREVER), 0);
    CHECK_INT(hob_rwlock_write(&table, HOB_FOREVER), 0);
    if (!before)
        CHECK_INT(hob_defer(gives_up, NULL), 0);
    return 0;
}

static void ledger_make(void)
{
    CHECK_INT(hob_mutex_init(&ledger, "ledger"), 0);
    CHECK_INT(hob_rwlock_init(&table, "table"), 0);
}

static int one_after_the_other(void *arg)
{
    hob_group g;

    (void)arg;
    ledger_make();
    for (int i = 0; i < 6; i++) { /* alone in its group, or among others */
        CHECK_INT(hob_group_open(&g, NULL), 0);
        for (int k = 0; k <= i / 2; k++)
            CHECK_INT(hob_go(&g, gives_up_at_its_end, i % 2 ? &g : NULL), 0);
        CHECK_INT(hob_group_join(&g, 0), 0);
    }
    CHECK_INT(hob_mutex_lock(&ledger, 0), 0);
    CHECK_INT(hob_mutex_unlock(&ledger), 0);
    return 0;
}

TEST(a_lock_may_be_given_up_by_what_is_deferred)
{
    CHECK_INT(hob_run(NULL, one_after_the_other, NULL), 0);
}

/* Ends with what it has locked, which lies on its loop or on another one. */
static int goes_with_it(void *which)
{
    hob_fiber_name("heir");
    if (which == &ledger)
        return hob_mutex_lock(&ledger, HOB_FOREVER);
    return hob_rwlock_write(&table, HOB_FOREVER);
}

#ifdef NDEBUG
static int is_no_holder(void *arg)
{
    (void)arg;
    CHECK_INT(hob_mutex_lock(&ledger, hob_in(HOB_MS)), -ETIMEDOUT);
    CHECK_INT(hob_mutex_unlock(&ledger), -EPERM);
    CHECK_INT(hob_rwlock_read(&table, hob_in(HOB_MS)), -ETIMEDOUT);
    CHECK_INT(hob_rwlock_unlock(&table), -EPERM);
    return 0;
}

static int strangers(void *spread)
{
    hob_group g;

    ledger_make();
    for (int i = 0; i < 2; i++) {
        CHECK_INT(hob_group_open(&g, HOB_GROUP_OPTS(.spread = spread != NULL)), 0);
        CHECK_INT(hob_go(&g, goes_with_it, i ? (void *)&table : (void *)&ledger), 0);
        CHECK_INT(hob_group_join(&g, 0), 0);
    }
    CHECK_INT(hob_group_open(&g, HOB_GROUP_OPTS(.spread = spread != NULL)), 0);
    for (int i = 0; i < 20; i++)
        CHECK_INT(hob_go(&g, is_no_holder, NULL), 0);
    return hob_group_join(&g, 0);
}

TEST(who_comes_after_a_fiber_that_ended_with_a_lock_does_not_hold_it)
{
    CHECK_INT(hob_run(NULL, strangers, NULL), 0);
    CHECK_INT(hob_run(HOB_OPTS(.loops = 2), strangers, &ledger), 0);
}
#else
static int has_an_heir(void *which)
{
    hob_group g;

    ledger_make();
    CHECK_INT(hob_group_open(&g, NULL), 0);
    CHECK_INT(hob_go(&g, goes_with_it, which), 0);
    return hob_group_join(&g, 0);
}

static int runs(void *which)
{
    return hob_run(NULL, has_an_heir, which) != 0;
}

static void check_heir(void *which, const char *line)
{
    char said[1024];
    int status = t_child(runs, which, said, sizeof said);

    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    if (strncmp(said, line, strlen(line)) != 0)
        t_fail(__FILE__, __LINE__, "it said \"%s\"", said);
}

TEST(a_fiber_that_ends_with_a_lock_aborts_with_the_locks_name)
{
    check_heir(&ledger, "hob: fiber \"heir\" ended while it holds the lock \"ledger\": ");
    check_heir(&table, "hob: fiber \"heir\" ended while it holds the lock \"table\": ");
}
#endif

TEST(locks_are_made_on_a_fiber)
{
    struct house h = {.spread = false};

    CHECK_INT(hob_mutex_init(&h.mutex, NULL), -EPERM);
    CHECK_INT(hob_cond_init(&h.cond, NULL), -EPERM);
    CHECK_INT(hob_rwlock_init(&h.rw, NULL), -EPERM);
}

/* SPDX-License-Identifier: MIT
 *
 * test_loop.c - messages, sleep and the end of a loop
 */
#include <hob/hob.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "lib/t.h"
#include "sched/park.h"

struct late {
    struct timer timer;
    struct msg msg;
    struct fiber *fiber;
};

static void late_run(struct msg *m)
{
    hob__ready(container_of(m, struct late, msg)->fiber, 7);
}

/* Timers come after messages in a turn: this one is there when the loop goes to sleep, and nobody
 * wakes it, for it was not asleep. */
static void late_post(struct timer *t)
{
    struct late *late = container_of(t, struct late, timer);

    late->msg.run = late_run;
    hob__loop_post(hob__loop, &late->msg);
}

static int sleeps_on_it(void *arg)
{
    struct late late = {.timer.fire = late_post, .fiber = hob__self()};

    (void)arg;
    hob__timer_set(&hob__loop->timers, &late.timer, hob_in(HOB_MS));
    return hob__park(late.fiber, HOB_WAIT_EVENT, HOB_FOREVER);
}

TEST(a_loop_does_not_sleep_on_a_message)
{
    setenv("HOB_POLL", "epoll", 1);
    CHECK_INT(hob_run(NULL, sleeps_on_it, NULL), 7);
    unsetenv("HOB_POLL");
    CHECK_INT(hob_run(NULL, sleeps_on_it, NULL), 7);
}

struct poster {
    struct loop *loop;
    _Atomic(bool) counted, gone;
};

/* One that has woken a loop and is not off it yet, as if the kernel had taken the CPU from it. */
static void *posts_slowly(void *arg)
{
    struct poster *p = arg;

    atomic_fetch_add(&p->loop->n_posters, 1);
    p->counted = true;
    for (int i = 0; i < 2000; i++)
        sched_yield();
    p->gone = true;
    atomic_fetch_sub(&p->loop->n_posters, 1);
    return NULL;
}

static int has_a_poster(void *arg)
{
    struct poster *p = arg;
    pthread_t t;

    p->loop = hob__loop;
    CHECK_INT(pthread_create(&t, NULL, posts_slowly, p), 0);
    pthread_detach(t);
    while (!p->counted)
        sched_yield();
    return 0;
}

TEST(a_loop_ends_when_nobody_can_touch_it_any_more)
{
    for (int i = 0; i < 20; i++) {
        struct poster p = {0};
        CHECK_INT(hob_run(NULL, has_a_poster, &p), 0);
        CHECK(p.gone);
    }
}

enum { BURST = 2000 };

static int parks(void *arg)
{
    (void)arg;
    return hob_sleep(HOB_FOREVER) == -ECANCELED ? 0 : -EPROTO;
}

/* Leaves more free stacks behind than a loop keeps; none goes back meanwhile, however long it
 * takes. */
static void has_a_burst(void)
{
    hob_group g;

    hob__loop->trimmed = hob_in(3600 * HOB_SEC);
    CHECK_INT(hob_group_open(&g, NULL), 0);
    for (int i = 0; i < BURST; i++)
        CHECK_INT(hob_go(&g, parks, NULL), 0);
    CHECK_INT(hob_yield(), 0);
    hob_group_cancel(&g, 0);
    CHECK_INT(hob_group_join(&g, 0), 0);
    CHECK(hob__stacks_spare(&hob__loop->stacks));
}

struct sleeper {
    struct msg msg;
    struct loop *loop;
    struct fiber *fiber;
    uint64_t rounds;
};

static void sleeper_wake(struct msg *m)
{
    hob__ready(container_of(m, struct sleeper, msg)->fiber, 7);
}

/* Only a loop that does not sleep comes so far. */
static void *waits_for_turns(void *arg)
{
    struct sleeper *s = arg;

    while (__atomic_load_n(&s->loop->n_rounds, __ATOMIC_RELAXED) < s->rounds)
        sched_yield();
    hob__loop_post(s->loop, &s->msg);
    return NULL;
}

static int rests_after_a_burst(void *arg)
{
    struct sleeper s = {.msg.run = sleeper_wake, .loop = hob__loop, .fiber = hob__self()};
    pthread_t t;

    (void)arg;
    has_a_burst();
    s.rounds = s.loop->n_rounds + s.loop->stacks.n_mags - STACK_KEEP_MIN / STACK_MAGAZINE;
    CHECK_INT(pthread_create(&t, NULL, waits_for_turns, &s), 0);
    CHECK_INT(hob__park(s.fiber, HOB_WAIT_EVENT, HOB_FOREVER), 7);
    CHECK_INT(pthread_join(t, NULL), 0);
    /* The message may come within the last round, which then does not rest. */
    CHECK(s.loop->stacks.n_mags <= STACK_KEEP_MIN / STACK_MAGAZINE + 1);
    return 0;
}

TEST(a_loop_that_rests_gives_back_what_a_burst_left)
{
    CHECK_INT(hob_run(HOB_OPTS(.loops = 1), rests_after_a_burst, NULL), 0);
}

static int works_after_a_burst(void *arg)
{
    (void)arg;
    has_a_burst();
    hob__loop->trimmed = 0;
    while (hob__stacks_spare(&hob__loop->stacks)) /* never at rest */
        CHECK_INT(hob_yield(), 0);
    return 0;
}

TEST(a_loop_that_never_rests_gives_back_what_a_burst_left)
{
    CHECK_INT(hob_run(HOB_OPTS(.loops = 1), works_after_a_burst, NULL), 0);
}

enum { POSTS = 300 };

struct numbered {
    struct msg msg;
    int id, poster;
};

static struct numbered posts[2][POSTS];
static int last[2], n_came;
static struct loop *target;

static void number_run(struct msg *m)
{
    struct numbered *n = container_of(m, struct numbered, msg);

    CHECK_INT(n->id, ++last[n->poster]); /* those of one thread in their order */
    n_came++;
}

static void *posts_numbers(void *arg)
{
    struct numbered *n = arg;

    for (int i = 0; i < POSTS; i++) {
        n[i].id = i + 1;
        n[i].poster = n == posts[1];
        n[i].msg.run = number_run;
        hob__loop_post(target, &n[i].msg);
    }
    return NULL;
}

static int takes_numbers(void *arg)
{
    pthread_t t[2];

    (void)arg;
    target = hob__loop;
    for (int i = 0; i < 2; i++)
        CHECK_INT(pthread_create(&t[i], NULL, posts_numbers, posts[i]), 0);
    while (n_came < 2 * POSTS)
        CHECK_INT(hob_sleep(100 * HOB_US), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    return 0;
}

TEST(messages_come_once_and_in_their_threads_order)
{
    CHECK_INT(hob_run(NULL, takes_numbers, NULL), 0);
    CHECK_INT(n_came, 2 * POSTS);
}

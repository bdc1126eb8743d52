/* SPDX-License-Identifier: MIT */
#include "sched/timer.h"

#include <stdlib.h>

#include "lib/t.h"

struct alarm {
    struct timer timer;
    hob_time until;
    int fired;
};

static struct wheel wheel;
static hob_time test_now;

static void alarm_fire(struct timer *t)
{
    struct alarm *a = container_of(t, struct alarm, timer);

    CHECK(test_now >= a->until); /* never early */
    a->fired++;
}

static void alarm_set(struct alarm *a, hob_time until)
{
    a->timer.fire = alarm_fire;
    a->until = until;
    hob__timer_set(&wheel, &a->timer, until);
}

static uint64_t rng = 88172645463325252u;

static uint64_t rnd(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng;
}

TEST(fires_once_and_never_early)
{
    struct alarm a = {0};

    hob__wheel_init(&wheel, 1000);
    alarm_set(&a, 10 * HOB_MS);
    for (test_now = 1000; test_now < 20 * HOB_MS; test_now += 7919)
        hob__wheel_advance(&wheel, test_now);
    CHECK_INT(a.fired, 1);
}

TEST(next_leads_to_the_first_timer_in_few_steps)
{
    struct alarm a = {0}, b = {0};
    int steps = 0;

    hob__wheel_init(&wheel, 0);
    CHECK(hob__wheel_next(&wheel) == HOB_FOREVER);
    alarm_set(&a, 3600 * HOB_SEC);
    alarm_set(&b, 40 * HOB_SEC);
    while (!b.fired) {
        test_now = hob__wheel_next(&wheel);
        CHECK(test_now <= b.until + 65536);
        hob__wheel_advance(&wheel, test_now);
        steps++;
    }
    CHECK(steps <= 8);
    CHECK_INT(a.fired, 0);
    hob__timer_unset(&wheel, &a.timer);
    CHECK(hob__wheel_next(&wheel) == HOB_FOREVER);
}

TEST(a_timer_in_the_past_fires_at_the_next_tick)
{
    struct alarm a = {0};

    hob__wheel_init(&wheel, HOB_SEC);
    alarm_set(&a, 5);
    test_now = HOB_SEC + 2 * 65536;
    hob__wheel_advance(&wheel, test_now);
    CHECK_INT(a.fired, 1);
}

TEST(the_farthest_time_is_held)
{
    struct alarm a = {0};

    hob__wheel_init(&wheel, HOB_SEC);
    alarm_set(&a, HOB_FOREVER - 1);
    test_now = 1000000 * HOB_SEC;
    hob__wheel_advance(&wheel, test_now);
    CHECK_INT(a.fired, 0);
    CHECK(hob__wheel_next(&wheel) > test_now);
    timer_stop(&wheel, &a.timer);
    timer_stop(&wheel, &a.timer);
}

/* Thousands of timers of all lengths, set, stopped and fired, against the plain rule. */
TEST(random_timers_behave_as_a_sorted_list_would)
{
    enum { N = 3000 };
    struct alarm *a = calloc(N, sizeof *a);

    hob__wheel_init(&wheel, 0);
    test_now = 0;
    for (int round = 0; round < 400; round++) {
        for (int k = 0; k < 40; k++) {
            struct alarm *x = &a[rnd() % N];
            if (x->timer.set && rnd() % 2)
                hob__timer_unset(&wheel, &x->timer);
            else if (!x->timer.set)
                alarm_set(x, test_now + (hob_time)(rnd() >> (12 + rnd() % 44)));
        }
        test_now += (hob_time)(rnd() >> (20 + rnd() % 40));
        hob__wheel_advance(&wheel, test_now);
        for (int i = 0; i < N; i++)
            CHECK(!a[i].timer.set || a[i].until > test_now - 65536);
        CHECK(hob__wheel_next(&wheel) > test_now - 65536);
    }
    free(a);
}

TEST(the_exact_time_of_the_next_timer_is_known)
{
    struct alarm a[50] = {0};

    hob__wheel_init(&wheel, 77 * HOB_SEC);
    CHECK(hob__wheel_due(&wheel) == HOB_FOREVER);
    test_now = 77 * HOB_SEC;
    for (int i = 0; i < 50; i++)
        alarm_set(&a[i], test_now + (hob_time)(rnd() >> (8 + rnd() % 40)));
    for (int fired = 0; fired < 50;) {
        hob_time due = hob__wheel_due(&wheel);
        CHECK(due >= hob__wheel_next(&wheel));
        test_now = due - 1;
        CHECK_INT(hob__wheel_advance(&wheel, test_now), 0); /* not before it ... */
        test_now = due;
        unsigned n = hob__wheel_advance(&wheel, test_now);
        CHECK(n > 0); /* ... and then at least one */
        fired += (int)n;
    }
}

static void alarm_again(struct timer *t)
{
    struct alarm *a = container_of(t, struct alarm, timer);

    if (++a->fired < 1000)
        hob__timer_set(&wheel, t, test_now - HOB_SEC);
}

TEST(a_timer_that_is_set_again_in_the_past_does_not_hold_the_loop)
{
    struct alarm a = {.timer.fire = alarm_again};

    test_now = 5 * HOB_SEC;
    hob__wheel_init(&wheel, test_now);
    hob__timer_set(&wheel, &a.timer, 0);
    for (int i = 1; i <= 10; i++) {
        test_now += 65536;
        hob__wheel_advance(&wheel, test_now);
        CHECK_INT(a.fired, i);
    }
    timer_stop(&wheel, &a.timer);
}

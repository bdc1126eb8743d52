/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include <hob/base.h>

#include "diag/perf_impl.h"

#include "lib/t.h"

enum { BUSY = 200000, SOME = 30000, CALM = 10000 }; /* records a second */

/* What stands below turns: it writes down what was asked of it. */
static struct {
    int drops, switched, rests, wakes, attaches, resumes, looks, samples, ends, lasts;
    int64_t sampled;
    size_t live;
    bool refuses, counts, more, rings;
    double rate; /* records a second, also those that nobody takes */
} world;

static struct recording rec;
static struct rec_begin begun;
static struct turns turns;
static int64_t now, rested_at;

int64_t events_now(void)
{
    return now;
}

int64_t look_cpu(void)
{
    return 0;
}

void events_drop(struct events *e)
{
    world.drops++;
}

void events_rest(struct events *e)
{
    world.rests++;
    world.rings = false;
}

int events_wake(struct events *e)
{
    world.wakes++;
    world.rings = !world.refuses;
    return world.refuses ? -EPERM : 0;
}

void events_switch(struct events *e, bool on)
{
    world.switched++;
}

void events_drain(struct events *e, struct switches *s, int64_t until, int64_t base)
{
    CHECK(world.rings);
}

bool events_may(int32_t tid)
{
    return true;
}

long attach_tree(struct events *e, struct switches *s, const struct rec_begin *b, bool known,
                 int *ret_error)
{
    CHECK(known && world.rings);
    world.attaches++;
    return 0;
}

size_t switches_live(const struct switches *s)
{
    return world.live;
}

uint64_t switches_wakes_heard(const struct switches *s)
{
    return 0;
}

void switches_pids(struct switches *s, void (*f)(void *arg, int32_t pid), void *arg)
{
    f(arg, 1);
}

void switches_pause(struct switches *s, int64_t at)
{
    rested_at = at;
}

void switches_resume(struct switches *s, int64_t at)
{
    world.resumes++;
}

bool switches_rest(struct switches *s, int64_t at)
{
    return world.counts;
}

void switches_rest_look(struct switches *s, int64_t at, struct switches_rested *ret)
{
    int64_t lasted = at - rested_at;

    world.looks++;
    *ret = (struct switches_rested){.lasted = lasted,
                                    .turns = (uint64_t)(world.rate / 2 * (double)lasted / HOB_SEC),
                                    .more = world.more};
    world.more = false; /* it is told once */
    rested_at = at;
}

void switches_rest_sample(struct switches *s, int64_t at, int64_t lasted)
{
    world.samples++;
    world.sampled += lasted;
}

void switches_rest_end(struct switches *s, int64_t at, bool last)
{
    world.ends++;
    world.lasts += last;
}

static void start(void)
{
    memset(&world, 0, sizeof world);
    world.live = 2;
    world.counts = world.rings = true;
    world.rate = BUSY;
    now = 0;
    rec_init(&rec);
    begun = (struct rec_begin){.rec = &rec};
    turns_init(&turns, &begun, NULL, NULL);
}

/* Some time in steps of a millisecond. */
static void pass(int64_t time)
{
    for (int64_t end = now + time; now < end;) {
        now += HOB_MS;
        if (turns.on)
            rec.n_switches += (uint64_t)(world.rate / 1000);
        turns_look(&turns, now);
    }
}

/* Until a rest has begun. */
static void busy(void)
{
    for (int i = 0; i < 1000 && !turns.rests; i++)
        pass(HOB_MS);
    CHECK(turns.rests);
}

TEST(below_the_rate_everything_is_recorded)
{
    start();
    world.rate = CALM;
    pass(3 * HOB_SEC);
    CHECK(turns.on);
    CHECK_INT(world.drops, 0);
    turns_end(&turns, now);
    CHECK_INT(turns.on_time, now);
    CHECK(rec.notes == NULL);
    rec_free(&rec);
}

TEST(above_it_a_part_is_recorded)
{
    start();
    world.rate = SOME;
    pass(10 * HOB_SEC);
    CHECK_INT(world.attaches, world.resumes);
    turns_end(&turns, now);
    CHECK(turns.on_time > now * 4 / 10 && turns.on_time < now * 6 / 10);
    CHECK(rec.n_switches < 10 * 15000 + 5000 + 1000);
    CHECK_INT(world.rests, 0);
    CHECK(rec.notes && strstr(rec.notes, "a part of the time"));
    rec_free(&rec);
}

TEST(what_is_busy_for_a_moment_stays_within_the_budget)
{
    start();
    world.rate = CALM;
    pass(20 * HOB_SEC);
    uint64_t before = rec.n_switches;
    world.rate = BUSY;
    busy();
    CHECK(rec.n_switches - before <= 5000 + BUSY / 1000 + 1000); /* however long it was calm */
    rec_free(&rec);
}

TEST(what_is_very_busy_rests)
{
    start();
    busy();
    CHECK(now <= 30 * HOB_MS);
    CHECK_INT(world.drops, 1);
    CHECK_INT(world.resumes, 0);
    CHECK_INT(world.rests, 1);
    int64_t from = now;
    pass(5 * HOB_SEC);
    CHECK(turns.rests);
    CHECK_INT(world.wakes, 0);
    CHECK_INT(turns_seen(&turns, now), now);
    CHECK_INT(turns_next(&turns), 20 * HOB_MS);
    CHECK_INT(world.looks, 50);
    CHECK_INT(world.samples, 250);
    CHECK_INT(world.sampled, now - from);
    pass(15 * HOB_SEC);
    CHECK_INT(world.wakes, 2);
    CHECK_INT(world.attaches, 2);
    CHECK_INT(world.ends, 2);
    turns_end(&turns, now);
    CHECK_INT(world.lasts, 1);
    CHECK(turns.on_time < now / 100);
    rec_free(&rec);
}

TEST(a_rest_ends_when_the_program_is_calm)
{
    start();
    busy();
    pass(500 * HOB_MS);
    CHECK(turns.rests);
    world.rate = CALM;
    pass(110 * HOB_MS);
    CHECK(turns.on);
    pass(10 * HOB_SEC); /* and it stays so */
    CHECK(turns.on && !turns.duty);
    CHECK_INT(world.rests, 1);
    rec_free(&rec);
}

TEST(new_threads_end_a_rest_once_it_was_a_second)
{
    start();
    busy();
    world.more = true;
    pass(900 * HOB_MS);
    CHECK(turns.rests);
    pass(110 * HOB_MS);
    CHECK(turns.on);
    rec_free(&rec);
}

TEST(without_rings_it_rests_to_the_end)
{
    start();
    busy();
    world.refuses = true;
    pass(10 * HOB_SEC);
    CHECK(turns.rests);
    CHECK_INT(world.wakes, 1); /* and does not ask again and again */
    CHECK_INT(world.ends, 0);
    CHECK(strstr(rec.notes, "not recorded to the end") != NULL);
    int looks = world.looks;
    pass(HOB_SEC);
    CHECK(world.looks > looks);
    turns_end(&turns, now);
    CHECK_INT(world.lasts, 1);
    rec_free(&rec);
}

TEST(many_threads_keep_their_events_in_short_gaps)
{
    start();
    world.live = 65;
    world.rate = SOME;
    pass(5 * HOB_SEC);
    CHECK_INT(world.rests, 0);
    CHECK_INT(world.drops, 0);
    CHECK(world.switched > 20);
    rec_free(&rec);
}

TEST(many_threads_rest_and_are_looked_at_less_often)
{
    start();
    world.live = 500;
    busy();
    CHECK_INT(world.drops, 1);
    pass(5 * HOB_SEC);
    CHECK_INT(world.looks, 5);
    CHECK_INT(world.samples, 20);
    rec_free(&rec);
}

TEST(very_many_never_rest)
{
    start();
    world.live = 1001;
    pass(5 * HOB_SEC);
    CHECK_INT(world.rests, 0);
    CHECK(world.switched > 20);
    rec_free(&rec);
}

TEST(nor_does_who_is_not_counted_by_the_kernel)
{
    start();
    world.counts = false;
    pass(5 * HOB_SEC);
    CHECK_INT(world.rests, 0);
    CHECK(world.drops > 20);
    CHECK(rec.n_switches < 5 * 15000 + 5000 + 30 * 1000);
    turns_end(&turns, now);
    CHECK_INT(world.ends, 0);
    rec_free(&rec);
}

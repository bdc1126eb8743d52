/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include <hob/base.h>

#include "diag/perf_impl.h"

#include "lib/t.h"

enum { BUSY = 200000, CALM = 10000 }; /* records a second */

/* What stands below turns: it writes down what was asked of it. */
static struct {
    int drops, switched, rests, wakes, attaches, resumes, looks, ends, lasts;
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

TEST(above_it_there_are_short_turns_and_then_a_rest)
{
    start();
    busy();
    CHECK(now > 300 * HOB_MS && now < HOB_SEC);
    CHECK_INT(world.drops, 4);
    CHECK_INT(world.resumes, 3);
    CHECK_INT(world.rests, 1);
    CHECK(rec.notes && strstr(rec.notes, "a part of the time"));
    pass(5 * HOB_SEC);
    CHECK(turns.rests);
    CHECK_INT(world.wakes, 0);
    CHECK_INT(turns_seen(&turns, now), now);
    CHECK_INT(turns_next(&turns), 100 * HOB_MS);
    pass(15 * HOB_SEC);
    CHECK_INT(world.wakes, 2);
    CHECK_INT(world.attaches, 5);
    CHECK_INT(world.ends, 2);
    turns_end(&turns, now);
    CHECK_INT(world.lasts, 1);
    CHECK(turns.on_time < now / 50);
    rec_free(&rec);
}

TEST(a_rest_ends_when_the_program_is_calm)
{
    start();
    busy();
    pass(500 * HOB_MS);
    CHECK(turns.rests);
    world.rate = CALM;
    pass(2 * HOB_MS);
    CHECK(turns.on);
    pass(10 * HOB_SEC); /* and it stays so */
    CHECK(turns.on && !turns.duty);
    CHECK_INT(world.rests, 1);
    rec_free(&rec);
}

TEST(what_is_busy_again_soon_gets_no_short_turns_anew)
{
    start();
    busy();
    world.rate = CALM;
    pass(300 * HOB_MS);
    CHECK(turns.on && !turns.duty);
    world.rate = BUSY;
    pass(200 * HOB_MS);
    CHECK(turns.rests);
    CHECK_INT(world.resumes, 3);
    world.rate = CALM;
    pass(3 * HOB_SEC);
    world.rate = BUSY;
    busy();
    CHECK_INT(world.resumes, 6); /* that is something else, it seems */
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

TEST(many_threads_take_short_turns_only)
{
    start();
    world.live = 65;
    pass(5 * HOB_SEC);
    CHECK_INT(world.rests, 0);
    CHECK_INT(world.drops, 0);
    CHECK(world.switched > 80);
    rec_free(&rec);
}

TEST(so_they_do_where_the_kernel_does_not_count)
{
    start();
    world.counts = false;
    pass(5 * HOB_SEC);
    CHECK_INT(world.rests, 0);
    CHECK(world.drops > 40);
    turns_end(&turns, now);
    CHECK_INT(world.ends, 0);
    rec_free(&rec);
}

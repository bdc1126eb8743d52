/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "diag/picture.h"
#include "lib/t.h"

static struct recording r;
static struct picture p;

static uint32_t thread(const char *name)
{
    uint32_t t = rec_thread_new(&r, 1, (int32_t)r.n_threads + 1);

    snprintf(r.threads[t].name, sizeof r.threads[t].name, "%s", name);
    return t;
}

static struct rec_ival ival(int64_t from, int64_t to, enum rec_state state, enum rec_kind kind)
{
    return (struct rec_ival){.from = from,
                             .to = to,
                             .state = (uint8_t)state,
                             .kind = (uint8_t)kind,
                             .in_flight = state == REC_WAIT,
                             .core = REC_NO_CORE};
}

static void add(uint32_t t, int64_t from, int64_t to, enum rec_state state, enum rec_kind kind)
{
    struct rec_ival v = ival(from, to, state, kind);

    rec_add(&r, t, &v);
}

static void run(uint32_t t, int64_t from, int64_t to, uint16_t core)
{
    struct rec_ival v = ival(from, to, REC_RUN, REC_NO_KIND);

    v.core = core;
    rec_add(&r, t, &v);
}

static void begin(int64_t wall)
{
    rec_init(&r);
    r.wall = wall;
    r.n_cores = r.n_cpus = 4;
}

static void end(void)
{
    picture_free(&p);
    rec_free(&r);
}

static const struct picture_lane *lane(const char *name)
{
    for (size_t i = 0; i < p.n_lanes; i++)
        if (strcmp(p.lanes[i].name, name) == 0)
            return &p.lanes[i];
    t_fail(__FILE__, __LINE__, "no lane %s", name);
}

TEST(cores_come_first_and_say_who_ran)
{
    begin(100);
    uint32_t a = thread("a"), b = thread("b");
    run(a, 0, 60, 2);
    run(b, 60, 90, 2);
    run(a, 60, 100, 0);
    CHECK_INT(picture_make(&r, &(struct picture_how){.n_cells = 10}, &p), 0);
    CHECK_INT(p.n_lanes, 4);
    CHECK_STR(p.lanes[0].name, "core 0");
    CHECK_STR(p.lanes[1].name, "core 2");
    CHECK_STR(p.lanes[2].name, "a");
    CHECK_INT(p.lanes[1].sum[LOOK_CPU], 90);
    CHECK_INT(p.lanes[1].who[5], a);
    CHECK_INT(p.lanes[1].who[6], b);
    CHECK(p.lanes[0].cell[5 * N_LOOKS + LOOK_CPU] == 0);
    CHECK(p.lanes[0].cell[7 * N_LOOKS + LOOK_CPU] > .99f);
    CHECK(fabs(p.cores_mean - 1.3) < .001);
    end();
}

TEST(of_many_cores_the_busiest_are_shown)
{
    begin(1000);
    uint32_t t = thread("t");
    for (uint16_t c = 0; c < 40; c++)
        run(t, c * 20, c * 20 + (c % 8 == 3 ? 20 : 1), c);
    CHECK_INT(picture_make(&r, &(struct picture_how){.max_cores = 5}, &p), 0);
    for (int i = 0; i < 5; i++)
        CHECK_INT(p.lanes[i].index, 3 + 8 * i);
    CHECK_INT(p.more_cores, 35);
    end();
}

TEST(sums_are_exact_and_cells_add_up_to_them)
{
    begin(1000003);
    uint32_t t = thread("t");
    int64_t at = 5, run_sum = 0;
    for (int i = 0; at < 1000000; i++) {
        int64_t d = 1 + i * 37 % 997;
        d = d < 1000003 - at ? d : 1000003 - at;
        add(t, at, at + d, i % 3 == 0 ? REC_RUN : REC_WAIT, i % 3 == 0 ? REC_NO_KIND : REC_DB);
        run_sum += i % 3 == 0 ? d : 0;
        at += d;
    }
    CHECK_INT(picture_make(&r, &(struct picture_how){.n_cells = 77}, &p), 0);
    CHECK_INT(p.lanes[0].sum[LOOK_CPU], run_sum);
    double cells = 0, parts = 0;
    for (uint32_t i = 0; i < 77; i++)
        cells += p.lanes[0].cell[i * N_LOOKS + LOOK_CPU];
    for (size_t i = 0; i < p.lanes[0].n_parts; i++) {
        const struct picture_part *part = &p.lanes[0].parts[i];
        parts += part->share[0] * (double)(part->to - part->from);
    }
    CHECK(fabs(cells * 1000003 / 77 - (double)run_sum) < 100);
    CHECK(fabs(parts - (double)run_sum) < 100);
    end();
}

TEST(marks_are_bounded_ordered_and_exact_where_long)
{
    begin(1000000);
    uint32_t t = thread("t");
    for (int64_t at = 0; at < 400000; at += 4) {
        add(t, at, at + 3, REC_WAIT, REC_NET);
        add(t, at + 3, at + 4, REC_RUN, REC_NO_KIND);
    }
    add(t, 400000, 912345, REC_WAIT, REC_LOCK);
    add(t, 912345, 912346, REC_RUN, REC_NO_KIND); /* alone in its slice: exact */
    CHECK_INT(picture_make(&r, &(struct picture_how){.n_cells = 100}, &p), 0);
    const struct picture_lane *l = lane("t");
    CHECK(l->n_parts <= 3 * 100);
    for (size_t i = 1; i < l->n_parts; i++)
        CHECK(l->parts[i].from >= l->parts[i - 1].to);
    const struct picture_part *last = &l->parts[l->n_parts - 1];
    CHECK_INT(last->n, 1);
    CHECK_INT(last->look, LOOK_CPU);
    CHECK_INT(last->from, 912345);
    CHECK_INT(last->to, 912346);
    CHECK_INT(last[-1].from, 400000);
    CHECK_INT(last[-1].kind, REC_LOCK);
    CHECK_INT(l->parts[10].n, 5000);
    CHECK_INT(l->parts[10].kind, REC_NET);
    CHECK(fabsf(l->parts[10].share[0] - .25f) < .001f);
    end();
}

TEST(a_burst_of_computing_is_seen_in_a_wide_slice)
{
    begin(1000);
    uint32_t t = thread("t");
    add(t, 0, 30, REC_RUN, REC_NO_KIND);
    add(t, 30, 100, REC_WAIT, REC_NET);
    add(t, 100, 110, REC_RUN, REC_NO_KIND);
    add(t, 110, 1000, REC_WAIT, REC_NET);
    CHECK_INT(picture_make(&r, &(struct picture_how){.n_cells = 10}, &p), 0);
    CHECK_INT(picture_cell_look(&p.lanes[0], 0), LOOK_CPU); /* 30 % of it */
    CHECK_INT(picture_cell_look(&p.lanes[0], 1), LOOK_NET); /* 10 % */
    CHECK_INT(picture_lane_most(&p.lanes[0]), LOOK_NET);
    end();
}

TEST(threads_that_did_something_are_chosen_and_the_rest_counted)
{
    begin(1000);
    for (int i = 0; i < 500; i++) {
        char name[32];
        snprintf(name, sizeof name, "t%d", i);
        uint32_t t = thread(name);
        if (i == 333)
            run(t, 0, 10, 0);
        else if (i == 444)
            add(t, 0, 200, REC_WAIT, REC_DISK);
        else
            add(t, 0, 1000, REC_WAIT, REC_IDLE);
    }
    CHECK_INT(picture_make(&r, &(struct picture_how){.max_lanes = 2}, &p), 0);
    CHECK_INT(p.n_lanes, 3);
    CHECK_STR(p.lanes[1].name, "t333");
    CHECK_STR(p.lanes[2].name, "t444");
    CHECK_INT(p.more_threads, 498);
    end();
}

TEST(tasks_leave_room_for_threads_and_use_no_cores_of_their_own)
{
    begin(1000);
    for (int i = 0; i < 30; i++)
        run(thread("loop"), 0, 100, 0);
    for (int i = 0; i < 30; i++) {
        uint32_t t = thread("task");
        r.threads[t].is_task = true;
        add(t, 0, 100, REC_RUN, REC_NO_KIND);
    }
    CHECK_INT(picture_make(&r, &(struct picture_how){.max_lanes = 10}, &p), 0);
    int n[3] = {0};
    for (size_t i = 0; i < p.n_lanes; i++)
        n[p.lanes[i].type]++;
    CHECK_INT(n[LANE_THREAD], 5);
    CHECK_INT(n[LANE_TASK], 5);
    CHECK_INT(p.more_threads, 25);
    CHECK_INT(p.more_tasks, 25);
    CHECK(fabs(p.cores_mean - 3) < .001); /* the threads' alone */
    CHECK_STR(p.lanes[p.n_lanes - 1].name, "task 5");
    end();
}

TEST(in_flight_holds_while_a_loop_handles_an_answer)
{
    begin(100);
    uint32_t t = thread("loop");
    struct rec_ival v = ival(0, 40, REC_WAIT, REC_NET);
    v.in_flight = 50;
    v.flags = REC_IVAL_SET;
    rec_add(&r, t, &v);
    add(t, 40, 60, REC_RUN, REC_NO_KIND);
    v.from = 60;
    v.to = 100;
    v.in_flight = 10;
    rec_add(&r, t, &v);
    add(thread("direct"), 0, 50, REC_WAIT, REC_DB);
    add(thread("lock"), 0, 100, REC_WAIT, REC_LOCK);
    CHECK_INT(picture_make(&r, &(struct picture_how){.n_cells = 10}, &p), 0);
    CHECK(fabsf(p.in_flight[0] - 51) < .01f);
    CHECK(fabsf(p.in_flight[5] - 50) < .01f);
    CHECK(fabsf(p.in_flight[9] - 10) < .01f);
    CHECK(fabs(p.in_flight_max - 51) < .01);
    CHECK(fabs(p.in_flight_mean - (50 * 60 + 10 * 40 + 50) / 100.0) < .01);
    end();
}

TEST(a_folded_interval_counts_by_its_parts)
{
    begin(100);
    struct rec_ival v = ival(0, 100, REC_WAIT, REC_NET);
    v.flags = REC_IVAL_FOLDED;
    v.run_ppm = 300000;
    v.ready_ppm = 100000;
    v.core = 1;
    rec_add(&r, thread("t"), &v);
    CHECK_INT(picture_make(&r, &(struct picture_how){.n_cells = 4}, &p), 0);
    const struct picture_lane *l = lane("t");
    CHECK_INT(l->sum[LOOK_CPU], 30);
    CHECK_INT(l->sum[LOOK_READY], 10);
    CHECK_INT(l->sum[LOOK_NET], 60);
    CHECK(l->parts[0].n > 1);
    CHECK_INT(lane("core 1")->sum[LOOK_CPU], 30);
    end();
}

TEST(folded_intervals_that_share_a_core_add_up)
{
    begin(1000000);
    for (int i = 0; i < 3; i++) {
        uint32_t t = thread("t");
        for (int64_t at = i * 30000; at + 100000 <= 1000000; at += 100000) {
            struct rec_ival v = ival(at, at + 100000, REC_WAIT, REC_NET);
            v.flags = REC_IVAL_FOLDED;
            v.run_ppm = 250000;
            v.core = 1;
            rec_add(&r, t, &v);
        }
    }
    CHECK_INT(picture_make(&r, NULL, &p), 0);
    int64_t busy = lane("core 1")->sum[LOOK_CPU];
    CHECK(busy > 699900 && busy < 700100); /* 25,000 of each of 28 */
    CHECK(lane("core 1")->n_parts > 9);
    end();
}

TEST(a_window_shows_its_part_alone)
{
    begin(1000);
    uint32_t t = thread("t");
    run(t, 0, 400, 0);
    run(t, 500, 900, 1);
    run(thread("gone"), 0, 300, 2);
    CHECK_INT(picture_make(&r, &(struct picture_how){.n_cells = 5, .from = 450, .to = 950}, &p), 0);
    CHECK_INT(p.n_lanes, 2);
    CHECK_STR(p.lanes[0].name, "core 1");
    CHECK_INT(p.lanes[1].sum[LOOK_CPU], 400);
    CHECK(fabsf(p.cores[0] - .5f) < .001f);
    end();
}

TEST(nothing_is_a_picture_too)
{
    begin(0);
    CHECK_INT(picture_make(&r, NULL, &p), 0);
    CHECK_INT(p.n_lanes, 0);
    end();
}

TEST(lanes_of_one_name_are_numbered_and_a_main_thread_has_its_programs)
{
    begin(100);
    uint32_t proc = rec_proc_of(&r, 1);
    rec_set_text(&r, &r.procs[proc].exe, "/usr/bin/prog");
    for (int i = 0; i < 3; i++)
        run(thread("work"), 0, 10, 0);
    CHECK_INT(picture_make(&r, NULL, &p), 0);
    CHECK_STR(p.lanes[1].name, "prog");
    CHECK_STR(p.lanes[2].name, "work");
    CHECK_STR(p.lanes[3].name, "work 2");
    end();
}

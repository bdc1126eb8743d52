/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <hob/hob.h>

#include "diag/demo.h"
#include "diag/from_trace.h"
#include "diag/picture.h"
#include "lib/t.h"

static struct recording r;

static int nap(void *arg)
{
    (void)arg;
    return hob_sleep(2 * HOB_MS);
}

static int naps(void *arg)
{
    hob_group g;
    int e = hob_group_open(&g, HOB_GROUP_OPTS(.max_live = 5, .name = "naps"));

    (void)arg;
    hob_fiber_name("opener");
    for (int i = 0; i < 20 && e == 0; i++)
        e = hob_go(&g, nap, NULL);
    hob_trace_mark("all begun");
    return hob_group_join(&g, e);
}

/* What a program that naps twenty times, five at once, recorded of itself. */
static hob_trace *recorded(const char *path)
{
    hob_trace *t = NULL;

    CHECK_INT(hob_trace_start(HOB_TRACE_OPTS(.path = path)), 0);
    CHECK_INT(hob_run(NULL, naps, NULL), 0);
    CHECK_INT(hob_trace_stop(path ? NULL : &t), 0);
    return t;
}

static const struct rec_thread *thread_named(const char *name)
{
    for (size_t i = 0; i < r.n_threads; i++)
        if (strcmp(r.threads[i].name, name) == 0)
            return &r.threads[i];
    t_fail(__FILE__, __LINE__, "no thread %s", name);
}

static int64_t sum_of(const struct rec_thread *th, enum rec_state state, int kind)
{
    int64_t sum = 0;

    for (size_t i = 0; i < th->n_ivals; i++)
        if (th->ivals[i].state == state && (kind < 0 || th->ivals[i].kind == kind))
            sum += th->ivals[i].to - th->ivals[i].from;
    return sum;
}

TEST(tasks_are_as_many_rows_as_were_alive_at_once)
{
    hob_trace *t = recorded(NULL);
    int64_t slept = 0, ran = 0, loop = 0;
    size_t rows = 0;

    rec_init(&r);
    CHECK_INT(rec_from_trace(t, &r), 0);
    CHECK_INT(r.tier, REC_T0);
    CHECK_INT(r.wall, hob_trace_wall(t));
    for (size_t i = 0; i < r.n_threads; i++) {
        const struct rec_thread *th = &r.threads[i];
        rows += th->is_task;
        slept += sum_of(th, REC_WAIT, REC_SLEEP);
        *(th->is_task ? &ran : &loop) += sum_of(th, REC_RUN, -1);
    }
    CHECK(rows >= 6 && rows <= 8); /* five that nap, the opener, what the loop has itself */
    CHECK(slept >= 20 * 2 * HOB_MS);
    CHECK_INT(ran, loop); /* a task's time is some thread's */
    CHECK(strstr(r.notes, "all begun"));
    rec_free(&r);
    hob_trace_free(t);
}

TEST(a_file_of_either_kind_is_read)
{
    char path[] = "/tmp/test_from_trace.XXXXXX";
    int fd = mkstemp(path);

    CHECK(fd >= 0);
    recorded(path);
    CHECK_INT(rec_load_any(path, &r), 0);
    CHECK(thread_named("opener")->is_task);
    CHECK_INT(rec_save(&r, path), 0);
    size_t n = r.n_threads;
    rec_free(&r);
    CHECK_INT(rec_load_any(path, &r), 0);
    CHECK_INT(r.n_threads, n);
    rec_free(&r);
    CHECK_INT(ftruncate(fd, 5), 0);
    CHECK_INT(rec_load_any(path, &r), -EBADMSG);
    close(fd);
    unlink(path);
    CHECK_INT(rec_load_any(path, &r), -ENOENT);
}

TEST(the_demo_takes_turns_on_one_core_and_does_not_on_two)
{
    struct demo d;
    struct picture p;
    int64_t both = 0;

    CHECK_INT(demo_run(&d), 0);
    CHECK(d.n_runs == 1 || d.n_runs == 2);
    for (size_t k = 0; k < d.n_runs; k++) {
        CHECK_INT(
            picture_make(&d.rec,
                         &(struct picture_how){.from = d.window[k].from, .to = d.window[k].to}, &p),
            0);
        CHECK_INT(p.n_lanes, k + 1 + 2); /* as many cores as it says, and A and B */
        CHECK_STR(p.lanes[k + 1].name, "A");
        CHECK_STR(p.lanes[k + 2].name, "B");
        picture_free(&p);
    }
    /* On one core A and B never run at the same time, and each waits for the other. */
    const struct rec_thread *a = &d.rec.threads[0], *b = &d.rec.threads[1];
    for (size_t i = 0; i < a->n_ivals; i++)
        for (size_t k = 0; k < b->n_ivals; k++) {
            const struct rec_ival *x = &a->ivals[i], *y = &b->ivals[k];
            int64_t from = x->from > y->from ? x->from : y->from;
            int64_t to = x->to < y->to ? x->to : y->to;
            if (x->state != REC_RUN || y->state != REC_RUN || to <= from)
                continue;
            CHECK(x->core != y->core);
            both += to - from;
        }
    CHECK(sum_of(a, REC_READY, -1) + sum_of(b, REC_READY, -1) > 0);
    CHECK(d.n_runs == 1 || both > 0);
    demo_free(&d);
}

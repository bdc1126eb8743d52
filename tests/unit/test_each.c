/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <unistd.h>

#include <hob/trace.h>

#include "lib/t.h"
#include "plat/env.h"
#include "trace/account.h"
#include "trace/record.h"

struct seen {
    struct hob_trace_event e[64];
    size_t n, stop_at;
};

static int keep(void *arg, const struct hob_trace_event *e)
{
    struct seen *s = arg;

    CHECK_INT(e->size, sizeof *e);
    if (s->n < sizeof s->e / sizeof *s->e)
        s->e[s->n] = *e;
    return ++s->n == s->stop_at ? -7 : 0;
}

/* One task's life, as a scheduler would tell it, with a mark in its middle. */
static hob_trace *recorded(struct trace_stage *stage)
{
    struct trace_task t;
    hob_trace *trace;

    CHECK_INT(hob_trace_start(NULL), 0);
    hob__lane_name(TRACE_LANE_LOOP, "loop 0");
    hob_time now = hob__now();
    trace_task_init(&t, 17, "page 17", stage);
    trace_ready(&t, now);
    trace_run(&t, now + 10);
    trace_park(&t, HOB_WAIT_RECV, now + 20);
    hob__trace_emit_text(TRACE_EV_MARK, now + 25, 0, 0, "half way");
    trace_ready(&t, now + 30);
    trace_run(&t, now + 40);
    trace_end(&t, now + 50);
    CHECK_INT(hob_trace_stop(&trace), 0);
    return trace;
}

TEST(events_come_in_order_with_their_texts)
{
    static const enum hob_trace_what want[] = {HOB_TRACE_BEGIN, HOB_TRACE_READY, HOB_TRACE_RUN,
                                               HOB_TRACE_PARK,  HOB_TRACE_MARK,  HOB_TRACE_READY,
                                               HOB_TRACE_RUN,   HOB_TRACE_END};
    struct trace_stage stage;
    struct seen s = {0};

    hob__stage_init(&stage, "fetch");
    hob_trace *t = recorded(&stage);
    CHECK_INT(hob_trace_each(t, keep, &s), 0);
    CHECK_INT(s.n, 8);
    for (size_t i = 0; i < 8; i++) {
        CHECK_INT(s.e[i].what, want[i]);
        CHECK_INT(s.e[i].task, want[i] == HOB_TRACE_MARK ? 0 : 17);
        CHECK_INT(s.e[i].place, HOB_TRACE_ON_LOOP);
        CHECK_STR(s.e[i].thread_name, "loop 0");
        CHECK_INT(s.e[i].thread_id, gettid());
        CHECK(s.e[i].at >= 0 && (i == 0 || s.e[i].at >= s.e[i - 1].at));
    }
    CHECK_INT(hob_trace_pid(t), getpid());
    CHECK(hob_trace_began(t) > 0 && hob_trace_began(t) + s.e[7].at <= hob__now() + 50);
    CHECK_STR(s.e[0].name, "page 17");
    CHECK_STR(s.e[0].stage, "fetch");
    CHECK_STR(s.e[3].wait, "RECV");
    CHECK_STR(s.e[3].wait_text, "waiting for bytes from the network");
    CHECK_INT(s.e[3].wait_class, HOB_CLASS_IO);
    CHECK_STR(s.e[4].name, "half way");
    hob_trace_free(t);
}

TEST(the_callback_may_end_it)
{
    struct seen s = {.stop_at = 3};
    hob_trace *t = recorded(NULL);

    CHECK_INT(hob_trace_each(t, keep, &s), -7);
    CHECK_INT(s.n, 3);
    CHECK(s.e[0].stage == NULL);
    hob_trace_free(t);
}

TEST(gaps_say_how_much_is_missing)
{
    struct {
        struct record_head head;
        struct record_block block;
        struct trace_event event[3];
    } r = {.head = {.magic = RECORD_MAGIC, .event_size = sizeof(struct trace_event)},
           .block = {.kind = RECORD_EVENTS, .n_slots = 3, .lane = {.id = 1, .kind = 77}},
           .event = {{.at = 1, .kind = TRACE_EV_READY, .task = 1},
                     {.at = 2, .kind = TRACE_EV_GAP, .arg = 99},
                     {.at = 3, .kind = TRACE_EV_PARK, .task = 1, .wait = 255}}};
    struct seen s = {0};
    hob_trace *t;

    CHECK_INT(hob__record_read(&r, sizeof r, &t), 0);
    CHECK_INT(hob_trace_each(t, keep, &s), 0);
    CHECK_INT(s.n, 3);
    CHECK_INT(s.e[1].what, HOB_TRACE_GAP);
    CHECK_INT(s.e[1].n_lost, 99);
    CHECK_INT(s.e[1].place, HOB_TRACE_ON_THREAD);
    CHECK(s.e[2].wait && s.e[2].wait_text); /* a wait of a later version */
    hob_trace_free(t);
}

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <hob/trace.h>

#include "lib/t.h"
#include "plat/env.h"
#include "trace/account.h"
#include "trace/record.h"

/* One task's life, as a scheduler would tell it. */
static void task_live(uint64_t id, const char *name, struct trace_stage *stage, int64_t at)
{
    struct trace_task t;

    trace_task_init(&t, id, name, stage);
    if (!trace_accounted(&t))
        return;
    trace_ready(&t, at);
    trace_run(&t, at + 10);
    trace_park(&t, HOB_WAIT_HTTP, at + 20);
    trace_ready(&t, at + 120);
    trace_run(&t, at + 130);
    trace_end(&t, at + 140);
}

static size_t events_of(const hob_trace *t, enum trace_kind kind)
{
    size_t n = 0;

    for (size_t i = 0; i < t->n_events; i++)
        n += t->events[i].kind == kind;
    return n;
}

static const char *scratch(void)
{
    static char path[64];
    int fd;

    strcpy(path, "/tmp/test_record.XXXXXX");
    fd = mkstemp(path);
    CHECK(fd >= 0);
    close(fd);
    return path;
}

TEST(a_recording_holds_what_tasks_did_and_their_names)
{
    struct trace_stage s;
    hob_trace *t = NULL;

    hob__stage_init(&s, "fetch");
    task_live(1, "before", NULL, hob__now());
    CHECK_INT(hob_trace_start(NULL), 0);
    hob__lane_name(TRACE_LANE_LOOP, "loop 0");
    task_live(2, "page 2", &s, hob__now());
    task_live(3, NULL, &s, hob__now());
    hob_trace_mark("half way");
    CHECK_INT(hob_trace_stop(&t), 0);
    task_live(4, "after", NULL, hob__now());

    CHECK_INT(events_of(t, TRACE_EV_BEGIN), 2);
    CHECK_INT(events_of(t, TRACE_EV_READY), 4);
    CHECK_INT(events_of(t, TRACE_EV_RUN), 4);
    CHECK_INT(events_of(t, TRACE_EV_PARK), 2);
    CHECK_INT(events_of(t, TRACE_EV_END), 2);
    CHECK_INT(t->n_lanes, 1);
    CHECK_STR(t->lanes[0].name, "loop 0");
    CHECK_STR(hob__record_text(t, TRACE_EV_NAME, 2), "page 2");
    CHECK(hob__record_text(t, TRACE_EV_NAME, 3) == NULL);
    CHECK_STR(hob__record_text(t, TRACE_EV_STAGE, s.id), "fetch");
    CHECK_STR(hob__record_text(t, TRACE_EV_MARK, 0), "half way");
    CHECK_INT(hob_trace_lost(t), 0);
    CHECK(hob_trace_wall(t) > 0);
    hob_trace_free(t);
}

TEST(a_second_recording_knows_the_stages_of_the_first_and_none_of_its_events)
{
    struct trace_stage s;
    hob_trace *t = NULL;

    hob__stage_init(&s, "parse");
    for (int i = 0; i < 3; i++) {
        CHECK_INT(hob_trace_start(NULL), 0);
        task_live(7, NULL, &s, hob__now());
        CHECK_INT(hob_trace_stop(&t), 0);
        CHECK_INT(events_of(t, TRACE_EV_BEGIN), 1);
        CHECK_STR(hob__record_text(t, TRACE_EV_STAGE, s.id), "parse");
        hob_trace_free(t);
    }
}

TEST(one_recording_at_a_time)
{
    CHECK_INT(hob_trace_stop(NULL), -EINVAL);
    CHECK_INT(hob_trace_start(NULL), 0);
    CHECK_INT(hob_trace_start(NULL), -EBUSY);
    CHECK_INT(hob_trace_stop(NULL), 0);
    CHECK_INT(hob_trace_stop(NULL), -EINVAL);
}

TEST(a_recording_in_a_file_reads_back_the_same)
{
    const char *path = scratch();
    hob_trace *t = NULL;

    CHECK_INT(hob_trace_start(HOB_TRACE_OPTS(.path = path)), 0);
    for (uint64_t i = 1; i <= 2000; i++)
        task_live(i, i == 5 ? "five" : NULL, NULL, hob__now());
    CHECK_INT(hob_trace_stop(&t), 0);
    CHECK(t == NULL);
    CHECK_INT(hob_trace_load(path, &t), 0);
    CHECK_INT(events_of(t, TRACE_EV_END), 2000);
    CHECK_STR(hob__record_text(t, TRACE_EV_NAME, 5), "five");
    for (size_t i = 1; i < t->n_events; i++)
        CHECK(t->events[i - 1].at <= t->events[i].at);
    hob_trace_free(t);
    unlink(path);
}

TEST(a_file_cut_anywhere_reads_as_far_as_it_goes)
{
    const char *path = scratch();
    struct stat st;
    hob_trace *t;

    CHECK_INT(hob_trace_start(HOB_TRACE_OPTS(.path = path)), 0);
    for (uint64_t i = 1; i <= 20; i++)
        task_live(i, "name", NULL, hob__now());
    CHECK_INT(hob_trace_stop(NULL), 0);
    CHECK_INT(stat(path, &st), 0);
    for (off_t n = st.st_size - 1; n >= 0; n -= 13) {
        CHECK_INT(truncate(path, n), 0);
        if (n < (off_t)sizeof(struct record_head)) {
            CHECK_INT(hob_trace_load(path, &t), -EBADMSG);
            continue;
        }
        CHECK_INT(hob_trace_load(path, &t), 0);
        CHECK(t->stop >= t->start);
        hob_trace_free(t);
    }
    unlink(path);
}

TEST(bytes_that_lie_are_refused_or_skipped)
{
    union {
        unsigned char bytes[400];
        struct record_head head;
    } u;
    hob_trace *t;

    srand(1);
    for (int round = 0; round < 20000; round++) {
        for (size_t i = 0; i < sizeof(u.bytes); i++)
            u.bytes[i] = (unsigned char)(rand() % 4 ? 0 : rand());
        u.head =
            (struct record_head){.magic = RECORD_MAGIC, .event_size = sizeof(struct trace_event)};
        u.bytes[sizeof(u.head)] = (unsigned char)(rand() % 3);
        memset(&u.bytes[sizeof(u.head) + 1], 0, 3);
        if (round % 2)
            u.bytes[sizeof(u.head) + 4] = (unsigned char)(rand() % 12),
                                     u.bytes[sizeof(u.head) + 5] = 0;
        if (hob__record_read(u.bytes, (size_t)rand() % sizeof(u.bytes), &t) == 0)
            hob_trace_free(t);
    }
    u.head.event_size = 99;
    CHECK_INT(hob__record_read(u.bytes, sizeof(u.bytes), &t), -EBADMSG);
}

TEST(a_time_that_is_none_is_left_out)
{
    struct {
        struct record_head head;
        struct record_block block;
        struct trace_event event[3];
        struct record_block end;
        struct trace_event stop;
    } r = {.head = {.magic = RECORD_MAGIC, .event_size = sizeof(struct trace_event), .start = 5},
           .block = {.kind = RECORD_EVENTS, .n_slots = 3, .lane.id = 1},
           .event = {{.at = 7, .kind = TRACE_EV_RUN, .task = 1},
                     {.at = INT64_MAX, .kind = TRACE_EV_RUN, .task = 1},
                     {.at = INT64_MIN, .kind = TRACE_EV_RUN, .task = 1}},
           .end = {.kind = RECORD_END, .n_slots = 1},
           .stop = {.at = INT64_MAX}};
    hob_trace *t;

    CHECK_INT(hob__record_read(&r, sizeof(r), &t), 0);
    CHECK_INT(t->n_events, 1);
    CHECK_INT(hob_trace_wall(t), 2);
    hob_trace_free(t);
    r.head.start = -1;
    CHECK_INT(hob__record_read(&r, sizeof(r), &t), -EBADMSG);
}

TEST(a_text_longer_than_its_block_is_no_text)
{
    struct {
        struct record_head head;
        struct record_block block;
        struct trace_event event[4];
    } r = {.head = {.magic = RECORD_MAGIC, .event_size = sizeof(struct trace_event)},
           .block = {.kind = RECORD_EVENTS, .n_slots = 2, .lane.id = 1},
           .event = {{.at = 1, .kind = TRACE_EV_NAME, .task = 1, .len = 24},
                     {.at = 0x41414141, .task = 0x41414141}}};
    hob_trace *t;

    CHECK_INT(hob__record_read(&r, sizeof(r), &t), 0);
    CHECK_STR(hob__record_text(t, TRACE_EV_NAME, 1), "AAAA");
    hob_trace_free(t);
    r.event[0].len = 25;
    CHECK_INT(hob__record_read(&r, sizeof(r), &t), 0);
    CHECK_INT(t->n_texts, 0);
    hob_trace_free(t);
}

TEST(what_was_written_after_a_recording_is_in_no_other)
{
    hob_trace *t;

    CHECK_INT(hob_trace_start(NULL), 0);
    CHECK_INT(hob_trace_stop(NULL), 0);
    hob__trace_emit(TRACE_EV_RUN, hob__now() + HOB_MIN, 99, 0, 0); /* saw the flag just before */
    CHECK_INT(hob_trace_start(NULL), 0);
    task_live(1, NULL, NULL, hob__now());
    CHECK_INT(hob_trace_stop(&t), 0);
    for (size_t i = 0; i < t->n_events; i++)
        CHECK_INT(t->events[i].task, 1);
    CHECK_INT(t->n_events, 7);
    hob_trace_free(t);
}

TEST(a_recording_over_its_limit_keeps_the_beginning_and_counts_the_rest)
{
    hob_trace *t = NULL;

    CHECK_INT(hob_trace_start(HOB_TRACE_OPTS(.max_bytes = 10000)), 0);
    for (uint64_t i = 1; i <= 5000; i++)
        task_live(i, NULL, NULL, hob__now());
    CHECK_INT(hob_trace_stop(&t), 0);
    CHECK(hob_trace_lost(t) > 0);
    CHECK_INT(hob_trace_lost(t) + hob_trace_events(t), 5000 * 7);
    hob_trace_free(t);
}

TEST(a_file_that_cannot_be_written_is_told)
{
    CHECK_INT(hob_trace_start(HOB_TRACE_OPTS(.path = "/nonexistent/x")), -ENOENT);
    if (access("/dev/full", W_OK) < 0)
        t_skip("no /dev/full");
    CHECK_INT(hob_trace_start(HOB_TRACE_OPTS(.path = "/dev/full")), 0);
    task_live(1, NULL, NULL, hob__now());
    CHECK_INT(hob_trace_stop(NULL), -ENOSPC);
    CHECK_INT(hob_trace_start(NULL), 0); /* and the next one works */
    CHECK_INT(hob_trace_stop(NULL), 0);
}

static void *live_many(void *arg)
{
    uint64_t base = *(uint64_t *)arg;

    for (uint64_t i = 0; i < 5000; i++)
        task_live(base + i, NULL, NULL, hob__now());
    return NULL;
}

TEST(threads_that_record_and_end_while_it_starts_and_stops)
{
    uint64_t base[4] = {100000, 200000, 300000, 400000};
    pthread_t th[4];
    hob_trace *t;

    for (int i = 0; i < 4; i++)
        CHECK_INT(pthread_create(&th[i], NULL, live_many, &base[i]), 0);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(hob_trace_start(NULL), 0);
        for (int k = 0; k < 20; k++)
            task_live(1, NULL, NULL, hob__now());
        CHECK_INT(hob_trace_stop(&t), 0);
        CHECK(events_of(t, TRACE_EV_END) >= 20);
        hob_trace_free(t);
    }
    for (int i = 0; i < 4; i++)
        CHECK_INT(pthread_join(th[i], NULL), 0);
}

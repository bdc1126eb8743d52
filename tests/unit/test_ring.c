/* SPDX-License-Identifier: MIT */
#include <pthread.h>

#include "lib/t.h"
#include "trace/account.h"
#include "trace/ring.h"

struct seen {
    uint64_t n[TRACE_N_KINDS];
    uint64_t next; /* `task` the next READY event must have */
    uint64_t n_gap;
    char name[TRACE_LANE_NAME_MAX], text[TRACE_TEXT_MAX + 1];
    uint32_t lane_kind;
};

/* Events of one writer that numbers them in `task`: none twice, none out of order. */
static void seen_take(void *arg, const struct trace_lane_info *lane,
                      const struct trace_event *slots, uint32_t n_slots)
{
    struct seen *s = arg;
    uint32_t i = 0;

    memcpy(s->name, lane->name, sizeof(s->name));
    s->lane_kind = lane->kind;
    while (i < n_slots) {
        const struct trace_event *e = &slots[i];

        s->n[e->kind]++;
        if (e->kind == TRACE_EV_GAP) {
            s->n_gap += e->arg;
        } else if (e->kind == TRACE_EV_READY) {
            CHECK(e->task == s->next || (e->task > s->next && s->n_gap));
            s->next = e->task + 1;
        }
        if (e->len) {
            memset(s->text, 0, sizeof(s->text));
            memcpy(s->text, e + 1, e->len);
        }
        i += trace_event_slots(e);
    }
    CHECK_INT(i, n_slots);
}

TEST(events_come_out_whole_and_in_order)
{
    static struct seen s;

    hob__lane_name(TRACE_LANE_LOOP, "loop 0");
    for (uint64_t i = 0; i < 100000; i++)
        hob__trace_emit(TRACE_EV_READY, (int64_t)i, i, 0, 0);
    hob__rings_drain(seen_take, &s);
    CHECK_INT(s.n[TRACE_EV_READY], 100000);
    CHECK_STR(s.name, "loop 0");
    CHECK_INT(s.lane_kind, TRACE_LANE_LOOP);
    hob__rings_drain(seen_take, &s);
    CHECK_INT(s.n[TRACE_EV_READY], 100000);
}

TEST(an_event_keeps_all_its_fields)
{
    hob__trace_emit(TRACE_EV_PARK, -5, UINT64_MAX, HOB_WAIT_HTTP, 77);
    /* Written out, so that a change of the layout is noticed: files hold it. */
    struct trace_event e = {.at = -5, .task = UINT64_MAX, .arg = 77, .kind = 4, .wait = 0};
    CHECK_INT(sizeof(e), 24);
    CHECK_INT(TRACE_EV_PARK, 4);
    CHECK_INT(trace_event_slots(&e), 1);
    e.len = 24;
    CHECK_INT(trace_event_slots(&e), 2);
    e.len = 25;
    CHECK_INT(trace_event_slots(&e), 3);
}

TEST(texts_of_every_length_survive_and_long_ones_are_cut)
{
    static struct seen s;
    char text[200] = "";

    for (size_t n = 1; n < sizeof(text) - 1; n++) {
        text[n - 1] = (char)('a' + n % 26);
        text[n] = '\0';
        hob__trace_emit_text(TRACE_EV_NAME, 1, 1, 0, text);
        hob__rings_drain(seen_take, &s);
        CHECK_INT(strlen(s.text), n < TRACE_TEXT_MAX ? n : TRACE_TEXT_MAX);
        CHECK(strncmp(s.text, text, TRACE_TEXT_MAX) == 0);
    }
}

TEST(a_late_reader_costs_the_newest_events_and_a_gap_tells_how_many)
{
    static struct seen s;

    hob__rings_limit(16, 4);
    for (uint64_t i = 0; i < 1000; i++)
        hob__trace_emit(TRACE_EV_READY, 1, i, 0, 0);
    hob__rings_drain(seen_take, &s);
    CHECK(s.n[TRACE_EV_READY] >= 40 && s.n[TRACE_EV_READY] <= 64);
    CHECK_INT(s.n_gap, 0);
    for (uint64_t i = 1000; i < 1010; i++)
        hob__trace_emit(TRACE_EV_READY, 1, i, 0, 0);
    hob__rings_drain(seen_take, &s);
    CHECK_INT(s.n[TRACE_EV_GAP], 1);
    CHECK_INT(s.n_gap + s.n[TRACE_EV_READY], 1010);
    CHECK_INT(hob__rings_lost(), 0);
}

TEST(events_lost_and_never_followed_are_still_counted)
{
    static struct seen s;

    hob__rings_limit(16, 1);
    for (uint64_t i = 0; i < 100; i++)
        hob__trace_emit(TRACE_EV_READY, 1, i, 0, 0);
    hob__rings_drain(seen_take, &s);
    CHECK_INT(s.n[TRACE_EV_READY] + hob__rings_lost(), 100);
    CHECK_INT(hob__rings_lost(), 0);
}

static void *writer(void *arg)
{
    uint64_t n = *(uint64_t *)arg;

    hob__lane_name(TRACE_LANE_POOL, "a name that is longer than a lane's name may be");
    for (uint64_t i = 0; i < n; i++) {
        hob__trace_emit(TRACE_EV_READY, 1, i, 0, 0);
        if (i % 7 == 0)
            hob__trace_emit_text(TRACE_EV_NAME, 1, i, 0,
                                 "a name that takes three slots to hold it");
    }
    return NULL;
}

TEST(a_reader_beside_the_writer_loses_nothing)
{
    static struct seen s;
    uint64_t n = 200000;
    pthread_t th;

    hob__rings_limit(64, 1 << 20);
    hob__rings_attach(true);
    CHECK_INT(pthread_create(&th, NULL, writer, &n), 0);
    while (s.n[TRACE_EV_READY] < n / 2)
        hob__rings_drain(seen_take, &s);
    CHECK_INT(pthread_join(th, NULL), 0);
    hob__rings_drain(seen_take, &s); /* what a thread that ended left behind */
    CHECK_INT(s.n[TRACE_EV_READY], n);
    CHECK_INT(s.n_gap, 0);
    CHECK_INT(strlen(s.name), TRACE_LANE_NAME_MAX - 1);
    hob__rings_attach(false);
}

TEST(a_reader_that_is_late_all_the_time_never_tears_an_event)
{
    static struct seen s;
    uint64_t n = 200000;
    bool ended = false;
    pthread_t th;

    hob__rings_limit(16, 2);
    hob__rings_attach(true);
    CHECK_INT(pthread_create(&th, NULL, writer, &n), 0);
    while (s.n[TRACE_EV_READY] < 100 && !ended) { /* the writer may be through before */
        hob__rings_drain(seen_take, &s);
        ended = pthread_tryjoin_np(th, NULL) == 0;
    }
    if (!ended)
        CHECK_INT(pthread_join(th, NULL), 0);
    hob__rings_drain(seen_take, &s);
    CHECK_INT(s.n[TRACE_EV_READY] + s.n[TRACE_EV_NAME] + s.n_gap + hob__rings_lost(),
              n + (n + 6) / 7);
    hob__rings_attach(false);
}

struct count {
    uint64_t n_events, n_blocks;
};

static void count_take(void *arg, const struct trace_lane_info *lane,
                       const struct trace_event *slots, uint32_t n_slots)
{
    struct count *c = arg;

    c->n_blocks++;
    for (uint32_t i = 0; i < n_slots; i += trace_event_slots(&slots[i]))
        c->n_events += slots[i].kind == TRACE_EV_READY;
}

TEST(many_threads_that_come_and_go_are_all_heard)
{
    struct count c = {0};
    uint64_t n = 500;

    hob__rings_attach(true);
    for (int round = 0; round < 10; round++) {
        pthread_t th[8];

        for (int i = 0; i < 8; i++)
            CHECK_INT(pthread_create(&th[i], NULL, writer, &n), 0);
        hob__rings_drain(count_take, &c);
        for (int i = 0; i < 8; i++)
            CHECK_INT(pthread_join(th[i], NULL), 0);
    }
    hob__rings_drain(count_take, &c);
    CHECK_INT(c.n_events, 80 * n);
    c.n_blocks = 0;
    hob__rings_drain(count_take, &c);
    CHECK_INT(c.n_blocks, 0);
    hob__rings_attach(false);
}

TEST(a_thread_that_ends_while_nobody_records_leaves_nothing)
{
    struct count c = {0};
    uint64_t n = 500;
    pthread_t th;

    CHECK_INT(pthread_create(&th, NULL, writer, &n), 0);
    CHECK_INT(pthread_join(th, NULL), 0);
    hob__rings_drain(count_take, &c);
    CHECK_INT(c.n_events, 0);
}

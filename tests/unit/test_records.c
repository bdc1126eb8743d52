/* SPDX-License-Identifier: MIT */
#include "diag/records.h"

#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>

#include "diag/wakers.h"
#include "lib/t.h"

enum { SIZE = 4096 };

/* A ring as the kernel writes it: records go in at head, across the end. */
struct written {
    unsigned char data[SIZE];
    uint64_t head;
};

struct trailer {
    uint32_t pid, tid;
    uint64_t time;
    uint32_t cpu, reserved;
};

static void put(struct written *w, const void *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        w->data[w->head++ % SIZE] = ((const unsigned char *)bytes)[i];
}

static void put_record(struct written *w, uint32_t type, uint16_t misc, const void *body, size_t n,
                       uint64_t time, uint32_t tid)
{
    struct perf_event_header h = {
        .type = type, .misc = misc, .size = (uint16_t)(sizeof h + n + sizeof(struct trailer))};
    struct trailer t = {.pid = 7, .tid = tid, .time = time, .cpu = 3};

    put(w, &h, sizeof h);
    put(w, body, n);
    put(w, &t, sizeof t);
}

static void put_switch(struct written *w, uint16_t misc, uint64_t time, uint32_t tid)
{
    put_record(w, PERF_RECORD_SWITCH, misc, NULL, 0, time, tid);
}

static struct ring ring_of(const struct written *w, uint64_t tail)
{
    return (struct ring){.data = w->data, .size = SIZE, .head = w->head, .tail = tail};
}

static struct switch_event next_of(struct ring *r)
{
    CHECK(ring_peek(r));
    struct switch_event e = r->next;
    ring_pop(r);
    return e;
}

TEST(records_say_who_when_and_what)
{
    struct written w = {0};
    const uint32_t fork_body[] = {20, 7, 21, 8, 500, 0}; /* pid, ppid, tid, ptid, time */
    const struct {
        uint32_t pid, tid;
        char name[16];
    } name = {7, 9, "worker"};
    const uint64_t lost[] = {1, 42};

    put_switch(&w, 0, 100, 8);
    put_switch(&w, PERF_RECORD_MISC_SWITCH_OUT, 200, 8);
    put_switch(&w, PERF_RECORD_MISC_SWITCH_OUT | PERF_RECORD_MISC_SWITCH_OUT_PREEMPT, 300, 8);
    put_record(&w, PERF_RECORD_FORK, 0, fork_body, sizeof fork_body, 500, 8);
    put_record(&w, PERF_RECORD_EXIT, 0, fork_body, sizeof fork_body, 500, 21);
    put_record(&w, PERF_RECORD_COMM, 0, &name, sizeof name, 600, 9);
    put_record(&w, PERF_RECORD_COMM, PERF_RECORD_MISC_COMM_EXEC, &name, sizeof name, 700, 9);
    put_record(&w, PERF_RECORD_THROTTLE, 0, lost, sizeof lost, 750, 9);
    put_record(&w, PERF_RECORD_LOST, 0, lost, sizeof lost, 800, 9);

    struct ring r = ring_of(&w, 0);
    struct switch_event e = next_of(&r);
    CHECK(e.what == SWITCH_IN && e.pid == 7 && e.tid == 8 && e.time == 100 && e.cpu == 3);
    CHECK_INT(next_of(&r).what, SWITCH_OUT);
    CHECK_INT(next_of(&r).what, SWITCH_PREEMPTED);
    e = next_of(&r);
    CHECK(e.what == SWITCH_FORK && e.pid == 20 && e.parent == 7 && e.tid == 21 && e.time == 500);
    CHECK_INT(next_of(&r).what, SWITCH_EXIT);
    e = next_of(&r);
    CHECK(e.what == SWITCH_NAME && e.pid == 7 && e.tid == 9);
    CHECK_STR(e.name, "worker");
    CHECK_INT(next_of(&r).what, SWITCH_EXEC);
    e = next_of(&r);
    CHECK(e.what == SWITCH_LOST && e.n_lost == 42);
    CHECK(!ring_peek(&r));
    CHECK_INT(r.tail, w.head);
    CHECK_INT(r.n_bad, 0);
}

TEST(a_record_may_lie_across_the_end_at_any_place)
{
    const struct {
        uint32_t pid, tid;
        char name[16];
    } name = {7, 9, "0123456789abcde"};

    for (uint64_t at = SIZE - 80; at <= SIZE; at += 8) {
        struct written w = {.head = at};

        put_record(&w, PERF_RECORD_COMM, 0, &name, sizeof name, 600, 9);
        put_switch(&w, 0, 700, 10);
        struct ring r = ring_of(&w, at);
        struct switch_event e = next_of(&r);
        CHECK_STR(e.name, "0123456789abcde");
        CHECK_INT(e.time, 600);
        CHECK_INT(next_of(&r).tid, 10);
        CHECK(!ring_peek(&r));
    }
}

static const struct wakers_format wakes = {.id = 375, .pid_at = 24, .flags_at = 2};

/* A sample of sched_waking as the kernel writes it: 36 bytes, and 4 so that it ends at a word. */
static void put_wake(struct written *w, uint64_t time, uint32_t waker, int32_t woken,
                     unsigned char flags, uint32_t raw_size)
{
    struct {
        struct trailer t;
        uint32_t size;
        unsigned char raw[40];
        uint32_t end;
    } body = {.t = {.pid = 7, .tid = waker, .time = time, .cpu = 3}, .size = raw_size};
    struct perf_event_header h = {.type = PERF_RECORD_SAMPLE, .size = sizeof h + 24 + 4 + 36 + 8};

    body.raw[2] = flags;
    memcpy(body.raw + 24, &woken, sizeof woken);
    put(w, &h, sizeof h);
    put(w, &body, h.size - sizeof h);
}

TEST(a_sample_says_who_woke_whom)
{
    struct written w = {0};

    put_wake(&w, 100, 8, 21, 0x01, 40);
    put_wake(&w, 200, 8, 22, 0x10, 40);
    put_switch(&w, 0, 300, 9);
    struct ring r = ring_of(&w, 0);
    r.wakes = &wakes;
    struct switch_event e = next_of(&r);
    CHECK(e.what == SWITCH_WAKE && e.pid == 7 && e.tid == 8 && e.time == 100 && e.cpu == 3);
    CHECK(e.woken == 21 && !e.interrupt);
    e = next_of(&r);
    CHECK(e.woken == 22 && e.interrupt);
    CHECK_INT(next_of(&r).tid, 9);
    CHECK(!ring_peek(&r));

    struct ring plain = ring_of(&w, 0); /* where none were asked for */
    CHECK_INT(next_of(&plain).what, SWITCH_IN);
}

TEST(a_sample_with_other_bytes_is_passed_over)
{
    static const uint32_t sizes[] = {0, 2, 27, 49, 4000, UINT32_MAX};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct written w = {0};

        put_wake(&w, 100, 8, 21, 0, sizes[i]);
        put_switch(&w, 0, 300, 9);
        struct ring r = ring_of(&w, 0);
        r.wakes = &wakes;
        CHECK_INT(next_of(&r).tid, 9);
        CHECK_INT(r.n_bad, 0);
    }
}

TEST(a_name_that_does_not_end_is_cut)
{
    struct written w = {0};
    const struct {
        uint32_t pid, tid;
        char name[32];
    } name = {7, 9, {"0123456789abcdefghijklmnopqrstuv"}};

    put_record(&w, PERF_RECORD_COMM, 0, &name, sizeof name, 600, 9);
    struct ring r = ring_of(&w, 0);
    CHECK_STR(next_of(&r).name, "0123456789abcde");
}

TEST(records_too_short_for_their_type_are_passed_over)
{
    struct written w = {0};
    struct perf_event_header bare = {.type = PERF_RECORD_SWITCH, .size = sizeof bare};

    put(&w, &bare, sizeof bare);
    put_record(&w, PERF_RECORD_FORK, 0, &bare, sizeof bare, 1, 1);
    put_record(&w, PERF_RECORD_LOST, 0, &bare, sizeof bare, 1, 1);
    put_record(&w, PERF_RECORD_COMM, 0, NULL, 0, 1, 1);
    put_switch(&w, 0, 9, 9);
    struct ring r = ring_of(&w, 0);
    CHECK_INT(next_of(&r).tid, 9);
    CHECK_INT(r.n_bad, 0);
}

TEST(what_cannot_be_a_record_ends_its_ring)
{
    static const uint16_t sizes[] = {0, 4, 12, 33, 4096, 65528};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct written w = {0};
        struct perf_event_header h = {.type = PERF_RECORD_SWITCH, .size = sizes[i]};

        put_switch(&w, 0, 5, 5);
        put(&w, &h, sizeof h);
        put_switch(&w, 0, 6, 6);
        struct ring r = ring_of(&w, 0);
        CHECK_INT(next_of(&r).tid, 5);
        CHECK(!ring_peek(&r));
        CHECK_INT(r.n_bad, 1);
        CHECK_INT(r.tail, w.head); /* what the kernel writes from here on is read again */
        put_switch(&w, 0, 7, 7);
        r.head = w.head;
        CHECK_INT(next_of(&r).tid, 7);
    }
}

TEST(a_head_that_cannot_be_is_not_followed)
{
    struct written w = {0};
    struct ring r = ring_of(&w, 0);

    r.head = SIZE + 8;
    CHECK(!ring_peek(&r));
    CHECK_INT(r.n_bad, 1);
    r.head += 4; /* less than a header */
    CHECK(!ring_peek(&r));
    CHECK_INT(r.n_bad, 2);
}

/* Whatever lies in a ring, reading it ends, and inside it (the sanitizer build looks). */
TEST(noise_is_survived)
{
    unsigned seed = 12345;

    for (int round = 0; round < 2000; round++) {
        unsigned char *data = malloc(SIZE);
        struct ring r = {.data = data, .size = SIZE, .tail = seed & ~7u & 0xfff8};
        struct switch_event e;
        size_t n = 0;

        for (size_t i = 0; i < SIZE; i++) {
            seed = seed * 1664525 + 1013904223;
            data[i] = (unsigned char)(i % 8 == 6 ? seed >> 27 << 3 : i % 8 == 7 ? 0 : seed >> 24);
        }
        r.head = r.tail + SIZE;
        r.wakes = &wakes;
        while (rings_next(&r, 1, UINT64_MAX, &e))
            n++;
        CHECK(n <= SIZE / 32);
        CHECK_INT(r.tail, r.head);
        free(data);
    }
}

TEST(rings_are_read_in_order_of_time)
{
    struct written a = {0}, b = {0}, c = {0};
    struct switch_event e;

    for (unsigned t = 0; t < 60; t++)
        put_switch(t % 7 % 2 ? &a : &b, 0, 1000 + t, t + 1);
    struct ring rings[] = {ring_of(&a, 0), ring_of(&b, 0), ring_of(&c, 0)};
    for (unsigned t = 0; t < 40; t++) {
        CHECK(rings_next(rings, 3, 1040, &e));
        CHECK_INT(e.time, 1000 + t);
    }
    CHECK(!rings_next(rings, 3, 1040, &e)); /* another CPU may yet write one of before */
    put_switch(&c, 0, 1020, 99);
    rings[2].head = c.head;
    CHECK(rings_next(rings, 3, 1040, &e));
    CHECK_INT(e.tid, 99);
    for (unsigned t = 40; t < 60; t++) {
        CHECK(rings_next(rings, 3, UINT64_MAX, &e));
        CHECK_INT(e.time, 1000 + t);
    }
    CHECK(!rings_next(rings, 3, UINT64_MAX, &e));
}

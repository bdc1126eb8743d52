/* SPDX-License-Identifier: MIT
 *
 * fuzz_trace.c - a recording of HOB_TRACE: whatever the bytes, each of its readers comes to an end
 */
#include <string.h>

#include "diag/from_trace.h"
#include "fuzz/fuzz.h"
#include "trace/record.h"

static int count(void *arg, const struct hob_trace_event *e)
{
    uint64_t *n = arg;

    FUZZ_CHECK(!e->name || strlen(e->name) <= TRACE_TEXT_MAX);
    FUZZ_CHECK(e->thread_name && strlen(e->thread_name) < TRACE_LANE_NAME_MAX);
    ++*n;
    return 0;
}

static void check(struct hob_trace *t)
{
    struct recording rec;
    uint64_t n = 0;

    for (size_t i = 0; i < t->n_events; i++) {
        FUZZ_CHECK(t->events[i].lane < t->n_lanes);
        FUZZ_CHECK(i == 0 || t->events[i - 1].at <= t->events[i].at);
    }
    for (size_t i = 0; i < t->n_texts; i++)
        FUZZ_CHECK(strlen(t->texts[i].text) <= TRACE_TEXT_MAX);
    (void)hob_trace_each(t, count, &n);
    FUZZ_CHECK(n <= hob_trace_events(t) + t->n_texts);
    (void)hob_trace_wall(t);
    rec_init(&rec);
    (void)rec_from_trace(t, &rec);
    rec_free(&rec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct hob_trace *t;

    if (hob__record_read(data, n, &t) < 0)
        return 0;
    check(t);
    hob_trace_free(t);
    return 0;
}

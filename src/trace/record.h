/* SPDX-License-Identifier: MIT
 *
 * record.h - a finished recording: its bytes, and what is read back from them
 *
 * The bytes are the same in a file and in memory: a header, then blocks, each the events of one
 * thread with what was known of the thread then.  The last block says when the recording was
 * stopped; without it (the program was killed) the recording ends with its last event.
 */
#ifndef HOB_TRACE_RECORD_H
#define HOB_TRACE_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include <hob/trace.h>

#include "trace/ring.h"

#define RECORD_MAGIC "hobtrc01"

struct record_head {
    char magic[8];
    uint32_t event_size; /* also tells a file of the other byte order */
    int32_t pid;
    int64_t start;
};

enum record_block_kind { RECORD_EVENTS = 1, RECORD_END = 2 };

/* n_slots events follow.  END: one, with `at` the time of the stop and `task` the events lost. */
struct record_block {
    uint32_t kind;
    uint32_t n_slots;
    struct trace_lane_info lane;
};

struct record_event {
    int64_t at;
    uint64_t task;
    uint32_t arg;
    uint16_t lane; /* index into lanes */
    uint8_t kind;
    uint8_t wait;
};

/* The text of a name, stage or mark event. */
struct record_text {
    uint64_t id; /* task, or stage */
    int64_t at;
    uint16_t lane;
    uint8_t kind; /* TRACE_EV_NAME, _STAGE or _MARK */
    char text[TRACE_TEXT_MAX + 1];
};

/* Threads beyond this many are left out, and count as lost. */
enum { RECORD_MAX_LANES = 4096 };

struct hob_trace {
    int64_t start, stop;
    int32_t pid;
    uint64_t n_lost;
    int64_t fold_ns;             /* of the loops' time, how much was told in sums ... */
    uint64_t n_folded;           /* ... and of how many runs */
    struct record_event *events; /* by time; of equal times, in the order of their thread */
    size_t n_events;
    struct trace_lane_info *lanes;
    size_t n_lanes;
    struct record_text *texts; /* by kind, then id */
    size_t n_texts;
};

/* hob_trace_start and _stop, but of a recording that the program does not know of: a start of its
 * own ends this one first, and its own stop finds none. */
int hob__trace_start_yielding(const struct hob_trace_opts *opts);
int hob__trace_stop_yielding(void);

/* The bytes stay the caller's.  -EBADMSG: not a recording.  -ENOMEM. */
int hob__record_read(const void *bytes, size_t n_bytes, struct hob_trace **ret);

/* The name of a task or stage; NULL when it has none. */
const char *hob__record_text(const struct hob_trace *t, enum trace_kind kind, uint64_t id);

#endif

/* SPDX-License-Identifier: MIT
 *
 * ring.h - what happened on this thread, for whoever records
 *
 * Each thread writes events of fixed size to a queue of its own; the sink (sink.h) is the one
 * reader.  Writing takes no lock and makes no system call, but for memory every few thousand
 * events.  ring.c says what happens when the reader is late.
 */
#ifndef HOB_TRACE_RING_H
#define HOB_TRACE_RING_H

#include <stdbool.h>
#include <stdint.h>

/* What a thread is for; a timeline sorts its lanes by this and colours what runs on them. */
enum trace_lane_kind {
    TRACE_LANE_LOOP,   /* a loop: runs fibers */
    TRACE_LANE_POOL,   /* a worker of the pool: runs jobs */
    TRACE_LANE_BLOCK,  /* blocking calls: what runs here waits for disk or network */
    TRACE_LANE_THREAD, /* any other thread that ran a task */
    TRACE_N_LANE_KINDS
};

enum trace_kind {
    TRACE_EV_BEGIN = 1, /* the task exists; arg: its stage's id or 0 */
    TRACE_EV_READY,
    TRACE_EV_RUN,
    TRACE_EV_PARK, /* wait: enum hob_wait */
    TRACE_EV_END,
    TRACE_EV_NAME,  /* text: the task's name */
    TRACE_EV_STAGE, /* arg: a stage's id; text: its name */
    TRACE_EV_MARK,  /* text: the program says something happened */
    TRACE_EV_GAP,   /* arg: events lost on this thread since the one before */
    TRACE_EV_FOLD,  /* runs until `at`, task: for how many ns, arg: how many, were told together */
    TRACE_N_KINDS
};

/* 24 bytes.  A text of `len` bytes lies in the slots after its event. */
struct trace_event {
    int64_t at;
    uint64_t task;
    uint32_t arg;
    uint8_t kind;
    uint8_t wait;
    uint16_t len;
};

enum {
    TRACE_TEXT_MAX = 3 * sizeof(struct trace_event), /* bytes of a text; the rest is cut off */
    TRACE_LANE_NAME_MAX = 28,
};

/* Slots of an event with its text. */
static inline unsigned trace_event_slots(const struct trace_event *e)
{
    return 1 + (e->len + sizeof(*e) - 1) / (unsigned)sizeof(*e);
}

/* To the calling thread's queue.  Call only while trace_recording(). */
void hob__trace_emit(enum trace_kind kind, int64_t at, uint64_t task, unsigned wait, uint32_t arg);
void hob__trace_emit_text(enum trace_kind kind, int64_t at, uint64_t task, uint32_t arg,
                          const char *text);

/* Says what the calling thread is for; at its start, recording or not.  The name is copied.
 * -ENOMEM leaves it unnamed. */
int hob__lane_name(enum trace_lane_kind kind, const char *name);

/*
 * The reader's side; one reader at a time.
 *
 * drain hands over what each thread wrote since the last call, oldest first for each, in runs of
 * whole events.  Threads that ended are handed over, then forgotten.  Holds the lock that a new
 * thread's first event needs: `take` copies and returns.
 */
struct trace_lane_info {
    uint32_t id; /* not 0; never used again */
    uint32_t kind;
    char name[TRACE_LANE_NAME_MAX]; /* "" when nobody named it */
    int32_t tid;                    /* the kernel's number of the thread; 0: not known */
};

typedef void (*trace_take)(void *arg, const struct trace_lane_info *lane,
                           const struct trace_event *slots, uint32_t n_slots);

void hob__rings_drain(trace_take take, void *arg);

/* While true, a thread that ends leaves its queue for the next drain. */
void hob__rings_attach(bool on);

/* Events lost and not yet told by a gap event; sets them back to none. */
uint64_t hob__rings_lost(void);

/* For tests: slots of one chunk, chunks of one thread; 0: the default.  Between recordings. */
void hob__rings_limit(uint32_t chunk_slots, uint32_t max_chunks);

#endif

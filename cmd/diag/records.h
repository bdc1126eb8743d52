/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_RECORDS_H
#define HOB_DIAG_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Records of perf_event_open, read from the rings the kernel writes
 * =================================================================
 *
 * One ring a CPU.  Only what a dummy event with context_switch, task and comm yields is
 * understood, sampled with PERF_SAMPLE_TID | TIME | CPU, and samples of the tracepoint of
 * wakers.h, which have its bytes (PERF_SAMPLE_RAW) behind these; other records are passed over.
 * What cannot be a record ends its ring until the kernel writes on: nothing behind it can be
 * trusted.
 */

struct wakers_format;

enum switch_what {
    SWITCH_IN,
    SWITCH_OUT,       /* it waits */
    SWITCH_PREEMPTED, /* off its core, and could go on */
    SWITCH_FORK,      /* tid is new, a thread of pid; parent: pid of who made it */
    SWITCH_EXIT,
    SWITCH_NAME,
    SWITCH_EXEC, /* a new program, and its name */
    SWITCH_WAKE, /* it ends the wait of `woken` */
    SWITCH_LOST
};

struct switch_event {
    uint64_t time;
    int32_t pid, tid, parent;
    uint32_t cpu;
    uint8_t what;
    bool interrupt; /* of a wake: not by the thread, by what interrupted it */
    int32_t woken;
    uint64_t n_lost;
    char name[16];
};

struct ring {
    const unsigned char *data;
    uint64_t size;                     /* a power of two */
    uint64_t head, tail;               /* head as of the last look at what the kernel wrote */
    uint64_t n_bad;                    /* times that a ring ended in what is no record */
    const struct wakers_format *wakes; /* NULL: samples are passed over */
    struct switch_event next;
    uint64_t next_end; /* where the record of next ends */
    bool has_next;
};

/** ring_peek - is there a record?  Then it is r->next, until ring_pop. */
bool ring_peek(struct ring *r);
void ring_pop(struct ring *r);

/**
 * rings_next - the oldest record of all rings
 * @until: records of this time and later stay where they are: another ring may yet get an older one
 *
 * Return: false: none.
 */
bool rings_next(struct ring *rings, size_t n, uint64_t until, struct switch_event *ret);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef HOB_TRACE_H
#define HOB_TRACE_H

#include <stdio.h>

#include <hob/base.h>

/*
 * Where the time went
 * ===================
 *
 * A task (a fiber, or a job of the pool) is at any moment in one of three
 * states: on CPU, ready but without a core, or waiting.  What it waits for
 * belongs to one of four classes.  From that follow
 *
 *   a recording   every change of state of every task: hob_trace_start
 *   a verdict     whether the work waits or computes, in words: hob_verdict
 *   a picture     recordings drawn on one scale of time: hob_timeline_svg
 *
 *     hob_trace *t;
 *     hob_trace_start(NULL);
 *     hob_run(NULL, crawl, &site);
 *     if (hob_trace_stop(&t) == 0) {
 *         struct hob_panel p = {.title = "50 at once", .trace = t};
 *         hob_timeline_svg(&p, 1, NULL, out);
 *         hob_trace_free(t);
 *     }
 */

HOB_BEGIN_DECLS

/** What a wait is for; the colours of a timeline and the words of a verdict go by it. */
enum hob_wait_class {
    HOB_CLASS_IO,   /* network, disk, or a call that blocks a thread of its own */
    HOB_CLASS_CPU,  /* somebody else's computing: a job on the pool, a turn on this loop */
    HOB_CLASS_SYNC, /* another task: a channel, a join, a lock, a full group */
    HOB_CLASS_TIME, /* the clock: sleep, a rate limit, politeness */
    HOB_N_CLASSES
};

/*
 * Recordings
 * ----------
 */

/** A finished recording; does not change any more, so any thread may read it. */
typedef struct hob_trace hob_trace;

struct hob_trace_opts {
    size_t size;        /* sizeof(struct hob_trace_opts); HOB_TRACE_OPTS fills it */
    const char *path;   /* a file, written as the program runs; NULL: in memory */
    uint64_t max_bytes; /* events beyond it are counted, not kept; 0: 512 MiB, 8 GiB in a file */
};

#define HOB_TRACE_OPTS(...)                                                                        \
    (&(struct hob_trace_opts){.size = sizeof(struct hob_trace_opts), __VA_ARGS__})

/**
 * hob_trace_start - record what every task does from now on
 * @opts: NULL for all defaults
 *
 * Tasks that began earlier are recorded only if they belong to a flow.  A recording costs each
 * switch of a task two clock reads and an event of 24 bytes.
 *
 * Return: 0, -EBUSY (one is on already), -E2BIG, -ENOMEM, or why the file cannot be written.
 */
HOB_API HOB_ANY_THREAD HOB_MUST_CHECK int hob_trace_start(const struct hob_trace_opts *opts);

/**
 * hob_trace_stop - end the recording
 * @ret: NULL, or the recording, owned by the caller.  One that went to a file is not read back:
 *       *ret is untouched, see hob_trace_load.
 *
 * The recording has ended also when this fails.
 *
 * Return: 0, -EINVAL (none is on), -ENOMEM, -EFBIG (max_bytes of a file reached; the file holds
 * what came before), or why the file could not be written.
 */
HOB_API HOB_ANY_THREAD int hob_trace_stop(hob_trace **ret);

/**
 * hob_trace_load - read a recording from a file, also one of a program that was killed
 *
 * Return: 0, -EBADMSG (not a recording, or of another machine), -ENOMEM, or open's error.
 */
HOB_API HOB_ANY_THREAD HOB_MUST_CHECK int hob_trace_load(const char *path, hob_trace **ret);

/** hob_trace_free - NULL is a no-op. */
HOB_API HOB_ANY_THREAD void hob_trace_free(hob_trace *t);

/** hob_trace_wall - from start to stop. */
HOB_API HOB_ANY_THREAD hob_dur hob_trace_wall(const hob_trace *t);

/** hob_trace_events - how many changes of state it holds. */
HOB_API HOB_ANY_THREAD uint64_t hob_trace_events(const hob_trace *t);

/** hob_trace_lost - how many it lost, because the sink was late or a limit was reached. */
HOB_API HOB_ANY_THREAD uint64_t hob_trace_lost(const hob_trace *t);

/** hob_trace_mark - "here began the second phase": a mark on the calling thread; copied. */
HOB_API HOB_ANY_THREAD void hob_trace_mark(const char *text);

HOB_END_DECLS
#endif

/* SPDX-License-Identifier: MIT */
#ifndef HOB_TRACE_H
#define HOB_TRACE_H

#include <stdbool.h>
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
 *   a verdict     whether the work waits or computes, in words: hob_verdict_of
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
 *
 * HOB_TRACE=FILE in the environment of any program that uses hob records its whole run; "%p" in
 * FILE is the process's number; with "-" before FILE nothing is said where that cannot be done, and
 * it ends at 128 MiB, for a tool that asks behind the program's back.  HOB_ADVISE=1 prints at exit,
 * to standard error, the verdict of the program and of each kind of task, and names fibers that
 * held their loop for 10 ms and more. HOB_TOP=1 lets `hob top` watch it while it runs.
 *
 * All three tell a loop's time switch by switch as long as that takes about a sixtieth of it, and
 * the first thousands of switches in any case.  Fibers that run for less than some microseconds at
 * a time would be slowed down by more: their runs are told in sums, "folded", for a millisecond or
 * two at a time.  A fiber's beginning and end and its longer waits are always told, and its sums
 * always make up its life; within a folded millisecond each fiber that ran has an equal part of it
 * as one run, and how long its longest run was is not known.  hob_trace_folded says how much that
 * is.
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
 * Tasks that began earlier are recorded only if they belong to a flow.  A recording costs a loop a
 * few per cent of its time, see above.
 *
 * Return: 0, -EBUSY (one is on already, or another process records into that file), -E2BIG,
 * -ENOMEM, or why the file cannot be written.
 */
HOB_API HOB_ANY_THREAD HOB_MUST_CHECK int hob_trace_start(const struct hob_trace_opts *opts);

/**
 * hob_trace_stop - end the recording
 * @ret: NULL, or the recording, owned by the caller.  One that went to a file is not read back:
 *       *ret is untouched, see hob_trace_load.
 *
 * The recording has ended also when this fails.  A child made by fork() records nothing.
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

/** hob_trace_began - when it was started, on hob_now()'s clock */
HOB_API HOB_ANY_THREAD hob_time hob_trace_began(const hob_trace *t);

/** hob_trace_pid - the number of the process that recorded; 0: not known */
HOB_API HOB_ANY_THREAD int32_t hob_trace_pid(const hob_trace *t);

/** hob_trace_events - how many changes of state it holds. */
HOB_API HOB_ANY_THREAD uint64_t hob_trace_events(const hob_trace *t);

/** hob_trace_lost - how many it lost, because the sink was late or a limit was reached. */
HOB_API HOB_ANY_THREAD uint64_t hob_trace_lost(const hob_trace *t);

/**
 * hob_trace_folded - how much of the loops' time is told in sums
 * @ret_runs: of how many runs; NULL: not asked
 *
 * Return: that time; 0: every run is there by itself.
 */
HOB_API HOB_ANY_THREAD hob_dur hob_trace_folded(const hob_trace *t, uint64_t *ret_runs);

/** What an event says of a task, or of the thread it happened on. */
enum hob_trace_what {
    HOB_TRACE_BEGIN, /* the task exists */
    HOB_TRACE_READY, /* it could run */
    HOB_TRACE_RUN,   /* it runs, on this thread, until the next event of it */
    HOB_TRACE_PARK,  /* it waits */
    HOB_TRACE_END,
    HOB_TRACE_MARK, /* hob_trace_mark */
    HOB_TRACE_GAP   /* events of this thread were lost before here */
};

/** What a thread is for. */
enum hob_trace_place {
    HOB_TRACE_ON_LOOP,
    HOB_TRACE_ON_POOL,
    HOB_TRACE_ON_BLOCK, /* calls that block: what runs there waits */
    HOB_TRACE_ON_THREAD
};

/** One event.  The library fills it, size too: an older one's ends earlier. */
struct hob_trace_event {
    size_t size;
    hob_dur at;    /* since the recording's start */
    uint64_t task; /* never used twice; 0: of a mark or a gap */
    enum hob_trace_what what;
    uint32_t thread; /* counted from 0 */
    enum hob_trace_place place;
    const char *thread_name;        /* "" when it has none */
    const char *name;               /* BEGIN: the task's, NULL when it has none; MARK: its text */
    const char *stage;              /* BEGIN: of the flow it belongs to, or NULL */
    const char *wait;               /* PARK: "RECV", as in HOB_WAIT_RECV */
    const char *wait_text;          /* PARK: "waiting for bytes from the network" */
    enum hob_wait_class wait_class; /* PARK */
    uint64_t n_lost;                /* GAP */
    int32_t thread_id;              /* the kernel's number of the thread; 0: not known */
};

/** Not 0: no more events. */
typedef int (*hob_trace_each_fn)(void *arg, const struct hob_trace_event *event);

/**
 * hob_trace_each - call `fn` for each event, in the order of time
 *
 * Texts live as long as the recording.  A task that began before the recording has no BEGIN.
 *
 * Return: 0, or what fn returned.
 */
HOB_API HOB_ANY_THREAD int hob_trace_each(const hob_trace *t, hob_trace_each_fn fn, void *arg);

/** hob_trace_mark - "here began the second phase": a mark on the calling thread; copied. */
HOB_API HOB_ANY_THREAD void hob_trace_mark(const char *text);

/*
 * Verdicts
 * --------
 */

/** What bounds the work. */
enum hob_bound {
    HOB_BOUND_IDLE,  /* nothing ran, or next to nothing */
    HOB_BOUND_IO,    /* it waits for network or disk */
    HOB_BOUND_CPU,   /* it computes, or stands in line for a core */
    HOB_BOUND_MIXED, /* both of them, and each is worth its own cure */
    HOB_BOUND_SLEEP, /* it waits for the clock */
    HOB_BOUND_LOCK   /* it waits for other tasks: a lock, a full stage, an empty one */
};

/** What would make it faster. */
enum hob_advice {
    HOB_ADVICE_NONE,
    HOB_ADVICE_CONCURRENCY, /* more tasks at once */
    HOB_ADVICE_PARALLELISM, /* more cores */
    HOB_ADVICE_BOTH,
    HOB_ADVICE_CONCURRENT, /* concurrency is in use already; more cores would not help */
    HOB_ADVICE_PARALLEL,   /* every core is busy already */
    HOB_ADVICE_FEWER_THREADS,
    HOB_ADVICE_ELSEWHERE, /* look at what it waits for */
    HOB_ADVICE_BATCHES,   /* its one thread is nearly always busy: more in each batch */
    HOB_ADVICE_LOCK       /* hold the lock for less, or split it */
};

/** hob_bound_word - "io", "cpu", "mixed", "sleep", "lock", "idle": as JSON has it */
HOB_API HOB_ANY_THREAD const char *hob_bound_word(enum hob_bound bound);

/**
 * hob_advice_word - "concurrency", "parallelism", "both", "batch", "lock", "fewer-threads",
 * "ok-concurrent", "ok-parallel", "elsewhere", "neither": as JSON has it
 */
HOB_API HOB_ANY_THREAD const char *hob_advice_word(enum hob_advice advice);

/** Sums over all tasks of a stage, or of a program. */
struct hob_usage {
    size_t size;                    /* sizeof(struct hob_usage); HOB_USAGE fills it */
    hob_dur wall;                   /* from the first task's start to the last one's end */
    hob_dur on_cpu;                 /* running */
    hob_dur ready;                  /* able to run, without a core */
    hob_dur waiting[HOB_N_CLASSES]; /* parked, by what for */
    hob_dur longest_turn;           /* on a loop, without giving way; 0: not on a loop */
    uint64_t items;                 /* pieces of work; 0: not known */
    uint32_t n_cores;               /* usable; 0: 1 */
    uint32_t width;                 /* tasks allowed at once; 0: no limit, or not known */
    uint32_t n_threads;             /* that compete for the cores; 0: not known */
};

#define HOB_USAGE(...) (&(struct hob_usage){.size = sizeof(struct hob_usage), __VA_ARGS__})

enum { HOB_VERDICT_WORDS = 640 };

struct hob_verdict {
    size_t size; /* sizeof(struct hob_verdict), set before the call */
    enum hob_bound bound;
    enum hob_advice advice;
    enum hob_bound also_bound; /* the second reading of a close call; else the same */
    enum hob_advice also_advice;
    double cpu;     /* share of a task's time: on CPU, ready, or waiting for the pool */
    double io;      /* ... network and disk */
    double sync;    /* ... other tasks */
    double sleep;   /* ... the clock */
    double at_once; /* tasks alive at once, mean over wall */
    double cores;   /* cores that computed, mean over wall */
    double margin;  /* how far the nearest threshold is that would change the reading; 0.1: 10 % */
    char words[HOB_VERDICT_WORDS]; /* one line, with the numbers that decided */
};

/**
 * hob_verdict_of - whether work waits or computes, and what would make it faster
 *
 * Within 10 % of a threshold both readings are given.  Negative times count as 0.
 *
 * Return: 0, -EINVAL (usage's or ret's size not set), -E2BIG.
 */
HOB_API HOB_ANY_THREAD int hob_verdict_of(const struct hob_usage *usage, struct hob_verdict *ret);

/** What a stage of a flow did. */
struct hob_stage_stats {
    size_t size; /* sizeof(struct hob_stage_stats), set before hob_flow_stats */
    const char *name;
    const char *kind; /* "io", "cpu", "lane": how it runs its items */
    uint32_t width;   /* items it may have at once */
    uint64_t items_in, items_out, items_failed, items_cancelled;
    hob_dur wall; /* from its first item's start to its last one's end */
    hob_dur flow; /* how long its flow has run, or ran; 0: not known */
    hob_dur on_cpu, ready, waiting[HOB_N_CLASSES];
    hob_dur longest_turn;
    double busy; /* items at once, mean over wall */
};

/**
 * hob_stage_verdict - hob_verdict_of for a stage on a machine of `n_cores`
 *
 * A stage that took under 1 % of its flow's time is told so and no more.  Of a lane it says how
 * busy the one thread was: neither tasks nor cores help it.
 *
 * Return: 0, -EINVAL (a size not set), -E2BIG.
 */
HOB_API HOB_ANY_THREAD int hob_stage_verdict(const struct hob_stage_stats *stage, uint32_t n_cores,
                                             struct hob_verdict *ret);

/*
 * Pictures
 * --------
 */

/** One recording in a picture. */
struct hob_panel {
    size_t size;       /* sizeof(struct hob_panel), of each; HOB_PANEL fills it */
    const char *title; /* "50 at once"; NULL: none */
    const char *note;  /* a line under it, such as a verdict's words; NULL: none */
    const hob_trace *trace;
};

/* An initializer. */
#define HOB_PANEL(...)                                                                             \
    {                                                                                              \
        .size = sizeof(struct hob_panel), __VA_ARGS__                                              \
    }

struct hob_timeline_opts {
    size_t size;        /* sizeof(struct hob_timeline_opts); HOB_TIMELINE_OPTS fills it */
    const char *title;  /* above all panels; NULL: none */
    uint32_t width;     /* pixels, 600..4000; 0: 1200 */
    uint32_t max_rows;  /* tasks of a stage drawn one above the other, at most 64; 0: 24 */
    uint32_t max_lanes; /* threads drawn; 0: 16 */
    uint32_t max_bytes; /* slices of time are made wider until the file is smaller; 0: 300,000 */
    bool no_rows;       /* threads only, no tasks */
};

#define HOB_TIMELINE_OPTS(...)                                                                     \
    (&(struct hob_timeline_opts){.size = sizeof(struct hob_timeline_opts), __VA_ARGS__})

/**
 * hob_timeline_svg - draw recordings one below the other, on one scale of time
 * @opts: NULL for all defaults
 * @out:  gets one self-contained SVG file; open_memstream(3) makes it a string
 *
 * Each panel shows its threads (what is on CPU when), its tasks by stage (what each waits for),
 * and how many there are at once.  A recording far shorter than the longest one also gets a bar
 * of its true length and is drawn magnified below it.  Light and dark; no scripts; the colours
 * are told apart by the colour-blind, and by the height of what they fill.
 *
 * Return: 0, -EINVAL (no panel, one without its size, or an option out of range), -E2BIG, -ENOMEM,
 * -EIO (out failed).
 */
HOB_API HOB_ANY_THREAD HOB_MUST_CHECK int hob_timeline_svg(const struct hob_panel *panels, size_t n,
                                                           const struct hob_timeline_opts *opts,
                                                           FILE *out);

HOB_END_DECLS
#endif

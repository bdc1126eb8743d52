/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_RULE_H
#define HOB_DIAG_RULE_H

#include <stdbool.h>

#include <hob/trace.h>

#include "diag/measure.h"

/*
 * From measures to a verdict: what bounds the program, what would help, and whether the model in
 * use is the wrong one
 * =============================================================================================
 *
 * Each test compares one figure with one threshold.  Which of them passed decides the reading, and
 * nothing else does: no name of a program, no language but for the word "interpreter's lock".
 */

/* The model in use does not fit the work.  X(NAME, word of JSON): "" means null there, because it
 * is the plain absence of a model and not a wrong one. */
#define MISMATCH_MAP(X)                                                                            \
    X(NONE, "")                                                                                    \
    X(POOL_IO, "pool-io")           /* processes wait for I/O, each for one operation */           \
    X(LOOP_BLOCKED, "loop-blocked") /* an event loop computes while events wait */                 \
    X(GIL, "gil")                   /* threads that compute share an interpreter's lock */         \
    X(LOCK, "lock")                 /* threads that compute share a lock */                        \
    X(OVERSUB, "oversub")           /* many more threads compute than there are cores */           \
    X(LANE, "lane")                 /* all wait in line for one blocking thread (T0) */            \
    X(CHANNEL, "channel")           /* both ends of a channel wait for each other (T0) */

#define MISMATCH_ENUM(name, word) MISMATCH_##name,
enum mismatch { MISMATCH_MAP(MISMATCH_ENUM) N_MISMATCHES };
#undef MISMATCH_ENUM

/* How it goes about its work; never wrong in itself. */
#define PATTERN_MAP(X)                                                                             \
    X(NONE, "")                                                                                    \
    X(ONE_BY_ONE, "one-by-one")               /* blocking calls, one after the other */            \
    X(SEQUENTIAL_AWAITS, "sequential-awaits") /* an event loop with one operation in flight */     \
    X(COMMIT_PER_ROW, "commit-per-row")       /* each small write waits until it is safe */        \
    X(NO_LOAD, "no-load")                     /* a server nobody calls */

#define PATTERN_ENUM(name, word) PATTERN_##name,
enum pattern { PATTERN_MAP(PATTERN_ENUM) N_PATTERNS };
#undef PATTERN_ENUM

/* X(NAME, threshold, what is compared) */
#define RULE_TEST_MAP(X)                                                                           \
    X(UNREAD, .50, "part of the time that could not be read")                                      \
    X(SLEEP, .50, "sleep share")                                                                   \
    X(SLEEP_IO, .30, "I/O share")                                                                  \
    X(FSYNC, .50, "part of the I/O that is disk sync")                                             \
    X(FSYNC_IO, .35, "I/O share with the kernel's part of the CPU share")                          \
    X(FSYNC_FLIGHT, 2.0, "in flight")                                                              \
    X(MIX_CPU, .25, "CPU share without the kernel's part")                                         \
    X(MIX_IO, .25, "I/O share")                                                                    \
    X(BEHIND, .50, "part of the computing with operations in flight")                              \
    X(DEMAND, .70, "part of the cores in use")                                                     \
    X(IO, .50, "I/O share with the kernel's part of the CPU share")                                \
    X(CPU, .70, "CPU share")                                                                       \
    X(FLIGHT, 4.0, "in flight")                                                                    \
    X(POOL_EACH, 1.5, "in flight in each process")                                                 \
    X(LOOP_SHARE, .30, "part of the CPU time in which events waited")                              \
    X(LOOP_STRETCH, .05, "longest time in which events waited, s")                                 \
    X(LOOP_SLEPT, .30, "part of the time in which a loop stood in a call while others waited")     \
    X(EVEN, 1.5, "threads that share the work evenly")                                             \
    X(OVERLAP, .25, "part of the work with two of them at once, for each one that waits")          \
    X(CONTENDED, .50, "threads waiting for a lock meanwhile")                                      \
    X(TURN, .20, "length of a turn, s")                                                            \
    X(HOLD_EVEN, 1.5, "threads that share the waiting evenly")                                     \
    X(HOLD_OVERLAP, .25, "part of the waiting with two of them at once")                           \
    X(HOLD_LINE, .50, "threads waiting for a lock while another waits for an answer")              \
    X(HOLD_BROUGHT, .50, "part of their turns that another thread began")                          \
    X(PRESS, 3.0, "threads that want each core")                                                   \
    X(CORES, .80, "part of the cores in use while it runs")                                        \
    X(LINE, .25, "threads in line for each one on a core")                                         \
    X(HELD, .25, "part of the time in which a fiber holds its loop")                               \
    X(BLOCKED, .25, "part of the time in which a fiber makes its loop's thread wait")              \
    X(JOB_WAITS, .50, "part of the jobs' time in which they wait")                                 \
    X(JOB_LOCKS, .50, "part of the jobs' time in which they wait for each other")                  \
    X(JOB_THREADS, .25, "threads of the pool that jobs make wait")                                 \
    X(LANE, .80, "part of the time with a call on a lane")                                         \
    X(LANE_LINE, 2.0, "calls on a lane and in line for it")                                        \
    X(FIBER_LOCK, .50, "part of the time in which a fiber waits for a mutex")                      \
    X(FIBER_LINE, 1.5, "fibers in line for a mutex meanwhile")                                     \
    X(CHAN_SEND, .25, "part of the time in which senders wait for a channel")                      \
    X(CHAN_RECV, .25, "part of the time in which receivers wait for a channel")                    \
    X(CHAN_LEAST, .25, "part of its life that the busiest end of a channel waits for it")

#define RULE_TEST_ENUM(name, threshold, text) RULE_##name,
enum rule_test { RULE_TEST_MAP(RULE_TEST_ENUM) N_RULE_TESTS };
#undef RULE_TEST_ENUM

struct reading {
    enum hob_bound bound;
    enum hob_advice advice;
    enum mismatch mismatch;
    enum pattern pattern;
    bool unread;  /* there is none: most of the time could not be read, or there was nothing to */
    bool by_size; /* no threshold decided, but that its share is the largest */
};

enum { RULE_WHY = 6 };

struct ruling {
    struct reading is;
    struct reading also;          /* the other reading of a close call; else the same */
    bool close;                   /* within 10 % of a threshold that would change the reading */
    double margin;                /* to the nearest of them; 0.1: 10 %; INFINITY: none would */
    enum rule_test nearest;       /* N_RULE_TESTS: two shares of about the same size, or none */
    enum rule_test why[RULE_WHY]; /* what it hung on, the most telling first */
    size_t n_why;
    enum rule_test asked[N_RULE_TESTS]; /* in the order of the rule */
    size_t n_asked;
    double value[N_RULE_TESTS]; /* what each test compares */
    double limit[N_RULE_TESTS];
};

/** rule_of - the verdict; `limits` NULL: the thresholds above */
void rule_of(const struct measures *m, const double *limits, struct ruling *ret);

/** rule_loop_stands - of a blocked loop: it waits in some call, instead of computing too long */
bool rule_loop_stands(const struct measures *m, const struct ruling *r);

/** rule_threshold - that of a test; rule_text: what it compares */
double rule_threshold(enum rule_test t);
const char *rule_text(enum rule_test t);

/** reading_bound_word, reading_advice_word - as in JSON: "unknown" and NULL where nothing was read
 */
const char *reading_bound_word(const struct reading *r);
const char *reading_advice_word(const struct reading *r);

/** mismatch_word, pattern_word - as in JSON; NULL for none */
const char *mismatch_word(enum mismatch m);
const char *pattern_word(enum pattern p);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_VERIFY_H
#define HOB_DIAG_VERIFY_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include <hob/base.h>

#include "diag/report.h"
#include "diag/usl.h"
#include "diag/verify_files.h"
#include "diag/verify_knob.h"

/*
 * Measured beside predicted: the command again, under other settings of its knobs
 * ==============================================================================
 *
 * Runs are unrecorded and one at a time, their output is discarded.  Whatever else the command does
 * it does again.
 */

enum { VERIFY_LEVELS = 6, VERIFY_KNOBS = 4, VERIFY_SAMPLES = 64, VERIFY_RUNS = 8 };

enum verify_state {
    SAMPLE_CLEAN,
    SAMPLE_LOADED, /* other programs had a part of the cores */
    SAMPLE_PAUSED, /* it was stopped and continued meanwhile */
    SAMPLE_FAILED, /* it ended otherwise than the first run */
};

struct verify_sample {
    double seconds;
    double foreign; /* cores that others kept busy */
    int status;     /* as of waitpid */
    enum verify_state state;
};

/* Of one run, predicted from the first one; all 0: no prediction. */
struct verify_time {
    double low, value, high; /* s */
    double best, worst;      /* s, the two models between which `value` lies */
};

struct verify_row {
    uint32_t level;
    struct verify_time predicted;
    struct verify_sample sample[VERIFY_SAMPLES];
    size_t n;
    double seconds, least, most; /* of the clean runs: median and ends; 0: none is */
    double fit;                  /* s by the law; 0: there is none */
};

/* How a knob's times agree with the verdict. */
#define VERIFY_WORD_MAP(X)                                                                         \
    X(UNTRIED, "untried") /* it does not set what the verdict speaks of */                         \
    X(CONFIRMED, "confirmed")                                                                      \
    X(CONTRADICTED, "contradicted")

#define VERIFY_WORD_ENUM(name, word) VERIFY_##name,
enum verify_word { VERIFY_WORD_MAP(VERIFY_WORD_ENUM) };
#undef VERIFY_WORD_ENUM

struct verify_knob {
    struct knob knob;
    struct verify_row row[VERIFY_LEVELS]; /* by level */
    size_t n;
    bool has_law;
    struct usl law;
    /* judged, when two levels or more have a time */
    bool judged;
    size_t low, top; /* rows: the lowest level, and the fastest above it (or the highest) */
    double gain;     /* measured: so many times as fast at `top` as at `low` */
    struct verify_time gains; /* predicted: low, value, high; all 0: no prediction */
    enum verify_word word;
};

struct verify {
    char *refused; /* why nothing was run; NULL: it was */
    bool interrupted;
    int by; /* the signal */
    unsigned n_runs;
    double seconds; /* all of them together */
    struct verify_knob knob[VERIFY_KNOBS];
    size_t n_knobs;
};

/* Standard input of a run that is made again. */
struct verify_input {
    bool rewind, null;
    off_t at;
};

struct verify_opts {
    char *const *argv;
    const char *const *knobs; /* as knob_named; n_knobs 0: those that are found */
    size_t n_knobs;
    int64_t runs;          /* at most; 0: VERIFY_RUNS */
    void (*pipe_was)(int); /* SIGPIPE's disposition when hob was started */
    struct verify_input input;
    FILE *tell; /* what is going to be run, and on a terminal where it is */
};

/**
 * verify_input - what standard input would be the next time; asked before the first run
 *
 * Return: 0; -ESPIPE, and err says it: what it gave cannot be had again.
 */
HOB_MUST_CHECK int verify_input(struct verify_input *ret, struct buf *err);

/** verify_check - can these knobs be found at all?  Asked before the first run; 0, or -EINVAL and
 * err says which not */
HOB_MUST_CHECK int verify_check(const struct verify_opts *o, struct buf *err);

/**
 * verify - run it again and measure
 * @d:   of the first run
 * @ret: for verify_free, also when it says that nothing was run
 *
 * SIGINT and the like end it behind the run that is under way; a second one ends that run too.
 *
 * Return: 0, -EINVAL (a knob that does not exist; err says which), -ENOMEM.
 */
HOB_MUST_CHECK int verify(const struct verify_opts *o, const struct diagnosis *d,
                          const struct files *files, struct verify *ret, struct buf *err);
void verify_free(struct verify *v);

/** verify_report - for people; verify_json - the key "verify" with its value; predicted: the
 * prediction was not refused */
void verify_report(const struct verify *v, const struct diagnosis *d, const struct report_how *how,
                   FILE *to);
void verify_json(const struct verify *v, bool predicted, struct buf *b);

const char *verify_word(enum verify_word w);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_LIVE_WINDOW_H
#define HOB_DIAG_LIVE_WINDOW_H

#include "diag/rec.h"
#include "diag/source.h"

/*
 * A part of a recording that grows, as a recording of its own
 * ===========================================================
 *
 * Everything that measures, rules and draws takes a whole recording.  So the last seconds of one
 * are copied: their intervals, the threads and processes that have any, their peers, the looks.
 * The copy is taken once, or brought up to date again and again: then only what is new is added,
 * and the copy folds by itself when it has grown too large (rec_add).
 */
struct live_window {
    struct recording rec;
    int64_t since; /* of the recording; the copy's time 0 */
    int64_t run;   /* ns on CPU in it, all threads */
    const struct recording *from;
    struct live_map {
        uint32_t *to; /* index in the copy + 1; 0: not there */
        size_t cap;
    } procs, threads, peers;
    size_t n_looks;  /* of the recording's that were copied or are too old */
    size_t n_counts; /* the same */
};

/** live_window_init - empty; most: intervals, beyond which it folds */
void live_window_init(struct live_window *w, const struct recording *from, int64_t since,
                      size_t most);
void live_window_free(struct live_window *w);

/**
 * live_window_take - what has been recorded since, up to `now`
 * @source: asked for what goes on; NULL: nothing is
 *
 * A failed allocation is w->rec.failed.
 */
void live_window_take(struct live_window *w, const struct rec_source *source, void *state,
                      int64_t now);

/** live_window_since - the earliest time from which there are at most so many intervals: `since`,
 * or one that halves what lies between it and now until it is so */
int64_t live_window_since(const struct recording *from, int64_t since, int64_t now, size_t most);

#endif

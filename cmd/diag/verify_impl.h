/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_VERIFY_IMPL_H
#define HOB_DIAG_VERIFY_IMPL_H

#include <sched.h>
#include <signal.h>

#include "diag/verify.h"

/*
 * The parts of verify.c
 */

/* --- verify_predict.c --- */

/** verify_predict - the time at that level, from the first run */
void verify_predict(const struct measures *m, const struct ruling *r, const struct knob *k,
                    uint32_t level, struct verify_time *ret);

/* --- verify_plan.c --- */

/** verify_levels - the levels worth a run, the most telling first, the one as given foremost */
size_t verify_levels(const struct knob *k, uint32_t n_cores, double in_flight,
                     uint32_t ret[VERIFY_LEVELS]);

/* A run to be made. */
struct verify_point {
    uint8_t knob, row;
    double expected; /* s */
};

enum { VERIFY_POINTS = VERIFY_KNOBS * VERIFY_LEVELS };

/**
 * verify_plan - fills the rows of each knob; the first point is the command as given, and stands
 * for every row of that kind
 * @budget: s for all runs together
 *
 * Levels whose run would not fit into the budget or into `runs` get no row.
 */
size_t verify_plan(struct verify *v, const struct diagnosis *d, unsigned runs, double budget,
                   struct verify_point ret[VERIFY_POINTS]);

/* --- verify_run.c --- */

struct verify_session {
    const struct verify_opts *opts;
    const struct diagnosis *d;
    sigset_t mask_was;
    struct sigaction child_was;
    int signals;       /* that asked for the end, so far */
    int by;            /* the first of them */
    bool paused;       /* SIGCONT came */
    off_t input_after; /* where the first run left standard input */
};

void verify_begin(struct verify_session *s);
void verify_end(struct verify_session *s);

/** verify_asked_to_end - a signal came; looked at between runs */
bool verify_asked_to_end(struct verify_session *s);

/** verify_once - one run, to its end; 0 or a negative errno: it could not be made */
HOB_MUST_CHECK int verify_once(struct verify_session *s, const struct knob *k, uint32_t level,
                               struct verify_sample *ret);

/** verify_cores - the first n of the CPUs that may be used, cores of their own before a core's
 * second thread; first: such a CPU's number, or NULL: asked of /sys.  0 or a negative errno */
HOB_MUST_CHECK int verify_cores(uint32_t n, int (*first)(int cpu), cpu_set_t *ret, size_t size);

/* --- verify_judge.c --- */

/** verify_judge - medians, the law, gains and the word of each knob */
void verify_judge(struct verify *v, const struct diagnosis *d);

#endif

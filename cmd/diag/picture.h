/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_PICTURE_H
#define HOB_DIAG_PICTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "diag/rec.h"

/*
 * A recording, ready to be drawn
 * ==============================
 *
 * Lanes: first the cores (which thread ran where), then the threads, or the tasks of a program
 * that uses hob, that count most.  Each lane is summed up per slice of time ("cells", for a
 * terminal, where a slice is a character) and cut into parts (for a page, where what is as long
 * as a slice keeps its exact times).  So a picture's size depends on its cells and lanes and not
 * on the recording.
 */

/* What a mark looks like: each has its colour, its height and its sign. */
enum picture_look {
    LOOK_CPU,
    LOOK_READY,
    LOOK_DISK,
    LOOK_NET,
    LOOK_PIPE, /* another local process */
    LOOK_LOCK,
    LOOK_SLEEP,
    LOOK_CHILD,
    LOOK_OTHER, /* a wait nobody could read */
    LOOK_IDLE,
    N_LOOKS
};

/** picture_look_words - "on CPU", "network", ...; short enough for a legend */
const char *picture_look_words(enum picture_look look);

/** picture_look_of - how a wait of this kind looks */
enum picture_look picture_look_of(enum rec_kind kind);

/* One mark of a lane. */
struct picture_part {
    int64_t from, to;   /* as in the recording */
    uint32_t who;       /* thread on a core; else the peer of its longest wait */
    uint32_t n;         /* intervals; of more than one the rest are means */
    float share[2];     /* on CPU, and without a core */
    uint8_t look, kind; /* kind: of its longest wait; REC_NO_KIND when it did not wait */
    bool guessed;
};

enum picture_lane_type { LANE_CORE, LANE_THREAD, LANE_TASK };
enum { PICTURE_NAME = 64 };

struct picture_lane {
    enum picture_lane_type type;
    uint32_t index;          /* core, or thread of the recording */
    char name[PICTURE_NAME]; /* as the program gave it: escape it */
    int64_t sum[N_LOOKS];    /* ns, exact, in the picture's range */
    float *cell;             /* [n_cells][N_LOOKS]: share of the slice */
    uint32_t *who;           /* [n_cells], of a core: the thread that had most of it */
    struct picture_part *parts;
    size_t n_parts;
};

struct picture {
    const struct recording *rec; /* outlives the picture */
    int64_t from, to;
    uint32_t n_cells;
    struct picture_lane *lanes; /* cores, threads, tasks */
    size_t n_lanes;
    uint32_t more_cores, more_threads, more_tasks; /* that have no lane */
    float *in_flight, *cores;                      /* [n_cells]: mean operations, cores busy */
    double in_flight_mean, in_flight_max, cores_mean, cores_max;
    bool used[N_LOOKS];
};

struct picture_how {
    uint32_t n_cells;   /* 0: 1000 */
    uint32_t max_cores; /* lanes; 0: 16 */
    uint32_t max_lanes; /* threads and tasks; 0: 24 */
    int64_t from, to;   /* to 0: the whole recording */
};

/** picture_make - 0 or -ENOMEM; `how` NULL: all defaults */
int picture_make(const struct recording *rec, const struct picture_how *how, struct picture *ret);
void picture_free(struct picture *p);

/** picture_name - what a thread is called: a main thread by its program, others as they say */
const char *picture_name(const struct recording *rec, uint32_t thread);

/** picture_cores - how high the curve of busy cores can be: those there are, if that is known */
double picture_cores(const struct picture *p);

/** picture_cell_look - what a cell shows: N_LOOKS is nothing.  A little computing outweighs much
 * waiting, so that no burst is lost where slices are wide. */
int picture_cell_look(const struct picture_lane *lane, uint32_t cell);

/** picture_lane_most - what the lane did most of the time; N_LOOKS: nothing */
int picture_lane_most(const struct picture_lane *lane);

/* A thread's time on a core. */
struct picture_turn {
    int64_t from, to;
    uint32_t thread;
    float share; /* of a folded interval: part of the time */
    uint16_t core;
    bool many;
};

/** picture_turns - of all cores, by core and time, without overlaps; free() it.  -ENOMEM */
int picture_turns(const struct recording *rec, struct picture_turn **ret, size_t *ret_n);

/* picture_lane.c's for picture.c. */

/* A stretch of a lane; share sums up to 1, or less on a core that a folded interval shares. */
struct picture_stretch {
    int64_t from, to;
    uint32_t who;
    uint8_t kind;
    bool guessed, many;
    float share[N_LOOKS];
};

void picture_stretch_of(const struct rec_ival *iv, struct picture_stretch *ret);

/** picture_in_flight - what a thread has in flight during its next interval; *set is 0 before its
 * first one, and the picture's own afterwards */
double picture_in_flight(const struct rec_ival *iv, double *set);

/** picture_lane_fill - cells, parts and sums from stretches in the order of time; -ENOMEM */
int picture_lane_fill(const struct picture *p, struct picture_lane *lane,
                      const struct picture_stretch *s, size_t n);

/** picture_spread - add `weight` times the share of each cell that [from, to) covers */
void picture_spread(const struct picture *p, float *cells, size_t stride, int64_t from, int64_t to,
                    double weight);

#endif

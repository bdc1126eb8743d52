/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_TREE_H
#define HOB_DIAG_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "diag/rec.h"
#include "diag/track.h"

/*
 * The processes and threads of a tree, found in /proc
 */
enum { TREE_MISSED = 16 };

struct tree_proc {
    int32_t pid, parent;
    uint32_t row;     /* in the recording's procs */
    uint32_t n_tasks; /* threads that live */
    uint32_t n_links; /* of its folder of threads, less those found to have ended since */
    bool used;
    int64_t name_at, name_step;   /* when its name is read again: it may exec */
    int64_t counted;              /* CPU added for threads and processes that have ended */
    int64_t live;                 /* CPU added for those that live, as of then */
    int64_t missed_at;            /* when its time as a whole was last compared */
    uint32_t missed[TREE_MISSED]; /* rows that stand for what was too short to see */
    uint32_t n_missed;
    bool compared; /* with the sums of the kernel, once */
    int64_t was;   /* its CPU before the recording began */
};

struct tree_task {
    int32_t tid;
    uint32_t proc;   /* index */
    bool seen;       /* has a first sample */
    uint8_t names;   /* times its name was read */
    int sched_fd;    /* -1: opened each time */
    int64_t loop_at; /* next question about its loop */
    int64_t stand_at;
    bool keeps;   /* others waiting, when it was asked last */
    int64_t woke; /* when it last ran after a wait */
    struct track track;
};

struct tree {
    struct recording *rec;
    int32_t root, self; /* self: the recorder, to which orphans come */
    bool attached;
    struct tree_proc *procs;
    size_t n_procs;
    struct tree_task *tasks; /* packed */
    int64_t *due;            /* the next sample of each: apart, since each tick goes through all */
    size_t n_tasks, cap_tasks;
    uint64_t *known;  /* a bit for each tid */
    int32_t last_pid; /* given out by the kernel, as of the last scan */
    bool whole;       /* look through the whole tree next time, */
    int64_t walk_at;  /* but not before */
    size_t n_open;    /* descriptors kept */
};

/** tree_open - with what is there now. */
int tree_open(struct tree *t, struct recording *rec, int32_t root, bool attached, int64_t now);
void tree_free(struct tree *t);

/** tree_scan - add what is new; cheap when nothing on the machine was started. */
void tree_scan(struct tree *t, int64_t now);

/** tree_remove - a task has ended; the last task takes its place. */
void tree_remove(struct tree *t, size_t task, int64_t now);

/** tree_names - read the names of processes that may have changed. */
void tree_names(struct tree *t, int64_t now);

/** tree_task_name - that of a thread, at its first sample and once more when it has settled. */
void tree_task_name(struct tree *t, struct tree_task *k, int64_t now);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_FROM_TRACE_IMPL_H
#define HOB_DIAG_FROM_TRACE_IMPL_H

#include "diag/from_trace.h"

/*
 * Within: a trace being converted, for from_trace.c, trace_rows.c, join_trace.c and own_turns.c
 */

/* A task's time on a thread, from one switch to the next. */
struct trace_turn {
    int64_t from, to;
    uint32_t name; /* index into names */
    bool others;   /* of its loop could run, or waited for I/O or the clock */
};

/* A thread of hob's. */
struct trace_runner {
    uint32_t thread; /* of the recording */
    enum hob_trace_place place;
    bool known;    /* has events */
    bool outside;  /* was seen from outside as well */
    uint64_t task; /* now on it; 0: none */
    uint32_t name; /* of that task */
    int64_t since;
    uint32_t n_others;
    struct trace_turn *turns;
    size_t n_turns, cap_turns;
};

/* What the tasks of one name did, ns. */
struct trace_name {
    char *text;
    bool stage;
    int64_t life, io, run, chan;
};

enum { NO_ROW = UINT32_MAX };

/* Waits that are counted while they are on. */
enum trace_gauge_of { GAUGE_NONE, GAUGE_SEND, GAUGE_RECV, GAUGE_LANE, GAUGE_LOCK, N_GAUGES };

struct trace_gauge {
    uint32_t n;
    int64_t since, any, sum; /* any: ns with one or more */
};

struct trace_task {
    uint64_t id; /* 0: the place is free */
    int64_t since;
    uint32_t group, row;
    struct rec_ival now; /* state, kind, peer */
    bool known;          /* in a state */
    bool awaits;         /* counted among its loop's n_others */
    uint8_t gauge;       /* enum trace_gauge_of */
    uint32_t home;       /* the thread that ran it last */
};

/* The tasks of a stage, or of a name. */
struct trace_group {
    uint32_t *thread; /* [n_rows] of the recording */
    bool *used;
    uint32_t n_rows, cap, lowest; /* below lowest all are used */
};

struct trace_convert {
    struct recording *rec;
    struct trace_task *tasks; /* hash table, open addressing */
    size_t n_tasks, cap;
    struct trace_group *groups;
    struct trace_name *names; /* of the groups */
    size_t n_groups;
    struct trace_runner *runners; /* by the trace's number of the thread */
    size_t n_runners;
    struct trace_gauge gauge[N_GAUGES];
    uint32_t n_marks;
    int32_t pid, next_tid; /* rows have negative ones */
    bool joins;            /* with what was seen from outside */
    int64_t after;         /* joined: when the trace began, in the recording's time */
};

/** trace_task_get - its record, made when new; NULL: no memory */
struct trace_task *trace_task_get(struct trace_convert *c, uint64_t id);

/** trace_task_begin - the lowest free row of its name, unless it has one; 0 or -ENOMEM */
int trace_task_begin(struct trace_convert *c, struct trace_task *t,
                     const struct hob_trace_event *e);

/** trace_task_end - its row is free for another */
void trace_task_end(struct trace_convert *c, struct trace_task *t);

/** trace_convert_all - all events; what still goes on then goes on until `end`; 0 or -ENOMEM */
int trace_convert_all(struct trace_convert *c, const hob_trace *trace, int64_t end);
void trace_convert_free(struct trace_convert *c);

/** own_turns_apply - the threads' rows by what ran on them, and rec->own's part of that */
void own_turns_apply(struct recording *rec, const struct trace_runner *runners, size_t n,
                     const struct trace_name *names, int64_t until, struct rec_own *ret);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_EDGES_H
#define HOB_DIAG_EDGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "diag/rec.h"

/*
 * The beginnings and ends of all intervals of a recording, in the order of time
 * =============================================================================
 *
 *     struct edges e;
 *     struct edge at;
 *     if (edges_open(&e, r, EDGES_ALL) < 0)
 *         return -ENOMEM;
 *     while (edges_next(&e, &at))
 *         ...
 *     edges_close(&e);
 *
 * At equal times a thread's end comes before its next beginning.
 */
struct edge {
    int64_t at;
    uint32_t thread;
    const struct rec_ival *ival;
    bool opens;
};

struct edges_cursor {
    int64_t at;
    uint32_t thread;
    size_t next; /* twice the interval's index, plus 1 for its end */
};

struct edges {
    const struct recording *rec;
    struct edges_cursor *heap; /* the earliest first */
    size_t n;
};

#define EDGES_ALL UINT32_MAX

/** edges_open - of the threads of one process, or EDGES_ALL; 0 or -ENOMEM */
HOB_MUST_CHECK int edges_open(struct edges *e, const struct recording *r, uint32_t proc);
bool edges_next(struct edges *e, struct edge *ret);
void edges_close(struct edges *e);

#endif

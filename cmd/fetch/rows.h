/* SPDX-License-Identifier: MIT */
#ifndef HOB_CMD_FETCH_ROWS_H
#define HOB_CMD_FETCH_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include <hob/hob.h>

#include "lib/buf.h"

/*
 * Where rows go: whole, in the order they end
 * ===========================================
 *
 * Used by the fibers of one loop.  A row that rows_put has taken is written even if the fiber is
 * cancelled meanwhile.  A reader who is slow makes the fibers wait: at most ROWS_PENDING bytes
 * and a row of each are kept for him.
 */
enum { ROWS_PENDING = 256 * 1024 };

struct rows {
    int fd;
    const char *name;   /* for messages: the path, or "standard output" */
    bool regular;       /* a file on a disk */
    bool writing;       /* a fiber is at it, and will write what others add meanwhile */
    struct buf pending; /* whole rows */
    hob_chan *room;     /* where fibers wait for the writing one */
    unsigned n_waiting;
    int error; /* the first one; nothing is written after it */
};

/** rows_open - make or empty the file at `path`, "-" for standard output; 0 or a negative errno. */
int rows_open(const char *path, struct rows *ret);
void rows_close(struct rows *w);

/** rows_put - write a row; 0, or negative: it and those after it are not written. */
int rows_put(struct rows *w, const struct buf *row);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef HOB_CMD_LINES_H
#define HOB_CMD_LINES_H

#include <stddef.h>

#include "lib/buf.h"

/*
 * Lines of a file, a pipe or a terminal, read by a fiber as they come
 * ===================================================================
 *
 * Only what has been read and not yet given out is in memory, so a list may be of any length and
 * may still be being written.
 */
struct lines {
    int fd;
    const char *name; /* for messages: the path, or "standard input" */
    size_t number;    /* of the line given last, from 1 */
    struct buf in;
    size_t at; /* the first byte of `in` not given out */
    bool ended;
    bool skipping; /* the rest of a line that was too long */
};

enum { LINES_LONGEST = 16384 };

/** lines_open - open `path`, "-" for standard input; 0 or a negative errno. */
int lines_open(const char *path, struct lines *ret);
void lines_close(struct lines *l);

/**
 * lines_next - the next line that says something
 * @ret: the line without white space around it, a C string in `l` until the next call
 *
 * Empty lines and those that begin with '#' are passed over, but counted.
 *
 * Return: 1; 0 at the end; -ECANCELED; -EMSGSIZE (longer than LINES_LONGEST: *ret is its
 * beginning, and the next call goes on behind it); -EINVAL (a NUL in it: *ret is what is before);
 * -ENOMEM; what reading came to.
 */
int lines_next(struct lines *l, const char **ret);

#endif

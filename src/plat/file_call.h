/* SPDX-License-Identifier: MIT
 *
 * file_call.h - what is asked of files: the machine's, or the simulator's in memory
 *
 * A part of struct hob_env.  Both calls may block, so a loop makes them on another thread.
 */
#ifndef HOB_PLAT_FILE_CALL_H
#define HOB_PLAT_FILE_CALL_H

#include <sys/types.h>

#include "plat/poll.h"

struct file_ops {
    /* POLL_OPEN and the kinds after it: the operation's result. */
    int (*call)(const struct poll_op *op);
    /* As getdents64(2): the next struct dirent64 of a directory, 0 at its end. */
    int (*entries)(int fd, void *buf, size_t n);
};

extern const struct file_ops hob__file_real;

#endif

/* SPDX-License-Identifier: MIT
 *
 * file.h - one operation on a file, wherever it can run
 */
#ifndef HOB_NET_FILE_H
#define HOB_NET_FILE_H

#include "net/io.h"

/*
 * io->op is of POLL_OPEN and the kinds after it: on the fiber's ring, else on a thread that may
 * block, on a plain thread right here.  Returns its result, or why it was not begun.
 */
int hob__file_run(struct io *io, hob_time until);

#endif

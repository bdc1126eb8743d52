/* SPDX-License-Identifier: MIT
 *
 * intake.h - a stream socket whose bytes its loop takes as they come
 */
#ifndef HOB_NET_INTAKE_H
#define HOB_NET_INTAKE_H

#include <sys/types.h>

#include <hob/base.h>

struct intake;

/* Takes nothing yet: the first read that has to wait starts it, on its fiber's loop. */
int hob__intake_new(int fd, struct intake **ret);

/* As hob_read, which it is where the loop cannot take anything ahead. */
ssize_t hob__intake_read(struct intake *d, void *buf, size_t n, hob_time until);

/* Bytes it has that the descriptor will not give again. */
size_t hob__intake_pending(const struct intake *d);

/*
 * Takes no more, and leaves the loop it was on; parks for a moment, whatever is cancelled.  What it
 * has stays readable, from anywhere.  0; -ENOMEM: it takes no more, but stays on its loop.
 */
int hob__intake_stop(struct intake *d);

/* On its loop, or after that has ended; nobody reads.  What it has is gone. */
void hob__intake_free(struct intake *d);

#endif

/* SPDX-License-Identifier: MIT
 *
 * poll_uring.h - the io_uring poller with a ring of a chosen kind, for tests and benches
 */
#ifndef HOB_PLAT_POLL_URING_H
#define HOB_PLAT_POLL_URING_H

#include <signal.h>

#include "plat/poll.h"

struct uring_opts {
    uint32_t setup;      /* IORING_SETUP_*; used as they are */
    uint32_t sq_entries; /* 0: the default */
    uint32_t cq_entries; /* 0: the default */
    uint32_t pieces;     /* of feeds, a power of 2; 0: the default */
    uint32_t without;    /* IORING_FEAT_*: as if this kernel had them not */
    /* NULL: the system call.  Once a turn, so that a test can make the kernel fail. */
    int (*enter)(unsigned fd, unsigned n, unsigned min, unsigned flags, sigset_t *arg, size_t size);
};

/* As hob__poll_uring.open, but exactly this ring or none: -EINVAL where the kernel has it not. */
int hob__poll_uring_open(const struct uring_opts *opts, struct poller **ret);

#endif

/* SPDX-License-Identifier: MIT
 *
 * sock.h - what sockets and pipes are asked for: the kernel's, or the simulator's in memory
 *
 * One table, a part of struct hob_env.  Nothing in it waits: an attempt that would have to says
 * POLL_TRY_WAIT, and the loop's poller, which comes with the same environment, does the waiting.
 * Descriptors of one table mean nothing to the other.  Every call returns 0 (or what it says) or a
 * negative errno.
 */
#ifndef HOB_PLAT_SOCK_H
#define HOB_PLAT_SOCK_H

#include <sys/socket.h>
#include <sys/types.h>

#include "plat/poll_try.h"

enum { SOCK_PIPE_BLOCKS_READ = 1, SOCK_PIPE_BLOCKS_WRITE = 2 };

struct sock_ops {
    int (*open)(int family, int type); /* a descriptor, non-blocking and close-on-exec */
    int (*bind)(int fd, const struct sockaddr *a, socklen_t len);
    int (*listen)(int fd, int backlog);
    int (*pair)(int ret[2]); /* two Unix streams */
    /* `bytes`: how much it holds, 0: as usual; `flags`: SOCK_PIPE_*; ret: to read, to write. */
    int (*pipe)(int bytes, unsigned flags, int ret[2]);
    int (*set)(int fd, int level, int name, int value);
    int (*get)(int fd, int level, int name, void *ret, socklen_t *len);
    int (*mode)(int fd, mode_t mode); /* of the path that a Unix socket gets by bind */
    int (*addr)(int fd, struct sockaddr *ret, socklen_t *len);
    int (*shut)(int fd, int how);
    void (*close)(int fd);
    int (*ready)(int fd, uint32_t events);          /* as hob__poll_ready */
    int32_t (*try)(const struct poll_op *op);       /* as hob__poll_try */
    int32_t (*connect)(const struct poll_op *op);   /* as hob__poll_connect, datagrams too */
    int32_t (*connected)(const struct poll_op *op); /* as hob__poll_connected */
};

extern const struct sock_ops hob__sock_real;

#endif

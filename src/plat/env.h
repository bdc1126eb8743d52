/* SPDX-License-Identifier: MIT
 *
 * env.h - the one table through which nondeterminism enters
 *
 * What a schedule depends on beside the program itself - clock, poller, random numbers, when a
 * job of the pool or of a blocking thread runs, when a sleeping loop wakes - is asked of this
 * table.  The simulator is another table: same binary, HOB_SIM=seed.  The table is consulted per
 * batch (a turn of a loop, a submission), never on the same-loop path of switch and channel.
 * tools/check_env fails on a clock or random call elsewhere in src/.
 */
#ifndef HOB_PLAT_ENV_H
#define HOB_PLAT_ENV_H

#include <stdbool.h>
#include <stdint.h>

#include <hob/base.h>

#include "plat/file_call.h"
#include "plat/poll.h"
#include "plat/sock.h"

/* Work that leaves the loops: a job for the pool, or a call that blocks for a thread. */
struct env_work {
    struct list node;
    void (*run)(struct env_work *w); /* off the loops; reports its end by a message to a loop */
};

struct hob_env {
    const char *name;                      /* "real" or "sim" */
    hob_time (*now)(void);                 /* any thread */
    uint64_t (*random)(void);              /* any thread; under the simulator, from the seed */
    int (*poll_open)(struct poller **ret); /* a loop's poller */
    const struct sock_ops *sock; /* never NULL; of the descriptors that poller waits for */
    /* Real: hands it to the pool (a blocking thread).  Sim: runs it on the one thread, at a
     * moment the seed chooses.  NULL while the pool (the blocking threads) is not linked up. */
    int (*pool_submit)(struct env_work *w);
    int (*block_submit)(struct env_work *w);
    bool (*on_job)(void);        /* real: whether the caller is a job of the pool; NULL likewise */
    const struct file_ops *file; /* never NULL */
    bool sim;
};

/*
 * Blocks the calling thread, which is not on a fiber, until a point in time.  0; -EDEADLK: it is
 * inside a job of the pool; -EPERM: simulated, where time passes only as the loops run.
 */
int hob__thread_sleep(hob_time until);

/* CPU time the calling thread has used, in ns; virtual time under the simulator. */
hob_dur hob__thread_cpu(void);

/* Never NULL; changed only before the first loop starts and after the last one ended. */
extern struct hob_env *hob__env;
extern struct hob_env hob__env_real;

static inline hob_time hob__now(void)
{
    return hob__env->now();
}

#endif

/* SPDX-License-Identifier: MIT
 *
 * bridge.h - a call that leaves the loop and comes back: what offload, block and lane share
 */
#ifndef HOB_SYNC_BRIDGE_H
#define HOB_SYNC_BRIDGE_H

#include <stdatomic.h>

#include <hob/bridge.h>

#include "plat/env.h"
#include "sched/msg.h"
#include "trace/wait.h"

struct fiber;

enum call_state { CALL_QUEUED, CALL_RUNNING, CALL_ABANDONED };

/* On the heap: an abandoned call outlives the fiber's frame. */
struct call {
    struct env_work work; /* first */
    struct msg back;      /* to the fiber's loop */
    struct fiber *fiber;  /* NULL: a plain thread waits on `ended` */
    struct loop *loop;
    hob_fn fn;
    void *arg;
    int rc;
    _Atomic(int) state; /* enum call_state */
    _Atomic(uint32_t) ended;
    const char *name;  /* to record it by; NULL: whoever calls does so itself */
    hob_time ready_at; /* while somebody watches; else 0 */
};

/*
 * Makes a call of fn(arg), hands it to submit(to, &call->work) and waits until it has ended.
 * submit's negative result means that it was not taken.  From a fiber it parks; from a plain
 * thread it blocks.
 */
int hob__call(int (*submit)(void *to, struct env_work *w), void *to, hob_fn fn, void *arg,
              const char *name, enum hob_wait why, hob_time until);

/* hob_offload by somebody who accounts for the call himself. */
int hob__offload_untold(hob_fn fn, void *arg, hob_time until);

/* env_work.run of every call: runs it unless it was abandoned, and reports. */
void hob__call_run(struct env_work *w);

/* block.c: the threads that may block. */
int hob__block_submit(struct env_work *w);
void hob__block_stop(void);
/* How many there are. */
unsigned hob__block_threads(void);

/* The environment gets the halves it leaves to us; and their threads end with the runtime. */
void hob__bridge_open(void);
void hob__bridge_close(void);

#endif

/* SPDX-License-Identifier: MIT
 *
 * barrier.c - membarrier: see barrier.h
 *
 * REJECTED    Waiting for a turn of the other loop: two loops could wait for each other.
 *             Changing a page's protection, which interrupted every core: newer processors are
 *             told of it without an interrupt.
 */
#include "plat/barrier.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "plat/san.h"

bool hob__barrier_is_heavy;

static int barrier_call(int what)
{
    return (int)syscall(SYS_membarrier, what, 0, 0);
}

void hob__barrier_init(void)
{
#ifndef HOB_TSAN
    /* The registration is the process's own: a child of a fork makes it again. */
    hob__barrier_is_heavy = barrier_call(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0 &&
                            barrier_call(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0;
#endif
}

void hob__barrier_heavy(void)
{
    int r = 0;

    /* Short of memory for a moment is the one honest failure of what has worked before. */
    for (int tries = 0; tries < 1000; tries++) {
        r = barrier_call(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
        if (r == 0)
            return;
        usleep(1000);
    }
    HOB_ASSERT(r == 0); /* taken away under us: light stores rely on it */
}

/* SPDX-License-Identifier: MIT
 *
 * barrier.c - membarrier: see barrier.h
 *
 * REJECTED    Giving up when the call is refused later on: a cancel must not end the program.
 *             Waiting for a turn of the other loop: two loops could wait for each other.
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
    const unsigned tick_us = 20000; /* of the slowest clock a kernel is built with, and more */

    /* What has worked before fails when memory is short for a moment, or when a filter took the
     * call away since.  Then a timer's interrupt is the barrier: each core that runs takes one. */
    if (barrier_call(MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0)
        usleep(tick_us);
}

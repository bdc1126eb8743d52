/* SPDX-License-Identifier: MIT
 *
 * cpu.h - how many cores this process may use, and how the kernel schedules one of its threads
 */
#ifndef HOB_PLAT_CPU_H
#define HOB_PLAT_CPU_H

#include <hob/base.h>

enum { CPU_CORES_MAX = 65536 };

/*
 * What HOB_CORES says, when it is a whole number from 1; else the smaller of the affinity mask
 * and every CPU quota above this process.  At least 1.  Asked of the kernel on every call (tens
 * of microseconds): quotas and masks change in flight.
 */
unsigned hob__cpu_usable(void);

/* CPUs in the calling thread's affinity mask; 1 if the kernel does not say. */
unsigned hob__cpu_affinity(void);

/*
 * The tightest CPU quota over the cgroup of this process and all its ancestors, of version 1, 2
 * or both, in whole cores rounded up; 0: there is none.  root is put before every path, "" for
 * the real one.  What cannot be read or understood is no limit.
 */
unsigned hob__cpu_quota(const char *root);

/* Tells the core that this thread spins: its sibling, and the line it reads, get more room. */
static inline void cpu_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/*
 * Asks the kernel to run the calling thread in turns of `slice` (0: the kernel's own choice), with
 * its policy and its nice value unchanged.  A wish may be ignored without a word (SCHED_IDLE is),
 * so what the kernel says the slice now is is returned; 0 when it does not say (before Linux
 * 6.12); or a negative errno, -ENOTSUP for a real-time thread, which has no such thing.
 */
hob_dur hob__thread_slice(hob_dur slice);

/* The calling thread's slice as it is, and a return to it.  Threads inherit a slice from who makes
 * them: one made by a loop begins with hob__thread_slice(0). */
hob_dur hob__thread_slice_now(void);
void hob__thread_slice_restore(hob_dur was);

/*
 * The nice value of one thread: tid as gettid() gives it, 0 for the calling one.  0 or a negative
 * errno (-EACCES: lowering it needs a privilege).
 */
int hob__thread_nice(int tid, int nice);

#endif

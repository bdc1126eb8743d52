/* SPDX-License-Identifier: MIT
 *
 * sim_fault.c - what goes wrong in a simulation: faults that the seed draws, and what it cannot see
 *
 * WHAT        With faults=P in HOB_SIM each call that can fail on a machine does so in P of a
 *             thousand cases, and says so in a line of its own on standard error.  A fault is a
 *             choice of the schedule like any other: it is replayed, and left out by shrinking when
 *             the failure does not need it.
 *
 * Without faults= the choices are asked for all the same, with no chance: so a schedule that has
 * faults replays in a program that nobody asked for any.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sched/search.h"
#include "sched/sim_net.h"

static uint32_t told; /* a bit a SIM_TELL_* */

int hob__sim_fault(const char *what, const char *const *faults, int n)
{
    int k = (int)hob__sim_rare(CHOICE_FAULT, hob__sim_steer.faults, (unsigned)n);

    if (k)
        fprintf(stderr, "hob: simulation: fault: %s: %s\n", what, faults[k - 1]);
    return k;
}

int hob__sim_fault_err(const char *what, const int *errs, int n)
{
    int k = (int)hob__sim_rare(CHOICE_FAULT, hob__sim_steer.faults, (unsigned)n);

    if (!k)
        return 0;
    fprintf(stderr, "hob: simulation: fault: %s: %s\n", what, strerror(errs[k - 1]));
    return -errs[k - 1];
}

void hob__sim_tell_again(void)
{
    told = 0;
}

void hob__sim_tell(unsigned which, const char *format, ...)
{
    va_list args;

    if (told & (1u << which))
        return;
    told |= 1u << which;
    va_start(args, format);
    fputs("hob: simulation: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

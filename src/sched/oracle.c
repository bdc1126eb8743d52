/* SPDX-License-Identifier: MIT
 *
 * oracle.c - what a program says itself about right and wrong in a simulation
 *
 * hob_always holds after hob_run too: main's own checks belong to the run.
 */
#include <stdio.h>
#include <stdlib.h>

#include <hob/sim.h>

#include "base/assert.h"
#include "sched/search.h"

static HOB_RARE void always_failed(const char *name)
{
#ifdef NDEBUG
    if (!hob__sim_steer.used)
        return;
#endif
    hob__search_note(FAILED_ALWAYS, name);
    fprintf(stderr, "hob: not always so: %s\n", name);
    abort();
}

void hob_always(bool cond, const char *name)
{
    if (unlikely(!cond))
        always_failed(name ? name : "(no name)");
}

void hob_sometimes(bool cond, const char *name)
{
    hob__search_sometimes(cond, name ? name : "(no name)");
}

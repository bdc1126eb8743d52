/* SPDX-License-Identifier: MIT
 *
 * group.h - the group in a caller's hob_group, for the calls on it
 */
#ifndef HOB_SYNC_GROUP_H
#define HOB_SYNC_GROUP_H

#include <hob/group.h>

#include "sched/scope.h"

static inline struct group *group_of(hob_group *g)
{
    return (struct group *)(void *)g->opaque;
}

#endif

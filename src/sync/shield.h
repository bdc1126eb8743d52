/* SPDX-License-Identifier: MIT
 *
 * shield.h - a group that no outer cancel reaches
 *
 * For the library's own orderly ends: what has been done must be handed on or written down although
 * somebody outside has given up.  What runs in it must end by itself, and soon.
 */
#ifndef HOB_SYNC_SHIELD_H
#define HOB_SYNC_SHIELD_H

#include <hob/group.h>

/* hob_group_open whose scope is not inside the caller's.  0, -EPERM (not on a fiber).  Joined
 * like any other; the name is not copied. */
int hob__group_open_shielded(hob_group *g, const char *name);

#endif

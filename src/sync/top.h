/* SPDX-License-Identifier: MIT
 *
 * top.h - HOB_TOP=1: the running program answers who looks at it from outside
 */
#ifndef HOB_SYNC_TOP_H
#define HOB_SYNC_TOP_H

#include <stdbool.h>

struct rt;

/* rt.h's hook; does nothing unless the environment asks for it. */
void hob__top_hook(struct rt *rt, bool on);

#endif

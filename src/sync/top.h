/* SPDX-License-Identifier: MIT
 *
 * top.h - HOB_TOP=1: the running program answers who looks at it from outside
 */
#ifndef HOB_SYNC_TOP_H
#define HOB_SYNC_TOP_H

/* Installs rt.h's hook if the environment asks for it; every hob_run. */
void hob__top_env(void);

#endif

/* SPDX-License-Identifier: MIT
 *
 * watch.h - a thread that looks at loops that are held, and dumps when a signal says so
 */
#ifndef HOB_SYNC_WATCH_H
#define HOB_SYNC_WATCH_H

#include <stdbool.h>

struct rt;

/* rt.h's hook; does nothing unless rt->watchdog or rt->dump_signal is set. */
void hob__watch_hook(struct rt *rt, bool on);

/* "SIGUSR1", "USR1" or "10": the signal's number; 0: no signal that can be handled. */
int hob__watch_signal(const char *text);

#endif

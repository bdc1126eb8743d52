/* SPDX-License-Identifier: MIT
 *
 * dump.h - what every fiber does, in text
 */
#ifndef HOB_SYNC_DUMP_H
#define HOB_SYNC_DUMP_H

#include <stdbool.h>

#include <hob/chan.h>

#include "base/text.h"

struct rt;

/* rt.h's hook: from `on` to off hob_dump finds the runtime. */
void hob__dump_hook(struct rt *rt, bool on);

/* Every fiber of every loop.  Nothing may run on any of them: they are known to be asleep, or
 * simulated. */
void hob__dump_all(struct rt *rt, struct text *t);

/* Every fiber; asks the loops.  From a thread that is not a loop's. */
void hob__dump_ask(struct text *t);

/* With HOB_STACKS: how deep stacks got, by what started them; else nothing. */
void hob__dump_marks(const struct rt *rt, struct text *t);

/* Hands a report to whom the program named, or to standard error. */
void hob__report(struct rt *rt, const struct text *t);

/* chan.c; never NULL. */
const char *hob__chan_name(const hob_chan *ch);

#endif

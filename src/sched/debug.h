/* SPDX-License-Identifier: MIT
 *
 * debug.h - where a debugger finds the fibers of a running program, or of its core file
 */
#ifndef HOB_SCHED_DEBUG_H
#define HOB_SCHED_DEBUG_H

#include <stdint.h>

struct rt;

enum { DEBUG_VERSION = 1, DEBUG_TEXT = 40 };

/* Where a field lies: its structure's name, a dot, its own; offset and size in bytes.  A name
 * without a dot is a structure's size, or a number. */
struct debug_field {
    char name[DEBUG_TEXT];
    uint64_t offset;
};

/* Read by tools/gdb/hob.py, by name, without any type information. */
extern const struct debug_field hob__debug_fields[];

/* One a wait reason, DEBUG_WAIT bytes each; an empty one ends them. */
enum { DEBUG_WAIT = 64 };
extern const char hob__debug_waits[][DEBUG_WAIT];

/* The runtime that runs; NULL: none. */
extern struct rt *_Atomic hob__debug_rt;

#endif

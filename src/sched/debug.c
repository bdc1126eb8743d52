/* SPDX-License-Identifier: MIT
 *
 * debug.c - where a debugger finds the fibers of a running program, or of its core file
 *
 * WHAT        Tables of names and numbers for tools/gdb/hob.py, which finds every fiber the way
 *             look.c does: runtime -> loops -> slabs of stacks -> the struct at the top of each
 *             stack that is taken.
 *
 * A library as it is installed has no type information; with these tables the script needs none.
 * They need the symbol table, which `strip` takes away.
 */
#include "sched/debug.h"

#include <stddef.h>

#include "plat/stack.h"
#include "sched/rt.h"
#include "trace/wait.h"

struct rt *_Atomic hob__debug_rt;

#define SIZE(s)                                                                                    \
    {                                                                                              \
#s, sizeof(struct s)                                                                       \
    }
#define FIELD(s, f)                                                                                \
    {                                                                                              \
#s "." #f, offsetof(struct s, f)                                                           \
    }
#define NUMBER(name, n)                                                                            \
    {                                                                                              \
        name, n                                                                                    \
    }

const struct debug_field hob__debug_fields[] = {
    NUMBER("version", DEBUG_VERSION),
    FIELD(rt, n_loops),
    FIELD(rt, loops),
    SIZE(loop),
    FIELD(loop, current),
    FIELD(loop, stacks),
    FIELD(loop, tid),
    FIELD(loop, n_turns),
    FIELD(stacks, size),
    FIELD(stacks, slabs),
    FIELD(stacks, n_live),
    NUMBER("stack_guard_bytes", STACK_GUARD_BYTES),
    NUMBER("stack_spare_bytes", STACK_SPARE_BYTES),
    NUMBER("RUN_READY", RUN_READY),
    NUMBER("RUN_TELL", RUN_TELL),
    NUMBER("RUN_RUNNING", RUN_RUNNING),
    NUMBER("RUN_PARKED", RUN_PARKED),
    NUMBER("RUN_DEAD", RUN_DEAD),
    NUMBER("HOB_WAIT_CHAN_SEND", HOB_WAIT_CHAN_SEND),
    NUMBER("HOB_WAIT_CHAN_RECV", HOB_WAIT_CHAN_RECV),
    SIZE(fiber),
    FIELD(fiber, run.state),
    FIELD(fiber, wait),
    FIELD(fiber, ctx.sp),
    FIELD(fiber, own_scope),
    FIELD(fiber, task),
    FIELD(fiber, trace.name),
    FIELD(fiber, on_fd),
    FIELD(scope, group),
    FIELD(group, name),
    FIELD(group, opener),
    FIELD(task, fn),
    FIELD(task, site),
    NUMBER("", 0),
};

#define WAIT_TEXT(name, class, text) [name] = text,

const char hob__debug_waits[][DEBUG_WAIT] = {[HOB_WAIT_NONE] = "waiting",
                                             HOB_WAIT_MAP(WAIT_TEXT)[HOB_N_WAITS] = ""};

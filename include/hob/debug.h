/* SPDX-License-Identifier: MIT */
#ifndef HOB_DEBUG_H
#define HOB_DEBUG_H

#include <hob/base.h>

HOB_BEGIN_DECLS

/*
 * When things go wrong
 * ====================
 *
 * What every fiber does at this moment, in text for people: one line a fiber.
 *
 *     hob: 3 fibers on 1 loop, 12 tasks not started
 *     loop 0: thread 4711, turn 17, 3 fibers, a timer in 0.250 s or later
 *       0x7f12a4fe0e40 main: waiting for a group to end (crawl, 14 alive) for 2.104 s;
 *           group main; stack 1.2 of 64 KiB; prog+0x13f0
 *
 * and so on, each in one line in truth: its address (what the debugger's `hob bt` takes), its name,
 * what it waits for and for how long, the groups it is in, its stack, the function it runs and the
 * hob_go that started it.  "FILE+0xOFFSET" is what `addr2line -fe FILE 0xOFFSET` takes.
 *
 * A wait's beginning is the time of the loop's turn it began in: early by 0.2 ms and one run at
 * most.  A loop is asked by a message, so each tells of itself at a moment of its own; one that
 * does not come back within a second is said not to.
 *
 * HOB_DUMP=SIGUSR1 in the environment, or .dump_signal of HOB_OPTS, gives the same whenever that
 * signal comes.  HOB_WATCHDOG=MS, or .watchdog, reports a loop that one fiber holds; and a program
 * in which nothing can ever run again is ended with -EDEADLK: see <hob/rt.h>.
 */

/**
 * hob_dump - write what every fiber does to a descriptor
 *
 * Never parks; with several loops it blocks its thread until each has answered, at most a second
 * for all of them.  Works where everything is cancelled.
 *
 * Return: 0; -ESRCH (no runtime runs), -ENOMEM (as much as there was memory for was written), or
 * what write(2) failed with.
 */
HOB_API HOB_ANY_THREAD int hob_dump(int fd);

/** hob_dump_to - hob_dump into a function, called on this thread once a loop. */
HOB_API HOB_ANY_THREAD int hob_dump_to(hob_text_fn fn, void *arg);

HOB_END_DECLS
#endif

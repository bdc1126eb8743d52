/* SPDX-License-Identifier: MIT
 *
 * cmd.h - the commands of the tool
 *
 * A new command is: its file, with a function of this type; a declaration here; a row in the table
 * of main.c; its file in meson.build; its page man/hob-NAME.1, named in man/hob.1
 * (tools/check_docs.py compares it with -h).  One that needs a library that hob itself does not is
 * in hob-net: its row names no function, and net.c calls it.
 */
#ifndef HOB_CMD_H
#define HOB_CMD_H

/* argv[0] is the command's name.  The result is the exit status: 0 done, 1 something failed and
 * was said in one line on standard error, 2 the command line is wrong, 130 interrupted. */
typedef int command_fn(int argc, char *const argv[]);

enum { STATUS_DONE = 0, STATUS_FAILED = 1, STATUS_USAGE = 2, STATUS_INTERRUPTED = 130 };

command_fn cmd_crawl, cmd_diagnose, cmd_fetch, cmd_timeline, cmd_top;

/* What an executable's main does, around the function that does the rest. */
int tool_main(int argc, char *const argv[], command_fn *run);

/* Becomes hob-net, with hob's own command line; returns the exit status if that fails. */
int net_start(char *const argv[]);

/* What SIGPIPE did when the tool was started; the tool itself ignores it. */
extern void (*tool_pipe_was)(int);

#endif

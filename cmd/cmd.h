/* SPDX-License-Identifier: MIT
 *
 * cmd.h - the commands of the tool
 *
 * Adding one: its function here, its row in main.c's table, its file in meson.build, its man page
 * man/hob-NAME.1 (tools/check_docs.py compares it with -h).  A function takes argv from the
 * command's name on and returns the process's exit status.
 */
#ifndef HOB_CMD_H
#define HOB_CMD_H

int cmd_crawl(int argc, char *const argv[]);

#endif

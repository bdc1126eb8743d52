/* SPDX-License-Identifier: MIT
 *
 * net.c - hob-net: the commands that talk to servers, as the executable that hob starts for them
 */
#include <stdio.h>
#include <string.h>

#include "cmd.h"

/* The command line is hob's own: argv[1] is the command's name. */
static int run(int argc, char *const argv[])
{
    const char *name = argc > 1 ? argv[1] : "";

    if (strcmp(name, "crawl") == 0)
        return cmd_crawl(argc - 1, argv + 1);
    if (strcmp(name, "fetch") == 0)
        return cmd_fetch(argc - 1, argv + 1);
    fputs("hob-net: a part of hob, which starts it for 'hob crawl' and 'hob fetch'\n", stderr);
    return STATUS_USAGE;
}

int main(int argc, char *argv[])
{
    return tool_main(argc, argv, run);
}

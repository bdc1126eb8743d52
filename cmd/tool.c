/* SPDX-License-Identifier: MIT
 *
 * tool.c - what both executables of the tool do first and last
 */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <hob/hob.h>

#include "cmd.h"

void (*tool_pipe_was)(int);

/* Pages come and go: memory that goes back to the kernel after each comes again as page faults. */
enum { KEEP_FREE = 64 << 20, MAPPED_FROM = 8 << 20 };

int tool_main(int argc, char *const argv[], command_fn *run)
{
    mallopt(M_TRIM_THRESHOLD, KEEP_FREE);
    mallopt(M_MMAP_THRESHOLD, MAPPED_FROM);
    mallopt(M_TOP_PAD, 1 << 20);
    /* A reader that went away is an error like a full disk. */
    tool_pipe_was = signal(SIGPIPE, SIG_IGN);
    int status = run(argc, argv);
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == STATUS_DONE) {
        fprintf(stderr, "hob: standard output: %s\n", strerror(errno));
        status = STATUS_FAILED;
    }
    return status;
}

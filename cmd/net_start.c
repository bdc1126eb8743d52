/* SPDX-License-Identifier: MIT
 *
 * net_start.c - finds hob-net and becomes it
 *
 * WHAT        hob crawl and hob fetch need libcurl, libxml2, ICU and SQLite: with what these need,
 *             43 shared libraries, which the dynamic linker takes 10 ms and more to load and to
 *             relocate.  hob diagnose needs none, and is not to cost a program of one second that
 *             much.  So they are in an executable of their own (as git-remote-http is).
 *
 * HOW         hob-net lies beside hob (a build) or in libexec/hob (installed); both are found from
 *             /proc/self/exe, so that a tree that was moved and a symbolic link to hob work.
 *
 * REJECTED    dlopen: four APIs as tables of pointers, and packagers' tools would not see what is
 *   needed.  argv[0] and PATH: they may lead to the hob-net of another hob.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include <hob/hob.h>

#include "cmd.h"

/* HOB_LIBEXEC (cmd/meson.build): the folder of hob-net, seen from hob's when both are installed. */
static const char *const places[] = {"hob-net", HOB_LIBEXEC "/hob-net"};
enum { N_PLACES = sizeof places / sizeof *places };

int net_start(char *const argv[])
{
    char dir[PATH_MAX], path[2 * PATH_MAX] = "/proc/self/exe";
    ssize_t len = readlink(path, dir, sizeof dir);
    int r = len < 0 ? -errno : -ENOENT;

    while (len > 0 && dir[len - 1] != '/')
        len--;
    signal(SIGPIPE, tool_pipe_was); /* hob-net ignores it itself */
    for (size_t i = 0; len > 0 && r == -ENOENT && i < N_PLACES; i++) {
        bool absolute = places[i][0] == '/';

        snprintf(path, sizeof path, "%.*s%s", absolute ? 0 : (int)len, dir, places[i]);
        execv(path, argv);
        r = -errno;
    }
    fprintf(stderr, "hob %s: %s: %s; hob is not installed whole\n", argv[1], path, hob_strerror(r));
    return STATUS_FAILED;
}

/* SPDX-License-Identifier: MIT
 *
 * fuzz_procfs.c - every parser of a text of /proc or tracefs, on the same text
 */
#include <string.h>

#include "diag/calls.h"
#include "diag/load.h"
#include "diag/procfs.h"
#include "diag/verify_files.h"
#include "diag/wakers.h"
#include "fuzz/fuzz.h"

enum { MOST = 16 };

static void fuzz_lists(const char *text)
{
    struct procfs_member members[MOST];
    struct procfs_listener listeners[MOST];
    size_t n = procfs_parse_epoll(text, members, MOST);
    bool more;

    FUZZ_CHECK(procfs_parse_epoll(text, NULL, 0) == n);
    for (size_t i = 0; i < n && i < MOST; i++)
        FUZZ_CHECK(members[i].fd >= 0);
    FUZZ_CHECK(procfs_parse_listen(text, listeners, MOST, &more) <= MOST);
    for (const char *at = text; *at;) {
        const char *was = at;
        int32_t pid = procfs_next_pid(&at);
        FUZZ_CHECK(pid >= 0);
        if (at == was)
            break;
    }
}

static void fuzz_more(const char *text)
{
    struct wakers_format format = {0};
    struct files files = {0};
    uint64_t idle[MOST];
    char *own = strdup(text);

    FUZZ_CHECK(own);
    (void)load_parse_stat(text, idle, MOST);
    if (wakers_parse_format(text, &format) == 0)
        FUZZ_CHECK(format.pid_at <= 4096 && format.flags_at <= 4096);
    files_add_maps(&files, 0, own);
    for (size_t i = 0; i < files.n; i++)
        FUZZ_CHECK(files.one[i].proc == 0 && files.one[i].path[0] == '/');
    files_free(&files);
    free(own);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *text = fuzz_part(&data, &n);
    struct procfs_call call;
    struct procfs_sched sched;
    struct procfs_stat stat;
    struct procfs_ring ring;
    uint64_t calls;
    int32_t pid, parent;

    if (procfs_parse_call(text, &call) == 0 && !call.runs) {
        FUZZ_CHECK(call.nr >= -1);
        struct call c = call_of(&call);
        FUZZ_CHECK(c.how <= CALL_FAULT);
    }
    (void)call_of_wchan(text);
    (void)procfs_parse_sched(text, &sched);
    if (procfs_parse_stat(text, &stat) == 0)
        FUZZ_CHECK(strlen(stat.name) < sizeof stat.name);
    if (procfs_parse_status(text, &pid, &parent) == 0)
        FUZZ_CHECK(pid > 0 && parent >= 0);
    (void)procfs_parse_io(text, &calls);
    (void)procfs_parse_ring(text, &ring);
    if (procfs_parse_pidfd(text, &pid) == 0)
        FUZZ_CHECK(pid >= -1);
    fuzz_lists(text);
    fuzz_more(text);
    free(text);
    return 0;
}

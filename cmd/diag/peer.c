/* SPDX-License-Identifier: MIT
 *
 * peer.c - what the processes at the other end computed: is the local database itself the limit?
 *
 * HOW         A Unix socket knows the process it was connected to; of a TCP port the process is
 *   found by its listening socket, if looking through /proc takes no longer than FIND_COST.  Its
 *   CPU time, and that of its children (a server's workers), is read when it is met and at the end.
 *
 * LIMITS      Threads that ended in between are missing from the sum.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "diag/look_impl.h"

#define FIND_COST HOB_MS

enum { PEER_TASKS = 512, PEER_DEPTH = 8, PEER_SEEKS = 3 };

static int64_t task_cpu(int32_t pid, int32_t tid)
{
    char text[96];
    struct procfs_sched c;

    if (procfs_read(text, sizeof text, "/proc/%d/task/%d/schedstat", pid, tid) < 0 ||
        procfs_parse_sched(text, &c) < 0)
        return 0;
    return (int64_t)c.run;
}

/* Of a process, its children that have ended and those that live; -1: it has ended. */
static int64_t process_cpu(int32_t pid, int *tasks, int depth)
{
    char text[4096], path[64];
    struct procfs_stat st;
    struct dirent *e;

    if (procfs_read(text, sizeof text, "/proc/%d/stat", pid) < 0 ||
        procfs_parse_stat(text, &st) < 0)
        return -1;
    int64_t sum = (int64_t)(st.cuser + st.csys) * (HOB_SEC / sysconf(_SC_CLK_TCK));
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *d = opendir(path);
    while (d && (e = readdir(d)) && *tasks < PEER_TASKS) {
        int32_t tid = (int32_t)strtol(e->d_name, NULL, 10), child;
        if (tid <= 0)
            continue;
        ++*tasks;
        sum += task_cpu(pid, tid);
        if (depth == 0 ||
            procfs_read(text, sizeof text, "/proc/%d/task/%d/children", pid, tid) <= 0)
            continue;
        for (const char *at = text; (child = procfs_next_pid(&at)) > 0;) {
            int64_t more = process_cpu(child, tasks, depth - 1);
            sum += more > 0 ? more : 0;
        }
    }
    if (d)
        closedir(d);
    return sum;
}

static bool is_ours(const struct looker *l, int32_t pid)
{
    for (size_t i = 0; i < l->rec->n_procs; i++)
        if (l->rec->procs[i].pid == pid && l->rec->procs[i].died == INT64_MAX)
            return true;
    return false;
}

void peer_watch(struct looker *l, uint32_t peer, int32_t pid)
{
    int tasks = 0;

    if (pid <= 1 || peer == 0 || l->n_watched == LOOK_WATCHED)
        return;
    l->rec->peers[peer].pid = pid;
    for (size_t i = 0; i < l->n_watched; i++)
        if (l->watched[i].peer == peer)
            return;
    if (is_ours(l, pid))
        return; /* its time is the recording's */
    int64_t cpu = process_cpu(pid, &tasks, PEER_DEPTH);
    if (cpu >= 0 && tasks < PEER_TASKS)
        l->watched[l->n_watched++] = (struct look_watched){peer, pid, cpu};
}

void peer_finish(struct looker *l)
{
    for (size_t i = 0; i < l->n_watched; i++) {
        int tasks = 0;
        int64_t cpu = process_cpu(l->watched[i].pid, &tasks, PEER_DEPTH);
        if (cpu >= l->watched[i].cpu && tasks < PEER_TASKS)
            l->rec->peers[l->watched[i].peer].peer_cpu = cpu - l->watched[i].cpu;
    }
}

static bool has_socket(int32_t pid, const char *want)
{
    char path[64], link[64];
    struct dirent *e;
    bool found = false;

    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *d = opendir(path);
    while (d && !found && (e = readdir(d))) {
        if (e->d_name[0] == '.')
            continue;
        ssize_t n = readlinkat(dirfd(d), e->d_name, link, sizeof link - 1);
        link[n > 0 ? n : 0] = '\0';
        found = strcmp(link, want) == 0;
    }
    if (d)
        closedir(d);
    return found;
}

static int32_t listener_find(uint64_t ino)
{
    char want[64];
    struct dirent *e;
    int64_t began = look_cpu();
    int32_t found = 0;
    DIR *d = opendir("/proc");

    snprintf(want, sizeof want, "socket:[%llu]", (unsigned long long)ino);
    while (d && !found && (e = readdir(d)) && look_cpu() - began < FIND_COST) {
        int32_t pid = (int32_t)strtol(e->d_name, NULL, 10);
        if (pid > 1 && has_socket(pid, want))
            found = pid;
    }
    if (d)
        closedir(d);
    return found;
}

void peer_seek(struct looker *l, uint32_t peer, uint64_t ino)
{
    uint64_t bit = UINT64_C(1) << (peer % 64);

    if (peer == 0 || peer > LOOK_PEERS_MAX || ino == 0 || l->sought[peer / 64] & bit ||
        l->n_sought == PEER_SEEKS)
        return;
    l->sought[peer / 64] |= bit;
    l->n_sought++;
    peer_watch(l, peer, listener_find(ino));
}

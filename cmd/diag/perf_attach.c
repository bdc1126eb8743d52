/* SPDX-License-Identifier: MIT
 *
 * perf_attach.c - events on a process tree that runs already
 *
 * HOW         The tree is walked from the root, from what the recording knows to live (which finds
 *   those whose parent has ended) and from our own children (orphans come to us).
 *
 *   What starts while the events are opened one by one may have none: once they are on, a second
 *   round finds it.  A thread that gets two reports everything twice, which changes nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <hob/rt.h>

#include "diag/perf_impl.h"
#include "diag/procfs.h"

struct attach {
    struct events *e;
    struct switches *s;
    int32_t *pid; /* processes to look at */
    size_t n_pids;
    int error;
    long n_missed;
    enum events_begin begin;
    bool known; /* also threads that switches has met */
    bool failed;
    int64_t now;
};

static void pid_add(struct attach *a, int32_t pid)
{
    if (pid == getpid()) /* we are no part of a tree that we were started in */
        return;
    for (size_t i = 0; i < a->n_pids; i++)
        if (a->pid[i] == pid)
            return;
    if ((a->n_pids & (a->n_pids - 1)) == 0) {
        void *p = reallocarray(a->pid, a->n_pids ? 2 * a->n_pids : 1, sizeof *a->pid);

        if (!p) {
            a->failed = true;
            return;
        }
        a->pid = p;
    }
    a->pid[a->n_pids++] = pid;
}

static void pid_known(void *arg, int32_t pid)
{
    pid_add(arg, pid);
}

static void children_add(struct attach *a, int32_t pid, int32_t tid)
{
    char text[1 << 14];
    const char *at = text;
    int32_t child;

    if (procfs_read(text, sizeof text, "/proc/%d/task/%d/children", pid, tid) > 0)
        while ((child = procfs_next_pid(&at)) > 0)
            pid_add(a, child);
}

static void thread_attach(struct attach *a, int32_t pid, int32_t tid)
{
    int r = -ESRCH;

    if (a->known || !switches_know(a->s, tid))
        r = events_add(a->e, tid, a->begin);
    if (r == 0) {
        switches_found(a->s, pid, tid, a->now);
    } else if (r != -ESRCH) {
        a->n_missed++;
        a->error = r;
    }
    children_add(a, pid, tid);
}

static void process_attach(struct attach *a, int32_t pid)
{
    char path[64];
    struct dirent *e;

    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *d = opendir(path);
    while (d && (e = readdir(d))) {
        int32_t tid = (int32_t)strtol(e->d_name, NULL, 10);

        if (tid > 0)
            thread_attach(a, pid, tid);
    }
    if (d)
        closedir(d);
}

/* An event is a descriptor, and there is one a thread and CPU. */
static void files_raise(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur == files.rlim_max)
        return;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

long attach_tree(struct events *e, struct switches *s, const struct rec_begin *b, bool known,
                 int *ret_error)
{
    struct attach a = {.e = e, .s = s, .known = known};

    a.begin = known ? EVENTS_AT_ONCE : EVENTS_WHEN_TOLD;
    files_raise();
    pid_add(&a, b->root);
    switches_pids(s, pid_known, &a);
    if (!b->attached)
        children_add(&a, getpid(), getpid());
    for (int round = 0; round < 2; round++) {
        a.n_missed = 0;
        a.now = hob_now() - b->base;
        for (size_t i = 0; i < a.n_pids; i++)
            process_attach(&a, a.pid[i]);
        if (!known)
            events_switch(e, true);
        events_drain(e, s, hob_now(), b->base);
        a.known = false;
    }
    free(a.pid);
    if (a.n_missed)
        *ret_error = a.error;
    return a.failed ? -ENOMEM : a.n_missed;
}

/* SPDX-License-Identifier: MIT
 *
 * tree.c - the processes and threads of a tree, found in /proc
 *
 * HOW         /proc/loadavg ends in the last process number that the kernel gave out.  As long as
 *   it stays, nothing was started on the whole machine, and there is nothing to look for.  When it
 *   has moved a little, the few numbers since then are looked at.  When it has moved far, the
 *   processes known are asked how many threads they have (the links of /proc/P/task), and of one
 *   that has more only the end of the list is read, where the new ones are.  Numbers that are
 *   still not explained are looked at; only when they are many, or wrapped around, the tree is
 *   walked, and that no more often than costs WALK_SHARE.
 *
 * LIMITS      What begins and ends between two scans is not seen; sample.c finds its CPU time in
 *   its parent's sums.  A process whose parent ended before it was seen comes to the recorder
 *   itself (it is the subreaper), and so is found; not so when attached.
 */
#include "diag/tree.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <hob/rt.h>

enum {
    TREE_FEW = 8,      /* new numbers that are looked at before anything else */
    TREE_STEP = 64,    /* numbers looked at one by one */
    TREE_ASKED = 1024, /* processes asked for their threads */
    TREE_NAMED = 256,  /* threads of a process that are asked for their names */
    WALK_SHARE = 400   /* one part in so many of a core */
};

static struct tree_proc *proc_find(struct tree *t, int32_t pid)
{
    for (size_t i = t->n_procs; i > 0; i--)
        if (t->procs[i - 1].pid == pid && t->procs[i - 1].used)
            return &t->procs[i - 1];
    return NULL;
}

enum { TREE_TIDS = 1 << 22 }; /* the kernel's own limit */

static bool task_known(const struct tree *t, int32_t tid)
{
    return tid <= 0 || tid >= TREE_TIDS || (t->known[tid / 64] >> (tid % 64) & 1);
}

static void task_know(struct tree *t, int32_t tid, bool known)
{
    uint64_t bit = UINT64_C(1) << (tid % 64);

    t->known[tid / 64] = known ? t->known[tid / 64] | bit : t->known[tid / 64] & ~bit;
}

static struct tree_proc *proc_add(struct tree *t, int32_t pid, int32_t parent, int64_t now)
{
    struct tree_proc *p = NULL;

    for (size_t i = 0; i < t->n_procs && !p; i++)
        if (!t->procs[i].used)
            p = &t->procs[i];
    if (!p) {
        size_t n = t->n_procs ? t->n_procs * 2 : 16;
        struct tree_proc *more = realloc(t->procs, n * sizeof *more);
        if (!more)
            return NULL;
        memset(more + t->n_procs, 0, (n - t->n_procs) * sizeof *more);
        p = &more[t->n_procs];
        t->procs = more;
        t->n_procs = n;
    }
    *p = (struct tree_proc){.pid = pid,
                            .parent = parent,
                            .row = rec_proc_of(t->rec, pid),
                            .used = true,
                            .name_at = now,
                            .missed_at = now,
                            .name_step = 2 * HOB_MS};
    struct rec_proc *r = &t->rec->procs[p->row];
    r->parent = pid == t->root ? 0 : parent;
    r->born = now;
    return p;
}

static void task_add(struct tree *t, int32_t pid, int32_t tid, int32_t parent, int64_t now)
{
    struct tree_proc *p = proc_find(t, pid);

    if (t->n_tasks == t->cap_tasks) {
        size_t cap = t->cap_tasks ? t->cap_tasks * 2 : 32;
        struct tree_task *more = realloc(t->tasks, cap * sizeof *more);
        if (!more)
            return;
        t->tasks = more;
        int64_t *due = realloc(t->due, cap * sizeof *due);
        if (!due)
            return;
        t->due = due;
        t->cap_tasks = cap;
    }
    if (!p)
        p = proc_add(t, pid, parent, now);
    if (!p)
        return;
    uint32_t row = rec_thread_new(t->rec, pid, tid);
    t->rec->threads[row].born = now;
    t->due[t->n_tasks] = now;
    t->tasks[t->n_tasks++] = (struct tree_task){
        .tid = tid, .proc = (uint32_t)(p - t->procs), .sched_fd = -1, .track = {.row = row}};
    p->n_tasks++;
    p->n_links += p->n_links > 0;
    task_know(t, tid, true);
}

void tree_remove(struct tree *t, size_t task, int64_t now)
{
    struct tree_task *k = &t->tasks[task];
    struct tree_proc *p = &t->procs[k->proc];

    if (k->sched_fd >= 0) {
        close(k->sched_fd);
        t->n_open--;
    }
    task_know(t, k->tid, false);
    t->rec->threads[k->track.row].died = now;
    p->counted += k->track.added;
    if (--p->n_tasks == 0) {
        struct tree_proc *parent = proc_find(t, p->parent);
        if (parent)
            parent->counted += p->counted;
        /* A chain that ended between two scans is found from the top, which gets what it did. */
        for (size_t i = 0; i < t->n_procs; i++)
            if (t->procs[i].used && t->procs[i].parent == p->pid)
                t->procs[i].parent = p->parent;
        t->rec->procs[p->row].died = now;
        p->used = false;
    }
    if (p->n_links > 0)
        p->n_links--;
    *k = t->tasks[--t->n_tasks];
    t->due[task] = t->due[t->n_tasks];
}

/* All tasks of a process, and through them its children. */
static void walk(struct tree *t, int32_t pid, int32_t parent, int depth, int64_t now)
{
    char path[64], text[8192];
    struct dirent *e;

    if (pid == t->self) /* started in the tree that we attach to, we are no part of it */
        return;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *d = depth < 64 ? opendir(path) : NULL;
    while (d && (e = readdir(d))) {
        int32_t tid = (int32_t)strtol(e->d_name, NULL, 10), child;
        if (tid <= 0)
            continue;
        if (!task_known(t, tid))
            task_add(t, pid, tid, parent, now);
        if (procfs_read(text, sizeof text, "/proc/%d/task/%d/children", pid, tid) <= 0)
            continue;
        for (const char *at = text; (child = procfs_next_pid(&at)) > 0;)
            walk(t, child, pid, depth + 1, now);
    }
    if (d)
        closedir(d);
}

/* One number that was given out: does it belong to the tree? */
static void look_at_number(struct tree *t, int32_t tid, int64_t now)
{
    char text[1024];
    int32_t pid, parent;

    if (procfs_read(text, sizeof text, "/proc/%d/status", tid) <= 0 ||
        procfs_parse_status(text, &pid, &parent) < 0 || pid == t->self)
        return;
    bool orphan = parent == t->self && !t->attached;
    if (proc_find(t, pid) || proc_find(t, parent) || orphan)
        if (!task_known(t, tid))
            task_add(t, pid, tid, parent, now);
}

static int32_t last_pid_read(void)
{
    char text[128];

    if (procfs_read(text, sizeof text, "/proc/loadavg") <= 0)
        return 0;
    char *at = strrchr(text, ' ');
    return at ? (int32_t)strtol(at, NULL, 10) : 0;
}

static void walk_all(struct tree *t, int64_t now)
{
    walk(t, t->root, 0, 0, now);
    for (size_t i = 0; i < t->n_procs; i++) /* some have lost their parent */
        if (t->procs[i].used && t->procs[i].pid != t->root)
            walk(t, t->procs[i].pid, t->procs[i].parent, 0, now);
}

/* Threads of a process from number `from` of its list on; the kernel adds new ones at the end. */
static uint32_t threads_list(struct tree *t, int32_t pid, int32_t parent, long from, int64_t now)
{
    char path[64];
    struct dirent *e;
    uint32_t n = 0;

    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *d = opendir(path);
    if (d && from > 0)
        seekdir(d, from + 2); /* behind . and .. */
    while (d && (e = readdir(d))) {
        int32_t tid = (int32_t)strtol(e->d_name, NULL, 10);
        if (tid <= 0 || task_known(t, tid))
            continue;
        task_add(t, pid, tid, parent, now);
        n++;
    }
    if (d)
        closedir(d);
    return n;
}

/* Threads that a process has more than were found.  One that began while another, not missed yet,
 * has ended is found when that is. */
static uint32_t threads_grown(struct tree *t, size_t proc, int64_t now)
{
    const struct tree_proc *p = &t->procs[proc];
    int32_t pid = p->pid, parent = p->parent;
    uint32_t was = p->n_links;
    char path[64];
    struct stat st;

    snprintf(path, sizeof path, "/proc/%d/task", pid);
    if (stat(path, &st) < 0)
        return 0;
    uint32_t links = (uint32_t)st.st_nlink, n = 0;
    if (was > 2 && links > was)
        n = threads_list(t, pid, parent, was - 2, now);
    if (links > was && (was <= 2 || n < links - was))
        n += threads_list(t, pid, parent, 0, now);
    t->procs[proc].n_links = links;
    return n;
}

static uint32_t threads_grown_all(struct tree *t, int64_t now)
{
    size_t n = t->n_procs < TREE_ASKED ? t->n_procs : TREE_ASKED;
    uint32_t sum = 0;

    for (size_t i = 0; i < n; i++)
        if (t->procs[i].used)
            sum += threads_grown(t, i, now);
    return sum;
}

static void walk_when_due(struct tree *t, int64_t now)
{
    if (!t->whole || now < t->walk_at)
        return;
    int64_t began = look_cpu();
    walk_all(t, now);
    t->whole = t->last_pid == 0;
    t->walk_at = now + (look_cpu() - began) * WALK_SHARE;
}

void tree_scan(struct tree *t, int64_t now)
{
    int32_t last = last_pid_read(), moved = last - t->last_pid;

    if (moved != 0 && last != 0) {
        int32_t first = t->last_pid + 1;
        if (moved > TREE_FEW)
            moved -= (int32_t)threads_grown_all(t, now);
        t->whole |= first > last || moved > TREE_STEP;
        for (int32_t tid = first; tid <= last && !t->whole; tid++)
            if (!task_known(t, tid))
                look_at_number(t, tid, now);
    }
    t->last_pid = last;
    walk_when_due(t, now);
}

int tree_open(struct tree *t, struct recording *rec, int32_t root, bool attached, int64_t now)
{
    *t = (struct tree){.rec = rec, .root = root, .attached = attached, .self = getpid()};
    t->known = calloc(TREE_TIDS / 64, sizeof *t->known);
    if (!t->known)
        return -ENOMEM;
    t->last_pid = last_pid_read();
    t->whole = true;
    walk_when_due(t, now);
    return t->n_tasks ? 0 : -ESRCH;
}

void tree_free(struct tree *t)
{
    for (size_t i = 0; i < t->n_tasks; i++)
        if (t->tasks[i].sched_fd >= 0)
            close(t->tasks[i].sched_fd);
    free(t->tasks);
    free(t->due);
    free(t->procs);
    free(t->known);
}

static void name_read(struct tree *t, struct tree_proc *p)
{
    char text[512];
    struct rec_proc *r = &t->rec->procs[p->row];

    if (procfs_link(text, sizeof text, "/proc/%d/exe", p->pid) > 0)
        rec_set_text(t->rec, &r->exe, text);
    int n = procfs_read(text, sizeof text, "/proc/%d/cmdline", p->pid);
    if (n <= 0)
        return;
    for (int i = 0; i < n - 1; i++)
        if (text[i] == '\0' || text[i] == '\n')
            text[i] = ' ';
    rec_set_text(t->rec, &r->command, text);
}

void tree_task_name(struct tree *t, struct tree_task *k, int64_t now)
{
    char text[32];
    struct rec_thread *r = &t->rec->threads[k->track.row];
    int32_t pid = t->procs[k->proc].pid;

    if (k->names >= 2 || (k->tid != pid && t->procs[k->proc].n_tasks > TREE_NAMED) ||
        (k->names == 1 && now - r->born < 20 * HOB_MS))
        return;
    k->names++;
    if (procfs_read(text, sizeof text, "/proc/%d/task/%d/comm", pid, k->tid) <= 0)
        return;
    text[strcspn(text, "\n")] = '\0';
    snprintf(r->name, sizeof r->name, "%s", text);
}

/* A process execs soon after it was forked, and perhaps again: its name is read at once, then at
 * four times the time each time.  Its first thread has a new one then, too. */
void tree_names(struct tree *t, int64_t now)
{
    bool any = false;

    for (size_t i = 0; i < t->n_procs && !any; i++)
        any = t->procs[i].used && now >= t->procs[i].name_at;
    if (!any)
        return;
    for (size_t i = 0; i < t->n_tasks; i++) {
        struct tree_task *k = &t->tasks[i];
        if (k->tid == t->procs[k->proc].pid && now >= t->procs[k->proc].name_at)
            k->names = 0;
    }
    for (size_t i = 0; i < t->n_procs; i++) {
        struct tree_proc *p = &t->procs[i];
        if (!p->used || now < p->name_at)
            continue;
        name_read(t, p);
        p->name_at = now + p->name_step;
        p->name_step *= 4;
    }
}

/* SPDX-License-Identifier: MIT
 *
 * own_trace.c - the traces that programs write of themselves: asked for, found, joined, removed
 *
 * HOW         HOB_TRACE=-FOLDER/%p: each process of the tree that uses hob writes FOLDER/PID.  "-"
 *             lets it say nothing where it may not write there (another user, a sandbox): the
 *             program's output is its own.  A process that lives on when the recording has ended
 *             writes to a file without a name, of at most 128 MiB, and its end frees it.
 *
 *   The folder's name has our number: who is killed cannot tidy up, so whoever comes next does.
 *
 *   A file is of this run if the process is one that was recorded and the trace began within the
 *   recording: an older file of the same name is not.
 *
 * REJECTED    A descriptor handed down: programs close what they do not know, and "its descriptors
 *   are what hob was given" is a promise.  One file for all: two writers would leave neither.
 */
#include "diag/own_trace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <hob/hob.h>

#include "diag/from_trace.h"
#include "diag/procfs.h"

#define FOLDER "hob-diagnose-"

/* Its files, then itself; only what is ours. */
static void folder_remove(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    DIR *dir = NULL;

    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid())
        dir = fdopendir(fd);
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return;
    }
    for (struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] != '.')
            unlinkat(fd, e->d_name, 0);
    closedir(dir);
    unlinkat(parent, name, AT_REMOVEDIR);
}

/* What recorders left that were killed. */
static void folders_sweep(const char *tmp)
{
    DIR *dir = opendir(tmp);
    char *end;

    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (strncmp(e->d_name, FOLDER, strlen(FOLDER)) != 0)
            continue;
        long pid = strtol(e->d_name + strlen(FOLDER), &end, 10);
        if (pid > 0 && pid <= INT_MAX && *end == '.' && kill((pid_t)pid, 0) < 0 && errno == ESRCH)
            folder_remove(dirfd(dir), e->d_name);
    }
    if (dir)
        closedir(dir);
}

void own_trace_open(struct own_trace *o)
{
    const char *theirs = getenv("HOB_TRACE"), *tmp = getenv("TMPDIR");
    char *folder = NULL, *env = NULL;

    *o = (struct own_trace){0};
    if (theirs && *theirs) {
        o->theirs = strdup(theirs);
        return;
    }
    if (!tmp || *tmp != '/')
        tmp = "/tmp";
    folders_sweep(tmp);
    if (asprintf(&folder, "%s/" FOLDER "%d.XXXXXX", tmp, (int)getpid()) < 0)
        return;
    if (!mkdtemp(folder) || asprintf(&env, "-%s/%%p", folder) < 0) {
        free(folder);
        return;
    }
    o->folder = folder;
    o->env = env;
}

/* The value of NAME= in a block of environment; NULL: not there. */
static const char *env_value(const char *block, size_t n, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = block; at < block + n; at += strlen(at) + 1)
        if (strncmp(at, name, len) == 0 && at[len] == '=')
            return at + len + 1;
    return NULL;
}

/* Its file name as seen from here: a relative one is relative to where that process is. */
static char *path_there(const char *value, pid_t pid)
{
    char *path = NULL;

    value += *value == '-';
    if (*value == '/')
        return strdup(value);
    return asprintf(&path, "/proc/%d/cwd/%s", (int)pid, value) < 0 ? NULL : path;
}

/* By its shared library; a program with hob inside it does not show. */
static bool has_library(pid_t pid)
{
    char path[64], *line = NULL;
    bool found = false;
    size_t cap = 0;

    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    while (maps && !found && getline(&line, &cap, maps) > 0)
        found = strstr(line, "/libhob.so") != NULL;
    if (maps)
        fclose(maps);
    free(line);
    return found;
}

void own_trace_of(struct own_trace *o, pid_t pid, struct recording *rec)
{
    static char block[1 << 17]; /* the kernel's limit of one string; the first strings of more */
    int n = procfs_read(block, sizeof block, "/proc/%d/environ", (int)pid);
    const char *value = n > 0 ? env_value(block, (size_t)n, "HOB_TRACE") : NULL;

    *o = (struct own_trace){0};
    if (value && *value)
        o->theirs = path_there(value, pid);
    else if (has_library(pid) || (n > 0 && env_value(block, (size_t)n, "HOB_TOP")))
        rec_note(rec, "not tier 0: it uses hob, and was not started with HOB_TRACE=FILE");
}

/* "%p" becomes the process's number. */
static bool path_of(char path[PATH_MAX], const char *text, int32_t pid)
{
    size_t n = 0;

    for (; *text && n + 16 < PATH_MAX; text++)
        if (text[0] == '%' && text[1] == 'p') {
            n += (size_t)snprintf(path + n, PATH_MAX - n, "%d", (int)pid);
            text++;
        } else {
            path[n++] = *text;
        }
    path[n] = '\0';
    return *text == '\0';
}

/* `stale`: what it is told as when it is not of this run; NULL: that may well be. */
static void file_join(const char *path, struct recording *rec, int64_t base, const char *stale)
{
    hob_trace *trace;
    int r = hob_trace_load(path, &trace);

    if (r == 0) {
        r = rec_join_trace(trace, rec, base);
        hob_trace_free(trace);
        if (r == -ENOENT && stale)
            rec_note(rec, "not tier 0: %s", stale);
    } else if (r != -ENOENT && r != -EBADMSG) {
        rec_note(rec, "not tier 0: %s: %s", path, hob_strerror(r));
    }
    if (r == -ENOMEM)
        rec->failed = true;
}

void own_trace_join(const struct own_trace *o, struct recording *rec, int64_t base)
{
    size_t n = rec->n_procs;
    char path[PATH_MAX];

    if (o->folder) {
        for (size_t i = 0; i < n; i++) {
            snprintf(path, sizeof path, "%s/%d", o->folder, rec->procs[i].pid);
            file_join(
                path, rec, base,
                "the program's own trace has nothing of this run (HOB_SIM has a clock of its own)");
        }
    } else if (o->theirs) {
        const char *text = o->theirs + (o->theirs[0] == '-');
        bool each = strstr(text, "%p") != NULL;

        for (size_t i = 0; i < (each ? n : 1); i++)
            if (path_of(path, text, rec->procs[i].pid))
                file_join(path, rec, base, each ? NULL : "HOB_TRACE's file is not of this run");
    }
    if (rec->own.n_traces > 0 && rec->own.n_traces < n)
        rec_note(rec, "%u of %zu processes recorded themselves; the others were seen from outside",
                 rec->own.n_traces, n);
}

void own_trace_close(struct own_trace *o)
{
    if (o->folder)
        folder_remove(AT_FDCWD, o->folder);
    free(o->folder);
    free(o->env);
    free(o->theirs);
    *o = (struct own_trace){0};
}

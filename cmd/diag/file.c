/* SPDX-License-Identifier: MIT
 *
 * file.c - what a descriptor of another process stands for
 *
 * HOW         The link in /proc/P/fd names a file or the inode of a socket or pipe.  What was
 *   learned is kept by inode, never by descriptor: programs use the numbers of descriptors again
 *   within microseconds.
 *
 * INVARIANTS  (I1) n_files <= 3/4 of cap_files, so that a search ends
 *             (I2) a duplicate of a descriptor is closed in the function that made it: while it
 *                  is open, the program's own close would not end the connection
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "diag/look_impl.h"

#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

static int pidfd_renew(struct look_proc *p)
{
    if (p->pidfd >= 0)
        close(p->pidfd);
    p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    return p->pidfd < 0 ? -errno : 0;
}

int file_dup(struct look_proc *p, int fd)
{
    int r = p->pidfd < 0 && !p->no_getfd ? pidfd_renew(p) : 0, got = -1;

    for (int again = 0; r == 0 && !p->no_getfd && again < 2; again++) {
        got = (int)syscall(SYS_pidfd_getfd, p->pidfd, fd, 0);
        if (got >= 0)
            return got;
        r = -errno;
        if (r == -ESRCH) /* the number is another process's by now */
            r = pidfd_renew(p);
        else if (r == -EPERM || r == -ENOSYS)
            p->no_getfd = true;
    }
    return r < 0 ? r : -EPERM;
}

static size_t file_slot(const struct file *files, size_t cap, uint64_t ino)
{
    size_t i = (size_t)(ino * 0x9e3779b97f4a7c15u >> 32) & (cap - 1);

    while (files[i].ino && files[i].ino != ino)
        i = (i + 1) & (cap - 1);
    return i;
}

static int files_grow(struct looker *l)
{
    size_t cap = l->cap_files ? l->cap_files * 2 : 256;
    struct file *files = calloc(cap, sizeof *files);

    if (!files)
        return -ENOMEM;
    for (size_t i = 0; i < l->cap_files; i++)
        if (l->files[i].ino)
            files[file_slot(files, cap, l->files[i].ino)] = l->files[i];
    free(l->files);
    l->files = files;
    l->cap_files = cap;
    return 0;
}

int file_by_ino(struct looker *l, uint64_t ino, struct file **ret)
{
    if (l->n_files >= LOOK_FILES_MAX) {
        memset(l->files, 0, l->cap_files * sizeof *l->files);
        l->n_files = 0;
    }
    if ((l->n_files + 1) * 4 > l->cap_files * 3) { /* (I1) */
        int r = files_grow(l);
        if (r < 0)
            return r;
    }
    struct file *f = &l->files[file_slot(l->files, l->cap_files, ino)];
    if (!f->ino) {
        f->ino = ino;
        l->n_files++;
    }
    *ret = f;
    return 0;
}

uint32_t look_peer(struct looker *l, enum rec_kind kind, const char *name)
{
    static const char *const many[REC_N_KINDS] = {
        [REC_DISK] = "other files",   [REC_FSYNC] = "other files",   [REC_NET] = "other hosts",
        [REC_DB] = "other databases", [REC_IPC] = "other processes", [REC_PIPE] = "other pipes",
        [REC_LOCK] = "other locks",
    };

    if (l->rec->n_peers >= LOOK_PEERS_MAX && many[kind])
        name = many[kind];
    return rec_peer_of(l->rec, kind, name);
}

static void file_is(struct looker *l, struct file *f, enum file_role role, enum rec_kind kind,
                    const char *name)
{
    f->role = (uint8_t)role;
    f->kind = (uint8_t)kind;
    f->peer = name ? look_peer(l, kind, name) : 0;
}

static void anonymous_describe(struct looker *l, const char *name, struct file *f)
{
    if (strcmp(name, "[eventfd]") == 0)
        file_is(l, f, FILE_WAKER, REC_LOCK, NULL);
    else if (strcmp(name, "[timerfd]") == 0)
        file_is(l, f, FILE_TIMER, REC_SLEEP, NULL);
    else if (strcmp(name, "[signalfd]") == 0)
        file_is(l, f, FILE_SIGNALS, REC_SIGNAL, NULL);
    else if (strcmp(name, "[pidfd]") == 0)
        file_is(l, f, FILE_CHILD, REC_CHILD, NULL);
    else if (strcmp(name, "inotify") == 0 || strcmp(name, "[fanotify]") == 0)
        file_is(l, f, FILE_OTHER, REC_IDLE, NULL);
    else
        file_is(l, f, FILE_OTHER, REC_UNKNOWN, name);
}

/* Anything that is not a socket, by where the link points. */
static void path_describe(struct looker *l, char *path, struct file *f)
{
    static const char *const terminals[] = {"/dev/pts/", "/dev/tty", "/dev/console", "/dev/ptmx"};
    static const char *const blocks[] = {"/dev/sd", "/dev/nvme", "/dev/vd",  "/dev/dm-",
                                         "/dev/md", "/dev/loop", "/dev/mmc", "/dev/xvd"};

    for (size_t i = 0; i < sizeof terminals / sizeof terminals[0]; i++) {
        if (strncmp(path, terminals[i], strlen(terminals[i])) == 0) {
            file_is(l, f, FILE_TTY, REC_TTY, NULL);
            return;
        }
    }
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        if (strncmp(path, blocks[i], strlen(blocks[i])) == 0) {
            file_is(l, f, FILE_DISK, REC_DISK, path);
            return;
        }
    }
    if (strncmp(path, "anon_inode:", 11) == 0) {
        anonymous_describe(l, path + 11, f);
    } else if (strncmp(path, "/dev/", 5) == 0 && strncmp(path, "/dev/shm/", 9) != 0) {
        file_is(l, f, FILE_OTHER, REC_UNKNOWN, path);
    } else if (path[0] == '/' && strncmp(path, "/memfd:", 7) != 0) {
        char *deleted = strstr(path, " (deleted)");
        if (deleted)
            *deleted = '\0';
        file_is(l, f, FILE_DISK, REC_DISK, path);
    } else {
        file_is(l, f, FILE_OTHER, REC_UNKNOWN, NULL);
    }
}

int file_of(struct looker *l, struct look_proc *p, int fd, struct file **ret)
{
    static struct file other; /* what has no inode of its own */
    char link[256];
    struct file *f;

    int r = procfs_link(link, sizeof link, "/proc/%d/fd/%d", p->pid, fd);
    if (r < 0)
        return r;
    bool is_socket = strncmp(link, "socket:[", 8) == 0;
    bool is_pipe = strncmp(link, "pipe:[", 6) == 0;
    if (!is_socket && !is_pipe) {
        other = (struct file){.role = FILE_UNKNOWN};
        path_describe(l, link, &other);
        *ret = &other;
        return 0;
    }
    r = file_by_ino(l, strtoull(strchr(link, '[') + 1, NULL, 10), &f);
    if (r < 0)
        return r;
    if (f->role == FILE_UNKNOWN && is_pipe)
        file_is(l, f, FILE_PIPE, REC_PIPE, NULL);
    else if (f->role == FILE_UNKNOWN)
        socket_find(l, p, fd, f);
    *ret = f;
    return 0;
}

bool file_counts(const struct file *f)
{
    return f->role == FILE_CLIENT || f->role == FILE_DATAGRAM;
}

/* SPDX-License-Identifier: MIT
 *
 * sim_tree.c - the simulator's files: what the disk has, and in memory what a run makes of it
 *
 * WHAT        A file is read from the disk as a whole when it is first opened, renamed or removed;
 *             from then on it is here.  Nothing is ever written to the disk: what a run changes is
 *             gone with it, and the next one finds what the first one found.
 *
 * HOW         files   path -> FILE (its bytes), DIR, or GONE: hides what the disk has at the path
 *
 *   A path is made absolute by its text: "..", "." and "//" are taken away, symbolic links are not
 *   looked at.  What is not in the list is asked of the disk.
 *
 * INVARIANTS  (I1) nothing is asked of the disk that changes it
 *             (I2) a file that is open is kept until it is closed, whatever its path is by then
 *             (I3) a file is at most SIM_FILE_MOST bytes: what it has is in memory, holes too
 *
 * REJECTED    The disk itself: a search would run a thousand times over what a user has there, each
 *               run on what the one before has left.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plat/env.h"
#include "sched/sim_file.h"

static struct list files = {&files, &files}; /* struct sim_file */
static uint64_t inode;

/* ---- paths ---- */

int hob__sim_path_make(const char *path, char to[PATH_MAX])
{
    size_t n = 0;

    if (!*path)
        return -ENOENT;
    if (*path != '/') {
        if (!getcwd(to, PATH_MAX))
            return -errno;
        n = strcmp(to, "/") == 0 ? 0 : strlen(to);
    }
    while (*path) {
        size_t part = strcspn(path, "/");
        if (part == 2 && memcmp(path, "..", 2) == 0) {
            while (n > 0 && to[--n] != '/')
                continue;
        } else if (part > 0 && !(part == 1 && *path == '.')) {
            if (n + part + 2 > PATH_MAX)
                return -ENAMETOOLONG;
            to[n++] = '/';
            memcpy(to + n, path, part);
            n += part;
        }
        path += part + (path[part] == '/');
    }
    if (n == 0)
        to[n++] = '/';
    to[n] = '\0';
    return 0;
}

/* How much of a path is its directory. */
static size_t path_parent(const char *path)
{
    size_t n = (size_t)(strrchr(path, '/') - path);

    return n > 0 ? n : 1;
}

/* ---- the list ---- */

struct sim_file *hob__sim_file_find(const char *path)
{
    list_each (n, &files) {
        struct sim_file *f = list_entry(n, struct sim_file, node);
        if (strcmp(f->path, path) == 0)
            return f;
    }
    return NULL;
}

static struct sim_file *file_new(const char *path, enum sim_file_kind kind, mode_t mode)
{
    struct sim_file *f = calloc(1, sizeof *f);

    if (!f)
        return NULL;
    if (!(f->path = strdup(path))) {
        free(f);
        return NULL;
    }
    f->kind = kind;
    f->mode = mode;
    f->inode = ++inode;
    f->changed = hob__now();
    list_push(&files, &f->node);
    return f;
}

static void file_free(struct sim_file *f)
{
    list_del(&f->node);
    free(f->bytes);
    free(f->path);
    free(f);
}

void hob__sim_file_release(struct sim_file *f)
{
    if (--f->n_open == 0 && list_empty(&f->node)) /* (I2) */
        file_free(f);
}

void hob__sim_files_open(void)
{
    inode = 1000;
}

void hob__sim_files_close(void)
{
    while (!list_empty(&files))
        file_free(list_entry(files.next, struct sim_file, node));
}

int hob__sim_file_grow(struct sim_file *f, uint64_t at, size_t n)
{
    size_t size, room = f->room ? f->room : 4096;

    if (at > SIM_FILE_MOST || n > SIM_FILE_MOST - at) /* (I3) */
        return -EFBIG;
    size = (size_t)at + n;
    while (room < size)
        room *= 2;
    if (room > f->room) {
        unsigned char *more = realloc(f->bytes, room);
        if (!more)
            return -ENOMEM;
        f->bytes = more;
        f->room = room;
    }
    if (size > f->size)
        memset(f->bytes + f->size, 0, size - f->size);
    return 0;
}

/* ---- the disk ---- */

static int file_load(struct sim_file *f, int fd, size_t size)
{
    int r = hob__sim_file_grow(f, 0, size);

    while (r == 0 && f->size < size) {
        ssize_t n = read(fd, f->bytes + f->size, size - f->size);
        if (n < 0 && errno != EINTR)
            r = -errno;
        else if (n == 0)
            break;
        else if (n > 0)
            f->size += (size_t)n;
    }
    return r;
}

static int disk_take(const char *path, struct sim_file **ret)
{
    struct sim_file *f = NULL;
    struct stat st;
    int fd, r = 0;

    if (stat(path, &st) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return (*ret = file_new(path, SIM_DIR, st.st_mode & 07777)) ? 0 : -ENOMEM;
    if (!S_ISREG(st.st_mode))
        return -EOPNOTSUPP;                          /* a device: who knows what it does */
    if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0) /* (I1) */
        return -errno;
    if (!(f = file_new(path, SIM_FILE, st.st_mode & 07777)))
        r = -ENOMEM;
    else if ((r = file_load(f, fd, (size_t)st.st_size)) < 0)
        file_free(f);
    close(fd);
    if (r == 0)
        *ret = f;
    return r;
}

/* What is at a path, which hob__sim_path_make has made: a file or a directory. */
int hob__sim_file_get(const char *path, struct sim_file **ret)
{
    struct sim_file *f = hob__sim_file_find(path);

    if (!f)
        return disk_take(path, ret);
    if (f->kind == SIM_GONE)
        return -ENOENT;
    *ret = f;
    return 0;
}

/* Whether something can be made at a path: 0; -EEXIST and what is there. */
int hob__sim_place_get(const char *path, struct sim_file **ret)
{
    char parent[PATH_MAX];
    size_t n = path_parent(path);
    struct sim_file *dir;
    int r = hob__sim_file_get(path, ret);

    if (r != -ENOENT)
        return r == 0 ? -EEXIST : r;
    memcpy(parent, path, n);
    parent[n] = '\0';
    if ((r = hob__sim_file_get(parent, &dir)) < 0)
        return r;
    return dir->kind == SIM_DIR ? 0 : -ENOTDIR;
}

/* Something new at a path where nothing is. */
int hob__sim_file_make(const char *path, enum sim_file_kind kind, mode_t mode,
                       struct sim_file **ret)
{
    static const int errs[] = {ENOSPC, EIO};
    struct sim_file *gone = hob__sim_file_find(path), *f;
    int r = hob__sim_fault_err("a new file", errs, 2);

    if (r < 0)
        return r;
    if (!(f = file_new(path, kind, mode)))
        return -ENOMEM;
    if (gone)
        file_free(gone);
    *ret = f;
    return 0;
}

/* Takes a file's path away; a mark hides what the disk has there. */
int hob__sim_path_leave(struct sim_file *f)
{
    struct sim_file *gone = file_new(f->path, SIM_GONE, 0);

    if (!gone)
        return -ENOMEM;
    list_del(&f->node);
    return 0;
}

void hob__sim_path_take(struct sim_file *f, char *path)
{
    struct sim_file *old = hob__sim_file_find(path);

    if (old) {
        list_del(&old->node);
        if (old->n_open == 0)
            file_free(old); /* (I2) */
    }
    free(f->path);
    f->path = path;
    list_push(&files, &f->node);
}

struct sim_file *hob__sim_file_in(const struct sim_file *dir, struct sim_file *after)
{
    size_t n = strlen(dir->path);

    for (struct list *it = after ? after->node.next : files.next; it != &files; it = it->next) {
        struct sim_file *f = list_entry(it, struct sim_file, node);
        if (path_parent(f->path) == n && memcmp(f->path, dir->path, n) == 0 && f != dir)
            return f;
    }
    return NULL;
}

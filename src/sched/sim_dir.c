/* SPDX-License-Identifier: MIT
 *
 * sim_dir.c - directories of the simulator
 *
 * WHAT        What is in a directory: the disk's entries, less those that are gone, and those that
 *             are only in memory; by name, since the order of a disk is its own.  The list is made
 *             at the first call on a descriptor and given out from there.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sched/sim_file.h"

struct entry {
    char *name;
    uint64_t inode;
    unsigned char type;
};

struct sim_listing {
    size_t n, room, at;
    struct entry *of;
};

void hob__sim_listing_free(struct sim_listing *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->n; i++)
        free(l->of[i].name);
    free(l->of);
    free(l);
}

static int listing_add(struct sim_listing *l, const char *name, uint64_t inode, unsigned char type)
{
    if (l->n == l->room) {
        size_t room = l->room ? 2 * l->room : 64;
        struct entry *more = realloc(l->of, room * sizeof *more);
        if (!more)
            return -ENOMEM;
        l->of = more;
        l->room = room;
    }
    if (!(l->of[l->n].name = strdup(name)))
        return -ENOMEM;
    l->of[l->n].inode = inode;
    l->of[l->n++].type = type;
    return 0;
}

static const char *name_of(const struct sim_file *f)
{
    return strrchr(f->path, '/') + 1;
}

/* Whether memory has a word about what the disk has in a directory. */
static bool is_here(const struct sim_file *dir, const char *name)
{
    for (struct sim_file *f = NULL; (f = hob__sim_file_in(dir, f));)
        if (strcmp(name_of(f), name) == 0)
            return true;
    return false;
}

static int listing_disk(struct sim_listing *l, const struct sim_file *dir)
{
    DIR *d = opendir(dir->path);
    const struct dirent *e;
    int r = 0;

    if (!d)
        return 0; /* it is in memory only */
    while (r == 0 && (e = readdir(d)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && !is_here(dir, e->d_name))
            r = listing_add(l, e->d_name, e->d_ino, e->d_type);
    closedir(d);
    return r;
}

static int entry_order(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static int listing_new(const struct sim_file *dir, struct sim_listing **ret)
{
    struct sim_listing *l = calloc(1, sizeof *l);
    int r = l ? listing_disk(l, dir) : -ENOMEM;

    for (struct sim_file *f = NULL; r == 0 && (f = hob__sim_file_in(dir, f));)
        if (f->kind != SIM_GONE)
            r = listing_add(l, name_of(f), f->inode, f->kind == SIM_DIR ? DT_DIR : DT_REG);
    if (r < 0) {
        hob__sim_listing_free(l);
        return r;
    }
    if (l->n > 1)
        qsort(l->of, l->n, sizeof *l->of, entry_order);
    *ret = l;
    return 0;
}

bool hob__sim_dir_has(const struct sim_file *dir)
{
    struct sim_listing *l;
    bool has;

    if (listing_new(dir, &l) < 0)
        return true;
    has = l->n > 0;
    hob__sim_listing_free(l);
    return has;
}

int hob__sim_dir_entries(int fd, void *buf, size_t n)
{
    struct sim_sock *s = hob__sim_sock_of(fd);
    size_t done = 0;
    int r;

    if (!s)
        return hob__sim_not_ours(fd);
    if (!s->file || s->file->kind != SIM_DIR)
        return -ENOTDIR;
    if (!s->listing && (r = listing_new(s->file, &s->listing)) < 0)
        return r;
    for (struct sim_listing *l = s->listing; l->at < l->n; l->at++) {
        const struct entry *e = &l->of[l->at];
        size_t name = strlen(e->name) + 1;
        size_t len = (offsetof(struct dirent64, d_name) + name + 7) & ~(size_t)7;
        struct dirent64 *to = (void *)((char *)buf + done);
        if (len > n - done)
            break;
        to->d_ino = e->inode;
        to->d_off = (off64_t)l->at;
        to->d_reclen = (unsigned short)len;
        to->d_type = e->type;
        memcpy(to->d_name, e->name, name);
        done += len;
    }
    return (int)done;
}

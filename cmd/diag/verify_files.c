/* SPDX-License-Identifier: MIT
 *
 * verify_files.c - the files whose code a program runs
 *
 * HOW         /proc/PID/maps names each file that is mapped to be executed.  It is read a few times
 *   while the program runs, at growing distances, because an interpreter loads what computes long
 *   after it began.  The files themselves are searched when the program has ended.
 */
#include "diag/verify_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PROCS_MOST = 32,
    FILES_MOST = 1024,
    TEXT_MOST = 1 << 20,
    SEARCH_MOST = 256 << 20 /* bytes of one file */
};

static void file_add(struct files *f, uint32_t proc, const char *path)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->one[i].proc == proc && strcmp(f->one[i].path, path) == 0)
            return;
    if (f->n == f->cap) {
        size_t cap = f->cap ? 2 * f->cap : 64;
        struct files_one *more = cap <= FILES_MOST ? realloc(f->one, cap * sizeof *more) : NULL;

        if (!more)
            return;
        f->one = more;
        f->cap = cap;
    }
    char *copy = strdup(path);
    if (copy)
        f->one[f->n++] = (struct files_one){proc, copy};
}

void files_add_maps(struct files *f, uint32_t proc, char *text)
{
    for (char *line = text, *next; line && *line; line = next) {
        char *rights = strchr(line, ' '), *path = strchr(line, '/');

        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        else
            break; /* cut: the last name may not be whole */
        if (rights && path && path < next && strlen(rights) > 4 && rights[3] == 'x')
            file_add(f, proc, path);
    }
}

/* A file of /proc comes in pieces of a page or so. */
static ssize_t maps_read(int32_t pid, char *text)
{
    char path[64];
    ssize_t n = 0, got = 1;

    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    while (got > 0 && n < TEXT_MOST - 1) {
        got = read(fd, text + n, (size_t)(TEXT_MOST - 1 - n));
        n += got > 0 ? got : 0;
    }
    close(fd);
    text[n] = '\0';
    return n;
}

void files_look(struct files *f, const struct recording *rec)
{
    char *text = malloc(TEXT_MOST);
    unsigned looked = 0;

    for (size_t i = 0; text && i < rec->n_procs && looked < PROCS_MOST; i++) {
        const struct rec_proc *p = &rec->procs[i];

        if (p->pid <= 0 || p->died != INT64_MAX || p->opaque)
            continue;
        looked++;
        if (maps_read(p->pid, text) > 0)
            files_add_maps(f, (uint32_t)i, text);
    }
    free(text);
}

static uint32_t search(const char *path, const char *const marks[], size_t n)
{
    struct stat st;
    uint32_t found = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return 0;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
        size_t size = st.st_size < SEARCH_MOST ? (size_t)st.st_size : SEARCH_MOST;
        void *at = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);

        for (size_t i = 0; at != MAP_FAILED && i < n; i++)
            if (memmem(at, size, marks[i], strlen(marks[i])))
                found |= 1u << i;
        if (at != MAP_FAILED)
            munmap(at, size);
    }
    close(fd);
    return found;
}

uint32_t files_marks(const struct files *f, uint32_t proc, const char *exe,
                     const char *const marks[], size_t n)
{
    uint32_t found = exe && *exe == '/' ? search(exe, marks, n) : 0;

    for (size_t i = 0; i < f->n; i++)
        if (f->one[i].proc == proc && !(exe && strcmp(exe, f->one[i].path) == 0))
            found |= search(f->one[i].path, marks, n);
    return found;
}

void files_free(struct files *f)
{
    for (size_t i = 0; i < f->n; i++)
        free(f->one[i].path);
    free(f->one);
    *f = (struct files){0};
}

/* SPDX-License-Identifier: MIT
 *
 * members.c - which descriptors a thread waits for: of an epoll set, an array, a mask, a ring
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "diag/look_impl.h"

enum { MEMBERS_MAX = 1 << 17, SELECT_BITS = 65536 };

static struct procfs_member *list_new(size_t n)
{
    return malloc((n ? n : 1) * sizeof(struct procfs_member));
}

static int read_epoll(struct looker *l, int32_t pid, int fd, struct procfs_member **ret,
                      size_t *ret_n)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", pid, fd);
    int r = look_read(l, path);
    if (r < 0)
        return r;
    size_t n = procfs_parse_epoll(l->text, NULL, 0);
    if (n > MEMBERS_MAX)
        n = MEMBERS_MAX;
    struct procfs_member *list = list_new(n);
    if (!list)
        return -ENOMEM;
    procfs_parse_epoll(l->text, list, n);
    *ret = list;
    *ret_n = n;
    return 0;
}

static bool memory_read(int32_t pid, uint64_t addr, void *to, size_t n)
{
    struct iovec local = {to, n}, remote = {(void *)(uintptr_t)addr, n};

    return n == 0 || process_vm_readv(pid, &local, 1, &remote, 1, 0) == (ssize_t)n;
}

static int read_poll(int32_t pid, const struct call *c, struct procfs_member **ret, size_t *ret_n)
{
    size_t n = c->n < MEMBERS_MAX ? (size_t)c->n : MEMBERS_MAX, used = 0;
    struct pollfd *polled = malloc((n ? n : 1) * sizeof *polled);
    struct procfs_member *list = list_new(n);
    int r = -ENOMEM;

    if (!polled || !list)
        goto out;
    r = -EFAULT;
    if (!memory_read(pid, c->addr, polled, n * sizeof *polled))
        goto out;
    for (size_t i = 0; i < n; i++)
        if (polled[i].fd >= 0)
            list[used++] = (struct procfs_member){.fd = polled[i].fd};
    *ret = list;
    *ret_n = used;
    list = NULL;
    r = 0;
out:
    free(polled);
    free(list);
    return r;
}

static int read_select(int32_t pid, const struct call *c, struct procfs_member **ret, size_t *ret_n)
{
    const uint64_t addr[3] = {c->addr, c->addr2, c->addr3};
    size_t n = c->n < SELECT_BITS ? (size_t)c->n : SELECT_BITS, bytes = (n + 63) / 64 * 8, used = 0;
    unsigned char *bits = malloc(bytes + 1), *any = calloc(1, bytes + 1);
    struct procfs_member *list = list_new(n);
    int r = -ENOMEM;

    if (!bits || !any || !list)
        goto out;
    for (int set = 0; set < 3; set++)
        if (addr[set] && memory_read(pid, addr[set], bits, bytes))
            for (size_t i = 0; i < bytes; i++)
                any[i] |= bits[i];
    for (size_t i = 0; i < n; i++)
        if (any[i / 8] >> (i % 8) & 1)
            list[used++] = (struct procfs_member){.fd = (int)i};
    *ret = list;
    *ret_n = used;
    list = NULL;
    r = 0;
out:
    free(bits);
    free(any);
    free(list);
    return r;
}

/* A ring does not say which files its operations are for: any that the process has open. */
static int read_files(int32_t pid, struct procfs_member **ret, size_t *ret_n)
{
    char path[64];
    struct dirent *e;
    size_t n = 0, cap = 64;
    struct procfs_member *list = list_new(cap);

    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *d = list ? opendir(path) : NULL;
    if (!d) {
        free(list);
        return -EACCES;
    }
    while (n < MEMBERS_MAX && (e = readdir(d))) {
        if (e->d_name[0] == '.')
            continue;
        if (n == cap) {
            struct procfs_member *more = reallocarray(list, cap * 2, sizeof *list);
            if (!more)
                break;
            list = more;
            cap *= 2;
        }
        list[n++] = (struct procfs_member){.fd = (int)strtol(e->d_name, NULL, 10)};
    }
    closedir(d);
    *ret = list;
    *ret_n = n;
    return 0;
}

static bool ring_read(struct looker *l, int32_t pid, int fd, struct procfs_ring *ret)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", pid, fd);
    return look_read(l, path) >= 0 && procfs_parse_ring(l->text, ret) == 0;
}

/* A ring may be entered by its number among the registered ones, which leads to no descriptor:
 * then the process's first ring is meant, as it seldom has two. */
bool ring_find(struct looker *l, int32_t pid, int fd, struct procfs_ring *ret)
{
    enum { FD_MOST = 64 };
    char link[64];

    if (ring_read(l, pid, fd, ret))
        return true;
    for (fd = 3; fd < FD_MOST; fd++)
        if (procfs_link(link, sizeof link, "/proc/%d/fd/%d", pid, fd) > 0 &&
            strcmp(link, "anon_inode:[io_uring]") == 0)
            return ring_read(l, pid, fd, ret);
    return false;
}

uint32_t open_count(int32_t pid)
{
    char path[64];
    struct stat st;

    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    return stat(path, &st) == 0 && st.st_size > 0 ? (uint32_t)st.st_size : 0;
}

int members_read(struct looker *l, int32_t pid, const struct call *c, struct procfs_member **ret,
                 size_t *ret_n)
{
    switch (c->how) {
    case CALL_EPOLL:
        return read_epoll(l, pid, c->fd, ret, ret_n);
    case CALL_POLL:
        return read_poll(pid, c, ret, ret_n);
    case CALL_SELECT:
        return read_select(pid, c, ret, ret_n);
    default:
        return read_files(pid, ret, ret_n);
    }
}

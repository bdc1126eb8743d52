/* SPDX-License-Identifier: MIT
 *
 * look.c - what a thread waits for, seen from outside
 *
 * HOW         /proc/P/task/T/syscall names the call and its arguments (calls.c sorts them); the
 *   descriptor among them is followed to a file (file.c), a connection (socket.c) or a poll set
 *   (pollset.c).
 *
 * LIMITS      Locks inside a user-space scheduler, spinning, and what a multiplexed connection
 *   carries are not visible from outside.  A process of another user, or one that is not
 *   dumpable, shows neither its call nor its files.
 */
#include "diag/look.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <hob/trace.h>

#include "diag/look_impl.h"
#include "lib/wall.h"

enum {
    LOOK_SHARE = 150, /* one part in so many of the time may go to connections */
    LOOK_TEXT = 16384,
    LOOK_TEXT_MAX = 64 << 20
};

static const int64_t look_burst = 10 * HOB_MS;

int looker_new(struct recording *rec, struct looker **ret)
{
    struct looker *l = calloc(1, sizeof *l);

    if (!l)
        return -ENOMEM;
    l->cap_text = LOOK_TEXT;
    l->text = malloc(l->cap_text);
    if (!l->text) {
        free(l);
        return -ENOMEM;
    }
    l->rec = rec;
    l->allowance = look_burst;
    l->allowed_at = hob_now();
    for (size_t i = 0; i < LOOK_PROCS; i++)
        l->procs[i].pidfd = -1;
    *ret = l;
    return 0;
}

void looker_free(struct looker *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < LOOK_PROCS; i++)
        if (l->procs[i].pidfd >= 0)
            close(l->procs[i].pidfd);
    pollset_free(l);
    free(l->files);
    free(l->answers);
    free(l->inet.sock);
    free(l->text);
    free(l);
}

struct look_proc *look_proc_of(struct looker *l, int32_t pid)
{
    struct look_proc *p = &l->procs[(uint32_t)pid % LOOK_PROCS];

    if (p->pid != pid) {
        if (p->pidfd >= 0)
            close(p->pidfd);
        *p = (struct look_proc){.pid = pid, .pidfd = -1};
    }
    return p;
}

void looker_gone(struct looker *l, int32_t pid)
{
    struct look_proc *p = &l->procs[(uint32_t)pid % LOOK_PROCS];

    if (p->pid == pid) {
        if (p->pidfd >= 0)
            close(p->pidfd);
        *p = (struct look_proc){.pidfd = -1};
    }
}

struct rec_proc *look_rec_proc(struct looker *l, int32_t pid)
{
    uint32_t at = rec_proc_of(l->rec, pid); /* may move the array */

    return &l->rec->procs[at];
}

/* One open: the kernel makes the whole text at the first read, and again for each new open. */
int look_read(struct looker *l, const char *path)
{
    size_t n = 0;
    ssize_t got = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    while ((got = read(fd, l->text + n, l->cap_text - 1 - n)) > 0) {
        n += (size_t)got;
        if (n + 1 < l->cap_text)
            continue;
        char *larger = l->cap_text < LOOK_TEXT_MAX ? realloc(l->text, l->cap_text * 4) : NULL;
        if (!larger)
            break; /* what fitted */
        l->text = larger;
        l->cap_text *= 4;
    }
    int r = got < 0 ? -errno : (int)n;
    close(fd);
    l->text[n] = '\0';
    return r;
}

int64_t look_cpu(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * HOB_SEC + t.tv_nsec;
}

bool look_allowed(const struct looker *l)
{
    return l->allowance > 0;
}

void look_allow(struct looker *l, int64_t now)
{
    l->allowance += (now - l->allowed_at) / LOOK_SHARE;
    if (l->allowance > look_burst)
        l->allowance = look_burst;
    l->allowed_at = now;
}

/* ns until the wait ends by itself, -1: never or not known. */
static int64_t limit_read(int32_t pid, const struct call *c)
{
    struct timespec spec;
    struct iovec to = {&spec, sizeof spec}, from = {(void *)(uintptr_t)c->limit, sizeof spec};

    if (c->limit_how == CALL_NO_LIMIT)
        return -1;
    if (c->limit_how == CALL_MS)
        return (int32_t)c->limit < 0 ? -1 : (int64_t)(int32_t)c->limit * HOB_MS;
    if (process_vm_readv(pid, &to, 1, &from, 1, 0) != (ssize_t)sizeof spec)
        return -1;
    if (spec.tv_sec < 0 || spec.tv_sec > 1LL << 32)
        return -1;
    int64_t at = (int64_t)spec.tv_sec * HOB_SEC;
    at += c->limit_how == CALL_TIMEVAL ? (int64_t)spec.tv_nsec * 1000 : (int64_t)spec.tv_nsec;
    if (c->limit_how == CALL_MONOTONIC)
        at -= hob_now();
    else if (c->limit_how == CALL_REALTIME)
        at -= wall_ms() * HOB_MS;
    return at < 0 ? 0 : at;
}

static void look_named(struct looker *l, enum rec_kind kind, const char *name, struct look *ret)
{
    ret->kind = (uint8_t)kind;
    ret->peer = name ? rec_peer_of(l->rec, kind, name) : 0;
    ret->in_flight = rec_kind_class(kind) == HOB_CLASS_IO;
}

/* Waits for I/O on one file or connection are one operation. */
static void look_file(struct looker *l, struct look_proc *p, int fd, struct look *ret)
{
    struct file *f;

    ret->kind = REC_UNKNOWN;
    if (fd < 0 || file_of(l, p, fd, &f) < 0)
        return;
    ret->kind = f->kind;
    ret->peer = f->peer;
    ret->in_flight = rec_kind_class((enum rec_kind)f->kind) == HOB_CLASS_IO;
    p->asks |= f->role == FILE_CLIENT;
}

/* A write that ends when what it wrote is safe is a sync of its own: by its own flag, or as the
 * file was opened (O_SYNC has the bit of O_DSYNC). */
static void look_write(struct looker *l, struct look_proc *p, const struct call *c,
                       struct look *ret)
{
    char text[512];
    uint32_t flags = 0;

    look_file(l, p, c->fd, ret);
    if (ret->kind != REC_DISK)
        return;
    if (!c->safe && (procfs_read(text, sizeof text, "/proc/%d/fdinfo/%d", p->pid, c->fd) < 0 ||
                     procfs_parse_flags(text, &flags) < 0))
        return;
    if (c->safe || flags & O_DSYNC)
        look_named(l, REC_FSYNC, l->rec->peers[ret->peer].name, ret);
}

/* Between a file and a connection it is the connection that is slow. */
static void look_two(struct looker *l, struct look_proc *p, const struct call *c, struct look *ret)
{
    struct look other = *ret;

    look_file(l, p, c->fd, ret);
    look_file(l, p, c->to, &other);
    if (ret->kind == REC_UNKNOWN || (ret->kind == REC_DISK && other.kind != REC_UNKNOWN))
        *ret = other;
}

/* A socket that is connecting has no peer's name yet; the call's argument has. */
static void look_connect(struct looker *l, struct look_proc *p, const struct call *c,
                         struct look *ret)
{
    char address[128];
    size_t n = c->n < sizeof address ? (size_t)c->n : sizeof address;
    struct iovec to = {address, n}, from = {(void *)(uintptr_t)c->addr, n};

    if (n && process_vm_readv(p->pid, &to, 1, &from, 1, 0) == (ssize_t)n)
        socket_address(l, address, n, ret);
    else
        look_file(l, p, c->fd, ret);
}

/* Off its core outside a call: a page of a file, a lock of the address space, or a stop. */
static void look_fault(struct looker *l, int32_t pid, int32_t tid, struct look *ret)
{
    char where[64];

    if (procfs_read(where, sizeof where, "/proc/%d/task/%d/wchan", pid, tid) < 0)
        where[0] = '\0';
    if (strstr(where, "stop"))
        look_named(l, REC_SIGNAL, NULL, ret);
    else if (strstr(where, "rwsem") || strstr(where, "mmap") || strstr(where, "vma"))
        look_named(l, REC_LOCK, "address space", ret);
    else
        look_named(l, REC_FAULT, "mapped files", ret);
}

/* Whose set it is tells a loop that does not wait for it. */
static void look_set(struct looker *l, struct look_proc *p, int32_t tid, const struct call *c,
                     struct look *ret)
{
    pollset_look(l, p, c, ret);
    if (c->how == CALL_EPOLL) {
        ret->set_fd = c->fd;
        look_owned(p, c->fd, tid);
    } else if (c->how != CALL_URING) {
        ret->polls = true;
        look_polled(l, p, tid, c, ret);
    }
}

static void look_call(struct looker *l, int32_t pid, int32_t tid, const struct call *c,
                      struct look *ret)
{
    struct look_proc *p = look_proc_of(l, pid);

    switch (c->how) {
    case CALL_FD:
        look_file(l, p, c->fd, ret);
        break;
    case CALL_WRITE:
        look_write(l, p, c, ret);
        break;
    case CALL_TWO_FDS:
        look_two(l, p, c, ret);
        break;
    case CALL_CONNECT:
        look_connect(l, p, c, ret);
        break;
    case CALL_ACCEPT:
        look_named(l, REC_ACCEPT, NULL, ret);
        if (!look_rec_proc(l, pid)->listens)
            l->ports_at = 0; /* one more than was known */
        look_rec_proc(l, pid)->listens = true;
        break;
    case CALL_FSYNC: {
        struct file *f;
        bool named = c->fd >= 0 && file_of(l, p, c->fd, &f) == 0 && f->role == FILE_DISK;
        look_named(l, REC_FSYNC, named ? l->rec->peers[f->peer].name : "all files", ret);
        break;
    }
    case CALL_META:
        look_named(l, REC_DISK, "directories", ret);
        break;
    case CALL_AIO:
        look_named(l, REC_DISK, "asynchronous I/O", ret);
        break;
    case CALL_EPOLL:
    case CALL_POLL:
    case CALL_SELECT:
    case CALL_URING:
        look_set(l, p, tid, c, ret);
        break;
    case CALL_FUTEX:
        look_named(l, REC_LOCK, NULL, ret);
        break;
    case CALL_FLOCK:
        look_named(l, REC_LOCK, "file lock", ret);
        break;
    case CALL_SLEEP:
        look_named(l, REC_SLEEP, NULL, ret);
        break;
    case CALL_CHILD:
        look_named(l, REC_CHILD, NULL, ret);
        break;
    case CALL_SIGNAL:
        look_named(l, REC_SIGNAL, NULL, ret);
        break;
    case CALL_IPC:
        look_named(l, REC_IPC, NULL, ret);
        break;
    case CALL_FAULT:
        look_fault(l, pid, tid, ret);
        break;
    case CALL_OTHER:
        look_named(l, REC_UNKNOWN, NULL, ret);
        break;
    }
}

/* Neither its calls nor its files may be read. */
static void look_opaque(struct looker *l, int32_t pid)
{
    struct rec_proc *p = look_rec_proc(l, pid);

    if (!p->opaque)
        rec_note(l->rec,
                 "process %d: what it waits for may not be read (another user, setuid "
                 "or not dumpable, or kernel.yama.ptrace_scope)",
                 pid);
    p->opaque = true;
}

/* What anybody may see of a thread: whether it runs, and perhaps the kernel function it waits in
 * (which Yama's ptrace_scope does not forbid). */
static int look_outside(int32_t pid, int32_t tid, struct look *ret)
{
    static const uint8_t kinds[] = {
        [CALL_OTHER] = REC_UNKNOWN, [CALL_CONNECT] = REC_NET,   [CALL_ACCEPT] = REC_ACCEPT,
        [CALL_FSYNC] = REC_FSYNC,   [CALL_META] = REC_DISK,     [CALL_EPOLL] = REC_IDLE,
        [CALL_POLL] = REC_IDLE,     [CALL_SELECT] = REC_IDLE,   [CALL_FUTEX] = REC_LOCK,
        [CALL_SLEEP] = REC_SLEEP,   [CALL_CHILD] = REC_CHILD,   [CALL_SIGNAL] = REC_SIGNAL,
        [CALL_FLOCK] = REC_LOCK,    [CALL_URING] = REC_UNKNOWN, [CALL_FAULT] = REC_FAULT,
        [CALL_FD] = REC_UNKNOWN,
    };
    char text[1024];
    struct procfs_stat st;
    int r = procfs_read(text, sizeof text, "/proc/%d/task/%d/stat", pid, tid);

    if (r < 0)
        return -ESRCH;
    if (procfs_parse_stat(text, &st) == 0 && st.state == 'R')
        return LOOK_RUNS;
    if (procfs_read(text, 64, "/proc/%d/task/%d/wchan", pid, tid) <= 0)
        text[0] = '\0';
    enum call_how how = call_of_wchan(text);
    ret->kind = how < sizeof kinds && kinds[how] ? kinds[how] : REC_UNKNOWN;
    if (strstr(text, "pipe"))
        ret->kind = REC_PIPE;
    else if (strstr(text, "tcp") || strstr(text, "sk_wait"))
        ret->kind = REC_NET;
    else if (ret->kind == REC_UNKNOWN && st.state == 'D')
        ret->kind = REC_DISK;
    ret->in_flight = rec_kind_class((enum rec_kind)ret->kind) == HOB_CLASS_IO;
    return LOOK_WAITS;
}

int look_at(struct looker *l, int32_t pid, int32_t tid, struct look *ret)
{
    char text[256];
    struct procfs_call parked;
    int64_t began = hob_now();
    struct look k = {.kind = REC_UNKNOWN,
                     .timeout = -1,
                     .call = -1,
                     .sent_ago = -1,
                     .newest_ago = -1,
                     .set_fd = -1};

    look_allow(l, began);
    l->n_looks++;
    int r = procfs_read(text, sizeof text, "/proc/%d/task/%d/syscall", pid, tid);
    if (r == -ENOENT)
        r = -ESRCH;
    if (r == -EPERM || r == -EACCES) {
        look_opaque(l, pid);
        r = look_outside(pid, tid, &k);
        *ret = k;
        goto out;
    }
    if (r < 0)
        goto out;
    r = procfs_parse_call(text, &parked);
    if (r < 0) {
        *ret = k;
        goto out;
    }
    if (parked.runs || parked.dead) {
        r = parked.runs ? LOOK_RUNS : -ESRCH;
        goto out;
    }
    struct call c = call_of(&parked);
    k.call = (int)parked.nr;
    k.timeout = limit_read(pid, &c);
    look_call(l, pid, tid, &c, &k);
    *ret = k;
    r = LOOK_WAITS;
out:
    l->spent += hob_now() - began;
    return r;
}

uint8_t look_kind_ended(const struct look *k, int64_t lasted)
{
    /* Python's interpreter lock is waited for in turns of 5 ms, each ended by its limit. */
    bool to_its_end = k->timeout >= 10 * HOB_MS && lasted >= k->timeout - k->timeout / 20;

    return k->kind == REC_LOCK && to_its_end ? REC_SLEEP : k->kind;
}

void looker_finish(struct looker *l)
{
    peer_finish(l);
}

int64_t looker_spent(const struct looker *l)
{
    return l->spent;
}

uint64_t looker_count(const struct looker *l)
{
    return l->n_looks;
}

uint64_t looker_asked(const struct looker *l)
{
    return l->n_asked;
}

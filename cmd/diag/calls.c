/* SPDX-License-Identifier: MIT
 *
 * calls.c - which system calls wait, and for what
 *
 * HOW         One table from number to meaning, in which a column says which argument is the
 *   descriptor.  The few calls whose meaning depends on an argument (futex, fcntl, the clocks)
 *   have a function each.
 */
#include "diag/calls.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

/* Not in the headers of every supported system. */
#define CALL_EPOLL_PWAIT2 441
#define CALL_FUTEX_WAITV  449
#define CALL_FUTEX_WAIT   455
#define CALL_RWF_DSYNC    0x2
#define CALL_RWF_SYNC     0x4

struct row {
    uint16_t nr;
    uint8_t how;
    uint8_t fd; /* argument that is the descriptor */
    uint8_t limit_how;
    uint8_t limit; /* argument that is the limit */
};

static const struct row rows[] = {
    {SYS_read, CALL_FD, 0, 0, 0},
    {SYS_write, CALL_WRITE, 0, 0, 0},
    {SYS_pread64, CALL_FD, 0, 0, 0},
    {SYS_pwrite64, CALL_WRITE, 0, 0, 0},
    {SYS_readv, CALL_FD, 0, 0, 0},
    {SYS_writev, CALL_WRITE, 0, 0, 0},
    {SYS_preadv, CALL_FD, 0, 0, 0},
    {SYS_pwritev, CALL_WRITE, 0, 0, 0},
    {SYS_preadv2, CALL_FD, 0, 0, 0},
    {SYS_pwritev2, CALL_WRITE, 0, 0, 0},
    {SYS_recvfrom, CALL_FD, 0, 0, 0},
    {SYS_recvmsg, CALL_FD, 0, 0, 0},
    {SYS_recvmmsg, CALL_FD, 0, CALL_SPEC, 4},
    {SYS_sendto, CALL_FD, 0, 0, 0},
    {SYS_sendmsg, CALL_FD, 0, 0, 0},
    {SYS_sendmmsg, CALL_FD, 0, 0, 0},
    {SYS_vmsplice, CALL_FD, 0, 0, 0},
    {SYS_readahead, CALL_FD, 0, 0, 0},
    {SYS_fadvise64, CALL_FD, 0, 0, 0},
    {SYS_fallocate, CALL_FD, 0, 0, 0},
    {SYS_ftruncate, CALL_FD, 0, 0, 0},
    {SYS_close, CALL_FD, 0, 0, 0},
    {SYS_ioctl, CALL_FD, 0, 0, 0},
    {SYS_fstat, CALL_FD, 0, 0, 0},
    {SYS_getdents64, CALL_FD, 0, 0, 0},
    {SYS_sendfile, CALL_TWO_FDS, 1, 0, 0},
    {SYS_splice, CALL_TWO_FDS, 0, 0, 2},
    {SYS_tee, CALL_TWO_FDS, 0, 0, 1},
    {SYS_copy_file_range, CALL_TWO_FDS, 0, 0, 2},
    {SYS_connect, CALL_CONNECT, 0, 0, 0},
    {SYS_accept, CALL_ACCEPT, 0, 0, 0},
    {SYS_accept4, CALL_ACCEPT, 0, 0, 0},
    {SYS_fsync, CALL_FSYNC, 0, 0, 0},
    {SYS_fdatasync, CALL_FSYNC, 0, 0, 0},
    {SYS_sync_file_range, CALL_FSYNC, 0, 0, 0},
    {SYS_syncfs, CALL_FSYNC, 0, 0, 0},
    {SYS_sync, CALL_FSYNC, UINT8_MAX, 0, 0},
    {SYS_msync, CALL_FSYNC, UINT8_MAX, 0, 0},
    {SYS_openat, CALL_META, 0, 0, 0},
    {SYS_openat2, CALL_META, 0, 0, 0},
    {SYS_newfstatat, CALL_META, 0, 0, 0},
    {SYS_statx, CALL_META, 0, 0, 0},
    {SYS_statfs, CALL_META, 0, 0, 0},
    {SYS_truncate, CALL_META, 0, 0, 0},
    {SYS_faccessat, CALL_META, 0, 0, 0},
    {SYS_faccessat2, CALL_META, 0, 0, 0},
    {SYS_readlinkat, CALL_META, 0, 0, 0},
    {SYS_unlinkat, CALL_META, 0, 0, 0},
    {SYS_mkdirat, CALL_META, 0, 0, 0},
    {SYS_renameat, CALL_META, 0, 0, 0},
    {SYS_renameat2, CALL_META, 0, 0, 0},
    {SYS_linkat, CALL_META, 0, 0, 0},
    {SYS_symlinkat, CALL_META, 0, 0, 0},
    {SYS_fchmodat, CALL_META, 0, 0, 0},
    {SYS_fchownat, CALL_META, 0, 0, 0},
    {SYS_utimensat, CALL_META, 0, 0, 0},
    {SYS_chdir, CALL_META, 0, 0, 0},
    {SYS_getxattr, CALL_META, 0, 0, 0},
    {SYS_setxattr, CALL_META, 0, 0, 0},
    {SYS_mount, CALL_META, 0, 0, 0},
    {SYS_umount2, CALL_META, 0, 0, 0},
    {SYS_execve, CALL_META, 0, 0, 0},
    {SYS_execveat, CALL_META, 0, 0, 0},
    {SYS_epoll_pwait, CALL_EPOLL, 0, CALL_MS, 3},
    {CALL_EPOLL_PWAIT2, CALL_EPOLL, 0, CALL_SPEC, 3},
    {SYS_ppoll, CALL_POLL, 0, CALL_SPEC, 2},
    {SYS_pselect6, CALL_SELECT, 0, CALL_SPEC, 4},
    {SYS_futex, CALL_FUTEX, 0, 0, 0},
    {CALL_FUTEX_WAITV, CALL_FUTEX, 0, CALL_MONOTONIC, 3},
    {CALL_FUTEX_WAIT, CALL_FUTEX, 0, CALL_MONOTONIC, 4},
    {SYS_nanosleep, CALL_SLEEP, 0, CALL_SPEC, 0},
    {SYS_clock_nanosleep, CALL_SLEEP, 0, CALL_SPEC, 2},
    {SYS_wait4, CALL_CHILD, 0, 0, 0},
    {SYS_waitid, CALL_CHILD, 0, 0, 0},
    {SYS_clone, CALL_CHILD, 0, 0, 0}, /* vfork: until the child execs */
    {SYS_clone3, CALL_CHILD, 0, 0, 0},
    {SYS_ptrace, CALL_CHILD, 0, 0, 0},
    {SYS_rt_sigtimedwait, CALL_SIGNAL, 0, 0, 0},
    {SYS_rt_sigsuspend, CALL_SIGNAL, 0, 0, 0},
    {SYS_flock, CALL_FLOCK, 0, 0, 0},
    {SYS_msgrcv, CALL_IPC, 0, 0, 0},
    {SYS_msgsnd, CALL_IPC, 0, 0, 0},
    {SYS_semop, CALL_IPC, 0, 0, 0},
    {SYS_semtimedop, CALL_IPC, 0, CALL_SPEC, 3},
    {SYS_mq_timedreceive, CALL_IPC, 0, CALL_REALTIME, 4},
    {SYS_mq_timedsend, CALL_IPC, 0, CALL_REALTIME, 4},
    {SYS_io_uring_enter, CALL_URING, 0, 0, 0},
    {SYS_io_getevents, CALL_AIO, 0, CALL_SPEC, 4},
    {SYS_io_pgetevents, CALL_AIO, 0, CALL_SPEC, 4},
    {SYS_io_submit, CALL_AIO, 0, 0, 0},
#ifdef __x86_64__ /* newer architectures have only the calls above */
    {SYS_fork, CALL_CHILD, 0, 0, 0},
    {SYS_vfork, CALL_CHILD, 0, 0, 0},
    {SYS_pause, CALL_SIGNAL, 0, 0, 0},
    {SYS_open, CALL_META, 0, 0, 0},
    {SYS_creat, CALL_META, 0, 0, 0},
    {SYS_stat, CALL_META, 0, 0, 0},
    {SYS_lstat, CALL_META, 0, 0, 0},
    {SYS_access, CALL_META, 0, 0, 0},
    {SYS_readlink, CALL_META, 0, 0, 0},
    {SYS_rename, CALL_META, 0, 0, 0},
    {SYS_mkdir, CALL_META, 0, 0, 0},
    {SYS_rmdir, CALL_META, 0, 0, 0},
    {SYS_link, CALL_META, 0, 0, 0},
    {SYS_unlink, CALL_META, 0, 0, 0},
    {SYS_symlink, CALL_META, 0, 0, 0},
    {SYS_chmod, CALL_META, 0, 0, 0},
    {SYS_chown, CALL_META, 0, 0, 0},
    {SYS_getdents, CALL_FD, 0, 0, 0},
    {SYS_epoll_wait, CALL_EPOLL, 0, CALL_MS, 3},
    {SYS_poll, CALL_POLL, 0, CALL_MS, 2},
    {SYS_select, CALL_SELECT, 0, CALL_TIMEVAL, 4},
#endif
};

static const struct row *row_of(long nr)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].nr == nr)
            return &rows[i];
    return NULL;
}

/* FUTEX_WAIT counts from now, FUTEX_WAIT_BITSET and locks to a point in time. */
static void futex_sort(const uint64_t *arg, struct call *c)
{
    int op = (int)arg[1] & FUTEX_CMD_MASK;

    c->addr = arg[0];
    c->limit = arg[3];
    if (c->limit == 0)
        c->limit_how = CALL_NO_LIMIT;
    else if (op == FUTEX_WAIT)
        c->limit_how = CALL_SPEC;
    else if (op == FUTEX_LOCK_PI || ((int)arg[1] & FUTEX_CLOCK_REALTIME))
        c->limit_how = CALL_REALTIME;
    else
        c->limit_how = CALL_MONOTONIC;
}

static void sleep_sort(const uint64_t *arg, struct call *c)
{
    if ((int)arg[1] & TIMER_ABSTIME)
        c->limit_how = (clockid_t)arg[0] == CLOCK_REALTIME ? CALL_REALTIME : CALL_MONOTONIC;
}

struct call call_of(const struct procfs_call *parked)
{
    struct call c = {.how = CALL_OTHER, .fd = -1, .to = -1};
    const uint64_t *arg = parked->arg;

    if (parked->nr == -1) {
        c.how = CALL_FAULT;
        return c;
    }
    if (parked->nr == SYS_fcntl) {
        int op = (int)arg[1];
        bool waits = op == F_SETLKW || op == F_OFD_SETLKW;
        c.how = waits ? CALL_FLOCK : CALL_FD;
        c.fd = (int)arg[0];
        return c;
    }
    const struct row *row = row_of(parked->nr);
    if (!row)
        return c;
    c.how = (enum call_how)row->how;
    c.limit_how = (enum call_limit)row->limit_how;
    if (row->fd < 6)
        c.fd = (int)arg[row->fd];
    if (c.limit_how != CALL_NO_LIMIT)
        c.limit = arg[row->limit];
    if (c.how == CALL_TWO_FDS)
        c.to = (int)arg[row->nr == SYS_sendfile ? 0 : row->limit];
    if (row->nr == SYS_pwritev2)
        c.safe = arg[5] & (CALL_RWF_DSYNC | CALL_RWF_SYNC);
    if (c.how == CALL_POLL) {
        c.addr = arg[0];
        c.n = arg[1];
    } else if (c.how == CALL_SELECT) {
        c.n = arg[0];
        c.addr = arg[1];
        c.addr2 = arg[2];
        c.addr3 = arg[3];
    } else if (c.how == CALL_CONNECT) {
        c.addr = arg[1];
        c.n = arg[2];
    } else if (parked->nr == SYS_futex) {
        futex_sort(arg, &c);
    } else if (c.how == CALL_FUTEX) {
        c.addr = arg[0];
    } else if (parked->nr == SYS_clock_nanosleep) {
        sleep_sort(arg, &c);
    }
    /* A pointer that is NULL is no limit; of milliseconds 0 is one. */
    if (c.limit_how != CALL_MS && c.limit == 0)
        c.limit_how = CALL_NO_LIMIT;
    return c;
}

enum call_how call_of_wchan(const char *name)
{
    static const struct {
        const char *part;
        enum call_how how;
    } known[] = {
        {"futex", CALL_FUTEX},
        {"ep_poll", CALL_EPOLL},
        {"poll_schedule", CALL_POLL},
        {"do_sys_poll", CALL_POLL},
        {"do_poll", CALL_POLL},
        {"do_select", CALL_SELECT},
        {"nanosleep", CALL_SLEEP},
        {"do_wait", CALL_CHILD},
        {"pipe_", CALL_FD},
        {"anon_pipe", CALL_FD},
        {"sk_wait_data", CALL_FD},
        {"tcp_", CALL_FD},
        {"wait_woken", CALL_FD},
        {"unix_stream", CALL_FD},
        {"csk_accept", CALL_ACCEPT},
        {"inet_csk_accept", CALL_ACCEPT},
        {"inet_stream_connect", CALL_CONNECT},
        {"inet_wait_for_connect", CALL_CONNECT},
        {"io_schedule", CALL_META},
        {"folio_wait", CALL_FAULT},
        {"filemap", CALL_FAULT},
        {"sigsuspend", CALL_SIGNAL},
        {"sigtimedwait", CALL_SIGNAL},
        {"do_signal_stop", CALL_SIGNAL},
        {"ptrace_stop", CALL_SIGNAL},
        {"io_cqring", CALL_URING},
        {"jbd2", CALL_FSYNC},
        {"sync", CALL_FSYNC},
        {"n_tty_read", CALL_FD},
        {"locks_lock", CALL_FLOCK},
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strstr(name, known[i].part))
            return known[i].how;
    return CALL_OTHER;
}

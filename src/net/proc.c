/* SPDX-License-Identifier: MIT
 *
 * proc.c - child processes: spawn, wait, signal, stop
 *
 * WHAT        The fibers' side of src/plat/spawn.c, which knows how a process is made.  A child's
 *             end is its pidfd becoming readable, an operation of the loop's poller like any other;
 *             so thousands of children are thousands of parked fibers, and SIGCHLD has no part.
 *
 * HOW         spawn   on a blocking thread: execve reads disks, and the thread that clones stands
 *                     still until it has.  With die_with_parent on the loop's thread: the death
 *                     signal is bound to the thread that clones, and blocking threads come and go
 *             wait    reap without waiting; else park until the pidfd is readable, and again
 *             stop    pipes closed; SIGTERM; wait out the grace; SIGKILL; wait: in a shield
 *
 * INVARIANTS  (I1) a child is reaped once, under the lock; its number is used only before that and
 *                  under the lock, so a signal by number (of a group) reaches no stranger
 *             (I2) stop returns with the child reaped: where the poller fails, the thread waits
 *             (I3) a wait that fails has not reaped: the end is there for the next one
 *
 * LOCKING     p->lock guards `reaped` and `end`, across two system calls that do not block.
 *
 * REJECTED    A close that does not park, and a reaper that ends what was left to it: the child
 *             would outlive the scope that started it, and the program its own end.
 *             SIGCHLD through a signalfd: it coalesces, so each means a waitid of every child.
 */
#include <hob/proc.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hob/bridge.h>
#include <hob/fiber.h>
#include <hob/net.h>

#include "base/opts.h"
#include "net/io.h"
#include "plat/spawn.h"
#include "sync/shield.h"

#define GRACE_DEFAULT (2 * HOB_SEC)

struct hob_proc {
    pthread_mutex_t lock;
    pid_t pid;
    int pidfd;
    int ours[3]; /* our ends of its pipes; -1 */
    hob_dur grace;
    bool group;
    int reaped; /* 0: it may run; 1: `end` is good; -ECHILD: nobody knows */
    struct hob_proc_end end;
};

/* What becomes of a call of hob_proc_spawn. */
struct birth {
    struct spawn spawn;
    int theirs[3]; /* opened for the child; -1 */
    hob_proc *proc;
};

/* ---- spawn ---- */

static int stream_pipe(struct birth *b, int n)
{
    int fd[2], ours = n == 0 ? 1 : 0;

    if (pipe2(fd, O_CLOEXEC) < 0)
        return -errno;
    fcntl(fd[ours], F_SETFL, O_NONBLOCK | fcntl(fd[ours], F_GETFL));
    b->proc->ours[n] = fd[ours];
    b->spawn.std[n] = b->theirs[n] = fd[!ours];
    return 0;
}

static int stream_open(struct birth *b, int n, enum hob_proc_io how, int fd)
{
    switch (how) {
    case HOB_PROC_INHERIT:
        b->spawn.std[n] = SPAWN_INHERIT;
        return 0;
    case HOB_PROC_NULL:
        b->spawn.std[n] = b->theirs[n] = open("/dev/null", O_RDWR | O_CLOEXEC);
        return b->theirs[n] < 0 ? -errno : 0;
    case HOB_PROC_PIPE:
        return stream_pipe(b, n);
    case HOB_PROC_FD:
        b->spawn.std[n] = fd;
        return fd < 0 ? -EBADF : 0;
    case HOB_PROC_STDOUT:
        b->spawn.std[n] = SPAWN_STDOUT;
        return n == 2 ? 0 : -EINVAL;
    }
    return -EINVAL;
}

static int streams_open(struct birth *b, const struct hob_proc_opts *o)
{
    int r = stream_open(b, 0, o->in, o->in_fd);

    if (r == 0)
        r = stream_open(b, 1, o->out, o->out_fd);
    return r < 0 ? r : stream_open(b, 2, o->err, o->err_fd);
}

static int spawn_call(void *arg)
{
    struct birth *b = arg;

    return hob__spawn(&b->spawn, &b->proc->pid, &b->proc->pidfd);
}

/* A process that is no more, or never was. */
static void proc_free(hob_proc *p)
{
    for (int n = 0; n < 3; n++)
        hob_close(p->ours[n]);
    hob_close(p->pidfd);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static hob_proc *proc_new(const struct hob_proc_opts *o)
{
    hob_proc *p = calloc(1, sizeof *p);

    if (!p)
        return NULL;
    pthread_mutex_init(&p->lock, NULL);
    p->pidfd = p->ours[0] = p->ours[1] = p->ours[2] = -1;
    p->grace = o->grace_ns ? o->grace_ns : GRACE_DEFAULT;
    p->group = o->new_group;
    return p;
}

static int spawn_run(struct birth *b, const struct hob_proc_opts *o, struct fiber *f,
                     hob_time until)
{
    int r = streams_open(b, o);

    if (r == 0)
        r = f && !o->die_with_parent ? hob_block(spawn_call, b, until) : spawn_call(b);
    for (int n = 0; n < 3; n++)
        hob_close(b->theirs[n]);
    return r;
}

int hob_proc_spawn(const char *const argv[], const struct hob_proc_opts *opts, hob_time until,
                   hob_proc **ret)
{
    struct hob_proc_opts o;
    struct birth b = {.theirs = {-1, -1, -1}};
    struct fiber *f;
    int r = hob__opts_copy(&o, sizeof o, opts);

    if (r < 0)
        return r;
    if (!argv || !argv[0] || o.grace_ns < 0)
        return -EINVAL;
    if ((r = hob__io_begin_real(&f)) < 0)
        return r;
    b.spawn = (struct spawn){.file = o.file ? o.file : argv[0],
                             .argv = argv,
                             .env = o.env,
                             .cwd = o.cwd,
                             .new_group = o.new_group,
                             .die_with_parent = o.die_with_parent};
    if (!(b.proc = proc_new(&o)))
        return -ENOMEM;
    if ((r = spawn_run(&b, &o, f, until)) < 0)
        proc_free(b.proc);
    else
        *ret = b.proc;
    return r;
}

/* ---- wait ---- */

/* 1: its end is in *ret; 0: it runs; -ECHILD.  (I1) */
static int proc_reap(hob_proc *p, struct hob_proc_end *ret)
{
    int word, r;

    pthread_mutex_lock(&p->lock);
    if (!p->reaped) {
        p->reaped = hob__spawn_reap(p->pidfd, &word);
        if (p->reaped == 1)
            p->end = (struct hob_proc_end){.code = WIFEXITED(word) ? WEXITSTATUS(word) : -1,
                                           .signal = WIFSIGNALED(word) ? WTERMSIG(word) : 0,
                                           .core = WIFSIGNALED(word) && WCOREDUMP(word)};
    }
    if ((r = p->reaped) == 1)
        *ret = p->end;
    pthread_mutex_unlock(&p->lock);
    return r;
}

int hob_proc_wait(hob_proc *p, hob_time until, struct hob_proc_end *ret)
{
    struct fiber *f;
    int r = hob__io_begin_real(&f);

    while (r >= 0 && (r = proc_reap(p, ret)) == 0) {
        struct io io = {.op = {.kind = POLL_READY, .fd = p->pidfd, .events = EPOLLIN}};

        r = f ? hob__io_run(&io, HOB_WAIT_PROCESS, until)
              : hob__thread_poll(p->pidfd, EPOLLIN, until);
    }
    return r < 0 ? r : 0; /* (I3) */
}

/* ---- signals and the end ---- */

int hob_proc_kill(hob_proc *p, int sig)
{
    int r;

    pthread_mutex_lock(&p->lock);
    if (p->reaped)
        r = -ESRCH;
    else if (p->group && kill(-p->pid, sig) == 0) /* (I1) */
        r = 0;
    else /* also when it has left its group */
        r = hob__pidfd_kill(p->pidfd, sig);
    pthread_mutex_unlock(&p->lock);
    return r;
}

/* It will end, or has; this thread waits for that.  (I2) */
static void proc_reap_blocking(hob_proc *p)
{
    siginfo_t info;

    while (waitid(P_PIDFD, (id_t)p->pidfd, &info, WEXITED) < 0 && errno == EINTR)
        continue;
}

static void proc_end(hob_proc *p)
{
    struct hob_proc_end end;
    int r = hob_proc_wait(p, 0, &end);

    if (r == -ETIMEDOUT && hob_proc_kill(p, SIGTERM) == 0)
        r = hob_proc_wait(p, hob_in(p->grace), &end);
    if (r < 0 && r != -ECHILD) {
        (void)!hob_proc_kill(p, SIGKILL);
        hob__pidfd_kill(p->pidfd, SIGKILL); /* it may have left a group that still is */
        r = hob_proc_wait(p, HOB_FOREVER, &end);
    }
    if (r < 0 && r != -ECHILD)
        proc_reap_blocking(p);
}

void hob_proc_stop(hob_proc *p)
{
    bool on_fiber = hob_on_fiber();
    hob_group shield;

    if (!p)
        return;
    for (int n = 0; n < 3; n++)
        hob_close(hob_proc_take_fd(p, n));
    int r = on_fiber ? hob__group_open_shielded(&shield, "end of a process") : 0;
    HOB_ASSERT(r == 0); /* on a fiber it cannot fail */
    proc_end(p);
    if (on_fiber)
        r = hob_group_join(&shield, 0);
    proc_free(p);
}

/* ---- what it has ---- */

int hob_proc_fd(const hob_proc *p, int n)
{
    return n >= 0 && n < 3 && p->ours[n] >= 0 ? p->ours[n] : -EBADF;
}

int hob_proc_take_fd(hob_proc *p, int n)
{
    int fd = hob_proc_fd(p, n);

    if (fd >= 0)
        p->ours[n] = -1;
    return fd;
}

pid_t hob_proc_pid(const hob_proc *p)
{
    return p->pid;
}

/* SPDX-License-Identifier: MIT
 *
 * verify_run.c - one more run of the command, timed and not recorded
 *
 * HOW         fork; the child waits at a pipe until its cores are set and the counters are read,
 *   then execs with one knob turned.  Standard output and error go to /dev/null; standard input is
 *   the first run's when it can be had again.  What other programs took of the cores meanwhile is
 *   counted as in a recording.
 *
 * SIGNALS     From the first to the last run those that end a program are blocked and kept for us.
 *   The terminal sends them to the command as well; what comes to hob alone is passed on.  The
 *   first asks for an end behind this run, the second kills the run.  A job that was stopped and
 *   goes on is known by SIGCONT: its time says nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <hob/hob.h>

#include "diag/load.h"
#include "diag/procfs.h"
#include "diag/verify_impl.h"

static const double foreign_max = .1; /* of the cores: beyond it the time is not the command's */

enum { CPUS = 8192, CPU_BYTES = CPUS / 8, PEERS_MOST = 16 };

/* --- standard input --------------------------------------------------------------------------- */

int verify_input(struct verify_input *ret, struct buf *err)
{
    struct stat st;

    *ret = (struct verify_input){0};
    if (fstat(STDIN_FILENO, &st) < 0)
        return 0; /* closed it stays */
    if (S_ISREG(st.st_mode)) {
        ret->at = lseek(STDIN_FILENO, 0, SEEK_CUR);
        ret->rewind = ret->at >= 0;
        return 0;
    }
    if (S_ISCHR(st.st_mode)) {
        ret->null = isatty(STDIN_FILENO);
        return 0;
    }
    buf_puts(err, "it runs the command again, and standard input is a pipe, a socket or the "
                  "like, which cannot be read twice: give it from a file, or </dev/null");
    return -ESPIPE;
}

/* --- signals ---------------------------------------------------------------------------------- */

static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
enum { N_ENDING = sizeof ending / sizeof *ending };

static void set_of_signals(sigset_t *set, bool children)
{
    sigemptyset(set);
    for (size_t i = 0; i < N_ENDING; i++)
        sigaddset(set, ending[i]);
    sigaddset(set, SIGCONT);
    if (children)
        sigaddset(set, SIGCHLD);
}

void verify_begin(struct verify_session *s)
{
    struct sigaction plain = {.sa_handler = SIG_DFL};
    sigset_t set;

    set_of_signals(&set, true);
    sigaction(SIGCHLD, &plain, &s->child_was);
    sigprocmask(SIG_BLOCK, &set, &s->mask_was);
    if (s->opts->input.rewind)
        s->input_after = lseek(STDIN_FILENO, 0, SEEK_CUR);
}

void verify_end(struct verify_session *s)
{
    if (s->opts->input.rewind && s->input_after >= 0)
        (void)lseek(STDIN_FILENO, s->input_after, SEEK_SET);
    sigaction(SIGCHLD, &s->child_was, NULL);
    sigprocmask(SIG_SETMASK, &s->mask_was, NULL);
}

/* pid: of the run that is under way; 0: none is */
static void on_signal(struct verify_session *s, const siginfo_t *si, pid_t pid)
{
    if (si->si_signo == SIGCHLD)
        return;
    if (si->si_signo == SIGCONT) {
        s->paused = true;
        return;
    }
    if (s->signals++ == 0)
        s->by = si->si_signo;
    if (pid && si->si_code != SI_KERNEL)
        kill(pid, si->si_signo);
    if (pid && s->signals > 1)
        kill(pid, SIGKILL);
}

bool verify_asked_to_end(struct verify_session *s)
{
    const struct timespec now = {0, 0};
    siginfo_t si;
    sigset_t set;

    set_of_signals(&set, false);
    while (sigtimedwait(&set, &si, &now) > 0)
        on_signal(s, &si, 0);
    return s->signals > 0;
}

/* --- cores ------------------------------------------------------------------------------------ */

static int first_of_core(int cpu)
{
    char text[256];

    if (procfs_read(text, sizeof text,
                    "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu) <= 0)
        return cpu;
    return atoi(text);
}

int verify_cores(uint32_t n, int (*first)(int cpu), cpu_set_t *ret, size_t size)
{
    cpu_set_t *usable = CPU_ALLOC(CPUS);
    uint32_t got = 0;

    if (!usable)
        return -ENOMEM;
    CPU_ZERO_S(size, ret);
    if (size > CPU_BYTES || sched_getaffinity(0, size, usable) < 0) {
        CPU_FREE(usable);
        return -EINVAL;
    }
    for (int pass = 0; pass < 2; pass++) /* 0: a thread of each core, 1: the others too */
        for (int cpu = 0; cpu < (int)(size * 8) && got < n; cpu++) {
            if (!CPU_ISSET_S(cpu, size, usable) || CPU_ISSET_S(cpu, size, ret))
                continue;
            int one = pass ? cpu : first ? first(cpu) : first_of_core(cpu);
            if (one != cpu && one >= 0 && CPU_ISSET_S(one, size, usable))
                continue;
            CPU_SET_S(cpu, size, ret);
            got++;
        }
    CPU_FREE(usable);
    return got == n ? 0 : -ENODEV;
}

static int cores_set(pid_t pid, uint32_t n)
{
    cpu_set_t *set = CPU_ALLOC(CPUS);
    int r = set ? verify_cores(n, NULL, set, CPU_BYTES) : -ENOMEM;

    if (r == 0 && sched_setaffinity(pid, CPU_BYTES, set) < 0)
        r = -errno;
    CPU_FREE(set);
    return r;
}

/* --- a run ------------------------------------------------------------------------------------ */

static void to_null(int fd, int flags)
{
    int null = open("/dev/null", flags | O_CLOEXEC);

    if (null >= 0 && null != fd)
        dup2(null, fd);
}

static void child_exec(const struct verify_session *s, const struct knob *k, uint32_t level, int go)
{
    struct sigaction pipe_as_before = {.sa_handler = s->opts->pipe_was};
    char *const *argv = s->opts->argv;
    char byte;

    sigaction(SIGPIPE, &pipe_as_before, NULL);
    sigaction(SIGCHLD, &s->child_was, NULL);
    if (read(go, &byte, 1) < 1) /* not let go: there was no time for it, or hob is dead */
        _exit(126);
    if (s->opts->input.rewind)
        (void)lseek(STDIN_FILENO, s->opts->input.at, SEEK_SET);
    else if (s->opts->input.null)
        to_null(STDIN_FILENO, O_RDONLY);
    to_null(STDOUT_FILENO, O_WRONLY);
    to_null(STDERR_FILENO, O_WRONLY);
    if (level != k->now && k->kind == KNOB_ENV) {
        char *value = knob_value(k, level);
        if (!value || setenv(k->name, value, 1) < 0)
            _exit(126);
    }
    if (level != k->now && k->kind == KNOB_ARGUMENT)
        ((char **)argv)[k->arg] = knob_argument(k, argv, level); /* ours: this is the child */
    sigprocmask(SIG_SETMASK, &s->mask_was, NULL);
    execvp(argv[0], argv);
    _exit(errno == ENOENT ? 127 : 126);
}

/* Waits for it; its status and what it took. */
static int child_wait(struct verify_session *s, pid_t pid, struct rusage *ru)
{
    int status = 0;
    siginfo_t si;
    sigset_t set;

    set_of_signals(&set, true);
    for (;;) {
        pid_t ended = wait4(pid, &status, WNOHANG, ru);

        if (ended == pid)
            return status;
        if (ended < 0 && errno != EINTR)
            return -1;
        if (sigwaitinfo(&set, &si) > 0)
            on_signal(s, &si, pid);
    }
}

static int64_t ns_of(struct timeval t)
{
    return t.tv_sec * HOB_SEC + t.tv_usec * HOB_US;
}

/* The local servers that worked for the first run, and what each has had of the cores so far:
 * they are no other programs. */
struct peers {
    struct {
        uint32_t index; /* in the first run's peers */
        int64_t cpu;    /* ns */
    } peer[PEERS_MOST];
    size_t n;
};

static int64_t cpu_of(int32_t pid)
{
    char text[1024];
    struct procfs_stat st;

    if (procfs_read(text, sizeof text, "/proc/%d/stat", pid) <= 0 ||
        procfs_parse_stat(text, &st) < 0)
        return -1;
    return (int64_t)(st.user + st.sys + st.cuser + st.csys) * (HOB_SEC / sysconf(_SC_CLK_TCK));
}

static void peers_begin(struct peers *p, const struct recording *first)
{
    p->n = 0;
    for (size_t i = 0; i < first->n_peers && p->n < PEERS_MOST; i++) {
        int64_t cpu = first->peers[i].peer_cpu > 0 ? cpu_of(first->peers[i].pid) : -1;
        bool known = false;

        for (size_t k = 0; k < p->n; k++)
            known |= first->peers[p->peer[k].index].pid == first->peers[i].pid;
        if (cpu >= 0 && !known) {
            p->peer[p->n].index = (uint32_t)i;
            p->peer[p->n++].cpu = cpu;
        }
    }
}

static void peers_end(const struct peers *p, const struct recording *first, struct recording *ret)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct rec_peer *was = &first->peers[p->peer[i].index];
        uint32_t at = rec_peer_of(ret, was->kind, was->name ? was->name : "");
        int64_t cpu = cpu_of(was->pid) - p->peer[i].cpu;

        ret->peers[at].pid = was->pid;
        ret->peers[at].peer_cpu = cpu > 0 ? cpu : 0;
    }
}

static double foreign_of(struct load *l, const struct verify_session *s, const struct peers *peers,
                         int64_t wall, const struct rusage *ru, double *ret_cores)
{
    struct recording rec;
    double foreign;

    rec_init(&rec);
    peers_end(peers, s->d->rec, &rec);
    rec.wall = wall;
    rec.user = ns_of(ru->ru_utime);
    rec.system = ns_of(ru->ru_stime);
    load_end(l, &rec);
    foreign = rec.foreign;
    *ret_cores = rec.n_cores;
    rec_free(&rec);
    return foreign;
}

static void sample_judge(const struct verify_session *s, struct verify_sample *ret, double cores)
{
    if (ret->status != s->d->rec->exit_status)
        ret->state = SAMPLE_FAILED;
    else if (s->paused)
        ret->state = SAMPLE_PAUSED;
    else if (ret->foreign > foreign_max * cores)
        ret->state = SAMPLE_LOADED;
    else
        ret->state = SAMPLE_CLEAN;
}

static int fork_stopped(const struct verify_session *s, const struct knob *k, uint32_t level,
                        int *ret_go)
{
    int go[2];

    if (pipe2(go, O_CLOEXEC) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0) {
        close(go[1]);
        child_exec(s, k, level, go[0]);
    }
    int r = pid < 0 ? -errno : pid;
    close(go[0]);
    if (pid < 0)
        close(go[1]);
    else
        *ret_go = go[1];
    return r;
}

int verify_once(struct verify_session *s, const struct knob *k, uint32_t level,
                struct verify_sample *ret)
{
    struct rusage ru = {0};
    struct peers peers;
    struct load load;
    double cores;
    int go = -1, r = 0;

    s->paused = false;
    pid_t pid = fork_stopped(s, k, level, &go);
    if (pid < 0)
        return pid;
    if (k->kind == KNOB_CORES && level != k->now)
        r = cores_set(pid, level);
    load_begin(&load, pid, false, (size_t)sysconf(_SC_NPROCESSORS_CONF));
    peers_begin(&peers, s->d->rec);
    int64_t began = hob_now();
    if (r == 0 && write(go, "g", 1) < 0)
        r = -errno;
    close(go);
    *ret = (struct verify_sample){.status = child_wait(s, pid, &ru)};
    int64_t wall = hob_now() - began;
    ret->seconds = (double)wall * 1e-9;
    ret->foreign = foreign_of(&load, s, &peers, wall, &ru, &cores);
    load_free(&load);
    sample_judge(s, ret, cores);
    return r;
}

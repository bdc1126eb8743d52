/* SPDX-License-Identifier: MIT
 *
 * run.c - running a command, or finding one that runs, under a recorder
 *
 * HOW         fork; the child waits at a pipe until the recorder has its events on it, then execs.
 *             A second pipe, closed by the exec, brings the errno of one that failed.  After that
 *             one loop: signals (a signalfd), the source's descriptor, its ticks.
 *
 * SIGNALS     What a terminal sends goes to the whole process group, so the command has it without
 *             us; what somebody sends to hob alone is passed on.  The two are told apart by
 *             si_code: SI_KERNEL is the terminal.  When the command stops, hob stops as well, so
 *             that the shell that waits for hob sees the job stopped, and goes on with it.
 *
 * DEATH       Should the recorder be killed, the pipe ends and the child execs all the same; its
 *             events go with the recorder's descriptors.
 *
 * REJECTED    A process group of its own for the command: it would have to be made the terminal's
 *   foreground group, and `hob diagnose CMD | less` is one job of two groups then.  ptrace: what
 *   the program sees of itself changes, and it dies or hangs with its tracer.
 */
#include "diag/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <hob/hob.h>

#include "diag/command.h"
#include "diag/load.h"
#include "diag/own_trace.h"
#include "diag/source.h"
#include "lib/wall.h"

struct run {
    const struct run_opts *opts;
    struct recording *rec;
    struct run_end *end;
    pid_t root;
    bool root_lives; /* not waited for yet; of an attached one: not seen to end */
    bool over;
    int go, failed; /* pipes to and from the child before its exec */
    int signals, pidfd;
    sigset_t mask_was;
    struct sigaction child_was;
    const struct rec_source *source;
    void *state;
    struct rec_begin begin;
    struct load load;
    int64_t user, system; /* CPU time of children that were waited for before this run */
    struct live *live;    /* NULL: no view, or no more */
    int64_t look_at;      /* when opts->look is due */
    struct own_trace own;
};

#define LOOK_FIRST (10 * HOB_MS)

static const int passed_on[] = {SIGINT,  SIGTERM, SIGHUP,  SIGQUIT, SIGWINCH,
                                SIGTSTP, SIGCONT, SIGUSR1, SIGUSR2};
enum { N_PASSED_ON = sizeof passed_on / sizeof *passed_on };

/* --- the command ------------------------------------------------------------------------------ */

static void child_exec(struct run *run, int go, int failed)
{
    struct sigaction pipe_as_before = {.sa_handler = run->opts->pipe_was};
    char byte;

    sigaction(SIGPIPE, &pipe_as_before, NULL);
    sigaction(SIGCHLD, &run->child_was, NULL);
    while (read(go, &byte, 1) < 0 && errno == EINTR)
        ;
    sigprocmask(SIG_SETMASK, &run->mask_was, NULL);
    if (run->own.env)
        setenv("HOB_TRACE", run->own.env, 1);
    execvp(run->opts->argv[0], run->opts->argv);
    int e = errno;
    if (write(failed, &e, sizeof e) < 0)
        _exit(126);
    _exit(e == ENOENT || e == ENOTDIR ? 127 : 126);
}

static int command_fork(struct run *run)
{
    int go[2], failed[2], r = 0;

    if (pipe2(go, O_CLOEXEC) < 0)
        return -errno;
    if (pipe2(failed, O_CLOEXEC) < 0) {
        r = -errno;
        close(go[0]);
        close(go[1]);
        return r;
    }
    run->root = fork();
    if (run->root == 0) {
        close(go[1]); /* else it would wait for itself should the recorder die */
        close(failed[0]);
        child_exec(run, go[0], failed[1]);
    }
    if (run->root < 0)
        r = -errno;
    close(go[0]);
    close(failed[1]);
    run->go = go[1];
    run->failed = failed[0];
    run->root_lives = r == 0;
    return r;
}

/* Lets the command go; what its exec said, 0: it runs. */
static int command_go(struct run *run)
{
    int e = 0;
    ssize_t n;

    run->begin.base = hob_now();
    close(run->go);
    run->go = -1;
    do {
        n = read(run->failed, &e, sizeof e);
    } while (n < 0 && errno == EINTR);
    close(run->failed);
    run->failed = -1;
    return n == sizeof e ? -e : 0;
}

/* --- signals ---------------------------------------------------------------------------------- */

static int signals_open(struct run *run)
{
    struct sigaction plain = {.sa_handler = SIG_DFL};
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    for (size_t i = 0; i < N_PASSED_ON; i++)
        sigaddset(&set, passed_on[i]);
    sigaction(SIGCHLD, &plain, &run->child_was); /* ignored, there would be no status to wait for */
    sigprocmask(SIG_BLOCK, &set, &run->mask_was);
    run->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return run->signals < 0 ? -errno : 0;
}

static void signals_close(struct run *run)
{
    if (run->signals >= 0)
        close(run->signals);
    sigaction(SIGCHLD, &run->child_was, NULL);
    sigprocmask(SIG_SETMASK, &run->mask_was, NULL);
}

static bool ends_a_recording(uint32_t sig)
{
    return sig == SIGINT || sig == SIGTERM || sig == SIGHUP || sig == SIGQUIT;
}

/* As a job of a shell; until somebody continues it. */
static void stop(struct run *run)
{
    if (run->live)
        live_leave(run->live);
    raise(SIGSTOP);
}

static void on_signal(struct run *run, const struct signalfd_siginfo *si)
{
    bool ours = run->opts->argv && run->root_lives; /* the command is there to have it */

    if (si->ssi_signo == SIGCHLD)
        return; /* waited for after every wake */
    if (si->ssi_signo == SIGWINCH && run->live)
        live_resized(run->live);
    if (ours) {
        if (si->ssi_code != SI_KERNEL)
            kill(run->root, (int)si->ssi_signo);
    } else if (ends_a_recording(si->ssi_signo)) {
        run->end->stopped = run->over = true;
    } else if (si->ssi_signo == SIGTSTP) {
        stop(run);
    }
}

/* Without a terminal no shell waits to see the job stopped, and nobody would continue us. */
static bool has_terminal(void)
{
    int fd = open("/dev/tty", O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* The children that have changed: the command, and what it left behind. */
static void children_wait(struct run *run)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED | __WALL)) > 0) {
        if (pid != run->root)
            continue;
        if (WIFSTOPPED(status)) {
            if (has_terminal())
                stop(run);
            continue;
        }
        run->root_lives = false;
        run->end->ended = true;
        run->end->status = status;
        if (!run->opts->follow)
            run->over = true;
    }
    if (pid < 0 && errno == ECHILD && run->opts->argv)
        run->over = true;
}

/* --- the loop --------------------------------------------------------------------------------- */

static int64_t now_of(const struct run *run)
{
    return hob_now() - run->begin.base;
}

static void signals_read(struct run *run)
{
    struct signalfd_siginfo si;

    while (read(run->signals, &si, sizeof si) == sizeof si)
        on_signal(run, &si);
    children_wait(run);
}

/* A picture, if there is a view and it is time for one.  Returns ns until the next. */
static int64_t view_tick(struct run *run)
{
    if (!run->live)
        return INT64_MAX;
    int64_t next = live_tick(run->live, now_of(run));
    run->begin.aside = live_cpu(run->live);
    return next;
}

/* q: a program that was there before us is left alone, a command goes on without a view. */
static void view_keys(struct run *run)
{
    if (!live_wants_end(run->live))
        return;
    if (run->opts->argv) {
        live_close(run->live);
        run->live = NULL;
    } else {
        run->end->stopped = run->over = true;
    }
}

static void run_wait(struct run *run, int source, int64_t wait, int64_t *due)
{
    struct timespec ts = {.tv_sec = wait / HOB_SEC, .tv_nsec = wait % HOB_SEC};
    struct pollfd p[] = {{.fd = run->signals, .events = POLLIN},
                         {.fd = source, .events = POLLIN},
                         {.fd = run->pidfd, .events = POLLIN},
                         {.fd = run->live ? live_fd(run->live) : -1, .events = POLLIN}};

    if (ppoll(p, sizeof p / sizeof *p, &ts, NULL) <= 0)
        return;
    if (p[0].revents)
        signals_read(run);
    if (p[1].revents)
        *due = 0;
    if (p[2].revents) {
        run->root_lives = false;
        run->over = true;
    }
    if (p[3].revents)
        view_keys(run);
}

static void look_tick(struct run *run, int64_t now)
{
    if (!run->opts->look || now < run->look_at)
        return;
    run->opts->look(run->opts->arg, run->rec);
    run->look_at = 2 * now > LOOK_FIRST ? 2 * now : LOOK_FIRST;
}

static void run_loop(struct run *run)
{
    int fd = run->source->fd ? run->source->fd(run->state) : -1;
    int64_t due = 0;

    while (!run->over) {
        int64_t now = now_of(run);

        if (now >= due)
            due = now + run->source->tick(run->state, now);
        int64_t view = view_tick(run), wait = due - now_of(run);
        if (view < wait)
            wait = view;
        run_wait(run, fd, wait < 0 ? 0 : wait, &due);
        if (run->opts->most && now_of(run) >= run->opts->most)
            run->over = true;
        load_tick(&run->load, now_of(run), run->root);
        look_tick(run, now_of(run));
    }
}

static void view_open(struct run *run)
{
    const struct live_of of = {
        .rec = run->rec, .source = run->source, .state = run->state, .load = &run->load};

    if (run->opts->live && live_open(run->opts->live, &of, &run->live) < 0)
        run->rec->failed = true;
}

/* --- choosing a source ------------------------------------------------------------------------ */

static bool elsewhere(int r)
{
    return r == -EACCES || r == -EPERM || r == -ENOSYS || r == -ENOENT || r == -EOPNOTSUPP ||
           r == -EINVAL || r == -E2BIG || r == -EMFILE;
}

/* The best first. */
static const struct rec_source *const sources[] = {&rec_source_perf, &rec_source_sample};
enum { N_SOURCES = sizeof sources / sizeof *sources };

static int tier_number(const struct rec_source *source)
{
    return source->tier == REC_T2 ? 2 : 1;
}

/* The first source that the system lets us have; why it refused a better one becomes a note. */
static int source_start(struct run *run, struct buf *err)
{
    const char *why = "there is no such tier";
    int r = -ENOSYS;

    for (size_t i = 0; r < 0 && elsewhere(r) && i < N_SOURCES; i++) {
        if (run->opts->tier && run->opts->tier != tier_number(sources[i]))
            continue;
        r = sources[i]->start(&run->begin, &run->state, &why);
        if (r == 0)
            run->source = sources[i];
        else if (elsewhere(r) && !run->opts->tier && i + 1 < N_SOURCES)
            rec_note(run->rec, "not tier %d: %s", tier_number(sources[i]), why);
    }
    if (r < 0)
        buf_printf(err, "no recording: %s", why);
    return r;
}

/* --- begin and end ---------------------------------------------------------------------------- */

static int64_t cpu_of(int who, int64_t *ret_user, int64_t *ret_system)
{
    struct rusage u;

    getrusage(who, &u);
    *ret_user = u.ru_utime.tv_sec * HOB_SEC + u.ru_utime.tv_usec * HOB_US;
    *ret_system = u.ru_stime.tv_sec * HOB_SEC + u.ru_stime.tv_usec * HOB_US;
    return *ret_user + *ret_system;
}

static int run_begin(struct run *run, struct buf *err)
{
    int r = signals_open(run);

    run->rec->n_cpus = (uint32_t)sysconf(_SC_NPROCESSORS_CONF);
    run->rec->attached = !run->opts->argv;
    if (r == 0 && run->opts->argv) {
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        if (!run->opts->tier)
            own_trace_open(&run->own);
        r = command_fork(run);
    } else if (r == 0) {
        run->root = run->opts->attach;
        run->pidfd = (int)syscall(SYS_pidfd_open, run->root, 0);
        r = run->pidfd < 0 ? -errno : 0;
        run->root_lives = r == 0;
        if (r == 0 && !run->opts->tier)
            own_trace_of(&run->own, run->root, run->rec);
    }
    if (r < 0) {
        if (!run->opts->argv)
            buf_printf(err, "process %d: ", run->root);
        buf_puts(err, hob_strerror(r));
        return r;
    }
    run->rec->root = run->root;
    command_note(run->rec, run->opts->argv, run->root);
    run->rec->began = wall_ms() * HOB_MS;
    load_begin(&run->load, run->root, run->rec->attached, run->rec->n_cpus);
    run->begin = (struct rec_begin){
        .rec = run->rec, .base = hob_now(), .root = run->root, .attached = run->opts->argv == NULL};
    return source_start(run, err);
}

/* What the recording says of the whole. */
static void run_sums(struct run *run, int64_t cpu_before, int64_t cpu_meanwhile)
{
    struct recording *rec = run->rec;
    int64_t user, system;

    rec->recorder_cpu = cpu_of(RUSAGE_SELF, &user, &system) - cpu_before;
    if (!rec->attached && run->end->ended) {
        children_wait(run); /* those that died with it, and were not its children any more */
        cpu_of(RUSAGE_CHILDREN, &user, &system);
        rec->user = user - run->user;
        rec->system = system - run->system;
        load_unreaped(rec, &rec->user, &rec->system);
    }
    load_end(&run->load, rec);
    rec->recorder_cpu = cpu_meanwhile - cpu_before; /* what came after disturbed nobody */
    rec->exit_status = run->end->ended ? run->end->status : -1;
}

/* Says which processes of the tree go on without us. */
static void say_what_goes_on(struct run *run)
{
    const struct rec_proc *some = NULL;
    size_t n = 0;

    for (size_t i = 0; run->end->ended && i < run->rec->n_procs; i++) {
        const struct rec_proc *p = &run->rec->procs[i];

        if (p->died != INT64_MAX || p->pid == run->root || p->pid <= 0 || kill(p->pid, 0) < 0)
            continue;
        some = p;
        n++;
    }
    if (n == 0)
        return;
    const char *name = strrchr(some->exe, '/');
    rec_note(run->rec,
             "%zu of the processes it started go on without it (%d %s); --follow "
             "records them to their end",
             n, some->pid, name ? name + 1 : some->exe);
}

int run_record(const struct run_opts *opts, struct recording *rec, struct run_end *ret,
               struct buf *err)
{
    struct run run = {
        .opts = opts, .rec = rec, .end = ret, .go = -1, .failed = -1, .signals = -1, .pidfd = -1};
    int64_t user, system, cpu = cpu_of(RUSAGE_SELF, &user, &system);

    *ret = (struct run_end){0};
    cpu_of(RUSAGE_CHILDREN, &run.user, &run.system);
    int r = run_begin(&run, err);
    if (r == 0 && opts->argv) {
        int e = command_go(&run);

        ret->not_found = e == -ENOENT || e == -ENOTDIR;
        ret->not_run = e < 0 && !ret->not_found;
        if (e < 0)
            buf_printf(err, "%s: %s", opts->argv[0], hob_strerror(e));
    }
    if (r == 0) {
        if (!ret->not_found && !ret->not_run)
            view_open(&run);
        run_loop(&run);
        live_close(run.live);
        int64_t meanwhile = cpu_of(RUSAGE_SELF, &user, &system);

        rec->wall = now_of(&run);
        run.source->stop(run.state, rec->wall);
        own_trace_join(&run.own, rec, run.begin.base);
        if (opts->argv && !ret->not_found && !ret->not_run)
            command_file_note(rec, opts->argv[0]);
        run_sums(&run, cpu, meanwhile);
        say_what_goes_on(&run);
    } else if (run.root_lives && opts->argv) {
        kill(run.root, SIGKILL); /* it has not begun */
        waitpid(run.root, NULL, 0);
    }
    if (run.go >= 0)
        close(run.go);
    if (run.failed >= 0)
        close(run.failed);
    if (run.pidfd >= 0)
        close(run.pidfd);
    load_free(&run.load);
    own_trace_close(&run.own);
    signals_close(&run);
    return r;
}

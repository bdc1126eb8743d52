/* SPDX-License-Identifier: MIT */
#include <hob/hob.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/t.h"
#include "net_util.h"

static int open_fds(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");

    CHECK(d != NULL);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* No child, running or a zombie. */
static void no_child(void)
{
    CHECK_INT(waitpid(-1, NULL, WNOHANG), -1);
    CHECK_INT(errno, ECHILD);
}

/* The body as a fiber of the only loop and of the second one on both pollers, and on a plain
 * thread; each leaves neither a child nor a descriptor. */
static int on_second(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true));

    for (unsigned i = 0; i < 2 && r == 0; i++)
        r = hob_go(&g, *(hob_fn *)arg, NULL);
    return hob_group_join(&g, r);
}

static void everywhere(hob_fn body)
{
    int before = open_fds();

    on_pollers(body, NULL, 0);
    setenv("HOB_LOOPS", "2", 1);
    on_pollers(on_second, &body, 0);
    unsetenv("HOB_LOOPS");
    CHECK_INT(body(NULL), 0);
    no_child();
    CHECK_INT(open_fds(), before);
}

#define SH(script) ((const char *[]){"sh", "-c", (script), NULL})

/* All of a pipe. */
static ssize_t read_all(int fd, char *to, size_t size)
{
    size_t n = 0;
    ssize_t r;

    while ((r = hob_read(fd, to + n, size - 1 - n, HOB_FOREVER)) > 0)
        n += (size_t)r;
    to[n] = '\0';
    return r < 0 ? r : (ssize_t)n;
}

static void ends_with(const char *const *argv, int code, int sig)
{
    struct hob_proc_end end;
    hob_proc *p;

    CHECK_INT(hob_proc_spawn(argv, NULL, HOB_FOREVER, &p), 0);
    CHECK_INT(hob_proc_wait(p, HOB_FOREVER, &end), 0);
    CHECK_INT(end.code, code);
    CHECK_INT(end.signal, sig);
    CHECK_INT(hob_proc_wait(p, 0, &end), 0); /* again, and at once */
    CHECK_INT(end.code, code);
    CHECK_INT(hob_proc_kill(p, SIGTERM), -ESRCH);
    hob_proc_stop(p);
}

static int says_how_it_ended(void *arg)
{
    (void)arg;
    ends_with(SH("exit 0"), 0, 0);
    ends_with(SH("exit 7"), 7, 0);
    ends_with(SH("exit 255"), 255, 0);
    ends_with(SH("kill -9 $$"), -1, SIGKILL);
    ends_with(SH("kill -15 $$"), -1, SIGTERM);
    return 0;
}

TEST(a_wait_tells_status_and_signal)
{
    everywhere(says_how_it_ended);
}

static int is_piped(void *arg)
{
    const char *argv[] = {"cat", NULL};
    char out[64], err[64];
    struct hob_proc_end end;
    hob_proc *p;
    int fd;

    (void)arg;
    CHECK_INT(hob_proc_spawn(argv, HOB_PROC_OPTS(.in = HOB_PROC_PIPE, .out = HOB_PROC_PIPE),
                             HOB_FOREVER, &p),
              0);
    CHECK_INT(hob_proc_fd(p, 2), -EBADF);
    CHECK_INT(hob_proc_fd(p, 3), -EBADF);
    CHECK_INT(hob_proc_fd(p, -1), -EBADF);
    CHECK_INT(hob_write(hob_proc_fd(p, 0), "through", 7, HOB_FOREVER), 7);
    CHECK_INT(hob_read(hob_proc_fd(p, 1), out, sizeof out, HOB_FOREVER), 7);
    CHECK(memcmp(out, "through", 7) == 0);
    hob_close(hob_proc_take_fd(p, 0));
    CHECK_INT(hob_proc_fd(p, 0), -EBADF);
    CHECK_INT(hob_read(hob_proc_fd(p, 1), out, sizeof out, HOB_FOREVER), 0);
    CHECK_INT(hob_proc_wait(p, HOB_FOREVER, &end), 0);
    CHECK_INT(end.code, 0);
    hob_proc_stop(p);

    CHECK_INT(hob_proc_spawn(
                  SH("echo out; echo err >&2"),
                  HOB_PROC_OPTS(.in = HOB_PROC_NULL, .out = HOB_PROC_PIPE, .err = HOB_PROC_PIPE),
                  HOB_FOREVER, &p),
              0);
    CHECK_INT(read_all(hob_proc_fd(p, 1), out, sizeof out), 4);
    CHECK_INT(read_all(hob_proc_fd(p, 2), err, sizeof err), 4);
    CHECK_STR(out, "out\n");
    CHECK_STR(err, "err\n");
    hob_proc_stop(p);

    CHECK_INT(hob_proc_spawn(
                  SH("cat; echo err >&2; echo out"),
                  HOB_PROC_OPTS(.in = HOB_PROC_NULL, .out = HOB_PROC_PIPE, .err = HOB_PROC_STDOUT),
                  HOB_FOREVER, &p),
              0);
    CHECK_INT(read_all(hob_proc_fd(p, 1), out, sizeof out), 8);
    CHECK_STR(out, "err\nout\n");
    fd = hob_proc_take_fd(p, 1);
    hob_proc_stop(p);
    hob_close(fd); /* the caller's since it was taken */
    return 0;
}

TEST(standard_streams_are_pipes_null_and_each_other)
{
    everywhere(is_piped);
}

/* Standard output to a file, and the streams crosswise: what is to be 0 stands at 1. */
static int is_given(void *arg)
{
    char text[16] = {0};
    hob_proc *p;
    int pipe_fd[2], in[2];

    (void)arg;
    CHECK_INT(pipe(pipe_fd), 0);
    CHECK_INT(pipe(in), 0);
    CHECK_INT(write(in[1], "crossed", 7), 7);
    close(in[1]);
    CHECK_INT(hob_proc_spawn(SH("cat >&2"),
                             HOB_PROC_OPTS(.in = HOB_PROC_FD, .in_fd = in[0], .out = HOB_PROC_NULL,
                                           .err = HOB_PROC_FD, .err_fd = pipe_fd[1]),
                             HOB_FOREVER, &p),
              0);
    close(pipe_fd[1]);
    close(in[0]);
    CHECK_INT(read_all(pipe_fd[0], text, sizeof text), 7);
    CHECK_STR(text, "crossed");
    hob_proc_stop(p);
    close(pipe_fd[0]);
    return 0;
}

TEST(a_stream_may_be_a_descriptor_of_ours)
{
    everywhere(is_given);
}

/* In a process whose own 0, 1 and 2 are closed, so that pipes and error pipe land there. */
static int has_no_streams(void *arg)
{
    char text[16] = {0};
    hob_proc *p;
    int kept = fcntl(2, F_DUPFD_CLOEXEC, 10);

    (void)arg;
    close(0);
    close(1);
    close(2);
    int r = hob_proc_spawn(
        SH("cat <&0 >&2; echo ok"),
        HOB_PROC_OPTS(.in = HOB_PROC_NULL, .out = HOB_PROC_PIPE, .err = HOB_PROC_STDOUT),
        HOB_FOREVER, &p);
    ssize_t n = r == 0 ? read_all(hob_proc_fd(p, 1), text, sizeof text) : r;
    if (r == 0)
        hob_proc_stop(p);
    dup2(kept, 0);
    dup2(kept, 1);
    dup2(kept, 2);
    close(kept);
    CHECK_INT(n, 3);
    CHECK_STR(text, "ok\n");
    return 0;
}

TEST(streams_are_right_where_ours_are_closed)
{
    int out = fcntl(1, F_DUPFD, 20);

    CHECK_INT(hob_run(NULL, has_no_streams, NULL), 0);
    dup2(out, 1);
    close(out);
    no_child();
}

static void fails_with(int want, const char *const *argv, const struct hob_proc_opts *o)
{
    hob_proc *p = (hob_proc *)1;

    CHECK_INT(hob_proc_spawn(argv, o, HOB_FOREVER, &p), want);
    CHECK(p == (hob_proc *)1);
    no_child();
}

static char plain_file[] = "/tmp/hob-proc-XXXXXX";

static int fails_exactly(void *arg)
{
    const char *none[] = {"hob-no-such-program", NULL}, *path[] = {"/nowhere/at-all", NULL};
    const char *dir[] = {"/etc", NULL}, *script[] = {plain_file, NULL}, *empty[] = {"", NULL};
    const char *no_args[] = {NULL}, *ok[] = {"true", NULL}, *slash[] = {"/etc/passwd/x", NULL};

    (void)arg;
    fails_with(-ENOENT, none, NULL);
    fails_with(-ENOENT, path, NULL);
    fails_with(-ENOENT, empty, NULL);
    fails_with(-ENOTDIR, slash, NULL);
    fails_with(-EACCES, dir, NULL);
    fails_with(-ENOEXEC, script, NULL);
    fails_with(-ENOENT, ok, HOB_PROC_OPTS(.cwd = "/nowhere"));
    fails_with(-ENOENT, ok, HOB_PROC_OPTS(.file = "/nowhere"));
    fails_with(-EBADF, ok, HOB_PROC_OPTS(.in = HOB_PROC_FD, .in_fd = -1));
    fails_with(-EBADF, ok, HOB_PROC_OPTS(.out = HOB_PROC_FD, .out_fd = 987));
    fails_with(-EINVAL, ok, HOB_PROC_OPTS(.in = HOB_PROC_STDOUT));
    fails_with(-EINVAL, ok, HOB_PROC_OPTS(.grace_ns = -1));
    fails_with(-EINVAL, ok, HOB_PROC_OPTS(.out = (enum hob_proc_io)9));
    fails_with(-EINVAL, no_args, NULL);
    return 0;
}

TEST(what_exec_says_is_what_spawn_returns)
{
    int fd = mkstemp(plain_file);

    CHECK(fd >= 0);
    CHECK_INT(write(fd, "\1\2 no program", 13), 13);
    CHECK_INT(fchmod(fd, 0755), 0);
    close(fd);
    /* Once more each; two loops at once would see each other's children in no_child. */
    on_pollers(fails_exactly, NULL, 0);
    CHECK_INT(fails_exactly(NULL), 0);
    unlink(plain_file);
}

static int has_options(void *arg)
{
    const char *env[] = {"HOB_X=1", "PATH=/usr/bin:/bin", NULL};
    char text[256];
    const char *argv[] = {"other-name", "-c", "echo $0 $HOB_X ${HOME-none} $PWD", NULL};
    hob_proc *p;

    (void)arg;
    CHECK_INT(
        hob_proc_spawn(argv,
                       HOB_PROC_OPTS(.file = "sh", .env = env, .cwd = "/usr", .out = HOB_PROC_PIPE),
                       HOB_FOREVER, &p),
        0);
    CHECK(read_all(hob_proc_fd(p, 1), text, sizeof text) > 0);
    CHECK_STR(text, "other-name 1 none /usr\n");
    hob_proc_stop(p);
    return 0;
}

TEST(environment_directory_and_name_are_as_asked_for)
{
    everywhere(has_options);
}

/* Its descriptors, blocked and ignored signals, as the kernel tells them. */
static int is_clean(void *arg)
{
    char text[1024];
    const char *argv[] = {"sh", "-c",
                          "ls /proc/self/fd; grep -E 'Sig(Blk|Ign)' "
                          "/proc/self/status",
                          NULL};
    hob_proc *p;
    int leak = open("/dev/null", O_RDWR); /* not close-on-exec, as a library's may be */
    sigset_t block, old;

    (void)arg;
    sigemptyset(&block);
    sigaddset(&block, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &block, &old);
    CHECK_INT(hob_proc_spawn(argv, HOB_PROC_OPTS(.out = HOB_PROC_PIPE), HOB_FOREVER, &p), 0);
    CHECK(read_all(hob_proc_fd(p, 1), text, sizeof text) > 0);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    /* ls has its own /proc/self/fd open, as 3. */
    CHECK_STR(text, "0\n1\n2\n3\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    hob_proc_stop(p);
    close(leak);
    return 0;
}

static void on_usr2(int sig)
{
    (void)sig;
}

TEST(a_child_has_no_descriptor_and_no_signal_setting_of_ours)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR2, on_usr2);
    everywhere(is_clean);
}

static hob_proc *sleeper(const struct hob_proc_opts *o)
{
    const char *argv[] = {"sleep", "1000", NULL};
    hob_proc *p;

    CHECK_INT(hob_proc_spawn(argv, o, HOB_FOREVER, &p), 0);
    return p;
}

static int waits(void *arg)
{
    struct hob_proc_end end = {.code = 77};
    int r = hob_proc_wait(arg, HOB_FOREVER, &end);

    CHECK(r == 0 || end.code == 77);
    return r;
}

static int wait_cancelled(void *arg)
{
    struct hob_proc_end end;
    hob_proc *p = sleeper(NULL);
    hob_group g;
    int r = hob_group_open(&g, NULL);

    (void)arg;
    for (int i = 0; i < 3 && r == 0; i++)
        r = hob_go(&g, waits, p);
    if (r == 0)
        r = hob_yield();
    hob_group_cancel(&g, -ESTALE);
    CHECK_INT(hob_group_join(&g, r), -ESTALE);
    CHECK_INT(hob_proc_wait(p, hob_in(2 * HOB_MS), &end), -ETIMEDOUT);
    CHECK_INT(hob_proc_wait(p, 0, &end), -ETIMEDOUT);
    CHECK_INT(kill(hob_proc_pid(p), 0), 0); /* it lives on */

    CHECK_INT(hob_group_open(&g, HOB_GROUP_OPTS(.spread = true)), 0);
    for (int i = 0; i < 3 && r == 0; i++)
        r = hob_go(&g, waits, p);
    CHECK_INT(r, 0);
    CHECK_INT(hob_proc_kill(p, SIGUSR1), 0);
    CHECK_INT(hob_group_join(&g, r), 0); /* all of them are told */
    CHECK_INT(hob_proc_wait(p, 0, &end), 0);
    CHECK_INT(end.signal, SIGUSR1);
    hob_proc_stop(p);
    return 0;
}

TEST(a_cancelled_wait_leaves_the_child_alone)
{
    on_pollers(wait_cancelled, NULL, 0);
    setenv("HOB_LOOPS", "2", 1);
    on_pollers(wait_cancelled, NULL, 0);
    no_child();
}

static int stops_sleeper(void *arg)
{
    (void)arg;
    hob_proc_stop(sleeper(NULL));
    hob_proc_stop(NULL);
    return 0;
}

TEST(stop_ends_and_reaps_what_runs)
{
    everywhere(stops_sleeper);
}

/* It says when SIGTERM is ignored, so that the test knows; so does its child. */
static int is_stubborn(void *arg)
{
    hob_proc *p;
    char c;

    (void)arg;
    CHECK_INT(
        hob_proc_spawn(SH("trap '' TERM; echo; sleep 1000 & wait; sleep 1000"),
                       HOB_PROC_OPTS(.out = HOB_PROC_PIPE, .grace_ns = HOB_MS, .new_group = true),
                       HOB_FOREVER, &p),
        0);
    CHECK_INT(hob_read(hob_proc_fd(p, 1), &c, 1, HOB_FOREVER), 1);
    int left = hob_proc_take_fd(p, 1); /* its end: nobody of the group has the other one open */
    hob_proc_stop(p);
    CHECK_INT(hob_read(left, &c, 1, HOB_FOREVER), 0);
    hob_close(left);
    return 0;
}

TEST(stop_kills_a_whole_group_after_the_grace)
{
    everywhere(is_stubborn);
}

static int stops_cancelled(void *arg)
{
    hob_proc **p = arg;

    CHECK_INT(hob_check(), -ECANCELED);
    hob_proc_stop(*p);
    return 0;
}

static int in_cancelled_scope(void *arg)
{
    hob_proc *p = sleeper(NULL);
    hob_group g;

    (void)arg;
    CHECK_INT(hob_group_open(&g, NULL), 0);
    hob_group_cancel(&g, 0);
    CHECK_INT(stops_cancelled(&p), 0);
    return hob_group_join(&g, 0);
}

TEST(stop_works_in_a_cancelled_scope)
{
    on_pollers(in_cancelled_scope, NULL, 0);
    no_child();
}

enum { MANY = 100 };

static int one_of_many(void *arg)
{
    struct hob_proc_end end;
    char script[32], text[32];
    hob_proc *p;
    int i = (int)(intptr_t)arg;

    snprintf(script, sizeof script, "echo %d; exit %d", i, i % 256);
    int r = hob_proc_spawn(SH(script), HOB_PROC_OPTS(.out = HOB_PROC_PIPE), HOB_FOREVER, &p);
    if (r < 0)
        return r;
    CHECK(read_all(hob_proc_fd(p, 1), text, sizeof text) > 0);
    CHECK_INT(atoi(text), i);
    r = hob_proc_wait(p, HOB_FOREVER, &end);
    CHECK_INT(end.code, i % 256);
    hob_proc_stop(p);
    return r;
}

static int many(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true));

    (void)arg;
    for (intptr_t i = 0; i < t_times(MANY, 5) && r == 0; i++)
        r = hob_go(&g, one_of_many, (void *)i);
    return hob_group_join(&g, r);
}

TEST(many_run_at_once)
{
    int before = open_fds();

    t_timeout(120);
    on_pollers(many, NULL, 0);
    setenv("HOB_LOOPS", "2", 1);
    on_pollers(many, NULL, 0);
    CHECK_INT(open_fds(), before);
    no_child();
}

/* A process that spawns one that is to die with it, says its number, and is killed. */
static int spawns_and_waits(void *arg)
{
    char text[32], c;
    int *fd = arg;
    hob_proc *p = sleeper(HOB_PROC_OPTS(.die_with_parent = true, .in = HOB_PROC_NULL,
                                        .out = HOB_PROC_FD, .out_fd = fd[1]));

    snprintf(text, sizeof text, "%d", hob_proc_pid(p));
    CHECK_INT(write(fd[1], text, strlen(text) + 1), strlen(text) + 1);
    return (int)hob_read(fd[2], &c, 1, HOB_FOREVER);
}

TEST(a_child_dies_with_its_parent)
{
    int fd[2], never[2], status;
    char text[32];

    CHECK_INT(pipe(fd), 0);
    CHECK_INT(pipe(never), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int fds[] = {fd[0], fd[1], never[0]};
        close(fd[0]);
        _exit(hob_run(NULL, spawns_and_waits, fds) != 0);
    }
    close(fd[1]);
    CHECK(read(fd[0], text, sizeof text) > 1);
    CHECK_INT(kill(pid, SIGKILL), 0);
    CHECK_INT(waitpid(pid, &status, 0), pid);
    /* The grandchild has the pipe as its standard output: its end is the end of the pipe. */
    CHECK_INT(read(fd[0], text, sizeof text), 0);
    close(fd[0]);
    close(never[0]);
    close(never[1]);
}

static int told_nothing(void *arg)
{
    struct hob_proc_end end = {.code = 77};
    const char *argv[] = {"true", NULL};
    hob_proc *p;

    (void)arg;
    CHECK_INT(hob_proc_spawn(argv, NULL, HOB_FOREVER, &p), 0);
    CHECK_INT(hob_proc_wait(p, HOB_FOREVER, &end), -ECHILD);
    CHECK_INT(end.code, 77);
    hob_proc_stop(p);
    return 0;
}

TEST(an_end_that_somebody_else_took_is_said)
{
    signal(SIGCHLD, SIG_IGN); /* the kernel reaps */
    everywhere(told_nothing);
}

static int begins_nothing(void *arg)
{
    const char *argv[] = {"true", NULL};
    hob_proc *p;

    (void)arg;
    CHECK_INT(hob_proc_spawn(argv, NULL, 0, &p), -ETIMEDOUT);
    return 0;
}

TEST(until_zero_begins_no_process)
{
    on_pollers(begins_nothing, NULL, 0);
    no_child();
}

static int is_refused(void *arg)
{
    const char *argv[] = {"true", NULL};
    hob_proc *p;

    (void)arg;
    return hob_proc_spawn(argv, NULL, HOB_FOREVER, &p);
}

TEST(the_simulator_has_no_processes)
{
    setenv("HOB_SIM", "1", 1);
    CHECK_INT(hob_run(NULL, is_refused, NULL), -EOPNOTSUPP);
    no_child();
}

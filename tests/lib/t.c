/* SPDX-License-Identifier: MIT
 *
 * t.c - the test runner: see t.h
 *
 * The parent prints TAP; a case's own output goes to standard error, so that it cannot break the
 * protocol.  A case that returns ends by exit(), because that runs the leak check of a sanitizer;
 * one that fails or skips ends by _exit(), because then what it holds is no leak.  A case leads a
 * process group, and what is left of the group when it ends is killed: no child of a case that
 * timed out holds a port or a pipe for the next one.
 */
#include "lib/t.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/t_fault.h"

enum {
    T_SECONDS = 30,
    T_SLOWER_UNDER_SANITIZERS = 4,
    T_SLOWER_EMULATED = 4,
    T_SLOWER_ON_A_BUSY_MACHINE = 5, /* a limit is there for what hangs */
    T_REASON_MAX = 256
};

static struct t_case *t_cases, **t_tail = &t_cases;
static const char *t_now = "?";
static char *t_reason; /* why the case skipped; shared with its process */

void t_register(struct t_case *c)
{
    *t_tail = c;
    t_tail = &c->next;
}

void t_fail(const char *file, int line, const char *format, ...)
{
    va_list ap;

    fprintf(stderr, "%s: %s:%d: ", t_now, file, line);
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
    _exit(T_EXIT_FAIL);
}

void t_skip(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(t_reason, T_REASON_MAX, format, ap);
    va_end(ap);
    fprintf(stderr, "SKIP %s: %s\n", t_now, t_reason);
    _exit(T_EXIT_SKIP);
}

static const char *t_emulator(void)
{
    const char *list = getenv("HOB_TEST_EMULATOR");

    return list && *list ? list : NULL;
}

/* Skips the case if the emulator's list has it: "program pattern reason" a line. */
static void t_skip_emulated(const struct t_case *c)
{
    char program[64], pattern[128], reason[T_REASON_MAX], *line = NULL;
    FILE *list = t_emulator() ? fopen(t_emulator(), "re") : NULL;
    size_t size = 0;

    if (t_emulator() && !list)
        t_fail(__FILE__, __LINE__, "HOB_TEST_EMULATOR: no %s", t_emulator());
    while (list && getline(&line, &size, list) >= 0)
        if (*line != '#' && sscanf(line, "%63s %127s %255[^\n]", program, pattern, reason) == 3 &&
            fnmatch(program, program_invocation_short_name, 0) == 0 &&
            fnmatch(pattern, c->name, 0) == 0)
            t_skip("emulated: %s", reason);
    free(line);
    if (list)
        fclose(list);
}

void t_timeout(unsigned seconds)
{
    if (t_emulator())
        seconds *= T_SLOWER_EMULATED;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    seconds *= T_SLOWER_UNDER_SANITIZERS;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    seconds *= T_SLOWER_UNDER_SANITIZERS;
#endif
#endif
    alarm(seconds * T_SLOWER_ON_A_BUSY_MACHINE);
}

int t_times(int all, int few)
{
    return getenv("HOB_TEST_FAULTS") ? few : all;
}

int t_seeds(int all)
{
    return getenv("HOB_TEST_FEWER") ? (all + 4) / 5 : all;
}

static int t_open_fds(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");

    if (!d)
        return -1;
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static void t_show_fds(void)
{
    char link[64], target[PATH_MAX];

    for (int fd = STDERR_FILENO + 1; fd < 1024; fd++) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(link, target, sizeof target - 1);
        if (n >= 0)
            fprintf(stderr, "    %d: %.*s\n", fd, (int)n, target);
    }
}

static void t_case_child(const struct t_case *c)
{
    int before = t_open_fds();

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    t_timeout(T_SECONDS);
    t_skip_emulated(c);
    c->run();
    int after = t_open_fds();
    if (after != before) {
        fprintf(stderr, "%s: %d descriptors leaked; open are:\n", c->name, after - before);
        t_show_fds();
        _exit(T_EXIT_LEAK);
    }
    exit(0);
}

int t_child(int (*body)(void *arg), void *arg, char *ret_said, size_t size)
{
    struct rlimit no_core = {0, 0};
    char rest[512];
    int fds[2], status;
    size_t n = 0;
    ssize_t k;

    fflush(NULL);
    CHECK(pipe(fds) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        signal(SIGSEGV, SIG_DFL); /* not a sanitizer's */
        signal(SIGBUS, SIG_DFL);
        dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        close(fds[1]);
        _exit(body(arg));
    }
    close(fds[1]);
    while (n < size - 1 && (k = read(fds[0], ret_said + n, size - 1 - n)) > 0)
        n += (size_t)k;
    ret_said[n] = '\0';
    while (read(fds[0], rest, sizeof rest) > 0) /* it shall not die of a closed pipe */
        continue;
    close(fds[0]);
    CHECK(waitpid(pid, &status, 0) == pid);
    return status;
}

/* The case's wait status; -1 when it could not be started. */
static int t_fork(const struct t_case *c)
{
    int status;

    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        return -1;
    if (pid == 0)
        t_case_child(c);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    kill(-pid, SIGKILL);
    return status;
}

static bool t_report(const struct t_case *c, unsigned number, int status)
{
    bool skip = status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == T_EXIT_SKIP;
    bool good = skip || (status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0);

    printf("%s %u - %s%s%s\n", good ? "ok" : "not ok", number, c->name, skip ? " # SKIP " : "",
           skip ? t_reason : "");
    if (status >= 0 && WIFSIGNALED(status))
        printf("# %s: %s\n", c->name,
               WTERMSIG(status) == SIGALRM ? "timed out" : strsignal(WTERMSIG(status)));
    if (!skip && *t_reason)
        printf("# %s: %s\n", c->name, t_reason);
    fflush(stdout);
    return good;
}

int main(int argc, char **argv)
{
    bool in_process = false, only_list = false;
    const char *part = "";
    unsigned n = 0, number = 0, failed = 0;

    t_reason = mmap(NULL, T_REASON_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (t_reason == MAP_FAILED)
        return 1;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--no-fork") == 0)
            in_process = true;
        else if (strcmp(argv[i], "--list") == 0)
            only_list = true;
        else if (t_fault_shard && strncmp(argv[i], "--every=", 8) == 0)
            t_fault_shard(argv[i] + 8);
        else
            part = argv[i];
    }
    for (struct t_case *c = t_cases; c; c = c->next)
        n += strstr(c->name, part) != NULL;
    if (n == 0) {
        fprintf(stderr, "no case has \"%s\" in its name\n", part);
        return 2;
    }
    if (!only_list)
        printf("1..%u\n", n);
    for (struct t_case *c = t_cases; c; c = c->next) {
        if (!strstr(c->name, part))
            continue;
        t_now = c->name;
        if (only_list)
            puts(c->name);
        else if (in_process)
            c->run();
        else if (t_fault_each)
            failed += !t_report(c, ++number, t_fault_each(c, t_fork, t_reason, T_REASON_MAX));
        else
            failed += !t_report(c, ++number, t_fork(c));
    }
    if (number > 0 && !*part && t_fault_came_by && !t_fault_came_by())
        failed++;
    return failed ? 1 : 0;
}

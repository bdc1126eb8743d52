/* SPDX-License-Identifier: MIT
 *
 * stopwatch.c - runs a program and writes to a file how long it took: seconds, and CPU seconds
 *
 * Under hob diagnose it stands between the two, so that what the program itself loses is told
 * from what hob does before its begin and after its end.
 */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

int main(int argc, char *argv[])
{
    double began = now();
    struct rusage used;
    int status;

    if (argc < 3)
        return 2;
    pid_t pid = fork();
    if (pid == 0) {
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    if (pid < 0 || wait4(pid, &status, 0, &used) != pid)
        return 2;
    double took = now() - began;
    FILE *to = fopen(argv[1], "we");
    if (!to ||
        fprintf(to, "%.9f %.6f\n", took, seconds(used.ru_utime) + seconds(used.ru_stime)) < 0 ||
        fclose(to) != 0)
        return 2;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

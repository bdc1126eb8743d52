/* SPDX-License-Identifier: MIT
 *
 * parallel_can_be_slower.c - the same map over few numbers and over many, four ways
 *
 * y = x * x + sqrt(x) by a plain loop, by hob_for, by a thread a core and by a process a core that
 * sends its part of the result back through a pipe.  Times are medians.
 */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "claim.h"

enum { FEW = 1000, MANY = 4 * 1000 * 1000, CORES_MAX = 64, RUNS_MAX = 1001 };

static double *result;
static unsigned cores;

struct part {
    size_t begin, end;
    pthread_t thread;
    int pid, fd;
};

static int compute_chunk(size_t begin, size_t end, void *unused)
{
    for (size_t i = begin; i < end; i++) {
        double x = (double)i;
        result[i] = x * x + sqrt(x);
    }
    return 0;
}

static void by_loop(size_t n)
{
    compute_chunk(0, n, NULL);
}

static void by_hob_for(size_t n)
{
    claim_check(hob_for(0, n, compute_chunk, NULL, NULL), "hob_for");
}

static struct part part_of(size_t n, unsigned i)
{
    return (struct part){.begin = n * i / cores, .end = n * (i + 1) / cores};
}

static void *thread_run(void *arg)
{
    struct part *p = arg;

    compute_chunk(p->begin, p->end, NULL);
    return NULL;
}

static void by_threads(size_t n)
{
    struct part part[CORES_MAX];

    for (unsigned i = 0; i < cores; i++) {
        part[i] = part_of(n, i);
        claim_check(-pthread_create(&part[i].thread, NULL, thread_run, &part[i]), "thread");
    }
    for (unsigned i = 0; i < cores; i++)
        pthread_join(part[i].thread, NULL);
}

static void part_fork(struct part *p)
{
    int fds[2];

    claim_check(pipe(fds) < 0 ? -errno : 0, "pipe");
    fflush(stdout); /* what waits there is not the child's to print */
    p->pid = fork();
    claim_check(p->pid < 0 ? -errno : 0, "fork");
    if (p->pid == 0) {
        size_t n = (p->end - p->begin) * sizeof(*result);
        compute_chunk(p->begin, p->end, NULL);
        _exit(hob_write(fds[1], result + p->begin, n, HOB_FOREVER) != (ssize_t)n);
    }
    hob_close(fds[1]);
    p->fd = fds[0];
}

static void part_join(struct part *p)
{
    char *to = (char *)(result + p->begin);
    ssize_t n;

    while ((n = hob_read(p->fd, to, 1 << 20, HOB_FOREVER)) > 0)
        to += n;
    hob_close(p->fd);
    waitpid(p->pid, NULL, 0);
    claim_check(to == (char *)(result + p->end) ? 0 : -EIO, "process");
}

static void by_processes(size_t n)
{
    struct part part[CORES_MAX];

    for (unsigned i = 0; i < cores; i++) {
        part[i] = part_of(n, i);
        part_fork(&part[i]);
    }
    for (unsigned i = 0; i < cores; i++)
        part_join(&part[i]);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median_us(void (*map)(size_t), size_t n, int runs)
{
    static double us[RUNS_MAX];

    map(n); /* starts what there is to start, and touches the memory */
    for (int i = 0; i < runs; i++) {
        hob_time begin = hob_now();
        map(n);
        us[i] = (double)(hob_now() - begin) / (double)HOB_US;
    }
    qsort(us, (size_t)runs, sizeof(*us), compare);
    return us[runs / 2];
}

static void say(double us, double first)
{
    if (us > first)
        printf(" %9.1f us %7.1fx slower", us, us / first);
    else
        printf(" %9.1f us %7.1fx faster", us, first / us);
}

static void line(const char *how, void (*map)(size_t), int runs_few, const double first[2])
{
    printf("%-16s", how);
    say(median_us(map, FEW, runs_few), first[0]);
    say(median_us(map, MANY, 5), first[1]);
    printf("\n");
}

int main(void)
{
    double first[2];

    cores = hob_cores() < CORES_MAX ? hob_cores() : CORES_MAX;
    result = malloc(((size_t)MANY + (1 << 20)) * sizeof(*result)); /* room for the last read */
    claim_check(result ? 0 : -ENOMEM, "result");
    first[0] = median_us(by_loop, FEW, RUNS_MAX), first[1] = median_us(by_loop, MANY, 5);
    printf("%2u cores        %13d numbers         %13d numbers\n", cores, FEW, MANY);
    printf("plain loop       %9.1f us                %9.1f us\n", first[0], first[1]);
    fflush(stdout);
    line("a process a core", by_processes, 21, first); /* while there are no threads to fork */
    line("a thread a core", by_threads, 101, first);
    line("hob_for", by_hob_for, RUNS_MAX, first);
    free(result);
    return 0;
}
